/* SPDX-License-Identifier: MIT */
/*
 * A: load-reserved, store-conditional, and read-modify-write.  The ops are
 * sequentially consistent, which is all that aq and rl may ask for.
 */
#include "riscv64.h"

/* Traps unless the address in rs1 is a multiple of size. */
static void check_aligned(Dis *d, const Arg *a, int size)
{
    Val low = ir_temp(d->ir);

    gen_and(d->ir, low, x_in(d, a->rs1), ir_const(d->ir, size - 1));
    gen_bne(d->ir, low, ir_const(d->ir, 0),
            ir_exit(d->ir, EXIT_TRAP, TRAP_MISALIGNED, d->pc));
}

static bool reserve(Dis *d, const Arg *a, OpCode op, int size)
{
    check_aligned(d, a, size);
    ir_gen(d->ir, op, x_out(d, a->rd), x_in(d, a->rs1), VAL_NONE, VAL_NONE, 0, 0);
    return true;
}

static bool amo(Dis *d, const Arg *a, OpCode op, int size)
{
    check_aligned(d, a, size);
    ir_gen(d->ir, op, x_out(d, a->rd), x_in(d, a->rs1), x_in(d, a->rs2), VAL_NONE, 0,
           0);
    return true;
}

TRANS(lr_w, reserve(d, a, OP_lr32, 4))
TRANS(sc_w, amo(d, a, OP_sc32, 4))
TRANS(amoswap_w, amo(d, a, OP_swap32, 4))
TRANS(amoadd_w, amo(d, a, OP_aadd32, 4))
TRANS(amoxor_w, amo(d, a, OP_axor32, 4))
TRANS(amoand_w, amo(d, a, OP_aand32, 4))
TRANS(amoor_w, amo(d, a, OP_aor32, 4))
TRANS(amomin_w, amo(d, a, OP_amin32, 4))
TRANS(amomax_w, amo(d, a, OP_amax32, 4))
TRANS(amominu_w, amo(d, a, OP_aminu32, 4))
TRANS(amomaxu_w, amo(d, a, OP_amaxu32, 4))
TRANS(lr_d, reserve(d, a, OP_lr64, 8))
TRANS(sc_d, amo(d, a, OP_sc64, 8))
TRANS(amoswap_d, amo(d, a, OP_swap64, 8))
TRANS(amoadd_d, amo(d, a, OP_aadd64, 8))
TRANS(amoxor_d, amo(d, a, OP_axor64, 8))
TRANS(amoand_d, amo(d, a, OP_aand64, 8))
TRANS(amoor_d, amo(d, a, OP_aor64, 8))
TRANS(amomin_d, amo(d, a, OP_amin64, 8))
TRANS(amomax_d, amo(d, a, OP_amax64, 8))
TRANS(amominu_d, amo(d, a, OP_aminu64, 8))
TRANS(amomaxu_d, amo(d, a, OP_amaxu64, 8))
