/* SPDX-License-Identifier: MIT */
/*
 * Whole systems: which code a virtual pc stands for, where its bytes are, and faults
 * that the softmmu finds.  A block belongs to one physical page (TbKey.flags has it),
 * so it stays good when mappings change; only the jump cache has to forget then.
 */
#include <string.h>
#include "accel_interp.h"
#include "check.h"

extern _Noreturn void host_abandon(Env *env);

/* ---- faults found in C ---- */

/* The instruction of generated code that is under way ends. */
static _Noreturn void code_fault(Cache *c, Env *env)
{
    u32 site = env->mmu->site ? (u32)env->mmu->site
                              : (u32)(env->call_site - 1 - (u64)(uintptr_t)c->exec);
    const Tb *tb = tb_at(c, site);
    Canon due;

    assert(tb); /* only helpers that code calls may fault */
    tb_pc_at(c, tb, site, &env->pc, &due);
    canon_apply(env->g, due);
    env->call_site = env->mmu->site = 0;
    host_abandon(env);
}

/* Env.mmu.fault: the instruction at hand ends with env->trap. */
static _Noreturn void fault(Env *env)
{
    Cache *c = env->cache;

    step_fault(env);
    if (c->check)
        check_fault(env);
    if (c->interp)
        interp_fault(env->thread->interp, env);
    code_fault(c, env);
}

HelperFn *const *system_misses(const Env *env)
{
    u32 first = env->cache->guest->regs.n_helpers + OP_tlb_r1;

    return env->cache->options.system ? (HelperFn *const *)&env->helpers[first] : NULL;
}

void cache_serve(Env *env) { env->mmu->fault = fault; }

/* ---- code ---- */

/* The physical address of code; false: env->trap. */
static bool fetch(Env *env, u64 pc, u64 *phys)
{
    if (!mmu_code(env, pc, phys)) {
        env->trap.kind = TRAP_FETCH;
        return false;
    }
    if (!bus_code(env->mmu->bus, *phys)) {
        env->trap = (Trap){.kind = TRAP_FETCH, .code = MMU_NO_DEVICE, .addr = pc};
        return false;
    }
    return true;
}

/* Does the code at pc begin a long instruction in the last two bytes of a page? */
static bool begins_joint(const Cache *c, u64 pc, u64 phys)
{
    u8 first;

    if (LIKELY((pc & ~PAGE_MASK) != PAGE_SIZE - 2))
        return false;
    memcpy(&first, space_host(c->space, phys), 1);
    return (first & 3) == 3;
}

bool system_key(const Cache *c, Env *env, TbKey *key, u64 *second)
{
    u64 phys;

    *key = (TbKey){env->pc, env->key_flags};
    *second = 0;
    if (!fetch(env, env->pc, &phys))
        return false;
    key->flags |= phys & PAGE_MASK;
    return LIKELY(!begins_joint(c, env->pc, phys)) ||
           fetch(env, (env->pc & PAGE_MASK) + PAGE_SIZE, second);
}

/* Flags of pages that stand by themselves. */
static _Atomic u8 readable[2] = {PAGE_MAPPED | PAGE_READ | PAGE_EXEC,
                                 PAGE_MAPPED | PAGE_READ | PAGE_EXEC};

void system_join(Source *s)
{
    memcpy(s->joint, s->halves[0], 2);
    memcpy(s->joint + 2, s->halves[1], 2);
}

/* An instruction that lies in two pages, put together. */
static bool join(const Cache *c, Env *env, TbKey key, Source *s)
{
    u64 next = (key.pc & PAGE_MASK) + PAGE_SIZE, phys;

    if (!fetch(env, next, &phys))
        return false;
    s->joined = true;
    s->halves[0] = space_host(&s->view, key.pc);
    s->halves[1] = space_host(c->space, phys);
    s->view.base = (u8 *)((uintptr_t)s->joint - key.pc);
    s->view.page = (_Atomic u8 *)((uintptr_t)readable - (key.pc >> PAGE_BITS));
    s->view.paged = false;
    s->next = (phys & PAGE_MASK) - next;
    system_join(s);
    return true;
}

bool system_source(const Cache *c, Env *env, TbKey key, Source *s)
{
    u64 virt = key.pc & PAGE_MASK, phys = key.flags & KEY_PHYS;

    s->space = &s->view;
    s->view = *c->space;
    s->view.base = (u8 *)((uintptr_t)c->space->base + phys - virt);
    s->view.page = (_Atomic u8 *)((uintptr_t)c->space->page + (phys >> PAGE_BITS) -
                                  (virt >> PAGE_BITS));
    s->view.size = ~0ull;
    s->view.system = s->view.paged = true;
    s->page = virt;
    s->shift = phys - virt;
    s->joined = false;
    return !begins_joint(c, key.pc, phys | (key.pc & ~PAGE_MASK)) ||
           join(c, env, key, s);
}

/* ---- blocks that are one instruction in two pages ---- */

typedef struct Joint {
    u64 pc, flags, second; /* the physical page of its second half */
    u32 tb;
} Joint;

static guint joint_hash(gconstpointer p)
{
    const Joint *j = p;

    return (guint)(j->pc >> PAGE_BITS ^ j->flags >> PAGE_BITS ^ j->second >> 8);
}

static gboolean joint_equal(gconstpointer p, gconstpointer q)
{
    const Joint *a = p, *b = q;

    return a->pc == b->pc && a->flags == b->flags && a->second == b->second;
}

void system_keep_joint(Cache *c, Tb *tb)
{
    Joint *j = g_new(Joint, 1);

    if (!c->joints)
        c->joints = g_hash_table_new_full(joint_hash, joint_equal, g_free, NULL);
    *j = (Joint){tb->pc, tb->flags, (tb->pc & PAGE_MASK) + PAGE_SIZE + c->source.next,
                 tb_number(c, tb)};
    tb->state = TB_ALIVE;
    g_hash_table_replace(c->joints, j, j);
}

Tb *system_find_joint(Cache *c, TbKey key, u64 second)
{
    const Joint wanted = {key.pc, key.flags, second & PAGE_MASK, 0};
    const Joint *j = c->joints ? g_hash_table_lookup(c->joints, &wanted) : NULL;

    return j && c->tbs[j->tb].state == TB_ALIVE ? &c->tbs[j->tb] : NULL;
}
