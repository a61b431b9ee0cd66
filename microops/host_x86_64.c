/* SPDX-License-Identifier: MIT */
/*
 * The x86-64 host: putting one stencil down, the few bytes that no stencil holds
 * (jumps, calls, nops, the entry counter), thunks, and the way in and out of
 * generated code.
 */
#include <string.h>
#include <sys/platform/x86.h>
#include "emit.h"

static const u8 numbers[2][16] = {
    {3, 12, 13, 14, 15, 8, 9, 10, 11, 6, 7, 0, 1},
    {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2},
};

typedef struct FormOperands {
    u8 n, radix[3];
} FormOperands;

#define RADIX(c) ((c) == 'R' ? HOST_R : (c) == 'F' ? HOST_F : 0)
static const FormOperands form_operands[FORM_COUNT] = {
#define X(name, operands)                                               \
    {sizeof operands - 1,                                               \
     {RADIX(operands[0]), sizeof operands > 1 ? RADIX(operands[1]) : 0, \
      sizeof operands > 2 ? RADIX(operands[2]) : 0}},
    STENCIL_FORMS(X)
#undef X
};

const u8 form_operand_count[FORM_COUNT] = {
#define X(name, operands) sizeof operands - 1,
    STENCIL_FORMS(X)
#undef X
};

const StencilSet *stencils_pick(bool base)
{
    if (!base && CPU_FEATURE_ACTIVE(AVX2) && CPU_FEATURE_ACTIVE(BMI1) &&
        CPU_FEATURE_ACTIVE(BMI2) && CPU_FEATURE_ACTIVE(FMA) &&
        CPU_FEATURE_ACTIVE(F16C) && CPU_FEATURE_ACTIVE(LZCNT))
        return &stencils_v3;
    return &stencils_base;
}

void plan_default(Plan *plan, const GuestRegs *guest)
{
    for (u32 i = 0; i < ENV_GLOBALS; i++)
        plan->host[i] =
            guest->globals[i].cls == CLS_NONE ? HOST_NONE : guest->globals[i].host;
}

/* ---- displacements ---- */

static void wr32(u8 *p, u32 v) { memcpy(p, &v, 4); }

void emit_write_rel(u8 *buffer, u32 at, u32 to) { wr32(buffer + at, to - (at + 4)); }

void host_patch(u8 *buffer, u32 at, u32 to)
{
    __atomic_store_n((u32 *)(buffer + at), to - (at + 4), __ATOMIC_RELEASE);
}

void emit_fix(Emit *e, u32 at, FixKind kind, u32 to)
{
    if (e->n_fixes == EMIT_FIXES) {
        e->full = true;
        return;
    }
    e->fixes[e->n_fixes++] = (EmitFix){at, to, (u8)kind, e->o->cold};
}

/* ---- one stencil ---- */

void put_nops(EmitBuf *o, u32 n)
{
    static const u8 nops[4][3] = {{0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}};

    while (n) {
        u32 k = MIN(n, 3);

        memcpy(o->bytes + o->at, nops[k], k);
        o->at += k;
        n -= k;
    }
}

static inline void fill_hole(u8 *code, const StencilHole *h, i64 imm)
{
    i64 v = imm + h->addend;

    switch (h->kind) {
    case HOLE_IMM8:
    case HOLE_ENV8: code[h->at] = (u8)v; break;
    case HOLE_IMM32:
    case HOLE_ENV32: wr32(code + h->at, (u32)v); break;
    case HOLE_IMM64: memcpy(code + h->at, &v, 8); break;
    default: break;
    }
}

static void apply_fields(const StencilSet *set, const Stencil *s, u8 *code,
                         const u8 *parts)
{
    const StencilField *f = set->fields + s->fields;

    for (u32 i = 0; i < s->n_fields; i++)
        code[f[i].bit >> 3] ^=
            (u8)(parts[f[i].operand * 2 + f[i].high] << (f[i].bit & 7));
}

