/* SPDX-License-Identifier: MIT */
/*
 * Build tool: stencilgen [-stats] NAME OUT.c OBJECT... reads the objects compiled
 * from stencils.c (stencil_read.c) and writes their stencils as tables (stencil.h).
 * It owns how variants become shapes: every variant it writes down as a shape plus
 * fields has been rebuilt from them and compared with the compiler's bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stencil_insn.h"
#include "stencil_read.h"

enum { MAX_SHAPES = 8192, MAX_RANK = 13 };

static struct {
    StencilFamily family[STENCIL_OPS][FORM_COUNT];
    Stencil stencils[MAX_SHAPES];
    u32 n_stencils, n_bytes, n_fields, n_holes, n_shape_of, n_families;
    u8 bytes[1 << 20], shape_of[1 << 20];
    StencilField fields[1 << 16];
    StencilHole holes[1 << 16];
} out;

/* ---- variants -> shapes ---- */

/* An affine map over GF(2) from register-number bits to bytes, in echelon form. */
typedef struct Affine {
    u16 vector[MAX_RANK];
    u8 bytes[MAX_RANK][STENCIL_MAX];
    u32 rank;
} Affine;

/* Reduces (vector, bytes) by the map; returns what is left of the vector. */
static u16 affine_reduce(const Affine *m, u16 vector, u8 *bytes, u32 len)
{
    for (u32 i = 0; i < m->rank; i++)
        if ((vector ^ m->vector[i]) < vector) {
            vector ^= m->vector[i];
            for (u32 k = 0; k < len; k++)
                bytes[k] ^= m->bytes[i][k];
        }
    return vector;
}

static bool all_zero(const u8 *p, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Takes the variant into the map if it fits or adds a dimension. */
static bool affine_take(Affine *m, const Variant *v)
{
    u8 bytes[STENCIL_MAX];
    u16 left;
    u32 i;

    memcpy(bytes, v->code, v->len);
    left = affine_reduce(m, v->vector, bytes, v->len);
    if (!left)
        return all_zero(bytes, v->len);
    for (i = m->rank; i > 0 && m->vector[i - 1] < left; i--) {
        m->vector[i] = m->vector[i - 1];
        memcpy(m->bytes[i], m->bytes[i - 1], STENCIL_MAX);
    }
    m->vector[i] = left;
    memcpy(m->bytes[i], bytes, v->len);
    m->rank++;
    return true;
}

/* What number bit `bit` of the vector does to the bytes; zero if never seen alone. */
static void affine_mask(const Affine *m, u16 unit, u8 *bytes, u32 len)
{
    memset(bytes, 0, len);
    if (affine_reduce(m, unit, bytes, len))
        memset(bytes, 0, len);
}

static u32 rhythm_of(const Variant *v)
{
    u32 hash = 0;
    Insn insn;

    for (u32 at = 0; at < v->len && insn_read(v->code, v->len, at, &insn);
         at += insn.len)
        hash = hash * 31 + insn.len;
    return hash;
}

static bool same_kind(const Variant *a, const Variant *b)
{
    return a->alias == b->alias && a->rhythm == b->rhythm && a->len == b->len &&
           a->hot == b->hot && a->n_holes == b->n_holes &&
           !memcmp(a->holes, b->holes, sizeof a->holes);
}

static void apply_fields(u8 *code, const Stencil *s, u16 vector)
{
    for (u32 i = 0; i < s->n_fields; i++) {
        StencilField f = out.fields[s->fields + i];
        u32 number = vector >> (1 + 4 * f.operand) & 15;

        code[f.bit >> 3] ^= (u8)((f.high ? number >> 3 : number & 7) << (f.bit & 7));
    }
}

static bool bit_at(const u8 *p, u32 bit) { return p[bit >> 3] >> (bit & 7) & 1; }

/*
 * Reads fields off the masks: bits 0-2 of a number side by side in a byte, bit 3
 * anywhere.  Bits that no variant varies (a class of few registers) are read as if
 * they did; the check against every variant decides.
 */
static void find_fields(const Affine *m, Stencil *s, u32 n_operands, u32 len)
{
    u8 mask[4][STENCIL_MAX];

    for (u32 k = 0; k < n_operands; k++) {
        for (u32 b = 0; b < 4; b++)
            affine_mask(m, (u16)(1 << (1 + 4 * k + b)), mask[b], len);
        for (u32 bit = 0; bit < len * 8; bit++) {
            bool low =
                (bit & 7) <= 5 && (bit_at(mask[0], bit) || bit_at(mask[1], bit + 1) ||
                                   bit_at(mask[2], bit + 2));

            if (low && (bit & 7) % 3 == 0)
                out.fields[out.n_fields++] = (StencilField){(u16)bit, 0, (u16)k};
            if (bit_at(mask[3], bit))
                out.fields[out.n_fields++] = (StencilField){(u16)bit, 1, (u16)k};
        }
    }
    s->n_fields = (u8)(out.n_fields - s->fields);
}

static u32 new_stencil(const Variant *v)
{
    Stencil *s = &out.stencils[out.n_stencils];

    if (out.n_stencils + 1 >= MAX_SHAPES ||
        out.n_bytes + STENCIL_MAX > sizeof out.bytes ||
        out.n_holes + STENCIL_HOLES >= UINT16_MAX || out.n_fields + 512 >= UINT16_MAX)
        stencil_refuse(v->name, "too many shapes");
    s->bytes = out.n_bytes;
    s->hot = (u8)v->hot;
    s->cold = (u8)(v->len - v->hot);
    s->fields = (u16)out.n_fields;
    s->holes = (u16)out.n_holes;
    s->n_holes = (u8)v->n_holes;
    memcpy(out.holes + out.n_holes, v->holes, v->n_holes * sizeof *v->holes);
    out.n_holes += v->n_holes;
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].kind == HOLE_EXIT)
            s->exit_at = v->holes[i].at;
    memcpy(out.bytes + out.n_bytes, v->code, v->len);
    out.n_bytes += v->len;
    return out.n_stencils++;
}

