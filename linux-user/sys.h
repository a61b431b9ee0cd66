/* SPDX-License-Identifier: MIT */
/*
 * What the files of system calls share: the table expanded from syscalls.def, the
 * translation of arguments, and -strace.  Not for the rest of linux-user.
 */
#ifndef TESSERA_SYS_H
#define TESSERA_SYS_H

#include <limits.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "user.h"

/* ---- syscall.c: the table, pass-through ---- */

typedef enum SysHow {
    SYS_NONE,
    SYS_LACK,
    SYS_PASS,
    SYS_WAIT,
    SYS_OWN,
    SYS_LAST
} SysHow;

typedef struct SysDesc {
    const char *name; /* NULL: no such number */
    u8 how, n;
    u8 kind[6];      /* KIND_*: what the arguments are */
    bool gives_addr; /* the result is an address */
    i16 host;        /* the host's number, when passed through */
    i64 (*fn)(Task *t, const u64 *arg);
    const char *why; /* of SYS_LACK */
} SysDesc;

/* NULL: no such system call. */
const SysDesc *sys_desc(u64 nr);

typedef enum ArgHow {
    VAL,
    MEM,
    PATH,
    IN,
    OUT,
    IO,
    IN_NEXT,
    OUT_NEXT,
    IN_PREV,
    OUT_PREV,
} ArgHow;

enum {
#define ARG(word, how, size, show, names) KIND_##word,
#include "sysargs.def"
#undef ARG
    KIND_COUNT
};

/* Host address of a guest address that the host's kernel will check. */
static inline u64 host_addr(const Task *t, u64 addr)
{
    const Space *s = &t->process->mem->space;

    if (addr == 0)
        return 0;
    return addr < s->size ? (u64)space_host(s, addr) : ~0ull << PAGE_BITS;
}

/* Like guest_ptr, but NULL for NULL.  False: -EFAULT is due. */
bool guest_opt(Task *t, u64 addr, u64 len, GuestAccess access, void **out);
/* How many bytes from addr on are accessible so, at most len. */
u64 guest_reach(Task *t, u64 addr, u64 len, GuestAccess access);
/* A guest path, looked up under the -L prefix; NULL for NULL.  buf: PATH_MAX bytes. */
i64 guest_path(Task *t, u64 addr, char *buf, const char **out);
/* Passes the call in t->sys through. */
i64 sys_pass(Task *t, const SysDesc *d, const u64 *arg);
/* Says once that the guest asked for something we do not have. */
void sys_unimp(const char *format, ...) PRINTF(1, 2);

/* The handlers' prototypes, all arguments as the guest's registers have them. */
#define ARGS_0
#define ARGS_1 , u64
#define ARGS_2 ARGS_1, u64
#define ARGS_3 ARGS_2, u64
#define ARGS_4 ARGS_3, u64
#define ARGS_5 ARGS_4, u64
#define ARGS_6 ARGS_5, u64
#define LACK(nr, name, why, n, ...)
#define PASS(nr, name, n, ...)
#define SAME(nr, name, n, ...)
#define WAIT(nr, name, n, ...)
#define SYS(nr, name, n, ...)  i64 sys_##name(Task *t ARGS_##n);
#define ADDR(nr, name, n, ...) SYS(nr, name, n)
#define LAST(nr, name, n, ...) SYS(nr, name, n)
#include "syscalls.def"
#undef LACK
#undef PASS
#undef SAME
#undef WAIT
#undef SYS
#undef ADDR
#undef LAST

/* ---- sys_iov.c: vectors of buffers ---- */

enum { IOV_SMALL = 16 };

/* A guest's iovec array with host addresses; freed by iov_free. */
typedef struct Iov {
    struct iovec *v;
    size_t n;
    struct iovec small[IOV_SMALL];
} Iov;

i64 iov_read(Task *t, Iov *iov, u64 addr, u64 n, GuestAccess access);
void iov_free(Iov *iov);

/* ---- sys_proc_files.c: files of /proc that must show the guest ---- */

/* An open file with what the guest shall see instead of path; -ENOENT: path is an
 * ordinary file. */
