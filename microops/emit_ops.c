/* SPDX-License-Identifier: MIT */
/*
 * Micro-ops -> stencils: which stencils an op takes, given where the plan has put
 * its operands.  Knows forms, not bytes.  Values in Env pass through the emitter's
 * own registers (rax, rcx, xmm0-2); a temp takes a register the plan left free.
 */
#include "emit.h"

/* ---- where a value is ---- */

static u8 host_of(const Emit *e, Val v)
{
    if (val_is_global(v))
        return e->plan->host[v];
    if (v == e->in_rax)
        return HOST_RAX;
    if (v < VAL_FTEMP)
        return v - VAL_TEMP < (int)e->n_spare_r ? e->spare_r[v - VAL_TEMP] : HOST_NONE;
    if (v < VAL_CONST)
        return v - VAL_FTEMP < (int)e->n_spare_f ? e->spare_f[v - VAL_FTEMP]
                                                 : HOST_NONE;
    return HOST_NONE;
}

i32 slot_of(Val v)
{
    if (val_is_global(v))
        return ENV_OFF(g) + v * 8;
    if (v < VAL_FTEMP)
        return ENV_OFF(temp) + (v - VAL_TEMP) % (ENV_TEMPS / 2) * 8;
    return ENV_OFF(temp) + (ENV_TEMPS / 2 + (v - VAL_FTEMP) % (ENV_TEMPS / 2)) * 8;
}

void put_const(Emit *e, u8 d, i64 v)
{
    if (v == 0)
        put1(e, OP_mov, FORM_cz, d, 0);
    else if (fits_i32(v))
        put1(e, OP_mov, FORM_ci, d, v);
    else
        put1(e, OP_mov, FORM_ck, d, v);
}

/* Brings integer v into register d. */
void load_r(Emit *e, u8 d, Val v)
{
    u8 h;

    if (val_is_const(v)) {
        put_const(e, d, ir_value(e->ir, v));
        return;
    }
    h = host_of(e, v);
    if (h == HOST_NONE)
        put1(e, OP_mov, FORM_lm, d, slot_of(v));
    else if (h != d)
        put2(e, OP_mov, FORM_ru, d, h, 0);
}

static void load_f(Emit *e, u8 d, Val v)
{
    u8 h = host_of(e, v);

    if (h == HOST_NONE)
        put1(e, OP_fmov, FORM_flm, d, slot_of(v));
    else if (h != d)
        put2(e, OP_fmov, FORM_fu, d, h, 0);
}

/* A register that holds v: its own, or `scratch`, filled. */
u8 use_r(Emit *e, Val v, u8 scratch)
{
    u8 h = val_is_const(v) ? HOST_NONE : host_of(e, v);

    if (h != HOST_NONE)
        return h;
    load_r(e, scratch, v);
    return scratch;
}

static u8 use_f(Emit *e, Val v, u8 scratch)
{
    u8 h = host_of(e, v);

    if (h != HOST_NONE)
        return h;
    load_f(e, scratch, v);
    return scratch;
}

/* Is the temp that this op defines read by the next op alone, as its first operand?
 * Then it can stay in rax. */
static bool dies_next(const Emit *e, Val v)
{
    const Op *next = &e->ir->ops[e->op + 1];
    const Op *end = e->ir->ops + e->ir->n_ops;

    if (v < VAL_TEMP || v >= VAL_FTEMP || next >= end || next->in[0] != v ||
        next->in[1] == v || next->in[2] == v || op_desc[next->op].in[0] != CLS_R ||
        op_desc[next->op].in[1] == CLS_F)
        return false;
    for (const Op *op = next + 1; op < end && op->op != OP_insn; op++)
        if (op->in[0] == v || op->in[1] == v || op->in[2] == v)
            return false;
    return true;
}

/* Where to compute integer `out`: its register, else rax (then store_out). */
static u8 out_r(const Emit *e, Val out)
{
    u8 h = host_of(e, out);

    return h == HOST_NONE ? HOST_RAX : h;
}

static u8 out_f(const Emit *e, Val out)
{
    u8 h = host_of(e, out);

    return h == HOST_NONE ? HOST_X0 : h;
}

static void store_r(Emit *e, u8 from, Val out)
{
    u8 h = host_of(e, out);

    if (h == HOST_NONE) {
        if (dies_next(e, out) && from == HOST_RAX)
            e->in_rax = out;
        else
            put1(e, OP_mov, FORM_sm, from, slot_of(out));
    } else if (h != from) {
        put2(e, OP_mov, FORM_ru, h, from, 0);
    }
}

