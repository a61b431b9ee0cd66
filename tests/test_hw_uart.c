/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_uart
 *
 * The 16550 through its registers, a socket at the other end of its line. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw_board.h"

enum { LINE = 10 };
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };
enum { READY = 1, OVERRUN = 2, BREAK = 16, THRE = 32, TEMT = 64 };

typedef struct Line {
    Machine *m;
    Chardev *chardev;
    Device *uart;
    int peer;
    char path[64];
} Line;

static bool is_open(void *ctx)
{
    ChardevInfo info;

    return chardev_nth(ctx, 0, &info) && g_str_has_prefix(info.filename, "unix:");
}

static Line line_new(void)
{
    static u32 count;
    Line l = {.m = board_new()};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char spec[100], *error = NULL;

    snprintf(l.path, sizeof l.path, "/tmp/test_uart.%d.%u", getpid(), count++);
    snprintf(spec, sizeof spec, "unix:%s,server=on,wait=off", l.path);
    machine_lock(l.m);
    l.chardev = chardev_new(l.m, "serial0", spec, &error);
    cr_assert(l.chardev, "%s", error);
    cr_assert(uart16550_new(l.m, BOARD_DEVICE, LINE, l.chardev, &error), "%s", error);
    machine_unlock(l.m);
    l.uart = device_find(l.m, "uart16550", NULL);
    l.peer = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(un.sun_path, l.path);
    cr_assert_eq(connect(l.peer, (struct sockaddr *)&un, sizeof un), 0);
    cr_assert(board_wait(l.m, is_open, l.m));
    return l;
}

static void line_free(Line *l)
{
    close(l->peer);
    machine_free(l->m);
}

static u8 in(Line *l, u32 reg) { return board_read(l->m, reg, 1); }
static void out(Line *l, u32 reg, u8 value) { board_write(l->m, reg, 1, value); }
static bool raised(void) { return board_lines >> LINE & 1; }

static bool is_ready(void *ctx) { return in(ctx, LSR) & READY; }
static bool is_raised(void *ctx) { return raised(); }
static bool may_send(void *ctx) { return in(ctx, LSR) & THRE; }

/* The peer types; all of it has arrived as far as it is taken. */
static void type(Line *l, const char *text)
{
    cr_assert_eq(write(l->peer, text, strlen(text)), (ssize_t)strlen(text));
    board_settle(l->m);
}

Test(uart, reset)
{
    Line l = line_new();
    static const u8 values[] = {0, 0, 1, 0, 8, 0x60, 0xb0, 0};
    u64 v;

    for (u32 i = 0; i < 8; i++)
        cr_expect_eq(in(&l, i), values[i], "register %u", i);
    out(&l, SCR, 0x5a);
    cr_expect_eq(in(&l, SCR), 0x5a);
    out(&l, LSR, 0xff); /* nothing to be written there */
    out(&l, MSR, 0xff);
    cr_expect_eq(in(&l, LSR), 0x60);
    cr_expect_eq(in(&l, MSR), 0xb0);
    cr_expect_eq(board_read(l.m, 4, 4), 8, "wide accesses are of one register");
    cr_expect_eq(board_read(l.m, 6, 2), 0xb0);
    cr_expect(bus_read(&l.m->bus, BOARD_DEVICE, 8, &v));
    cr_expect_not(bus_read(&l.m->bus, BOARD_DEVICE + 8, 1, &v), "the end");
    line_free(&l);
}

Test(uart, divisor)
{
    Line l = line_new();

    out(&l, LCR, 0x83);
    cr_expect_eq(in(&l, 0), 12);
    out(&l, 0, 0x34);
    out(&l, 1, 0x12);
    cr_expect_eq(in(&l, 0), 0x34);
    cr_expect_eq(in(&l, 1), 0x12);
    out(&l, LCR, 3);
    cr_expect_eq(in(&l, IER), 0, "not the divisor's");
    line_free(&l);
}

Test(uart, sends)
{
    Line l = line_new();
    char text[16] = "";

    for (const char *p = "Tessera\n"; *p; p++) {
        cr_expect_eq(in(&l, LSR) & (THRE | TEMT), THRE | TEMT);
        out(&l, DATA, *p);
    }
    board_settle(l.m);
    cr_expect_eq(read(l.peer, text, sizeof text), 8);
    cr_expect_str_eq(text, "Tessera\n");
    line_free(&l);
}

