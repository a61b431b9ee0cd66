/* SPDX-License-Identifier: MIT */
/*
 * What perf is told of generated code: a line in /tmp/perf-PID.map for each block
 * (-perfmap), records in a jitdump file (-jitdump).  Files belong to processes: fork's
 * child begins its own, with what it inherits.  After a flush the same addresses come
 * again with other names; perf uses any of them, unless it has jitdump's times.
 *
 * perf looks into the map for samples in anonymous memory only, which the code buffer
 * is then (code.c).  All of this is called with the cache's lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "perf.h"

enum { OUR_FDS = 900 /* descriptors from here are out of a guest's way */ };

typedef struct Perf {
    PerfFile map; /* path NULL: none */
    JitDump *dump;
} Perf;

/* ---- files ---- */

static void keep_fd(PerfFile *f, int fd)
{
    struct stat st;
    int far = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, OUR_FDS) : -1;

    if (far >= 0)
        close(fd);
    f->fd = far >= 0 ? far : fd;
    if (fd >= 0 && !fstat(f->fd, &st)) {
        f->dev = st.st_dev;
        f->ino = st.st_ino;
    }
}

bool perf_file_create(PerfFile *f, char *path, bool keep)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW;

    f->path = path;
    if (!keep)
        unlink(path);
    keep_fd(f, open(path, flags | (keep ? 0 : O_CREAT | O_EXCL), 0644));
    return f->fd >= 0;
}

static bool still_ours(const PerfFile *f)
{
    struct stat st;

    return f->fd >= 0 && !fstat(f->fd, &st) && st.st_dev == f->dev &&
           st.st_ino == f->ino;
}

void perf_file_write(PerfFile *f, const void *data, size_t size)
{
    if (!still_ours(f))
        keep_fd(f, open(f->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
    while (size && f->fd >= 0) {
        ssize_t n = write(f->fd, data, size);

        if (n < 0 && errno != EINTR)
            break;
        data = (const u8 *)data + MAX(n, 0);
        size -= (size_t)MAX(n, 0);
    }
}

/* ---- the map ---- */

/* When this process began, in CLOCK_REALTIME's seconds; before its first execve. */
static double process_start(void)
{
    char text[1024] = "";
    FILE *f = fopen("/proc/self/stat", "re");
    struct timespec real, boot;
    unsigned long long ticks = 0;
    char *p;

    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
    }
    p = strrchr(text, ')'); /* 22nd field; the second one may hold anything */
    if (!p || sscanf(p + 1,
                     " %*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s"
                     "%llu",
                     &ticks) != 1)
        return 1e300;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(real.tv_sec - boot.tv_sec) +
           (double)(real.tv_nsec - boot.tv_nsec) / 1e9 +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* A map that was written in this process's life is what we wrote before execve: its
 * samples need it.  Any other is left from an older process of the same number. */
static bool written_by_us(const char *path)
{
    struct stat st;

    return !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9 >=
               process_start() - 0.02;
}

static void map_begin(Perf *p)
{
    char *path = g_strdup_printf("/tmp/perf-%d.map", (int)getpid());

    if (!perf_file_create(&p->map, path, written_by_us(path)))
        report("-perfmap: cannot write %s", path);
}

static void map_code(Cache *c, const PerfCode *code)
{
    char line[SYMBOL_TEXT + 120];
    int n = snprintf(line, sizeof line, "%llx %x %s\n",
                     (unsigned long long)(uintptr_t)(c->exec + code->at),
                     code->end - code->at, code->name);

    perf_file_write(&c->perf->map, line, (size_t)n);
}

/* ---- pieces of code ---- */

static void tell(Cache *c, const PerfCode *code)
{
    if (c->perf->map.path)
        map_code(c, code);
    if (c->options.jitdump && !c->perf->dump) /* a child that may make no code */
        c->perf->dump = jitdump_new(c);
    if (c->perf->dump)
        jitdump_code(c->perf->dump, code);
}

static void tell_thunks(Cache *c, void (*to)(Cache *c, const PerfCode *code))
{
    const EmitThunks *t = &c->thunks;
    const struct {
        u32 at;
        const char *name;
    } thunks[] = {{t->enter, "tessera:enter"},
                  {t->leave, "tessera:leave"},
                  {t->jump_miss, "tessera:jump_miss"},
                  {t->call, "tessera:call_helper"},
                  {t->call_bare, "tessera:call_helper_bare"}};

    for (size_t i = 0; i < ARRAY_SIZE(thunks); i++) {
        PerfCode code = {.at = thunks[i].at, .end = t->end, .name = thunks[i].name};

        for (size_t k = 0; k < ARRAY_SIZE(thunks); k++)
            if (thunks[k].at > code.at)
                code.end = MIN(code.end, thunks[k].at);
        to(c, &code);
    }
}

/* "function+0x10 [block 0x10470]" */
static void name_block(const Cache *c, const Tb *tb, char *out, size_t size)
{
    u64 offset = 0;
    const char *name = cache_symbol(c, tb->pc, &offset);

    if (name)
        snprintf(out, size, "%.90s+0x%llx [%s 0x%llx]", name, (long long)offset,
                 tb->trace ? "trace" : "block", (long long)tb->pc);
    else
        snprintf(out, size, "[%s 0x%llx]", tb->trace ? "trace" : "block",
                 (long long)tb->pc);
}

void perf_block(Cache *c, const Tb *tb, const Ir *ir, const EmitTask *t)
{
    char name[SYMBOL_TEXT + 40];

    name_block(c, tb, name, sizeof name);
    tell(c, &(PerfCode){tb->code, tb->end, name, ir, t->insn_at});
}

/* ---- processes ---- */

void perf_begin(Cache *c)
{
    if (!c->options.perfmap && !c->options.jitdump)
        return;
    c->perf = g_new0(Perf, 1);
    if (c->options.perfmap)
        map_begin(c->perf);
    tell_thunks(c, tell);
}

/* perf takes the child's code to be named in its parent's map until it sees it mapped
 * again; from a jitdump it knows what was there at the fork. */
void perf_fork_child(Cache *c)
{
    char name[SYMBOL_TEXT + 40];

    if (!c->perf)
        return;
    c->perf->dump = NULL;
    if (!c->perf->map.path)
        return;
    code_show(c);
    map_begin(c->perf);
    tell_thunks(c, map_code);
    for (u32 i = 1; i < c->n_tbs; i++) {
        const Tb *tb = &c->tbs[i];

        name_block(c, tb, name, sizeof name);
        map_code(c, &(PerfCode){.at = tb->code, .end = tb->end, .name = name});
    }
}

void cache_end(Cache *c)
{
    if (!c->perf)
        return;
    lock_take(&c->lock);
    if (c->perf->dump)
        jitdump_close(c->perf->dump);
    c->perf->dump = NULL;
    lock_leave(&c->lock);
}
