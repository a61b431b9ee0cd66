/* SPDX-License-Identifier: MIT */
/* Translation of one block, from guest bytes to code that can be run. */
#include <string.h>
#include "../microops/stencil.h"
#include "check.h"
#include "explain.h"
#include "saved.h"
#include "stride.h"
#include "trace.h"

/* ---- logs ---- */

const char *cache_symbol(const Cache *c, u64 pc, u64 *offset)
{
    return c->options.symbol ? c->options.symbol(c->options.symbol_ctx, pc, offset)
                             : NULL;
}

const char *cache_symbol_text(const Cache *c, u64 pc, char out[SYMBOL_TEXT])
{
    u64 offset;
    const char *name = cache_symbol(c, pc, &offset);

    *out = 0;
    if (name)
        snprintf(out, SYMBOL_TEXT, " <%.90s+0x%llx>", name, (unsigned long long)offset);
    return out;
}

static void log_in_asm(Cache *c, const Ir *ir)
{
    char text[96], where[SYMBOL_TEXT];

    log_printf("IN: 0x%llx%s\n", (unsigned long long)ir->insns[0].pc,
               cache_symbol_text(c, ir->insns[0].pc, where));
    for (u32 i = 0; i < ir->n_insns; i++) {
        u64 pc = ir->insns[i].pc;
        const u8 *p = space_host(c->source.space, pc);
        u32 word = 0;

        if (!ir->insns[i].len)
            continue;
        memcpy(&word, p, ir->insns[i].len);
        if (!c->guest->disas(text, sizeof text, pc, p, ir->insns[i].len))
            strcpy(text, "(not an instruction)");
        log_printf("0x%08llx:  %0*x%*s  %s\n", (unsigned long long)pc,
                   ir->insns[i].len * 2, word, 8 - ir->insns[i].len * 2, "", text);
    }
    log_printf("\n");
}

static void log_ir(const Cache *c, u32 item, const char *title, const Ir *ir)
{
    char *text = NULL, where[SYMBOL_TEXT];
    size_t size = 0;
    FILE *f;

    if (!log_on(item) || !(f = open_memstream(&text, &size)))
        return;
    ir_dump(f, ir);
    fclose(f);
    log_printf("%s: 0x%llx%s\n%s\n", title, (unsigned long long)ir->insns[0].pc,
               cache_symbol_text(c, ir->insns[0].pc, where), text);
    free(text);
}

/* Guest instruction, its ops, and under each op its host code. */
static void log_out_asm(Cache *c, const EmitTask *t, const Ir *ir)
{
    char *text = NULL, line[160], where[SYMBOL_TEXT];
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    u32 insn = 0;

    if (!f)
        return;
    if (t->op_at[0] > t->at) {
        fprintf(f, "  (entry)\n");
        disas_host(f, c->write + t->at, t->op_at[0] - t->at,
                   (u64)(uintptr_t)(c->exec + t->at));
        fputc('\n', f);
    }
    for (u32 i = 0; i < ir->n_ops; i++) {
        const Op *op = &ir->ops[i];
        u32 from = t->op_at[i], to = t->op_at[i + 1];

        if (op->op == OP_insn) {
            u64 pc = ir->insns[insn].pc;

            if (ir->insns[insn].len &&
                c->guest->disas(line, sizeof line, pc, space_host(c->source.space, pc),
                                ir->insns[insn].len))
                fprintf(f, "---- 0x%llx: %s\n\n", (unsigned long long)pc, line);
            insn++;
            continue;
        }
        ir_op_text(line, sizeof line, ir, op);
        fprintf(f, "  %s\n", line);
        if (to > from)
            disas_host(f, c->write + from, to - from, (u64)(uintptr_t)(c->exec + from));
        fputc('\n', f);
    }
    fprintf(f, "  (out of line)\n");
    disas_host(f, c->write + t->hot_end, t->end - t->hot_end,
               (u64)(uintptr_t)(c->exec + t->hot_end));
    fclose(f);
    log_printf("OUT: 0x%llx%s, %u bytes for %u instructions\n%s\n",
               (unsigned long long)ir->insns[0].pc,
               cache_symbol_text(c, ir->insns[0].pc, where), t->end - t->at,
               ir->n_insns, text);
    free(text);
}

/* ---- pages ---- */

/* A page of the block at hand, as the window has it. */
static u64 physical(const Cache *c, u64 page)
{
    if (LIKELY(!c->options.system))
        return page;
    return page + (page == c->source.page ? c->source.shift : c->source.next);
}

