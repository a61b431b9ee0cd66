/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_gdb
 *
 * A machine's debugger's stub, by its socket: threads, registers, memory at any
 * address, coming and going; and packets that are nearly right.  No CPU runs. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../tcache/gdb/packet.h"
#include "gdb_damage.h"
#include "hw_hart.h"

enum { RAM_SIZE = 1 << 20, N_CPUS = 2, RANDOM_PACKETS = 60000 };

typedef struct Client {
    Machine *m;
    int fd;
    GdbReader reader;
} Client;

static char *dir, *path;

static void connect_to(Client *c)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(at.sun_path, path, sizeof at.sun_path);
    cr_assert_eq(connect(c->fd, (struct sockaddr *)&at, sizeof at), 0);
    hw_pump(c->m);
}

static void begin(Client *c)
{
    char *error = NULL, *spec;

    dir = g_dir_make_tmp("tessera-gdb-XXXXXX", NULL);
    path = g_build_filename(dir, "gdb", NULL);
    spec = g_strconcat("unix:", path, NULL);
    c->m = hw_machine(RAM_SIZE, N_CPUS);
    cr_assert(gdb_new(c->m, spec, &error), "%s", error);
    gdb_reader_init(&c->reader);
    connect_to(c);
    g_free(spec);
}

static void end(Client *c)
{
    close(c->fd);
    hw_pump(c->m);
    hw_machine_free(c->m);
    gdb_reader_free(&c->reader);
    unlink(path);
    rmdir(dir);
}

static void say(Client *c, const char *bytes, size_t n)
{
    cr_assert_eq(send(c->fd, bytes, n, MSG_NOSIGNAL), n);
    hw_pump(c->m);
}

