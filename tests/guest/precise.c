/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run precise
 *
 * Faults in the middle of straight code: the handler must see every x and f register,
 * fcsr and pc exactly as the code before the faulting instruction left them, and what
 * it changes must be what the code goes on with. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "check.h"

enum { STEPS = 14, POINTER = 31 };

void run_steps(u64 **table); /* precise_steps.S */
extern const u64 step_pc[STEPS];

typedef struct Model {
    u64 x[32];
    double f[32];
    u64 flags;
} Model;

static u64 cell, bad_address;
static u64 *table[STEPS];
static volatile unsigned faults;

static void model_start(Model *m)
{
    memset(m, 0, sizeof(*m));
    for (int i = 0; i < 32; i++) {
        m->x[i] = i * 0x111;
        m->f[i] = i;
    }
}

static void model_grow(Model *m)
{
    m->x[5] += 1;
    m->x[10] += m->x[11];
    m->x[18] = (u64)(i64)(i32)(m->x[18] + m->x[5]);
    m->x[29] ^= 0x55;
    m->x[8] -= m->x[1];
    m->x[1] <<= 1;
    m->f[3] += m->f[1];
    m->f[20] *= m->f[2];
    m->f[31] -= m->f[10];
    m->x[12] += 3;
    m->x[14] = m->x[5];
}

/* What the step's access does to registers and the cell. */
static void model_touch(Model *m, int step, u64 *value)
{
    switch (step % 7) {
    case 0: m->x[POINTER] = *value; break;
    case 1: *value = (*value & ~0xffffffffull) | (u32)m->x[5]; break;
    case 2: memcpy(&m->f[7], value, 8); break;
    case 3:
        m->x[28] = *value;
        *value += m->x[5];
        break;
    case 4:
        *value = (*value & ~0xffull) | (m->x[10] & 0xff);
        m->f[4] = m->f[1] / m->f[3];
        m->flags |= m->f[4] * m->f[3] != m->f[1] || (u64)m->f[3] != 8;
        break;
    case 5: m->x[10] = *value & 0xffff; break;
    default: {
        u64 single = *value | 0xffffffff00000000;

        memcpy(&m->f[11], &single, 8);
        break;
    }
    }
}

/* The state just before the access of this step. */
static void model_before(Model *m, int step)
{
    u64 value = 0;

    model_start(m);
    for (int i = 0; i < step; i++) {
        model_grow(m);
        m->x[POINTER] = (u64)&cell;
        model_touch(m, i, &value);
    }
    model_grow(m);
    m->x[POINTER] = (u64)table[step];
    CHECK_EQ(cell, value);
}

static int step_at(u64 pc)
{
    for (int i = 0; i < STEPS; i++)
        if (step_pc[i] == pc)
            return i;
    return -1;
}

static void compare(const Model *m, const mcontext_t *mc)
{
    CHECK_EQ(mc->__gregs[1], m->x[1]);
    for (int i = 5; i < 32; i++) {
        if (i == 30)
            continue;
        if (mc->__gregs[i] != m->x[i])
            printf("x%d: ", i);
        CHECK_EQ(mc->__gregs[i], m->x[i]);
    }
    CHECK_EQ(mc->__gregs[30], &table);
    for (int i = 0; i < 32; i++) {
        u64 want;

        memcpy(&want, &m->f[i], 8);
        if (mc->__fpregs.__d.__f[i] != want)
            printf("f%d: ", i);
        CHECK_EQ(mc->__fpregs.__d.__f[i], want);
    }
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;
    int step = step_at(mc->__gregs[0]);
    Model m;

    faults++;
    CHECK_EQ(sig, SIGSEGV);
    CHECK_EQ(info->si_addr, bad_address);
    CHECK(step >= 0);
    if (step < 0)
        _Exit(1);
    model_before(&m, step);
    CHECK_EQ(mc->__fpregs.__d.__fcsr & ~1, 0);
    compare(&m, mc);
    mc->__gregs[POINTER] = (u64)&cell;
}

static void run_with_bad(u64 address, unsigned from, unsigned by)
{
    unsigned want = 0;

    bad_address = address;
    cell = 0;
    faults = 0;
    for (unsigned i = 0; i < STEPS; i++)
        table[i] = &cell;
    for (unsigned i = from; i < STEPS; i += by, want++)
        table[i] = (u64 *)address;
    run_steps(table);
    CHECK_EQ(faults, want);
}

int main(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    void *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sigaction(SIGSEGV, &act, NULL);
    for (unsigned step = 0; step < STEPS; step++)
        run_with_bad((u64)none, step, STEPS);
    run_with_bad((u64)none + 8, 0, 1);
    run_with_bad(0, 0, 1);
    run_with_bad(0x3ffffff000, 1, 2);
    for (int i = 0; i < 300; i++)
        run_with_bad((u64)none, i % STEPS, 3);
    return check_done("precise");
}
