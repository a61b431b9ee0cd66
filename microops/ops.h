/* SPDX-License-Identifier: MIT */
/*
 * What each micro-op computes, once.  Stencils, the interpreter, the constant
 * folder and the tests are expanded from these.  Before including this file
 * define
 *   ENV         the Env * in force
 *   MEM(T, a)   the guest memory at address a as an lvalue of type T
 */
#ifndef TESSERA_OPS_H
#define TESSERA_OPS_H

#include <immintrin.h>
#include "env.h"

typedef __m128d Fpr; /* a floating-point value: its low 64 bits */

#define MEANING static inline __attribute__((always_inline, unused))

/*
 * The floating-point flags as ops see them: inexact, underflow, overflow, division by
 * zero, invalid from bit 0 up.  MXCSR has them the other way round, at bits 5 to 2
 * and 0; as a number of 16 nibbles is a table.
 */
enum { F_FLAGS = 31, F_FLAGS_MXCSR = 0x3d };
#define F_REVERSED 0xf7b3d591e6a2c480ull
MEANING u64 f_flags_of_mxcsr(u32 csr)
{
    return (F_REVERSED >> (csr & 0x3c) & 15) | (u64)(csr & 1) << 4;
}
MEANING u32 f_mxcsr_of_flags(u64 flags)
{
    return (u32)((F_REVERSED >> (flags & 15) * 4 & 15) << 2 | (flags >> 4 & 1));
}

/* ---- rounding, for what the host may lack ---- */

#define F_NAN_H 0xffffffffffff7e00ull
#define F_BOX_H 0xffffffffffff0000ull

/* Rounding modes as numbers: to even, to zero, down, up; and ties away from zero. */
enum { F_RNE, F_RTZ, F_RDN, F_RUP, F_RMM };
MEANING u32 f_mode(u32 csr) { return 0x78 >> (csr >> 13 & 3) * 2 & 3; }

/* One more in magnitude?  rest is what is cut off, half its half-way mark. */
MEANING bool f_rounds_up(u32 mode, bool neg, bool odd, u64 rest, u64 half)
{
    switch (mode) {
    case F_RNE: return rest > half || (rest == half && odd);
    case F_RMM: return rest >= half;
    case F_RTZ: return false;
    default: return rest && neg == (mode == F_RDN);
    }
}

/* The double v as a half, canonical; *csr gets MXCSR's flags. */
MEANING u64 f_half(u64 v, u32 mode, u32 *csr)
{
    u64 sign = v >> 48 & 0x8000, frac = v & ((1ull << 52) - 1), sig = frac | 1ull << 52;
    i32 exp = (i32)(v >> 52 & 0x7ff) - 1023 + 15, below = exp < 1 ? 1 - exp : 0;
    i32 drop = below < 18 ? 42 + below : 60;
    u64 half = 1ull << (drop - 1), rest = sig & (2 * half - 1), bits = sig >> drop;
    bool tiny;

    if (exp == 0x7ff - 1023 + 15 && frac) {
        *csr |= frac >> 51 ? 0 : _MM_EXCEPT_INVALID;
        return F_NAN_H;
    }
    if (exp == 0x7ff - 1023 + 15 || v << 1 == 0)
        return F_BOX_H | sign | (v << 1 ? 0x7c00 : 0);
    bits += f_rounds_up(mode, sign, bits & 1, rest, half);
    bits += below ? 0 : (u64)(exp - 1) << 10; /* with the hidden bit */
    if (bits >= 0x7c00) {
        *csr |= _MM_EXCEPT_OVERFLOW | _MM_EXCEPT_INEXACT;
        return F_BOX_H | sign | (0x7bff + f_rounds_up(mode, sign, true, 1, 1));
    }
    /* below the normal numbers, and still so when rounded with all its bits */
    tiny = exp < 0 || (exp == 0 &&
                       (sig >> 42) + f_rounds_up(mode, sign, sig >> 42 & 1,
                                                 sig & ((1ull << 42) - 1), 1ull << 41) <
                           1 << 11);
    if (rest)
        *csr |= _MM_EXCEPT_INEXACT | (tiny ? _MM_EXCEPT_UNDERFLOW : 0);
    return F_BOX_H | sign | bits;
}

