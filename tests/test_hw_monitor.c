/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_monitor
 *
 * The human monitor: the line editor key by key, each command's words, expressions,
 * memory, page tables that loop, and lines that make no sense. */
#include <string.h>
#include "../hw/monitor.h"
#include "hw_hart.h"

enum { MIB = 1 << 20 };

/* ---- the line editor ---- */

typedef struct Typed {
    LineEdit edit;
    GString *out;
    char *line; /* the last complete one; NULL */
} Typed;

static void type(Typed *t, const char *keys)
{
    for (; *keys; keys++)
        if (line_edit_put(&t->edit, (u8)*keys, t->out)) {
            g_free(t->line);
            t->line = line_edit_take(&t->edit);
        }
}

static void typed_init(Typed *t)
{
    *t = (Typed){.out = g_string_new(NULL)};
    line_edit_init(&t->edit);
}

static void typed_free(Typed *t)
{
    line_edit_free(&t->edit);
    g_string_free(t->out, TRUE);
    g_free(t->line);
}

Test(monitor, keys)
{
    static const struct {
        const char *keys, *line;
    } cases[] = {
        {"stop\r", "stop"},
        {"stpo\b\bop\n", "stop"},
        {"xb\001a\033[C\033[Cc\r", "axbc"},
        {"abc\033[D\033[D\004\r", "ac"},
        {"abc\033[H\033[3~\r", "bc"},
        {"abc\002\002\013\r", "a"},
        {"one two\027\r", "one "},
        {"one two\025three\r", "three"},
        {"abc\003def\r", "def"},
        {"\033[A\r", "def"},
        {"new\033OA\033OA\033OB\033OB\r", "new"},
        {"\033[1;5Ca\033[99~b\033xc\r", "abc"},
        {"\033[A\033[A\033[A\033[A\033[A\033[A\033[A\033[A\033[A\033[A\033[A\033[A\r",
         "stop"},
    };
    Typed t;

    typed_init(&t);
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        type(&t, cases[i].keys);
        cr_expect_str_eq(t.line, cases[i].line, "case %u: \"%s\"", i, t.line);
    }
    typed_free(&t);
}

Test(monitor, echo)
{
    Typed t;

    typed_init(&t);
    type(&t, "ab\b\r\n");
    cr_expect_str_eq(t.out->str, "ab\033[1D\033[K\r\n");
    cr_expect_str_eq(t.line, "a");
    g_string_truncate(t.out, 0);
    type(&t, "\n");
    cr_expect_str_eq(t.line, "", "a line feed alone ends a line, too");
    typed_free(&t);
}

Test(monitor, completion)
{
    Typed t;

    typed_init(&t);
    t.edit.complete = monitor_complete;
    type(&t, "sav\tf\r");
    cr_expect_str_eq(t.line, "savevm f");
    type(&t, "sy\tr\t\r");
    cr_expect_str_eq(t.line, "system_reset ");
    type(&t, "info reg\t-a\r");
    cr_expect_str_eq(t.line, "info registers -a");
    type(&t, "nosuch\t\r");
    cr_expect_str_eq(t.line, "nosuch");
    g_string_truncate(t.out, 0);
    type(&t, "info m\t");
    cr_expect(strstr(t.out->str, "mem "), "%s", t.out->str);
    cr_expect(strstr(t.out->str, "mtree"), "%s", t.out->str);
    typed_free(&t);
}

Test(monitor, random_keys)
{
    GRand *r = g_rand_new_with_seed(4);
    Typed t;

    typed_init(&t);
    t.edit.complete = monitor_complete;
    for (u32 i = 0; i < 200000; i++) {
        static const u8 often[] = "\033[ABCDHF0123~;O\b\001\005\t\013 abc";
        u32 n = (u32)g_rand_int_range(r, 0, 3);
        u8 byte = n ? often[g_rand_int_range(r, 0, sizeof often - 1)]
                    : (u8)g_rand_int_range(r, 0, 256);

        if (line_edit_put(&t.edit, byte, t.out))
            g_free(line_edit_take(&t.edit));
        cr_assert_leq(t.edit.cursor, t.edit.line->len);
        cr_assert_leq(t.edit.line->len, EDIT_LINE_MAX);
        g_string_truncate(t.out, 0);
    }
    cr_assert_leq(t.edit.history->len, EDIT_HISTORY);
    typed_free(&t);
    g_rand_free(r);
}

