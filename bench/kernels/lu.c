/* SPDX-License-Identifier: MIT */
/* Linear equations by LU decomposition with partial pivoting, in double precision. */
#include "kernel.h"
#include <math.h>

const u64 kernel_rounds = 340;

enum { N = 150 };
static double matrix[N][N], right[N];
static int rows[N];

static void make_system(u64 *seed)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            matrix[i][j] = (double)(i64)(next_random(seed) % 2001 - 1000) / 1000.0;
        right[i] = (double)(next_random(seed) % 1000) / 500.0;
    }
}

static void pivot(int column)
{
    int best = column;
    double value;

    for (int i = column + 1; i < N; i++) {
        if (fabs(matrix[i][column]) > fabs(matrix[best][column]))
            best = i;
    }
    rows[column] = best;
    if (best == column)
        return;
    for (int j = 0; j < N; j++) {
        value = matrix[column][j];
        matrix[column][j] = matrix[best][j];
        matrix[best][j] = value;
    }
    value = right[column];
    right[column] = right[best];
    right[best] = value;
}

static NOINLINE void subtract_row(double *to, const double *from, double factor,
                                  int count)
{
    for (int j = 0; j < count; j++)
        to[j] -= factor * from[j];
}

static NOINLINE void decompose(void)
{
    for (int k = 0; k < N; k++) {
        pivot(k);
        for (int i = k + 1; i < N; i++) {
            double factor = matrix[i][k] / matrix[k][k];

            matrix[i][k] = factor;
            subtract_row(&matrix[i][k + 1], &matrix[k][k + 1], factor, N - k - 1);
            right[i] -= factor * right[k];
        }
    }
}

static NOINLINE void substitute_back(void)
{
    for (int i = N - 1; i >= 0; i--) {
        double value = right[i];

        for (int j = i + 1; j < N; j++)
            value -= matrix[i][j] * right[j];
        right[i] = value / matrix[i][i];
    }
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 12, sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        make_system(&seed);
        decompose();
        substitute_back();
        sum = checksum_double(sum, right[i % N]);
    }
    return sum;
}
