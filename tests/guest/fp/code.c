/* SPDX-License-Identifier: MIT */
/* Code made at run time, on pages that are written once and then run. */
#include <sys/mman.h>
#include "fp.h"

enum { PAGE = 4096, ARENA = 1 << 20 };

static char *arena, *arena_end;

void code_page(Code *c)
{
    if (arena == arena_end) {
        arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arena == MAP_FAILED)
            exit(2);
        arena_end = arena + ARENA;
    }
    c->start = c->at = (u32 *)arena;
    arena += PAGE;
}

void code_done(void) { __asm__ volatile("fence.i" : : : "memory"); }

u8 random_x(Random *r)
{
    static const u8 usable[] = {6, 7, 13, 14, 15, 16, 17, 18, 19, 20, 27, 28, 31};

    return usable[random_below(r, COUNT(usable))];
}

void code_word(Code *c, u32 word) { *c->at++ = word; }

static u32 imm_i(i32 v) { return (u32)v << 20; }
static u32 imm_s(i32 v) { return ((u32)v >> 5 & 127) << 25 | ((u32)v & 31) << 7; }

static u32 imm_b(i32 v)
{
    u32 u = (u32)v;

    return (u >> 12 & 1) << 31 | (u >> 5 & 63) << 25 | (u >> 1 & 15) << 8 |
           (u >> 11 & 1) << 7;
}

void code_fld(Code *c, u8 f, u8 base, i32 offset)
{
    code_word(c, 0x3007 | (u32)f << 7 | (u32)base << 15 | imm_i(offset));
}

void code_fsd(Code *c, u8 f, u8 base, i32 offset)
{
    code_word(c, 0x3027 | (u32)f << 20 | (u32)base << 15 | imm_s(offset));
}

void code_ld(Code *c, u8 x, u8 base, i32 offset)
{
    code_word(c, 0x3003 | (u32)x << 7 | (u32)base << 15 | imm_i(offset));
}

void code_sd(Code *c, u8 x, u8 base, i32 offset)
{
    code_word(c, 0x3023 | (u32)x << 20 | (u32)base << 15 | imm_s(offset));
}

void code_addi(Code *c, u8 d, u8 s, i32 v)
{
    code_word(c, 0x13 | (u32)d << 7 | (u32)s << 15 | imm_i(v));
}

void code_bne(Code *c, u8 a, u8 b, const u32 *to)
{
    i32 disp = (i32)((char *)to - (char *)c->at);

    code_word(c, 0x1063 | (u32)a << 15 | (u32)b << 20 | imm_b(disp));
}

void code_csrrw(Code *c, u8 d, u32 csr, u8 s)
{
    code_word(c, 0x1073 | (u32)d << 7 | (u32)s << 15 | csr << 20);
}

void code_return(Code *c) { code_word(c, 0x67 | X_RA << 15); }

void code_run(const u32 *start, const void *a0_, void *a1_, const void *a2_)
{
    register const void *a0 __asm__("a0") = a0_;
    register void *a1 __asm__("a1") = a1_;
    register const void *a2 __asm__("a2") = a2_;

    __asm__ volatile("csrw fflags, zero\n\tjalr ra, %3"
                     : "+r"(a0), "+r"(a1), "+r"(a2)
                     : "r"(start)
                     : "memory", "ra", "t0", "t1", "t2", "a3", "a4", "a5", "a6", "a7",
                       "s2", "s3", "s4", "s11", "t3", "t6", "ft0", "ft1", "ft2", "ft3",
                       "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2",
                       "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5",
                       "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10",
                       "ft11");
}
