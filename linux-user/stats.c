/* SPDX-License-Identifier: MIT */
/*
 * -stats: what the translator did, at the end of a process; a line a figure, or as one
 * line of JSON.  One table has them all.
 */
#include <glib.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "user.h"

static double ratio(u64 a, u64 b) { return b ? (double)a / (double)b : 0; }

/* ---- the figures ---- */

/* Indirect jumps that found their block without leaving. */
static u64 jumped(const CacheStats *s)
{
    return s->jumps - MIN(s->jumps, s->jump_misses);
}

static double ns_per_insn(const CacheStats *s)
{
    return ratio(s->translate_ns, s->guest_insns);
}

static double host_per_insn(const CacheStats *s)
{
    return ratio(s->host_bytes, s->guest_insns);
}

static double meta_per_insn(const CacheStats *s)
{
    return ratio(s->meta_bytes, s->guest_insns);
}

static double linked_percent(const CacheStats *s)
{
    return 100 * ratio(s->entered - MIN(s->entered, s->entries + jumped(s)),
                       s->entered - MIN(s->entered, jumped(s)));
}

static double hit_percent(const CacheStats *s)
{
    return 100 * ratio(jumped(s), s->jumps);
}

static double outside_percent(const CacheStats *s)
{
    return s->total_ns ? 100 - 100 * ratio(s->inside_ns, s->total_ns) : 0;
}

typedef struct Figure {
    const char *key;   /* in JSON; ends in its unit, if it is no count */
    const char *label; /* in text; NULL: not there */
    const char *unit;  /* after it */
    size_t count;      /* offset in CacheStats ... */
    double (*rate)(const CacheStats *s); /* ... unless it is computed */
    size_t needs; /* count that must not be 0 for the line of text; 0: none */
} Figure;

#define AT(field) offsetof(CacheStats, field)

static const Figure figures[] = {
    {"blocks", "blocks translated", "", AT(blocks)},
    {"traces", "traces", "", AT(traces)},
    {"guest_insns", "guest instructions", "", AT(guest_insns)},
    {"trace_insns", "... of them in traces", "", AT(trace_insns)},
    {"translate_ns", NULL, "", AT(translate_ns)},
    {"translate_ns_per_insn", "ns per instruction", "", 0, ns_per_insn},
    {"host_bytes", NULL, "", AT(host_bytes)},
    {"host_bytes_per_insn", "host code per insn", " bytes", 0, host_per_insn},
    {"meta_bytes", NULL, "", AT(meta_bytes)},
    {"meta_bytes_per_insn", "metadata per insn", " bytes", 0, meta_per_insn},
    {"exits_linked", "exits linked", "", AT(links)},
    {"entries", "entries from C", "", AT(entries)},
    {"block_lookups", "block look-ups", "", AT(lookups)},
    {"blocks_run", "blocks run", "", AT(entered)},
    {"linked_percent", "... by linked exits", " % of those not jumped to", 0,
     linked_percent},
    {"jumps", "indirect jumps", "", AT(jumps)},
    {"jump_misses", NULL, "", AT(jump_misses)},
    {"jump_hit_percent", "jump cache hits", " % of them", 0, hit_percent},
    {"blocks_invalidated", "blocks invalidated", "", AT(invalidated)},
    {"flushes", "cache flushes", "", AT(flushes)},
    {"smc_faults", "SMC faults", "", AT(smc_faults)},
    {"hot_pages", "hot pages", "", AT(hot_pages)},
    {"saved_files", "saved files used", "", AT(saved_files), NULL, AT(saved_files)},
    {"saved_insns", "... instructions in them", "", AT(saved_insns), NULL,
     AT(saved_files)},
    {"saved_blocks_taken", "... blocks looked up", "", AT(saved_taken), NULL,
     AT(saved_files)},
    {"saved_bytes_written", "saved", " bytes", AT(saved_written), NULL,
     AT(saved_written)},
    {"blocks_compared", "blocks compared", "", AT(compared), NULL, AT(compared)},
    {"blocks_not_compared", "... not compared", "", AT(passed_by), NULL, AT(compared)},
    {"inside_ns", NULL, "", AT(inside_ns)},
    {"total_ns", NULL, "", AT(total_ns)},
    {"outside_percent", "outside code", " % of the time", 0, outside_percent,
     AT(total_ns)},
};

