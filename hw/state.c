/* SPDX-License-Identifier: MIT */
/*
 * The state of a machine as a file: one zstd frame (its checksum included) of the CPUs'
 * and devices' sections and of the RAM pages that are not zero.  A file is read twice:
 * nothing of the machine is touched before all of it has been found whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "inside.h"
#include "zfile.h"

#define MAGIC "tessera state 1\n"

enum { PART_END, PART_SECTION, PART_PAGE, NAME_MOST = 255 };
enum { SECTIONS_MOST = 1 << 30 }; /* bytes of all sections: overlays are in them */

/* ---- fields ---- */

void state_refuse(State *s, const char *why)
{
    if (!s->error)
        s->error = g_strdup(why);
}

void state_bytes(State *s, void *bytes, size_t size)
{
    if (!s->loading && size > SECTIONS_MOST - s->bytes->len) {
        state_refuse(s, "it is too large to be saved");
    } else if (!s->loading) {
        g_byte_array_append(s->bytes, bytes, (guint)size);
    } else if (size > s->bytes->len - s->at) {
        memset(bytes, 0, size);
        state_refuse(s, "it is too short");
    } else {
        memcpy(bytes, s->bytes->data + s->at, size);
        s->at += size;
    }
}

void state_u8(State *s, u8 *v) { state_bytes(s, v, sizeof *v); }
void state_u16(State *s, u16 *v) { state_bytes(s, v, sizeof *v); }
void state_u32(State *s, u32 *v) { state_bytes(s, v, sizeof *v); }
void state_u64(State *s, u64 *v) { state_bytes(s, v, sizeof *v); }

void state_bool(State *s, bool *v)
{
    u8 byte = *v;

    state_u8(s, &byte);
    if (byte > 1)
        state_refuse(s, "neither yes nor no");
    *v = byte & 1;
}

/* ---- sections ---- */

static void machine_fields(Machine *m, State *s)
{
    u64 now = machine_clock(m);
    bool runs = m->run == RUN_RUNNING;

    state_u64(s, &now);
    if (s->loading && !s->error)
        machine_clock_set(m, now, runs && m->clock_stopped == CLOCK_RUNS);
}

static void cpu_fields(Cpu *cpu, State *s)
{
    Env *env = cpu->env;
    bool halted = cpu->halted;

    for (u32 i = 0; i < ENV_GLOBALS; i++)
        state_u64(s, &env->g[i]);
    state_u64(s, &env->pc);
    state_u32(s, &env->mxcsr);
    state_u64(s, &env->res_addr);
    state_u64(s, &env->res_value);
    state_bool(s, &halted);
    cpu->machine->board->cpu_state(cpu, s);
    env->mxcsr &= 0xffff;
    cpu->halted = halted;
    if (s->loading)
        exec_forget_jumps(env);
}

/* What a section's name stands for. */
typedef struct Section {
    char name[NAME_MOST + 1];
    Machine *machine;
    Cpu *cpu;
    Device *device;
} Section;

static void section_fields(const Section *what, State *s)
{
    if (what->cpu)
        cpu_fields(what->cpu, s);
    else if (what->device)
        what->device->type->state(what->device, s);
    else
        machine_fields(what->machine, s);
}

static u32 sections_of(Machine *m, Section **out)
{
    Section *list = g_new0(Section, 1 + m->n_cpus + m->devices->len);
    u32 n = 0;

    list[n] = (Section){.machine = m};
    g_snprintf(list[n++].name, NAME_MOST, "machine %s, %llu MiB, %u", m->board->name,
               (unsigned long long)m->ram_size >> 20, m->n_cpus);
    for (u32 i = 0; i < m->n_cpus; i++) {
        list[n] = (Section){.cpu = &m->cpu[i]};
        g_snprintf(list[n++].name, NAME_MOST, "cpu %u", i);
    }
    for (u32 i = 0; i < m->devices->len; i++) {
        Device *d = m->devices->pdata[i];

        if (!d->type->state)
            continue;
        list[n] = (Section){.device = d};
        g_snprintf(list[n++].name, NAME_MOST, "%s at 0x%llx %s", d->type->name,
                   (unsigned long long)d->base, d->id ? d->id : "");
    }
    *out = list;
    return n;
}

/* ---- saving ---- */

