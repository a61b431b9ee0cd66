/* SPDX-License-Identifier: MIT */
/* The file of sequences: their code, and the values and addresses they draw on. */
#include <stdlib.h>
#include <string.h>
#include "random_insn.h"

/* Code that a sequence begins and ends with, besides its items. */
enum { SEQ_AROUND = 8 + 4 + 12 + 8 };

typedef struct Text {
    u8 *bytes;
    u64 size;
} Text;

static void put(Text *t, u32 insn)
{
    memcpy(t->bytes + t->size, &insn, 4);
    t->size += 4;
}

/* Sets the sequence's entry. */
static u64 put_sequence(Text *t, Seq *s)
{
    u64 entry, end;

    t->size = align_up(t->size, 8);
    s->island = CODE_AT + t->size;
    t->size += 8;
    entry = CODE_AT + t->size;
    put(t, enc_i(E_LD, 31, TP, X_OFFSET + 8 * 31));
    end = seq_lay_out(s, CODE_AT + t->size);
    seq_encode(s, t->bytes, CODE_AT);
    t->size = end - CODE_AT;
    put(t, enc_s(E_SD, TP, 31, LAST_X_OFFSET));
    put(t, enc_i(E_LD, 31, TP, LEAVE_OFFSET));
    put(t, enc_i(E_JALR, 0, 31, 0));
    return entry;
}

/* The last two bytes are the first half of an instruction. */
static void finish_text(Text *t)
{
    t->size = align_up(t->size + 2, PAGE_SIZE);
    t->bytes[t->size - 2] = 0x13;
}

static u64 good_target(u64 *state)
{
    u64 v = random_next(state), how = random_next(state) >> 32;

    if (how % 8 == 0) /* across the pages below gp, and above */
        return GP_AT + (how >> 8 & 1 ? PAGE_SIZE : 0) - 8 + v % 16;
    v = v % 2040;
    return GP_AT + (how % 8 < 3 ? v : align_down(v, 8));
}

static u64 bad_target(u64 *state)
{
    /* Where nothing is by chance either. */
    static const u64 wild[] = {0,
                               8,
                               0x7ff,
                               0xffffffffffffffff,
                               0xfffffffffffffff8,
                               0x3fffffff80,
                               AREA_AT - 4096};
    u64 v = random_next(state), how = random_next(state) >> 32;
    u64 page = AREA_AT + (1 + (how >> 8) % (AREA_TRAP - 1)) * PAGE_SIZE;

    if (how % 8 == 0)
        return wild[v % ARRAY_SIZE(wild)];
    if (how % 8 == 1)
        return page + v % (PAGE_SIZE - 8);
    return page - 8 + (how % 8 < 4 ? align_down(v % 17, 4) : v % 17);
}

static void fill_wild(CaseHead *c)
{
    const u64 wild[] = {0,
                        AREA_AT,
                        AREA_AT + AREA_NONE * PAGE_SIZE,
                        AREA_AT + AREA_EDGE * PAGE_SIZE,
                        AREA_AT + AREA_FILE * PAGE_SIZE + 2,
                        CODE_AT + c->code_bytes - 2,
                        CODE_AT + c->code_bytes,
                        AREA_AT + 0x1001};

    for (u32 i = 0; i < ADDR_SLOTS; i++)
        c->wild[i] = wild[i % ARRAY_SIZE(wild)];
}

static void fill_values(CaseHead *c)
{
    u64 state = 0x1234567;

    for (u32 i = 0; i < VALUES; i++) {
        c->ints[i] = random_int(&state);
        c->floats[i] = random_float(&state);
    }
    for (u32 i = 0; i < TARGETS; i++)
        c->targets[i] = i < TARGETS_GOOD ? good_target(&state) : bad_target(&state);
    for (u32 i = 0; i < SCRATCH_BYTES; i++)
        c->scratch[i] = (u8)(random_next(&state) >> 40);
    fill_wild(c);
}

static void fill_seq(CaseSeq *out, const Seq *s, u64 entry)
{
    out->entry = entry;
    out->seed = s->seed * 0x9e3779b97f4a7c15 | 1;
    out->flags = s->flags;
    out->start = s->start;
}

u8 *random_case(Seq *seqs, u32 n, u32 rounds, size_t *size)
{
    size_t head = align_up(sizeof(CaseHead) + n * sizeof(CaseSeq), PAGE_SIZE);
    size_t room = n * (SEQ_AROUND + SEQ_ITEMS * 4ull * ITEM_WORDS) + PAGE_SIZE;
    u8 *file = calloc(1, head + room);
    CaseHead *c = (CaseHead *)file;
    Text text = {file + head, 0};

    for (u32 i = 0; i < n; i++)
        if (!seqs[i].dropped)
            fill_seq(&c->seq[c->n++], &seqs[i], put_sequence(&text, &seqs[i]));
    finish_text(&text);
    c->rounds = rounds;
    c->code_at = head;
    c->code_bytes = text.size;
    fill_values(c);
    *size = head + text.size;
    return file;
}
