/* SPDX-License-Identifier: MIT */
/*
 * Micro-ops: what lies between a guest and a host.  A frontend fills an Ir with
 * ops; passes rewrite it; emit turns it into host code by copying stencils.
 *
 * An operand is a Val: a guest register ("global", 0..63), a temp that lives
 * within one guest instruction, or a constant of the Ir.
 */
#ifndef TESSERA_MICROOPS_H
#define TESSERA_MICROOPS_H

#include <stdio.h>
#include <string.h>
#include "base.h"
#include "env.h"
#include "log.h"

/* ---- ir.c: the buffer of micro-ops ---- */

typedef enum OpCode {
#define OP(name, sig, flags) OP_##name,
#include "ops.def"
#undef OP
    OP_COUNT
} OpCode;

enum OpFlags {
    PURE = 1,
    COMM = 2,
    LOAD = 4,
    STORE = 8,
    FAULT = 16,
    SEXT = 32,
    LOW = 64,
    BOOL = 128,
    BOX = 256,
    LEAVE = 512,
    FP = 1024,
};

/* Classes of operands, in OpDesc: none, integer, floating point. */
enum { CLS_NONE, CLS_R, CLS_F };

typedef struct OpDesc {
    const char *name;
    u16 flags;
    u8 out, in[3]; /* CLS_* */
    u8 n_in;
    bool has_imm; /* memory displacement, helper or instruction index */
    bool has_exit;
} OpDesc;

extern const OpDesc op_desc[OP_COUNT];

/* Bytes of guest memory that a LOAD or STORE op moves: its name says how many bits. */
static inline __attribute__((always_inline)) u32 op_name_size(const char *name)
{
    const char *bits = strpbrk(name, "123456789");

    switch (bits ? *bits : 0) {
    case '8': return 1;
    case '1': return 2;
    case '3': return 4;
    case '6': return 8;
    default: return 0;
    }
}
static inline u32 op_access_size(u16 op) { return op_name_size(op_desc[op].name); }
static inline bool op_atomic(u16 op)
{
    return op_desc[op].flags & LOAD && op_desc[op].flags & STORE;
}
/* The op that looks its address up, for a guest behind a softmmu. */
static inline u32 op_lookup(u16 op)
{
    u32 first = op_desc[op].flags & STORE ? OP_tlb_w1 : OP_tlb_r1;

    return first + (u32)__builtin_ctz(op_access_size(op));
}

typedef u16 Val;
enum {
    VAL_TEMP = 64,    /* integer temps from here */
    VAL_FTEMP = 512,  /* floating-point temps */
    VAL_CONST = 1024, /* constants: Ir.consts[v - VAL_CONST] */
    VAL_NONE = 0xffff,
    IR_OPS = 4096,
    IR_CONSTS = 4096,
    IR_EXITS = 512,
    IR_INSNS = 1024,
    IR_TEMPS = 448,
};

typedef struct Op {
    u16 op;
    Val out;
    Val in[3];
    u16 exit; /* index into Ir.exits */
    i32 imm;
} Op;

/* imm of a jump after which other code holds for the same pc: it is looked up even
 * when the pc is known. */
enum { JUMP_ANEW = 1 };

/* Where a block can be left. */
typedef enum ExitKind {
    EXIT_JUMP, /* go on at pc; linked to its block when that exists */
    EXIT_TRAP, /* back to the caller of exec_run with this trap at pc */
} ExitKind;

/* Globals whose NaNs are still to be made canonical: as doubles, as boxed singles. */
typedef struct Canon {
    u64 d, s;
} Canon;

typedef struct IrExit {
    u64 pc;
    u64 addr; /* trap: Trap.addr */
    u8 kind, trap;
    bool loop; /* closes a loop: a pending request is noticed on the way */
    bool far;  /* jump: to be looked up each time, not linked */
    Canon canon;
} IrExit;

typedef struct IrInsn {
    u64 pc;
    u16 op;      /* index of its OP_insn */
    u8 len;      /* bytes */
    Canon canon; /* if it faults */
} IrInsn;

typedef struct Ir {
    bool paged; /* each page of code is mapped by itself: jumps to others are far */
    u32 n_ops, n_consts, n_exits, n_insns;
    u16 n_temps, n_ftemps; /* in use by this instruction */
    const struct Guest *guest;
    Op ops[IR_OPS];
    i64 consts[IR_CONSTS];
    IrExit exits[IR_EXITS];
    IrInsn insns[IR_INSNS];
} Ir;

Ir *ir_new(void); /* freed with free() */
void ir_reset(Ir *ir, const struct Guest *guest);

