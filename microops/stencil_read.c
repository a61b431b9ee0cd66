/* SPDX-License-Identifier: MIT */
/* The reader of stencil objects: names, ELF, and which function is which variant. */
#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stencil_read.h"

const char *const stencil_op_names[STENCIL_OPS] = {
#define OP(name, sig, flags) #name,
#include "ops.def"
#undef OP
};
const char *const stencil_form_names[FORM_COUNT] = {
#define X(name, operands) #name,
    STENCIL_FORMS(X)
#undef X
};
const char *const stencil_form_operands[FORM_COUNT] = {
#define X(name, operands) operands,
    STENCIL_FORMS(X)
#undef X
};

/* Host registers by index: x86 number, name. */
static const struct HostRegister {
    u8 number;
    const char *name;
} host_r[HOST_R] = {{3, "rbx"}, {12, "r12"}, {13, "r13"}, {14, "r14"}, {15, "r15"},
                    {8, "r8"},  {9, "r9"},   {10, "r10"}, {11, "r11"}, {6, "rsi"},
                    {7, "rdi"}, {0, "rax"},  {1, "rcx"}},
  host_f[HOST_F] = {{4, "xmm4"},   {5, "xmm5"},   {6, "xmm6"},   {7, "xmm7"},
                    {8, "xmm8"},   {9, "xmm9"},   {10, "xmm10"}, {11, "xmm11"},
                    {12, "xmm12"}, {13, "xmm13"}, {14, "xmm14"}, {15, "xmm15"},
                    {0, "xmm0"},   {1, "xmm1"},   {2, "xmm2"}};

typedef struct Object {
    const u8 *file;
    size_t size;
    const Elf64_Shdr *sections;
    const Elf64_Sym *symbols;
    u32 n_symbols, n_relocs, text;
    const char *strings;
    Elf64_Rela *relocs; /* of .text, by offset */
} Object;

/* ---- names ---- */

/* What a function's name says: op__form__i_j, and __a or __b for a sample. */
typedef struct Name {
    u32 op;
    Form form;
    u8 regs[3];
    char sample; /* 0, 'a', 'b' */
} Name;

static i32 find_name(const char *const *names, u32 n, const char *s, size_t len)
{
    for (u32 i = 0; i < n; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], s, len))
            return (i32)i;
    return -1;
}

static u32 radix(char operand) { return operand == 'R' ? HOST_R : HOST_F; }

static const struct HostRegister *host_register(char operand, u8 index)
{
    return operand == 'R' ? &host_r[index] : &host_f[index];
}

/* NULL: it is one; else what is wrong with it. */
static const char *parse_name(const char *text, Name *name)
{
    const char *form = strstr(text, "__"), *rest;
    i32 op, f;

    if (!form || !(rest = strstr(form + 2, "__")))
        return "is not named op__form__operands";
    op = find_name(stencil_op_names, STENCIL_OPS, text, (size_t)(form - text));
    f = find_name(stencil_form_names, FORM_COUNT, form + 2, (size_t)(rest - form - 2));
    if (op < 0)
        return "names no op";
    if (f < 0)
        return "names no form";
    *name = (Name){.op = (u32)op, .form = (Form)f};
    rest += 2;
    for (u32 k = 0; stencil_form_operands[f][k]; k++) {
        u32 reg = (u32)strtoul(rest, (char **)&rest, 10);

        if (reg >= radix(stencil_form_operands[f][k]))
            return "names no host register";
        name->regs[k] = (u8)reg;
        if (*rest == '_' && rest[1] != '_')
            rest++;
    }
    name->sample = strncmp(rest, "__", 2) ? 0 : rest[2];
    return NULL;
}

void stencil_refuse(const char *name, const char *format, ...)
{
    va_list args;
    Name n;

    fprintf(stderr, "stencilgen: ");
    if (parse_name(name, &n)) {
        fprintf(stderr, "%s", name);
    } else {
        const char *operands = stencil_form_operands[n.form];

        fprintf(stderr, "%s, form %s%s", stencil_op_names[n.op],
                stencil_form_names[n.form], *operands ? "," : "");
        for (u32 k = 0; operands[k]; k++)
            fprintf(stderr, " %s", host_register(operands[k], n.regs[k])->name);
    }
    fprintf(stderr, ": ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- the object ---- */

static u8 *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    u8 *data;

    if (!f)
        stencil_refuse(path, "cannot be read");
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, f) != *size)
        stencil_refuse(path, "cannot be read");
    fclose(f);
    return data;
}

