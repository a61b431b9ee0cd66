/* SPDX-License-Identifier: MIT */
/* Run: build/tests/translate --verbose       (the suite "away")
 *
 * fp.c's rounding against the host's: the same bits and flags, but for exact ties,
 * which a quadruple finds. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <xmmintrin.h>
#include <emmintrin.h>
#include "../translate/riscv64/riscv64.h"
#include "translate_random.h"

typedef __float128 Exact;

static double d_of(u64 bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

static u64 bits_d(double d)
{
    u64 bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static float s_of(u64 bits)
{
    u32 low = (u32)bits;
    float s;

    memcpy(&s, &low, sizeof(s));
    return s;
}

static u64 bits_s(float s)
{
    u32 bits;

    memcpy(&bits, &s, sizeof(bits));
    return bits | 0xffffffff00000000;
}

/* The canonical NaN, or r with an exact tie taken away from zero. */
static u64 away_d(double r, Exact x)
{
    double other = nextafter(r, (Exact)r < x ? INFINITY : -INFINITY);
    Exact off = x - (Exact)r;

    if (r != r)
        return 0x7ff8000000000000;
    if (isinf(r) || off == 0 || (Exact)other - x != off)
        return bits_d(r);
    return bits_d(fabs(other) > fabs(r) ? other : r);
}

static u64 away_s(float r, Exact x)
{
    float other = nextafterf(r, (Exact)r < x ? INFINITY : -INFINITY);
    Exact off = x - (Exact)r;

    if (r != r)
        return 0xffffffff7fc00000;
    if (isinf(r) || off == 0 || (Exact)other - x != off)
        return bits_s(r);
    return bits_s(fabsf(other) > fabsf(r) ? other : r);
}

enum { FLAGS = _MM_EXCEPT_MASK & ~_MM_EXCEPT_DENORM };

static u32 flags_reset(void)
{
    u32 flags = _mm_getcsr() & FLAGS;

    _mm_setcsr(_mm_getcsr() & ~_MM_EXCEPT_MASK);
    return flags;
}

/* Few significant bits, so that ties are many; some specials. */
static u64 random_operand(int frac, int exp_bits)
{
    int kept = (int)(random64() % (u64)(frac * 3 / 4));
    u64 sign = (random64() & 1) << (frac + exp_bits);
    u64 top = (1ull << exp_bits) - 1, exp = top / 2 + random64() % 64 - 32;
    u64 m = random64() & ((1ull << frac) - 1) & ~((1ull << (frac - kept)) - 1);

    switch (random64() % 24) {
    case 0: exp = 0; break;
    case 1: exp = top; break;
    case 2: exp = top - 1; break;
    case 3: exp = 1 + random64() % 3; break;
    case 4: m = (1ull << frac) - 1 - random64() % 2; break;
    case 5: m |= 1; break;
    case 6: m = 0; break;
    default: break;
    }
    return sign | exp << frac | m;
}

static u64 random_d(void) { return random_operand(52, 11); }
static u64 random_s(void) { return random_operand(23, 8) | 0xffffffff00000000; }

static void check_away(const char *op, u64 a, u64 b, u64 c, u64 want, u32 want_flags,
                       u64 got, u32 got_flags)
{
    cr_assert(want == got && want_flags == got_flags,
              "%s(%016lx, %016lx, %016lx) is %016lx flags %x, not %016lx flags %x", op,
              a, b, c, want, want_flags, got, got_flags);
}

