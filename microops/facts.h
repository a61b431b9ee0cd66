/* SPDX-License-Identifier: MIT */
/* What can be known of a value without running the block: pass_fold's knowledge. */
#ifndef TESSERA_FACTS_H
#define TESSERA_FACTS_H

#include "microops.h"

/* What is known of a value. */
typedef struct Facts {
    i64 value; /* if constant */
    u8 is;     /* KNOWN_* */
    u8 low;    /* it is below 2^low */
    u8 width;  /* it fits a signed integer of so many bits */
} Facts;

enum {
    KNOWN_CONST = 1,
    KNOWN_BOXED = 2,   /* a boxed single */
    KNOWN_CANON_D = 4, /* a number or the canonical NaN, as a double */
    KNOWN_CANON_S = 8, /* the same, as a boxed single */
};

/* An operand that is missing, or of which nothing is known. */
#define FACTS_NOTHING ((Facts){.low = 64, .width = 64})

static inline bool is_const(const Facts *a)
{
    return a->is & KNOWN_CONST;
}
static inline bool equals(const Facts *a, i64 v)
{
    return is_const(a) && a->value == v;
}

Facts facts_of_const(i64 value);
/* Of the result of op, for operands of which a and b are known. */
Facts facts_of_op(OpCode op, const Facts *a, const Facts *b);

#endif
