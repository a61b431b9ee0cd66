/* SPDX-License-Identifier: MIT */
/*
 * A block's code did not do what its ops say: who is to blame?  The passes are tried
 * one after another in the interpreter, then the emitted code of ever longer pieces of
 * the block, all from the state that the block was entered in.
 */
#include <immintrin.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"

typedef struct Search {
    Cache *cache;
    Env *env;
    CheckRun *run;
    const Tb *tb;
    Tb *scratch;    /* where pieces are emitted: the next block's place */
    Ir *ir, *piece; /* the block; what is tried at the moment */
    GArray *stores; /* a second list, for two interpretations in a row */
    FILE *out;
} Search;

/* ---- pieces of the block ---- */

static void ir_from(Ir *ir, const CheckBlock *b, const Guest *guest)
{
    ir_reset(ir, (const struct Guest *)guest);
    memcpy(ir->ops, b->code.ops, b->n_ops * sizeof *ir->ops);
    memcpy(ir->consts, b->code.consts, b->n_consts * sizeof *ir->consts);
    memcpy(ir->insns, b->code.insns, b->n_insns * sizeof *ir->insns);
    memcpy(ir->exits, b->exits, b->n_exits * sizeof *ir->exits);
    ir->n_ops = b->n_ops;
    ir->n_consts = b->n_consts;
    ir->n_insns = b->n_insns;
    ir->n_exits = b->n_exits;
}

/* The register of this class that a temp is shown in: the last. */
static Val show_in(const Guest *guest, u8 cls)
{
    Val v = 0;

    for (u32 i = 0; i < ENV_GLOBALS; i++)
        if (guest->regs.globals[i].cls == cls)
            v = (Val)i;
    return v;
}

/* What is still to be made canonical somewhere in instruction i. */
static Canon due_in(const Ir *ir, u32 i)
{
    Canon a = ir->insns[i].canon, b = a;

    if (i + 1 < ir->n_insns)
        b = ir->insns[i + 1].canon;
    return (Canon){a.d | b.d, a.s | b.s};
}

/* The first n ops, with the result of the last in a register. */
static void cut(Ir *piece, const Ir *ir, u32 n, const Guest *guest)
{
    const Op *last = &ir->ops[n - 1];
    u16 exit;

    *piece = *ir;
    piece->n_ops = n;
    while (piece->insns[piece->n_insns - 1].op >= n)
        piece->n_insns--;
    if (val_is_temp(last->out) && last->out < VAL_FTEMP)
        gen_mov(piece, show_in(guest, CLS_R), last->out);
    else if (val_is_temp(last->out))
        gen_fmov(piece, show_in(guest, CLS_F), last->out);
    exit = ir_exit(piece, EXIT_JUMP, TRAP_NONE, ir->insns[piece->n_insns - 1].pc);
    piece->exits[exit].canon = due_in(ir, piece->n_insns - 1);
    gen_leave(piece, exit);
}

/* The first n instructions. */
static void cut_insns(Ir *piece, const Ir *ir, u32 n)
{
    u16 exit;

    *piece = *ir;
    if (n == ir->n_insns)
        return;
    piece->n_ops = ir->insns[n].op;
    piece->n_insns = n;
    exit = ir_exit(piece, EXIT_JUMP, TRAP_NONE, ir->insns[n].pc);
    gen_leave(piece, exit);
}

/* ---- trying them ---- */

static void interpret(Search *s, const Ir *ir, CheckOutcome *o)
{
    InterpCode code = interp_code(ir);

    check_interpret(s->run, &code, ir->exits, o);
}

static void swap_stores(Search *s)
{
    GArray *other = s->stores;

    s->stores = s->run->stores;
    s->run->stores = other;
}

/* Interpreted, do the two do the same? */
static bool same_meaning(Search *s, const Ir *a, const Ir *b, const CheckTell *t)
{
    CheckOutcome meant, got;
    bool same;

    s->run->tape.plays = true;
    interpret(s, a, &meant);
    check_undo(s->run);
    swap_stores(s);
    interpret(s, b, &got);
    swap_stores(s);
    same = check_same(s->cache, &meant, &got, t) & check_same_memory(s->run, t);
    swap_stores(s);
    check_undo(s->run);
    swap_stores(s);
    return same;
}

