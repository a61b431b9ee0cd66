/* SPDX-License-Identifier: MIT */
/*
 * The interpreter's fast form: a block decoded once into steps, each the C function
 * of an op in ops.h and pointers to its operands.  A step ends by jumping into the
 * next, a block's last into the block it is linked to; what all of them need is in
 * host registers meanwhile.  interp.c is the same, one op at a time and watched.
 */
#include "microops.h"
#include "packed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Registers that C functions keep: a step calls what it likes. */
register Env *reg_env __asm__("rbx");
register const Step *at __asm__("r12");
register u64 base __asm__("r13"); /* host address of guest address 0 */
register u64 limit __asm__("r14");
register StepRun *run __asm__("r15");

#define ENV       reg_env
#define MEM(T, a) (((Packed_##T *)(base + (a)))->v)
#include "ops.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void go(const Step *to)
{
    at = to;
    to->fn();
}

/* Back to the caller of steps_run. */
INLINE void stop(StepsEnd end) { run->end = end; }

/* From here a host fault is this step's. */
INLINE void may_fault(const Step *s)
{
    run->at = s;
    __asm__ volatile("" : : : "memory");
}

/* False: addr is out of the guest's window. */
INLINE bool reach(const Step *s, u64 addr, u16 flags)
{
    may_fault(s);
    if (LIKELY(addr < limit))
        return true;
    run->pc = s->pc;
    run->addr = addr;
    run->write = flags & STORE;
    stop(STEPS_FAULT);
    return false;
}

__attribute__((noinline)) static u64 miss(const Step *s, u64 addr, u16 op)
{
    run->pc = s->pc;
    return run->miss[op_lookup(op) - OP_tlb_r1](reg_env, addr, *s->b,
                                                op_atomic(op) ? MISS_ATOMIC : 0);
}

/* Where addr is, behind a softmmu: a host address. */
INLINE u64 look_up(const Step *s, u64 addr, u16 op, u32 size, u16 flags)
{
    const TlbEntry *e = env_tlb(reg_env, addr, size, flags & STORE);

    return LIKELY(e) ? addr + e->addend : miss(s, addr, op);
}

INLINE bool requested(void)
{
    return UNLIKELY(atomic_load_explicit(&reg_env->request, memory_order_relaxed));
}

/* The head at pc, if the jump cache has it and nothing is requested; or NULL. */
INLINE const Step *cached(u64 pc, u64 tag)
{
    const JumpSlot *slot = &reg_env->jump_cache[jump_slot(pc)];

    return LIKELY(slot->pc == (pc ^ tag)) && !requested() ? slot->host : NULL;
}

__attribute__((noinline)) static void leave(StepLink *link)
{
    const Step *to = link->far ? cached(link->pc, reg_env->jump_tag) : NULL;

    if (to) {
        go(to);
    } else {
        run->link = link;
        stop(STEPS_LINK);
    }
}

INLINE void follow(StepLink *link)
{
    if (UNLIKELY(!link->to) || requested())
        leave(link);
    else
        go(link->to);
}

/*
 * ---- steps ----
 * do_NAME: the op; false: it stopped.  step_NAME: that, and on.  NAME_k: with its
 * last operand constant.  NAME_mmu: of a guest behind a softmmu.
 */

#define DO(n, ...)                    \
    INLINE bool do_##n(const Step *s) \
    {                                 \
        __VA_ARGS__;                  \
        return true;                  \
    }
#define STEP(n, ...)           \
    static void step_##n(void) \
    {                          \
        const Step *s = at;    \
                               \
        __VA_ARGS__;           \
    }
