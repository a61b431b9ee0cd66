/* SPDX-License-Identifier: MIT */
/*
 * -explain: a record of every block made.  Its counts are u64s beside the code, which
 * die with the block's number at a flush; before that they are taken into the record.
 */
#include <stdlib.h>
#include <string.h>
#include "explain.h"

/* ---- what the block at hand was made of ---- */

void explain_read(Cache *c, const Ir *ir)
{
    Explain *x = c->explain;
    u64 began = explain_cpu_ns();

    x->n_before = ir->n_ops;
    memcpy(x->before, ir->ops, ir->n_ops * sizeof *ir->ops);
    x->n_bytes = 0;
    for (u32 i = 0; i < ir->n_insns; i++) {
        const IrInsn *insn = &ir->insns[i];

        memcpy(x->bytes + x->n_bytes, space_host(c->space, insn->pc), insn->len);
        x->n_bytes += insn->len;
    }
    x->records_ns += explain_cpu_ns() - began;
}

static bool same_insns(const ExplainBlock *b, const Ir *ir)
{
    for (u32 i = 0; i < ir->n_insns; i++)
        if (b->insns[i].pc != ir->insns[i].pc || b->insns[i].len != ir->insns[i].len)
            return false;
    return true;
}

static bool same_bytes(const ExplainBlock *b, const Explain *x)
{
    return !x->n_bytes || !memcmp(b->bytes, x->bytes, x->n_bytes);
}

/* The record of the same work done before. */
static ExplainBlock *find(const Cache *c, const Tb *tb, const Ir *ir)
{
    const Explain *x = c->explain;
    ExplainBlock *b = g_hash_table_lookup(x->by_pc, &tb->pc);

    for (; b; b = b->next)
        if (b->key.flags == tb->flags && b->trace == tb->trace &&
            b->loops == tb->loops && b->n_insns == ir->n_insns &&
            b->n_ops == ir->n_ops && b->n_bytes == x->n_bytes && same_bytes(b, x) &&
            same_insns(b, ir) && !memcmp(&b->plan, &c->plans[tb->plan], sizeof b->plan))
            return b;
    return NULL;
}

/* ---- records ---- */

#define COPY(from, n) g_memdup2(from, (n) * sizeof *(from))

static ExplainBlock *block_new(Explain *x, const Tb *tb, const Ir *ir)
{
    ExplainBlock *b = g_new0(ExplainBlock, 1);

    b->key = (TbKey){tb->pc, tb->flags};
    b->trace = tb->trace;
    b->loops = tb->loops;
    b->n_insns = ir->n_insns;
    b->n_ops = ir->n_ops;
    b->n_consts = ir->n_consts;
    b->n_exits = ir->n_exits;
    b->n_bytes = x->n_bytes;
    b->n_before = tb->trace ? x->n_before : 0;
    b->insns = COPY(ir->insns, ir->n_insns);
    b->ops = COPY(ir->ops, ir->n_ops);
    b->before = COPY(x->before, b->n_before);
    b->consts = COPY(ir->consts, ir->n_consts);
    b->exits = COPY(ir->exits, ir->n_exits);
    b->bytes = COPY(x->bytes, x->n_bytes);
    b->op_at = g_new(u32, ir->n_ops + 1);
    b->op_samples = g_new0(u64, ir->n_ops);
    b->next = g_hash_table_lookup(x->by_pc, &b->key.pc);
    g_hash_table_replace(x->by_pc, &b->key.pc, b);
    g_ptr_array_add(x->blocks, b);
    return b;
}

/* The op that leaves by an exit. */
static u32 op_of_exit(const Ir *ir, u32 exit)
{
    for (u32 i = 0; i < ir->n_ops; i++)
        if (op_desc[ir->ops[i].op].has_exit && ir->ops[i].exit == exit)
            return i;
    return ir->n_ops - 1;
}

static void set_ways(ExplainBlock *b, const EmitTask *t, const Ir *ir)
{
    bool again = b->n_ways == t->n_exits;

    b->ways = g_renew(ExplainWay, b->ways, t->n_exits);
    if (!again && b->ways)
        memset(b->ways, 0, t->n_exits * sizeof *b->ways);
    b->n_ways = t->n_exits;
    for (u32 i = 0; i < t->n_exits; i++) {
        const EmitExit *e = &t->exits[i];
        const IrExit *exit = &ir->exits[e->ir_exit];
        ExplainWay *w = &b->ways[i];

        w->pc = exit->pc;
        w->kind = exit->kind;
        w->trap = exit->trap;
        w->request = e->request;
        w->op = op_of_exit(ir, e->ir_exit);
        w->from = e->start - t->at;
        w->to = (i + 1 < t->n_exits ? t->exits[i + 1].start : t->end) - t->at;
    }
}

/* Where the code is and what it looks like: new each time it is made. */
static void set_code(ExplainBlock *b, const Cache *c, const EmitTask *t, const Ir *ir)
{
    b->at = t->at;
    b->body = t->body - t->at;
    b->end = t->end - t->at;
    b->code = g_realloc(b->code, b->end);
    memcpy(b->code, c->write + t->at, b->end);
    for (u32 i = 0; i <= ir->n_ops; i++)
        b->op_at[i] = t->op_at[i] - t->at;
    b->checks = t->check_len;
    set_ways(b, t, ir);
}

static void take(Cache *c, u32 number);

