/* SPDX-License-Identifier: MIT */
/*
 * Host faults in generated code, in what it calls and in the reading of guest code: the
 * guest's state there, and how to go on.
 */
#include <string.h>
#include "../microops/stencil.h"
#include "accel_interp.h"
#include "check.h"
#include "saved.h"

bool exec_in_code(const Cache *c, u64 host_pc)
{
    u64 offset = host_pc - (u64)(uintptr_t)c->exec;

    return offset < c->size || saved_at(c, offset);
}

static const u8 context_r[HOST_GPRS] = {REG_RBX, REG_R12, REG_R13, REG_R14,
                                        REG_R15, REG_R8,  REG_R9,  REG_R10,
                                        REG_R11, REG_RSI, REG_RDI};

/* The plan's registers, as the fault found them, into Env. */
static void sync_globals(Cache *c, Env *env, const Plan *plan,
                         const ucontext_t *context)
{
    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        u8 h = plan->host[i];

        if (h == HOST_NONE)
            continue;
        if (c->guest->regs.globals[i].cls == CLS_F)
            memcpy(&env->g[i], &context->uc_mcontext.fpregs->_xmm[h + 4], 8);
        else
            env->g[i] = (u64)context->uc_mcontext.gregs[context_r[h]];
    }
}

extern const char host_leave[];

/* Returning from the handler then leaves generated code with EXIT_FAULT. */
static void redirect(Env *env, ucontext_t *context)
{
    greg_t *r = context->uc_mcontext.gregs;

    r[REG_RIP] = (greg_t)(uintptr_t)host_leave;
    r[REG_RAX] = EXIT_FAULT;
    r[REG_RBP] = (greg_t)(uintptr_t)env + ENV_BIAS;
}

/* Where in the window the access went. */
static u64 guest_offset(const Cache *c, const siginfo_t *info)
{
    return (u64)(uintptr_t)info->si_addr - (u64)(uintptr_t)c->space->base;
}

static void set_trap(Env *env, int sig, const siginfo_t *info, bool write)
{
    env->trap = (Trap){.kind = TRAP_MEMORY,
                       .sig = sig,
                       .code = info->si_code,
                       .addr = guest_offset(env->cache, info),
                       .write = write};
    if (sig == SIGSEGV && info->si_code == SI_KERNEL) { /* not a canonical address */
        env->trap.code = SEGV_MAPERR;
        env->trap.addr = 0;
    }
}

bool exec_watches(const Cache *c, u64 addr, const siginfo_t *info)
{
    return info->si_signo == SIGSEGV && addr < c->space->size &&
           info->si_code == SEGV_ACCERR && space_flags(c->space, addr) & PAGE_WRITE;
}

/* An access by an empty near slot (env.h): to be made again without one. */
static bool empty_near(const Cache *c, int sig, const siginfo_t *info, bool helper)
{
    return c->options.system && sig == SIGSEGV && !helper &&
           (u64)(uintptr_t)info->si_addr < PAGE_SIZE;
}

/* A write to a page of ours to watch: drop its code, and go on or step over it. */
static bool watched_write(Cache *c, Env *env, const Tb *tb, const siginfo_t *info)
{
    u64 addr = guest_offset(c, info), epoch = c->epoch;
    bool self;

    if (!exec_watches(c, addr, info))
        return false;
    exec_lock(c, env->thread);
    self = epoch != c->epoch || smc_write(c, addr, tb);
    exec_unlock(c, env->thread);
    env->trap.kind = TRAP_NONE;
    if (self)
        env->thread->step_pc = env->pc;
    return true;
}

/* In tb_gen, which cannot go on. */
_Noreturn static void stop_reading(Cache *reader, Env *env, int sig,
                                   const siginfo_t *info, const ucontext_t *context)
{
    u64 page = ((u64)(uintptr_t)info->si_addr - env->base) & PAGE_MASK;

    env->trap = (Trap){.kind = TRAP_MEMORY,
                       .sig = sig,
                       .code = info->si_code,
                       .addr = MAX(env->pc, page)};
    pthread_sigmask(SIG_SETMASK, &context->uc_sigmask, NULL);
    siglongjmp(reader->unreadable, 1);
}

