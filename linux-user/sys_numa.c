/* SPDX-License-Identifier: MIT */
/*
 * Memory policies.  A guest's page is a host's page, so the host's kernel places it;
 * only addresses and lists of addresses are moved into the window.
 */
#include <stdlib.h>
#include "sys.h"

enum { NODES_MOST = 4096, PAGES_AT_ONCE = 512 };

/* A policy for a range: nothing beyond what the guest has mapped. */
static i64 policy_range(Task *t, u64 addr, u64 len)
{
    if (addr & ~PAGE_MASK || addr + len < addr)
        return -EINVAL;
    return len && !mem_mapped(t->process->mem, addr, len) ? -EFAULT : 0;
}

i64 sys_mbind(Task *t, u64 addr, u64 len, u64 mode, u64 nodes, u64 n, u64 flags)
{
    i64 r = policy_range(t, addr, len);

    return r ? r
             : host_syscall(SYS_mbind, host_addr(t, addr), len, mode,
                            host_addr(t, nodes), n, flags);
}

i64 sys_set_mempolicy_home_node(Task *t, u64 addr, u64 len, u64 node, u64 flags)
{
    i64 r = policy_range(t, addr, len);

    return r ? r : host_syscall((long)t->sys.nr, host_addr(t, addr), len, node, flags);
}

i64 sys_get_mempolicy(Task *t, u64 mode, u64 nodes, u64 n, u64 addr, u64 flags)
{
    void *m, *set;

    if (n > NODES_MOST)
        return -EINVAL;
    if (!guest_opt(t, mode, sizeof(i32), GUEST_WRITE, &m) ||
        !guest_opt(t, nodes, align_up(n, 64) / 8, GUEST_WRITE, &set))
        return -EFAULT;
    return host_syscall(SYS_get_mempolicy, m, set, n, host_addr(t, addr), flags);
}

/* Some of the pages; the statuses say what became of each. */
static i64 move_some(Task *t, const u64 *a, u64 first, u64 n)
{
    u64 pages[PAGES_AT_ONCE];
    void *nodes, *status = guest_ptr(t, a[4] + 4 * first, 4 * n, GUEST_WRITE);

    if (!status || !guest_read(t, pages, a[2] + 8 * first, 8 * n) ||
        !guest_opt(t, a[3] ? a[3] + 4 * first : 0, 4 * n, GUEST_READ, &nodes))
        return -EFAULT;
    for (u64 i = 0; i < n; i++)
        pages[i] = host_addr(t, pages[i]);
    return host_syscall(SYS_move_pages, a[0], n, pages, nodes, status, a[5]);
}

/* Another process's window may lie elsewhere, so only our own pages can be named. */
i64 sys_move_pages(Task *t, u64 pid, u64 n, u64 pages, u64 nodes, u64 status, u64 flags)
{
    const u64 a[6] = {pid, n, pages, nodes, status, flags};
    i64 failed = 0, r;

    if ((i32)pid && (i32)pid != host_syscall(SYS_getpid))
        return -EPERM;
    for (u64 i = 0; i < n; i += PAGES_AT_ONCE) {
        r = move_some(t, a, i, MIN(n - i, (u64)PAGES_AT_ONCE));
        if (r < 0)
            return r;
        failed += r;
    }
    return failed;
}
