/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz decode
 *
 * Guest bytes through everything up to host code: the disassembler, translate_block
 * (plain and as traces, up to page ends), ir_verify, the passes, the emitter with both
 * sets; and the block interpreted before and after the passes must do the same.
 */
#include "../microops/stencil.h"
#include "../translate/riscv64/riscv64.h"
#include "fuzz.h"

enum {
    WINDOW = 1 << 15,
    SLACK = 64, /* the last access may begin at the window's last byte */
    CODE = 0x4000,
    CODE_PAGES = 2,
    BUFFER = 1 << 18,
};

/* The input begins with this; code follows. */
typedef struct Head {
    u16 offset;   /* of the code in its page */
    u8 max_insns; /* 0: the default */
    u8 trace : 1; /* follow branches as `ways` says */
    u8 next : 1;  /* the second page is executable */
    u8 frm : 3;
    u8 set : 1;
    u8 reset : 1;
    u32 ways;
    u64 seed; /* of registers */
} Head;

typedef struct State {
    Env env;
    u8 window[WINDOW + SLACK];
    InterpRun run;
    u64 pc;
    u8 kind, trap;
} State;

static State start, plain, passed;
static _Atomic u8 page_flags[WINDOW >> PAGE_BITS];
static Ir *ir, *after;
static u8 *buffer;
static EmitTask task;
static EmitThunks thunks[2];
static Plan plan_own, plan_none;

static const StencilSet *const sets[] = {&stencils_base, &stencils_v3};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct Guest *guest = &guest_riscv64;

    ir = ir_new();
    after = ir_new();
    buffer = malloc(BUFFER);
    plan_default(&plan_own, &guest_riscv64.regs);
    memset(&plan_none, HOST_NONE, sizeof plan_none);
    for (int i = 0; i < 2; i++)
        emit_thunks(&thunks[i], sets[i], &plan_own, buffer, guest, 0, false);
    return 0;
}

/* ---- where to begin ---- */

