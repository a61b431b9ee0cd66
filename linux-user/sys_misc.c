/* SPDX-License-Identifier: MIT */
/*
 * What fits nowhere else: uname, capabilities, and the calls by which a RISC-V
 * program asks about its processor.
 */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include "sys.h"

i64 sys_uname(Task *t, u64 addr)
{
    struct utsname u;

    uname(&u);
    snprintf(u.machine, sizeof u.machine, "%s", t->process->abi->machine);
    return PUT(t, addr, &u) ? 0 : -EFAULT;
}

/* ---- capabilities: how much data there is, the header's version says ---- */

static i64 cap_call(Task *t, long nr, u64 header, u64 data, GuestAccess access)
{
    struct __user_cap_header_struct *h = guest_ptr(t, header, sizeof *h, GUEST_WRITE);
    u64 n = h && h->version == _LINUX_CAPABILITY_VERSION_1 ? _LINUX_CAPABILITY_U32S_1
                                                           : _LINUX_CAPABILITY_U32S_3;
    void *d;

    if (!h ||
        !guest_opt(t, data, n * sizeof(struct __user_cap_data_struct), access, &d))
        return -EFAULT;
    return host_syscall(nr, h, d);
}

i64 sys_capget(Task *t, u64 header, u64 data)
{
    return cap_call(t, SYS_capget, header, data, GUEST_WRITE);
}

i64 sys_capset(Task *t, u64 header, u64 data)
{
    return cap_call(t, SYS_capset, header, data, GUEST_READ);
}

/* ---- the processor ---- */

enum { HWPROBE_WHICH_CPUS = 1, HWPROBE_PAIRS_MAX = 4096 };

typedef struct HwProbe {
    i64 key;
    u64 value;
} HwProbe;

static void hwprobe_fill(Task *t, HwProbe *pair)
{
    const Process *p = t->process;

    if (!p->abi->hwprobe || !p->abi->hwprobe(p, pair->key, &pair->value))
        *pair = (HwProbe){-1, 0};
}

/* All cpus are alike.  WHICH_CPUS: the set is emptied unless the pairs hold. */
static bool hwprobe_holds(Task *t, const HwProbe *pair)
{
    HwProbe have = {pair->key, 0};

    hwprobe_fill(t, &have);
    if (have.key == -1)
        return false;
    return have.value == pair->value || (have.value & pair->value) == pair->value;
}

i64 sys_riscv_hwprobe(Task *t, u64 addr, u64 n, u64 cpu_size, u64 cpus, u64 flags)
{
    bool which = flags == HWPROBE_WHICH_CPUS, hold = true;
    HwProbe *pair;
    void *set;

    if (flags & ~(u64)HWPROBE_WHICH_CPUS || (which && (!cpus || !cpu_size)))
        return -EINVAL;
    if (!cpus != !cpu_size)
        return -EINVAL;
    if (n > HWPROBE_PAIRS_MAX || cpu_size > PAGE_SIZE)
        return -EINVAL;
    pair = guest_ptr(t, addr, n * sizeof *pair, GUEST_WRITE);
    if (!pair || !guest_opt(t, cpus, cpu_size, which ? GUEST_WRITE : GUEST_READ, &set))
        return -EFAULT;
    for (u64 i = 0; i < n; i++) {
        if (which)
            hold &= hwprobe_holds(t, &pair[i]);
        else
            hwprobe_fill(t, &pair[i]);
    }
    if (which && !hold)
        memset(set, 0, cpu_size);
    return 0;
}

/* Flags: bit 0, only the calling thread.  Dropping for all is right for both. */
i64 sys_riscv_flush_icache(Task *t, u64 start, u64 end, u64 flags)
{
    if (flags & ~1ull)
        return -EINVAL;
    cache_fence_i(t->process->cache);
    return 0;
}