/* ---- commands ---- */

static void expect(Machine *m, const char *line, const char *out)
{
    char *got = monitor_command(m, line);

    cr_expect_str_eq(got, out, "%s: \"%s\"", line, got);
    g_free(got);
}

static void expect_part(Machine *m, const char *line, const char *part)
{
    char *got = monitor_command(m, line);

    cr_expect(strstr(got, part), "%s: \"%s\"", line, got);
    g_free(got);
}

Test(monitor, expressions)
{
    Machine *m = hw_machine(MIB, 1);

    m->cpu[0].env->g[10] = 0x1234;
    expect(m, "p 10+3*2", "0x10\n");
    expect(m, "print/d 10 + 3 * (2 - 5)", "1\n");
    expect(m, "p/d -7", "-7\n");
    expect(m, "p 7/2%2", "0x1\n");
    expect(m, "p/u ~0", "18446744073709551615\n");
    expect(m, "p/c 65", "'A'\n");
    expect(m, "p 'A'", "0x41\n");
    expect(m, "p/o 8", "010\n");
    expect(m, "p 0xff & 0x3c | 1 ^ 2", "0x3f\n");
    expect(m, "p $pc", "0x80000000\n");
    expect(m, "p $a0*2", "0x2468\n");
    expect(m, "p $nosuch", "unknown register\n");
    expect(m, "p $", "unknown register\n");
    expect(m, "p 1/0", "division by zero\n");
    expect(m, "p 1%(2-2)", "division by zero\n");
    expect(m, "p (1", "')' expected\n");
    expect(m, "p 1)", "invalid char in expression\n");
    expect(m, "p 12x", "invalid number\n");
    expect(m, "p 1 2", "invalid char in expression\n");
    expect(m, "p 0x10000000000000000", "number too large\n");
    expect(m, "p/q 1", "invalid char in format: 'q'\n");
    expect(m, "p 'A", "missing terminating ' character\n");
    hw_machine_free(m);
}

Test(monitor, deep_expression)
{
    Machine *m = hw_machine(MIB, 1);
    static const char nests[] = "(-~+";

    for (const char *c = nests; *c; c++) {
        char line[4000] = "p ";

        memset(line + 2, *c, sizeof line - 3);
        expect(m, line, "expression too deep\n");
    }
    hw_machine_free(m);
}

Test(monitor, memory)
{
    static const u32 words[] = {0x00000297, 0x02828613, 0xf1402573, 0x0202b583};
    Machine *m = hw_machine(MIB, 1);

    dma_write(m, HW_RAM, words, sizeof words);
    expect(m, "xp/4x 0x80000000",
           "0000000080000000: 0x00000297 0x02828613 0xf1402573 0x0202b583\n");
    expect(m, "x/2gx $pc", "0000000080000000: 0x0282861300000297 0x0202b583f1402573\n");
    expect(m, "xp/9bx 0x80000000",
           "0000000080000000: 0x97 0x02 0x00 0x00 0x13 0x86 0x82 0x02\n"
           "0000000080000008: 0x73\n");
    expect(m, "xp/2c 0x80000008", "0000000080000008: 's' '%'\n");
    expect(m, "xp/2hd 0x8000000a", "000000008000000a: -3776 -19069\n");
    expect_part(m, "x/2i 0x80000000", "0x0000000080000000:  00000297");
    expect_part(m, "x/2i 0x80000000", "0x0000000080000004:  02828613");
    expect_part(m, "xp/i 0x80000008", "mhartid");
    expect(m, "xp/x 0x800ffffc", "00000000800ffffc: 0x00000000\n");
    expect(m, "xp/2x 0x800ffffc",
           "00000000800ffffc: 0x00000000\n0000000080100000: Cannot access memory\n");
    expect(m, "xp/x 0", "0000000000000000: Cannot access memory\n");
    expect(m, "x/i -1", "ffffffffffffffff: Cannot access memory\n");
    expect(m, "xp/gx 0xfffffffffffffffc", "fffffffffffffffc: Cannot access memory\n");
    hw_machine_free(m);
}