static void store_f(Emit *e, u8 from, Val out)
{
    u8 h = host_of(e, out);

    if (h == HOST_NONE)
        put1(e, OP_fmov, FORM_fsm, from, slot_of(out));
    else if (h != from)
        put2(e, OP_fmov, FORM_fu, h, from, 0);
}

/* ---- a helper, or an op's meaning called as one ---- */

static bool is_behind_mmu(const Emit *e, const Op *op)
{
    return UNLIKELY(e->t->mmu) && op_desc[op->op].flags & FAULT;
}

void store_arg(Emit *e, Val v, u8 class, u32 k)
{
    i32 at = ENV_OFF(arg) + (i32)k * 8;

    if (class == CLS_F)
        put1(e, OP_fmov, FORM_fsm, use_f(e, v, HOST_X0), at);
    else
        put1(e, OP_mov, FORM_sm, use_r(e, v, HOST_RAX), at);
}

void spill_plan(Emit *e, bool load)
{
    const GuestRegs *guest = (const GuestRegs *)e->ir->guest;

    if (e->plan == e->t->entry_plan)
        return;
    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        bool fp = guest->globals[i].cls == CLS_F;

        if (e->plan->host[i] != HOST_NONE)
            put1(e, fp ? OP_fmov : OP_mov,
                 load ? (fp ? FORM_flm : FORM_lm) : (fp ? FORM_fsm : FORM_sm),
                 e->plan->host[i], ENV_OFF(g) + (i32)i * 8);
    }
}

void spill_temps(Emit *e, bool load)
{
    for (u32 i = 0; i < MIN(e->n_spare_r, ENV_TEMPS / 2); i++)
        put1(e, OP_mov, load ? FORM_lm : FORM_sm, e->spare_r[i],
             slot_of((Val)(VAL_TEMP + i)));
    for (u32 i = 0; i < MIN(e->n_spare_f, ENV_TEMPS / 2); i++)
        put1(e, OP_fmov, load ? FORM_flm : FORM_fsm, e->spare_f[i],
             slot_of((Val)(VAL_FTEMP + i)));
}

static void emit_call(Emit *e, const Op *op, u32 helper)
{
    const OpDesc *desc = &op_desc[op->op];
    bool behind = is_behind_mmu(e, op);

    if (behind) {
        emit_host_address(e, op);
        put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg));
    }
    for (u32 k = behind; k < 3; k++)
        if (op->in[k] != VAL_NONE) {
            bool fp =
                op->op == OP_call
                    ? val_is_global(op->in[k])
                          ? ((const GuestRegs *)e->ir->guest)->globals[op->in[k]].cls ==
                                CLS_F
                          : op->in[k] >= VAL_FTEMP && op->in[k] < VAL_CONST
                    : desc->in[k] == CLS_F;

            store_arg(e, op->in[k], fp ? CLS_F : CLS_R, k);
        }
    spill_temps(e, false);
    spill_plan(e, false);
    put_call_helper(e, helper);
    spill_plan(e, true);
    spill_temps(e, true);
    put_strides(e);
}

static void emit_call_out(Emit *e, const Op *op, bool fp)
{
    if (op->out == VAL_NONE)
        return;
    if (fp) {
        u8 d = out_f(e, op->out);

        put1(e, OP_fmov, FORM_flm, d, ENV_OFF(ret));
        store_f(e, d, op->out);
    } else {
        u8 d = out_r(e, op->out);

        put1(e, OP_mov, FORM_lm, d, ENV_OFF(ret));
        store_r(e, d, op->out);
    }
}

void emit_helper(Emit *e, const Op *op)
{
    const GuestRegs *guest = (const GuestRegs *)e->ir->guest;
    Val out = op->out;
    bool fp = out != VAL_NONE && (val_is_global(out) ? guest->globals[out].cls == CLS_F
                                                     : out >= VAL_FTEMP);

    emit_call(e, op, (u32)op->imm);
    emit_call_out(e, op, fp);
}

static void emit_meaning(Emit *e, const Op *op)
{
    emit_call(e, op, e->t->n_helpers + op->op);
    emit_call_out(e, op, op_desc[op->op].out == CLS_F);
}

/* ---- integer ops ---- */

static void emit_fixed_r(Emit *e, const Op *op)
{
    bool rcx = has(e, op->op, FORM_fxc), behind = is_behind_mmu(e, op);

    if (behind)
        emit_host_address(e, op);
    if (op->in[1] != VAL_NONE)
        load_r(e, HOST_RCX, op->in[1]);
    if (!behind)
        load_r(e, HOST_RAX, op->in[0]);
    put0(e, op->op, rcx ? FORM_fxc : FORM_fx, 0);
    store_r(e, rcx ? HOST_RCX : HOST_RAX, op->out);
}

