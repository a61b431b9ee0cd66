/* SPDX-License-Identifier: MIT */
/*
 * Linux user mode: one host process is one guest process, one host thread one guest
 * thread, with the same pid and tid.  Guest memory is a window of host memory, so a
 * system call is mostly the host's with its addresses moved; guest signal actions
 * and masks are mirrored in the host kernel, which keeps queues and wait statuses.
 *
 *   main.c -> options.c -> elf.c (loads) -> riscv64.c (the loop: exec_run, then
 *   syscall_run or a signal) -> syscall.c, sys_*.c, task.c, mem.c, signal.c
 *
 * Functions that stand for a system call return its value or -errno.  Their u64
 * arguments called addr, act, set... are guest addresses.
 */
#ifndef TESSERA_USER_H
#define TESSERA_USER_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include "../tcache/lock.h"
#include "../tcache/tcache.h"
#include "abi.h"

typedef struct Process Process;
typedef struct Abi Abi;
typedef struct Task Task;
typedef struct ExplainFile ExplainFile;
typedef struct Symbols Symbols;
typedef struct Gdb Gdb;
typedef struct Seccomp Seccomp;
typedef struct Tracer Tracer;
typedef struct PtraceSlot PtraceSlot;

/* What syscall_run may return besides a value or -errno. */
enum {
    SYS_RESTART_SA =
        -512, /* interrupted: again if the handler has SA_RESTART, else EINTR */
    SYS_RESTART = -513, /* not begun: deliver signals, then again in any case */
    SYS_KEEP = -514, /* the registers are already as they must be (or the task ends) */
    SYS_RESTART_IDLE = -515, /* interrupted: again unless a handler runs */
};

typedef struct SysCall {
    u64 nr, arg[6];
} SysCall;

/* ---- options.c: one table of options ---- */

typedef struct Options {
    const char *prefix; /* -L; NULL: none */
    const char *argv0;  /* -0 */
    const char *cpu;    /* -cpu */
    const char *log_items, *log_file, *log_filter;
    const char *accel;   /* -accel: jit, interp */
    const char *explain; /* -explain */
    const char *gdb;     /* -g; NULL: no debugger */
    const char *seccomp; /* -seccomp; NULL: no filters were handed on */
    const char *ptrace;  /* -ptrace; NULL: no tracer was */
    const char *open;    /* -program; NULL: it is not open */
    char **set_env;      /* -E and -U in order, "NAME=VALUE" or "NAME" */
    size_t n_set_env;
    u64 stack_size; /* -s; 0: RLIMIT_STACK */
    u64 reserve;    /* -R; 0: the default */
    u64 guest_base; /* -B; 0: where the host likes */
    u64 tb_size;    /* -tb-size; 0: the default */
    u64 seed;       /* -seed */
    bool seed_given, strace, one_insn, perfmap, jitdump;
    bool binfmt; /* -by-kernel: binfmt_misc brought us here; execve may ask it again */
    int program_fd;    /* the program, open already; -1: program is its path */
    const char *crash; /* -crash: off, on or a file's name; NULL: a line */
    const char *core;  /* -core: off or a file's name; NULL: as RLIMIT_CORE says */
    const char *stats; /* -stats; NULL: no, else what stats.c knows */
    const char *cache; /* -cache; NULL: on, else what saved.c knows */
    const char *program,
        *filename; /* filename: as the kernel was told; NULL: program */
    char **args;   /* the guest's argv[1..], NULL-terminated */
} Options;

/* Parses variables, then the command line.  Ends the program on -help, -version
 * and bad options. */
void options_parse(Options *o, const Abi *abi, int argc, char **argv);
/* The N of fd:N, as a tessera that executes another hands things on; -1: it is not
 * that. */
int options_fd(const char *text);
/* The command line that makes another tessera behave as this one: options only,
 * argv[0] first, without -E, -U and -0, and room for more.  One block, for free(). */
