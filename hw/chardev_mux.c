/* SPDX-License-Identifier: MIT */
/* A line that several clients share: all write to it, one of them has the keyboard, and
 * C-a begins a command of ours.  Typed bytes wait for a client that takes none, so that
 * C-a x ends a guest that has hung, too. */
#include <string.h>
#include "chardev.h"

enum { ESCAPE = 1, TYPED_MOST = 1024 };

/* ---- commands ---- */

typedef struct MuxKey {
    char key;
    const char *help;
    void (*run)(Chardev *c);
} MuxKey;

static void key_help(Chardev *c);

static CharPort *focused(const Chardev *c) { return c->ports->pdata[c->focus]; }

static void key_exit(Chardev *c)
{
    chardev_print(c, "tessera: terminated\r\n");
    machine_quit(c->machine, 0);
}

static void key_break(Chardev *c) { port_event(focused(c), CHAR_BREAK); }

static void key_next(Chardev *c) { mux_focus(c, (c->focus + 1) % c->ports->len); }

static void key_stamps(Chardev *c)
{
    c->stamps = !c->stamps;
    c->mid_line = false;
}

static void type(Chardev *c, u8 byte)
{
    GByteArray *input = focused(c)->input;

    if (input->len < TYPED_MOST)
        g_byte_array_append(input, &byte, 1);
}

static void key_escape(Chardev *c) { type(c, ESCAPE); }

static const MuxKey keys[] = {
    {'h', "print this help", key_help},
    {'x', "end the machine", key_exit},
    {'b', "send a break (for Linux: the magic SysRq key)", key_break},
    {'c', "give the keyboard to the next: the monitor, the console", key_next},
    {'t', "begin each line with the time, or not", key_stamps},
    {ESCAPE, "send C-a", key_escape},
};

static void key_help(Chardev *c)
{
    chardev_print(c, "\r\n");
    for (u32 i = 0; i < ARRAY_SIZE(keys); i++) {
        char name[] = {keys[i].key, 0}, line[100];

        g_snprintf(line, sizeof line, "C-a %-4s %s\r\n",
                   keys[i].key == ESCAPE ? "C-a" : name, keys[i].help);
        chardev_print(c, line);
    }
}

static void command(Chardev *c, char key)
{
    for (u32 i = 0; i < ARRAY_SIZE(keys); i++)
        if (keys[i].key == key)
            keys[i].run(c);
}

/* ---- input ---- */

/* A terminal's keys beyond the most are dropped: C-a may be behind them. */
size_t mux_room(const Chardev *c)
{
    return c->is_tty ? TYPED_MOST
                     : TYPED_MOST - MIN(focused(c)->input->len, TYPED_MOST);
}

void mux_receive(Chardev *c, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->escaped) {
            c->escaped = false;
            command(c, bytes[i]);
        } else if (bytes[i] == ESCAPE) {
            c->escaped = true;
        } else {
            type(c, bytes[i]);
        }
    }
    for (u32 i = 0; i < c->ports->len; i++)
        port_deliver(c->ports->pdata[i]);
}

void mux_focus(Chardev *c, u32 port)
{
    CharPort *p;
    bool greeted;

    c->focus = port;
    p = focused(c);
    greeted = p->greeted;
    p->greeted = true;
    port_event(p, greeted ? CHAR_FOCUS : CHAR_OPENED);
}

/* ---- output ---- */

static void stamp(Chardev *c)
{
    u64 ms = machine_clock(c->machine) / 1000000;
    char text[40];

    g_snprintf(text, sizeof text, "[%02u:%02u:%02u.%03u] ", (u32)(ms / 3600000),
               (u32)(ms / 60000 % 60), (u32)(ms / 1000 % 60), (u32)(ms % 1000));
    g_byte_array_append(c->output, (const u8 *)text, strlen(text));
}

size_t mux_stamp(Chardev *c, const u8 *bytes, size_t n, size_t room)
{
    size_t most = c->output->len + room, i;

    for (i = 0; i < n && c->output->len + 40 < most; i++) {
        if (!c->mid_line)
            stamp(c);
        c->mid_line = bytes[i] != '\n';
        g_byte_array_append(c->output, bytes + i, 1);
    }
    return i;
}
