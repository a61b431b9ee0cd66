/* SPDX-License-Identifier: MIT */
/* Locks by futex(2). */
#include "lock.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_TID = 0x3fffffff,
    SPINS = 100,
    LOOK_AGAIN_NS = 100000000,
    IMPATIENT_NS = 1000000,
};
#define LOCK_WAITERS (1u << 31)

static __thread u32 own_tid;

static u32 self(void)
{
    if (UNLIKELY(!own_tid))
        own_tid = (u32)gettid();
    return own_tid;
}

static bool is_dead(u32 tid)
{
    return syscall(SYS_tkill, tid, 0) < 0 && errno == ESRCH;
}

/* With a waiter's mark from then on: others may be waiting, too. */
static void take_slowly(Lock *l)
{
    struct timespec again = {0, LOOK_AGAIN_NS};
    void (*impatient)(const Lock *l) = l->impatient;
    u32 word = l->word;

    if (UNLIKELY(impatient != NULL))
        again.tv_nsec = IMPATIENT_NS;
    for (;;) {
        if (!word) {
            if (atomic_compare_exchange_strong(&l->word, &word, self() | LOCK_WAITERS))
                return;
            continue;
        }
        if (is_dead(word & LOCK_TID) &&
            l->word == word) /* it did not end after leaving */
            _exit(128 + SIGKILL);
        if (!(word & LOCK_WAITERS) &&
            !atomic_compare_exchange_strong(&l->word, &word, word | LOCK_WAITERS))
            continue;
        if (syscall(SYS_futex, &l->word, FUTEX_WAIT, word | LOCK_WAITERS, &again, NULL,
                    0) < 0 &&
            errno == ETIMEDOUT && impatient)
            impatient(l);
        word = l->word;
    }
}

void lock_know_self(void) { self(); }

void lock_take(Lock *l)
{
    for (u32 i = 0; i < SPINS; i++) {
        u32 free = 0;

        if (LIKELY(atomic_compare_exchange_strong(&l->word, &free, self())))
            return;
        __builtin_ia32_pause();
    }
    take_slowly(l);
}

void lock_wake(Lock *l)
{
    syscall(SYS_futex, &l->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void lock_leave(Lock *l)
{
    if (atomic_exchange(&l->word, 0) & LOCK_WAITERS)
        syscall(SYS_futex, &l->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool lock_is_mine(const Lock *l) { return (l->word & LOCK_TID) == self(); }

void lock_renew(Lock *l)
{
    own_tid = 0;
    l->word = 0;
}
