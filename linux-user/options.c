/* SPDX-License-Identifier: MIT */
/*
 * The command line.  One table gives each option's spelling, variable, kind, place in
 * Options and help; -help, parsing and the command line for execve come from it.
 */
#include <glib.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include "user.h"

typedef enum Kind {
    FLAG,
    OPTIONAL,
    STRING,
    NUMBER,
    SIZE,
    SET,
    UNSET,
    HELP,
    VERSION,
    SYSCALLS,
    BINFMT
} Kind;

typedef struct Option {
    const char *name, *variable, *value; /* variable: after TESSERA_ and QEMU_ */
    Kind kind;
    size_t at, given; /* offsets in Options; given: 0 or of a bool */
    const char *help;
} Option;

#define AT(field) offsetof(Options, field)

static const Option table[] = {
    {"h", NULL, NULL, HELP, 0, 0, "this text"},
    {"help", NULL, NULL, HELP, 0, 0, ""},
    {"version", NULL, NULL, VERSION, 0, 0, "the version"},
    {"syscalls", NULL, NULL, SYSCALLS, 0, 0,
     "list the guest's system calls: ours, passed through, or why refused"},
    {"binfmt", NULL, "install|remove|check|print", BINFMT, 0, 0,
     "have the kernel start the guest's programs with this one (binfmt_misc), no "
     "longer, say what is wrong with that, or print its rule"},
    {"by-kernel", NULL, NULL, FLAG, AT(binfmt), 0,
     "have it start setuid programs; for a program that executes another"},
    {"L", "LD_PREFIX", "PATH", STRING, AT(prefix), 0,
     "look for the guest's absolute paths below PATH first"},
    {"E", "SET_ENV", "NAME=VALUE", SET, 0, 0,
     "set a variable in the guest's environment"},
    {"U", "UNSET_ENV", "NAME", UNSET, 0, 0, "remove one"},
    {"0", "ARGV0", "ARGV0", STRING, AT(argv0), 0, "the guest's argv[0]"},
    {"s", "STACK_SIZE", "SIZE", SIZE, AT(stack_size), 0,
     "bytes of the main thread's stack"},
    {"B", "GUEST_BASE", "ADDRESS", NUMBER, AT(guest_base), 0,
     "host address of guest address 0"},
    {"R", "RESERVED_VA", "SIZE", SIZE, AT(reserve), 0, "bytes of guest address space"},
    {"cpu", "CPU", "MODEL", STRING, AT(cpu), 0, "the processor (-cpu help lists them)"},
    {"accel", "ACCEL", "NAME[,OPT=VAL]", STRING, AT(accel), 0,
     "how to run: jit (v3=off: baseline code; hot=N: a trace after N entries, "
     "0: never), interp, or check: both, comparing (plant=OP:OP[@PASS]: with this "
     "bug)"},
    {"g", "GDB", "PORT|unix:PATH", STRING, AT(gdb), 0,
     "wait there for gdb (PORT,suspend=n: run, gdb may come later)"},
    {"seccomp", NULL, "fd:N", STRING, AT(seccomp), 0,
     "system call filters; for a program that executes another"},
    {"crash", "CRASH", "on|off|FILE", STRING, AT(crash), 0,
     "say all about a guest that dies of a fault, or nothing, or say it in FILE (%d: "
     "pid); default: one line"},
    {"core", "CORE", "FILE|off", STRING, AT(core), 0,
     "write a core file of the guest there (%p: pid, ... as in core_pattern(5)), or "
     "none even where ulimit -c allows it"},
    {"program", NULL, "fd:N", STRING, AT(open), 0,
     "the program is open there; for a program that executes another"},
    {"ptrace", NULL, "TEXT", STRING, AT(ptrace), 0,
     "who traces us; for a program that executes another"},
    {"d", "LOG", "ITEM,...", STRING, AT(log_items), 0,
     "log items (-d help lists them)"},
    {"D", "LOG_FILENAME", "FILE", STRING, AT(log_file), 0, "log there (%d: pid)"},
    {"dfilter", "DFILTER", "RANGE,...", STRING, AT(log_filter), 0,
     "log only these guest addresses: START..END, START+LENGTH, symbols; "
     "shell patterns ('qs*', libc.so.6:qsort)"},
    {"strace", "STRACE", NULL, FLAG, AT(strace), 0, "log system calls"},
    {"one-insn-per-tb", "ONE_INSN_PER_TB", NULL, FLAG, AT(one_insn), 0,
     "one guest instruction a block"},
    {"singlestep", "SINGLESTEP", NULL, FLAG, AT(one_insn), 0, "the same"},
    {"seed", "RAND_SEED", "NUMBER", NUMBER, AT(seed), AT(seed_given),
     "make the guest's start-up random bytes repeatable"},
    {"stats", "STATS", "json[:FILE]", OPTIONAL, AT(stats), 0,
     "print figures at the end; as JSON, one line a process, or append that to FILE "
     "(%d: pid)"},
    {"perfmap", "PERFMAP", NULL, FLAG, AT(perfmap), 0,
     "name translated code in /tmp/perf-PID.map, for perf report"},
    {"jitdump", "JITDUMP", NULL, FLAG, AT(jitdump), 0,
     "write it to .debug/jit in $JITDUMPDIR or $HOME, for perf inject -j"},
    {"explain", NULL, "FILE", STRING, AT(explain), 0,
     "write an HTML page that shows where time went, block by block: guest code, "
     "micro-ops, host code (%d: pid, and children write theirs)"},
    {"cache", "CACHE", "off|DIR|SIZE,...", STRING, AT(cache), 0,
     "keep translations in DIR ($XDG_CACHE_HOME/tessera), SIZE bytes at most (512M), "
     "for "
     "later runs"},
    {"tb-size", "TB_SIZE", "SIZE", SIZE, AT(tb_size), 0, "bytes of code cache"},
};