static void copy_bytes(u8 *to, const u8 *from, u32 n)
{
    memcpy(to, from, 16);
    for (u32 i = 16; i < n; i += 16)
        memcpy(to + i, from + i, 16);
}

/* Which stencil for these registers; the brief one if the immediate fits it.
 * parts: the low and high bits of each operand's number, then nothing. */
static u32 find_shape(const StencilSet *set, u32 op, Form form, const u8 *regs, i64 imm,
                      u8 *parts)
{
    const StencilFamily *f = &set->family[op][form];
    const FormOperands *o = &form_operands[form];
    u32 variant = 0, shape;

    for (u32 k = 0; k < o->n; k++) {
        u32 n = numbers[o->radix[k] == HOST_F][regs[k]];

        variant = variant * o->radix[k] + regs[k];
        parts[2 * k] = n & 7;
        parts[2 * k + 1] = n >> 3;
    }
    shape = f->first + set->shape_of[f->shape_of + variant];
    return set->stencils[shape].brief && fits_i8(imm) ? set->stencils[shape].brief
                                                      : shape;
}

/* Moves the cold part out of the way and notes the two jumps between the parts. */
static void put_cold(Emit *e, const Stencil *s, const u8 *code,
                     const StencilHole *holes, u32 start)
{
    u32 cold = e->cold.at;

    if (cold + s->cold > COLD_SIZE) {
        e->full = true;
        return;
    }
    memcpy(e->cold.bytes + cold, code + s->hot, s->cold);
    e->cold.at += s->cold;
    for (u32 i = 0; i < s->n_holes; i++)
        if (holes[i].kind == HOLE_COLD)
            emit_fix(e, start + holes[i].at, FIX_COLD, cold);
    for (u32 i = 0; i < s->n_holes; i++)
        if (holes[i].kind == HOLE_BACK) {
            if (e->n_fixes == EMIT_FIXES)
                e->full = true;
            else
                e->fixes[e->n_fixes++] = (EmitFix){cold + holes[i].at - s->hot,
                                                   start + s->hot, FIX_HOT, true};
        }
}

/* Any stencil: one with a cold part is made away from the block, then taken apart. */
static void put_slowly(Emit *e, const Stencil *s, const u8 *parts, i64 imm)
{
    const StencilHole *holes = e->set->holes + s->holes;
    u8 away[STENCIL_MAX + 16], *code = s->cold ? away : e->o->bytes + e->o->at;

    copy_bytes(code, e->set->bytes + s->bytes, s->hot + s->cold);
    apply_fields(e->set, s, code, parts);
    for (u32 i = 0; i < s->n_holes; i++)
        fill_hole(code, &holes[i], imm);
    if (s->cold) {
        memcpy(e->o->bytes + e->o->at, code, s->hot);
        put_cold(e, s, code, holes, e->o->at);
    }
}

/* XORs four fields into 128 bits held in two registers. */
static inline void add_fields(u64 *low, u64 *high, const u16 *field, const u8 *parts)
{
    for (u32 i = 0; i < 4; i++) {
        u64 v = (u64)parts[field[i] >> 8] << (field[i] & 63);
        u64 upper = -(u64)(field[i] >> 6 & 1);

        *low ^= v & ~upper;
        *high ^= v & upper;
    }
}

/* Bytes and fields of a common stencil, without branching on what it is like. */
static void make_memo(Memo *m, const QuickStencil *q, u32 key, const u8 *parts)
{
    u64 low, high;

    memcpy(&low, q->bytes, 8);
    memcpy(&high, q->bytes + 8, 8);
    add_fields(&low, &high, q->field, parts);
    if (q->n_fields > 4)
        add_fields(&low, &high, q->field + 4, parts);
    *m = (Memo){key, q->hole_mask, q->hole_at, q->len, q->exit_at, {0}};
    memcpy(m->bytes, &low, 8);
    memcpy(m->bytes + 8, &high, 8);
}

