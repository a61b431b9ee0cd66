/* SPDX-License-Identifier: MIT */
/*
 * The interpreter: ops run straight from their meanings in ops.h.  It is what
 * stencils are compared with, the constant folder's arithmetic, and the emitter's
 * way out for an op without a stencil.  Finding blocks to run is tcache's.
 */
#include "microops.h"
#include "packed.h"

#include <stdatomic.h>
#include <ffi.h>
#include <glib.h>

static _Thread_local Env *current; /* ops.h's ENV; set by each function that needs it */

#define ENV       current
#define MEM(T, a) (((Packed_##T *)(current->base + (a)))->v)
#include "ops.h"

/* ---- interp_fn: each op as a function ---- */

/* The guest's addresses are nothing that AddressSanitizer knows. */
#define FN(n, flags, expr)                      \
    static __attribute__((no_sanitize_address)) \
    u64 fn_##n(Env *env, u64 a, u64 b, u64 c)   \
    {                                           \
        if ((flags) & (LOAD | STORE | FP))      \
            current = env;                      \
        return expr;                            \
    }
#define A_               f_bits(a)
#define B_               f_bits(b)
#define C_               f_bits(c)
#define DEF_R_R(n, fl)   FN(n, fl, op_##n(a))
#define DEF_R_RR(n, fl)  FN(n, fl, op_##n(a, b))
#define DEF_R_M(n, fl)   FN(n, fl, op_##n(a))
#define DEF_M_RR(n, fl)  FN(n, fl, (op_##n(a, b), 0))
#define DEF_F_M(n, fl)   FN(n, fl, f_raw(op_##n(a)))
#define DEF_M_RF(n, fl)  FN(n, fl, (op_##n(a, B_), 0))
#define DEF_F_F(n, fl)   FN(n, fl, f_raw(op_##n(A_)))
#define DEF_F_FF(n, fl)  FN(n, fl, f_raw(op_##n(A_, B_)))
#define DEF_F_FFF(n, fl) FN(n, fl, f_raw(op_##n(A_, B_, C_)))
#define DEF_R_F(n, fl)   FN(n, fl, op_##n(A_))
#define DEF_R_N(n, fl)   FN(n, fl, op_##n())
#define DEF_N_R(n, fl)   FN(n, fl, (op_##n(a), 0))
#define DEF_R_FF(n, fl)  FN(n, fl, op_##n(A_, B_))
#define DEF_F_R(n, fl)   FN(n, fl, f_raw(op_##n(a)))
#define DEF_X_RR(n, fl)
#define DEF_X(n, fl)
#define DEF_R(n, fl)
#define DEF_CALL(n, fl)
#define DEF_NONE(n, fl)
#define OP(n, sig, flags) DEF_##sig(n, flags)
#include "ops.def"
#undef OP
FN(fence, 0, (op_fence(), 0))

#define REF_R_R(n)   fn_##n
#define REF_R_RR(n)  fn_##n
#define REF_R_M(n)   fn_##n
#define REF_M_RR(n)  fn_##n
#define REF_F_M(n)   fn_##n
#define REF_M_RF(n)  fn_##n
#define REF_F_F(n)   fn_##n
#define REF_F_FF(n)  fn_##n
#define REF_F_FFF(n) fn_##n
#define REF_R_F(n)   fn_##n
#define REF_R_N(n)   fn_##n
#define REF_N_R(n)   fn_##n
#define REF_R_FF(n)  fn_##n
#define REF_F_R(n)   fn_##n
#define REF_X_RR(n)  NULL
#define REF_X(n)     NULL
#define REF_R(n)     NULL
#define REF_CALL(n)  NULL
#define REF_NONE(n)  fn_##n
#define fn_insn      NULL

HelperFn *const interp_fn[OP_COUNT] = {
#define OP(n, sig, flags) [OP_##n] = REF_##sig(n),
#include "ops.def"
#undef OP
};

/* ---- helpers ---- */

enum { MAX_ARGS = 3 };

/* How to call a helper of n_args arguments, with and without a result. */
typedef struct Signatures {
    ffi_cif cif[MAX_ARGS + 1][2];
} Signatures;

static const Signatures *signatures(void)
{
    static ffi_type *args[] = {&ffi_type_pointer, &ffi_type_uint64, &ffi_type_uint64,
                               &ffi_type_uint64};
    static Signatures table;
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        for (u32 n = 0; n <= MAX_ARGS; n++) {
            ffi_prep_cif(&table.cif[n][0], FFI_DEFAULT_ABI, n + 1, &ffi_type_void,
                         args);
            ffi_prep_cif(&table.cif[n][1], FFI_DEFAULT_ABI, n + 1, &ffi_type_uint64,
                         args);
        }
        g_once_init_leave(&ready, 1);
    }
    return &table;
}

