/* SPDX-License-Identifier: MIT */
/* What Linux on riscv64 has of its own: registers of system calls, signal frames,
 * capabilities. */
#include <elf.h>
#include <string.h>
#include "../translate/riscv64/riscv64.h"
#include <sched.h>
#include "user.h"

enum { ECALL_SIZE = 4, NR_RT_SIGRETURN = 139 };

/* ---- registers ---- */

static void start(Task *t, u64 pc, u64 sp)
{
    t->env->pc = pc & ~1ull;
    t->env->g[X_SP] = sp;
}

static u64 stack_pointer(const Task *t) { return t->env->g[X_SP]; }

static u64 return_address(const Task *t) { return t->env->g[X_RA]; }

static void clone_regs(Env *to, const Env *from, const CloneArgs *a)
{
    to->g[X_A0] = 0;
    if (a->stack)
        to->g[X_SP] = a->stack;
    if (a->flags & CLONE_SETTLS)
        to->g[X_TP] = a->tls;
}

static void system_call(Task *t)
{
    Env *env = t->env;

    t->sys.nr = env->g[X_A7];
    memcpy(t->sys.arg, &env->g[X_A0], sizeof t->sys.arg);
    env->pc += ECALL_SIZE;
}

static u64 result(const Task *t) { return t->env->g[X_A0]; }

static void set_result(Task *t, i64 value) { t->env->g[X_A0] = (u64)value; }

static void restart(Task *t)
{
    t->env->g[X_A0] = t->sys.arg[0];
    t->env->pc -= ECALL_SIZE;
}

static u64 accessed(Task *t)
{
    u32 insn = 0;

    if (!guest_read(t, &insn, t->env->pc, sizeof insn))
        guest_read(t, &insn, t->env->pc, 2); /* the last of its page */
    return riscv64_accessed(t->env, insn);
}

/* ---- signal frames: struct rt_sigframe of arch/riscv/kernel/signal.c ---- */

typedef struct SigContext {
    u64 pc, x[31]; /* x1.. */
    u64 f[32];     /* D; the room is Q's */
    u32 fcsr;
    u8 spare[516 - 260];
    u32 reserved[3]; /* zero */
} SigContext;

typedef struct UserContext {
    u64 flags, link;
    SigStack stack;
    u64 mask;
    u8 spare[1024 / 8 - 8];
    u64 align;
    SigContext context;
} UserContext;

typedef struct SigFrame {
    siginfo_t info;
    UserContext uc;
} SigFrame;

_Static_assert(sizeof(siginfo_t) == 128, "siginfo is the same on both sides");
_Static_assert(offsetof(UserContext, context) == 176, "uc_mcontext is 16-aligned");
_Static_assert(sizeof(SigContext) == 784, "sc_regs and sc_fpregs");
_Static_assert(offsetof(SigContext, reserved) == 772, "of struct __riscv_q_ext_state");
_Static_assert(sizeof(SigFrame) == 1088, "struct rt_sigframe");

static bool push_frame(Task *t, const SigAction *a, const siginfo_t *info, u64 mask,
                       u64 sp)
{
    Env *env = t->env;
    u64 *g = env->g;
    u64 at = align_down(sp - sizeof(SigFrame), 16);
    SigFrame frame = {
        .info = *info,
        .uc = {.stack = t->altstack, .mask = mask, .context.pc = env->pc}};

    memcpy(frame.uc.context.x, &g[1], sizeof frame.uc.context.x);
    memcpy(frame.uc.context.f, &g[F0], sizeof frame.uc.context.f);
    frame.uc.context.fcsr = riscv64_fcsr(env);
    if (!PUT(t, at, &frame))
        return false;
    g[X_RA] = t->process->mem->return_page;
    g[X_SP] = at;
    g[X_A0] = (u64)info->si_signo;
    g[X_A0 + 1] = at + offsetof(SigFrame, info);
    g[X_A0 + 2] = at + offsetof(SigFrame, uc);
    env->pc = a->handler & ~1ull;
    env->res_addr = ~0ull;
    return true;
}

static bool pop_frame(Task *t, u64 *mask, SigStack *stack)
{
    Env *env = t->env;
    const SigContext *c;
    SigFrame frame;

    if (!GET(t, env->g[X_SP], &frame))
        return false;
    c = &frame.uc.context;
    if (c->reserved[0] | c->reserved[1] | c->reserved[2])
        return false;
    env->pc = c->pc & ~1ull;
    memcpy(&env->g[1], c->x, sizeof c->x);
    memcpy(&env->g[F0], c->f, sizeof c->f);
    riscv64_set_fcsr(env, c->fcsr);
    env->res_addr = ~0ull;
    *mask = frame.uc.mask;
    *stack = frame.uc.stack;
    return true;
}

static size_t return_code(u32 *code)
{
    code[0] = (u32)NR_RT_SIGRETURN << 20 | X_A7 << 7 | 0x13; /* li a7, 139 */
    code[1] = 0x73;                                          /* ecall */
    return 8;
}

