/* SPDX-License-Identifier: MIT */
/* Privileged instructions: returns from traps, waiting, fences of page tables. */
#include "riscv64.h"

static bool in_system(const Dis *d) { return d->key.flags & KEY_SYSTEM; }

static bool priv_return(Dis *d, i32 helper)
{
    Val pc = ir_temp(d->ir);

    if (!in_system(d))
        return false;
    gen_call(d->ir, pc, VAL_NONE, VAL_NONE, VAL_NONE, helper);
    dis_jump_to(d, pc);
    return true;
}

TRANS(sret, priv_return(d, HELPER_sret))
TRANS(mret, priv_return(d, HELPER_mret))

bool trans_wfi(Dis *d, const Arg *a)
{
    if (!in_system(d))
        return false;
    gen_call(d->ir, VAL_NONE, VAL_NONE, VAL_NONE, VAL_NONE, HELPER_wfi);
    dis_trap(d, TRAP_WAIT, d->pc + d->len);
    return true;
}

static bool table_fence(Dis *d, const Arg *a)
{
    if (!in_system(d))
        return false;
    gen_call(d->ir, VAL_NONE, x_in(d, a->rs1),
             ir_const(d->ir, (a->rs1 != 0) | (a->rs2 != 0) << 1), x_in(d, a->rs2),
             HELPER_sfence);
    dis_end(d);
    return true;
}

TRANS(sfence_vma, table_fence(d, a))
TRANS(sinval_vma, table_fence(d, a))
/* They order sinval.vma, which is in order already. */
TRANS(sfence_w_inval, in_system(d))
TRANS(sfence_inval_ir, in_system(d))