void put_new(Emit *e, u32 op, Form form, const u8 *regs, i64 imm, u32 exit, u32 key)
{
    const StencilSet *set = e->set;
    Memo *m = &e->memo[key * 0x9e3779b1u >> (32 - MEMO_BITS)];
    u8 parts[8] = {0};
    const QuickStencil *q;
    u32 shape;

    if (e->full || e->o->at + STENCIL_MAX > e->o->limit) {
        e->full = true;
        return;
    }
    shape = find_shape(set, op, form, regs, imm, parts);
    q = &set->quick[shape];
    if (q->len) {
        make_memo(m, q, key, parts);
        put_memo(e, m, op, imm, exit);
        return;
    }
    if (q->exit_at)
        keep_in_line(e, q->exit_at);
    put_slowly(e, &set->stencils[shape], parts, imm);
    if (q->exit_at && (op == OP_jump || op == OP_jump_tag))
        emit_fix(e, e->o->at + q->exit_at, FIX_THUNK, e->t->thunks->jump_miss);
    else if (q->exit_at)
        emit_fix(e, e->o->at + q->exit_at, FIX_EXIT, exit);
    e->o->at += set->stencils[shape].hot;
}

/* ---- bytes that no stencil holds ---- */

static void put_bytes(EmitBuf *o, const char *bytes, u32 n)
{
    memcpy(o->bytes + o->at, bytes, n);
    o->at += n;
}

static void put_u32(EmitBuf *o, u32 v)
{
    wr32(o->bytes + o->at, v);
    o->at += 4;
}

static void put_jump(Emit *e, FixKind kind, u32 to)
{
    if (e->o->at + 16 > e->o->limit)
        e->full = true;
    if (e->full)
        return;
    put_bytes(e->o, "\xe9", 1); /* jmp rel32 */
    emit_fix(e, e->o->at, kind, to);
    put_u32(e->o, 0);
}

void put_jump_exit(Emit *e, u32 exit)
{
    keep_in_line(e, 1);
    put_jump(e, FIX_EXIT, exit);
}

void put_jump_fix(Emit *e, FixKind kind, u32 to) { put_jump(e, kind, to); }

void put_call_helper(Emit *e, u32 helper)
{
    if (e->o->at + 16 > e->o->limit)
        e->full = true;
    if (e->full)
        return;
    put_bytes(e->o, "\xb8", 1); /* mov eax, helper */
    put_u32(e->o, helper);
    put_call_thunk(e);
}

static void put_call(Emit *e, FixKind kind, u32 to)
{
    if (e->o->at + 16 > e->o->limit)
        e->full = true;
    if (e->full)
        return;
    put_bytes(e->o, "\xe8", 1);
    emit_fix(e, e->o->at, kind, to);
    put_u32(e->o, 0);
}

void put_call_thunk(Emit *e)
{
    put_call(e, FIX_THUNK,
             e->plan == e->t->entry_plan ? e->t->thunks->call
                                         : e->t->thunks->call_bare);
}

void put_call_cold(Emit *e, u32 to) { put_call(e, FIX_COLD, to); }

void put_frame(Emit *e, bool enter)
{
    if (e->o->at + 16 > e->o->limit)
        e->full = true;
    else if (enter)
        put_bytes(e->o, "\x48\x83\xec\x08", 4); /* sub rsp, 8 */
    else
        put_bytes(e->o, "\x48\x83\xc4\x08\xc3", 5); /* add rsp, 8; ret */
}

void put_count(Emit *e, i32 field)
{
    if (e->o->at + 16 > e->o->limit)
        e->full = true;
    if (e->full)
        return;
    put_bytes(e->o, "\x48\xff\x85", 3); /* inc qword [rbp + field] */
    put_u32(e->o, (u32)field);
}

void put_counter(Emit *e, i64 counter, u32 cold)
{
    put_bytes(e->o, "\xff\x0d", 2); /* dec dword [rip + counter] */
    put_u32(e->o, (u32)(counter - (e->o->at + 4)));
    put_bytes(e->o, "\x0f\x84", 2); /* jz cold */
    emit_fix(e, e->o->at, FIX_COLD, cold);
    put_u32(e->o, 0);
}

