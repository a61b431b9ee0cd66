/* SPDX-License-Identifier: MIT */
/* What is known of an op's result from what is known of its operands. */
#include "fold.h"

Facts facts_of_const(i64 value)
{
    u8 low = (u8)(value ? 64 - __builtin_clzll((u64)value) : 0);

    return (Facts){value, KNOWN_CONST, low, (u8)(64 - __builtin_clrsbll(value))};
}

static u8 sum(u32 a, u32 b) { return (u8)MIN(a + b, 64); }
static u8 less(u32 a, u32 b, u32 least) { return (u8)(a > b + least ? a - b : least); }

static Facts facts_of_shift(OpCode op, const Facts *a, const Facts *b)
{
    u32 n = (u32)b->value & 63, word = n & 31;
    Facts r = FACTS_NOTHING;

    if (!is_const(b))
        return r;
    switch (op) {
    case OP_sll:
        r.low = sum(a->low, n);
        r.width = sum(a->width, n);
        break;
    case OP_srl: r.low = less(a->low, n, 0); break;
    case OP_sra:
        r.width = less(a->width, n, 1);
        if (a->low < 64)
            r.low = less(a->low, n, 0);
        break;
    case OP_srlw:
        if (word)
            r.low = (u8)(32 - word);
        break;
    default: r.width = (u8)(32 - word); break; /* sraw */
    }
    return r;
}

static Facts facts_of_float(OpCode op, const Facts *a)
{
    Facts r = FACTS_NOTHING;

    switch (op) {
    case OP_fcanon_d:
    case OP_fmadd_d:
    case OP_fmsub_d:
    case OP_fnmsub_d:
    case OP_fnmadd_d:
    case OP_fmin_d:
    case OP_fmax_d:
    case OP_fcvt_d_w:
    case OP_fcvt_d_wu:
    case OP_fcvt_d_l:
    case OP_fcvt_d_lu: r.is = KNOWN_CANON_D; break;
    case OP_fcanon_s:
    case OP_fmadd_s:
    case OP_fmsub_s:
    case OP_fnmsub_s:
    case OP_fnmadd_s:
    case OP_fmin_s:
    case OP_fmax_s:
    case OP_fcvt_s_w:
    case OP_fcvt_s_wu:
    case OP_fcvt_s_l:
    case OP_fcvt_s_lu: r.is = KNOWN_CANON_S; break;
    case OP_fabs_d: r.is = a->is & KNOWN_CANON_D; break;
    case OP_fabs_s: r.is = a->is & KNOWN_CANON_S; break;
    case OP_fcvt_d_s: r.is = a->is & KNOWN_CANON_S ? KNOWN_CANON_D : 0; break;
    case OP_fcvt_s_d: r.is = a->is & KNOWN_CANON_D ? KNOWN_CANON_S : 0; break;
    default: break;
    }
    if (op_desc[op].flags & BOX)
        r.is |= KNOWN_BOXED;
    return r;
}

static Facts facts_of_integer(OpCode op, const Facts *a, const Facts *b)
{
    u8 low = MAX(a->low, b->low), width = MAX(a->width, b->width);
    Facts r = FACTS_NOTHING;

    switch (op) {
    case OP_sll:
    case OP_srl:
    case OP_sra:
    case OP_srlw:
    case OP_sraw: return facts_of_shift(op, a, b);
    case OP_and: return (Facts){.low = MIN(a->low, b->low), .width = width};
    case OP_or:
    case OP_xor:
    case OP_min:
    case OP_max:
    case OP_maxu: return (Facts){.low = low, .width = width};
    case OP_minu: return (Facts){.low = MIN(a->low, b->low), .width = width};
    case OP_andn: return (Facts){.low = a->low, .width = width};
    case OP_orn:
    case OP_xnor: r.width = width; break;
    case OP_add: return (Facts){.low = sum(low, 1), .width = sum(width, 1)};
    case OP_sub: r.width = sum(width, 1); break;
    case OP_mul:
        return (Facts){.low = sum(a->low, b->low), .width = sum(a->width, b->width)};
    case OP_czeqz:
    case OP_cznez: return (Facts){.low = a->low, .width = a->width};
    case OP_sext8:
    case OP_ld8s: r.width = 8; break;
    case OP_sext16:
    case OP_ld16s: r.width = 16; break;
    case OP_zext8:
    case OP_ld8u: r.low = 8; break;
    case OP_zext16:
    case OP_ld16u: r.low = 16; break;
    case OP_rorz:
    case OP_zext32:
    case OP_ld32u: r.low = 32; break;
    case OP_clz:
    case OP_ctz:
    case OP_cpop: r.low = 7; break;
    case OP_fget: r.low = 5; break;
    case OP_clzw:
    case OP_ctzw:
    case OP_cpopw: r.low = 6; break;
    default: break;
    }
    return r;
}

