/* SPDX-License-Identifier: MIT */
/*
 * Traces: what a hot block is translated into again.  A trace follows the way the
 * blocks' entry counts say most go, until it is back at its head or meets another
 * loop; and it has a register plan of its own, for the values it uses most.
 */
#include <string.h>
#include "../microops/stencil.h"
#include "saved.h"
#include "trace.h"

enum { SHUFFLE_COST = 4 }; /* uses that a value must save to be worth moving */

/* ---- which way ---- */

static i64 heat_of(const Tracer *t, u64 pc)
{
    const Tb *tb = tb_find(t->cache, pc, t->key.flags);
    const SavedTb *saved;
    i32 count;

    if (!tb || tb->saved) {
        saved = saved_peek(t->cache, (TbKey){pc, t->key.flags}, &count);
        return !saved ? 0 : (i64)t->cache->options.hot - (saved->trace ? 0 : count);
    }
    return tb->trace ? t->cache->options.hot : (i64)t->cache->options.hot - tb->count;
}

static bool seen(Tracer *t, u64 pc)
{
    for (u32 i = 0; i < t->n_seen; i++)
        if (t->seen[i] == pc)
            return true;
    return false;
}

/* May the trace go on at pc?  Not where it has been, nor into another loop. */
static bool open(Tracer *t, u64 pc)
{
    const SavedTb *saved;
    const Tb *tb;
    i32 count;

    if (pc == t->key.pc)
        return true;
    if (t->cache->options.system && (pc ^ t->key.pc) & PAGE_MASK)
        return false;
    if (t->n_seen == TRACE_BLOCKS || seen(t, pc))
        return false;
    tb = tb_find(t->cache, pc, t->key.flags);
    saved = tb ? NULL : saved_peek(t->cache, (TbKey){pc, t->key.flags}, &count);
    return !(tb ? tb->loops : saved && saved->loops);
}

static void visit(Tracer *t, u64 pc)
{
    if (pc == t->key.pc)
        t->loops = true;
    else
        t->seen[t->n_seen++] = pc;
}

static u64 follow_branch(void *ctx, u64 taken, u64 next)
{
    Tracer *t = ctx;
    i64 a = heat_of(t, taken), b = heat_of(t, next);
    u64 to = taken == t->key.pc  ? taken
             : next == t->key.pc ? next
             : a > b             ? taken
                                 : next;

    if ((to != t->key.pc && MAX(a, b) == 0) || !open(t, to))
        return ~0ull;
    visit(t, to);
    return to;
}

static bool follow_jump(void *ctx, u64 pc)
{
    Tracer *t = ctx;

    if (!open(t, pc))
        return false;
    visit(t, pc);
    return true;
}

/* ---- as another trace went ---- */

/* What the earlier trace has after the branch that ends at `next`; 0: nothing. */
static u64 replay_next(Tracer *t, u64 next)
{
    const Replay *r = t->replay;

    for (; t->at < r->n; t->at++)
        if (next - r->pcs[t->at] <= 4)
            return t->at + 1 < r->n ? r->pcs[t->at + 1] : 0;
    return 0;
}

static u64 replay_branch(void *ctx, u64 taken, u64 next)
{
    Tracer *t = ctx;
    u64 to = replay_next(t, next);

    if (!to && t->replay->loops && (taken == t->key.pc || next == t->key.pc)) {
        t->loops = true;
        return t->key.pc;
    }
    return to && (to == taken || to == next) ? to : ~0ull;
}

static bool replay_jump(void *ctx, u64 pc)
{
    Tracer *t = ctx;
    const Replay *r = t->replay;

    for (u32 i = t->at; i + 1 < r->n; i++)
        if (r->pcs[i + 1] == pc) {
            t->at = i + 1;
            return true;
        }
    t->loops = r->loops && pc == t->key.pc;
    return t->loops;
}

void trace_begin(Tracer *t, Cache *c, TbKey key, const Replay *replay)
{
    *t = (Tracer){.cache = c, .key = key, .replay = replay};
    if (replay)
        t->follow = (Follow){t, replay_branch, replay_jump};
    else
        t->follow = (Follow){t, follow_branch, follow_jump};
}

/* ---- which registers ---- */

static void count_uses(const Ir *ir, u32 *uses)
{
    memset(uses, 0, ENV_GLOBALS * sizeof *uses);
    for (u32 i = 0; i < ir->n_ops; i++) {
        const Op *op = &ir->ops[i];

        if (val_is_global(op->out))
            uses[op->out]++;
        for (u32 k = 0; k < 3; k++)
            if (val_is_global(op->in[k]))
                uses[op->in[k]]++;
    }
}

/* Gives the hottest value that has no register the register of the coolest that has
 * one, as long as that pays. */
static bool improve(const GuestRegs *guest, Plan *plan, const u32 *uses, u8 cls,
                    u32 least)
{
    u32 in = ENV_GLOBALS, out = ENV_GLOBALS;

    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        if (guest->globals[i].cls != cls)
            continue;
        if (plan->host[i] == HOST_NONE && (in == ENV_GLOBALS || uses[i] > uses[in]))
            in = i;
        if (plan->host[i] != HOST_NONE && (out == ENV_GLOBALS || uses[i] < uses[out]))
            out = i;
    }
    if (in == ENV_GLOBALS || out == ENV_GLOBALS || uses[in] < uses[out] + least)
        return false;
    plan->host[in] = plan->host[out];
    plan->host[out] = HOST_NONE;
    return true;
}

/* Takes the registers of values that are not used. */
static bool thin(Plan *plan, const u32 *uses)
{
    bool any = false;

    for (u32 i = 0; i < ENV_GLOBALS; i++)
        if (!uses[i] && plan->host[i] != HOST_NONE) {
            plan->host[i] = HOST_NONE;
            any = true;
        }
    return any;
}

u16 trace_plan(Cache *c, const Ir *ir, bool loops, bool lean)
{
    const GuestRegs *guest = &c->guest->regs;
    Plan own, *plan = &own;
    u32 uses[ENV_GLOBALS], least = loops ? 1 : SHUFFLE_COST;
    bool other = false;

    *plan = c->plans[0];
    count_uses(ir, uses);
    while (improve(guest, plan, uses, CLS_R, least))
        other = true;
    while (improve(guest, plan, uses, CLS_F, least))
        other = true;
    if (lean && thin(plan, uses))
        other = true;
    return other ? tb_plan(c, plan) : 0;
}
