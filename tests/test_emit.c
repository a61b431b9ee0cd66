/* SPDX-License-Identifier: MIT */
/* Run: ninja -C build test_emit && build/tests/test_emit
 *      [--seed S] [--count N] [--seconds T] [--one] [--cover]   (--count 0: no end)
 *
 * Random blocks of micro-ops, with random plans and all that the emitter is asked
 * for, as emitted code in both stencil sets and interpreted: globals, memory, MXCSR
 * and the way out must be the same.  A difference is shrunk and printed with the
 * command that shows it again.  It also fails when COVER_BLOCKS or more did not reach
 * every stencil family, op with each kind of operand, and way out (emit_cover.c);
 * --cover says how much was reached in any case.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emit_case.h"

enum { COVER_BLOCKS = 150000 };

typedef struct Work {
    u64 seed, count;
    u32 seconds;
    bool one, cover;
} Work;

/* ---- shrinking ---- */

static void remove_op(Ir *ir, u32 i)
{
    memmove(&ir->ops[i], &ir->ops[i + 1], (ir->n_ops - i - 1) * sizeof *ir->ops);
    ir->n_ops--;
    for (u32 k = 0; k < ir->n_insns; k++)
        ir->insns[k].op -= ir->insns[k].op > i;
}

/* Is the case with this Ir instead still a case, and one that disagrees? */
static bool still_fails(Case *c, Ir *with)
{
    Ir *ir = c->ir;
    const char *why;
    bool fails;

    c->ir = with;
    fails = ir_verify(with, &why) && !case_agrees(c, &why);
    c->ir = ir;
    return fails;
}

static bool try_remove(Case *c, Ir *spare, u32 i)
{
    *spare = *c->ir;
    remove_op(spare, i);
    if (!still_fails(c, spare))
        return false;
    *c->ir = *spare;
    return true;
}

/* An option that is off and the difference still there is one less to think of. */
static void try_without(Case *c, bool *option)
{
    bool was = *option;

    *option = false;
    if (!still_fails(c, c->ir))
        *option = was;
}

static void shrink(Case *c)
{
    Ir *spare = ir_new();
    bool removed;

    bool *options[] = {&c->fold,    &c->dead,  &c->join,   &c->nan,       &c->counted,
                       &c->request, &c->loops, &c->cached, &c->statistics};

    for (u32 i = 0; i < ARRAY_SIZE(options); i++)
        try_without(c, options[i]);
    do {
        removed = false;
        for (u32 i = c->ir->n_ops - 1; i-- > 0;)
            if (c->ir->ops[i].op != OP_insn)
                removed |= try_remove(c, spare, i);
    } while (removed);
    free(spare);
}

static void print_values(const Case *c)
{
    bool seen[GLOBALS] = {0};

    for (u32 i = 0; i < c->ir->n_ops; i++)
        for (u32 k = 0; k < 3; k++)
            if (c->ir->ops[i].in[k] < GLOBALS)
                seen[c->ir->ops[i].in[k]] = true;
    printf("  at the start:");
    for (u32 i = 0; i < GLOBALS; i++)
        if (seen[i])
            printf(" %s=%llx", emit_guest.globals[i].name,
                   (unsigned long long)c->start.g[i]);
    printf(" mxcsr=%x\n", c->start.mxcsr);
}

static void report_case(Case *c)
{
    const char *why;

    shrink(c);
    case_agrees(c, &why);
    printf("seed %llu: %s\n", (unsigned long long)c->seed, why);
    case_print(c);
    print_values(c);
    ir_dump(stdout, c->ir);
    printf("again: test_emit --seed %llu --one\n", (unsigned long long)c->seed);
}

/* ---- work ---- */

static Work parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'}, {"count", 1, NULL, 'c'}, {"seconds", 1, NULL, 't'},
        {"one", 0, NULL, '1'},  {"cover", 0, NULL, 'v'}, {0}};
    Work w = {.seed = 1, .count = 200000, .seconds = 90};
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 's': w.seed = strtoull(optarg, NULL, 0); break;
        case 'c': w.count = strtoull(optarg, NULL, 0), w.seconds = 0; break;
        case 't': w.seconds = (u32)atoi(optarg), w.count = 0; break;
        case '1': w.one = true; break;
        case 'v': w.cover = true; break;
        default: exit(2);
        }
    }
    return w;
}

static bool can_run_v3(void) { return stencils_pick(false) == &stencils_v3; }

static bool work(const Work *w)
{
    static Case c;
    time_t began = time(NULL), end = began + w->seconds;
    u64 done = 0;
    const char *why;

    c.ir = ir_new();
    for (u64 seed = w->seed; !w->count || done < w->count; seed++, done++) {
        case_make(&c, seed);
        if (!ir_verify(c.ir, &why)) {
            printf("seed %llu: %s\n", (unsigned long long)seed, why);
            return false;
        }
        if ((c.set == &stencils_base || can_run_v3()) && !case_agrees(&c, &why)) {
            report_case(&c);
            return false;
        }
        if (w->one || (w->seconds && time(NULL) >= end))
            break;
    }
    printf("%llu blocks from seed %llu, %llu ops compared (%llu a second): no "
           "difference\n",
           (unsigned long long)done, (unsigned long long)w->seed,
           (unsigned long long)cover_ops(),
           (unsigned long long)(cover_ops() / (u64)MAX(time(NULL) - began, 1)));
    return (!w->cover && done < COVER_BLOCKS) || cover_report(can_run_v3());
}

int main(int argc, char **argv)
{
    Work w = parse(argc, argv);

    setvbuf(stdout, NULL, _IOLBF, 0);
    run_init();
    return !work(&w);
}