void put_budget(Emit *e, i32 field, u32 amount, u32 cold)
{
    put_bytes(e->o, "\x48\x81\xad", 3); /* sub qword [rbp + field], amount */
    put_u32(e->o, (u32)field);
    put_u32(e->o, amount);
    put_bytes(e->o, "\x0f\x88", 2); /* js cold */
    emit_fix(e, e->o->at, FIX_COLD, cold);
    put_u32(e->o, 0);
}

void put_rounds(Emit *e, i32 field, u32 cold)
{
    put_bytes(e->o, "\xff\x8d", 2); /* dec dword [rbp + field] */
    put_u32(e->o, (u32)field);
    put_bytes(e->o, "\x0f\x84", 2); /* jz cold */
    emit_fix(e, e->o->at, FIX_COLD, cold);
    put_u32(e->o, 0);
}

/* A displacement from rip; the instruction ends `after` bytes behind it. */
static void put_rip(Emit *e, u32 to, u32 after)
{
    emit_fix(e, e->o->at, FIX_THUNK, to - after);
    put_u32(e->o, 0);
}

void put_hot_again(Emit *e, i64 counter)
{
    put_bytes(e->o, "\xff\x05", 2); /* inc dword [rip + counter] */
    put_rip(e, (u32)counter, 0);
}

void put_slot(Emit *e, u32 slot)
{
    if (e->o->at + 32 > e->o->limit)
        e->full = true;
    if (e->full)
        return;
    put_bytes(e->o, "\x48\x83\x3d", 3); /* cmp qword [rip + slot], 0 */
    put_rip(e, slot, 1);
    put_bytes(e->o, "\x00\x74\x06\xff\x25", 5); /* jz over; jmp [rip + slot] */
    put_rip(e, slot, 0);
}

void put_exit_stub(Emit *e, u32 number)
{
    put_bytes(e->o, "\xb8", 1); /* mov eax, number */
    put_u32(e->o, number);
    put_jump(e, FIX_THUNK, e->t->thunks->leave);
}

void put_align(Emit *e, u32 to) { put_nops(e->o, -e->o->at & (to - 1)); }

/* ---- thunks ---- */

static void put_plan(Emit *e, const Plan *plan, bool load)
{
    const GuestRegs *guest = (const GuestRegs *)e->ir->guest;

    for (u32 i = 0; i < ENV_GLOBALS; i++) {
        bool fp = guest->globals[i].cls == CLS_F;

        if (plan->host[i] != HOST_NONE)
            put1(e, fp ? OP_fmov : OP_mov,
                 load ? (fp ? FORM_flm : FORM_lm) : (fp ? FORM_fsm : FORM_sm),
                 plan->host[i], ENV_OFF(g) + (i32)i * 8);
    }
}

/* An instruction on a field of Env. */
static void put_env(EmitBuf *o, const char *opcode, i32 field)
{
    put_bytes(o, opcode, (u32)strlen(opcode));
    put_u32(o, (u32)field);
}

/*
 * The pc in rax, which Env.pc is too, looked up in Env.jump_more: goes there, and next
 * time by the jump cache; or on.  A block may be dropped by another thread meanwhile,
 * which empties jump_more's slot first: so that is looked at once more in the end.
 */
