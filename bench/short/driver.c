/* SPDX-License-Identifier: MIT */
/*
 * Short runs of real programs, whose time goes into starting and into code that is run
 * once or twice: native, tessera with saved translations and without, and qemu-riscv64
 * take turns.  Shown are medians of processor time, children's included.
 */
#include <glib.h>
#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ARGS = 8 };

/* guest: below its root, a shell pattern.  %s in an argument: the folder of inputs. */
typedef struct {
    const char *name, *what, *native, *guest;
    const char *args[ARGS];
    bool not_qemu;       /* it would run the host's programs from there */
    const char *prepare; /* a script, run before it with the folder of inputs */
} Program;

static const Program programs[] = {
    {"bash", "a short script", "/bin/bash", "usr/bin/bash", {"%s/short.sh"}},
    {"forks", "twenty forks from bash", "/bin/bash", "usr/bin/bash", {"%s/forks.sh"}},
    {"configure",
     "shell, sed, grep",
     "/bin/bash",
     "usr/bin/bash",
     {"%s/configure.sh"},
     true},
    {"python",
     "a dozen imports",
     "/usr/bin/python3",
     "usr/bin/python3.*[0-9]",
     {"-I", "%s/imports.py"}},
    {"perl", "a dozen modules", "/usr/bin/perl", "usr/bin/perl", {"%s/modules.pl"}},
    {"cc1",
     "gcc -O2 of 2000 lines",
     "/usr/lib*/gcc/*/*/cc1",
     "usr/libexec/gcc/*/*/cc1",
     {"-quiet", "-O2", "%s/unit.i", "-o", "/dev/null"}},
    {"dpkg",
     "-i of a hundred files",
     "/usr/bin/dpkg",
     "usr/bin/dpkg",
     {"--root=%s/root", "--force-not-root,script-chrootless,unsafe-io",
      "--log=%s/dpkg.log", "-i", "%s/package.deb"},
     true,
     "empty_root.sh"},
};

typedef enum { NATIVE, SAVED, COLD, QEMU, RUNNERS } Runner;

static const char *const runner_names[RUNNERS] = {"native", "saved", "not saved",
                                                  "qemu"};

typedef struct {
    char *tessera, *root, *inputs, *saved;
    char *qemu; /* NULL: not there */
    int rounds;
    char **only;
} Bench;

/* The last file that a pattern fits; NULL: none. */
static char *find_file(const char *dir, const char *pattern)
{
    g_autofree char *path = g_build_filename(dir, pattern, NULL);
    char *found = NULL;
    glob_t all;

    if (glob(path, 0, NULL, &all) == 0)
        found = g_strdup(all.gl_pathv[all.gl_pathc - 1]);
    globfree(&all);
    return found;
}

/* NULL: the program is not there. */
static GPtrArray *command(const Bench *b, const Program *p, Runner r)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    char *file = r == NATIVE ? find_file("/", p->native) : find_file(b->root, p->guest);

    if (r == SAVED || r == COLD) {
        g_ptr_array_add(argv, g_strdup(b->tessera));
        g_ptr_array_add(argv, g_strdup("-cache"));
        g_ptr_array_add(argv, g_strdup(r == SAVED ? b->saved : "off"));
    } else if (r == QEMU) {
        g_ptr_array_add(argv, g_strdup(b->qemu));
    }
    if (r != NATIVE) {
        g_ptr_array_add(argv, g_strdup("-L"));
        g_ptr_array_add(argv, g_strdup(b->root));
    }
    g_ptr_array_add(argv, file);
    for (size_t i = 0; i < ARGS && p->args[i]; i++) {
        GString *arg = g_string_new(p->args[i]);

        g_string_replace(arg, "%s", b->inputs, 0);
        g_ptr_array_add(argv, g_string_free(arg, FALSE));
    }
    g_ptr_array_add(argv, NULL);
    if (file)
        return argv;
    g_ptr_array_free(argv, TRUE);
    return NULL;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Milliseconds of processor time; < 0: it failed. */
