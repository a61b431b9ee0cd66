/* SPDX-License-Identifier: MIT */
/*
 * The benchmark driver's main program: options, the list of runners, and the rounds,
 * in which the runners take turns so that a slow minute of the machine hits them all.
 */
#include "bench.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL(name, group, way, what) {#name, group, way, what},
static const Kernel kernels[] = {
#include "kernels.def"
};
#undef KERNEL

const char *const group_names[GROUPS] = {"integer", "calls",   "indirect",   "float",
                                         "memory",  "process", "translation"};

typedef struct {
    gboolean quick, list, no_qemu;
    int rounds;
    char **only, **tessera;
    char *programs, *root, *out;
} Options;

Result *result_of(const Bench *b, size_t kernel, size_t runner)
{
    return &b->results[kernel * b->runners->len + runner];
}

static void parse(Options *o, int *argc, char ***argv)
{
    const GOptionEntry entries[] = {
        {"quick", 'q', 0, G_OPTION_ARG_NONE, &o->quick, "Small sizes, 3 rounds", NULL},
        {"rounds", 'n', 0, G_OPTION_ARG_INT, &o->rounds, "Rounds (default 5)", "N"},
        {"only", 'o', 0, G_OPTION_ARG_STRING_ARRAY, &o->only,
         "Run only this kernel or group; may be repeated", "NAME"},
        {"tessera", 't', 0, G_OPTION_ARG_FILENAME_ARRAY, &o->tessera,
         "Measure this binary; repeat it to compare several", "[LABEL=]PATH"},
        {"no-qemu", 0, 0, G_OPTION_ARG_NONE, &o->no_qemu, "Leave qemu-riscv64 out",
         NULL},
        {"list", 'l', 0, G_OPTION_ARG_NONE, &o->list, "List the kernels", NULL},
        {"programs", 0, 0, G_OPTION_ARG_FILENAME, &o->programs,
         "Folder of native/ and riscv64/ kernels", "DIR"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &o->root, "Root of guest programs",
         "DIR"},
        {"out", 0, 0, G_OPTION_ARG_FILENAME, &o->out,
         "Folder of results.json, chart.svg", "DIR"},
        {NULL}};
    GOptionContext *context =
        g_option_context_new("- compare native, tessera and qemu");
    GError *error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        fprintf(stderr, "bench: %s\n", error->message);
        exit(1);
    }
    g_option_context_free(context);
}

static void list_kernels(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(kernels); i++)
        printf("%-12s %-12s %s\n", kernels[i].name, group_names[kernels[i].group],
               kernels[i].what);
}

static bool is_chosen(const Kernel *k, char **only)
{
    if (!only)
        return true;
    for (; *only; only++) {
        if (!strcmp(*only, k->name) || !strcmp(*only, group_names[k->group]))
            return true;
    }
    return false;
}

static void add_runner(Bench *b, RunnerKind kind, char *label, char *path)
{
    Runner *r = g_new0(Runner, 1);

    *r = (Runner){kind, label, path, path ? find_version(path) : NULL};
    g_ptr_array_add(b->runners, r);
}

static void add_tessera(Bench *b, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *path = equals ? equals + 1 : text;
    int number = (int)b->runners->len;
    char *label = equals        ? g_strndup(text, (gsize)(equals - text))
                  : number == 1 ? g_strdup("tessera")
                                : g_strdup_printf("tessera-%d", number);

    if (access(path, X_OK) != 0) {
        fprintf(stderr, "bench: %s: %s\n", path, g_strerror(errno));
        exit(1);
    }
    add_runner(b, TESSERA, label, g_canonicalize_filename(path, NULL));
}

static void add_runners(Bench *b, const Options *o)
{
    char *qemu = o->no_qemu ? NULL : g_find_program_in_path("qemu-riscv64");

    b->runners = g_ptr_array_new();
    add_runner(b, NATIVE, g_strdup("native"), NULL);
    for (char **t = o->tessera; t && *t; t++)
        add_tessera(b, *t);
    if (qemu)
        add_runner(b, QEMU, g_strdup("qemu"), qemu);
    else
        puts("qemu-riscv64 is not measured: not there or not wanted");
}

