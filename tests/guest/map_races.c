/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run map_races.  Calls about memory that stays, while another thread
 * maps and unmaps below and above it: they always succeed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include "check.h"

enum { TURNS = 4000, HOLES = 64, PAGE = 4096 };

static int done;

static void *churner(void *at)
{
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
        char *p =
            mmap(at, 2 * HOLES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (int i = 0; i < HOLES; i++)
            munmap(p + 2 * i * PAGE, PAGE);
        munmap(p, 2 * HOLES * PAGE);
    }
    return NULL;
}

int main(void)
{
    char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);
    unsigned char in[16];
    pthread_t below, above;

    CHECK(p != MAP_FAILED);
    CHECK_EQ(pthread_create(&below, NULL, churner, (void *)0x10000000), 0);
    CHECK_EQ(pthread_create(&above, NULL, churner, NULL), 0);
    for (int i = 0; i < TURNS; i++) {
        CHECK_EQ(madvise(p, 16 * PAGE, i % 2 ? MADV_WILLNEED : MADV_DONTNEED), 0);
        CHECK_EQ(mincore(p, 16 * PAGE, in), 0);
        CHECK_EQ(msync(p, 16 * PAGE, MS_ASYNC), 0);
        CHECK_EQ(munlock(p, 16 * PAGE), 0);
    }
    done = 1;
    CHECK_EQ(pthread_join(below, NULL), 0);
    CHECK_EQ(pthread_join(above, NULL), 0);
    return check_done("map_races");
}
