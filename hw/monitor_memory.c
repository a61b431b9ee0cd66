/* SPDX-License-Identifier: MIT */
/* The monitor's looks at memory: x, xp (of RAM: reading registers would change them)
 * and print, with formats as in "8gx", "10i", "4c". */
#include <inttypes.h>
#include <string.h>
#include "monitor.h"

enum { UNITS_MAX = 65536, INSN_MAX = 16, LINE_BYTES = 16 };

typedef struct Format {
    u32 count;
    char how; /* x d u o c i */
    u32 size; /* bytes of a unit */
} Format;

static bool format_parse(Monitor *mon, Format *f)
{
    const char *p = mon->format;

    *f = (Format){.count = 1, .how = 'x'};
    if (g_ascii_isdigit(*p)) {
        u64 count = g_ascii_strtoull(p, (char **)&p, 10);

        f->count = (u32)MIN(count, UNITS_MAX);
    }
    for (; *p; p++) {
        static const char letters[] = "bhwg";
        const char *unit = strchr(letters, *p);

        if (unit)
            f->size = 1u << (unit - letters);
        else if (strchr("xduoci", *p))
            f->how = *p;
        else
            return monitor_refuse(mon, "invalid char in format: '%c'", *p), false;
    }
    if (!f->size)
        f->size = f->how == 'c' ? 1 : 4;
    return true;
}

static bool value_parse(Monitor *mon, u64 *value)
{
    char *text = g_strjoinv(" ", mon->arg);
    const char *why;
    bool good = monitor_eval(mon, text, value, &why);

    g_free(text);
    if (!good)
        monitor_refuse(mon, "%s", why);
    return good;
}

/* ---- values ---- */

static void put_char(GString *out, u8 c)
{
    if (c == '\'' || c == '\\')
        g_string_append_printf(out, "'\\%c'", c);
    else if (c == '\n')
        g_string_append(out, "'\\n'");
    else if (c == '\r')
        g_string_append(out, "'\\r'");
    else if (g_ascii_isprint(c))
        g_string_append_printf(out, "'%c'", c);
    else
        g_string_append_printf(out, "'\\x%02x'", c);
}

static i64 signed_of(u64 value, u32 size)
{
    u32 shift = 64 - size * 8;

    return (i64)(value << shift) >> shift;
}

/* width: of the column, from size; 0: none. */
static void put_value(GString *out, u64 value, char how, u32 size, bool column)
{
    static const u8 decimal[] = {[1] = 3, [2] = 5, [4] = 10, [8] = 20};

    switch (how) {
    case 'c': put_char(out, (u8)value); break;
    case 'd':
        g_string_append_printf(out, "%*" PRId64, column ? decimal[size] : 0,
                               signed_of(value, size));
        break;
    case 'u':
        g_string_append_printf(out, "%*" PRIu64, column ? decimal[size] : 0, value);
        break;
    case 'o':
        g_string_append_printf(out, "%#*" PRIo64, column ? (int)size * 3 : 0, value);
        break;
    default:
        g_string_append_printf(out, "0x%0*" PRIx64, column ? (int)size * 2 : 1, value);
    }
}

void monitor_print(Monitor *mon)
{
    Format f;
    u64 value;

    if (!format_parse(mon, &f) || !value_parse(mon, &value))
        return;
    put_value(mon->out, value, f.how, 8, false);
    g_string_append_c(mon->out, '\n');
}

/* ---- memory ---- */

size_t monitor_read_physical(Machine *m, u64 addr, void *to, size_t n)
{
    size_t done = 0;

    while (done < n) {
        u64 left_in_page = PAGE_SIZE - ((addr + done) & (PAGE_SIZE - 1));
        size_t part = MIN(n - done, left_in_page);

        if (!dma_read(m, addr + done, (u8 *)to + done, part))
            break;
        done += part;
    }
    return done;
}

size_t monitor_read_virtual(const Cpu *cpu, u64 addr, void *to, size_t n)
{
    size_t done = 0;

    while (done < n) {
        u64 left_in_page = PAGE_SIZE - ((addr + done) & (PAGE_SIZE - 1)), phys;
        size_t part = MIN(n - done, left_in_page);

        if (!cpu->machine->board->translate(cpu, addr + done, &phys) ||
            !dma_read(cpu->machine, phys, (u8 *)to + done, part))
            break;
        done += part;
    }
    return done;
}

static size_t read_at(const Monitor *mon, bool virtual, u64 addr, void *to, size_t n)
{
    return virtual ? monitor_read_virtual(monitor_cpu(mon), addr, to, n)
                   : monitor_read_physical(mon->m, addr, to, n);
}

static void put_unreadable(Monitor *mon, u64 addr)
{
    g_string_append_printf(mon->out, "%016" PRIx64 ": Cannot access memory\n", addr);
}

static void show_insns(Monitor *mon, bool virtual, u64 addr, u32 count)
{
    const Guest *guest = mon->m->board->guest;

    for (u32 i = 0; i < count; i++) {
        u8 bytes[INSN_MAX];
        char text[128] = "(bad)";
        size_t got = read_at(mon, virtual, addr, bytes, sizeof bytes), len;

        if (!got) {
            put_unreadable(mon, addr);
            return;
        }
        len = guest->disas(text, sizeof text, addr, bytes, got);
        len = len ? len : MIN(got, 2);
        g_string_append_printf(mon->out, "0x%016" PRIx64 ":  ", addr);
        for (size_t at = len; at > 0; at--)
            g_string_append_printf(mon->out, "%02x", bytes[at - 1]);
        g_string_append_printf(mon->out, "%*s  %s\n", (int)(8 - 2 * MIN(len, 4)), "",
                               text);
        addr += len;
    }
}

/* One line of up to n units; false: it ended early. */
static bool show_line(Monitor *mon, bool virtual, const Format *f, u64 addr, u32 n)
{
    u8 bytes[LINE_BYTES];
    size_t got = read_at(mon, virtual, addr, bytes, n * f->size) / f->size;

    if (!got) {
        put_unreadable(mon, addr);
        return false;
    }
    g_string_append_printf(mon->out, "%016" PRIx64 ":", addr);
    for (size_t i = 0; i < got; i++) {
        u64 value = 0;

        memcpy(&value, bytes + i * f->size, f->size);
        g_string_append_c(mon->out, ' ');
        put_value(mon->out, value, f->how, f->size, true);
    }
    g_string_append_c(mon->out, '\n');
    if (got < n)
        put_unreadable(mon, addr + got * f->size);
    return got == n;
}

static void show_units(Monitor *mon, bool virtual, const Format *f, u64 addr)
{
    u32 a_line = f->size == 1 ? 8 : LINE_BYTES / f->size;

    for (u32 left = f->count; left;) {
        u32 n = MIN(left, a_line);

        if (!show_line(mon, virtual, f, addr, n))
            return;
        addr += n * f->size;
        left -= n;
    }
}

static void show(Monitor *mon, bool virtual)
{
    Format f;
    u64 addr;

    if (!format_parse(mon, &f) || !value_parse(mon, &addr))
        return;
    if (f.how == 'i')
        show_insns(mon, virtual, addr, f.count);
    else
        show_units(mon, virtual, &f, addr);
}

void monitor_x(Monitor *mon) { show(mon, true); }

void monitor_xp(Monitor *mon) { show(mon, false); }