/* Tries to make one shape of all unplaced variants that are like `seed`. */
static void make_shape(Variant *all, u32 count, Variant *seed, u32 n_operands)
{
    Affine m = {0};
    u32 id = new_stencil(seed);
    Stencil *s = &out.stencils[id];
    u8 *base = out.bytes + s->bytes;

    for (u32 i = 0; i < count; i++)
        if (all[i].present && !all[i].shape && same_kind(&all[i], seed))
            affine_take(&m, &all[i]);
    find_fields(&m, s, n_operands, seed->len);
    apply_fields(base, s, seed->vector);
    seed->shape = (u16)id;
    for (u32 i = 0; i < count; i++) {
        u8 code[STENCIL_MAX];

        if (!all[i].present || (all[i].shape && &all[i] != seed) ||
            !same_kind(&all[i], seed))
            continue;
        memcpy(code, base, seed->len);
        apply_fields(code, s, all[i].vector);
        if (!memcmp(code, all[i].code, seed->len))
            all[i].shape = (u16)id;
        else if (&all[i] == seed)
            stencil_refuse(seed->name, "its own shape does not rebuild it");
    }
}

/* ---- brief forms: a byte where the immediate fits one ---- */

/* Where the ModRM byte of a 32-bit displacement at `at` stands. */
static u32 modrm_of(const u8 *code, u32 at)
{
    return at >= 2 && (code[at - 2] & 0xc7) == 0x84 ? at - 2 : at - 1;
}

/* Can the 32-bit hole be a byte?  Rewrites opcode or ModRM to say so. */
static bool make_brief(Variant *v, const StencilHole *h)
{
    u32 at = h->at, modrm;

    if (at >= 2 && (v->code[at - 1] & 0xc0) == 0xc0 && v->code[at - 2] == 0x81) {
        v->code[at - 2] = 0x83;
        return true;
    }
    modrm = modrm_of(v->code, at);
    if ((v->code[modrm] & 0xc0) != 0x80)
        return false;
    v->code[modrm] ^= 0xc0;
    return true;
}

static void add_brief(u32 id)
{
    Stencil *s = &out.stencils[id], *b;
    Variant v = {.name = "brief", .hot = s->hot, .len = (u32)(s->hot + s->cold)};
    StencilHole *h = NULL;
    u32 cut_bit;

    memcpy(v.code, out.bytes + s->bytes, v.len);
    v.n_holes = s->n_holes;
    memcpy(v.holes, out.holes + s->holes, v.n_holes * sizeof *v.holes);
    for (u32 i = 0; i < v.n_holes; i++)
        if (v.holes[i].kind == HOLE_IMM32 || v.holes[i].kind == HOLE_ENV32)
            h = h ? (StencilHole *)-1 : &v.holes[i];
    if (!h || h == (StencilHole *)-1 || h->at >= v.hot || h->addend ||
        !make_brief(&v, h))
        return;
    h->kind = h->kind == HOLE_IMM32 ? HOLE_IMM8 : HOLE_ENV8;
    cut_bit = h->at * 8u;
    variant_cut(&v, h->at + 1u, 3);
    v.hot -= 3;
    b = &out.stencils[new_stencil(&v)];
    for (u32 i = 0; i < s->n_fields; i++) {
        StencilField f = out.fields[s->fields + i];

        if (f.bit > cut_bit)
            f.bit -= 24;
        out.fields[out.n_fields++] = f;
    }
    b->n_fields = s->n_fields;
    s->brief = (u16)(b - out.stencils);
}

