/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/maps and its relatives: the host's lines, of which only those in the
 * guest's window are shown, at the guest's addresses.  Of the own process it is known
 * what the guest has mapped with which rights; of another's, what is only reserved is
 * taken for what it looks like: anonymous and inaccessible.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc.h"

/* A line of the host's. */
typedef struct Line {
    u64 start, end, offset;
    char rights[8], dev[16], file[PATH_MAX];
    unsigned long long inode;
} Line;

typedef struct Maps {
    const ProcView *v;
    Line line;
    GArray *parts;   /* of ProcMap: the guest's for it */
    GPtrArray *more; /* lines of smaps about it */
} Maps;

/* ---- one line ---- */

static const char *own_label(const Memory *m, u64 start, u64 end)
{
    if (start < m->stack_end && end > m->stack_start)
        return "[stack]";
    return start < m->brk && end > m->brk_start ? "[heap]" : "";
}

static void add_part(Maps *m, u64 start, u64 end, const char *rights, const char *name)
{
    const Line *l = &m->line;
    ProcMap part = {.start = start, .end = end, .name = name, .is_file = l->inode != 0};

    part.offset = l->inode ? l->offset + start - l->start : 0;
    memcpy(part.rights, rights, sizeof part.rights);
    g_array_append_val(m->parts, part);
}

static void put_part(const Maps *m, const ProcMap *part, FILE *out)
{
    g_autofree char *head =
        g_strdup_printf("%08lx-%08lx %s %08lx %s %llu ", part->start, part->end,
                        part->rights, part->offset, m->line.dev, m->line.inode);

    fprintf(out, *part->name ? "%-72s %s\n" : "%s%s\n", head, part->name);
}

/* Where the pages' rights first differ from those at a; end at the latest. */
static u64 rights_end(const Memory *m, u64 a, u64 end)
{
    const u8 seen = PAGE_READ | PAGE_WRITE | PAGE_EXEC | PAGE_SHARED;
    u8 flags = space_flags(&m->space, a) & seen;
    Extent part;

    /* Reservations are huge and have no flags: they are not looked through. */
    if (!extents_next(&m->flagged, a, end, &part))
        return end;
    if (part.start > a && flags == 0)
        a = part.start;
    while (a < end && (space_flags(&m->space, a) & seen) == flags)
        a += PAGE_SIZE;
    return a;
}

/* What the guest has mapped there, cut where its pages' rights change. */
static void add_own_parts(Maps *maps, const Memory *m)
{
    const Line *l = &maps->line;
    Extent part;

    for (u64 a = l->start; extents_next(&m->map, a, l->end, &part);) {
        u8 flags = space_flags(&m->space, part.start);
        char rights[] = {flags & PAGE_READ ? 'r' : '-', flags & PAGE_WRITE ? 'w' : '-',
                         flags & PAGE_EXEC ? 'x' : '-', flags & PAGE_SHARED ? 's' : 'p',
                         0};

        a = rights_end(m, part.start, part.end);
        add_part(maps, part.start, a, rights,
                 l->inode ? l->file : own_label(m, part.start, a));
    }
}

static void add_parts(Maps *m)
{
    Line *l = &m->line;
    bool reserved = !l->inode && !*l->file && !strncmp(l->rights, "---", 3);
    u64 from = MAX(l->start, m->v->base), to = MIN(l->end, m->v->base + m->v->size);

    g_array_set_size(m->parts, 0);
    if (from >= to)
        return;
    l->offset += from - l->start;
    l->start = from - m->v->base;
    l->end = to - m->v->base;
    if (m->v->mem)
        add_own_parts(m, m->v->mem);
    else if (!reserved)
        add_part(m, l->start, l->end, l->rights, l->file);
}

static bool parse(const char *text, Line *l)
{
    *l = (Line){0};
    return sscanf(text, "%lx-%lx %4s %lx %15s %llu %4095[^\n]", &l->start, &l->end,
                  l->rights, &l->offset, l->dev, &l->inode, l->file) >= 6;
}

