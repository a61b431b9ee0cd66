/* SPDX-License-Identifier: MIT */
/*
 * What test_emit has reached, of what there is: every stencil family (op, form) of
 * both sets, each op with each kind of operand, each way out.  Only what was run and
 * compared counts; what was put down behind the exit taken does not.
 *
 * The linker's --wrap=put_new shows us each stencil put (those that the emitter has in
 * its memo it does not ask for again, so most cases begin with none).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "emit_case.h"

enum { PUTS = 1 << 14, VARIANTS = HOST_R * HOST_R * HOST_R };

typedef struct Put {
    u16 op, variant, at; /* at: index of the op that it is for */
    u8 form;
    bool cold;
} Put;

/* Where an operand is. */
#define PLACES(X) X(reg) X(slot) X(temp) X(spilled) X(constant)
typedef enum Place {
#define X(name) PLACE_##name,
    PLACES(X)
#undef X
        PLACE_COUNT
} Place;

static const char *const place_names[] = {
#define X(name) #name,
    PLACES(X)
#undef X
};

/* Which operands are the same global. */
enum { SAME_OUT_0, SAME_OUT_1, SAME_0_1, SAME_ALL, SAME_COUNT };

static const char *const same_names[] = {"d = a", "d = b", "a = b", "d = a = b"};

typedef struct OpCover {
    u32 out[PLACE_COUNT], in[3][PLACE_COUNT], same[SAME_COUNT];
} OpCover;

typedef struct SetCover {
    u32 family[OP_COUNT][FORM_COUNT];
    u8 variant[OP_COUNT][FORM_COUNT][VARIANTS / 8 + 1];
    OpCover op[OP_COUNT];
} SetCover;

static const StencilSet *const sets[] = {&stencils_base, &stencils_v3};
static SetCover covers[2];
static u64 ops_run, events[COVER_EVENTS];
static Put made[PUTS];
static u32 n_made;

/* ---- stencils put ---- */

void __real_put_new(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit,
                    u32 key);
void __wrap_put_new(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit,
                    u32 key);

static const char *const form_operands[] = {
#define X(name, operands) operands,
    STENCIL_FORMS(X)
#undef X
};

static const char *const form_names[] = {
#define X(name, operands) #name,
    STENCIL_FORMS(X)
#undef X
};

static u32 radix(char class) { return class == 'R' ? HOST_R : HOST_F; }

static u32 variants_of(Form form)
{
    u32 n = 1;

    for (const char *p = form_operands[form]; *p; p++)
        n *= radix(*p);
    return n;
}

void __wrap_put_new(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit,
                    u32 key)
{
    u32 variant = 0;

    for (u32 k = 0; form_operands[form][k]; k++)
        variant = variant * radix(form_operands[form][k]) + regs[k];
    if (n_made < PUTS)
        made[n_made++] = (Put){(u16)op, (u16)variant, (u16)e->op, (u8)form, e->o->cold};
    __real_put_new(e, op, form, regs, imm, exit, key);
}

void cover_begin(void) { n_made = 0; }

/* ---- ops run ---- */

/* How many ops of ir, which may be what passes have made of c->ir, have been run. */
static u32 run_of(const Case *c, const Ir *ir, const Result *how)
{
    u32 op = how->op, insn;

    if (ir == c->ir || c->loops)
        return op + 1;
    while (c->ir->ops[op].op != OP_insn)
        op--;
    insn = (u32)c->ir->ops[op].imm;
    for (op = 0; op < ir->n_ops; op++)
        if (ir->ops[op].op == OP_insn && (u32)ir->ops[op].imm >= insn)
            break;
    return op;
}

static Place place_of(const EmitTask *t, Val v)
{
    if (val_is_const(v))
        return PLACE_constant;
    if (val_is_global(v))
        return t->plan->host[v] == HOST_NONE ? PLACE_slot : PLACE_reg;
    if (v < VAL_FTEMP)
        return v - VAL_TEMP < (int)t->emitter->n_spare_r ? PLACE_temp : PLACE_spilled;
    return v - VAL_FTEMP < (int)t->emitter->n_spare_f ? PLACE_temp : PLACE_spilled;
}