static u64 call_helper(Env *env, const HelperDesc *helper, u64 *args)
{
    const ffi_cif *cif = &signatures()->cif[helper->n_args][helper->has_result];
    void *refs[] = {&env, &args[0], &args[1], &args[2]};
    ffi_arg result = 0;

    ffi_call((ffi_cif *)cif, FFI_FN(helper->fn), &result, refs);
    return result;
}

/* ---- running a block ---- */

typedef struct Frame {
    Env *env;
    const InterpCode *code;
    u64 temp[VAL_CONST - VAL_TEMP];
} Frame;

InterpCode interp_code(const Ir *ir)
{
    const GuestRegs *guest = (const GuestRegs *)ir->guest;

    return (InterpCode){ir->ops, ir->consts, ir->insns, guest ? guest->helpers : NULL};
}

static inline u64 get(const Frame *f, Val v)
{
    if (v < VAL_TEMP)
        return f->env->g[v];
    if (v < VAL_CONST)
        return f->temp[v - VAL_TEMP];
    return v == VAL_NONE ? 0 : (u64)f->code->consts[v - VAL_CONST];
}

static inline void set(Frame *f, Val v, u64 value)
{
    if (v < VAL_TEMP)
        f->env->g[v] = value;
    else if (v < VAL_CONST)
        f->temp[v - VAL_TEMP] = value;
}

static bool branches(OpCode op, u64 a, u64 b)
{
    switch (op) {
    case OP_beq: return op_beq(a, b);
    case OP_bne: return op_bne(a, b);
    case OP_blt: return op_blt(a, b);
    case OP_bge: return op_bge(a, b);
    case OP_bltu: return op_bltu(a, b);
    case OP_bgeu: return op_bgeu(a, b);
    default: return false;
    }
}

/* An op without a function.  True: the block is left. */
static bool control(Frame *f, const Op *op, InterpRun *run)
{
    u64 a = get(f, op->in[0]), b = get(f, op->in[1]);
    u64 args[MAX_ARGS] = {a, b, get(f, op->in[2])};

    run->exit = op->exit;
    switch (op->op) {
    case OP_insn: return false;
    case OP_leave: return true;
    case OP_check: return atomic_load_explicit(&f->env->request, memory_order_relaxed);
    case OP_call:
        set(f, op->out, call_helper(f->env, &f->code->helpers[op->imm], args));
        return false;
    case OP_jump:
        run->exit = INTERP_JUMP;
        run->pc = a;
        return true;
    default: return branches(op->op, a, b);
    }
}

/* Notes the address of a memory op.  False: it is out of the guest's window. */
static inline bool reach(InterpRun *run, u64 addr)
{
    run->addr = addr;
    if (LIKELY(!run->limit || addr < run->limit))
        return true;
    run->exit = INTERP_FAULT;
    return false;
}

/* The host address of the one just noted, behind a softmmu. */
static u64 look_up(Env *env, InterpRun *run, u16 op, u64 value)
{
    const TlbEntry *e =
        env_tlb(env, run->addr, op_access_size(op), op_desc[op].flags & STORE);

    if (e)
        return run->addr + e->addend;
    if (run->on_miss)
        run->on_miss(run, op, value);
    return run->miss[op_lookup(op) - OP_tlb_r1](env, run->addr, value,
                                                op_atomic(op) ? MISS_ATOMIC : 0);
}

static void run_ops(Env *env, const InterpCode *code, InterpRun *run)
{
    Frame f;

    f.env = env;
    f.code = code;
    for (run->op = 0;; run->op++) {
        const Op *op = &code->ops[run->op];
        HelperFn *fn = interp_fn[op->op];
        u64 a;

        if (!fn) {
            if (control(&f, op, run))
                return;
            continue;
        }
        a = get(&f, op->in[0]);
        if (op_desc[op->op].flags & FAULT) {
            a += (u64)(i64)op->imm;
            if (!reach(run, a))
                return;
            if (run->miss)
                a = look_up(env, run, op->op, get(&f, op->in[1]));
            run->host = env->base + a;
            if (UNLIKELY(run->on_store) && op_desc[op->op].flags & STORE)
                run->on_store(run, op->op);
        }
        set(&f, op->out, fn(env, a, get(&f, op->in[1]), get(&f, op->in[2])));
    }
}

void interp_block(Env *env, const InterpCode *code, InterpRun *run)
{
    run->host_mxcsr = _mm_getcsr();
    _mm_setcsr(env->mxcsr);
    run_ops(env, code, run);
    interp_leave(env, run);
}

void interp_leave(Env *env, const InterpRun *run)
{
    env->mxcsr = _mm_getcsr();
    _mm_setcsr(run->host_mxcsr);
}

u64 interp_pc(const InterpCode *code, u32 op, u64 fallback)
{
    do {
        if (code->ops[op].op == OP_insn)
            return code->insns[code->ops[op].imm].pc;
    } while (op--);
    return fallback;
}
