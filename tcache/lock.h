/* SPDX-License-Identifier: MIT */
/*
 * A lock whose one word is also its owner, so that it can be told at any time whether
 * somebody who was killed had it: processes that share memory may be, one by one.  A
 * process that runs on a thread's TLS locks as that thread.  When that is no more, all
 * its process was killed, and who wants the lock then ends as well.
 */
#ifndef TESSERA_LOCK_H
#define TESSERA_LOCK_H

#include "../microops/base.h"

typedef struct Lock Lock;
struct Lock {
    _Atomic u32 word; /* the owner's tid, LOCK_WAITERS; 0: free */
    /* Called again and again by who waits; NULL: no need to. */
    void (*_Atomic impatient)(const Lock *l);
};

/* Before a thread lends its TLS to a process. */
void lock_know_self(void);
void lock_take(Lock *l);
void lock_leave(Lock *l);
/* Has the calling thread got it? */
bool lock_is_mine(const Lock *l);
/* Wakes who waits: whoever left it may have been killed before that. */
void lock_wake(Lock *l);
/* In a forked child: nobody has it, and we are another thread. */
void lock_renew(Lock *l);

#endif