char **options_argv(const Options *o, size_t room, size_t *n);
/* "0x10", with size "64k"; false: it is no number. */
bool options_number(const char *text, bool size, u64 *out);
/* The guest's environment: the host's after -E and -U. */
char **options_env(const Options *o, char **environ);
/* "tessera-GUEST: ..." to stderr, exit. */
_Noreturn void fatal(int status, const char *format, ...) PRINTF(2, 3);

/* ---- binfmt.c: -binfmt, and what the kernel tells us then ---- */

/* install, remove, check or print; returns the exit status. */
int binfmt_run(const Abi *abi, const char *action);
/* The kernel started us for a program: it and its arguments, no options.  False: a
 * command line as any other. */
bool binfmt_started(Options *o, int argc, char **argv);

/* ---- extents.c: which guest addresses are mapped ---- */

typedef struct Extent {
    u64 start, end;
} Extent;

/* Sorted; neighbours are merged. */
typedef struct Extents {
    Extent *at;
    size_t n, max;
} Extents;

bool extents_add(Extents *e, u64 start, u64 end); /* false: no memory */
bool extents_remove(Extents *e, u64 start, u64 end);
/* Is all of it mapped?  Any of it? */
bool extents_cover(const Extents *e, u64 start, u64 end);
bool extents_touch(const Extents *e, u64 start, u64 end);
/* The highest free range of len bytes within [low, high), or -1. */
u64 extents_gap(const Extents *e, u64 len, u64 low, u64 high);
/* The mapped part at or above *start and below end; false: none left. */
bool extents_next(const Extents *e, u64 start, u64 end, Extent *out);

/* ---- mem.c: guest memory ---- */

typedef struct Memory {
    Space space;
    Lock lock; /* maps change one at a time */
    Extents map;
    Extents sealed;      /* by mseal */
    Extents flagged;     /* where page flags may be other than 0: all but PROT_NONE */
    struct _GArray *shm; /* of Extent: shmat's; NULL: never any */
    u64 low;             /* first address for mmap (vm.mmap_min_addr) */
    u64 high; /* below it are programs, stacks and mappings that can be anywhere */
    u64 top;  /* mmap searches down from here, and above high when that is full */
    u64 brk_start, brk;
    u64 stack_start, stack_end; /* the main thread's */
    u64 return_page;            /* code that calls rt_sigreturn */
    _Atomic u32 code_maps; /* goes up when other files' code may have been mapped */
} Memory;

typedef enum GuestAccess {
    GUEST_READ = PAGE_READ,
    GUEST_WRITE = PAGE_WRITE
} GuestAccess;

/* Host address of [addr, addr+len); NULL when a page of it is not accessible so.
 * GUEST_WRITE drops translated code in there and makes it writable; use the pointer
 * for this system call only.  len 0: never NULL. */
void *guest_ptr(Task *t, u64 addr, u64 len, GuestAccess access);
/* Copies; false: some byte is not accessible (even when another thread unmaps it
 * meanwhile). */
bool guest_read(Task *t, void *to, u64 addr, u64 len);
bool guest_write(Task *t, u64 addr, const void *from, u64 len);
/* guest_read and guest_write of a variable: GET(t, addr, &var). */
#define GET(t, addr, to)   guest_read(t, to, addr, sizeof *(to))
#define PUT(t, addr, from) guest_write(t, addr, from, sizeof *(from))
/* A guest string, at most max bytes with its NUL (longer: -ENAMETOOLONG; not
 * readable: -EFAULT).  Returns its length; *out points into guest memory. */
i64 guest_string(Task *t, u64 addr, u64 max, const char **out);

