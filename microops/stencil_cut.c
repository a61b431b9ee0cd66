/* SPDX-License-Identifier: MIT */
/*
 * One function of the object -> one stencil: holes where symbols were, jumps to the
 * holes dropped, turned or moved, and the rules that make that sound.
 */
#include <elf.h>
#include <string.h>
#include "stencil_insn.h"
#include "stencil_read.h"

/* ---- instructions and holes ---- */

typedef enum JumpTo { TO_NEXT = INSN_RETURN + 1, TO_EXIT } JumpTo;

/* A variant's instructions.  Jumps to a hole have a JumpTo as their kind. */
typedef struct Code {
    Variant *v;
    Insn insns[STENCIL_MAX];
    u32 n, n_tails; /* tails: jumps to holes */
} Code;

void variant_add_hole(Variant *v, HoleKind kind, u32 at, i64 addend)
{
    if (v->n_holes == STENCIL_HOLES)
        stencil_refuse(v->name, "more than %d holes", STENCIL_HOLES);
    if (addend != (i16)addend)
        stencil_refuse(v->name, "addend %lld out of range", (long long)addend);
    v->holes[v->n_holes++] = (StencilHole){(u8)kind, (u8)at, (i16)addend};
}

void variant_cut(Variant *v, u32 at, u32 n)
{
    memmove(v->code + at, v->code + at + n, v->len - at - n);
    v->len -= n;
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].at > at)
            v->holes[i].at -= (u8)n;
}

static void read_insns(Code *c)
{
    for (u32 at = 0; at < c->v->len; at += c->insns[c->n++].len) {
        Insn *insn = &c->insns[c->n];

        if (!insn_read(c->v->code, c->v->len, at, insn))
            stencil_refuse(c->v->name, "unknown instruction at byte %u", at);
        if (insn->kind == INSN_CALL)
            stencil_refuse(c->v->name, "has a call: a stencil can call nothing");
        if (insn->kind == INSN_RETURN)
            stencil_refuse(c->v->name, "does not end in a tail call on every way");
    }
}

/* A relocated jump; the displacement must be all of it. */
static void add_tail(Code *c, u32 at, JumpTo to, i64 addend)
{
    for (u32 i = 0; i < c->n; i++)
        if (c->insns[i].at + 1 == at && c->insns[i].len == 5 &&
            c->insns[i].kind == INSN_JUMP && addend == -4) {
            c->insns[i].kind = (InsnKind)to;
            c->n_tails++;
            return;
        }
    stencil_refuse(c->v->name, "uses hole_%s other than by a tail call",
                   to == TO_NEXT ? "next" : "exit");
}

static void read_reloc(Code *c, const CodeReloc *r)
{
    const char *name = r->name;

    if (!strcmp(name, "hole_next"))
        add_tail(c, r->at, TO_NEXT, r->addend);
    else if (!strcmp(name, "hole_exit"))
        add_tail(c, r->at, TO_EXIT, r->addend);
    else if (!strcmp(name, "hole_imm") && r->type == R_X86_64_32S)
        variant_add_hole(c->v, HOLE_IMM32, r->at, r->addend);
    else if (!strcmp(name, "hole_env") && r->type == R_X86_64_32S)
        variant_add_hole(c->v, HOLE_ENV32, r->at, r->addend);
    else if (r->type == R_X86_64_32)
        stencil_refuse(c->v->name, "takes %s as an unsigned 32-bit value", name);
    else
        stencil_refuse(c->v->name,
                       "refers to %s: a stencil can carry no constant pool and call "
                       "nothing",
                       *name ? name : "a section of its own");
}

/* ---- jumps ---- */

/*
 * No byte is taken for a jump that is not one: instructions are read one by one from
 * the function's start, and it holds nothing else.  What a shape drops or moves may
 * be reached by the jumps it names alone, which jumps_across and count_jumps check.
 */
static u32 count_jumps(const Code *c, u32 to)
{
    u32 n = 0;

    for (u32 i = 0; i < c->n; i++)
        n += (c->insns[i].kind == INSN_JCC || c->insns[i].kind == INSN_JUMP) &&
             c->insns[i].to == (i32)to;
    return n;
}

static void refuse_far_jumps(const Code *c)
{
    for (u32 i = 0; i < c->n; i++)
        if ((c->insns[i].kind == INSN_JCC || c->insns[i].kind == INSN_JUMP) &&
            (u32)c->insns[i].to >= c->v->len)
            stencil_refuse(c->v->name, "jumps to another function");
}

/* Does any jump but `except` lead from one side of offset `at` to the other? */
static bool jumps_across(const Code *c, u32 at, const Insn *except)
{
    for (u32 i = 0; i < c->n; i++) {
        const Insn *insn = &c->insns[i];

        if ((insn->kind == INSN_JCC || insn->kind == INSN_JUMP) && insn != except &&
            (insn->at + insn->len > at) != (insn->to > (i32)at))
            return true;
    }
    return false;
}

static bool any_indirect(const Code *c)
{
    for (u32 i = 0; i < c->n; i++)
        if (c->insns[i].kind == INSN_INDIRECT)
            return true;
    return false;
}

/* The one conditional jump to `to`, if it is short and nothing else jumps there. */
static const Insn *only_jcc(const Code *c, u32 to)
{
    if (count_jumps(c, to) != 1)
        return NULL;
    for (u32 i = 0; i < c->n; i++)
        if (c->insns[i].kind == INSN_JCC && c->insns[i].to == (i32)to)
            return c->insns[i].len == 2 ? &c->insns[i] : NULL;
    return NULL;
}