static void note_run(OpCover *o, const EmitTask *t, const Op *op)
{
    if (op->out != VAL_NONE)
        o->out[place_of(t, op->out)]++;
    for (u32 k = 0; k < 3; k++)
        if (op->in[k] != VAL_NONE)
            o->in[k][place_of(t, op->in[k])]++;
    o->same[SAME_OUT_0] += op->out == op->in[0];
    o->same[SAME_OUT_1] += op->out == op->in[1];
    o->same[SAME_0_1] += op->in[0] == op->in[1];
    o->same[SAME_ALL] += op->out == op->in[0] && op->in[0] == op->in[1];
}

/* ---- ways out ---- */

void cover_event(CoverEvent event) { events[event]++; }

static void note_exit(const Case *c, const Ir *ir, const EmitExit *e)
{
    const IrExit *x = &ir->exits[e->ir_exit];

    cover_event(e->request                ? COVER_request
                : x->kind == EXIT_TRAP    ? COVER_trap
                : x->canon.d | x->canon.s ? COVER_exit_canon
                : c->plan != c->entry     ? COVER_exit_shuffled
                                          : COVER_exit);
}

static void note_fault(const Case *c, const Ir *ir, const Result *how)
{
    const Op *op = &(c->loops ? ir : c->ir)->ops[how->op];
    const StencilFamily *family = c->set->family[op->op];
    bool called =
        !op_desc[op->op].has_imm && !family[FORM_fx].first && !family[FORM_fxc].first;

    cover_event(op_desc[op->op].flags & STORE ? COVER_fault_store : COVER_fault_load);
    if (called)
        cover_event(c->plan == c->entry ? COVER_fault_call : COVER_fault_call_spilled);
    if (how->pc == 0)
        cover_event(COVER_fault_not_canonical);
    if (ir->insns[how->exit].canon.d | ir->insns[how->exit].canon.s)
        cover_event(COVER_fault_canon);
    if (ir != c->ir)
        cover_event(COVER_fault_passed);
}

static void note_way(const Case *c, const Ir *ir, const EmitTask *t, const Result *want,
                     const Result *got)
{
    switch (got->way) {
    case WAY_EXIT:
        note_exit(c, ir, &t->exits[got->exit - FIRST_EXIT]);
        if (want->way == WAY_JUMP)
            cover_event(COVER_jump_folded);
        break;
    case WAY_JUMP: cover_event(COVER_jump_miss); break;
    case WAY_LANDED: cover_event(COVER_jump_cached); break;
    case WAY_HOT: cover_event(COVER_hot); break;
    case WAY_STALE: cover_event(COVER_stale); break;
    case WAY_FAULT: note_fault(c, ir, want); break;
    default: break;
    }
    if (want->rounds)
        cover_event(COVER_loop);
}

static void note_passes(const Case *c)
{
    u32 which = c->fold | c->dead << 1 | c->join << 2 | c->nan << 3;

    cover_event(which == 1    ? COVER_fold_alone
                : which == 2  ? COVER_dead_alone
                : which == 4  ? COVER_join_alone
                : which == 8  ? COVER_nan_alone
                : which == 15 ? COVER_all_passes
                : which       ? COVER_some_passes
                              : COVER_no_passes);
}

void cover_note(const Case *c, const Ir *ir, const EmitTask *t, const Result *want,
                const Result *got)
{
    SetCover *s = &covers[c->set == sets[1]];
    u32 run = run_of(c, ir, want);

    note_way(c, ir, t, want, got);
    note_passes(c);
    if (want->op == 0) /* left at once */
        return;
    ops_run += run;
    for (u32 i = 0; i < run; i++)
        note_run(&s->op[ir->ops[i].op], t, &ir->ops[i]);
    for (u32 i = 0; i < n_made; i++) {
        const Put *p = &made[i];

        if (p->cold || p->at >= run)
            continue;
        s->family[p->op][p->form]++;
        s->variant[p->op][p->form][p->variant / 8] |= (u8)(1 << p->variant % 8);
    }
}