/* Reserves the window (-R, -B).  False: errno. */
bool mem_init(Memory *m, const Options *o);
i64 mem_mmap(Task *t, u64 addr, u64 len, int prot, int flags, int fd, u64 offset);
i64 mem_munmap(Task *t, u64 addr, u64 len);
i64 mem_mremap(Task *t, u64 addr, u64 old_len, u64 new_len, int flags, u64 new_addr);
i64 mem_mprotect(Task *t, u64 addr, u64 len, int prot);
i64 mem_brk(Task *t, u64 addr);
i64 mem_madvise(Task *t, u64 addr, u64 len, int advice);
/* offset: in pages */
i64 mem_remap_file(Task *t, u64 addr, u64 len, u64 offset, int flags);
i64 mem_msync(Task *t, u64 addr, u64 len, int flags);
i64 mem_mincore(Task *t, u64 addr, u64 len, u64 vec);
i64 mem_seal(Task *t, u64 addr, u64 len, u64 flags);
i64 mem_mlock(Task *t, u64 addr, u64 len, int flags); /* flags as mlock2 */
i64 mem_munlock(Task *t, u64 addr, u64 len);
i64 mem_shmat(Task *t, int id, u64 addr, int flags);
i64 mem_shmdt(Task *t, u64 addr);
/* Is every page of the range mapped? */
bool mem_mapped(Memory *m, u64 addr, u64 len);
/* Text for "which mapping is addr in": path+offset, [stack], [heap], anonymous,
 * unmapped. */
void mem_describe(Process *p, u64 addr, char *out, size_t size);

/* ---- symbols.c: names of guest addresses ---- */

typedef struct Symbol {
    const char *name; /* remains valid; known false: the file's, without folders */
    const char *file; /* host path */
    u64 start, size;  /* guest addresses; size 0: up to the next one */
    u64 offset;       /* from start to the address asked for */
    bool known;       /* else start is where the file's address 0 would be */
} Symbol;

/* True: go on. */
typedef bool (*SymbolVisit)(void *ctx, const Symbol *symbol);

/* lock is the caller's, for good. */
Symbols *symbols_new(const Memory *m, const char *prefix, Lock *lock);
/* What code is at addr?  False: none of a file. */
bool symbols_find(Symbols *s, u64 addr, Symbol *out);
/* The same for CacheOptions.symbol. */
const char *symbols_name(void *symbols, u64 addr, u64 *offset);
/* Is addr in a symbol that the pattern names?  Shell patterns: NAME or FILE:NAME. */
bool symbols_match(Symbols *s, u64 addr, const char *pattern);
/* Every symbol that it names in code mapped now.  visit may not call symbols_*. */
void symbols_each(Symbols *s, const char *pattern, SymbolVisit visit, void *ctx);
/* For log_set_namer: is the pc in a symbol that -dfilter names? */
bool symbols_in_filter(void *symbols, u64 pc);
/* Says in the log, once, which names of -dfilter mean nothing mapped by now. */
void symbols_check_filter(Symbols *s);
void symbols_lock(Symbols *s); /* around fork */
void symbols_unlock(Symbols *s);

/* ---- elf.c: loading programs ---- */

typedef struct Image {
    u64 entry;    /* of the program */
    u64 start_pc; /* where to begin: the interpreter's entry or entry */
    u64 phdr, interp_base;
    u16 n_phdr;
    u64 start, end; /* mapped range of the program */
    bool exec_stack;
} Image;

typedef enum FileKind {
    FILE_GUEST,  /* a program for us */
    FILE_SCRIPT, /* #! */
    FILE_HOST,   /* a program for this host */
    FILE_OTHER,
} FileKind;

/* Loads p->program, builds the stack and sets the registers; ends the program with
 * one line and 126 or 127 when it cannot. */
void elf_exec(Task *t, char **envp);
/* Could execve run this host path?  0 or -errno; *kind: of the file, or of the
 * interpreter at the end of a chain of scripts. */
i64 elf_probe(const Process *p, const char *host_path, FileKind *kind);
/* The host's path for a guest path: inside the -L prefix when it exists there, else
 * as it is (path or out).  out: PATH_MAX bytes. */
const char *path_host(const Process *p, const char *path, char *out);
/* The other way round. */
const char *path_guest(const Process *p, const char *path);

/* ---- signal.c ---- */

