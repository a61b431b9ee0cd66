/* SPDX-License-Identifier: MIT */
/*
 * RV64GC, the guest: registers, control and status registers, and the table of its
 * instructions.  x0..x31 are globals 0..31 (0 unused), f0..f31 are 32..63.
 *
 * fcsr: its flags are MXCSR's sticky bits, its rounding mode is kept here and
 * mirrored to MXCSR.RC.  The one mode that the host lacks (RMM) and the invalid
 * ones are another translation: Env.key_flags says which.
 */
#ifndef TESSERA_RISCV64_H
#define TESSERA_RISCV64_H

#include "../translate.h"

enum { X_RA = 1, X_SP = 2, X_GP = 3, X_TP = 4, X_A0 = 10, X_A7 = 17, F0 = 32 };

/* Rounding modes, in fcsr and in instructions. */
enum { RM_RNE, RM_RTZ, RM_RDN, RM_RUP, RM_RMM, RM_DYN = 7 };

/* Env.key_flags */
enum {
    FRM_HOST = 0,    /* frm is 0..3: MXCSR.RC says the same */
    FRM_AWAY = 1,    /* frm is RMM */
    FRM_INVALID = 2, /* frm is 5..7: instructions that use it are illegal */
    FRM_MASK = 3,
    /* whole systems */
    KEY_SYSTEM = 4,
    KEY_PRIV_SHIFT = 3, /* two bits: PRIV_* */
    KEY_FS_OFF = 32,    /* floating-point instructions are illegal */
};

/* Env.guest_state[] */
enum { STATE_FRM, STATE_HART };

enum { TIMEBASE_HZ = 10000000 }; /* of the time CSR */
enum { CACHE_BLOCK = 64 };       /* of cbo.*, in bytes */

/* ---- guest.c ---- */

/* The address that insn, which reads or writes memory, asks for. */
u64 riscv64_accessed(const Env *env, u32 insn);

/* ---- debug.c ---- */

extern const GuestDebug riscv64_debug;

/* ---- priv_trap.c ---- */

/* Guest.save and load: a hart's CSRs and mode. */
void riscv64_save(const Env *env, u64 *words);
void riscv64_load(Env *env, const u64 *words);

/* ---- csr.c ---- */

enum {
    CSR_FFLAGS = 1,
    CSR_FRM = 2,
    CSR_FCSR = 3,
    CSR_SSTATUS = 0x100,
    CSR_MSTATUS = 0x300,
    CSR_CYCLE = 0xc00,
    CSR_TIME = 0xc01,
    CSR_INSTRET = 0xc02
};

/* How an instruction uses a CSR: help_csr, help_csr_word. */
enum {
    CSR_SWAP = 0,
    CSR_SET = 1,
    CSR_CLEAR = 2,
    CSR_HOW = 3,
    CSR_READS = 4,
    CSR_WRITES = 8
};

/* What becomes of it in a whole system. */
typedef struct CsrUse {
    i64 what;     /* the helper's first argument */
    bool is_word; /* nothing but a word: help_csr_word */
    bool ends;    /* code after it depends on what was written */
} CsrUse;

/* priv_csr.c: false: there is no such CSR, or it may not be used so in mode priv. */
bool csr_find(u32 number, u32 priv, u32 how, CsrUse *use);

/* fcsr as the guest sees it, for signal frames; outside generated code only. */
u32 riscv64_fcsr(const Env *env);
void riscv64_set_fcsr(Env *env, u32 fcsr);

/* The cycle, time and instret counters. */
u64 riscv64_counter(u32 number);
/* May a user-mode program read, or write, this CSR? */
bool csr_readable(u32 number);
bool csr_writable(u32 number);
/* The assembler's name of a CSR, in out; false: it has none. */
bool csr_name(char *out, size_t size, u32 number);

/* ---- decode.c ---- */

typedef enum InsnFormat {
    FORMAT_R,
    FORMAT_R4,
    FORMAT_A,
    FORMAT_I,
    FORMAT_S,
    FORMAT_B,
    FORMAT_U,
    FORMAT_J,
    FORMAT_SH6,
    FORMAT_SH5,
    FORMAT_CSR,
    FORMAT_CNONE,
    FORMAT_CIW,
    FORMAT_CL_W,
    FORMAT_CL_D,
    FORMAT_CI,
    FORMAT_CI_NZ,
    FORMAT_CI_LI,
    FORMAT_CI_LUI,
    FORMAT_CI_SP,
    FORMAT_CI_SH,
    FORMAT_CI_D,
    FORMAT_CI_WNZ,
    FORMAT_CI_DNZ,
    FORMAT_CB,
    FORMAT_CB_SH,
    FORMAT_CB_IMM,
    FORMAT_CA,
    FORMAT_CJ,
    FORMAT_CR,
    FORMAT_CR_MV,
    FORMAT_CR_JR,
    FORMAT_CR_JALR,
    FORMAT_CSS_W,
    FORMAT_CSS_D,
} InsnFormat;

