/* SPDX-License-Identifier: MIT */
/* Objects of several classes, each with a table of methods, visited in random order. */
#include "kernel.h"

const u64 kernel_rounds = 30000;

typedef struct Shape Shape;
typedef struct {
    i64 (*area)(const Shape *s);
    void (*grow)(Shape *s, i64 by);
    i64 (*edge)(const Shape *s);
} Class;
struct Shape {
    const Class *class;
    i64 a, b, c;
};

static i64 square_area(const Shape *s) { return s->a * s->a; }
static i64 square_edge(const Shape *s) { return 4 * s->a; }
static void square_grow(Shape *s, i64 by) { s->a = (s->a + by) & 0xff; }

static i64 box_area(const Shape *s) { return s->a * s->b; }
static i64 box_edge(const Shape *s) { return 2 * (s->a + s->b); }
static void box_grow(Shape *s, i64 by)
{
    s->a = (s->a + by) & 0xff;
    s->b = (s->b - by) & 0xff;
}

static i64 triangle_area(const Shape *s) { return s->a * s->b / 2; }
static i64 triangle_edge(const Shape *s) { return s->a + s->b + s->c; }
static void triangle_grow(Shape *s, i64 by)
{
    s->c = s->b;
    s->b = (s->a + by) & 0xff;
}

static i64 point_area(const Shape *s) { return s->c & 1; }
static i64 point_edge(const Shape *s) { return s->c; }
static void point_grow(Shape *s, i64 by) { s->c ^= by; }

static const Class classes[] = {
    {square_area, square_grow, square_edge},
    {box_area, box_grow, box_edge},
    {triangle_area, triangle_grow, triangle_edge},
    {point_area, point_grow, point_edge},
};

enum { SHAPES = 2048 };
static Shape shapes[SHAPES];

static NOINLINE i64 visit(Shape *s, size_t count, i64 by)
{
    i64 total = 0;

    for (; count > 0; count--, s++) {
        s->class->grow(s, by);
        total += s->class->area(s);
        total ^= s->class->edge(s);
    }
    return total;
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 10, sum = 0;

    for (size_t i = 0; i < SHAPES; i++) {
        u64 r = next_random(&seed);

        /* families of four, as objects made together are */
        shapes[i] =
            (Shape){&classes[i % 4 ? (i / 4 * 7 + (i & 1)) % 4 : r % 4],
                    (i64)(r & 0xff), (i64)(r >> 8 & 0xff), (i64)(r >> 16 & 0xff)};
    }
    for (u64 i = 0; i < rounds; i++)
        sum = checksum(sum, (u64)visit(shapes, SHAPES, (i64)(i & 15)));
    return sum;
}