/* A guest instruction begins; temps of the last one end. */
void ir_insn(Ir *ir, u64 pc, u8 len);
u16 ir_exit(Ir *ir, ExitKind kind, TrapKind trap, u64 pc);
/* Room for one more instruction of the longest kind? */
bool ir_room(const Ir *ir);

static inline Val ir_const(Ir *ir, i64 value)
{
    assert(ir->n_consts < IR_CONSTS);
    ir->consts[ir->n_consts] = value;
    return (Val)(VAL_CONST + ir->n_consts++);
}

static inline Val ir_temp(Ir *ir)
{
    assert(ir->n_temps < IR_TEMPS);
    return (Val)(VAL_TEMP + ir->n_temps++);
}

static inline Val ir_ftemp(Ir *ir)
{
    assert(ir->n_ftemps < IR_TEMPS);
    return (Val)(VAL_FTEMP + ir->n_ftemps++);
}

static inline Op *ir_add(Ir *ir, OpCode op)
{
    assert(ir->n_ops < IR_OPS);
    ir->ops[ir->n_ops].op = (u16)op;
    return &ir->ops[ir->n_ops++];
}

static inline bool val_is_global(Val v) { return v < VAL_TEMP; }
static inline bool val_is_temp(Val v) { return v >= VAL_TEMP && v < VAL_CONST; }
static inline bool val_is_const(Val v) { return v >= VAL_CONST && v != VAL_NONE; }
static inline i64 ir_value(const Ir *ir, Val v) { return ir->consts[v - VAL_CONST]; }

/*
 * gen_NAME(ir, ...): append one op.  Argument order is the reader's:
 * result, operands, displacement, exit.
 */
static inline void ir_gen(Ir *ir, OpCode code, Val out, Val a, Val b, Val c, i32 imm,
                          u16 exit)
{
    Op *op = ir_add(ir, code);

    *op = (Op){(u16)code, out, {a, b, c}, exit, imm};
}

/* clang-format off */
#define N_               VAL_NONE
#define GEN_NONE(n)      static inline void gen_##n(Ir *ir, i32 imm) { ir_gen(ir, OP_##n, N_, N_, N_, N_, imm, 0); }
#define GEN_R_R(n)       static inline void gen_##n(Ir *ir, Val d, Val a) { ir_gen(ir, OP_##n, d, a, N_, N_, 0, 0); }
#define GEN_R_RR(n)      static inline void gen_##n(Ir *ir, Val d, Val a, Val b) { ir_gen(ir, OP_##n, d, a, b, N_, 0, 0); }
#define GEN_R_M(n)       static inline void gen_##n(Ir *ir, Val d, Val a, i32 imm) { ir_gen(ir, OP_##n, d, a, N_, N_, imm, 0); }
#define GEN_M_RR(n)      static inline void gen_##n(Ir *ir, Val a, Val b, i32 imm) { ir_gen(ir, OP_##n, N_, a, b, N_, imm, 0); }
#define GEN_F_FFF(n)     static inline void gen_##n(Ir *ir, Val d, Val a, Val b, Val c) { ir_gen(ir, OP_##n, d, a, b, c, 0, 0); }
#define GEN_X_RR(n)      static inline void gen_##n(Ir *ir, Val a, Val b, u16 exit) { ir_gen(ir, OP_##n, N_, a, b, N_, 0, exit); }
#define GEN_X(n)         static inline void gen_##n(Ir *ir, u16 exit) { ir_gen(ir, OP_##n, N_, N_, N_, N_, 0, exit); }
#define GEN_R_N(n)       static inline void gen_##n(Ir *ir, Val d) { ir_gen(ir, OP_##n, d, N_, N_, N_, 0, 0); }
#define GEN_N_R(n)       GEN_R(n)
#define GEN_R(n)         static inline void gen_##n(Ir *ir, Val a) { ir_gen(ir, OP_##n, N_, a, N_, N_, 0, 0); }
#define GEN_CALL(n)      static inline void gen_##n(Ir *ir, Val d, Val a, Val b, Val c, i32 helper) { ir_gen(ir, OP_##n, d, a, b, c, helper, 0); }
#define GEN_F_F(n)       GEN_R_R(n)
#define GEN_F_R(n)       GEN_R_R(n)
#define GEN_R_F(n)       GEN_R_R(n)
#define GEN_F_FF(n)      GEN_R_RR(n)
#define GEN_R_FF(n)      GEN_R_RR(n)
#define GEN_F_M(n)       GEN_R_M(n)
#define GEN_M_RF(n)      GEN_M_RR(n)
#define OP(name, sig, flags) GEN_##sig(name)
#include "ops.def"
#undef OP
#undef N_
/* clang-format on */

