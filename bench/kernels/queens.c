/* SPDX-License-Identifier: MIT */
/* The eight queens problem on a larger board: recursion with work between calls. */
#include "kernel.h"

const u64 kernel_rounds = 260;

typedef struct {
    int size;
    u8 columns[16], rising[32], falling[32];
} Board;

static NOINLINE int is_free(const Board *b, int row, int column)
{
    return !b->columns[column] && !b->rising[row + column] &&
           !b->falling[row - column + b->size];
}

static NOINLINE void put(Board *b, int row, int column, u8 value)
{
    b->columns[column] = value;
    b->rising[row + column] = value;
    b->falling[row - column + b->size] = value;
}

static NOINLINE u64 place(Board *b, int row)
{
    u64 found = 0;

    if (row == b->size)
        return 1;
    for (int column = 0; column < b->size; column++) {
        if (is_free(b, row, column)) {
            put(b, row, column, 1);
            found += place(b, row + 1);
            put(b, row, column, 0);
        }
    }
    return found;
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        Board board = {.size = 9 + (int)(i % 2)};

        sum = checksum(sum, place(&board, 0));
    }
    return sum;
}