u64 cover_ops(void) { return ops_run; }

/* ---- the report ---- */

typedef struct Tally {
    u32 reached, all;
} Tally;

PRINTF(3, 4) static void tally(Tally *t, bool reached, const char *format, ...)
{
    va_list args;

    t->all++;
    t->reached += reached;
    if (reached)
        return;
    printf("  never: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

/* Families that are only ever put down out of line, and a system's: test_system. */
static bool is_unused(u32 op, Form form)
{
    static const struct {
        u16 op;
        u8 form;
    } unused[] = {
        {OP_fcanon_d, FORM_fx},
        {OP_fcanon_s, FORM_fx},
    };

    if (op >= OP_jump_tag)
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(unused); i++)
        if (unused[i].op == op && unused[i].form == form)
            return true;
    return false;
}

static void tally_families(u32 set, Tally *t)
{
    Tally variants = {0, 0};

    for (u32 op = 0; op < OP_COUNT; op++)
        for (Form f = 0; f < FORM_COUNT; f++) {
            if (!sets[set]->family[op][f].first || is_unused(op, f))
                continue;
            tally(t, covers[set].family[op][f], "stencil %s %s in %s", op_desc[op].name,
                  form_names[f], sets[set]->name);
            variants.all += variants_of(f);
            for (u32 v = 0; v < variants_of(f); v++)
                variants.reached += covers[set].variant[op][f][v / 8] >> v % 8 & 1;
        }
    printf("%s: %u of %u stencil families, %u of %u variants by registers\n",
           sets[set]->name, t->reached, t->all, variants.reached, variants.all);
}

static void tally_op(u32 set, OpCode op, Tally *t)
{
    const OpDesc *d = &op_desc[op];
    const OpCover *o = &covers[set].op[op];
    const char *name = d->name, *in = sets[set]->name;
    bool pair = d->n_in > 1 && d->in[0] == d->in[1], same = d->out == d->in[0];

    for (Place p = 0; p < PLACE_COUNT; p++) {
        if (d->out != CLS_NONE && p != PLACE_constant)
            tally(t, o->out[p], "%s to %s in %s", name, place_names[p], in);
        for (u32 k = 0; k < d->n_in; k++)
            if (d->in[k] == CLS_R || p != PLACE_constant)
                tally(t, o->in[k][p], "%s with operand %u in %s in %s", name, k,
                      place_names[p], in);
    }
    if (d->out != CLS_NONE && same)
        tally(t, o->same[SAME_OUT_0], "%s, %s in %s", name, same_names[SAME_OUT_0], in);
    if (pair)
        tally(t, o->same[SAME_0_1], "%s, %s in %s", name, same_names[SAME_0_1], in);
    if (d->out != CLS_NONE && same && pair) {
        tally(t, o->same[SAME_OUT_1], "%s, %s in %s", name, same_names[SAME_OUT_1], in);
        tally(t, o->same[SAME_ALL], "%s, %s in %s", name, same_names[SAME_ALL], in);
    }
}

bool cover_report(bool v3)
{
    static const char *const names[] = {
#define X(name) #name,
        COVER_LIST(X)
#undef X
    };
    Tally families[2] = {{0, 0}}, ops = {0, 0}, ways = {0, 0};

    for (u32 set = 0; set <= v3; set++)
        tally_families(set, &families[set]);
    for (u32 set = 0; set <= v3; set++)
        for (OpCode op = 0; op < OP_insn; op++)
            tally_op(set, op, &ops);
    for (u32 i = 0; i < COVER_EVENTS; i++)
        tally(&ways, events[i], "%s", names[i]);
    printf("%u of %u ops by operand and set, %u of %u ways through\n", ops.reached,
           ops.all, ways.reached, ways.all);
    return families[0].reached == families[0].all &&
           families[1].reached == families[1].all && ops.reached == ops.all &&
           ways.reached == ways.all;
}
