/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run litmus
 *      GUEST_ARGS='--only SB+fence --seed 7 --ms 60000' tests/guest_run -m hot litmus
 *
 * Litmus tests: a few threads run a few instructions on the same words, again and
 * again, slightly in step.  Outcomes that RVWMO forbids must never appear; those that
 * it allows are counted, and so show whether the threads meet at all.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include "check.h"

enum { THREADS = 4, BATCH = 1024, SPINS = 200, DELAYS = 16 };

/* x, y and z begin as 0, n as -1; each has a cache line. */
typedef struct Cell {
    u64 v, rest[7];
} Cell;

typedef struct Outcome {
    u64 a[THREADS], b[THREADS], x, y, z, n;
} Outcome;

typedef void Body(Cell *at, u64 *r, u64 bit);

typedef enum Verdict {
    FORBIDDEN,
    ALLOWED,
    KNOWN, /* forbidden, and we do not hold it: SC compares values */
} Verdict;

typedef struct Litmus {
    const char *name;
    Verdict verdict;
    Body *body[THREADS];
    bool (*weak)(const Outcome *o);
} Litmus;

/* ---- what the threads run ---- */
/* clang-format off */

#define UNUSED __attribute__((unused))
#define CODE(name, text, X, Y)                                                    \
    static UNUSED void name(Cell *at, u64 *r, u64 bit)                            \
    {                                                                             \
        u64 a = 0, b = 0;                                                         \
                                                                                  \
        __asm__ volatile(                                                         \
            text                                                                  \
            : [a] "+&r"(a), [b] "+&r"(b)                                          \
            : [x] "r"(&at[X]), [y] "r"(&at[Y]), [z] "r"(&at[2]), [n] "r"(&at[3]), \
              [one] "r"(1ul), [two] "r"(2ul), [bit] "r"(bit), [others] "r"(~bit)  \
            : "t0", "t1", "t2", "memory");                                        \
        r[0] = a;                                                                 \
        r[1] = b;                                                                 \
    }