/* Takes its share of *room.  False: *error. */
static bool save_section(ZFile *z, const Section *what, u64 *room, char **error)
{
    State s = {.bytes = g_byte_array_new()};
    u8 kind = PART_SECTION, length = (u8)strlen(what->name);
    u32 size;

    section_fields(what, &s);
    size = s.bytes->len;
    if (size > *room)
        state_refuse(&s, "it is too large to be saved");
    *room -= MIN(size, *room);
    if (s.error)
        *error = g_strdup_printf("section \"%s\": %s", what->name, s.error);
    zfile_write(z, &kind, 1);
    zfile_write(z, &length, 1);
    zfile_write(z, what->name, length);
    zfile_write(z, &size, sizeof size);
    zfile_write(z, s.bytes->data, size);
    g_byte_array_free(s.bytes, TRUE);
    g_free(s.error);
    return !*error;
}

static bool is_zero(const u8 *page)
{
    return !page[0] && !memcmp(page, page + 1, PAGE_SIZE - 1);
}

static void save_page(ZFile *z, u64 phys, const u8 *host)
{
    u8 kind = PART_PAGE;

    if (is_zero(host))
        return;
    zfile_write(z, &kind, 1);
    zfile_write(z, &phys, sizeof phys);
    zfile_write(z, host, PAGE_SIZE);
}

/* Pages that were never touched are not to be touched now. */
static void save_ram(Machine *m, ZFile *z)
{
    enum { BATCH = 4096 };
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    u64 *map = g_new(u64, BATCH), base = m->board->ram_base;

    for (u64 at = 0; at < m->ram_size; at += (u64)BATCH << PAGE_BITS) {
        const u8 *host = space_host(&m->space, base + at);
        u64 n = MIN((m->ram_size - at) >> PAGE_BITS, BATCH);
        off_t where = (off_t)((uintptr_t)host >> PAGE_BITS) * 8;
        bool known = fd >= 0 && pread(fd, map, n * 8, where) == (ssize_t)n * 8;

        for (u64 i = 0; i < n; i++)
            if (!known || map[i] >> 62)
                save_page(z, base + at + (i << PAGE_BITS), host + (i << PAGE_BITS));
    }
    g_free(map);
    if (fd >= 0)
        close(fd);
}

static bool save_all(Machine *m, ZFile *z, char **error)
{
    u8 kind = PART_END;
    u64 room = SECTIONS_MOST;
    bool ok = true;
    Section *list;
    u32 n = sections_of(m, &list);

    zfile_write(z, MAGIC, strlen(MAGIC));
    for (u32 i = 0; ok && i < n; i++)
        ok = save_section(z, &list[i], &room, error);
    if (ok)
        save_ram(m, z);
    zfile_write(z, &kind, 1);
    g_free(list);
    return ok;
}

/* Holds the CPUs until no device has anything under way. */
static void hold_all(Machine *m)
{
    machine_hold(m);
    while (!devices_drained(m)) {
        machine_unlock(m);
        g_main_context_iteration(m->io, TRUE);
        machine_lock(m);
    }
}

bool machine_save(Machine *m, const char *path, char **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.part", path);
    ZFile *z = zfile_create(temporary, error);
    bool ok;

    if (!z)
        return false;
    hold_all(m);
    ok = save_all(m, z, error);
    machine_release(m);
    if (ok)
        ok = zfile_close(z, error);
    else
        zfile_free(z);
    if (ok && rename(temporary, path)) {
        *error = g_strdup_printf("%s: %s", path, strerror(errno));
        ok = false;
    }
    if (!ok)
        unlink(temporary);
    return ok;
}

/* ---- loading ---- */

typedef struct Loader {
    Machine *machine;
    ZFile *z;
    const Section *list; /* the machine's */
    u32 n;
    bool apply;           /* the second time: pages go to RAM */
    GHashTable *sections; /* the first: name -> GByteArray */
    u64 room;             /* bytes that they may still have */
    char *error;
} Loader;

static bool is_wanted(Loader *l, const char *name)
{
    g_autofree char *text = NULL;

    for (u32 i = 0; i < l->n; i++)
        if (!strcmp(l->list[i].name, name))
            return l->apply || !g_hash_table_contains(l->sections, name);
    text = g_strescape(name, NULL);
    l->error = g_strdup_printf("it is of another machine: there is \"%s\" in it", text);
    return false;
}

