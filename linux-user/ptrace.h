/* SPDX-License-Identifier: MIT */
/*
 * ptrace(2) between guest processes, without the host's: a guest thread stops where its
 * guest's state is whole, in its own loop, and nothing that we do in between (faults on
 * translated code, our own signals) is ever seen.  Each process has a board, at the
 * same place of its program file; each of its threads has a slot there.  A stopped
 * thread puts its registers and the reason in its slot, tells its tracer by a signal (a
 * kick) and waits.  The tracer reads and writes slots and memory as any process with
 * the right to (process_vm_readv), so whoever may not trace gets EPERM from the kernel
 * itself, and a process that is not of this program file cannot be traced.  A kick
 * carries no more than "look": the signal is one that the host never has blocked and
 * need not queue.
 *
 *   ptrace.c        the tracee: slots, kicks, being stopped
 *   ptrace_stops.c  the tracee: what it stops for
 *   ptrace_family.c the tracee: clone, execve, the end
 *   ptrace_board.c  the tracer: other processes' boards, the list of tracees
 *   ptrace_memory.c its memory as a file, process_vm_readv
 *   sys_ptrace.c    its requests
 *   ptrace_peek.c   those about queued signals and filters
 *   sys_wait.c      wait4, waitid: tracees and children
 */
#ifndef TESSERA_TRACEE_H
#define TESSERA_TRACEE_H

#include <linux/ptrace.h>
#include <stdatomic.h>
#include "sig.h"

enum {
    TRACEE_SLOTS = 2048,
    TRACEE_WRITES = 64,
    TRACEE_SETS = 2,
    TRACEE_SET_WORDS = 33,
    TRACEE_SIGNAL = SIGFPE, /* of kicks */
};

typedef enum PtraceState {
    TRACEE_RUNS,
    TRACEE_STOPPED,
    TRACEE_EXITED, /* code: the wait status */
} PtraceState;

typedef enum PtraceKind {
    TRACEE_AT_NOTHING,
    TRACEE_AT_SIGNAL, /* about to be delivered */
    TRACEE_AT_ENTRY,
    TRACEE_AT_RETURN,
    TRACEE_AT_SECCOMP,
    TRACEE_AT_EVENT,
    TRACEE_AT_GROUP, /* stopped with all of its process */
} PtraceKind;

typedef enum PtraceCommand {
    TRACEE_WAIT,
    TRACEE_CONT,
    TRACEE_CALL, /* to the next system call's begin or end */
    TRACEE_STEP,
    TRACEE_LISTEN,
    TRACEE_DETACH,
} PtraceCommand;

/* What the tracer (or the guest's kill) wants of a thread that may run; a byte each,
 * since others write them. */
typedef union PtraceWish {
    struct {
        _Atomic u8 adopted;   /* there is a new tracer, or none any more */
        _Atomic u8 sigstop;   /* SIGSTOP, sent by stop_sender */
        _Atomic u8 interrupt; /* PTRACE_INTERRUPT */
        _Atomic u8 group;     /* a signal: its process stops */
        _Atomic u8 park;      /* its process ends */
    };
    _Atomic u64 any;
} PtraceWish;

typedef struct PtraceOrder {
    u32 command; /* PtraceCommand */
    i32 signal;
} PtraceOrder;

enum { TRACEE_DIRTY_INFO = 1, TRACEE_DIRTY_MASK = 2, TRACEE_DIRTY_SETS = 4 };

typedef struct PtraceSlot {
    _Atomic i32 tid; /* 0: free */
    i32 pid;
    _Atomic i32 tracer; /* pid; 0: none */
    i32 tracer_tid;
    u32 seized, options;
    _Atomic u32 state, serial; /* serial: of the stop */
    u32 code;                  /* of the stop: a wait status >> 8 */
    u32 kind;
    u64 message; /* PTRACE_GETEVENTMSG */
    _Alignas(8) PtraceOrder order;
    PtraceWish wish;
    i32 stop_sender;
    u32 stop_sender_uid;
    u32 seen;      /* serial of the stop that wait4 has reported */
    u32 mode;      /* the last command that let it run */
    u32 dies_with; /* the kernel kills it when the tracer, its parent, ends */
    u32 dirty;     /* what the tracer has changed; TRACEE_DIRTY_SETS << set */
    u64 mask;
    siginfo_t info;
    SysCall sys;
    i64 result;
    u32 seccomp_data;
    u64 seccomp[2];     /* seccomp_heads */
    _Atomic u32 filter; /* seccomp_newest, always */
    u64 pc, sp;
    u64 set[TRACEE_SETS][TRACEE_SET_WORDS]; /* as in AbiRegset */
} PtraceSlot;

typedef struct PtraceWrite {
    u64 addr, len;
} PtraceWrite;

typedef struct PtraceBoard {
    _Atomic u64 ready; /* TRACEE_READY */
    u64 base, size;    /* of the guest's memory */
    u64 map;           /* host address of its Extents: what is mapped */
    _Atomic u32 n;     /* no slot above is used */
    _Atomic u32 n_writes;
    PtraceWrite writes[TRACEE_WRITES]; /* what tracers wrote, by n_writes modulo */
    PtraceSlot slot[TRACEE_SLOTS];
} PtraceBoard;

#define TRACEE_READY 0x31656361725421ull

extern PtraceBoard ptrace_board;