enum { SIGNALS = 64, SIGNAL_QUEUE = 16, SIGNAL_ALTSTACK = 64 * 1024 };

/* A guest's struct sigaction, as the kernel sees it. */
typedef struct SigAction {
    u64 handler, flags, mask;
} SigAction;

typedef struct SigStack {
    u64 sp;
    i32 flags;
    u64 size;
} SigStack;

static inline u64 signal_bit(int sig) { return 1ull << (sig - 1); }

void signal_init(Process *p); /* fault handlers */
/* Blocked in the host whatever the guest says, but while generated code runs. */
u64 signal_ours(void);
/* altstack: SIGNAL_ALTSTACK bytes for the host's handlers; mask from t->mask. */
void signal_thread_begin(Task *t, void *altstack);
void signal_thread_end(Task *t);

/* rt_sigaction, rt_sigprocmask, sigaltstack, rt_sigpending, rt_sigsuspend,
 * rt_sigtimedwait, rt_sigreturn */
i64 signal_action(Task *t, int sig, u64 act, u64 old, u64 set_size);
i64 signal_mask(Task *t, int how, u64 set, u64 old, u64 set_size);
i64 signal_altstack(Task *t, u64 stack, u64 old);
i64 signal_pending(Task *t, u64 set, u64 set_size);
i64 signal_suspend(Task *t, u64 set, u64 set_size);
i64 signal_timedwait(Task *t, u64 set, u64 info, u64 timeout, u64 set_size);
i64 signal_return(Task *t);

/* For ppoll, pselect6, epoll_pwait...: a guest mask that holds until the system call
 * is over and its signals are delivered.  Call before safe_syscall, which then takes
 * no mask of its own. set 0: nothing.  Returns 0, -errno, or SYS_RESTART: return it. */
i64 signal_mask_for_call(Task *t, u64 set, u64 set_size);

/* Raises a signal that cannot be blocked or ignored (a trap); code: si_code. */
void signal_force(Task *t, int sig, int code, u64 addr);
void signal_force_info(Task *t, siginfo_t *info);
/* A signal waits that may be delivered now. */
bool signal_ready(const Task *t);
/* Between exec_run and exec_run: delivers what is there.  restart: the result of the
 * system call just made (else 0), when it is SYS_RESTART or SYS_RESTART_SA; decides
 * between EINTR and again, before frames are built. */
void signal_deliver(Task *t, i64 restart);
/* While on, signals whose default action is to end or stop the process are delivered
 * by us, so that a debugger sees them. */
void signal_intercept(Process *p, bool on);
/* Likewise, for these signals. */
void signal_take(Process *p, u64 signals);
/* The same of all signals, for a tracer. */
void signal_watch(Process *p, bool on);
/* Ends this process by the signal, as its default action would. */
_Noreturn void signal_die(Task *t, int sig);
/* Does not return where another thread dies of a signal. */
void signal_let_die(const Process *p);

/* ---- host_x86_64.c: what needs assembler ---- */

/* A host system call that a guest signal interrupts: when one is pending already it
 * is not begun (SYS_RESTART), without a race.  Else the value or -errno, or
 * SYS_RESTART_SA: the kernel would restart it after a handler with SA_RESTART. */
i64 safe_syscall_6(long nr, long a, long b, long c, long d, long e, long f);
#define SAFE_7_(nr, a, b, c, d, e, f, ...) \
    safe_syscall_6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define safe_syscall(...) SAFE_7_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* A host system call without libc: the value or -errno, never restarted. */
i64 host_syscall_6(long nr, long a, long b, long c, long d, long e, long f);
#define HOST_7_(nr, a, b, c, d, e, f, ...) \
    host_syscall_6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define host_syscall(...) HOST_7_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* A libc call's result: the value or -errno. */
static inline i64 host(i64 r) { return r == -1 ? -errno : r; }

/* Copies between places of which one may be guest memory; false: a host fault on the
 * way. */
