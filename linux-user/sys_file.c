/* SPDX-License-Identifier: MIT */
/*
 * System calls on files by name and by descriptor that a pass-through cannot serve:
 * open and readlink (files of /proc that must show the guest), stat (its layout
 * differs), fcntl (arguments by command), descriptors that are ours.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "sys.h"

enum { DIRENTS_MOST = 1 << 20 };

/* ---- open, close ---- */

i64 sys_openat(Task *t, u64 dir, u64 addr, u64 flags, u64 mode)
{
    char buf[PATH_MAX], exe[PATH_MAX];
    const char *path;
    i64 r = guest_string(t, addr, PATH_MAX, &path);

    if (r < 0)
        return r;
    r = proc_open(t, (i32)dir, path, (i32)flags);
    if (r != -ENOENT)
        return r;
    if (!(flags & O_NOFOLLOW) && *path && proc_exe(t, (i32)dir, path, exe))
        path = exe;
    ptrace_note_open(t, path);
    path = path_host(t->process, path, buf);
    return safe_syscall(SYS_openat, dir, path, flags, mode);
}

i64 sys_openat2(Task *t, u64 dir, u64 addr, u64 how_addr, u64 size)
{
    struct open_how how;
    const char *path;
    i64 r = guest_string(t, addr, PATH_MAX, &path);
    void *p = guest_ptr(t, how_addr, size, GUEST_READ);
    char buf[PATH_MAX], exe[PATH_MAX];

    if (r < 0)
        return r;
    if (!p)
        return -EFAULT;
    if (size == sizeof how) {
        memcpy(&how, p, sizeof how);
        r = proc_open(t, (i32)dir, path, how.flags);
        if (r != -ENOENT)
            return r;
        if (!(how.flags & O_NOFOLLOW) && !how.resolve && *path &&
            proc_exe(t, (i32)dir, path, exe))
            path = exe;
    }
    path = path_host(t->process, path, buf);
    return safe_syscall(SYS_openat2, dir, path, p, size);
}

/* Our own descriptors are not the guest's to close. */
static bool fd_is_ours(const Task *t, u64 fd)
{
    return t->process->exe_fd >= 0 && (u32)fd == (u32)t->process->exe_fd;
}

i64 sys_close(Task *t, u64 fd)
{
    if (UNLIKELY(t->process->rings))
        uring_close(t, (u32)fd, (u32)fd);
    return fd_is_ours(t, fd) ? -EBADF : host_syscall(SYS_close, fd);
}

i64 sys_close_range(Task *t, u64 first, u64 last, u64 flags)
{
    u64 ours = (u32)t->process->exe_fd;
    i64 r = 0;

    first = (u32)first;
    last = (u32)last;
    if (t->process->rings && !(flags & CLOSE_RANGE_CLOEXEC))
        uring_close(t, first, last);
    if (t->process->exe_fd < 0 || first > last || ours < first || ours > last)
        return host_syscall(SYS_close_range, first, last, flags);
    if (first < ours)
        r = host_syscall(SYS_close_range, first, ours - 1, flags);
    if (r == 0 && ours < last)
        r = host_syscall(SYS_close_range, ours + 1, last, flags);
    return r;
}

/* Ours gives way. */
i64 sys_dup3(Task *t, u64 from, u64 to, u64 flags)
{
    Process *p = t->process;

    if (fd_is_ours(t, from))
        return -EBADF;
    if (UNLIKELY(fd_is_ours(t, to)))
        p->exe_fd = fcntl(p->exe_fd, F_DUPFD_CLOEXEC, p->exe_fd + 1);
    return host_syscall(SYS_dup3, from, to, flags);
}

typedef struct Dirent { /* linux_dirent64 */
    u64 ino, offset;
    u16 size;
    u8 type;
    char name[];
} Dirent;

/* Takes the entry of our own descriptor out; returns the bytes left. */
static i64 hide_own(const Process *p, u8 *entries, i64 size)
{
    for (i64 at = 0; at < size;) {
        const Dirent *d = (const Dirent *)(entries + at);
        i64 n = d->size;

        if (atoi(d->name) == p->exe_fd) {
            memmove(entries + at, entries + at + n, (size_t)(size - at - n));
            return size - n;
        }
        at += n;
    }
    return size;
}

