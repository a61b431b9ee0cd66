/* SPDX-License-Identifier: MIT */
/* A guest process of one thread that never runs, for what takes a Task. */
#ifndef TESSERA_FUZZ_TASK_H
#define TESSERA_FUZZ_TASK_H

#include "../linux-user/user.h"
#include "fuzz.h"

static Process process = {.abi = &abi_riscv64, .exe_fd = -1};
static Memory memory;

static Task *fuzz_task(void)
{
    const CacheOptions options = {.interp = true};
    Env *env;

    process.guest = guest_find(abi_riscv64.guest);
    process.mem = &memory;
    process.options.reserve = 1ull << 32;
    process.options.stack_size = 1 << 20;
    process.options.program_fd = -1;
    if (!mem_init(&memory, &process.options))
        abort();
    process.cache = cache_new(&options, process.guest, &memory.space);
    env = env_new(process.cache);
    return task_new(&process, env);
}

/* Unmaps all that the guest has. */
static inline void fuzz_task_clear(Task *t)
{
    Memory *m = &memory;
    Extent part;

    for (u64 at = 0; extents_next(&m->map, at, m->space.size, &part); at = part.end)
        if (mem_munmap(t, part.start, part.end - part.start))
            abort();
    m->top = m->space.size;
    m->brk_start = m->brk = m->stack_start = m->stack_end = m->return_page = 0;
    process.image = (Image){0};
}

#endif
