/* SPDX-License-Identifier: MIT */
/* Operands: tables of special values, and random ones from several distributions. */
#include "fp.h"

/* ---- random numbers ---- */

Random random_seed(u64 seed)
{
    Random r = {(seed ^ 0x2545f4914f6cdd1d) * 0x9e3779b97f4a7c15 | 1};

    for (int i = 0; i < 4; i++)
        random_next(&r.state);
    return r;
}

u64 random_bits(Random *r) { return random_next(&r->state) * 0x2545f4914f6cdd1d; }
u32 random_below(Random *r, u32 n) { return (u32)((random_bits(r) >> 32) * n >> 32); }

/* ---- special values: magnitudes, each with both signs ---- */

/* The lists below read as tables. */
/* clang-format off */
#define NEAR(v)       (v) - 1, (v), (v) + 1
#define BOX(v)        (0xffffffff00000000 | (v))
#define NEAR_S(v)     BOX((v) - 1), BOX(v), BOX((v) + 1)
#define NEAR_H(v)     BOX_H((v) - 1), BOX_H(v), BOX_H((v) + 1)
#define BOX_H(v)      (0xffffffffffff0000 | (v))
#define SIGNS(f)      (1ull << (f == FMT_D ? 63 : f == FMT_S ? 31 : 15))

