/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic in the one rounding mode that the host lacks: to nearest, ties away from
 * zero (RMM).  Exact results are made in integers, rounded once, and their flags added
 * to MXCSR's.  What Zfh and Zfa have and the ops lack is here, too.  Everything else
 * about floating point is the ops' (microops/ops.h).
 */
#include <xmmintrin.h>
#include "../../microops/ops.h"
#include "riscv64.h"

typedef struct Format {
    int precision; /* bits of significand, the hidden one too */
    int emin, emax;
    u64 nan; /* the canonical one */
} Format;

static const Format format_s = {24, -126, 127, 0x7fc00000};
static const Format format_d = {53, -1022, 1023, 0x7ff8000000000000};

typedef enum Kind { ZERO, FINITE, INFINITE, QUIET, SIGNALLING } Kind;

/* Finite: sig / 2^TOP * 2^exp, TOP being sig's highest bit.  Bit 0 is sticky. */
typedef struct Num {
    Kind kind;
    bool neg;
    int exp;
    u128 sig;
} Num;

enum { TOP = 125, INT_BITS = 53, INT_SHIFT = TOP - INT_BITS + 1 };

static const Num num_nan = {.kind = QUIET};

static void accrue(u32 flags) { _mm_setcsr(_mm_getcsr() | flags); }

static Num invalid(void)
{
    accrue(_MM_EXCEPT_INVALID);
    return num_nan;
}

/* ---- numbers ---- */

static u128 shift_right_sticky(u128 v, int n)
{
    if (n > 127)
        return v != 0;
    return v >> n | ((v & (((u128)1 << n) - 1)) != 0);
}

static int high_bit(u128 v)
{
    u64 high = (u64)(v >> 64);

    return high ? 127 - __builtin_clzll(high) : 63 - __builtin_clzll((u64)v);
}

/* sig * 2^exp */
static Num num(bool neg, u128 sig, int exp)
{
    int high;

    if (!sig)
        return (Num){.kind = ZERO, .neg = neg};
    high = high_bit(sig);
    sig = high > TOP ? shift_right_sticky(sig, high - TOP) : sig << (TOP - high);
    return (Num){FINITE, neg, exp + high, sig};
}

static Num unpack(const Format *f, u64 bits)
{
    int frac_bits = f->precision - 1;
    u64 frac = bits & ((1ull << frac_bits) - 1);
    int e = (int)(bits >> frac_bits) & (2 * f->emax + 1);
    bool neg = bits & (u64)(2 * f->emax + 2) << frac_bits;

    if (e > 2 * f->emax) {
        if (!frac)
            return (Num){.kind = INFINITE, .neg = neg};
        return (Num){.kind = frac >> (frac_bits - 1) ? QUIET : SIGNALLING};
    }
    if (e)
        frac |= 1ull << frac_bits;
    return num(neg, frac, MAX(e, 1) - f->emax - frac_bits);
}

/* A significand of at most INT_BITS bits as an integer; * 2^(exp - INT_BITS + 1). */
static u64 integer(Num n) { return (u64)(n.sig >> INT_SHIFT); }

/* ---- rounding ---- */

static u128 round_off(u128 sig, int bits)
{
    return (sig >> bits) + (sig >> (bits - 1) & 1);
}

static bool lost(u128 sig, int bits) { return sig & (((u128)1 << bits) - 1); }

/* Below the normal range, and still so when rounded with all its bits? */
static bool is_tiny(const Format *f, Num n)
{
    u128 rounded = round_off(n.sig, TOP - f->precision + 1);

    return n.exp < f->emin - 1 || (n.exp < f->emin && !(rounded >> f->precision));
}

static u64 pack_finite(const Format *f, Num n)
{
    int below = MAX(f->emin - n.exp, 0);
    int drop = MIN(TOP - f->precision + 1 + below, 127);
    u64 sig = (u64)round_off(n.sig, drop), hidden = 1ull << (f->precision - 1);
    u64 infinity = (u64)(2 * f->emax + 1) << (f->precision - 1);
    u64 bits = sig; /* a carry out of the fraction goes into the exponent */

    if (!below)
        bits = sig - hidden +
               ((u64)(MIN(n.exp, f->emax + 1) + f->emax) << (f->precision - 1));
    if (bits >= infinity) {
        accrue(_MM_EXCEPT_OVERFLOW | _MM_EXCEPT_INEXACT);
        return infinity;
    }
    if (lost(n.sig, drop))
        accrue(_MM_EXCEPT_INEXACT | (is_tiny(f, n) ? _MM_EXCEPT_UNDERFLOW : 0));
    return bits;
}

static u64 pack(const Format *f, Num n)
{
    u64 sign = (u64)n.neg << (f == &format_s ? 31 : 63);

    switch (n.kind) {
    case ZERO: return sign;
    case FINITE: return sign | pack_finite(f, n);
    case INFINITE: return sign | (u64)(2 * f->emax + 1) << (f->precision - 1);
    case SIGNALLING: return pack(f, invalid());
    default: return f->nan;
    }
}

