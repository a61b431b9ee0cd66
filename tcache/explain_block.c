/* SPDX-License-Identifier: MIT */
/* -explain: one block as JSON: guest instructions, micro-ops, host code, ways out. */
#include <stdlib.h>
#include <string.h>
#include "explain.h"

typedef unsigned long long ull;

void page_string(FILE *f, const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);

    fputc('"', f);
    for (const char *p = valid; *p; p++) {
        u8 ch = (u8)*p;

        if (ch < 0x20 || ch == 0x7f || strchr("\"\\<>&'", ch))
            fprintf(f, "\\u%04x", ch);
        else
            fputc(ch, f);
    }
    fputc('"', f);
    g_free(valid);
}

static void put_hex(FILE *f, const u8 *bytes, u32 n)
{
    fputc('"', f);
    for (u32 i = 0; i < n; i++)
        fprintf(f, "%02x", bytes[i]);
    fputc('"', f);
}

/* ---- counts ---- */

u64 explain_runs(const ExplainBlock *b) { return b->loops ? b->rounds : b->entries; }

/* How often the instruction whose first op this is was run: all who came in and have
 * not left before. */
static u64 runs_of(const ExplainBlock *b, u32 op)
{
    u64 n = explain_runs(b), left = 0;

    for (u32 i = 0; i < b->n_ways; i++)
        if (!b->ways[i].request && b->ways[i].op < op)
            left += b->ways[i].count;
    return n - MIN(n, left);
}

u64 explain_insns_run(const ExplainBlock *b)
{
    u64 sum = 0;

    for (u32 i = 0, op = 0; i < b->n_insns; i++, op++) {
        while (op + 1 < b->n_ops && b->ops[op].op != OP_insn)
            op++;
        if (b->insns[i].len)
            sum += runs_of(b, op);
    }
    return sum;
}

/* ---- host code ---- */

typedef struct HostLine {
    u32 at, len;
    char *text;
} HostLine;

typedef struct Listing {
    const Cache *cache;
    const ExplainBlock *block;
    GArray *lines; /* HostLine */
} Listing;

/* Where in words a jump goes; to: from the block's first byte.  NULL: as it is. */
static char *place(const Listing *l, i64 to)
{
    const EmitThunks *t = &l->cache->thunks;
    const ExplainBlock *b = l->block;
    i64 at = to + b->at;

    if (to == b->body && b->loops)
        return g_strdup("top");
    for (u32 i = 0; i < b->n_ways; i++)
        if (to >= b->ways[i].from && to < b->ways[i].to)
            return g_strdup_printf("exit_%u", i);
    if (to >= 0 && to < b->end)
        return g_strdup_printf("+0x%llx", (ull)to);
    return at == t->leave       ? g_strdup("leave")
           : at == t->jump_miss ? g_strdup("jump_miss")
           : at == t->call      ? g_strdup("call_helper")
           : at == t->call_bare ? g_strdup("call_helper_bare")
                                : NULL;
}

static void add_line(void *ctx, u32 at, u32 len, const char *text)
{
    const Listing *l = ctx;
    HostLine line = {at, len, NULL};
    const char *to = strstr(text, " 0x");
    char *name = NULL;

    if (to && (*text == 'j' || !strncmp(text, "call ", 5)))
        name = place(l, (i64)strtoull(to + 1, NULL, 16));
    line.text = name ? g_strdup_printf("%.*s %s", (int)(to - text), text, name)
                     : g_strchomp(g_strdup(text));
    g_free(name);
    g_array_append_val(l->lines, line);
}

static void clear_line(gpointer line) { g_free(((HostLine *)line)->text); }

/* The host instructions of [from, to). */
static void put_host(FILE *f, const Listing *l, u32 from, u32 to)
{
    const char *comma = "";

    fputc('[', f);
    for (u32 i = 0; i < l->lines->len; i++) {
        const HostLine *line = &g_array_index(l->lines, HostLine, i);

        if (line->at < from || line->at >= to)
            continue;
        fprintf(f, "%s[%u,", comma, line->at);
        put_hex(f, l->block->code + line->at, line->len);
        fputc(',', f);
        page_string(f, line->text);
        fputc(']', f);
        comma = ",";
    }
    fputc(']', f);
}

/* ---- guest code ---- */

void page_symbol(FILE *f, const Cache *c, u64 pc)
{
    u64 offset = 0;
    const char *name = cache_symbol(c, pc, &offset);

    if (!name)
        return;
    fputs(",\"s\":", f);
    page_string(f, name);
    fprintf(f, ",\"o\":%llu", (ull)offset);
}

static void put_insns(FILE *f, const Cache *c, const ExplainBlock *b)
{
    const u8 *bytes = b->bytes;
    char text[96];

    fputs(",\"insns\":[", f);
    for (u32 i = 0, op = 0; i < b->n_insns; i++, op++) {
        const IrInsn *insn = &b->insns[i];

        while (op + 1 < b->n_ops && b->ops[op].op != OP_insn)
            op++;
        if (!insn->len ||
            !c->guest->disas(text, sizeof text, insn->pc, bytes, insn->len))
            strcpy(text, "(not an instruction)");
        fprintf(f, "%s{\"a\":\"%llx\",\"b\":", i ? "," : "", (ull)insn->pc);
        put_hex(f, bytes, insn->len);
        fputs(",\"t\":", f);
        page_string(f, text);
        fprintf(f, ",\"n\":%llu", (ull)runs_of(b, op));
        page_symbol(f, c, insn->pc);
        fputc('}', f);
        bytes += insn->len;
    }
    fputc(']', f);
}

