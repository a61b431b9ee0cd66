/* SPDX-License-Identifier: MIT */
/* One instruction at a time: a loop around it that takes its operands from a table and
 * stores its result and the flags that it, and nothing else, raised. */
#include "fp.h"

enum { VARIANTS = 64, VARIANT_WORDS = 16 }; /* a page of loops, other registers each */

typedef struct Operands {
    u64 v[3];
} Operands;

typedef struct Result {
    u64 value, flags;
} Result;

static Operands operands[CHUNK];
static Result results[CHUNK];

/* One instruction in one mode. */
typedef struct Job {
    const Insn *insn;
    u32 rm, frm;
    char mode[16]; /* as printed */
    u32 *loops;
    Regs regs[VARIANTS];
    u64 seed;
} Job;

/* ---- code ---- */

static u8 random_f(Random *r) { return (u8)random_below(r, 32); }

/* Operands differ, unless they are random anyway. */
static Regs pick_regs(Random *r, const Insn *i, bool random)
{
    Regs g;

    do {
        g.a = i->from_x ? random_x(r) : random_f(r);
        g.b = i->from_x ? random_x(r) : random_f(r);
        g.c = random_f(r);
    } while (g.a == g.b || g.b == g.c || g.a == g.c);
    g.d = i->to_x ? random_x(r) : random_f(r);
    if (random && random_below(r, 8) == 0)
        g.b = g.a;
    if (random && random_below(r, 8) == 0)
        g.c = g.a;
    if (i->to_x && random && random_below(r, 8) == 0)
        g.d = X_ZERO;
    return g;
}

static void load_operands(Code *c, const Insn *i, Regs g)
{
    u8 reg[] = {g.a, g.b, g.c};

    for (int k = 0; k < i->n_in; k++)
        if (i->from_x)
            code_ld(c, reg[k], X_A0, 8 * k);
        else
            code_fld(c, reg[k], X_A0, 8 * k);
}

static void make_loop(Code *c, const Job *j, Regs g)
{
    const u32 *top = c->at;
    const Insn *i = j->insn;

    load_operands(c, i, g);
    code_word(c, insn_encode(i, g, j->rm));
    code_csrrw(c, X_T0, 1, X_ZERO); /* take the flags */
    if (i->to_x)
        code_sd(c, g.d, X_A1, 0);
    else
        code_fsd(c, g.d, X_A1, 0);
    code_sd(c, X_T0, X_A1, 8);
    code_addi(c, X_A0, X_A0, sizeof(Operands));
    code_addi(c, X_A1, X_A1, sizeof(Result));
    code_bne(c, X_A0, X_A2, top);
    code_return(c);
}

/* fli: the constant is in the place of a register; each loop has one. */
static void make_loops(Job *j, bool random)
{
    Random r = random_seed(j->seed);
    Code c;

    code_page(&c);
    j->loops = c.start;
    for (u32 k = 0; k < VARIANTS; k++) {
        j->regs[k] = pick_regs(&r, j->insn, random);
        if (j->insn->immediate)
            j->regs[k].a = k % 32;
        c.at = c.start + k * VARIANT_WORDS;
        make_loop(&c, j, j->regs[k]);
    }
    code_done();
}

/* ---- running ---- */

static void show(const Job *j, Regs g, u32 k)
{
    const Operands *o = &operands[k];
    char kind = j->insn->to_x ? 'x' : 'f', in = j->insn->from_x ? 'x' : 'f';

    printf("%u %s %c%u,%c%u,%c%u,f%u %s: %016lx %016lx %016lx -> %016lx flags %02lx\n",
           k, j->insn->name, kind, g.d, in, g.a, in, g.b, g.c, j->mode, o->v[0],
           o->v[1], o->v[2], results[k].value, results[k].flags);
}

