/* SPDX-License-Identifier: MIT */
/* Children whose exit status says of their own checks. */
#ifndef GUEST_CHILD_H
#define GUEST_CHILD_H

#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static inline pid_t checking_child(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        check_failed = 0;
    return pid;
}

/* The wait status of one that runs it. */
static inline int in_child(void (*run)(void))
{
    int status = -1;
    pid_t pid = checking_child();

    if (pid == 0) {
        run();
        fflush(stdout);
        _exit(check_failed != 0);
    }
    waitpid(pid, &status, 0);
    return status;
}

#endif
