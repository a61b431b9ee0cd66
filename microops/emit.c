/* SPDX-License-Identifier: MIT */
/*
 * A block of micro-ops -> host code: its ways in and out, loops, the shuffling of
 * values between register plans, exit stubs.  What one op takes is emit_ops.c's.
 */
#include <stdlib.h>
#include <string.h>
#include "emit.h"

static void shuffle(Emit *e, const Plan *from, const Plan *to);

/* ---- leaving ---- */

static bool is_zero(const Emit *e, Val v)
{
    return val_is_const(v) && ir_value(e->ir, v) == 0;
}

static void put_branch(Emit *e, u32 code, Val a, Val b, u32 exit)
{
    if (is_zero(e, b) && has(e, code, FORM_brz) && !val_is_const(a)) {
        u8 ha = use_r(e, a, HOST_RAX);

        put1x(e, code, FORM_brz, ha, 0, exit);
    } else if (is_zero(e, a) && has(e, code, FORM_bzr) && !val_is_const(b)) {
        u8 hb = use_r(e, b, HOST_RAX);

        put1x(e, code, FORM_bzr, hb, 0, exit);
    } else if (val_is_const(b) && fits_i32(ir_value(e->ir, b))) {
        u8 ha = use_r(e, a, HOST_RAX);

        put1x(e, code, FORM_bri, ha, ir_value(e->ir, b), exit);
    } else {
        u8 ha = use_r(e, a, HOST_RAX), hb = use_r(e, b, HOST_RCX);

        put2x(e, code, FORM_brr, ha, hb, 0, exit);
    }
}

static u32 opposite(u32 code)
{
    switch (code) {
    case OP_beq: return OP_bne;
    case OP_bne: return OP_beq;
    case OP_blt: return OP_bge;
    case OP_bge: return OP_blt;
    case OP_bltu: return OP_bgeu;
    default: return OP_bltu;
    }
}

static bool is_head(const Emit *e, const IrExit *x)
{
    return e->t->loops && x->kind == EXIT_JUMP && x->pc == e->t->head_pc;
}

/* Looks for a request, which leaves towards the same pc as the exit. */
static void emit_request_check(Emit *e, u32 exit)
{
    put0(e, OP_check, FORM_x, exit);
    if (!e->full)
        e->fixes[e->n_fixes - 1].to |= EXIT_REQUEST;
}

/* To a pc in another page, whose mapping may change: as an indirect jump. */
static void put_far_jump(Emit *e, const IrExit *x)
{
    put_const(e, HOST_RAX, (i64)x->pc);
    shuffle(e, e->plan, e->t->entry_plan);
    put0(e, OP_jump_tag, FORM_x, 0);
}

/* Leaves by the exit for good.  Closing a loop, a request is looked for first; the
 * block's own head does that itself. */
static void emit_leave(Emit *e, u32 exit)
{
    const IrExit *x = &e->ir->exits[exit];

    if (is_head(e, x)) {
        put_jump_fix(e, FIX_HOT, e->t->body);
        return;
    }
    if (x->far && !x->canon.d && !x->canon.s) {
        put_far_jump(e, x);
        return;
    }
    if (x->loop)
        emit_request_check(e, exit);
    put_jump_exit(e, exit);
}

/* The last fix is a branch out of the block: make it one to the block's head. */
static void turn_to_head(Emit *e)
{
    if (e->full)
        return;
    e->fixes[e->n_fixes - 1].kind = FIX_HOT;
    e->fixes[e->n_fixes - 1].to = e->t->body;
}

/*
 * A branch and the jump after it, one of which closes a loop.  To the block's own
 * head: one branch back.  To another block's: the branch is turned round, and the
 * loop goes straight on into the check and the jump.
 */
