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

/* How many bytes to fault in next, when `used` of `ready` are taken; 0: none yet. */
static size_t next_step(size_t used, size_t margin, size_t ready, size_t size)
{
    size_t step = align_up(MIN(MAX(ready / 2, 64u << 10), 4u << 20), PAGE_SIZE);

    return used + margin < ready ? 0 : MIN(step, size - ready);
}

static void make_table_ready(void *table, size_t used, size_t *ready, size_t size)
{
    size_t n = next_step(used, PAGE_SIZE, *ready, align_up(size, PAGE_SIZE));

    if (n)
        madvise((u8 *)table + *ready, n, MADV_POPULATE_WRITE);
    *ready += n;
}

/* Faulting pages in one by one would cost more than translating into them. */
void code_make_ready(Cache *c)
{
    size_t n = next_step(c->at, CODE_MARGIN / 2, c->ready, c->size);

    if (n) {
        madvise(c->write + c->ready, n, MADV_POPULATE_WRITE);
        madvise(c->exec + c->ready, n, MADV_POPULATE_READ);
        c->ready += n;
    }
    make_table_ready(c->tbs, c->n_tbs * sizeof *c->tbs, &c->tbs_ready,
                     c->max_tbs * sizeof *c->tbs);
    make_table_ready(c->exits, c->n_exits * sizeof *c->exits, &c->exits_ready,
                     c->max_exits * sizeof *c->exits);
    make_table_ready(c->maps, c->n_maps, &c->maps_ready, c->max_maps);
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

    c->ready = align_up(c->at, PAGE_SIZE);
    close(fd);
    return ok;
}
