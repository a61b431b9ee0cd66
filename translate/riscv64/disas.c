/* SPDX-License-Identifier: MIT */
/*
 * Instructions as text, from the operands column of insn.def: its words are replaced,
 * all else is copied.  Spelt as binutils' objdump -M no-aliases does.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include "riscv64.h"

typedef struct Text {
    char *out;
    size_t size, used;
} Text;

static void PRINTF(2, 3) add(Text *t, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(t->out + t->used, t->size - t->used, format, args);
    va_end(args);
    t->used = MIN(t->used + (size_t)MAX(n, 0), t->size - 1);
}

static void add_register(Text *t, u8 number)
{
    add(t, "%s", guest_riscv64.regs.globals[number].name);
}

/* ---- words of the operands column ---- */

static void word_rd(Text *t, const Arg *a, u64 pc) { add_register(t, a->rd); }
static void word_rs1(Text *t, const Arg *a, u64 pc) { add_register(t, a->rs1); }
static void word_rs2(Text *t, const Arg *a, u64 pc) { add_register(t, a->rs2); }
static void word_fd(Text *t, const Arg *a, u64 pc) { add_register(t, F0 + a->rd); }
static void word_fs1(Text *t, const Arg *a, u64 pc) { add_register(t, F0 + a->rs1); }
static void word_fs2(Text *t, const Arg *a, u64 pc) { add_register(t, F0 + a->rs2); }
static void word_fs3(Text *t, const Arg *a, u64 pc) { add_register(t, F0 + a->rs3); }
static void word_sp(Text *t, const Arg *a, u64 pc) { add_register(t, X_SP); }
static void word_imm(Text *t, const Arg *a, u64 pc) { add(t, "%d", a->imm); }
static void word_shamt(Text *t, const Arg *a, u64 pc) { add(t, "0x%x", a->imm); }
static void word_zimm(Text *t, const Arg *a, u64 pc) { add(t, "%d", a->rs1); }

static void word_upper(Text *t, const Arg *a, u64 pc)
{
    add(t, "0x%x", (u32)a->imm >> 12);
}

static void word_dest(Text *t, const Arg *a, u64 pc)
{
    add(t, "0x%" PRIx64, pc + (u64)(i64)a->imm);
}

static void word_csr(Text *t, const Arg *a, u64 pc)
{
    char name[32];

    if (csr_name(name, sizeof(name), (u32)a->imm))
        add(t, "%s", name);
    else
        add(t, "0x%x", (u32)a->imm);
}

static void add_fence_set(Text *t, int set)
{
    static const char letters[] = "wroi";

    if (!set)
        add(t, "unknown");
    for (int bit = 3; bit >= 0; bit--)
        if (set >> bit & 1)
            add(t, "%c", letters[bit]);
}

static void word_pred(Text *t, const Arg *a, u64 pc)
{
    add_fence_set(t, a->imm >> 4 & 15);
}

static void word_succ(Text *t, const Arg *a, u64 pc) { add_fence_set(t, a->imm & 15); }

/* A rounding mode with the comma before it, unless it is the usual one. */
static void add_rounding(Text *t, u8 rm, u8 usual)
{
    static const char *const modes[] = {"rne", "rtz",     "rdn",     "rup",
                                        "rmm", "unknown", "unknown", "dyn"};

    if (rm != usual)
        add(t, ",%s", modes[rm]);
}

static void word_rm(Text *t, const Arg *a, u64 pc) { add_rounding(t, a->rm, RM_DYN); }
static void word_rm0(Text *t, const Arg *a, u64 pc) { add_rounding(t, a->rm, RM_RNE); }

static void word_rtz(Text *t, const Arg *a, u64 pc) { add(t, "rtz"); }

static void word_fconst(Text *t, const Arg *a, u64 pc)
{
    double value = riscv64_fli[a->rs1];

    if (a->rs1 == FLI_MIN)
        add(t, "min");
    else if (isnan(value) || isinf(value))
        add(t, isnan(value) ? "nan" : "inf");
    else
        add(t, "%a", value);
}

static const struct {
    const char *word;
    void (*add)(Text *t, const Arg *a, u64 pc);
} words[] = {
    {"rd", word_rd},       {"rs1", word_rs1},       {"rs2", word_rs2},
    {"fd", word_fd},       {"fs1", word_fs1},       {"fs2", word_fs2},
    {"fs3", word_fs3},     {"sp", word_sp},         {"imm", word_imm},
    {"dest", word_dest},   {"csr", word_csr},       {"zimm", word_zimm},
    {"shamt", word_shamt}, {"upper", word_upper},   {"pred", word_pred},
    {"succ", word_succ},   {"rm", word_rm},         {"rm0", word_rm0},
    {"rtz", word_rtz},     {"fconst", word_fconst},
};

static size_t word_length(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]))
        n++;
    return n;
}

static void add_word(Text *t, const Arg *a, u64 pc, const char *word, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strlen(words[i].word) == len && memcmp(words[i].word, word, len) == 0)
            words[i].add(t, a, pc);
}

static void add_operands(Text *t, const Arg *a, u64 pc, const char *s)
{
    while (*s) {
        size_t len = word_length(s);

        /* ",rm": the comma comes with the mode */
        if (len)
            add_word(t, a, pc, s, len);
        else if (strncmp(s, ",rm", 3) != 0)
            add(t, "%c", *s);
        s += MAX(len, 1);
    }
}

/* ---- the whole ---- */

static void add_name(Text *t, const InsnDesc *desc, u32 bits)
{
    static const char *const order[] = {"", ".rl", ".aq", ".aqrl"};

    for (const char *c = desc->name; *c; c++)
        add(t, "%c", *c == '_' ? '.' : *c);
    if (desc->format == FORMAT_A)
        add(t, "%s", order[bits >> 25 & 3]);
}

size_t riscv64_disas(char *out, size_t size, u64 pc, const u8 *bytes, size_t len)
{
    Text t = {out, size, 0};
    u32 bits = 0;
    InsnId id;
    Arg a;

    if (len < 2 || size == 0)
        return 0;
    memcpy(&bits, bytes, MIN(len, sizeof(bits)));
    if (len < insn_len(bits))
        return 0;
    id = insn_lookup(bits);
    a = insn_arg(id, bits);
    if (a.reserved || !insn_desc[id].operands)
        return 0;
    add_name(&t, &insn_desc[id], bits);
    if (*insn_desc[id].operands)
        add(&t, "\t");
    add_operands(&t, &a, pc, insn_desc[id].operands);
    return insn_len(bits);
}
