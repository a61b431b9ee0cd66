/* SPDX-License-Identifier: MIT */
/*
 * Memory of a system guest.  In a trace a register that stays in its page for long has
 * that page at hand, the near one; else the TLB is looked up in the code; what it does
 * not know is a helper's, out of line.  Either way rax is a host address then.
 */
#include <stdlib.h>
#include "emit.h"

/* How an access finds its page: in the TLB, or first in a near slot. */
typedef struct Lookup {
    const Op *op;
    u32 code;     /* OP_tlb_* */
    u32 slot;     /* NEAR_SLOTS: none */
    bool refills; /* a near miss looks in the TLB itself */
    u32 site;     /* in the hot part: whose instruction it is, should it fault */
} Lookup;

static i32 near_page_of(u32 slot) { return ENV_OFF(near_page) + (i32)slot * 8; }
static i32 near_host_of(u32 slot) { return ENV_OFF(near_host) + (i32)slot * 8; }

static u32 slot_for(const Emit *e, const Op *op)
{
    Val base = op->in[0], stack = ((const GuestRegs *)e->ir->guest)->stack;

    if (op_atomic(op->op) || base >= NEAR_SLOTS / 2 ||
        (base != stack && !(e->steady >> base & 1)))
        return NEAR_SLOTS;
    return near_slot(base, op_desc[op->op].flags & STORE);
}

/* rax = the guest's address */
static void put_address(Emit *e, Val base, i32 imm)
{
    u8 a = use_r(e, base, HOST_RAX);

    if (imm)
        put2(e, OP_add, FORM_rri, HOST_RAX, a, imm);
    else if (a != HOST_RAX)
        put2(e, OP_mov, FORM_ru, HOST_RAX, a, 0);
}

static u32 last_fix(const Emit *e) { return e->n_fixes - 1; }

static void fix_cold(Emit *e, u32 fix)
{
    if (e->full)
        return;
    e->fixes[fix].kind = FIX_COLD;
    e->fixes[fix].to = e->cold.at;
}

/* rax: guest's address -> what to add to the host's page, if it is the near one. */
static void put_near(Emit *e, u32 slot, u32 bytes)
{
    put1(e, OP_xor, FORM_rm, HOST_RAX, near_page_of(slot));
    put1x(e, OP_bgeu, FORM_bri, HOST_RAX, PAGE_SIZE - bytes + 1, 0);
}

/* The page that rax is in, host address of base + imm, becomes near. */
static void put_near_page(Emit *e, u32 slot, Val base, i32 imm)
{
    u8 a = use_r(e, base, HOST_RCX);

    put2(e, OP_add, FORM_rri, HOST_RCX, a, imm);
    put1(e, OP_and, FORM_ri, HOST_RCX, (i64)PAGE_MASK);
    put1(e, OP_mov, FORM_sm, HOST_RCX, near_page_of(slot));
    put2(e, OP_mov, FORM_ru, HOST_RCX, HOST_RAX, 0);
    put1(e, OP_and, FORM_ri, HOST_RCX, (i64)PAGE_MASK);
    put1(e, OP_mov, FORM_sm, HOST_RCX, near_host_of(slot));
    put_const(e, HOST_RCX, (i64)(1ull << slot));
    put1(e, OP_or, FORM_rm, HOST_RCX, ENV_OFF(near_used));
    put1(e, OP_mov, FORM_sm, HOST_RCX, ENV_OFF(near_used));
}

/* In the cold part, once: what saves the registers around a call of helper eax. */
static void put_miss_call(Emit *e)
{
    if (e->miss_call)
        return;
    e->o = &e->cold;
    e->miss_call = e->cold.at + 1;
    put_frame(e, true);
    spill_temps(e, false);
    spill_plan(e, false);
    put_call_thunk(e);
    spill_plan(e, true);
    spill_temps(e, true);
    put_strides(e);
    put_frame(e, false);
    e->o = &e->hot;
}

/* Asks the helper; rax: guest's address -> host's. */
static void put_miss(Emit *e, const Lookup *l)
{
    const Op *op = l->op;
    u64 how = op_atomic(op->op) ? MISS_ATOMIC : 0;

    if (l->slot < NEAR_SLOTS && !l->refills)
        how |= MISS_NEAR | (u64)l->slot << MISS_SLOT;
    put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg));
    if (op->in[1] != VAL_NONE)
        store_arg(e, op->in[1], op_desc[op->op].in[1], 1);
    put_const(e, HOST_RAX, (i64)(l->site | how));
    put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg) + 16);
    put_const(e, HOST_RAX, e->t->n_helpers + l->code);
    put_call_cold(e, e->miss_call - 1);
    put1(e, OP_mov, FORM_lm, HOST_RAX, ENV_OFF(ret));
}

