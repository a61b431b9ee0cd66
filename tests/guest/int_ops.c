/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run int_ops
 *
 * Integer arithmetic on every pair of edge values: a hash per instruction, and the
 * manual's fixed results for division.  "int_ops NAME" prints every result of one
 * instruction, to be compared with another runner's. */
#include "check.h"

static const u64 edges[] = {
    0,
    1,
    2,
    3,
    5,
    7,
    10,
    31,
    32,
    33,
    63,
    64,
    65,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7ffffffe,
    0x7fffffff,
    0x80000000,
    0x80000001,
    0xfffffffe,
    0xffffffff,
    0x100000000,
    0x100000001,
    0x1234567890abcdef,
    0x5555555555555555,
    0xaaaaaaaaaaaaaaaa,
    0x7ffffffffffffffe,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xffffffff00000000,
    0xffffffff7fffffff,
    0xffffffff80000000,
    0xffffffffffff8000,
    0xffffffffffffff80,
    0xfffffffffffffff6,
    0xfffffffffffffffe,
    0xffffffffffffffff,
};

#define REG_OPS(X)                                                                     \
    X(add)                                                                             \
    X(sub)                                                                             \
    X(and)                                                                             \
    X(or)                                                                              \
    X(xor) X(sll) X(srl) X(sra) X(slt) X(sltu) X(addw) X(subw) X(sllw) X(srlw) X(sraw) \
        X(mul) X(mulh) X(mulhu) X(mulhsu) X(mulw) X(div) X(divu) X(rem) X(remu)        \
            X(divw) X(divuw) X(remw) X(remuw)

