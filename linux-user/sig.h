/* SPDX-License-Identifier: MIT */
/* What signal.c shares with signal_calls.c and signal_die.c. */
#ifndef TESSERA_SIG_H
#define TESSERA_SIG_H

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "user.h"

#define BIT_(sig) (1ull << ((sig)-1))
/* Generated code raises these: the host can neither block nor default them. */
#define FAULT_SIGNALS (BIT_(SIGSEGV) | BIT_(SIGBUS) | BIT_(SIGFPE) | BIT_(SIGILL))
#define UNBLOCKABLE   (BIT_(SIGKILL) | BIT_(SIGSTOP))

enum { SIGRTMIN_KERNEL = 32 };

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

/* The thread's mask in the host, but for fault signals. */
void signal_host_mask(u64 mask);
/* The guest's mask and the host's. */
void signal_set_mask(Task *t, u64 mask);
/* Is a signal in the queue that this mask lets through?  Takes one out. */
bool signal_queued(const Task *t, u64 mask);
bool signal_dequeue(Task *t, u64 mask, siginfo_t *out);
/* After a change of mask or queue. */
void signal_update(Task *t);
/* As if the host's handler had put it there. */
void signal_enqueue(Task *t, int sig, const siginfo_t *info);
/* The saved mask becomes the guest's again, if there is one. */
void signal_restore_mask(Task *t);
/* The host's handlers for faults. */
void signal_init_faults(void);
/* Mirrors an action in the host. */
void signal_host_action(const Process *p, int sig, const SigAction *a);
/* libc has just made its first thread, and with it taken a signal for itself. */
void signal_reclaim(Task *t);
/* The action in force; signal_lock is held. */
SigAction *signal_action_of(Process *p, int sig);
/* Ends the process by a signal of the guest's; a fault is explained in one line,
 * why: what more there is to say, or NULL. */
_Noreturn void signal_die_of(Task *t, const siginfo_t *info, const char *why);
/* A fault of our own: says where and dies. */
_Noreturn void signal_bug(int sig, const siginfo_t *info, const ucontext_t *context);

#endif
