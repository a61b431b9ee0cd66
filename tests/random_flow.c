/* SPDX-License-Identifier: MIT */
/*
 * Makes whole sequences of items: loops, functions, code that changes, system calls,
 * jumps to where no code is.  gp points at scratch memory, tp at the state; nothing
 * writes these two, nor a function its link register.
 */
#include <string.h>
#include "random_make.h"

enum { NR_SCHED_YIELD = 124, NR_MPROTECT = 226, PATCHES = 3 };

/* A compare whose result is branched on. */
static void make_compare(Maker *m, Item *item, u32 index)
{
    u8 t = pick_out(m);
    u32 to = index + 1 + below(m, 8);

    add(item,
        enc_r(chance(m, 50) ? E_SLT : E_SLTU, t, pick_register(m), pick_register(m)));
    add(item, enc_r(chance(m, 50) ? E_BNE : E_BEQ, 0, t, 0));
    item->aimed = true;
    item->to = (u16)MIN(to, m->end);
}

/* Back to an earlier item, a number of times that memory counts. */
static void make_loop(Maker *m, Item *item, u32 index)
{
    u8 t = pick_out(m);
    u32 items = 1 + below(m, 20);

    item->aimed = true;
    item->to = (u16)(index - MIN(index, items));
    t = t ? t : 6;
    add(item, enc_i(E_LD, t, TP, LOOP_OFFSET + 8 * m->slots));
    add(item, enc_i(E_ADDI, t, t, -1));
    add(item, enc_s(E_SD, TP, t, LOOP_OFFSET + 8 * m->slots++));
    add(item, enc_r(E_BLT, 0, 0, t)); /* once used up, for good */
}

static void make_call(Maker *m, Item *item)
{
    const Function *f = &m->function[below(m, m->n_functions)];
    u8 t = pick_out(m);

    if (chance(m, 60) || !t) {
        item->aimed = true;
        item->to = f->first;
        add(item, enc_u(E_JAL, f->link, 0));
    } else {
        add_pcrel(item, t, f->first, 0);
        add(item, enc_i(E_JALR, f->link, t, 0));
    }
}

/* sched_yield, or the page below gp loses or gets its protection. */
static void make_call_of_system(Maker *m, Item *item)
{
    bool protect = m->faulty && chance(m, 30);

    if (protect) {
        add(item, enc_u(E_LUI, 10, (GP_AT >> 12) - 1));
        add(item, enc_u(E_LUI, 11, 1));
        add(item, enc_i(E_ADDI, 12, 0, (i32)(u8[]){0, 1, 3, 3}[below(m, 4)]));
    }
    add(item, enc_i(E_ADDI, 17, 0, protect ? NR_MPROTECT : NR_SCHED_YIELD));
    add(item, E_ECALL);
}

/* To where no code is; the handler goes on after the item. */
static void make_wild(Maker *m, Item *item, u32 index)
{
    u8 t = pick_out(m), link = chance(m, 50) ? 0 : pick_out(m);

    t = t ? t : 6;
    add_pcrel(item, t, (u16)(index + 1), 0);
    add(item, enc_s(E_SD, TP, t, RESUME_OFFSET));
    add(item, enc_i(E_LD, t, TP, WILD_OFFSET + 8 * (i32)below(m, ADDR_SLOTS)));
    add(item, enc_i(E_JALR, link, t, 0));
}

/* Floating point under a rounding mode that does not exist. */
static void make_invalid_mode(Maker *m, Item *item)
{
    u32 bits;
    InsnId id;

    do { /* what has a mode, and takes it from frm */
        bits = (u32)random_next(&m->state) | 0x7000;
        bits = (bits & ~0x7fu) | (u32[]){0x53, 0x43, 0x47, 0x4b, 0x4f}[below(m, 5)];
        id = insn_lookup(bits);
    } while (id == INSN_NONE || left_out(m, &insn_desc[id]) ||
             !strstr(insn_desc[id].operands, ",rm") ||
             strstr(insn_desc[id].operands, "rm0") ||
             (insn_desc[id].operands[0] != 'f' && (m->kept >> (bits >> 7 & 31) & 1)));
    add(item, enc_i(E_CSRRWI_FRM, 0, 5 + below(m, 3), 0));
    add(item, bits);
    add(item, enc_i(E_CSRRWI_FRM, 0, below(m, 5), 0));
}

/* ---- code that changes ---- */

/* Some computation on any registers. */
static u32 any_alu(Maker *m, u8 rd)
{
    const InsnDesc *desc;

    do
        desc = &insn_desc[1 + below(m, INSN_COUNT - 1)];
    while (desc->format != FORMAT_R || (desc->match & 0x7f) != 0x33 ||
           strcmp(desc->operands, "rd,rs1,rs2") || left_out(m, desc));
    return enc_r(desc->match, rd, pick_register(m), pick_register(m));
}

/* Turns item `at` into an instruction that item `index` turns into another and back. */
static void make_patch(Maker *m, u32 index, u32 at)
{
    Item *item = &m->s->item[index], *victim = &m->s->item[at];
    u8 rd = (u8)(8 + below(m, 8)); /* no function's link */
    u32 one = any_alu(m, rd), other = any_alu(m, rd);

    *victim = (Item){.n = 1, .insn = {one}};
    *item = (Item){.patches = true};
    add_pcrel(item, 6, (u16)at, 0);
    add(item, enc_i(E_LW, 7, 6, 0));
    add(item, enc_u(E_LUI, 28, (one ^ other) >> 12));
    add(item, enc_r(E_XOR, 7, 7, 28));
    add(item, enc_s(E_SW, 6, 7, 0));
    add(item, E_FENCE_I);
}

