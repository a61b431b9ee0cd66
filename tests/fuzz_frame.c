/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz frame
 *
 * A signal frame of any content: rt_sigreturn must refuse it or take it, and a frame
 * built from the registers it leaves must bring the same registers back.
 */
#include <sys/mman.h>
#include "../translate/riscv64/riscv64.h"
#include "fuzz_task.h"

enum { STACK = 0x100000, STACK_SIZE = 0x4000 };

static Task *task;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    task = fuzz_task();
    if (mem_mmap(task, STACK, STACK_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != STACK)
        abort();
    return 0;
}

static void check_state(const Env *env)
{
    fuzz_demand(env->pc % 2 == 0, "pc %llx", (unsigned long long)env->pc);
    fuzz_demand((env->mxcsr & ~0xe03fu) == 0x1f80 || (env->mxcsr & 0x1f80) == 0x1f80,
                "MXCSR %x: an exception is not masked", env->mxcsr);
    fuzz_demand(!(env->mxcsr & ~0xffffu), "MXCSR %x", env->mxcsr);
    fuzz_demand(env->g[0] == 0, "x0 is not 0");
    fuzz_demand(env->res_addr == ~0ull, "a reservation is left");
    fuzz_demand(env->key_flags <= FRM_INVALID && env->guest_state[STATE_FRM] < 8,
                "flags %llx", (unsigned long long)env->key_flags);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const SigAction action = {.handler = 0x123457};
    const siginfo_t info = {.si_signo = SIGUSR1};
    Env *env = task->env;
    SigStack stack = {0};
    u64 mask = 0, at = 0, g[ENV_GLOBALS], pc;
    u32 fcsr;
    u8 frame[2048];

    fuzz_take(&data, &size, &at, 2);
    fuzz_take(&data, &size, frame, sizeof frame);
    guest_write(task, STACK + STACK_SIZE / 2, frame, sizeof frame);
    /* mostly where the frame is; else across the end, or nowhere */
    env->g[X_SP] = at & 1 ? STACK + at * 8 % (STACK_SIZE + 64) : STACK + STACK_SIZE / 2;
    if (!abi_riscv64.pop_frame(task, &mask, &stack))
        return 0;
    check_state(env);
    memcpy(g, env->g, sizeof g);
    pc = env->pc;
    fcsr = riscv64_fcsr(env);
    if (!abi_riscv64.push_frame(task, &action, &info, mask, STACK + STACK_SIZE))
        abort();
    check_state(env);
    fuzz_demand(env->pc == 0x123456, "pc %llx", (unsigned long long)env->pc);
    if (!abi_riscv64.pop_frame(task, &mask, &stack))
        abort();
    fuzz_demand(!memcmp(g, env->g, sizeof g) && pc == env->pc &&
                    fcsr == riscv64_fcsr(env),
                "registers differ");
    return 0;
}
