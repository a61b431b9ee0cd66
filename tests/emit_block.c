/* SPDX-License-Identifier: MIT */
/*
 * Random blocks for the emitter.  They keep the rules that frontends keep: temps do
 * not outlive an op that may be a call, operands of single arithmetic are boxed, a
 * NaN is made canonical before it is used.
 */
#include <immintrin.h>
#include <stdio.h>
#include <string.h>
#include "emit_case.h"

enum { PLANS = 256, BLOCK_OPS = 40 };

typedef struct Maker {
    Ir *ir;
    Random r;
    u16 first_temp, first_ftemp; /* older ones may have been lost in a call */
    u32 pc;
    u8 ints, floats; /* so many globals are in use: few, so that ops meet */
    u64 boxed;       /* globals that hold a boxed single */
    u16 favourite;   /* an op that comes often; OP_beq: none */
} Maker;

/* ---- the guest ---- */

static u64 help_mix(Env *env, u64 a, u64 b, u64 c) { return a * 3 + (b ^ c >> 1); }

static u64 help_poke(Env *env, u64 a, u64 b, u64 c)
{
    env->g[a % INTS] += 7;
    env->g[INTS + a % FLOATS] ^= 1;
    return 0;
}

static u64 help_flags(Env *env, u64 a, u64 b, u64 c)
{
    return _mm_getcsr() & 0x603d; /* rounding and what riscv64 has of the flags */
}

static const HelperDesc helpers[] = {
    {"mix", help_mix, 3, true},
    {"poke", help_poke, 1, false},
    {"flags", help_flags, 0, true},
};

#define INT(n)                   \
    {                            \
        "r" #n, CLS_R, HOST_NONE \
    }
#define FLOAT(n)                 \
    {                            \
        "f" #n, CLS_F, HOST_NONE \
    }
