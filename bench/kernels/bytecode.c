/* SPDX-License-Identifier: MIT */
/* An interpreter of stack bytecode with one switch, running a small Collatz program. */
#include "kernel.h"

const u64 kernel_rounds = 2500;

/* clang-format off */
typedef enum {
    PUSH, LOAD, STORE, ADD, SUB, MUL, SHR, AND, LESS, EQUAL, JUMP, JUMP_ZERO, DUP, DROP,
    HALT
} Opcode;

/* Variables: 0 the start, 1 the running value, 2 all steps so far, 3 the limit. */
static const u8 program[] = {
    /*  0 */ LOAD, 0, STORE, 1,
    /*  4 */ LOAD, 1, PUSH, 1, EQUAL, JUMP_ZERO, 13, JUMP, 44,
    /* 13 */ LOAD, 1, DUP, PUSH, 1, AND, JUMP_ZERO, 29,
    /* 21 */ PUSH, 3, MUL, PUSH, 1, ADD, JUMP, 32,
    /* 29 */ PUSH, 1, SHR,
    /* 32 */ STORE, 1, LOAD, 2, PUSH, 1, ADD, STORE, 2, JUMP, 4, HALT,
    /* 44 */ LOAD, 0, PUSH, 1, ADD, DUP, STORE, 0, LOAD, 3, LESS, JUMP_ZERO, 59,
    /* 57 */ JUMP, 0,
    /* 59 */ LOAD, 2, HALT,
};
/* clang-format on */

static NOINLINE u64 interpret(const u8 *code, u64 *variables)
{
    u64 stack[32], *sp = stack;
    const u8 *pc = code;

    for (;;) {
        switch ((Opcode)*pc++) {
        case PUSH: *sp++ = *pc++; break;
        case LOAD: *sp++ = variables[*pc++]; break;
        case STORE: variables[*pc++] = *--sp; break;
        case ADD: sp--, sp[-1] += sp[0]; break;
        case SUB: sp--, sp[-1] -= sp[0]; break;
        case MUL: sp--, sp[-1] *= sp[0]; break;
        case SHR: sp--, sp[-1] >>= sp[0] & 63; break;
        case AND: sp--, sp[-1] &= sp[0]; break;
        case LESS: sp--, sp[-1] = sp[-1] < sp[0]; break;
        case EQUAL: sp--, sp[-1] = sp[-1] == sp[0]; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_ZERO: pc = *--sp ? pc + 1 : code + *pc; break;
        case DUP: sp[0] = sp[-1], sp++; break;
        case DROP: sp--; break;
        case HALT: return *--sp;
        }
    }
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        u64 variables[4] = {27 + (i & 31), 0, 0, 160};

        sum = checksum(sum, interpret(program, variables));
    }
    return sum;
}
