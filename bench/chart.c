/* SPDX-License-Identifier: MIT */
/*
 * One SVG bar chart: for every kernel, how many times longer each runner takes than
 * the host itself, on a logarithmic axis that starts at native speed.
 */
#include "bench.h"
#include <math.h>

enum { WIDTH = 860, LEFT = 210, RIGHT = 70, TOP = 88, BAR = 10, GAP = 9, HEAD = 34 };

static const char *const colours[] = {"#94a3b8", "#0f766e", "#b45309", "#6d28d9",
                                      "#be123c"};

typedef struct {
    const Bench *b;
    GString *svg;
    double most; /* the end of the axis */
    double y;
} Chart;

static const char *colour_of(size_t runner, const Bench *b)
{
    const Runner *r = g_ptr_array_index(b->runners, runner);

    return r->kind == QEMU ? colours[0]
                           : colours[1 + (runner - 1) % (G_N_ELEMENTS(colours) - 1)];
}

static double position(const Chart *c, double value)
{
    double share = log(value < 1 ? 1 : value) / log(c->most);

    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static void put_text(Chart *c, double x, double y, const char *style, const char *text)
{
    char *safe = g_markup_escape_text(text, -1);

    g_string_append_printf(c->svg,
                           "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y,
                           style, safe);
    g_free(safe);
}

static bool has_ratio(const Bench *b, size_t kernel)
{
    for (size_t r = 1; r < b->runners->len; r++) {
        if (!isnan(ratio(b, kernel, r, 0)))
            return true;
    }
    return false;
}

static double find_most(const Bench *b)
{
    double most = 4;

    for (size_t k = 0; k < b->chosen->len; k++) {
        for (size_t r = 1; r < b->runners->len; r++) {
            while (ratio(b, k, r, 0) > most)
                most *= 2;
        }
    }
    return most;
}

static void put_bar(Chart *c, size_t runner, double value)
{
    double end = position(c, value);
    char text[32];

    if (isnan(value))
        return;
    g_string_append_printf(c->svg,
                           "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
                           "rx=\"1.5\" fill=\"%s\"/>\n",
                           LEFT, c->y, end - LEFT < 1.5 ? 1.5 : end - LEFT, BAR,
                           colour_of(runner, c->b));
    g_snprintf(text, sizeof(text), value < 10 ? "%.2f" : "%.1f", value);
    put_text(c, (end - LEFT < 1.5 ? LEFT + 1.5 : end) + 5, c->y + BAR - 1.5, "value",
             text);
}

static void put_kernel(Chart *c, size_t kernel)
{
    const Kernel *k = g_ptr_array_index(c->b->chosen, kernel);
    size_t bars = c->b->runners->len - 1;

    put_text(c, LEFT - 10, c->y + (double)bars * BAR / 2 + 4, "name", k->name);
    for (size_t r = 1; r <= bars; r++) {
        put_bar(c, r, ratio(c->b, kernel, r, 0));
        c->y += BAR;
    }
    c->y += GAP;
}

static void put_group(Chart *c, Group group)
{
    GString *head = g_string_new(group_names[group]);

    for (size_t r = 1; r < c->b->runners->len; r++) {
        const Runner *runner = g_ptr_array_index(c->b->runners, r);
        double mean = group_ratio(c->b, group, r, 0);

        if (!isnan(mean))
            g_string_append_printf(head, "%s %s %.2f", r > 1 ? "," : ": geometric mean",
                                   runner->label, mean);
    }
    put_text(c, 14, c->y + 20, "group", head->str);
    g_string_free(head, TRUE);
    c->y += HEAD;
}

/* A kernel the host itself has no figure for: one line of text. */
static void put_figures(Chart *c, size_t kernel)
{
    const Kernel *k = g_ptr_array_index(c->b->chosen, kernel);
    GString *line = g_string_new(k->what);

    for (size_t r = 1; r < c->b->runners->len; r++) {
        const Runner *runner = g_ptr_array_index(c->b->runners, r);
        char *time = format_time(k, result_median(result_of(c->b, kernel, r)));

        g_string_append_printf(line, "%s %s %s", r > 1 ? "," : ":", runner->label,
                               time);
        g_free(time);
    }
    put_text(c, 14, c->y + 20, "group", line->str);
    g_string_free(line, TRUE);
    c->y += HEAD;
}

static void put_rows(Chart *c)
{
    int last = -1;

    for (size_t k = 0; k < c->b->chosen->len; k++) {
        const Kernel *kernel = g_ptr_array_index(c->b->chosen, k);

        if (!has_ratio(c->b, k)) {
            put_figures(c, k);
            continue;
        }
        if ((int)kernel->group != last)
            put_group(c, kernel->group);
        last = (int)kernel->group;
        put_kernel(c, k);
    }
}

static void put_legend(Chart *c)
{
    double x = LEFT;

    for (size_t r = 1; r < c->b->runners->len; r++) {
        const Runner *runner = g_ptr_array_index(c->b->runners, r);

        g_string_append_printf(c->svg,
                               "<rect x=\"%.1f\" y=\"48\" width=\"12\" height=\"12\" "
                               "rx=\"2\" fill=\"%s\"/>\n",
                               x, colour_of(r, c->b));
        char *label = runner->version
                          ? g_strdup_printf("%s %s", runner->label, runner->version)
                          : g_strdup(runner->label);

        put_text(c, x + 18, 58, "legend", label);
        x += 48 + 7.5 * (double)g_utf8_strlen(label, -1);
        g_free(label);
    }
}

static void put_axis(Chart *c)
{
    for (double v = 1; v <= c->most; v *= 2) {
        double x = position(c, v);
        char text[16];

        g_string_append_printf(c->svg,
                               "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" "
                               "class=\"%s\"/>\n",
                               x, TOP, x, c->y, v > 1 ? "grid" : "base");
        g_snprintf(text, sizeof(text), "%gx", v);
        put_text(c, x, TOP - 6, "tick", text);
    }
}

/* The rows are drawn first, because only then the height is known. */
char *chart_of(const Bench *b)
{
    Chart rows = {b, g_string_new(NULL), find_most(b), TOP};
    Chart frame = rows;

    put_rows(&rows);
    frame.svg = g_string_new(NULL);
    frame.y = rows.y;
    g_string_append_printf(
        frame.svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
        "viewBox=\"0 0 %d %.0f\">\n<style>text{font:12px sans-serif;fill:#1f2937}"
        ".title{font-size:16px;font-weight:600}.group{font-weight:600;paint-order:"
        "stroke;stroke:#fff;stroke-width:5px}"
        ".name{text-anchor:end}.tick{text-anchor:middle;fill:#6b7280;font-size:11px}"
        ".value{font-size:10px;fill:#4b5563}.grid{stroke:#e5e7eb}.base{stroke:#6b7280}"
        "</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        WIDTH, rows.y + 16, WIDTH, rows.y + 16);
    put_text(&frame, 14, 28, "title", "Times the native run time (shorter is better)");
    put_legend(&frame);
    put_axis(&frame);
    g_string_append(frame.svg, rows.svg->str);
    g_string_append(frame.svg, "</svg>\n");
    g_string_free(rows.svg, TRUE);
    return g_string_free(frame.svg, FALSE);
}
