/* SPDX-License-Identifier: MIT */
/*
 * The guest's core file: an ELF file with notes on the process and each thread, and
 * the memory that cannot be read again from the files that were mapped.
 */
#include <elf.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "core.h"
#include "proc.h"

enum { CHUNK = 1 << 20, PAGES_AT_ONCE = 512 };

typedef struct Region {
    u64 start, end, offset;
    u64 dumped; /* bytes of it in the file */
    u32 flags;  /* PF_* */
    bool is_file;
    char *name;
} Region;

typedef struct Core {
    Task *t;
    GArray *regions;    /* of Region */
    GPtrArray *threads; /* of Task *, the one that dies first */
    GByteArray *notes;
    int fd, pagemap;
    u64 limit;
} Core;

/* ---- memory: what of it ---- */

static u64 host_at(const Core *c, u64 addr)
{
    return (u64)space_host(&c->t->process->mem->space, addr);
}

#define PAGE_PRESENT (1ull << 63 | 1ull << 62) /* or swapped out */
#define PAGE_OF_FILE (1ull << 61)

/* The host's notes on n pages from addr on; false: none to be had. */
static bool page_notes(const Core *c, u64 addr, u64 *out, size_t n)
{
    off_t at = (off_t)(host_at(c, addr) / PAGE_SIZE * sizeof *out);
    size_t size = n * sizeof *out;

    return pread(c->pagemap, out, size, at) == (ssize_t)size;
}

/* Has the guest written into its private copy of a file? */
static bool was_written(const Core *c, const Region *r)
{
    u64 notes[PAGES_AT_ONCE];

    for (u64 a = r->start; a < r->end;) {
        size_t n = MIN((r->end - a) / PAGE_SIZE, PAGES_AT_ONCE);

        if (!page_notes(c, a, notes, n))
            return true;
        for (size_t i = 0; i < n; i++)
            if ((notes[i] & PAGE_PRESENT) && !(notes[i] & PAGE_OF_FILE))
                return true;
        a += n * PAGE_SIZE;
    }
    return false;
}

/* As the kernel's default (core(5), coredump_filter): shared memory where no file has
 * it, of a file that was not written the first page. */
static u64 bytes_dumped(const Core *c, const Region *r, const ProcMap *m)
{
    bool all = !r->is_file;

    if (!(r->flags & PF_R) || m->no_dump)
        return 0;
    if (m->rights[3] == 's')
        all = g_str_has_suffix(r->name, " (deleted)");
    else if (!all)
        all = was_written(c, r);
    if (all)
        return r->end - r->start;
    return r->offset == 0 && m->rights[3] == 'p' ? PAGE_SIZE : 0;
}

static void add_region(const ProcMap *m, void *ctx)
{
    Core *c = ctx;
    Region r = {.start = m->start,
                .end = m->end,
                .offset = m->offset,
                .is_file = m->is_file,
                .name = g_strdup(m->name)};

    r.flags = (m->rights[0] == 'r' ? PF_R : 0) | (m->rights[1] == 'w' ? PF_W : 0) |
              (m->rights[2] == 'x' ? PF_X : 0);
    r.dumped = bytes_dumped(c, &r, m);
    g_array_append_val(c->regions, r);
}

/* ---- notes ---- */

static void add_note(Core *c, u32 type, const void *data, size_t size)
{
    static const u8 zeros[4];
    const Elf64_Nhdr head = {.n_namesz = 5, .n_descsz = (u32)size, .n_type = type};

    g_byte_array_append(c->notes, (const u8 *)&head, sizeof head);
    g_byte_array_append(c->notes, (const u8 *)"CORE\0\0\0", 8);
    g_byte_array_append(c->notes, data, (guint)size);
    g_byte_array_append(c->notes, zeros, -size & 3);
}

/* struct elf_prstatus, without registers. */
typedef struct Status {
    struct {
        i32 signo, code, error;
    } info;
    i16 cursig;
    u64 pending, held;
    i32 pid, ppid, pgrp, sid;
    struct timeval user, system, children[2];
} Status;

_Static_assert(sizeof(Status) == 112, "linux/elfcore.h");