/* ---- ptrace.c ---- */

enum {
    TRACEE_KICK = 1,
    TRACEE_TELL = 2,
    TRACEE_TELL_SIGCHLD = 4,
    TRACEE_WAKE = 8,
    TRACEE_LEAVE = 16,
};

/* Sends a kick; what: TRACEE_KICK to a tracee, TRACEE_LEAVE to any thread, else to a
 * tracer; code: si_status. */
i64 ptrace_kick(i32 pid, i32 tid, u32 what, u32 code);
PtraceSlot *ptrace_slot_new(Task *t, i32 tid);
/* Publishes a stop; info NULL: one of SIGTRAP with the code. */
void ptrace_publish(Task *t, PtraceSlot *s, PtraceKind kind, u32 code, u64 message,
                    const siginfo_t *info);
/* Waits there for the tracer; returns the signal it sends. */
int ptrace_wait(Task *t);
/* Until the process is gone, which another thread ends. */
_Noreturn void ptrace_park(void);
int ptrace_stop(Task *t, PtraceKind kind, u32 code, u64 message, const siginfo_t *info);
void ptrace_tell(const PtraceSlot *s, u32 what);
/* Slots of the process: the next at or above *i; NULL: no more. */
PtraceSlot *ptrace_next(u32 *i, i32 pid);
bool ptrace_tracer_lives(const PtraceSlot *s);
/* The task and its process follow what the slots say. */
void ptrace_adopt(Task *t);
bool ptrace_wants(const Task *t, u32 event);
/* The process (tid 0), or a thread of it, is a tracer no more. */
void tracer_end(Process *p, i32 tid);
/* That tracer is one no more; the process dies with it, if it wanted that. */
void ptrace_release(Task *t, PtraceSlot *s, i32 tracer);

/* ---- ptrace_board.c: what the tracer knows ---- */

typedef struct Tracee {
    i32 pid, tid, tracer_tid;
    u64 slot;            /* host address in its process; 0: not known (yet) */
    u64 board;           /* the same */
    u64 base, size, map; /* as on the board */
    u32 told;            /* PtraceSlot.seen */
} Tracee;

enum { TRACEE_NEWS = 32, TRACEE_WAITERS = 16 };

struct Tracer {
    Lock lock;
    i32 pid;
    struct _GArray *tracees; /* Tracee */
    Tracee asker; /* not one: who has last told a seccomp listener something */
    _Atomic u32 n_news;
    _Atomic i32 news[TRACEE_NEWS]; /* threads that have told something; 0: empty */
    _Atomic u32 soon;              /* somebody has told something, or is about to end */
    _Atomic u32 writes_seen;       /* of our own board */
    bool mem_files;                /* the guest has opened /proc/PID/mem */
    bool stranger;                 /* our own tracer is one that we may not look at */
    _Atomic i32 waiters[TRACEE_WAITERS]; /* tids of threads in wait4; 0: empty */
};

bool board_read(i32 tid, u64 from, void *to, size_t len);
bool board_write(i32 tid, u64 to, const void *from, size_t len);
/* Is there such a thread, and its memory ours to read? */
bool board_may_look(i32 tid);
/* The thread's slot; 0, -ESRCH, -EPERM (also: no guest's), -EAGAIN (its process is not
 * ready yet), -ENOENT (the thread is not, or is one of ours). */
i64 board_find(i32 tid, Tracee *out);
/* The same when a process may have just begun, or called execve: 0, -ESRCH, -EPERM. */
i64 board_await(i32 tid, Tracee *out);
/* The fields before set[], or all of it. */
bool tracee_read(Tracee *e, PtraceSlot *out, bool all);
#define TRACEE_PUT(e, field, value)                                         \
    board_write((e)->tid, (e)->slot + offsetof(PtraceSlot, field), (value), \
                sizeof *(value))

/* The lock is held for all of these. */
Tracee *tracee_find(const Tracer *r, i32 tid);
Tracee *tracee_add(Tracer *r, const Tracee *e);
void tracee_remove(Tracer *r, i32 tid);
/* There is no such thread, or it is dead. */
bool tracee_gone(const Tracee *e);
/* Detaches; signal: what it is sent. */
void tracee_let_go(Tracee *e, int signal);
/* Threads that have told us something become known. */
void tracer_look(Tracer *r);
/* Lets a stopped one go on. */
bool tracee_order(Tracee *e, PtraceCommand command, int signal);
void tracee_wish(Tracee *e, size_t field, u8 value);
/* Guest memory of its process; how many bytes were done. */
size_t tracee_memory(Tracee *e, u64 addr, void *bytes, size_t len, bool write);
/* How many bytes from addr on its guest has mapped, at most len. */
u64 tracee_mapped(const Tracee *e, u64 addr, u64 len);
/* Memory was written behind its back. */
void tracee_wrote(Tracee *e, u64 addr, u64 len);

/* ---- ptrace_peek.c: requests that only look; arguments as ptrace(2)'s ---- */

bool ptrace_is_kick(const siginfo_t *info);
i64 ptrace_peek_siginfo(Task *t, i32 tid, u64 addr, u64 data);
i64 ptrace_get_filter(Task *t, const PtraceSlot *s, u64 nth, u64 data);
i64 ptrace_get_filter_flags(Task *t, const PtraceSlot *s, u64 size, u64 data);

#endif
