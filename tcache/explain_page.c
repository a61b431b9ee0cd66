/* SPDX-License-Identifier: MIT */
/*
 * -explain: the page.  HTML, style and script are files beside this one; between them
 * goes the run as JSON, and for readers without scripts a plain table.
 */
#include <stdlib.h>
#include <string.h>
#include "explain.h"

typedef unsigned long long ull;

enum {
    SHOWN = 500,   /* blocks told in full, hottest first */
    LISTED = 4000, /* and so many more by name */
    PLAIN = 40,    /* rows of the plain table */
};

/* The files, by the assembler: extern const char page_NAME[], and its length. */
#define EMBED(name, file)                                                  \
    __asm__(".pushsection .rodata\n"                                       \
            "page_" #name ": .incbin \"" EXPLAIN_DIR "/" file "\"\n"       \
            "page_" #name "_end: .byte 0\n"                                \
            ".popsection\n");                                              \
    extern const char page_##name[] __attribute__((visibility("hidden"))); \
    extern const char page_##name##_end[] __attribute__((visibility("hidden")))

EMBED(html, "tcache/explain.html");
EMBED(css, "tcache/explain.css");
EMBED(js, "tcache/explain.js");
EMBED(ops, "microops/ops.h");

/* ---- which blocks ---- */

/* Hottest first: by samples, and where there are none by instructions run. */
static gint hotter(gconstpointer p, gconstpointer q)
{
    const ExplainBlock *a = *(ExplainBlock *const *)p, *b = *(ExplainBlock *const *)q;

    if (a->samples != b->samples)
        return a->samples < b->samples ? 1 : -1;
    return a->insns_run < b->insns_run ? 1 : a->insns_run > b->insns_run ? -1 : 0;
}

static void sort_blocks(Explain *x)
{
    for (u32 i = 0; i < x->blocks->len; i++) {
        ExplainBlock *b = g_ptr_array_index(x->blocks, i);

        b->insns_run = explain_insns_run(b);
    }
    g_ptr_array_sort(x->blocks, hotter);
}

static const ExplainBlock *block_at(const Explain *x, u32 i)
{
    return g_ptr_array_index(x->blocks, i);
}

/* ---- figures ---- */

static u64 less(u64 a, u64 b) { return a - MIN(a, b); }

/* Times are the run's own: without what this page cost (own). */
static void put_times(FILE *f, const Cache *c)
{
    const Explain *x = c->explain;
    u64 total = x->ended_ns - x->began_ns, run = explain_inside_ns(c), in, out, own;
    u64 ticks = x->samples + x->linking_samples, code, linking;

    explain_clocks_ns(c, &in, &out);
    out = MIN(out, less(total, run));
    own = MIN(total, in + out + x->records_ns);
    code = less(run, in + x->translate_ns);
    linking =
        ticks ? (u64)((double)code * (double)x->linking_samples / (double)ticks) : 0;
    fprintf(f,
            "\"total_ns\":%llu,\"inside_ns\":%llu,\"translate_ns\":%llu,"
            "\"linking_ns\":%llu,\"own_ns\":%llu,",
            (ull)(total - own), (ull)(code - linking),
            (ull)less(x->translate_ns, x->records_ns), (ull)linking, (ull)own);
}

static void put_totals(FILE *f, const Cache *c)
{
    const Explain *x = c->explain;
    u64 insns = 0, runs = 0;

    for (u32 i = 0; i < x->blocks->len; i++) {
        insns += block_at(x, i)->insns_run;
        runs += explain_runs(block_at(x, i));
    }
    put_times(f, c);
    fprintf(f,
            "\"samples\":%llu,\"helper_samples\":%llu,\"shared_samples\":%llu,"
            "\"tick_ns\":%d,\"insns\":%llu,\"runs\":%llu,\"threads\":%llu,",
            (ull)x->samples, (ull)x->helper_samples, (ull)x->shared_samples,
            x->heat ? TICK_NS : 0, (ull)insns, (ull)runs, (ull)x->threads);
    fprintf(f,
            "\"made\":%llu,\"traces\":%llu,\"guest_insns\":%llu,\"host_bytes\":%llu,"
            "\"links\":%llu,\"flushes\":%llu,\"invalidated\":%llu,\"smc\":%llu,"
            "\"records\":%u",
            (ull)c->stats.blocks, (ull)c->stats.traces, (ull)c->stats.guest_insns,
            (ull)c->stats.host_bytes, (ull)c->stats.links, (ull)c->stats.flushes,
            (ull)c->stats.invalidated, (ull)c->stats.smc_faults, x->blocks->len);
}

/* What memory operands of generated code are: offsets from rbp. */
static void put_env(FILE *f, const Cache *c)
{
    static const struct {
        const char *name;
        i32 at;
    } fields[] = {
        {"pc", ENV_OFF(pc)},           {"request", ENV_OFF(request)},
        {"ret", ENV_OFF(ret)},         {"res_addr", ENV_OFF(res_addr)},
        {"arg[0]", ENV_OFF(arg[0])},   {"arg[1]", ENV_OFF(arg[1])},
        {"arg[2]", ENV_OFF(arg[2])},   {"res_value", ENV_OFF(res_value)},
        {"mxcsr", ENV_OFF(mxcsr)},     {"csr", ENV_OFF(csr)},
        {"base", ENV_OFF(base)},       {"jump_cache", ENV_OFF(jump_cache)},
        {"temp[0]", ENV_OFF(temp[0])}, {"temp[1]", ENV_OFF(temp[1])},
    };
    const GlobalDesc *g = c->guest->regs.globals;

    fputs("\"env\":{", f);
    for (u32 i = 0; i < ARRAY_SIZE(fields); i++)
        fprintf(f, "\"%d\":\"%s\",", fields[i].at, fields[i].name);
    for (u32 i = 0; i < ENV_GLOBALS; i++)
        if (g[i].cls != CLS_NONE)
            fprintf(f, "\"%d\":\"%s\",", ENV_OFF(g) + (i32)i * 8, g[i].name);
    fprintf(f, "\"\":\"\"},\"tallies_at\":%d", exec_tally_at(c, 0));
}

