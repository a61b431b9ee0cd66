/* SPDX-License-Identifier: MIT */
/* The 9P server's session: fids, from a request to its operation, and the operations
 * that are about fids alone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "p9.h"

enum { RLERROR = 7, MOST_ARGS = 10, FIDS_OPEN_LEAST = 64 };

/* ---- fids ---- */

static void fid_free(gpointer data)
{
    Fid *f = data;

    if (f->fd >= 0)
        close(f->fd);
    g_free(f->path);
    g_free(f);
}

Fid *fid_new(P9 *s, u32 number, const char *path, u32 uid)
{
    Fid *f;

    if (g_hash_table_size(s->fids) >= P9_FIDS ||
        g_hash_table_contains(s->fids, GUINT_TO_POINTER(number)))
        return NULL;
    f = g_new(Fid, 1);
    *f = (Fid){number, g_strdup(path), -1, 0, uid};
    g_hash_table_insert(s->fids, GUINT_TO_POINTER(number), f);
    return f;
}

void fid_drop(P9 *s, Fid *f)
{
    s->open -= f->fd >= 0;
    g_hash_table_remove(s->fids, GUINT_TO_POINTER(f->number));
}

int fid_fd(P9 *s, Fid *f, int fd, int flags)
{
    if (s->open >= s->open_most) {
        close(fd);
        return -EMFILE;
    }
    s->open++;
    f->fd = fd;
    f->flags = flags;
    return 0;
}

char *path_join(const char *folder, const char *name)
{
    return *folder ? g_strconcat(folder, "/", name, NULL) : g_strdup(name);
}

/* ---- the session ---- */

/* Half of the descriptors this process may have are the guest's. */
static u32 open_most(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r))
        return FIDS_OPEN_LEAST;
    if (r.rlim_cur < r.rlim_max) {
        r.rlim_cur = MIN(r.rlim_max, 4 * P9_FIDS);
        if (setrlimit(RLIMIT_NOFILE, &r) || getrlimit(RLIMIT_NOFILE, &r))
            return FIDS_OPEN_LEAST;
    }
    return (u32)MIN(r.rlim_cur / 2, P9_FIDS);
}

P9 *p9_new(Fs *fs)
{
    P9 *s = g_new0(P9, 1);

    s->fs = fs;
    s->msize = P9_LEAST;
    s->open_most = open_most();
    s->fids = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, fid_free);
    return s;
}

void p9_reset(P9 *s)
{
    g_hash_table_remove_all(s->fids);
    s->open = 0;
    s->msize = P9_LEAST;
}

void p9_free(P9 *s)
{
    g_hash_table_destroy(s->fids);
    g_free(s);
}

int p9_version(P9 *s, const Arg *a, Out *o)
{
    bool known = !strcmp(a[1].s, "9P2000.L");

    if (a[0].n < P9_LEAST)
        return -EMSGSIZE;
    p9_reset(s);
    s->msize = (u32)MIN(a[0].n, P9_MOST);
    out_u32(o, s->msize);
    out_string(o, known ? "9P2000.L" : "unknown");
    return 0;
}

int p9_attach(P9 *s, const Arg *a, Out *o)
{
    struct stat st;
    int result = fs_stat(s->fs, "", &st);

    if (result)
        return result;
    if (!fid_new(s, (u32)a[0].n, "", (u32)a[4].n))
        return -EBADF;
    out_qid(o, s->fs, &st);
    return 0;
}

/* Each request is answered before the next is looked at: there is nothing to flush. */
int p9_flush(P9 *s, const Arg *a, Out *o) { return 0; }

int p9_clunk(P9 *s, const Arg *a, Out *o)
{
    fid_drop(s, a[0].fid);
    return 0;
}

/* The path that a walk leads to, and a qid for each step; NULL: it ends before. */
static char *walk_path(P9 *s, const char *from, u32 n, Out *o, u16 *done, int *error)
{
    char *path = g_strdup(from);

    for (*done = 0; *done < n; ++*done) {
        char *next = path_join(path, s->name[*done]);
        struct stat st;

        g_free(path);
        path = next;
        *error = fs_stat(s->fs, path, &st);
        if (*error) {
            g_free(path);
            return NULL;
        }
        out_qid(o, s->fs, &st);
    }
    return path;
}

int p9_walk(P9 *s, const Arg *a, Out *o)
{
    Fid *f = a[0].fid;
    u32 number = (u32)a[1].n, count_at = o->size;
    u16 done;
    int error = 0;
    char *path;

    out_u16(o, 0);
    path = walk_path(s, f->path, (u32)a[2].n, o, &done, &error);
    if (!path) {
        memcpy(o->bytes + count_at, &done, 2);
        return done ? 0 : error;
    }
    memcpy(o->bytes + count_at, &done, 2);
    if (number != f->number) {
        error = fid_new(s, number, path, f->uid) ? 0 : -EBADF;
        g_free(path);
    } else if (f->fd >= 0) {
        error = -EBUSY;
        g_free(path);
    } else {
        g_free(f->path);
        f->path = path;
    }
    return error;
}

