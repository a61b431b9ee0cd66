/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run locks
 *      GUEST_ARGS='--only peterson --ms 60000' tests/guest_run -m hot locks
 *
 * What programs build from AMO, LR/SC and fences: locks (by swap, by LR/SC, with
 * tickets, on a futex, Peterson's, which needs no atomic but a full fence), a seqlock,
 * a ring, a stack and a queue without locks.  Each keeps an invariant that a lost
 * update or a store seen too late breaks.
 */
#include <getopt.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { THREADS = 4, NODES = 16, RING = 16, BURST = 64 };

#define ME u64 me __attribute__((unused))

static volatile bool stop;
static u64 done[THREADS][8]; /* by each thread; a line of its own */

#define FENCE(p, s) __asm__ volatile("fence " #p ", " #s ::: "memory")

static u64 lr(volatile u64 *at)
{
    u64 v;

    __asm__ volatile("lr.d.aq %0, (%1)" : "=r"(v) : "r"(at) : "memory");
    return v;
}

/* False: not stored. */
static bool sc(volatile u64 *at, u64 v)
{
    u64 fail;

    __asm__ volatile("sc.d.rl %0, %1, (%2)" : "=&r"(fail) : "r"(v), "r"(at) : "memory");
    return !fail;
}

static u32 swap(volatile u32 *at, u32 v)
{
    u32 old;

    __asm__ volatile("amoswap.w.aqrl %0, %1, (%2)"
                     : "=r"(old)
                     : "r"(v), "r"(at)
                     : "memory");
    return old;
}

static u64 add(volatile u64 *at, u64 v)
{
    u64 old;

    __asm__ volatile("amoadd.d.aqrl %0, %1, (%2)"
                     : "=r"(old)
                     : "r"(v), "r"(at)
                     : "memory");
    return old;
}

static u32 cas32(volatile u32 *at, u32 want, u32 v)
{
    u32 old, fail;

    __asm__ volatile(
        "1: lr.w.aqrl %0, (%2)\n\tbne %0, %3, 2f\n\tsc.w.rl %1, %4, (%2)\n\t"
        "bnez %1, 1b\n2:"
        : "=&r"(old), "=&r"(fail)
        : "r"(at), "r"((i64)(i32)want), "r"(v)
        : "memory");
    return old;
}

/* Others may have to run before we can go on. */
static void relax(u32 *spins)
{
    if (++*spins % 64 == 0)
        sched_yield();
}

/* ---- locks ---- */

static struct {
    volatile u32 word __attribute__((aligned(64)));
    volatile u64 wide __attribute__((aligned(64)));
    volatile u64 next, serving __attribute__((aligned(64)));
    volatile u64 wants[2], turn __attribute__((aligned(64)));
} locks;

static void swap_lock(ME)
{
    for (u32 spins = 0; swap(&locks.word, 1);)
        relax(&spins);
}

static void swap_unlock(ME)
{
    __asm__ volatile("amoswap.w.rl zero, zero, (%0)" : : "r"(&locks.word) : "memory");
}

static void lrsc_lock(u64 me)
{
    for (u32 spins = 0; lr(&locks.wide) || !sc(&locks.wide, me + 1);)
        relax(&spins);
}

static void lrsc_unlock(ME)
{
    FENCE(rw, w);
    locks.wide = 0;
}

static void ticket_lock(ME)
{
    u64 mine = add(&locks.next, 1);

    for (u32 spins = 0; locks.serving != mine;)
        relax(&spins);
    FENCE(r, rw);
}

static void ticket_unlock(ME)
{
    FENCE(rw, w);
    locks.serving = locks.serving + 1;
}

/* 0 free, 1 taken, 2 taken and awaited. */
static void futex_lock(ME)
{
    u32 was = cas32(&locks.word, 0, 1);

    while (was) {
        if (was == 2 || cas32(&locks.word, 1, 2))
            syscall(SYS_futex, &locks.word, FUTEX_WAIT_PRIVATE, 2, NULL);
        was = cas32(&locks.word, 0, 2);
    }
}

static void futex_unlock(ME)
{
    if (swap(&locks.word, 0) == 2)
        syscall(SYS_futex, &locks.word, FUTEX_WAKE_PRIVATE, 1);
}

static void peterson_lock(u64 me)
{
    u64 other = me ^ 1;

    locks.wants[me] = 1;
    FENCE(w, w);
    locks.turn = other;
    FENCE(rw, rw);
    for (u32 spins = 0; locks.wants[other] && locks.turn == other;)
        relax(&spins);
    FENCE(r, rw);
}

static void peterson_unlock(u64 me)
{
    FENCE(rw, w);
    locks.wants[me] = 0;
}

static struct {
    volatile u64 a, inside, b __attribute__((aligned(64)));
} guarded;

typedef void LockFn(u64 me);

static void use_lock(u64 me, LockFn *lock, LockFn *unlock)
{
    lock(me);
    CHECK_EQ(guarded.inside, 0);
    guarded.inside = me + 1;
    CHECK_EQ(guarded.a, guarded.b);
    guarded.a = guarded.a + 1;
    guarded.b = guarded.b + 1;
    CHECK_EQ(guarded.inside, me + 1);
    guarded.inside = 0;
    unlock(me);
}

static void try_swap(u64 me) { use_lock(me, swap_lock, swap_unlock); }
static void try_lrsc(u64 me) { use_lock(me, lrsc_lock, lrsc_unlock); }
static void try_ticket(u64 me) { use_lock(me, ticket_lock, ticket_unlock); }
static void try_futex(u64 me) { use_lock(me, futex_lock, futex_unlock); }
static void try_peterson(u64 me) { use_lock(me, peterson_lock, peterson_unlock); }

static u64 total(void)
{
    u64 n = 0;

    for (int t = 0; t < THREADS; t++)
        n += done[t][0];
    return n;
}

static void check_guarded(void) { CHECK_EQ(guarded.a, total()); }

/* ---- a seqlock: one writer ---- */

static struct {
    volatile u64 seq __attribute__((aligned(64)));
    volatile u64 v[16] __attribute__((aligned(64)));
} notice;

static void write_notice(void)
{
    u64 seq = notice.seq;

    notice.seq = seq + 1;
    FENCE(w, w);
    for (int i = 0; i < 16; i += 5)
        notice.v[i] = seq;
    FENCE(w, w);
    notice.seq = seq + 2;
}

static void read_notice(void)
{
    u64 v[16], seq = notice.seq;

    FENCE(r, r);
    for (int i = 0; i < 16; i += 5)
        v[i] = notice.v[i];
    FENCE(r, r);
    if (seq & 1 || notice.seq != seq || !seq)
        return;
    for (int i = 0; i < 16; i += 5)
        CHECK_EQ(v[i], seq - 2);
}

static void try_seqlock(u64 me)
{
    if (me)
        read_notice();
    else
        write_notice();
}

static void check_seqlock(void) { CHECK_EQ(notice.seq, 2 * done[0][0]); }

/* ---- a ring from one thread to another ---- */

static struct {
    volatile u64 in __attribute__((aligned(64)));
    volatile u64 out __attribute__((aligned(64)));
    volatile u64 slot[RING] __attribute__((aligned(64)));
} ring;

static void try_ring(u64 me)
{
    u64 in = ring.in, out = ring.out;

    FENCE(r, rw);
    if (me == 0 && in - out < RING) {
        ring.slot[in % RING] = in * 3;
        FENCE(rw, w);
        ring.in = in + 1;
    } else if (me == 1 && in != out) {
        CHECK_EQ(ring.slot[out % RING], out * 3);
        FENCE(rw, w);
        ring.out = out + 1;
    } else {
        sched_yield();
    }
}

static void check_ring(void) { CHECK(ring.in - ring.out <= RING && ring.in > 0); }

/* ---- a stack and a queue of nodes; a link is a node's index and a count ---- */

typedef struct Node {
    volatile u64 next, owned;
} Node;

static Node nodes[NODES + 1];
static volatile u64 stack __attribute__((aligned(64)));
static volatile u64 head __attribute__((aligned(64)));
static volatile u64 tail __attribute__((aligned(64)));

static u32 index_of(u64 link) { return (u32)link; }
static u64 link_to(u64 old, u32 i) { return ((old >> 32) + 1) << 32 | i; }

static bool cas(volatile u64 *at, u64 want, u64 v)
{
    do {
        if (lr(at) != want)
            return false;
    } while (!sc(at, v));
    return true;
}

static void stack_push(u32 i)
{
    u64 old;

    do {
        old = stack;
        nodes[i].next = old & 0xffffffff;
        FENCE(rw, w);
    } while (!cas(&stack, old, link_to(old, i)));
}

static u32 stack_pop(void)
{
    for (;;) {
        u64 old = stack;

        FENCE(r, r);
        if (!index_of(old))
            return 0;
        if (cas(&stack, old, link_to(old, index_of(nodes[index_of(old)].next))))
            return index_of(old);
    }
}

static void own(u32 i)
{
    CHECK_EQ(add(&nodes[i].owned, 1), 0);
    CHECK_EQ(add(&nodes[i].owned, -1ul), 1);
}

static void try_stack(ME)
{
    u32 i = stack_pop();

    if (!i)
        return;
    own(i);
    stack_push(i);
}

static void start_stack(void)
{
    for (u32 i = 1; i <= NODES; i++)
        stack_push(i);
}

static void check_stack(void)
{
    u32 n = 0;

    while (stack_pop())
        n++;
    CHECK_EQ(n, NODES);
}

/* Michael and Scott's; its first node is a dummy. */
static void queue_put(u32 i)
{
    nodes[i].next = link_to(nodes[i].next, 0);
    FENCE(rw, w);
    for (;;) {
        u64 last = tail, next;

        FENCE(r, r);
        next = nodes[index_of(last)].next;
        FENCE(r, r);
        if (tail != last)
            continue;
        if (index_of(next)) {
            cas(&tail, last, link_to(last, index_of(next)));
        } else if (cas(&nodes[index_of(last)].next, next, link_to(next, i))) {
            cas(&tail, last, link_to(last, i));
            return;
        }
    }
}

static u32 queue_get(void)
{
    for (;;) {
        u64 first = head, last, next;

        FENCE(r, r);
        last = tail;
        FENCE(r, r);
        next = nodes[index_of(first)].next;
        FENCE(r, r);
        if (head != first)
            continue;
        if (index_of(first) == index_of(last)) {
            if (!index_of(next))
                return 0;
            cas(&tail, last, link_to(last, index_of(next)));
        } else if (cas(&head, first, link_to(first, index_of(next)))) {
            return index_of(first); /* the old dummy */
        }
    }
}

static void try_queue(ME)
{
    u32 i = queue_get();

    if (!i)
        return;
    own(i);
    queue_put(i);
}

static void start_queue(void)
{
    memset(nodes, 0, sizeof nodes);
    head = tail = 1;
    for (u32 i = 2; i <= NODES; i++)
        queue_put(i);
}

static void check_queue(void)
{
    u32 n = 0;

    while (queue_get())
        n++;
    CHECK_EQ(n, NODES - 1);
}

/* ---- running ---- */

typedef struct Trial {
    const char *name;
    u64 threads;
    void (*start)(void), (*step)(u64 me), (*end)(void);
} Trial;

static const Trial trials[] = {
    {"amoswap", 4, NULL, try_swap, check_guarded},
    {"lrsc", 4, NULL, try_lrsc, check_guarded},
    {"ticket", 3, NULL, try_ticket, check_guarded},
    {"futex", 4, NULL, try_futex, check_guarded},
    {"peterson", 2, NULL, try_peterson, check_guarded},
    {"seqlock", 3, NULL, try_seqlock, check_seqlock},
    {"ring", 2, NULL, try_ring, check_ring},
    {"stack", 4, start_stack, try_stack, check_stack},
    {"queue", 4, start_queue, try_queue, check_queue},
};

static const Trial *now;

static void *thread(void *arg)
{
    u64 me = (u64)arg;

    while (!stop)
        for (int i = 0; i < BURST; i++) {
            now->step(me);
            done[me][0]++;
        }
    return NULL;
}

static void run_trial(const Trial *t, u64 us)
{
    struct timespec sleep = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
    pthread_t threads[THREADS];
    unsigned failed = check_failed;

    now = t;
    stop = false;
    memset(done, 0, sizeof done);
    memset((void *)&guarded, 0, sizeof guarded);
    memset((void *)&locks, 0, sizeof locks);
    if (t->start)
        t->start();
    for (u64 i = 0; i < t->threads; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
    nanosleep(&sleep, NULL);
    stop = true;
    for (u64 i = 0; i < t->threads; i++)
        pthread_join(threads[i], NULL);
    t->end();
    printf("%-10s %9lu steps\n", t->name, total());
    if (check_failed != failed)
        printf(
            "  again: GUEST_ARGS='--only %s --ms 60000' tests/guest_run -v locks (in "
            "the same mode)\n",
            t->name);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"ms", 1, NULL, 'm'}, {"only", 1, NULL, 'o'}, {0}};
    u64 ms = 1800;
    const char *only = NULL;
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'm': ms = strtoul(optarg, NULL, 0); break;
        case 'o': only = optarg; break;
        default: return 2;
        }
    }
    for (size_t i = 0; i < COUNT(trials); i++)
        if (!only || !strcmp(only, trials[i].name))
            run_trial(&trials[i], only ? ms * 1000 : ms * 1000 / COUNT(trials));
    return check_done("locks");
}
