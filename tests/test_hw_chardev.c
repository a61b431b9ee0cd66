/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_chardev
 *
 * Character devices with real sockets, pseudo-terminals, pipes and files at their other
 * ends, and peers that do not behave. */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "hw_board.h"

/* ---- a client ---- */

typedef struct Client {
    CharClient c;
    Machine *m;
    Chardev *chardev;
    GByteArray *got;
    size_t room; /* takes so many more */
    GString *events;
    u32 writable;
    size_t want; /* see has_got */
} Client;

static size_t room(void *ctx) { return ((Client *)ctx)->room; }

static void receive(void *ctx, const u8 *bytes, size_t n)
{
    Client *c = ctx;

    cr_assert_leq(n, c->room);
    c->room -= n;
    g_byte_array_append(c->got, bytes, n);
}

static void event(void *ctx, int event)
{
    static const char name[] = "?BOCF";
    Client *c = ctx;

    g_string_append_c(c->events, name[-event]);
}

static void writable(void *ctx) { ((Client *)ctx)->writable++; }

static Client *client_new(Machine *m, Chardev *chardev)
{
    Client *c = g_new0(Client, 1);

    *c = (Client){.c = {c, room, receive, event, writable},
                  .m = m,
                  .chardev = chardev,
                  .got = g_byte_array_new(),
                  .room = 1 << 20,
                  .events = g_string_new("")};
    machine_lock(m);
    cr_assert(chardev_attach(chardev, &c->c));
    machine_unlock(m);
    board_settle(m);
    return c;
}

static Chardev *chardev_of(Machine *m, const char *spec)
{
    char *error = NULL;
    Chardev *c;

    machine_lock(m);
    c = chardev_new(m, "serial0", spec, &error);
    machine_unlock(m);
    cr_assert(c, "%s", error);
    return c;
}

static size_t say(Client *c, const char *text)
{
    size_t n;

    machine_lock(c->m);
    n = chardev_write(c->chardev, &c->c, (const u8 *)text, strlen(text));
    machine_unlock(c->m);
    return n;
}

static void accept_more(Client *c, size_t n)
{
    machine_lock(c->m);
    c->room += n;
    chardev_accept(c->chardev, &c->c);
    machine_unlock(c->m);
}

static bool has_got(void *ctx)
{
    const Client *c = ctx;

    return c->got->len >= c->want;
}

static bool wait_got(Client *c, size_t n)
{
    c->want = n;
    return board_wait(c->m, has_got, c);
}

static bool is_open(void *ctx) { return strchr(((Client *)ctx)->events->str, 'O'); }
static bool is_closed(void *ctx) { return strchr(((Client *)ctx)->events->str, 'C'); }
static bool was_writable(void *ctx) { return ((Client *)ctx)->writable; }

#define expect_got(c, text)                                     \
    cr_expect((c)->got->len == strlen(text) &&                  \
                  !memcmp((c)->got->data, text, (c)->got->len), \
              "got %.*s, not %s", (int)(c)->got->len, (char *)(c)->got->data, text)

/* What has been said arrives at fd. */
static void expect_read(Machine *m, int fd, const char *text)
{
    char bytes[256] = "";
    size_t n = 0;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    for (u32 i = 0; i < 2000 && n < strlen(text); i++) {
        ssize_t got = read(fd, bytes + n, sizeof bytes - 1 - n);

        n += got > 0 ? got : 0;
        board_settle(m);
    }
    cr_expect_str_eq(bytes, text);
}

/* ---- peers ---- */

static char *temp_name(void)
{
    static u32 count;

    return g_strdup_printf("/tmp/test_chardev.%d.%u", getpid(), count++);
}