Facts facts_of_op(OpCode op, const Facts *a, const Facts *b)
{
    const OpDesc *desc = &op_desc[op];
    Facts r;

    if (op == OP_mov || op == OP_fmov)
        return *a;
    if (desc->out == CLS_F)
        return facts_of_float(op, a);
    r = facts_of_integer(op, a, b);
    if (desc->flags & BOOL)
        r.low = 1;
    if (desc->flags & SEXT)
        r.width = MIN(r.width, 32);
    r.width = MIN(r.width, r.low + 1);
    return r;
}

/* clang-format off */
#define ALWAYS 0xffff
const u16 facts_when[OP_COUNT] = {
    [OP_ld8u] = ALWAYS, [OP_ld8s] = ALWAYS, [OP_ld16u] = ALWAYS, [OP_ld16s] = ALWAYS,
    [OP_ld32u] = ALWAYS, [OP_sext8] = ALWAYS, [OP_sext16] = ALWAYS,
    [OP_zext8] = ALWAYS, [OP_zext16] = ALWAYS, [OP_zext32] = ALWAYS, [OP_rorz] = ALWAYS, [OP_clz] = ALWAYS,
    [OP_ctz] = ALWAYS, [OP_cpop] = ALWAYS, [OP_clzw] = ALWAYS, [OP_ctzw] = ALWAYS,
    [OP_cpopw] = ALWAYS, [OP_fget] = ALWAYS, [OP_fcanon_d] = ALWAYS, [OP_fmadd_d] = ALWAYS,
    [OP_fmsub_d] = ALWAYS, [OP_fnmsub_d] = ALWAYS, [OP_fnmadd_d] = ALWAYS,
    [OP_fmin_d] = ALWAYS, [OP_fmax_d] = ALWAYS, [OP_fcvt_d_w] = ALWAYS,
    [OP_fcvt_d_wu] = ALWAYS, [OP_fcvt_d_l] = ALWAYS, [OP_fcvt_d_lu] = ALWAYS,
    [OP_fcanon_s] = ALWAYS, [OP_fmadd_s] = ALWAYS, [OP_fmsub_s] = ALWAYS,
    [OP_fnmsub_s] = ALWAYS, [OP_fnmadd_s] = ALWAYS, [OP_fmin_s] = ALWAYS,
    [OP_fmax_s] = ALWAYS, [OP_fcvt_s_w] = ALWAYS, [OP_fcvt_s_wu] = ALWAYS,
    [OP_fcvt_s_l] = ALWAYS, [OP_fcvt_s_lu] = ALWAYS,
    [OP_add] = HINT_BOUND, [OP_sub] = HINT_BOUND, [OP_or] = HINT_BOUND,
    [OP_xor] = HINT_BOUND, [OP_xnor] = HINT_BOUND, [OP_orn] = HINT_BOUND,
    [OP_min] = HINT_BOUND, [OP_max] = HINT_BOUND, [OP_maxu] = HINT_BOUND,
    [OP_mul] = HINT_BOUND, [OP_sll] = HINT_BOUND, [OP_fabs_d] = HINT_BOUND,
    [OP_fabs_s] = HINT_BOUND, [OP_fcvt_d_s] = HINT_BOUND, [OP_fcvt_s_d] = HINT_BOUND,
    [OP_srl] = HINT_CONST, [OP_sra] = HINT_CONST, [OP_srlw] = HINT_CONST,
    [OP_sraw] = HINT_CONST,
    [OP_and] = HINT_EITHER, [OP_andn] = HINT_EITHER, [OP_minu] = HINT_EITHER,
    [OP_czeqz] = HINT_EITHER, [OP_cznez] = HINT_EITHER,
};
#undef ALWAYS
/* clang-format on */
