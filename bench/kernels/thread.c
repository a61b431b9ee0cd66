/* SPDX-License-Identifier: MIT */
/* A thread made and joined. */
#include "kernel.h"
#include <pthread.h>

const u64 kernel_rounds = 4000;

static void *twice(void *argument) { return (void *)(2 * (uintptr_t)argument); }

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        pthread_t thread;
        void *result;

        if (pthread_create(&thread, NULL, twice, (void *)(uintptr_t)i) != 0 ||
            pthread_join(thread, &result) != 0)
            return 0;
        sum = checksum(sum, (uintptr_t)result);
    }
    return sum;
}
