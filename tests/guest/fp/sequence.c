/* SPDX-License-Identifier: MIT */
/* Several instructions in a row: flags accrue and are read and written in between,
 * results are operands of the next, the dynamic mode changes, stores look at what is
 * there, branches skip.  The whole is a loop over sets of operands. */
#include "fp.h"

enum { SETS = 16, ROUNDS = 3, ITEMS = 40, XS = 6, SLOTS = 8 };
enum { FFLAGS = 1, FRM = 2, FCSR = 3 };

typedef struct Input {
    u64 f[32], x[XS];
} Input;

typedef struct Output {
    u64 f[32], x[XS], fcsr, slot[SLOTS];
} Output;

static Input inputs[SETS];
static Output outputs[SETS];

typedef struct Sequence {
    Random random;
    const Options *options;
    Format usual; /* most operands are of this format, so that not all become NaNs */
    u32 n;
    u32 item[ITEMS];
    const char *text[ITEMS];
    u8 xs[XS], fs[12]; /* the registers it uses */
} Sequence;

static u8 pick_x(Sequence *s) { return s->xs[random_below(&s->random, XS)]; }
static u8 pick_f(Sequence *s) { return s->fs[random_below(&s->random, COUNT(s->fs))]; }

/* ---- items: a word each ---- */

static bool has_halves(const Options *o) { return option_lists(o->family, "zfh"); }

static Format random_format(Sequence *s)
{
    Format least = has_halves(s->options) ? FMT_H : FMT_S;

    return (Format)(least + random_below(&s->random, FMT_D + 1 - least));
}

static bool usually(Sequence *s) { return random_below(&s->random, 8) != 0; }

static const Insn *pick_insn(Sequence *s)
{
    bool usual = usually(s);
    const Insn *i;

    do
        i = &insns[random_below(&s->random, n_insns)];
    while (!option_lists(s->options->family, i->family) ||
           (usual && i->in != s->usual && i->in != FMT_INT));
    return i;
}

static u32 floating(Sequence *s, const Insn *i)
{
    u32 rm = random_below(&s->random, 10);
    Regs g = {i->to_x ? pick_x(s) : pick_f(s), i->from_x ? pick_x(s) : pick_f(s),
              i->from_x ? pick_x(s) : pick_f(s), pick_f(s)};

    return insn_encode(i, g, rm < MODES ? rm : RM_DYN);
}

static u32 encode(void (*code)(Code *, u8, u8, i32), u8 reg, u8 base, i32 offset)
{
    u32 word;
    Code c = {&word, &word};

    code(&c, reg, base, offset);
    return word;
}

static u32 slot_offset(Sequence *s)
{
    return (u32)offsetof(Output, slot) + 8 * random_below(&s->random, SLOTS);
}

static u32 csr(Sequence *s, u32 number, u32 function, u32 source)
{
    return 0x73 | number << 20 | function << 12 | source << 15 | (u32)pick_x(s) << 7;
}

static u32 memory(Sequence *s, bool store, const char **text)
{
    static const char *const names[2][3] = {{"flh", "flw", "fld"},
                                            {"fsh", "fsw", "fsd"}};
    Format f = random_format(s);
    u32 word = encode(store ? code_fsd : code_fld, pick_f(s), X_A1, slot_offset(s));

    *text = names[store][f];
    return word - ((u32)(FMT_D - f) << 12);
}

static u32 other(Sequence *s, const char **text)
{
    enum { CSRRW = 1, CSRRS = 2, CSRRWI = 5 };
    Random *r = &s->random;

    switch (random_below(r, 16)) {
    case 0:
    case 1: *text = "frflags"; return csr(s, FFLAGS, CSRRS, 0);
    case 2: *text = "fsflags"; return csr(s, FFLAGS, CSRRW, pick_x(s));
    case 3: *text = "fsrmi"; return csr(s, FRM, CSRRWI, random_below(r, MODES));
    case 4: *text = "frcsr"; return csr(s, FCSR, CSRRS, 0);
    case 5:
    case 6:
    case 7: return memory(s, true, text);
    case 8: return memory(s, false, text);
    case 9: *text = "bnez +8"; return 0x1463 | (u32)pick_x(s) << 15;
    default:
        *text = "fld";
        return encode(code_fld, pick_f(s), X_A0, 8 * random_below(r, 32));
    }
}

static void make_items(Sequence *s)
{
    for (u32 k = 0; k < s->n; k++) {
        const Insn *i = pick_insn(s);

        s->text[k] = i->name;
        if (random_below(&s->random, 100) < 70)
            s->item[k] = floating(s, i);
        else
            s->item[k] = other(s, &s->text[k]);
    }
}

