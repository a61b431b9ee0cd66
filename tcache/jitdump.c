/* SPDX-License-Identifier: MIT */
/*
 * The jitdump format, version 1 (Linux: tools/perf/Documentation): code with its bytes
 * and the time it was made, and for each guest instruction a line of a listing, which
 * perf annotate shows between the host's instructions.
 *
 * Each process has a folder of its own, as other programs do: pids come again.  perf
 * learns of the file from a mapping of it.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "perf.h"

enum { CODE_LOAD, CODE_MOVE, CODE_DEBUG_INFO, CODE_CLOSE };

enum { MAGIC = 0x4a695444 /* "JiTD" */, VERSION = 1 };

typedef struct Header {
    u32 magic, version, size, machine, pad, pid;
    u64 time, flags;
} Header;

typedef struct Prefix {
    u32 id, size;
    u64 time;
} Prefix;

typedef struct Load {
    Prefix prefix;
    u32 pid, tid;
    u64 vma, code, size, index;
} Load;

typedef struct DebugInfo {
    Prefix prefix;
    u64 code, n;
} DebugInfo;

typedef struct DebugEntry {
    u64 address;
    u32 line, column;
} DebugEntry;

struct JitDump {
    const Cache *cache;
    PerfFile file, listing;
    GHashTable *lines; /* an instruction's address and bytes, mixed -> its line */
    u32 n_lines;
    u64 n_loads;
    void *marker;
};

/* ---- the listing ---- */

static u64 line_key(u64 pc, u32 word) { return pc + word * 0x9e3779b97f4a7c15ull; }

static void list_insn(JitDump *d, const IrInsn *insn, u32 word, const u8 *bytes)
{
    char text[96], where[SYMBOL_TEXT], line[SYMBOL_TEXT + 160];
    int n;

    if (!d->cache->guest->disas(text, sizeof text, insn->pc, bytes, insn->len))
        strcpy(text, "(not an instruction)");
    n = snprintf(line, sizeof line, "%10llx%s:  %0*x  %s\n", (long long)insn->pc,
                 cache_symbol_text(d->cache, insn->pc, where), insn->len * 2, word,
                 text);
    perf_file_write(&d->listing, line, (size_t)n);
}

/* The instruction's line, from 1; it is written when it is new. */
static u32 line_of(JitDump *d, const IrInsn *insn)
{
    const u8 *bytes = space_host(d->cache->space, insn->pc);
    void *key;
    u32 word = 0, line;

    memcpy(&word, bytes, insn->len);
    key = GSIZE_TO_POINTER(line_key(insn->pc, word));
    line = GPOINTER_TO_UINT(g_hash_table_lookup(d->lines, key));
    if (line)
        return line;
    list_insn(d, insn, word, bytes);
    g_hash_table_insert(d->lines, key, GUINT_TO_POINTER(++d->n_lines));
    return d->n_lines;
}

/* ---- records ---- */

static Prefix prefix(u32 id, size_t size) { return (Prefix){id, (u32)size, now_ns()}; }

static u64 host_address(const JitDump *d, u32 at)
{
    return (u64)(uintptr_t)(d->cache->exec + at);
}

static void put(GByteArray *to, const void *data, size_t size)
{
    g_byte_array_append(to, data, (guint)size);
}

static void put_lines(JitDump *d, const PerfCode *code, GByteArray *to)
{
    DebugInfo info = {.code = host_address(d, code->at)};
    size_t at = to->len;

    put(to, &info, sizeof info);
    for (u32 i = 0; i < code->ir->n_insns; i++) {
        const IrInsn *insn = &code->ir->insns[i];
        u32 begin = info.n ? code->insn_at[i] : code->at;
        DebugEntry entry = {.address = host_address(d, begin)};

        if (!insn->len)
            continue;
        entry.line = line_of(d, insn);
        put(to, &entry, sizeof entry);
        put(to, d->listing.path, strlen(d->listing.path) + 1);
        info.n++;
    }
    info.prefix = prefix(CODE_DEBUG_INFO, to->len - at);
    memcpy(to->data + at, &info, sizeof info);
}

static void put_load(JitDump *d, const PerfCode *code, GByteArray *to)
{
    u64 address = host_address(d, code->at);
    size_t size = code->end - code->at, name = strlen(code->name) + 1;
    Load load = {.prefix = prefix(CODE_LOAD, sizeof load + name + size),
                 .pid = (u32)getpid(),
                 .tid = (u32)gettid(),
                 .vma = address,
                 .code = address,
                 .size = size,
                 .index = d->n_loads++};

    put(to, &load, sizeof load);
    put(to, code->name, name);
    put(to, d->cache->write + code->at, size);
}

void jitdump_code(JitDump *d, const PerfCode *code)
{
    GByteArray *record = g_byte_array_new();

    if (code->ir)
        put_lines(d, code, record);
    put_load(d, code, record);
    perf_file_write(&d->file, record->data, record->len);
    g_byte_array_free(record, true);
}

/* ---- files ---- */

/* BASE/.debug/jit/tessera-jit-20261121-XXXXXX, made; NULL: errno. */
static char *make_folder(void)
{
    const char *base = getenv("JITDUMPDIR");
    time_t now = time(NULL);
    g_autofree char *parent = NULL;
    char date[16], *folder;
    struct tm tm;

    if (!base || !*base)
        base = getenv("HOME");
    parent = g_strdup_printf("%s/.debug/jit", base && *base ? base : ".");
    g_mkdir_with_parents(parent, 0755);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%Y%m%d", &tm);
    folder = g_strdup_printf("%s/tessera-jit-%s-XXXXXX", parent, date);
    if (g_mkdtemp_full(folder, 0755))
        return folder;
    g_free(folder);
    return NULL;
}

static bool create(JitDump *d, const char *folder)
{
    int pid = getpid();

    return perf_file_create(&d->file, g_strdup_printf("%s/jit-%d.dump", folder, pid),
                            false) &&
           perf_file_create(&d->listing, g_strdup_printf("%s/jit-%d.s", folder, pid),
                            false);
}

static void put_header(JitDump *d)
{
    Header h = {.magic = MAGIC,
                .version = VERSION,
                .size = sizeof h,
                .machine = EM_X86_64,
                .pid = (u32)getpid(),
                .time = now_ns()};

    perf_file_write(&d->file, &h, sizeof h);
    d->marker =
        mmap(NULL, PAGE_SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE, d->file.fd, 0);
}

JitDump *jitdump_new(Cache *c)
{
    JitDump *d = g_new0(JitDump, 1);
    g_autofree char *folder = make_folder();

    d->cache = c;
    if (!folder || !create(d, folder)) {
        report("-jitdump: no folder to write to: %s", strerror(errno));
        c->options.jitdump = false;
        return NULL;
    }
    d->lines = g_hash_table_new(g_direct_hash, g_direct_equal);
    put_header(d);
    return d;
}

void jitdump_close(JitDump *d)
{
    Prefix end = prefix(CODE_CLOSE, sizeof end);

    perf_file_write(&d->file, &end, sizeof end);
    g_hash_table_destroy(d->lines);
    g_free(d);
}