/* In the cold part; rax is as the near slot's page has left it. */
static void put_near_miss(Emit *e, const Lookup *l)
{
    u32 fix;

    put1(e, OP_xor, FORM_rm, HOST_RAX, near_page_of(l->slot));
    if (!l->refills)
        return;
    put0(e, l->code, FORM_x, 0);
    fix = last_fix(e);
    put_near_page(e, l->slot, l->op->in[0], l->op->imm);
    put_jump_fix(e, FIX_HOT, l->site);
    fix_cold(e, fix);
}

static void emit_lookup(Emit *e, Lookup *l)
{
    put_miss_call(e);
    if (l->slot == NEAR_SLOTS)
        put0(e, l->code, FORM_x, 0);
    else
        put_near(e, l->slot, op_access_size(l->op->op));
    fix_cold(e, last_fix(e));
    if (l->slot < NEAR_SLOTS)
        put1(e, OP_add, FORM_rm, HOST_RAX, near_host_of(l->slot));
    l->site = e->hot.at;
    e->o = &e->cold;
    if (l->slot < NEAR_SLOTS)
        put_near_miss(e, l);
    put_miss(e, l);
    put_jump_fix(e, FIX_HOT, l->site);
    e->o = &e->hot;
}

/* ---- runs ---- */

enum { RUN_SPAN = 512 };

/* Can the access be one of the run that `first` begins? */
static bool joins(const Emit *e, const Op *first, const Op *op)
{
    const OpDesc *desc = &op_desc[op->op];

    return desc->has_imm && desc->flags & FAULT && !op_atomic(op->op) &&
           op->in[0] == first->in[0] &&
           !((desc->flags ^ op_desc[first->op].flags) & STORE) &&
           (desc->flags & STORE || val_is_global(op->out));
}

static void find_run(Emit *e, Run *run)
{
    const Op *first = &e->ir->ops[e->op];
    i32 low = first->imm, high = low;

    *run = (Run){.first = e->op};
    for (u32 i = e->op; i < e->ir->n_ops && run->n < RUN_MOST; i++) {
        const Op *op = &e->ir->ops[i];

        if (op->op == OP_insn)
            continue;
        if (!joins(e, first, op))
            break;
        low = MIN(low, op->imm);
        high = MAX(high, op->imm + (i32)op_access_size(op->op));
        if (high - low > RUN_SPAN)
            break;
        run->low = low;
        run->span = high - low;
        run->n++;
        if (op->out == first->in[0])
            break;
    }
}

/* Puts down what all accesses of a run have in common, if one begins here. */
static bool begin_run(Emit *e, const Op *op)
{
    u32 slot = slot_for(e, op);
    Run run;

    if (!e->t->near || slot == NEAR_SLOTS || !op_desc[op->op].has_imm)
        return false;
    find_run(e, &run);
    if (run.n < 2)
        return false;
    put_miss_call(e);
    put_address(e, op->in[0], run.low);
    put_near(e, slot, (u32)run.span);
    run.fix = last_fix(e);
    put1(e, OP_add, FORM_rm, HOST_RAX, near_host_of(slot));
    run.begin = e->hot.at;
    run.left = run.n;
    e->run = run;
    return true;
}

/* The near page was another: perhaps all of the run is in this one. */
static void put_run_again(Emit *e, const Op *first, u32 *fix)
{
    Run *run = &e->run;
    u32 slot = slot_for(e, first);

    put_address(e, first->in[0], run->low);
    put0(e, slot & 1 ? OP_tlb_w1 : OP_tlb_r1, FORM_x, 0);
    fix[0] = last_fix(e);
    put_near_page(e, slot, first->in[0], run->low);
    put_address(e, first->in[0], run->low);
    put_near(e, slot, (u32)run->span);
    fix[1] = last_fix(e);
    put1(e, OP_add, FORM_rm, HOST_RAX, near_host_of(slot));
    put_jump_fix(e, FIX_HOT, run->begin);
}

/* Each access by itself, in the cold part. */
static void put_run_apart(Emit *e)
{
    Run *run = &e->run;
    u32 insn = 0, miss[RUN_MOST], back[RUN_MOST], n = 0;

    for (u32 i = 0; i < run->first; i++)
        insn += e->ir->ops[i].op == OP_insn;
    for (u32 i = run->first; n < run->n; i++) {
        const Op *op = &e->ir->ops[i];

        if (op->op == OP_insn) {
            insn++;
            continue;
        }
        if (e->t->n_apart < IR_INSNS)
            e->t->apart[e->t->n_apart++] = (EmitApart){e->cold.at, insn - 1};
        put_address(e, op->in[0], op->imm);
        put0(e, op_lookup(op->op), FORM_x, 0);
        miss[n] = last_fix(e);
        back[n++] = e->cold.at;
        emit_access(e, op, HOST_RAX, 0, false);
    }
    put_jump_fix(e, FIX_HOT, e->hot.at);
    n = 0;
    for (u32 i = run->first; n < run->n; i++) {
        const Op *op = &e->ir->ops[i];

        if (op->op == OP_insn)
            continue;
        fix_cold(e, miss[n]);
        put_miss(e, &(Lookup){op, op_lookup(op->op), NEAR_SLOTS, true, run->at[n]});
        put_jump_fix(e, FIX_COLD, back[n]);
        n++;
    }
}

