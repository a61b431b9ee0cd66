/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc that must show the guest and not us: maps, auxv, cmdline, stat and
 * environ of the own process, and cpuinfo.  Each is written once into an anonymous
 * file when the guest opens it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "sys.h"

bool proc_self(const Task *t, const char *path, const char *name)
{
    char own[32];
    size_t n;

    if (strncmp(path, "/proc/", 6))
        return false;
    path += 6;
    snprintf(own, sizeof own, "%d/", (int)getpid());
    n = strlen(own);
    if (!strncmp(path, "self/", 5))
        return !strcmp(path + 5, name);
    if (!strncmp(path, "thread-self/", 12))
        return !strcmp(path + 12, name);
    return !strncmp(path, own, n) && !strcmp(path + n, name);
}

/* ---- contents ---- */

static void put_memory(Task *t, FILE *f, u64 start, u64 end)
{
    const void *p = end > start ? guest_ptr(t, start, end - start, GUEST_READ) : NULL;

    if (p)
        fwrite(p, 1, end - start, f);
}

static void put_auxv(Task *t, FILE *f)
{
    put_memory(t, f, t->process->auxv_start, t->process->auxv_end);
}

static void put_cmdline(Task *t, FILE *f)
{
    put_memory(t, f, t->process->arg_start, t->process->arg_end);
}

static void put_environ(Task *t, FILE *f)
{
    put_memory(t, f, t->process->env_start, t->process->env_end);
}

static const char *map_label(const Memory *m, u64 start, u64 end)
{
    if (start < m->stack_end && end > m->stack_start)
        return "[stack]";
    return start < m->brk && end > m->brk_start ? "[heap]" : "";
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

/* One line of ours as lines of the guest's: what it has mapped there, cut where its
 * pages' rights change. */
static void put_map(const Memory *m, FILE *f, u64 start, u64 end, u64 offset,
                    const char *rest)
{
    char file[PATH_MAX] = "", dev[16] = "00:00";
    unsigned long long inode = 0;
    Extent part;

    sscanf(rest, "%15s %llu %4095[^\n]", dev, &inode, file);
    for (u64 a = start; extents_next(&m->map, a, end, &part);) {
        u8 flags = space_flags(&m->space, part.start);

        a = rights_end(m, part.start, part.end);
        fprintf(f, "%08llx-%08llx %c%c%c%c %08llx %s %llu",
                (unsigned long long)part.start, (unsigned long long)a,
                flags & PAGE_READ ? 'r' : '-', flags & PAGE_WRITE ? 'w' : '-',
                flags & PAGE_EXEC ? 'x' : '-', flags & PAGE_SHARED ? 's' : 'p',
                inode ? (unsigned long long)(offset + part.start - start) : 0ull, dev,
                inode);
        fprintf(f, " %22s%s\n", "", inode ? file : map_label(m, part.start, a));
    }
}

static void put_maps(Task *t, FILE *f)
{
    Memory *m = t->process->mem;
    u64 base = (u64)m->space.base, start, end, offset;
    FILE *ours = fopen("/proc/self/maps", "re");
    char line[PATH_MAX + 128], rights[8];
    int at;

    pthread_mutex_lock(&m->lock);
    while (ours && fgets(line, sizeof line, ours)) {
        if (sscanf(line, "%lx-%lx %4s %lx %n", &start, &end, rights, &offset, &at) < 4)
            continue;
        if (start < base) {
            offset += base - start;
            start = base;
        }
        end = MIN(end, base + m->space.size);
        if (start < end)
            put_map(m, f, start - base, end - base, offset, line + at);
    }
    pthread_mutex_unlock(&m->lock);
    if (ours)
        fclose(ours);
}

/* Ours, but for the name in parentheses and field 28, where the stack starts. */
static void put_stat(Task *t, FILE *f)
{
    const char *slash = strrchr(t->process->program, '/');
    FILE *ours = fopen("/proc/self/stat", "re");
    char line[4096], *word, *save = NULL;
    int field = 3;

    if (ours && fgets(line, sizeof line, ours) && (word = strrchr(line, ')'))) {
        fprintf(f, "%d (%.15s)", (int)getpid(),
                slash ? slash + 1 : t->process->program);
        word = strtok_r(word + 1, " \n", &save);
        for (; word; word = strtok_r(NULL, " \n", &save), field++) {
            if (field == 28)
                fprintf(f, " %llu", (unsigned long long)t->process->arg_start);
            else
                fprintf(f, " %s", word);
        }
        fputc('\n', f);
    }
    if (ours)
        fclose(ours);
}

static void put_cpuinfo(Task *t, FILE *f)
{
    const Abi *abi = t->process->abi;

    for (long i = 0, n = sysconf(_SC_NPROCESSORS_ONLN); i < n; i++) {
        fprintf(f, "processor\t: %ld\nhart\t\t: %ld\n", i, i);
        abi->cpuinfo(f, t->process);
        fputc('\n', f);
    }
}

/* ---- opening ---- */

static const struct {
    const char *name;
    void (*put)(Task *t, FILE *f);
} files[] = {
    {"maps", put_maps},       {"auxv", put_auxv}, {"cmdline", put_cmdline},
    {"environ", put_environ}, {"stat", put_stat},
};

static i64 open_text(Task *t, void (*put)(Task *t, FILE *f), int flags)
{
    int fd = memfd_create("proc", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    bool good = f && fd >= 0;

    if (f) {
        put(t, f);
        good &= fclose(f) == 0;
    }
    good =
        good && write(fd, text, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0;
    free(text);
    if (!good && fd >= 0)
        close(fd);
    return good ? fd : -ENOMEM;
}

i64 proc_open(Task *t, const char *path, int flags)
{
    if (strncmp(path, "/proc/", 6) || (flags & (O_PATH | O_DIRECTORY)))
        return -ENOENT;
    if (!strcmp(path, "/proc/cpuinfo") && t->process->abi->cpuinfo)
        return open_text(t, put_cpuinfo, flags);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (proc_self(t, path, files[i].name))
            return open_text(t, files[i].put, flags);
    }
    return -ENOENT;
}
