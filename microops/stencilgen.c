/* SPDX-License-Identifier: MIT */
/*
 * Build tool: stencilgen NAME OUT.c OBJECT... reads the objects compiled from
 * stencils.c and writes their stencils as tables (stencil.h).  It owns the rules a
 * stencil must keep, and fails the build with the op's name when one is broken.
 * Every variant it writes down as a shape plus fields has been rebuilt from them
 * and compared with the compiler's bytes.
 */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stencil.h"

enum { MAX_VARIANTS = 13 * 13 * 13, MAX_SHAPES = 8192, MAX_RANK = 13 };

static const char *const op_names[] = {
#define OP(name, sig, flags) #name,
#include "ops.def"
#undef OP
};
enum { N_OPS = ARRAY_SIZE(op_names) };

static const char *const form_names[] = {
#define X(name, operands) #name,
    STENCIL_FORMS(X)
#undef X
};
static const char *const form_operands[] = {
#define X(name, operands) operands,
    STENCIL_FORMS(X)
#undef X
};

const u8 numbers_r[HOST_R] = {3, 12, 13, 14, 15, 8, 9, 10, 11, 6, 7, 0, 1};
const u8 numbers_f[HOST_F] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2};

/* One function of the object, cut to a stencil. */
typedef struct Variant {
    const char *name;
    u8 code[STENCIL_MAX], sample[STENCIL_MAX];
    u32 hot, len; /* len: hot and cold */
    u32 sample_len;
    StencilHole holes[STENCIL_HOLES];
    u32 n_holes;
    u16 vector; /* bit 0: 1; then four bits an operand */
    u8 alias;   /* which pairs of operands are one register */
    u16 shape;
    bool present;
} Variant;

typedef struct Object {
    u8 *file;
    size_t size;
    const Elf64_Shdr *sections;
    const Elf64_Sym *symbols;
    u32 n_symbols, n_relocs, text;
    const char *strings;
    Elf64_Rela *relocs; /* of .text, by offset */
} Object;

static struct {
    StencilFamily family[N_OPS][FORM_COUNT];
    Stencil stencils[MAX_SHAPES];
    u32 n_stencils, n_bytes, n_fields, n_holes, n_shape_of;
    u8 bytes[1 << 20], shape_of[1 << 20];
    StencilField fields[1 << 16];
    StencilHole holes[1 << 14];
} out;

static Variant *families[N_OPS][FORM_COUNT];

static void die(const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "stencilgen: %s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- reading the object ---- */

static u8 *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    u8 *data;

    if (!f)
        die(path, "cannot be read");
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, f) != *size)
        die(path, "cannot be read");
    fclose(f);
    return data;
}

static int by_offset(const void *a, const void *b)
{
    const Elf64_Rela *x = a, *y = b;

    return x->r_offset < y->r_offset ? -1 : x->r_offset > y->r_offset;
}

static Object open_object(const char *path)
{
    Object o = {0};
    const Elf64_Ehdr *e;

    o.file = read_file(path, &o.size);
    e = (const Elf64_Ehdr *)o.file;
    if (o.size < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
        e->e_type != ET_REL || e->e_machine != EM_X86_64)
        die(path, "not an x86-64 object");
    o.sections = (const Elf64_Shdr *)(o.file + e->e_shoff);
    const char *names = (const char *)o.file + o.sections[e->e_shstrndx].sh_offset;

    for (u32 i = 0; i < e->e_shnum; i++) {
        const Elf64_Shdr *s = &o.sections[i];
        const char *name = names + s->sh_name;

        if (!strcmp(name, ".text"))
            o.text = i;
        if (s->sh_type == SHT_SYMTAB) {
            o.symbols = (const Elf64_Sym *)(o.file + s->sh_offset);
            o.n_symbols = (u32)(s->sh_size / sizeof *o.symbols);
            o.strings = (const char *)o.file + o.sections[s->sh_link].sh_offset;
        }
        if (!strcmp(name, ".rela.text")) {
            o.relocs = (Elf64_Rela *)(o.file + s->sh_offset);
            o.n_relocs = (u32)(s->sh_size / sizeof *o.relocs);
            qsort(o.relocs, o.n_relocs, sizeof *o.relocs, by_offset);
        }
    }
    return o;
}

static u64 read_uleb(const u8 **p)
{
    u64 v = 0;

    for (u32 shift = 0;; shift += 7) {
        u8 b = *(*p)++;

        v |= (u64)(b & 127) << shift;
        if (!(b & 128))
            return v;
    }
}