#define CHECK_AWAY(op, sfx, T, a, b, c, host, exact)                     \
    {                                                                    \
        volatile T x = sfx##_of(a), y = sfx##_of(b), z = sfx##_of(c), r; \
        u64 want, got;                                                   \
        u32 host_flags, flags;                                           \
                                                                         \
        (void)y, (void)z;                                                \
        flags_reset();                                                   \
        r = host;                                                        \
        host_flags = flags_reset();                                      \
        want = away_##sfx(r, exact);                                     \
        flags_reset();                                                   \
        got = help_away_##op##_##sfx(NULL, a, b, c);                     \
        flags = flags_reset();                                           \
        check_away(#op "_" #sfx, a, b, c, want, host_flags, got, flags); \
    }

#define CHECK_ARITHMETIC(sfx, T, root)                                \
    for (int i = 0; i < 200000; i++) {                                \
        u64 a = random_##sfx(), b = random_##sfx();                   \
                                                                      \
        CHECK_AWAY(fadd, sfx, T, a, b, 0, x + y, (Exact)x + y)        \
        CHECK_AWAY(fsub, sfx, T, a, b, 0, x - y, (Exact)x - y)        \
        CHECK_AWAY(fmul, sfx, T, a, b, 0, x *y, (Exact)x *y)          \
        CHECK_AWAY(fdiv, sfx, T, a, b, 0, x / y, (Exact)x / y)        \
        CHECK_AWAY(fsqrt, sfx, T, a, 0, 0, root, r) /* never a tie */ \
    }

Test(away, arithmetic_d){
    CHECK_ARITHMETIC(d, double, _mm_sqrt_pd(_mm_set_sd(x))[0])} Test(away, arithmetic_s)
{
    CHECK_ARITHMETIC(s, float, _mm_sqrt_ss(_mm_set_ss(x))[0])
}

/* p + z, or r where a quadruple does not hold it: then it is no tie of r. */
static Exact exact_sum(Exact p, Exact z, Exact r)
{
    Exact sum = p + z;

    return sum - z == p && sum - p == z ? sum : r;
}

static u64 narrow_d(void)
{
    u64 exp = 1023 + random64() % 20 - 10, m = random64() >> 12 & ~0xfffffull;

    return (random64() & 1) << 63 | exp << 52 | m;
}

Test(away, fused)
{
    for (int i = 0; i < 200000; i++) {
        u64 a = random_s(), b = random_s(), c = random_s();

        CHECK_AWAY(fmadd, s, float, a, b, c, fmaf(x, y, z),
                   exact_sum((Exact)x * y, z, r))
        a = narrow_d(), b = narrow_d(), c = narrow_d();
        CHECK_AWAY(fmadd, d, double, a, b, c, fma(x, y, z),
                   exact_sum((Exact)x * y, z, r))
    }
}

/* Far below half a unit, but it decides. */
Test(away, fused_sticky)
{
    u64 one = bits_d(1), up = bits_d(1 + 0x1p-52), half = bits_d(1 + 0x1p-1);
    u64 tiny = bits_d(-0x1p-1000);

    /* (1 + 2^-52) * 1.5 is a tie */
    cr_assert_eq(help_away_fmadd_d(NULL, up, half, 0), bits_d(1.5 + 0x1p-51));
    cr_assert_eq(help_away_fmadd_d(NULL, up, half, tiny), bits_d(1.5 + 0x1p-52));
    cr_assert_eq(help_away_fmadd_d(NULL, one, one, tiny), one);
    cr_assert(flags_reset() & _MM_EXCEPT_INEXACT);
}

Test(away, to_narrower_and_from_integers)
{
    for (int i = 0; i < 500000; i++) {
        u64 v = random64() >> random64() % 64 << random64() % 16;
        u64 a = random64() % 2 ? random_d() : bits_d((double)(i64)v);
        volatile double d = d_of(a);
        volatile float s;
        u32 host_flags;
        u64 got;

        flags_reset();
        s = (float)d;
        host_flags = flags_reset();
        got = help_away_fcvt_s_d(NULL, a, 0, 0);
        check_away("fcvt_s_d", a, 0, 0, away_s(s, d), host_flags, got, flags_reset());
        check_away("fcvt_s_l", v, 0, 0, away_s((float)(i64)v, (i64)v), 0,
                   help_away_fcvt_s_l(NULL, v, 0, 0), 0);
        check_away("fcvt_s_lu", v, 0, 0, away_s((float)v, v), 0,
                   help_away_fcvt_s_lu(NULL, v, 0, 0), 0);
        check_away("fcvt_d_l", v, 0, 0, away_d((double)(i64)v, (i64)v), 0,
                   help_away_fcvt_d_l(NULL, v, 0, 0), 0);
        check_away("fcvt_d_lu", v, 0, 0, away_d((double)v, v), 0,
                   help_away_fcvt_d_lu(NULL, v, 0, 0), 0);
    }
}

/* x rounded away and clamped; its flags. */
static u64 integer_of(Exact x, Exact min, Exact max, bool word, u32 *flags)
{
    bool nan = x != x, neg = x < 0;
    Exact v = neg ? -x : x;
    u64 whole;

    *flags = _MM_EXCEPT_INVALID;
    if (nan || (!neg && v - max >= 0.5) || (neg && min + v >= 0.5))
        return neg ? (u64)(i64)min : word ? (u64)(i32)(u64)max : (u64)max;
    whole = (u64)v;
    if (v - whole >= 0.5)
        whole++;
    *flags = v == whole ? 0 : _MM_EXCEPT_INEXACT;
    whole = neg ? -whole : whole;
    return word ? (u64)(i32)whole : whole;
}

Test(away, to_integers)
{
    static const struct {
        HelperFn *fn;
        const char *name;
        bool word;
        Exact min, max;
    } to[] = {
        {help_away_fcvt_w_d, "w", true, INT32_MIN, INT32_MAX},
        {help_away_fcvt_wu_d, "wu", true, 0, UINT32_MAX},
        {help_away_fcvt_l_d, "l", false, INT64_MIN, INT64_MAX},
        {help_away_fcvt_lu_d, "lu", false, 0, UINT64_MAX},
    };

    for (int i = 0; i < 1000000; i++) {
        double big = ldexp((double)(i64)random64(), (int)(random64() % 80) - 70);
        u64 a = random64() % 4 ? bits_d(big) : random_d();
        u32 t = i % ARRAY_SIZE(to), flags;
        u64 want = integer_of(d_of(a), to[t].min, to[t].max, to[t].word, &flags), got;

        flags_reset();
        got = to[t].fn(NULL, a, 0, 0);
        check_away(to[t].name, a, 0, 0, want, flags, got, flags_reset());
    }
}
