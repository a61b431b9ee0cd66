/* SPDX-License-Identifier: MIT */
/*
 * Keys, security modules, performance events: one number serves many operations, and
 * the operation says which arguments are addresses.
 */
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include "sys.h"

/* ---- keys: each operation is passed through as a call of its own would be ---- */

#define W(word) KIND_##word
#define KEYS(n, ...)                                                                \
    {                                                                               \
        "keyctl", SYS_PASS, n, {W(int), __VA_ARGS__}, false, SYS_keyctl, NULL, NULL \
    }

static const SysDesc key_calls[] = {
    [KEYCTL_GET_KEYRING_ID] = KEYS(3, W(int), W(int)),
    [KEYCTL_JOIN_SESSION_KEYRING] = KEYS(2, W(str)),
    [KEYCTL_UPDATE] = KEYS(4, W(int), W(in_buf), W(size)),
    [KEYCTL_REVOKE] = KEYS(2, W(int)),
    [KEYCTL_CHOWN] = KEYS(4, W(int), W(int), W(int)),
    [KEYCTL_SETPERM] = KEYS(3, W(int), W(hex)),
    [KEYCTL_DESCRIBE] = KEYS(4, W(int), W(out_buf), W(size)),
    [KEYCTL_CLEAR] = KEYS(2, W(int)),
    [KEYCTL_LINK] = KEYS(3, W(int), W(int)),
    [KEYCTL_UNLINK] = KEYS(3, W(int), W(int)),
    [KEYCTL_SEARCH] = KEYS(5, W(int), W(str), W(str), W(int)),
    [KEYCTL_READ] = KEYS(4, W(int), W(out_buf), W(size)),
    [KEYCTL_INSTANTIATE] = KEYS(5, W(int), W(in_buf), W(size), W(int)),
    [KEYCTL_NEGATE] = KEYS(4, W(int), W(uint), W(int)),
    [KEYCTL_SET_REQKEY_KEYRING] = KEYS(2, W(int)),
    [KEYCTL_SET_TIMEOUT] = KEYS(3, W(int), W(uint)),
    [KEYCTL_ASSUME_AUTHORITY] = KEYS(2, W(int)),
    [KEYCTL_GET_SECURITY] = KEYS(4, W(int), W(out_buf), W(size)),
    [KEYCTL_SESSION_TO_PARENT] = KEYS(1, W(int)),
    [KEYCTL_REJECT] = KEYS(5, W(int), W(uint), W(uint), W(int)),
    [KEYCTL_INVALIDATE] = KEYS(2, W(int)),
    [KEYCTL_GET_PERSISTENT] = KEYS(3, W(int), W(int)),
    [KEYCTL_RESTRICT_KEYRING] = KEYS(4, W(int), W(str), W(str)),
    [KEYCTL_MOVE] = KEYS(5, W(int), W(int), W(int), W(hex)),
    [KEYCTL_CAPABILITIES] = KEYS(3, W(out_buf), W(size)),
};

i64 sys_keyctl(Task *t, u64 op, u64 a, u64 b, u64 c, u64 d)
{
    u32 i = (u32)op;

    if (i >= ARRAY_SIZE(key_calls) || !key_calls[i].name) {
        sys_unimp("keyctl %u", i);
        return -EOPNOTSUPP;
    }
    return sys_pass(t, &key_calls[i], (u64[6]){op, a, b, c, d});
}

/* ---- security modules: a list, and how long it may be ---- */

static i64 lsm_list(Task *t, const u64 *a, u64 list, u64 size_addr, int at)
{
    u64 h[4] = {a[0], a[1], a[2], a[3]};
    void *out;
    u32 size;

    if (!GET(t, size_addr, &size) || !guest_opt(t, list, size, GUEST_WRITE, &out))
        return -EFAULT;
    h[at] = (u64)out;
    h[at + 1] = (u64)guest_ptr(t, size_addr, sizeof size, GUEST_WRITE);
    return h[at + 1] ? host_syscall((long)t->sys.nr, h[0], h[1], h[2], h[3]) : -EFAULT;
}

i64 sys_lsm_get_self_attr(Task *t, u64 attr, u64 list, u64 size, u64 flags)
{
    return lsm_list(t, (u64[4]){attr, 0, 0, flags}, list, size, 1);
}

i64 sys_lsm_list_modules(Task *t, u64 list, u64 size, u64 flags)
{
    return lsm_list(t, (u64[4]){0, 0, flags}, list, size, 0);
}

/* ---- performance events ---- */

/* The counts are of our code for the guest's; breakpoints would be at our addresses. */
i64 sys_perf_event_open(Task *t, u64 attr, u64 pid, u64 cpu, u64 group, u64 flags)
{
    u32 type;

    if (!GET(t, attr, &type))
        return -EFAULT;
    if (type == PERF_TYPE_BREAKPOINT)
        return -EOPNOTSUPP;
    return host_syscall(SYS_perf_event_open, host_addr(t, attr), pid, cpu, group,
                        flags);
}