static bool emit_loop_branch(Emit *e, const Op *op)
{
    const Op *next = op + 1;
    const IrExit *x = &e->ir->exits[op->exit], *y;

    if (e->op + 1 >= e->ir->n_ops || next->op != OP_leave)
        return false;
    y = &e->ir->exits[next->exit];
    if (is_head(e, x) || is_head(e, y)) {
        bool straight = is_head(e, x);
        u32 before = e->n_fixes;

        put_branch(e, straight ? op->op : opposite(op->op), op->in[0], op->in[1], 0);
        if (e->n_fixes > before) /* a branch on equal operands may be none */
            turn_to_head(e);
        emit_leave(e, straight ? next->exit : op->exit);
        return true;
    }
    if (!x->loop || y->loop)
        return false;
    put_branch(e, opposite(op->op), op->in[0], op->in[1], next->exit);
    emit_leave(e, op->exit);
    return true;
}

static void emit_jump(Emit *e, const Op *op)
{
    load_r(e, HOST_RAX, op->in[0]);
    shuffle(e, e->plan, e->t->entry_plan);
    if (e->t->statistics)
        put_count(e, ENV_OFF(jumps));
    put0(e, e->t->mmu ? OP_jump_tag : OP_jump, FORM_x, 0);
}

/* ---- one op ---- */

static void emit_op(Emit *e, const Op *op)
{
    switch (op->op) {
    case OP_insn: break;
    case OP_fence: put0(e, OP_fence, FORM_x, 0); break;
    case OP_check: put0(e, OP_check, FORM_x, op->exit); break;
    case OP_leave: emit_leave(e, op->exit); break;
    case OP_jump: emit_jump(e, op); break;
    case OP_call: emit_helper(e, op); break;
    case OP_beq:
    case OP_bne:
    case OP_blt:
    case OP_bge:
    case OP_bltu:
    case OP_bgeu:
        if (emit_loop_branch(e, op)) {
            e->op++;
            note_op(e);
        } else
            put_branch(e, op->op, op->in[0], op->in[1], op->exit);
        break;
    default: emit_value(e, op);
    }
}

/* ---- the block ---- */

/* Moves every value from where one plan has it to where the other does. */
static void shuffle(Emit *e, const Plan *from, const Plan *to)
{
    const GuestRegs *guest = (const GuestRegs *)e->ir->guest;

    if (from == to)
        return;
    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        bool fp = guest->globals[i].cls == CLS_F;

        if (from->host[i] != to->host[i] && from->host[i] != HOST_NONE)
            put1(e, fp ? OP_fmov : OP_mov, fp ? FORM_fsm : FORM_sm, from->host[i],
                 ENV_OFF(g) + (i32)i * 8);
    }
    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        bool fp = guest->globals[i].cls == CLS_F;

        if (from->host[i] != to->host[i] && to->host[i] != HOST_NONE)
            put1(e, fp ? OP_fmov : OP_mov, fp ? FORM_flm : FORM_lm, to->host[i],
                 ENV_OFF(g) + (i32)i * 8);
    }
}

static void find_spares(Emit *e)
{
    const GuestRegs *guest = (const GuestRegs *)e->ir->guest;
    u32 used_r = 0, used_f = 0;

    if (e->spares_of == e->plan && e->plan == e->t->entry_plan)
        return;
    e->spares_of = e->plan;
    e->n_spare_r = e->n_spare_f = 0;
    for (u32 i = 0; i < ENV_GLOBALS; i++)
        if (e->plan->host[i] != HOST_NONE)
            *(guest->globals[i].cls == CLS_F ? &used_f : &used_r) |=
                1u << e->plan->host[i];
    for (u8 r = 0; r < HOST_GPRS; r++)
        if (!(used_r >> r & 1))
            e->spare_r[e->n_spare_r++] = r;
    for (u8 r = 0; r < HOST_FPRS; r++)
        if (!(used_f >> r & 1))
            e->spare_f[e->n_spare_f++] = r;
}

/* The stub of an exit, and before it what brings the values home.  Where a request is
 * looked for, nothing is due. */