/* Data beside the code: no fence needed. */
static void make_island(Maker *m, Item *item)
{
    u8 t = pick_out(m);

    t = t ? t : 6;
    item->island = true;
    add_pcrel(item, t, 0, 0);
    if (chance(m, 60))
        add(item, enc_s(chance(m, 50) ? E_SW : E_SD, t, pick_register(m), 0));
    add(item, enc_i(E_LD, pick_out(m), t, 0));
}

static void add_patches(Maker *m)
{
    u32 n = 1 + below(m, PATCHES);

    while (n--) {
        u32 index = below(m, m->main), at = below(m, m->s->n);

        if (index != at && !m->s->item[index].fixed && !m->s->item[at].fixed &&
            !m->s->item[index].patches && !m->s->item[at].patches)
            make_patch(m, index, at);
    }
}

/* ---- sequences ---- */

static void make_state(Maker *m)
{
    Seq *s = m->s;

    for (int i = 0; i < 32; i++) {
        s->start.x[i] = random_int(&m->state);
        s->start.f[i] = random_float(&m->state);
    }
    s->start.fcsr = (u64)below(m, 5) << 5 | below(m, 32);
    m->narrow = chance(m, 60);
    m->wide = chance(m, 50);
    m->lonely = chance(m, 50);
    m->faulty = chance(m, 30);
    m->changes = m->s->each == NOT_EACH && chance(m, 6);
    for (int i = 0; i < PALETTE; i++)
        m->palette[i] = (u8)(chance(m, 50) ? 8 + below(m, 8) : below(m, 32));
    m->palette[0] = 15;
    m->kept = 1u << GP | 1u << TP;
    s->flags = (m->faulty ? SEQ_FAULTY : 0) | (m->changes ? SEQ_SHORT : 0) |
               (s->each != NOT_EACH ? SEQ_EACH : 0) | (m->lonely ? 0 : SEQ_RESERVES);
}

/* Where the functions lie: after the rest. */
static void place_functions(Maker *m)
{
    static const u8 links[] = {1, 5, 31};
    u32 at = m->s->n;

    if (m->s->n < 60 || chance(m, 40))
        return;
    m->n_functions = (u8)(1 + below(m, FUNCTIONS));
    for (u32 i = 0; i < m->n_functions; i++) {
        at -= 4 + below(m, 8);
        m->function[i] = (Function){.first = (u16)at, .link = links[below(m, 3)]};
    }
    m->main = (u16)(at - 1);
}

static void make_any(Maker *m, u32 index)
{
    Item *item = &m->s->item[index];
    u32 what = below(m, 1000);

    if ((i32)index == m->s->each)
        make_trap(m, item);
    if (what < 120)
        make_idiom(m, item);
    else if (what < 140)
        make_compare(m, item, index);
    else if (what < 160 && m->slots < LOOP_SLOTS && index < m->main)
        make_loop(m, item, index);
    else if (what < 200 && m->n_functions && index < m->main)
        make_call(m, item);
    else if (what < 205)
        make_call_of_system(m, item);
    else if (what < 215 && m->changes)
        make_island(m, item);
    else if (what < 221 && m->faulty)
        make_trap(m, item);
    else if (what < 224 && m->faulty)
        make_wild(m, item, index);
    else if (what < 228 && m->faulty)
        make_invalid_mode(m, item);
    else
        make_item(m, item, index);
}

static void make_function(Maker *m, Function *f, u16 ret)
{
    Item *last = &m->s->item[ret];

    f->ret = m->end = ret;
    m->kept |= 1u << f->link;
    for (u32 i = f->first; i < ret; i++)
        make_any(m, i);
    m->kept &= ~(1u << f->link);
    last->fixed = true;
    add(last, chance(m, 50) ? enc_i(E_JALR, 0, f->link, 0) : 0x8002u | f->link << 7u);
}

static void make_functions(Maker *m)
{
    Item *over = &m->s->item[m->main];
    u16 next = (u16)m->s->n;

    over->fixed = over->aimed = true;
    over->to = (u16)m->s->n;
    add(over, enc_u(E_JAL, 0, 0));
    for (u32 i = 0; i < m->n_functions; i++) {
        make_function(m, &m->function[i], (u16)(next - 1));
        next = m->function[i].first;
    }
}

void seq_make(Seq *s, u64 seed, const RandomOptions *options)
{
    Maker m = {.state = seed * 0x9e3779b97f4a7c15 | 1, .s = s, .options = options};

    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->each = options->each;
    s->n = MIN(options->length, (u32)SEQ_ITEMS);
    for (int i = 0; i < 8; i++)
        random_next(&m.state);
    make_state(&m);
    m.main = m.end = (u16)s->n;
    place_functions(&m);
    m.end = m.main;
    for (u32 i = 0; i < m.main; i++)
        make_any(&m, i);
    if (m.n_functions)
        make_functions(&m);
    if (m.changes)
        add_patches(&m);
}
