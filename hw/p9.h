/* SPDX-License-Identifier: MIT */
/*
 * A server of 9P2000.L (the Linux kernel's Documentation/filesystems/9p.rst and
 * diod's protocol.md) for one client: requests in, answers out, one after the other, on
 * any one thread.  What is asked for comes from a guest and may be anything.
 */
#ifndef TESSERA_P9_H
#define TESSERA_P9_H

#include "fs.h"

enum {
    P9_HEAD = 7, /* size[4] type[1] tag[2] */
    P9_LEAST = 4096,
    P9_MOST = 512 << 10,    /* bytes of a message */
    P9_FIDS = 1 << 16,      /* that a client may have */
    P9_NAMES = 16,          /* in one walk */
    P9_ERROR = P9_HEAD + 4, /* an Rlerror */
};

typedef struct P9 P9;

/* What a fid stands for. */
typedef struct Fid {
    u32 number;
    char *path; /* beneath the Fs's root */
    int fd;     /* -1: not open */
    int flags;  /* that it was opened with */
    u32 uid;    /* who uses it: new files' owner */
} Fid;

/* An argument, as the operation's format has it. */
typedef struct Arg {
    u64 n;   /* b h d q: a number; D N: how many bytes, names */
    char *s; /* n s: a string; D: the bytes */
    Fid *fid;
} Arg;

/* An answer under way. */
typedef struct Out {
    u8 *bytes;
    u32 size, limit;
    bool overflow; /* something did not fit, and is not there */
} Out;

struct P9 {
    Fs *fs;
    u32 msize;
    GHashTable *fids; /* number -> Fid * */
    u32 open, open_most;
    char *name[P9_NAMES]; /* of a walk's arguments */
};

P9 *p9_new(Fs *fs);
void p9_free(P9 *s);
void p9_reset(P9 *s); /* forgets all fids */
/* A request's bytes (which it spoils) to an answer of at most limit bytes; its size.
 * limit: P9_ERROR or more. */
u32 p9_serve(P9 *s, u8 *request, u32 size, u8 *answer, u32 limit);
void p9_state(P9 *s, State *state);

/* ---- p9.c, for the operations ---- */

/* NULL: the number is taken, or there are too many. */
Fid *fid_new(P9 *s, u32 number, const char *path, u32 uid);
void fid_drop(P9 *s, Fid *f);
int fid_fd(P9 *s, Fid *f, int fd, int flags); /* it is open now: 0; or -EMFILE */
char *path_join(const char *folder, const char *name);

/* ---- p9_wire.c ---- */

/* Takes a message's body apart by its operation's format: 0, or -errno.  Letters:
 * b h d q: numbers of 1, 2, 4, 8 bytes; f: a fid there is; s: a string; n: a name of
 * something in a folder; N: a walk's names; D: bytes. */
int p9_unpack(P9 *s, const char *format, u8 *body, u32 size, Arg *arg);
void out_u8(Out *o, u8 v);
void out_u16(Out *o, u16 v);
void out_u32(Out *o, u32 v);
void out_u64(Out *o, u64 v);
void out_string(Out *o, const char *s);
void out_qid(Out *o, const Fs *fs, const struct stat *s);
u64 qid_path(const Fs *fs, dev_t dev, u64 ino);

/* ---- the operations: 0, or -errno; what they answer goes to o ---- */

/*    number name         format        changes something */
#define P9_OPERATIONS(X)               \
    X(8, statfs, "f", false)           \
    X(12, lopen, "fd", false)          \
    X(14, lcreate, "fnddd", true)      \
    X(16, symlink, "fnsd", true)       \
    X(18, mknod, "fndddd", true)       \
    X(20, rename, "ffn", true)         \
    X(22, readlink, "f", false)        \
    X(24, getattr, "fq", false)        \
    X(26, setattr, "fddddqqqqq", true) \
    X(30, xattrwalk, "fds", false)     \
    X(32, xattrcreate, "fsqd", true)   \
    X(40, readdir, "fqd", false)       \
    X(50, fsync, "fd", false)          \
    X(52, lock, "fbdqqds", false)      \
    X(54, getlock, "fbqqds", false)    \
    X(70, link, "ffn", true)           \
    X(72, mkdir, "fndd", true)         \
    X(74, renameat, "fnfn", true)      \
    X(76, unlinkat, "fnd", true)       \
    X(100, version, "ds", false)       \
    X(104, attach, "ddssd", false)     \
    X(108, flush, "h", false)          \
    X(110, walk, "fdN", false)         \
    X(116, read, "fqd", false)         \
    X(118, write, "fqD", true)         \
    X(120, clunk, "f", false)          \
    X(122, remove, "f", false)

#define X(number, name, format, changes) int p9_##name(P9 *s, const Arg *a, Out *o);
P9_OPERATIONS(X)
#undef X

#endif
