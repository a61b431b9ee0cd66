/* SPDX-License-Identifier: MIT */
/* -accel: how blocks are run, in words. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include "tcache.h"

/* An op by its name; OP_COUNT: there is none. */
static OpCode op_named(const char *name)
{
    u32 op = 0;

    while (op < OP_COUNT && strcmp(op_desc[op].name, name))
        op++;
    return (OpCode)op;
}

static bool same_operands(const OpDesc *a, const OpDesc *b)
{
    return a->out == b->out && !memcmp(a->in, b->in, sizeof a->in) &&
           a->has_imm == b->has_imm && a->has_exit == b->has_exit;
}

/* OP:OP[@PASS], two ops of one kind. */
static char *plant(CacheOptions *c, const char *text)
{
    g_auto(GStrv) pass = g_strsplit(text, "@", 2);
    g_auto(GStrv) ops = g_strsplit(pass[0] ? pass[0] : "", ":", 2);

    if (g_strv_length(ops) != 2 || !*ops[0] || !*ops[1])
        return g_strdup("plant=OP:OP[@PASS] is wanted");
    for (u32 i = 0; i < 2; i++) {
        c->plant[i] = op_named(ops[i]);
        if (c->plant[i] == OP_COUNT)
            return g_strdup_printf("there is no micro-op %s", ops[i]);
    }
    c->plant_in = g_strdup(pass[1]);
    if (!same_operands(&op_desc[c->plant[0]], &op_desc[c->plant[1]]))
        return g_strdup_printf("plant=%s: their operands differ", text);
    return NULL;
}

/* One OPT=VAL. */
static char *option(CacheOptions *c, const char *text)
{
    if (c->check && g_str_has_prefix(text, "plant="))
        return plant(c, text + 6);
    if (!strcmp(text, "v3=off"))
        c->no_v3 = true;
    else if (!strcmp(text, "hot=0"))
        c->hot = HOT_NEVER;
    else if (g_str_has_prefix(text, "hot=") && text[4])
        c->hot = (u32)MIN(strtoul(text + 4, NULL, 0), (unsigned long)HOT_NEVER);
    else if (strcmp(text, "v3=on"))
        return g_strdup_printf("%s is unknown", text);
    return NULL;
}

char *cache_accel(CacheOptions *c, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", 0);
    const char *name = words[0] ? words[0] : "";
    char *error = NULL;

    c->interp = !strcmp(name, "interp");
    c->check = !strcmp(name, "check");
    if (!c->interp && !c->check && strcmp(name, "jit"))
        return g_strdup_printf("%s: jit, interp or check is wanted", text);
    for (u32 i = 1; words[i] && !error; i++)
        error = option(c, words[i]);
    return error;
}