/* Ready to send: interrupts when that is allowed, when it becomes so, until IIR is
 * read. */
Test(uart, interrupts_when_sent)
{
    Line l = line_new();

    cr_expect_not(raised());
    out(&l, IER, 2);
    cr_expect(raised());
    cr_expect_eq(in(&l, IIR), 2);
    cr_expect_not(raised());
    cr_expect_eq(in(&l, IIR), 1);
    out(&l, DATA, 'a');
    cr_expect(raised());
    out(&l, IER, 0);
    cr_expect_not(raised());
    out(&l, IER, 2);
    cr_expect(raised(), "allowed again");
    line_free(&l);
}

Test(uart, receives_one)
{
    Line l = line_new();

    out(&l, IER, 1);
    type(&l, "xy");
    cr_expect(raised());
    cr_expect_eq(in(&l, IIR), 4);
    cr_expect_eq(in(&l, LSR) & READY, READY);
    cr_expect_eq(in(&l, DATA), 'x');
    cr_expect(board_wait(l.m, is_ready, &l), "the next comes when there is room");
    cr_expect_eq(in(&l, DATA), 'y');
    cr_expect_not(raised());
    cr_expect_eq(in(&l, LSR), 0x60, "nothing was lost");
    line_free(&l);
}

Test(uart, receives_fifo)
{
    Line l = line_new();
    char text[64], got[64];

    out(&l, LCR, 0x80); /* so slow that no timeout comes */
    out(&l, 1, 0xff);
    out(&l, LCR, 0);
    out(&l, FCR, 0x81); /* interrupt at 8 */
    out(&l, IER, 1);
    cr_expect_eq(in(&l, IIR), 0xc1);
    memset(text, 'x', sizeof text);
    for (u32 i = 0; i < 40; i++)
        text[i] = 'A' + i;
    text[40] = 0;
    type(&l, text);
    cr_expect_eq(in(&l, IIR), 0xc4);
    for (u32 i = 0; i < 40; i++) {
        cr_expect(board_wait(l.m, is_ready, &l));
        got[i] = in(&l, DATA);
    }
    cr_expect_arr_eq(text, got, 40);
    cr_expect_eq(in(&l, LSR), 0x60);
    line_free(&l);
}

/* Fewer than the trigger are announced after a while, until one is read. */
Test(uart, timeout)
{
    Line l = line_new();

    out(&l, FCR, 0xc1);
    out(&l, IER, 1);
    cr_expect_eq(write(l.peer, "abc", 3), 3);
    cr_expect(board_wait(l.m, is_raised, NULL));
    cr_expect_eq(in(&l, IIR), 0xcc);
    cr_expect_eq(in(&l, DATA), 'a');
    cr_expect_not(raised());
    cr_expect(board_wait(l.m, is_raised, NULL), "and again");
    out(&l, FCR, 0xc3); /* thrown away */
    cr_expect_not(raised());
    cr_expect_eq(in(&l, LSR) & READY, 0);
    line_free(&l);
}

Test(uart, loop)
{
    Line l = line_new();
    char byte;

    out(&l, MCR, 0x1a); /* as Linux looks for a 16550 */
    cr_expect_eq(in(&l, MSR) & 0xf0, 0x90);
    out(&l, MCR, 0x15);
    cr_expect_eq(in(&l, MSR) & 0xf0, 0x60);
    out(&l, DATA, 'l');
    cr_expect_eq(in(&l, LSR), THRE | TEMT | READY);
    out(&l, IER, 4);
    out(&l, DATA, 'm'); /* onto the other */
    cr_expect_eq(in(&l, IIR), 6);
    cr_expect_eq(in(&l, LSR) & OVERRUN, OVERRUN);
    cr_expect_not(raised(), "reading LSR is enough");
    cr_expect_eq(in(&l, DATA), 'm');
    type(&l, "t"); /* waits for the loop's end */
    cr_expect_eq(in(&l, LSR) & READY, 0);
    out(&l, MCR, 8);
    cr_expect(board_wait(l.m, is_ready, &l));
    cr_expect_eq(in(&l, DATA), 't');
    fcntl(l.peer, F_SETFL, O_NONBLOCK);
    cr_expect_lt(read(l.peer, &byte, 1), 0, "nothing went out");
    line_free(&l);
}

