/* SPDX-License-Identifier: MIT */
/*
 * bpf: programs and maps are the host kernel's, and programs are in a language of their
 * own, so only the addresses in union bpf_attr are translated.  Commands whose answer
 * has addresses in it (BPF_OBJ_GET_INFO_BY_FD), batches and links are not there.
 */
#include <linux/bpf.h>
#include <string.h>
#include "sys.h"

enum { ADDRESSES_MOST = 6 };

/* An address in the attributes: where, and whether the kernel writes there. */
typedef struct Address {
    u8 end; /* behind it; 0: no such address */
    bool written;
} Address;

typedef struct Command {
    bool known;
    Address address[ADDRESSES_MOST];
} Command;

#define READ_(field)                                         \
    {                                                        \
        offsetof(union bpf_attr, field) + sizeof(u64), false \
    }
#define WRITTEN_(field)                                     \
    {                                                       \
        offsetof(union bpf_attr, field) + sizeof(u64), true \
    }
#define NONE_    \
    {            \
        0, false \
    }

static const Command commands[] = {
    [BPF_MAP_CREATE] = {true, {NONE_}},
    [BPF_MAP_LOOKUP_ELEM] = {true, {READ_(key), WRITTEN_(value)}},
    [BPF_MAP_UPDATE_ELEM] = {true, {READ_(key), READ_(value)}},
    [BPF_MAP_DELETE_ELEM] = {true, {READ_(key)}},
    [BPF_MAP_GET_NEXT_KEY] = {true, {READ_(key), WRITTEN_(next_key)}},
    [BPF_MAP_LOOKUP_AND_DELETE_ELEM] = {true, {READ_(key), WRITTEN_(value)}},
    [BPF_MAP_FREEZE] = {true, {NONE_}},
    [BPF_PROG_LOAD] = {true,
                       {READ_(insns), READ_(license), WRITTEN_(log_buf),
                        READ_(func_info), READ_(line_info), READ_(fd_array)}},
    [BPF_OBJ_PIN] = {true, {READ_(pathname)}},
    [BPF_OBJ_GET] = {true, {READ_(pathname)}},
    [BPF_PROG_ATTACH] = {true, {NONE_}},
    [BPF_PROG_DETACH] = {true, {NONE_}},
    [BPF_PROG_TEST_RUN] = {true,
                           {READ_(test.data_in), WRITTEN_(test.data_out),
                            READ_(test.ctx_in), WRITTEN_(test.ctx_out)}},
    [BPF_PROG_GET_NEXT_ID] = {true, {NONE_}},
    [BPF_MAP_GET_NEXT_ID] = {true, {NONE_}},
    [BPF_PROG_GET_FD_BY_ID] = {true, {NONE_}},
    [BPF_MAP_GET_FD_BY_ID] = {true, {NONE_}},
    [BPF_PROG_QUERY] = {true, {WRITTEN_(query.prog_ids)}},
    [BPF_RAW_TRACEPOINT_OPEN] = {true, {READ_(raw_tracepoint.name)}},
    [BPF_BTF_LOAD] = {true, {READ_(btf), WRITTEN_(btf_log_buf)}},
};

/* The kernel checks how long a buffer must be; we only see to it that it may write. */
static u64 translate(Task *t, u64 addr, bool written)
{
    if (addr && written)
        (void)guest_ptr(t, addr, guest_reach(t, addr, PAGE_SIZE, GUEST_WRITE),
                        GUEST_WRITE);
    return host_addr(t, addr);
}

/* As an older kernel does with attributes that it does not know. */
static i64 read_attr(Task *t, union bpf_attr *attr, u64 addr, u64 size)
{
    u8 rest;

    memset(attr, 0, sizeof *attr);
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (!guest_read(t, attr, addr, MIN(size, sizeof *attr)))
        return -EFAULT;
    for (u64 i = sizeof *attr; i < size; i++) {
        if (!GET(t, addr + i, &rest))
            return -EFAULT;
        if (rest)
            return -E2BIG;
    }
    return 0;
}

i64 sys_bpf(Task *t, u64 op, u64 addr, u64 size)
{
    u32 i = (u32)op;
    union bpf_attr attr, host;
    u64 used = MIN((u32)size, sizeof attr);
    i64 r = read_attr(t, &attr, addr, (u32)size);

    if (r < 0)
        return r;
    if (i >= ARRAY_SIZE(commands) || !commands[i].known) {
        sys_unimp("bpf %u", i);
        return -EINVAL;
    }
    host = attr;
    for (int k = 0; k < ADDRESSES_MOST && commands[i].address[k].end; k++) {
        const Address *a = &commands[i].address[k];
        u64 *at = (u64 *)((u8 *)&host + a->end - sizeof(u64));

        *at = translate(t, *at, a->written);
    }
    r = host_syscall(SYS_bpf, i, &host, used);
    for (int k = 0; k < ADDRESSES_MOST && commands[i].address[k].end; k++) {
        size_t from = commands[i].address[k].end - sizeof(u64);

        memcpy((u8 *)&host + from, (u8 *)&attr + from, sizeof(u64));
    }
    if (memcmp(&host, &attr, used) != 0 && !guest_write(t, addr, &host, used))
        return -EFAULT;
    return r;
}
