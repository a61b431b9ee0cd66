/* SPDX-License-Identifier: MIT */
/* The requests of ptrace(2).  ptrace.h says how tracer and tracee meet. */
#include <elf.h>
#include <linux/audit.h>
#include <string.h>
#include "sys.h"
#include "ptrace.h"

#ifndef PTRACE_EVENTMSG_SYSCALL_ENTRY
#define PTRACE_EVENTMSG_SYSCALL_ENTRY 1
#endif

/* A request about a tracee: what its slot says, and the arguments. */
typedef struct Request {
    Task *t;
    Tracee *e;
    PtraceSlot slot;
    u64 addr, data;
} Request;

/* ---- becoming a tracee ---- */

/* Is it a thread group of its own that we may trace? */
static i64 trace_me(Task *t)
{
    PtraceSlot *s = t->ptrace;
    Tracee parent;

    if (!s || s->tracer || board_find(getppid(), &parent) < 0)
        return -EPERM;
    s->tracer_tid = parent.tid;
    s->mode = TRACEE_CONT;
    s->tracer = parent.pid;
    ptrace_tell(s, TRACEE_TELL); /* it may not let itself be told later: setuid */
    ptrace_adopt(t);
    return 0;
}

static i64 check_options(const Task *t, u64 options)
{
    if (options & ~(u64)PTRACE_O_MASK)
        return -EINVAL;
    return options & PTRACE_O_SUSPEND_SECCOMP && !seccomp_may_look(t) ? -EPERM : 0;
}

static bool is_job_stopped(i32 tid)
{
    char path[32], text[512] = "", *end;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    f = fopen(path, "re");
    if (!f)
        return false;
    end = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
    fclose(f);
    return end && !strncmp(end, ") T", 3);
}

static i64 attach(Task *t, i32 tid, bool seize, u64 addr, u64 options)
{
    Tracer *r = t->process->tracer;
    const i32 self = getpid(), tracer_tid = t->tid;
    const u32 seized = seize, mode = TRACEE_CONT, wanted = seize ? (u32)options : 0;
    PtraceSlot slot;
    Tracee e;
    i64 error = seize ? check_options(t, options) : 0;

    if (seize && (addr != 0 || error == -EINVAL))
        return -EIO;
    if (error < 0)
        return error;
    error = board_await(tid, &e);
    if (error < 0)
        return error;
    if (e.pid == self || !tracee_read(&e, &slot, false) || ptrace_tracer_lives(&slot))
        return -EPERM;
    if (slot.state == TRACEE_EXITED)
        return -ESRCH;
    TRACEE_PUT(&e, seized, &seized);
    TRACEE_PUT(&e, options, &wanted);
    TRACEE_PUT(&e, mode, &mode);
    TRACEE_PUT(&e, tracer_tid, &tracer_tid);
    TRACEE_PUT(&e, tracer, &self);
    e.tracer_tid = tracer_tid;
    lock_take(&r->lock);
    tracee_add(r, &e)->told = slot.serial;
    lock_leave(&r->lock);
    tracee_wish(&e, offsetof(PtraceSlot, wish.adopted), 1);
    if (!seize) {
        TRACEE_PUT(&e, stop_sender, &self);
        tracee_wish(&e, offsetof(PtraceSlot, wish.sigstop), 1);
    }
    if (is_job_stopped(tid)) /* or it could not become a tracing stop */
        host_syscall(SYS_kill, e.pid, SIGCONT);
    return 0;
}

/* ---- letting it run ---- */

static i64 resume(Request *q, PtraceCommand command)
{
    if (q->data > SIGNALS)
        return -EIO;
    return tracee_order(q->e, command, (int)q->data) ? 0 : -ESRCH;
}

static i64 detach(Request *q)
{
    i32 tid = q->e->tid;
    i64 r = resume(q, TRACEE_DETACH);

    if (r == 0)
        tracee_remove(q->t->process->tracer, tid);
    return r;
}

static i64 listen(Request *q)
{
    if (!q->slot.seized || q->slot.code >> 8 != PTRACE_EVENT_STOP)
        return -EIO;
    return tracee_order(q->e, TRACEE_LISTEN, 0) ? 0 : -ESRCH;
}

/* ---- memory and registers ---- */

static i64 peek(Request *q)
{
    u64 word;

    if (tracee_memory(q->e, q->addr, &word, sizeof word, false) != sizeof word)
        return -EIO;
    return PUT(q->t, q->data, &word) ? 0 : -EFAULT;
}

static i64 poke(Request *q)
{
    u64 word = q->data;

    return tracee_memory(q->e, q->addr, &word, sizeof word, true) == sizeof word ? 0
                                                                                 : -EIO;
}

