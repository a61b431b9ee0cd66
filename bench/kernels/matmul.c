/* SPDX-License-Identifier: MIT */
/*
 * Product of double matrices by fused multiply-add. The native build of this one
 * kernel gets -mfma, so that both sides do it in one instruction.
 */
#include "kernel.h"
#include <stdlib.h>

const u64 kernel_rounds = 85;

static NOINLINE void multiply(size_t n, double *c, const double *a, const double *b)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            c[i * n + j] = 0;
        for (size_t k = 0; k < n; k++) {
            double factor = a[i * n + k];

            for (size_t j = 0; j < n; j++)
                c[i * n + j] = __builtin_fma(factor, b[k * n + j], c[i * n + j]);
        }
    }
}

u64 kernel_run(u64 rounds)
{
    size_t n = 192;
    double *a = malloc(n * n * sizeof(*a)), *b = malloc(n * n * sizeof(*b));
    double *c = malloc(n * n * sizeof(*c));
    u64 seed = 11, sum = 0;

    for (size_t i = 0; i < n * n; i++) {
        a[i] = (double)(next_random(&seed) % 1000) / 997.0;
        b[i] = (double)(next_random(&seed) % 1000) / 997.0;
    }
    for (u64 i = 0; i < rounds; i++) {
        multiply(n, c, a, b);
        a[i % (n * n)] = c[i % (n * n)] / 64.0;
    }
    for (size_t i = 0; i < n * n; i += 17)
        sum = checksum_double(sum, c[i]);
    free(a);
    free(b);
    free(c);
    return sum;
}
