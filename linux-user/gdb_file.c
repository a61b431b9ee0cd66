/* SPDX-License-Identifier: MIT */
/*
 * vFile: the client reads files as the guest sees them (sysroot target:, and
 * /proc/PID/maps for "info proc mappings").  Reading only.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "gdb.h"
#include "sys.h"

/* Error numbers that gdb's file I/O knows are Linux's; others are this. */
enum { FILE_UNKNOWN = 9999, FILE_ERRNO_MAX = 35 };

static void put_result(GString *out, i64 r)
{
    if (r >= 0)
        g_string_printf(out, "F%llx", (unsigned long long)r);
    else
        g_string_printf(out, "F-1,%x", -r < FILE_ERRNO_MAX ? (int)-r : FILE_UNKNOWN);
}

/* A path in hexadecimal. */
static bool parse_path(Gdb *g, GdbText *in, char path[PATH_MAX])
{
    GdbText word = gdb_text_word(in, ',');

    if (!gdb_text_hex(&word, g->stub.bytes) || g->stub.bytes->len >= PATH_MAX)
        return false;
    memcpy(path, g->stub.bytes->data, g->stub.bytes->len);
    path[g->stub.bytes->len] = 0;
    return strlen(path) == g->stub.bytes->len;
}

/* ---- what is open ---- */

static int find_file(const Gdb *g, u64 fd)
{
    for (guint i = 0; i < g->files->len; i++)
        if ((u64)g_array_index(g->files, int, i) == fd)
            return (int)i;
    return -1;
}

static bool parse_file(Gdb *g, GdbText *in, int *fd)
{
    u64 number;

    if (!gdb_text_number(in, &number) || find_file(g, number) < 0)
        return false;
    *fd = (int)number;
    return true;
}

void gdb_close_files(Gdb *g)
{
    for (guint i = 0; i < g->files->len; i++)
        close(g_array_index(g->files, int, i));
    g_array_set_size(g->files, 0);
}

/* ---- the requests ---- */

static i64 open_file(Gdb *g, const char *path)
{
    char buf[PATH_MAX];
    struct stat st;
    int high;
    i64 fd;

    if (g->files->len == GDB_FILES)
        return -EMFILE;
    fd = proc_open(gdb_first(g)->task, AT_FDCWD, path, O_CLOEXEC);
    if (fd == -ENOENT)
        fd = host(open(path_host(g->process, path, buf),
                       O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd < 0)
        return fd;
    high = gdb_high((int)fd); /* out of the guest's way */
    if (fstat(high, &st) || S_ISDIR(st.st_mode)) {
        close(high);
        return -EISDIR;
    }
    g_array_append_val(g->files, high);
    return high;
}

static void file_open(Gdb *g, GdbText *in, GString *out)
{
    char path[PATH_MAX];
    u64 flags, mode;
    i64 r = -EINVAL;

    if (parse_path(g, in, path) && gdb_text_pair(in, &flags, &mode))
        r = flags & 3 ? -EROFS : open_file(g, path);
    put_result(out, r);
}

static void file_close(Gdb *g, GdbText *in, GString *out)
{
    int fd;

    if (!parse_file(g, in, &fd)) {
        put_result(out, -EBADF);
        return;
    }
    g_array_remove_index_fast(g->files, (guint)find_file(g, (u64)fd));
    put_result(out, host(close(fd)));
}

static void put_data(GString *out, i64 n, const void *bytes)
{
    put_result(out, n);
    if (n < 0)
        return;
    g_string_append_c(out, ';');
    gdb_put_binary(out, bytes, (size_t)n);
}

static void file_pread(Gdb *g, GdbText *in, GString *out)
{
    u64 count, offset;
    i64 n = -EBADF;
    int fd;

    if (parse_file(g, in, &fd)) {
        n = -EINVAL;
        if (gdb_text_skip(in, ",") && gdb_text_pair(in, &count, &offset)) {
            count = MIN(count, GDB_PACKET_MAX / 2 - 32);
            g_byte_array_set_size(g->stub.bytes, (guint)count);
            n = host(pread(fd, g->stub.bytes->data, count, (off_t)offset));
        }
    }
    put_data(out, n, g->stub.bytes->data);
}

/* struct stat of gdb's file I/O: big-endian. */
typedef struct __attribute__((packed)) FileStat {
    u32 dev, ino, mode, nlink, uid, gid, rdev;
    u64 size, blksize, blocks;
    u32 atime, mtime, ctime;
} FileStat;

static void file_fstat(Gdb *g, GdbText *in, GString *out)
{
    struct stat st;
    FileStat f;
    int fd;

    if (!parse_file(g, in, &fd)) {
        put_result(out, -EBADF);
        return;
    }
    if (fstat(fd, &st)) {
        put_result(out, -errno);
        return;
    }
    f = (FileStat){
        .dev = GUINT32_TO_BE((u32)st.st_dev),
        .ino = GUINT32_TO_BE((u32)st.st_ino),
        .mode = GUINT32_TO_BE(st.st_mode),
        .nlink = GUINT32_TO_BE((u32)st.st_nlink),
        .uid = GUINT32_TO_BE(st.st_uid),
        .gid = GUINT32_TO_BE(st.st_gid),
        .size = GUINT64_TO_BE((u64)st.st_size),
        .blksize = GUINT64_TO_BE((u64)st.st_blksize),
        .blocks = GUINT64_TO_BE((u64)st.st_blocks),
        .atime = GUINT32_TO_BE((u32)st.st_atime),
        .mtime = GUINT32_TO_BE((u32)st.st_mtime),
        .ctime = GUINT32_TO_BE((u32)st.st_ctime),
    };
    put_data(out, sizeof f, &f);
}

static void file_readlink(Gdb *g, GdbText *in, GString *out)
{
    char path[PATH_MAX], buf[PATH_MAX], link[PATH_MAX];
    i64 n = -EINVAL;

    if (parse_path(g, in, path)) {
        if (proc_exe(gdb_first(g)->task, AT_FDCWD, path, link)) {
            put_data(out, (i64)strlen(link), link);
            return;
        }
        n = host(readlink(path_host(g->process, path, buf), link, sizeof link));
    }
    put_data(out, n, link);
}

static void file_setfs(Gdb *g, GdbText *in, GString *out) { put_result(out, 0); }

static const struct {
    const char *name;
    void (*answer)(Gdb *g, GdbText *in, GString *out);
} requests[] = {
    {"open:", file_open},   {"close:", file_close}, {"pread:", file_pread},
    {"fstat:", file_fstat}, {"setfs:", file_setfs}, {"readlink:", file_readlink},
};

void gdb_file(GdbStub *s, GdbText *in, GString *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
        if (gdb_text_skip(in, requests[i].name)) {
            requests[i].answer(gdb_of(s), in, out);
            return;
        }
}
