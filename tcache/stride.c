/* SPDX-License-Identifier: MIT */
/* Loops whose accesses are looked up ahead: what they are like, and entering them. */
#include <stdlib.h>
#include <string.h>
#include "stride.h"

enum {
    FAR_STEP = 512,        /* bytes: beyond, a page does not last for long */
    ROUNDS_AT_ONCE = 4096, /* that a request may wait for */
    WIDE = 1024,           /* bytes that one register may be used for */
    ROUNDS_LEAST = 8,      /* ahead, to begin with */
    WAIT_MOST = 12,        /* log2 of rounds between tries in vain */
    HOPELESS_AFTER = 64    /* tries in vain */
};

/* ---- what a loop is like ---- */

/* How a register moves in a round. */
typedef struct Motion {
    bool free; /* by other than fixed steps */
    i64 step;  /* a round's, or so far */
} Motion;

static bool is_step(const Op *op)
{
    return op->op == OP_add && op->in[0] == op->out && val_is_const(op->in[1]);
}

static void follow(const Ir *ir, const Op *op, Motion *motion)
{
    Motion *m = op->out < STRIDE_REGS ? &motion[op->out] : NULL;

    if (!m)
        return;
    if (is_step(op))
        m->step = (i64)((u64)m->step + (u64)ir_value(ir, op->in[1]));
    else
        m->free = true;
}

static Stride *stride_of(Strides *s, Val base, i64 step)
{
    for (u32 i = 0; i < s->n; i++)
        if (s->stride[i].base == base)
            return &s->stride[i];
    if (s->n == STRIDES_MOST)
        return NULL;
    s->stride[s->n] =
        (Stride){.base = base, .low = INT32_MAX, .high = INT32_MIN, .step = step};
    return &s->stride[s->n++];
}

/* Takes an access in; false: it has to be looked up when it is made. */
static bool take(Strides *s, const Op *op, const Motion *all, const Motion *now)
{
    bool write = op_desc[op->op].flags & STORE;
    Val base = op->in[0];
    Stride *stride;
    i64 low, high;

    if (!op_desc[op->op].has_imm || base >= STRIDE_REGS || all[base].free ||
        llabs(all[base].step) > FAR_STEP)
        return false;
    low = now[base].step + op->imm;
    high = low + op_access_size(op->op);
    stride = low > -WIDE && high < WIDE ? stride_of(s, base, all[base].step) : NULL;
    if (!stride)
        return false;
    stride->low = MIN(stride->low, (i32)low);
    stride->high = MAX(stride->high, (i32)high);
    stride->read |= !write;
    stride->write |= write;
    return true;
}

static void fill_emit(Strides *s)
{
    memset(s->emit.of, STRIDES_MOST, sizeof s->emit.of);
    s->emit.clock = VAL_NONE;
    for (u32 i = 0; i < s->n; i++) {
        s->emit.of[s->stride[i].base] = (u8)i;
        if (s->stride[i].step)
            s->emit.clock = s->stride[i].base;
    }
    s->emit.n = s->n;
}

/* Helpers may change mappings, and so may what a store does to a device: a loop with
 * either is left alone. */
bool strides_find(const Ir *ir, Strides *s)
{
    Motion all[STRIDE_REGS] = {{0}}, now[STRIDE_REGS] = {{0}};

    *s = (Strides){0};
    for (u32 i = 0; i < ir->n_ops; i++)
        follow(ir, &ir->ops[i], all);
    for (u32 i = 0; i < ir->n_ops; i++) {
        const Op *op = &ir->ops[i];

        if (op->op == OP_call || op->op == OP_jump || op_atomic(op->op))
            return false;
        if (op_desc[op->op].flags & FAULT && !take(s, op, all, now) &&
            op_desc[op->op].flags & STORE)
            return false;
        follow(ir, op, now);
    }
    fill_emit(s);
    return s->n;
}

/* ---- entering ---- */