bool fault_copy(void *to, const void *from, size_t len);
/* The context was in there: makes it return false. */
bool context_leave_copy(ucontext_t *context);
/* The context was in safe_syscall: makes it not begin, or not again. */
void context_leave_syscall(ucontext_t *context);
/* Returning to the context calls fn, which does not return. */
void context_call(ucontext_t *context, void (*fn)(void));
/* rt_sigaction(2) itself: libc's withholds the signals that it uses.  handler as in
 * struct sigaction; returns 0 or -errno. */
i64 host_sigaction(int sig, void *handler, u64 flags, u64 mask);
/* The host's handler: SIG_DFL, SIG_IGN or another. */
void *host_sighandler(int sig);

/* ---- task.c, task_exec.c: processes and threads ---- */

struct Process {
    Options options;
    const Abi *abi;
    const Guest *guest;
    Memory *mem; /* shared with a vfork child */
    Cache *cache;
    Symbols *symbols;
    const char *program;  /* as the user or execve named it; a script's interpreter */
    const char *filename; /* the script, where it is one, else the same: AT_EXECFN */
    char *exe;            /* its absolute path: /proc/self/exe; NULL: see below */
    int exe_fd;           /* our own binary, -1: not opened yet */
    char **argv;          /* the guest's argv */
    u64 arg_start, arg_end, env_start, env_end, auxv_start, auxv_end; /* on the stack */
    Image image;
    ExplainFile *explain; /* NULL: no -explain */
    SigAction actions[SIGNALS + 1];
    u64 actions_known; /* bit of a signal: actions[] is valid, else ask the host */
    Lock signal_lock, symbols_lock;
    _Atomic u32 n_tasks;
    Gdb *gdb;                   /* NULL: without a debugger's stub */
    bool signals_watched;       /* a debugger wants to know of all that would end it */
    bool notes_calls;           /* for -crash */
    u64 core_signals;           /* those that we kill by, to write a core file */
    _Atomic i32 dying;          /* the process whose thread dies of a signal */
    bool traced;                /* a tracer wants to know of all signals */
    Tracer *tracer;             /* the tracer that the guest may be */
    Seccomp *_Atomic seccomp;   /* filters of all threads */
    _Atomic u32 seccomp_ids;    /* the last one's */
    _Atomic bool no_new_privs;  /* of all threads; their host's may lag behind */
    struct _GHashTable *aio;    /* contexts of io_setup; NULL: never any */
    struct _GHashTable *rings;  /* of io_uring_setup; the same */
    _Atomic u32 unimp_said[32]; /* bit per system call: said under -d unimp */
};

struct Task {
    Env *env;
    Process *process;
    i32 tid;
    SysCall sys;         /* the system call being made */
    struct GdbTask *gdb; /* NULL: no debugger has a say */
    PtraceSlot *ptrace;  /* NULL: there was no room for it */
    bool traced;         /* it has a tracer */
    bool waiting;        /* in wait4: kicks of tracees interrupt it */
    bool kicked;         /* a kick may have interrupted the system call */
    u64 again_pc;        /* of the call that has last been begun again */
    u64 sleep_pc;        /* of a sleep that was interrupted; and what was left of it */
    struct timespec sleep_left;
    bool kick_soon; /* the timer runs that sends one */
    i32 kick_timer; /* its id + 1; 0: none yet */

    Seccomp *_Atomic seccomp; /* filters of its own; NULL: none */
    bool seccomp_strict;

    /* signals */
    u64 mask;       /* guest's */
    u64 saved_mask; /* while rt_sigsuspend, ppoll... have theirs */
    bool mask_saved;
    SigStack altstack;
    _Atomic u32 n_queued;
    siginfo_t queue[SIGNAL_QUEUE]; /* si_signo 0: an empty slot */
    u32 queue_turn[SIGNAL_QUEUE];  /* in which order they came */
    u32 queue_turns;
    _Atomic u32 interrupted; /* read by safe_syscall: do not begin */
    void *recover;           /* jmp_buf of a system call that touches guest memory */

