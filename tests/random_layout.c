/* SPDX-License-Identifier: MIT */
/* Sequences laid out, encoded and printed. */
#include <string.h>
#include "random_insn.h"

static u32 imm_b(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 12 & 1) << 31 | (v >> 5 & 63) << 25 | (v >> 1 & 15) << 8 |
           (v >> 11 & 1) << 7;
}

static u32 imm_j(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 20 & 1) << 31 | (v >> 1 & 0x3ff) << 21 | (v >> 11 & 1) << 20 |
           (v >> 12 & 0xff) << 12;
}

static u32 imm_cb(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 8 & 1) << 12 | (v >> 3 & 3) << 10 | (v >> 6 & 3) << 5 |
           (v >> 1 & 3) << 3 | (v >> 5 & 1) << 2;
}

static u32 imm_cj(i64 disp)
{
    u32 v = (u32)disp;

    return (v >> 11 & 1) << 12 | (v >> 4 & 1) << 11 | (v >> 8 & 3) << 9 |
           (v >> 10 & 1) << 8 | (v >> 6 & 1) << 7 | (v >> 7 & 1) << 6 |
           (v >> 1 & 7) << 3 | (v >> 5 & 1) << 2;
}

/* Dropped, or there is nothing for it to change. */
static bool is_gone(const Seq *s, const Item *item)
{
    return item->dropped || (item->patches && s->item[item->to].dropped);
}

static u32 words_len(const Item *item, u32 n)
{
    u32 len = 0;

    for (u32 i = 0; i < n; i++)
        len += insn_len(item->insn[i]);
    return len;
}

u64 seq_lay_out(Seq *s, u64 at)
{
    for (u32 i = 0; i <= s->n; i++) {
        s->item[i].at = at;
        if (!is_gone(s, &s->item[i]))
            at += words_len(&s->item[i], s->item[i].n);
    }
    return at;
}

/* The direct jump in bits, going disp bytes from itself. */
static u32 aim(u32 bits, i64 disp)
{
    if ((bits & 3) != 3) {
        if ((bits >> 13 & 7) == 5)
            return (bits & 0xe003) | imm_cj(disp);
        return (bits & 0xe383) | imm_cb(disp);
    }
    if ((bits & 0x7f) == 0x6f)
        return (bits & 0xfff) | imm_j(disp);
    return (bits & 0x1fff07f) | imm_b(disp);
}

/* Makes auipc and addi yield so many bytes from the auipc. */
static void set_pcrel(u32 *insn, i64 disp)
{
    insn[0] |= (u32)((disp + 0x800) >> 12) << 12;
    insn[1] |= (u32)disp << 20;
}

/* The item's instructions with destinations filled in. */
static void item_resolve(const Seq *s, const Item *item, u32 *insn)
{
    u64 to = item->island ? s->island : s->item[item->to].at;

    memcpy(insn, item->insn, sizeof(item->insn));
    if (item->pcrel) {
        u32 k = item->pcrel - 1u;
        u64 here = item->at + words_len(item, k);

        set_pcrel(insn + k, (i64)(to - here) - item->offset);
    }
    if (item->aimed) {
        u32 k = item->n - 1u;

        insn[k] = aim(insn[k], (i64)(to - item->at - words_len(item, k)));
    }
}

void seq_encode(const Seq *s, u8 *out, u64 base)
{
    for (u32 i = 0; i < s->n; i++) {
        const Item *item = &s->item[i];
        u8 *p = out + (item->at - base);
        u32 insn[ITEM_WORDS];

        if (is_gone(s, item))
            continue;
        item_resolve(s, item, insn);
        for (int k = 0; k < item->n; p += insn_len(insn[k]), k++)
            memcpy(p, &insn[k], insn_len(insn[k]));
    }
}

static u64 print_insn(FILE *f, u64 at, u32 bits)
{
    char text[80];

    if (!riscv64_disas(text, sizeof(text), at, (u8 *)&bits, 4))
        snprintf(text, sizeof(text), "?");
    fprintf(f, "  %6llx: %0*x%*s %s\n", (unsigned long long)at, insn_len(bits) * 2,
            bits, insn_len(bits) == 2 ? 4 : 0, "", text);
    return at + insn_len(bits);
}

void seq_print(FILE *f, const Seq *s)
{
    for (u32 i = 0; i < s->n; i++) {
        u64 at = s->item[i].at;
        u32 insn[ITEM_WORDS];

        if (is_gone(s, &s->item[i]))
            continue;
        item_resolve(s, &s->item[i], insn);
        for (int k = 0; k < s->item[i].n; k++)
            at = print_insn(f, at, insn[k]);
    }
}