static int unix_socket(struct sockaddr_un *un, const char *path)
{
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(un->sun_path, path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int unix_dial(const char *path)
{
    struct sockaddr_un un;
    int fd = unix_socket(&un, path);

    cr_assert_eq(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
    return fd;
}

static void type(Machine *m, int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    board_settle(m);
}

/* A server on a Unix socket, its client, and where it is. */
static Client *server_new(char **path)
{
    Machine *m = board_new();
    char *spec;
    Client *c;

    *path = temp_name();
    spec = g_strdup_printf("unix:%s,server=on,wait=off", *path);
    c = client_new(m, chardev_of(m, spec));
    g_free(spec);
    return c;
}

/* ---- sockets ---- */

Test(chardev, server)
{
    char *path;
    Client *c = server_new(&path);
    ChardevInfo info;
    int peer, second;

    cr_expect_eq(say(c, "nobody hears this"), 17);
    cr_assert(chardev_nth(c->m, 0, &info));
    cr_expect_str_eq(info.label, "serial0");
    cr_expect(g_str_has_prefix(info.filename, "disconnected:unix:"));
    peer = unix_dial(path);
    cr_expect(board_wait(c->m, is_open, c));
    type(c->m, peer, "hello");
    cr_expect(wait_got(c, 5));
    expect_got(c, "hello");
    say(c, "and hello ");
    say(c, "to you");
    expect_read(c->m, peer, "and hello to you");
    second = unix_dial(path); /* waits for its turn */
    type(c->m, second, "second");
    cr_expect_eq(c->got->len, 5);
    close(peer);
    cr_expect(board_wait(c->m, is_closed, c));
    cr_expect(wait_got(c, 11));
    expect_got(c, "hellosecond");
    cr_expect_str_eq(c->events->str, "OCO");
    say(c, "bye");
    expect_read(c->m, second, "bye");
    machine_free(c->m);
    cr_expect_lt(access(path, F_OK), 0, "its name is removed");
}

/* Only what there is room for is read; the rest comes when there is more. */
Test(chardev, room)
{
    char *path;
    Client *c = server_new(&path);
    int peer = unix_dial(path);

    c->room = 3;
    type(c->m, peer, "abcdefgh");
    cr_expect(wait_got(c, 3));
    board_settle(c->m);
    cr_expect_eq(c->got->len, 3);
    accept_more(c, 2);
    cr_expect(wait_got(c, 5));
    accept_more(c, 100);
    cr_expect(wait_got(c, 8));
    expect_got(c, "abcdefgh");
    machine_free(c->m);
}

/* Fills the way to the peer; the first byte that was not taken. */
static size_t fill(Client *c)
{
    char block[1024];
    size_t sent = 0, n;

    do {
        for (u32 i = 0; i < sizeof block - 1; i++)
            block[i] = 'a' + (sent + i) % 26;
        block[sizeof block - 1] = 0;
        n = say(c, block);
        sent += n;
        if (n < sizeof block - 1)
            return sent;
        board_settle(c->m);
    } while (sent < 64 << 20);
    cr_assert(false, "the peer reads nothing, and all is taken");
    return 0;
}

/* A peer that does not read stops the client; one that reads again sets it going. */
Test(chardev, slow_peer)
{
    char *path, bytes[65536];
    Client *c = server_new(&path);
    int peer = unix_dial(path);
    size_t sent, got = 0;

    cr_expect(board_wait(c->m, is_open, c));
    sent = fill(c);
    cr_expect_eq(c->writable, 0);
    fcntl(peer, F_SETFL, O_NONBLOCK);
    for (u32 idle = 0; got < sent && idle < 1000; idle++) {
        ssize_t n = read(peer, bytes, sizeof bytes);

        for (ssize_t i = 0; i < n; i++, got++)
            cr_assert_eq(bytes[i], (char)('a' + got % 26), "byte %zu", got);
        if (n > 0)
            idle = 0;
        board_settle(c->m);
    }
    cr_expect_eq(got, sent);
    cr_expect(was_writable(c));
    machine_free(c->m);
}

Test(chardev, peer_closes_amid_write)
{
    char *path;
    Client *c = server_new(&path);
    int peer = unix_dial(path);

    cr_expect(board_wait(c->m, is_open, c));
    fill(c);
    close(peer);
    cr_expect(board_wait(c->m, is_closed, c));
    cr_expect(board_wait(c->m, was_writable, c), "it may go on");
    cr_expect_eq(say(c, "into the void"), 13);
    machine_free(c->m);
}

/* Peers come and go as fast as they can, some with data, some reset. */
Test(chardev, peers_come_and_go)
{
    char *path;
    Client *c = server_new(&path);

    for (u32 i = 0; i < 300; i++) {
        int peer = unix_dial(path);

        if (i % 3)
            cr_assert_eq(write(peer, "x", 1), 1);
        if (i % 5 == 0)
            say(c, "unread"); /* closing then resets */
        if (i % 7 == 0)
            board_settle(c->m);
        close(peer);
        while (g_main_context_iteration(c->m->io, FALSE))
            ;
    }
    board_settle(c->m);
    c->got->len = 0;
    type(c->m, unix_dial(path), "last");
    cr_expect(wait_got(c, 4));
    machine_free(c->m);
}

/* A flood is read as it is taken, no more of it is kept. */
Test(chardev, flood)
{
    char *path, block[65536];
    Client *c = server_new(&path);
    int peer = unix_dial(path);
    size_t sent = 0;

    memset(block, 'f', sizeof block);
    fcntl(peer, F_SETFL, O_NONBLOCK);
    c->room = 16;
    for (u32 i = 0; i < 2000; i++) {
        ssize_t n = write(peer, block, sizeof block);

        sent += n > 0 ? n : 0;
        while (g_main_context_iteration(c->m->io, FALSE))
            ;
        if (!c->room)
            accept_more(c, 16);
    }
    cr_expect_gt(c->got->len, 16 * 100);
    cr_expect_lt(c->got->len, 16 * 2002);
    cr_expect_gt(sent, c->got->len);
    machine_free(c->m);
}

static int tcp_bind_or_dial(int (*how)(int, const struct sockaddr *, socklen_t), int fd,
                            u16 port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return how(fd, (struct sockaddr *)&in, sizeof in);
}

static int tcp_listener(u16 *port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in;
    socklen_t size = sizeof in;

    cr_assert_eq(tcp_bind_or_dial(bind, fd, 0), 0);
    cr_assert_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&in, &size);
    *port = ntohs(in.sin_port);
    return fd;
}

Test(chardev, tcp)
{
    Machine *m = board_new();
    u16 port;
    int listener = tcp_listener(&port), peer;
    char *spec = g_strdup_printf("tcp:127.0.0.1:%u,nodelay=on", port);
    Client *c = client_new(m, chardev_of(m, spec)); /* a client of ours */

    peer = accept(listener, NULL, NULL);
    type(m, peer, "by TCP");
    cr_expect(wait_got(c, 6));
    say(c, "back");
    expect_read(m, peer, "back");
    close(peer);
    cr_expect(board_wait(m, is_closed, c));
    machine_free(m);

    m = board_new();
    close(tcp_listener(&port));
    spec = g_strdup_printf("tcp:127.0.0.1:%u,server,nowait", port);
    c = client_new(m, chardev_of(m, spec)); /* a server of ours */
    peer = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(tcp_bind_or_dial(connect, peer, port), 0);
    type(m, peer, "served");
    cr_expect(wait_got(c, 6));
    machine_free(m);
}

/* A client whose server is not there yet, and is there again. */
Test(chardev, reconnect)
{
    Machine *m = board_new();
    char *path = temp_name();
    char *spec = g_strdup_printf("unix:%s,reconnect=1", path);
    struct sockaddr_un un;
    int listener, peer;
    Client *c = client_new(m, chardev_of(m, spec));

    cr_expect_str_eq(c->events->str, "");
    for (u32 i = 0; i < 2; i++) {
        listener = unix_socket(&un, path);
        cr_assert_eq(bind(listener, (struct sockaddr *)&un, sizeof un), 0);
        cr_assert_eq(listen(listener, 1), 0);
        cr_expect(board_wait(m, is_open, c));
        peer = accept(listener, NULL, NULL);
        type(m, peer, "x");
        cr_expect(wait_got(c, i + 1));
        close(listener);
        unlink(path);
        close(peer);
        cr_expect(board_wait(m, is_closed, c));
        cr_expect_str_eq(c->events->str, "OC");
        g_string_truncate(c->events, 0);
    }
    machine_free(m);
}

/* A server that waits is there only when its peer is. */
Test(chardev, waits)
{
    Machine *m = board_new();
    char *path = temp_name(), *spec = g_strdup_printf("unix:%s,server=on", path);
    pid_t pid = fork();
    Client *c;

    if (!pid) {
        struct sockaddr_un un;
        int fd = unix_socket(&un, path);

        while (connect(fd, (struct sockaddr *)&un, sizeof un))
            usleep(1000);
        (void)!write(fd, "first", 5);
        pause();
    }
    c = client_new(m, chardev_of(m, spec));
    cr_expect_str_eq(c->events->str, "O");
    cr_expect(wait_got(c, 5));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_expect(board_wait(m, is_closed, c));
    machine_free(m);
}

/* ---- files, terminals ---- */

Test(chardev, file)
{
    char *path = temp_name(), *spec, *text;

    for (u32 i = 0; i < 2; i++) {
        Machine *m = board_new();
        char *error = NULL;
        Client *c;

        spec = g_strdup_printf("file,id=f,path=%s%s", path, i ? ",append=on" : "");
        machine_lock(m);
        cr_assert(chardev_add(m, spec, &error), "%s", error);
        machine_unlock(m);
        c = client_new(m, chardev_of(m, "chardev:f"));
        say(c, "a line\n");
        machine_free(m); /* writes what it has */
    }
    cr_assert(g_file_get_contents(path, &text, NULL, NULL));
    cr_expect_str_eq(text, "a line\na line\n");
    unlink(path);
}

/* A full disk loses output, and stops nothing. */
Test(chardev, full_disk)
{
    Machine *m = board_new();
    Client *c = client_new(m, chardev_of(m, "file:/dev/full"));
    char block[1001];

    memset(block, 'x', 1000);
    block[1000] = 0;
    for (u32 i = 0; i < 100; i++) {
        cr_assert_eq(say(c, block), 1000);
        board_settle(m);
    }
    machine_free(m);
}

/* Nobody has the other side: output goes nowhere.  Somebody: both ways, nothing made of
 * control characters; and again. */
Test(chardev, pty)
{
    Machine *m = board_new();
    Client *c = client_new(m, chardev_of(m, "pty"));
    ChardevInfo info;
    char block[1001], *path;

    memset(block, 'x', 1000);
    block[1000] = 0;
    for (u32 i = 0; i < 100; i++)
        cr_assert_eq(say(c, block), 1000, "nobody is there");
    cr_assert(chardev_nth(m, 0, &info));
    path = g_strdup(info.filename + strlen("pty:"));
    for (u32 i = 0; i < 2; i++) {
        int peer = open(path, O_RDWR | O_NOCTTY);

        cr_assert_geq(peer, 0);
        cr_expect(board_wait(m, is_open, c));
        type(m, peer, "\3\4\r\n");
        cr_expect(wait_got(c, 4));
        expect_got(c, "\3\4\r\n");
        say(c, "\r\n\3");
        expect_read(m, peer, "\r\n\3");
        close(peer);
        cr_expect(board_wait(m, is_closed, c));
        g_byte_array_set_size(c->got, 0);
        g_string_truncate(c->events, 0);
    }
    machine_free(m);
}

/* ---- the mux ---- */

static Client *monitor;

bool monitor_new(Machine *m, Chardev *c, char **error)
{
    monitor = g_new0(Client, 1);
    *monitor = (Client){.c = {monitor, room, receive, event, writable},
                        .m = m,
                        .chardev = c,
                        .got = g_byte_array_new(),
                        .room = 100,
                        .events = g_string_new("")};
    return chardev_attach(c, &monitor->c);
}

Test(chardev, mux)
{
    Machine *m = board_new();
    char *path = temp_name(), bytes[2048];
    char *spec = g_strdup_printf("mon:unix:%s,server=on,wait=off", path);
    Client *c = client_new(m, chardev_of(m, spec));
    int peer = unix_dial(path);
    ssize_t n;

    cr_expect(board_wait(m, is_open, c));
    cr_expect_str_eq(monitor->events->str, "", "the serial line has the keyboard");
    type(m, peer, "to serial");
    type(m, peer, "\1b\1\1.");
    cr_expect(wait_got(c, 11));
    expect_got(c, "to serial\1.");
    cr_expect_str_eq(c->events->str, "OB");
    type(m, peer, "\1cinfo\1c");
    expect_got(monitor, "info");
    cr_expect_str_eq(monitor->events->str, "O");
    cr_expect_str_eq(c->events->str, "OBF");
    c->room = 2; /* the guest has hung */
    type(m, peer, "abcdef");
    type(m, peer, "\1c\1c");
    cr_expect_str_eq(monitor->events->str, "OF");
    cr_expect_eq(c->got->len, 13);
    accept_more(c, 100);
    expect_got(c, "to serial\1.abcdef");
    say(c, "serial ");
    say(monitor, "monitor");
    expect_read(m, peer, "serial monitor");
    type(m, peer, "\1h");
    board_settle(m);
    n = read(peer, bytes, sizeof bytes - 1);
    cr_assert_gt(n, 0);
    bytes[n] = 0;
    cr_expect(strstr(bytes, "C-a x"), "%s", bytes);
    cr_expect_not(m->quit);
    type(m, peer, "\1?\1x");
    cr_expect(m->quit);
    machine_free(m);
}

Test(chardev, mux_stamps)
{
    Machine *m = board_new();
    char *path = temp_name(), bytes[256] = "";
    char *spec = g_strdup_printf("mon:unix:%s,server=on,wait=off", path);
    Client *c = client_new(m, chardev_of(m, spec));
    int peer = unix_dial(path);
    u32 h, min, s, ms, end = 0;

    cr_expect(board_wait(m, is_open, c));
    type(m, peer, "\1t");
    cr_expect_eq(say(c, "one\ntwo"), 7);
    board_settle(m);
    cr_assert_gt(read(peer, bytes, sizeof bytes - 1), 0);
    cr_expect_eq(sscanf(bytes, "[%u:%u:%u.%u] one\n[%*u:%*u:%*u.%*u] two%n", &h, &min,
                        &s, &ms, &end),
                 4);
    cr_expect_eq(bytes[end], 0, "%s", bytes);
    machine_free(m);
}

/* ---- standard input and output, in a process of their own ---- */

/* What the child does: greets, and runs until the mux or a signal ends it. */
static _Noreturn void stdio_child(const char *spec, const char *greeting)
{
    const struct rlimit none = {0};
    Machine *m = board_new();
    Client *c = client_new(m, chardev_of(m, spec));
    int status;

    setrlimit(RLIMIT_CORE, &none);
    say(c, greeting);
    status = machine_main(m);
    machine_free(m);
    exit(7 + status);
}

/* Its event loop goes round then. */
static void expect_greeting(int fd)
{
    char bytes[200] = "";

    for (u32 n = 0; !strstr(bytes, "ready");) {
        ssize_t got = read(fd, bytes + n, sizeof bytes - 1 - n);

        cr_assert_gt(got, 0);
        n += got;
    }
}

static void expect_raw(int fd)
{
    struct termios t;

    do {
        usleep(1000);
        tcgetattr(fd, &t);
    } while (t.c_lflag & ICANON);
}

Test(chardev, stdio_terminal, .timeout = 60)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
    struct termios before, during, after;
    pid_t pid;

    grantpt(master);
    unlockpt(master);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    tcgetattr(slave, &before);
    for (u32 i = 0; i < 3; i++) {
        pid = fork();
        if (!pid) {
            dup2(slave, 0);
            dup2(slave, 1);
            stdio_child("mon:stdio", "ready");
        }
        expect_raw(slave);
        tcgetattr(slave, &during);
        expect_greeting(master);
        cr_expect_not(during.c_lflag & ISIG);
        cr_expect_not(during.c_lflag & ECHO);
        cr_expect_eq(fcntl(slave, F_GETFL) & O_NONBLOCK, 0, "ours is left alone");
        if (i == 0) {
            tcsetattr(slave, TCSANOW, &before); /* a shell has had it, then fg */
            kill(pid, SIGCONT);
            expect_raw(slave);
        }
        if (i)
            kill(pid, i == 1 ? SIGTERM : SIGQUIT);
        else
            cr_assert_eq(write(master, "\3\1x", 3), 3);
        waitpid(pid, &status, 0);
        if (i < 2)
            cr_expect_eq(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
        else
            cr_expect(WIFSIGNALED(status));
        tcgetattr(slave, &after);
        cr_expect_eq(after.c_lflag, before.c_lflag);
        cr_expect_eq(after.c_iflag, before.c_iflag);
    }
}

/* Pipes; the end of the input is not the end. */
Test(chardev, stdio_pipes, .timeout = 60)
{
    int in[2], out[2], status;
    char bytes[64] = "";
    pid_t pid;

    cr_assert(pipe(in) == 0 && pipe(out) == 0);
    pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        stdio_child("mon:stdio", "piped\n");
    }
    close(out[1]);
    cr_assert_eq(write(in[1], "abc", 3), 3);
    cr_expect_eq(read(out[0], bytes, 6), 6);
    cr_expect_str_eq(bytes, "piped\n");
    cr_assert_eq(write(in[1], "\1x", 2), 2);
    close(in[1]);
    waitpid(pid, &status, 0);
    cr_expect_eq(WEXITSTATUS(status), 7);
}

/* ---- the command line ---- */

Test(chardev, refusals)
{
    static const char *const bad[] = {
        "",
        "nothing",
        "vc",
        "stdio,signal=perhaps",
        "file:",
        "file:/nonexistent/file",
        "unix:",
        "unix:/tmp/x,server=maybe",
        "unix:/tmp/x,server=on,wait=off,surprise=1",
        "unix:/nonexistent/socket",
        "unix:/nonexistent/socket,server=on,wait=off",
        "unix:/tmp/x,server=on,reconnect=1",
        "unix:/tmp/x,reconnect=99999",
        "unix:/tmp/"
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789,server=on,wait=off",
        "tcp:",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:notaport",
        "tcp:[::1:5,server=on,wait=off",
        "chardev:none",
        "mon:",
        "mon:nothing",
    };
    Machine *m = board_new();

    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        char *error = NULL;

        machine_lock(m);
        cr_expect_not(chardev_new(m, "serial0", bad[i], &error), "%s", bad[i]);
        machine_unlock(m);
        cr_expect(error && !strchr(error, '\n'), "%s: %s", bad[i], error);
    }
    cr_expect_eq(m->chardevs->len, 0);
    machine_free(m);
}

/* No socket can be made in a sandbox. */
Test(chardev, sandboxed)
{
    Machine *m = board_new();
    MachineOptions options = *m->options;
    char *error = NULL;

    options.sandbox = true;
    m->options = &options;
    machine_lock(m);
    cr_expect_not(chardev_new(m, "serial0", "unix:/tmp/nobody,reconnect=1", &error));
    machine_unlock(m);
    cr_expect(error && strstr(error, "reconnect"));
    machine_free(m);
}

Test(chardev, one_client)
{
    Machine *m = board_new();
    char *error = NULL;
    Client *c = client_new(m, chardev_of(m, "null"));
    Chardev *shared;

    machine_lock(m);
    cr_expect_not(chardev_attach(c->chardev, &(CharClient){.ctx = m}));
    cr_expect(chardev_add(m, "null,id=n,mux=on", &error));
    cr_expect_not(chardev_add(m, "null,id=n", &error), "its id is taken");
    cr_expect_not(chardev_add(m, "null", &error), "it has none");
    shared = chardev_find(m, "n");
    cr_expect(chardev_attach(shared, &c->c));
    cr_expect(chardev_attach(shared, &c->c));
    machine_unlock(m);
    machine_free(m);
}
