/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc that must show the guest and not us: of guest processes what is about
 * memory, arguments and signals; cpuinfo and arch.  Each is written once into an
 * anonymous file when the guest opens it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "proc.h"
#include "sig.h"
#include "sys.h"

/* A file to write: of which process, or of none (f->pid 0). */
typedef struct Request {
    Task *t;
    const ProcFile *f;
    ProcView v;
} Request;

/* ---- copies of the own memory ---- */

static void put_memory(Task *t, FILE *out, u64 start, u64 end)
{
    size_t n = end > start ? end - start : 0;
    void *copy = malloc(n);

    if (copy && guest_read(t, copy, start, n))
        fwrite(copy, 1, n, out);
    free(copy);
}

static void put_auxv(const Request *r, FILE *out)
{
    put_memory(r->t, out, r->t->process->auxv_start, r->t->process->auxv_end);
}

static void put_cmdline(const Request *r, FILE *out)
{
    put_memory(r->t, out, r->t->process->arg_start, r->t->process->arg_end);
}

static void put_environ(const Request *r, FILE *out)
{
    put_memory(r->t, out, r->t->process->env_start, r->t->process->env_end);
}

/* ---- memory ---- */

static void put_maps(const Request *r, FILE *out) { proc_put_maps(&r->v, r->f, out); }

static void put_smaps(const Request *r, FILE *out) { proc_put_smaps(&r->v, r->f, out); }

static void put_rollup(const Request *r, FILE *out)
{
    proc_put_rollup(&r->v, r->f, out);
}

static void put_numa_maps(const Request *r, FILE *out)
{
    proc_put_numa_maps(&r->v, r->f, out);
}

/* size resident shared text lib data dt, in pages */
static void put_statm(const Request *r, FILE *out)
{
    unsigned long resident, shared, text;
    FILE *in = fopen(r->f->path, "re");

    if (in && fscanf(in, "%*s %lu %lu %lu", &resident, &shared, &text) == 3)
        fprintf(out, "%llu %lu %lu %lu 0 %llu 0\n",
                proc_mapped(&r->v, r->f) / PAGE_SIZE, resident, shared, text,
                proc_data(&r->v, r->f) / PAGE_SIZE);
    if (in)
        fclose(in);
}

/* ---- stat ---- */

/* Fields of stat, counted from 1 (proc(5)), that are addresses. */
static bool is_address(int field)
{
    return (field >= 26 && field <= 28) || (field >= 45 && field <= 51);
}

/* Where the kernel does not know better: the own process's. */
static u64 own_field(const Process *p, int field)
{
    switch (field) {
    case 26: return p->image.start;
    case 27:
    case 45:
    case 46: return p->image.end;
    case 28: return p->auxv_start;
    case 47: return p->mem->brk_start;
    case 48: return p->arg_start;
    case 49: return p->arg_end;
    case 50: return p->env_start;
    default: return p->env_end;
    }
}

/* The thread that it is about. */
static i32 thread_of(const Request *r)
{
    const char *task = strstr(r->f->path + r->f->process_len, "/task/");

    return task ? atoi(task + 6) : r->f->pid;
}

static bool in_tracing_stop(const Request *r)
{
    i32 tracer;
    bool stopped;

    return ptrace_seen(thread_of(r), &tracer, &stopped) && stopped;
}

static void put_stat_field(const Request *r, FILE *out, int field, const char *word)
{
    u64 value = strtoull(word, NULL, 10) - r->v.base;

    if (field == 3 && in_tracing_stop(r))
        fputs(" t", out);
    else if (field == 23)
        fprintf(out, " %lu", proc_mapped(&r->v, r->f));
    else if (is_address(field) && r->v.mem)
        fprintf(out, " %lu", own_field(r->t->process, field));
    else if (is_address(field))
        fprintf(out, " %lu", value < r->v.size ? value : 0);
    else
        fprintf(out, " %s", word);
}

static void put_stat(const Request *r, FILE *out)
{
    FILE *in = fopen(r->f->path, "re");
    char line[4096], *end, *word, *save = NULL;
    int field = 3;

    if (in && fgets(line, sizeof line, in) && (end = strrchr(line, ')'))) {
        fprintf(out, "%.*s", (int)(end + 1 - line), line);
        word = strtok_r(end + 1, " \n", &save);
        for (; word; word = strtok_r(NULL, " \n", &save))
            put_stat_field(r, out, field++, word);
        fputc('\n', out);
    }
    if (in)
        fclose(in);
}

/* ---- status ---- */

/* Bits of signals with such an action. */
static u64 action_bits(Process *p, bool ignored)
{
    u64 bits = 0;

    lock_take(&p->signal_lock);
    for (int sig = 1; sig <= SIGNALS; sig++) {
        u64 handler = signal_action_of(p, sig)->handler;

        if (ignored ? handler == ABI_SIG_IGN
                    : handler != ABI_SIG_DFL && handler != ABI_SIG_IGN)
            bits |= signal_bit(sig);
    }
    lock_leave(&p->signal_lock);
    return bits;
}

