/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_stencils && ctest --test-dir build -R test_stencils
 *
 * What the emitter puts down is what the compiler made: the objects are read again,
 * and every register assignment of every stencil is put down with several immediates
 * and compared byte for byte.  Forms with a byte-sized immediate are compared with the
 * same assembly in which the holes are small numbers.  Bad stencils are refused, with
 * the op's name; the tables stay small.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../microops/emit.h"
#include "../microops/stencil_insn.h"
#include "../microops/stencil_read.h"

enum { TABLES_MAX = 512 << 10 };

static const StencilSet *const sets[] = {&stencils_base, &stencils_v3};

/* ---- objects ---- */

/* All variants of the set's objects NAME_*.o in folder; kept until the end. */
static Families *read_set(const char *folder, const char *name)
{
    static Families *kept[16];
    static u32 n_kept;
    Families *f = kept[n_kept++ % ARRAY_SIZE(kept)] = calloc(1, sizeof *f);
    char pattern[256];
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/%s_*.o", folder, name);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "no objects %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++)
        families_read(f, found.gl_pathv[i]);
    globfree(&found);
    return f;
}

typedef void Visit(const StencilSet *set, u32 op, Form form, u32 index,
                   const Variant *v);

static u32 each_variant(const StencilSet *set, const Families *f, Visit *visit)
{
    u32 n = 0;

    for (u32 op = 0; op < STENCIL_OPS; op++)
        for (Form form = 0; form < FORM_COUNT; form++)
            for (u32 i = 0; f->all[op][form] && i < variant_count(form); i++, n++)
                visit(set, op, form, i, &f->all[op][form][i]);
    return n;
}

/* ---- putting one down ---- */

typedef struct Put {
    u8 code[STENCIL_MAX + 512];
    u32 hot, len;
    Emit emit;
    EmitTask task;
    EmitThunks thunks;
} Put;

static void put_variant(Put *p, const StencilSet *set, u32 op, Form form, u32 index,
                        i64 imm)
{
    Emit *e = &p->emit;
    u8 regs[4];

    variant_regs(form, index, regs);
    e->t = &p->task;
    e->set = set;
    e->n_fixes = 0;
    e->full = false;
    if (e->memo_of != set)
        memset(e->memo, 0, sizeof e->memo);
    e->memo_of = set;
    e->hot = (EmitBuf){p->code, 0, sizeof p->code, false};
    e->cold = (EmitBuf){e->cold_bytes, 0, COLD_SIZE, true};
    e->o = &e->hot;
    p->task.thunks = &p->thunks;
    put(e, op, form, regs, imm, 0);
    cr_assert_not(e->full);
    p->hot = e->hot.at;
    p->len = e->hot.at + e->cold.at;
    memcpy(p->code + p->hot, e->cold_bytes, e->cold.at);
}

/* Has this place been noted as a jump to be filled in? */
static bool is_fixed(const Put *p, const StencilHole *h)
{
    static const u8 kinds[] = {[HOLE_COLD] = FIX_COLD, [HOLE_BACK] = FIX_HOT};

    for (u32 i = 0; i < p->emit.n_fixes; i++) {
        const EmitFix *f = &p->emit.fixes[i];
        u32 at = f->at + (f->cold ? p->hot : 0);

        if (at == h->at && (h->kind == HOLE_EXIT || f->kind == kinds[h->kind]))
            return true;
    }
    return false;
}

static void fill(u8 *code, const Variant *v, i64 imm)
{
    for (u32 i = 0; i < v->n_holes; i++) {
        const StencilHole *h = &v->holes[i];
        i64 value = imm + h->addend;
        u32 size = h->kind == HOLE_IMM64                            ? 8
                   : h->kind == HOLE_IMM8                           ? 1
                   : h->kind == HOLE_IMM32 || h->kind == HOLE_ENV32 ? 4
                                                                    : 0;

        memcpy(code + h->at, &value, size);
    }
}

static void must_equal(const Put *p, const Variant *v, const u8 *code, i64 imm)
{
    cr_assert(p->hot == v->hot && p->len == v->len && !memcmp(p->code, code, v->len),
              "%s, immediate %" PRId64 ": not what the compiler made", v->name, imm);
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].kind >= HOLE_EXIT)
            cr_assert(is_fixed(p, &v->holes[i]), "%s: a jump is not filled in",
                      v->name);
}

/* ---- every register assignment ---- */

/* The first one with a stencil and its registers makes it, the others find it. */
static void put_wide(const StencilSet *set, u32 op, Form form, u32 index,
                     const Variant *v)
{
    static const i64 immediates[] = {0x12345678, -0x7edcba98, 128, -129};
    static Put p;
    u8 code[STENCIL_MAX];

    for (u32 i = 0; i < ARRAY_SIZE(immediates); i++) {
        put_variant(&p, set, op, form, index, immediates[i]);
        memcpy(code, v->code, sizeof code);
        fill(code, v, immediates[i]);
        must_equal(&p, v, code, immediates[i]);
    }
}

