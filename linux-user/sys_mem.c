/* SPDX-License-Identifier: MIT */
/* System calls on memory: mem.c does them. */
#include <sys/mman.h>
#include "sys.h"

i64 sys_mmap(Task *t, u64 addr, u64 len, u64 prot, u64 flags, u64 fd, u64 offset)
{
    if (UNLIKELY(t->process->rings) && !(flags & MAP_ANONYMOUS)) {
        i64 r = uring_mmap(t, addr, len, offset, (i32)flags, (i32)fd);

        if (r != -ENODEV)
            return r;
    }
    return mem_mmap(t, addr, len, (i32)prot, (i32)flags, (i32)fd, offset);
}

i64 sys_munmap(Task *t, u64 addr, u64 len) { return mem_munmap(t, addr, len); }

i64 sys_mremap(Task *t, u64 addr, u64 old_len, u64 new_len, u64 flags, u64 to)
{
    return mem_mremap(t, addr, old_len, new_len, (i32)flags, to);
}

i64 sys_mprotect(Task *t, u64 addr, u64 len, u64 prot)
{
    return mem_mprotect(t, addr, len, (i32)prot);
}

i64 sys_brk(Task *t, u64 addr) { return mem_brk(t, addr); }

i64 sys_madvise(Task *t, u64 addr, u64 len, u64 advice)
{
    return mem_madvise(t, addr, len, (i32)advice);
}

i64 sys_remap_file_pages(Task *t, u64 addr, u64 len, u64 prot, u64 offset, u64 flags)
{
    return prot ? -EINVAL : mem_remap_file(t, addr, len, offset, (i32)flags);
}

i64 sys_msync(Task *t, u64 addr, u64 len, u64 flags)
{
    return mem_msync(t, addr, len, (i32)flags);
}

i64 sys_mincore(Task *t, u64 addr, u64 len, u64 vec)
{
    return mem_mincore(t, addr, len, vec);
}

i64 sys_mseal(Task *t, u64 addr, u64 len, u64 flags)
{
    return mem_seal(t, addr, len, flags);
}

i64 sys_mlock(Task *t, u64 addr, u64 len) { return mem_mlock(t, addr, len, 0); }

i64 sys_munlock(Task *t, u64 addr, u64 len) { return mem_munlock(t, addr, len); }

i64 sys_mlock2(Task *t, u64 addr, u64 len, u64 flags)
{
    return flags & ~(u64)MLOCK_ONFAULT ? -EINVAL : mem_mlock(t, addr, len, (i32)flags);
}

/* Locking everything would lock our own memory and count against the guest's limit;
 * nothing it could observe depends on it. */
i64 sys_mlockall(Task *t, u64 flags)
{
    bool known = !(flags & ~(u64)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));

    return flags && known ? 0 : -EINVAL;
}

i64 sys_shmat(Task *t, u64 id, u64 addr, u64 flags)
{
    return mem_shmat(t, (i32)id, addr, (i32)flags);
}

i64 sys_shmdt(Task *t, u64 addr) { return mem_shmdt(t, addr); }