/* Emits a piece behind all blocks.  False: no room. */
static bool emit(Search *s, const Ir *ir)
{
    Cache *c = s->cache;
    Tb *tb = s->scratch;

    *tb = (Tb){.pc = s->tb->pc,
               .flags = s->tb->flags | KEY_STEP,
               .trace = s->tb->trace,
               .plan = s->tb->plan};
    if (c->at + 2 * CODE_MARGIN > c->size || !gen_emit(c, tb, ir, 0))
        return false;
    tb->code = c->task->at;
    tb->end = c->task->end;
    return true;
}

static void code_outcome(Search *s, u32 number, const Ir *ir, CheckOutcome *o)
{
    u32 i = number - s->cache->n_exits;

    *o = (CheckOutcome){.end = END_WENT_ON, .pc = s->env->pc};
    if (number != EXIT_JUMP_MISS && i < s->cache->task->n_exits) {
        const IrExit *x = &ir->exits[s->cache->task->exits[i].ir_exit];

        o->end = x->kind == EXIT_TRAP ? END_TRAPPED : END_WENT_ON;
        o->pc = x->pc;
        o->kind = x->trap;
    }
    check_save(&o->state, s->env);
}

static void run_code(Search *s, const Ir *ir, CheckOutcome *o)
{
    CheckRun *r = s->run;

    check_load(s->env, &r->start);
    r->tape.at = 0;
    if (sigsetjmp(r->escape, 0) == 0) {
        u32 number;

        r->fragile = true;
        number = exec_enter(s->cache, s->env, s->scratch);
        r->fragile = false;
        code_outcome(s, number, ir, o);
    } else {
        _mm_setcsr(0x1f80);
        s->env->call_site = 0;
        *o = (CheckOutcome){.end = END_FAULTED, .pc = s->tb->pc};
        check_save(&o->state, s->env);
    }
}

/* Does the code of ir do what ir says?  True also when that cannot be seen. */
static bool same_code(Search *s, const Ir *ir, const CheckTell *t)
{
    CheckOutcome meant, got;
    bool same;

    interpret(s, ir, &meant);
    check_undo(s->run);
    if (meant.end == END_FAULTED || !emit(s, ir))
        return true;
    run_code(s, ir, &got);
    same = check_same(s->cache, &meant, &got, t) & check_same_memory(s->run, t);
    check_undo(s->run);
    return same;
}

/* ---- the search ---- */

/* The first instruction after which the pass has changed what the block does. */
static u32 guilty_insn(Search *s, const Ir *before, u32 pass)
{
    Ir *after = ir_new();
    u32 n = 1;

    for (; n < before->n_insns; n++) {
        cut_insns(s->piece, before, n);
        *after = *s->piece;
        gen_pass(s->cache, pass, after);
        if (!same_meaning(s, s->piece, after, NULL))
            break;
    }
    free(after);
    return n - 1;
}

/* The index of the first op whose code computes something else; n_ops: none found. */
static u32 guilty_op(Search *s)
{
    for (u32 n = 1; n <= s->ir->n_ops; n++) {
        if (s->ir->ops[n - 1].op == OP_insn)
            continue;
        if (n == s->ir->n_ops)
            *s->piece = *s->ir;
        else
            cut(s->piece, s->ir, n, s->cache->guest);
        if (!same_code(s, s->piece, NULL))
            return n - 1;
    }
    return s->ir->n_ops;
}

/* ---- telling ---- */

static void print_insn(Search *s, const IrInsn *insn, const char *mark)
{
    char text[96];

    if (!insn->len || !s->cache->guest->disas(
                          text, sizeof text, insn->pc,
                          space_host(s->cache->source.space, insn->pc), insn->len))
        strcpy(text, "(not an instruction)");
    fprintf(s->out, "%s 0x%" PRIx64 ": %s\n", mark, insn->pc, text);
}

/* The block, instruction by instruction with their ops; one of either is marked. */
static void print_block(Search *s, const Ir *ir, u32 insn, u32 op)
{
    char text[160];
    u32 i = 0;

    for (u32 n = 0; n < ir->n_ops; n++) {
        if (ir->ops[n].op == OP_insn) {
            print_insn(s, &ir->insns[i], i == insn ? "=>" : "  ");
            i++;
            continue;
        }
        ir_op_text(text, sizeof text, ir, &ir->ops[n]);
        fprintf(s->out, "%s       %s\n", n == op ? "=>" : "  ", text);
    }
}