/* Prints the block as text, one op a line under its guest instruction. */
void ir_dump(FILE *f, const Ir *ir);
/* One op as text, without a newline; returns its length. */
int ir_op_text(char *out, size_t size, const Ir *ir, const Op *op);
/* Is every op well-formed?  If not, *why says which and how (static buffer). */
bool ir_verify(const Ir *ir, const char **why);

/* ---- the guest, as the core sees it ---- */

typedef struct GlobalDesc {
    char name[8];
    u8 cls;  /* CLS_R or CLS_F; CLS_NONE: unused slot */
    u8 host; /* default host register (0..), HOST_NONE: lives in Env */
} GlobalDesc;

enum { HOST_NONE = 0xff, HOST_GPRS = 11, HOST_FPRS = 12 };

/* A helper is called with its operands as raw 64-bit values; it may read and write
 * env->g[].  It must not fault on guest memory. */
typedef u64 HelperFn(Env *env, u64 a, u64 b, u64 c);

typedef struct HelperDesc {
    const char *name;
    HelperFn *fn;
    u8 n_args;
    bool has_result;
} HelperDesc;

/* The part of a guest that micro-ops need; translate.h's Guest begins with it. */
typedef struct GuestRegs {
    const char *name; /* "riscv64" */
    GlobalDesc globals[ENV_GLOBALS];
    const HelperDesc *helpers;
    u32 n_helpers;
    Val stack; /* the stack pointer: what it addresses is mostly one page */
} GuestRegs;

/* ---- interp.c: the oracle ---- */

/*
 * What each op computes, as a function of raw 64-bit operands (a floating-point
 * value: its bits).  Memory ops take the whole address in a.  NULL: control.
 * Called as helpers are: MXCSR is the guest's.  PURE ops do not touch env, which
 * may be NULL then.
 */
extern HelperFn *const interp_fn[OP_COUNT];

/* A block to be interpreted: an Ir's, or a copy of just the parts in use. */
typedef struct InterpCode {
    const Op *ops;
    const i64 *consts;
    const IrInsn *insns;
    const HelperDesc *helpers;
} InterpCode;

InterpCode interp_code(const Ir *ir);

/* One run of a block.  While it lasts op says how far it is, so that a host fault
 * in a FAULT op can be told precisely: all globals are as before the op. */
typedef struct InterpRun InterpRun;
struct InterpRun {
    /* Called before a STORE op writes at addr; NULL: nobody. */
    void (*on_store)(InterpRun *run, u16 op);
    u64 limit; /* guest addresses are below, all others fault; 0: no such limit */
    /* Of a guest behind a softmmu: what the ops tlb_r1 to tlb_w8 call when the TLB does
     * not know, and what is called before that or NULL; else NULL. */
    HelperFn *const *miss;
    void (*on_miss)(InterpRun *run, u16 op, u64 value);
    u32 op;         /* index of the op at hand */
    u64 addr;       /* address of the last memory op */
    u64 host;       /* the host's, of that */
    i32 exit;       /* result: index of the exit taken, or one of: */
    u64 pc;         /* INTERP_JUMP: where to */
    u32 host_mxcsr; /* ours, while the block runs */
};

enum {
    INTERP_JUMP = -1,  /* an indirect jump to pc */
    INTERP_FAULT = -2, /* addr is not below limit; op is the one that asked */
};

void interp_block(Env *env, const InterpCode *code, InterpRun *run);
/* After a jump out of a host fault: MXCSR is ours again. */
void interp_leave(Env *env, const InterpRun *run);
/* The guest pc of the instruction that op belongs to; fallback: before the first. */
u64 interp_pc(const InterpCode *code, u32 op, u64 fallback);

/* ---- steps.c: the interpreter, fast ---- */

/*
 * A block decoded once: an op is a Step, the function that does it and pointers to
 * its operands; an exit is a StepLink, which may lead to another block's head; a
 * block is entered by its StepHead, which sees to it that the code is still what it
 * was made from.  Pointers are into one Env and one StepRun: those of a thread.
 */
typedef void StepFn(void);
typedef struct Step Step;

typedef struct StepLink {
    const Step *to; /* a head's `enter`; NULL: not linked */
    u64 pc, addr;   /* as in IrExit */
    u8 kind, trap;
    bool far;    /* found by the jump cache */
    void *owner; /* the block it leaves, for who links */
} StepLink;

