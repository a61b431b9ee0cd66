/* SPDX-License-Identifier: MIT */
/*
 * The buffer of micro-ops: filling, printing and checking it.  What ops mean is
 * ops.h's; rewriting them is the passes'.
 */
#include "microops.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- descriptions, expanded from ops.def ---- */

#define SIG_NONE(n)  .has_imm = OP_##n == OP_insn
#define SIG_R_R(n)   .out = CLS_R, .in = {CLS_R}, .n_in = 1
#define SIG_R_RR(n)  .out = CLS_R, .in = {CLS_R, CLS_R}, .n_in = 2
#define SIG_R_M(n)   .out = CLS_R, .in = {CLS_R}, .n_in = 1, .has_imm = true
#define SIG_M_RR(n)  .in = {CLS_R, CLS_R}, .n_in = 2, .has_imm = true
#define SIG_F_M(n)   .out = CLS_F, .in = {CLS_R}, .n_in = 1, .has_imm = true
#define SIG_M_RF(n)  .in = {CLS_R, CLS_F}, .n_in = 2, .has_imm = true
#define SIG_F_F(n)   .out = CLS_F, .in = {CLS_F}, .n_in = 1
#define SIG_F_FF(n)  .out = CLS_F, .in = {CLS_F, CLS_F}, .n_in = 2
#define SIG_F_FFF(n) .out = CLS_F, .in = {CLS_F, CLS_F, CLS_F}, .n_in = 3
#define SIG_R_F(n)   .out = CLS_R, .in = {CLS_F}, .n_in = 1
#define SIG_R_FF(n)  .out = CLS_R, .in = {CLS_F, CLS_F}, .n_in = 2
#define SIG_F_R(n)   .out = CLS_F, .in = {CLS_R}, .n_in = 1
#define SIG_X_RR(n)  .in = {CLS_R, CLS_R}, .n_in = 2, .has_exit = true
#define SIG_X(n)     .has_exit = true
#define SIG_R_N(n)   .out = CLS_R
#define SIG_N_R(n)   .in = {CLS_R}, .n_in = 1
#define SIG_R(n)     .in = {CLS_R}, .n_in = 1
/* a call's operands are raw: of either class, and as many as the helper has */
#define SIG_CALL(n) \
    .out = CLS_R, .in = {CLS_R, CLS_R, CLS_R}, .n_in = 3, .has_imm = true

const OpDesc op_desc[OP_COUNT] = {
#define OP(n, sig, fl) [OP_##n] = {.name = #n, .flags = fl, SIG_##sig(n)},
#include "ops.def"
#undef OP
};

/* ---- filling ---- */

enum { INSN_OPS = 64, INSN_CONSTS = 64, INSN_EXITS = 8 }; /* the longest kind */

Ir *ir_new(void)
{
    Ir *ir = malloc(sizeof(*ir));

    if (ir)
        ir_reset(ir, NULL);
    return ir;
}

void ir_reset(Ir *ir, const struct Guest *guest)
{
    ir->n_ops = ir->n_consts = ir->n_exits = ir->n_insns = 0;
    ir->n_temps = ir->n_ftemps = 0;
    ir->guest = guest;
    ir->paged = false;
}

void ir_insn(Ir *ir, u64 pc, u8 len)
{
    assert(ir->n_insns < IR_INSNS);
    ir->n_temps = ir->n_ftemps = 0;
    ir->insns[ir->n_insns] = (IrInsn){pc, (u16)ir->n_ops, len};
    gen_insn(ir, (i32)ir->n_insns++);
}

/* In a page that may be mapped elsewhere tomorrow, or where an instruction may lie that
 * ends in one? */
static bool is_far(const Ir *ir, ExitKind kind, u64 pc)
{
    return UNLIKELY(ir->paged) && kind == EXIT_JUMP && ir->n_insns &&
           ((pc ^ ir->insns[0].pc) & PAGE_MASK || (pc & ~PAGE_MASK) == PAGE_SIZE - 2);
}

u16 ir_exit(Ir *ir, ExitKind kind, TrapKind trap, u64 pc)
{
    assert(ir->n_exits < IR_EXITS);
    ir->exits[ir->n_exits] = (IrExit){
        .pc = pc, .kind = (u8)kind, .trap = (u8)trap, .far = is_far(ir, kind, pc)};
    return (u16)ir->n_exits++;
}

bool ir_room(const Ir *ir)
{
    return ir->n_ops + INSN_OPS <= IR_OPS && ir->n_insns < IR_INSNS &&
           ir->n_consts + INSN_CONSTS <= IR_CONSTS &&
           ir->n_exits + INSN_EXITS <= IR_EXITS;
}

/* The first member of a Guest is what this layer knows of it. */
static const GuestRegs *guest_regs(const Ir *ir)
{
    return (const GuestRegs *)ir->guest;
}

/* ---- printing ---- */

typedef struct Text {
    char *out;
    size_t size, used; /* used may run past size, as snprintf's result does */
} Text;

