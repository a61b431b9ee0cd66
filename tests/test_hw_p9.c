/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_p9
 *
 * The 9P server over a folder of /tmp: what a client does, and what none may: nothing
 * leads out of the folder, nothing that is sent breaks it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../hw/p9.h"
#include "hw_board.h"

enum { TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TMKNOD = 18, TRENAME = 20 };
enum { TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TREADDIR = 40, TFSYNC = 50 };
enum { TLINK = 70, TMKDIR = 72, TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100 };
enum { TATTACH = 104, TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120 };
enum { TREMOVE = 122, TSTATFS = 8, RLERROR = 7, ROOT = 1, DIRECTORY = 0200000 };

static char *base; /* the folder's, with "secret" beside "root" in it */
static Machine *machine;
static P9 *server;
static u8 answer[P9_MOST];
static u32 answer_size;

/* ---- the host's side ---- */

static char *path_of(const char *name) { return g_strdup_printf("%s/%s", base, name); }

static void file_write(const char *name, const char *text)
{
    char *path = path_of(name);

    cr_assert(g_file_set_contents(path, text, -1, NULL));
    g_free(path);
}

static bool file_is(const char *name, const char *text)
{
    char *path = path_of(name), *is = NULL;
    bool same = g_file_get_contents(path, &is, NULL, NULL) && !strcmp(is, text);

    g_free(is);
    g_free(path);
    return same;
}

static bool file_exists(const char *name)
{
    char *path = path_of(name);
    struct stat st;
    bool exists = !lstat(path, &st);

    g_free(path);
    return exists;
}

/* f(path, path) */
static void on_paths(int (*f)(const char *, const char *), const char *a, const char *b)
{
    char *from = *a == '/' || *a == '.' ? g_strdup(a) : path_of(a), *to = path_of(b);

    cr_assert(!f(from, to), "%s, %s: %m", from, to);
    g_free(from);
    g_free(to);
}

static int folder_make(const char *unused, const char *path)
{
    return mkdir(path, 0755);
}
static int pipe_make(const char *unused, const char *path)
{
    return mkfifo(path, 0644);
}

static void server_begin(const char *options)
{
    char *spec = g_strdup_printf("local,id=f,path=%s/root%s", base, options);
    char *error = NULL;

    machine_lock(machine);
    cr_assert(fs_add(machine, spec, &error), "%s", error);
    machine_unlock(machine);
    server = p9_new(fs_find(machine, "f"));
    g_free(spec);
}

static void begin(void)
{
    base = g_dir_make_tmp("p9-XXXXXX", NULL);
    machine = board_new();
    on_paths(folder_make, "", "root");
    on_paths(folder_make, "", "root/d");
    on_paths(folder_make, "", "outside");
    file_write("secret", "secret");
    file_write("outside/secret", "secret");
    file_write("root/a", "hello");
    file_write("root/d/f", "deep");
    on_paths(symlink, "/etc", "root/etc");
    on_paths(symlink, "..", "root/up");
    on_paths(pipe_make, "", "root/pipe");
}

static void end(void)
{
    char *command = g_strdup_printf("rm -rf '%s'", base);

    cr_expect(file_is("secret", "secret"), "a file outside was written");
    cr_expect(file_is("outside/secret", "secret"), "a file outside was written");
    p9_free(server);
    machine_free(machine);
    cr_expect(!system(command));
    g_free(command);
    g_free(base);
}

/* ---- the client's side ---- */

static void message_put(GByteArray *m, char letter, va_list *args)
{
    static const u8 width[] = {['b'] = 1, ['h'] = 2, ['d'] = 4, ['q'] = 8, ['f'] = 4};

    if (strchr("bhdf", letter)) {
        u32 v = va_arg(*args, u32);

        g_byte_array_append(m, (u8 *)&v, width[(u8)letter]);
    } else if (letter == 'q') {
        u64 v = va_arg(*args, u64);

        g_byte_array_append(m, (u8 *)&v, 8);
    } else {
        const char *s = va_arg(*args, const char *);
        u32 n = strlen(s);

        g_byte_array_append(m, (u8 *)&n, letter == 'D' ? 4 : 2);
        g_byte_array_append(m, (u8 *)s, n);
    }
}

