/* SPDX-License-Identifier: MIT */
/*
 * The system calls about signals.  One rule for masks: a signal that came under the
 * old mask is delivered before the call is made (SYS_RESTART), so that after the call
 * no handler runs that the new mask forbids.
 */
#include <sys/syscall.h>
#include <sys/mman.h>
#include <time.h>
#include "sig.h"

static const u64 known_flags = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK |
                               SA_RESTART | SA_NODEFER | SA_RESETHAND;

/* Makes the page that handlers return to; 0 or -errno.  signal_lock is held. */
static i64 return_page(Task *t)
{
    Memory *m = t->process->mem;
    u32 code[16];
    size_t size = t->process->abi->return_code(code);
    i64 page;

    if (m->return_page)
        return 0;
    /* Above the stack, where mmap puts nothing by itself. */
    page = mem_mmap(t, m->stack_end + PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page < 0)
        return page;
    if (!guest_write(t, (u64)page, code, size))
        return -EFAULT;
    m->return_page = (u64)page;
    return mem_mprotect(t, (u64)page, PAGE_SIZE, PROT_READ | PROT_EXEC);
}

static i64 set_action(Task *t, int sig, const SigAction *new)
{
    Process *p = t->process;

    if (signal_bit(sig) & UNBLOCKABLE)
        return -EINVAL;
    p->actions[sig] = *new;
    p->actions[sig].flags &= known_flags;
    p->actions[sig].mask &= ~UNBLOCKABLE;
    p->actions_known |= signal_bit(sig);
    signal_host_action(p, sig, &p->actions[sig]);
    return 0;
}

i64 signal_action(Task *t, int sig, u64 act, u64 old, u64 set_size)
{
    Process *p = t->process;
    SigAction new, was;
    i64 r = 0;

    if (set_size != sizeof new.mask || sig < 1 || sig > SIGNALS)
        return -EINVAL;
    if (act && !GET(t, act, &new))
        return -EFAULT;
    lock_take(&p->signal_lock);
    was = *signal_action_of(p, sig);
    if (act && new.handler > ABI_SIG_IGN)
        r = return_page(t);
    if (act && r == 0)
        r = set_action(t, sig, &new);
    lock_leave(&p->signal_lock);
    return r == 0 && old && !PUT(t, old, &was) ? -EFAULT : r;
}

/* ---- masks ---- */

static i64 read_set(Task *t, u64 addr, u64 size, u64 *set)
{
    if (size != sizeof *set)
        return -EINVAL;
    if (!GET(t, addr, set))
        return -EFAULT;
    *set &= ~UNBLOCKABLE;
    return 0;
}

static i64 change_mask(Task *t, u64 new)
{
    u64 was = t->mask;

    if (new == was)
        return 0;
    if (signal_ready(t))
        return SYS_RESTART;
    t->mask = new;
    signal_host_mask(new);
    if (signal_queued(t, was)) { /* came before the host's mask changed */
        t->mask = was;
        return SYS_RESTART;
    }
    signal_update(t);
    return 0;
}

i64 signal_mask(Task *t, int how, u64 set, u64 old, u64 set_size)
{
    u64 was = t->mask, new;
    i64 r = 0;

    if (set_size != sizeof new)
        return -EINVAL;
    if (set) {
        if ((r = read_set(t, set, set_size, &new)) < 0)
            return r;
        if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
            return -EINVAL;
        new = how == SIG_BLOCK ? was | new : how == SIG_UNBLOCK ? was & ~new : new;
        r = change_mask(t, new);
    }
    return r == 0 && old && !PUT(t, old, &was) ? -EFAULT : r;
}

i64 signal_mask_for_call(Task *t, u64 set, u64 set_size)
{
    u64 new;
    i64 r;

    if (!set)
        return 0;
    if ((r = read_set(t, set, set_size, &new)) < 0)
        return r;
    if (signal_ready(t))
        return SYS_RESTART;
    t->saved_mask = t->mask;
    t->mask_saved = true;
    signal_set_mask(t, new);
    return 0;
}

i64 signal_suspend(Task *t, u64 set, u64 set_size)
{
    i64 r = set ? signal_mask_for_call(t, set, set_size) : -EFAULT;

    if (r < 0)
        return r;
    safe_syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
    return -EINTR;
}

i64 signal_pending(Task *t, u64 set, u64 set_size)
{
    u64 pending = 0;

    if (set_size > sizeof pending)
        return -EINVAL;
    host_syscall(SYS_rt_sigpending, &pending, sizeof pending);
    for (u32 i = 0; i < SIGNAL_QUEUE; i++)
        if (t->queue[i].si_signo)
            pending |= signal_bit(t->queue[i].si_signo);
    pending &= t->mask & ~signal_ours();
    return guest_write(t, set, &pending, set_size) ? 0 : -EFAULT;
}

i64 signal_timedwait(Task *t, u64 set, u64 info, u64 timeout, u64 set_size)
{
    struct timespec limit;
    siginfo_t got = {0};
    u64 wanted;
    i64 r = read_set(t, set, set_size, &wanted);

    if (r < 0)
        return r;
    if (timeout && !GET(t, timeout, &limit))
        return -EFAULT;
    if (signal_ready(t))
        return SYS_RESTART;
    wanted &= ~signal_ours();
    if (signal_dequeue(t, ~wanted, &got))
        r = got.si_signo;
    else
        r = safe_syscall(SYS_rt_sigtimedwait, &wanted, &got, timeout ? &limit : NULL,
                         sizeof wanted);
    return r > 0 && info && !PUT(t, info, &got) ? -EFAULT : r;
}

/* ---- alternate stack and return ---- */

static bool on_stack(const Task *t)
{
    u64 sp = t->process->abi->sp(t);

    return !(t->altstack.flags & SS_AUTODISARM) && t->altstack.size != 0 &&
           sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

static i64 set_altstack(Task *t, const SigStack *new)
{
    u32 mode = (u32) new->flags & ~SS_AUTODISARM;

    if (on_stack(t))
        return -EPERM;
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
        return -EINVAL;
    if (mode == SS_DISABLE)
        t->altstack = (SigStack){.flags = new->flags};
    else if (new->size < ABI_MINSIGSTKSZ)
        return -ENOMEM;
    else
        t->altstack = *new;
    return 0;
}

i64 signal_altstack(Task *t, u64 stack, u64 old)
{
    SigStack was = t->altstack, new;
    i64 r = 0;

    was.flags &= (i32)SS_AUTODISARM;
    was.flags |= was.size == 0 ? SS_DISABLE : on_stack(t) ? SS_ONSTACK : 0;
    if (stack && !GET(t, stack, &new))
        return -EFAULT;
    if (stack)
        r = set_altstack(t, &new);
    return r == 0 && old && !PUT(t, old, &was) ? -EFAULT : r;
}

i64 signal_return(Task *t)
{
    SigStack stack;
    u64 mask;

    if (!t->process->abi->pop_frame(t, &mask, &stack)) {
        signal_force(t, SIGSEGV, SI_KERNEL, t->process->abi->sp(t));
        return SYS_KEEP;
    }
    set_altstack(t, &stack);
    signal_set_mask(t, mask);
    return SYS_KEEP;
}