static i64 register_set(Request *q, bool set)
{
    const AbiRegset *sets = q->t->process->abi->regsets;
    struct {
        u64 base, len;
    } iov;
    u32 dirty, i = 0;
    void *at;

    if (!GET(q->t, q->data, &iov))
        return -EFAULT;
    while (i < TRACEE_SETS && sets[i].note != q->addr)
        i++;
    if (i == TRACEE_SETS || iov.len % sizeof(u64))
        return -EINVAL;
    iov.len = MIN(iov.len, (u64)sets[i].size);
    at = q->slot.set[i];
    if (!(set ? guest_read(q->t, at, iov.base, iov.len)
              : guest_write(q->t, iov.base, at, iov.len)))
        return -EFAULT;
    dirty = q->slot.dirty | TRACEE_DIRTY_SETS << i;
    if (set &&
        !(TRACEE_PUT(q->e, set[i], &q->slot.set[i]) && TRACEE_PUT(q->e, dirty, &dirty)))
        return -ESRCH;
    return PUT(q->t, q->data + sizeof iov.base, &iov.len) ? 0 : -EFAULT;
}

/* ---- signals ---- */

static i64 get_siginfo(Request *q)
{
    if (q->slot.kind == TRACEE_AT_GROUP)
        return -EINVAL;
    return PUT(q->t, q->data, &q->slot.info) ? 0 : -EFAULT;
}

static i64 set_siginfo(Request *q)
{
    u32 dirty = q->slot.dirty | TRACEE_DIRTY_INFO;
    siginfo_t info;

    if (!GET(q->t, q->data, &info))
        return -EFAULT;
    if (q->slot.kind == TRACEE_AT_GROUP)
        return -EINVAL;
    return TRACEE_PUT(q->e, info, &info) && TRACEE_PUT(q->e, dirty, &dirty) ? 0
                                                                            : -ESRCH;
}

static i64 signal_mask_of(Request *q, bool set)
{
    u32 dirty = q->slot.dirty | TRACEE_DIRTY_MASK;
    u64 mask;

    if (q->addr != sizeof mask)
        return -EINVAL;
    if (!set)
        return PUT(q->t, q->data, &q->slot.mask) ? 0 : -EFAULT;
    if (!GET(q->t, q->data, &mask))
        return -EFAULT;
    mask &= ~UNBLOCKABLE;
    return TRACEE_PUT(q->e, mask, &mask) && TRACEE_PUT(q->e, dirty, &dirty) ? 0
                                                                            : -ESRCH;
}

/* ---- options, events, system calls ---- */

static i64 set_options(Request *q)
{
    u32 options = (u32)q->data;
    i64 error = check_options(q->t, q->data);

    if (error < 0)
        return error;
    return TRACEE_PUT(q->e, options, &options) ? 0 : -ESRCH;
}

/* struct ptrace_syscall_info, as far as it is filled; returns its size. */
static size_t call_info(const Request *q, struct ptrace_syscall_info *out)
{
    const PtraceSlot *s = &q->slot;
    size_t size = offsetof(struct ptrace_syscall_info, entry);

    *out = (struct ptrace_syscall_info){.op = PTRACE_SYSCALL_INFO_NONE,
                                        .instruction_pointer = s->pc,
                                        .stack_pointer = s->sp};
    out->arch = q->t->process->abi->elf_machine | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE;
    if (s->kind == TRACEE_AT_ENTRY || s->kind == TRACEE_AT_SECCOMP) {
        bool entry = s->kind == TRACEE_AT_ENTRY;

        out->op = entry ? PTRACE_SYSCALL_INFO_ENTRY : PTRACE_SYSCALL_INFO_SECCOMP;
        out->seccomp.nr = s->sys.nr;
        memcpy(out->seccomp.args, s->sys.arg, sizeof out->seccomp.args);
        out->seccomp.ret_data = entry ? 0 : s->seccomp_data;
        size += entry ? sizeof out->entry
                      : offsetof(struct ptrace_syscall_info, seccomp.ret_data) +
                            sizeof out->seccomp.ret_data - size;
    } else if (s->kind == TRACEE_AT_RETURN) {
        out->op = PTRACE_SYSCALL_INFO_EXIT;
        out->exit.rval = s->result;
        out->exit.is_error = s->result < 0 && s->result >= -4095;
        size = offsetof(struct ptrace_syscall_info, exit.is_error) + 1;
    }
    return size;
}

static i64 get_call_info(Request *q)
{
    struct ptrace_syscall_info info;
    size_t size = call_info(q, &info);

    return guest_write(q->t, q->data, &info, MIN(size, q->addr)) ? (i64)size : -EFAULT;
}