/* ---- ends ---- */

void fatal(int status, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "tessera-%s: ", abi_riscv64.guest);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

_Noreturn static void help(const Abi *abi)
{
    printf("usage: tessera-%s [OPTION...] PROGRAM [ARGUMENT...]\n"
           "Runs a %s Linux program.\n\n",
           abi->guest, abi->guest);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const Option *o = &table[i];
        int n = printf(o->kind == OPTIONAL ? "  -%s%s%s]" : "  -%s%s%s", o->name,
                       o->kind == OPTIONAL ? "[="
                       : o->value          ? " "
                                           : "",
                       o->value ? o->value : "");

        if (*o->help)
            printf("%*s%s", MAX(28 - n, 1), "", o->help);
        if (o->variable)
            printf(" [TESSERA_%s]", o->variable);
        putchar('\n');
    }
    printf("\nEach variable also works as QEMU_NAME; -name and --name are the same.\n"
           "SIZE and NUMBER may be hexadecimal; SIZE may end in k, M or G.\n");
    exit(0);
}

_Noreturn static void version(const Abi *abi)
{
    printf("tessera-%s version %s\n", abi->guest, TESSERA_VERSION);
    exit(0);
}

_Noreturn static void syscalls(void)
{
    syscalls_print(stdout);
    exit(0);
}

/* ---- values ---- */

bool options_number(const char *text, bool size, u64 *out)
{
    static const char units[] = "kMGT";
    const char *unit;
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 0);
    if (end == text || errno || *text == '-')
        return false;
    unit = size && *end ? strchr(units, *end == 'K' ? 'k' : *end) : NULL;
    if (unit) {
        u32 shift = 10 * (u32)(unit - units + 1);

        if (*out >> (64 - shift))
            return false;
        *out <<= shift;
        end++;
    }
    return *end == 0;
}

static void add_env(Options *o, const char *text)
{
    o->set_env = realloc(o->set_env, (o->n_set_env + 1) * sizeof *o->set_env);
    if (!o->set_env)
        fatal(1, "out of memory");
    o->set_env[o->n_set_env++] = strdup(text);
}

