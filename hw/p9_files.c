/* SPDX-License-Identifier: MIT */
/* 9P's operations on what a fid stands for: open files, folders read, attributes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "p9.h"

/* ---- opening ---- */

/* Of what the client asks for; the numbers are those of Linux on most hosts. */
enum { OPEN_FLAGS = O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_DIRECTORY };

static int opened(P9 *s, Fid *f, int fd, int flags, Out *o)
{
    struct stat st;
    int result = fid_fd(s, f, fd, flags & ~O_TRUNC);

    if (result)
        return result;
    if (fstat(fd, &st))
        return -errno;
    out_qid(o, s->fs, &st);
    out_u32(o, 0); /* as much at a time as the message holds */
    return 0;
}

/* What is there, opened; pipes and devices are not. */
static int open_there(const P9 *s, const char *path, int flags)
{
    int fd = fs_open(s->fs, path, O_PATH, 0), again;

    if (fd < 0)
        return fd;
    again = fs_reopen(fd, flags);
    close(fd);
    return again;
}

int p9_lopen(P9 *s, const Arg *a, Out *o)
{
    Fid *f = a[0].fid;
    int flags = (int)a[1].n & OPEN_FLAGS, fd;

    if (f->fd >= 0)
        return -EBUSY;
    if (s->fs->read_only && (flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY)
        return -EROFS;
    fd = open_there(s, f->path, flags);
    return fd < 0 ? fd : opened(s, f, fd, flags, o);
}

/* A file made anew gets its mode and owner, one that is there keeps them. */
static int create(const P9 *s, const Fid *folder, const char *path, const Arg *a)
{
    int flags = (int)a[2].n & OPEN_FLAGS, result;
    int fd = fs_open(s->fs, path, flags | O_CREAT | O_EXCL, (u32)a[3].n);

    if (fd == -EEXIST && !(a[2].n & O_EXCL))
        return open_there(s, path, flags);
    if (fd < 0)
        return fd;
    result = fs_own(s->fs, fd, (u32)a[3].n, folder->uid, (u32)a[4].n);
    if (result)
        close(fd);
    return result ? result : fd;
}

int p9_lcreate(P9 *s, const Arg *a, Out *o)
{
    Fid *f = a[0].fid;
    char *path;
    int fd;

    if (f->fd >= 0)
        return -EBUSY;
    path = path_join(f->path, a[1].s);
    fd = create(s, f, path, a);
    if (fd < 0) {
        g_free(path);
        return fd;
    }
    g_free(f->path);
    f->path = path;
    return opened(s, f, fd, (int)a[2].n & OPEN_FLAGS, o);
}

/* ---- reading and writing ---- */

int p9_read(P9 *s, const Arg *a, Out *o)
{
    u32 room = o->limit - o->size;
    ssize_t n;

    if (a[0].fid->fd < 0 || room < 4)
        return -EBADF;
    do {
        n = pread(a[0].fid->fd, o->bytes + o->size + 4, MIN(a[2].n, room - 4),
                  (off_t)a[1].n);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    out_u32(o, (u32)n);
    o->size += (u32)n;
    return 0;
}

int p9_write(P9 *s, const Arg *a, Out *o)
{
    ssize_t n;

    if (a[0].fid->fd < 0)
        return -EBADF;
    do {
        n = pwrite(a[0].fid->fd, a[2].s, a[2].n, (off_t)a[1].n);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    out_u32(o, (u32)n);
    return 0;
}

int p9_fsync(P9 *s, const Arg *a, Out *o)
{
    int fd = a[0].fid->fd;

    if (fd < 0)
        return -EBADF;
    return (a[1].n ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
}

/* One entry; false: no room for it. */
static bool entry_out(const Fs *fs, dev_t dev, const struct dirent64 *d, Out *o)
{
    u32 before = o->size;
    u8 type = d->d_type == DT_DIR ? 0x80 : d->d_type == DT_LNK ? 0x02 : 0;

    out_u8(o, type);
    out_u32(o, 0);
    out_u64(o, qid_path(fs, dev, d->d_ino));
    out_u64(o, (u64)d->d_off);
    out_u8(o, d->d_type);
    out_string(o, d->d_name);
    if (!o->overflow)
        return true;
    o->size = before;
    o->overflow = false;
    return false;
}

/* What does not fit is asked for again, from the offset of the last that did. */
int p9_readdir(P9 *s, const Arg *a, Out *o)
{
    _Alignas(8) char buffer[16384];
    u32 at = o->size, count;
    struct stat st;
    Out part;
    ssize_t n;

    if (a[0].fid->fd < 0 || o->limit - at < 4)
        return -EBADF;
    if (lseek(a[0].fid->fd, (off_t)a[1].n, SEEK_SET) < 0 || fstat(a[0].fid->fd, &st))
        return -errno;
    out_u32(o, 0);
    part = *o;
    part.limit = (u32)MIN(o->limit, o->size + a[2].n);
    n = getdents64(a[0].fid->fd, buffer, MIN(sizeof(buffer), MAX(a[2].n, 512)));
    if (n < 0)
        return -errno;
    for (ssize_t i = 0; i < n; i += ((struct dirent64 *)(buffer + i))->d_reclen)
        if (!entry_out(s->fs, st.st_dev, (struct dirent64 *)(buffer + i), &part))
            break;
    o->size = part.size;
    count = o->size - at - 4;
    memcpy(o->bytes + at, &count, 4);
    return n && !count ? -EINVAL : 0;
}

/* ---- attributes ---- */

/* Of an open file also when it has no name any more. */
static int fid_stat(const P9 *s, const Fid *f, struct stat *st)
{
    if (f->fd >= 0)
        return fstat(f->fd, st) ? -errno : 0;
    return fs_stat(s->fs, f->path, st);
}

static void out_time(Out *o, const struct timespec *t)
{
    out_u64(o, (u64)t->tv_sec);
    out_u64(o, (u64)t->tv_nsec);
}

int p9_getattr(P9 *s, const Arg *a, Out *o)
{
    enum { BASIC = 0x7ff };
    const struct timespec none = {0};
    struct stat st;
    int result = fid_stat(s, a[0].fid, &st);

    if (result)
        return result;
    out_u64(o, a[1].n & BASIC);
    out_qid(o, s->fs, &st);
    out_u32(o, st.st_mode);
    out_u32(o, st.st_uid);
    out_u32(o, st.st_gid);
    out_u64(o, st.st_nlink);
    out_u64(o, st.st_rdev);
    out_u64(o, (u64)st.st_size);
    out_u64(o, (u64)st.st_blksize);
    out_u64(o, (u64)st.st_blocks);
    out_time(o, &st.st_atim);
    out_time(o, &st.st_mtim);
    out_time(o, &st.st_ctim);
    out_time(o, &none); /* birth */
    out_u64(o, 0);      /* generation, data version */
    out_u64(o, 0);
    return 0;
}

enum SetAttr {
    SET_MODE = 1,
    SET_UID = 2,
    SET_GID = 4,
    SET_SIZE = 8,
    SET_ATIME = 16,
    SET_MTIME = 32,
    SET_CTIME = 64,
    SET_ATIME_TO = 128,
    SET_MTIME_TO = 256,
};

static int set_size(const P9 *s, const Fid *f, int fd, u64 size)
{
    bool writable = f->fd >= 0 && (f->flags & O_ACCMODE) != O_RDONLY;
    int again = writable ? f->fd : fs_reopen(fd, O_WRONLY), result;

    if (again < 0)
        return again;
    result = ftruncate(again, (off_t)size) ? -errno : 0;
    if (!writable)
        close(again);
    return result;
}

static struct timespec time_to(u64 valid, u32 set, u32 set_to, const Arg *a)
{
    if (!(valid & set))
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    if (!(valid & set_to))
        return (struct timespec){.tv_nsec = UTIME_NOW};
    return (struct timespec){(time_t)a[0].n, (long)a[1].n};
}

/* fd: O_PATH. */
static int set_attributes(P9 *s, const Arg *a, int fd)
{
    u64 valid = a[1].n;
    int result = 0;

    if (valid & SET_MODE)
        result = fs_chmod(fd, (u32)a[2].n);
    if (!result && valid & (SET_UID | SET_GID) &&
        fchownat(fd, "", valid & SET_UID ? (u32)a[3].n : (u32)-1,
                 valid & SET_GID ? (u32)a[4].n : (u32)-1, AT_EMPTY_PATH))
        result = -errno;
    if (!result && valid & SET_SIZE)
        result = set_size(s, a[0].fid, fd, a[5].n);
    if (!result && valid & (SET_ATIME | SET_MTIME)) {
        const struct timespec t[2] = {time_to(valid, SET_ATIME, SET_ATIME_TO, a + 6),
                                      time_to(valid, SET_MTIME, SET_MTIME_TO, a + 8)};

        result = utimensat(fd, "", t, AT_EMPTY_PATH) ? -errno : 0;
    }
    return result;
}

int p9_setattr(P9 *s, const Arg *a, Out *o)
{
    Fid *f = a[0].fid;
    int fd = fs_open(s->fs, f->path, O_PATH, 0), result;

    if (fd < 0 && f->fd >= 0) /* it has no name any more */
        fd = dup(f->fd);
    if (fd < 0)
        return fd;
    result = set_attributes(s, a, fd);
    close(fd);
    return result;
}

int p9_readlink(P9 *s, const Arg *a, Out *o)
{
    char text[4096];
    int fd = fs_open(s->fs, a[0].fid->path, O_PATH, 0);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = readlinkat(fd, "", text, sizeof(text) - 1);
    close(fd);
    if (n < 0)
        return errno == ENOENT ? -EINVAL : -errno;
    text[n] = 0;
    out_string(o, text);
    return 0;
}

int p9_statfs(P9 *s, const Arg *a, Out *o)
{
    struct statfs st;
    int fd = fs_open(s->fs, a[0].fid->path, O_PATH, 0), result;
    u64 id;

    if (fd < 0)
        return fd;
    result = fstatfs(fd, &st) ? -errno : 0;
    close(fd);
    if (result)
        return result;
    memcpy(&id, &st.f_fsid, sizeof(id));
    out_u32(o, (u32)st.f_type);
    out_u32(o, (u32)st.f_bsize);
    out_u64(o, st.f_blocks);
    out_u64(o, st.f_bfree);
    out_u64(o, st.f_bavail);
    out_u64(o, st.f_files);
    out_u64(o, st.f_ffree);
    out_u64(o, id);
    out_u32(o, (u32)st.f_namelen);
    return 0;
}

/* ---- what is not kept ---- */

/* The guest's kernel keeps locks among its own processes; nobody else is asked. */
int p9_lock(P9 *s, const Arg *a, Out *o)
{
    out_u8(o, 0);
    return 0;
}

int p9_getlock(P9 *s, const Arg *a, Out *o)
{
    enum { UNLOCKED = 2 };

    out_u8(o, UNLOCKED);
    out_u64(o, a[2].n);
    out_u64(o, a[3].n);
    out_u32(o, (u32)a[4].n);
    out_string(o, a[5].s);
    return 0;
}

int p9_xattrwalk(P9 *s, const Arg *a, Out *o) { return -EOPNOTSUPP; }
int p9_xattrcreate(P9 *s, const Arg *a, Out *o) { return -EOPNOTSUPP; }