static GByteArray *message(u8 type, const char *format, va_list *args)
{
    GByteArray *m = g_byte_array_new();
    u8 head[P9_HEAD] = {0, 0, 0, 0, type, 0x34, 0x12};

    g_byte_array_append(m, head, sizeof head);
    for (; *format; format++)
        message_put(m, *format, args);
    memcpy(m->data, &m->len, 4);
    return m;
}

static int serve(const u8 *bytes, u32 size)
{
    u8 *copy = g_memdup2(bytes, size);
    u32 said, error = 0;

    answer_size = p9_serve(server, copy, size, answer, sizeof answer);
    g_free(copy);
    memcpy(&said, answer, 4);
    cr_assert(said == answer_size && said >= P9_HEAD);
    if (answer[4] == RLERROR)
        memcpy(&error, answer + P9_HEAD, 4);
    return (int)error;
}

/* Asks; the answer's errno, or 0. */
static int ask(u8 type, const char *format, ...)
{
    va_list args;
    GByteArray *m;
    int error;

    va_start(args, format);
    m = message(type, format, &args);
    va_end(args);
    error = serve(m->data, m->len);
    cr_assert(error ||
              (answer[4] == type + 1 && answer[5] == 0x34 && answer[6] == 0x12));
    g_byte_array_free(m, TRUE);
    return error;
}

static u64 answered(u32 at, u32 width)
{
    u64 v = 0;

    memcpy(&v, answer + P9_HEAD + at, width);
    return v;
}

static void attach(void)
{
    cr_assert(!ask(TVERSION, "ds", 65536, "9P2000.L"));
    cr_assert(answered(0, 4) == 65536 && !memcmp(answer + P9_HEAD + 6, "9P2000.L", 8));
    cr_assert(!ask(TATTACH, "ddssd", ROOT, ~0u, "root", "", 0));
}

/* fid: of name in the root. */
static int walk(u32 fid, const char *name)
{
    return ask(TWALK, "ddhs", ROOT, fid, 1, name);
}

static void start(const char *options)
{
    begin();
    server_begin(options);
    attach();
}

/* ---- what clients do ---- */

Test(p9, reads_and_writes)
{
    start("");
    cr_assert(!walk(2, "a"));
    cr_expect(answered(0, 2) == 1);
    cr_assert(!ask(TLOPEN, "dd", 2, O_RDWR));
    cr_assert(!ask(TREAD, "dqd", 2, 0ull, 100));
    cr_expect(answered(0, 4) == 5 && !memcmp(answer + P9_HEAD + 4, "hello", 5));
    cr_assert(!ask(TREAD, "dqd", 2, 5ull, 100));
    cr_expect(answered(0, 4) == 0, "at the end");
    cr_assert(!ask(TWRITE, "dqD", 2, 4ull, "! more"));
    cr_expect(answered(0, 4) == 6);
    cr_expect(!ask(TFSYNC, "dd", 2, 0));
    cr_expect(!ask(TCLUNK, "d", 2));
    cr_expect(ask(TCLUNK, "d", 2) == EBADF);
    cr_expect(file_is("root/a", "hell! more"));
    end();
}

Test(p9, makes_moves_and_removes)
{
    start("");
    cr_assert(!ask(TWALK, "ddh", ROOT, 2, 0));
    cr_assert(!ask(TLCREATE, "dsddd", 2, "new", O_WRONLY, 0640, 0));
    cr_assert(!ask(TWRITE, "dqD", 2, 0ull, "text"));
    cr_expect(file_is("root/new", "text"));
    cr_assert(!ask(TMKDIR, "dsdd", ROOT, "e", 0755, 0));
    cr_assert(!ask(TRENAMEAT, "dsds", ROOT, "d", ROOT, "g"));
    cr_assert(!ask(TRENAME, "dds", 2, ROOT, "renamed"));
    cr_assert(!ask(TWRITE, "dqD", 2, 4ull, "!"), "the file is open still");
    cr_expect(file_is("root/renamed", "text!") && file_is("root/g/f", "deep"));
    cr_assert(!walk(3, "renamed"));
    cr_assert(!ask(TLINK, "dds", ROOT, 3, "linked"));
    cr_expect(file_is("root/linked", "text!"));
    cr_assert(!ask(TSYMLINK, "dssd", ROOT, "s", "/any/where", 0));
    cr_assert(!walk(4, "s"));
    cr_assert(!ask(TREADLINK, "d", 4));
    cr_expect(!memcmp(answer + P9_HEAD + 2, "/any/where", 10));
    cr_expect(ask(TUNLINKAT, "dsd", ROOT, "g", 0) == EISDIR);
    cr_expect(ask(TUNLINKAT, "dsd", ROOT, "g", 0x200) == ENOTEMPTY);
    cr_assert(!ask(TUNLINKAT, "dsd", ROOT, "e", 0x200));
    cr_assert(!ask(TREMOVE, "d", 3));
    cr_expect(!file_exists("root/renamed") && !file_exists("root/e"));
    cr_expect(ask(TGETATTR, "dq", 3, 0x7ffull) == EBADF, "removed, and clunked");
    cr_expect(ask(TREMOVE, "d", ROOT) == EBUSY);
    end();
}

