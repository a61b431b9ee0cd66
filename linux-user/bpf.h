/* SPDX-License-Identifier: MIT */
/* Classic BPF as seccomp uses it: checking programs and running them. */
#ifndef TESSERA_BPF_H
#define TESSERA_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include "user.h"

enum { BPF_PROGRAM_LONGEST = BPF_MAXINSNS };

/* Would the kernel take it: known instructions only, jumps within it, loads of aligned
 * words of seccomp_data, a return at its end?  What it takes ends. */
bool bpf_check(const struct sock_filter *program, size_t n);
/* Runs a program that bpf_check has taken. */
u32 bpf_run(const struct sock_filter *program, const struct seccomp_data *data);

#endif
