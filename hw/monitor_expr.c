/* SPDX-License-Identifier: MIT */
/* Numbers that the monitor understands: C's, registers ($pc), + - * / % & | ^ ~ ( ). */
#include <string.h>
#include "monitor.h"

enum { DEPTH_MAX = 64 };

typedef struct Expr {
    const Monitor *mon;
    const char *at;
    const char *why; /* the first thing that was wrong; NULL */
    u32 depth;
} Expr;

static u64 fail(Expr *e, const char *why)
{
    if (!e->why)
        e->why = why;
    return 0;
}

static char peek(Expr *e)
{
    while (g_ascii_isspace(*e->at))
        e->at++;
    return *e->at;
}

/* ---- registers ---- */

/* The place of name="..." in the debugger's description, which lists registers in
 * order; -1: none. */
static i32 register_number(const char *description, const char *name, size_t n)
{
    i32 number = 0;

    for (const char *p = description; (p = strstr(p, "<reg name=\"")); number++) {
        p += strlen("<reg name=\"");
        if (strncmp(p, name, n) == 0 && p[n] == '"')
            return number;
    }
    return -1;
}

static bool register_value(const Env *env, const Guest *guest, const char *name,
                           size_t n, u64 *value)
{
    char *text = NULL;
    size_t size;
    FILE *f = guest->debug ? open_memstream(&text, &size) : NULL;
    u8 bytes[64] = {0};
    i32 number;

    if (!f)
        return false;
    guest->debug->describe(f, env);
    fclose(f);
    number = register_number(text, name, n);
    free(text);
    if (number < 0 || !guest->debug->get(env, (u32)number, bytes))
        return false;
    memcpy(value, bytes, sizeof *value);
    return true;
}

static u64 register_read(Expr *e)
{
    const Monitor *mon = e->mon;
    const char *name = ++e->at;
    u64 value = 0;

    while (g_ascii_isalnum(*e->at) || *e->at == '_')
        e->at++;
    if (!register_value(monitor_cpu(mon)->env, mon->m->board->guest, name,
                        (size_t)(e->at - name), &value))
        return fail(e, "unknown register");
    return value;
}

/* ---- the grammar ---- */

static u64 sum(Expr *e);
static u64 operand(Expr *e);

static u64 number(Expr *e)
{
    char *end;
    u64 value;

    errno = 0;
    value = g_ascii_strtoull(e->at, &end, 0);
    if (end == e->at || g_ascii_isalnum(*end))
        return fail(e, "invalid number");
    e->at = end;
    return errno ? fail(e, "number too large") : value;
}

static u64 character(Expr *e)
{
    u64 value = (u8)e->at[1];

    if (!value || e->at[2] != '\'')
        return fail(e, "missing terminating ' character");
    e->at += 3;
    return value;
}

static u64 bracketed(Expr *e)
{
    u64 value;

    e->at++;
    value = sum(e);
    if (!e->why && peek(e) != ')')
        return fail(e, "')' expected");
    e->at += !e->why;
    return value;
}

static u64 unary(Expr *e)
{
    char c = peek(e);

    switch (c) {
    case '+': e->at++; return operand(e);
    case '-': e->at++; return -operand(e);
    case '~': e->at++; return ~operand(e);
    case '(': return bracketed(e);
    case '\'': return character(e);
    case '$': return register_read(e);
    case 0: return fail(e, "unexpected end of expression");
    default: return number(e);
    }
}

/* Every level of nesting passes here. */
static u64 operand(Expr *e)
{
    u64 value;

    if (++e->depth > DEPTH_MAX)
        return fail(e, "expression too deep");
    value = unary(e);
    e->depth--;
    return value;
}

static u64 product(Expr *e)
{
    u64 value = operand(e), by;
    char c;

    while (!e->why && ((c = peek(e)) == '*' || c == '/' || c == '%')) {
        e->at++;
        by = operand(e);
        if (c != '*' && !by)
            return fail(e, "division by zero");
        value = c == '*' ? value * by : c == '/' ? value / by : value % by;
    }
    return value;
}

static u64 logic(Expr *e)
{
    u64 value = product(e), by;
    char c;

    while (!e->why && ((c = peek(e)) == '&' || c == '|' || c == '^')) {
        e->at++;
        by = product(e);
        value = c == '&' ? value & by : c == '|' ? value | by : value ^ by;
    }
    return value;
}

static u64 sum(Expr *e)
{
    u64 value = logic(e), by;
    char c;

    while (!e->why && ((c = peek(e)) == '+' || c == '-')) {
        e->at++;
        by = logic(e);
        value = c == '+' ? value + by : value - by;
    }
    return value;
}

bool monitor_eval(const Monitor *mon, const char *text, u64 *value, const char **why)
{
    Expr e = {.mon = mon, .at = text};

    *value = sum(&e);
    if (!e.why && peek(&e))
        fail(&e, "invalid char in expression");
    *why = e.why;
    return !e.why;
}
