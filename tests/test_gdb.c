/* SPDX-License-Identifier: MIT */
/*
 * Run: build/tests/test_gdb
 *
 * The debugger's stub without a debugger: bytes that are no packets, packets that make
 * no sense, and a million that are nearly right.
 */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include "../linux-user/gdb.h"
#include "gdb_damage.h"

/* ---- bytes ---- */

static GdbEvent feed(GdbReader *r, const char *bytes, size_t n)
{
    GdbEvent last = GDB_MORE;

    for (size_t i = 0; i < n; i++) {
        GdbEvent e = gdb_reader_put(r, (u8)bytes[i]);

        last = e != GDB_MORE ? e : last;
    }
    return last;
}

#define FEED(r, text) feed(r, text, sizeof(text) - 1)

Test(gdb, reader)
{
    GdbReader r;

    gdb_reader_init(&r);
    cr_assert_eq(FEED(&r, "+$OK#9a"), GDB_PACKET);
    cr_assert_str_eq(r.packet->str, "OK");
    cr_assert_eq(FEED(&r, "$OK#9b"), GDB_BAD);
    cr_assert_eq(FEED(&r, "$OK#x"), GDB_BAD);
    cr_assert_eq(FEED(&r, "$OK#9 "), GDB_BAD);
    cr_assert_eq(FEED(&r, "\3"), GDB_INTERRUPT);
    cr_assert_eq(FEED(&r, "-"), GDB_AGAIN);
    cr_assert_eq(FEED(&r, "+#}*"), GDB_MORE);
    cr_assert_eq(FEED(&r, "$cut o$OK#9a"), GDB_PACKET);
    cr_assert_str_eq(r.packet->str, "OK");
    cr_assert_eq(FEED(&r, "$a\0b#c3"), GDB_PACKET);
    cr_assert_eq(r.packet->len, 3);
    gdb_reader_free(&r);
}

Test(gdb, overlong)
{
    GdbReader r;
    u32 bad = 0;

    gdb_reader_init(&r);
    FEED(&r, "$");
    for (u32 i = 0; i < 2 * GDB_PACKET_MAX; i++)
        bad += gdb_reader_put(&r, 'a') == GDB_BAD;
    cr_assert_eq(bad, 1);
    cr_assert_leq(r.packet->len, GDB_PACKET_MAX);
    cr_assert_eq(FEED(&r, "$OK#9a"), GDB_PACKET);
    gdb_reader_free(&r);
}

static GdbText text(const char *s) { return (GdbText){s, s + strlen(s)}; }

Test(gdb, numbers)
{
    GdbText t;
    u64 a, b;
    i64 id;

    t = text("1f,20:");
    cr_assert(gdb_text_pair(&t, &a, &b) && a == 0x1f && b == 0x20 && *t.at == ':');
    t = text("ffffffffffffffff");
    cr_assert(gdb_text_number(&t, &a) && a == ~0ull && gdb_text_end(&t));
    static const char *const bad[] = {"", "-1", "g", "11112222333344445", ",1", " 1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        t = text(bad[i]);
        cr_assert_not(gdb_text_number(&t, &a), "%s", bad[i]);
        cr_assert_eq(t.at, bad[i] + 0);
    }
    t = text("1,");
    cr_assert_not(gdb_text_pair(&t, &a, &b));
    t = text("-1");
    cr_assert(gdb_text_id(&t, &id) && id == -1);
    t = text("80000000");
    cr_assert_not(gdb_text_id(&t, &id));
}

Test(gdb, bytes)
{
    GByteArray *bytes = g_byte_array_new();
    GString *out = g_string_new(NULL);
    GdbText t = text("00ff7D");
    u8 all[256];

    cr_assert(gdb_text_hex(&t, bytes) && bytes->len == 3 && bytes->data[1] == 0xff);
    t = text("0");
    cr_assert_not(gdb_text_hex(&t, bytes));
    t = text("0x");
    cr_assert_not(gdb_text_hex(&t, bytes));
    t = text("a}");
    cr_assert_not(gdb_text_binary(&t, bytes));
    for (u32 i = 0; i < 256; i++)
        all[i] = (u8)i;
    gdb_put_binary(out, all, sizeof all);
    cr_assert_eq(out->len, 256 + 4);
    t = (GdbText){out->str, out->str + out->len};
    cr_assert(gdb_text_binary(&t, bytes));
    cr_assert_eq(bytes->len, 256);
    cr_assert_arr_eq(bytes->data, all, 256);
    g_string_free(out, TRUE);
    g_byte_array_free(bytes, TRUE);
}