i64 sys_getdents64(Task *t, u64 fd, u64 addr, u64 size)
{
    u64 len = guest_reach(t, addr, MIN(size, DIRENTS_MOST), GUEST_WRITE);
    void *to = guest_ptr(t, addr, len, GUEST_WRITE);
    i64 r;

    if (!to || (size && !len))
        return -EFAULT;
    do {
        r = host_syscall(SYS_getdents64, fd, to, len);
        if (r <= 0 || t->process->exe_fd < 0 || !proc_lists_fds((i32)fd))
            return r;
        r = hide_own(t->process, to, r);
    } while (r == 0); /* that was all: there may be more */
    return r;
}

/* ---- names ---- */

i64 sys_readlinkat(Task *t, u64 dir, u64 addr, u64 out, u64 size)
{
    char buf[PATH_MAX], exe[PATH_MAX];
    const char *path;
    i64 r = guest_string(t, addr, PATH_MAX, &path);
    u64 len = guest_reach(t, out, MIN(size, PATH_MAX), GUEST_WRITE);
    void *to = guest_ptr(t, out, len, GUEST_WRITE);

    if (r < 0)
        return r;
    if ((i32)size <= 0)
        return -EINVAL;
    if (!len || !to)
        return -EFAULT;
    if (proc_exe(t, (i32)dir, path, exe)) {
        len = MIN(len, strlen(exe));
        memcpy(to, exe, len);
        return len;
    }
    return host_syscall(SYS_readlinkat, dir, path_host(t->process, path, buf), to, len);
}

/* A path to stat: through the -L prefix, and /proc/self/exe is the guest's. */
static i64 stat_path(Task *t, i64 dir, u64 addr, u64 flags, char *buf,
                     const char **path)
{
    char exe[PATH_MAX], host[PATH_MAX];
    i64 r = guest_path(t, addr, buf, path);

    if (*path && **path && !(flags & AT_SYMLINK_NOFOLLOW) &&
        proc_exe(t, dir, *path, exe))
        *path = strcpy(buf, path_host(t->process, exe, host));
    return r;
}

static i64 put_stat(Task *t, u64 addr, const struct stat *s)
{
    GuestStat g = {
        .dev = s->st_dev,
        .ino = s->st_ino,
        .mode = s->st_mode,
        .nlink = s->st_nlink,
        .uid = s->st_uid,
        .gid = s->st_gid,
        .rdev = s->st_rdev,
        .size = s->st_size,
        .blksize = s->st_blksize,
        .blocks = s->st_blocks,
        .atime = s->st_atim.tv_sec,
        .atime_nsec = s->st_atim.tv_nsec,
        .mtime = s->st_mtim.tv_sec,
        .mtime_nsec = s->st_mtim.tv_nsec,
        .ctime = s->st_ctim.tv_sec,
        .ctime_nsec = s->st_ctim.tv_nsec,
    };

    return PUT(t, addr, &g) ? 0 : -EFAULT;
}

i64 sys_newfstatat(Task *t, u64 dir, u64 addr, u64 out, u64 flags)
{
    char buf[PATH_MAX];
    const char *path;
    struct stat s;
    i64 r = stat_path(t, (i32)dir, addr, flags, buf, &path);

    if (r == 0)
        r = host_syscall(SYS_newfstatat, dir, path, &s, flags);
    return r ? r : put_stat(t, out, &s);
}

i64 sys_fstat(Task *t, u64 fd, u64 out)
{
    struct stat s;
    i64 r = host_syscall(SYS_fstat, fd, &s);

    return r ? r : put_stat(t, out, &s);
}

i64 sys_statx(Task *t, u64 dir, u64 addr, u64 flags, u64 mask, u64 out)
{
    char buf[PATH_MAX];
    const char *path;
    void *to = guest_ptr(t, out, sizeof(struct statx), GUEST_WRITE);
    i64 r = stat_path(t, (i32)dir, addr, flags, buf, &path);

    if (r < 0)
        return r;
    return to ? host_syscall(SYS_statx, dir, path, flags, mask, to) : -EFAULT;
}