static u32 emit_exit(Emit *e, u32 exit, bool request)
{
    EmitTask *t = e->t;
    EmitExit *x = &t->exits[t->n_exits];
    Canon due = request ? (Canon){0, 0} : e->ir->exits[exit].canon;
    u32 start = e->o->at;
    bool counted = t->exit_tally && !request;

    if (t->n_exits == IR_EXITS || e->o->at + 1024 > e->o->limit) {
        e->full = true;
        return start;
    }
    if (e->ir->exits[exit].far && !request) {
        make_all_canonical(e, due);
        put_far_jump(e, &e->ir->exits[exit]);
        return start;
    }
    x->jump = 0;
    x->start = start;
    if (counted)
        put_count(e, t->exit_tally + 8 * (i32)t->n_exits);
    if (counted || e->plan != t->entry_plan || due.d | due.s) {
        make_all_canonical(e, due);
        shuffle(e, e->plan, t->entry_plan);
        if (!request && e->ir->exits[exit].kind == EXIT_JUMP) {
            put_jump_exit(e, exit);
            x->jump = e->o->at - 4;
            e->n_fixes--;
        }
    }
    x->stub = e->o->at;
    if (x->jump)
        emit_write_rel(e->hot.bytes, x->jump, x->stub);
    x->ir_exit = (u16)exit;
    x->request = request;
    if (t->slots && !request && e->ir->exits[exit].kind == EXIT_JUMP)
        put_slot(e, t->slots + 8 * (t->first_exit + t->n_exits));
    put_exit_stub(e, t->first_exit + t->n_exits);
    t->n_exits++;
    return start;
}

/* Exits of hot code get their stubs; the rest of the fixes are filled in. */
static void resolve(Emit *e, u32 cold_start)
{
    EmitTask *t = e->t;

    for (u32 i = 0; i < e->n_fixes && !e->full; i++) {
        EmitFix *f = &e->fixes[i];
        u32 at = f->at + (f->cold ? cold_start : 0), to = f->to;

        if (f->kind == FIX_COLD)
            to += cold_start;
        if (f->kind == FIX_EXIT) {
            u32 exit = f->to & ~EXIT_REQUEST;
            bool request = f->to & EXIT_REQUEST;

            to = emit_exit(e, exit, request);
            if (!e->full && !request && !e->ir->exits[exit].far &&
                !t->exits[t->n_exits - 1].jump && e->ir->exits[exit].kind == EXIT_JUMP)
                t->exits[t->n_exits - 1].jump = at;
        }
        emit_write_rel(e->hot.bytes, at, to);
    }
}

/* Once a round, at the head: is there a request? */
static void emit_head_check(Emit *e)
{
    for (u32 i = 0; i < e->ir->n_exits; i++)
        if (is_head(e, &e->ir->exits[i])) {
            emit_request_check(e, i);
            return;
        }
}

/* The loop is left, for its other translation or for a look ahead. */
static void emit_out_of_rounds(Emit *e)
{
    e->o = &e->cold;
    shuffle(e, e->plan, e->t->entry_plan);
    put_exit_stub(e, EXIT_STRIDE | e->t->block);
    e->o = &e->hot;
}

static void emit_round(Emit *e)
{
    if (e->t->rounds) { /* requests are seen when they run out */
        put_rounds(e, ENV_OFF(rounds), e->cold.at);
        emit_out_of_rounds(e);
        return;
    }
    if (e->t->strides && e->t->strides->clock != VAL_NONE) {
        emit_stride_check(e);
        emit_out_of_rounds(e); /* no more is known ahead, or there is a request */
        return;
    }
    emit_head_check(e);
}

static void emit_ops(Emit *e)
{
    const Ir *ir = e->ir;
    u32 insn = 0;

    for (e->op = 0; e->op < ir->n_ops && !e->full; e->op++) {
        const Op *op = &ir->ops[e->op];
        Val held = e->in_rax;

        note_op(e);
        if (op->op == OP_insn)
            e->t->insn_at[insn++] = e->hot.at;
        emit_op(e, op);
        if (e->in_rax == held)
            e->in_rax = VAL_NONE;
    }
    note_op(e);
}

