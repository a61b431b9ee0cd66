/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run atomics
 *
 * LR/SC and AMOs: meanings alone, then between threads: counters, locks, a stack that
 * must not suffer from ABA, message passing, store buffering. */
#include <pthread.h>
#include <sched.h>
#include "check.h"

enum { THREADS = 4, ROUNDS = 20000 };

#define AMO(op, T)                                                                    \
    static u64 do_##op(void *at, u64 v)                                               \
    {                                                                                 \
        u64 old;                                                                      \
                                                                                      \
        __asm__ volatile(T " %0, %1, (%2)" : "=r"(old) : "r"(v), "r"(at) : "memory"); \
        return old;                                                                   \
    }
#define AMO_BOTH(op)                 \
    AMO(op##_w, "amo" #op ".w.aqrl") \
    AMO(op##_d, "amo" #op ".d")
AMO_BOTH(swap)
AMO_BOTH(add)
AMO_BOTH(and)
AMO_BOTH(or)
AMO_BOTH(xor) AMO_BOTH(min) AMO_BOTH(max) AMO_BOTH(minu) AMO_BOTH(maxu)

    static u64 sext(u64 v)
{
    return (u64)(i64)(i32)v;
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static void check_amo_pair(u64 a, u64 b)
{
    u64 mem, old;

#define TRY(fn, start, want_old, want) \
    mem = start;                       \
    old = fn(&mem, b);                 \
    CHECK_EQ(old, want_old);           \
    CHECK_EQ(mem, want);
#define LOW(v) ((a & 0xffffffff00000000) | (u32)(v))
    TRY(do_swap_d, a, a, b)
    TRY(do_add_d, a, a, a + b)
    TRY(do_and_d, a, a, a & b)
    TRY(do_or_d, a, a, a | b)
    TRY(do_xor_d, a, a, a ^ b)
    TRY(do_min_d, a, a, (u64)MIN((i64)a, (i64)b))
    TRY(do_max_d, a, a, (u64)MAX((i64)a, (i64)b))
    TRY(do_minu_d, a, a, MIN(a, b))
    TRY(do_maxu_d, a, a, MAX(a, b))
    TRY(do_swap_w, a, sext(a), LOW(b))
    TRY(do_add_w, a, sext(a), LOW(a + b))
    TRY(do_and_w, a, sext(a), LOW(a & b))
    TRY(do_or_w, a, sext(a), LOW(a | b))
    TRY(do_xor_w, a, sext(a), LOW(a ^ b))
    TRY(do_min_w, a, sext(a), LOW(MIN((i32)a, (i32)b)))
    TRY(do_max_w, a, sext(a), LOW(MAX((i32)a, (i32)b)))
    TRY(do_minu_w, a, sext(a), LOW(MIN((u32)a, (u32)b)))
    TRY(do_maxu_w, a, sext(a), LOW(MAX((u32)a, (u32)b)))
#undef TRY
#undef LOW
}

static void check_amos(void)
{
    static const u64 v[] = {0,
                            1,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            0x8000000000000000,
                            0x7fffffffffffffff,
                            0xffffffffffffffff,
                            0x123456789abcdef0};

    for (size_t i = 0; i < COUNT(v); i++)
        for (size_t j = 0; j < COUNT(v); j++)
            check_amo_pair(v[i], v[j]);
}

static u64 lr_d(u64 *at)
{
    u64 v;

    __asm__ volatile("lr.d.aq %0, (%1)" : "=r"(v) : "r"(at) : "memory");
    return v;
}

static u64 sc_d(u64 *at, u64 v)
{
    u64 fail;

    __asm__ volatile("sc.d.rl %0, %1, (%2)" : "=r"(fail) : "r"(v), "r"(at) : "memory");
    return fail;
}

static void check_reservation(void)
{
    u64 cell = 5, other = 9, fail, old;

    __asm__ volatile("lr.d %0, (%2)\n\tsc.d %1, %3, (%2)"
                     : "=&r"(old), "=&r"(fail)
                     : "r"(&cell), "r"(6ul)
                     : "memory");
    CHECK_EQ(old, 5);
    CHECK_EQ(fail, 0);
    CHECK_EQ(cell, 6);
    CHECK(sc_d(&cell, 7) != 0); /* no reservation any more */
    CHECK_EQ(cell, 6);
    lr_d(&other);
    CHECK(sc_d(&cell, 8) != 0); /* of another address */
    CHECK_EQ(cell, 6);
    __asm__ volatile("lr.w %0, (%2)\n\tsc.w %1, %3, (%2)"
                     : "=&r"(old), "=&r"(fail)
                     : "r"(&cell), "r"(0x80000000ul)
                     : "memory");
    CHECK_EQ(old, 6);
    CHECK_EQ(fail, 0);
    CHECK_EQ(cell, 0x80000000);
}

static struct {
    u64 amo, lrsc, locked, word_lock __attribute__((aligned(64)));
} shared;

static void add_by_lrsc(u64 *at, u64 n)
{
    __asm__ volatile("1: lr.d t0, (%0)\n\tadd t0, t0, %1\n\tsc.d t1, t0, (%0)\n\t"
                     "bnez t1, 1b"
                     :
                     : "r"(at), "r"(n)
                     : "t0", "t1", "memory");
}

static void lock(u64 *at)
{
    for (int spins = 0;; spins++) {
        u32 was;

        __asm__ volatile("amoswap.w.aq %0, %1, (%2)"
                         : "=r"(was)
                         : "r"(1), "r"(at)
                         : "memory");
        if (!was)
            return;
        if (spins % 100 == 99)
            sched_yield();
    }
}

static void unlock(u64 *at)
{
    __asm__ volatile("amoswap.w.rl zero, zero, (%0)" : : "r"(at) : "memory");
}

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        do_add_d(&shared.amo, 1);
        add_by_lrsc(&shared.lrsc, 3);
        lock(&shared.word_lock);
        shared.locked += 2;
        unlock(&shared.word_lock);
    }
    return NULL;
}

static void run_threads(void *(*fn)(void *), int n)
{
    pthread_t t[THREADS];

    for (i64 i = 0; i < n; i++)
        CHECK_EQ(pthread_create(&t[i], NULL, fn, (void *)i), 0);
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

static void check_counters(void)
{
    run_threads(count, THREADS);
    CHECK_EQ(shared.amo, THREADS * ROUNDS);
    CHECK_EQ(shared.lrsc, 3 * THREADS * ROUNDS);
    CHECK_EQ(shared.locked, 2 * THREADS * ROUNDS);
}

/* A free list of nodes; head holds index + 1 and a counter that defeats ABA. */
enum { NODES = 8 };
static u32 next_of[NODES + 1];
static u64 head;
static u32 owners[NODES + 1], clashes;

static u32 pop(void)
{
    for (;;) {
        u64 h = lr_d(&head);
        u32 i = (u32)h;

        if (!i)
            return 0;
        if (!sc_d(&head, ((h >> 32) + 1) << 32 | __atomic_load_n(&next_of[i], 5)))
            return i;
    }
}

static void push(u32 i)
{
    u64 h, to;

    do {
        h = __atomic_load_n(&head, __ATOMIC_SEQ_CST);
        __atomic_store_n(&next_of[i], (u32)h, __ATOMIC_SEQ_CST);
        to = ((h >> 32) + 1) << 32 | i;
    } while (!__atomic_compare_exchange_n(&head, &h, to, 0, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
}

static void *churn(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        u32 n = pop();

        if (!n)
            continue;
        if (__atomic_add_fetch(&owners[n], 1, __ATOMIC_SEQ_CST) != 1)
            __atomic_add_fetch(&clashes, 1, __ATOMIC_SEQ_CST);
        __atomic_sub_fetch(&owners[n], 1, __ATOMIC_SEQ_CST);
        push(n);
    }
    return NULL;
}

static void check_free_list(void)
{
    u32 seen = 0;

    for (u32 i = 1; i <= NODES; i++)
        push(i);
    run_threads(churn, THREADS);
    CHECK_EQ(clashes, 0);
    while (pop())
        seen++;
    CHECK_EQ(seen, NODES);
}

/* Litmus tests: two threads in step; the forbidden outcome must not appear. */
static volatile u64 x, y, r0, r1;
static pthread_barrier_t gate;
static int forbidden;

static void *store_buffer(void *arg)
{
    u64 me = (u64)arg;

    for (int i = 0; i < 3000; i++) {
        pthread_barrier_wait(&gate);
        if (me) {
            x = 1;
            __asm__ volatile("fence rw, rw" ::: "memory");
            r0 = y;
        } else {
            y = 1;
            __asm__ volatile("fence rw, rw" ::: "memory");
            r1 = x;
        }
        pthread_barrier_wait(&gate);
        if (me) {
            forbidden += r0 == 0 && r1 == 0;
            x = y = 0;
        }
    }
    return NULL;
}

static volatile u64 data[64], flag;

static void *message(void *arg)
{
    if (arg) {
        for (u64 i = 1; i <= ROUNDS; i++) {
            data[i % 64] = i;
            __asm__ volatile("fence w, w" ::: "memory");
            flag = i;
        }
        return NULL;
    }
    for (u64 got = 0; got < ROUNDS;) {
        got = flag;
        __asm__ volatile("fence r, r" ::: "memory");
        if (got && data[got % 64] < got)
            forbidden++;
        sched_yield();
    }
    return NULL;
}

static void check_litmus(void)
{
    pthread_barrier_init(&gate, NULL, 2);
    run_threads(store_buffer, 2);
    CHECK_EQ(forbidden, 0);
    run_threads(message, 2);
    CHECK_EQ(forbidden, 0);
}

int main(void)
{
    check_amos();
    check_reservation();
    check_counters();
    check_free_list();
    check_litmus();
    return check_done("atomics");
}