/* Of both widths; name_m: with x and y exchanged. */
#define BODY(name, TEXT)              \
    CODE(name##_d, TEXT("d"), 0, 1)   \
    CODE(name##_w, TEXT("w"), 0, 1)   \
    CODE(name##_m_d, TEXT("d"), 1, 0) \
    CODE(name##_m_w, TEXT("w"), 1, 0)

#define ST(w, v, at)         "s" w " %[" v "], (%[" at "])\n"
#define LD(w, r, at)         "l" w " %[" r "], (%[" at "])\n"
#define AMO(w, op, r, v, at) "amo" op " " r ", %[" v "], (%[" at "])\n"
#define FENCE(p, s)          "fence " p ", " s "\n"
#define TSO                  "fence.tso\n"
/* Loads b (or stores one) at an address (or of a value) that depends on a. */
#define LD_ADDR(w, at) "xor t0, %[a], %[a]\nadd t0, t0, %[" at "]\nl" w " %[b], (t0)\n"
#define ST_DATA(w, at) \
    "xor t0, %[a], %[a]\nadd t0, t0, %[one]\ns" w " t0, (%[" at "])\n"
#define ST_CTRL(w, at) "bnez %[a], 1f\n1: " ST(w, "one", at)
#define SC_LOOP(w, lr, sc, v, at)                                             \
    "1: lr." w lr " t0, (%[" at "])\nsc." w sc " t1, %[" v "], (%[" at "])\n" \
    "bnez t1, 1b\n"

#define SB(w)       ST(w, "one", "x") LD(w, "a", "y")
#define SB_FENCE(w) ST(w, "one", "x") FENCE("rw", "rw") LD(w, "a", "y")
#define SB_WR(w)    ST(w, "one", "x") FENCE("w", "r") LD(w, "a", "y")
#define SB_TSO(w)   ST(w, "one", "x") TSO LD(w, "a", "y")
#define SB_AMO(w)   AMO(w, "swap." w, "zero", "one", "x") LD(w, "a", "y")
#define SB_AQ(w)    AMO(w, "add." w ".aq", "zero", "one", "x") LD(w, "a", "y")
#define SB_AQRL(w)  AMO(w, "swap." w ".aqrl", "zero", "one", "x") LD(w, "a", "y")
#define SB_RL(w)    ST(w, "one", "x") "amoor." w ".rl %[a], zero, (%[y])\n"
#define SB_LRSC(w) \
    SC_LOOP(w, ".aqrl", ".aqrl", "one", "x") "lr." w ".aqrl %[a], (%[y])\n"
BODY(sb, SB) BODY(sb_fence, SB_FENCE) BODY(sb_wr, SB_WR) BODY(sb_tso, SB_TSO)
BODY(sb_amo, SB_AMO) BODY(sb_aq, SB_AQ) BODY(sb_aqrl, SB_AQRL) BODY(sb_rl, SB_RL)
BODY(sb_lrsc, SB_LRSC)

#define W1(w)       ST(w, "one", "x")
#define W2(w)       ST(w, "two", "x")
#define WW(w)       ST(w, "one", "x") ST(w, "one", "y")
#define WW_FENCE(w) ST(w, "one", "x") FENCE("w", "w") ST(w, "one", "y")
#define WW_FULL(w)  ST(w, "one", "x") FENCE("rw", "rw") ST(w, "one", "y")
#define WW_TSO(w)   ST(w, "one", "x") TSO ST(w, "one", "y")
#define WW_RL(w)    ST(w, "one", "x") AMO(w, "swap." w ".rl", "zero", "one", "y")
#define WW_LRSC(w)  ST(w, "one", "x") SC_LOOP(w, "", ".rl", "one", "y")
#define RR(w)       LD(w, "a", "y") LD(w, "b", "x")
#define RR_FENCE(w) LD(w, "a", "y") FENCE("r", "r") LD(w, "b", "x")
#define RR_FULL(w)  LD(w, "a", "y") FENCE("r", "rw") LD(w, "b", "x")
#define RR_TSO(w)   LD(w, "a", "y") TSO LD(w, "b", "x")
#define RR_ADDR(w)  LD(w, "a", "y") LD_ADDR(w, "x")
#define RR_AQ(w)    "amoor." w ".aq %[a], zero, (%[y])\n" LD(w, "b", "x")
#define RR_LRAQ(w)  "lr." w ".aq %[a], (%[y])\n" LD(w, "b", "x")
BODY(w1, W1) BODY(w2, W2) BODY(ww, WW) BODY(ww_fence, WW_FENCE) BODY(ww_full, WW_FULL)
BODY(ww_tso, WW_TSO) BODY(ww_rl, WW_RL) BODY(ww_lrsc, WW_LRSC) BODY(rr, RR)
BODY(rr_fence, RR_FENCE) BODY(rr_full, RR_FULL) BODY(rr_tso, RR_TSO)
BODY(rr_addr, RR_ADDR) BODY(rr_aq, RR_AQ) BODY(rr_lraq, RR_LRAQ)

#define RW(w)       LD(w, "a", "y") ST(w, "one", "x")
#define RW_FENCE(w) LD(w, "a", "y") FENCE("r", "w") ST(w, "one", "x")
#define RW_TSO(w)   LD(w, "a", "y") TSO ST(w, "one", "x")
#define RW_DATA(w)  LD(w, "a", "y") ST_DATA(w, "x")
#define RW_CTRL(w)  LD(w, "a", "y") ST_CTRL(w, "x")
#define RW_AQ(w)    "amoor." w ".aq %[a], zero, (%[y])\n" ST(w, "one", "x")
#define RW_RL(w)    LD(w, "a", "y") AMO(w, "swap." w ".rl", "zero", "one", "x")
#define RW_LRSC(w)  "lr." w ".aq %[a], (%[y])\n" SC_LOOP(w, "", ".rl", "one", "x")
BODY(rw, RW) BODY(rw_fence, RW_FENCE) BODY(rw_tso, RW_TSO) BODY(rw_data, RW_DATA)
BODY(rw_ctrl, RW_CTRL) BODY(rw_aq, RW_AQ) BODY(rw_rl, RW_RL) BODY(rw_lrsc, RW_LRSC)

#define W12(w)       ST(w, "one", "x") ST(w, "two", "y")
#define W12_FENCE(w) ST(w, "one", "x") FENCE("w", "w") ST(w, "two", "y")
#define W12_RL(w)    ST(w, "one", "x") AMO(w, "swap." w ".rl", "zero", "two", "y")
#define W21_FENCE(w) ST(w, "two", "x") FENCE("w", "w") ST(w, "one", "y")
#define R_READ(w)    ST(w, "two", "y") LD(w, "a", "x")
#define R_READ_F(w)  ST(w, "two", "y") FENCE("rw", "rw") LD(w, "a", "x")
BODY(w12, W12) BODY(w12_fence, W12_FENCE) BODY(w12_rl, W12_RL)
BODY(w21_fence, W21_FENCE) BODY(r_read, R_READ) BODY(r_read_f, R_READ_F)

#define CO_RR(w) LD(w, "a", "x") LD(w, "b", "x")
#define CO_WR(w) ST(w, "one", "x") LD(w, "a", "x")
#define CO_RW(w) LD(w, "a", "x") ST(w, "one", "x")
#define CO_WW(w) ST(w, "one", "x") ST(w, "two", "x")
BODY(co_rr, CO_RR) BODY(co_wr, CO_WR) BODY(co_rw, CO_RW) BODY(co_ww, CO_WW)

#define TO_Z(w)   LD(w, "a", "y") FENCE("r", "w") ST(w, "one", "z")
#define FROM_Z(w) LD(w, "a", "z") FENCE("r", "r") LD(w, "b", "x")
#define SB_YZ(w)  ST(w, "one", "y") FENCE("rw", "rw") LD(w, "a", "z")
#define SB_ZX(w)  ST(w, "one", "z") FENCE("rw", "rw") LD(w, "a", "x")
BODY(to_z, TO_Z) BODY(from_z, FROM_Z) BODY(sb_yz, SB_YZ) BODY(sb_zx, SB_ZX)

/* Each thread has a bit of its own, which nobody else may lose. */
#define AMO_ADD(w)  AMO(w, "add." w, "%[a]", "bit", "x")
#define AMO_SWAP(w) AMO(w, "swap." w, "%[a]", "bit", "x")
#define AMO_OR(w)   AMO(w, "or." w, "%[a]", "bit", "x")
#define AMO_XOR(w)  AMO(w, "xor." w, "%[a]", "bit", "x")
#define AMO_AND(w)  AMO(w, "and." w, "%[a]", "others", "n")
#define AMO_MAX(w) \
    AMO(w, "max." w, "%[a]", "bit", "x") AMO(w, "maxu." w, "%[b]", "bit", "y")
#define AMO_MIN(w) \
    AMO(w, "min." w, "%[a]", "others", "x") AMO(w, "minu." w, "%[b]", "bit", "n")
BODY(amo_add, AMO_ADD) BODY(amo_swap, AMO_SWAP) BODY(amo_or, AMO_OR)
BODY(amo_xor, AMO_XOR) BODY(amo_and, AMO_AND) BODY(amo_max, AMO_MAX)
BODY(amo_min, AMO_MIN)

#define LRSC_ADD(w) \
    "lr." w " %[a], (%[x])\nadd t0, %[a], %[bit]\nsc." w " %[b], t0, (%[x])\n"
#define LRSC_ONE(w)  "lr." w " %[a], (%[x])\nsc." w " %[b], %[one], (%[x])\n"
#define LRSC_AWAY(w) "lr." w " %[a], (%[x])\nsc." w " %[b], %[one], (%[y])\n"
/* Between LR and SC: z, still 0, then after a while y, 1.  b: z, y and SC's result. */
#define LRSC_ABA(w) \
    "lr." w " %[a], (%[x])\n" FENCE("r", "r") "l" w " t1, (%[z])\n" FENCE("r", "r") \
    "li t0, 500\n1: l" w " t2, (%[y])\naddi t0, t0, -1\nbeqz t0, 2f\nbeqz t2, 1b\n" \
    "2: " FENCE("rw", "rw") "sc." w " t0, %[one], (%[x])\n" \
    "slli t2, t2, 1\nslli t0, t0, 2\nor %[b], t1, t2\nor %[b], %[b], t0\n"
#define ABA_RIVAL(w) \
    ST(w, "one", "z") FENCE("w", "w") ST(w, "two", "x") FENCE("w", "w") \
    "s" w " zero, (%[x])\n" FENCE("w", "w") ST(w, "one", "y")
BODY(lrsc_add, LRSC_ADD) BODY(lrsc_one, LRSC_ONE) BODY(lrsc_away, LRSC_AWAY)
BODY(lrsc_aba, LRSC_ABA) BODY(aba_rival, ABA_RIVAL)

/* ---- outcomes ---- */

#define SEEN(name, condition) static bool name(const Outcome *o) { return condition; }
#define A(i) o->a[i]
#define B(i) o->b[i]
SEEN(sb_seen, A(0) == 0 && A(1) == 0)
SEEN(sb3_seen, A(0) == 0 && A(1) == 0 && A(2) == 0)
SEEN(mp_seen, A(1) == 1 && B(1) == 0)
SEEN(lb_seen, A(0) == 1 && A(1) == 1)
SEEN(s_seen, A(1) == 1 && o->x == 2)
SEEN(r_seen, o->y == 2 && A(1) == 0)
SEEN(w22_seen, o->x == 1 && o->y == 1)
SEEN(corr_seen, A(1) == 1 && B(1) == 0)
SEEN(corr2_seen, (A(2) ^ B(2)) == 3 && A(3) == B(2) && B(3) == A(2))
SEEN(cowr_seen, A(0) == 0 || (A(0) == 2 && o->x == 1))
SEEN(corw_seen, A(0) == 1 || (A(0) == 2 && o->x == 2))
SEEN(coww_seen, o->x == 1 || B(1) < A(1))
SEEN(wrc_seen, A(1) == 1 && A(2) == 1 && B(2) == 0)
SEEN(rwc_seen, A(1) == 1 && B(1) == 0 && A(2) == 0)
SEEN(iriw_seen, A(2) == 1 && B(2) == 0 && A(3) == 1 && B(3) == 0)
SEEN(bits_lost, o->x != 15)
SEEN(swap_lost, A(0) + A(1) + A(2) + A(3) + o->x != 15)
SEEN(and_lost, (u32)o->n != ~15u)
SEEN(max_lost, o->x != 8 || o->y != 8)
SEEN(min_lost, (i32)o->x != ~8 || (u32)o->n != 1)
SEEN(lrsc_lost, o->x != !B(0) + 2ul * !B(1) + 4ul * !B(2) + 8ul * !B(3))
SEEN(store_lost, A(0) == 0 && B(0) == 0 && o->x == 1)
SEEN(amo_lost, o->x != 14ul + !B(0))
SEEN(away_seen, B(0) == 0 || B(1) == 0 || o->y)
SEEN(aba_seen, A(0) == 0 && B(0) == 2)
/* clang-format on */

/* ---- the tests ---- */

#define TWO(name, verdict, seen, p, q)           \
    {name ".d", verdict, {p##_d, q##_d}, seen},  \
    {                                            \
        name ".w", verdict, {p##_w, q##_w}, seen \
    }
#define THREE(name, verdict, seen, p, q, s)             \
    {name ".d", verdict, {p##_d, q##_d, s##_d}, seen},  \
    {                                                   \
        name ".w", verdict, {p##_w, q##_w, s##_w}, seen \
    }
#define FOUR(name, verdict, seen, p, q, s, t)                  \
    {name ".d", verdict, {p##_d, q##_d, s##_d, t##_d}, seen},  \
    {                                                          \
        name ".w", verdict, {p##_w, q##_w, s##_w, t##_w}, seen \
    }
#define BOTH(name, verdict, seen, p) TWO(name, verdict, seen, p, p##_m)
#define ALL(name, seen, p)           FOUR(name, FORBIDDEN, seen, p, p, p, p)

                                                                                            static const
    Litmus tests[] = {
        BOTH("SB", ALLOWED, sb_seen, sb),
        BOTH("SB+fence.tso", ALLOWED, sb_seen, sb_tso),
        BOTH("SB+amoswap", ALLOWED, sb_seen, sb_amo),
        BOTH("SB+fence.rw.rw", FORBIDDEN, sb_seen, sb_fence),
        BOTH("SB+fence.w.r", FORBIDDEN, sb_seen, sb_wr),
        BOTH("SB+amoadd.aq", FORBIDDEN, sb_seen, sb_aq),
        BOTH("SB+amoswap.aqrl", FORBIDDEN, sb_seen, sb_aqrl),
        BOTH("SB+amoor.rl", FORBIDDEN, sb_seen, sb_rl),
        BOTH("SB+lrsc.aqrl", FORBIDDEN, sb_seen, sb_lrsc),
        TWO("SB+fence+amo", FORBIDDEN, sb_seen, sb_fence, sb_aqrl_m),
        THREE("3.SB+fences", FORBIDDEN, sb3_seen, sb_fence, sb_yz, sb_zx),
        TWO("MP", ALLOWED, mp_seen, ww, rr),
        TWO("MP+fence.w.w+fence.r.r", FORBIDDEN, mp_seen, ww_fence, rr_fence),
        TWO("MP+fence.rw.rw+fence.r.rw", FORBIDDEN, mp_seen, ww_full, rr_full),
        TWO("MP+fence.tso", FORBIDDEN, mp_seen, ww_tso, rr_tso),
        TWO("MP+fence.w.w+addr", FORBIDDEN, mp_seen, ww_fence, rr_addr),
        TWO("MP+amoswap.rl+amoor.aq", FORBIDDEN, mp_seen, ww_rl, rr_aq),
        TWO("MP+sc.rl+lr.aq", FORBIDDEN, mp_seen, ww_lrsc, rr_lraq),
        BOTH("LB", ALLOWED, lb_seen, rw),
        BOTH("LB+fence.r.w", FORBIDDEN, lb_seen, rw_fence),
        BOTH("LB+fence.tso", FORBIDDEN, lb_seen, rw_tso),
        BOTH("LB+data", FORBIDDEN, lb_seen, rw_data),
        BOTH("LB+ctrl", FORBIDDEN, lb_seen, rw_ctrl),
        BOTH("LB+amo.aq", FORBIDDEN, lb_seen, rw_aq),
        BOTH("LB+amo.rl", FORBIDDEN, lb_seen, rw_rl),
        BOTH("LB+lr.aq+sc.rl", FORBIDDEN, lb_seen, rw_lrsc),
        TWO("S+fence.w.w+fence.r.w", FORBIDDEN, s_seen, w21_fence, rw_fence),
        TWO("S+fence.w.w+data", FORBIDDEN, s_seen, w21_fence, rw_data),
        TWO("R", ALLOWED, r_seen, ww, r_read),
        TWO("R+fence.rw.rw", FORBIDDEN, r_seen, ww_full, r_read_f),
        BOTH("2+2W", ALLOWED, w22_seen, w12),
        BOTH("2+2W+fence.w.w", FORBIDDEN, w22_seen, w12_fence),
        BOTH("2+2W+amoswap.rl", FORBIDDEN, w22_seen, w12_rl),
        TWO("CoRR", FORBIDDEN, corr_seen, w1, co_rr),
        FOUR("CoRR2", FORBIDDEN, corr2_seen, w1, w2, co_rr, co_rr),
        TWO("CoWR", FORBIDDEN, cowr_seen, co_wr, w2),
        TWO("CoRW", FORBIDDEN, corw_seen, co_rw, w2),
        TWO("CoWW", FORBIDDEN, coww_seen, co_ww, co_rr),
        THREE("WRC+fences", FORBIDDEN, wrc_seen, w1, rw_fence_m, rr_fence),
        THREE("WRC+data+addr", FORBIDDEN, wrc_seen, w1, rw_data_m, rr_addr),
        THREE("WRC+aq+rl", FORBIDDEN, wrc_seen, w1, rw_aq_m, rr_aq),
        THREE("ISA2+fences", FORBIDDEN, wrc_seen, ww_fence, to_z, from_z),
        THREE("RWC+fences", FORBIDDEN, rwc_seen, w1, rr_fence_m, sb_fence_m),
        FOUR("IRIW", ALLOWED, iriw_seen, w1, w1_m, rr_m, rr),
        FOUR("IRIW+fence.r.r", FORBIDDEN, iriw_seen, w1, w1_m, rr_fence_m, rr_fence),
        FOUR("IRIW+addr", FORBIDDEN, iriw_seen, w1, w1_m, rr_addr_m, rr_addr),
        FOUR("IRIW+aq", FORBIDDEN, iriw_seen, w1, w1_m, rr_aq_m, rr_aq),
        ALL("amoadd", bits_lost, amo_add),
        ALL("amoswap", swap_lost, amo_swap),
        ALL("amoor", bits_lost, amo_or),
        ALL("amoxor", bits_lost, amo_xor),
        ALL("amoand", and_lost, amo_and),
        ALL("amomax(u)", max_lost, amo_max),
        ALL("amomin(u)", min_lost, amo_min),
        ALL("LR-SC", lrsc_lost, lrsc_add),
        TWO("LR-SC+store", FORBIDDEN, store_lost, lrsc_one, w2),
        FOUR("LR-SC+amo", FORBIDDEN, amo_lost, lrsc_add, amo_or, amo_or, amo_or),
        BOTH("LR-SC+elsewhere", FORBIDDEN, away_seen, lrsc_away),
        TWO("LR-SC+ABA", KNOWN, aba_seen, lrsc_aba, aba_rival),
};

/* ---- running ---- */

static Cell cells[BATCH][4] __attribute__((aligned(64)));
static u64 results[THREADS][BATCH][2] __attribute__((aligned(64)));
static struct {
    volatile u64 at;
    u64 rest[7];
} progress[THREADS] __attribute__((aligned(64)));
static pthread_barrier_t gate;
static const Litmus *volatile current; /* NULL: the end */
static u64 seed = 1, batches;

static int threads_of(const Litmus *l)
{
    int n = 0;

    while (n < THREADS && l->body[n])
        n++;
    return n;
}

/* Waits for the others, but not for long: they may not be running. */
static void meet(int me, int n, u64 at)
{
    progress[me].at = at;
    for (int i = 0; i < n; i++)
        for (int spins = 0; progress[i].at < at && spins < SPINS; spins++)
            ;
}

static void run_batch(const Litmus *l, int me, int n)
{
    u64 state = seed * 0x9e3779b97f4a7c15 + (batches << 8) + (u64)me + 1;

    for (int i = 0; i < BATCH; i++) {
        meet(me, n, (u64)i + 1);
        for (u64 delay = random_next(&state) % DELAYS; delay; delay--)
            __asm__ volatile("" ::: "memory");
        l->body[me](cells[i], results[me][i], 1ul << me);
    }
}

/* Threads on the same processor meet only when it is taken from one of them. */
static void keep_apart(int me)
{
    cpu_set_t may, mine;
    int n;

    if (sched_getaffinity(0, sizeof may, &may) || !(n = CPU_COUNT(&may)))
        return;
    CPU_ZERO(&mine);
    for (int cpu = 0, left = me % n; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &may) && left-- == 0)
            CPU_SET(cpu, &mine);
    sched_setaffinity(0, sizeof mine, &mine);
}

static void *thread(void *arg)
{
    int me = (int)(u64)arg;

    keep_apart(me);
    for (;;) {
        const Litmus *l;

        pthread_barrier_wait(&gate);
        l = current;
        if (!l)
            return NULL;
        if (me < threads_of(l))
            run_batch(l, me, threads_of(l));
        pthread_barrier_wait(&gate);
    }
}

static Outcome outcome(int i)
{
    Outcome o = {.x = cells[i][0].v, cells[i][1].v, cells[i][2].v, cells[i][3].v};

    for (int t = 0; t < THREADS; t++) {
        o.a[t] = results[t][i][0];
        o.b[t] = results[t][i][1];
    }
    return o;
}

static void clear(void)
{
    memset(cells, 0, sizeof cells);
    memset(results, 0, sizeof results);
    for (int i = 0; i < BATCH; i++)
        cells[i][3].v = ~0ul;
    for (int t = 0; t < THREADS; t++)
        progress[t].at = 0;
}

static u64 now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

static void report(const Litmus *l, u64 runs, u64 weak, const Outcome *o)
{
    static const char *const words[] = {"FORBIDDEN", "allowed", "known"};

    printf("%-28s %8lu runs", l->name, runs);
    if (weak)
        printf(", %lu weak (%s)", weak, words[l->verdict]);
    printf("\n");
    check_that(l->verdict != FORBIDDEN || !weak, l->name, __FILE__, __LINE__);
    if (!weak || l->verdict != FORBIDDEN)
        return;
    for (int t = 0; t < threads_of(l); t++)
        printf("  thread %d: a=%lu b=%lu\n", t, o->a[t], o->b[t]);
    printf("  x=%lu y=%lu z=%lu n=%ld\n", o->x, o->y, o->z, (i64)o->n);
    printf("  again: GUEST_ARGS='--only %s --seed %lu --ms 60000' tests/guest_run -v "
           "litmus (in the same mode)\n",
           l->name, seed);
}

static void run_test(const Litmus *l, u64 us)
{
    u64 end = now_us() + us, runs = 0, weak = 0;
    Outcome shown = {0};

    current = l;
    do {
        clear();
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        batches++;
        runs += BATCH;
        for (int i = 0; i < BATCH; i++) {
            Outcome o = outcome(i);

            if (l->weak(&o) && weak++ == 0)
                shown = o;
        }
    } while (now_us() < end);
    report(l, runs, weak, &shown);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'}, {"ms", 1, NULL, 'm'}, {"only", 1, NULL, 'o'}, {0}};
    u64 ms = 2000, n = 0;
    const char *only = "";
    pthread_t threads[THREADS];
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 's': seed = strtoul(optarg, NULL, 0); break;
        case 'm': ms = strtoul(optarg, NULL, 0); break;
        case 'o': only = optarg; break;
        default: return 2;
        }
    }
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (u64 t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, thread, (void *)t);
    for (size_t i = 0; i < COUNT(tests); i++)
        n += !strncmp(tests[i].name, only, strlen(only));
    for (size_t i = 0; i < COUNT(tests); i++)
        if (!strncmp(tests[i].name, only, strlen(only)))
            run_test(&tests[i], ms * 1000 / n);
    current = NULL;
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    CHECK(n > 0);
    return check_done("litmus");
}
