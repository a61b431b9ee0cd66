/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run bit_ops
 *
 * Zba, Zbb, Zbs: each instruction against its definition in C, on edge and random
 * values.  Zicond, hints and cache-block operations, spelt as numbers where the
 * assembler does not know them.  (qemu-riscv64 7.2 has no Zicond, skipped there
 * by its SIGILL; and its ctzw looks above bit 31: 23 checks fail.) */
#include <setjmp.h>
#include <signal.h>
#include "check.h"

static u64 sext(u64 v) { return (u64)(i64)(i32)v; }
static u64 rotl(u64 v, u64 n) { return v << (n & 63) | v >> (-n & 63); }
static u64 rotlw(u64 v, u64 n)
{
    return sext((u32)v << (n & 31) | (u32)v >> (-n & 31));
}

static u64 count_bits(u64 v)
{
    u64 n = 0;

    for (; v; v &= v - 1)
        n++;
    return n;
}

static u64 leading(u64 v, int bits)
{
    int n = 0;

    while (n < bits && !(v >> (bits - 1 - n) & 1))
        n++;
    return n;
}

static u64 trailing(u64 v, int bits)
{
    int n = 0;

    while (n < bits && !(v >> n & 1))
        n++;
    return n;
}

static u64 bytes(u64 v, int reverse)
{
    u64 r = 0;

    for (int i = 0; i < 8; i++) {
        u64 byte = v >> 8 * i & 0xff;

        r |= reverse ? byte << 8 * (7 - i) : (byte ? 0xffull << 8 * i : 0);
    }
    return r;
}

/*  name, text, meaning of (a, b) */
#define OPS(X)                                                   \
    X(sh1add, "sh1add %0, %1, %2", b + (a << 1))                 \
    X(sh2add, "sh2add %0, %1, %2", b + (a << 2))                 \
    X(sh3add, "sh3add %0, %1, %2", b + (a << 3))                 \
    X(add_uw, "add.uw %0, %1, %2", b + (u32)a)                   \
    X(sh1add_uw, "sh1add.uw %0, %1, %2", b + ((u64)(u32)a << 1)) \
    X(sh2add_uw, "sh2add.uw %0, %1, %2", b + ((u64)(u32)a << 2)) \
    X(sh3add_uw, "sh3add.uw %0, %1, %2", b + ((u64)(u32)a << 3)) \
    X(andn, "andn %0, %1, %2", a & ~b)                           \
    X(orn, "orn %0, %1, %2", a | ~b)                             \
    X(xnor, "xnor %0, %1, %2", ~(a ^ b))                         \
    X(min, "min %0, %1, %2", (i64)a < (i64)b ? a : b)            \
    X(max, "max %0, %1, %2", (i64)a > (i64)b ? a : b)            \
    X(minu, "minu %0, %1, %2", a < b ? a : b)                    \
    X(maxu, "maxu %0, %1, %2", a > b ? a : b)                    \
    X(rol, "rol %0, %1, %2", rotl(a, b))                         \
    X(ror, "ror %0, %1, %2", rotl(a, -b))                        \
    X(rolw, "rolw %0, %1, %2", rotlw(a, b))                      \
    X(rorw, "rorw %0, %1, %2", rotlw(a, -b))                     \
    X(bclr, "bclr %0, %1, %2", a & ~(1ull << (b & 63)))          \
    X(bset, "bset %0, %1, %2", a | 1ull << (b & 63))             \
    X(binv, "binv %0, %1, %2", a ^ 1ull << (b & 63))             \
    X(bext, "bext %0, %1, %2", a >> (b & 63) & 1)                \
    X(clz, "clz %0, %1", leading(a, 64))                         \
    X(ctz, "ctz %0, %1", trailing(a, 64))                        \
    X(cpop, "cpop %0, %1", count_bits(a))                        \
    X(clzw, "clzw %0, %1", leading((u32)a, 32))                  \
    X(ctzw, "ctzw %0, %1", trailing((u32)a, 32))                 \
    X(cpopw, "cpopw %0, %1", count_bits((u32)a))                 \
    X(orc_b, "orc.b %0, %1", bytes(a, 0))                        \
    X(rev8, "rev8 %0, %1", bytes(a, 1))                          \
    X(sext_b, "sext.b %0, %1", (u64)(i64)(int8_t)a)              \
    X(sext_h, "sext.h %0, %1", (u64)(i64)(int16_t)a)             \
    X(zext_h, "zext.h %0, %1", (u16)a)                           \
    X(rori_0, "rori %0, %1, 0", a)                               \
    X(rori_13, "rori %0, %1, 13", rotl(a, -13))                  \
    X(rori_63, "rori %0, %1, 63", rotl(a, 1))                    \
    X(roriw_0, "roriw %0, %1, 0", sext(a))                       \
    X(roriw_7, "roriw %0, %1, 7", rotlw(a, -7))                  \
    X(roriw_31, "roriw %0, %1, 31", rotlw(a, 1))                 \
    X(slli_uw_5, "slli.uw %0, %1, 5", (u64)(u32)a << 5)          \
    X(slli_uw_40, "slli.uw %0, %1, 40", (u64)(u32)a << 40)       \
    X(bclri_0, "bclri %0, %1, 0", a & ~1ull)                     \
    X(bclri_31, "bclri %0, %1, 31", a & ~(1ull << 31))           \
    X(bseti_31, "bseti %0, %1, 31", a | 1ull << 31)              \
    X(bseti_63, "bseti %0, %1, 63", a | 1ull << 63)              \
    X(binvi_32, "binvi %0, %1, 32", a ^ 1ull << 32)              \
    X(bexti_63, "bexti %0, %1, 63", a >> 63)

