/* SPDX-License-Identifier: MIT */
/*
 * The registers as gdb numbers and names them (gdb's features/riscv): x0..x31, pc,
 * f0..f31, then the control and status registers: those that a user-mode program can
 * read and, of a whole system's hart, the privileged ones and its mode.
 */
#include "priv.h"

enum { REG_PC = 32, REG_F = 33, REG_CSR = 65, X_FP = 8 };

static const u16 csrs[] = {CSR_FFLAGS, CSR_FRM,  CSR_FCSR,
                           CSR_CYCLE,  CSR_TIME, CSR_INSTRET};

/* In the order of their numbers. */
static const u16 system_csrs[] = {
    0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143, 0x144, 0x14d,
    0x180, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x320, 0x340,
    0x341, 0x342, 0x343, 0x344, 0x3a0, 0x3a2, 0x3b0, 0x3b1, 0x3b2, 0x3b3, 0x3b4,
    0x3b5, 0x3b6, 0x3b7, 0x3b8, 0x3b9, 0x3ba, 0x3bb, 0x3bc, 0x3bd, 0x3be, 0x3bf,
    0xb00, 0xb02, 0xf11, 0xf12, 0xf13, 0xf14, 0xf15,
};

enum {
    N_FLOAT_CSRS = 3,
    N_REGS = REG_CSR + ARRAY_SIZE(csrs), /* of a program */
    REG_SYSTEM = N_REGS,
    REG_PRIV = REG_SYSTEM + ARRAY_SIZE(system_csrs),
    N_SYSTEM_REGS,
};

/* ---- values ---- */

static u64 csr_get(const Env *env, u32 number)
{
    u32 fcsr = riscv64_fcsr(env);

    switch (number) {
    case CSR_FFLAGS: return fcsr & 31;
    case CSR_FRM: return fcsr >> 5;
    case CSR_FCSR: return fcsr;
    default: return riscv64_counter(number);
    }
}

static bool csr_set(Env *env, u32 number, u32 value)
{
    u32 fcsr = riscv64_fcsr(env);

    switch (number) {
    case CSR_FFLAGS: riscv64_set_fcsr(env, (fcsr & ~31u) | (value & 31)); return true;
    case CSR_FRM: riscv64_set_fcsr(env, (fcsr & 31) | (value & 7) << 5); return true;
    case CSR_FCSR: riscv64_set_fcsr(env, value & 255); return true;
    default: return false;
    }
}

static bool is_float_csr(u32 reg)
{
    return reg >= REG_CSR && reg < REG_CSR + N_FLOAT_CSRS;
}

static u32 n_regs(const Env *env) { return env->mmu ? N_SYSTEM_REGS : N_REGS; }

static u64 system_get(const Env *env, u32 reg)
{
    Env *hart = (Env *)env; /* reading changes nothing that can be seen */

    return reg == REG_PRIV ? hart_of(env)->priv
                           : hart_csr_get(hart, system_csrs[reg - REG_SYSTEM]);
}

static bool system_set(Env *env, u32 reg, u64 value)
{
    return reg == REG_PRIV ? hart_set_priv(env, value)
                           : hart_csr_set(env, system_csrs[reg - REG_SYSTEM], value);
}

static u32 get(const Env *env, u32 reg, u8 *out)
{
    u32 size = is_float_csr(reg) ? 4 : 8;
    u64 value;

    if (reg >= n_regs(env))
        return 0;
    if (reg == REG_PC)
        value = env->pc;
    else if (reg >= REG_SYSTEM)
        value = system_get(env, reg);
    else if (reg >= REG_CSR + N_FLOAT_CSRS && env->mmu)
        value = hart_csr_get((Env *)env, csrs[reg - REG_CSR]);
    else if (reg >= REG_CSR)
        value = csr_get(env, csrs[reg - REG_CSR]);
    else
        value = env->g[reg < REG_PC ? reg : F0 + reg - REG_F];
    memcpy(out, &value, size);
    return size;
}

static bool set(Env *env, u32 reg, const u8 *value)
{
    u64 v = 0;

    if (reg >= n_regs(env))
        return false;
    memcpy(&v, value, is_float_csr(reg) ? 4 : 8);
    if (reg >= REG_SYSTEM)
        return system_set(env, reg, v);
    if (reg >= REG_CSR)
        return csr_set(env, csrs[reg - REG_CSR], (u32)v);
    if (reg == REG_PC)
        env->pc = v & ~1ull;
    else if (reg != 0)
        env->g[reg < REG_PC ? reg : F0 + reg - REG_F] = v;
    env->res_addr = ~0ull; /* what was reserved may not be what is meant now */
    return true;
}

/* ---- the description ---- */

static const char *type_of(u32 reg)
{
    switch (reg) {
    case X_RA:
    case REG_PC: return "code_ptr";
    case X_SP:
    case X_GP:
    case X_TP:
    case X_FP: return "data_ptr";
    default: return "int";
    }
}

static void put_reg(FILE *f, const char *name, u32 bits, const char *type)
{
    fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>\n", name, bits, type);
}

static void put_csrs(FILE *f, const u16 *numbers, u32 n, u32 bits)
{
    char name[32];

    for (u32 i = 0; i < n; i++)
        if (csr_name(name, sizeof name, numbers[i]))
            put_reg(f, name, bits, "int");
}

static void describe(FILE *f, const Env *env)
{
    const GlobalDesc *globals = guest_riscv64.regs.globals;

    fputs("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
          "<target><architecture>riscv:rv64</architecture>",
          f);
    fputs(env->mmu ? "" : "<osabi>GNU/Linux</osabi>", f);
    fputs("\n<feature name=\"org.gnu.gdb.riscv.cpu\">\n", f);
    for (u32 i = 0; i < REG_PC; i++)
        put_reg(f, i == X_FP ? "fp" : globals[i].name, 64, type_of(i));
    put_reg(f, "pc", 64, type_of(REG_PC));
    fputs("</feature>\n<feature name=\"org.gnu.gdb.riscv.fpu\">\n"
          "<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
          "<field name=\"double\" type=\"ieee_double\"/></union>\n",
          f);
    for (u32 i = 0; i < 32; i++)
        put_reg(f, globals[F0 + i].name, 64, "riscv_double");
    put_csrs(f, csrs, N_FLOAT_CSRS, 32);
    fputs("</feature>\n<feature name=\"org.gnu.gdb.riscv.csr\">\n", f);
    put_csrs(f, csrs + N_FLOAT_CSRS, ARRAY_SIZE(csrs) - N_FLOAT_CSRS, 64);
    if (env->mmu) {
        put_csrs(f, system_csrs, ARRAY_SIZE(system_csrs), 64);
        fputs("</feature>\n<feature name=\"org.gnu.gdb.riscv.virtual\">\n", f);
        put_reg(f, "priv", 64, "int");
    }
    fputs("</feature></target>\n", f);
}

const GuestDebug riscv64_debug = {
    .n_regs = N_SYSTEM_REGS,
    .n_general = REG_CSR + N_FLOAT_CSRS,
    .pc = REG_PC,
    .sp = X_SP,
    .fp = X_FP,
    .get = get,
    .set = set,
    .describe = describe,
};