/* The last packet that has come; NULL: none. */
static const char *hear(Client *c)
{
    bool any = false;
    u8 bytes[4096];
    ssize_t n;

    while ((n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            any |= gdb_reader_put(&c->reader, bytes[i]) == GDB_PACKET;
        hw_pump(c->m);
    }
    return any ? c->reader.packet->str : NULL;
}

static const char *ask_bytes(Client *c, const char *packet, size_t n)
{
    GString body = {(char *)packet, n, n + 1}, *frame = g_string_new(NULL);

    gdb_frame(frame, &body);
    say(c, frame->str, frame->len);
    g_string_free(frame, TRUE);
    return hear(c);
}

static const char *ask(Client *c, const char *packet)
{
    const char *text = ask_bytes(c, packet, strlen(packet));

    return text ? text : "(later)";
}

Test(hw_gdb, threads)
{
    const char *text;
    Client c;

    begin(&c);
    cr_assert_str_eq(ask(&c, "qfThreadInfo"), "m1,2");
    cr_assert(strstr(ask(&c, "qSupported:multiprocess+"), ";multiprocess+"));
    cr_assert_str_eq(ask(&c, "qfThreadInfo"), "mp1.1,p1.2");
    cr_assert_str_eq(ask(&c, "Hgp1.2"), "OK");
    cr_assert_str_eq(ask(&c, "qC"), "QCp1.2");
    cr_assert_str_eq(ask(&c, "Hgp1.3"), "E03");
    cr_assert_str_eq(ask(&c, "Tp1.3"), "E03");
    cr_assert(g_str_has_prefix(ask(&c, "?"), "T05thread:p1.2;20:0000008000000000;"));
    text = ask(&c, "qXfer:threads:read::0,1000");
    cr_assert(strstr(text, "id=\"p1.2\" name=\"CPU}\3"), "%s", text); /* '#', escaped */
    end(&c);
}

Test(hw_gdb, registers)
{
    Client c;
    Hart *h;

    begin(&c);
    h = hart_of(c.m->cpu[0].env);
    cr_assert(strstr(ask(&c, "qXfer:features:read:target.xml:0,4000"), "\"mstatus\""));
    cr_assert_eq(strlen(ask(&c, "g")), 65 * 16 + 3 * 8);
    cr_assert_str_eq(ask(&c, "P20=efbeadde00000000"), "OK");
    cr_assert_eq(c.m->cpu[0].env->pc, 0xdeadbeee);
    h->sscratch = 0x1234; /* the sixth of those after instret */
    cr_assert_str_eq(ask(&c, "p4c"), "3412000000000000");
    cr_assert_str_eq(ask(&c, "P4c=0100000000000000"), "OK");
    cr_assert_eq(h->sscratch, 1);
    cr_assert_str_eq(ask(&c, "pff"), "E22");
    cr_assert_str_eq(ask(&c, "pffffffffffffffff"), "E22");
    end(&c);
}

Test(hw_gdb, memory)
{
    Client c;

    begin(&c);
    cr_assert_str_eq(ask(&c, "M80000ffe,4:01020304"), "OK");
    cr_assert_str_eq(ask(&c, "m80000ffe,4"), "01020304");
    cr_assert_str_eq(ask(&c, "m800ffffe,10"), "0000"); /* as far as it goes */
    cr_assert_str_eq(ask(&c, "m0,1"), "E14");
    cr_assert_str_eq(ask(&c, "mffffffffffffffff,ffff"), "E14");
    cr_assert_str_eq(ask(&c, "mffffffffffff0000,10000"), "E14");
    cr_assert_str_eq(ask(&c, "M7fffffff,2:0000"), "E14");
    cr_assert_str_eq(ask(&c, "Qqemu.PhyMemMode:1"), "OK");
    cr_assert_str_eq(ask(&c, "qqemu.PhyMemMode"), "1");
    cr_assert_str_eq(ask(&c, "Qqemu.PhyMemMode:2"), "E22");
    cr_assert_str_eq(ask(&c, "mffffffffffff0000,10000"), "E14");
    cr_assert_str_eq(ask(&c, "m80000fff,2"), "0203");
    cr_assert_str_eq(ask(&c, "Z0,ffffffff80000000,4"), "OK"); /* may be mapped later */
    cr_assert(space_stops(&c.m->space, 0xffffffff80000000));
    close(c.fd);
    hw_pump(c.m);
    cr_assert_not(space_stops(&c.m->space, 0xffffffff80000000));
    connect_to(&c);
    cr_assert_str_eq(ask(&c, "qqemu.PhyMemMode"), "0");
    end(&c);
}

/* What the machine does when the client comes, goes on, stops and leaves. */
Test(hw_gdb, running)
{
    Client c;

    begin(&c);
    cr_assert_eq(c.m->run, RUN_PRELAUNCH);
    cr_assert_str_eq(ask(&c, "vCont;c"), "(later)");
    cr_assert_eq(c.m->run, RUN_RUNNING);
    cr_assert_str_eq(ask(&c, "m80000000,1"), "E16"); /* not while it runs */
    say(&c, "\3", 1);
    cr_assert(g_str_has_prefix(hear(&c), "T02"));
    cr_assert_eq(c.m->run, RUN_PAUSED);
    cr_assert_str_eq(ask(&c, "vCont;s:1"), "(later)");
    cr_assert(c.m->cpu[0].slow && c.m->cpu[1].frozen);
    machine_stop(c.m, RUN_PAUSED); /* by a monitor */
    hw_pump(c.m);
    cr_assert(g_str_has_prefix(hear(&c), "T02"));
    cr_assert_not(c.m->cpu[0].slow || c.m->cpu[1].frozen);
    close(c.fd); /* was not running when it came */
    hw_pump(c.m);
    cr_assert_eq(c.m->run, RUN_PAUSED);
    machine_cont(c.m);
    connect_to(&c);
    cr_assert_eq(c.m->run, RUN_PAUSED);
    cr_assert_str_eq(ask(&c, "D"), "OK");
    cr_assert_eq(c.m->run, RUN_RUNNING);
    machine_shutdown(c.m, 3);
    cr_assert(c.m->quit);
    end(&c);
}

static const char *const packets[] = {
    "?",
    "g",
    "G00112233445566778899aabbccddeeff",
    "p4c",
    "P20=0000010000000000",
    "P58=ffffffffffffffff",
    "m80000000,100",
    "M80000100,4:01020304",
    "X80000200,3:abc",
    "Hgp1.1",
    "Hg2",
    "Tp1.1",
    "Z0,80000000,2",
    "z0,80000000,2",
    "Z1,10002,2",
    "Z2,80000000,8",
    "z2,80000000,8",
    "Z4,ffffffffffffffff,10",
    "vCont?",
    "vCont;c",
    "vCont;s:p1.1;c",
    "vCont;r10000,10010:p1.2",
    "s",
    "C0b",
    "qSupported:multiprocess+;fork-events+",
    "qfThreadInfo",
    "qThreadExtraInfo,p1.1",
    "qXfer:features:read:target.xml:0,ff",
    "qXfer:threads:read::0,1000",
    "qRcmd,696e666f20737461747573",
    "Qqemu.PhyMemMode:1",
    "Qqemu.PhyMemMode:0",
    "vFile:open:2f6465762f6e756c6c,0,0",
};

Test(hw_gdb, random_packets, .timeout = 900)
{
    GString *packet = g_string_new(NULL);
    u32 later = 0, ok = 0, errors = 0;
    Client c;

    begin(&c);
    for (u32 i = 0; i < RANDOM_PACKETS; i++) {
        const char *text;

        g_string_assign(packet, packets[random_below(ARRAY_SIZE(packets))]);
        damage(packet);
        if (strchr("kDv", packet->str[0]) && !g_str_has_prefix(packet->str, "vCont"))
            continue;
        text = ask_bytes(&c, packet->str, packet->len);
        if (c.m->run == RUN_RUNNING) {
            later++;
            say(&c, "\3", 1);
            text = hear(&c);
            cr_assert(text, "no stop after \"%s\"", packet->str);
            continue;
        }
        ok += text && !strcmp(text, "OK");
        errors += text && text[0] == 'E';
    }
    cr_assert(later > 1000 && ok > 2000 && errors > 5000, "%u %u %u", later, ok,
              errors);
    g_string_free(packet, TRUE);
    end(&c);
}