/* Fids at and below what is renamed follow it. */
Test(p9, renames_below_open_fids)
{
    start("");
    cr_assert(!ask(TWALK, "ddhss", ROOT, 2, 2, "d", "f"));
    cr_assert(!ask(TRENAMEAT, "dsds", ROOT, "d", ROOT, "moved"));
    cr_assert(!ask(TLOPEN, "dd", 2, O_RDONLY));
    cr_assert(!ask(TREAD, "dqd", 2, 0ull, 100));
    cr_expect(answered(0, 4) == 4);
    end();
}

Test(p9, reads_folders_in_parts)
{
    u64 offset = 0;
    u32 seen = 0;

    start("");
    for (u32 i = 0; i < 300; i++) {
        char *name = g_strdup_printf("root/d/file-%u", i);

        file_write(name, "");
        g_free(name);
    }
    cr_assert(!walk(2, "d") && !ask(TLOPEN, "dd", 2, O_RDONLY | DIRECTORY));
    for (;;) {
        u32 at = 4, n;

        cr_assert(!ask(TREADDIR, "dqd", 2, offset, 500));
        n = answered(0, 4);
        if (!n)
            break;
        cr_assert(n <= 500);
        while (at < 4 + n) {
            offset = answered(at + 13, 8);
            at += 24 + answered(at + 22, 2);
            seen++;
        }
        cr_assert(at == 4 + n, "an entry is cut");
    }
    cr_expect(seen == 303, "%u entries", seen);
    end();
}

Test(p9, sets_attributes)
{
    struct stat st;
    char *path;

    start("");
    path = path_of("root/a");
    cr_assert(!walk(2, "a"));
    cr_assert(!ask(TSETATTR, "dddddqqqqq", 2, 1 | 8, 0600, 0, 0, 3ull, 0ull, 0ull, 0ull,
                   0ull));
    cr_assert(!ask(TSETATTR, "dddddqqqqq", 2, 16 | 32 | 128 | 256, 0, 0, 0, 0ull, 11ull,
                   12ull, 13ull, 14ull));
    cr_assert(!stat(path, &st));
    cr_expect((st.st_mode & 07777) == 0600 && st.st_size == 3 && st.st_atime == 11 &&
              st.st_mtim.tv_sec == 13 && st.st_mtim.tv_nsec == 14);
    cr_assert(!ask(TGETATTR, "dq", 2, 0x7ffull));
    cr_expect(answered(8 + 13, 4) == st.st_mode);
    cr_expect(answered(8 + 13 + 12 + 16, 8) == 3, "its size");
    cr_assert(!ask(TSTATFS, "d", 2));
    cr_assert(!walk(3, "etc"));
    cr_expect(ask(TSETATTR, "dddddqqqqq", 3, 1, 0777, 0, 0, 0ull, 0ull, 0ull, 0ull,
                  0ull) == EOPNOTSUPP,
              "a link's mode");
    g_free(path);
    end();
}

/* ---- what leads out ---- */

static const char *const bad_names[] = {
    "..", ".", "", "/etc", "d/f", "../secret", "d/../../secret"};