Test(monitor, words)
{
    Machine *m = hw_machine(MIB, 2);

    expect(m, "", "");
    expect(m, "   ", "");
    expect(m, "nosuch", "unknown command: 'nosuch'\n");
    expect(m, "stop/x", "unknown command: 'stop/x'\n");
    expect(m, "/x 1", "unknown command: '/x'\n");
    expect(m, "quit 3",
           "quit: extraneous characters at the end of line\n"
           "Try \"help quit\" for more information\n");
    expect(m, "cpu", "cpu: argument expected\nTry \"help cpu\" for more information\n");
    expect(m, "cpu 2", "invalid CPU index\n");
    expect(m, "cpu 1", "");
    expect(m, "cpu \"1\"", "");
    expect(m, "cpu \"1", "unterminated string\n");
    expect(m, "help cpu", "cpu INDEX -- the CPU that others ask about\n");
    expect(m, "? quit", "quit|q -- end at once\n");
    expect(m, "help nosuch", "unknown command: 'nosuch'\n");
    expect_part(m, "help", "savevm FILE -- ");
    expect_part(m, "help info", "info tlb -- ");
    expect_part(m, "info", "info registers [-a] -- ");
    expect_part(m, "log nosuch", "in_asm");
    expect(m, "info nosuch", "unknown command: 'info nosuch'\n");
    expect(m, "loadvm /nonexistent/x",
           "Error: /nonexistent/x: No such file or directory\n");
    hw_machine_free(m);
}

Test(monitor, info)
{
    Machine *m = hw_machine(MIB, 2);

    expect(m, "info status", "VM status: paused (prelaunch)\n");
    expect(m, "info version", TESSERA_VERSION "\n");
    expect_part(m, "info registers", "CPU#0\n pc       0000000080000000");
    expect_part(m, "info registers", " mode     machine\n mstatus ");
    expect_part(m, "info registers -a", "CPU#1\n");
    expect(m, "info registers -b", "info registers: unsupported option '-b'\n");
    expect_part(m, "info cpus", "* CPU #0: ");
    expect_part(m, "info cpus", "  CPU #1: ");
    expect_part(m, "info mtree", "0000000080000000-00000000800fffff (ram): ram\n");
    expect(m, "info mem", "No translation or protection\n");
    expect_part(m, "info tlb", "M: 0 of 256 entries, in use\n");
    expect_part(m, "info jit", "blocks translated        0\n");
    expect(m, "info pending", "nothing is under way\n");
    expect_part(m, "info balloon", "Error: ");
    hw_machine_free(m);
}

Test(monitor, running)
{
    Machine *m = hw_machine(MIB, 1);

    expect(m, "cont", "");
    cr_expect_eq(m->run, RUN_RUNNING);
    expect(m, "info status", "VM status: running\n");
    expect(m, "s", "");
    cr_expect_eq(m->run, RUN_PAUSED);
    expect(m, "info status", "VM status: paused\n");
    expect(m, "stop", "");
    expect(m, "system_reset", "");
    cr_expect(m->reset_wanted);
    cr_expect_str_eq(m->asked, "host-qmp-system-reset");
    m->run = RUN_SHUTDOWN;
    expect(m, "c", "Error: Resetting the Virtual Machine is required\n");
    expect(m, "q", "");
    cr_expect(m->quit);
    hw_machine_free(m);
}

/* ---- page tables ---- */

static void put_pte(Machine *m, u64 table, u32 index, u64 phys, u64 bits)
{
    u64 pte = phys >> 12 << 10 | bits;

    cr_assert(dma_write(m, table + index * 8, &pte, sizeof pte));
}

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

