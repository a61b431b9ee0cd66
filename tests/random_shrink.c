/* SPDX-License-Identifier: MIT */
/* Shrinks a program that differs: fewer sequences, rounds, items. */
#include <stdlib.h>
#include "random_run.h"

enum { PASSES = 4 };

static bool differs(const Tester *t, const Mode *mode, const Prog *p)
{
    Run ours, theirs;
    bool yes;
    u32 at;

    prog_write(t, p);
    ours = run_mode(t, mode);
    theirs = run_reference(t);
    yes = runs_differ(p, mode, &ours, &theirs, &at);
    free(ours.out);
    free(theirs.out);
    return yes;
}

/* ---- sequences ---- */

static void drop_others(Prog *p, u32 at, bool dropped)
{
    for (u32 i = 0; i < p->n; i++)
        p->seq[i].dropped = dropped && i != at;
}

static bool shrink_sequences(const Tester *t, const Mode *mode, Prog *p, u32 at)
{
    drop_others(p, at, true);
    if (differs(t, mode, p))
        return true;
    drop_others(p, at, false);
    if (!differs(t, mode, p))
        return false;
    for (u32 i = 0; i < p->n; i++) {
        p->seq[i].dropped = true;
        if (!differs(t, mode, p))
            p->seq[i].dropped = false;
    }
    return true;
}

/* ---- rounds ---- */

static void shrink_rounds(const Tester *t, const Mode *mode, Prog *p)
{
    u32 low = 0, high = p->rounds; /* low rounds are too few */

    while (low + 1 < high) {
        p->rounds = (low + high) / 2;
        if (differs(t, mode, p))
            high = p->rounds;
        else
            low = p->rounds;
    }
    p->rounds = high;
}

/* ---- items ---- */

static void drop(Seq *s, u32 from, u32 n, bool dropped)
{
    for (u32 i = from; i < from + n && i < s->n; i++)
        s->item[i].dropped = dropped && !s->item[i].fixed;
}

static bool any_left(const Seq *s, u32 from, u32 n)
{
    for (u32 i = from; i < from + n && i < s->n; i++)
        if (!s->item[i].dropped && !s->item[i].fixed)
            return true;
    return false;
}

/* In ever smaller pieces.  Pieces of which a part is dropped already are left. */
static bool shrink_items(const Tester *t, const Mode *mode, Prog *p, Seq *s)
{
    bool shrunk = false;

    for (u32 piece = s->n / 2; piece; piece /= 2) {
        for (u32 i = 0; i < s->n; i += piece) {
            Seq *before;

            if (!any_left(s, i, piece))
                continue;
            before = malloc(sizeof *before);
            *before = *s;
            drop(s, i, piece, true);
            if (differs(t, mode, p))
                shrunk = true;
            else
                *s = *before;
            free(before);
        }
    }
    return shrunk;
}

bool prog_shrink(const Tester *t, const Mode *mode, Prog *p, u32 at)
{
    if (!shrink_sequences(t, mode, p, at))
        return false;
    for (u32 pass = 0; pass < PASSES; pass++) {
        bool shrunk = false;

        shrink_rounds(t, mode, p);
        for (u32 i = 0; i < p->n; i++)
            if (!p->seq[i].dropped)
                shrunk |= shrink_items(t, mode, p, &p->seq[i]);
        if (!shrunk)
            break;
    }
    return true;
}