#define X(name, text, meaning)                                                     \
    static u64 c_##name(u64 a, u64 b) { return (void)a, (void)b, meaning; }        \
    static u64 do_##name(u64 a, u64 b)                                             \
    {                                                                              \
        u64 r;                                                                     \
                                                                                   \
        __asm__ volatile(".option push\n\t.option arch, +zba, +zbb, +zbs\n\t" text \
                         "\n\t.option pop"                                         \
                         : "=r"(r)                                                 \
                         : "r"(a), "r"(b));                                        \
        return r;                                                                  \
    }
OPS(X)
#undef X

static const struct Case {
    const char *name;
    u64 (*run)(u64 a, u64 b), (*meaning)(u64 a, u64 b);
} cases[] = {
#define X(name, text, meaning) {#name, do_##name, c_##name},
    OPS(X)
#undef X
};

static const u64 edges[] = {
    0,
    1,
    2,
    31,
    32,
    33,
    63,
    64,
    0x80,
    0xff,
    0x100,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x0100ff0000800001,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffff00000000,
    0xffffffff80000000,
    0xffffffffffffffff,
};

static void check_case(const struct Case *c, u64 a, u64 b)
{
    u64 got = c->run(a, b), want = c->meaning(a, b);

    check_count++;
    if (got == want)
        return;
    check_failed++;
    printf("%s %lx, %lx: %lx, not %lx\n", c->name, a, b, got, want);
}

static void check_all(const struct Case *c)
{
    u64 state = 88172645463325252;

    for (size_t i = 0; i < COUNT(edges); i++)
        for (size_t j = 0; j < COUNT(edges); j++)
            check_case(c, edges[i], edges[j]);
    for (int i = 0; i < 500; i++) {
        u64 a = random_next(&state), b = random_next(&state);

        check_case(c, a, b);
        check_case(c, a >> (b & 63), b);
    }
}

static sigjmp_buf out;

static void on_sigill(int sig)
{
    (void)sig;
    siglongjmp(out, 1);
}

static u64 zicond(u64 a, u64 b, int nez)
{
    u64 r;

    if (nez)
        __asm__ volatile(".insn r 0x33, 7, 7, %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    else
        __asm__ volatile(".insn r 0x33, 5, 7, %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
}

static void check_zicond(void)
{
    signal(SIGILL, on_sigill);
    if (sigsetjmp(out, 1))
        return;
    CHECK_EQ(zicond(5, 0, 0), 0);
    CHECK_EQ(zicond(5, 9, 0), 5);
    CHECK_EQ(zicond(5, 1ull << 63, 0), 5);
    CHECK_EQ(zicond(5, 0, 1), 5);
    CHECK_EQ(zicond(5, 9, 1), 0);
    CHECK_EQ(zicond(5, 1ull << 40, 1), 0);
}

/* prefetch.r/w/i, pause, fences of every kind, ntl hints: nothing happens. */
static void check_hints(void)
{
    u64 a = 0x1234, word = 77;

    __asm__ volatile("ori zero, %1, 0x20\n\tori zero, %1, 1\n\tori zero, %1, 3\n\t"
                     ".word 0x0100000f\n\tfence\n\tfence.tso\n\tfence r, r\n\t"
                     "fence w, w\n\tfence iorw, iorw\n\t"
                     "add zero, zero, sp\n\tslli zero, %0, 3"
                     : "+r"(a)
                     : "r"(&word)
                     : "memory");
    CHECK_EQ(a, 0x1234);
    CHECK_EQ(word, 77);
}

int main(void)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        check_all(&cases[i]);
    check_hints();
    check_zicond();
    return check_done("bit_ops");
}