    /* the end */
    u64 clear_child_tid;
    u64 robust_list, robust_len;
    bool exiting;
    int exit_code;
    bool vfork_child;
    void *left[3]; /* a vfork child's, when execve succeeds: the parent frees it */
};

typedef struct CloneArgs {
    u64 flags; /* CLONE_*, without the exit signal */
    int exit_signal;
    u64 stack; /* the new sp; 0: the caller's */
    u64 tls;
    u64 pidfd, parent_tid, child_tid; /* guest addresses */
    const i32 *tids; /* of the child in its pid namespaces; fork only, as cgroup */
    u64 n_tids;
    int cgroup; /* with CLONE_INTO_CGROUP */
} CloneArgs;

/* The running thread's; NULL before it is one. */
extern __thread Task *task_self;

Task *task_new(Process *p, Env *env);
void task_free(Task *t);
i64 task_clone(Task *t, const CloneArgs *a); /* threads, fork, vfork */
i64 task_exit(Task *t, int code); /* SYS_KEEP: the loop ends; or SYS_RESTART */
_Noreturn void task_exit_group(Task *t, int code);
void task_leave(Task *t); /* after the loop; does not return in a main thread */
/* execve, execveat: strings in host memory (guest_string's pointers will do); argv
 * and envp are of malloc's or NULL, and remain the caller's. */
i64 task_exec(Task *t, int dir, const char *path, char **argv, char **envp, int flags);
i64 task_set_tid_address(Task *t, u64 addr);
/* The process is about to end: what the kernel does for the robust lists of its
 * threads, whose addresses it cannot use. */
void task_robust_end(Task *t);
i64 task_set_robust_list(Task *t, u64 head, u64 len);
/* Before the root directory changes: keeps our own binary at hand for execve. */
void task_keep_exe(Process *p);

/* ---- proc_path.c: files of /proc ---- */

/* Tells the kernel what to show of us to others; the guest's registers are set. */
void proc_tell_kernel(const Task *t);
/* Is path (empty: dir itself) some guest's /proc/PID/exe?  The guest path of its
 * program. */
bool proc_exe(const Task *t, i64 dir, const char *path, char out[PATH_MAX]);

/* ---- sys_seccomp.c: the guest's filters of system calls ---- */

/* A child's reference to them, and its end. */
Seccomp *seccomp_share(Seccomp *s);
void seccomp_drop(Seccomp *s);
/* A file descriptor for the next program's -seccomp, or -errno. */
int seccomp_exec_begin(const Task *t);
/* Of -seccomp: what the program before this one had. */
void seccomp_adopt(Task *t, const char *file);
static inline bool seccomp_is_on(const Task *t)
{
    return t->seccomp || t->process->seccomp || t->seccomp_strict;
}

/* ---- crash.c: what is said when a guest dies of a fault ---- */

void crash_init(Process *p);
/* For processes with notes_calls: a system call has been made. */
void crash_note(const SysCall *call, i64 result);
/* why: what more there is to say, or NULL. */
void crash_report(Task *t, const siginfo_t *info, const char *why);
/* A fault of ours, in the host's handler; t may be NULL. */
void crash_bug(Task *t, int sig, const void *host_pc, const void *addr);

/* ---- core.c, core_file.c: the guest's memory when it dies ---- */

/* After a change of RLIMIT_CORE, and at the start. */
void core_update(Process *p);
/* Writes the file, if one is wanted and the signal is of that kind. */
void core_dump(Task *t, const siginfo_t *info);

/* ---- saved.c ---- */

/* -cache: where and how much is kept, into the cache's options; not where the run is to
 * be looked at, or where privileges differ. */
void saved_options(CacheOptions *c, Options *o);
/* After the cache is made: says so when -cache names a folder that cannot be used. */
void saved_check(const Process *p, const CacheOptions *c);