static void put_more_jumps(EmitBuf *o)
{
    u32 out[3];

    put_env(o, "\x48\x83\xbd", ENV_OFF(request)); /* cmp qword [request], 0 */
    put_bytes(o, "\x00\x75\x00", 3);              /* jne out */
    out[0] = o->at;
    put_bytes(o, "\x48\x89\xc1\x48\xc1\xe9\x0e", 7); /* mov rcx, rax; shr rcx, 14 */
    put_bytes(o, "\x48\x31\xc1\x81\xe1", 5);         /* xor rcx, rax; and ecx, ... */
    put_u32(o, (JUMP_MORE_SIZE - 1) << 1);
    put_bytes(o, "\xc1\xe1\x03", 3);                /* shl ecx, 3 */
    put_env(o, "\x48\x03\x8d", ENV_OFF(jump_more)); /* add rcx, [jump_more] */
    put_env(o, "\x48\x33\x85", ENV_OFF(key_flags)); /* xor rax, [key_flags] */
    put_bytes(o, "\x48\x39\x01\x75\x00", 5);        /* cmp [rcx], rax; jne out */
    out[1] = o->at;
    put_bytes(o, "\x48\x8b\x51\x08\x48\x85\xd2\x74\x00", 9); /* mov rdx, [rcx + 8] */
    out[2] = o->at;                                          /* test rdx, rdx; jz out */
    put_env(o, "\x48\x8b\x85", ENV_OFF(pc));                 /* mov rax, [pc] */
    put_bytes(o, "\x25", 1);                                 /* and eax, ... */
    put_u32(o, (JUMP_CACHE_SIZE - 1) << 1);
    put_env(o, "\x48\x8d\x84\xc5",
            ENV_OFF(jump_cache));                   /* lea rax, [jump_cache+rax*8] */
    put_bytes(o, "\x48\x89\x50\x08", 4);            /* mov [rax + 8], rdx */
    put_env(o, "\x48\x8b\x95", ENV_OFF(pc));        /* mov rdx, [pc] */
    put_bytes(o, "\x48\x87\x10", 3);                /* xchg [rax], rdx */
    put_env(o, "\x48\x8b\x95", ENV_OFF(pc));        /* mov rdx, [pc] */
    put_env(o, "\x48\x33\x95", ENV_OFF(key_flags)); /* xor rdx, [key_flags] */
    put_bytes(o, "\x48\x39\x11\x75\x03\xff\x60\x08", 8); /* cmp [rcx], rdx; jne over */
    put_bytes(o, "\x48\xc7\x00", 3);                     /* jmp [rax + 8] */
    put_u32(o, JUMP_EMPTY);                              /* over: mov [rax], empty */
    for (u32 i = 0; i < 3; i++)
        o->bytes[out[i] - 1] = (u8)(o->at - out[i]);
}

void emit_thunks(EmitThunks *thunks, const StencilSet *set, const Plan *plan,
                 u8 *buffer, const struct Guest *guest, u32 numbers, bool more)
{
    static Ir no_ir;
    static Emit e;
    EmitTask t = {.limit = 4096, .thunks = thunks};

    no_ir.guest = guest;
    memset(&e, 0, offsetof(Emit, memo_of));
    if (e.memo_of && e.memo_of != set) /* large: left alone the first time */
        memset(e.memo, 0, sizeof e.memo);
    e.memo_of = e.set = set;
    e.t = &t;
    e.ir = &no_ir;
    e.hot = (EmitBuf){buffer, 0, 4096, false};
    e.cold = (EmitBuf){e.cold_bytes, 0, COLD_SIZE, true};
    e.o = &e.hot;
    thunks->enter = e.o->at;
    put_plan(&e, plan, true);
    put_bytes(e.o, "\xff\xe2", 2); /* jmp rdx */
    put_align(&e, 16);
    thunks->jump_miss = e.o->at;
    put1(&e, OP_mov, FORM_sm, HOST_RAX, ENV_OFF(pc));
    if (more)
        put_more_jumps(e.o);
    put_bytes(e.o, "\xb8", 1);
    put_u32(e.o, EXIT_JUMP_MISS);
    if (numbers)
        put_bytes(e.o, "\xeb\x06", 2); /* jmp over */
    thunks->leave = e.o->at;
    if (numbers) {
        put_bytes(e.o, "\x03\x05", 2); /* add eax, [rip + numbers] */
        put_u32(e.o, numbers - (e.o->at + 4));
    }
    put_plan(&e, plan, false);
    put_env(e.o, "\xff\xa5", ENV_OFF(leave));
    put_align(&e, 16);
    thunks->call = e.o->at;
    put_plan(&e, plan, false);
    put_env(e.o, "\xff\x95", ENV_OFF(call));
    put_plan(&e, plan, true);
    put_bytes(e.o, "\xc3", 1);
    put_align(&e, 16);
    thunks->call_bare = e.o->at;
    put_env(e.o, "\xff\x95", ENV_OFF(call));
    put_bytes(e.o, "\xc3", 1);
    put_align(&e, 64);
    thunks->end = e.o->at;
    assert(!e.full);
}