i64 proc_open(Task *t, i64 dir, const char *path, int flags);
/* Is the descriptor one of the own process's folders of descriptors? */
bool proc_lists_fds(int fd);

/* ---- sys_uring.c ---- */

/* The guest maps a part of a ring, which is there already; -ENODEV: fd is no ring's. */
i64 uring_mmap(Task *t, u64 addr, u64 len, u64 offset, i32 flags, i32 fd);
/* Descriptors in [first, last] are about to be closed; there are rings. */
void uring_close(Task *t, u64 first, u64 last);

/* ---- sys_userfault.c ---- */

i64 userfault_ioctl(Task *t, u64 fd, u32 request, u64 size, u64 arg);

/* ---- ptrace_memory.c ---- */

/* The guest is about to open the file, which may be a process's memory. */
void ptrace_note_open(Task *t, const char *path);
/* process_vm_readv and process_vm_writev of another process. */
i64 ptrace_transfer(Task *t, long nr, const u64 *a, const Iov *local);

/* ---- sys_seccomp.c ---- */

/* Filters forbid the call in t->sys: its result instead. */
bool seccomp_stops(Task *t, i64 *result);
/* PR_SET_SECCOMP, PR_GET_SECCOMP */
i64 seccomp_prctl(Task *t, u64 mode, u64 addr);
i64 seccomp_mode(const Task *t);
u32 seccomp_count(const Task *t);
/* The id of the newest filter that is the thread's alone; 0: none. */
u32 seccomp_newest(const Task *t);
/* PR_GET_NO_NEW_PRIVS */
i64 seccomp_no_new_privs(const Task *t);
/* The guest's AUDIT_ARCH_*. */
u32 seccomp_arch(const Task *t);

/* A filter of another process. */
typedef struct SeccompView {
    u64 program; /* a host address there */
    u32 n, flags;
} SeccompView;

/* Where the thread's lists begin, for those who trace it. */
void seccomp_heads(const Task *t, u64 heads[2]);
/* May the thread see others' filters, and suspend them? */
bool seccomp_may_look(const Task *t);
/* The nth filter, oldest first, of the thread whose heads these are; t asks. */
i64 seccomp_look(const Task *t, i32 tid, const u64 heads[2], u64 nth, SeccompView *out);

/* ---- seccomp_listen.c ---- */

/* A listener for a filter: a descriptor, or -errno.  turn: above 0 and those of the
 * caller's other filters; flags: of seccomp(2). */
int seccomp_listen(u32 turn, u32 flags);
/* Tells it (turn 0: there is none) of the call in t->sys; false: go on with that. */
bool seccomp_notify(Task *t, u32 turn, i64 *result);
/* SECCOMP_IOCTL_NOTIF_RECV and SEND */
i64 seccomp_ioctl(Task *t, u64 fd, u64 request, u64 addr);

/* ---- structures whose layout is not the host's ---- */

typedef struct GuestStat {
    u64 dev, ino;
    u32 mode, nlink, uid, gid;
    u64 rdev, pad1;
    i64 size;
    i32 blksize, pad2;
    i64 blocks;
    i64 atime;
    u64 atime_nsec;
    i64 mtime;
    u64 mtime_nsec;
    i64 ctime;
    u64 ctime_nsec;
    u32 unused[2];
} GuestStat;

typedef struct GuestEpollEvent { /* packed on x86-64 */
    u32 events, pad;
    u64 data;
} GuestEpollEvent;

typedef struct GuestTimespec {
    i64 sec, nsec;
} GuestTimespec;

_Static_assert(sizeof(GuestStat) == 128, "asm-generic/stat.h");
_Static_assert(sizeof(GuestEpollEvent) == 16, "natural alignment");

/* ---- strace.c ---- */

/* One line for a system call that has returned. */
void strace_call(Task *t, const SysDesc *d, const u64 *arg, i64 result);
/* The same for a call made a while ago; what it points to is as it is now. */
void strace_put(FILE *f, Task *t, const SysCall *call, i64 result);
/* One line for a system call that may not return. */
void strace_last(Task *t, const SysDesc *d, const u64 *arg);

#endif