Test(p9, refuses_names_that_lead_out)
{
    start("");
    cr_assert(!walk(2, "a") && !walk(3, "d"));
    for (u32 i = 0; i < G_N_ELEMENTS(bad_names); i++) {
        const char *name = bad_names[i];

        cr_expect(walk(9, name) == ENOENT, "walk to \"%s\"", name);
        cr_expect(ask(TLCREATE, "dsddd", 3, name, O_RDWR, 0644, 0) == ENOENT);
        cr_expect(ask(TMKDIR, "dsdd", ROOT, name, 0755, 0) == ENOENT);
        cr_expect(ask(TSYMLINK, "dssd", ROOT, name, "x", 0) == ENOENT);
        cr_expect(ask(TMKNOD, "dsdddd", ROOT, name, S_IFREG, 0, 0, 0) == ENOENT);
        cr_expect(ask(TLINK, "dds", ROOT, 2, name) == ENOENT);
        cr_expect(ask(TRENAME, "dds", 2, ROOT, name) == ENOENT);
        cr_expect(ask(TRENAMEAT, "dsds", ROOT, name, ROOT, "x") == ENOENT);
        cr_expect(ask(TRENAMEAT, "dsds", ROOT, "a", ROOT, name) == ENOENT);
        cr_expect(ask(TUNLINKAT, "dsd", ROOT, name, 0) == ENOENT);
    }
    cr_expect(!file_exists("x"));
    end();
}

Test(p9, does_not_follow_links)
{
    start("");
    cr_assert(!walk(2, "etc") && !walk(3, "up"));
    cr_expect(ask(TLOPEN, "dd", 2, O_RDONLY) == ELOOP);
    cr_expect(ask(TLOPEN, "dd", 3, O_RDONLY | DIRECTORY) == ELOOP);
    cr_assert(!ask(TWALK, "ddhss", ROOT, 4, 2, "etc", "passwd"));
    cr_expect(answered(0, 2) == 1, "a walk ends at a link");
    cr_expect(ask(TCLUNK, "d", 4) == EBADF, "and makes no fid");
    cr_expect(ask(TWALK, "ddhs", 3, 4, 1, "secret"));
    cr_expect(ask(TMKDIR, "dsdd", 3, "x", 0755, 0));
    cr_expect(ask(TLCREATE, "dsddd", 3, "x", O_RDWR, 0644, 0));
    cr_expect(ask(TUNLINKAT, "dsd", 3, "secret", 0));
    cr_expect(!file_exists("x"));
    end();
}

/* A folder that a fid stands for becomes a link to one outside. */
Test(p9, refuses_folders_that_were_swapped)
{
    start("");
    cr_assert(!walk(2, "d") && !ask(TWALK, "ddhss", ROOT, 3, 2, "d", "f"));
    on_paths(rename, "root/d", "root/was");
    on_paths(symlink, "../outside", "root/d");
    cr_expect(ask(TWALK, "ddhs", 2, 9, 1, "secret"));
    cr_expect(ask(TMKDIR, "dsdd", 2, "x", 0755, 0));
    cr_expect(ask(TSYMLINK, "dssd", 2, "x", "y", 0));
    cr_expect(ask(TMKNOD, "dsdddd", 2, "x", S_IFREG | 0644, 0, 0, 0));
    cr_expect(ask(TUNLINKAT, "dsd", 2, "secret", 0));
    cr_expect(ask(TRENAMEAT, "dsds", 2, "secret", ROOT, "x"));
    cr_expect(ask(TRENAMEAT, "dsds", ROOT, "a", 2, "x"));
    cr_expect(ask(TLINK, "dds", 2, 3, "x"));
    cr_expect(ask(TLCREATE, "dsddd", 2, "x", O_RDWR, 0644, 0));
    cr_expect(ask(TLOPEN, "dd", 3, O_RDONLY));
    cr_expect(ask(TLOPEN, "dd", 2, O_RDONLY) == ELOOP);
    cr_expect(ask(TSETATTR, "dddddqqqqq", 3, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull, 0ull));
    cr_expect(!file_exists("outside/x"));
    end();
}

Test(p9, waits_for_no_pipe_and_opens_no_device)
{
    start("");
    cr_assert(!walk(2, "pipe"));
    cr_expect(ask(TLOPEN, "dd", 2, O_RDONLY) == ENXIO);
    cr_expect(ask(TLOPEN, "dd", 2, O_RDWR) == ENXIO);
    cr_assert(!ask(TWALK, "ddh", ROOT, 3, 0));
    cr_expect(ask(TLCREATE, "dsddd", 3, "pipe", O_WRONLY, 0644, 0) == ENXIO);
    cr_expect(ask(TMKNOD, "dsdddd", ROOT, "disk", S_IFBLK | 0644, 8, 0, 0) == EPERM);
    cr_assert(!ask(TMKNOD, "dsdddd", ROOT, "pipe2", S_IFIFO | 0644, 0, 0, 0));
    end();
}