/* The operands of an instruction; what its format has not is 0. */
typedef struct Arg {
    u8 rd, rs1, rs2, rs3; /* numbers of x or f registers */
    u8 rm;                /* bits 14-12 */
    bool reserved;        /* these operands are no instruction */
    i32 imm;
} Arg;

typedef enum InsnId {
    INSN_NONE,
#define INSN(name, format, pattern, operands)        INSN_##name,
#define LIKE(name, other, format, pattern, operands) INSN_##name,
#define COMP(name, other, format, pattern, operands) INSN_##name,
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
    INSN_COUNT
} InsnId;

typedef struct InsnDesc {
    const char *name; /* with underscores for dots */
    u32 mask, match;
    u8 len, format;       /* bytes; InsnFormat */
    const char *operands; /* see insn.def */
} InsnDesc;

extern const InsnDesc insn_desc[INSN_COUNT];

static inline u8 insn_len(u32 bits) { return (bits & 3) == 3 ? 4 : 2; }
InsnId insn_lookup(u32 bits); /* INSN_NONE: no such encoding */
Arg insn_arg(InsnId id, u32 bits);
/* Translates the instruction d->pc, d->len; false: illegal, nothing was emitted. */
bool insn_translate(Dis *d, InsnId id, u32 bits);

/* ---- disas.c ---- */

/* See Guest.disas. */
size_t riscv64_disas(char *out, size_t size, u64 pc, const u8 *bytes, size_t len);

/* ---- trans_*.c ---- */

#define INSN(name, format, pattern, operands) bool trans_##name(Dis *d, const Arg *a);
#define LIKE(name, other, format, pattern, operands)
#define COMP(name, other, format, pattern, operands)
#include "insn.def"
#undef INSN
#undef LIKE
#undef COMP
bool trans_illegal(Dis *d, const Arg *a);

/* Translates name: how says whether it is legal. */
#define TRANS(name, how) \
    bool trans_##name(Dis *d, const Arg *a) { return how; }

/* An integer register as an operand. */
static inline Val x_in(Dis *d, u8 r) { return r ? r : ir_const(d->ir, 0); }
/* A place for an integer result that must be computed even for x0. */
static inline Val x_out(Dis *d, u8 r) { return r ? r : ir_temp(d->ir); }

/* ---- trans_fd.c: what Zfh and Zfa have in common with F and D ---- */

typedef enum Rounding {
    ROUND_HOST, /* as MXCSR says */
    ROUND_SET,  /* by the mode in the instruction */
    ROUND_AWAY, /* RMM */
    ROUND_BAD,
} Rounding;

Rounding fd_rounding(const Dis *d, u8 rm);
/* What lies between the two is done in mode rm if how is ROUND_SET. */
Val fd_round_begin(Dis *d, Rounding how, u8 rm);
void fd_round_end(Dis *d, Val begun);

static inline Val f_reg(u8 r) { return (Val)(F0 + r); }
Val fd_unboxed(Dis *d, u8 r); /* a register as a boxed single */
Val fd_raw(Dis *d, Val f);    /* the bits of f, an integer */
Val fd_half(Dis *d, u8 r);    /* a register as a single, from a boxed half */
Val fd_double(Dis *d, Val v); /* a single as a double */
/* rd = in, a double, as a half. */
void fd_narrow(Dis *d, u8 rd, Val in, Rounding how, u8 rm);
/* rd = in, converted by op, or by truncating when the instruction says RTZ, or away. */
bool fd_to_int(Dis *d, const Arg *a, OpCode op, OpCode truncating, int away, Val in);

/* ---- trans_zfa.c ---- */

/* What fli's numbers mean; FLI_MIN's is the format's smallest normal number. */
enum { FLI_MIN = 1, FLI_COUNT = 32 };
extern const double riscv64_fli[FLI_COUNT];

/* ---- helpers: csr.c, fp.c ---- */

enum {
#define HELPER(name, n_args, has_result) HELPER_##name,
#include "helpers.def"
#undef HELPER
    HELPER_COUNT
};

#define HELPER(name, n_args, has_result) HelperFn help_##name;
#include "helpers.def"
#undef HELPER

#endif