/* A line of the host's as the guest's. */
static void put_status_line(const Request *r, FILE *out, const char *line)
{
    size_t n = strcspn(line, ":");
    u64 bits = strtoull(line + n + (line[n] == ':'), NULL, 16);

    if (!strncmp(line, "VmPeak:", 7) || !strncmp(line, "VmSize:", 7))
        fprintf(out, "%.7s\t%8lu kB\n", line, proc_mapped(&r->v, r->f) / 1024);
    else if (!strncmp(line, "VmData:", 7))
        fprintf(out, "%.7s\t%8lu kB\n", line, proc_data(&r->v, r->f) / 1024);
    else if (thread_of(r) == r->t->tid && !strncmp(line, "Seccomp:", 8))
        fprintf(out, "Seccomp:\t%ld\n", seccomp_mode(r->t));
    else if (thread_of(r) == r->t->tid && !strncmp(line, "Seccomp_filters:", 16))
        fprintf(out, "Seccomp_filters:\t%u\n", seccomp_count(r->t));
    else if (!r->v.mem || (strncmp(line, "Sig", 3) && strncmp(line, "Shd", 3)))
        fputs(line, out);
    else if (!strncmp(line, "SigIgn:", 7))
        fprintf(out, "%.7s\t%016lx\n", line, action_bits(r->t->process, true));
    else if (!strncmp(line, "SigCgt:", 7))
        fprintf(out, "%.7s\t%016lx\n", line, action_bits(r->t->process, false));
    else if (!strncmp(line, "SigBlk:", 7))
        fprintf(out, "%.7s\t%016lx\n", line,
                thread_of(r) == r->t->tid ? r->t->mask : bits & ~signal_ours());
    else
        fputs(line, out);
}

static void put_status(const Request *r, FILE *out)
{
    FILE *in = fopen(r->f->path, "re");
    char line[4096];
    i32 tracer;
    bool stopped, seen = ptrace_seen(thread_of(r), &tracer, &stopped);

    while (in && fgets(line, sizeof line, in)) {
        if (seen && !strncmp(line, "TracerPid:", 10))
            fprintf(out, "TracerPid:\t%d\n", tracer);
        else if (seen && stopped && !strncmp(line, "State:", 6))
            fputs("State:\tt (tracing stop)\n", out);
        else
            put_status_line(r, out, line);
    }
    if (in)
        fclose(in);
}

/* ---- the machine ---- */

static void put_cpuinfo(const Request *r, FILE *out)
{
    const Abi *abi = r->t->process->abi;

    for (long i = 0, n = sysconf(_SC_NPROCESSORS_ONLN); i < n; i++) {
        fprintf(out, "processor\t: %ld\nhart\t\t: %ld\n", i, i);
        abi->cpuinfo(out, r->t->process);
        fputc('\n', out);
    }
}

static void put_arch(const Request *r, FILE *out)
{
    fprintf(out, "%s\n", r->t->process->abi->machine);
}

/* ---- opening ---- */

typedef enum Whose {
    MACHINE, /* no process's */
    OWN,     /* the kernel knows others' itself */
    ANY,     /* any guest's */
} Whose;

typedef struct Known {
    const char *name;
    Whose whose;
    void (*put)(const Request *r, FILE *out);
} Known;

static const Known files[] = {
    {"maps", ANY, put_maps},           {"smaps", ANY, put_smaps},
    {"smaps_rollup", ANY, put_rollup}, {"numa_maps", ANY, put_numa_maps},
    {"stat", ANY, put_stat},           {"statm", ANY, put_statm},
    {"status", ANY, put_status},       {"auxv", OWN, put_auxv},
    {"cmdline", OWN, put_cmdline},     {"environ", OWN, put_environ},
    {"cpuinfo", MACHINE, put_cpuinfo}, {"arch", MACHINE, put_arch},
};

static int text_file(const char *text, size_t size, int flags)
{
    int fd = memfd_create("proc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

    if (fd < 0 || (write(fd, text, size) == (ssize_t)size &&
                   lseek(fd, 0, SEEK_SET) == 0 && fchmod(fd, 0444) == 0))
        return fd;
    close(fd);
    return -1;
}

/* No file may be as long (ulimit -f). */
static int text_pipe(const char *text, size_t size, int flags)
{
    int ends[2];
    bool good;

    if (pipe2(ends, flags & O_CLOEXEC))
        return -1;
    fcntl(ends[1], F_SETPIPE_SZ, size);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    good = write(ends[1], text, size) == (ssize_t)size;
    close(ends[1]);
    if (good)
        return ends[0];
    close(ends[0]);
    return -1;
}

static i64 open_text(const Request *r, const Known *known, int flags)
{
    struct rlimit most;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    int fd = -1;

    if (!f)
        return -ENOMEM;
    known->put(r, f);
    if (fclose(f) == 0)
        fd = getrlimit(RLIMIT_FSIZE, &most) == 0 && size > most.rlim_cur
                 ? text_pipe(text, size, flags)
                 : text_file(text, size, flags);
    free(text);
    return fd < 0 ? -ENOMEM : fd;
}

bool proc_lists_fds(int fd)
{
    ProcFile f;

    return proc_find(fd, "", &f) && f.pid == getpid() &&
           (!strcmp(f.name, "fd") || !strcmp(f.name, "fdinfo"));
}

static bool is_for(const Known *known, Request *r)
{
    if (known->whose == MACHINE)
        return r->f->pid == 0;
    return proc_view(r->t, r->f, &r->v) && (known->whose == ANY || r->v.mem);
}

i64 proc_open(Task *t, i64 dir, const char *path, int flags)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    Request r = {.t = t};
    ProcFile f;

    if (flags & (O_PATH | O_DIRECTORY | O_ACCMODE))
        return -ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (strcmp(name, files[i].name))
            continue;
        if (!proc_find(dir, path, &f))
            return -ENOENT;
        r.f = &f;
        if (strcmp(f.name, name) || access(f.path, R_OK) || !is_for(&files[i], &r))
            return -ENOENT;
        return open_text(&r, &files[i], flags);
    }
    return -ENOENT;
}