/* Compares the block's source bytes with what they were, n at a time. */
static void emit_check(Emit *e, u32 stale)
{
    static const struct {
        u32 n, load;
    } widths[] = {{8, OP_ld64}, {4, OP_ld32u}, {2, OP_ld16u}};
    const EmitTask *t = e->t;
    u32 done = 0;

    for (u32 w = 0; w < ARRAY_SIZE(widths); w++)
        for (; t->check_len - done >= widths[w].n; done += widths[w].n) {
            u64 bytes = 0;

            memcpy(&bytes, t->check_bytes + done, widths[w].n);
            put_const(e, HOST_RAX, t->check_at + done);
            put2(e, widths[w].load, FORM_rri, HOST_RAX, HOST_RAX, 0);
            put_const(e, HOST_RCX, (i64)bytes);
            put(e, OP_bne, FORM_brr, (u8[]){HOST_RAX, HOST_RCX}, 0, 0);
            if (e->full)
                return;
            e->fixes[e->n_fixes - 1].kind = FIX_COLD;
            e->fixes[e->n_fixes - 1].to = stale;
        }
}

/* What is counted and looked at on entry, and values brought to where the plan wants
 * them. */
static void emit_way_in(Emit *e)
{
    EmitTask *t = e->t;

    if (t->statistics)
        put_count(e, ENV_OFF(entered));
    if (t->budgeted) {
        put_budget(e, ENV_OFF(budget), t->ir->n_insns, e->cold.at);
        e->o = &e->cold;
        put_exit_stub(e, EXIT_BUDGET | t->block);
        e->o = &e->hot;
    }
    if (t->counted) {
        put_counter(e, t->counter, e->cold.at);
        e->o = &e->cold;
        if (t->hot_slot) {
            put_hot_again(e, t->counter);
            put_slot(e, t->hot_slot);
        }
        put_exit_stub(e, EXIT_HOT | t->block);
        e->o = &e->hot;
    }
    if (t->check_len) {
        u32 stale = e->cold.at;

        e->o = &e->cold;
        put_exit_stub(e, EXIT_STALE | t->block);
        e->o = &e->hot;
        emit_check(e, stale);
    }
    if (t->tally)
        put_count(e, t->tally);
    if (t->rounds) {
        put1(e, OP_mov, FORM_lm, HOST_RAX, ENV_OFF(rounds_first));
        put1(e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(rounds));
    }
    shuffle(e, t->entry_plan, t->plan);
    if (t->strides)
        emit_strides(e);
    if (t->loops)
        put_align(e, 16);
    t->body = e->hot.at;
    if (t->tally && t->loops)
        put_count(e, t->tally + 8);
    if (t->loops)
        emit_round(e);
}

bool emit_block(EmitTask *t)
{
    Emit *e = t->emitter ? t->emitter : (t->emitter = calloc(1, sizeof *e));
    u32 cold_start;

    if (!e)
        return false;
    memset(e, 0, offsetof(Emit, spares_of));
    e->t = t;
    e->ir = t->ir;
    e->plan = t->plan;
    e->set = t->set;
    /* Made aside: a store to a line that holds running code costs a pipeline flush. */
    e->hot = (EmitBuf){(u8 *)((uintptr_t)e->staging - t->at), t->at,
                       MIN(t->limit, t->at + STAGING_SIZE), false};
    e->cold = (EmitBuf){e->cold_bytes, 0, COLD_SIZE, true};
    e->o = &e->hot;
    e->in_rax = VAL_NONE;
    e->steady = t->near ? emit_steady(t->ir) : 0;
    if (e->memo_of != t->set)
        memset(e->memo, 0, sizeof e->memo);
    e->memo_of = t->set;
    t->n_exits = t->n_apart = 0;
    if (t->at + 4096 > t->limit)
        return false;
    find_spares(e);
    emit_way_in(e);
    emit_ops(e);
    if (e->full || e->hot.at + e->cold.at + 4096 > e->hot.limit)
        return false;
    t->hot_end = cold_start = e->hot.at;
    memcpy(e->hot.bytes + cold_start, e->cold.bytes, e->cold.at);
    e->hot.at += e->cold.at;
    for (u32 i = 0; i < t->n_apart; i++)
        t->apart[i].at += cold_start;
    resolve(e, cold_start);
    t->end = e->hot.at;
    if (!e->full)
        memcpy(t->buffer + t->at, e->staging, t->end - t->at);
    return !e->full;
}