/* ---- exact arithmetic ---- */

static bool is_nan(Num n) { return n.kind >= QUIET; }

/* What a NaN among the operands makes of the result. */
static Num nan_of(Num a, Num b)
{
    return a.kind == SIGNALLING || b.kind == SIGNALLING ? invalid() : num_nan;
}

static Num add_finite(Num a, Num b)
{
    Num *low = a.exp < b.exp ? &a : &b, *high = a.exp < b.exp ? &b : &a;
    int exp = high->exp - TOP;

    low->sig = shift_right_sticky(low->sig, high->exp - low->exp);
    if (a.neg == b.neg)
        return num(a.neg, a.sig + b.sig, exp);
    if (a.sig == b.sig)
        return (Num){.kind = ZERO};
    return a.sig > b.sig ? num(a.neg, a.sig - b.sig, exp)
                         : num(b.neg, b.sig - a.sig, exp);
}

static Num plus(Num a, Num b)
{
    if (is_nan(a) || is_nan(b))
        return nan_of(a, b);
    if (a.kind == INFINITE)
        return b.kind == INFINITE && a.neg != b.neg ? invalid() : a;
    if (b.kind == INFINITE)
        return b;
    if (a.kind == ZERO && b.kind == ZERO)
        return (Num){.kind = ZERO, .neg = a.neg && b.neg};
    if (a.kind == ZERO || b.kind == ZERO)
        return a.kind == ZERO ? b : a;
    return add_finite(a, b);
}

static Num negate(Num a)
{
    a.neg = !a.neg;
    return a;
}

static Num minus(Num a, Num b) { return plus(a, negate(b)); }

static Num times(Num a, Num b)
{
    bool neg = a.neg != b.neg;

    if (is_nan(a) || is_nan(b))
        return nan_of(a, b);
    if (a.kind == INFINITE || b.kind == INFINITE)
        return a.kind == ZERO || b.kind == ZERO ? invalid()
                                                : (Num){.kind = INFINITE, .neg = neg};
    if (a.kind == ZERO || b.kind == ZERO)
        return (Num){.kind = ZERO, .neg = neg};
    return num(neg, (u128)integer(a) * integer(b), a.exp + b.exp - 2 * (INT_BITS - 1));
}

static Num divide(Num a, Num b)
{
    enum { MORE = 127 - INT_BITS }; /* bits of quotient beyond the integers' */
    bool neg = a.neg != b.neg;
    u128 top;

    if (is_nan(a) || is_nan(b))
        return nan_of(a, b);
    if (a.kind == b.kind && a.kind != FINITE)
        return invalid();
    if (a.kind == INFINITE || b.kind == ZERO) {
        if (a.kind != INFINITE)
            accrue(_MM_EXCEPT_DIV_ZERO);
        return (Num){.kind = INFINITE, .neg = neg};
    }
    if (a.kind == ZERO || b.kind == INFINITE)
        return (Num){.kind = ZERO, .neg = neg};
    top = (u128)integer(a) << MORE;
    return num(neg, top / integer(b) | (top % integer(b) != 0), a.exp - b.exp - MORE);
}

static u64 root(u128 v) /* floor */
{
    u64 r = 0;

    for (u64 bit = 1ull << 63; bit; bit >>= 1)
        if ((u128)(r | bit) * (r | bit) <= v)
            r |= bit;
    return r;
}

static Num square_root(Num a)
{
    u128 v = a.sig;
    int exp = a.exp - TOP;
    u64 r;

    if (is_nan(a))
        return nan_of(a, a);
    if (a.kind == ZERO || (a.kind == INFINITE && !a.neg))
        return a;
    if (a.neg)
        return invalid();
    if (exp % 2) {
        v <<= 1;
        exp--;
    }
    r = root(v);
    return num(false, (u128)r << 1 | ((u128)r * r != v), exp / 2 - 1);
}

static Num fused(Num a, Num b, Num c)
{
    Num product = times(a, b);

    return plus(product, c);
}

/* ---- helpers ---- */

#define IN_D(v)  unpack(&format_d, v)
#define IN_S(v)  unpack(&format_s, (u32)(v))
#define OUT_D(n) pack(&format_d, n)
#define OUT_S(n) (pack(&format_s, n) | 0xffffffff00000000)

#define HELP(name, result) \
    u64 help_away_##name(Env *env, u64 a, u64 b, u64 c) { return result; }