/* A function that moves the stack pointer says so in its unwind entry: a list of
 * instructions that is empty (nops) for every other. */
static void refuse_frames(const Object *o)
{
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)o->file;
    const char *names = (const char *)o->file + o->sections[e->e_shstrndx].sh_offset;
    const u8 *p = NULL, *end = NULL;
    const Elf64_Rela *r = NULL;
    u32 fde = 0;

    for (u32 i = 0; i < e->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];

        if (!strcmp(names + s->sh_name, ".eh_frame"))
            p = o->file + s->sh_offset, end = p + s->sh_size;
        if (!strcmp(names + s->sh_name, ".rela.eh_frame"))
            r = (const Elf64_Rela *)(o->file + s->sh_offset);
    }
    if (!p || !r)
        die("object", "no unwind table: cannot tell which stencils have a frame");
    while (p < end) {
        u32 len = *(const u32 *)p, id = *(const u32 *)(p + 4);
        const u8 *next = p + 4 + len, *q = p + 16;

        if (id) {
            u64 start = (u64)r[fde++].r_addend;

            for (q += read_uleb(&q); q < next; q++)
                if (*q)
                    for (u32 s = 0; s < o->n_symbols; s++)
                        if (o->symbols[s].st_value == start &&
                            ELF64_ST_TYPE(o->symbols[s].st_info) == STT_FUNC)
                            die(o->strings + o->symbols[s].st_name,
                                "has a stack frame (too many values for the free "
                                "registers, or a call)");
        }
        p = next;
    }
}

/* ---- one function -> one variant ---- */

static void wr32(u8 *p, u32 v) { memcpy(p, &v, 4); }

static void add_hole(Variant *v, HoleKind kind, u32 at, i64 addend)
{
    if (v->n_holes == STENCIL_HOLES)
        die(v->name, "more than %d holes", STENCIL_HOLES);
    if (addend != (i16)addend)
        die(v->name, "addend %lld out of range", (long long)addend);
    v->holes[v->n_holes++] = (StencilHole){kind, (u8)at, (i16)addend};
}

/* Where the one short conditional jump to `dest` stands; -1: none or several. */
static i32 find_jcc(const Variant *v, u32 dest)
{
    i32 found = -1;

    for (u32 p = 0; p + 2 <= v->len && p < dest; p++)
        if ((v->code[p] & 0xf0) == 0x70 && p + 2 + (u32)(i32)(i8)v->code[p + 1] == dest) {
            if (found >= 0)
                return -1;
            found = (i32)p;
        }
    return found;
}

/* Widens the short jcc at p to one with a 32-bit displacement and a hole. */
static void widen_jcc(Variant *v, u32 p, u8 cc, HoleKind kind)
{
    memmove(v->code + p + 6, v->code + p + 2, v->len - p - 2);
    v->code[p] = 0x0f;
    v->code[p + 1] = 0x80 | cc;
    wr32(v->code + p + 2, 0);
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].at > p)
            v->holes[i].at += 4;
    v->len += 4;
    v->hot += 4;
    add_hole(v, kind, p + 2, 0);
}

static void cut(Variant *v, u32 at, u32 n)
{
    memmove(v->code + at, v->code + at + n, v->len - at - n);
    v->len -= n;
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].at > at)
            v->holes[i].at -= (u8)n;
}

enum { TO_NEXT, TO_EXIT };
typedef struct Jumps {
    u32 at[8]; /* of the E9 byte */
    u8 to[8];
    u32 n;
} Jumps;

/* "jcc L; jmp next; L: jmp exit" (or the two the other way round) becomes one jcc. */
static bool shape_branch(Variant *v, const Jumps *j)
{
    u32 first, second;
    i32 p;

    if (j->n != 2 || j->to[0] == j->to[1] || j->at[1] + 5 != v->len)
        return false;
    first = j->at[0], second = j->at[1];
    p = find_jcc(v, second);
    if (p < 0 || (u32)p + 2 != first)
        return false;
    u8 cc = (v->code[p] & 15) ^ (j->to[1] == TO_NEXT);

    v->len = v->hot = first;
    widen_jcc(v, (u32)p, cc, HOLE_EXIT);
    return true;
}

/* "jcc L; ...indirect jump; L: jmp exit": the indirect jump is the end. */
static bool shape_indirect(Variant *v, const Jumps *j)
{
    i32 p;

    if (j->n != 1 || j->to[0] != TO_EXIT || j->at[0] + 5 != v->len)
        return false;
    p = find_jcc(v, j->at[0]);
    if (p < 0)
        return false;
    v->len = v->hot = j->at[0];
    widen_jcc(v, (u32)p, v->code[p] & 15, HOLE_EXIT);
    return true;
}