/* ---- ptrace: user_regs_struct, struct __riscv_d_ext_state ---- */

static void get_general(const Env *env, void *out)
{
    u64 *r = out;

    r[0] = env->pc;
    memcpy(r + 1, &env->g[1], 31 * sizeof *r);
}

static void set_general(Env *env, const void *from)
{
    const u64 *r = from;

    env->pc = r[0] & ~1ull;
    memcpy(&env->g[1], r + 1, 31 * sizeof *r);
    env->res_addr = ~0ull;
}

static void get_float(const Env *env, void *out)
{
    u64 *r = out;

    memcpy(r, &env->g[F0], 32 * sizeof *r);
    r[32] = riscv64_fcsr(env);
}

static void set_float(Env *env, const void *from)
{
    const u64 *r = from;

    memcpy(&env->g[F0], r, 32 * sizeof *r);
    riscv64_set_fcsr(env, (u32)r[32]);
}

static const AbiRegset regsets[] = {
    {NT_PRSTATUS, 32 * sizeof(u64), get_general, set_general},
    {NT_PRFPREG, 33 * sizeof(u64), get_float, set_float},
};

/* ---- capabilities ---- */

#define LETTER(c) (1ull << ((c) - 'A'))

/* Keys and bits of asm/hwprobe.h. */
enum {
    KEY_MVENDORID,
    KEY_MARCHID,
    KEY_MIMPID,
    KEY_BASE_BEHAVIOR,
    KEY_IMA_EXT_0,
    KEY_CPUPERF_0,
    KEY_ZICBOZ_BLOCK_SIZE,
    KEY_HIGHEST_VIRT_ADDRESS,
    KEY_TIME_CSR_FREQ,
    KEY_MISALIGNED_SCALAR_PERF,
};

#define BASE_IMA        1ull
#define EXT_FD          (1ull << 0)
#define EXT_C           (1ull << 1)
#define EXT_ZBA         (1ull << 3)
#define EXT_ZBB         (1ull << 4)
#define EXT_ZBS         (1ull << 5)
#define EXT_ZICBOZ      (1ull << 6)
#define EXT_ZFH         (1ull << 27)
#define EXT_ZFHMIN      (1ull << 28)
#define EXT_ZFA         (1ull << 32)
#define EXT_ZICOND      (1ull << 35)
#define EXT_ZIHINTPAUSE (1ull << 36)
#define MISALIGNED_FAST 3

static bool hwprobe(const Process *p, i64 key, u64 *value)
{
    switch (key) {
    case KEY_MVENDORID:
    case KEY_MARCHID:
    case KEY_MIMPID: *value = 0; return true;
    case KEY_BASE_BEHAVIOR: *value = BASE_IMA; return true;
    case KEY_IMA_EXT_0:
        *value = EXT_FD | EXT_C | EXT_ZBA | EXT_ZBB | EXT_ZBS | EXT_ZICBOZ | EXT_ZFH |
                 EXT_ZFHMIN | EXT_ZFA | EXT_ZICOND | EXT_ZIHINTPAUSE;
        return true;
    case KEY_MISALIGNED_SCALAR_PERF:
    case KEY_CPUPERF_0: *value = MISALIGNED_FAST; return true;
    case KEY_ZICBOZ_BLOCK_SIZE: *value = CACHE_BLOCK; return true;
    case KEY_HIGHEST_VIRT_ADDRESS: *value = p->mem->high - 1; return true;
    case KEY_TIME_CSR_FREQ: *value = TIMEBASE_HZ; return true;
    default: return false;
    }
}

static void cpuinfo(FILE *f, const Process *p)
{
    fputs("isa\t\t: rv64imafdc_zicbom_zicbop_zicboz_zicntr_zicond_zicsr_zifencei_"
          "zihintpause_zfa_zfh_zfhmin_zba_zbb_zbs\nmmu\t\t: sv39\nmvendorid\t: "
          "0x0\nmarchid\t\t: "
          "0x0\nmimpid\t\t: 0x0\n",
          f);
}

static const char *const cpus[] = {"rv64", "max", "any", NULL};

const Abi abi_riscv64 = {
    .guest = "riscv64",
    .machine = "riscv64",
    .elf_machine = 243, /* EM_RISCV */
    .hwcap = LETTER('I') | LETTER('M') | LETTER('A') | LETTER('F') | LETTER('D') |
             LETTER('C'),
    .frame_size = sizeof(SigFrame),
    .cpus = cpus,
    .n_hwprobe = KEY_MISALIGNED_SCALAR_PERF + 1,
    .start = start,
    .sp = stack_pointer,
    .return_address = return_address,
    .clone_regs = clone_regs,
    .syscall = system_call,
    .result = result,
    .set_result = set_result,
    .restart = restart,
    .accessed = accessed,
    .push_frame = push_frame,
    .pop_frame = pop_frame,
    .return_code = return_code,
    .regsets = regsets,
    .hwprobe = hwprobe,
    .cpuinfo = cpuinfo,
};