Test(stencils, every_assignment_is_what_the_compiler_made)
{
    for (u32 i = 0; i < ARRAY_SIZE(sets); i++) {
        Families *f = read_set(STENCIL_DIR, sets[i]->name);

        cr_assert_gt(each_variant(sets[i], f, put_wide), 10000u);
    }
}

static void must_be_known(const StencilSet *set, u32 op, Form form, u32 index,
                          const Variant *v)
{
    cr_assert(set->family[op][form].first, "%s is not in the tables", v->name);
}

Test(stencils, every_family_is_in_the_tables)
{
    for (u32 i = 0; i < ARRAY_SIZE(sets); i++) {
        Families *f = read_set(STENCIL_DIR, sets[i]->name);

        each_variant(sets[i], f, must_be_known);
        for (u32 op = 0; op < STENCIL_OPS; op++)
            for (Form form = 0; form < FORM_COUNT; form++)
                cr_assert_eq(!!sets[i]->family[op][form].first, !!f->all[op][form],
                             "%s, form %s", stencil_op_names[op],
                             stencil_form_names[form]);
    }
}

/* ---- small immediates ---- */

static i64 small;             /* what the holes were in the assembly at hand */
static const Families *whole; /* the set as it is built */

static void put_small(const StencilSet *set, u32 op, Form form, u32 index,
                      const Variant *v)
{
    const Variant *wide = &whole->all[op][form][index];
    static Put p;

    for (u32 i = 0; i < 2; i++) /* made, then found */
        put_variant(&p, set, op, form, index, small);
    if (p.len == wide->len)
        return; /* has no brief form, or no immediate: compared above */
    must_equal(&p, v, v->code, small);
}

static void run(const char *command)
{
    cr_assert_eq(system(command), 0, "%s", command);
}

/* Assembles the set's functions with holes made small numbers: symbols are given a
 * value; of two samples the second is dropped and the first gets it, too. */
static void assemble_small(const char *folder, const char *set, i64 value)
{
    char command[1024], pattern[256];
    glob_t found;

    snprintf(pattern, sizeof pattern, STENCIL_DIR "/%s_*.s", set);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "no assembly %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        snprintf(command, sizeof command,
                 "( echo '.set hole_imm, %" PRId64 "'; echo '.set hole_env, %" PRId64
                 "'; sed -e '/__b:$/,/\\.size/d' -e '/__b/d' -e 's/__a\\b//g' "
                 "-e 's/\\b%d\\b/%" PRId64
                 "/' %s ) | %s -x assembler -c - -o %s/%s_%zu.o",
                 value, value, SAMPLE_32A, value, found.gl_pathv[i], STENCIL_CC, folder,
                 set, i);
        run(command);
    }
    globfree(&found);
}

Test(stencils, small_immediates_are_what_the_assembler_makes)
{
    static const i64 values[] = {0x35, -0x6b};
    char folder[] = "/tmp/stencils-XXXXXX", command[64];

    cr_assert_not_null(mkdtemp(folder));
    for (u32 i = 0; i < ARRAY_SIZE(sets); i++) {
        whole = read_set(STENCIL_DIR, sets[i]->name);
        for (u32 k = 0; k < ARRAY_SIZE(values); k++) {
            small = values[k];
            assemble_small(folder, sets[i]->name, small);
            each_variant(sets[i], read_set(folder, sets[i]->name), put_small);
        }
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    run(command);
}

/* ---- the reader ---- */

static void add_code(FILE *f, const Families *all)
{
    for (u32 op = 0; op < STENCIL_OPS; op++)
        for (Form form = 0; form < FORM_COUNT; form++)
            for (u32 i = 0; all->all[op][form] && i < variant_count(form); i++) {
                const Variant *v = &all->all[op][form][i];

                fwrite(v->code, 1, v->len, f);
            }
}

/* Where instructions begin, by the disassembler, which reads machine code for good. */
static void check_lengths(const u8 *code, size_t size)
{
    char *text = NULL, *line;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    u32 at = 0;
    Insn insn;

    disas_host(f, code, size, 0);
    fclose(f);
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cr_assert_eq(strtoul(line, NULL, 16), at, "%s: begins at %x by ours", line, at);
        cr_assert(insn_read(code, (u32)size, at, &insn), "%s: not known", line);
        at += insn.len;
    }
    cr_assert_eq(at, size);
    free(text);
}

Test(stencils, instructions_are_read_as_the_disassembler_does)
{
    for (u32 i = 0; i < ARRAY_SIZE(sets); i++) {
        char *code = NULL;
        size_t size;
        FILE *f = open_memstream(&code, &size);

        add_code(f, read_set(STENCIL_DIR, sets[i]->name));
        fclose(f);
        check_lengths((const u8 *)code, size);
        free(code);
    }
}

/* ---- bad stencils ---- */

#define HEAD                                                   \
    "typedef unsigned long u64;"                               \
    "register u64 rbx __asm__(\"rbx\"), r12 __asm__(\"r12\");" \
    "register char *rbp __asm__(\"rbp\");"                     \
    "extern const char hole_imm[], hole_env[];"                \
    "void hole_next(void), hole_exit(void), elsewhere(void);"

