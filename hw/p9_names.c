/* SPDX-License-Identifier: MIT */
/* 9P's operations on names: made, moved, removed.  Each is done in a folder that has
 * been opened, so that nothing on the way to it can be swapped meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "p9.h"

static int folder_open(const P9 *s, const Fid *f)
{
    return fs_open(s->fs, f->path, O_PATH | O_DIRECTORY, 0);
}

/* ---- something new ---- */

/* result: of making it.  Its owner and mode, and its qid. */
static int made(P9 *s, const Fid *folder, const char *name, int result, u32 mode,
                u64 gid, Out *o)
{
    char *path = path_join(folder->path, name);
    struct stat st;
    int fd = result ? result : fs_open(s->fs, path, O_PATH, 0);

    g_free(path);
    if (fd < 0)
        return fd;
    result = fs_own(s->fs, fd, mode, folder->uid, (u32)gid);
    if (!result && fstat(fd, &st))
        result = -errno;
    close(fd);
    if (!result)
        out_qid(o, s->fs, &st);
    return result;
}

int p9_mkdir(P9 *s, const Arg *a, Out *o)
{
    int fd = folder_open(s, a[0].fid), result;
    u32 mode = a[2].n & 07777;

    if (fd < 0)
        return fd;
    result = mkdirat(fd, a[1].s, mode) ? -errno : 0;
    close(fd);
    return made(s, a[0].fid, a[1].s, result, mode, a[3].n, o);
}

int p9_symlink(P9 *s, const Arg *a, Out *o)
{
    int fd = folder_open(s, a[0].fid), result;

    if (fd < 0)
        return fd;
    result = symlinkat(a[2].s, fd, a[1].s) ? -errno : 0;
    close(fd);
    return made(s, a[0].fid, a[1].s, result, 0777, a[3].n, o);
}

/* The host's devices are not the guest's to name, unless owners are kept as they are.
 */
int p9_mknod(P9 *s, const Arg *a, Out *o)
{
    u32 mode = (u32)a[2].n;
    int fd, result;

    if ((S_ISBLK(mode) || S_ISCHR(mode)) && !s->fs->owners)
        return -EPERM;
    fd = folder_open(s, a[0].fid);
    if (fd < 0)
        return fd;
    result = mknodat(fd, a[1].s, mode, makedev(a[3].n, a[4].n)) ? -errno : 0;
    close(fd);
    return made(s, a[0].fid, a[1].s, result, mode & 07777, a[5].n, o);
}

int p9_link(P9 *s, const Arg *a, Out *o)
{
    const char *name;
    int to = folder_open(s, a[0].fid), from, result;

    if (to < 0)
        return to;
    from = fs_parent(s->fs, a[1].fid->path, &name);
    result = from < 0 ? from : linkat(from, name, to, a[2].s, 0) ? -errno : 0;
    if (from >= 0)
        close(from);
    close(to);
    return result;
}

/* ---- moved ---- */

/* Fids at and below what had one path have another now. */
static void paths_moved(P9 *s, const char *from, const char *to)
{
    size_t n = strlen(from);
    GHashTableIter i;
    gpointer value;

    g_hash_table_iter_init(&i, s->fids);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        Fid *f = value;
        char *moved;

        if (strncmp(f->path, from, n) != 0 || (f->path[n] && f->path[n] != '/'))
            continue;
        moved = g_strconcat(to, f->path + n, NULL);
        g_free(f->path);
        f->path = moved;
    }
}

/* from, to: paths. */
static int move(P9 *s, const char *from, const char *to)
{
    const char *old, *new;
    int a = fs_parent(s->fs, from, &old), b, result;

    if (a < 0)
        return a;
    b = fs_parent(s->fs, to, &new);
    result = b < 0 ? b : renameat(a, old, b, new) ? -errno : 0;
    if (!result)
        paths_moved(s, from, to);
    if (b >= 0)
        close(b);
    close(a);
    return result;
}

int p9_renameat(P9 *s, const Arg *a, Out *o)
{
    char *from = path_join(a[0].fid->path, a[1].s);
    char *to = path_join(a[2].fid->path, a[3].s);
    int result = move(s, from, to);

    g_free(from);
    g_free(to);
    return result;
}

int p9_rename(P9 *s, const Arg *a, Out *o)
{
    char *from = g_strdup(a[0].fid->path); /* which changes */
    char *to = path_join(a[1].fid->path, a[2].s);
    int result = move(s, from, to);

    g_free(from);
    g_free(to);
    return result;
}

/* ---- removed ---- */

int p9_unlinkat(P9 *s, const Arg *a, Out *o)
{
    int fd = folder_open(s, a[0].fid), result;

    if (fd < 0)
        return fd;
    result = unlinkat(fd, a[1].s, (int)a[2].n & AT_REMOVEDIR) ? -errno : 0;
    close(fd);
    return result;
}

/* The fid is gone whatever comes of it. */
int p9_remove(P9 *s, const Arg *a, Out *o)
{
    const char *name;
    int fd = s->fs->read_only ? -EROFS : fs_parent(s->fs, a[0].fid->path, &name);
    int result = fd;

    if (fd >= 0) {
        result = unlinkat(fd, name, 0) ? -errno : 0;
        if (result == -EISDIR)
            result = unlinkat(fd, name, AT_REMOVEDIR) ? -errno : 0;
        close(fd);
    }
    fid_drop(s, a[0].fid);
    return result;
}