/* Rounds that the accesses stay in the page they are in now; 0: it is not known. */
static u64 rounds_ahead(const Env *env, const Stride *s, u64 *delta)
{
    u64 low = env->g[s->base] + (u64)(i64)s->low;
    u64 last = env->g[s->base] + (u64)(i64)s->high - 1;
    const TlbEntry *e = env_tlb(env, low, 1, s->write);

    if (!e || ((low ^ last) & PAGE_MASK) || (s->read && e->read != (low & PAGE_MASK)))
        return 0;
    *delta = e->addend;
    if (s->step > 0)
        return (PAGE_SIZE - 1 - (last & ~PAGE_MASK)) / (u64)s->step + 1;
    if (s->step < 0)
        return (low & ~PAGE_MASK) / (u64)-s->step + 1;
    return UINT64_MAX;
}

/* Is everything known for so many rounds?  Env says then where things are. */
static bool get_ready(Env *env, const Strides *s, u64 least)
{
    u64 rounds = ROUNDS_AT_ONCE, step = 0;

    for (u32 i = 0; i < s->n; i++) {
        rounds = MIN(rounds, rounds_ahead(env, &s->stride[i], &env->stride_delta[i]));
        if (s->stride[i].base == s->emit.clock)
            step = (u64)s->stride[i].step;
    }
    if (rounds < least)
        return false;
    if (s->emit.clock != VAL_NONE)
        env->stride_limit = env->g[s->emit.clock] + rounds * step;
    return true;
}

static u64 name_of(const Tb *tb) { return tb->pc ^ tb->flags * 0x9e3779b97f4a7c15; }

bool strides_hopeless(const Cache *c, const Tb *tb)
{
    return c->hopeless &&
           g_hash_table_contains(c->hopeless, GSIZE_TO_POINTER(name_of(tb)));
}

/* The loop is to be made again, without trying. */
static void give_up(Cache *c, Env *env, Tb *tb)
{
    u64 epoch = c->epoch;

    exec_lock(c, env->thread);
    if (epoch == c->epoch && tb->state == TB_ALIVE) {
        if (!c->hopeless)
            c->hopeless = g_hash_table_new(NULL, NULL);
        g_hash_table_add(c->hopeless, GSIZE_TO_POINTER(name_of(tb)));
        tb_drop(c, tb);
    }
    exec_unlock(c, env->thread);
}

/* The loop's other translation, made if need be; NULL: there is none. */
static Tb *fast_of(Cache *c, Env *env, Tb *tb)
{
    Strides *s = tb->strides;
    u64 epoch = c->epoch;
    bool faulted;
    Tb *fast = NULL;

    if (s->fast)
        return &c->tbs[s->fast];
    exec_lock(c, env->thread);
    if (epoch == c->epoch && tb->state == TB_ALIVE && !s->fast)
        fast = exec_gen(c, env, (TbKey){tb->pc, tb->flags}, GEN_STRIDES, &faulted);
    if (fast) {
        fast->strides->of = s;
        s->fast = tb_number(c, fast);
    } else if (epoch == c->epoch) {
        s->failed = HOPELESS_AFTER - 1;
    }
    exec_unlock(c, env->thread);
    return fast;
}

Tb *strides_enter(Cache *c, Env *env, u32 block)
{
    Tb *tb = &c->tbs[block], *fast = tb;
    Strides *loop = tb->ahead ? tb->strides->of : tb->strides;
    u64 epoch = c->epoch;

    if (!tb->ahead) {
        fast = fast_of(c, env, tb);
        if (epoch != c->epoch)
            return NULL;
    }
    if (fast && fast->state == TB_ALIVE &&
        get_ready(env, fast->strides, ROUNDS_LEAST)) {
        loop->failed = 0;
        return fast;
    }
    env->rounds_first = 1 + (1ull << MIN(loop->failed, WAIT_MOST));
    if (++loop->failed >= HOPELESS_AFTER && !tb->ahead)
        give_up(c, env, tb);
    return NULL;
}

u64 strides_on(Env *env, u64 block, u64 b, u64 c)
{
    return !atomic_load(&env->request) &&
           get_ready(env, env->cache->tbs[block].strides, 1);
}

/* ---- keeping ---- */

void strides_keep(Cache *c, Tb *tb, const Strides *s)
{
    tb->strides = g_new(Strides, 1);
    *tb->strides = *s;
    tb->strides->next = c->strides;
    c->strides = tb->strides;
}

void strides_reset(Cache *c)
{
    while (c->strides) {
        Strides *s = c->strides;

        c->strides = s->next;
        g_free(s);
    }
    if (c->hopeless)
        g_hash_table_remove_all(c->hopeless);
}
