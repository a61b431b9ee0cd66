/* SPDX-License-Identifier: MIT */
/* tessera-riscv64: from the command line to the guest's first instruction. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "user.h"

static void start_logs(const Options *o)
{
    const char *bad;

    if (o->log_items && !log_set_items(o->log_items, &bad))
        fatal(1, "-d %.*s: unknown item (-d help lists them)", (int)strcspn(bad, ","),
              bad);
    if (o->log_file && !log_set_file(o->log_file))
        fatal(1, "-D %s: %s", o->log_file, strerror(errno));
    if (o->log_filter && !log_set_filter(o->log_filter))
        fatal(
            1,
            "-dfilter %s: START..END, START+LENGTH, START-LENGTH or a symbol is wanted",
            o->log_filter);
    if (o->strace)
        log_mask |= LOG_STRACE;
    if (o->one_insn && log_on(LOG_EXEC | LOG_CPU))
        log_mask |= LOG_NOCHAIN; /* every instruction is to be seen */
}

static CacheOptions cache_options(const Options *o)
{
    CacheOptions c = {.code_size = o->tb_size,
                      .max_insns = o->one_insn,
                      .perfmap = o->perfmap,
                      .jitdump = o->jitdump,
                      .counted = o->stats != NULL};
    char *error = cache_accel(&c, o->accel ? o->accel : "jit");

    if (error)
        fatal(1, "-accel %s", error);
    return c;
}

static char **guest_argv(const Options *o)
{
    size_t n = 0;
    char **argv;

    while (o->args[n])
        n++;
    argv = calloc(n + 2, sizeof *argv);
    if (!argv)
        fatal(1, "out of memory");
    argv[0] = (char *)(o->argv0 ? o->argv0 : o->program);
    memcpy(argv + 1, o->args, n * sizeof *argv);
    return argv;
}

/* Where code cannot be made, and nobody asked for it, programs are interpreted: by us,
 * and by those that we execve. */
static void make_cache(Process *p, CacheOptions *c)
{
    Options *o = &p->options;

    p->cache = cache_new(c, p->guest, &p->mem->space);
    if (!p->cache && (errno == EACCES || errno == EPERM)) {
        if (o->accel)
            fatal(1, "-accel %s: this host forbids executable memory", o->accel);
        report("this host forbids executable memory: interpreting, which is slower");
        o->accel = "interp";
        c->interp = true;
        p->cache = cache_new(c, p->guest, &p->mem->space);
    }
    if (!p->cache)
        fatal(1, "cannot make a code cache: %s", strerror(errno));
}

static void process_init(Process *p, const Abi *abi, int argc, char **argv)
{
    CacheOptions c;

    p->abi = abi;
    p->guest = guest_find(abi->guest);
    p->exe_fd = -1;
    options_parse(&p->options, abi, argc, argv);
    stats_init(&p->options);
    start_logs(&p->options);
    c = cache_options(&p->options);
    if (p->options.explain && (c.interp || c.check))
        fatal(1, "-explain: there is host code to show only with -accel jit");
    explain_start(p);
    c.explain = p->explain ? EXPLAIN_SIGNAL : 0;
    p->program = p->options.program;
    p->filename = p->options.filename ? p->options.filename : p->program;
    p->argv = guest_argv(&p->options);
    if (!mem_init(p->mem, &p->options))
        fatal(1, "cannot reserve guest memory: %s", strerror(errno));
    p->symbols = symbols_new(p->mem, p->options.prefix, &p->symbols_lock);
    log_set_namer(symbols_in_filter, p->symbols);
    saved_options(&c, &p->options);
    c.symbol = symbols_name;
    c.symbol_ctx = p->symbols;
    make_cache(p, &c);
    saved_check(p, &c);
    signal_init(p);
    core_update(p);
    crash_init(p);
    ptrace_init(p);
}

/* The host's mask is the guest's: execve keeps it. */
static u64 inherited_mask(void)
{
    sigset_t set;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return *(u64 *)&set;
}

#ifdef GLIB_STATIC
/* GLib's slices have locks, which a fork would copy locked; libc sees to malloc's.
 * Before GLib's own constructor, which makes the first slice. */
__attribute__((constructor(101))) static void slices_off(void)
{
    G_GNUC_BEGIN_IGNORE_DEPRECATIONS
    g_slice_set_config(G_SLICE_CONFIG_ALWAYS_MALLOC, TRUE);
    G_GNUC_END_IGNORE_DEPRECATIONS
}
#endif

int main(int argc, char **argv, char **environ)
{
    /* In one page: each fork writes to its locks, and so copies it. */
    static _Alignas(PAGE_SIZE) struct {
        Process process;
        Memory memory;
    } whole;
    _Static_assert(sizeof whole <= PAGE_SIZE, "in one page");
    static u8 altstack[SIGNAL_ALTSTACK];
    Process *p = &whole.process;
    Env *env;
    Task *t;

    p->mem = &whole.memory;
    process_init(p, &abi_riscv64, argc, argv);
    env = env_new(p->cache);
    t = env ? task_new(p, env) : NULL;
    if (!t)
        fatal(1, "out of memory");
    t->tid = getpid();
    t->mask = inherited_mask();
    if (p->options.seccomp)
        seccomp_adopt(t, p->options.seccomp);
    elf_exec(t, options_env(&p->options, environ));
    if (!p->image.interp_base) /* all its code is there */
        symbols_check_filter(p->symbols);
    exec_thread_begin(env);
    signal_thread_begin(t, altstack);
    gdb_start(t);
    ptrace_begin(t, p->options.ptrace);
    cpu_loop(t);
    task_leave(t);
    return 0;
}