/* ---- ptrace*.c: ptrace(2) between guest processes; ptrace.h has the design ---- */

enum { TRACEE_TEXT = 96 };

void ptrace_init(Process *p);
/* The main thread's beginning; heritage: of -ptrace, or NULL. */
void ptrace_begin(Task *t, const char *heritage);
/* The host's signal was a kick. */
bool ptrace_kicked(Task *t, const siginfo_t *info, ucontext_t *context);
/* The thread, which is the calling one, gets a kick in a while; no more. */
void ptrace_kick_soon(Task *t);
void ptrace_kick_no_more(Task *t);
/* Somebody wants something of the thread; after a kick. */
bool ptrace_wished(const Task *t);
void ptrace_attend(Task *t);       /* before signals are delivered */
void ptrace_attend_stops(Task *t); /* and after */
/* SIGSTOP is sent to a process (tid 0) or thread; true: its tracer sees it. */
bool ptrace_sigstop(i32 pid, i32 tid);

/* For tasks with t->traced: */
TrapKind ptrace_run(Task *t); /* exec_run, or a step */
/* Around a system call; false: it is not to be made. */
bool ptrace_syscall_begin(Task *t);
void ptrace_syscall_again(Task *t, i64 r);
void ptrace_syscall_end(Task *t, i64 r);
/* In place of r, also after a kick. */
i64 ptrace_syscall_result(Task *t, i64 r);
/* A signal is about to be delivered; false: it is not.  May be another then. */
bool ptrace_signal(Task *t, siginfo_t *info);
/* SIGSTOP and its like are delivered. */
void ptrace_stop_all(Task *t, int sig);
/* SECCOMP_RET_TRACE; false: no tracer wants it. */
bool ptrace_seccomp(Task *t, u32 data);

/* Around clone.  The event that the parent stops with, or 0. */
u32 ptrace_clone_event(const Task *t, const CloneArgs *a);
void ptrace_event(Task *t, u32 event, u64 message);
void ptrace_thread_new(Task *t, Task *child, const CloneArgs *a);
void ptrace_thread_begin(Task *t);
void ptrace_thread_exit(Task *t, u32 status);
void ptrace_thread_end(Task *t);
void ptrace_fork_child(Task *t, const CloneArgs *a);
void ptrace_vfork_child(Task *t, const CloneArgs *a);
void ptrace_vfork_parent(Task *t, i32 pid);
/* A child that shares memory and runs beside its parent; own_process: t->process is
 * its own.  And, on another thread, when it is gone. */
void ptrace_share_child(Task *t, bool own_process);
void ptrace_share_end(Process *p, i32 pid);
/* Who traces the thread (0: nobody), and is it stopped?  False: not a guest's, or not
 * one that we may look at. */
bool ptrace_seen(i32 tid, i32 *tracer, bool *stopped);
/* -ptrace for execve; false: none. */
bool ptrace_exec_begin(const Task *t, char text[TRACEE_TEXT]);
/* The process ends; status: as wait4's. */
void ptrace_process_end(Task *t, u32 status);

/* ---- stats.c ---- */

/* Checks -stats and makes its file name absolute. */
void stats_init(Options *o);
void task_stats(Process *p); /* at exit: -stats, names unknown to -dfilter */

/* ---- explain.c ---- */

enum { EXPLAIN_SIGNAL = SIGNALS }; /* of the host's, the one that -explain takes */

void explain_start(Process *p); /* -explain; before the cache is made */
/* In a forked child. */
void explain_fork(Process *p, Env *env);
void explain_vfork(Process *p);
/* Writes the page; the text says how the run ended. */
void explain_end(Process *p, const char *format, ...) PRINTF(2, 3);

/* ---- riscv64.c: what differs between guests ---- */

/* Registers as ptrace shows them. */
typedef struct AbiRegset {
    u32 note, size; /* NT_*; bytes */
    void (*get)(const Env *env, void *out);
    void (*set)(Env *env, const void *from);
} AbiRegset;