static void PRINTF(2, 3) text_add(Text *t, const char *format, ...)
{
    size_t at = MIN(t->used, t->size);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->size ? t->out + at : NULL, t->size - at, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
}

static void text_number(Text *t, i64 v)
{
    if (v > -4096 && v < 4096)
        text_add(t, "%" PRId64, v);
    else
        text_add(t, "0x%" PRIx64, (u64)v);
}

static void text_val(Text *t, const Ir *ir, Val v)
{
    const GuestRegs *guest = guest_regs(ir);

    if (v == VAL_NONE)
        text_add(t, "-");
    else if (val_is_const(v) && v - VAL_CONST < (int)ir->n_consts)
        text_number(t, ir_value(ir, v));
    else if (val_is_const(v))
        text_add(t, "?%u", v);
    else if (v >= VAL_FTEMP)
        text_add(t, "%%f%u", v - VAL_FTEMP);
    else if (v >= VAL_TEMP)
        text_add(t, "%%%u", v - VAL_TEMP);
    else if (guest && guest->globals[v].cls != CLS_NONE)
        text_add(t, "%s", guest->globals[v].name);
    else
        text_add(t, "g%u", v);
}

static void text_memory(Text *t, const Ir *ir, const Op *op)
{
    text_add(t, "[");
    text_val(t, ir, op->in[0]);
    if (op->imm)
        text_add(t, " %c %d", op->imm < 0 ? '-' : '+',
                 op->imm < 0 ? -op->imm : op->imm);
    text_add(t, "]");
}

static void text_exit(Text *t, const Ir *ir, u16 exit)
{
    static const char *const traps[] = {
        [TRAP_NONE] = "none",
        [TRAP_SYSCALL] = "syscall",
        [TRAP_BREAK] = "break",
        [TRAP_ILLEGAL] = "illegal",
        [TRAP_FETCH] = "fetch",
        [TRAP_MEMORY] = "memory",
        [TRAP_MISALIGNED] = "misaligned",
        [TRAP_FENCE_I] = "fence_i",
        [TRAP_REQUEST] = "request",
        [TRAP_STOP] = "stop",
    };
    const IrExit *x = &ir->exits[exit];

    text_add(t, " -> ");
    if (exit >= ir->n_exits) {
        text_add(t, "?%u", exit);
        return;
    }
    if (x->kind == EXIT_TRAP)
        text_add(t, "%s at ", x->trap < ARRAY_SIZE(traps) ? traps[x->trap] : "?");
    text_add(t, "0x%" PRIx64 "%s", x->pc, x->loop ? " (loop)" : "");
}

static void text_call(Text *t, const Ir *ir, const Op *op)
{
    const GuestRegs *guest = guest_regs(ir);

    if (guest && (u32)op->imm < guest->n_helpers)
        text_add(t, "%s(", guest->helpers[op->imm].name);
    else
        text_add(t, "?%d(", op->imm);
    for (u32 i = 0; i < 3 && op->in[i] != VAL_NONE; i++) {
        text_add(t, i ? ", " : "");
        text_val(t, ir, op->in[i]);
    }
    text_add(t, ")");
}

static void text_operands(Text *t, const Ir *ir, const Op *op)
{
    const OpDesc *desc = &op_desc[op->op];
    bool memory = desc->has_imm && desc->flags & (LOAD | STORE);

    for (u32 i = 0; i < desc->n_in; i++) {
        text_add(t, i || op->out != VAL_NONE ? ", " : "");
        if (memory && i == 0)
            text_memory(t, ir, op);
        else
            text_val(t, ir, op->in[i]);
    }
    if (desc->has_exit)
        text_exit(t, ir, op->exit);
}

int ir_op_text(char *out, size_t size, const Ir *ir, const Op *op)
{
    Text t = {out, size, 0};

    if (op->op >= OP_COUNT) {
        text_add(&t, "?%u", op->op);
        return (int)t.used;
    }
    text_add(&t, "%-8s ", op_desc[op->op].name);
    if (op->out != VAL_NONE)
        text_val(&t, ir, op->out);
    if (op->op == OP_call) {
        text_add(&t, op->out != VAL_NONE ? ", " : "");
        text_call(&t, ir, op);
    } else {
        text_operands(&t, ir, op);
    }
    return (int)t.used;
}

void ir_dump(FILE *f, const Ir *ir)
{
    char text[256];

    for (u32 i = 0; i < ir->n_ops; i++) {
        const Op *op = &ir->ops[i];

        if (op->op == OP_insn && (u32)op->imm < ir->n_insns) {
            fprintf(f, "0x%" PRIx64 ":\n", ir->insns[op->imm].pc);
        } else {
            ir_op_text(text, sizeof(text), ir, op);
            fprintf(f, "    %s\n", text);
        }
    }
}

/* ---- checking ---- */

