/* SPDX-License-Identifier: MIT */
/* What task.c shares with task_share.c. */
#ifndef TESSERA_TASK_H
#define TESSERA_TASK_H

#include <sched.h>
#include "user.h"

/* Flags that mean the same to the host's clone. */
#define CLONE_HOST_FLAGS                                                        \
    ((u64)(CLONE_FS | CLONE_FILES | CLONE_PTRACE | CLONE_PARENT | CLONE_NEWNS | \
           CLONE_SYSVSEM | CLONE_UNTRACED | CLONE_NEWCGROUP | CLONE_NEWUTS |    \
           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET) |        \
     (u32)CLONE_IO)

/* The registers of a clone. */
void task_inherit(Task *child, const Env *from, const CloneArgs *a);
/* A host thread that nobody joins, all signals blocked; 0 or an error. */
int task_thread_new(pthread_t *thread, size_t stack, void *(*fn)(void *), void *arg);
/* Blocks all signals in the host. */
void task_block_all(void);
/* CLONE_VM without CLONE_THREAD and CLONE_VFORK. */
i64 task_clone_shared(Task *t, const CloneArgs *a);

#endif