/* ---- micro-ops ---- */

/* As much of an Ir as the text of its ops needs. */
static void fill_ir(Ir *ir, const Cache *c, const ExplainBlock *b)
{
    ir_reset(ir, c->guest);
    ir->n_insns = b->n_insns;
    ir->n_consts = b->n_consts;
    ir->n_exits = b->n_exits;
    for (u32 i = 0; i < b->n_consts; i++)
        ir->consts[i] = b->consts[i];
    for (u32 i = 0; i < b->n_exits; i++)
        ir->exits[i] = b->exits[i];
}

static void put_before(FILE *f, const Ir *ir, const ExplainBlock *b)
{
    const char *comma = "";
    u32 insn = 0;
    char text[256];

    fputs(",\"before\":[", f);
    for (u32 i = 0; i < b->n_before; i++) {
        if (b->before[i].op == OP_insn) {
            insn++;
            continue;
        }
        ir_op_text(text, sizeof text, ir, &b->before[i]);
        fprintf(f, "%s[%u,", comma, insn - 1);
        page_string(f, text);
        fputc(']', f);
        comma = ",";
    }
    fputc(']', f);
}

static void put_ops(FILE *f, const Ir *ir, const ExplainBlock *b, const Listing *l)
{
    const char *comma = "";
    u32 insn = 0;
    char text[256];

    fputs(",\"ops\":[", f);
    for (u32 i = 0; i < b->n_ops; i++) {
        if (b->ops[i].op == OP_insn) {
            insn++;
            continue;
        }
        ir_op_text(text, sizeof text, ir, &b->ops[i]);
        fprintf(f, "%s{\"k\":%u,\"i\":%u,\"t\":", comma, i, insn - 1);
        page_string(f, text);
        fprintf(f, ",\"s\":%llu,\"h\":", (ull)b->op_samples[i]);
        put_host(f, l, b->op_at[i], b->op_at[i + 1]);
        fputc('}', f);
        comma = ",";
    }
    fputc(']', f);
}

/* ---- ways out ---- */

static void put_ways(FILE *f, const ExplainBlock *b, const Listing *l)
{
    fputs(",\"ways\":[", f);
    for (u32 i = 0; i < b->n_ways; i++) {
        const ExplainWay *w = &b->ways[i];

        fprintf(f, "%s{\"a\":\"%llx\",\"k\":%u,\"n\":%llu,\"p\":%u", i ? "," : "",
                (ull)w->pc, w->op, (ull)w->count, w->samples);
        if (w->kind == EXIT_TRAP)
            fprintf(f, ",\"trap\":%u", w->trap);
        fprintf(f, ",\"req\":%d,\"linked\":%d,\"h\":", w->request, w->linked);
        put_host(f, l, w->from, w->to);
        page_symbol(f, l->cache, w->pc);
        fputc('}', f);
    }
    fputc(']', f);
}

/* ---- the block ---- */

void page_plan(FILE *f, const Cache *c, const Plan *plan)
{
    const GlobalDesc *g = c->guest->regs.globals;
    const char *comma = "";

    fputc('{', f);
    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        if (plan->host[i] == HOST_NONE)
            continue;
        fprintf(f, "%s\"%s\":\"%s\"", comma, host_reg_name(g[i].cls, plan->host[i]),
                g[i].name);
        comma = ",";
    }
    fputc('}', f);
}

/* How many records there are of other code at the same place. */
static u32 versions(const Cache *c, const ExplainBlock *b)
{
    const ExplainBlock *o = g_hash_table_lookup(c->explain->by_pc, &b->key.pc);
    u32 n = 0, len = MIN(b->n_bytes, b->insns[0].len);

    for (; o; o = o->next)
        n += len && o->n_bytes >= len && memcmp(o->bytes, b->bytes, len) != 0;
    return n;
}

static u32 code_start(const ExplainBlock *b) { return b->op_at[0]; }

void explain_block(FILE *f, Cache *c, const ExplainBlock *b)
{
    Listing l = {c, b, g_array_new(FALSE, FALSE, sizeof(HostLine))};

    g_array_set_clear_func(l.lines, clear_line);
    disas_host_each(b->code, b->end, 0, add_line, &l);
    fill_ir(c->ir, c, b);
    fprintf(f, "{\"a\":\"%llx\"", (ull)b->key.pc);
    page_symbol(f, c, b->key.pc);
    fprintf(f,
            ",\"trace\":%d,\"loops\":%d,\"step\":%d,\"checks\":%d,\"promoted\":%d,"
            "\"made\":%u,\"dropped\":%u,\"others\":%u,\"bytes\":%u,"
            "\"entries\":%llu,\"runs\":%llu,\"p\":%llu,\"ep\":%llu",
            b->trace, b->loops, b->key.flags & KEY_STEP ? 1 : 0, b->checks, b->promoted,
            b->made, b->dropped, versions(c, b), b->end, (ull)b->entries,
            (ull)explain_runs(b), (ull)b->samples, (ull)b->entry_samples);
    if (memcmp(&b->plan, &c->plans[0], sizeof b->plan)) {
        fputs(",\"plan\":", f);
        page_plan(f, c, &b->plan);
    }
    fputs(",\"entry\":", f);
    put_host(f, &l, 0, code_start(b));
    put_insns(f, c, b);
    put_before(f, c->ir, b);
    put_ops(f, c->ir, b, &l);
    put_ways(f, b, &l);
    fputc('}', f);
    g_array_free(l.lines, TRUE);
}
