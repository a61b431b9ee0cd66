/* SPDX-License-Identifier: MIT */
/*
 * Whole systems: which code a virtual pc stands for, where its bytes are, and faults
 * that the softmmu finds.  A block belongs to one physical page (TbKey.flags has it),
 * so it stays good when mappings change; only the jump cache has to forget then.
 */
#include <string.h>
#include "tb.h"

extern _Noreturn void host_abandon(Env *env);

/* ---- faults found in C ---- */

/* Env.mmu.fault: the instruction at hand ends with env->trap. */
static _Noreturn void fault(Env *env)
{
    Cache *c = env->cache;
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

void cache_serve(Env *env) { env->mmu->fault = fault; }

/* ---- code ---- */

/* The physical address of code; false: env->trap. */
static bool fetch(Cache *c, Env *env, u64 pc, u64 *phys)
{
    MmuPage page;

    if (!env->mmu->walk(env, pc, MMU_FETCH, &page)) {
        env->trap.kind = TRAP_FETCH;
        return false;
    }
    if (!bus_ram(env->mmu->bus, page.phys & PAGE_MASK, PAGE_SIZE)) {
        env->trap = (Trap){.kind = TRAP_FETCH, .code = MMU_NO_DEVICE, .addr = pc};
        return false;
    }
    *phys = page.phys;
    return true;
}

bool system_key(Cache *c, Env *env, TbKey *key)
{
    u64 phys;

    *key = (TbKey){env->pc, env->key_flags};
    if (!fetch(c, env, env->pc, &phys))
        return false;
    key->flags |= phys & PAGE_MASK;
    return true;
}

/* Flags of pages that stand by themselves. */
static _Atomic u8 readable[2] = {PAGE_MAPPED | PAGE_READ | PAGE_EXEC,
                                 PAGE_MAPPED | PAGE_READ | PAGE_EXEC};

void system_join(Cache *c)
{
    memcpy(c->joint, c->halves[0], 2);
    memcpy(c->joint + 2, c->halves[1], 2);
}

/* An instruction that lies in two pages, put together. */
static bool view_joined(Cache *c, Env *env, TbKey key)
{
    u64 next = (key.pc & PAGE_MASK) + PAGE_SIZE, phys;

    if (!fetch(c, env, next, &phys))
        return false;
    c->joined = true;
    c->halves[0] = space_host(&c->view, key.pc);
    c->halves[1] = space_host(c->space, phys);
    c->view.base = (u8 *)((uintptr_t)c->joint - key.pc);
    c->view.page = (_Atomic u8 *)((uintptr_t)readable - (key.pc >> PAGE_BITS));
    c->view.paged = false;
    c->code_next = (phys & PAGE_MASK) - next;
    return true;
}

bool system_view(Cache *c, Env *env, TbKey key)
{
    u64 virt = key.pc & PAGE_MASK, phys = key.flags & KEY_PHYS;
    u8 first;

    c->view = *c->space;
    c->view.base = (u8 *)((uintptr_t)c->space->base + phys - virt);
    c->view.page = (_Atomic u8 *)((uintptr_t)c->space->page + (phys >> PAGE_BITS) -
                                  (virt >> PAGE_BITS));
    c->view.size = ~0ull;
    c->view.system = c->view.paged = true;
    c->code_page = virt;
    c->code_shift = phys - virt;
    c->joined = false;
    memcpy(&first, space_host(&c->view, key.pc), 1);
    return (key.pc & ~PAGE_MASK) != PAGE_SIZE - 2 || (first & 3) != 3 ||
           view_joined(c, env, key);
}

/* ---- mappings that change ---- */

void system_keep_joint(Cache *c, u32 tb)
{
    if (!c->joints)
        c->joints = g_array_new(FALSE, FALSE, sizeof(u32));
    g_array_append_val(c->joints, tb);
}

/* A block's key has one physical page: those in two are to be looked at again. */
static void drop_joints(Cache *c)
{
    for (u32 i = 0; i < c->joints->len; i++)
        tb_drop(c, &c->tbs[g_array_index(c->joints, u32, i)]);
    g_array_set_size(c->joints, 0);
}

void exec_remapped(Env *env)
{
    Cache *c = env->cache;

    exec_forget_jumps(env);
    if (!c->joints || !c->joints->len)
        return;
    exec_lock(c, env->thread);
    drop_joints(c);
    exec_unlock(c, env->thread);
}