#define TEN(M, t)                                                                    \
    M(t##0), M(t##1), M(t##2), M(t##3), M(t##4), M(t##5), M(t##6), M(t##7), M(t##8), \
        M(t##9)
const GuestRegs emit_guest = {
    .name = "test",
    .globals = {TEN(INT, ), TEN(INT, 1), TEN(FLOAT, ), TEN(FLOAT, 1)},
    .helpers = helpers,
    .n_helpers = ARRAY_SIZE(helpers),
};

/* ---- plans ---- */

static void assign(Random *r, Plan *p, u32 first, u32 n, u32 hosts)
{
    static const u8 shares[] = {0, 50, 75, 100, 100};
    u32 percent = shares[below(r, ARRAY_SIZE(shares))];

    for (u8 h = 0; h < hosts; h++) {
        u32 i = first + below(r, n);

        while (p->host[i] != HOST_NONE)
            i = first + below(r, n);
        if (chance(r, percent))
            p->host[i] = h;
    }
}

/* The emitter knows plans by their address, so each has its own for good. */
static const Plan *some_plan(Random *r)
{
    static Plan plans[PLANS];
    static bool made;
    Random own = {.state = 1};

    for (u32 i = 0; i < PLANS && !made; i++) {
        memset(plans[i].host, HOST_NONE, sizeof plans[i].host);
        assign(&own, &plans[i], 0, INTS, HOST_GPRS);
        assign(&own, &plans[i], INTS, FLOATS, HOST_FPRS);
    }
    made = true;
    return &plans[below(r, PLANS)];
}

/* ---- values ---- */

static u64 some_integer(Random *r)
{
    static const u64 edges[] = {0,
                                1,
                                2,
                                31,
                                32,
                                63,
                                0x7f,
                                0x80,
                                0xff,
                                0xffff,
                                0x7fffffff,
                                0x80000000,
                                0xffffffff,
                                0x100000000,
                                ~0ull,
                                ~1ull,
                                -0x80ull,
                                -0x81ull,
                                1ull << 63,
                                (1ull << 63) - 1,
                                0xffffffff80000000,
                                0xffffffff7fffffff};

    switch (below(r, 5)) {
    case 0: return random64(r);
    case 1: return (u64)(i64)(i32)random64(r);
    case 2: return below(r, 100);
    case 3: return (u64)(i64)(i8)random64(r);
    default: return edges[below(r, ARRAY_SIZE(edges))];
    }
}

static u64 some_float(Random *r)
{
    static const u64 edges[] = {0,
                                0x8000000000000000,
                                0x3ff0000000000000,
                                0x4000000000000000,
                                0x7ff0000000000000,
                                0xfff0000000000000,
                                0x7ff8000000000000,
                                0xfff8000000000000,
                                0x7ff0000000000001,
                                0x43e0000000000000,
                                0x41dfffffffc00000,
                                0x0000000000000001,
                                0x7fefffffffffffff,
                                0xffffffff7fc00000,
                                0xffffffff7f800001,
                                0xffffffff3f800000,
                                0xffffffffff800000,
                                0xffffffff00000000,
                                0xffffffff80000000,
                                0xffffffff00000001,
                                0xffffffff4f000000,
                                0x000000007fc00000};
    double small = (double)(i32)below(r, 200) - 100;
    float single = (float)small / 4;
    u64 bits = 0;

    switch (below(r, 5)) {
    case 0: return random64(r);
    case 1: return 0xffffffff00000000 | random64(r);
    case 2: memcpy(&bits, &small, 8); return bits;
    case 3: memcpy(&bits, &single, 4); return bits | 0xffffffff00000000;
    default: return edges[below(r, ARRAY_SIZE(edges))];
    }
}

/* ---- operands ---- */

static Val int_global(Maker *m) { return (Val)below(&m->r, m->ints); }
static Val float_global(Maker *m) { return (Val)(INTS + below(&m->r, m->floats)); }

static Val constant(Maker *m) { return ir_const(m->ir, (i64)some_integer(&m->r)); }

static Val int_temp(Maker *m)
{
    return (Val)(VAL_TEMP + m->first_temp +
                 below(&m->r, m->ir->n_temps - m->first_temp));
}

static Val operand(Maker *m, u8 class)
{
    u32 ftemps = m->ir->n_ftemps - m->first_ftemp;

    if (class == CLS_F)
        return ftemps && chance(&m->r, 45)
                   ? (Val)(VAL_FTEMP + m->first_ftemp + below(&m->r, ftemps))
                   : float_global(m);
    if (m->ir->n_temps > m->first_temp && chance(&m->r, 40))
        return int_temp(m);
    return chance(&m->r, 70) ? int_global(m) : constant(m);
}

/* Now and then one of the operands. */
static Val result(Maker *m, u8 class, const Val *in, const OpDesc *d)
{
    u32 k = below(&m->r, 6);

    if (class == CLS_NONE)
        return VAL_NONE;
    if (k < d->n_in && d->in[k] == class && val_is_global(in[k]))
        return in[k];
    if (chance(&m->r, 65))
        return class == CLS_F ? float_global(m) : int_global(m);
    return class == CLS_F ? ir_ftemp(m->ir) : ir_temp(m->ir);
}

/* An address in bounds, aligned if it must be, for a displacement of imm. */
static Val address(Maker *m, i32 imm, bool aligned)
{
    Val mask =
        ir_const(m->ir, aligned || chance(&m->r, 50) ? MEMORY - 64 : MEMORY / 2 - 1);
    Val v = operand(m, CLS_R), t;

    if (chance(&m->r, 5))
        return ir_const(m->ir, (i64)(below(&m->r, MEMORY / 8) * 8) - imm);
    t = ir_temp(m->ir);
    gen_and(m->ir, t, v, mask);
    if (imm)
        gen_add(m->ir, t, t, ir_const(m->ir, -(i64)imm));
    if (chance(&m->r, 70))
        return t;
    gen_mov(m->ir, int_global(m), t);
    return m->ir->ops[m->ir->n_ops - 1].out;
}

/* Where nothing is, or (the last one) no address can be. */
static Val bad_address(Maker *m, i32 imm)
{
    static const u64 places[] = {MEMORY + GUARD, -(u64)GUARD - 8, 1ull << 33,
                                 -(1ull << 33), 0x8000000000000000};
    u64 place = places[below(&m->r, ARRAY_SIZE(places))] - (u64)(i64)imm;
    Val at = ir_const(m->ir, (i64)place), t;

    if (chance(&m->r, 30))
        return at;
    t = ir_temp(m->ir);
    gen_mov(m->ir, t, at);
    return t;
}

/* ---- ops ---- */

/* May this op be a call, in one of the sets? */
static bool may_call(OpCode op)
{
    static const StencilSet *const sets[] = {&stencils_base, &stencils_v3};

    if (op == OP_call)
        return true;
    for (u32 s = 0; s < ARRAY_SIZE(sets); s++) {
        bool any = false;

        for (Form f = 0; f < FORM_COUNT; f++)
            any |= sets[s]->family[op][f].first && f != FORM_rk;
        if (!any || sets[s]->family[op][FORM_xff].first)
            return true;
    }
    return false;
}

static void temps_lost(Maker *m)
{
    m->first_temp = m->ir->n_temps;
    m->first_ftemp = m->ir->n_ftemps;
}

static bool wants_boxed(OpCode op)
{
    const OpDesc *d = &op_desc[op];
    bool single = strstr(d->name, "_s") && d->name[0] == 'f';

    return single && d->in[0] == CLS_F && op != OP_fcvt_s_d;
}

/* Arithmetic whose NaNs depend on the order of operands. */
static bool wants_canon(OpCode op)
{
    const OpDesc *d = &op_desc[op];

    return d->flags & FP && d->out == CLS_F && d->in[0] == CLS_F;
}

static void add_op(Maker *m, OpCode op, Val out, const Val *in, i32 imm)
{
    ir_gen(m->ir, op, out, in[0], in[1], in[2], imm, 0);
    if (may_call(op)) {
        bool temp = out != VAL_NONE && val_is_temp(out), fp = temp && out >= VAL_FTEMP;

        temps_lost(m);
        m->first_temp -= temp && !fp;
        m->first_ftemp -= fp;
    }
}

/* v, or a boxed single made of it. */
static Val boxed(Maker *m, Val v)
{
    Val t;

    for (u32 tries = 4; tries && chance(&m->r, 80); tries--) {
        if (val_is_global(v) && m->boxed >> v & 1)
            return v;
        v = operand(m, CLS_F);
    }
    t = ir_ftemp(m->ir);
    gen_funbox(m->ir, t, v);
    return t;
}

/* Keeps account of which globals hold boxed singles. */
static void note_result(Maker *m, Val out, bool single)
{
    if (out < VAL_TEMP)
        m->boxed = (m->boxed & ~(1ull << out)) | (u64)single << out;
}

static void next_insn(Maker *m)
{
    u8 len = chance(&m->r, 50) ? 2 : 4;

    ir_insn(m->ir, m->pc, len);
    m->pc += len;
    m->first_temp = m->first_ftemp = 0;
}

static OpCode some_op(Maker *m)
{
    if (m->favourite < OP_beq && chance(&m->r, 50))
        return m->favourite;
    return chance(&m->r, 40) ? below(&m->r, OP_ld8u) : below(&m->r, OP_beq);
}

static void random_op(Maker *m)
{
    OpCode op = some_op(m);
    const OpDesc *d = &op_desc[op];
    bool memory = d->has_imm && d->flags & FAULT, canon = wants_canon(op);
    bool single = d->flags & BOX;
    bool bad = d->flags & FAULT && chance(&m->r, 2);
    Val in[3] = {VAL_NONE, VAL_NONE, VAL_NONE}, out;
    i32 imm = 0;

    if (op == OP_fcanon_d || op == OP_fcanon_s)
        return; /* for results only: a signalling NaN would signal */
    if (bad)    /* nothing of an instruction that faults has been done */
        next_insn(m);
    if (memory && chance(&m->r, 70))
        imm = chance(&m->r, 70) ? (i32)below(&m->r, 256) - 128 : (i32)random64(&m->r);
    for (u32 i = 0; i < d->n_in; i++)
        in[i] = i && d->in[i] == d->in[0] && chance(&m->r, 12) ? in[0]
                                                               : operand(m, d->in[i]);
    if (d->flags & STORE && d->in[1] == CLS_R && chance(&m->r, 10))
        in[1] = ir_const(m->ir, 0);
    for (u32 i = 0; i < d->n_in && wants_boxed(op); i++)
        in[i] = boxed(m, in[i]);
    if (d->flags & FAULT)
        in[0] = bad ? bad_address(m, imm) : address(m, imm, !memory);
    if (d->flags & FAULT && d->in[1] == CLS_R && chance(&m->r, 12))
        in[1] = in[0];
    out = canon && chance(&m->r, 30) ? ir_ftemp(m->ir) : result(m, d->out, in, d);
    add_op(m, op, out, in, imm);
    note_result(m, out, d->flags & BOX);
    if (!canon)
        return;
    if (val_is_global(out) || chance(&m->r, 50))
        in[0] = out;
    else
        in[0] = result(m, CLS_F, in, d);
    ir_gen(m->ir, single ? OP_fcanon_s : OP_fcanon_d, in[0], out, VAL_NONE, VAL_NONE, 0,
           0);
    note_result(m, in[0], single);
}

static u64 some_pc(Maker *m) { return 0x2000 + below(&m->r, 6) * 0x100; }

static u16 some_exit(Maker *m)
{
    bool trap = chance(&m->r, 25);
    u16 x = ir_exit(m->ir, trap ? EXIT_TRAP : EXIT_JUMP, trap ? TRAP_BREAK : TRAP_NONE,
                    some_pc(m));

    m->ir->exits[x].loop = !trap && chance(&m->r, 25);
    return x;
}

static void random_control(Maker *m)
{
    Ir *ir = m->ir;
    u32 which = below(&m->r, 6);

    if (which == 0) {
        OpCode op = OP_call;
        Val in[3] = {operand(m, CLS_R), operand(m, chance(&m->r, 50) ? CLS_F : CLS_R),
                     operand(m, CLS_R)};

        Val out = result(m, chance(&m->r, 80) ? CLS_R : CLS_F, in, &op_desc[op]);

        add_op(m, op, out, in, 0);
        note_result(m, out, false);
    } else if (which == 1) {
        add_op(m, OP_call, VAL_NONE, (Val[]){operand(m, CLS_R), VAL_NONE, VAL_NONE}, 1);
    } else if (which == 2) {
        add_op(m, OP_call, int_global(m), (Val[]){VAL_NONE, VAL_NONE, VAL_NONE}, 2);
    } else if (which == 3) {
        gen_check(ir, some_exit(m));
    } else {
        Val a = chance(&m->r, 10) ? ir_const(ir, 0) : operand(m, CLS_R),
            b = chance(&m->r, 30) ? ir_const(ir, 0) : operand(m, CLS_R);

        ir_gen(ir, (OpCode)(OP_beq + below(&m->r, 6)), VAL_NONE, a, b, VAL_NONE, 0,
               some_exit(m));
    }
}

static void end_block(Maker *m)
{
    Ir *ir = m->ir;
    Val t, v = operand(m, CLS_R);

    if (chance(&m->r, 25)) {
        t = chance(&m->r, 50) ? ir_temp(ir) : int_global(m);
        gen_and(ir, t, v, ir_const(ir, ~1ll));
        gen_jump(ir, chance(&m->r, 15) ? ir_const(ir, (i64)some_pc(m)) : t);
        return;
    }
    if (chance(&m->r, 50))
        ir_gen(ir, (OpCode)(OP_beq + below(&m->r, 6)), VAL_NONE, operand(m, CLS_R),
               operand(m, CLS_R), VAL_NONE, 0, some_exit(m));
    gen_leave(ir, some_exit(m));
}

static void make_block(Maker *m)
{
    u32 length = 1 + below(&m->r, chance(&m->r, 50) ? 6 : BLOCK_OPS);

    if (chance(&m->r, 1))
        length = LARGE_BLOCK + below(&m->r, IR_OPS - LARGE_BLOCK);
    ir_reset(m->ir, (const struct Guest *)&emit_guest);
    m->pc = 0x1000;
    m->boxed = 0;
    m->favourite = (u16)below(&m->r, chance(&m->r, 50) ? OP_beq : 1);
    if (!m->favourite) /* mov comes often enough */
        m->favourite = OP_beq;
    m->ints = chance(&m->r, 50) ? 4 : INTS;
    m->floats = chance(&m->r, 50) ? 4 : FLOATS;
    next_insn(m);
    while (m->ir->n_ops < length && ir_room(m->ir)) {
        if (chance(&m->r, 30) || m->ir->n_temps > TEMPS_AN_INSN - 4 ||
            m->ir->n_ftemps > TEMPS_AN_INSN - 4)
            next_insn(m);
        if (chance(&m->r, 8))
            random_control(m);
        else
            random_op(m);
    }
    if (m->ir->n_temps > TEMPS_AN_INSN - 4)
        next_insn(m);
    end_block(m);
}

/* ---- the trial ---- */

static void make_state(Random *r, State *s)
{
    u64 v[128];

    memset(s, 0, sizeof *s);
    for (u32 i = 0; i < INTS; i++)
        s->g[i] = some_integer(r);
    for (u32 i = INTS; i < GLOBALS; i++)
        s->g[i] = some_float(r);
    for (u32 i = 0; i < ARRAY_SIZE(v); i++)
        v[i] = chance(r, 50)   ? random64(r)
               : chance(r, 50) ? some_integer(r)
                               : some_float(r);
    for (u32 i = 0; i < MEMORY / 8; i++)
        memcpy(s->memory + 8 * i, &v[(i * 5 + i / ARRAY_SIZE(v)) % ARRAY_SIZE(v)], 8);
    s->mxcsr = 0x1f80 | below(r, 4) << 13 | (u32)(random64(r) & 0x3d);
    s->res_addr = chance(r, 50) ? ~0ull : below(r, MEMORY / 8) * 8;
    s->res_value = random64(r);
}

/* Mostly all, as for traces, or none; else each by itself. */
static void make_passes(Case *c, Random *r)
{
    bool all = chance(r, 40), some = !all && chance(r, 40);

    c->fold = all || (some && chance(r, 50));
    c->dead = all || (some && chance(r, 50));
    c->join = all || (some && chance(r, 50));
    c->nan = all || (some && chance(r, 50));
}

static void make(Case *c, u64 seed, Random from)
{
    Maker m = {.ir = c->ir, .r = from};
    Random *r = &m.r;

    make_block(&m);
    c->seed = seed;
    c->set = chance(r, 50) ? &stencils_base : &stencils_v3;
    c->entry = some_plan(r);
    c->plan = chance(r, 50) ? c->entry : some_plan(r);
    c->request = chance(r, 25);
    make_passes(c, r);
    c->statistics = chance(r, 15);
    c->memo_kept = chance(r, 10);
    c->counted = chance(r, 20);
    c->counted_out = chance(r, 20);
    c->check_len = chance(r, 10) ? 2 + below(r, 20) * 2 : 0;
    c->stale = chance(r, 30);
    c->small = chance(r, 3);
    c->cached = chance(r, 50);
    c->skew = below(r, 16) * 4;
    c->loops = chance(r, 20);
    c->head_pc = some_pc(&m);
    make_state(r, &c->start);
}

void case_make(Case *c, u64 seed)
{
    make(c, seed, (Random){.state = seed * 0x9e3779b97f4a7c15 + 1});
}

void case_make_from(Case *c, const u8 *data, size_t size)
{
    u64 seed = size;

    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 0x100000001b3;
    make(c, seed, (Random){.data = data, .left = size});
}

static void print_plan(const char *name, const Plan *p)
{
    printf("  %s:", name);
    for (u32 i = 0; i < GLOBALS; i++)
        if (p->host[i] != HOST_NONE)
            printf(" %s=%u", emit_guest.globals[i].name, p->host[i]);
    printf("\n");
}

void case_print(const Case *c)
{
    printf("  set %s%s%s%s%s%s", c->set->name,
           c->request ? ", a request is pending" : "", c->fold ? ", fold" : "",
           c->dead ? ", dead" : "", c->join ? ", join" : "", c->nan ? ", nan" : "");
    printf("%s%s", c->statistics ? ", statistics" : "",
           c->memo_kept ? ", old memo" : "");
    if (c->counted)
        printf(", counted%s", c->counted_out ? " out" : "");
    if (c->check_len)
        printf(", checks %u bytes%s", c->check_len, c->stale ? ", stale" : "");
    if (c->loops)
        printf(", loops to 0x%llx", (unsigned long long)c->head_pc);
    printf("%s%s\n", c->small ? ", little room" : "", c->cached ? ", jump cached" : "");
    print_plan("entry plan", c->entry);
    if (c->plan != c->entry)
        print_plan("plan", c->plan);
}