struct Step {
    StepFn *fn;
    u64 *d;
    const u64 *a, *b;
    union {
        const u64 *c;
        u64 k;  /* the last operand, where the function wants a constant */
        u64 pc; /* FAULT ops and heads: of the guest instruction */
    };
    union {
        u64 imm;
        StepLink *link;
        HelperFn *helper;
    };
};

typedef struct StepCode {
    StepLink *links; /* one for each exit */
    u64 *consts;
    Step steps[];
} StepCode;

typedef struct StepHead {
    Step enter; /* first */
    const Step *body;
    const u8 *host, *bytes; /* the code as it is, and as it was */
    u32 len;
    u64 map; /* *StepRun.map when host was last known to be right */
} StepHead;

typedef enum StepsEnd {
    STEPS_LINK,  /* by `link`, which is not linked; or a request is pending */
    STEPS_JUMP,  /* an indirect jump to pc, not in the jump cache; or a request */
    STEPS_FAULT, /* the insn at pc reaches for addr, not below limit; write: how */
    STEPS_STALE, /* at head: the map, or the code, is not as it was */
} StepsEnd;

typedef struct StepRun {
    const Step
        *volatile at; /* the FAULT op or head at work or the last to be; NULL: none */
    StepsEnd end;
    bool write;
    u32 host_mxcsr;
    StepLink *link;
    u64 pc, addr; /* pc: and of an instruction that a helper ends */
    const StepHead *head;
    u64 limit;              /* guest addresses are below */
    HelperFn *const *miss;  /* as in InterpRun */
    const _Atomic u64 *map; /* counts changes of the guest's map */
    u64 none;               /* where VAL_NONE is */
    u64 temp[VAL_CONST - VAL_TEMP];
} StepRun;

/* The steps of a block, for run->miss as it is; count: indirect jumps are counted in
 * env.  Freed with free(); NULL: no memory. */
StepCode *steps_new(const Ir *ir, Env *env, StepRun *run, bool count);
/* Fills in enter and body; the rest is there.  fixed: the code changes only when the
 * map does.  count: entries are counted in env. */
void steps_head(StepHead *head, u64 pc, const StepCode *code, bool fixed, bool count);
/* Runs from a head's `enter`, or from its body without that look. */
StepsEnd steps_run(Env *env, const Step *first, StepRun *run);
/* After a jump out of a host fault: MXCSR is ours again. */
void steps_leave(Env *env, StepRun *run);

/* ---- pass_*.c: rewriting ---- */

void pass_fold(Ir *ir); /* constants, copies, idioms, extensions already there */
void pass_dead(Ir *ir); /* results nobody reads; keeps state precise at faults */
void pass_join(Ir *ir); /* shifts and additions of array indices */
void pass_nan(Ir *ir);  /* puts off making NaNs canonical: exits and insns have canon */
/* Makes good what was put off. */
void canon_apply(u64 *globals, Canon canon);

/* ---- emit.c, host_x86_64.c: stencils copied and patched ---- */

/* Where values live while a block runs: global -> host register or Env slot. */
typedef struct Plan {
    u8 host[ENV_GLOBALS]; /* index into the host's list; HOST_NONE: in Env */
} Plan;

void plan_default(Plan *plan, const GuestRegs *guest);

/* A way out of emitted code: a jump whose displacement may be patched.  All offsets
 * are from the start of the code buffer. */
typedef struct EmitExit {
    u32 jump;     /* of the 4-byte displacement, within one cache line; 0: none */
    u32 start;    /* of the code out of line that belongs to it */
    u32 stub;     /* of the code that leaves to C with this exit's number */
    u16 ir_exit;  /* index into Ir.exits */
    bool request; /* taken because of a request, not by the guest */
} EmitExit;

/* Shared pieces of code at the start of the buffer, as offsets. */
typedef struct EmitThunks {
    u32 enter;     /* loads the plan's registers, jumps to rdx */
    u32 leave;     /* stores them, returns to C with eax */
    u32 jump_miss; /* the jump cache had no answer for the pc in rax */
    u32 call;      /* calls helper eax with Env.arg, result in Env.ret */
    u32 call_bare; /* the same, but the caller keeps its registers */
    u32 end;
} EmitThunks;

/* Returned by generated code in place of an exit number. */
enum {
    EXIT_HOT = 0x20000000,    /* | block: its entry counter has run out */
    EXIT_STALE = 0x40000000,  /* | block: its source bytes have changed */
    EXIT_BUDGET = 0x60000000, /* | block: Env.budget does not last for it */
    EXIT_KINDS = 0x60000000,
    EXIT_STRIDE = 1u << 31, /* | block: look ahead for its loop */
    EXIT_JUMP_MISS = 0x7ffffffe,
    EXIT_FAULT = 0x7fffffff, /* Env.trap is set */
};