/* ---- moves and arithmetic ---- */
MEANING u64 op_mov(u64 a) { return a; }
MEANING u64 op_add(u64 a, u64 b) { return a + b; }
MEANING u64 op_sub(u64 a, u64 b) { return a - b; }
MEANING u64 op_and(u64 a, u64 b) { return a & b; }
MEANING u64 op_or(u64 a, u64 b) { return a | b; }
MEANING u64 op_xor(u64 a, u64 b) { return a ^ b; }
MEANING u64 op_andn(u64 a, u64 b) { return a & ~b; }
MEANING u64 op_orn(u64 a, u64 b) { return a | ~b; }
MEANING u64 op_xnor(u64 a, u64 b) { return ~(a ^ b); }
MEANING u64 op_sll(u64 a, u64 b) { return a << (b & 63); }
MEANING u64 op_srl(u64 a, u64 b) { return a >> (b & 63); }
MEANING u64 op_sra(u64 a, u64 b) { return (u64)((i64)a >> (b & 63)); }
MEANING u64 op_rol(u64 a, u64 b) { return a << (b & 63) | a >> (-b & 63); }
MEANING u64 op_ror(u64 a, u64 b) { return a >> (b & 63) | a << (-b & 63); }
MEANING u64 op_addw(u64 a, u64 b) { return (u64)(i32)((u32)a + (u32)b); }
MEANING u64 op_subw(u64 a, u64 b) { return (u64)(i32)((u32)a - (u32)b); }
MEANING u64 op_sllw(u64 a, u64 b) { return (u64)(i32)((u32)a << (b & 31)); }
MEANING u64 op_srlw(u64 a, u64 b) { return (u64)(i32)((u32)a >> (b & 31)); }
MEANING u64 op_sraw(u64 a, u64 b) { return (u64)((i32)a >> (b & 31)); }
MEANING u64 op_rolw(u64 a, u64 b)
{
    return (u64)(i32)((u32)a << (b & 31) | (u32)a >> (-b & 31));
}
MEANING u64 op_rorw(u64 a, u64 b)
{
    return (u64)(i32)((u32)a >> (b & 31) | (u32)a << (-b & 31));
}
MEANING u64 op_rorz(u64 a, u64 b) { return (u32)a >> (b & 31) | (u32)a << (-b & 31); }
MEANING u64 op_mul(u64 a, u64 b) { return a * b; }
MEANING u64 op_mulw(u64 a, u64 b) { return (u64)(i32)((u32)a * (u32)b); }
MEANING u64 op_mulh(u64 a, u64 b) { return (u64)(((i128)(i64)a * (i64)b) >> 64); }
MEANING u64 op_mulhu(u64 a, u64 b) { return (u64)(((u128)a * b) >> 64); }
MEANING u64 op_mulhsu(u64 a, u64 b) { return op_mulhu(a, b) - ((i64)a < 0 ? b : 0); }
MEANING u64 op_div(u64 a, u64 b)
{
    if (UNLIKELY(b == 0))
        return ~0ull;
    if (UNLIKELY(b == ~0ull))
        return -a;
    return (u64)((i64)a / (i64)b);
}
MEANING u64 op_divu(u64 a, u64 b) { return UNLIKELY(b == 0) ? ~0ull : a / b; }
MEANING u64 op_rem(u64 a, u64 b)
{
    if (UNLIKELY(b == 0))
        return a;
    if (UNLIKELY(b == ~0ull))
        return 0;
    return (u64)((i64)a % (i64)b);
}
MEANING u64 op_remu(u64 a, u64 b) { return UNLIKELY(b == 0) ? a : a % b; }
MEANING u64 op_divw(u64 a, u64 b)
{
    if (UNLIKELY((i32)b == 0))
        return ~0ull;
    if (UNLIKELY((i32)b == -1))
        return (u64)(i32)(0u - (u32)a);
    return (u64)((i32)a / (i32)b);
}
MEANING u64 op_divuw(u64 a, u64 b)
{
    return UNLIKELY((u32)b == 0) ? ~0ull : (u64)(i32)((u32)a / (u32)b);
}
MEANING u64 op_remw(u64 a, u64 b)
{
    if (UNLIKELY((i32)b == 0))
        return (u64)(i32)a;
    if (UNLIKELY((i32)b == -1))
        return 0;
    return (u64)((i32)a % (i32)b);
}
MEANING u64 op_remuw(u64 a, u64 b)
{
    return (u64)(i32)(UNLIKELY((u32)b == 0) ? (u32)a : (u32)a % (u32)b);
}
MEANING u64 op_slt(u64 a, u64 b) { return (i64)a < (i64)b; }
MEANING u64 op_sltu(u64 a, u64 b) { return a < b; }
MEANING u64 op_min(u64 a, u64 b) { return (i64)a < (i64)b ? a : b; }
MEANING u64 op_max(u64 a, u64 b) { return (i64)a < (i64)b ? b : a; }
MEANING u64 op_minu(u64 a, u64 b) { return a < b ? a : b; }
MEANING u64 op_maxu(u64 a, u64 b) { return a < b ? b : a; }
MEANING u64 op_sh1add(u64 a, u64 b) { return (a << 1) + b; }
MEANING u64 op_sh2add(u64 a, u64 b) { return (a << 2) + b; }
MEANING u64 op_sh3add(u64 a, u64 b) { return (a << 3) + b; }
MEANING u64 op_czeqz(u64 a, u64 b) { return b == 0 ? 0 : a; }
MEANING u64 op_cznez(u64 a, u64 b) { return b != 0 ? 0 : a; }
MEANING u64 op_sext8(u64 a) { return (u64)(i8)a; }
MEANING u64 op_sext16(u64 a) { return (u64)(i16)a; }
MEANING u64 op_sext32(u64 a) { return (u64)(i32)a; }
MEANING u64 op_zext8(u64 a) { return (u8)a; }
MEANING u64 op_zext16(u64 a) { return (u16)a; }
MEANING u64 op_zext32(u64 a) { return (u32)a; }
MEANING u64 op_clz(u64 a) { return a ? (u64)__builtin_clzll(a) : 64; }
MEANING u64 op_ctz(u64 a) { return a ? (u64)__builtin_ctzll(a) : 64; }
MEANING u64 op_clzw(u64 a) { return (u32)a ? (u64)__builtin_clz((u32)a) : 32; }
MEANING u64 op_ctzw(u64 a) { return (u32)a ? (u64)__builtin_ctz((u32)a) : 32; }
MEANING u64 op_cpop(u64 a)
{
    a -= a >> 1 & 0x5555555555555555;
    a = (a & 0x3333333333333333) + (a >> 2 & 0x3333333333333333);
    a = (a + (a >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (a * 0x0101010101010101) >> 56;
}
MEANING u64 op_cpopw(u64 a) { return op_cpop((u32)a); }
MEANING u64 op_rev8(u64 a) { return __builtin_bswap64(a); }
MEANING u64 op_orcb(u64 a)
{
    a |= a >> 4 & 0x0f0f0f0f0f0f0f0f;
    a |= a >> 2 & 0x3333333333333333;
    a |= a >> 1 & 0x5555555555555555;
    return (a & 0x0101010101010101) * 0xff;
}

/* ---- guest memory ---- */
#ifdef MEM
MEANING u64 op_ld8u(u64 a) { return MEM(u8, a); }
MEANING u64 op_ld8s(u64 a) { return (u64)(i64)MEM(i8, a); }
MEANING u64 op_ld16u(u64 a) { return MEM(u16, a); }
MEANING u64 op_ld16s(u64 a) { return (u64)(i64)MEM(i16, a); }
MEANING u64 op_ld32u(u64 a) { return MEM(u32, a); }
MEANING u64 op_ld32s(u64 a) { return (u64)(i64)MEM(i32, a); }
MEANING u64 op_ld64(u64 a) { return MEM(u64, a); }
MEANING void op_st8(u64 a, u64 b) { MEM(u8, a) = (u8)b; }
MEANING void op_st16(u64 a, u64 b) { MEM(u16, a) = (u16)b; }
MEANING void op_st32(u64 a, u64 b) { MEM(u32, a) = (u32)b; }
MEANING void op_st64(u64 a, u64 b) { MEM(u64, a) = b; }
#endif

/* ---- atomics: on host addresses, so that gcc's builtins apply ---- */
#ifdef ENV
#define HOST(T, a) ((T *)(ENV->base + (a)))
MEANING void op_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
MEANING u64 op_lr32(u64 a)
{
    u64 v = (u64)(i64)__atomic_load_n(HOST(i32, a), __ATOMIC_SEQ_CST);

    ENV->res_addr = a;
    return ENV->res_value = v;
}
MEANING u64 op_lr64(u64 a)
{
    u64 v = __atomic_load_n(HOST(u64, a), __ATOMIC_SEQ_CST);

    ENV->res_addr = a;
    return ENV->res_value = v;
}
/* The reservation goes last: until then the store may fault, and be done again. */
#define SC(T)                                                                          \
    {                                                                                  \
        T old = (T)ENV->res_value;                                                     \
        u64 failed = ENV->res_addr != a ||                                             \
                     !__atomic_compare_exchange_n(HOST(T, a), &old, (T)b, false,       \
                                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
                                                                                       \
        ENV->res_addr = ~0ull;                                                         \
        return failed;                                                                 \
    }
MEANING u64 op_sc32(u64 a, u64 b) SC(u32) MEANING u64 op_sc64(u64 a, u64 b) SC(u64)
#undef SC

#define AMO(name, builtin)                                                \
    MEANING u64 op_##name##32(u64 a, u64 b)                               \
    {                                                                     \
        return (u64)(i64)builtin(HOST(i32, a), (i32)b, __ATOMIC_SEQ_CST); \
    }                                                                     \
    MEANING u64 op_##name##64(u64 a, u64 b)                               \
    {                                                                     \
        return builtin(HOST(u64, a), b, __ATOMIC_SEQ_CST);                \
    }
    AMO(swap, __atomic_exchange_n) AMO(aadd, __atomic_fetch_add)
        AMO(aand, __atomic_fetch_and) AMO(aor, __atomic_fetch_or)
            AMO(axor, __atomic_fetch_xor)
#undef AMO

#define AMO_PICK(name, T, keep)                                                   \
    MEANING u64 op_##name(u64 a, u64 b)                                           \
    {                                                                             \
        T *p = HOST(T, a), x = (T)b, old = __atomic_load_n(p, __ATOMIC_SEQ_CST);  \
                                                                                  \
        while (!__atomic_compare_exchange_n(p, &old, old keep x ? old : x, false, \
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))  \
            ;                                                                     \
        return sizeof(T) == 4 ? (u64)(i32)old : (u64)old;                         \
    }
                AMO_PICK(amin32, i32, <) AMO_PICK(amin64, i64, <)
                    AMO_PICK(amax32, i32, >) AMO_PICK(amax64, i64, >)
                        AMO_PICK(aminu32, u32, <) AMO_PICK(aminu64, u64, <)
                            AMO_PICK(amaxu32, u32, >) AMO_PICK(amaxu64, u64, >)
#undef AMO_PICK
#endif

/* ---- floating point ---- */
#ifdef ENV
    /* A constant that the compiler keeps out of a constant pool. */
    MEANING u64 hide(u64 v)
{
    __asm__("" : "+r"(v));
    return v;
}
MEANING Fpr f_bits(u64 v) { return _mm_castsi128_pd(_mm_cvtsi64_si128((i64)v)); }
MEANING u64 f_raw(Fpr f) { return (u64)_mm_cvtsi128_si64(_mm_castpd_si128(f)); }
MEANING Fpr f_const(u64 v) { return f_bits(hide(v)); }
MEANING __m128 f_s(Fpr f) { return _mm_castpd_ps(f); }
MEANING Fpr f_d(__m128 s) { return _mm_castps_pd(s); }
MEANING bool f_isnan_d(Fpr a) { return a[0] != a[0]; }
MEANING bool f_isnan_s(Fpr a) { return f_s(a)[0] != f_s(a)[0]; }
/* MXCSR by way of Env: the intrinsics want a stack slot, and may be moved. */
MEANING u32 f_getcsr(void)
{
    __asm__ volatile("stmxcsr %0" : "=m"(ENV->csr));
    return ENV->csr;
}
MEANING void f_setcsr(u32 csr)
{
    ENV->csr = csr;
    __asm__ volatile("ldmxcsr %0" : : "m"(ENV->csr));
}
MEANING void f_invalid(void) { f_setcsr(f_getcsr() | _MM_EXCEPT_INVALID); }
/* MXCSR before anything is done with *a. */
MEANING u32 f_csr(Fpr *a)
{
    u32 csr = f_getcsr();

    __asm__ volatile("" : "+x"(*a));
    return csr;
}

#define F_NAN_D 0x7ff8000000000000ull
#define F_NAN_S 0xffffffff7fc00000ull
#define F_BOX   0xffffffff00000000ull
#define F_ONES  f_ones()
MEANING __m128 f_ones(void)
{
    __m128i ones = _mm_set1_epi32(-1);

    __asm__("" : "+x"(ones)); /* made, not loaded */
    return _mm_castsi128_ps(ones);
}

#ifdef MEM
/* When the load faults, the result's register must still be as it was.  Either the ones
 * are made in one that no stencil's operand is in, or the load comes first. */
MEANING Fpr op_fld32(u64 a)
{
#ifdef __AVX__
    register __m128 ones __asm__("xmm3") = F_ONES;

    __asm__("" : "+x"(ones));
    return f_d(_mm_move_ss(ones, _mm_set_ss(MEM(float, a))));
#else
    register __m128 low __asm__("xmm3") = _mm_set_ss(MEM(float, a));

    __asm__ volatile("" : "+x"(low));
    return f_d(_mm_move_ss(F_ONES, low));
#endif
}
MEANING Fpr op_fld64(u64 a) { return _mm_set_sd(MEM(double, a)); }
MEANING void op_fst32(u64 a, Fpr b) { MEM(float, a) = f_s(b)[0]; }
MEANING void op_fst64(u64 a, Fpr b) { MEM(double, a) = b[0]; }
#endif

MEANING Fpr op_fmov(Fpr a) { return a; }
MEANING Fpr op_fadd_d(Fpr a, Fpr b) { return _mm_add_sd(a, b); }
MEANING Fpr op_fsub_d(Fpr a, Fpr b) { return _mm_sub_sd(a, b); }
MEANING Fpr op_fmul_d(Fpr a, Fpr b) { return _mm_mul_sd(a, b); }
MEANING Fpr op_fdiv_d(Fpr a, Fpr b) { return _mm_div_sd(a, b); }
MEANING Fpr op_fsqrt_d(Fpr a) { return _mm_sqrt_sd(a, a); }
MEANING Fpr op_fadd_s(Fpr a, Fpr b) { return f_d(_mm_add_ss(f_s(a), f_s(b))); }
MEANING Fpr op_fsub_s(Fpr a, Fpr b) { return f_d(_mm_sub_ss(f_s(a), f_s(b))); }
MEANING Fpr op_fmul_s(Fpr a, Fpr b) { return f_d(_mm_mul_ss(f_s(a), f_s(b))); }
MEANING Fpr op_fdiv_s(Fpr a, Fpr b) { return f_d(_mm_div_ss(f_s(a), f_s(b))); }
MEANING Fpr op_fsqrt_s(Fpr a) { return f_d(_mm_sqrt_ss(f_s(a))); }

MEANING Fpr op_fneg_d(Fpr a) { return f_bits(f_raw(a) ^ 1ull << 63); }
MEANING Fpr op_fabs_d(Fpr a) { return f_bits(f_raw(a) & ~(1ull << 63)); }
MEANING Fpr op_fneg_s(Fpr a) { return f_bits(f_raw(a) ^ 1ull << 31); }
MEANING Fpr op_fabs_s(Fpr a) { return f_bits(f_raw(a) & ~(1ull << 31)); }
/* Fix-ups: nearly always the operand itself, seldom a constant. */
#define F_FIX(name, wrong, constant)                             \
    MEANING bool name##_wrong(Fpr a) { return wrong; }           \
    MEANING Fpr name##_right(void) { return f_const(constant); } \
    MEANING Fpr op_##name(Fpr a) { return name##_wrong(a) ? name##_right() : a; }
F_FIX(fcanon_d, f_isnan_d(a), F_NAN_D)
F_FIX(fcanon_s, f_isnan_s(a), F_NAN_S)
F_FIX(funbox, (i64)f_raw(a) >> 32 != -1, F_NAN_S)
#undef F_FIX

/*
 * Fused: hardware where the set has it; the C library's exact fma elsewhere.
 * Infinity * 0 is invalid even if c is a quiet NaN, which x86 lets pass.
 */
#ifdef __FMA__
#define F_FMADD_D(a, b, c)  _mm_fmadd_sd(a, b, c)
#define F_FMSUB_D(a, b, c)  _mm_fmsub_sd(a, b, c)
#define F_FNMSUB_D(a, b, c) _mm_fnmadd_sd(a, b, c)
#define F_FNMADD_D(a, b, c) _mm_fnmsub_sd(a, b, c)
#define F_FMADD_S(a, b, c)  f_d(_mm_fmadd_ss(f_s(a), f_s(b), f_s(c)))
#define F_FMSUB_S(a, b, c)  f_d(_mm_fmsub_ss(f_s(a), f_s(b), f_s(c)))
#define F_FNMSUB_S(a, b, c) f_d(_mm_fnmadd_ss(f_s(a), f_s(b), f_s(c)))
#define F_FNMADD_S(a, b, c) f_d(_mm_fnmsub_ss(f_s(a), f_s(b), f_s(c)))
#else
double fma(double, double, double);
float fmaf(float, float, float);
MEANING Fpr f_fma_d(double a, double b, double c) { return _mm_set_sd(fma(a, b, c)); }
MEANING Fpr f_fma_s(float a, float b, float c)
{
    return f_bits(F_BOX | f_raw(f_d(_mm_set_ss(fmaf(a, b, c)))));
}
#define F_FMADD_D(a, b, c)  f_fma_d(a[0], b[0], c[0])
#define F_FMSUB_D(a, b, c)  f_fma_d(a[0], b[0], -c[0])
#define F_FNMSUB_D(a, b, c) f_fma_d(-a[0], b[0], c[0])
#define F_FNMADD_D(a, b, c) f_fma_d(-a[0], b[0], -c[0])
#define F_FMADD_S(a, b, c)  f_fma_s(f_s(a)[0], f_s(b)[0], f_s(c)[0])
#define F_FMSUB_S(a, b, c)  f_fma_s(f_s(a)[0], f_s(b)[0], -f_s(c)[0])
#define F_FNMSUB_S(a, b, c) f_fma_s(-f_s(a)[0], f_s(b)[0], f_s(c)[0])
#define F_FNMADD_S(a, b, c) f_fma_s(-f_s(a)[0], f_s(b)[0], -f_s(c)[0])
#endif
/* After a NaN result: is a * b by itself invalid?  Leaves the other flags alone. */
#define F_FUSED_NAN(sfx, a, b)                                                  \
    if (!f_isnan_##sfx(a) && !f_isnan_##sfx(b)) {                               \
        u32 csr_ = f_getcsr();                                                  \
                                                                                \
        f_setcsr(f_isnan_##sfx(op_fmul_##sfx(a, b)) ? csr_ | _MM_EXCEPT_INVALID \
                                                    : csr_);                    \
    }
#define F_FUSED(name, NAME, sfx, SFX)                  \
    MEANING Fpr op_##name##_##sfx(Fpr a, Fpr b, Fpr c) \
    {                                                  \
        Fpr r = F_##NAME##_##SFX(a, b, c);             \
                                                       \
        if (UNLIKELY(f_isnan_##sfx(r))) {              \
            F_FUSED_NAN(sfx, a, b)                     \
            r = f_const(F_NAN_##SFX);                  \
        }                                              \
        return r;                                      \
    }
F_FUSED(fmadd, FMADD, d, D)
F_FUSED(fmsub, FMSUB, d, D)
F_FUSED(fnmsub, FNMSUB, d, D)
F_FUSED(fnmadd, FNMADD, d, D)
F_FUSED(fmadd, FMADD, s, S)
F_FUSED(fmsub, FMSUB, s, S)
F_FUSED(fnmsub, FNMSUB, s, S)
F_FUSED(fnmadd, FNMADD, s, S)
#undef F_FUSED

/* minimumNumber and maximumNumber: -0 < +0, one NaN loses, a signalling one is noted */
#define F_PICK(name, sfx, SFX, cmp, zero)                       \
    MEANING Fpr op_##name##_##sfx(Fpr a, Fpr b)                 \
    {                                                           \
        if (cmp(a, b))                                          \
            return a;                                           \
        if (cmp(b, a))                                          \
            return b;                                           \
        if (f_isnan_##sfx(a))                                   \
            return f_isnan_##sfx(b) ? f_const(F_NAN_##SFX) : b; \
        if (f_isnan_##sfx(b))                                   \
            return a;                                           \
        return f_bits(f_raw(a) zero f_raw(b));                  \
    }
#define F_LT_D(a, b) _mm_ucomigt_sd(b, a) /* gcc 12: the lt forms hold for NaN */
#define F_GT_D(a, b) _mm_ucomigt_sd(a, b)
#define F_LT_S(a, b) _mm_ucomigt_ss(f_s(b), f_s(a))
#define F_GT_S(a, b) _mm_ucomigt_ss(f_s(a), f_s(b))
F_PICK(fmin, d, D, F_LT_D, |)
F_PICK(fmax, d, D, F_GT_D, &)
F_PICK(fmin, s, S, F_LT_S, |)
F_PICK(fmax, s, S, F_GT_S, &)
#undef F_PICK

#define F_SIGN(sfx, bit)                                                        \
    MEANING Fpr op_fsgnj_##sfx(Fpr a, Fpr b)                                    \
    {                                                                           \
        return f_bits((f_raw(a) & ~(1ull << bit)) | (f_raw(b) & 1ull << bit));  \
    }                                                                           \
    MEANING Fpr op_fsgnjn_##sfx(Fpr a, Fpr b)                                   \
    {                                                                           \
        return f_bits((f_raw(a) & ~(1ull << bit)) | (~f_raw(b) & 1ull << bit)); \
    }                                                                           \
    MEANING Fpr op_fsgnjx_##sfx(Fpr a, Fpr b)                                   \
    {                                                                           \
        return f_bits(f_raw(a) ^ (f_raw(b) & 1ull << bit));                     \
    }
F_SIGN(d, 63)
F_SIGN(s, 31)
#undef F_SIGN

/* Comparisons: equality is quiet, order signals on any NaN.  gcc knows a < a to be
 * false; the asms keep it from dropping the signal, or moving it. */
#define F_COMPARE(name, compare)        \
    MEANING u64 op_##name(Fpr a, Fpr b) \
    {                                   \
        u64 r;                          \
                                        \
        __asm__ volatile("" : "+x"(b)); \
        r = (u64)(compare);             \
        __asm__ volatile("" : "+r"(r)); \
        return r;                       \
    }
F_COMPARE(feq_d, a[0] == b[0])
F_COMPARE(flt_d, _mm_comigt_sd(b, a)) /* gcc 12: lt, le and eq hold for NaN */
F_COMPARE(fle_d, _mm_comige_sd(b, a))
F_COMPARE(feq_s, f_s(a)[0] == f_s(b)[0])
F_COMPARE(flt_s, _mm_comigt_ss(f_s(b), f_s(a)))
F_COMPARE(fle_s, _mm_comige_ss(f_s(b), f_s(a)))
#undef F_COMPARE

/* RISC-V's fclass mask: bit 0 -inf ... bit 9 quiet NaN */
#define F_CLASS(name, T, FRAC, EXPS)                        \
    MEANING u64 name(Fpr a)                                 \
    {                                                       \
        T v = (T)f_raw(a), frac = v & (((T)1 << FRAC) - 1); \
        u32 e = (u32)(v >> FRAC) & EXPS;                    \
        bool neg = v >> (sizeof(T) * 8 - 1);                \
                                                            \
        if (e == EXPS && frac)                              \
            return frac >> (FRAC - 1) ? 1 << 9 : 1 << 8;    \
        if (e == EXPS)                                      \
            return neg ? 1 << 0 : 1 << 7;                   \
        if (e)                                              \
            return neg ? 1 << 1 : 1 << 6;                   \
        if (frac)                                           \
            return neg ? 1 << 2 : 1 << 5;                   \
        return neg ? 1 << 3 : 1 << 4;                       \
    }
F_CLASS(op_fclass_d, u64, 52, 0x7ff)
F_CLASS(op_fclass_s, u32, 23, 0xff)
F_CLASS(op_fclass_h, u16, 10, 0x1f)
#undef F_CLASS

MEANING u64 op_fmv_x_d(Fpr a) { return f_raw(a); }
MEANING u64 op_fmv_x_w(Fpr a) { return (u64)(i32)f_raw(a); }
MEANING Fpr op_fmv_d_x(u64 a) { return f_bits(a); }
MEANING Fpr op_fmv_w_x(u64 a)
{
    return f_d(_mm_move_ss(F_ONES, _mm_castsi128_ps(_mm_cvtsi32_si128((i32)a))));
}

MEANING Fpr op_fcvt_s_d(Fpr a) { return f_d(_mm_cvtsd_ss(F_ONES, a)); }
MEANING Fpr op_fcvt_d_s(Fpr a) { return _mm_cvtss_sd(_mm_setzero_pd(), f_s(a)); }
MEANING Fpr op_fcvt_d_w(u64 a) { return _mm_cvtsi32_sd(_mm_setzero_pd(), (i32)a); }
MEANING Fpr op_fcvt_d_wu(u64 a) { return _mm_cvtsi64_sd(_mm_setzero_pd(), (u32)a); }
MEANING Fpr op_fcvt_d_l(u64 a) { return _mm_cvtsi64_sd(_mm_setzero_pd(), (i64)a); }
MEANING Fpr op_fcvt_s_w(u64 a) { return f_d(_mm_cvtsi32_ss(F_ONES, (i32)a)); }
MEANING Fpr op_fcvt_s_wu(u64 a) { return f_d(_mm_cvtsi64_ss(F_ONES, (u32)a)); }
MEANING Fpr op_fcvt_s_l(u64 a) { return f_d(_mm_cvtsi64_ss(F_ONES, (i64)a)); }
/* Half of it with a sticky bit rounds as the whole would; doubling is exact. */
MEANING Fpr op_fcvt_d_lu(u64 a)
{
    Fpr h;

    if ((i64)a >= 0)
        return op_fcvt_d_l(a);
    h = op_fcvt_d_l(a >> 1 | (a & 1));
    return _mm_add_sd(h, h);
}
MEANING Fpr op_fcvt_s_lu(u64 a)
{
    Fpr h;

    if ((i64)a >= 0)
        return op_fcvt_s_l(a);
    h = op_fcvt_s_l(a >> 1 | (a & 1));
    return op_fadd_s(h, h);
}

/* ---- half precision: hardware's where the set has it ---- */

MEANING u32 f_unbox_h(Fpr a)
{
    return (u32)((i64)f_raw(a) >> 16 == -1 ? f_raw(a) & 0xffff : F_NAN_H & 0xffff);
}
#ifdef __F16C__
MEANING Fpr op_fcvt_s_h(Fpr a)
{
    return f_d(_mm_move_ss(F_ONES, _mm_cvtph_ps(_mm_cvtsi32_si128((i32)f_unbox_h(a)))));
}
MEANING Fpr op_fcvt_h_s(Fpr a)
{
    __m128 alone = _mm_move_ss(_mm_setzero_ps(), f_s(a));
    u32 r = (u32)_mm_cvtsi128_si32(_mm_cvtps_ph(alone, _MM_FROUND_CUR_DIRECTION));

    return f_bits(F_BOX_H | ((r & 0x7fff) > 0x7c00 ? F_NAN_H : r));
}
#else
MEANING Fpr op_fcvt_s_h(Fpr a)
{
    u32 h = f_unbox_h(a), sign = (h & 0x8000) << 16, bits = (h & 0x7fff) << 13;
    Fpr r;

    if (bits < 0x7c00 << 13) /* exponents made the single's: * 2^(127 - 15) */
        r = op_fmul_s(f_bits(bits), f_bits(0x77800000));
    else if (bits == 0x7c00 << 13)
        r = f_bits(0x7f800000);
    else
        r = op_fadd_s(f_bits(bits | 0x7f800000), f_bits(0)); /* signals, if it does */
    return f_bits(F_BOX | f_raw(r) | sign);
}
MEANING Fpr op_fcvt_h_s(Fpr a)
{
    u64 v = f_raw(op_fcvt_d_s(a));
    u32 csr = f_getcsr();
    u64 r = f_half(v, f_mode(csr), &csr);

    f_setcsr(csr);
    return f_bits(r);
}
#endif

/*
 * To integer, saturating; NaN gives the greatest value.  Out of range is invalid
 * and nothing else, so the unsigned forms drop the inexact flag of the attempt.
 */
#define F_TO_SIGNED(name, T, IMIN, IMAX, cvt, positive) \
    MEANING u64 name(Fpr a)                             \
    {                                                   \
        T r = (T)cvt;                                   \
                                                        \
        if (UNLIKELY(r == IMIN))                        \
            r = positive ? IMAX : IMIN;                 \
        return (u64)(i64)r;                             \
    }
#define F_POS_D (!(a[0] < 0))
#define F_POS_S (!(f_s(a)[0] < 0))
F_TO_SIGNED(op_fcvt_w_d, i32, INT32_MIN, INT32_MAX, _mm_cvtsd_si32(a), F_POS_D)
F_TO_SIGNED(op_fcvt_l_d, i64, INT64_MIN, INT64_MAX, _mm_cvtsd_si64(a), F_POS_D)
F_TO_SIGNED(op_fcvtz_w_d, i32, INT32_MIN, INT32_MAX, _mm_cvttsd_si32(a), F_POS_D)
F_TO_SIGNED(op_fcvtz_l_d, i64, INT64_MIN, INT64_MAX, _mm_cvttsd_si64(a), F_POS_D)
F_TO_SIGNED(op_fcvt_w_s, i32, INT32_MIN, INT32_MAX, _mm_cvtss_si32(f_s(a)), F_POS_S)
F_TO_SIGNED(op_fcvt_l_s, i64, INT64_MIN, INT64_MAX, _mm_cvtss_si64(f_s(a)), F_POS_S)
F_TO_SIGNED(op_fcvtz_w_s, i32, INT32_MIN, INT32_MAX, _mm_cvttss_si32(f_s(a)), F_POS_S)
F_TO_SIGNED(op_fcvtz_l_s, i64, INT64_MIN, INT64_MAX, _mm_cvttss_si64(f_s(a)), F_POS_S)
#undef F_TO_SIGNED

#define F_TO_U32(name, cvt)                                                       \
    MEANING u64 name(Fpr a)                                                       \
    {                                                                             \
        u32 csr = f_csr(&a);                                                      \
        i64 r = cvt;                                                              \
                                                                                  \
        if (LIKELY(r == (u32)r))                                                  \
            return (u64)(i32)r;                                                   \
        f_setcsr(csr | _MM_EXCEPT_INVALID);                                       \
        return r < 0 && r != INT64_MIN ? 0 : r == INT64_MIN && F_NEG ? 0 : ~0ull; \
    }
#define F_NEG (a[0] < 0)
F_TO_U32(op_fcvt_wu_d, _mm_cvtsd_si64(a))
F_TO_U32(op_fcvtz_wu_d, _mm_cvttsd_si64(a))
#undef F_NEG
#define F_NEG (f_s(a)[0] < 0)
F_TO_U32(op_fcvt_wu_s, _mm_cvtss_si64(f_s(a)))
F_TO_U32(op_fcvtz_wu_s, _mm_cvttss_si64(f_s(a)))
#undef F_NEG
#undef F_TO_U32

/* 2^63 and above: take 2^63 off (exact), convert, put it back. */
#define F_TO_U64(name, sfx, TOP, cvt)                     \
    MEANING u64 name(Fpr a)                               \
    {                                                     \
        u32 csr = f_csr(&a);                              \
        u64 r = (u64)cvt(a);                              \
                                                          \
        if (LIKELY((i64)r >= 0))                          \
            return r;                                     \
        f_setcsr(csr);                                    \
        if (op_fle_##sfx(f_const(TOP), a)) {              \
            r = (u64)cvt(op_fsub_##sfx(a, f_const(TOP))); \
            if ((i64)r >= 0)                              \
                return r ^ 1ull << 63;                    \
            r = ~0ull;                                    \
        } else {                                          \
            r = f_isnan_##sfx(a) ? ~0ull : 0;             \
        }                                                 \
        f_setcsr(csr | _MM_EXCEPT_INVALID);               \
        return r;                                         \
    }
#define F_CVT_S(a)  _mm_cvtss_si64(f_s(a))
#define F_CVTT_S(a) _mm_cvttss_si64(f_s(a))
F_TO_U64(op_fcvt_lu_d, d, 0x43e0000000000000, _mm_cvtsd_si64)
F_TO_U64(op_fcvtz_lu_d, d, 0x43e0000000000000, _mm_cvttsd_si64)
F_TO_U64(op_fcvt_lu_s, s, 0xffffffff5f000000, F_CVT_S)
F_TO_U64(op_fcvtz_lu_s, s, 0xffffffff5f000000, F_CVTT_S)
#undef F_TO_U64

/* Rounding: 0 to even, 1 to zero, 2 down, 3 up; MXCSR.RC has them as 0 3 1 2. */
MEANING u64 op_fround(u64 a)
{
    u32 csr = f_getcsr();

    f_setcsr((csr & ~(3u << 13)) | (u32)(0x9c >> (a & 3) * 2 & 3) << 13);
    return f_mode(csr);
}
MEANING u64 op_fget(void) { return f_flags_of_mxcsr(f_getcsr()); }
/* Setting what is set already, as after a quiet comparison, is left out. */
MEANING void op_fset(u64 a)
{
    u32 change = f_mxcsr_of_flags(a);

    change ^= f_getcsr() & F_FLAGS_MXCSR;
    if (UNLIKELY(change)) {
        __asm__ volatile("" : : : "memory"); /* ENV->csr is read again: no spill */
        f_setcsr(ENV->csr ^ change);
    }
}

#endif

/* ---- control ---- */
MEANING bool op_beq(u64 a, u64 b) { return a == b; }
MEANING bool op_bne(u64 a, u64 b) { return a != b; }
MEANING bool op_blt(u64 a, u64 b) { return (i64)a < (i64)b; }
MEANING bool op_bge(u64 a, u64 b) { return (i64)a >= (i64)b; }
MEANING bool op_bltu(u64 a, u64 b) { return a < b; }
MEANING bool op_bgeu(u64 a, u64 b) { return a >= b; }

#endif