static const Insn *from_end(const Code *c, u32 k)
{
    static const Insn none;

    return c->n > k ? &c->insns[c->n - 1 - k] : &none;
}

/* Widens the short jcc to one with a 32-bit displacement and a hole. */
static void widen_jcc(Variant *v, const Insn *jcc, u8 condition, HoleKind kind)
{
    u8 *p = v->code + jcc->at;

    if (v->len + 4 > STENCIL_MAX)
        stencil_refuse(v->name, "is too long");
    memmove(p + 6, p + 2, v->len - jcc->at - 2);
    memcpy(p, (u8[]){0x0f, 0x80 | condition, 0, 0, 0, 0}, 6);
    for (u32 i = 0; i < v->n_holes; i++)
        if (v->holes[i].at > jcc->at)
            v->holes[i].at += 4;
    v->len += 4;
    v->hot += 4;
    variant_add_hole(v, kind, jcc->at + 2, 0);
}

static u8 condition_of(const Code *c, const Insn *jcc)
{
    return c->v->code[jcc->at] & 15;
}

/* "jcc L; jmp next; L: jmp exit" (or the two the other way round) becomes one jcc;
 * so does "jcc L; ...; jmp next; L: jmp exit". */
static bool shape_branch(Code *c)
{
    const Insn *first = from_end(c, 1), *second = from_end(c, 0);
    const Insn *jcc = only_jcc(c, second->at);

    if (c->n_tails != 2 || first->kind < (InsnKind)TO_NEXT ||
        first->kind == second->kind || second->kind < (InsnKind)TO_NEXT || !jcc ||
        (jcc != from_end(c, 2) && first->kind != (InsnKind)TO_NEXT) ||
        jumps_across(c, jcc->at, jcc) || any_indirect(c))
        return false;
    c->v->len = c->v->hot = first->at;
    widen_jcc(c->v, jcc, condition_of(c, jcc) ^ (second->kind == (InsnKind)TO_NEXT),
              HOLE_EXIT);
    return true;
}

/* "...jcc L; ...indirect jump; L: jmp exit": the indirect jump is the end. */
static bool shape_indirect(Code *c)
{
    const Insn *end = from_end(c, 0), *jcc = only_jcc(c, end->at);

    if (c->n_tails != 1 || end->kind != (InsnKind)TO_EXIT ||
        from_end(c, 1)->kind != INSN_INDIRECT || !jcc || jumps_across(c, jcc->at, jcc))
        return false;
    c->v->len = c->v->hot = end->at;
    widen_jcc(c->v, jcc, condition_of(c, jcc), HOLE_EXIT);
    return true;
}

/* A condition that always holds leaves nothing to jump over. */
static bool shape_always(Code *c)
{
    const Insn *end = from_end(c, 0);

    if (c->n_tails != 1 || end->kind != (InsnKind)TO_EXIT || any_indirect(c))
        return false;
    variant_add_hole(c->v, HOLE_EXIT, end->at + 1, 0);
    return true;
}

/* "...jcc L; ...jmp next; L: cold; jmp next": the cold part moves out of line. */
static bool shape_cold(Code *c)
{
    const Insn *middle = NULL, *end = from_end(c, 0), *jcc;

    for (u32 i = 0; i + 1 < c->n; i++)
        if (c->insns[i].kind == (InsnKind)TO_NEXT)
            middle = &c->insns[i];
    if (!middle || c->n_tails != 2 || end->kind != (InsnKind)TO_NEXT || any_indirect(c))
        return false;
    jcc = only_jcc(c, middle->at + 5);
    if (!jcc || jcc > middle || jumps_across(c, jcc->at, jcc) ||
        jumps_across(c, middle->at, jcc))
        return false;
    c->v->hot = middle->at;
    variant_add_hole(c->v, HOLE_BACK, end->at + 1, 0);
    variant_cut(c->v, middle->at, 5);
    widen_jcc(c->v, jcc, condition_of(c, jcc), HOLE_COLD);
    return true;
}

/* Straight code, or code that jumps about inside: jumps to next go to the end. */
static void shape_plain(Code *c)
{
    Variant *v = c->v;
    const Insn *end = from_end(c, 0);
    bool tail = end->kind == (InsnKind)TO_NEXT;

    for (u32 i = 0; i < c->n; i++)
        if (c->insns[i].kind == (InsnKind)TO_EXIT)
            stencil_refuse(v->name, "leaves in a way that is not one conditional jump");
    if (!c->n_tails || (!tail && end->kind != INSN_JUMP))
        stencil_refuse(v->name, "does not end in a tail call to hole_next");
    if (any_indirect(c))
        stencil_refuse(v->name, "leaves by an indirect jump");
    v->len -= tail ? 5 : 0;
    v->hot = v->len;
    for (u32 i = 0; i < c->n - tail; i++) {
        const Insn *insn = &c->insns[i];
        u32 rel = v->len - (insn->at + 5);

        if (insn->kind == (InsnKind)TO_NEXT)
            memcpy(v->code + insn->at + 1, &rel, 4);
    }
}

void variant_make(Variant *v, const CodeReloc *relocs, u32 n)
{
    Code c = {.v = v};

    v->hot = v->len;
    read_insns(&c);
    for (u32 i = 0; i < n; i++)
        read_reloc(&c, &relocs[i]);
    refuse_far_jumps(&c);
    if (!shape_branch(&c) && !shape_indirect(&c) && !shape_always(&c) &&
        !shape_cold(&c))
        shape_plain(&c);
    memset(v->code + v->len, 0, STENCIL_MAX - v->len);
    v->present = true;
}