/* False: the page had not been protected before. */
static bool protect_page(Cache *c, u64 page, bool *hot)
{
    u8 flags = space_flags(c->space, physical(c, page));

    if (flags & PAGE_HOT)
        *hot = true;
    return flags & (PAGE_HOT | PAGE_CODE) || !(flags & PAGE_WRITE) ||
           !smc_protect(c, physical(c, page));
}

/* The pages of a block, each once or nearly so; a plain block has at most two. */
static u32 pages_of(const Ir *ir, bool trace, u64 *pages)
{
    const IrInsn *end = &ir->insns[ir->n_insns - 1];
    u32 n = 0;

    if (!trace) {
        pages[0] = ir->insns[0].pc & PAGE_MASK;
        pages[1] = (end->pc + MAX(end->len, 1) - 1) & PAGE_MASK;
        return 1 + (pages[0] != pages[1]);
    }
    for (u32 i = 0; i < ir->n_insns; i++) {
        const IrInsn *insn = &ir->insns[i];
        u64 first = insn->pc & PAGE_MASK;
        u64 last = (insn->pc + MAX(insn->len, 1) - 1) & PAGE_MASK;

        if (!n || pages[n - 1] != first)
            pages[n++] = first;
        if (pages[n - 1] != last)
            pages[n++] = last;
    }
    return n;
}

/* Protects every page the block was read from.  False: one of them had not been
 * protected while it was read, so it must be read again. */
static bool protect_pages(Cache *c, const Ir *ir, bool trace, bool *hot)
{
    u64 *pages = c->pages_read;
    u32 n = pages_of(ir, trace, pages);
    bool all = true;

    for (u32 i = 0; i < n; i++)
        all &= protect_page(c, pages[i], hot);
    return all;
}

static void add_pages(Cache *c, u32 tb, const Ir *ir, bool trace)
{
    u64 *pages = c->pages_read;
    u32 n = pages_of(ir, trace, pages);

    for (u32 i = 0; i < n; i++)
        tb_page_add(c, tb, physical(c, pages[i]));
}

/* How many instructions up to and including the first store. */
static u32 insns_to_store(const Ir *ir)
{
    u32 n = 0;

    for (u32 i = 0; i < ir->n_ops; i++) {
        if (ir->ops[i].op == OP_insn)
            n++;
        else if (op_desc[ir->ops[i].op].flags & STORE)
            break;
    }
    return n;
}

/* Length of a block that lies in one piece. */
static u32 bytes_read(const Ir *ir)
{
    const IrInsn *last = &ir->insns[ir->n_insns - 1];

    return (u32)(last->pc + last->len - ir->insns[0].pc);
}

/* ---- the pipeline ---- */

/* Reads a block from a copy of its bytes, which then is its source: other threads may
 * be writing them.  False: they did. */
static bool read_still(Cache *c, TbKey key, Ir *ir, u32 max)
{
    const Space *live = c->source.space;
    u32 len;
    Dis dis;

    translate_block(&dis, ir, c->guest, live, key, max, NULL);
    len = bytes_read(ir);
    assert(len <= HOT_MAX_BYTES);
    memcpy(c->still_bytes, space_host(live, key.pc), len);
    c->still = *live;
    c->still.base = (u8 *)((uintptr_t)c->still_bytes - key.pc);
    translate_block(&dis, ir, c->guest, &c->still, key, max, NULL);
    if (bytes_read(ir) > len)
        return false;
    translate_block(&dis, ir, c->guest, &c->still, key, MIN(insns_to_store(ir), max),
                    NULL);
    c->source.space = &c->still;
    return true;
}

/* From a page that stays writable: short, and compared with it whenever it is run.  If
 * it does not stand still, it is run once. */
static void read_hot(Cache *c, TbKey key, Ir *ir, u32 max)
{
    Dis dis;

    for (u32 tries = 0; tries < 4; tries++)
        if (read_still(c, key, ir, max))
            return;
    translate_block(&dis, ir, c->guest, c->source.space, key, 1, NULL);
    c->moving = true;
}