static u64 run(const Job *j, u32 chunk, u32 n)
{
    u64 hash = HASH_START;

    set_frm(j->frm);
    code_run(j->loops + chunk % VARIANTS * VARIANT_WORDS, operands, results,
             operands + n);
    set_frm(0);
    for (u32 k = 0; k < n; k++)
        hash = hash_mix(hash_mix(hash, results[k].value), results[k].flags);
    return hash;
}

static void report(const Job *j, const Options *o, const char *set, u32 chunk, u32 n)
{
    u64 hash = run(j, chunk, n);

    if (!o->show) {
        printf("%s %s %s %u %016lx\n", set, j->insn->name, j->mode, chunk, hash);
        return;
    }
    for (u32 k = 0; k < n; k++)
        if (o->index < 0 || o->index == k)
            show(j, j->regs[chunk % VARIANTS], k);
}

/* ---- operands ---- */

static u64 power(u64 n, u32 k) { return k ? n * power(n, k - 1) : 1; }

static u32 fill_special(const Insn *i, u64 from, u64 total)
{
    u32 n = special_count(i->in, i->n_in), k;

    for (k = 0; k < CHUNK && from + k < total; k++) {
        u64 index = from + k;

        for (int m = 0; m < 3; m++, index /= n)
            operands[k].v[m] =
                m < i->n_in ? special_value(i->in, i->n_in, index % n) : 0;
    }
    return k;
}

static void fill_random(const Job *j, u32 chunk)
{
    Random r = random_seed(j->seed + chunk * 0x10001ull);

    for (u32 k = 0; k < CHUNK; k++)
        random_operands(&r, j->insn->in, operands[k].v);
}

static bool wanted(const Options *o, u32 chunk)
{
    return o->chunk >= 0 ? o->chunk == chunk : chunk % o->every == 0;
}

static void special(const Job *j, const Options *o)
{
    u64 n = power(special_count(j->insn->in, j->insn->n_in), j->insn->n_in);

    if (j->insn->immediate)
        n = 32 * CHUNK;
    for (u32 chunk = 0; chunk * (u64)CHUNK < n; chunk++)
        if (wanted(o, chunk))
            report(j, o, "special", chunk,
                   fill_special(j->insn, chunk * (u64)CHUNK, n));
}

static void random_chunks(const Job *j, const Options *o)
{
    for (u32 chunk = 0; chunk < o->count || (i64)chunk <= o->chunk; chunk++)
        if (wanted(o, chunk)) {
            fill_random(j, chunk);
            report(j, o, "random", chunk, CHUNK);
        }
}

/* ---- modes ---- */

static void job(const Insn *i, const char *mode, u32 rm, u32 frm, const Options *o,
                bool random)
{
    Job j = {.insn = i, .rm = rm, .frm = frm};

    snprintf(j.mode, sizeof(j.mode), "%s", mode);
    if (!option_allows(o->mode, j.mode))
        return;
    j.seed = i->match * 64ull + rm * 8 + frm;
    make_loops(&j, random);
    if (random)
        random_chunks(&j, o);
    else
        special(&j, o);
}

/* Static modes run under a dynamic mode that is another one, RMM under the one that
 * gives zeros another sign; what names no mode runs
 * under each. */
static void all_modes(const Insn *i, const Options *o, bool random)
{
    char mode[16];

    for (u32 m = 0; m < MODES; m++) {
        if (i->has_mode)
            job(i, mode_names[m], m, (m + 3) % MODES, o, random);
        snprintf(mode, sizeof(mode), "dyn-%s", mode_names[m]);
        if (i->has_mode || m == 0 || m == 4)
            job(i, mode, RM_DYN, m, o, random);
    }
}

static void all_insns(const Options *o, bool random)
{
    for (u32 k = 0; k < n_insns; k++)
        if (option_allows(o->insn, insns[k].name) &&
            option_lists(o->family, insns[k].family))
            all_modes(&insns[k], o, random);
}

void single_special(const Options *o) { all_insns(o, false); }
void single_random(const Options *o) { all_insns(o, true); }