/* Where in the guest a host pc is. */
typedef struct Site {
    const Tb *tb;
    const Plan *plan;
    Canon due;
    u32 begun;   /* instructions, as tb_pc_at */
    bool helper; /* in C, called from there: registers are in Env */
    Tb saved;
} Site;

/* Sets env->pc; false: in no block. */
static bool find_site(Cache *c, Env *env, u64 rip, Site *s)
{
    u64 site = rip;
    u32 at;

    s->helper = !exec_in_code(c, rip) && env->call_site;
    if (s->helper && env->mmu && env->mmu->site)
        site = env->mmu->site + (u64)(uintptr_t)c->exec;
    else if (s->helper)
        site = env->call_site - 1;
    else if (!exec_in_code(c, rip))
        return false;
    at = (u32)(site - (u64)(uintptr_t)c->exec);
    s->plan = NULL;
    s->tb = UNLIKELY(saved_at(c, at)) ? saved_tb_at(c, at, &s->saved, &s->plan)
                                      : tb_at(c, at);
    if (!s->tb)
        return false;
    s->begun = tb_pc_at(c, s->tb, at, &env->pc, &s->due);
    if (!s->plan)
        s->plan = &c->plans[s->tb->plan];
    return true;
}

/* Makes env precise there. */
static void sync_site(Cache *c, Env *env, const Site *s, const ucontext_t *context)
{
    if (!s->helper)
        sync_globals(c, env, s->begun ? s->plan : &c->plans[0], context);
    canon_apply(env->g, s->due);
}

static void leave_site(Cache *c, Env *env, const Site *s, ucontext_t *context)
{
    env->budget += c->options.budget ? s->tb->n_insns - s->begun : 0;
    env->call_site = 0;
    if (env->mmu)
        env->mmu->site = 0;
    redirect(env, context);
}

bool exec_leave(Cache *c, Env *env, ucontext_t *context)
{
    Site s;

    if (!find_site(c, env, (u64)context->uc_mcontext.gregs[REG_RIP], &s))
        return false;
    sync_site(c, env, &s, context);
    env->trap.kind = TRAP_NONE;
    leave_site(c, env, &s, context);
    return true;
}

bool exec_host_fault(Env *env, int sig, siginfo_t *info, ucontext_t *context)
{
    Cache *c = env->cache, *reader = c->saving ? c->saving : c;
    u64 rip = (u64)context->uc_mcontext.gregs[REG_RIP];
    bool write = context->uc_mcontext.gregs[REG_ERR] & 2;
    Site s;

    if (env->thread->stepper && step_host_fault(env, sig, info, context))
        return true;
    if (c->interp)
        return interp_host_fault(env->thread->interp, env, sig, info, context);
    if (c->check && check_host_fault(env, sig, info, context))
        return true;
    if (reader->reader == env->thread)
        stop_reading(reader, env, sig, info, context);
    if (env->thread->awaits)
        exec_stop_awaiting(env->thread, context);
    if (!exec_in_code(c, rip) && !env->call_site) /* a walk outside marks a table */
        return sig == SIGSEGV && write && info->si_code == SEGV_ACCERR &&
               cache_device_fault(c, info->si_addr);
    if (!find_site(c, env, rip, &s))
        return false;
    if (log_on(LOG_FAULT))
        log_printf("fault: signal %d at guest pc 0x%llx, host %p\n", sig,
                   (unsigned long long)env->pc, info->si_addr);
    sync_site(c, env, &s, context);
    if (!s.begun || empty_near(c, sig, info, s.helper)) { /* its source is gone */
        env->trap.kind = TRAP_NONE;
        env->thread->step_pc = env->pc;
    } else if (sig == SIGSEGV && write && watched_write(c, env, s.tb, info)) {
        if (env->thread->step_pc == ~0ull) /* not into its own block: go on */
            return true;
    } else {
        set_trap(env, sig, info, write);
    }
    leave_site(c, env, &s, context);
    return true;
}