static int by_offset(const void *a, const void *b)
{
    const Elf64_Rela *x = a, *y = b;

    return x->r_offset < y->r_offset ? -1 : x->r_offset > y->r_offset;
}

static const Elf64_Shdr *find_section(const Object *o, const char *name)
{
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)o->file;
    const char *names = (const char *)o->file + o->sections[e->e_shstrndx].sh_offset;

    for (u32 i = 0; i < e->e_shnum; i++)
        if (!strcmp(names + o->sections[i].sh_name, name))
            return &o->sections[i];
    return NULL;
}

static Object open_object(const char *path)
{
    Object o = {0};
    const Elf64_Shdr *text, *symbols, *relocs;
    const Elf64_Ehdr *e;

    o.file = read_all(path, &o.size);
    e = (const Elf64_Ehdr *)o.file;
    if (o.size < sizeof *e || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
        e->e_type != ET_REL || e->e_machine != EM_X86_64)
        stencil_refuse(path, "not an x86-64 object");
    o.sections = (const Elf64_Shdr *)(o.file + e->e_shoff);
    text = find_section(&o, ".text");
    symbols = find_section(&o, ".symtab");
    relocs = find_section(&o, ".rela.text");
    if (!text || !symbols)
        stencil_refuse(path, "holds no stencils");
    o.text = (u32)(text - o.sections);
    o.symbols = (const Elf64_Sym *)(o.file + symbols->sh_offset);
    o.n_symbols = (u32)(symbols->sh_size / sizeof *o.symbols);
    o.strings = (const char *)o.file + o.sections[symbols->sh_link].sh_offset;
    if (relocs) {
        o.relocs = (Elf64_Rela *)(o.file + relocs->sh_offset);
        o.n_relocs = (u32)(relocs->sh_size / sizeof *o.relocs);
        qsort(o.relocs, o.n_relocs, sizeof *o.relocs, by_offset);
    }
    return o;
}

static const char *function_at(const Object *o, u64 start)
{
    for (u32 i = 0; i < o->n_symbols; i++)
        if (o->symbols[i].st_value == start &&
            ELF64_ST_TYPE(o->symbols[i].st_info) == STT_FUNC)
            return o->strings + o->symbols[i].st_name;
    return "a function";
}

/* A function that moves the stack pointer says so in its unwind entry: a list of
 * instructions that is empty (nops) for every other. */
static void refuse_frames(const Object *o, const char *path)
{
    const Elf64_Shdr *frames = find_section(o, ".eh_frame");
    const Elf64_Shdr *relocs = find_section(o, ".rela.eh_frame");
    const Elf64_Rela *r;
    const u8 *p, *end;

    if (!frames || !relocs)
        stencil_refuse(path, "no unwind table: cannot tell stencils with a frame");
    r = (const Elf64_Rela *)(o->file + relocs->sh_offset);
    p = o->file + frames->sh_offset;
    for (end = p + frames->sh_size; p < end;) {
        u32 len, is_fde;
        const u8 *next, *q = p + 16;

        memcpy(&len, p, 4);
        memcpy(&is_fde, p + 4, 4);
        next = p + 4 + len;
        q += is_fde ? *q + 1 : 0; /* augmentation: its length, a byte, then it */
        for (; is_fde && q < next; q++)
            if (*q)
                stencil_refuse(function_at(o, (u64)r->r_addend),
                               "has a stack frame (too many values for the free "
                               "registers, or a call)");
        r += !!is_fde;
        p = next;
    }
}

/* ---- functions ---- */

/* The relocations of a function, which follow on those of the one before. */
static u32 read_relocs(const Object *o, const Elf64_Sym *function, u32 *r,
                       CodeReloc *relocs)
{
    u64 start = function->st_value, end = start + function->st_size;
    u32 n = 0;

    while (*r < o->n_relocs && o->relocs[*r].r_offset < start)
        ++*r;
    for (; *r < o->n_relocs && o->relocs[*r].r_offset < end; ++*r, n++) {
        const Elf64_Rela *rel = &o->relocs[*r];
        const Elf64_Sym *to = &o->symbols[ELF64_R_SYM(rel->r_info)];

        relocs[n] = (CodeReloc){(u32)(rel->r_offset - start), ELF64_R_TYPE(rel->r_info),
                                o->strings + to->st_name, rel->r_addend};
    }
    return n;
}

