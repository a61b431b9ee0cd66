/* SPDX-License-Identifier: MIT */
/* An interpreter of register bytecode that jumps from handler to handler. */
#include "kernel.h"

const u64 kernel_rounds = 370;

typedef enum { LI, MOV, ADD, ADDI, MUL, REM, LDB, STB, LOOP, SKIP_NZ, HALT } Opcode;
typedef struct {
    u8 opcode, d, a, b;
    i32 imm;
} Instruction;

enum { LIMIT = 50000 };

/* The sieve of Eratosthenes; r0 counts the primes, r1 is the number looked at. */
static const Instruction program[] = {
    {LI, 0, 0, 0, 0},      /*  0: count = 0                          */
    {LI, 1, 0, 0, 2},      /*  1: i = 2                              */
    {LI, 4, 0, 0, LIMIT},  /*  2: limit                              */
    {LI, 5, 0, 0, 1},      /*  3: one                                */
    {LDB, 2, 1, 0, 0},     /*  4: composite[i]                       */
    {SKIP_NZ, 0, 2, 0, 6}, /*  5: -> 12                              */
    {ADDI, 0, 0, 0, 1},    /*  6: count++                            */
    {ADD, 3, 1, 1, 0},     /*  7: j = i + i                          */
    {LOOP, 0, 3, 4, 2},    /*  8: j < limit ? -> 10                  */
    {SKIP_NZ, 0, 5, 0, 3}, /*  9: -> 12                              */
    {STB, 5, 3, 0, 0},     /* 10: composite[j] = 1                   */
    {ADD, 3, 3, 1, 0},     /* 11: j += i; falls to 12 once           */
    {LOOP, 0, 3, 4, -2},   /* 12: j < limit ? -> 10                  */
    {ADDI, 1, 1, 0, 1},    /* 13: i++                                */
    {LI, 3, 0, 0, LIMIT},  /* 14: no j                               */
    {LOOP, 0, 1, 4, -11},  /* 15: i < limit ? -> 4                   */
    {HALT, 0, 0, 0, 0},
};

static u8 memory[LIMIT];

static NOINLINE u64 interpret(const Instruction *pc)
{
    static const void *const handlers[] = {&&li,   &&mov,     &&add, &&addi,
                                           &&mul,  &&rem,     &&ldb, &&stb,
                                           &&loop, &&skip_nz, &&halt};
    u64 r[8] = {0};

#define NEXT(step) \
    pc += (step);  \
    goto *handlers[pc->opcode]
    NEXT(0);
li:
    r[pc->d] = (u64)pc->imm;
    NEXT(1);
mov:
    r[pc->d] = r[pc->a];
    NEXT(1);
add:
    r[pc->d] = r[pc->a] + r[pc->b];
    NEXT(1);
addi:
    r[pc->d] = r[pc->a] + (u64)pc->imm;
    NEXT(1);
mul:
    r[pc->d] = r[pc->a] * r[pc->b];
    NEXT(1);
rem:
    r[pc->d] = r[pc->a] % (r[pc->b] | 1);
    NEXT(1);
ldb:
    r[pc->d] = memory[r[pc->a]];
    NEXT(1);
stb:
    memory[r[pc->a]] = (u8)r[pc->d];
    NEXT(1);
loop:
    NEXT(r[pc->a] < r[pc->b] ? pc->imm : 1);
skip_nz:
    NEXT(r[pc->a] ? 1 + pc->imm : 1);
halt:
    return r[0];
#undef NEXT
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        memset(memory, 0, sizeof(memory));
        sum = checksum(sum, interpret(program));
    }
    return sum;
}