/* D = A, then D = D op B; where D is B, by way of rax. */
static void emit_two_address(Emit *e, const Op *op, Val a, Val b, u8 d)
{
    u8 hb = val_is_const(b) ? HOST_NONE : host_of(e, b);

    if (hb == d && hb != HOST_NONE && !(host_of(e, a) == d)) {
        if (op_desc[op->op].flags & COMM) {
            Val t = a;

            a = b, b = t;
            hb = val_is_const(b) ? HOST_NONE : host_of(e, b);
        } else {
            load_r(e, HOST_RAX, a);
            put2(e, op->op, FORM_rr, HOST_RAX, hb, 0);
            put2(e, OP_mov, FORM_ru, d, HOST_RAX, 0);
            return;
        }
    }
    if (hb == HOST_NONE && !val_is_const(b) && has(e, op->op, FORM_rm)) {
        load_r(e, d, a);
        put1(e, op->op, FORM_rm, d, slot_of(b));
        return;
    }
    hb = use_r(e, b, HOST_RCX);
    load_r(e, d, a);
    put2(e, op->op, FORM_rr, d, hb, 0);
}

static void emit_binary(Emit *e, const Op *op)
{
    Val a = op->in[0], b = op->in[1];
    u8 d = out_r(e, op->out);

    bool in_slot = !val_is_const(b) && host_of(e, b) == HOST_NONE;

    if (has(e, op->op, FORM_rrr) && !(host_of(e, a) == d && in_slot)) {
        u8 ha = use_r(e, a, HOST_RAX), hb = use_r(e, b, HOST_RCX);

        put3(e, op->op, FORM_rrr, d, ha, hb);
    } else if (has(e, op->op, FORM_rrr)) {
        load_r(e, d, a);
        put1(e, op->op, FORM_rm, d, slot_of(b));
    } else if (has(e, op->op, FORM_rr)) {
        emit_two_address(e, op, a, b, d);
    } else if (has(e, op->op, FORM_rc)) {
        bool clash = host_of(e, b) == d && host_of(e, a) != d;

        load_r(e, HOST_RCX, b);
        if (clash)
            d = HOST_RAX;
        load_r(e, d, a);
        put1(e, op->op, FORM_rc, d, 0);
    } else if (has(e, op->op, FORM_fx) || has(e, op->op, FORM_fxc)) {
        emit_fixed_r(e, op);
        return;
    } else {
        emit_meaning(e, op);
        return;
    }
    store_r(e, d, op->out);
}

/* The immediate that B stands for, if this op has a form for it. */
static bool emit_immediate(Emit *e, const Op *op)
{
    i64 imm = ir_value(e->ir, op->in[1]), minus = (i64)(0 - (u64)imm);
    u32 code = op->op;
    u8 d = out_r(e, op->out);
    Form form;

    if (code == OP_sub && fits_i32(minus))
        code = OP_add, imm = minus;
    if (code == OP_subw && fits_i32(minus))
        code = OP_addw, imm = minus;
    if (code == OP_rol || code == OP_rolw)
        code = code == OP_rol ? OP_ror : OP_rorw, imm = minus;
    if (has(e, code, FORM_rri) && fits_i32(imm)) {
        put2(e, code, FORM_rri, d, use_r(e, op->in[0], HOST_RAX), imm);
        store_r(e, d, op->out);
        return true;
    }
    if (code == OP_sraw || (code == OP_srlw && !(imm & 31 && has(e, code, FORM_rk)))) {
        u32 widen = code == OP_srlw && (imm & 31) ? OP_zext32 : OP_sext32;

        put2(e, widen, FORM_ru, d, use_r(e, op->in[0], HOST_RAX), 0);
        if (imm & 31)
            put1(e, code == OP_srlw ? OP_srl : OP_sra, FORM_rk, d, imm & 31);
        store_r(e, d, op->out);
        return true;
    }
    if (has(e, code, FORM_rk)) {
        form = FORM_rk;
        imm &= op_desc[code].flags & LOW ? 31 : 63;
    } else if (has(e, code, FORM_ri) && fits_i32(imm)) {
        form = FORM_ri;
    } else {
        return false;
    }
    load_r(e, d, op->in[0]);
    put1(e, code, form, d, imm);
    store_r(e, d, op->out);
    return true;
}

static void emit_r_rr(Emit *e, const Op *op)
{
    Op swapped = *op;

    if (val_is_const(op->in[0]) && op_desc[op->op].flags & COMM) {
        swapped.in[0] = op->in[1];
        swapped.in[1] = op->in[0];
    }
    if (val_is_const(swapped.in[1]) && emit_immediate(e, &swapped))
        return;
    emit_binary(e, &swapped);
}