/* The signal is that of all threads, as in the kernel's. */
static void add_thread(Core *c, const Task *t, const siginfo_t *info)
{
    const AbiRegset *sets = t->process->abi->regsets;
    g_autofree u8 *regs = g_malloc0(sizeof(Status) + sets[0].size + 8);
    Status s = {.info = {info->si_signo, info->si_code, info->si_errno},
                .cursig = (i16)info->si_signo,
                .held = t->mask,
                .pid = t->tid,
                .ppid = getppid(),
                .pgrp = getpgrp(),
                .sid = getsid(0)};

    memcpy(regs, &s, sizeof s);
    sets[0].get(t->env, regs + sizeof s);
    regs[sizeof s + sets[0].size] = 1; /* pr_fpvalid */
    add_note(c, sets[0].note, regs, sizeof s + sets[0].size + 8);
    sets[1].get(t->env, regs);
    add_note(c, sets[1].note, regs, sets[1].size);
}

/* struct elf_prpsinfo */
typedef struct ProcessInfo {
    char state, sname, zombie, nice;
    u64 flags;
    u32 uid, gid;
    i32 pid, ppid, pgrp, sid;
    char name[16], args[80];
} ProcessInfo;

_Static_assert(sizeof(ProcessInfo) == 136, "linux/elfcore.h");

static void add_process(Core *c)
{
    const Process *p = c->t->process;
    const char *slash = strrchr(p->filename, '/');
    ProcessInfo info = {.sname = 'R',
                        .uid = getuid(),
                        .gid = getgid(),
                        .pid = getpid(),
                        .ppid = getppid(),
                        .pgrp = getpgrp(),
                        .sid = getsid(0)};
    u64 n = MIN(p->arg_end - p->arg_start, sizeof info.args - 1);

    strncpy(info.name, slash ? slash + 1 : p->filename, sizeof info.name - 1);
    guest_read(c->t, info.args, p->arg_start, n);
    for (u64 i = 0; i + 1 < n; i++)
        if (!info.args[i])
            info.args[i] = ' ';
    add_note(c, NT_PRPSINFO, &info, sizeof info);
}

static void add_auxv(Core *c)
{
    const Process *p = c->t->process;
    u64 size = p->auxv_end - p->auxv_start;
    g_autofree u8 *auxv = g_malloc(size);

    if (guest_read(c->t, auxv, p->auxv_start, size))
        add_note(c, NT_AUXV, auxv, size);
}

/* count, page size, {start, end, offset in pages} ..., names. */
static void add_files(Core *c)
{
    g_autoptr(GArray) words = g_array_new(false, false, sizeof(u64));
    g_autoptr(GByteArray) all = g_byte_array_new();
    u64 head[2] = {0, PAGE_SIZE};

    for (guint i = 0; i < c->regions->len; i++) {
        const Region *r = &g_array_index(c->regions, Region, i);
        u64 row[] = {r->start, r->end, r->offset / PAGE_SIZE};

        if (!r->is_file)
            continue;
        g_array_append_vals(words, row, ARRAY_SIZE(row));
        head[0]++;
    }
    g_byte_array_append(all, (u8 *)head, sizeof head);
    g_byte_array_append(all, (u8 *)words->data, (guint)(words->len * sizeof(u64)));
    for (guint i = 0; i < c->regions->len; i++) {
        const Region *r = &g_array_index(c->regions, Region, i);

        if (r->is_file)
            g_byte_array_append(all, (u8 *)r->name, (guint)strlen(r->name) + 1);
    }
    add_note(c, NT_FILE, all->data, all->len);
}

static void add_notes(Core *c, const siginfo_t *info)
{
    add_thread(c, c->t, info);
    add_process(c);
    add_note(c, NT_SIGINFO, info, sizeof *info);
    add_auxv(c);
    add_files(c);
    for (guint i = 1; i < c->threads->len; i++)
        add_thread(c, c->threads->pdata[i], info);
}

/* ---- the file ---- */

static u32 program_flags(const Core *c)
{
    Elf64_Ehdr eh;

    return guest_read(c->t, &eh, c->t->process->image.start, sizeof eh) &&
                   !memcmp(eh.e_ident, ELFMAG, SELFMAG)
               ? eh.e_flags
               : 0;
}

/* Bytes at an offset; guest memory that cannot be read stays a hole. */
static bool put(const Core *c, u64 at, const void *data, u64 size)
{
    ssize_t n = 0;

    for (size = at < c->limit ? MIN(size, c->limit - at) : 0; size; size -= (u64)n) {
        n = pwrite(c->fd, data, MIN(size, CHUNK), (off_t)at);
        if (n < 0 && errno == EFAULT)
            n = (ssize_t)MIN(size, PAGE_SIZE);
        if (n <= 0)
            return false;
        at += (u64)n;
        data = (const u8 *)data + n;
    }
    return true;
}

