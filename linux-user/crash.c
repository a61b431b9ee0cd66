/* SPDX-License-Identifier: MIT */
/*
 * What is said when a guest dies of a fault (-crash).  By default a line, as users of
 * QEMU are used to: nothing else would tell which program of a build it was, and where.
 * A program that runs natively says nothing (off); who looks for the cause wants it all
 * (on, or a file): the instruction, registers, mappings, the last system calls.
 */
#include <glib.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "sig.h"
#include "sys.h"

enum { NOTES = 16 };

typedef struct Note {
    SysCall call;
    i64 result;
} Note;

/* The thread's last system calls; noted where they may be asked for. */
static __thread Note notes[NOTES];
static __thread u32 n_notes;

void crash_note(const SysCall *call, i64 result)
{
    notes[n_notes++ % NOTES] = (Note){*call, result};
}

static bool is(const Process *p, const char *value)
{
    return p->options.crash && !strcmp(p->options.crash, value);
}

void crash_init(Process *p) { p->notes_calls = p->options.crash && !is(p, "off"); }

/* Where the report goes; NULL: nowhere. */
static FILE *report_open(const Process *p)
{
    g_autofree char *path = NULL;
    const char *mark;

    if (!p->notes_calls)
        return NULL;
    if (is(p, "on"))
        return fdopen(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), "w");
    mark = strstr(p->options.crash, "%d");
    path = mark ? g_strdup_printf("%.*s%d%s", (int)(mark - p->options.crash),
                                  p->options.crash, getpid(), mark + 2)
                : g_strdup(p->options.crash);
    return fopen(path, "ae");
}

/* ---- the line ---- */

static const char *signal_name(int sig)
{
    const char *name = sigabbrev_np(sig);

    return name ? name : "signal";
}

static void put_line(Task *t, const siginfo_t *info, const char *why, FILE *f)
{
    char where[PATH_MAX + 32], symbol[SYMBOL_TEXT];
    u64 pc = t->env->pc;

    mem_describe(t->process, pc, where, sizeof where);
    fprintf(f, "tessera-%s: %s: SIG%s at guest pc 0x%llx%s (%s), address 0x%llx%s%s\n",
            t->process->abi->guest, t->process->program, signal_name(info->si_signo),
            (long long)pc, cache_symbol_text(t->process->cache, pc, symbol), where,
            (long long)info->si_addr, why ? ": " : "", why ? why : "");
}

/* ---- the report ---- */

static const struct {
    int sig, code;
    const char *text;
} codes[] = {
    {SIGSEGV, SEGV_MAPERR, "nothing is mapped there"},
    {SIGSEGV, SEGV_ACCERR, "that access is not allowed there"},
    {SIGSEGV, SI_KERNEL, "no stack for a signal handler"},
    {SIGBUS, BUS_ADRALN, "misaligned"},
    {SIGBUS, BUS_ADRERR, "beyond the end of the file"},
    {SIGILL, ILL_ILLOPC, "no such instruction"},
    {SIGTRAP, TRAP_BRKPT, "a breakpoint"},
};

static void put_reason(Task *t, const siginfo_t *info, FILE *f)
{
    char where[PATH_MAX + 32], name[17] = "";
    const char *text = "";

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i].sig == info->si_signo && codes[i].code == info->si_code)
            text = codes[i].text;
    mem_describe(t->process, (u64)info->si_addr, where, sizeof where);
    prctl(PR_GET_NAME, name);
    fprintf(f, "  si_code %d%s%s; address 0x%llx: %s\n", info->si_code,
            *text ? ": " : "", text, (long long)info->si_addr, where);
    fprintf(f, "  thread %d (%s) of process %d, one of %u\n", t->tid, name, getpid(),
            t->process->n_tasks);
}

static void put_code(Task *t, FILE *f)
{
    char text[128] = "not readable", symbol[SYMBOL_TEXT];
    const char *accel = t->process->options.accel;
    bool interpreted = accel && !strcmp(accel, "interp");
    u64 pc = t->env->pc;
    u8 bytes[8];
    size_t n = sizeof bytes;

    while (n && !guest_read(t, bytes, pc, n))
        n -= 2; /* the last of its page */
    if (n)
        t->process->guest->disas(text, sizeof text, pc, bytes, n);
    fprintf(f, "  %s 0x%llx%s: %s\n", interpreted ? "interpreted" : "translated",
            (long long)pc, cache_symbol_text(t->process->cache, pc, symbol), text);
}

static void put_caller(Task *t, FILE *f)
{
    char symbol[SYMBOL_TEXT];
    u64 ra = t->process->abi->return_address(t);

    fprintf(f, "  called from, or back at, 0x%llx%s\n", (long long)ra,
            cache_symbol_text(t->process->cache, ra, symbol));
}

static void put_calls(Task *t, FILE *f)
{
    fputs(n_notes ? "  last system calls:\n" : "  no system calls\n", f);
    for (u32 i = n_notes > NOTES ? n_notes - NOTES : 0; i < n_notes; i++) {
        fputs("    ", f);
        strace_put(f, t, &notes[i % NOTES].call, notes[i % NOTES].result);
    }
}

static void put_report(Task *t, const siginfo_t *info, const char *why, FILE *f)
{
    put_line(t, info, why, f);
    put_reason(t, info, f);
    put_code(t, f);
    put_caller(t, f);
    t->process->guest->dump(f, t->env);
    put_calls(t, f);
}

void crash_report(Task *t, const siginfo_t *info, const char *why)
{
    const Process *p = t->process;
    FILE *f = report_open(p);

    if (f) {
        put_report(t, info, why, f);
        fclose(f);
    } else if (!is(p, "off")) {
        put_line(t, info, why, stderr);
    }
}

/* ---- bugs of ours ---- */

/* Async-signal-safe, as far as the thread's state allows. */
void crash_bug(Task *t, int sig, const void *host_pc, const void *addr)
{
    char line[256];
    bool inside = t && exec_in_code(t->process->cache, (u64)host_pc);
    int n = snprintf(line, sizeof line,
                     "tessera: internal SIG%s at host pc %p (%s), address %p\n",
                     signal_name(sig), host_pc,
                     inside ? "in translated code" : "not in translated code", addr);

    if (t && n > 0)
        n += snprintf(line + n, sizeof line - (size_t)n,
                      "tessera: guest pc 0x%llx or a block after it\n",
                      (long long)t->env->pc);
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
    for (u32 i = n_notes > NOTES ? n_notes - NOTES : 0; i < n_notes; i++) {
        const Note *note = &notes[i % NOTES];
        const SysDesc *d = sys_desc(note->call.nr);

        n = snprintf(line, sizeof line, "  %s(0x%llx, 0x%llx, 0x%llx...) = %lld\n",
                     d ? d->name : "unknown", (long long)note->call.arg[0],
                     (long long)note->call.arg[1], (long long)note->call.arg[2],
                     (long long)note->result);
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
            return;
    }
}