static void emit_r_r(Emit *e, const Op *op)
{
    u8 d = out_r(e, op->out);

    if (op->op == OP_mov) {
        Val a = op->in[0];

        if (host_of(e, op->out) == HOST_NONE && !val_is_const(a) &&
            host_of(e, a) != HOST_NONE && !dies_next(e, op->out)) {
            put1(e, OP_mov, FORM_sm, host_of(e, a), slot_of(op->out));
            return;
        }
        load_r(e, d, a);
        store_r(e, d, op->out);
    } else if (has(e, op->op, FORM_ru)) {
        put2(e, op->op, FORM_ru, d, use_r(e, op->in[0], HOST_RAX), 0);
        store_r(e, d, op->out);
    } else if (has(e, op->op, FORM_fx)) {
        emit_fixed_r(e, op);
    } else {
        emit_meaning(e, op);
    }
}

/* ---- memory ---- */

/* The register that the address is in, less *imm. */
static u8 use_address(Emit *e, const Op *op, i32 *imm)
{
    *imm = op->imm;
    if (!is_behind_mmu(e, op))
        return use_r(e, op->in[0], HOST_RAX);
    *imm = emit_host_address(e, op);
    return HOST_RAX;
}

/* keep: rax is the address of others too. */
static void emit_load(Emit *e, const Op *op, u8 a, i32 imm, bool keep)
{
    if (op_desc[op->op].out == CLS_F) {
        u8 d = out_f(e, op->out);

        put2(e, op->op, FORM_fri, d, a, imm);
        store_f(e, d, op->out);
    } else {
        u8 d = out_r(e, op->out);

        d = keep && d == HOST_RAX ? HOST_RCX : d;
        put2(e, op->op, FORM_rri, d, a, imm);
        store_r(e, d, op->out);
    }
}

static void emit_store(Emit *e, const Op *op, u8 a, i32 imm)
{
    if (op_desc[op->op].in[1] == CLS_F)
        put2(e, op->op, FORM_sfi, a, use_f(e, op->in[1], HOST_X0), imm);
    else if (val_is_const(op->in[1]) && ir_value(e->ir, op->in[1]) == 0)
        put1(e, op->op, FORM_szi, a, imm);
    else
        put2(e, op->op, FORM_sri, a, use_r(e, op->in[1], HOST_RCX), imm);
}

void emit_access(Emit *e, const Op *op, u8 a, i32 imm, bool keep)
{
    if (op_desc[op->op].flags & STORE)
        emit_store(e, op, a, imm);
    else
        emit_load(e, op, a, imm, keep);
}

static void emit_memory(Emit *e, const Op *op)
{
    i32 imm;
    u8 a = use_address(e, op, &imm);

    emit_access(e, op, a, imm, e->run.left);
    if (e->run.left)
        emit_run_on(e);
}

/* ---- floating point ---- */

static void emit_fixed_f(Emit *e, const Op *op)
{
    const OpDesc *desc = &op_desc[op->op];

    if (op->in[1] != VAL_NONE)
        load_f(e, HOST_X1, op->in[1]);
    if (desc->in[0] == CLS_F)
        load_f(e, HOST_X0, op->in[0]);
    else if (desc->in[0] == CLS_R)
        load_r(e, HOST_RAX, op->in[0]);
    put0(e, op->op, FORM_fx, 0);
    if (desc->out == CLS_F)
        store_f(e, HOST_X0, op->out);
    else if (desc->out == CLS_R)
        store_r(e, HOST_RAX, op->out);
}

static void emit_f_ff(Emit *e, const Op *op)
{
    Val a = op->in[0], b = op->in[1];
    u8 d = out_f(e, op->out), hb = host_of(e, b);

    if (hb == d && host_of(e, a) != d) {
        if (op_desc[op->op].flags & COMM) {
            b = a;
            hb = host_of(e, b);
            a = op->in[1];
        } else {
            d = HOST_X0;
        }
    }
    hb = hb == HOST_NONE ? use_f(e, b, HOST_X1) : hb;
    load_f(e, d, a);
    put2(e, op->op, FORM_ff, d, hb, 0);
    store_f(e, d, op->out);
}