Test(monitor, page_tables)
{
    Machine *m = hw_machine(MIB, 1);
    Hart *h = hart_of(m->cpu[0].env);
    u64 root = HW_RAM, mid = HW_RAM + 0x1000, low = HW_RAM + 0x2000, value = 42;

    put_pte(m, root, 1, mid, V);
    put_pte(m, root, 511, 0x40000000, V | R | X);
    put_pte(m, mid, 0, low, V);
    put_pte(m, mid, 1, 0x80200000, V | R | W | A | D);
    for (u32 i = 4; i < 6; i++)
        put_pte(m, low, i, HW_RAM + i * 0x1000, V | R | W | U);
    put_pte(m, low, 9, HW_RAM + 0x9000, V | R);
    dma_write(m, HW_RAM + 0x5ff8, &value, sizeof value);
    h->satp = 8ull << 60 | root >> 12;
    h->priv = PRIV_S;
    expect(m, "info mem",
           "vaddr            paddr            size             attr\n"
           "---------------- ---------------- ---------------- -------\n"
           "0000000040004000 0000000080004000 0000000000002000 rw-u---\n"
           "0000000040009000 0000000080009000 0000000000001000 r------\n"
           "0000000040200000 0000000080200000 0000000000200000 rw---ad\n"
           "ffffffffc0000000 0000000040000000 0000000040000000 r-x----\n");
    expect(m, "x/gd 0x40005ff8", "0000000040005ff8:                   42\n");
    expect(m, "x/2gx 0x40005ff8",
           "0000000040005ff8: 0x000000000000002a\n"
           "0000000040006000: Cannot access memory\n");
    expect(m, "x/gx 0x8000000040005ff8", "8000000040005ff8: Cannot access memory\n");
    hw_machine_free(m);
}

Test(monitor, looping_tables)
{
    Machine *m = hw_machine(MIB, 1);
    Hart *h = hart_of(m->cpu[0].env);
    char *out;

    for (u32 i = 0; i < 512; i++)
        put_pte(m, HW_RAM, i, HW_RAM, V);
    h->priv = PRIV_S;
    for (u64 mode = 8; mode <= 10; mode++) {
        h->satp = mode << 60 | HW_RAM >> 12;
        expect(m, "x/x 0", "0000000000000000: Cannot access memory\n");
        out = monitor_command(m, "info mem");
        cr_expect_lt(strlen(out), 1000);
        g_free(out);
    }
    put_pte(m, HW_RAM, 0, HW_RAM, V | R);
    put_pte(m, HW_RAM, 2, HW_RAM, V | R | U);
    out = monitor_command(m, "info mem");
    cr_expect(g_str_has_suffix(out, "and more\n"));
    cr_expect_lt(strlen(out), 1 << 20);
    g_free(out);
    hw_machine_free(m);
}

/* ---- lines that make no sense ---- */

static void random_line(GRand *r, char *line, u32 size)
{
    static const char *const parts[] = {
        "x",        "xp/",        "p",   "info ",     "/99999999999999i",
        " ",        "0x80000000", "$pc", "cpu ",      "help",
        "\"",       "\\",         "(",   ")",         "-",
        "~",        "/",          "%",   "registers", "-a",
        "mem",      "tlb",        "'",   "c",         "10",
        "log none", "qtree"};
    u32 n = (u32)g_rand_int_range(r, 0, 8);

    *line = 0;
    for (u32 i = 0; i < n; i++) {
        char byte[2] = {(char)g_rand_int_range(r, 1, 256)};

        g_strlcat(line,
                  g_rand_int_range(r, 0, 6)
                      ? parts[g_rand_int_range(r, 0, ARRAY_SIZE(parts))]
                      : byte,
                  size);
    }
}

Test(monitor, random_lines)
{
    GRand *r = g_rand_new_with_seed(5);
    Machine *m = hw_machine(MIB, 1);
    u32 known = 0;

    for (u32 i = 0; i < 3000; i++) {
        char line[300], *out;

        random_line(r, line, sizeof line);
        out = monitor_command(m, line);
        known += *out && !strstr(out, "unknown command");
        g_free(out);
    }
    cr_expect_gt(known, 100);
    hw_machine_free(m);
    g_rand_free(r);
}