static u64 count_at(const CacheStats *s, size_t offset)
{
    return *(const u64 *)((const char *)s + offset);
}

/* ---- as text ---- */

static void put_text(GString *out, const Process *p, const CacheStats *s)
{
    g_string_printf(out, "tessera-%s: statistics of process %d, %s\n", p->abi->guest,
                    getpid(), p->program);
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        const Figure *f = &figures[i];

        if (!f->label || (f->needs && !count_at(s, f->needs)))
            continue;
        g_string_append_printf(out, "  %-21s", f->label);
        if (f->rate)
            g_string_append_printf(out, "%12.1f%s\n", f->rate(s), f->unit);
        else
            g_string_append_printf(out, "%12llu%s\n", (long long)count_at(s, f->count),
                                   f->unit);
    }
}

/* ---- as JSON ---- */

static void put_string(GString *out, const char *key, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_printf(out, "\"%s\":\"", key);
    for (const char *p = valid; *p; p++)
        if (*p == '"' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else if ((u8)*p < ' ')
            g_string_append_printf(out, "\\u%04x", *p);
        else
            g_string_append_c(out, *p);
    g_string_append(out, "\",");
}

static void put_json(GString *out, const Process *p, const CacheStats *s)
{
    g_string_append_c(out, '{');
    put_string(out, "version", TESSERA_VERSION);
    put_string(out, "guest", p->abi->guest);
    put_string(out, "program", p->program);
    put_string(out, "accel", p->options.accel ? p->options.accel : "jit");
    g_string_append_printf(out, "\"pid\":%d", getpid());
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
        const Figure *f = &figures[i];

        g_string_append_printf(out, ",\"%s\":", f->key);
        if (f->rate)
            g_string_append_printf(out, "%.3f", f->rate(s));
        else
            g_string_append_printf(out, "%llu", (long long)count_at(s, f->count));
    }
    g_string_append(out, "}\n");
}

/* ---- where to ---- */

/* FILE of "json:FILE"; NULL: stderr. */
static const char *file_name(const char *spec)
{
    return g_str_has_prefix(spec, "json:") && spec[5] ? spec + 5 : NULL;
}

void stats_init(Options *o)
{
    static const char *const text[] = {"", "1", "text"}; /* TESSERA_STATS=1 */
    const char *file = o->stats ? file_name(o->stats) : NULL;
    g_autofree char *path = file ? g_canonicalize_filename(file, NULL) : NULL;

    for (size_t i = 0; o->stats && i < ARRAY_SIZE(text); i++)
        if (!strcmp(o->stats, text[i]))
            return;
    if (o->stats && !file && strcmp(o->stats, "json") != 0)
        fatal(1, "-stats=%s: json or json:FILE is wanted", o->stats);
    if (path) /* the guest may change its directory */
        o->stats = g_strconcat("json:", path, NULL);
}

static void write_out(const GString *out, const char *spec)
{
    const char *file = file_name(spec);
    int fd = STDERR_FILENO;

    if (file) {
        g_auto(GStrv) parts = g_strsplit(file, "%d", 2);
        g_autofree char *pid = g_strdup_printf("%d", getpid());
        g_autofree char *path = g_strjoinv(pid, parts);

        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd < 0)
            report("-stats: %s: %s", path, strerror(errno));
    }
    if (fd >= 0 && write(fd, out->str, out->len) != (ssize_t)out->len)
        report("-stats: %s", strerror(errno));
    if (fd > STDERR_FILENO)
        close(fd);
}

void task_stats(Process *p)
{
    GString *out;
    CacheStats s;

    symbols_check_filter(p->symbols);
    if (task_self && !task_self->vfork_child)
        cache_save(p->cache, task_self->env);
    cache_end(p->cache);
    if (!p->options.stats)
        return;
    cache_stats(p->cache, &s);
    out = g_string_new(NULL);
    if (g_str_has_prefix(p->options.stats, "json"))
        put_json(out, p, &s);
    else
        put_text(out, p, &s);
    write_out(out, p->options.stats);
    g_string_free(out, true);
}
