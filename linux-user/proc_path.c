/* SPDX-License-Identifier: MIT */
/*
 * Which file of /proc a path means, however it is spelt, and which guest process that
 * file is of.  The kernel is told where a guest's arguments, environment and auxiliary
 * vector are, so that it shows them to everybody; from those one tessera knows
 * another's guest.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <elf.h>
#include "proc.h"

/* ---- what the kernel shows of us ---- */

void proc_tell_kernel(const Task *t)
{
    const Process *p = t->process;
    u64 base = (u64)p->mem->space.base;
    struct prctl_mm_map map = {
        .start_code = base + p->image.start,
        .end_code = base + p->image.end,
        .start_data = base + p->image.end,
        .end_data = base + p->image.end,
        .start_brk = (u64)sbrk(0), /* ours: malloc's */
        .brk = (u64)sbrk(0),
        .start_stack = base + p->abi->sp(t),
        .arg_start = base + p->arg_start,
        .arg_end = base + p->arg_end,
        .env_start = base + p->env_start,
        .env_end = base + p->env_end,
        .auxv = (void *)(base + p->auxv_start),
        .auxv_size = (u32)(p->auxv_end - p->auxv_start),
        .exe_fd = ~0u,
    };

    /* Where the kernel has no such thing, others see our command line, no more. */
    prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
}

/* ---- paths ---- */

static bool is_number(const char *s, const char *end)
{
    return s < end && strspn(s, "0123456789") == (size_t)(end - s);
}

/* The start of the path's last part before end. */
static const char *part_before(const char *path, const char *end)
{
    while (end > path && end[-1] != '/')
        end--;
    return end;
}

/* Takes ".../PID/NAME" and ".../PID/task/TID/NAME" apart; f->pid 0: it is neither. */
static void split(ProcFile *f)
{
    const char *name = part_before(f->path, f->path + strlen(f->path));
    const char *pid, *end = name - 1;

    f->name = name;
    f->pid = 0;
    if (name < f->path + 2)
        return;
    pid = part_before(f->path, end);
    f->dir_len = (size_t)(end - f->path);
    if (pid > f->path + 6 && !strncmp(pid - 6, "/task/", 6) && is_number(pid, end)) {
        end = pid - 6;
        pid = part_before(f->path, end);
    }
    if (is_number(pid, end))
        f->pid = atoi(pid);
    f->process_len = (size_t)(end - f->path);
}

/* Is the descriptor of a file in a proc, and its name there? */
static bool name_of(int fd, ProcFile *f)
{
    struct statfs fs;
    char link[32];
    ssize_t n;

    if (fstatfs(fd, &fs) || fs.f_type != PROC_SUPER_MAGIC)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, f->path, sizeof f->path - 1);
    f->path[MAX(n, 0)] = 0;
    return n > 0 && *f->path == '/';
}

bool proc_find(i64 dir, const char *path, ProcFile *f)
{
    bool opens = *path != 0, good;
    int fd = opens ? openat((int)dir, path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : (int)dir;

    if (fd < 0)
        return false;
    good = name_of(fd, f);
    if (opens)
        close(fd);
    if (good)
        split(f);
    return good;
}

char *proc_beside(const ProcFile *f, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.*s/%s", (int)f->process_len, f->path, name);
    return out;
}

/* ---- whose it is ---- */

/* Does the same program run there as here? */
static bool runs_ours(const ProcFile *f)
{
    struct stat theirs, ours;
    char path[PATH_MAX];

    return stat(proc_beside(f, "exe", path), &theirs) == 0 &&
           stat("/proc/self/exe", &ours) == 0 && theirs.st_ino == ours.st_ino &&
           theirs.st_dev == ours.st_dev;
}

/* Host address of the end of the environment: a field of stat, counted from 1. */
enum { STAT_ENV_END = 51 };

static u64 env_end(const ProcFile *f)
{
    char path[PATH_MAX], line[4096], *at = NULL, *save = NULL;
    FILE *in = fopen(proc_beside(f, "stat", path), "re");

    if (in && fgets(line, sizeof line, in) && (at = strrchr(line, ')'))) {
        at = strtok_r(at + 1, " \n", &save);
        for (int i = 3; at && i < STAT_ENV_END; i++)
            at = strtok_r(NULL, " \n", &save);
    }
    if (in)
        fclose(in);
    return at ? strtoull(at, NULL, 10) : 0;
}

/* Its guest's: the kernel's own for us has an entry that ours has not. */
static bool read_auxv(const ProcFile *f, u64 *phdr, u64 *name)
{
    char path[PATH_MAX];
    Elf64_auxv_t aux[64];
    FILE *in = fopen(proc_beside(f, "auxv", path), "re");
    size_t n = in ? fread(aux, sizeof *aux, ARRAY_SIZE(aux), in) : 0;
    bool host_own = false;

    *phdr = *name = 0;
    for (size_t i = 0; i < n; i++) {
        if (aux[i].a_type == AT_PHDR)
            *phdr = aux[i].a_un.a_val;
        else if (aux[i].a_type == AT_EXECFN)
            *name = aux[i].a_un.a_val;
        else if (aux[i].a_type == AT_SYSINFO_EHDR)
            host_own = true;
    }
    if (in)
        fclose(in);
    return *phdr && *name && !host_own;
}

/* The mapping around a host address: its end and file. */
static bool find_mapping(const ProcFile *f, u64 addr, u64 *end, char file[PATH_MAX])
{
    char path[PATH_MAX], line[PATH_MAX + 128];
    FILE *in = fopen(proc_beside(f, "maps", path), "re");
    bool found = false;
    u64 start;

    while (in && !found && fgets(line, sizeof line, in)) {
        *file = 0;
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095[^\n]", &start, end, file) >= 2)
            found = addr >= start && addr < *end;
    }
    if (in)
        fclose(in);
    return found;
}

bool proc_view(const Task *t, const ProcFile *f, ProcView *v)
{
    const Space *s = &t->process->mem->space;
    char file[PATH_MAX];
    u64 name, end;

    *v = (ProcView){.base = (u64)s->base, .size = s->size};
    if (!f->pid)
        return false;
    if (f->pid == getpid()) {
        v->mem = t->process->mem;
        return true;
    }
    if (!runs_ours(f) || !read_auxv(f, &v->phdr, &name))
        return false;
    v->base = env_end(f) - name; /* one place, as the host and the guest call it */
    if (!find_mapping(f, v->base + name, &end, file))
        return false;
    v->size = end - v->base; /* nothing is above the stack */
    return true;
}

/* ---- /proc/PID/exe ---- */

bool proc_exe(const Task *t, i64 dir, const char *path, char out[PATH_MAX])
{
    size_t n = strlen(path);
    ProcFile f;
    ProcView v;
    u64 end;

    if (n && (n < 3 || strcmp(path + n - 3, "exe")))
        return false;
    if (!proc_find(dir, path, &f) || strcmp(f.name, "exe") || !proc_view(t, &f, &v))
        return false;
    if (v.mem)
        snprintf(out, PATH_MAX, "%s", t->process->exe ? t->process->exe : "");
    else if (find_mapping(&f, v.base + v.phdr, &end, out))
        memmove(out, path_guest(t->process, out),
                strlen(path_guest(t->process, out)) + 1);
    return *out == '/';
}