static void sequence_make(Sequence *s, u32 seed, const Options *o)
{
    s->random = random_seed(seed * 0x5851f42d4c957f2d + 1);
    s->options = o;
    s->usual = random_format(s);
    for (u32 k = 0; k < XS; k++)
        s->xs[k] = random_x(&s->random);
    for (u32 k = 0; k < COUNT(s->fs); k++)
        s->fs[k] = (u8)random_below(&s->random, 32);
    s->n = 1 + random_below(&s->random, ITEMS);
    make_items(s);
    if (o->length && o->length < s->n)
        s->n = o->length;
}

/* ---- code ---- */

static void move_all(Code *c, const Sequence *s, u8 base,
                     void (*f)(Code *, u8, u8, i32), void (*x)(Code *, u8, u8, i32))
{
    for (u32 k = 0; k < 32; k++)
        f(c, (u8)k, base, 8 * (i32)k);
    for (u32 k = 0; k < XS; k++)
        x(c, s->xs[k], base, (i32)offsetof(Input, x) + 8 * (i32)k);
}

static const u32 *sequence_code(Sequence *s, bool clear)
{
    const u32 *top;
    Code c;

    code_page(&c);
    top = c.at;
    move_all(&c, s, X_A0, code_fld, code_ld);
    if (clear)
        code_csrrw(&c, X_ZERO, FFLAGS, X_ZERO);
    for (u32 k = 0; k < s->n; k++)
        code_word(&c, s->item[k]);
    code_word(&c, encode(code_addi, X_T0, X_T0, 0)); /* a branch may skip it */
    move_all(&c, s, X_A1, code_fsd, code_sd);
    code_word(&c, 0x73 | FCSR << 20 | 2 << 12 | X_T0 << 7);
    code_sd(&c, X_T0, X_A1, offsetof(Output, fcsr));
    code_addi(&c, X_A0, X_A0, sizeof(Input));
    code_addi(&c, X_A1, X_A1, sizeof(Output));
    code_bne(&c, X_A0, X_A2, top);
    code_return(&c);
    code_done();
    return c.start;
}

/* ---- running ---- */

static void fill_inputs(Sequence *s)
{
    for (u32 k = 0; k < SETS; k++) {
        for (u32 i = 0; i < 32; i += 2) {
            Format f = usually(s) ? s->usual : random_format(s);
            u64 v[3];

            random_operands(&s->random, f, v);
            memcpy(&inputs[k].f[i], v, 2 * sizeof(u64));
        }
        for (u32 i = 0; i < XS; i++)
            inputs[k].x[i] = random_bits(&s->random) >> random_below(&s->random, 64);
    }
}

static void show(const Sequence *s)
{
    for (u32 k = 0; k < s->n; k++)
        printf("%2u: %08x %s\n", k, s->item[k], s->text[k]);
    for (u32 k = 0; k < SETS; k++) {
        for (u32 i = 0; i < 32; i++)
            printf("set %u f%u %016lx -> %016lx\n", k, i, inputs[k].f[i],
                   outputs[k].f[i]);
        for (u32 i = 0; i < XS; i++)
            printf("set %u x%u %016lx -> %016lx\n", k, s->xs[i], inputs[k].x[i],
                   outputs[k].x[i]);
        for (u32 i = 0; i < SLOTS; i++)
            printf("set %u slot %u %016lx\n", k, i, outputs[k].slot[i]);
        printf("set %u fcsr %lx\n", k, outputs[k].fcsr);
    }
}

static u64 sequence_run(Sequence *s, u32 seed)
{
    const u32 *start = sequence_code(s, seed & 1);
    u64 hash = HASH_START;
    const u64 *words = (const u64 *)outputs;

    fill_inputs(s);
    memset(outputs, 0, sizeof(outputs));
    for (u32 round = 0; round < ROUNDS; round++) {
        set_frm(seed / 2 % MODES);
        code_run(start, inputs, outputs, inputs + SETS);
    }
    set_frm(0);
    for (u32 k = 0; k < sizeof(outputs) / (sizeof(u64)); k++)
        hash = hash_mix(hash, words[k]);
    return hash;
}

void sequence_all(const Options *o)
{
    for (u32 seed = 0; seed < o->count || (i64)seed <= o->chunk; seed++) {
        Sequence s;
        u64 hash;

        if (o->chunk >= 0 ? o->chunk != seed : seed % o->every)
            continue;
        sequence_make(&s, seed, o);
        hash = sequence_run(&s, seed);
        if (o->show)
            show(&s);
        else
            printf("sequence - - %u %016lx\n", seed, hash);
    }
}
