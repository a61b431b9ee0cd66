/* SPDX-License-Identifier: MIT */
/*
 * Names of guest addresses.  /proc/self/maps says which file lies where, and is read
 * again when Memory.code_maps says that this may have changed; symbol tables are read
 * when the first address of their file is asked for.  Nobody asks, nothing is done.
 */
#include <fnmatch.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symbols.h"

typedef struct Mapping {
    u64 start, end, offset; /* guest addresses; offset in the file */
    const char *key;        /* device, inode and path: in Symbols.files */
} Mapping;

struct Symbols {
    Lock *lock;
    const Memory *mem;
    const char *prefix;
    u32 known;         /* Memory.code_maps when maps was read */
    GArray *maps;      /* of Mapping, by address; NULL: not read yet */
    GHashTable *files; /* key -> SymbolFile, NULL: not read yet */
    _Atomic u64 noted; /* names of -dfilter that were met, or missed aloud */
    pid_t pid;         /* a fork's child says nothing of them */
};

Symbols *symbols_new(const Memory *m, const char *prefix, Lock *lock)
{
    Symbols *s = g_new0(Symbols, 1);

    s->lock = lock;
    *lock = (Lock){0};
    s->mem = m;
    s->prefix = prefix;
    s->pid = getpid();
    return s;
}

void symbols_lock(Symbols *s) { lock_take(s->lock); }
void symbols_unlock(Symbols *s) { lock_leave(s->lock); }

/* ---- which file is where; the lock is held ---- */

static const char *intern(Symbols *s, const char *key)
{
    void *old;
    char *copy;

    if (g_hash_table_lookup_extended(s->files, key, &old, NULL))
        return old;
    copy = g_strdup(key);
    g_hash_table_insert(s->files, copy, NULL);
    return copy;
}

/* A line of /proc/self/maps: a file's part in the guest's memory. */
static void add_line(Symbols *s, char *line)
{
    const Space *space = &s->mem->space;
    unsigned long long start, end, offset;
    Mapping m;
    int at = 0;

    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "%llx-%llx %*s %llx %n", &start, &end, &offset, &at) < 3 || !at ||
        !strchr(line + at, '/'))
        return;
    m = (Mapping){start - (u64)(uintptr_t)space->base,
                  end - (u64)(uintptr_t)space->base, offset, NULL};
    if (m.start >= space->size || m.end > space->size)
        return;
    m.key = intern(s, line + at);
    g_array_append_val(s->maps, m);
}

static void refresh(Symbols *s)
{
    u32 now = s->mem->code_maps;
    char line[PATH_MAX + 100];
    FILE *f;

    if (!s->maps) {
        s->maps = g_array_new(false, false, sizeof(Mapping));
        s->files = g_hash_table_new(g_str_hash, g_str_equal);
    } else if (now == s->known) {
        return;
    }
    if (!(f = fopen("/proc/self/maps", "re")))
        return;
    g_array_set_size(s->maps, 0);
    while (fgets(line, sizeof line, f))
        add_line(s, line);
    fclose(f);
    s->known = now;
}

static SymbolFile *file_of(Symbols *s, const Mapping *m)
{
    SymbolFile *f = g_hash_table_lookup(s->files, m->key);

    if (!f) {
        f = symbol_file_read(strchr(m->key, '/'), s->prefix);
        g_hash_table_insert(s->files, (void *)m->key, f);
    }
    return f;
}