static void print_host(Search *s, u32 op)
{
    const EmitTask *t = s->cache->task;
    u32 from = t->op_at[op], to = t->op_at[op + 1];

    fprintf(s->out, "its host code:\n");
    disas_host(s->out, s->cache->write + from, to - from,
               (u64)(uintptr_t)(s->cache->exec + from));
}

static void tell_pass(Search *s, const Ir *before, u32 pass)
{
    u32 insn = guilty_insn(s, before, pass);
    Ir *after = ir_new();

    cut_insns(s->piece, before, insn + 1);
    *after = *s->piece;
    gen_pass(s->cache, pass, after);
    fprintf(s->out, "the pass \"%s\" changes what this means; the ops before it:\n",
            gen_passes[pass].name);
    print_block(s, s->piece, insn, s->piece->n_ops);
    fprintf(s->out, "the ops after it:\n");
    print_block(s, after, insn, after->n_ops);
    fprintf(s->out, "from the same state:\n");
    same_meaning(s, s->piece, after, &(CheckTell){s->out, "after it"});
    free(after);
}

static void tell_op(Search *s)
{
    char text[160];
    u32 op = guilty_op(s), insn = 0;

    if (op == s->ir->n_ops) {
        fprintf(s->out, "no piece of it shows this when made again; the block:\n");
        print_block(s, s->ir, s->ir->n_insns, s->ir->n_ops);
        return;
    }
    while (insn + 1 < s->ir->n_insns && s->ir->insns[insn + 1].op <= op)
        insn++;
    print_block(s, s->ir, insn, op);
    ir_op_text(text, sizeof text, s->ir, &s->ir->ops[op]);
    fprintf(s->out, "first op that differs: #%u, %s\n", op, text);
    same_code(s, s->piece, &(CheckTell){s->out, "code"});
    print_host(s, op);
}

/* True: a pass is to blame, and has been told of; else s->ir is what was emitted. */
static bool try_passes(Search *s)
{
    Ir *before = ir_new();
    const char *why;
    bool guilty = false;

    for (u32 i = 0; s->tb->trace && i < gen_n_passes && !guilty; i++) {
        *before = *s->ir;
        gen_pass(s->cache, i, s->ir);
        if (!ir_verify(s->ir, &why))
            fprintf(s->out, "after the pass \"%s\": %s\n", gen_passes[i].name, why);
        guilty = !same_meaning(s, before, s->ir, NULL);
        if (guilty)
            tell_pass(s, before, i);
    }
    free(before);
    return guilty;
}

static void tell(Search *s)
{
    const Tb *tb = s->tb;
    const CheckBlock *b = &s->cache->check->blocks[tb_number(s->cache, tb)];
    CheckRun *r = s->run;
    const CheckTell t = {s->out, "code"};
    char where[SYMBOL_TEXT];

    fprintf(s->out,
            "tessera: -accel check: the code of the %s at 0x%" PRIx64
            "%s (%u instructions) does not do what its micro-ops say:\n",
            tb->trace ? "trace" : "block", tb->pc,
            cache_symbol_text(s->cache, tb->pc, where), b->n_insns);
    check_same(s->cache, &r->meant, &r->got, &t);
    check_same_memory(r, &t);
    check_undo(r);
    ir_from(s->ir, b, s->cache->guest);
    if (!try_passes(s))
        tell_op(s);
    fprintf(s->out, "more: -d in_asm,op,op_opt,out_asm -dfilter 0x%" PRIx64 "+1\n",
            tb->pc);
}

static void find_source(Cache *c, Env *env, const Tb *tb)
{
    c->source.space = c->space;
    if (c->options.system)
        system_source(c, env, (TbKey){tb->pc, tb->flags}, &c->source);
}

void check_report(Cache *c, Env *env, const Tb *tb)
{
    char *text = NULL;
    size_t size = 0;
    Search s = {.cache = c, .env = env, .run = env->thread->check, .tb = tb};

    s.scratch = &c->tbs[c->n_tbs];
    s.ir = ir_new();
    s.piece = ir_new();
    s.stores = g_array_new(FALSE, FALSE, sizeof(CheckStore));
    s.out = open_memstream(&text, &size);
    if (!s.ir || !s.piece || !s.out)
        _exit(CHECK_STATUS);
    fork_own_tail(c);
    code_make_ready(c);
    find_source(c, env, tb);
    tell(&s);
    fclose(s.out);
    fwrite(text, 1, size, stderr);
    fflush(stderr);
    _exit(CHECK_STATUS);
}
