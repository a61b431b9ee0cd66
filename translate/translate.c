/* SPDX-License-Identifier: MIT */
/*
 * The loop from guest bytes to micro-ops, the same for every guest: where a block
 * ends, what it may read, and which way a trace goes.
 */
#include "translate.h"

enum { MAX_INSNS = 128, STOP_LEN = 1 };

static u64 next_pc(const Dis *d) { return d->pc + d->len; }

/* An exit for a direct branch or jump. */
static u16 exit_to(Dis *d, u64 pc)
{
    u16 exit = ir_exit(d->ir, EXIT_JUMP, TRAP_NONE, pc);

    d->ir->exits[exit].loop = pc <= d->pc;
    return exit;
}

static void leave_to(Dis *d, u64 pc)
{
    gen_leave(d->ir, exit_to(d, pc));
    d->end = true;
}

/* The block stops short: what follows is the next block's. */
static void leave_short(Dis *d, u64 pc)
{
    gen_leave(d->ir, ir_exit(d->ir, EXIT_JUMP, TRAP_NONE, pc));
    d->end = true;
}

/* The trace goes on at pc: a request is noticed when that closes a loop. */
static void go_on(Dis *d, u64 pc)
{
    if (pc == d->key.pc) {
        leave_to(d, pc);
        return;
    }
    if (pc <= d->pc)
        gen_check(d->ir, exit_to(d, pc));
    d->moved = true;
    d->next = pc;
}

/* ---- reading code ---- */

/* A block lies in its first page and the next; a trace wherever it is led. */
static bool page_allowed(const Dis *d, u64 addr)
{
    u64 page = addr & PAGE_MASK, first = d->key.pc & PAGE_MASK;

    if (UNLIKELY(d->space->paged))
        return page == first;
    return d->follow || page == first || page == first + PAGE_SIZE;
}

static bool page_executable(const Dis *d, u64 addr)
{
    u8 need = PAGE_MAPPED | PAGE_EXEC;

    return (space_flags(d->space, addr) & need) == need;
}

static void note_bytes(Dis *d, u64 pc, u64 end)
{
    d->low = MIN(d->low, pc);
    d->high = MAX(d->high, end);
}

/* No instruction can be read at pc: the byte at addr is out of bounds. */
static void fetch_failed(Dis *d, u64 pc, u64 addr)
{
    u16 exit;

    d->end = true;
    d->len = 0;
    if (d->ir->n_insns) {
        leave_short(d, pc);
        return;
    }
    note_bytes(d, pc, addr + 1);
    ir_insn(d->ir, pc, 0);
    exit = ir_exit(d->ir, EXIT_TRAP, TRAP_FETCH, pc);
    d->ir->exits[exit].addr = addr;
    gen_leave(d->ir, exit);
}

bool dis_fetch_slow(Dis *d, u64 pc, u32 n, u32 *bits)
{
    u64 last = pc + n - 1, addr = pc;

    for (;;) {
        if (!page_allowed(d, addr) || !page_executable(d, addr)) {
            fetch_failed(d, pc, addr);
            return false;
        }
        if (((addr ^ last) & PAGE_MASK) == 0)
            break;
        addr = last & PAGE_MASK;
    }
    d->page = pc & PAGE_MASK;
    d->room = PAGE_SIZE - sizeof(*bits) + 1;
    d->code = space_host(d->space, d->page);
    memcpy(bits, space_host(d->space, pc), dis_ahead(d, pc) ? sizeof(*bits) : n);
    return true;
}

/* ---- where control goes ---- */

static OpCode inverse(OpCode branch)
{
    switch (branch) {
    case OP_beq: return OP_bne;
    case OP_bne: return OP_beq;
    case OP_blt: return OP_bge;
    case OP_bge: return OP_blt;
    case OP_bltu: return OP_bgeu;
    default: return OP_bltu;
    }
}

static void branch_to(Dis *d, OpCode op, Val a, Val b, u64 pc)
{
    ir_gen(d->ir, op, VAL_NONE, a, b, VAL_NONE, 0, exit_to(d, pc));
}