/* Combined with each other: pairs and triples. */
static const u64 few_d[] = {
    0, 1, 2, 0x0008000000000000, 0x000fffffffffffff, 0x0010000000000000,
    0x0010000000000001, 0x001fffffffffffff, 0x0020000000000000, 0x0360000000000000,
    0x1ff0000000000001, 0x2000000000000000, 0x3c90000000000000, 0x3ca0000000000000,
    0x3ca0000000000001, 0x3fd5555555555555, 0x3fe0000000000000, NEAR(0x3ff0000000000000),
    0x3ff8000000000000, 0x4000000000000000, 0x4008000000000001, 0x400921fb54442d18,
    0x4340000000000000, 0x4340000000000001, 0x5fe0000000000000, 0x5feffffffc000000,
    0x7fd0000000000000, 0x7fe0000000000000, 0x7feffffffffffffe, 0x7fefffffffffffff,
    0x7ff0000000000000, 0x7ff0000000000001, 0x7ff7ffffffffffff, 0x7ff8000000000000,
    0x7ff8000000000123,
};
static const u64 few_s[] = {
    BOX(0), BOX(1), BOX(2), BOX(0x00400000), BOX(0x007fffff), BOX(0x00800000),
    BOX(0x00800001), BOX(0x00ffffff), BOX(0x01000000), BOX(0x0c800000), BOX(0x1fffffff),
    BOX(0x20000001), BOX(0x33000000), BOX(0x33800000), BOX(0x33800001), BOX(0x3eaaaaab),
    BOX(0x3f000000), NEAR_S(0x3f800000), BOX(0x3fc00000), BOX(0x40000000),
    BOX(0x40400001), BOX(0x40490fdb), BOX(0x4b800000), BOX(0x4b800001), BOX(0x5f000000),
    BOX(0x5f7ffe00), BOX(0x7e800000), BOX(0x7f000000), BOX(0x7f7ffffe), BOX(0x7f7fffff),
    BOX(0x7f800000), BOX(0x7f800001), BOX(0x7fbfffff), BOX(0x7fc00000), BOX(0x7fc00123),
    0x000000003f800000, 0xfffffffe3f800000, 0x7ff0000000000000,
};
static const u64 few_h[] = {
    BOX_H(0), BOX_H(1), BOX_H(2), BOX_H(0x0200), BOX_H(0x03ff), BOX_H(0x0400),
    BOX_H(0x0401), BOX_H(0x07ff), BOX_H(0x0800), BOX_H(0x1000), BOX_H(0x1001),
    BOX_H(0x1400), BOX_H(0x1401), BOX_H(0x1bff), BOX_H(0x2555), BOX_H(0x3800),
    NEAR_H(0x3c00), BOX_H(0x3e00), BOX_H(0x4000), BOX_H(0x4201), BOX_H(0x4248),
    BOX_H(0x5bff), BOX_H(0x5c00), BOX_H(0x6800), BOX_H(0x6801), BOX_H(0x7800),
    BOX_H(0x7bfe), BOX_H(0x7bff), BOX_H(0x7c00), BOX_H(0x7c01), BOX_H(0x7dff),
    BOX_H(0x7e00), BOX_H(0x7e12), 0x0000000000003c00, 0xfffffffffffe3c00,
    0x7ff0000000000000,
};
/* Alone: conversions, too.  Halves, ties, and the limits of the integers. */
static const u64 more_d[] = {
    NEAR(0x3fd0000000000000), NEAR(0x3fe0000000000000), NEAR(0x3fe8000000000000),
    NEAR(0x3ff8000000000000), NEAR(0x4004000000000000), NEAR(0x400c000000000000),
    NEAR(0x4012000000000000), NEAR(0x40dfffe000000000), NEAR(0x40efffe000000000),
    NEAR(0x41dfffffffc00000), NEAR(0x41dfffffffe00000), NEAR(0x41e0000000000000),
    NEAR(0x41e0000000100000), NEAR(0x41e0000000200000), NEAR(0x41efffffffe00000),
    NEAR(0x41effffffff00000), NEAR(0x41f0000000000000), NEAR(0x41f0000000080000),
    NEAR(0x4320000000000000), NEAR(0x4330000000000000), NEAR(0x4340000000000000),
    NEAR(0x43e0000000000000), NEAR(0x43f0000000000000), NEAR(0x4400000000000000),
    /* around the limits of single and half: rounding, overflow, underflow */
    NEAR(0x3690000000000000), NEAR(0x36a0000000000000), NEAR(0x36a8000000000000),
    NEAR(0x380fffffc0000000), NEAR(0x380fffffe0000000), NEAR(0x380ffffff0000000),
    NEAR(0x3810000000000000), NEAR(0x47efffffe0000000), NEAR(0x47effffff0000000),
    NEAR(0x47f0000000000000), NEAR(0x3ff0000010000000), NEAR(0x3ff0000030000000),
    NEAR(0x3e60000000000000), NEAR(0x3e70000000000000), NEAR(0x3e78000000000000),
    NEAR(0x3f0ff80000000000), NEAR(0x3f0ffc0000000000), NEAR(0x3f0ffe0000000000),
    NEAR(0x3f10000000000000), NEAR(0x40effc0000000000), NEAR(0x40effe0000000000),
    NEAR(0x40f0000000000000), NEAR(0x3ff0020000000000), NEAR(0x3ff0060000000000),
};
static const u64 more_s[] = {
    NEAR_S(0x3e800000), NEAR_S(0x3f000000), NEAR_S(0x3f400000), NEAR_S(0x3fc00000),
    NEAR_S(0x40200000), NEAR_S(0x40600000), NEAR_S(0x40900000), NEAR_S(0x46ffff00),
    NEAR_S(0x477fff00), NEAR_S(0x4b000000), NEAR_S(0x4b800000), NEAR_S(0x4f000000),
    NEAR_S(0x4f800000), NEAR_S(0x5f000000), NEAR_S(0x5f800000), NEAR_S(0x33000000),
    NEAR_S(0x33800000), NEAR_S(0x33c00000), NEAR_S(0x387fc000), NEAR_S(0x387fe000),
    NEAR_S(0x387ff000), NEAR_S(0x38800000), NEAR_S(0x477fe000), NEAR_S(0x477ff000),
    NEAR_S(0x47800000), NEAR_S(0x3f801000), NEAR_S(0x3f803000),
};
static const u64 integers[] = {
    NEAR(0ull), NEAR(4ull), NEAR(0x800ull), NEAR(0x1000ull), NEAR(0x1002ull),
    NEAR(0xffe0ull), NEAR(0xfff0ull), NEAR(0x10000ull), NEAR(0x1000000ull),
    NEAR(0x1000002ull), NEAR(0x2000003ull), NEAR(0x7fffffc0ull), NEAR(0x80000000ull),
    NEAR(0xffffff80ull), NEAR(0x100000000ull), NEAR(0x180000000ull),
    NEAR(0x20000000000000ull), NEAR(0x20000000000002ull), NEAR(0x40000000000003ull),
    NEAR(0x7fffff4000000000ull), NEAR(0x7fffffc000000000ull),
    NEAR(0x7ffffffffffffe00ull), NEAR(0x8000000000000000ull),
    NEAR(0x8000008000000000ull), NEAR(0x8000000000000400ull),
    NEAR(0x8000000000000c00ull), NEAR(0xffffff8000000000ull),
    NEAR(0xfffffffffffffc00ull), NEAR(0xffffffff80000000ull),
    NEAR(0xffffffff7fffffc0ull), 0x123456789abcdef0, 0xdeadbeef00000000,
};

