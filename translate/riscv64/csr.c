/* SPDX-License-Identifier: MIT */
/*
 * Control and status registers that a user-mode program sees: the floating-point
 * ones, which live in MXCSR, and the counters.  And the names of all of them.
 */
#include <stdio.h>
#include <time.h>
#include <xmmintrin.h>
#include <x86intrin.h>
#include "../../microops/ops.h"
#include "riscv64.h"

bool csr_writable(u32 number)
{
    return number == CSR_FFLAGS || number == CSR_FRM || number == CSR_FCSR;
}

bool csr_readable(u32 number)
{
    return csr_writable(number) || number == CSR_CYCLE || number == CSR_TIME ||
           number == CSR_INSTRET;
}

/* ---- fflags and MXCSR ---- */

enum { FRM_BITS = 7, FRM_SHIFT = 5 };
enum { MXCSR_DEFAULT = 0x1f80, MXCSR_RC_SHIFT = 13 };

/* fflags has the order of the ops' flags. */
static void set_fflags(Env *env, u64 flags)
{
    env->mxcsr &= ~(u32)F_FLAGS_MXCSR;
    env->mxcsr |= f_mxcsr_of_flags(flags);
}

/* ---- frm, MXCSR.RC and key_flags ---- */

static u64 key_flags_of(u32 frm)
{
    if (frm == RM_RMM)
        return FRM_AWAY;
    return frm <= RM_RUP ? FRM_HOST : FRM_INVALID;
}

/* Other code from here on: what the jump cache knows is of the old key. */
static void set_key_flags(Env *env, u64 flags)
{
    if ((env->key_flags & FRM_MASK) == flags)
        return;
    env->key_flags = (env->key_flags & ~(u64)FRM_MASK) | flags;
    if (env->mmu)
        mmu_enter(env, env->mmu->now->id, env->mmu->mode);
    else
        env_forget_jumps(env);
}

static void set_frm(Env *env, u32 frm)
{
    static const u8 host[] = {[RM_RNE] = 0, [RM_RTZ] = 3, [RM_RDN] = 1, [RM_RUP] = 2};
    u32 rc = frm <= RM_RUP ? host[frm] : 0;

    env->guest_state[STATE_FRM] = frm;
    env->mxcsr = (env->mxcsr & ~(3u << MXCSR_RC_SHIFT)) | rc << MXCSR_RC_SHIFT;
    set_key_flags(env, key_flags_of(frm));
}

u32 riscv64_fcsr(const Env *env)
{
    return (u32)env->guest_state[STATE_FRM] << FRM_SHIFT |
           (u32)f_flags_of_mxcsr(env->mxcsr);
}

void riscv64_set_fcsr(Env *env, u32 fcsr)
{
    env->mxcsr = MXCSR_DEFAULT;
    set_fflags(env, fcsr);
    set_frm(env, fcsr >> FRM_SHIFT & FRM_BITS);
}

/* ---- counters ---- */

static u64 read_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (u64)now.tv_sec * TIMEBASE_HZ +
           (u64)now.tv_nsec / (1000000000 / TIMEBASE_HZ);
}

u64 riscv64_counter(u32 number) { return number == CSR_TIME ? read_time() : __rdtsc(); }

/* ---- helpers: they run with the guest's MXCSR in the register.  fflags alone is
 * the ops' ---- */

u64 help_csr_read(Env *env, u64 number, u64 b, u64 c)
{
    env->mxcsr = _mm_getcsr();
    switch (number) {
    case CSR_FRM: return env->guest_state[STATE_FRM];
    case CSR_FCSR: return riscv64_fcsr(env);
    default: return env_clock(env, riscv64_counter((u32)number));
    }
}

u64 help_csr_write(Env *env, u64 number, u64 value, u64 c)
{
    env->mxcsr = _mm_getcsr();
    switch (number) {
    case CSR_FRM: set_frm(env, value & FRM_BITS); break;
    default: riscv64_set_fcsr(env, (u32)value); break;
    }
    _mm_setcsr(env->mxcsr);
    return 0;
}

/* ---- names ---- */

static const struct {
    u16 first, count, number;
    const char *name; /* #: a number */
} csr_names[] = {
#define CSR(n, name)                {n, 1, 0, name},
#define CSRS(n, count, start, name) {n, count, start, name},
#include "csr.def"
#undef CSR
#undef CSRS
};

bool csr_name(char *out, size_t size, u32 number)
{
    for (size_t i = 0; i < ARRAY_SIZE(csr_names); i++) {
        u32 at = number - csr_names[i].first;
        const char *name = csr_names[i].name, *mark = strchr(name, '#');

        if (at >= csr_names[i].count)
            continue;
        if (mark)
            snprintf(out, size, "%.*s%u%s", (int)(mark - name), name,
                     csr_names[i].number + at, mark + 1);
        else
            snprintf(out, size, "%s", name);
        return true;
    }
    return false;
}