/* ---- a whole file ---- */

typedef void MapsVisit(Maps *m, void *ctx);

/* Visits each line of the host's that the guest sees something of. */
static void each_line(const ProcView *v, const ProcFile *f, const char *name,
                      MapsVisit *visit, void *ctx)
{
    char path[PATH_MAX], text[PATH_MAX + 128];
    FILE *in = fopen(proc_beside(f, name, path), "re");
    Maps m = {.v = v,
              .parts = g_array_new(false, false, sizeof(ProcMap)),
              .more = g_ptr_array_new_with_free_func(g_free)};
    Line next;

    if (v->mem)
        lock_take(&v->mem->lock);
    while (in && fgets(text, sizeof text, in)) {
        if (!parse(text, &next)) {
            g_ptr_array_add(m.more, g_strdup(text));
            continue;
        }
        if (m.parts->len)
            visit(&m, ctx);
        g_ptr_array_set_size(m.more, 0);
        m.line = next;
        add_parts(&m);
    }
    if (m.parts->len)
        visit(&m, ctx);
    if (v->mem)
        lock_leave(&v->mem->lock);
    if (in)
        fclose(in);
    g_array_unref(m.parts);
    g_ptr_array_unref(m.more);
}

static void put_parts(Maps *m, void *out)
{
    for (guint i = 0; i < m->parts->len; i++)
        put_part(m, &g_array_index(m->parts, ProcMap, i), out);
}

void proc_put_maps(const ProcView *v, const ProcFile *f, FILE *out)
{
    each_line(v, f, "maps", put_parts, out);
}

typedef struct Each {
    ProcVisit *visit;
    void *ctx;
} Each;

/* Has the line of smaps this flag? */
static bool has_flag(const Maps *m, const char *flag)
{
    for (guint i = 0; i < m->more->len; i++)
        if (!strncmp(m->more->pdata[i], "VmFlags:", 8))
            return strstr(m->more->pdata[i], flag) != NULL;
    return false;
}

static void visit_parts(Maps *m, void *ctx)
{
    const Each *each = ctx;
    bool no_dump = has_flag(m, " dd");

    for (guint i = 0; i < m->parts->len; i++) {
        ProcMap *part = &g_array_index(m->parts, ProcMap, i);

        part->no_dump = no_dump;
        each->visit(part, each->ctx);
    }
}

void proc_each_map(const ProcView *v, const ProcFile *f, ProcVisit *visit, void *ctx)
{
    char path[PATH_MAX];
    bool has_smaps = access(proc_beside(f, "smaps", path), R_OK) == 0;

    each_line(v, f, has_smaps ? "smaps" : "maps", visit_parts, &(Each){visit, ctx});
}

/* ---- smaps ---- */

/* "Key:   123 kB": the length of the key; 0: another line. */
static int kb_line(const char *text, unsigned long long *kb)
{
    int key = 0, end = 0;

    if (sscanf(text, "%*[A-Za-z_]%n: %llu kB%n", &key, kb, &end) < 1 || !end)
        return 0;
    return key;
}

static void put_kb(FILE *out, const char *key, int n, unsigned long long kb)
{
    fprintf(out, "%.*s:%*llu kB\n", n, key, 23 - n, kb);
}

/* The first part has the figures of the whole line. */
static void put_smap(Maps *m, void *out)
{
    for (guint i = 0; i < m->parts->len; i++) {
        const ProcMap *part = &g_array_index(m->parts, ProcMap, i);
        unsigned long long kb;

        put_part(m, part, out);
        for (guint j = 0; j < m->more->len; j++) {
            const char *text = m->more->pdata[j];
            int key = kb_line(text, &kb);

            if (!strncmp(text, "Size:", 5))
                put_kb(out, text, key, (part->end - part->start) / 1024);
            else if (i == 0 || !key || strstr(text, "PageSize"))
                fputs(text, out);
            else
                put_kb(out, text, key, 0);
        }
    }
}