void emit_run_on(Emit *e)
{
    Run *run = &e->run;
    u32 fix[2];

    if (--run->left)
        return;
    e->o = &e->cold;
    fix_cold(e, run->fix);
    put_run_again(e, &e->ir->ops[run->first], fix);
    fix_cold(e, fix[0]);
    fix_cold(e, fix[1]);
    put_run_apart(e);
    e->o = &e->hot;
}

/* ---- loops that were looked up ahead ---- */

/* How many spare registers the block's temps take. */
static u32 temps_of(const Ir *ir)
{
    u32 n = 0;

    for (u32 i = 0; i < ir->n_ops; i++) {
        Val out = ir->ops[i].out;

        if (out >= VAL_TEMP && out < VAL_FTEMP)
            n = MAX(n, (u32)out - VAL_TEMP + 1);
    }
    return n;
}

void put_strides(Emit *e)
{
    if (!e->t->strides)
        return;
    for (u32 i = 0; i < e->t->strides->n; i++)
        if (e->stride_reg[i] != HOST_NONE)
            put1(e, OP_mov, FORM_lm, e->stride_reg[i],
                 ENV_OFF(stride_delta) + (i32)i * 8);
}

void emit_strides(Emit *e)
{
    u32 temps = temps_of(e->ir), spare = e->n_spare_r;

    for (u32 i = 0; i < e->t->strides->n; i++)
        e->stride_reg[i] = spare > temps ? e->spare_r[--spare] : HOST_NONE;
    put_strides(e);
}

void emit_stride_check(Emit *e)
{
    u8 clock = use_r(e, e->t->strides->clock, HOST_RCX);
    u32 on, fix;

    put1(e, OP_mov, FORM_lm, HOST_RAX, ENV_OFF(stride_limit));
    put2x(e, OP_beq, FORM_brr, HOST_RAX, clock, 0, 0);
    fix_cold(e, last_fix(e));
    on = e->hot.at;
    e->o = &e->cold;
    spill_plan(e, false);
    put_const(e, HOST_RAX, e->t->block);
    put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg));
    put_call_helper(e, e->t->n_helpers + HELPER_AHEAD);
    spill_plan(e, true);
    put_strides(e);
    put1(e, OP_mov, FORM_lm, HOST_RAX, ENV_OFF(ret));
    put1x(e, OP_beq, FORM_brz, HOST_RAX, 0, 0);
    fix = last_fix(e);
    put_jump_fix(e, FIX_HOT, on);
    fix_cold(e, fix);
    e->o = &e->hot;
}

static bool put_strided(Emit *e, const Op *op)
{
    const EmitStrides *s = e->t->strides;
    u8 delta, a;
    u32 i;

    if (!s || !op_desc[op->op].has_imm || op->in[0] >= STRIDE_REGS ||
        (i = s->of[op->in[0]]) == STRIDES_MOST)
        return false;
    delta = e->stride_reg[i];
    if (delta == HOST_NONE) {
        delta = HOST_RAX;
        put1(e, OP_mov, FORM_lm, delta, ENV_OFF(stride_delta) + (i32)i * 8);
    }
    a = use_r(e, op->in[0], HOST_RCX);
    put3(e, OP_add, FORM_rrr, HOST_RAX, delta, a);
    return true;
}

i32 emit_host_address(Emit *e, const Op *op)
{
    Lookup l = {op, op_lookup(op->op), slot_for(e, op), e->t->near, 0};

    if (put_strided(e, op))
        return op->imm;
    if (e->run.left || begin_run(e, op)) {
        e->run.at[e->run.n - e->run.left] = e->hot.at;
        return op->imm - e->run.low;
    }
    put_address(e, op->in[0], op_desc[op->op].has_imm ? op->imm : 0);
    emit_lookup(e, &l);
    return 0;
}

/* ---- which registers are pointers into one page for long ---- */

enum { SMALL_STEP = 256 }; /* bytes: a page lasts for some accesses */

/* Does the op leave its result in the page of a register of the set? */
static bool keeps_page(const Ir *ir, const Op *op, u32 set)
{
    Val a = op->in[0];

    if (op->op == OP_mov && val_is_const(a))
        return true;
    if (op->op != OP_mov && !(op->op == OP_add && val_is_const(op->in[1])))
        return false;
    if (a >= NEAR_SLOTS / 2 || !(set >> a & 1))
        return false;
    return a != op->out || op->op == OP_mov ||
           llabs(ir_value(ir, op->in[1])) <= SMALL_STEP;
}

u32 emit_steady(const Ir *ir)
{
    u32 set = ~0u, before;

    do {
        before = set;
        for (u32 i = 0; i < ir->n_ops; i++)
            if (ir->ops[i].out < NEAR_SLOTS / 2 && !keeps_page(ir, &ir->ops[i], set))
                set &= ~(1u << ir->ops[i].out);
    } while (set != before);
    return set;
}