/* clang-format on */

typedef struct Table {
    const u64 *v;
    u32 n;
} Table;

#define TABLE(v)    \
    {               \
        v, COUNT(v) \
    }
static const Table few[] = {TABLE(few_h), TABLE(few_s), TABLE(few_d), TABLE(integers)};
static const Table more[] = {{NULL, 0}, TABLE(more_s), TABLE(more_d), {NULL, 0}};

/* Of a half, alone, all there are. */
u32 special_count(Format f, u32 n_in)
{
    if (f == FMT_H && n_in == 1)
        return 0x10000 + 4;
    if (f == FMT_INT)
        return few[f].n;
    return 2 * (few[f].n + (n_in == 1 ? more[f].n : 0));
}

u64 special_value(Format f, u32 n_in, u32 index)
{
    u64 sign = index & 1 ? SIGNS(f) : 0;
    u32 i = index / 2;

    if (f == FMT_H && n_in == 1)
        return index < 0x10000 ? BOX_H((u64)index) : few_h[few[f].n - 1 - index % 4];
    if (f == FMT_INT)
        return integers[index];
    return (i < few[f].n ? few[f].v[i] : more[f].v[i - few[f].n]) ^ sign;
}

/* ---- random operands ---- */

static const struct Layout {
    int frac, bias;
} layouts[] = {{10, 15}, {23, 127}, {52, 1023}};

static u64 random_frac(Random *r, int bits)
{
    u64 v = random_bits(r), mask = (1ull << bits) - 1;
    int n = (int)random_below(r, (u32)bits + 1);

    switch (random_below(r, 8)) {
    case 0: return v & mask & ~0ull << n;            /* short: ties, exact results */
    case 1: return (v & mask) >> n;                  /* just above a power of two */
    case 2: return ~(v & mask) >> n & mask;          /* and with ones at the top */
    case 3: return mask & ~0ull << n;                /* all ones, then zeros */
    case 4: return (1ull << n) & mask;               /* one bit */
    case 5: return (v & 3) + (n & 1 ? mask - 3 : 0); /* near a power of two */
    default: return v & mask;
    }
}

static u64 put(Format f, u64 bits)
{
    return f == FMT_D ? bits : f == FMT_S ? BOX(bits) : BOX_H(bits);
}

/* Exponents are biased; out of range they stop at the ends. */
static u64 compose(Random *r, Format f, int exp)
{
    const struct Layout *l = &layouts[f];
    u64 sign = random_bits(r) & SIGNS(f);

    exp = exp < 0 ? 0 : exp > 2 * l->bias ? 2 * l->bias : exp;
    return put(f, sign | (u64)exp << l->frac | random_frac(r, l->frac));
}

static int about(Random *r, int n, int spread)
{
    return n + (int)random_below(r, 2 * (u32)spread + 1) - spread;
}

/* c's exponent that of a * b, or off by as much as matters. */
static void operands_near(Random *r, Format f, int exp_a, int exp_b, u64 v[3])
{
    const struct Layout *l = &layouts[f];
    int spread = random_below(r, 2) ? 2 : 2 * l->frac + 4;

    v[0] = compose(r, f, exp_a);
    v[1] = compose(r, f, exp_b);
    v[2] = compose(r, f, about(r, exp_a + exp_b - l->bias, spread));
}

