/* SPDX-License-Identifier: MIT */
/*
 * The code buffer: one shared memory mapped twice, executable and writable, and
 * directly after the executable view the tables that generated code counts in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tb.h"

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static u8 *reserve(size_t size, int prot)
{
    return mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* perf names samples in anonymous memory only, which cannot be mapped twice: then
 * there is one view, writable and executable, and after a fork it is copied anyway. */
static bool map_anonymous(Cache *c)
{
    c->write = mmap(c->exec, c->size, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return c->write != MAP_FAILED;
}

void code_show(Cache *c)
{
    mprotect(c->exec, c->size, PROT_READ | PROT_WRITE);
    mprotect(c->exec, c->size, PROT_READ | PROT_WRITE | PROT_EXEC);
}

void *code_sparse(size_t size)
{
    u8 *p = reserve(size, PROT_READ | PROT_WRITE);

    return p == MAP_FAILED ? NULL : p;
}

/* Two views of one shared memory that no file stands for, as far as limits of files'
 * sizes and descriptors are concerned. */
bool code_renew(Cache *c, size_t keep, size_t from, size_t to)
{
    const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    size_t size = to - from;
    u8 *p;

    if (c->write == c->exec)
        return true;
    p = mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    memcpy(p, c->write + from, keep);
    if (mremap(p, 0, size, flags, c->write + from) != MAP_FAILED &&
        mprotect(p, size, PROT_READ | PROT_EXEC) == 0 &&
        mremap(p, size, size, flags, c->exec + from) != MAP_FAILED)
        return true;
    munmap(p, size);
    return false;
}

static bool map_buffer(Cache *c)
{
    if (c->options.perfmap && map_anonymous(c))
        return true;
    if (c->options.perfmap) {
        c->options.perfmap = false;
        report("-perfmap: this host forbids memory that is writable and executable, "
               "without which perf finds no names; -jitdump does not need it");
    }
    c->write = reserve(c->size, PROT_NONE);
    return c->write != MAP_FAILED && code_renew(c, 0, 0, c->size);
}

bool code_map(Cache *c, size_t size, size_t data)
{
    int error;

    c->exec = reserve(size + data, PROT_READ | PROT_WRITE);
    c->size = size;
    if (c->exec == MAP_FAILED || map_buffer(c))
        return c->exec != MAP_FAILED;
    error = errno;
    munmap(c->exec, size + data);
    if (c->write != MAP_FAILED && c->write != c->exec)
        munmap(c->write, size);
    errno = error;
    return false;
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
    size_t own = c->own, n;

    if (own && c->at - own < OWN_LITTLE)
        return; /* a child that may soon end */
    n = next_step(c->at - own, CODE_MARGIN / 2, c->ready - own, c->size - own);
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