static double run(GPtrArray *argv)
{
    posix_spawn_file_actions_t actions;
    struct rusage use;
    int status = -1;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, argv->pdata[0], &actions, NULL, (char **)argv->pdata,
                    environ) == 0)
        wait4(pid, &status, 0, &use);
    posix_spawn_file_actions_destroy(&actions);
    return status ? -1 : 1e3 * (seconds(use.ru_utime) + seconds(use.ru_stime));
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(GArray *times)
{
    g_array_sort(times, compare_doubles);
    return g_array_index(times, double, times->len / 2);
}

/* What the program finds must be as the last run found it; not measured. */
static bool prepare(const Bench *b, const Program *p)
{
    g_autofree char *script =
        p->prepare ? g_build_filename(b->inputs, p->prepare, NULL) : NULL;
    char *argv[] = {"sh", script, b->inputs, NULL};
    int status = 0;

    return !script || (g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
                                    NULL, NULL, &status, NULL) &&
                       status == 0);
}

/* In turn; the first round warms up, and saves translations. */
static const char *measure(const Bench *b, const Program *p, double medians[RUNNERS])
{
    GPtrArray *argv[RUNNERS] = {NULL};
    GArray *times[RUNNERS];
    const char *trouble = NULL;

    for (int r = 0; r < RUNNERS; r++) {
        times[r] = g_array_new(FALSE, FALSE, sizeof(double));
        if (r != QEMU || (b->qemu && !p->not_qemu))
            argv[r] = command(b, p, (Runner)r);
        if (!argv[r] && r != QEMU)
            trouble = "not there";
    }
    for (int round = -2; round < b->rounds && !trouble; round++)
        for (int r = 0; r < RUNNERS; r++) {
            double ms = !argv[r] ? 0 : prepare(b, p) ? run(argv[r]) : -1;

            if (ms < 0)
                trouble = "failed";
            if (round >= 0)
                g_array_append_val(times[r], ms);
        }
    for (int r = 0; r < RUNNERS; r++) {
        medians[r] = trouble ? 0 : median(times[r]);
        g_array_free(times[r], TRUE);
        if (argv[r])
            g_ptr_array_free(argv[r], TRUE);
    }
    return trouble;
}

static bool is_chosen(const Bench *b, const Program *p)
{
    return !b->only || g_strv_contains((const char *const *)b->only, p->name);
}

static int show(const Bench *b, const Program *p)
{
    double medians[RUNNERS];
    const char *trouble = measure(b, p, medians);

    printf("%-10s %-24s", p->name, p->what);
    if (trouble)
        printf(" %s\n", trouble);
    for (int r = 0; r < RUNNERS && !trouble && medians[r] > 0; r++)
        printf("%9.2f ms%6.2fx", medians[r], medians[r] / medians[NATIVE]);
    if (!trouble)
        putchar('\n');
    fflush(stdout);
    return trouble && !strcmp(trouble, "failed");
}

static void parse(Bench *b, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"tessera", 't', 0, G_OPTION_ARG_FILENAME, &b->tessera, "The binary", "PATH"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &b->root, "Root of guest programs",
         "DIR"},
        {"inputs", 0, 0, G_OPTION_ARG_FILENAME, &b->inputs, "Folder of scripts", "DIR"},
        {"saved", 0, 0, G_OPTION_ARG_FILENAME, &b->saved, "Where translations go",
         "DIR"},
        {"rounds", 'n', 0, G_OPTION_ARG_INT, &b->rounds, "Rounds (default 7)", "N"},
        {"only", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &b->only, "Run only this", "NAME"},
        {NULL}};
    GOptionContext *context = g_option_context_new("- short runs of programs");
    GError *error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || !b->tessera ||
        !b->root || !b->inputs || !b->saved) {
        fprintf(stderr, "bench: %s\n", error ? error->message : "use bench/run short");
        exit(1);
    }
    g_option_context_free(context);
}

int main(int argc, char **argv)
{
    Bench b = {.rounds = 7};
    int failed = 0;

    parse(&b, argc, argv);
    b.qemu = g_find_program_in_path("qemu-riscv64");
    printf("medians of processor time, %d interleaved rounds; times native\n%-35s",
           b.rounds, "");
    for (int r = 0; r < RUNNERS; r++)
        printf("%12s%7s", runner_names[r], "");
    putchar('\n');
    for (size_t i = 0; i < G_N_ELEMENTS(programs); i++)
        if (is_chosen(&b, &programs[i]))
            failed += show(&b, &programs[i]);
    return failed ? 1 : 0;
}