static void set_env(Options *o, const Option *option, const char *text)
{
    bool assigns = strchr(text, '=') && *text != '=';

    if (assigns != (option->kind == SET))
        fatal(1, "-%s %s: %s is wanted", option->name, text, option->value);
    add_env(o, text);
}

static void apply(Options *o, const Abi *abi, const Option *option, const char *text)
{
    void *at = (char *)o + option->at;

    switch (option->kind) {
    case HELP: help(abi);
    case VERSION: version(abi);
    case SYSCALLS: syscalls();
    case BINFMT: exit(binfmt_run(abi, text));
    case FLAG: *(bool *)at = true; break;
    case OPTIONAL:
    case STRING: *(const char **)at = text; break;
    case NUMBER:
    case SIZE:
        if (!options_number(text, option->kind == SIZE, at))
            fatal(1, "-%s %s: a number is wanted", option->name, text);
        if (option->given)
            *((bool *)o + option->given) = true;
        break;
    case SET:
    case UNSET: set_env(o, option, text); break;
    }
}

/* ---- variables and the command line ---- */

/* QEMU_SET_ENV and QEMU_UNSET_ENV hold comma-separated lists. */
static void apply_variable(Options *o, const Abi *abi, const Option *option, char *text)
{
    char *rest = NULL, *copy, *item;

    if (option->kind != SET && option->kind != UNSET) {
        apply(o, abi, option, text);
        return;
    }
    copy = strdup(text);
    for (item = strtok_r(copy, ",", &rest); item; item = strtok_r(NULL, ",", &rest))
        apply(o, abi, option, item);
    free(copy);
}

static void apply_variables(Options *o, const Abi *abi)
{
    static const char *const prefixes[] = {"QEMU_", "TESSERA_"};

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        for (size_t j = 0; table[i].variable && j < ARRAY_SIZE(prefixes); j++) {
            char name[64], *text;

            snprintf(name, sizeof name, "%s%s", prefixes[j], table[i].variable);
            text = getenv(name);
            if (text)
                apply_variable(o, abi, &table[i], text);
        }
}

/* Not those of somebody who starts a program with more rights than their own. */
static void parse_variables(Options *o, const Abi *abi)
{
    if (!getauxval(AT_SECURE))
        apply_variables(o, abi);
}

/* -name, or -name=value where the value may be left out. */
static const Option *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        size_t n = table[i].kind == OPTIONAL ? strcspn(name, "=") : strlen(name);

        if (strlen(table[i].name) == n && !strncmp(table[i].name, name, n))
            return &table[i];
    }
    return NULL;
}

/* The value of the option at argv[*i], which moves on when it takes two. */
static const char *value_of(const Option *option, char **argv, int argc, int *i)
{
    const char *equals = strchr(argv[*i], '=');

    if (option->kind == OPTIONAL)
        return equals ? equals + 1 : "";
    if (!option->value)
        return NULL;
    if (*i + 1 == argc)
        fatal(1, "%s: %s is missing", argv[*i], option->value);
    return argv[++*i];
}

static void check_cpu(const Options *o, const Abi *abi)
{
    size_t n = o->cpu ? strcspn(o->cpu, ",") : 0;

    if (!o->cpu)
        return;
    if (!strcmp(o->cpu, "help")) {
        for (const char *const *c = abi->cpus; *c; c++)
            puts(*c);
        exit(0);
    }
    for (const char *const *c = abi->cpus; *c; c++)
        if (strlen(*c) == n && !strncmp(*c, o->cpu, n))
            return;
    fatal(1, "-cpu %s: unknown (-cpu help lists them)", o->cpu);
}

/* Options; returns the program's place in argv. */
static int parse_line(Options *o, const Abi *abi, int argc, char **argv)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *name = argv[i] + 1 + (argv[i][1] == '-');
        const Option *option = find(name);

        if (!*name) { /* "--" */
            i++;
            break;
        }
        if (!option)
            fatal(1, "%s: unknown option (-help lists them)", argv[i]);
        apply(o, abi, option, value_of(option, argv, argc, &i));
    }
    return i;
}

