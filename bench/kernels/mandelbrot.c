/* SPDX-License-Identifier: MIT */
/* The Mandelbrot set: a short loop of dependent double operations and a compare. */
#include "kernel.h"

const u64 kernel_rounds = 80;

static NOINLINE int escape_time(double cx, double cy, int limit)
{
    double x = 0, y = 0;
    int i;

    for (i = 0; i < limit && x * x + y * y <= 4.0; i++) {
        double next = x * x - y * y + cx;

        y = 2.0 * x * y + cy;
        x = next;
    }
    return i;
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        for (int row = 0; row < 120; row++) {
            for (int column = 0; column < 160; column++)
                sum += (u64)escape_time(column / 60.0 - 2.0 + (double)i / 1000.0,
                                        row / 60.0 - 1.0, 200) *
                       (u64)(row ^ column);
        }
    }
    return sum;
}