#define X(op)                                                           \
    static u64 do_##op(u64 a, u64 b)                                    \
    {                                                                   \
        u64 r;                                                          \
                                                                        \
        __asm__ volatile(#op " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b)); \
        return r;                                                       \
    }
REG_OPS(X)
#undef X

/* immediates: each at both ends of its range and in the middle */
#define IMM_OPS(X)    X(addi) X(slti) X(sltiu) X(xori) X(ori) X(andi) X(addiw)
#define SHIFT_OPS(X)  X(slli) X(srli) X(srai)
#define SHIFTW_OPS(X) X(slliw) X(srliw) X(sraiw)

#define ONE(op, imm)                                           \
    __asm__ volatile(#op " %0, %1, " #imm : "=r"(r) : "r"(a)); \
    h = hash_add(h, r);
#define X(op)                                                                  \
    static u64 do_##op(u64 a, u64 h)                                           \
    {                                                                          \
        u64 r;                                                                 \
                                                                               \
        ONE(op, -2048)                                                         \
        ONE(op, -1) ONE(op, 0) ONE(op, 1) ONE(op, 255) ONE(op, 2047) return h; \
    }
IMM_OPS(X)
#undef X
#define X(op)                                                                \
    static u64 do_##op(u64 a, u64 h)                                         \
    {                                                                        \
        u64 r;                                                               \
                                                                             \
        ONE(op, 0)                                                           \
        ONE(op, 1)                                                           \
        ONE(op, 7) ONE(op, 31) ONE(op, 32) ONE(op, 48) ONE(op, 63) return h; \
    }
SHIFT_OPS(X)
#undef X
#define X(op)                                                              \
    static u64 do_##op(u64 a, u64 h)                                       \
    {                                                                      \
        u64 r;                                                             \
                                                                           \
        ONE(op, 0) ONE(op, 1) ONE(op, 7) ONE(op, 16) ONE(op, 31) return h; \
    }
SHIFTW_OPS(X)
#undef X

typedef struct Case {
    const char *name;
    u64 (*fn)(u64 a, u64 b);
} Case;

#define X(op) {#op, do_##op},
static const Case pairs[] = {REG_OPS(X)};
static const Case singles[] = {IMM_OPS(X) SHIFT_OPS(X) SHIFTW_OPS(X)};
#undef X

static void hash_pairs(const Case *c, int show)
{
    u64 h = HASH_START;

    for (size_t i = 0; i < COUNT(edges); i++) {
        for (size_t j = 0; j < COUNT(edges); j++) {
            u64 r = c->fn(edges[i], edges[j]);

            h = hash_add(h, r);
            if (show)
                printf("%016lx %016lx -> %016lx\n", edges[i], edges[j], r);
        }
    }
    printf("%-8s %016lx\n", c->name, h);
}

static void hash_singles(const Case *c)
{
    u64 h = HASH_START;

    for (size_t i = 0; i < COUNT(edges); i++)
        h = c->fn(edges[i], h);
    printf("%-8s %016lx\n", c->name, h);
}

/* The manual, "M" chapter: results of division by zero and of overflow. */
static void check_division(void)
{
    const u64 min = 1ull << 63, minw = 0xffffffff80000000;

    CHECK_EQ(do_div(7, 0), -1);
    CHECK_EQ(do_divu(7, 0), ~0ull);
    CHECK_EQ(do_rem(7, 0), 7);
    CHECK_EQ(do_remu(7, 0), 7);
    CHECK_EQ(do_div(min, -1), min);
    CHECK_EQ(do_rem(min, -1), 0);
    CHECK_EQ(do_divw(7, 1ull << 32), -1);
    CHECK_EQ(do_divuw(7, 0), ~0ull);
    CHECK_EQ(do_remw(0x80000001, 0), 0xffffffff80000001);
    CHECK_EQ(do_remuw(0x80000001, 0), 0xffffffff80000001);
    CHECK_EQ(do_divw(0x80000000, -1), minw);
    CHECK_EQ(do_remw(0x80000000, -1), 0);
    CHECK_EQ(do_div((u64)-7, 2), -3);
    CHECK_EQ(do_rem((u64)-7, 2), -1);
    CHECK_EQ(do_mulhsu(-1, -1), -1);
    CHECK_EQ(do_mulhu(-1, -1), -2);
    CHECK_EQ(do_mulh(-1, -1), 0);
}

static void check_zero_register(void)
{
    u64 r = 1;

    __asm__ volatile("addi zero, %1, 5\n\tmv %0, zero" : "=r"(r) : "r"(r));
    CHECK_EQ(r, 0);
    __asm__ volatile("ld zero, 0(%1)\n\tmv %0, zero" : "=r"(r) : "r"(edges + 5));
    CHECK_EQ(r, 0);
    __asm__ volatile("mul zero, %1, %1\n\tadd %0, zero, zero" : "=r"(r) : "r"(9l));
    CHECK_EQ(r, 0);
}

/* Destination equal to a source, and long constants. */
static void check_aliasing(void)
{
    u64 a = 21, b = 4, hi;

    __asm__ volatile("add %0, %0, %0" : "+r"(a));
    CHECK_EQ(a, 42);
    __asm__ volatile("sub %0, %1, %0" : "+r"(b) : "r"(a));
    CHECK_EQ(b, 38);
    __asm__ volatile("sll %0, %0, %0" : "+r"(b));
    CHECK_EQ(b, 38ull << 38);
    __asm__ volatile("lui %0, 0x80000" : "=r"(hi));
    CHECK_EQ(hi, 0xffffffff80000000);
    __asm__ volatile("lui %0, 0x7ffff\n\taddiw %0, %0, -1" : "=r"(hi));
    CHECK_EQ(hi, 0x7fffefff);
    __asm__ volatile("1: auipc %0, 0xfffff\n\tla t0, 1b\n\tsub %0, %0, t0"
                     : "=r"(hi)::"t0");
    CHECK_EQ(hi, -4096);
}

static void show_only(const char *name)
{
    for (size_t i = 0; i < COUNT(pairs); i++)
        if (!strcmp(pairs[i].name, name))
            hash_pairs(&pairs[i], 1);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        show_only(argv[1]);
        return 0;
    }
    for (size_t i = 0; i < COUNT(pairs); i++)
        hash_pairs(&pairs[i], 0);
    for (size_t i = 0; i < COUNT(singles); i++)
        hash_singles(&singles[i]);
    check_division();
    check_zero_register();
    check_aliasing();
    return check_done("int_ops");
}