static const Mapping *mapping_at(Symbols *s, u64 addr)
{
    u32 low = 0, high = s->maps->len;

    while (low < high) {
        u32 mid = (low + high) / 2;
        const Mapping *m = &g_array_index(s->maps, Mapping, mid);

        if (addr >= m->start && addr < m->end)
            return m;
        if (addr < m->start)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* The file at addr, and addr as the file has it; NULL: none. */
static SymbolFile *locate(Symbols *s, u64 addr, u64 *address)
{
    const Mapping *m;
    SymbolFile *f;

    refresh(s);
    m = mapping_at(s, addr);
    f = m ? file_of(s, m) : NULL;
    if (f && !symbol_file_address(f, m->offset + (addr - m->start), address))
        *address = m->offset + (addr - m->start);
    return f;
}

/* ---- addresses to names ---- */

static void fill(Symbol *out, const SymbolFile *f, const FileSymbol *sym, u64 address,
                 u64 addr)
{
    *out = (Symbol){
        .name = f->name, .file = f->path, .start = addr - address, .offset = address};
    if (sym) {
        out->known = true;
        out->name = f->names + sym->name;
        out->start += sym->value;
        out->offset -= sym->value;
        out->size = sym->size;
    }
}

bool symbols_find(Symbols *s, u64 addr, Symbol *out)
{
    SymbolFile *f;
    u64 address;

    symbols_lock(s);
    f = locate(s, addr, &address);
    if (f)
        fill(out, f, symbol_file_find(f, address), address, addr);
    symbols_unlock(s);
    return f;
}

const char *symbols_name(void *symbols, u64 addr, u64 *offset)
{
    Symbol sym;

    if (!symbols_find(symbols, addr, &sym))
        return NULL;
    *offset = sym.offset;
    return sym.name;
}

/* ---- names to addresses ---- */

/* FILE:NAME, both shell patterns; FILE: with or without its folders. */
static bool file_matches(const SymbolFile *f, const char *pattern, const char **name)
{
    const char *colon = strchr(pattern, ':');
    g_autofree char *file = NULL;

    *name = colon ? colon + 1 : pattern;
    if (!colon)
        return true;
    file = g_strndup(pattern, (gsize)(colon - pattern));
    return fnmatch(file, f->name, 0) == 0 || fnmatch(file, f->path, 0) == 0;
}

bool symbols_match(Symbols *s, u64 addr, const char *pattern)
{
    const FileSymbol *sym, *end;
    const char *name;
    SymbolFile *f;
    u64 address;
    bool found = false;

    symbols_lock(s);
    f = locate(s, addr, &address);
    if (f && file_matches(f, pattern, &name) && (sym = symbol_file_find(f, address))) {
        end = f->at + f->n;
        for (u64 value = sym->value; !found && sym < end && sym->value == value; sym++)
            found = fnmatch(name, f->names + sym->name, 0) == 0;
    }
    symbols_unlock(s);
    return found;
}

/* The symbols of a mapping that match; false: enough. */
static bool each_of(Symbols *s, const Mapping *m, const char *pattern,
                    SymbolVisit visit, void *ctx)
{
    SymbolFile *f = file_of(s, m);
    const char *name;
    u64 first;

    if (!f || !file_matches(f, pattern, &name) ||
        !symbol_file_address(f, m->offset, &first))
        return true;
    for (u32 i = 0; i < f->n; i++) {
        const FileSymbol *sym = &f->at[i];
        Symbol out;

        if (sym->value - first >= m->end - m->start ||
            fnmatch(name, f->names + sym->name, 0) != 0)
            continue;
        fill(&out, f, sym, sym->value, m->start + (sym->value - first));
        if (!visit(ctx, &out))
            return false;
    }
    return true;
}

void symbols_each(Symbols *s, const char *pattern, SymbolVisit visit, void *ctx)
{
    bool more = true;

    symbols_lock(s);
    refresh(s);
    for (u32 i = 0; more && i < s->maps->len; i++) {
        const Mapping *m = &g_array_index(s->maps, Mapping, i);

        if (space_any(&s->mem->space, m->start, m->end - m->start, PAGE_EXEC))
            more = each_of(s, m, pattern, visit, ctx);
    }
    symbols_unlock(s);
}

/* ---- -dfilter ---- */

enum { NAMES_NOTED = 64 };

bool symbols_in_filter(void *symbols, u64 pc)
{
    Symbols *s = symbols;
    char **names = log_filter_names();

    for (u32 i = 0; names && names[i]; i++)
        if (symbols_match(s, pc, names[i])) {
            if (i < NAMES_NOTED)
                s->noted |= 1ull << i;
            return true;
        }
    return false;
}

static bool note_found(void *ctx, const Symbol *symbol)
{
    *(bool *)ctx = true;
    return false;
}

void symbols_check_filter(Symbols *s)
{
    char **names = s->pid == getpid() ? log_filter_names() : NULL;

    for (u32 i = 0; names && names[i] && i < NAMES_NOTED; i++) {
        bool found = s->noted >> i & 1;

        if (!found)
            symbols_each(s, names[i], note_found, &found);
        if (!found)
            log_printf("-dfilter %s: no such symbol in the code of process %d\n",
                       names[i], (int)s->pid);
        s->noted |= 1ull << i;
    }
}