/* As a function of that name would be refused. */
_Noreturn static void refuse_missing(u32 op, Form form, u32 index)
{
    char name[64];
    u8 regs[3];
    u32 n = variant_regs(form, index, regs);
    int at = snprintf(name, sizeof name, "%s__%s__", stencil_op_names[op],
                      stencil_form_names[form]);

    for (u32 k = 0; k < n; k++)
        at += snprintf(name + at, sizeof name - (size_t)at, "%s%u", k ? "_" : "",
                       regs[k]);
    stencil_refuse(name, "is missing");
}

static void make_family(const Families *families, u32 op, Form form)
{
    Variant *all = families->all[op][form];
    u32 count = variant_count(form);
    u32 n_operands = (u32)strlen(stencil_form_operands[form]), first = out.n_stencils;
    StencilFamily *f = &out.family[op][form];

    for (u32 i = 0; i < count; i++)
        if (all[i].present)
            all[i].rhythm = rhythm_of(&all[i]);
    for (u32 i = 0; i < count; i++)
        if (all[i].half)
            stencil_refuse(all[i].name, "its second sample is missing");
    for (u32 i = 0; i < count; i++)
        if (all[i].present && !all[i].shape)
            make_shape(all, count, &all[i], n_operands);
    if (out.n_stencils - first > 255)
        stencil_refuse(all[0].name, "more than 255 shapes");
    out.n_families++;
    f->first = (u16)first;
    f->n_shapes = (u16)(out.n_stencils - first);
    f->shape_of = out.n_shape_of;
    for (u32 i = 0; i < count; i++) {
        if (!all[i].present)
            refuse_missing(op, form, i);
        out.shape_of[out.n_shape_of++] = (u8)(all[i].shape - first);
    }
    for (u32 i = first; i < first + f->n_shapes; i++)
        add_brief(i);
}

/* ---- writing ---- */

static void write_bytes(FILE *f, const char *name, const u8 *p, u32 n)
{
    fprintf(f, "static const u8 %s[] = {", name);
    for (u32 i = 0; i < n; i++)
        fprintf(f, "%s%u,", i % 24 ? "" : "\n", p[i]);
    fprintf(f, "\n0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0};\n"); /* emit copies 16 at a time */
}

static void write_stencils(FILE *f)
{
    fprintf(f, "static const Stencil stencils[] = {\n");
    for (u32 i = 0; i < out.n_stencils; i++) {
        const Stencil *s = &out.stencils[i];

        fprintf(f, "{%u,%u,%u,%u,%u,%u,%u,%u,%u},\n", s->bytes, s->hot, s->cold,
                s->n_fields, s->n_holes, s->fields, s->holes, s->brief, s->exit_at);
    }
    fprintf(f, "};\nstatic const StencilField fields[] = {\n");
    for (u32 i = 0; i < out.n_fields; i++)
        fprintf(f, "{%u,%u,%u},%s", out.fields[i].bit, out.fields[i].high,
                out.fields[i].operand, i % 8 == 7 ? "\n" : "");
    fprintf(f, "{0,0,0}};\nstatic const StencilHole holes[] = {\n");
    for (u32 i = 0; i < out.n_holes; i++)
        fprintf(f, "{%u,%u,%d},%s", out.holes[i].kind, out.holes[i].at,
                out.holes[i].addend, i % 8 == 7 ? "\n" : "");
    fprintf(f, "{0,0,0}};\n");
}

