/* SPDX-License-Identifier: MIT */
/* Medians, ratios and geometric means; the table that is printed; the JSON file. */
#include "bench.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double result_median(const Result *result)
{
    GArray *sorted;
    double middle;

    if (result->trouble || result->times->len == 0)
        return NAN;
    sorted = g_array_copy(result->times);
    qsort(sorted->data, sorted->len, sizeof(double), compare_doubles);
    middle = (g_array_index(sorted, double, (sorted->len - 1) / 2) +
              g_array_index(sorted, double, sorted->len / 2)) /
             2;
    g_array_free(sorted, TRUE);
    return middle;
}

double ratio(const Bench *b, size_t kernel, size_t runner, size_t base)
{
    return result_median(result_of(b, kernel, runner)) /
           result_median(result_of(b, kernel, base));
}

/* "All" is all that computes: not the operating system's work, nor cold code. */
static bool in_group(const Kernel *k, int group)
{
    return group < 0 ? k->group < PROCESS : k->group == (Group)group;
}

double group_ratio(const Bench *b, int group, size_t runner, size_t base)
{
    double logs = 0;
    int count = 0;

    for (size_t k = 0; k < b->chosen->len; k++) {
        double r = ratio(b, k, runner, base);

        if (in_group(g_ptr_array_index(b->chosen, k), group) && !isnan(r)) {
            logs += log(r);
            count++;
        }
    }
    return count ? exp(logs / count) : NAN;
}

char *format_time(const Kernel *k, double ns)
{
    if (isnan(ns))
        return g_strdup("-");
    if (k->way == COLD)
        return g_strdup_printf("%.1f ns/insn", ns);
    if (k->way == OPERATION && ns < 10000)
        return g_strdup_printf("%.2f us", ns / 1e3);
    if (k->way == OPERATION)
        return g_strdup_printf("%.0f us", ns / 1e3);
    return g_strdup_printf(k->way == START ? "%.2f ms" : "%.0f ms", ns / 1e6);
}

static char *processor_name(void)
{
    char *text = NULL, *at, *name = NULL;

    if (g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL) &&
        (at = strstr(text, "model name")) && (at = strchr(at, ':')))
        name = g_strndup(at + 2, strcspn(at + 2, "\n"));
    g_free(text);
    return name ? name : g_strdup("unknown");
}

static const Runner *runner_at(const Bench *b, size_t i)
{
    return g_ptr_array_index(b->runners, i);
}

/* Calls visit for each pair of runners that the table compares. */
static void each_ratio(const Bench *b,
                       void (*visit)(const Bench *, size_t, size_t, void *), void *data)
{
    for (size_t r = 1; r < b->runners->len; r++)
        visit(b, r, 0, data);
    for (size_t q = 1; q < b->runners->len; q++) {
        for (size_t r = 1; r < b->runners->len; r++) {
            if (runner_at(b, q)->kind == QEMU && runner_at(b, r)->kind == TESSERA)
                visit(b, q, r, data);
        }
    }
}

static void print_ratio_name(const Bench *b, size_t runner, size_t base, void *data)
{
    char *name = g_strdup_printf("%s/%s", runner_at(b, runner)->label,
                                 runner_at(b, base)->label);

    (void)data;
    printf(" %16s", name);
    g_free(name);
}

void print_header(const Bench *b)
{
    char *processor = processor_name();

    printf("medians of %d interleaved rounds at %d %% on %s\n", b->rounds, b->percent,
           processor);
    for (size_t r = 1; r < b->runners->len; r++)
        printf("%s: %s, version %s\n", runner_at(b, r)->label, runner_at(b, r)->path,
               runner_at(b, r)->version ? runner_at(b, r)->version : "unknown");
    putchar('\n');
    g_free(processor);
    printf("%-24s", "");
    for (size_t r = 0; r < b->runners->len; r++)
        printf(" %13s", runner_at(b, r)->label);
    each_ratio(b, print_ratio_name, NULL);
    putchar('\n');
}

static void print_ratio(double value)
{
    if (isnan(value))
        printf(" %16s", "-");
    else
        printf(" %15.2fx", value);
}

static void print_kernel_ratio(const Bench *b, size_t runner, size_t base, void *data)
{
    print_ratio(ratio(b, *(size_t *)data, runner, base));
}

void print_kernel(const Bench *b, size_t kernel)
{
    const Kernel *k = g_ptr_array_index(b->chosen, kernel);

    printf("%-12s %-11s", k->name, group_names[k->group]);
    for (size_t r = 0; r < b->runners->len; r++) {
        const Result *result = result_of(b, kernel, r);
        char *text = result->trouble ? g_strdup(result->trouble)
                                     : format_time(k, result_median(result));

        printf(" %13s", text);
        g_free(text);
    }
    each_ratio(b, print_kernel_ratio, &kernel);
    putchar('\n');
    fflush(stdout);
}

