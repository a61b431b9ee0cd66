/* SPDX-License-Identifier: MIT */
/*
 * -explain FILE: which process writes which file, and when.  The file is opened at the
 * start, where a mistake can still be told, and written at the end.  "%d" in its name
 * is the pid, and then forked children write pages of their own; without it only the
 * first process does.
 */
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include "sig.h"

enum { FD_LOWEST = 900 }; /* out of the way of the guest's */

struct ExplainFile {
    char *pattern, *path;
    int fd;
    struct stat is; /* the guest may have closed fd, and opened another */
    struct timespec began;
};

static const char unfinished[] =
    "<!doctype html><meta charset=utf-8><title>tessera -explain</title>\n"
    "<p>This run did not begin, has not ended yet, or was killed.</p>\n";

static bool pid_in_name(const char *name) { return strstr(name, "%d"); }

static char *expand(const char *pattern)
{
    const char *at = strstr(pattern, "%d");

    return at ? g_strdup_printf("%.*s%d%s", (int)(at - pattern), pattern, getpid(),
                                at + 2)
              : g_strdup(pattern);
}

static char *absolute(const char *path)
{
    char cwd[PATH_MAX];

    return *path == '/' || !getcwd(cwd, sizeof cwd)
               ? g_strdup(path)
               : g_strdup_printf("%s/%s", cwd, path);
}

/* False: errno. */
static bool file_open(ExplainFile *e)
{
    int fd, ours;

    e->path = expand(e->pattern);
    fd = open(e->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    ours = fcntl(fd, F_DUPFD_CLOEXEC, FD_LOWEST);
    if (ours >= 0)
        close(fd);
    e->fd = ours >= 0 ? ours : fd;
    clock_gettime(CLOCK_REALTIME, &e->began);
    return fstat(e->fd, &e->is) == 0 &&
           (!S_ISREG(e->is.st_mode) ||
            write(e->fd, unfinished, sizeof unfinished - 1) > 0);
}

void explain_start(Process *p)
{
    ExplainFile *e;

    if (!p->options.explain)
        return;
    e = g_new0(ExplainFile, 1);
    e->pattern = absolute(p->options.explain);
    if (!file_open(e))
        fatal(1, "-explain %s: %s", p->options.explain, strerror(errno));
    p->options.explain = e->pattern; /* for execve: the directory may have changed */
    p->explain = e;
}

void explain_fork(Process *p, Env *env)
{
    ExplainFile *e = p->explain;
    if (!e)
        return;
    explain_vfork(p);
    if (p->explain && !file_open(e)) {
        report("-explain %s: %s", e->path, strerror(errno));
        p->explain = NULL;
    }
    cache_explain_fork(p->cache, env, p->explain);
}

/* Whatever the child becomes does not write the parent's page. */
void explain_vfork(Process *p)
{
    if (p->explain && !pid_in_name(p->explain->pattern)) {
        p->explain = NULL;
        p->options.explain = NULL;
    }
}

/* ---- the page ---- */

/* A stream to the file, empty; NULL: it cannot be. */
static FILE *file_stream(const ExplainFile *e)
{
    struct stat now;
    int fd = dup(e->fd);

    if (fd < 0 || fstat(fd, &now) < 0 || now.st_ino != e->is.st_ino ||
        now.st_dev != e->is.st_dev) {
        if (fd >= 0)
            close(fd);
        fd = open(e->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    }
    if (fd >= 0 && S_ISREG(e->is.st_mode) &&
        (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return NULL;
    }
    return fd < 0 ? NULL : fdopen(fd, "w");
}

static void add_note(GPtrArray *notes, const char *name, char *value)
{
    g_ptr_array_add(notes, g_strdup(name));
    g_ptr_array_add(notes, value);
}

/* "model name" of the first processor, or NULL. */
static char *processor(void)
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[256], *colon, *name = NULL;

    while (f && !name && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && (colon = strchr(line, ':')))
            name = g_strdup(g_strstrip(colon + 1));
    if (f)
        fclose(f);
    return name;
}

static GPtrArray *notes_of(const Process *p)
{
    GPtrArray *notes = g_ptr_array_new_with_free_func(g_free);
    struct timespec now;
    struct utsname host;
    struct tm tm;
    char *cpu = processor(), text[64];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&p->explain->began.tv_sec, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    uname(&host);
    add_note(notes, "Program", g_strdup(p->exe ? p->exe : p->program));
    add_note(notes, "Process", g_strdup_printf("%d", getpid()));
    add_note(notes, "Host",
             g_strdup_printf("%s, Linux %s%s%s", host.machine, host.release,
                             cpu ? ", " : "", cpu ? cpu : ""));
    add_note(notes, "Began", g_strdup(text));
    add_note(notes, "Lasted",
             g_strdup_printf("%.3f s", (double)(now.tv_sec - p->explain->began.tv_sec) +
                                           1e-9 * (double)(now.tv_nsec -
                                                           p->explain->began.tv_nsec)));
    add_note(notes, "-accel", g_strdup(p->options.accel ? p->options.accel : "jit"));
    g_ptr_array_add(notes, NULL);
    g_free(cpu);
    return notes;
}

void explain_end(Process *p, const char *format, ...)
{
    ExplainFacts facts = {.program = p->program, .argv = p->argv};
    GPtrArray *notes;
    char *ending;
    va_list args;
    FILE *f;

    if (!p->explain)
        return;
    f = file_stream(p->explain);
    if (!f) {
        report("-explain %s: %s", p->explain->path, strerror(errno));
        return;
    }
    va_start(args, format);
    ending = g_strdup_vprintf(format, args);
    va_end(args);
    notes = notes_of(p);
    facts.ending = ending;
    facts.notes = (char *const *)notes->pdata;
    cache_explain(p->cache, f, &facts);
    if (fclose(f))
        report("-explain %s: %s", p->explain->path, strerror(errno));
    g_ptr_array_free(notes, TRUE);
    g_free(ending);
}
