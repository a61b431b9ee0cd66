/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run storm
 *
 * A timer's signals at any time: the registers that the handler sees must be those of
 * the pc it sees.  In each turn of a loop every counter grows by one, in the order of
 * the registers, so at the loop's k-th instruction the first k are one ahead. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>
#include "check.h"

enum { STEP_INSNS = 18, TURNS = 20000000, SIGNALS = 200, STEP_US = 300 };

/* Turns the loop that often; returns x5. */
u64 storm_turns(u64 turns);
extern const char storm_loop[], storm_end[];

/* Which counter each instruction of the loop makes greater: x or f (32 + number). */
static const u8 counter[STEP_INSNS] = {
    5,  6,       10, 32 + 1, 11, 28,     32 + 10, 12, 18,
    13, 32 + 20, 14, 31,     15, 32 + 8, 9,       16, 30,
};

static volatile unsigned long seen, inside;

static u64 value_of(const mcontext_t *mc, int r)
{
    double d;

    if (r < 32)
        return mc->__gregs[r];
    memcpy(&d, &mc->__fpregs.__d.__f[r - 32], 8);
    return (u64)d;
}

/* One of the last instructions may not have been executed: the branch. */
static void compare(const mcontext_t *mc, unsigned long k)
{
    u64 last = value_of(mc, counter[STEP_INSNS - 1]);

    if (k > STEP_INSNS) /* beyond the counters all are the same */
        k = 0;
    for (unsigned long i = 0; i + 1 < STEP_INSNS; i++) {
        u64 want = last + (i < k && k < STEP_INSNS);

        if (value_of(mc, counter[i]) != want)
            printf("instruction %lu, register %d: ", k, counter[i]);
        CHECK_EQ(value_of(mc, counter[i]), want);
    }
}

static void on_timer(int sig, siginfo_t *info, void *context)
{
    mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;
    u64 pc = mc->__gregs[REG_PC];

    (void)sig;
    (void)info;
    seen++;
    if (pc < (u64)storm_loop || pc >= (u64)storm_end)
        return;
    inside++;
    compare(mc, (pc - (u64)storm_loop) / 4);
}

/* Neither compressed nor relaxed: each instruction has 4 bytes. */
__asm__(".pushsection .text\n"
        ".option push\n"
        ".option norvc\n"
        ".globl storm_turns, storm_loop, storm_end\n"
        "storm_turns:\n"
        "    addi sp, sp, -48\n"
        "    sd s0, 0(sp)\n"
        "    sd s1, 8(sp)\n"
        "    sd s2, 16(sp)\n"
        "    fsd fs0, 24(sp)\n"
        "    fsd fs4, 32(sp)\n"
        "    mv x29, a0\n"
        "    .irp r, 5,6,10,11,28,12,18,13,14,31,15,9,16,30\n"
        "    li x\\r, 0\n"
        "    .endr\n"
        "    .irp r, 1,10,20,8\n"
        "    fmv.d.x f\\r, zero\n"
        "    .endr\n"
        "    li x7, 1\n"
        "    fcvt.d.l f0, x7\n"
        "storm_loop:\n"
        "    addi x5, x5, 1\n"
        "    addi x6, x6, 1\n"
        "    add x10, x10, x7\n"
        "    fadd.d f1, f1, f0\n"
        "    addi x11, x11, 1\n"
        "    addi x28, x28, 1\n"
        "    fadd.d f10, f10, f0\n"
        "    addi x12, x12, 1\n"
        "    addi x18, x18, 1\n"
        "    addiw x13, x13, 1\n"
        "    fadd.d f20, f20, f0\n"
        "    addi x14, x14, 1\n"
        "    addi x31, x31, 1\n"
        "    sub x15, x6, x0\n"
        "    fadd.d f8, f8, f0\n"
        "    addi x9, x9, 1\n"
        "    addi x16, x16, 1\n"
        "    addi x30, x30, 1\n"
        "    blt x30, x29, storm_loop\n"
        "storm_end:\n"
        "    mv a0, x5\n"
        "    ld s0, 0(sp)\n"
        "    ld s1, 8(sp)\n"
        "    ld s2, 16(sp)\n"
        "    fld fs0, 24(sp)\n"
        "    fld fs4, 32(sp)\n"
        "    addi sp, sp, 48\n"
        "    ret\n"
        ".option pop\n"
        ".popsection\n");

int main(void)
{
    const struct itimerval every = {{0, STEP_US}, {0, STEP_US}}, never = {0};
    struct sigaction act = {.sa_sigaction = on_timer,
                            .sa_flags = SA_SIGINFO | SA_RESTART};

    CHECK_EQ(sigaction(SIGALRM, &act, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &every, NULL), 0);
    for (u64 turns = 1000; inside < SIGNALS && turns <= TURNS; turns *= 2)
        CHECK_EQ(storm_turns(turns), turns);
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK(inside > 0);
    return check_done("storm");
}