typedef struct Check {
    const Ir *ir;
    u32 insn;                          /* instructions begun so far */
    u16 defined[VAL_CONST - VAL_TEMP]; /* 1 + insn in which the temp was written */
} Check;

static const char *check_class(const Check *c, Val v, u8 cls)
{
    const GuestRegs *guest = guest_regs(c->ir);

    if (val_is_temp(v))
        return (v >= VAL_FTEMP) == (cls == CLS_F) ? NULL : "a temp of the wrong class";
    if (guest && guest->globals[v].cls != cls)
        return "a global of the wrong class";
    return NULL;
}

/* raw: a call's operand, of either class */
static const char *check_in(const Check *c, Val v, u8 cls, bool raw)
{
    if (v == VAL_NONE)
        return "an operand is missing";
    if (val_is_const(v)) {
        if (v - VAL_CONST >= (int)c->ir->n_consts)
            return "no such constant";
        return cls == CLS_R ? NULL : "a constant of the wrong class";
    }
    if (val_is_temp(v) && c->defined[v - VAL_TEMP] != c->insn + 1)
        return "a temp is read before it is written";
    return raw ? NULL : check_class(c, v, cls);
}

static const char *check_out(Check *c, Val v, u8 cls, bool raw)
{
    if (v == VAL_NONE)
        return "the result is missing";
    if (val_is_const(v))
        return "the result is a constant";
    if (val_is_temp(v))
        c->defined[v - VAL_TEMP] = (u16)(c->insn + 1);
    return raw ? NULL : check_class(c, v, cls);
}

static const char *check_operands(Check *c, const Op *op, u32 n_in, bool has_out)
{
    const OpDesc *desc = &op_desc[op->op];
    bool raw = op->op == OP_call;
    const char *why = NULL;

    for (u32 i = 0; i < 3 && !why; i++) {
        if (i < n_in)
            why = check_in(c, op->in[i], desc->in[i], raw);
        else if (op->in[i] != VAL_NONE)
            why = "an operand too many";
    }
    if (why)
        return why;
    if (has_out)
        return check_out(c, op->out, desc->out, raw);
    return op->out == VAL_NONE ? NULL : "a result too many";
}

static const char *check_call(Check *c, const Op *op)
{
    const GuestRegs *guest = guest_regs(c->ir);
    const HelperDesc *helper;

    if (!guest || (u32)op->imm >= guest->n_helpers)
        return "no such helper";
    helper = &guest->helpers[op->imm];
    return check_operands(c, op, helper->n_args,
                          op->out != VAL_NONE || helper->has_result);
}

static const char *check_exit(const Ir *ir, u16 exit)
{
    const IrExit *x = &ir->exits[exit];

    if (exit >= ir->n_exits)
        return "no such exit";
    if (x->kind != EXIT_JUMP && x->kind != EXIT_TRAP)
        return "an exit of no kind";
    if (x->kind == EXIT_TRAP && (x->trap == TRAP_NONE || x->trap > TRAP_STOP))
        return "an exit without its trap";
    return NULL;
}

static bool is_end(const Op *op) { return op->op == OP_leave || op->op == OP_jump; }

static const char *check_op(Check *c, u32 index)
{
    const Op *op = &c->ir->ops[index];
    const char *why;

    if (op->op >= OP_COUNT)
        return "no such op";
    if (is_end(op) && index != c->ir->n_ops - 1)
        return "ops after the end";
    if (op->op == OP_insn) {
        if ((u32)op->imm != c->insn || c->insn >= c->ir->n_insns)
            return "an instruction out of order";
        if (c->ir->insns[c->insn].op != index)
            return "an instruction that does not know its op";
        c->insn++;
    }
    why = op->op == OP_call ? check_call(c, op)
                            : check_operands(c, op, op_desc[op->op].n_in,
                                             op_desc[op->op].out != CLS_NONE);
    if (!why && op_desc[op->op].has_exit)
        why = check_exit(c->ir, op->exit);
    return why;
}

/* Leaves the reason in *why, with the op's text; always false. */
static bool refuse(const char **why, const Ir *ir, u32 index, const char *reason)
{
    static _Thread_local char message[320];
    char text[200] = "";

    if (index < ir->n_ops)
        ir_op_text(text, sizeof(text), ir, &ir->ops[index]);
    snprintf(message, sizeof(message), "op %u: %s: %s", index, text, reason);
    *why = message;
    return false;
}

bool ir_verify(const Ir *ir, const char **why)
{
    Check c = {.ir = ir};

    for (u32 i = 0; i < ir->n_ops; i++) {
        const char *reason = check_op(&c, i);

        if (reason)
            return refuse(why, ir, i, reason);
    }
    if (ir->n_ops == 0 || !is_end(&ir->ops[ir->n_ops - 1]))
        return refuse(why, ir, ir->n_ops, "the block does not end");
    if (c.insn != ir->n_insns)
        return refuse(why, ir, ir->n_ops, "instructions without their op");
    return true;
}