struct Abi {
    const char *guest;   /* guest_find's name */
    const char *machine; /* uname -m, AT_PLATFORM */
    u16 elf_machine;
    u64 hwcap;
    u32 frame_size;          /* AT_MINSIGSTKSZ */
    const char *const *cpus; /* -cpu help; NULL-terminated, the first is the default */
    u32 n_hwprobe;
    void (*start)(Task *t, u64 pc, u64 sp); /* registers at a program's start */
    u64 (*sp)(const Task *t);
    u64 (*return_address)(const Task *t); /* of the function, or of its last call */
    /* Registers of a new thread or child: result 0, and sp and tls where given. */
    void (*clone_regs)(Env *to, const Env *from, const CloneArgs *a);
    void (*syscall)(Task *t);     /* fills t->sys, moves pc behind the instruction */
    u64 (*result)(const Task *t); /* the last system call's, as the guest sees it */
    void (*set_result)(Task *t, i64 value);
    void (*restart)(Task *t); /* undoes syscall: to make it again */
    u64 (*accessed)(Task *t); /* the address that the instruction at pc asks for */
    /* Builds a frame and enters the handler; false: no stack to put it on. */
    bool (*push_frame)(Task *t, const SigAction *a, const siginfo_t *info, u64 mask,
                       u64 sp);
    /* Undoes that; false: the frame is bad. */
    bool (*pop_frame)(Task *t, u64 *mask, SigStack *stack);
    size_t (*return_code)(u32 *code); /* rt_sigreturn; returns bytes */
    const AbiRegset *regsets;         /* TRACEE_SETS */
    /* riscv_hwprobe's value for a key, false: unknown. */
    bool (*hwprobe)(const Process *p, i64 key, u64 *value);
    /* One cpu's lines of /proc/cpuinfo after its number; NULL: the host's file. */
    void (*cpuinfo)(FILE *f, const Process *p);
};

extern const Abi abi_riscv64;

/* ---- loop.c ---- */

/* Runs the guest until its thread ends (t->exiting). */
void cpu_loop(Task *t);

/* ---- gdb*.c: -g, a debugger's stub ---- */

/* Opens -g's connection; the thread waits in gdb_run for a client, if it should. */
void gdb_start(Task *t);

/* For tasks with t->gdb: */
void gdb_thread_begin(Task *t); /* for tasks of a process with p->gdb */
void gdb_thread_end(Task *t);   /* may end the process */
/* exec_run, with what the debugger wants. */
TrapKind gdb_run(Task *t);
/* Around a system call; t->sys may be changed. */
void gdb_syscall_begin(Task *t);
i64 gdb_syscall_result(Task *t, i64 r); /* in place of r */
void gdb_syscall_end(Task *t);
/* The host's signal only interrupts a system call, for the debugger. */
bool gdb_is_kick(const Task *t, const siginfo_t *info);
/* A signal is about to be delivered; false: it is not.  May be another then. */
bool gdb_signal(Task *t, siginfo_t *info);
/* Around fork and vfork; the child may be left to itself (t->gdb NULL). */
void gdb_fork_begin(Task *t, bool vfork);
void gdb_fork_parent(Task *t, i32 pid);
void gdb_fork_child(Task *t);
void gdb_vfork_child(Task *t);
void gdb_vfork_parent(Task *t);
/* Around execve: a descriptor N for the new program's -g fd:N; -1: none. */
int gdb_exec_begin(Task *t);
void gdb_exec_failed(Task *t, int file);
/* The process ends by itself, or by a signal. */
void gdb_process_end(Task *t, int code, int sig);

/* ---- syscall.c, sys_*.c, strace.c: the system calls ---- */

/* Makes the system call in t->sys (the loop has filled it from the registers; pc is
 * already behind the instruction).  Returns the value, -errno or SYS_*. */
i64 syscall_run(Task *t);
/* Every system call of the guest and what becomes of it, a line each. */
void syscalls_print(FILE *f);

#endif