/* Code of an instruction that stands apart from the rest of it. */
typedef struct EmitApart {
    u32 at, insn;
} EmitApart;

/* A loop whose accesses were looked up ahead by who enters it. */
enum { STRIDE_REGS = 32 };
/* The helper that looks on, with the block's number; 0: the loop is to be left. */
enum { HELPER_AHEAD = OP_check }; /* an op that computes nothing has no other use */
typedef struct EmitStrides {
    u32 n;
    u8 of[STRIDE_REGS]; /* by base: index into Env.stride_delta; STRIDES_MOST: none */
    Val clock; /* the register that is Env.stride_limit in the end; VAL_NONE: none */
} EmitStrides;

typedef struct EmitTask {
    struct Emit *emitter; /* emit's own, made at its first block; freed with free() */
    const Ir *ir;
    const Plan *plan, *entry_plan; /* equal pointers: no shuffling at the edges */
    const struct StencilSet *set;
    const EmitThunks *thunks;
    u8 *buffer;     /* writable view of the code buffer */
    u32 at, limit;  /* write here, up to there */
    u32 first_exit; /* number of this block's first exit */
    bool counted;   /* count entries down; leave with EXIT_HOT | block at zero */
    u32 block;      /* its number */
    i64 counter;    /* the counter's offset from the start of the executable view */
    u64 head_pc;    /* exits to this pc jump to the block's own body */
    bool loops;     /* head_pc counts */
    bool mmu;       /* guest addresses go through Env.tlb; gs has base 0 */
    bool rounds;    /* leave the loop with EXIT_STRIDE | block when Env.rounds is 0 */
    const EmitStrides *strides; /* NULL: none; at the end leaves in the same way */
    bool near;                  /* mmu: it pays to look for near pages */
    bool budgeted;   /* take the instructions from Env.budget; leave with EXIT_BUDGET */
    bool statistics; /* count in Env.entered and Env.jumps */
    i32 tally; /* 0, or where runs and rounds are counted: u64s, from ENV_BIAS... */
    i32 exit_tally; /* and each exit taken; then exits go through code of their own */
    u32 check_len;  /* on entry compare so many bytes ... */
    i64 check_at;   /* ... at this guest address; mmu: host address ... */
    const u8 *check_bytes; /* with these; leave with EXIT_STALE | block if not equal */
    bool notes;            /* fill in op_at, for out_asm */
    u32 n_helpers;         /* helper index of op 0's meaning */
    /* For code that is never written to: slots, from the start of the executable view,
     * with host addresses to go on at, or 0.  One for each exit by its number, from
     * `slots`; and the block's own, in place of EXIT_HOT.  0: there are none. */
    u32 slots, hot_slot;

    /* results */
    u32 body, hot_end, end;
    u32 n_exits;
    EmitExit exits[IR_EXITS];
    u32 insn_at[IR_INSNS]; /* where each guest instruction begins */
    u32 n_apart;           /* instructions that stand out of line as well */
    EmitApart apart[IR_INSNS];
    u32 *op_at; /* where each op begins; IR_OPS + 1 of them */
} EmitTask;

/* False: the code would not fit below limit (nothing is kept). */
bool emit_block(EmitTask *t);
/* numbers: where, from the start of the executable view, a u32 is that is added to exit
 * numbers; 0: nothing is.  more: Env.jump_more is there. */
void emit_thunks(EmitThunks *thunks, const struct StencilSet *set, const Plan *plan,
                 u8 *buffer, const struct Guest *guest, u32 numbers, bool more);

/* The best set for this host; base: the baseline regardless. */
const struct StencilSet *stencils_pick(bool base);

/* Enters generated code at host through the enter thunk; returns the exit's number. */
u32 host_enter(Env *env, const void *code, const void *enter_thunk);
/* The name of a plan's host register. */
const char *host_reg_name(u8 cls, u8 host);
/* Sets Env's host entry points. */
void host_env_init(Env *env);
/* Retargets the jump whose displacement is at `at` to `to`, atomically. */
void host_patch(u8 *buffer, u32 at, u32 to);

/* ---- disas.c: host code as text (capstone) ---- */

/* For each instruction in code: where it begins there, its bytes, its text. */
typedef void HostInsnFn(void *ctx, u32 at, u32 len, const char *text);
void disas_host_each(const u8 *code, size_t size, u64 address, HostInsnFn *fn,
                     void *ctx);
/* Prints host code, one instruction a line with its bytes. */
void disas_host(FILE *f, const u8 *code, size_t size, u64 address);

#endif