/* Pages of memory that nobody has touched stay holes. */
static bool put_region(const Core *c, const Region *r, u64 at)
{
    u64 notes[PAGES_AT_ONCE], end = r->start + r->dumped;
    bool good = true;

    for (u64 a = r->start; good && a < end;) {
        size_t n = MIN((end - a) / PAGE_SIZE, PAGES_AT_ONCE), i = 0;
        bool known = !r->is_file && page_notes(c, a, notes, n);

        while (good && i < n) {
            size_t from = i;

            while (i < n && (!known || (notes[i] & PAGE_PRESENT)))
                i++;
            good = put(c, at + from * PAGE_SIZE,
                       (const void *)host_at(c, a + from * PAGE_SIZE),
                       (i - from) * PAGE_SIZE);
            i += i < n;
        }
        a += n * PAGE_SIZE;
        at += n * PAGE_SIZE;
    }
    return good;
}

static u64 segments(const Core *c, Elf64_Phdr *ph, u64 heads)
{
    u64 at = align_up(heads + c->notes->len, PAGE_SIZE);

    *ph++ = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = heads, .p_filesz = c->notes->len, .p_align = 4};
    for (guint i = 0; i < c->regions->len; i++) {
        const Region *r = &g_array_index(c->regions, Region, i);

        *ph++ = (Elf64_Phdr){.p_type = PT_LOAD,
                             .p_flags = r->flags,
                             .p_offset = at,
                             .p_vaddr = r->start,
                             .p_filesz = r->dumped,
                             .p_memsz = r->end - r->start,
                             .p_align = PAGE_SIZE};
        at += r->dumped;
    }
    return at;
}

static bool put_all(const Core *c)
{
    u64 n = 1 + c->regions->len, size;
    g_autofree Elf64_Phdr *ph = g_new0(Elf64_Phdr, n);
    Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                                 ELFDATA2LSB, EV_CURRENT},
                     .e_type = ET_CORE,
                     .e_machine = c->t->process->abi->elf_machine,
                     .e_version = EV_CURRENT,
                     .e_phoff = sizeof eh,
                     .e_flags = program_flags(c),
                     .e_ehsize = sizeof eh,
                     .e_phentsize = sizeof *ph,
                     .e_phnum = (u16)MIN(n, PN_XNUM - 1)};
    u64 heads = sizeof eh + n * sizeof *ph;
    bool good;

    size = segments(c, ph, heads);
    good = put(c, 0, &eh, sizeof eh) && put(c, sizeof eh, ph, n * sizeof *ph) &&
           put(c, heads, c->notes->data, c->notes->len);
    for (guint i = 0; good && i < c->regions->len; i++)
        good = put_region(c, &g_array_index(c->regions, Region, i), ph[i + 1].p_offset);
    return good && ftruncate(c->fd, (off_t)MIN(size, c->limit)) == 0;
}

/* ---- the process ---- */

static void add_task(Env *env, void *ctx)
{
    Core *c = ctx;
    Task *t = env->task;

    if (t && t != c->t && t->process == c->t->process && t->tid)
        g_ptr_array_add(c->threads, t);
}

static void region_clear(void *r) { g_free(((Region *)r)->name); }

static bool core_open(Core *c, const char *name)
{
    c->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    unlink(name);
    c->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return c->fd >= 0;
}

bool core_write(Task *t, const siginfo_t *info, const char *name, u64 limit)
{
    Core c = {.t = t,
              .regions = g_array_new(false, false, sizeof(Region)),
              .threads = g_ptr_array_new(),
              .notes = g_byte_array_new(),
              .fd = -1,
              .pagemap = -1,
              .limit = limit};
    ProcFile f;
    ProcView v;
    bool good = false;

    if (proc_find(AT_FDCWD, "/proc/self/maps", &f) && proc_view(t, &f, &v) &&
        core_open(&c, name)) {
        g_array_set_clear_func(c.regions, region_clear);
        g_ptr_array_add(c.threads, t);
        proc_each_map(&v, &f, add_region,
                      &c);   /* mem->lock is taken before the cache's */
        if (!t->vfork_child) /* its threads are its parent's */
            exec_hold(t->env, add_task, &c);
        add_notes(&c, info);
        good = put_all(&c);
        if (!t->vfork_child)
            exec_release(t->env);
    }
    close(c.fd);
    close(c.pagemap);
    g_array_unref(c.regions);
    g_ptr_array_unref(c.threads);
    g_byte_array_unref(c.notes);
    return good;
}