Test(p9, changes_nothing_read_only)
{
    start(",readonly=on");
    cr_assert(!walk(2, "a") && !walk(3, "d"));
    cr_expect(ask(TLOPEN, "dd", 2, O_WRONLY) == EROFS);
    cr_expect(ask(TLOPEN, "dd", 2, O_RDONLY | O_TRUNC) == EROFS);
    cr_expect(ask(TLCREATE, "dsddd", 3, "x", O_RDONLY, 0644, 0) == EROFS);
    cr_expect(ask(TMKDIR, "dsdd", ROOT, "x", 0755, 0) == EROFS);
    cr_expect(ask(TSETATTR, "dddddqqqqq", 2, 8, 0, 0, 0, 0ull, 0ull, 0ull, 0ull,
                  0ull) == EROFS);
    cr_expect(ask(TUNLINKAT, "dsd", ROOT, "a", 0) == EROFS);
    cr_expect(ask(TREMOVE, "d", 2) == EROFS);
    cr_assert(!walk(4, "a") && !ask(TLOPEN, "dd", 4, O_RDONLY));
    cr_expect(ask(TWRITE, "dqD", 4, 0ull, "x") == EROFS);
    cr_expect(file_is("root/a", "hello"));
    end();
}

/* ---- what no client sends ---- */

Test(p9, refuses_bad_sizes_and_fids)
{
    start("");
    cr_expect(ask(TVERSION, "ds", 100, "9P2000.L") == EMSGSIZE);
    cr_assert(!ask(TVERSION, "ds", 1u << 31, "9P2000.u"));
    cr_expect(answered(0, 4) == P9_MOST && !memcmp(answer + P9_HEAD + 6, "unknown", 7));
    cr_expect(ask(TWALK, "ddh", ROOT, 2, 0) == EBADF, "a version forgets all fids");
    attach();
    cr_expect(ask(TATTACH, "ddssd", ROOT, ~0u, "", "", 0) == EBADF, "taken");
    cr_expect(ask(TWALK, "ddh", ROOT, 2, 17) == EINVAL);
    cr_expect(ask(TWALK, "ddh", ROOT, 2, 3) == EINVAL, "names are missing");
    cr_assert(!walk(2, "a"));
    cr_expect(ask(TREAD, "dqd", 2, 0ull, 10) == EBADF, "not open");
    cr_expect(ask(TREADDIR, "dqd", ROOT, 0ull, 10) == EBADF);
    cr_assert(!ask(TLOPEN, "dd", 2, O_RDONLY));
    cr_expect(ask(TLOPEN, "dd", 2, O_RDONLY) == EBUSY);
    cr_expect(ask(TREAD, "dqd", 2, ~0ull, 10) == EINVAL);
    cr_assert(!ask(TREAD, "dqd", 2, 0ull, ~0u));
    cr_expect(ask(TWRITE, "dqd", 2, 0ull, 1u << 30) == EINVAL, "bytes are missing");
    cr_expect(ask(255, "") == EOPNOTSUPP && ask(0, "") == EOPNOTSUPP);
    cr_expect(ask(TLCREATE, "dsddd", 2, "x", O_RDWR, 0644, 0) == EBUSY);
    end();
}

Test(p9, limits_fids)
{
    u32 n = 2;

    start("");
    while (!ask(TWALK, "ddh", ROOT, n, 0))
        cr_assert(++n <= P9_FIDS + 1);
    cr_expect(n == P9_FIDS + 1, "%u fids", n);
    end();
}

