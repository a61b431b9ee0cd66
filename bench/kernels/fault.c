/* SPDX-License-Identifier: MIT */
/* Pages mapped, touched for the first time and given back: a round is one page. */
#include "kernel.h"
#include <sys/mman.h>

const u64 kernel_rounds = 40000;

enum { PAGE = 4096, PAGES = 64 };

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    for (u64 done = 0; done < rounds; done += PAGES) {
        u8 *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            return 0;
        madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
        for (u64 i = 0; i < PAGES; i++) {
            sum = checksum(sum, p[i * PAGE] + i);
            p[i * PAGE] = (u8)i;
        }
        munmap(p, PAGES * PAGE);
    }
    return sum;
}
