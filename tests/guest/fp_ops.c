/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run fp_ops
 *
 * Floating point on all pairs of special values, sampled triples and conversions, in
 * every rounding mode, static and dynamic: a hash of results and fflags per
 * instruction and mode.  "fp_ops NAME MODE" prints every result of one. */
#include "check.h"

static const u64 doubles[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000001,
    0x000fffffffffffff, 0x0010000000000000, 0x8010000000000000, 0x0010000000000001,
    0x3fe0000000000000, 0x3fefffffffffffff, 0x3ff0000000000000, 0xbff0000000000000,
    0x3ff0000000000001, 0x3ff8000000000000, 0x4000000000000000, 0x4004000000000000,
    0xc004000000000000, 0x3fd5555555555555, 0x400921fb54442d18, 0x41dfffffffc00000,
    0x41e0000000000000, 0xc1e0000000000000, 0xc1e0000000200000, 0x41efffffffe00000,
    0x41f0000000000000, 0x43dfffffffffffff, 0x43e0000000000000, 0xc3e0000000000000,
    0x43efffffffffffff, 0x43f0000000000000, 0x41dfffffffe00000, 0x3e70000000000000,
    0x36a0000000000000, 0x380fffffe0000000, 0x47efffffe0000000, 0x47efffffefffffff,
    0x7fefffffffffffff, 0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
    0x7ff8000000000000, 0xfff8000000000123, 0x7ff0000000000001, 0xfff4000000000000,
};

#define BOX 0xffffffff00000000
static const u64 singles[] = {
    BOX | 0x00000000,   BOX | 0x80000000,   BOX | 0x00000001,   BOX | 0x80000001,
    BOX | 0x007fffff,   BOX | 0x00800000,   BOX | 0x80800000,   BOX | 0x00800001,
    BOX | 0x3f000000,   BOX | 0x3f7fffff,   BOX | 0x3f800000,   BOX | 0xbf800000,
    BOX | 0x3f800001,   BOX | 0x3fc00000,   BOX | 0x40000000,   BOX | 0x40200000,
    BOX | 0xc0200000,   BOX | 0x3eaaaaab,   BOX | 0x40490fdb,   BOX | 0x4b000001,
    BOX | 0x4effffff,   BOX | 0x4f000000,   BOX | 0xcf000000,   BOX | 0xcf000001,
    BOX | 0x4f7fffff,   BOX | 0x4f800000,   BOX | 0x5effffff,   BOX | 0x5f000000,
    BOX | 0xdf000000,   BOX | 0x5f7fffff,   BOX | 0x5f800000,   BOX | 0x1a800000,
    BOX | 0x7f7fffff,   BOX | 0xff7fffff,   BOX | 0x7f800000,   BOX | 0xff800000,
    BOX | 0x7fc00000,   BOX | 0xffc00123,   BOX | 0x7f800001,   BOX | 0xffa00000,
    0x000000003f800000, 0xfffffffe3f800000, 0x7ff0000000000000,
};

static const u64 integers[] = {
    0,
    1,
    2,
    3,
    0x7f,
    0xfffffe,
    0xffffff,
    0x1000000,
    0x1000001,
    0x1000003,
    0x7fffffbf,
    0x7fffffc0,
    0x7fffffff,
    0x80000000,
    0xffffff7f,
    0xffffff80,
    0xffffffff,
    0x100000000,
    0x1fffffffffffff,
    0x20000000000001,
    0x20000000000003,
    0x7ffffffffffffdff,
    0x7ffffffffffffe00,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0x8000000000000400,
    0xfffffffffffffbff,
    0xfffffffffffffc00,
    0xfffffffffffffffe,
    0xffffffffffffffff,
    0xffffffff80000000,
    0x123456789abcdef0,
};

typedef struct Result {
    u64 value, flags;
} Result;

typedef Result Fn(u64 a, u64 b, u64 c);

/* One function an instruction and rounding mode: operands and result as raw bits. */
#define FN(name, text, to)                                                             \
    static Result name(u64 a, u64 b, u64 c)                                            \
    {                                                                                  \
        Result r;                                                                      \
                                                                                       \
        (void)a, (void)b, (void)c;                                                     \
        __asm__ volatile(                                                              \
            "csrw fflags, zero\n\t"                                                    \
            "fmv.d.x ft0, %2\n\tfmv.d.x ft1, %3\n\tfmv.d.x ft2, %4\n\t" text "\n\t" to \
            "\n\tfrflags %1"                                                           \
            : "=&r"(r.value), "=&r"(r.flags)                                           \
            : "r"(a), "r"(b), "r"(c)                                                   \
            : "ft0", "ft1", "ft2", "ft3", "t0");                                       \
        return r;                                                                      \
    }