static void set_up(Bench *b, const Options *o)
{
    *b = (Bench){.programs = o->programs,
                 .root = o->root,
                 .rounds = o->rounds > 0 ? o->rounds
                           : o->quick    ? 3
                                         : 5,
                 .percent = o->quick ? 15 : 100,
                 .starts = o->quick ? 5 : 15};
    b->chosen = g_ptr_array_new();
    for (size_t i = 0; i < G_N_ELEMENTS(kernels); i++) {
        if (is_chosen(&kernels[i], o->only))
            g_ptr_array_add(b->chosen, (gpointer)&kernels[i]);
    }
    if (b->chosen->len == 0) {
        fprintf(stderr, "bench: no such kernel or group (see --list)\n");
        exit(1);
    }
    add_runners(b, o);
    b->results = g_new0(Result, b->chosen->len * b->runners->len);
    for (size_t i = 0; i < b->chosen->len * b->runners->len; i++)
        b->results[i].times = g_array_new(FALSE, FALSE, sizeof(double));
}

/* There is nothing to compare cold translation with on the host itself. */
static bool applies(const Kernel *k, const Runner *r)
{
    return k->way != COLD || r->kind != NATIVE;
}

static void check_sums(const Bench *b, size_t kernel)
{
    const Result *first = NULL;

    for (size_t r = 0; r < b->runners->len; r++) {
        Result *result = result_of(b, kernel, r);

        if (result->times->len == 0 || result->trouble)
            continue;
        if (!first)
            first = result;
        else if (result->sum != first->sum)
            result->trouble = g_strdup("WRONG SUM");
    }
}

static void run_rounds(const Bench *b, size_t kernel)
{
    const Kernel *k = g_ptr_array_index(b->chosen, kernel);

    for (int round = 0; round < b->rounds; round++) {
        for (size_t i = 0; i < b->runners->len; i++) {
            const Runner *r = g_ptr_array_index(b->runners, i);
            Result *result = result_of(b, kernel, i);
            double ns;

            if (applies(k, r) && !result->trouble &&
                measure(b, k, r, &ns, &result->sum, &result->trouble))
                g_array_append_val(result->times, ns);
        }
    }
    check_sums(b, kernel);
}

static int list_troubles(const Bench *b)
{
    size_t runners = b->runners->len;
    int count = 0;

    for (size_t i = 0; i < b->chosen->len * runners; i++) {
        const Kernel *k = g_ptr_array_index(b->chosen, i / runners);
        const Runner *r = g_ptr_array_index(b->runners, i % runners);
        char *command;

        if (!b->results[i].trouble)
            continue;
        command = command_line(b, k, r);
        printf("%s %s: %s: %s\n", count++ ? "      " : "failed", k->name,
               b->results[i].trouble, command);
        g_free(command);
    }
    return count;
}

static void save(const char *folder, const char *name, char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    GError *error = NULL;

    g_mkdir_with_parents(folder, 0777);
    if (g_file_set_contents(path, text, -1, &error)) {
        printf("wrote %s\n", path);
    } else {
        fprintf(stderr, "bench: %s\n", error->message);
        g_error_free(error);
    }
    g_free(path);
    g_free(text);
}

int main(int argc, char **argv)
{
    Options options = {0};
    Bench bench;
    int troubles;

    parse(&options, &argc, &argv);
    if (options.list) {
        list_kernels();
        return 0;
    }
    if (!options.programs || !options.root) {
        fprintf(stderr, "bench: --programs and --root are needed; use bench/run\n");
        return 1;
    }
    set_up(&bench, &options);
    print_header(&bench);
    for (size_t i = 0; i < bench.chosen->len; i++) {
        run_rounds(&bench, i);
        print_kernel(&bench, i);
    }
    print_summary(&bench);
    troubles = list_troubles(&bench);
    if (options.out) {
        save(options.out, "results.json", json_of(&bench));
        save(options.out, "chart.svg", chart_of(&bench));
    }
    return troubles ? 1 : 0;
}