/* Every request, cut at every byte, and with answers that have no room. */
Test(p9, takes_no_part_of_a_message)
{
    static const u8 whole[] = {40, 0, 0, 0, TWALK, 1, 0, 1,   0, 0, 0,  7,
                               0,  0, 0, 2, 0,     1, 0, 'd', 1, 0, 'f'};
    static const u8 body[600] = {1};

    start("");
    for (u32 n = 0; n <= sizeof whole; n++)
        cr_expect((serve(whole, n) != 0) == (n < sizeof whole), "%u bytes", n);
    for (u32 type = 0; type < 256; type++)
        for (u32 n = 0; n < 64; n++) {
            u8 m[P9_HEAD + sizeof body] = {0, 0, 0, 0, type};

            memcpy(m + P9_HEAD, body, sizeof body);
            serve(m, P9_HEAD + n);
            p9_serve(server, m, P9_HEAD + n, answer, P9_ERROR);
            if (ask(TGETATTR, "dq", ROOT, 0x7ffull))
                attach();
        }
    end();
}

static void random_message(GRand *r, GByteArray *m)
{
    static const char *const words[] = {"a", "d",  "f",    "etc", "up", "x",
                                        "y", "..", "pipe", "a/b", "",   "secret"};
    static const u8 types[] = {8,  12, 14, 16, 18, 20, 22,  24,  26,  30,  32,  40, 50,
                               52, 54, 70, 72, 74, 76, 104, 110, 116, 118, 120, 122};
    u32 parts = g_rand_int_range(r, 0, 9);
    u8 head[P9_HEAD] = {0};

    head[4] = types[g_rand_int_range(r, 0, sizeof types)];
    g_byte_array_set_size(m, 0);
    g_byte_array_append(m, head, sizeof head);
    for (u32 i = 0; i < parts; i++) {
        const char *word = words[g_rand_int_range(r, 0, G_N_ELEMENTS(words))];
        u32 small = g_rand_int_range(r, 0, 6), any = g_rand_int(r);
        u16 n = strlen(word);

        switch (g_rand_int_range(r, 0, 8)) {
        case 0: g_byte_array_append(m, (u8 *)&any, 4); break;
        case 1:
        case 2:
        case 3:
            g_byte_array_append(m, (u8 *)&n, 2);
            g_byte_array_append(m, (u8 *)word, n);
            break;
        case 4: g_byte_array_append(m, (u8 *)&any, 1 + small % 4); break;
        default: g_byte_array_append(m, (u8 *)&small, 4);
        }
    }
}

Test(p9, survives_anything)
{
    GRand *r = g_rand_new_with_seed(9);
    GByteArray *m = g_byte_array_new();
    struct stat before, after;

    start("");
    cr_assert(!lstat(base, &before));
    for (u32 i = 0; i < 30000; i++) {
        random_message(r, m);
        serve(m->data, m->len);
        if (i % 50 == 0 && ask(TGETATTR, "dq", ROOT, 0x7ffull))
            attach();
    }
    cr_assert(!lstat(base, &after));
    cr_expect(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
                  before.st_mode == after.st_mode,
              "something beside the folder was made or removed");
    g_byte_array_free(m, TRUE);
    g_rand_free(r);
    end();
}

/* ---- saved and loaded ---- */

Test(p9, is_saved_with_open_files)
{
    State save = {.bytes = g_byte_array_new()}, load;
    P9 *first;

    start("");
    cr_assert(!walk(2, "a") && !ask(TLOPEN, "dd", 2, O_RDWR));
    cr_assert(!ask(TWALK, "ddhss", ROOT, 3, 2, "d", "f"));
    p9_state(server, &save);
    first = server;
    server = p9_new(first->fs);
    load = (State){.bytes = save.bytes, .loading = true};
    p9_state(server, &load);
    cr_assert(!load.error && load.at == save.bytes->len);
    cr_assert(!ask(TREAD, "dqd", 2, 0ull, 100));
    cr_expect(answered(0, 4) == 5);
    cr_assert(!ask(TLOPEN, "dd", 3, O_RDONLY));
    cr_assert(!ask(TREAD, "dqd", 3, 0ull, 100) && answered(0, 4) == 4);
    p9_free(first);
    for (u32 i = 0; i < save.bytes->len; i++) {
        u8 was = save.bytes->data[i];

        save.bytes->data[i] ^= 1 << i % 8;
        load = (State){.bytes = save.bytes, .loading = true};
        p9_state(server, &load);
        g_free(load.error);
        save.bytes->data[i] = was;
    }
    g_byte_array_free(save.bytes, TRUE);
    end();
}
