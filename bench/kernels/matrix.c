/* SPDX-License-Identifier: MIT */
/* Integer matrices: product of 16-bit elements, plus shifts and masks of the result. */
#include "kernel.h"
#include <stdlib.h>

const u64 kernel_rounds = 400;

static NOINLINE void multiply(size_t n, i32 *c, const int16_t *a, const int16_t *b)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            i32 sum = 0;

            for (size_t k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
    }
}

static NOINLINE void feed_back(size_t n, int16_t *a, const i32 *c)
{
    for (size_t i = 0; i < n * n; i++)
        a[i] = (int16_t)(((c[i] >> 3) & 0xff) - ((c[i] >> 11) & 0x7f));
}

static u64 sum_up(size_t n, const i32 *c)
{
    u64 sum = 0;

    for (size_t i = 0; i < n * n; i++)
        sum = checksum(sum, (u64)c[i]);
    return sum;
}

u64 kernel_run(u64 rounds)
{
    size_t n = 120;
    int16_t *a = malloc(n * n * sizeof(*a)), *b = malloc(n * n * sizeof(*b));
    i32 *c = malloc(n * n * sizeof(*c));
    u64 seed = 5, sum;

    for (size_t i = 0; i < n * n; i++) {
        a[i] = (int16_t)(next_random(&seed) % 200);
        b[i] = (int16_t)(next_random(&seed) % 200);
    }
    for (u64 i = 0; i < rounds; i++) {
        multiply(n, c, a, b);
        feed_back(n, a, c);
    }
    sum = sum_up(n, c);
    free(a);
    free(b);
    free(c);
    return sum;
}