static const struct Bad {
    const char *source, *message, *flags;
} bad_stencils[] = {
    {"void add__rr__0_1(void) { volatile u64 v[4]; v[0] = rbx; rbx += v[0] + r12;"
     " hole_next(); }",
     "add, form rr, rbx r12: has a stack frame"},
    {"void sub__rr__0_1(void) { elsewhere(); hole_next(); }",
     "sub, form rr, rbx r12: has a stack frame"},
    {"void add__rr__0_1(void) { rbx += r12; }",
     "add, form rr, rbx r12: does not end in a tail call"},
    {"void add__rr__0_1(void) { if (rbx > r12) { rbx -= r12; return; } hole_next(); }",
     "add, form rr, rbx r12: does not end in a tail call on every way"},
    {"void fneg_d__f1__0(void) { register double x __asm__(\"xmm4\");"
     " __asm__ volatile(\"\" : \"=x\"(x)); x *= 3.25;"
     " __asm__ volatile(\"\" : : \"x\"(x)); hole_next(); }",
     "fneg_d, form f1, xmm4: refers to "},
    {"void and__ri__0(void) { rbx &= (u64)hole_imm; hole_next(); }",
     "and, form ri, rbx: takes hole_imm as an unsigned 32-bit value", "-mcmodel=small"},
    {"extern u64 table[]; void xor__rr__0_1(void) { rbx ^= table[r12]; hole_next(); }",
     "xor, form rr, rbx r12: refers to table"},
    {"void or__rr__0_1(void) { rbx |= r12; elsewhere(); }",
     "or, form rr, rbx r12: refers to elsewhere"},
    {"void beq__brr__0_1(void) { if (rbx == r12) hole_exit(); else if (rbx == 7)"
     " hole_exit(); else hole_next(); }",
     "beq, form brr, rbx r12: leaves in a way that is not one conditional jump"},
    {"void beq__brr__0_1(void) { if (rbx == r12) hole_exit(); r12++;"
     " if (rbx == 7) hole_exit(); r12--; hole_next(); }",
     "beq, form brr, rbx r12: "},
    {"void jump__x__(void) { ((void (*)(void))rbx)(); }", "jump, form x: "},
    {"void addw__rri__0_1__a(void) { rbx = r12 + 0x12345678; hole_next(); }",
     "addw, form rri, rbx r12: its second sample is missing"},
    {"void addw__rri__0_1__a(void) { rbx = r12 + 0x12345678; hole_next(); }"
     "void addw__rri__0_1__b(void) { rbx = r12 * 0x2bcdef01; hole_next(); }",
     "addw, form rri, rbx r12: its two samples differ"},
    {"void add__rr__0_77(void) { rbx += r12; hole_next(); }",
     "add__rr__0_77: names no host register"},
    {"void plus__rr__0_1(void) { rbx += r12; hole_next(); }",
     "plus__rr__0_1: names no op"},
    {"void add__rq__0_1(void) { rbx += r12; hole_next(); }",
     "add__rq__0_1: names no form"},
    {"void add__rr__0_1(void) { rbx += r12; hole_next(); }",
     "add, form rr, rbx rbx: is missing"},
};

static void read_text(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;

    text[n] = 0;
    if (f)
        fclose(f);
}

static void must_be_refused(const char *folder, const struct Bad *bad)
{
    char command[2048], path[64], text[512];
    int status;
    FILE *f;

    snprintf(path, sizeof path, "%s/bad.c", folder);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    fprintf(f, "%s\n%s\n", HEAD, bad->source);
    fclose(f);
    snprintf(
        command, sizeof command,
        "cd %s && %s %s -march=x86-64 %s -c bad.c -o bad.o && { %s bad out.c bad.o "
        "2> message; echo $? > status; }",
        folder, STENCIL_CC, STENCIL_CFLAGS, bad->flags ? bad->flags : "", STENCILGEN);
    run(command);
    snprintf(path, sizeof path, "%s/status", folder);
    read_text(path, text, sizeof text);
    status = atoi(text);
    snprintf(path, sizeof path, "%s/message", folder);
    read_text(path, text, sizeof text);
    cr_assert(status == 1 && strstr(text, bad->message),
              "status %d, \"%s\", not \"%s\", for %s", status, text, bad->message,
              bad->source);
}

Test(stencils, bad_ones_are_refused_by_name)
{
    char folder[] = "/tmp/stencils-XXXXXX", command[64];

    cr_assert_not_null(mkdtemp(folder));
    for (u32 i = 0; i < ARRAY_SIZE(bad_stencils); i++)
        must_be_refused(folder, &bad_stencils[i]);
    snprintf(command, sizeof command, "rm -r %s", folder);
    run(command);
}

Test(stencils, tables_are_small)
{
    u32 size = 0;

    for (u32 i = 0; i < ARRAY_SIZE(sets); i++)
        size += sets[i]->size;
    cr_assert_lt(size, (u32)TABLES_MAX);
}
