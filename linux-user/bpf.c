/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF for seccomp's filters (Documentation/userspace-api/seccomp_filter.rst):
 * two registers, sixteen words of memory, forward jumps.
 */
#include <string.h>
#include "bpf.h"

/* ---- checking ---- */

static bool alu_is_known(const struct sock_filter *f)
{
    bool constant = BPF_SRC(f->code) == BPF_K;

    switch (BPF_OP(f->code)) {
    case BPF_ADD:
    case BPF_SUB:
    case BPF_MUL:
    case BPF_AND:
    case BPF_OR:
    case BPF_XOR: return true;
    case BPF_NEG: return constant;
    case BPF_DIV: return !constant || f->k != 0;
    case BPF_LSH:
    case BPF_RSH: return !constant || f->k < 32;
    default: return false;
    }
}

/* Is there an instruction at i + 1 + offset? */
static bool jump_is_inside(size_t i, u64 offset, size_t n)
{
    return i + 1 + offset < n;
}

static bool jump_is_known(const struct sock_filter *f, size_t i, size_t n)
{
    switch (BPF_OP(f->code)) {
    case BPF_JA: return f->code == (BPF_JMP | BPF_JA) && jump_is_inside(i, f->k, n);
    case BPF_JEQ:
    case BPF_JGT:
    case BPF_JGE:
    case BPF_JSET: return jump_is_inside(i, f->jt, n) && jump_is_inside(i, f->jf, n);
    default: return false;
    }
}

static bool load_is_known(const struct sock_filter *f)
{
    switch (f->code) {
    case BPF_LD | BPF_W | BPF_ABS:
        return f->k % 4 == 0 && f->k < sizeof(struct seccomp_data);
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM: return true;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX: return f->k < BPF_MEMWORDS;
    default: return false;
    }
}

static bool is_known(const struct sock_filter *f, size_t i, size_t n)
{
    switch (BPF_CLASS(f->code)) {
    case BPF_ALU: return f->code < 0x100 && alu_is_known(f);
    case BPF_JMP: return f->code < 0x100 && jump_is_known(f, i, n);
    case BPF_RET: return f->code == (BPF_RET | BPF_K) || f->code == (BPF_RET | BPF_A);
    case BPF_MISC:
        return f->code == (BPF_MISC | BPF_TAX) || f->code == (BPF_MISC | BPF_TXA);
    default: return load_is_known(f);
    }
}

bool bpf_check(const struct sock_filter *program, size_t n)
{
    if (n == 0 || n > BPF_PROGRAM_LONGEST)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_known(&program[i], i, n))
            return false;
    return BPF_CLASS(program[n - 1].code) == BPF_RET;
}

/* ---- running ---- */

typedef struct Bpf {
    u32 a, x, memory[BPF_MEMWORDS];
    const struct seccomp_data *data;
} Bpf;

static u32 alu(u16 op, u32 a, u32 b)
{
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_AND: return a & b;
    case BPF_OR: return a | b;
    case BPF_XOR: return a ^ b;
    case BPF_DIV: return b ? a / b : 0;
    case BPF_LSH: return b < 32 ? a << b : 0;
    case BPF_RSH: return b < 32 ? a >> b : 0;
    default: return -a; /* BPF_NEG */
    }
}

static bool jumps(u16 op, u32 a, u32 b)
{
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    default: return a & b; /* BPF_JSET */
    }
}

static u32 loaded(const Bpf *b, const struct sock_filter *f)
{
    u32 word;

    switch (BPF_MODE(f->code)) {
    case BPF_ABS: memcpy(&word, (const u8 *)b->data + f->k, sizeof word); return word;
    case BPF_LEN: return sizeof *b->data;
    case BPF_MEM: return b->memory[f->k];
    default: return f->k; /* BPF_IMM */
    }
}

/* A divisor of 0 in X ends the program with 0, which kills. */
static bool divides_by_zero(const Bpf *b, const struct sock_filter *f)
{
    return f->code == (BPF_ALU | BPF_DIV | BPF_X) && b->x == 0;
}

/* An instruction of a class that goes on with the next one. */
static void straight(Bpf *b, const struct sock_filter *f)
{
    switch (BPF_CLASS(f->code)) {
    case BPF_LD: b->a = loaded(b, f); break;
    case BPF_LDX: b->x = loaded(b, f); break;
    case BPF_ST: b->memory[f->k] = b->a; break;
    case BPF_STX: b->memory[f->k] = b->x; break;
    case BPF_ALU:
        b->a = alu(BPF_OP(f->code), b->a, BPF_SRC(f->code) == BPF_X ? b->x : f->k);
        break;
    default: /* BPF_MISC */
        if (f->code == (BPF_MISC | BPF_TAX))
            b->x = b->a;
        else
            b->a = b->x;
    }
}

u32 bpf_run(const struct sock_filter *program, const struct seccomp_data *data)
{
    Bpf b = {.data = data};

    for (const struct sock_filter *f = program;; f++) {
        switch (BPF_CLASS(f->code)) {
        case BPF_RET: return BPF_RVAL(f->code) == BPF_A ? b.a : f->k;
        case BPF_JMP:
            if (BPF_OP(f->code) == BPF_JA)
                f += f->k;
            else
                f += jumps(BPF_OP(f->code), b.a, BPF_SRC(f->code) == BPF_X ? b.x : f->k)
                         ? f->jt
                         : f->jf;
            break;
        default:
            if (divides_by_zero(&b, f))
                return SECCOMP_RET_KILL_THREAD;
            straight(&b, f);
        }
    }
}
