/* SPDX-License-Identifier: MIT */
/*
 * Inside tcache: loops of a system guest whose registers move by fixed steps.  Where
 * such a loop's accesses go is looked up ahead, for as many rounds as they stay in
 * their pages; a second translation of the loop then does without looking.
 */
#ifndef TESSERA_STRIDE_H
#define TESSERA_STRIDE_H

#include "tb.h"

/* What a loop does by one register: bytes [low, high) from where it points at the
 * loop's head, further by step each round. */
typedef struct Stride {
    Val base;
    bool read, write;
    i32 low, high;
    i64 step;
} Stride;

typedef struct Strides {
    struct Strides *next; /* of all there are */
    struct Strides *of;   /* the loop that looks: this is of the other translation */
    u32 fast;             /* the other translation's number; 0: not made */
    _Atomic u32 failed;   /* times in a row that its pages were not known */
    u32 n;
    Stride stride[STRIDES_MOST];
    EmitStrides emit;
} Strides;

/* What there is in a loop; false: nothing that pays. */
bool strides_find(const Ir *ir, Strides *s);
/* The loop `block` has been left after some rounds: its other translation, for which
 * everything is ready now; NULL: go on with the loop as it is. */
Tb *strides_enter(Cache *c, Env *env, u32 block);
/* HELPER_AHEAD. */
u64 strides_on(Env *env, u64 block, u64 b, u64 c);
/* Is the loop known to gain nothing? */
bool strides_hopeless(const Cache *c, const Tb *tb);
void strides_keep(Cache *c, Tb *tb, const Strides *s);
void strides_reset(Cache *c); /* no block is left */

#endif