/* Guest bytes -> micro-ops, from pages that cannot change meanwhile. */
static void read_block(Cache *c, TbKey key, Ir *ir, Tracer *tracer, bool *hot)
{
    bool one = key.flags & KEY_STEP || c->source.joined;
    u32 max = one ? 1 : tracer ? TRACE_INSNS : c->options.max_insns;
    u32 longest = max ? MIN(max, HOT_MAX_INSNS) : HOT_MAX_INSNS;
    TbKey plain = {key.pc, key.flags & ~KEY_STEP};
    Dis dis;

    for (u32 tries = 0; tries < 4; tries++) {
        if (tracer)
            trace_begin(tracer, c, key, c->form ? c->form->replay : NULL);
        if (UNLIKELY(c->source.joined))
            system_join(&c->source);
        translate_block(&dis, ir, c->guest, c->source.space, plain, max,
                        tracer ? &tracer->follow : NULL);
        if (key.flags & KEY_STEP || c->form || protect_pages(c, ir, tracer, hot))
            break;
    }
    if (*hot) {
        if (tracer)
            tracer->loops = false;
        read_hot(c, plain, ir, longest);
    }
}

static bool room_for_block(const Cache *c)
{
    return c->at + CODE_MARGIN < c->size && c->n_tbs < c->low_tb &&
           c->n_exits + IR_EXITS < c->max_exits && c->n_refs + 64 < c->max_refs &&
           c->n_maps + IR_INSNS * 16 < c->max_maps && c->n_plans < MAX_PLANS;
}

bool gen_emit(Cache *c, Tb *tb, const Ir *ir, u32 check)
{
    static u32 *op_at;
    EmitTask *t = c->task;

    t->ir = c->check ? check_plant(c, ir) : ir;
    t->set = c->stencils;
    t->thunks = &c->thunks;
    t->buffer = c->write;
    t->limit = (u32)c->size;
    t->at = (u32)align_up(c->at, tb->trace ? 16 : 4);
    t->first_exit = c->n_exits;
    t->block = tb_number(c, tb);
    t->counted = c->options.hot && !tb->trace && !(tb->flags & KEY_STEP);
    t->counter = (i64)((u8 *)&tb->count - c->exec);
    t->slots = t->hot_slot = 0;
    if (UNLIKELY(c->form != NULL))
        save_places(c->form, t);
    t->n_helpers = c->guest->regs.n_helpers;
    t->plan = &c->plans[tb->plan];
    t->entry_plan = &c->plans[0];
    t->budgeted = c->options.budget;
    t->statistics = c->timed;
    t->mmu = c->options.system;
    t->near = t->mmu && tb->trace;
    t->strides = tb->ahead ? &tb->strides->emit : NULL;
    t->rounds = tb->strides && !tb->ahead;
    t->loops = tb->loops;
    t->head_pc = tb->pc;
    t->check_len = check;
    t->check_at =
        t->mmu ? (i64)(uintptr_t)space_host(&c->source.view, tb->pc) : (i64)tb->pc;
    t->check_bytes = space_host(c->source.space, tb->pc);
    t->tally = c->explain ? exec_tally_at(c, 2 * t->block) : 0;
    t->exit_tally = c->explain ? exec_tally_at(c, 2 * c->max_tbs + c->n_exits) : 0;
    t->notes = log_on(LOG_OUT_ASM) || c->check || c->explain;
    if (t->notes && !op_at)
        op_at = g_new(u32, IR_OPS + 1);
    t->op_at = op_at;
    return emit_block(t);
}

static void add_exits(Cache *c, Tb *tb, const EmitTask *t, const Ir *ir)
{
    tb->first_exit = c->n_exits;
    tb->n_exits = (u16)t->n_exits;
    for (u32 i = 0; i < t->n_exits; i++) {
        const EmitExit *e = &t->exits[i];
        const IrExit *x = &ir->exits[e->ir_exit];

        c->exits[c->n_exits++] = (TbExit){.pc = x->pc,
                                          .jump = e->request ? 0 : e->jump,
                                          .stub = e->stub,
                                          .tb = tb_number(c, tb),
                                          .kind = x->kind,
                                          .trap = x->trap,
                                          .request = e->request,
                                          .next_page = x->addr > x->pc};
    }
}

static void log_block(Cache *c, const Ir *ir, const EmitTask *t)
{
    if (!log_wants(ir->insns[0].pc))
        return;
    if (log_on(LOG_OUT_ASM))
        log_out_asm(c, t, ir);
}

static void count_block(Cache *c, const Tb *tb, u64 began)
{
    c->stats.blocks++;
    c->stats.traces += tb->trace;
    c->stats.guest_insns += tb->n_insns;
    c->stats.trace_insns += tb->trace ? tb->n_insns : 0;
    c->stats.host_bytes += tb->end - tb->code;
    c->stats.meta_bytes += sizeof *tb + tb->n_exits * sizeof(TbExit) + sizeof(PageRef) +
                           (c->n_maps - tb->map);
    if (c->timed)
        c->stats.translate_ns += now_ns() - began;
}