int options_fd(const char *text)
{
    guint64 fd;

    if (strncmp(text, "fd:", 3) ||
        !g_ascii_string_to_unsigned(text + 3, 10, 0, INT_MAX, &fd, NULL))
        return -1;
    return (int)fd;
}

void options_parse(Options *o, const Abi *abi, int argc, char **argv)
{
    bool by_kernel;
    int i;

    parse_variables(o, abi);
    by_kernel = binfmt_started(o, argc, argv);
    i = by_kernel ? 0 : parse_line(o, abi, argc, argv);
    check_cpu(o, abi);
    if (o->open && (o->program_fd = options_fd(o->open)) < 0)
        fatal(1, "-program %s: fd:N is wanted", o->open);
    if (o->log_items && !strcmp(o->log_items, "help")) {
        const char *bad;

        log_set_items("help", &bad); /* prints the table and ends */
    }
    if (by_kernel)
        return;
    if (i == argc)
        fatal(1, "which program? (-help says more)");
    o->program = argv[i];
    o->args = &argv[i + 1];
}

/* ---- the other way round ---- */

/* Is the option set, and what to write after its name (NULL: nothing)? */
static bool value_text(const Options *o, const Option *option, char number[32],
                       const char **text)
{
    const void *at = (const char *)o + option->at;

    *text = NULL;
    switch (option->kind) {
    case FLAG: return *(const bool *)at;
    case OPTIONAL:
    case STRING:
        *text = *(const char *const *)at;
        return *text && option->at != AT(argv0) && option->at != AT(gdb) &&
               option->at != AT(seccomp) && option->at != AT(ptrace) &&
               option->at != AT(open);
    case NUMBER:
    case SIZE:
        snprintf(number, 32, "0x%llx", *(const long long *)at);
        *text = number;
        return *(const u64 *)at ||
               (option->given && *((const bool *)o + option->given));
    default: return false;
    }
}

/* Appends a string to those in a block. */
static char *put(char **end, const char *prefix, const char *text)
{
    char *start = *end;

    *end = stpcpy(stpcpy(start, prefix), text) + 1;
    return start;
}

char **options_argv(const Options *o, size_t room, size_t *n)
{
    size_t slots = 1 + 2 * ARRAY_SIZE(table) + room, bytes = 64;
    char **argv, *end, number[32];
    const char *text;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (value_text(o, &table[i], number, &text))
            bytes += strlen(table[i].name) + (text ? strlen(text) : 0) + 3;
    argv = malloc(slots * sizeof *argv + bytes);
    if (!argv)
        return NULL;
    end = (char *)(argv + slots);
    *n = 0;
    argv[(*n)++] = put(&end, "tessera-", abi_riscv64.guest);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (!value_text(o, &table[i], number, &text))
            continue;
        argv[(*n)++] = put(&end, "-", table[i].name);
        if (table[i].kind == OPTIONAL)
            end = stpcpy(stpcpy(end - 1, "="), text) + 1;
        else if (text)
            argv[(*n)++] = put(&end, "", text);
    }
    return argv;
}

/* ---- the guest's environment ---- */

static bool names(const char *entry, const char *name, size_t n)
{
    return !strncmp(entry, name, n) && entry[n] == '=';
}

static void remove_name(char **env, const char *name)
{
    size_t n = strcspn(name, "="), to = 0;

    for (size_t i = 0; env[i]; i++)
        if (!names(env[i], name, n))
            env[to++] = env[i];
    env[to] = NULL;
}

char **options_env(const Options *o, char **environ)
{
    size_t n = 0;
    char **env;

    if (o->n_set_env == 0)
        return environ;
    while (environ[n])
        n++;
    env = calloc(n + o->n_set_env + 1, sizeof *env);
    if (!env)
        fatal(1, "out of memory");
    memcpy(env, environ, n * sizeof *env);
    for (size_t i = 0; i < o->n_set_env; i++) {
        remove_name(env, o->set_env[i]);
        if (strchr(o->set_env[i], '=')) {
            for (n = 0; env[n];)
                n++;
            env[n] = o->set_env[i];
        }
    }
    return env;
}