#define TO_F "fmv.x.d %0, ft3"
#define TO_X "mv %0, t0"

#define BY_MODE(X, n, t, to)  \
    X(n##_rne, t ", rne", to) \
    X(n##_rtz, t ", rtz", to) \
    X(n##_rdn, t ", rdn", to) \
    X(n##_rup, t ", rup", to) \
    X(n##_rmm, t ", rmm", to) \
    X(n##_dyn, t ", dyn", to)

enum Kind { PAIR_D, PAIR_S, ONE_D, ONE_S, TRIPLE_D, TRIPLE_S, INT };

/* X(name, text, where the result is, kind of operands) */
#define ROUNDED(X)                                             \
    X(fadd_d, "fadd.d ft3, ft0, ft1", TO_F, PAIR_D)            \
    X(fsub_d, "fsub.d ft3, ft0, ft1", TO_F, PAIR_D)            \
    X(fmul_d, "fmul.d ft3, ft0, ft1", TO_F, PAIR_D)            \
    X(fdiv_d, "fdiv.d ft3, ft0, ft1", TO_F, PAIR_D)            \
    X(fsqrt_d, "fsqrt.d ft3, ft0", TO_F, ONE_D)                \
    X(fadd_s, "fadd.s ft3, ft0, ft1", TO_F, PAIR_S)            \
    X(fsub_s, "fsub.s ft3, ft0, ft1", TO_F, PAIR_S)            \
    X(fmul_s, "fmul.s ft3, ft0, ft1", TO_F, PAIR_S)            \
    X(fdiv_s, "fdiv.s ft3, ft0, ft1", TO_F, PAIR_S)            \
    X(fsqrt_s, "fsqrt.s ft3, ft0", TO_F, ONE_S)                \
    X(fmadd_d, "fmadd.d ft3, ft0, ft1, ft2", TO_F, TRIPLE_D)   \
    X(fmsub_d, "fmsub.d ft3, ft0, ft1, ft2", TO_F, TRIPLE_D)   \
    X(fnmadd_d, "fnmadd.d ft3, ft0, ft1, ft2", TO_F, TRIPLE_D) \
    X(fnmsub_d, "fnmsub.d ft3, ft0, ft1, ft2", TO_F, TRIPLE_D) \
    X(fmadd_s, "fmadd.s ft3, ft0, ft1, ft2", TO_F, TRIPLE_S)   \
    X(fmsub_s, "fmsub.s ft3, ft0, ft1, ft2", TO_F, TRIPLE_S)   \
    X(fnmadd_s, "fnmadd.s ft3, ft0, ft1, ft2", TO_F, TRIPLE_S) \
    X(fnmsub_s, "fnmsub.s ft3, ft0, ft1, ft2", TO_F, TRIPLE_S) \
    X(fcvt_s_d, "fcvt.s.d ft3, ft0", TO_F, ONE_D)              \
    X(fcvt_w_d, "fcvt.w.d t0, ft0", TO_X, ONE_D)               \
    X(fcvt_wu_d, "fcvt.wu.d t0, ft0", TO_X, ONE_D)             \
    X(fcvt_l_d, "fcvt.l.d t0, ft0", TO_X, ONE_D)               \
    X(fcvt_lu_d, "fcvt.lu.d t0, ft0", TO_X, ONE_D)             \
    X(fcvt_w_s, "fcvt.w.s t0, ft0", TO_X, ONE_S)               \
    X(fcvt_wu_s, "fcvt.wu.s t0, ft0", TO_X, ONE_S)             \
    X(fcvt_l_s, "fcvt.l.s t0, ft0", TO_X, ONE_S)               \
    X(fcvt_lu_s, "fcvt.lu.s t0, ft0", TO_X, ONE_S)             \
    X(fcvt_s_w, "fcvt.s.w ft3, %2", TO_F, INT)                 \
    X(fcvt_s_wu, "fcvt.s.wu ft3, %2", TO_F, INT)               \
    X(fcvt_s_l, "fcvt.s.l ft3, %2", TO_F, INT)                 \
    X(fcvt_s_lu, "fcvt.s.lu ft3, %2", TO_F, INT)               \
    X(fcvt_d_l, "fcvt.d.l ft3, %2", TO_F, INT)                 \
    X(fcvt_d_lu, "fcvt.d.lu ft3, %2", TO_F, INT)

#define EXACT(X)                                        \
    X(fcvt_d_w, "fcvt.d.w ft3, %2", TO_F, INT)          \
    X(fcvt_d_wu, "fcvt.d.wu ft3, %2", TO_F, INT)        \
    X(fcvt_d_s, "fcvt.d.s ft3, ft0", TO_F, ONE_S)       \
    X(fmin_d, "fmin.d ft3, ft0, ft1", TO_F, PAIR_D)     \
    X(fmax_d, "fmax.d ft3, ft0, ft1", TO_F, PAIR_D)     \
    X(fmin_s, "fmin.s ft3, ft0, ft1", TO_F, PAIR_S)     \
    X(fmax_s, "fmax.s ft3, ft0, ft1", TO_F, PAIR_S)     \
    X(fsgnj_d, "fsgnj.d ft3, ft0, ft1", TO_F, PAIR_D)   \
    X(fsgnjn_d, "fsgnjn.d ft3, ft0, ft1", TO_F, PAIR_D) \
    X(fsgnjx_d, "fsgnjx.d ft3, ft0, ft1", TO_F, PAIR_D) \
    X(fsgnj_s, "fsgnj.s ft3, ft0, ft1", TO_F, PAIR_S)   \
    X(fsgnjn_s, "fsgnjn.s ft3, ft0, ft1", TO_F, PAIR_S) \
    X(fsgnjx_s, "fsgnjx.s ft3, ft0, ft1", TO_F, PAIR_S) \
    X(feq_d, "feq.d t0, ft0, ft1", TO_X, PAIR_D)        \
    X(flt_d, "flt.d t0, ft0, ft1", TO_X, PAIR_D)        \
    X(fle_d, "fle.d t0, ft0, ft1", TO_X, PAIR_D)        \
    X(feq_s, "feq.s t0, ft0, ft1", TO_X, PAIR_S)        \
    X(flt_s, "flt.s t0, ft0, ft1", TO_X, PAIR_S)        \
    X(fle_s, "fle.s t0, ft0, ft1", TO_X, PAIR_S)        \
    X(fclass_d, "fclass.d t0, ft0", TO_X, ONE_D)        \
    X(fclass_s, "fclass.s t0, ft0", TO_X, ONE_S)        \
    X(fmv_x_w, "fmv.x.w t0, ft0", TO_X, ONE_S)          \
    X(fmv_w_x, "fmv.w.x ft3, %2", TO_F, INT)            \
    X(fneg_d, "fneg.d ft3, ft0", TO_F, ONE_D)           \
    X(fabs_s, "fabs.s ft3, ft0", TO_F, ONE_S)

#define DEFINE(name, text, to)  FN(name, text, to)
#define X(name, text, to, kind) BY_MODE(DEFINE, name, text, to)
ROUNDED(X)
#undef X
#define X(name, text, to, kind) FN(name, text, to)
EXACT(X)
#undef X

typedef struct Case {
    const char *name;
    enum Kind kind;
    Fn *fn[6]; /* by static rounding mode; the last: dynamic */
} Case;

#define X(n, text, to, kind) \
    {#n, kind, {n##_rne, n##_rtz, n##_rdn, n##_rup, n##_rmm, n##_dyn}},
static const Case rounded[] = {ROUNDED(X)};
#undef X
#define X(n, text, to, kind) {#n, kind, {n}},
static const Case exact[] = {EXACT(X)};
#undef X

static int show;

static u64 add_result(u64 hash, Fn *fn, u64 a, u64 b, u64 c)
{
    Result r = fn(a, b, c);

    if (show)
        printf("%016lx %016lx %016lx -> %016lx %02lx\n", a, b, c, r.value, r.flags);
    return hash_add(hash_add(hash, r.value), r.flags);
}

static u64 hash_pairs(Fn *fn, const u64 *v, size_t n)
{
    u64 h = HASH_START;

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            h = add_result(h, fn, v[i], v[j], 0);
    return h;
}

static u64 hash_ones(Fn *fn, const u64 *v, size_t n)
{
    u64 h = HASH_START;

    for (size_t i = 0; i < n; i++)
        h = add_result(h, fn, v[i], 0, 0);
    return h;
}

/* A seventh of all triples, and products that the third operand nearly cancels. */
static u64 hash_triples(Fn *fn, const u64 *v, size_t n)
{
    u64 h = HASH_START;

    for (size_t i = 0; i < n * n * n; i += 7)
        h = add_result(h, fn, v[i % n], v[i / n % n], v[i / n / n]);
    for (size_t i = 0; i < n; i++)
        h = add_result(h, fn, v[i], v[10], v[i] ^ (v[1] ^ v[0]));
    return h;
}

static u64 hash_kind(enum Kind kind, Fn *fn)
{
    switch (kind) {
    case PAIR_D: return hash_pairs(fn, doubles, COUNT(doubles));
    case PAIR_S: return hash_pairs(fn, singles, COUNT(singles));
    case ONE_D: return hash_ones(fn, doubles, COUNT(doubles));
    case ONE_S: return hash_ones(fn, singles, COUNT(singles));
    case TRIPLE_D: return hash_triples(fn, doubles, COUNT(doubles));
    case TRIPLE_S: return hash_triples(fn, singles, COUNT(singles));
    default: return hash_ones(fn, integers, COUNT(integers));
    }
}

static void set_frm(u64 mode) { __asm__ volatile("fsrm %0" : : "r"(mode)); }

static const char *const modes[] = {"rne", "rtz", "rdn", "rup", "rmm"};

/* Static modes run under a dynamic mode that is another one. */
static void run_rounded(const Case *c, const char *only)
{
    for (u64 m = 0; m < 5; m++) {
        if (only && strcmp(only, modes[m]))
            continue;
        set_frm((m + 2) % 5);
        printf("%s %s %016lx\n", c->name, modes[m], hash_kind(c->kind, c->fn[m]));
        set_frm(m);
        printf("%s %s dynamic %016lx\n", c->name, modes[m],
               hash_kind(c->kind, c->fn[5]));
        set_frm(0);
    }
}

static void check_flags_accrue(void)
{
    u64 all, raw;

    __asm__ volatile("csrw fcsr, zero\n\t"
                     "fdiv.d ft0, %2, %3\n\t" /* 1/0: DZ */
                     "fdiv.d ft0, %2, %4\n\t" /* 1/3: NX */
                     "csrr %0, fflags\n\tcsrr %1, fcsr"
                     : "=&r"(all), "=&r"(raw)
                     : "f"(1.0), "f"(0.0), "f"(3.0)
                     : "ft0");
    CHECK_EQ(all, 9);
    CHECK_EQ(raw, 9);
    __asm__ volatile("li %0, 0x1ff\n\tcsrw fcsr, %0\n\tcsrr %0, fcsr\n\t"
                     "csrrwi %1, frm, 3\n\tcsrr %1, fcsr"
                     : "=&r"(all), "=&r"(raw));
    CHECK_EQ(all, 0xff);
    CHECK_EQ(raw, 0x7f);
    __asm__ volatile("csrrci %0, fflags, 0x15\n\tcsrr %1, fflags\n\tcsrw fcsr, zero"
                     : "=&r"(all), "=&r"(raw));
    CHECK_EQ(all, 0x1f);
    CHECK_EQ(raw, 0x0a);
}

/* One place in the code, in modes that come in no simple order, until it is hot. */
static void check_modes_change(void)
{
    enum { ROUNDS = 30000 };
    static const u8 turns[] = {0, 0, 4, 1, 4, 4, 3};
    static const u8 rounded[] = {2, 2, 2, 3, 3}; /* 2.5, by mode */
    u64 sum = 0, expected = 0;

    for (u64 i = 0; i < ROUNDS; i++) {
        u64 mode = turns[i % COUNT(turns)], v;

        __asm__ volatile("fsrm %1\n\tfcvt.l.d %0, %2" : "=r"(v) : "r"(mode), "f"(2.5));
        sum += v * i;
        expected += rounded[mode] * i;
    }
    set_frm(0);
    CHECK_EQ(sum, expected);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;

    show = argc > 1;
    for (size_t i = 0; i < COUNT(rounded); i++)
        if (!only || !strcmp(only, rounded[i].name))
            run_rounded(&rounded[i], argc > 2 ? argv[2] : NULL);
    for (size_t i = 0; i < COUNT(exact); i++)
        if (!only || !strcmp(only, exact[i].name))
            printf("%s %016lx\n", exact[i].name,
                   hash_kind(exact[i].kind, exact[i].fn[0]));
    check_flags_accrue();
    check_modes_change();
    return check_done("fp_ops");
}