#define PLAIN(n, ...)  \
    DO(n, __VA_ARGS__) \
    STEP(n, if (LIKELY(do_##n(s))) go(s + 1))
/* x: the first operand; a FAULT op's address, behind a softmmu the host's */
#define WITH(n, fl, first, ...)                                                     \
    PLAIN(n, u64 x = first; if (((fl)&FAULT) && !reach(s, x, fl)) return false;     \
          __VA_ARGS__)                                                              \
    PLAIN(n##_mmu,                                                                  \
          u64 x = (fl)&FAULT ? look_up(s, first, OP_##n, op_name_size(#n), fl) : 0; \
          __VA_ARGS__)
#define BRANCH(n, b)      \
    if (op_##n(*s->a, b)) \
        follow(s->link);  \
    else                  \
        go(s + 1)
#define X              (*s->a)
#define ADDR           (*s->a + s->imm)
#define A_             f_bits(*s->a)
#define B_             f_bits(*s->b)
#define C_             f_bits(*s->c)
#define DEF_R_R(n, fl) WITH(n, fl, X, *s->d = op_##n(x))
#define DEF_R_RR(n, fl)                      \
    WITH(n, fl, X, *s->d = op_##n(x, *s->b)) \
    PLAIN(n##_k, *s->d = op_##n(X, s->k))
#define DEF_R_M(n, fl)   WITH(n, fl, ADDR, *s->d = op_##n(x))
#define DEF_M_RR(n, fl)  WITH(n, fl, ADDR, op_##n(x, *s->b))
#define DEF_F_M(n, fl)   WITH(n, fl, ADDR, *s->d = f_raw(op_##n(x)))
#define DEF_M_RF(n, fl)  WITH(n, fl, ADDR, op_##n(x, B_))
#define DEF_F_F(n, fl)   PLAIN(n, *s->d = f_raw(op_##n(A_)))
#define DEF_F_FF(n, fl)  PLAIN(n, *s->d = f_raw(op_##n(A_, B_)))
#define DEF_F_FFF(n, fl) PLAIN(n, *s->d = f_raw(op_##n(A_, B_, C_)))
#define DEF_R_F(n, fl)   PLAIN(n, *s->d = op_##n(A_))
#define DEF_R_N(n, fl)   PLAIN(n, *s->d = op_##n())
#define DEF_N_R(n, fl)   PLAIN(n, op_##n(X))
#define DEF_R_FF(n, fl)  PLAIN(n, *s->d = op_##n(A_, B_))
#define DEF_F_R(n, fl)   PLAIN(n, *s->d = f_raw(op_##n(X)))
#define DEF_X_RR(n, fl)  STEP(n, BRANCH(n, *s->b)) STEP(n##_k, BRANCH(n, s->k))
#define DEF_X(n, fl)
#define DEF_R(n, fl)
#define DEF_CALL(n, fl)
#define DEF_NONE(n, fl)
#define OP(n, sig, flags) DEF_##sig(n, flags)
#include "ops.def"
#undef OP
PLAIN(fence, op_fence())
PLAIN(call, run->at = NULL; *s->d = s->helper(reg_env, X, *s->b, *s->c))
STEP(leave, follow(s->link))
STEP(check, if (requested()) follow(s->link); else go(s + 1))
PLAIN(at, run->pc = s->pc)
#define JUMP(n, tag)                         \
    STEP(n, {                                \
        const Step *to = cached(*s->a, tag); \
                                             \
        if (LIKELY(to)) {                    \
            go(to);                          \
        } else {                             \
            run->pc = *s->a;                 \
            stop(STEPS_JUMP);                \
        }                                    \
    })                                       \
    static void count_##n(void)              \
    {                                        \
        reg_env->jumps++;                    \
        step_##n();                          \
    }
JUMP(jump, 0)
JUMP(jump_tag, reg_env->jump_tag)
#define step_insn   NULL
#define step_tlb_r1 NULL
#define step_tlb_r2 NULL
#define step_tlb_r4 NULL
#define step_tlb_r8 NULL
#define step_tlb_w1 NULL
#define step_tlb_w2 NULL
#define step_tlb_w4 NULL
#define step_tlb_w8 NULL

/* The functions of each op: NAME; and NAME_mmu, or where there is one NAME_k. */
#define SECOND(n, fl, other) (fl) & FAULT ? step_##n##_mmu : (other)
#define K_NONE(n, fl)        NULL
#define K_R_R(n, fl)         SECOND(n, fl, NULL)
#define K_R_RR(n, fl)        SECOND(n, fl, step_##n##_k)
#define K_R_M(n, fl)         SECOND(n, fl, NULL)
#define K_M_RR(n, fl)        SECOND(n, fl, NULL)
#define K_F_M(n, fl)         SECOND(n, fl, NULL)
#define K_M_RF(n, fl)        SECOND(n, fl, NULL)
#define K_F_F(n, fl)         NULL
#define K_F_FF(n, fl)        NULL
#define K_F_FFF(n, fl)       NULL
#define K_R_F(n, fl)         NULL
#define K_R_N(n, fl)         NULL
#define K_N_R(n, fl)         NULL
#define K_R_FF(n, fl)        NULL
#define K_F_R(n, fl)         NULL
#define K_X_RR(n, fl)        step_##n##_k
#define K_X(n, fl)           NULL
#define K_R(n, fl)           NULL
#define K_CALL(n, fl)        NULL
#define OP(n, sig, flags)    [OP_##n] = {step_##n, K_##sig(n, flags)},
static StepFn *const step_fn[OP_COUNT][2] = {
#include "ops.def"
};
#undef OP

/* ---- entering a block ---- */

/* Is the code still what the block was made from?  n: of so many bytes at least; 0:
 * not looked at. */
INLINE bool same(const StepHead *h, u32 n)
{
    const u8 *p = h->host, *q = h->bytes;
    u32 last = h->len - n;
    __m128i equal;

    switch (n) {
    case 0: return true;
#define ENDS(T)                                      \
    (((Packed_##T *)p)->v == ((Packed_##T *)q)->v && \
     ((Packed_##T *)(p + last))->v == ((Packed_##T *)(q + last))->v)
    case 1: return ENDS(u8);
    case 2: return ENDS(u16);
    case 4: return ENDS(u32);
    case 8: return ENDS(u64);
#undef ENDS
    }
#define EQUAL(i)                                             \
    _mm_cmpeq_epi8(_mm_loadu_si128((const void *)(p + (i))), \
                   _mm_loadu_si128((const void *)(q + (i))))
    equal = EQUAL(last);
    for (u32 i = 0; i < last; i += 16)
        equal = _mm_and_si128(equal, EQUAL(i));
#undef EQUAL
    return _mm_movemask_epi8(equal) == 0xffff;
}

INLINE void enter(u32 n)
{
    const StepHead *h = (const StepHead *)at;

    if (n)
        may_fault(at);
    if (LIKELY(h->map == atomic_load_explicit(run->map, memory_order_relaxed) &&
               same(h, n))) {
        go(h->body);
    } else {
        run->head = h;
        stop(STEPS_STALE);
    }
}

#define ENTER(n)                              \
    static void enter_##n(void) { enter(n); } \
    static void count_##n(void)               \
    {                                         \
        reg_env->entered++;                   \
        enter(n);                             \
    }
ENTER(0)
ENTER(1)
ENTER(2)
ENTER(4)
ENTER(8)
ENTER(16)

void steps_head(StepHead *h, u64 pc, const StepCode *code, bool fixed, bool count)
{
    static StepFn *const fns[][2] = {{enter_0, count_0}, {enter_1, count_1},
                                     {enter_2, count_2}, {enter_4, count_4},
                                     {enter_8, count_8}, {enter_16, count_16}};
    u32 class = 0;

    while (!fixed && class < 5 && h->len >= 1u << class)
        class ++;
    h->body = code->steps;
    h->enter = (Step){.fn = fns[class][count], .pc = pc};
}

/* ---- decoding ---- */

typedef struct Decoder {
    const Ir *ir;
    Env *env;
    StepRun *run;
    StepCode *code;
    bool count;
} Decoder;

static u64 *place(const Decoder *d, Val v)
{
    if (v < VAL_TEMP)
        return &d->env->g[v];
    if (v < VAL_CONST)
        return &d->run->temp[v - VAL_TEMP];
    return v == VAL_NONE ? &d->run->none : &d->code->consts[v - VAL_CONST];
}

static StepFn *function_of(const Decoder *d, const Op *op, bool k)
{
    bool mmu = d->run->miss;

    if (op->op == OP_jump && d->count)
        return mmu ? count_jump_tag : count_jump;
    if (op->op == OP_jump)
        return mmu ? step_jump_tag : step_jump;
    return step_fn[op->op][k || (mmu && op_desc[op->op].flags & FAULT)];
}

static void decode(const Decoder *d, Step *s, const Op *op, u64 pc)
{
    const OpDesc *desc = &op_desc[op->op];
    bool k = !(desc->flags & FAULT) && step_fn[op->op][1] && val_is_const(op->in[1]);

    s->fn = function_of(d, op, k);
    s->d = place(d, op->out);
    s->a = place(d, op->in[0]);
    s->b = place(d, op->in[1]);
    if (k)
        s->k = (u64)ir_value(d->ir, op->in[1]);
    else if (desc->flags & FAULT)
        s->pc = pc;
    else
        s->c = place(d, op->in[2]);
    if (op->op == OP_call)
        s->helper = ((const GuestRegs *)d->ir->guest)->helpers[op->imm].fn;
    else if (desc->has_exit)
        s->link = &d->code->links[op->exit];
    else
        s->imm = (u64)(i64)op->imm;
}

static void decode_links(const Decoder *d)
{
    for (u32 i = 0; i < d->ir->n_exits; i++) {
        const IrExit *x = &d->ir->exits[i];

        d->code->links[i] = (StepLink){.pc = x->pc,
                                       .addr = x->addr,
                                       .kind = x->kind,
                                       .trap = x->trap,
                                       .far = x->far};
    }
}

/* Behind a softmmu, helpers may end the instruction. */
static u32 calls_of(const Ir *ir)
{
    u32 n = 0;

    for (u32 i = 0; i < ir->n_ops; i++)
        n += ir->ops[i].op == OP_call;
    return n;
}

StepCode *steps_new(const Ir *ir, Env *env, StepRun *r, bool count)
{
    u32 n = ir->n_ops - ir->n_insns + (r->miss ? calls_of(ir) : 0), i = 0;
    size_t consts = ir->n_consts * sizeof(u64), links = ir->n_exits * sizeof(StepLink);
    StepCode *c = malloc(sizeof *c + n * sizeof *c->steps + links + consts);
    Decoder d = {ir, env, r, c, count};
    u64 pc = 0;

    if (!c)
        return NULL;
    c->links = (StepLink *)(c->steps + n);
    c->consts = (u64 *)(c->links + ir->n_exits);
    memcpy(c->consts, ir->consts, consts);
    decode_links(&d);
    for (const Op *op = ir->ops; op < ir->ops + ir->n_ops; op++)
        if (op->op == OP_insn) {
            pc = ir->insns[op->imm].pc;
        } else {
            if (op->op == OP_call && r->miss)
                c->steps[i++] = (Step){.fn = step_at, .pc = pc};
            decode(&d, &c->steps[i++], op, pc);
        }
    return c;
}

/* ---- running ---- */

/* Apart from what it calls: our caller's registers are as it left them. */
__attribute__((noinline)) static void run_steps(Env *env, const Step *first, StepRun *r)
{
    Env *env_was = reg_env;
    const Step *at_was = at;
    u64 base_was = base, limit_was = limit;
    StepRun *run_was = run;

    reg_env = env;
    base = env->base;
    limit = r->limit;
    run = r;
    go(first);
    reg_env = env_was;
    at = at_was;
    base = base_was;
    limit = limit_was;
    run = run_was;
}

StepsEnd steps_run(Env *env, const Step *first, StepRun *r)
{
    r->host_mxcsr = _mm_getcsr();
    _mm_setcsr(env->mxcsr);
    run_steps(env, first, r);
    steps_leave(env, r);
    return r->end;
}

void steps_leave(Env *env, StepRun *r)
{
    env->mxcsr = _mm_getcsr();
    _mm_setcsr(r->host_mxcsr);
    r->at = NULL;
}