void proc_put_smaps(const ProcView *v, const ProcFile *f, FILE *out)
{
    each_line(v, f, "smaps", put_smap, out);
}

typedef struct Sum {
    GPtrArray *keys; /* in order */
    GHashTable *kb;  /* key -> u64 * */
    u64 first, last;
} Sum;

static void sum_line(Maps *m, void *ctx)
{
    Sum *s = ctx;
    unsigned long long kb;

    if (s->last == 0)
        s->first = g_array_index(m->parts, ProcMap, 0).start;
    s->last = g_array_index(m->parts, ProcMap, m->parts->len - 1).end;
    for (guint i = 0; i < m->more->len; i++) {
        const char *text = m->more->pdata[i];
        int n = kb_line(text, &kb);
        g_autofree char *key = g_strndup(text, (gsize)n);
        u64 *sum = g_hash_table_lookup(s->kb, key);

        if (!n || strstr(key, "Size"))
            continue;
        if (!sum) {
            sum = g_new0(u64, 1);
            g_ptr_array_add(s->keys, g_strdup(key));
            g_hash_table_insert(s->kb, g_strdup(key), sum);
        }
        *sum += kb;
    }
}

void proc_put_rollup(const ProcView *v, const ProcFile *f, FILE *out)
{
    Sum s = {.keys = g_ptr_array_new_with_free_func(g_free),
             .kb = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};

    each_line(v, f, "smaps", sum_line, &s);
    fprintf(out, "%08lx-%08lx ---p 00000000 00:00 0 %*s[rollup]\n", s.first, s.last, 32,
            "");
    for (guint i = 0; i < s.keys->len; i++) {
        const char *key = s.keys->pdata[i];

        put_kb(out, key, (int)strlen(key), *(u64 *)g_hash_table_lookup(s.kb, key));
    }
    g_ptr_array_unref(s.keys);
    g_hash_table_unref(s.kb);
}

/* ---- the others ---- */

/* "ADDRESS policy ...", a line for each mapping. */
void proc_put_numa_maps(const ProcView *v, const ProcFile *f, FILE *out)
{
    char path[PATH_MAX], text[PATH_MAX + 512];
    FILE *in = fopen(proc_beside(f, "numa_maps", path), "re");
    unsigned long at;
    int n;

    while (in && fgets(text, sizeof text, in)) {
        if (sscanf(text, "%lx%n", &at, &n) < 1 || at - v->base >= v->size)
            continue;
        if (v->mem ? mem_mapped(v->mem, at - v->base, 1)
                   : strstr(text + n, "anon") || strstr(text + n, "file"))
            fprintf(out, "%08lx%s", at - v->base, text + n);
    }
    if (in)
        fclose(in);
}

static void add_size(Maps *m, void *sum)
{
    for (guint i = 0; i < m->parts->len; i++) {
        const ProcMap *part = &g_array_index(m->parts, ProcMap, i);

        *(u64 *)sum += part->end - part->start;
    }
}

static void add_data(Maps *m, void *sum)
{
    if (!strcmp(m->line.rights, "rw-p") && strcmp(m->line.file, "[stack]"))
        add_size(m, sum);
}

u64 proc_data(const ProcView *v, const ProcFile *f)
{
    u64 size = 0;

    each_line(v, f, "maps", add_data, &size);
    return size;
}

u64 proc_mapped(const ProcView *v, const ProcFile *f)
{
    u64 size = 0;

    if (!v->mem) {
        each_line(v, f, "maps", add_size, &size);
        return size;
    }
    lock_take(&v->mem->lock);
    for (size_t i = 0; i < v->mem->map.n; i++)
        size += v->mem->map.at[i].end - v->mem->map.at[i].start;
    lock_leave(&v->mem->lock);
    return size;
}
