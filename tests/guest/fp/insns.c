/* SPDX-License-Identifier: MIT */
/* The instructions with floating-point operands, picked from insn.def: encodings, and
 * what their names say of operands. */
#include "fp.h"

enum { INSNS_MAX = 400 };

Insn insns[INSNS_MAX];
u32 n_insns;

const char *const mode_names[MODES] = {"rne", "rtz", "rdn", "rup", "rmm"};

static const struct Line {
    const char *name, *pattern, *operands;
} lines[] = {
#define INSN(n, f, p, o)        {#n, p, o},
#define LIKE(n, other, f, p, o) INSN(n, f, p, o)
#define COMP(n, other, f, p, o)
#include "../../../translate/riscv64/insn.def"
#undef INSN
#undef LIKE
#undef COMP
};

static u32 pattern_ones(const char *p)
{
    u32 word = 0;

    for (; *p; p++)
        if (*p != ' ')
            word = word << 1 | (*p == '1');
    return word;
}

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && !strcmp(name + n - m, end);
}

/* The format of the operands is the last part of the name. */
static Format format_in(const char *name)
{
    if (ends(name, "_d"))
        return FMT_D;
    return ends(name, "_h") ? FMT_H : FMT_S;
}

static bool is_zfa(const char *name)
{
    static const char *const starts[] = {"fli",  "fminm", "fmaxm", "fround", "fcvtmod",
                                         "fleq", "fltq",  "fmvh",  "fmvp"};

    for (size_t i = 0; i < COUNT(starts); i++)
        if (!strncmp(name, starts[i], strlen(starts[i])))
            return true;
    return false;
}

static const char *family(const char *name)
{
    if (is_zfa(name))
        return "zfa";
    return strstr(name, "_h") ? "zfh" : "fd";
}

static void add(const struct Line *l)
{
    const char *o = l->operands;
    Insn *i = &insns[n_insns++];

    snprintf(i->name, sizeof(i->name), "%s", l->name);
    i->match = pattern_ones(l->pattern);
    i->has_mode = strstr(o, "rm") != NULL;
    i->to_x = o[0] == 'r';
    i->from_x = strstr(o, ",rs1") != NULL;
    i->immediate = !i->from_x && !strstr(o, "fs1");
    i->n_in = i->immediate ? 0 : strstr(o, "s3") ? 3 : strstr(o, "s2") ? 2 : 1;
    i->in = i->from_x ? FMT_INT : format_in(l->name);
    i->family = family(l->name);
}

void insns_init(void)
{
    for (size_t k = 0; k < COUNT(lines); k++) {
        const char *o = lines[k].operands;

        if (o && lines[k].name[0] == 'f' && !strchr(o, '(') && strpbrk(o, "f") &&
            strncmp(lines[k].name, "fence", 5))
            add(&lines[k]);
    }
}

u32 insn_encode(const Insn *i, Regs r, u32 rm)
{
    u32 word = i->match | (u32)r.d << 7 | (u32)r.a << 15;

    if (i->n_in >= 2)
        word |= (u32)r.b << 20;
    if (i->n_in >= 3)
        word |= (u32)r.c << 27;
    return i->has_mode ? word | rm << 12 : word;
}