static bool load_section(Loader *l)
{
    char name[NAME_MOST + 1] = "";
    u8 length = 0;
    u32 size = 0;
    GByteArray *bytes;

    if (!zfile_read(l->z, &length, 1) || !zfile_read(l->z, name, length) ||
        !zfile_read(l->z, &size, sizeof size) || !is_wanted(l, name) || size > l->room)
        return false;
    l->room -= size;
    bytes = g_byte_array_sized_new(size);
    g_byte_array_set_size(bytes, size);
    if (!zfile_read(l->z, bytes->data, size) || l->apply) {
        g_byte_array_free(bytes, TRUE);
        return l->apply;
    }
    g_hash_table_replace(l->sections, g_strdup(name), bytes);
    return true;
}

static bool load_page(Loader *l)
{
    const Machine *m = l->machine;
    u8 page[PAGE_SIZE];
    u64 phys;

    if (!zfile_read(l->z, &phys, sizeof phys) || !zfile_read(l->z, page, sizeof page) ||
        phys & ~PAGE_MASK || phys < m->board->ram_base ||
        phys - m->board->ram_base >= m->ram_size)
        return false;
    if (l->apply)
        memcpy(space_host(&m->space, phys), page, PAGE_SIZE);
    return true;
}

static bool load_parts(Loader *l)
{
    char magic[sizeof MAGIC] = "";
    u8 kind;

    if (!zfile_read(l->z, magic, strlen(MAGIC)) || strcmp(magic, MAGIC))
        return false;
    while (zfile_read(l->z, &kind, 1)) {
        if (kind == PART_END)
            return zfile_ends(l->z);
        if (!(kind == PART_SECTION ? load_section(l)
                                   : kind == PART_PAGE && load_page(l)))
            return false;
    }
    return false;
}

/* Does the file hold all of this machine's sections? */
static bool sections_match(Loader *l)
{
    for (u32 i = 0; i < l->n; i++)
        if (!g_hash_table_contains(l->sections, l->list[i].name)) {
            l->error = g_strdup_printf("it is of another machine: no \"%s\" in it",
                                       l->list[i].name);
            return false;
        }
    return true;
}

static void apply_sections(Loader *l)
{
    for (u32 i = 0; i < l->n && !l->error; i++) {
        State s = {.bytes = g_hash_table_lookup(l->sections, l->list[i].name),
                   .loading = true};

        section_fields(&l->list[i], &s);
        if (!s.error && s.at != s.bytes->len)
            state_refuse(&s, "it is too long");
        if (s.error)
            l->error = g_strdup_printf("section \"%s\": %s", l->list[i].name, s.error);
        g_free(s.error);
    }
}

static void clear_ram(Machine *m)
{
    u64 base = m->board->ram_base;

    cache_host_write(m->cache, base, m->ram_size);
    madvise(space_host(&m->space, base), m->ram_size, MADV_DONTNEED);
}

/* The file was found whole: it becomes the machine's state. */
static void apply(Loader *l)
{
    Machine *m = l->machine;

    hold_all(m);
    clear_ram(m);
    l->apply = true;
    l->room = SECTIONS_MOST;
    if (!zfile_rewind(l->z) || !load_parts(l))
        l->error = l->error ? l->error : g_strdup("it changed while it was read");
    else
        apply_sections(l);
    if (l->error)
        machine_reset_now(m);
    machine_release(m);
}

static void free_bytes(gpointer bytes) { g_byte_array_free(bytes, TRUE); }

bool machine_load(Machine *m, const char *path, char **error)
{
    Loader l = {.machine = m, .z = zfile_open(path, error), .room = SECTIONS_MOST};
    Section *list;

    if (!l.z)
        return false;
    l.sections = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_bytes);
    l.n = sections_of(m, &list);
    l.list = list;
    if (!load_parts(&l))
        l.error = l.error ? l.error : g_strdup("not a whole saved state");
    else if (sections_match(&l))
        apply(&l);
    if (l.error)
        *error = g_strdup_printf("%s: %s", path, l.error);
    g_hash_table_destroy(l.sections);
    zfile_free(l.z);
    g_free(list);
    g_free(l.error);
    return !*error;
}