static void put_ops_flags(FILE *f)
{
    fputs("\"flags\":{", f);
    for (u32 i = 0; i < OP_COUNT; i++)
        fprintf(f, "%s\"%s\":%u", i ? "," : "", op_desc[i].name, op_desc[i].flags);
    fputc('}', f);
}

static void put_strings(FILE *f, const char *name, char *const *list)
{
    fprintf(f, "\"%s\":[", name);
    for (u32 i = 0; list && list[i]; i++) {
        if (i)
            fputc(',', f);
        page_string(f, list[i]);
    }
    fputc(']', f);
}

/* ---- blocks ---- */

static void put_rest(FILE *f, const Cache *c)
{
    const Explain *x = c->explain;

    fputs("\"rest\":[", f);
    for (u32 i = SHOWN; i < MIN(x->blocks->len, SHOWN + LISTED); i++) {
        const ExplainBlock *b = block_at(x, i);

        fprintf(f, "%s{\"a\":\"%llx\",\"trace\":%d,\"p\":%llu,\"runs\":%llu",
                i > SHOWN ? "," : "", (ull)b->key.pc, b->trace, (ull)b->samples,
                (ull)explain_runs(b));
        page_symbol(f, c, b->key.pc);
        fputc('}', f);
    }
    fputc(']', f);
}

static void put_blocks(FILE *f, Cache *c)
{
    const Explain *x = c->explain;

    fputs("\"blocks\":[", f);
    for (u32 i = 0; i < MIN(x->blocks->len, SHOWN); i++) {
        fputs(i ? ",\n" : "\n", f);
        explain_block(f, c, block_at(x, i));
    }
    fputs("],\n", f);
}

static void put_data(FILE *f, Cache *c, const ExplainFacts *facts)
{
    fputs("{\"program\":", f);
    page_string(f, facts->program);
    fputs(",\"ending\":", f);
    page_string(f, facts->ending);
    fprintf(f, ",\"guest\":\"%s\",\"version\":\"%s\",\"symbols\":%d,",
            c->guest->regs.name, TESSERA_VERSION, c->options.symbol != NULL);
    put_strings(f, "argv", facts->argv);
    fputc(',', f);
    put_strings(f, "notes", facts->notes);
    fputs(",\"totals\":{", f);
    put_totals(f, c);
    fputs("},\"plan\":", f);
    page_plan(f, c, &c->plans[0]);
    fputc(',', f);
    put_env(f, c);
    fputc(',', f);
    put_ops_flags(f);
    fputs(",\n\"meanings\":", f);
    page_string(f, page_ops);
    fputs(",\n", f);
    put_blocks(f, c);
    put_rest(f, c);
    fputs("}\n", f);
}

/* ---- without scripts ---- */

static void put_text(FILE *f, const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);

    for (const char *p = valid; *p; p++)
        if (strchr("<>&\"'", *p) || (u8)*p < 0x20)
            fprintf(f, "&#%d;", (u8)*p < 0x20 ? ' ' : *p);
        else
            fputc(*p, f);
    g_free(valid);
}

static void put_plain(FILE *f, const Cache *c, const ExplainFacts *facts)
{
    const Explain *x = c->explain;

    fputs("<p>", f);
    put_text(f, facts->program);
    fprintf(f,
            ": %u blocks; the hottest:</p>\n<table><tr><th>share of samples</th>"
            "<th>address</th><th>where</th><th>times run</th><th>kind</th></tr>\n",
            x->blocks->len);
    for (u32 i = 0; i < MIN(x->blocks->len, PLAIN); i++) {
        const ExplainBlock *b = block_at(x, i);
        u64 offset = 0, samples = MAX(x->samples, 1);
        const char *name = cache_symbol(c, b->key.pc, &offset);

        fprintf(f, "<tr><td>%.1f %%</td><td>0x%llx</td><td>",
                100.0 * (double)b->samples / (double)samples, (ull)b->key.pc);
        put_text(f, name ? name : "");
        if (name && offset)
            fprintf(f, "+0x%llx", (ull)offset);
        fprintf(f, "</td><td>%llu</td><td>%s</td></tr>\n", (ull)explain_runs(b),
                b->trace ? "trace" : "block");
    }
    fputs("</table>\n", f);
}

/* ---- the page ---- */

/* The HTML file, with what its marks ask for in their places. */
void cache_explain(Cache *c, FILE *f, const ExplainFacts *facts)
{
    const char *p = page_html, *at;

    if (!c->explain)
        return;
    c->explain->ended_ns = explain_process_ns();
    lock_take(&c->lock);
    explain_collect(c, false);
    sort_blocks(c->explain);
    for (; (at = strstr(p, "@@")); p = at + 3) {
        fwrite(p, 1, (size_t)(at - p), f);
        switch (at[2]) {
        case 'T': put_text(f, facts->program); break;
        case 'C': fputs(page_css, f); break;
        case 'J': fputs(page_js, f); break;
        case 'D': put_data(f, c, facts); break;
        case 'P': put_plain(f, c, facts); break;
        }
    }
    fputs(p, f);
    lock_leave(&c->lock);
}