const char *host_reg_name(u8 cls, u8 host)
{
    static const char *const r[HOST_GPRS] = {"rbx", "r12", "r13", "r14", "r15", "r8",
                                             "r9",  "r10", "r11", "rsi", "rdi"};
    static const char *const f[HOST_FPRS] = {"xmm4",  "xmm5",  "xmm6",  "xmm7",
                                             "xmm8",  "xmm9",  "xmm10", "xmm11",
                                             "xmm12", "xmm13", "xmm14", "xmm15"};

    return cls == CLS_F ? f[host] : r[host];
}

/* ---- in and out ---- */

extern const char host_leave[], host_call[];

_Static_assert(ENV_BIAS == 128, "host_enter adds it");

__asm__(".pushsection .text\n"
        ".globl host_enter\n"
        ".type host_enter, @function\n"
        "host_enter:\n" /* rdi: env, rsi: code, rdx: enter thunk */
        "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  sub $8, %rsp\n"
        "  lea 128(%rdi), %rbp\n"
        "  mov %rsp, env_host_sp(%rbp)\n"
        "  stmxcsr env_mxcsr_host(%rbp)\n"
        "  ldmxcsr env_mxcsr(%rbp)\n"
        "  mov %rdx, %rax\n"
        "  mov %rsi, %rdx\n"
        "  jmp *%rax\n"
        ".globl host_leave\n"
        "host_leave:\n" /* eax: exit number */
        "  mov env_host_sp(%rbp), %rsp\n"
        "  stmxcsr env_mxcsr(%rbp)\n"
        "  ldmxcsr env_mxcsr_host(%rbp)\n"
        "  add $8, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
        "  ret\n"
        ".globl host_abandon\n"
        "host_abandon:\n" /* rdi: env; from a helper: what code called it ends */
        "  lea 128(%rdi), %rbp\n"
        "  mov $0x7fffffff, %eax\n" /* EXIT_FAULT */
        "  jmp host_leave\n"
        ".globl host_call\n"
        "host_call:\n" /* eax: helper index; the call's return address is two up */
        "  mov 8(%rsp), %rcx\n"
        "  mov %rcx, env_call_site(%rbp)\n"
        "  lea -128(%rbp), %rdi\n"
        "  mov env_arg(%rbp), %rsi\n"
        "  mov env_arg+8(%rbp), %rdx\n"
        "  mov env_arg+16(%rbp), %rcx\n"
        "  mov env_helpers(%rbp), %r8\n"
        "  call *(%r8,%rax,8)\n" /* the two return addresses keep rsp aligned */
        "  mov %rax, env_ret(%rbp)\n"
        "  movq $0, env_call_site(%rbp)\n"
        "  ret\n"
        ".popsection\n");

/* Env's offsets from rbp, as assembler symbols. */
#define SYMBOL(name, field) \
    __asm__(".set env_" name ", %c0" : : "i"(offsetof(Env, field) - ENV_BIAS))
__attribute__((used)) static void env_symbols(void)
{
    SYMBOL("host_sp", host_sp);
    SYMBOL("mxcsr", mxcsr);
    SYMBOL("mxcsr_host", mxcsr_host);
    SYMBOL("call_site", call_site);
    SYMBOL("arg", arg);
    SYMBOL("helpers", helpers);
    SYMBOL("ret", ret);
}

void host_env_init(Env *env)
{
    env->leave = host_leave;
    env->call = host_call;
    env->mxcsr = 0x1f80;
}