/* A condition that never or always holds leaves nothing to jump over. */
static bool shape_always(Variant *v, const Jumps *j)
{
    if (j->n != 1 || j->to[0] != TO_EXIT || j->at[0] + 5 != v->len)
        return false;
    add_hole(v, HOLE_EXIT, j->at[0] + 1, 0);
    return true;
}

/* "...jcc L; jmp next; L: cold; jmp next": the cold part moves out of line. */
static bool shape_cold(Variant *v, const Jumps *j)
{
    i32 p;

    if (j->n != 2 || j->to[0] != TO_NEXT || j->to[1] != TO_NEXT ||
        j->at[1] + 5 != v->len)
        return false;
    p = find_jcc(v, j->at[0] + 5);
    if (p < 0)
        return false;
    for (u32 q = 0; q < v->len; q++) /* no other way into or out of the cold part */
        if (q != (u32)p && q + 2 < j->at[0] && (v->code[q] & 0xf0) == 0x70 &&
            (i8)v->code[q + 1] > 0 && q + 2 + v->code[q + 1] > j->at[0] &&
            q + 2 + v->code[q + 1] < v->len)
            return false;
    v->hot = j->at[0];
    add_hole(v, HOLE_BACK, j->at[1] + 1, 0);
    cut(v, j->at[0], 5);
    widen_jcc(v, (u32)p, v->code[p] & 15, HOLE_COLD);
    return true;
}

/* Straight code, or code that jumps about inside: jumps to next go to the end. */
static void shape_plain(Variant *v, const Jumps *j)
{
    bool tail = j->n && j->at[j->n - 1] + 5 == v->len;
    bool turns_back = v->len > 2 && v->code[v->len - 2] == 0xeb && v->code[v->len - 1] > 127;

    if (!j->n || !(tail || turns_back))
        die(v->name, "does not end in a tail call to hole_next");
    if (tail)
        v->len -= 5;
    v->hot = v->len;
    for (u32 i = 0; i < j->n - tail; i++)
        wr32(v->code + j->at[i] + 1, v->len - (j->at[i] + 5));
    for (u32 i = 0; i < j->n; i++)
        if (j->to[i] != TO_NEXT)
            die(v->name, "leaves in a way that is not one conditional jump");
}

static void read_relocs(const Object *o, Variant *v, const Elf64_Sym *sym, u32 *r,
                        Jumps *jumps)
{
    u64 start = sym->st_value, end = start + sym->st_size;

    while (*r < o->n_relocs && o->relocs[*r].r_offset < start)
        ++*r;
    for (; *r < o->n_relocs && o->relocs[*r].r_offset < end; ++*r) {
        const Elf64_Rela *rel = &o->relocs[*r];
        u32 at = (u32)(rel->r_offset - start), type = ELF64_R_TYPE(rel->r_info);
        const Elf64_Sym *to = &o->symbols[ELF64_R_SYM(rel->r_info)];
        const char *name = o->strings + to->st_name;
        bool next = !strcmp(name, "hole_next"), exits = !strcmp(name, "hole_exit");

        if (next || exits) {
            if (v->code[at - 1] != 0xe9 || jumps->n == 8 || rel->r_addend != -4)
                die(v->name, "uses %s other than by a tail call", name);
            jumps->at[jumps->n] = at - 1;
            jumps->to[jumps->n++] = next ? TO_NEXT : TO_EXIT;
        } else if (!strcmp(name, "hole_imm") && type == R_X86_64_32S) {
            add_hole(v, HOLE_IMM32, at, rel->r_addend);
        } else if (!strcmp(name, "hole_env") && type == R_X86_64_32S) {
            add_hole(v, HOLE_ENV32, at, rel->r_addend);
        } else if (type == R_X86_64_32) {
            die(v->name, "takes %s as an unsigned 32-bit value", name);
        } else {
            die(v->name, "refers to \"%s\": a stencil can carry no constant pool and "
                         "call nothing",
                *name ? name : "a section of its own");
        }
    }
}