static void print_group_ratio(const Bench *b, size_t runner, size_t base, void *data)
{
    print_ratio(group_ratio(b, *(int *)data, runner, base));
}

static bool has_figures(const Bench *b, int group)
{
    for (size_t r = 1; r < b->runners->len; r++) {
        if (!isnan(group_ratio(b, group, r, 0)))
            return true;
    }
    return false;
}

static void print_means(const Bench *b, int group)
{
    if (!has_figures(b, group))
        return;
    printf("%-24s%*s", group < 0 ? "all of these" : group_names[group],
           (int)(14 * b->runners->len), "");
    each_ratio(b, print_group_ratio, &group);
    putchar('\n');
}

void print_summary(const Bench *b)
{
    puts("\ngeometric means");
    for (int group = 0; group < PROCESS; group++)
        print_means(b, group);
    print_means(b, -1);
    print_means(b, PROCESS);
}

static void json_string(GString *s, const char *text)
{
    g_string_append_c(s, '"');
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\')
            g_string_append_c(s, '\\');
        if ((unsigned char)*text >= ' ')
            g_string_append_c(s, *text);
    }
    g_string_append_c(s, '"');
}

static void json_number(GString *s, double value)
{
    if (isnan(value))
        g_string_append(s, "null");
    else
        g_string_append_printf(s, "%.4f", value);
}

static void json_runners(const Bench *b, GString *s)
{
    g_string_append(s, "  \"runners\": [");
    for (size_t r = 0; r < b->runners->len; r++) {
        g_string_append(s, r ? ", {\"label\": " : "{\"label\": ");
        json_string(s, runner_at(b, r)->label);
        g_string_append(s, ", \"version\": ");
        json_string(s, runner_at(b, r)->version);
        g_string_append(s, "}");
    }
    g_string_append(s, "],\n");
}

static void json_result(const Bench *b, GString *s, size_t kernel, size_t runner)
{
    const Result *result = result_of(b, kernel, runner);

    g_string_append(s, runner ? ",\n      " : "\n      ");
    json_string(s, runner_at(b, runner)->label);
    g_string_append(s, ": {\"median_ns\": ");
    json_number(s, result_median(result));
    g_string_append(s, ", \"to_native\": ");
    json_number(s, ratio(b, kernel, runner, 0));
    g_string_append(s, ", \"ns\": [");
    for (size_t i = 0; i < result->times->len; i++) {
        g_string_append(s, i ? ", " : "");
        json_number(s, g_array_index(result->times, double, i));
    }
    g_string_append(s, "]");
    if (result->trouble) {
        g_string_append(s, ", \"trouble\": ");
        json_string(s, result->trouble);
    }
    g_string_append(s, "}");
}

static void json_means(const Bench *b, GString *s)
{
    g_string_append(s, "  \"means_to_native\": {");
    for (int group = -1; group < TRANSLATION; group++) {
        g_string_append_printf(s, "%s\n    \"%s\": {", group < 0 ? "" : ",",
                               group < 0 ? "all" : group_names[group]);
        for (size_t r = 1; r < b->runners->len; r++) {
            g_string_append(s, r > 1 ? ", " : "");
            json_string(s, runner_at(b, r)->label);
            g_string_append(s, ": ");
            json_number(s, group_ratio(b, group, r, 0));
        }
        g_string_append(s, "}");
    }
    g_string_append(s, "\n  }\n}\n");
}

char *json_of(const Bench *b)
{
    GString *s = g_string_new("{\n  \"processor\": ");
    char *processor = processor_name();

    json_string(s, processor);
    g_free(processor);
    g_string_append_printf(s, ",\n  \"rounds\": %d,\n  \"percent\": %d,\n", b->rounds,
                           b->percent);
    json_runners(b, s);
    g_string_append(s, "  \"kernels\": [");
    for (size_t i = 0; i < b->chosen->len; i++) {
        const Kernel *k = g_ptr_array_index(b->chosen, i);

        g_string_append_printf(
            s, "%s\n    {\"name\": \"%s\", \"group\": \"%s\", \"what\": ", i ? "," : "",
            k->name, group_names[k->group]);
        json_string(s, k->what);
        for (size_t r = 0; r < b->runners->len; r++) {
            g_string_append(s, r ? "" : ", \"results\": {");
            json_result(b, s, i, r);
        }
        g_string_append(s, "}}");
    }
    g_string_append(s, "\n  ],\n");
    json_means(b, s);
    return g_string_free(s, FALSE);
}