Test(gdb, signals)
{
    for (int sig = 1; sig <= SIGNALS; sig++)
        if (sig != 16) /* gdb has no name for it */
            cr_assert_eq(gdb_signal_in(gdb_signal_out(sig)), sig, "%d", sig);
    cr_assert_eq(gdb_signal_out(SIGUSR1), 30);
    cr_assert_eq(gdb_signal_out(SIGCHLD), 20);
    cr_assert_eq(gdb_signal_out(34), 46);
    cr_assert_eq(gdb_signal_in(0), 0);
    cr_assert_eq(gdb_signal_in(255), 0);
}

/* ---- packets ---- */

enum { CODE = 0x10000, DATA = 0x20000 };

/* A stub with one thread that stands still, and two pages of memory. */
static Gdb *make_stub(void)
{
    static Memory memory;
    static Process process;
    CacheOptions options = {.interp = true};
    Options none = {.program = "none"};
    Gdb *g;
    Task *t;

    process.options = none;
    process.abi = &abi_riscv64;
    process.guest = guest_find("riscv64");
    process.program = "none";
    process.mem = &memory;
    cr_assert(mem_init(&memory, &none));
    process.cache = cache_new(&options, process.guest, &memory.space);
    t = task_new(&process, env_new(process.cache));
    t->tid = 0x7ffffffe; /* nobody's: signals go nowhere */
    mem_mmap(t, CODE, PAGE_SIZE, PROT_READ | PROT_EXEC,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mem_mmap(t, DATA, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0);
    g = gdb_new(&process);
    g->stub.chosen = &gdb_task_new(g, t)->thread;
    g->stub.attached = true;
    g->stub.stopped = 1;
    return g;
}

static const char *answer(Gdb *g, const char *packet)
{
    static GString *out;

    if (!out)
        out = g_string_new(NULL);
    g->stub.stopped = 1;
    if (!gdb_packet(&g->stub, packet, strlen(packet), out))
        return "(later)";
    return out->str;
}

Test(gdb, memory)
{
    Gdb *g = make_stub();

    cr_assert_str_eq(answer(g, "M10000,4:13050000"), "OK"); /* read-only */
    cr_assert_str_eq(answer(g, "m10000,4"), "13050000");
    cr_assert_str_eq(answer(g, "X20ffe,2:ab"), "OK");     /* no access at all */
    cr_assert_str_eq(answer(g, "m20ffc,10"), "00006162"); /* as far as it goes */
    cr_assert_str_eq(answer(g, "m21000,1"), "E14");
    cr_assert_str_eq(answer(g, "M20fff,2:0000"), "E14");
    cr_assert_str_eq(answer(g, "m0,1"), "E14");
    cr_assert_str_eq(answer(g, "mffffffffffffffff,ffff"), "E14");
    cr_assert_str_eq(answer(g, "mffffffffffff0000,10000"), "E14");
    cr_assert_str_eq(answer(g, "m10000,0"), "");
}

Test(gdb, registers)
{
    Gdb *g = make_stub();
    Env *env = g->stub.chosen->env;

    cr_assert_str_eq(answer(g, "P20=efbeadde00000000"), "OK");
    cr_assert_eq(env->pc, 0xdeadbeee); /* no odd pc */
    cr_assert_str_eq(answer(g, "P0=0100000000000000"), "OK");
    cr_assert_str_eq(answer(g, "p0"), "0000000000000000");
    cr_assert_str_eq(answer(g, "P2b=0000c03fffffffff"), "OK");
    cr_assert_eq(env->g[32 + 10], 0xffffffff3fc00000); /* boxed, as it is */
    cr_assert_str_eq(answer(g, "P43=e1000000"), "OK");
    cr_assert_str_eq(answer(g, "p41"), "01000000");
    cr_assert_str_eq(answer(g, "p42"), "07000000");
    cr_assert_str_eq(answer(g, "P44=0000000000000000"), "E22"); /* cycle */
    cr_assert_str_eq(answer(g, "p47"), "E22");
    cr_assert_eq(strlen(answer(g, "g")), 65 * 16 + 3 * 8);
}

Test(gdb, points)
{
    Gdb *g = make_stub();
    const Space *s = &g->process->mem->space;

    cr_assert_str_eq(answer(g, "Z0,10010,2"), "OK");
    cr_assert_str_eq(answer(g, "Z1,10010,2"), "OK");
    cr_assert_str_eq(answer(g, "Z0,10000,2"), "OK");
    cr_assert_str_eq(answer(g, "z0,10010,2"), "OK");
    cr_assert(space_stops(s, 0x10010) && space_stops(s, 0x10000));
    cr_assert_str_eq(answer(g, "z1,10010,2"), "OK");
    cr_assert_not(space_stops(s, 0x10010));
    cr_assert_str_eq(answer(g, "z1,10010,2"), "E02");
    gdb_remove_all(&g->stub);
    cr_assert_not(space_stops(s, 0x10000));
}

static const char *const packets[] = {
    "?",
    "g",
    "G00112233445566778899aabbccddeeff",
    "p20",
    "P20=0000010000000000",
    "m10000,100",
    "M20000,4:01020304",
    "X20000,3:abc",
    "Hgp1.1",
    "Hc-1",
    "Tp1.1",
    "Z0,10000,2",
    "z0,10000,2",
    "Z1,10002,2",
    "z1,10002,2",
    "Z2,20000,8",
    "z2,20000,8",
    "Z3,20008,1",
    "Z4,20010,10",
    "vCont?",
    "vCont;c",
    "vCont;s:p1.1;c",
    "vCont;C0a:p1.1",
    "vCont;r10000,10010:p1.1",
    "c",
    "s",
    "C0b",
    "S0b;10000",
    "qSupported:multiprocess+;fork-events+",
    "qfThreadInfo",
    "qsThreadInfo",
    "qC",
    "qThreadExtraInfo,p1.1",
    "qAttached:1",
    "QPassSignals:e;10;14",
    "QCatchSyscalls:1;40;5d",
    "QCatchSyscalls:0",
    "qXfer:features:read:target.xml:0,ff",
    "qXfer:threads:read::0,1000",
    "qXfer:siginfo:read::0,80",
    "qXfer:exec-file:read:1:0,100",
    "qRcmd,68656c70",
    "vFile:setfs:0",
    "vFile:open:2f6465762f6e756c6c,0,0",
    "vFile:pread:200,10,0",
    "vFile:close:200",
    "vFile:fstat:200",
    "vFile:readlink:2f70726f632f73656c662f657865",
};

Test(gdb, random_packets, .timeout = 900)
{
    Gdb *g = make_stub();
    GString *packet = g_string_new(NULL), *out = g_string_new(NULL);
    u32 later = 0, ok = 0, errors = 0;

    for (u32 i = 0; i < 1000000; i++) {
        g_string_assign(packet, packets[random_below(ARRAY_SIZE(packets))]);
        damage(packet);
        if (packet->str[0] == 'k' || !strncmp(packet->str, "vKill;", 6))
            continue;
        g->stub.stopped = 1;
        g->stub.detached = false;
        later += !gdb_packet(&g->stub, packet->str, packet->len, out);
        ok += !strcmp(out->str, "OK");
        errors += out->str[0] == 'E';
        cr_assert_leq(out->len, 2 * GDB_PACKET_MAX);
        cr_assert_leq(g->files->len, GDB_FILES);
    }
    cr_assert(later > 10000 && ok > 50000 && errors > 100000, "%u %u %u", later, ok,
              errors);
    g_string_free(packet, TRUE);
    g_string_free(out, TRUE);
}
