/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run bpf
 *
 * Maps and programs of the host's kernel, where it allows them: values go in and come
 * out, the verifier's log arrives, a program runs; bad addresses and commands. */
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

#define BAD 0x10ul

static long bpf(int command, union bpf_attr *attr)
{
    return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static void check_map(void)
{
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_HASH,
                           .key_size = 4,
                           .value_size = 8,
                           .max_entries = 10};
    u32 key = 7, next = 0;
    u64 value = 0x123456789abcdef0, back = 0;
    int fd = (int)bpf(BPF_MAP_CREATE, &attr);

    CHECK(fd >= 0);
    attr = (union bpf_attr){.map_fd = (u32)fd, .key = (u64)&key, .value = (u64)&value};
    CHECK_EQ(bpf(BPF_MAP_UPDATE_ELEM, &attr), 0);
    CHECK_EQ(attr.key, (u64)&key); /* as it was */
    attr.value = (u64)&back;
    CHECK_EQ(bpf(BPF_MAP_LOOKUP_ELEM, &attr), 0);
    CHECK_EQ(back, value);
    attr.value = BAD;
    CHECK_ERR(bpf(BPF_MAP_LOOKUP_ELEM, &attr), EFAULT);
    attr.key = 0;
    attr.next_key = (u64)&next;
    CHECK_EQ(bpf(BPF_MAP_GET_NEXT_KEY, &attr), 0);
    CHECK_EQ(next, 7);
    attr.key = (u64)&key;
    attr.value = 0;
    CHECK_EQ(bpf(BPF_MAP_DELETE_ELEM, &attr), 0);
    CHECK_ERR(bpf(BPF_MAP_DELETE_ELEM, &attr), ENOENT);
    attr.key = BAD;
    CHECK_ERR(bpf(BPF_MAP_DELETE_ELEM, &attr), EFAULT);
    close(fd);
}

static long load(struct bpf_insn *insns, u32 n, char *log, u32 size)
{
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                           .insn_cnt = n,
                           .insns = (u64)insns,
                           .license = (u64) "GPL",
                           .log_level = 1,
                           .log_size = size,
                           .log_buf = (u64)log};

    return bpf(BPF_PROG_LOAD, &attr);
}

static void check_program(void)
{
    struct bpf_insn good[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 42},
                              {.code = BPF_JMP | BPF_EXIT}};
    static char log[65536];
    u8 packet[64] = {0};
    union bpf_attr attr;
    int fd = (int)load(good, 2, log, sizeof log);

    CHECK(fd >= 0);
    memset(&attr, 0, sizeof attr);
    attr.test.prog_fd = (u32)fd;
    attr.test.data_in = (u64)packet;
    attr.test.data_size_in = sizeof packet;
    CHECK_EQ(bpf(BPF_PROG_TEST_RUN, &attr), 0);
    CHECK_EQ(attr.test.retval, 42);
    close(fd);
    memset(log, 0, sizeof log);
    CHECK_EQ(load(good + 1, 1, log, sizeof log), -1); /* r0 was never set */
    CHECK(strstr(log, "R0") != NULL);
    CHECK_EQ(load((void *)BAD, 2, log, sizeof log), -1);
    CHECK_EQ(errno, EFAULT);
}

int main(void)
{
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
                           .key_size = 4,
                           .value_size = 4,
                           .max_entries = 1};
    u8 longer[sizeof attr + 8] = {0};
    static const union bpf_attr constant = {.map_type = BPF_MAP_TYPE_ARRAY,
                                            .key_size = 4,
                                            .value_size = 4,
                                            .max_entries = 1};
    long fd = bpf(BPF_MAP_CREATE, &attr);

    CHECK_ERR(syscall(SYS_bpf, BPF_MAP_CREATE, BAD, sizeof attr), EFAULT);
    if (fd < 0) {
        CHECK(errno == EPERM || errno == EFAULT || errno == ENOSYS);
    } else {
        close((int)fd);
        fd = bpf(BPF_MAP_CREATE, (union bpf_attr *)&constant); /* only read */
        CHECK(fd >= 0);
        close((int)fd);
        check_map();
        check_program();
        CHECK_ERR(bpf(12345, &attr), EINVAL);
        longer[sizeof longer - 1] = 1;
        CHECK_ERR(syscall(SYS_bpf, BPF_MAP_CREATE, longer, sizeof longer + 200), E2BIG);
    }
    return check_done("bpf");
}
