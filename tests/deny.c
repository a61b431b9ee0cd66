/* SPDX-License-Identifier: MIT */
/*
 * Runs a command on a host that forbids executable memory: a seccomp filter refuses
 * each mmap and mprotect with PROT_EXEC, by EACCES or (first argument "eperm") EPERM;
 * "wx": only with PROT_WRITE as well.  Only a static program can begin under it.
 * "numbers": instead, system calls that no kernel has are refused, as containers do.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A system call's number, and the low half of its third argument. */
#define NUMBER offsetof(struct seccomp_data, nr)
#define PROT   offsetof(struct seccomp_data, args[2])

static int install(struct sock_filter *filter, unsigned n)
{
    struct sock_fprog program = {(unsigned short)n, filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int deny_numbers(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(filter, sizeof filter / sizeof *filter);
}

static int deny(unsigned error, int prot)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pkey_mprotect, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, PROT),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, prot),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, prot, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    return install(filter, sizeof filter / sizeof *filter);
}

int main(int argc, char **argv)
{
    const char *what = argc < 3 ? "" : argv[1];
    int prot = strcmp(what, "wx") ? PROT_EXEC : PROT_EXEC | PROT_WRITE;
    int numbers = !strcmp(what, "numbers");

    if (argc < 3)
        return 2;
    if (numbers ? deny_numbers() : deny(strcmp(what, "eperm") ? EACCES : EPERM, prot)) {
        perror("seccomp");
        return 77;
    }
    if (!numbers && mmap(NULL, 4096, PROT_READ | prot, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                         0) != MAP_FAILED)
        return 1;
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
