/* SPDX-License-Identifier: MIT */
/*
 * A loop that stores into the page of its own code: half a page away from it. apart.c
 * is the same with the data in the next page, so what sharing costs is their
 * difference.
 */
#include "kernel.h"
#include <sys/mman.h>

#ifndef CELLS_AT
#define CELLS_AT 2048
#endif

const u64 kernel_rounds = 150000;

enum { PAGE = 4096, CODE_MOST = 512, CELLS = 16, TURNS = 1000 };

/* Copied elsewhere, so without anything that depends on where it is. */
static NOINLINE u64 add_up(volatile u64 *cells, u64 turns)
{
    u64 sum = 0;

    for (u64 i = 0; i < turns; i++) {
        sum += cells[i % CELLS] ^ i;
        cells[(i + 5) % CELLS] = sum;
    }
    return sum;
}

u64 kernel_run(u64 rounds)
{
    u8 *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u64 (*copy)(volatile u64 *, u64);
    u64 sum = 0;

    if (page == MAP_FAILED)
        return 0;
    memcpy(page, (const void *)(uintptr_t)add_up, CODE_MOST);
    __builtin___clear_cache((char *)page, (char *)page + CODE_MOST);
    copy = (u64(*)(volatile u64 *, u64))(uintptr_t)page;
    for (u64 i = 0; i < rounds; i++)
        sum = checksum(sum, copy((u64 *)(void *)(page + CELLS_AT), TURNS));
    return sum;
}