static void read_variant(const Object *o, const Elf64_Sym *sym, u32 *r, Variant *v)
{
    Jumps jumps = {0};

    if (sym->st_size > STENCIL_MAX - 8)
        die(v->name, "is %llu bytes long", (unsigned long long)sym->st_size);
    memcpy(v->code, o->file + o->sections[o->text].sh_offset + sym->st_value,
           sym->st_size);
    v->len = v->hot = (u32)sym->st_size;
    read_relocs(o, v, sym, r, &jumps);
    if (!shape_branch(v, &jumps) && !shape_indirect(v, &jumps) &&
        !shape_always(v, &jumps) && !shape_cold(v, &jumps))
        shape_plain(v, &jumps);
    v->present = true;
}

/* ---- names ---- */

static int find_name(const char *const *names, u32 n, const char *s, size_t len)
{
    for (u32 i = 0; i < n; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], s, len))
            return (int)i;
    return -1;
}

static u32 radix(char operand) { return operand == 'R' ? HOST_R : HOST_F; }

static u32 variant_count(const char *operands)
{
    u32 n = 1;

    for (; *operands; operands++)
        n *= radix(*operands);
    return n;
}

static u8 alias_of(const char *operands, const u32 *regs)
{
    u8 alias = 0;

    for (u32 i = 0; operands[i]; i++)
        for (u32 k = i + 1; operands[k]; k++)
            if (operands[i] == operands[k] && regs[i] == regs[k])
                alias |= (u8)(1 << (i + k));
    return alias;
}

/* Is operand k the same register as an earlier one?  Its number then counts once. */
static bool repeats(const char *operands, const u32 *regs, u32 k)
{
    for (u32 i = 0; i < k; i++)
        if (operands[i] == operands[k] && regs[i] == regs[k])
            return true;
    return false;
}

/* "add__rr__3_4" -> family and variant; sample 'b' if so named. */
static Variant *place_variant(const char *name, char *sample)
{
    const char *form = strstr(name, "__"), *rest;
    int op, f;
    u32 index = 0, regs[3] = {0};
    u16 vector = 1;

    if (!form || !(rest = strstr(form + 2, "__")))
        die(name, "is not named op__form__operands");
    op = find_name(op_names, N_OPS, name, (size_t)(form - name));
    f = find_name(form_names, FORM_COUNT, form + 2, (size_t)(rest - form - 2));
    if (op < 0 || f < 0)
        die(name, "names no op or no form");
    rest += 2;
    for (u32 k = 0; form_operands[f][k]; k++) {
        char class = form_operands[f][k];
        u32 reg = (u32)strtoul(rest, (char **)&rest, 10);

        if (reg >= radix(class))
            die(name, "operand %u out of range", k);
        regs[k] = reg;
        index = index * radix(class) + reg;
        if (!repeats(form_operands[f], regs, k))
            vector |= (u16)((class == 'R' ? numbers_r : numbers_f)[reg] << (1 + 4 * k));
        if (*rest == '_' && rest[1] != '_')
            rest++;
    }
    *sample = !strncmp(rest, "__", 2) ? rest[2] : 0;
    if (!families[op][f])
        families[op][f] = calloc(variant_count(form_operands[f]), sizeof(Variant));
    families[op][f][index].vector = vector;
    families[op][f][index].alias = alias_of(form_operands[f], regs);
    return &families[op][f][index];
}

/* Two samples differ in one immediate: that is the hole. */
static void join_samples(Variant *v, const Variant *b)
{
    static const struct {
        u64 a, b;
        u32 size;
        HoleKind kind;
    } pairs[] = {{SAMPLE_64A, SAMPLE_64B, 8, HOLE_IMM64},
                 {SAMPLE_32A, SAMPLE_32B, 4, HOLE_IMM32},
                 {SAMPLE_8A, SAMPLE_8B, 1, HOLE_IMM8}};
    u32 at = 0;

    if (v->len != b->len)
        die(v->name, "its two samples differ in length");
    while (at < v->len && v->code[at] == b->code[at])
        at++;
    for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) {
        u32 n = pairs[i].size;

        if (at + n <= v->len && !memcmp(v->code + at, &pairs[i].a, n) &&
            !memcmp(b->code + at, &pairs[i].b, n) &&
            !memcmp(v->code + at + n, b->code + at + n, v->len - at - n)) {
            memset(v->code + at, 0, n);
            add_hole(v, pairs[i].kind, at, 0);
            return;
        }
    }
    die(v->name, "its two samples differ in more than an immediate");
}

static int by_value(const void *a, const void *b)
{
    const Elf64_Sym *x = *(const Elf64_Sym *const *)a, *y = *(const Elf64_Sym *const *)b;

    return x->st_value < y->st_value ? -1 : x->st_value > y->st_value;
}