/* ---- what no guest can have switched on ---- */

/* Nobody has registered one. */
static i64 get_rseq(Request *q)
{
    const struct ptrace_rseq_configuration none = {0};

    return guest_write(q->t, q->data, &none, MIN(q->addr, sizeof none))
               ? (i64)sizeof none
               : -EFAULT;
}

/* Newer than the headers: struct ptrace_sud_config, of which all is 0. */
enum { SET_DISPATCH = 0x4210, GET_DISPATCH = 0x4211 };

typedef struct Dispatch {
    u64 mode, selector, offset, len;
} Dispatch;

static i64 get_dispatch(Request *q)
{
    const Dispatch off = {0};

    if (q->addr != sizeof off)
        return -EINVAL;
    return PUT(q->t, q->data, &off) ? 0 : -EFAULT;
}

static i64 set_dispatch(Request *q)
{
    Dispatch wanted;

    if (q->addr != sizeof wanted)
        return -EINVAL;
    if (!GET(q->t, q->data, &wanted))
        return -EFAULT;
    return wanted.mode || wanted.selector || wanted.offset || wanted.len ? -EINVAL : 0;
}

/* ---- dispatch ---- */

static i64 stopped_request(Request *q, u64 request)
{
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA: return peek(q);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA: return poke(q);
    case PTRACE_CONT: return resume(q, TRACEE_CONT);
    case PTRACE_SYSCALL: return resume(q, TRACEE_CALL);
    case PTRACE_SINGLESTEP: return resume(q, TRACEE_STEP);
    case PTRACE_DETACH: return detach(q);
    case PTRACE_LISTEN: return listen(q);
    case PTRACE_SETOPTIONS: return set_options(q);
    case PTRACE_GETEVENTMSG: return PUT(q->t, q->data, &q->slot.message) ? 0 : -EFAULT;
    case PTRACE_GETSIGINFO: return get_siginfo(q);
    case PTRACE_SETSIGINFO: return set_siginfo(q);
    case PTRACE_GETSIGMASK: return signal_mask_of(q, false);
    case PTRACE_SETSIGMASK: return signal_mask_of(q, true);
    case PTRACE_GETREGSET: return register_set(q, false);
    case PTRACE_SETREGSET: return register_set(q, true);
    case PTRACE_GET_SYSCALL_INFO: return get_call_info(q);
    case PTRACE_PEEKSIGINFO:
        return ptrace_peek_siginfo(q->t, q->e->tid, q->addr, q->data);
    case PTRACE_SECCOMP_GET_FILTER:
        return ptrace_get_filter(q->t, &q->slot, q->addr, q->data);
    case PTRACE_SECCOMP_GET_METADATA:
        return ptrace_get_filter_flags(q->t, &q->slot, q->addr, q->data);
    case PTRACE_GET_RSEQ_CONFIGURATION: return get_rseq(q);
    case GET_DISPATCH: return get_dispatch(q);
    case SET_DISPATCH: return set_dispatch(q);
    default: return -EIO;
    }
}

static bool is_stopped(const PtraceSlot *s)
{
    return s->state == TRACEE_STOPPED && s->order.command == TRACEE_WAIT;
}

static i64 tracee_request(Task *t, u64 request, i32 tid, u64 addr, u64 data)
{
    Tracer *r = t->process->tracer;
    Request q = {.t = t, .addr = addr, .data = data};

    tracer_look(r);
    q.e = tracee_find(r, tid);
    if (!q.e || q.e->tracer_tid != t->tid || !tracee_read(q.e, &q.slot, true) ||
        q.slot.tracer != r->pid)
        return -ESRCH;
    if (request == PTRACE_KILL)
        return MIN(host_syscall(SYS_kill, q.e->pid, SIGKILL), 0);
    if (request == PTRACE_INTERRUPT) {
        if (!q.slot.seized)
            return -EIO;
        tracee_wish(q.e, offsetof(PtraceSlot, wish.interrupt), 1);
        return 0;
    }
    return is_stopped(&q.slot) ? stopped_request(&q, request) : -ESRCH;
}

i64 sys_ptrace(Task *t, u64 request, u64 pid, u64 addr, u64 data)
{
    Tracer *r = t->process->tracer;
    i64 result;

    switch (request) {
    case PTRACE_TRACEME: return trace_me(t);
    case PTRACE_ATTACH: return attach(t, (i32)pid, false, addr, data);
    case PTRACE_SEIZE: return attach(t, (i32)pid, true, addr, data);
    }
    lock_take(&r->lock);
    result = tracee_request(t, request, (i32)pid, addr, data);
    lock_leave(&r->lock);
    return result;
}
