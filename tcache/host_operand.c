/* SPDX-License-Identifier: MIT */
/*
 * What memory the host instruction at a context is about to use: as much of x86-64's
 * encoding as stencils, helpers and libc's copies use.  What is not known here has no
 * operand, and neither have instructions that only name an address (lea, nop,
 * prefetch).
 */
#include "tb.h"

typedef struct Insn {
    const u8 *at; /* the byte to be read next */
    u8 rex, map,
        opcode;  /* rex: the bits W R X B, also of VEX; map: 0 one byte, 1 0f... */
    bool vector; /* VEX or EVEX */
    u32 step;    /* EVEX: what a disp8 counts */
} Insn;

enum { REX_B = 1, REX_X = 2 };

static const u8 context_gpr[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};

static u64 gpr(const ucontext_t *context, u32 n)
{
    return (u64)context->uc_mcontext.gregs[context_gpr[n]];
}

/* One that changes nothing here: gs's base is env->base, which the caller knows. */
static bool is_prefix(u8 b)
{
    return b == 0x66 || b == 0xf2 || b == 0xf3 || b == 0xf0 || b == 0x65 || b == 0x2e ||
           b == 0x36 || b == 0x3e || b == 0x26;
}

/* The bits that VEX and EVEX have inverted. */
static u8 vector_rex(u8 b) { return (u8)(~b >> 5 & 7); }

static void read_vex(Insn *i)
{
    bool three = i->at[0] == 0xc4;

    i->vector = true;
    i->rex = three ? vector_rex(i->at[1]) : 0;
    i->map = three ? i->at[1] & 31 : 1;
    i->opcode = i->at[three ? 3 : 2];
    i->at += three ? 4 : 3;
}

/* Of what libc copies and compares with: of others a disp8 may count elements. */
static bool evex_of_whole_registers(const Insn *i, bool scalar)
{
    switch (i->map << 8 | i->opcode) {
    case 0x110: /* vmovups */
    case 0x111: return !scalar;
    case 0x128: /* vmovaps */
    case 0x129:
    case 0x16f: /* vmovdqu */
    case 0x17f:
    case 0x1db: /* vpand, vpor, vpxor */
    case 0x1eb:
    case 0x1ef:
    case 0x31e: /* vpcmp */
    case 0x31f:
    case 0x325: /* vpternlog */
    case 0x33e:
    case 0x33f: return true;
    default: return false;
    }
}

static bool read_evex(Insn *i)
{
    bool scalar = i->at[2] & 2, broadcast = i->at[3] & 0x10;

    i->vector = true;
    i->rex = vector_rex(i->at[1]);
    i->map = i->at[1] & 7;
    i->step = 16u << (i->at[3] >> 5 & 3);
    i->opcode = i->at[4];
    i->at += 5;
    return !broadcast && evex_of_whole_registers(i, scalar);
}

/* Up to the byte after the opcode; false: not known here. */
static bool read_opcode(Insn *i)
{
    while (is_prefix(*i->at))
        i->at++;
    if (*i->at == 0xc4 || *i->at == 0xc5) {
        read_vex(i);
        return true;
    }
    if (*i->at == 0x62)
        return read_evex(i);
    if ((*i->at & 0xf0) == 0x40)
        i->rex = *i->at++ & 15;
    i->opcode = *i->at++;
    if (i->opcode != 0x0f)
        return true;
    i->map = 1;
    i->opcode = *i->at++;
    if (i->opcode == 0x38 || i->opcode == 0x3a) {
        i->map = i->opcode == 0x38 ? 2 : 3;
        i->opcode = *i->at++;
    }
    return true;
}

static bool one_byte_uses_memory(u8 op)
{
    if (op < 0x40)
        return (op & 7) < 4;
    return op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op <= 0x8b) ||
           op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0xc7 ||
           (op >= 0xd0 && op <= 0xd3) || op == 0xf6 || op == 0xf7 || op >= 0xfe;
}

static bool two_byte_uses_memory(u8 op)
{
    return (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) ||
           (op >= 0x40 && op <= 0x76) || (op >= 0x7c && op <= 0x7f) ||
           (op >= 0x90 && op <= 0x9f) || op == 0xa3 || op == 0xab || op == 0xaf ||
           (op >= 0xb0 && op <= 0xc7) || op >= 0xd0;
}

static bool uses_memory(const Insn *i)
{
    if (i->map >= 2)
        return true;
    return i->map ? two_byte_uses_memory(i->opcode)
                  : !i->vector && one_byte_uses_memory(i->opcode);
}

static i64 read_disp(const Insn *i, const u8 *p, u32 mod)
{
    i32 d;

    if (mod == 1)
        return (i64)(i8)*p * (i64)(i->step ? i->step : 1);
    memcpy(&d, p, sizeof d);
    return d;
}

/* ModRM's memory operand, relative to registers; false: it is none. */
static bool modrm_address(const Insn *i, const ucontext_t *context, u64 *addr)
{
    const u8 *p = i->at;
    u32 mod = *p >> 6, rm = *p & 7, base = rm;
    u64 sum = 0;

    p++;
    if (mod == 3 || (mod == 0 && rm == 5)) /* a register; relative to rip */
        return false;
    if (rm == 4) {
        u32 index = (*p >> 3 & 7) | (i->rex & REX_X ? 8 : 0);

        if (index != 4)
            sum = gpr(context, index) << (*p >> 6);
        base = *p++ & 7;
    }
    if (mod == 0 && rm == 4 && base == 5)
        mod = 2; /* and no base */
    else
        sum += gpr(context, base | (i->rex & REX_B ? 8 : 0));
    *addr = sum + (u64)(mod ? read_disp(i, p, mod) : 0);
    return true;
}

/* movs, cmps, stos, lods, scas: by rsi, rdi or both. */
static u32 string_addresses(u8 op, const ucontext_t *context, u64 *addr)
{
    u64 si = (u64)context->uc_mcontext.gregs[REG_RSI];
    u64 di = (u64)context->uc_mcontext.gregs[REG_RDI];

    switch (op & 0xfe) {
    case 0xa4:
    case 0xa6: addr[0] = si, addr[1] = di; return 2;
    case 0xac: addr[0] = si; return 1;
    case 0xaa:
    case 0xae: addr[0] = di; return 1;
    default: return 0;
    }
}

u32 host_operands(const ucontext_t *context, u64 addr[HOST_OPERANDS])
{
    Insn i = {.at = (const u8 *)context->uc_mcontext.gregs[REG_RIP]};
    u32 n;

    if (!read_opcode(&i))
        return 0;
    n = i.map || i.vector ? 0 : string_addresses(i.opcode, context, addr);
    if (n)
        return n;
    return uses_memory(&i) && modrm_address(&i, context, addr);
}
