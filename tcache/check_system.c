/* SPDX-License-Identifier: MIT */
/*
 * "-accel check" of a whole system: what the softmmu does for the interpreter is seen
 * before it is done, so that it can be undone.  A device's register cannot: the block
 * is passed by.
 */
#include "check.h"

static CheckRun *run_of(const Env *env) { return env->thread->check; }

/* Mmu.marked */
static void note_mark(Env *env, u64 *at, u64 before)
{
    CheckRun *r = run_of(env);
    CheckStore s = {.host = (u8 *)at,
                    .addr = (u64)(uintptr_t)at,
                    .before = before,
                    .op = r->run.op,
                    .size = 8,
                    .marks = true};

    g_array_append_val(r->stores, s);
    r->marked = true;
}

/* Where n bytes at addr, in one page, are; does not return if that is not RAM. */
static u8 *ram_at(CheckRun *r, u64 addr, u32 n, MmuAccess access)
{
    Env *env = r->env;
    MmuPage page;
    u8 *host;

    if (!env->mmu->walk(env, addr, access, &page))
        env->mmu->fault(env);
    host = bus_ram(env->mmu->bus, page.phys, n);
    if (!host) {
        r->shared = true;
        check_escape(r);
    }
    return host;
}

/* InterpRun.on_miss: what lies in two pages is stored byte by byte. */
static void see_miss(InterpRun *run, u16 op, u64 value)
{
    CheckRun *r = (CheckRun *)((char *)run - offsetof(CheckRun, run));
    bool write = op_desc[op].flags & STORE;
    MmuAccess access = write ? MMU_WRITE : MMU_READ;
    u32 size = op_access_size(op), left = (u32)(PAGE_SIZE - (run->addr & ~PAGE_MASK));
    u32 first = MIN(size, left);
    u8 *a = ram_at(r, run->addr, first, access), *b;

    if (first == size)
        return;
    b = ram_at(r, run->addr + first, size - first, access);
    for (u32 i = 0; write && i < size; i++)
        check_note(r, run->addr + i, i < first ? a + i : b + (i - first), 1);
}

void check_system_begin(CheckRun *r)
{
    r->run.miss = system_misses(r->env);
    if (!r->run.miss)
        return;
    r->run.on_miss = see_miss;
    r->env->mmu->marked = note_mark;
}

void check_system_end(CheckRun *r)
{
    if (r->run.miss)
        r->env->mmu->marked = NULL;
}

void check_fault(Env *env)
{
    CheckRun *r = run_of(env);

    if (!r->fragile)
        return;
    env->mmu->site = 0;
    r->refused = true;
    check_escape(r);
}