static void read_object(const char *path)
{
    Object o = open_object(path);
    const Elf64_Sym **order = calloc(o.n_symbols, sizeof *order);
    Variant b;
    u32 n = 0, r = 0;

    refuse_frames(&o);
    for (u32 i = 0; i < o.n_symbols; i++)
        if (ELF64_ST_TYPE(o.symbols[i].st_info) == STT_FUNC)
            order[n++] = &o.symbols[i];
    qsort(order, n, sizeof *order, by_value);
    for (u32 i = 0; i < n; i++) {
        char sample;
        Variant *v = place_variant(o.strings + order[i]->st_name, &sample);

        if (sample != 'b') {
            v->name = o.strings + order[i]->st_name;
            read_variant(&o, order[i], &r, v);
        } else {
            memset(&b, 0, sizeof b);
            b.name = o.strings + order[i]->st_name;
            read_variant(&o, order[i], &r, &b);
            join_samples(v, &b);
        }
    }
    free(order);
}

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

static bool same_kind(const Variant *a, const Variant *b)
{
    return a->alias == b->alias && a->len == b->len && a->hot == b->hot &&
           a->n_holes == b->n_holes &&
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
            bool low = (bit & 7) <= 5 && (bit_at(mask[0], bit) ||
                                          bit_at(mask[1], bit + 1) ||
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

    if (out.n_stencils + 1 >= MAX_SHAPES)
        die(v->name, "too many shapes");
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
    u32 id = new_stencil(seed), fields = out.n_fields;
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
            die(seed->name, "its own shape does not rebuild it");
    }
    (void)fields;
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

static void add_brief(u32 id, u32 n_operands)
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
    cut(&v, h->at + 1u, 3);
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

static void make_family(u32 op, u32 form)
{
    Variant *all = families[op][form];
    u32 count = variant_count(form_operands[form]);
    u32 n_operands = (u32)strlen(form_operands[form]), first = out.n_stencils;
    StencilFamily *f = &out.family[op][form];

    for (u32 i = 0; i < count; i++)
        if (all[i].present && !all[i].shape)
            make_shape(all, count, &all[i], n_operands);
    if (out.n_stencils - first > 255)
        die(all[0].name, "more than 255 shapes");
    f->first = (u16)first;
    f->n_shapes = (u16)(out.n_stencils - first);
    f->shape_of = out.n_shape_of;
    for (u32 i = 0; i < count; i++) {
        if (!all[i].present)
            die(op_names[op], "form %s: register combination %u is missing",
                form_names[form], i);
        out.shape_of[out.n_shape_of++] = (u8)(all[i].shape - first);
    }
    for (u32 i = first; i < first + f->n_shapes; i++)
        add_brief(i, n_operands);
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

static void write_tables(const char *path, const char *name)
{
    FILE *f = fopen(path, "w");

    if (!f)
        die(path, "cannot be written");
    fprintf(f, "/* Written by stencilgen. */\n#include \"microops/stencil.h\"\n");
    write_bytes(f, "bytes", out.bytes, out.n_bytes);
    write_bytes(f, "shape_of", out.shape_of, out.n_shape_of);
    write_stencils(f);
    fprintf(f, "static const StencilFamily family[][FORM_COUNT] = {\n");
    for (u32 op = 0; op < N_OPS; op++)
        for (u32 form = 0; form < FORM_COUNT; form++)
            if (out.family[op][form].first)
                fprintf(f, "[%u][%u] = {%u,%u,%u},\n", op, form,
                        out.family[op][form].first, out.family[op][form].n_shapes,
                        out.family[op][form].shape_of);
    fprintf(f,
            "[%u] = {{0,0,0}}};\nconst StencilSet stencils_%s = {\"%s\", family, "
            "stencils, bytes, fields, holes, shape_of,\n    sizeof family + sizeof "
            "stencils + sizeof bytes + sizeof fields + sizeof holes + sizeof "
            "shape_of};\n",
            N_OPS, name, name);
    if (fclose(f))
        die(path, "cannot be written");
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("usage", "stencilgen NAME OUT.c OBJECT...");
    out.n_stencils = 1; /* 0: none */
    for (int i = 3; i < argc; i++)
        read_object(argv[i]);
    for (u32 op = 0; op < N_OPS; op++)
        for (u32 form = 0; form < FORM_COUNT; form++)
            if (families[op][form])
                make_family(op, form);
    write_tables(argv[2], argv[1]);
    return 0;
}