void explain_made(Cache *c, const Tb *tb, const EmitTask *t, const Ir *ir)
{
    Explain *x = c->explain;
    u32 number = tb_number(c, tb);
    u64 began = explain_cpu_ns();
    ExplainBlock *b = find(c, tb, ir);

    if (b && b->tb)
        take(c, b->tb);
    if (!b)
        b = block_new(x, tb, ir);
    b->plan = c->plans[tb->plan];
    b->made++;
    b->tb = number;
    set_code(b, c, t, ir);
    g_ptr_array_set_size(x->of_tb, (gint)MAX(number + 1, x->of_tb->len));
    g_ptr_array_index(x->of_tb, number) = b;
    x->records_ns += explain_cpu_ns() - began;
}

/* ---- counts ---- */

/* What all threads have counted there, which begin again. */
static u64 take_tally(Cache *c, u32 i)
{
    u64 n = c->explain->ended[i];

    c->explain->ended[i] = 0;
    for (Thread *t = c->threads; t; t = t->next) {
        n += t->tallies[i];
        t->tallies[i] = 0;
    }
    return n;
}

void explain_keep_tallies(Cache *c, Thread *t)
{
    u64 *to = c->explain->ended, *from = t->tallies;
    u32 exits = 2 * c->max_tbs;

    for (u32 i = 0; i < 2 * c->n_tbs; i++)
        to[i] += from[i];
    for (u32 i = exits; i < exits + c->n_exits; i++)
        to[i] += from[i];
}

/* n samples at a byte of the block's code. */
static void add_samples(ExplainBlock *b, u32 at, u32 n)
{
    b->samples += n;
    if (at < b->op_at[0]) {
        b->entry_samples += n;
        return;
    }
    for (u32 i = 0; i < b->n_ops; i++)
        if (at < b->op_at[i + 1]) {
            b->op_samples[i] += n;
            return;
        }
    for (u32 i = 0; i < b->n_ways; i++)
        if (at >= b->ways[i].from && at < b->ways[i].to) {
            b->ways[i].samples += n;
            return;
        }
    b->op_samples[b->n_ops - 1] += n; /* slow paths of ops, out of line */
}

static void take_samples(const Explain *x, ExplainBlock *b, const Tb *tb)
{
    for (u32 at = tb->code; at < tb->end; at++) {
        u32 n;

        if (!x->warm[at / WARM]) {
            at |= WARM - 1;
            continue;
        }
        if ((n = atomic_exchange(&x->heat[at], 0)))
            add_samples(b, at - tb->code, n);
    }
}

/* Takes the counts of one Tb into its record. */
static void take(Cache *c, u32 number)
{
    Explain *x = c->explain;
    const Tb *tb = &c->tbs[number];
    ExplainBlock *b = g_ptr_array_index(x->of_tb, number);
    u32 n = MIN(b->n_ways, tb->n_exits);

    b->entries += take_tally(c, 2 * number);
    b->rounds += take_tally(c, 2 * number + 1);
    for (u32 i = 0; i < n; i++)
        b->ways[i].count += take_tally(c, 2 * c->max_tbs + tb->first_exit + i);
    if (x->heat)
        take_samples(x, b, tb);
}

void explain_collect(Cache *c, bool flush)
{
    Explain *x = c->explain;

    for (u32 i = 1; i < x->of_tb->len; i++) {
        ExplainBlock *b = g_ptr_array_index(x->of_tb, i);

        if (!b)
            continue;
        take(c, i);
        if (flush)
            b->tb = 0;
    }
    if (x->heat && flush)
        for (u32 at = 0; at < c->at; at += WARM)
            x->warm[at / WARM] = 0;
    if (flush)
        g_ptr_array_set_size(x->of_tb, 0);
}

/* ---- on and off ---- */

Explain *explain_new(Cache *c, int sig)
{
    Explain *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->sig = sig;
    x->by_pc = g_hash_table_new(g_int64_hash, g_int64_equal);
    x->blocks = g_ptr_array_new();
    x->of_tb = g_ptr_array_new();
    x->ended = code_sparse(exec_n_tallies(c) * sizeof *x->ended);
    x->warm = calloc(c->size / WARM + 1, 1);
    x->heat = x->warm ? code_sparse(c->size * sizeof *x->heat) : NULL;
    x->began_ns = explain_process_ns();
    return x->ended ? x : NULL;
}

static void forget(ExplainBlock *b)
{
    b->entries = b->rounds = b->samples = b->entry_samples = 0;
    memset(b->op_samples, 0, b->n_ops * sizeof *b->op_samples);
    for (u32 i = 0; i < b->n_ways; i++)
        b->ways[i].count = b->ways[i].samples = 0;
}

void cache_explain_fork(Cache *c, Env *env, bool goes_on)
{
    Explain *x = c->explain;

    if (!x)
        return;
    env->thread->explain = NULL; /* its timer was the parent's */
    if (!goes_on) {
        c->explain = NULL;
        return;
    }
    explain_collect(c, false);
    for (u32 i = 0; i < x->blocks->len; i++)
        forget(g_ptr_array_index(x->blocks, i));
    x->samples = x->helper_samples = x->shared_samples = x->linking_samples = 0;
    x->runs = x->records_ns = x->translate_ns = x->inside_ns = x->threads =
        x->began_ns = 0;
    memset(&c->stats, 0, sizeof c->stats);
    explain_thread_begin(c, env->thread);
}