static void read_variant(const Object *o, const Elf64_Sym *function, u32 *r, Variant *v)
{
    CodeReloc relocs[STENCIL_MAX];

    v->name = o->strings + function->st_name;
    if (function->st_shndx != o->text)
        stencil_refuse(v->name, "is not in .text");
    if (function->st_size > STENCIL_MAX - 8)
        stencil_refuse(v->name, "is %llu bytes long",
                       (unsigned long long)function->st_size);
    memcpy(v->code, o->file + o->sections[o->text].sh_offset + function->st_value,
           function->st_size);
    v->len = (u32)function->st_size;
    variant_make(v, relocs, read_relocs(o, function, r, relocs));
}

/* ---- families ---- */

u32 variant_count(Form form)
{
    u32 n = 1;

    for (const char *p = stencil_form_operands[form]; *p; p++)
        n *= radix(*p);
    return n;
}

u32 variant_regs(Form form, u32 index, u8 *regs)
{
    const char *operands = stencil_form_operands[form];
    u32 n = (u32)strlen(operands);

    for (u32 k = n; k-- > 0; index /= radix(operands[k]))
        regs[k] = (u8)(index % radix(operands[k]));
    return n;
}

/* Notes which operands are one register; such a number counts once in the vector. */
static void set_vector(Variant *v, const Name *name)
{
    const char *operands = stencil_form_operands[name->form];

    v->vector = 1;
    v->alias = 0;
    for (u32 k = 0; operands[k]; k++) {
        bool repeats = false;

        for (u32 i = 0; i < k; i++)
            if (operands[i] == operands[k] && name->regs[i] == name->regs[k]) {
                v->alias |= (u8)(1 << (i + k));
                repeats = true;
            }
        if (!repeats)
            v->vector |=
                (u16)(host_register(operands[k], name->regs[k])->number << (1 + 4 * k));
    }
}

static Variant *place_variant(Families *f, const Name *name)
{
    const char *operands = stencil_form_operands[name->form];
    Variant **all = &f->all[name->op][name->form];
    u32 index = 0;

    for (u32 k = 0; operands[k]; k++)
        index = index * radix(operands[k]) + name->regs[k];
    if (!*all && !(*all = calloc(variant_count(name->form), sizeof **all)))
        stencil_refuse(stencil_op_names[name->op], "no memory");
    return *all + index;
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

    if (!v->present || v->len != b->len)
        stencil_refuse(b->name, "its two samples differ in length");
    while (at < v->len && v->code[at] == b->code[at])
        at++;
    for (u32 i = 0; i < ARRAY_SIZE(pairs); i++) {
        u32 n = pairs[i].size;

        if (at + n <= v->len && !memcmp(v->code + at, &pairs[i].a, n) &&
            !memcmp(b->code + at, &pairs[i].b, n) &&
            !memcmp(v->code + at + n, b->code + at + n, v->len - at - n)) {
            memset(v->code + at, 0, n);
            variant_add_hole(v, pairs[i].kind, at, 0);
            v->half = false;
            return;
        }
    }
    stencil_refuse(v->name, "its two samples differ in more than an immediate");
}

static int by_value(const void *a, const void *b)
{
    const Elf64_Sym *x = *(const Elf64_Sym *const *)a;
    const Elf64_Sym *y = *(const Elf64_Sym *const *)b;

    return x->st_value < y->st_value ? -1 : x->st_value > y->st_value;
}

static void read_function(Families *f, const Object *o, const Elf64_Sym *function,
                          u32 *r)
{
    const char *text = o->strings + function->st_name, *wrong;
    Variant *v, b = {0};
    Name name;

    if ((wrong = parse_name(text, &name)))
        stencil_refuse(text, "%s", wrong);
    v = place_variant(f, &name);
    if (name.sample == 'b') {
        read_variant(o, function, r, &b);
        join_samples(v, &b);
    } else if (v->present) {
        stencil_refuse(text, "is there twice");
    } else {
        read_variant(o, function, r, v);
        set_vector(v, &name);
        v->half = name.sample;
    }
}

void families_read(Families *f, const char *path)
{
    Object o = open_object(path);
    const Elf64_Sym **order = calloc(o.n_symbols, sizeof *order);
    u32 n = 0, r = 0;

    if (!order)
        stencil_refuse(path, "no memory");
    refuse_frames(&o, path);
    for (u32 i = 0; i < o.n_symbols; i++)
        if (ELF64_ST_TYPE(o.symbols[i].st_info) == STT_FUNC)
            order[n++] = &o.symbols[i];
    qsort(order, n, sizeof *order, by_value);
    for (u32 i = 0; i < n; i++)
        read_function(f, &o, order[i], &r);
    free(order);
}