static u64 random64(u64 *state) /* splitmix */
{
    u64 z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Mostly addresses within the window, so that memory is reached. */
static u64 random_register(u64 *state)
{
    u64 r = random64(state);

    switch (r & 7) {
    case 0: return random64(state);
    case 1: return (u64)(i64)(i32)random64(state);
    case 2: return r >> 60;
    default: return (r >> 8) % WINDOW & ~7ull;
    }
}

static void make_start(const Head *h, const u8 *code, size_t size)
{
    u64 state = h->seed;
    u64 at = CODE + (h->offset & ~PAGE_MASK & ~1ull);

    memset(&start.env, 0, offsetof(Env, jump_cache));
    guest_riscv64.reset(&start.env);
    for (u32 i = 1; i < ENV_GLOBALS; i++)
        start.env.g[i] = random_register(&state);
    riscv64_set_fcsr(&start.env, (u32)h->frm << 5 | (u32)(random64(&state) & 31));
    start.env.pc = at;
    if (random64(&state) & 1)
        start.env.res_addr = start.env.g[X_A0];
    for (u64 i = 0; i < CODE; i += 512) /* sparse: it is compared each time */
        memcpy(start.window + i, &state, sizeof state);
    memset(start.window + CODE, 0, CODE_PAGES * PAGE_SIZE);
    memcpy(start.window + at, code, MIN(size, CODE + CODE_PAGES * PAGE_SIZE - at));
}

/* ---- the block ---- */

static u64 follow_branch(void *ctx, u64 taken, u64 next)
{
    u32 *ways = ctx, way = *ways & 3;

    *ways = *ways >> 2 | way << 30;
    return way == 0 ? taken : way < 3 ? next : ~0ull;
}

static bool follow_jump(void *ctx, u64 pc)
{
    u32 *ways = ctx, way = *ways & 3;

    *ways = *ways >> 2 | way << 30;
    return way && pc >= CODE && pc < CODE + CODE_PAGES * PAGE_SIZE;
}

static void translate(const Head *h)
{
    Space space = {start.window, WINDOW, page_flags};
    u32 ways = h->ways;
    const Follow follow = {&ways, follow_branch, follow_jump};
    TbKey key = {start.env.pc, start.env.key_flags};
    const char *why;
    Dis dis;

    for (u32 i = 0; i < WINDOW >> PAGE_BITS; i++)
        page_flags[i] = PAGE_MAPPED | PAGE_READ | PAGE_WRITE;
    page_flags[CODE >> PAGE_BITS] |= PAGE_EXEC;
    if (h->next)
        page_flags[(CODE >> PAGE_BITS) + 1] |= PAGE_EXEC;
    translate_block(&dis, ir, &guest_riscv64, &space, key, h->max_insns,
                    h->trace ? &follow : NULL);
    fuzz_demand(ir_verify(ir, &why), "%s", why);
    fuzz_demand(ir->n_insns > 0 && ir->insns[0].pc == key.pc, "%u", ir->n_insns);
    fuzz_demand(h->trace || dis.high - dis.low <= 4 * ir->n_insns + 1,
                "%llu bytes read", (unsigned long long)(dis.high - dis.low));
}

static void disassemble(void)
{
    for (u32 i = 0; i < ir->n_insns; i++) {
        const IrInsn *insn = &ir->insns[i];
        const u8 *bytes = start.window + insn->pc;
        char text[96];
        size_t n;

        for (size_t size = 1; size <= sizeof text; size += 19) {
            memset(text, 'x', sizeof text);
            n = guest_riscv64.disas(text, size, insn->pc, bytes, insn->len);
            fuzz_demand(n <= insn->len, "%zu of %u", n, insn->len);
            fuzz_demand(!n || memchr(text, 0, size), "no end");
        }
    }
}

/* ---- interpreting ---- */

static void interpret(State *s, const Ir *with)
{
    InterpCode code = interp_code(with);

    memcpy(&s->env, &start.env, offsetof(Env, jump_cache));
    memcpy(s->window, start.window, sizeof s->window);
    s->env.base = (u64)(uintptr_t)s->window;
    s->run = (InterpRun){.limit = WINDOW};
    interp_block(&s->env, &code, &s->run);
    s->kind = 0xff;
    s->trap = 0;
    s->pc = s->run.pc;
    if (s->run.exit >= 0) {
        const IrExit *x = &with->exits[s->run.exit];

        s->kind = x->kind;
        s->trap = x->trap;
        s->pc = x->pc;
        canon_apply(s->env.g, x->canon);
    } else if (s->run.exit == INTERP_FAULT) {
        u32 i = s->run.op;

        s->kind = 0xfe;
        while (i && with->ops[i].op != OP_insn)
            i--;
        s->pc = with->insns[with->ops[i].imm].pc;
        canon_apply(s->env.g, with->insns[with->ops[i].imm].canon);
    }
    if (s->kind == 0xff) /* an indirect jump whose target the passes saw */
        s->kind = EXIT_JUMP;
}

/* Clocks are not the same twice. */
static bool reads_clock(void)
{
    for (u32 i = 0; i < ir->n_ops; i++) {
        const Op *op = &ir->ops[i];
        u32 number;

        if (op->op != OP_call ||
            strcmp(guest_riscv64.regs.helpers[op->imm].name, "csr_read"))
            continue;
        number = val_is_const(op->in[0]) ? (u32)ir_value(ir, op->in[0]) : 0;
        if (number != CSR_FRM && number != CSR_FCSR && number != CSR_FFLAGS)
            return true;
    }
    return false;
}

static void compare(void)
{
    fuzz_demand(plain.kind == passed.kind && plain.trap == passed.trap &&
                    plain.pc == passed.pc,
                "way %u/%u to 0x%llx, after the passes %u/%u to 0x%llx", plain.kind,
                plain.trap, (unsigned long long)plain.pc, passed.kind, passed.trap,
                (unsigned long long)passed.pc);
    for (u32 i = 1; i < ENV_GLOBALS; i++)
        fuzz_demand(plain.env.g[i] == passed.env.g[i], "global %u: %llx, passed %llx",
                    i, (unsigned long long)plain.env.g[i],
                    (unsigned long long)passed.env.g[i]);
    fuzz_demand(plain.env.res_addr == passed.env.res_addr, "reservation");
    fuzz_demand(!((plain.env.mxcsr ^ passed.env.mxcsr) & 0x603d), "MXCSR %x, passed %x",
                plain.env.mxcsr, passed.env.mxcsr);
    fuzz_demand(!memcmp(plain.env.guest_state, passed.env.guest_state,
                        sizeof plain.env.guest_state),
                "guest state");
    fuzz_demand(!memcmp(plain.window, passed.window, sizeof plain.window), "memory");
}

/* ---- emitting ---- */

static void emit(const Head *h, const Ir *what)
{
    const StencilSet *set = sets[h->set];
    bool fits;

    task = (EmitTask){.emitter = task.emitter,
                      .ir = what,
                      .set = set,
                      .entry_plan = &plan_own,
                      .plan = h->seed & 1 ? &plan_none : &plan_own,
                      .thunks = &thunks[h->set],
                      .buffer = buffer,
                      .at = 4096 + (h->seed & 60),
                      .limit = h->seed & 2 ? BUFFER
                                           : 4096 + 8192 + (u32)(h->seed >> 40 & 0xfff),
                      .counted = h->seed & 4,
                      .statistics = h->seed & 8,
                      .loops = h->trace,
                      .head_pc = start.env.pc,
                      .check_len = h->trace || !(h->seed & 16) ? 0 : ir->insns[0].len,
                      .check_at = (i64)ir->insns[0].pc,
                      .check_bytes = start.window + ir->insns[0].pc,
                      .counter = BUFFER - 64,
                      .n_helpers = guest_riscv64.regs.n_helpers};
    fits = emit_block(&task);
    fuzz_demand(!fits || (task.end <= task.limit && task.end > task.at), "%u of %u",
                task.end, task.limit);
    fuzz_demand(fits || task.limit < BUFFER || what->n_ops > 300, "%u ops do not fit",
                what->n_ops);
    for (u32 i = 0; fits && i < task.n_exits; i++)
        fuzz_demand(task.exits[i].stub < task.end && (task.exits[i].jump & 63) <= 60,
                    "exit %u", i);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const char *why;
    Head h;

    fuzz_take(&data, &size, &h, sizeof h);
    make_start(&h, data, size);
    translate(&h);
    disassemble();
    *after = *ir;
    pass_fold(after);
    fuzz_demand(ir_verify(after, &why), "fold: %s", why);
    pass_dead(after);
    fuzz_demand(ir_verify(after, &why), "dead: %s", why);
    pass_join(after);
    fuzz_demand(ir_verify(after, &why), "join: %s", why);
    pass_nan(after);
    fuzz_demand(ir_verify(after, &why), "nan: %s", why);
    if (!reads_clock()) {
        interpret(&plain, ir);
        interpret(&passed, after);
        compare();
    }
    emit(&h, h.reset ? ir : after);
    return 0;
}