/* xmm0 = a * b + c; a NaN is left to the op's meaning, out of line. */
static void emit_fused(Emit *e, const Op *op)
{
    bool single = op_desc[op->op].flags & BOX;
    u8 b, c;
    u32 start, back;

    load_f(e, HOST_X0, op->in[0]);
    b = use_f(e, op->in[1], HOST_X1);
    c = use_f(e, op->in[2], HOST_X2);
    put2(e, op->op, FORM_xff, b, c, 0);
    put0(e, single ? OP_fcanon_s : OP_fcanon_d, FORM_xn, 0);
    if (e->full)
        return;
    start = e->cold.at;
    e->fixes[e->n_fixes - 1].kind = FIX_COLD;
    e->fixes[e->n_fixes - 1].to = start;
    back = e->hot.at;
    e->o = &e->cold;
    emit_call(e, op, e->t->n_helpers + op->op);
    put1(e, OP_fmov, FORM_flm, HOST_X0, ENV_OFF(ret));
    put_jump_fix(e, FIX_HOT, back);
    e->o = &e->hot;
    store_f(e, HOST_X0, op->out);
}

/* Makes v canonical without a branch out of line. */
static void make_canonical(Emit *e, u32 code, Val v)
{
    load_f(e, HOST_X0, v);
    put0(e, code, FORM_fx, 0);
    store_f(e, HOST_X0, v);
}

void make_all_canonical(Emit *e, Canon due)
{
    for (; due.d; due.d &= due.d - 1)
        make_canonical(e, OP_fcanon_d, (Val)__builtin_ctzll(due.d));
    for (; due.s; due.s &= due.s - 1)
        make_canonical(e, OP_fcanon_s, (Val)__builtin_ctzll(due.s));
}

/* Two values made canonical, one after the other, are looked at together. */
static bool emit_canon_pair(Emit *e, const Op *op)
{
    const Op *next = op + 1;
    u32 back;

    if (e->op + 1 >= e->ir->n_ops || next->op != op->op || op->out != op->in[0] ||
        next->out != next->in[0])
        return false;
    put2(e, op->op, FORM_xnn, use_f(e, op->out, HOST_X0), use_f(e, next->out, HOST_X1),
         0);
    if (e->full)
        return true;
    e->fixes[e->n_fixes - 1].kind = FIX_COLD;
    e->fixes[e->n_fixes - 1].to = e->cold.at;
    back = e->hot.at;
    e->o = &e->cold;
    make_canonical(e, op->op, op->out);
    make_canonical(e, op->op, next->out);
    put_jump_fix(e, FIX_HOT, back);
    e->o = &e->hot;
    return true;
}

static void emit_fp(Emit *e, const Op *op)
{
    u32 code = op->op;

    if (has(e, code, FORM_xff)) {
        emit_fused(e, op);
    } else if (has(e, code, FORM_xnn) && emit_canon_pair(e, op)) {
        e->op++;
        note_op(e);
    } else if (has(e, code, FORM_ff)) {
        emit_f_ff(e, op);
    } else if (has(e, code, FORM_f1)) {
        u8 d = out_f(e, op->out);

        load_f(e, d, op->in[0]);
        put1(e, code, FORM_f1, d, 0);
        store_f(e, d, op->out);
    } else if (has(e, code, FORM_fu)) {
        u8 d = out_f(e, op->out);

        if (code == OP_fmov)
            load_f(e, d, op->in[0]);
        else
            put2(e, code, FORM_fu, d, use_f(e, op->in[0], HOST_X0), 0);
        store_f(e, d, op->out);
    } else if (has(e, code, FORM_rff)) {
        put2(e, code, FORM_rff, use_f(e, op->in[0], HOST_X0),
             use_f(e, op->in[1], HOST_X1), 0);
        store_r(e, HOST_RAX, op->out);
    } else if (has(e, code, FORM_rf)) {
        u8 d = out_r(e, op->out);

        put2(e, code, FORM_rf, d, use_f(e, op->in[0], HOST_X0), 0);
        store_r(e, d, op->out);
    } else if (has(e, code, FORM_fr)) {
        u8 d = out_f(e, op->out);

        put2(e, code, FORM_fr, d, use_r(e, op->in[0], HOST_RAX), 0);
        store_f(e, d, op->out);
    } else if (has(e, code, FORM_fx)) {
        emit_fixed_f(e, op);
    } else {
        emit_meaning(e, op);
    }
}

/* ---- any op that computes a value or touches memory ---- */

void emit_value(Emit *e, const Op *op)
{
    const OpDesc *desc = &op_desc[op->op];

    if (desc->has_imm)
        emit_memory(e, op);
    else if (desc->out == CLS_R && desc->in[0] == CLS_R)
        desc->n_in == 1 ? emit_r_r(e, op) : emit_r_rr(e, op);
    else
        emit_fp(e, op);
}