const GenPass gen_passes[] = {
    {"fold", pass_fold}, /* constants, identities */
    {"dead", pass_dead}, /* results nobody reads  */
    {"join", pass_join}, /* two ops in one        */
    {"nan", pass_nan},   /* canonical NaNs, later */
};
const u32 gen_n_passes = ARRAY_SIZE(gen_passes);

void gen_pass(const Cache *c, u32 i, Ir *ir)
{
    gen_passes[i].run(ir);
    if (UNLIKELY(c->check != NULL))
        check_plant_in(c, gen_passes[i].name, ir);
}

/* Sets c->source. */
static void find_source(Cache *c, Env *env, TbKey key)
{
    c->source.space = c->space;
    c->moving = false;
    if (LIKELY(!c->options.system))
        return;
    if (!system_source(c, env, key, &c->source))
        siglongjmp(c->unreadable, 1);
}

/* May the block be found again? */
static bool kept(const Cache *c, const Ir *ir, TbKey key, bool hot)
{
    if (key.flags & KEY_STEP || c->moving || (c->source.joined && hot))
        return false;
    return ir->insns[0].len; /* a fetch trap is not kept */
}

static void keep(Cache *c, Tb *tb, const Ir *ir)
{
    if (LIKELY(!c->form))
        add_pages(c, tb_number(c, tb), ir, tb->trace);
    if (tb->ahead) {
        tb->state = TB_ALIVE;
        return;
    }
    if (UNLIKELY(c->source.joined))
        system_keep_joint(c, tb);
    else
        tb_insert(c, tb);
}

/* Each round is counted, and may leave for the loop's other translation. */
static bool may_look_ahead(const Cache *c, const Tb *tb)
{
    return c->options.system && tb->loops && !c->options.budget && !c->explain &&
           !strides_hopeless(c, tb);
}

/* What a trace is beyond a block; false: not a loop of the kind wanted. */
static bool gen_trace(Cache *c, Tb *tb, Ir *ir, const Tracer *tracer)
{
    Strides strides;

    for (u32 i = 0; i < gen_n_passes; i++)
        gen_pass(c, i, ir);
    tb->loops = tracer->loops && !c->check; /* each round is compared */
    if (may_look_ahead(c, tb) && strides_find(ir, &strides))
        strides_keep(c, tb, &strides);
    tb->plan = trace_plan(c, ir, tb->loops, tb->ahead); /* values -> host registers */
    return !tb->ahead || tb->strides;
}

Tb *tb_gen(Cache *c, Env *env, TbKey key, GenKind kind)
{
    EmitTask *t = c->task;
    Ir *ir = c->ir;
    Tb *tb = &c->tbs[c->n_tbs];
    bool hot = false, wanted, trace = kind != GEN_BLOCK;
    Tracer tracer;
    u64 began = c->timed ? now_ns() : 0;

    if (!room_for_block(c))
        return NULL;
    find_source(c, env, key);
    fork_own_tail(c);
    code_make_ready(c);
    *tb = (Tb){.pc = key.pc,
               .flags = key.flags,
               .trace = trace,
               .ahead = kind == GEN_STRIDES,
               .count = (i32)c->options.hot};
    read_block(c, key, ir, trace ? &tracer : NULL, &hot); /* bytes -> micro-ops  */
    if (UNLIKELY(c->explain != NULL))
        explain_read(c, ir);
    wanted = log_mask && log_wants(key.pc);
    if (wanted && log_on(LOG_IN_ASM))
        log_in_asm(c, ir);
    if (wanted)
        log_ir(c, LOG_OP, "OP", ir);
    if (c->check)
        check_keep(c, tb_number(c, tb), ir);
    if (trace && !gen_trace(c, tb, ir, &tracer))
        return NULL;
    if (wanted)
        log_ir(c, LOG_OP_OPT, "OP_OPT", ir);
    if (!gen_emit(c, tb, ir, hot && kept(c, ir, key, hot) ? bytes_read(ir) : 0))
        return NULL; /* stencils copied, patched */
    tb->code = t->at;
    tb->end = t->end;
    tb->n_insns = (u16)ir->n_insns;
    c->at = t->end;
    c->n_tbs++;
    add_exits(c, tb, t, ir);
    tb_map_add(c, tb, t, ir);
    if (UNLIKELY(c->explain != NULL))
        explain_made(c, tb, t, ir);
    if (kept(c, ir, key, hot))
        keep(c, tb, ir);
    count_block(c, tb, began);
    log_block(c, ir, t);
    if (UNLIKELY(c->perf))
        perf_block(c, tb, ir, t);
    return tb;
}
