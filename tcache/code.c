/* SPDX-License-Identifier: MIT */
/*
 * The code buffer: one memory file mapped twice, executable and writable, and
 * directly after the executable view the tables that generated code counts in.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tb.h"

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static bool map_views(Cache *c, int fd, void *exec, void *write)
{
    int fixed = exec ? MAP_FIXED : 0;

    c->exec = mmap(exec, c->size, PROT_READ | PROT_EXEC, MAP_SHARED | fixed, fd, 0);
    c->write = mmap(write, c->size, PROT_READ | PROT_WRITE,
                    MAP_SHARED | (write ? MAP_FIXED : 0), fd, 0);
    return c->exec != MAP_FAILED && c->write != MAP_FAILED;
}

bool code_map(Cache *c, size_t size, size_t data)
{
    int fd = memfd_create("tessera-code", MFD_CLOEXEC);
    u8 *all = mmap(NULL, size + data, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool ok;

    c->size = size;
    if (fd < 0 || all == MAP_FAILED || ftruncate(fd, (off_t)size))
        return false;
    ok = map_views(c, fd, all, NULL);
    close(fd);
    return ok;
}

/* Faulting pages in one by one, twice, would cost more than translating into them. */
void code_make_ready(Cache *c)
{
    size_t step = MIN(MAX(c->ready / 2, 128u << 10), 4u << 20), n;

    if (c->at + CODE_MARGIN < c->ready)
        return;
    n = MIN(step, c->size - c->ready);
    madvise(c->write + c->ready, n, MADV_POPULATE_WRITE);
    madvise(c->exec + c->ready, n, MADV_POPULATE_READ);
    c->ready += (u32)n;
}

int code_copy(Cache *c)
{
    int fd = memfd_create("tessera-code", MFD_CLOEXEC);
    size_t done = 0;

    if (fd < 0 || ftruncate(fd, (off_t)c->size))
        return -1;
    while (done < c->at) {
        ssize_t n = write(fd, c->write + done, c->at - done);

        if (n <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)n;
    }
    return fd;
}

bool code_remap(Cache *c, int fd)
{
    bool ok = map_views(c, fd, c->exec, c->write);

    c->ready = (u32)align_up(c->at, PAGE_SIZE);
    close(fd);
    return ok;
}