/* The other end reads nothing: the transmitter waits, then nothing has been lost. */
Test(uart, slow_reader)
{
    Line l = line_new();
    u32 sent = 0, got = 0, rounds = 0;
    u8 bytes[4096];

    out(&l, FCR, 1);
    while (in(&l, LSR) & THRE) {
        for (u32 i = 0; i < 16; i++)
            out(&l, DATA, (sent++) * 7);
        if (++rounds % 64 == 0)
            board_settle(l.m);
        cr_assert_lt(sent, 8 << 20, "it never waits");
    }
    cr_expect_eq(in(&l, LSR) & (THRE | TEMT), 0);
    fcntl(l.peer, F_SETFL, O_NONBLOCK);
    for (u32 idle = 0; idle < 100 && got < sent;) {
        ssize_t n = read(l.peer, bytes, sizeof bytes);

        board_settle(l.m);
        idle = n > 0 ? 0 : idle + 1;
        for (ssize_t i = 0; i < n; i++, got++)
            cr_assert_eq(bytes[i], (u8)(got * 7), "byte %u", got);
    }
    cr_expect_eq(got, sent);
    cr_expect(board_wait(l.m, may_send, &l));
    line_free(&l);
}

/* A peer that leaves while the transmitter waits for it frees it. */
Test(uart, peer_leaves)
{
    Line l = line_new();

    out(&l, FCR, 1);
    for (u32 i = 0; in(&l, LSR) & THRE; i++) {
        for (u32 k = 0; k < 16; k++)
            out(&l, DATA, 'z');
        if (i % 64 == 0)
            board_settle(l.m);
    }
    close(l.peer);
    cr_expect(board_wait(l.m, may_send, &l));
    cr_expect_eq(in(&l, LSR) & TEMT, TEMT);
    l.peer = -1;
    line_free(&l);
}

/* Saved with bytes on both ways, loaded by another. */
Test(uart, state)
{
    Line a = line_new(), b;
    GByteArray *saved, *cut;

    out(&a, LCR, 0x83);
    out(&a, 0, 3);
    out(&a, LCR, 0x1b);
    out(&a, SCR, 0x77);
    out(&a, FCR, 0xc1);
    out(&a, IER, 5);
    type(&a, "hello");
    saved = board_save(a.m, a.uart);
    board_lines = 0;
    b = line_new();
    cr_assert(board_load(b.m, b.uart, saved));
    cr_expect(board_wait(b.m, is_raised, NULL), "the timeout still comes");
    cr_expect_eq(in(&b, IIR), 0xcc);
    for (u32 i = 0; i < 5; i++)
        cr_expect_eq(in(&b, DATA), "hello"[i]);
    cr_expect_eq(in(&b, SCR), 0x77);
    cr_expect_eq(in(&b, LCR), 0x1b);
    cr_expect_eq(in(&b, IER), 5);
    for (u32 n = 0; n < saved->len; n++) {
        cut = g_byte_array_append(g_byte_array_new(), saved->data, n);
        cr_expect_not(board_load(b.m, b.uart, cut), "%u bytes", n);
        g_byte_array_unref(cut);
    }
    g_byte_array_unref(saved);
    line_free(&b);
    line_free(&a);
}

Test(uart, fuzz)
{
    Line l = line_new();
    GRand *r = g_rand_new_with_seed(16550);
    u8 bytes[256];

    fcntl(l.peer, F_SETFL, O_NONBLOCK);
    for (u32 i = 0; i < 200; i++) {
        GByteArray *state = board_save(l.m, l.uart);

        board_fuzz(l.m, 8, 500, i);
        for (u32 k = 0; k < 8; k++)
            bytes[k] = g_rand_int(r);
        (void)!write(l.peer, bytes, 8);
        while (g_main_context_iteration(l.m->io, FALSE))
            ;
        while (i % 3 == 0 && read(l.peer, bytes, sizeof bytes) > 0)
            ;
        for (u32 k = 0; k < 4; k++)
            state->data[g_rand_int(r) % state->len] = g_rand_int(r);
        board_load(l.m, l.uart, state);
        g_byte_array_unref(state);
    }
    machine_lock(l.m);
    l.uart->type->reset(l.uart);
    machine_unlock(l.m);
    cr_expect_eq(in(&l, LSR), 0x60);
    g_rand_free(r);
    line_free(&l);
}
