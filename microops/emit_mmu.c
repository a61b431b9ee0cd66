/* SPDX-License-Identifier: MIT */
/*
 * Memory of a system guest: the TLB is looked up in the code, what it does not know
 * is a helper's, out of line.  Either way rax is a host address then.
 */
#include "emit.h"

/* Temps in registers, which a call would lose. */
static void spill_temps(Emit *e, bool load)
{
    for (u32 i = 0; i < MIN(e->n_spare_r, ENV_TEMPS / 2); i++)
        put1(e, OP_mov, load ? FORM_lm : FORM_sm, e->spare_r[i],
             slot_of((Val)(VAL_TEMP + i)));
    for (u32 i = 0; i < MIN(e->n_spare_f, ENV_TEMPS / 2); i++)
        put1(e, OP_fmov, load ? FORM_flm : FORM_fsm, e->spare_f[i],
             slot_of((Val)(VAL_FTEMP + i)));
}

static void emit_miss(Emit *e, const Op *op, u32 back, bool near)
{
    put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg));
    if (op->in[1] != VAL_NONE)
        store_arg(e, op->in[1], op_desc[op->op].in[1], 1);
    /* whose instruction this is, should it fault */
    put_const(
        e, HOST_RAX,
        (i64)(back | (near ? MISS_NEAR : 0) | (op_atomic(op->op) ? MISS_ATOMIC : 0)));
    put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(arg) + 16);
    spill_temps(e, false);
    spill_plan(e, false);
    put_call_helper(e, e->t->n_helpers + op_lookup(op->op));
    spill_plan(e, true);
    spill_temps(e, true);
    put1(e, OP_mov, FORM_lm, HOST_RAX, ENV_OFF(ret));
    put_jump_fix(e, FIX_HOT, back);
}

void emit_host_address(Emit *e, const Op *op)
{
    bool near = op->in[0] == ((const GuestRegs *)e->ir->guest)->stack;
    u8 a = use_r(e, op->in[0], HOST_RAX);

    if (op_desc[op->op].has_imm && op->imm)
        put2(e, OP_add, FORM_rri, HOST_RAX, a, op->imm);
    else if (a != HOST_RAX)
        put2(e, OP_mov, FORM_ru, HOST_RAX, a, 0);
    put0(e, op_lookup(op->op) + (near ? OP_near_r1 - OP_tlb_r1 : 0), FORM_x, 0);
    if (e->full)
        return;
    e->fixes[e->n_fixes - 1].kind = FIX_COLD;
    e->fixes[e->n_fixes - 1].to = e->cold.at;
    e->o = &e->cold;
    emit_miss(e, op, e->hot.at, near);
    e->o = &e->hot;
}