/* False: too long, or has too much in it. */
static bool make_quick(const Stencil *s, QuickStencil *q)
{
    *q = (QuickStencil){.n_fields = s->n_fields, .exit_at = s->exit_at};
    if (s->hot > sizeof q->bytes || s->cold || s->n_fields > ARRAY_SIZE(q->field))
        return false;
    memcpy(q->bytes, out.bytes + s->bytes, s->hot);
    for (u32 i = 0; i < ARRAY_SIZE(q->field); i++)
        q->field[i] = 7 << 8;
    for (u32 i = 0; i < s->n_fields; i++) {
        StencilField f = out.fields[s->fields + i];

        q->field[i] = (u16)(f.bit | (f.operand * 2 + f.high) << 8);
    }
    for (u32 i = 0; i < s->n_holes; i++) {
        const StencilHole *h = &out.holes[s->holes + i];
        bool byte = h->kind == HOLE_IMM8 || h->kind == HOLE_ENV8;

        if (h->kind == HOLE_EXIT)
            continue;
        if (q->hole_mask || h->addend || h->kind == HOLE_IMM64 || h->at > 12)
            return false;
        q->hole_mask = byte ? 0xff : 0xffffffff;
        q->hole_at = h->at;
    }
    return true;
}

static void write_quick(FILE *f)
{
    QuickStencil q;

    fprintf(f, "static const QuickStencil quick[] = {\n");
    for (u32 i = 0; i < out.n_stencils; i++) {
        bool quick = i && make_quick(&out.stencils[i], &q);

        fprintf(f, "{{%u", quick ? q.bytes[0] : 0);
        for (u32 k = 1; quick && k < sizeof q.bytes; k++)
            fprintf(f, ",%u", q.bytes[k]);
        fprintf(f, "},{");
        for (u32 k = 0; quick && k < ARRAY_SIZE(q.field); k++)
            fprintf(f, "%u,", q.field[k]);
        if (quick)
            fprintf(f, "},%uu,%u,%u,%u,%u},\n", q.hole_mask, q.hole_at,
                    out.stencils[i].hot, q.n_fields, q.exit_at);
        else
            fprintf(f, "0},0,0,0,0,%u},\n", out.stencils[i].exit_at);
    }
    fprintf(f, "};\n");
}

static void write_tables(const char *path, const char *name)
{
    FILE *f = fopen(path, "w");

    if (!f)
        stencil_refuse(path, "cannot be written");
    fprintf(f, "/* Written by stencilgen. */\n#include \"microops/stencil.h\"\n");
    write_bytes(f, "bytes", out.bytes, out.n_bytes);
    write_bytes(f, "shape_of", out.shape_of, out.n_shape_of);
    write_stencils(f);
    write_quick(f);
    fprintf(f, "static const StencilFamily family[][FORM_COUNT] = {\n");
    for (u32 op = 0; op < STENCIL_OPS; op++)
        for (u32 form = 0; form < FORM_COUNT; form++)
            if (out.family[op][form].first)
                fprintf(f, "[%u][%u] = {%u,%u,%u},\n", op, form,
                        out.family[op][form].first, out.family[op][form].n_shapes,
                        out.family[op][form].shape_of);
    fprintf(
        f,
        "[%u] = {{0,0,0}}};\nconst StencilSet stencils_%s = {\"%s\", family, "
        "stencils, quick, bytes, fields, holes, shape_of,\n    sizeof family + sizeof "
        "stencils + sizeof quick + sizeof bytes + sizeof fields + sizeof holes + "
        "sizeof "
        "shape_of};\n",
        STENCIL_OPS, name, name);
    if (fclose(f))
        stencil_refuse(path, "cannot be written");
}

/* One line for whoever watches the build. */
static void print_stats(const char *name)
{
    size_t size = out.n_bytes + out.n_shape_of +
                  out.n_stencils * (sizeof(Stencil) + sizeof(QuickStencil)) +
                  out.n_fields * sizeof(StencilField) +
                  out.n_holes * sizeof(StencilHole) + sizeof out.family;

    printf("stencils %s: %u families, %u variants in %u shapes, %zu KB\n", name,
           out.n_families, out.n_shape_of, out.n_stencils - 1, (size + 1023) / 1024);
}

int main(int argc, char **argv)
{
    static Families families;
    bool stats = argc > 1 && !strcmp(argv[1], "-stats");

    argv += stats;
    argc -= stats;
    if (argc < 4)
        stencil_refuse("usage", "stencilgen [-stats] NAME OUT.c OBJECT...");
    out.n_stencils = 1; /* 0: none */
    for (int i = 3; i < argc; i++)
        families_read(&families, argv[i]);
    for (u32 op = 0; op < STENCIL_OPS; op++)
        for (Form form = 0; form < FORM_COUNT; form++)
            if (families.all[op][form])
                make_family(&families, op, form);
    write_tables(argv[2], argv[1]);
    if (stats)
        print_stats(argv[1]);
    return 0;
}
