/* SPDX-License-Identifier: MIT */
/* The guest as the core sees it: its registers, their default places, its callbacks. */
#include <inttypes.h>
#include "priv.h"

static const HelperDesc helpers[HELPER_COUNT] = {
#define HELPER(name, n_args, has_result) {#name, help_##name, n_args, has_result},
#include "helpers.def"
#undef HELPER
};

static void reset(Env *env)
{
    memset(env->g, 0, sizeof(env->g));
    memset(env->guest_state, 0, sizeof(env->guest_state));
    env->pc = 0;
    env->res_addr = ~0ull;
    env->key_flags = FRM_HOST;
    riscv64_set_fcsr(env, 0);
}

/* An instruction found while the one before it was translated: a handler that is
 * known early is what a mispredicted dispatch waits for. */
typedef struct Ahead {
    u64 pc; /* AHEAD_NONE: nothing found */
    u32 bits;
    InsnId id;
} Ahead;

#define AHEAD_NONE 1ull /* no instruction stands at an odd address */

static_assert(sizeof(Ahead) <= sizeof((Dis){0}.scratch), "the frontend's room");

static Ahead *ahead_of(Dis *d) { return (Ahead *)d->scratch; }

/* The instruction at pc, as far as its page is known to be readable. */
static inline void look_ahead(Dis *d, Ahead *a, u64 pc)
{
    if (!dis_ahead(d, pc)) {
        a->pc = AHEAD_NONE;
        return;
    }
    a->pc = pc;
    dis_fetch(d, pc, 4, &a->bits);
    a->id = insn_lookup(a->bits);
}

/* The instruction at d->pc; false: it cannot be read and the block has ended. */
static bool look(Dis *d, Ahead *a)
{
    a->pc = d->pc;
    a->bits = 0;
    if (!dis_fetch(d, d->pc, 2, &a->bits))
        return false;
    if (!dis_ahead(d, d->pc) && insn_len(a->bits) == 4 &&
        !dis_fetch(d, d->pc, 4, &a->bits))
        return false;
    a->id = insn_lookup(a->bits);
    return true;
}

/* Does it use floating-point registers?  Their names begin so. */
static bool is_fp(InsnId id)
{
    const char *name = insn_desc[id].name;

    if (id == INSN_NONE || !strncmp(name, "fence", 5))
        return false;
    return name[0] == 'f' || !strncmp(name, "c_f", 3);
}

static void insn(Dis *d)
{
    Ahead *a = ahead_of(d);
    InsnId id;
    u32 bits;

    if (UNLIKELY(a->pc != d->pc || d->ir->n_insns == 0) && !look(d, a))
        return;
    id = a->id;
    bits = a->bits;
    d->len = insn_len(bits);
    look_ahead(d, a, d->pc + d->len);
    ir_insn(d->ir, d->pc, d->len);
    if (UNLIKELY(d->key.flags & KEY_FS_OFF && is_fp(id)) ||
        UNLIKELY(!insn_translate(d, id, bits)))
        dis_trap(d, TRAP_ILLEGAL, d->pc);
}

static void dump_registers(FILE *f, const Env *env, int first)
{
    for (int i = first; i < first + 32; i++)
        fprintf(f, " %-8s %016" PRIx64 "%s", guest_riscv64.regs.globals[i].name,
                env->g[i], i % 4 == 3 ? "\n" : "");
}

static void dump(FILE *f, const Env *env)
{
    fprintf(f, " %-8s %016" PRIx64 " %-8s %08x\n", "pc", env->pc, "fcsr",
            riscv64_fcsr(env));
    dump_registers(f, env, 0);
    dump_registers(f, env, F0);
}

u64 riscv64_accessed(const Env *env, u32 bits)
{
    Arg a = insn_arg(insn_lookup(bits), bits);

    return (a.rs1 ? env->g[a.rs1] : 0) + (u64)(i64)a.imm;
}

const Guest guest_riscv64 = {
    .regs =
        {
            .name = "riscv64",
            .globals =
                {
#define MEM                          HOST_NONE
#define REG(global, cls, name, host) [global] = {name, cls, host},
#include "regs.def"
#undef REG
#undef MEM
                },
            .helpers = helpers,
            .n_helpers = HELPER_COUNT,
            .stack = X_SP,
        },
    .reset = reset,
    .insn = insn,
    .disas = riscv64_disas,
    .dump = dump,
    .n_words = HART_WORDS,
    .save = riscv64_save,
    .load = riscv64_load,
    .debug = &riscv64_debug,
};