void dis_branch(Dis *d, OpCode op, Val a, Val b, u64 taken)
{
    u64 next = next_pc(d), to = ~0ull;

    if (d->follow)
        to = d->follow->branch(d->follow->ctx, taken, next);
    if (to == next) {
        branch_to(d, op, a, b, taken);
        go_on(d, next);
    } else if (to == taken) {
        branch_to(d, inverse(op), a, b, next);
        go_on(d, taken);
    } else {
        branch_to(d, op, a, b, taken);
        leave_to(d, next);
    }
}

void dis_jump(Dis *d, u64 to)
{
    if (d->follow && d->follow->jump(d->follow->ctx, to))
        go_on(d, to);
    else
        leave_to(d, to);
}

void dis_jump_to(Dis *d, Val v)
{
    gen_jump(d->ir, v);
    d->end = true;
}

void dis_trap(Dis *d, TrapKind kind, u64 pc)
{
    gen_leave(d->ir, ir_exit(d->ir, EXIT_TRAP, kind, pc));
    d->end = true;
}

void dis_end(Dis *d)
{
    Val next = ir_const(d->ir, (i64)next_pc(d));

    ir_gen(d->ir, OP_jump, VAL_NONE, next, VAL_NONE, VAL_NONE, JUMP_ANEW, 0);
    d->end = true;
}

/* ---- the loop ---- */

/* A debugger wants control at d->pc.  An instruction that cannot be read faults. */
static bool stop_here(Dis *d)
{
    if (!space_stops(d->space, d->pc) || !page_executable(d, d->pc))
        return false;
    if (d->ir->n_insns) {
        leave_short(d, d->pc);
    } else {
        ir_insn(d->ir, d->pc, STOP_LEN);
        dis_trap(d, TRAP_STOP, d->pc);
    }
    d->len = 0;
    return true;
}

/* Goes on elsewhere: what was read here was read in order. */
static void move(Dis *d)
{
    note_bytes(d, d->pc, next_pc(d));
    d->pc = d->next;
    d->moved = false;
    note_bytes(d, d->pc, d->pc);
}

/* A short block is never full: so few ops need no more of anything else. */
static bool is_full(const Ir *ir)
{
    return UNLIKELY(ir->n_ops >= IR_EXITS / 2) && !ir_room(ir);
}

/* Field by field: a structure at a time is a slow string operation. */
static void dis_begin(Dis *d, const Space *space, TbKey key, const Follow *follow)
{
    d->space = space;
    d->key = key;
    d->pc = d->low = d->high = key.pc;
    d->len = 0;
    d->end = d->moved = false;
    d->follow = follow;
    d->page = d->room = 0;
    for (size_t i = 0; i < ARRAY_SIZE(d->scratch); i++)
        d->scratch[i] = 0;
}

void translate_block(Dis *d, Ir *ir, const Guest *guest, const Space *space, TbKey key,
                     u32 max_insns, const Follow *follow)
{
    dis_begin(d, space, key, follow);
    d->ir = ir;
    d->guest = guest;
    d->max_insns = max_insns ? max_insns : MAX_INSNS;
    ir_reset(ir, guest);
    ir->paged = space->system;
    for (;;) {
        if (UNLIKELY(space->n_stops) && stop_here(d))
            break;
        guest->insn(d);
        if (d->end)
            break;
        if (UNLIKELY(d->moved))
            move(d);
        else
            d->pc = next_pc(d);
        if (ir->n_insns >= d->max_insns || is_full(ir)) {
            leave_short(d, d->pc);
            d->len = 0;
            break;
        }
    }
    note_bytes(d, d->pc, next_pc(d));
}

const Guest *guest_find(const char *name)
{
    static const Guest *const guests[] = {&guest_riscv64};

    for (size_t i = 0; i < ARRAY_SIZE(guests); i++)
        if (strcmp(guests[i]->regs.name, name) == 0)
            return guests[i];
    return NULL;
}