#define ARITHMETIC(sfx, IN, OUT)                                       \
    HELP(fadd_##sfx, OUT(plus(IN(a), IN(b))))                          \
    HELP(fsub_##sfx, OUT(minus(IN(a), IN(b))))                         \
    HELP(fmul_##sfx, OUT(times(IN(a), IN(b))))                         \
    HELP(fdiv_##sfx, OUT(divide(IN(a), IN(b))))                        \
    HELP(fsqrt_##sfx, OUT(square_root(IN(a))))                         \
    HELP(fmadd_##sfx, OUT(fused(IN(a), IN(b), IN(c))))                 \
    HELP(fcvt_##sfx##_l, OUT(num((i64)a < 0, (i64)a < 0 ? -a : a, 0))) \
    HELP(fcvt_##sfx##_lu, OUT(num(false, a, 0)))
ARITHMETIC(d, IN_D, OUT_D)
ARITHMETIC(s, IN_S, OUT_S)
HELP(fcvt_s_d, OUT_S(IN_D(a)))

/* ---- to integers ---- */

typedef struct Range {
    u64 max, min;           /* results out of range, and for NaN: max */
    u64 most_pos, most_neg; /* magnitudes */
} Range;

static const Range range_w = {INT32_MAX, (u64)INT32_MIN, INT32_MAX, 1ull << 31};
static const Range range_wu = {~0ull, 0, UINT32_MAX, 0};
static const Range range_l = {INT64_MAX, (u64)INT64_MIN, INT64_MAX, 1ull << 63};
static const Range range_lu = {~0ull, 0, ~0ull, 0};

static u64 saturate(const Range *r, bool neg)
{
    accrue(_MM_EXCEPT_INVALID);
    return neg ? r->min : r->max;
}

static u64 to_int(const Range *r, Num n)
{
    int drop = MIN(TOP - n.exp, 127);
    u128 v;

    if (n.kind == ZERO)
        return 0;
    if (is_nan(n))
        return saturate(r, false);
    if (n.kind == INFINITE || n.exp > 63)
        return saturate(r, n.neg);
    v = round_off(n.sig, drop);
    if (v > (n.neg ? r->most_neg : r->most_pos))
        return saturate(r, n.neg);
    if (lost(n.sig, drop))
        accrue(_MM_EXCEPT_INEXACT);
    v = n.neg ? -v : v;
    return r->most_pos <= UINT32_MAX ? (u64)(i32)v : (u64)v;
}

#define TO_INT(sfx, IN)                           \
    HELP(fcvt_w_##sfx, to_int(&range_w, IN(a)))   \
    HELP(fcvt_wu_##sfx, to_int(&range_wu, IN(a))) \
    HELP(fcvt_l_##sfx, to_int(&range_l, IN(a)))   \
    HELP(fcvt_lu_##sfx, to_int(&range_lu, IN(a)))
TO_INT(d, IN_D)
TO_INT(s, IN_S)

/* ---- Zfh, Zfa ---- */

static u32 mode_of(u64 rm) { return rm == RM_DYN ? f_mode(_mm_getcsr()) : (u32)rm; }

u64 help_fcvt_h_d(Env *env, u64 a, u64 rm, u64 c)
{
    u32 flags = 0;
    u64 half = f_half(a, mode_of(rm), &flags);

    accrue(flags);
    return half;
}

/* A double's significand, and how many of its bits are below 1; more than 60 are 60. */
typedef struct Fixed {
    bool neg, special; /* special: infinity or NaN */
    u64 sig;
    int fraction;
} Fixed;

static Fixed fixed(u64 bits)
{
    int exp = (int)(bits >> 52 & 0x7ff) - 1023;
    u64 sig = (bits & ((1ull << 52) - 1)) | 1ull << 52;

    return (Fixed){bits >> 63, exp == 1024, bits << 1 ? sig : 0, MIN(52 - exp, 60)};
}

static u64 below_one(Fixed f)
{
    return f.fraction > 0 ? f.sig & ((1ull << f.fraction) - 1) : 0;
}

u64 help_fround(Env *env, u64 a, u64 inexact, u64 rm)
{
    Fixed f = fixed(a);
    u64 rest = below_one(f), whole, bits;
    double rounded;

    if (f.special)
        return pack(&format_d, unpack(&format_d, a));
    if (!rest)
        return a;
    whole = f.sig >> f.fraction;
    whole += f_rounds_up(mode_of(rm), f.neg, whole & 1, rest, 1ull << (f.fraction - 1));
    rounded = (double)(i64)whole; /* exact */
    memcpy(&bits, &rounded, sizeof(bits));
    accrue(inexact ? _MM_EXCEPT_INEXACT : 0);
    return bits | (u64)f.neg << 63;
}

/* Truncated, modulo 2^32; out of range is invalid all the same. */
u64 help_fcvtmod_w_d(Env *env, u64 a, u64 b, u64 c)
{
    Fixed f = fixed(a);
    int shift = -f.fraction; /* of the significand to the left */
    u64 v;

    if (f.special || shift > 31) {
        accrue(_MM_EXCEPT_INVALID);
        return 0;
    }
    v = shift >= 0 ? f.sig << shift : f.sig >> -shift;
    if (shift >= 0 || v > (u64)INT32_MAX + f.neg)
        accrue(_MM_EXCEPT_INVALID);
    else if (below_one(f))
        accrue(_MM_EXCEPT_INEXACT);
    return (u64)(i32)(f.neg ? -v : v);
}