/* struct file_handle ends in as many bytes as it says at its start. */
i64 sys_name_to_handle_at(Task *t, u64 dir, u64 addr, u64 handle, u64 mount, u64 flags)
{
    char buf[PATH_MAX];
    const char *path;
    u32 bytes;
    void *h = NULL, *m = guest_ptr(t, mount, sizeof(u64), GUEST_WRITE);
    i64 r = guest_path(t, addr, buf, &path);

    if (GET(t, handle, &bytes))
        h = guest_ptr(t, handle, 8 + (u64)MIN(bytes, MAX_HANDLE_SZ), GUEST_WRITE);
    if (r < 0)
        return r;
    if (!h || !m)
        return -EFAULT;
    return host_syscall(SYS_name_to_handle_at, dir, path, h, m, flags);
}

i64 sys_open_by_handle_at(Task *t, u64 fd, u64 handle, u64 flags)
{
    u32 bytes;
    void *h = NULL;

    if (GET(t, handle, &bytes))
        h = guest_ptr(t, handle, 8 + (u64)MIN(bytes, MAX_HANDLE_SZ), GUEST_READ);
    return h ? host_syscall(SYS_open_by_handle_at, fd, h, flags) : -EFAULT;
}

/* ---- fcntl ---- */

/* Size of what a command's argument points to; 0: it is a number. */
static u64 fcntl_size(u32 command)
{
    switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW: return sizeof(struct flock);
    case F_GETOWN_EX:
    case F_SETOWN_EX: return sizeof(struct f_owner_ex);
    case 17: /* F_GETOWNER_UIDS: two uids */ return 8;
    case F_GET_RW_HINT:
    case F_SET_RW_HINT:
    case F_GET_FILE_RW_HINT:
    case F_SET_FILE_RW_HINT: return sizeof(u64);
    default: return 0;
    }
}

static bool fcntl_reads(u32 command)
{
    return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
           command == F_OFD_SETLKW || command == F_SETOWN_EX ||
           command == F_SET_RW_HINT || command == F_SET_FILE_RW_HINT;
}

i64 sys_fcntl(Task *t, u64 fd, u64 command, u64 arg)
{
    u64 size = fcntl_size(command);
    void *p;

    if (!size)
        return host_syscall(SYS_fcntl, fd, command, arg);
    p = guest_ptr(t, arg, size, fcntl_reads(command) ? GUEST_READ : GUEST_WRITE);
    if (!p)
        return -EFAULT;
    return safe_syscall(SYS_fcntl, fd, command, p);
}

/* ---- extended attributes, relative to a directory ---- */

typedef struct XattrArgs { /* linux/xattr.h; newer ones are longer */
    u64 value;
    u32 size, flags;
} XattrArgs;

enum { XATTR_SIZE_LARGEST = 1 << 16 };

static i64 xattr_at(Task *t, const u64 *a, GuestAccess access)
{
    XattrArgs args;
    void *value;

    if (a[5] < sizeof args)
        return -EINVAL;
    if (a[5] > sizeof args)
        return a[5] > PAGE_SIZE ? -E2BIG : -EINVAL;
    if (!GET(t, a[4], &args))
        return -EFAULT;
    if (access == GUEST_READ && args.size > XATTR_SIZE_LARGEST)
        return -E2BIG;
    args.size = MIN(args.size, XATTR_SIZE_LARGEST);
    if (!guest_opt(t, args.value, args.size, access, &value))
        return -EFAULT;
    args.value = (u64)value;
    return host_syscall((long)t->sys.nr, a[0], host_addr(t, a[1]), a[2],
                        host_addr(t, a[3]), &args, sizeof args);
}

i64 sys_setxattrat(Task *t, u64 dir, u64 path, u64 flags, u64 name, u64 args, u64 size)
{
    return xattr_at(t, (u64[6]){dir, path, flags, name, args, size}, GUEST_READ);
}

i64 sys_getxattrat(Task *t, u64 dir, u64 path, u64 flags, u64 name, u64 args, u64 size)
{
    return xattr_at(t, (u64[6]){dir, path, flags, name, args, size}, GUEST_WRITE);
}