/* ---- from a request to its operation ---- */

typedef struct Operation {
    const char *format;
    int (*f)(P9 *s, const Arg *a, Out *o);
    bool changes;
} Operation;

static const Operation operation[256] = {
#define X(number, name, format, changes) [number] = {format, p9_##name, changes},
    P9_OPERATIONS(X)
#undef X
};

static int operate(P9 *s, const Operation *op, u8 *body, u32 size, Out *o)
{
    Arg arg[MOST_ARGS] = {0};
    int result;

    if (!op->f)
        return -EOPNOTSUPP;
    result = p9_unpack(s, op->format, body, size, arg);
    if (!result && op->changes && s->fs->read_only)
        result = -EROFS;
    if (!result)
        result = op->f(s, arg, o);
    return !result && o->overflow ? -EMSGSIZE : result;
}

u32 p9_serve(P9 *s, u8 *request, u32 size, u8 *answer, u32 limit)
{
    Out o = {answer, P9_HEAD, MIN(limit, s->msize), false};
    u8 type = size > 4 ? request[4] : 0, answered = type + 1;
    u8 tag[2] = {0};
    int result = -EINVAL;

    if (size >= P9_HEAD) {
        memcpy(tag, request + 5, 2);
        result = operate(s, &operation[type], request + P9_HEAD, size - P9_HEAD, &o);
    }
    if (result) {
        o = (Out){answer, P9_HEAD, limit, false};
        answered = RLERROR;
        out_u32(&o, (u32)-result);
    }
    memcpy(answer, &o.size, 4);
    answer[4] = answered;
    memcpy(answer + 5, tag, 2);
    return o.size;
}

/* ---- saving ---- */

static void string_state(State *s, char **text)
{
    u32 n = *text ? strlen(*text) : 0;

    state_u32(s, &n);
    if (n >= P9_MOST)
        state_refuse(s, "a path that is too long");
    if (s->loading && !s->error) {
        g_free(*text);
        *text = g_malloc0(n + 1);
    }
    if (!s->error)
        state_bytes(s, *text, n);
}

/* A file that cannot be opened again is closed to the guest: -EBADF. */
static void fid_reopen(P9 *s, Fid *f)
{
    int fd = fs_open(s->fs, f->path, O_PATH, 0), again;

    if (fd < 0)
        return;
    again = fs_reopen(fd, f->flags);
    close(fd);
    if (again >= 0)
        fid_fd(s, f, again, f->flags);
}

static void fid_state(P9 *s, Fid *f, State *state)
{
    bool open = f->fd >= 0;

    state_u32(state, &f->number);
    string_state(state, &f->path);
    state_u32(state, &f->uid);
    state_bool(state, &open);
    state_u32(state, (u32 *)&f->flags);
    if (!state->loading || state->error)
        return;
    f->flags &= O_ACCMODE | O_APPEND | O_DIRECTORY | O_SYNC | O_DSYNC;
    if (s->fs->read_only)
        f->flags &= ~O_ACCMODE;
    if (open)
        fid_reopen(s, f);
}

static void fids_load(P9 *s, u32 n, State *state)
{
    p9_reset(s);
    for (u32 i = 0; i < n && !state->error; i++) {
        Fid *f = g_new(Fid, 1);

        *f = (Fid){.fd = -1};
        fid_state(s, f, state);
        if (!f->path || g_hash_table_contains(s->fids, GUINT_TO_POINTER(f->number))) {
            state_refuse(state, "two fids of one number");
            s->open -= f->fd >= 0;
            fid_free(f);
        } else {
            g_hash_table_insert(s->fids, GUINT_TO_POINTER(f->number), f);
        }
    }
}

void p9_state(P9 *s, State *state)
{
    u32 msize = s->msize, n = g_hash_table_size(s->fids);
    GHashTableIter i;
    gpointer f;

    state_u32(state, &msize);
    state_u32(state, &n);
    if (msize < P9_LEAST || msize > P9_MOST || n > P9_FIDS)
        state_refuse(state, "9P messages or fids beyond what there can be");
    if (state->error)
        return;
    if (state->loading) {
        fids_load(s, n, state);
        s->msize = msize;
        return;
    }
    g_hash_table_iter_init(&i, s->fids);
    while (g_hash_table_iter_next(&i, NULL, &f))
        fid_state(s, f, state);
}