/* a * b is exact, c its negative or next to it. */
static void operands_cancel(Random *r, Format f, u64 v[3])
{
    const struct Layout *l = &layouts[f];
    int half = l->frac / 2, exp = about(r, l->bias, l->bias / 4);
    u64 a = (1ull << half) | (random_bits(r) & ((1ull << half) - 1));
    u64 b = (1ull << half) | (random_bits(r) & ((1ull << half) - 1));
    int up = (int)((a * b) >> (2 * half + 1)), shift = l->frac - 2 * half;
    u64 mask = (1ull << l->frac) - 1;

    v[0] = put(f, (u64)exp << l->frac | (a << (l->frac - half) & mask));
    v[1] = put(f, (u64)l->bias << l->frac | (b << (l->frac - half) & mask));
    v[2] = (u64)(exp + up) << l->frac | ((a * b) << shift >> up & mask);
    v[2] = put(f, (v[2] ^ SIGNS(f)) + random_below(r, 3) - 1);
}

/* For additions: b is a, or nearly, or as much smaller as matters. */
static void operands_sum(Random *r, Format f, u64 v[3])
{
    const struct Layout *l = &layouts[f];
    int exp = (int)random_below(r, 2 * (u32)l->bias + 1);

    v[0] = compose(r, f, exp);
    v[1] = compose(r, f, about(r, exp, random_below(r, 2) ? 1 : l->frac + 3));
    if (random_below(r, 4) == 0)
        v[1] = put(f, (v[0] ^ (random_bits(r) & SIGNS(f))) + random_below(r, 5) - 2);
    v[2] = compose(r, f, about(r, exp, l->frac));
}

/* What conversions to integers look at: 2^-3 to 2^66. */
static void operands_integral(Random *r, Format f, u64 v[3])
{
    const struct Layout *l = &layouts[f];

    for (int i = 0; i < 3; i++)
        v[i] = compose(r, f, l->bias - 3 + (int)random_below(r, 70));
}

static void operands_any(Random *r, Format f, u64 v[3])
{
    for (int i = 0; i < 3; i++)
        v[i] = put(f, random_bits(r) & (2 * SIGNS(f) - 1));
}

static void operands_special(Random *r, Format f, u64 v[3])
{
    for (int i = 0; i < 3; i++)
        v[i] = special_value(f, 2, random_below(r, special_count(f, 2)));
}

static void operands_float(Random *r, Format f, u64 v[3])
{
    int bias = layouts[f].bias, frac = layouts[f].frac;
    int exp = (int)random_below(r, 2 * (u32)bias + 1);

    switch (random_below(r, 10)) {
    case 0: operands_special(r, f, v); break;
    case 1: operands_near(r, f, about(r, bias, 8), about(r, bias, 8), v); break;
    case 2: operands_near(r, f, exp, about(r, 3 * bias - exp, 2), v); break; /* large */
    case 3:
        operands_near(r, f, exp, about(r, bias - exp, frac + 2), v);
        break; /* tiny */
    case 4: operands_cancel(r, f, v); break;
    case 5:
    case 6: operands_sum(r, f, v); break;
    case 7: operands_integral(r, f, v); break;
    default: operands_any(r, f, v); break;
    }
}

static u64 random_integer(Random *r)
{
    u64 v = random_bits(r);
    u32 n = random_below(r, 64);

    switch (random_below(r, 6)) {
    case 0: return integers[v % COUNT(integers)];
    case 1: return v >> n;
    case 2: return (u64)((i64)v >> n);
    case 3: return (v & ~0ull << n) + random_below(r, 3) - 1;
    case 4: return (u64)(i32)v;
    default: return (1ull << n) + random_below(r, 5) - 2;
    }
}

void random_operands(Random *r, Format f, u64 v[3])
{
    if (f == FMT_INT)
        v[0] = random_integer(r), v[1] = random_integer(r), v[2] = 0;
    else
        operands_float(r, f, v);
    if (random_below(r, 32) == 0) /* a NaN, or badly boxed: a double at any rate */
        v[random_below(r, 3)] = random_bits(r);
}
