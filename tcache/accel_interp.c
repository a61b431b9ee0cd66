/* SPDX-License-Identifier: MIT */
/*
 * "-accel interp": blocks of micro-ops, kept by key, and the loop that interprets
 * them.  What ops do is interp.c's; the passes run here too, so that they are under
 * the oracle's eye.
 */
#include "accel_interp.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <glib.h>

enum {
    MAX_INSNS = 64,       /* a block, unless the options say otherwise */
    MAX_BLOCKS = 1 << 16, /* a thread; then it drops all */
    CODE_PAGES = 2,
    RECENT = 4096, /* slots of the look-aside table; a power of two */
};

struct InterpCache {
    const Guest *guest;
    Space *space;
    u32 max_insns;
    _Atomic u64 generation; /* threads drop their blocks when it has changed */
    _Atomic u64 blocks, guest_insns, translate_ns, lookups, flushes, invalidated,
        entries;
};

/* A piece of guest code that a block was made from. */
typedef struct Source {
    u64 pc;
    u32 len;
    u32 at; /* offset of its copy in Block.bytes */
} Source;

typedef struct Block {
    TbKey key;
    InterpCode code;
    const IrExit *exits;
    Source *sources;
    u8 *bytes;
    u32 n_sources, n_bytes;
} Block;

struct InterpThread {
    InterpCache *cache;
    Ir *ir;
    GHashTable *blocks; /* TbKey -> Block */
    u64 generation;
    Block *recent[RECENT];
    u8 code[CODE_PAGES * PAGE_SIZE]; /* a copy of what is being translated */
    /* What a host fault needs to know. */
    volatile bool inside; /* this thread reads guest memory for us, or runs a block */
    const Block *volatile block; /* the one that runs; NULL: none */
    InterpRun run;
    sigjmp_buf fault;
};

/* ---- blocks ---- */

static guint key_hash(gconstpointer p)
{
    const TbKey *key = p;

    return (guint)((key->pc >> 1) * 0x9e3779b1u ^ key->flags);
}

static gboolean key_equal(gconstpointer p, gconstpointer q)
{
    const TbKey *a = p, *b = q;

    return a->pc == b->pc && a->flags == b->flags;
}

static void block_free(gpointer p)
{
    Block *b = p;

    free((void *)b->code.ops);
    free((void *)b->code.consts);
    free((void *)b->code.insns);
    free((void *)b->exits);
    free(b->sources);
    free(b->bytes);
    free(b);
}

static void *copy(const void *from, size_t n)
{
    return n ? memcpy(g_malloc(n), from, n) : NULL;
}

/* The runs of guest bytes under the instructions of ir, joined where they touch. */
static u32 find_sources(Source *out, const Ir *ir)
{
    u32 n = 0, at = 0;

    for (u32 i = 0; i < ir->n_insns; i++) {
        const IrInsn *insn = &ir->insns[i];

        if (n && out[n - 1].pc + out[n - 1].len == insn->pc)
            out[n - 1].len += insn->len;
        else
            out[n++] = (Source){insn->pc, insn->len, at};
        at += insn->len;
    }
    return n;
}

static void block_keep_source(Block *b, const Ir *ir, const Space *space)
{
    const Source *last;

    b->sources = g_new(Source, ir->n_insns);
    b->n_sources = find_sources(b->sources, ir);
    last = &b->sources[b->n_sources - 1];
    b->n_bytes = last->at + last->len;
    b->bytes = g_malloc(b->n_bytes);
    for (u32 i = 0; i < b->n_sources && b->n_bytes; i++)
        memcpy(b->bytes + b->sources[i].at, space_host(space, b->sources[i].pc),
               b->sources[i].len);
}

static Block *block_new(TbKey key, const Ir *ir, const Space *space)
{
    Block *b = g_new0(Block, 1);

    b->key = key;
    b->code = interp_code(ir);
    b->code.ops = copy(ir->ops, ir->n_ops * sizeof(*ir->ops));
    b->code.consts = copy(ir->consts, ir->n_consts * sizeof(*ir->consts));
    b->code.insns = copy(ir->insns, ir->n_insns * sizeof(*ir->insns));
    b->exits = copy(ir->exits, ir->n_exits * sizeof(*ir->exits));
    if (ir->n_insns)
        block_keep_source(b, ir, space);
    return b;
}

/* Is the code still what the block was made from? */
static bool block_current(const Block *b, const Space *space)
{
    for (u32 i = 0; i < b->n_sources; i++) {
        const Source *s = &b->sources[i];

        if (!space_check(space, s->pc, s->len, PAGE_EXEC) ||
            (s->len && memcmp(space_host(space, s->pc), b->bytes + s->at, s->len)))
            return false;
    }
    return b->n_bytes > 0; /* none: nothing could be read there, this time */
}

/* ---- translating ---- */

static u64 now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void log_ir(u32 item, const Ir *ir, u64 pc)
{
    if (!log_on(item) || !log_wants(pc))
        return;
    ir_dump(log_begin(), ir);
    log_printf("\n");
    log_end();
}

static void check_ir(const Ir *ir)
{
    const char *why;

    if (UNLIKELY(!ir_verify(ir, &why))) {
        report("bad micro-ops: %s", why);
        abort();
    }
}

/* A view of space in which the code at pc stands still: another thread may be writing
 * it.  A block lies in its first page and the next. */
static Space still_view(InterpThread *t, u64 pc)
{
    Space view = *t->cache->space;
    u64 first = pc & PAGE_MASK;

    for (u64 i = 0; i < CODE_PAGES; i++)
        if (space_check(&view, first + i * PAGE_SIZE, PAGE_SIZE,
                        PAGE_MAPPED | PAGE_EXEC))
            memcpy(t->code + i * PAGE_SIZE, space_host(&view, first + i * PAGE_SIZE),
                   PAGE_SIZE);
    view.base = (u8 *)((uintptr_t)t->code - first);
    return view;
}

static Block *translate(InterpThread *t, TbKey key)
{
    InterpCache *c = t->cache;
    u64 start = now_ns();
    Space view = still_view(t, key.pc);
    Block *b;
    Dis d = {0};

    translate_block(&d, t->ir, c->guest, &view, key, c->max_insns, NULL);
    check_ir(t->ir);
    log_ir(LOG_OP, t->ir, key.pc);
    pass_fold(t->ir);
    pass_dead(t->ir);
    check_ir(t->ir);
    log_ir(LOG_OP_OPT, t->ir, key.pc);
    b = block_new(key, t->ir, &view);
    c->blocks++;
    c->guest_insns += t->ir->n_insns;
    c->translate_ns += now_ns() - start;
    return b;
}

/* ---- a thread's blocks ---- */

static void drop_all(InterpThread *t)
{
    memset(t->recent, 0, sizeof(t->recent));
    g_hash_table_remove_all(t->blocks);
    t->generation = t->cache->generation;
}

static Block **recent_slot(InterpThread *t, TbKey key)
{
    return &t->recent[key_hash(&key) & (RECENT - 1)];
}

static void insert(InterpThread *t, Block *b)
{
    if (g_hash_table_size(t->blocks) >= MAX_BLOCKS) {
        drop_all(t);
        t->cache->flushes++;
    }
    *recent_slot(t, b->key) = NULL; /* it may hold the one being replaced */
    g_hash_table_replace(t->blocks, &b->key, b);
}

/* The block at key, translated if need be and true to memory as it is now. */
static Block *find(InterpThread *t, TbKey key)
{
    Block **slot = recent_slot(t, key);
    Block *b = *slot;

    if (UNLIKELY(t->generation != t->cache->generation))
        drop_all(t);
    else if (LIKELY(b && key_equal(&b->key, &key)) && block_current(b, t->cache->space))
        return b;
    t->cache->lookups++;
    b = g_hash_table_lookup(t->blocks, &key);
    if (b && !block_current(b, t->cache->space)) {
        t->cache->invalidated++;
        b = NULL;
    }
    if (!b) {
        b = translate(t, key);
        insert(t, b);
    }
    return *slot = b;
}

/* ---- running ---- */

static void log_exec(const Env *env, const InterpCache *c)
{
    char where[SYMBOL_TEXT];
    FILE *f;

    if (!log_wants(env->pc))
        return;
    f = log_begin();
    fprintf(f, "exec %" PRIu64 " 0x%" PRIx64 "%s\n", env->id, env->pc,
            cache_symbol_text(env->cache, env->pc, where));
    if (log_on(LOG_CPU))
        c->guest->dump(f, env);
    log_end();
}

static TrapKind trap(Env *env, TrapKind kind, u64 pc, u64 addr)
{
    env->pc = pc;
    env->trap = (Trap){.kind = kind, .addr = addr};
    if (kind == TRAP_REQUEST)
        atomic_fetch_and(&env->request, ~(u64)REQUEST_SIGNAL);
    return kind;
}

static TrapKind trap_memory(InterpThread *t, Env *env, int sig, int code, u64 addr,
                            bool write)
{
    u64 pc = interp_pc(&t->block->code, t->run.op, t->block->key.pc);

    trap(env, TRAP_MEMORY, pc, addr);
    env->trap.sig = sig;
    env->trap.code = code;
    env->trap.write = write;
    return TRAP_MEMORY;
}

static bool op_writes(const Block *b, u32 op)
{
    return op_desc[b->code.ops[op].op].flags & STORE;
}

/* Runs one block.  TRAP_NONE: go on at env->pc. */
static TrapKind run_block(InterpThread *t, Env *env, const Block *b)
{
    const IrExit *x;

    t->block = b;
    interp_block(env, &b->code, &t->run);
    switch (t->run.exit) {
    case INTERP_JUMP: env->pc = t->run.pc; return TRAP_NONE;
    case INTERP_FAULT:
        return trap_memory(t, env, SIGSEGV, SEGV_MAPERR, t->run.addr,
                           op_writes(b, t->run.op));
    }
    x = &b->exits[t->run.exit];
    if (x->kind == EXIT_TRAP)
        return trap(env, x->trap, x->pc, x->addr);
    env->pc = x->pc;
    return TRAP_NONE;
}

static TrapKind run_blocks(InterpThread *t, Env *env)
{
    for (;;) {
        TrapKind kind;
        Block *b;

        if (atomic_load_explicit(&env->request, memory_order_relaxed))
            return trap(env, TRAP_REQUEST, env->pc, 0);
        t->block = NULL;
        b = find(t, (TbKey){env->pc, env->key_flags});
        if (log_on(LOG_EXEC))
            log_exec(env, t->cache);
        kind = run_block(t, env, b);
        if (kind != TRAP_NONE)
            return kind;
    }
}

TrapKind interp_run(InterpThread *t, Env *env)
{
    TrapKind kind;

    t->cache->entries++;
    t->run.limit = t->cache->space->size;
    if (sigsetjmp(t->fault, 0) == 0) {
        t->inside = true;
        kind = run_blocks(t, env);
    } else {
        if (t->block)
            interp_leave(env, &t->run);
        kind = env->trap.kind;
    }
    t->inside = false;
    t->block = NULL;
    return kind;
}

/* ---- host faults ---- */

/* Where a handler returns to: the loop's own stack, signal mask as before. */
static void __attribute__((noreturn)) land(InterpThread *t) { siglongjmp(t->fault, 1); }

/* Makes returning from the handler call land(t), on the stack below the fault. */
static void redirect(InterpThread *t, ucontext_t *context)
{
    greg_t *r = context->uc_mcontext.gregs;

    r[REG_RSP] = (r[REG_RSP] - 1024) / 16 * 16 - 8; /* as if just called */
    r[REG_RDI] = (greg_t)(uintptr_t)t;
    r[REG_RIP] = (greg_t)(uintptr_t)land;
}

/* The guest address of the byte that faulted, where the host can tell. */
static u64 fault_address(const InterpThread *t, const Env *env, const siginfo_t *info)
{
    u64 addr = (u64)(uintptr_t)info->si_addr - env->base;

    return addr - t->run.addr < sizeof(u64) ? addr : t->run.addr;
}

bool interp_host_fault(InterpThread *t, Env *env, int sig, siginfo_t *info,
                       ucontext_t *context)
{
    u64 offset = (u64)(uintptr_t)info->si_addr - env->base;

    if (!t->inside || (sig != SIGSEGV && sig != SIGBUS))
        return false;
    if (!t->block) {
        if (offset >= t->cache->space->size)
            return false;
        trap(env, TRAP_MEMORY, env->pc, env->pc); /* code that cannot be read */
        env->trap.sig = sig;
        env->trap.code = info->si_code;
    } else {
        int code = info->si_code == SI_KERNEL ? SEGV_MAPERR : info->si_code;

        if (!(op_desc[t->block->code.ops[t->run.op].op].flags & FAULT))
            return false;
        trap_memory(t, env, sig, code, fault_address(t, env, info),
                    context->uc_mcontext.gregs[REG_ERR] & 2);
    }
    redirect(t, context);
    return true;
}

/* ---- making and counting ---- */

InterpCache *interp_cache_new(const CacheOptions *options, const Guest *guest,
                              Space *space)
{
    InterpCache *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->guest = guest;
    c->space = space;
    c->max_insns = options->max_insns ? options->max_insns : MAX_INSNS;
    return c;
}

void interp_cache_flush(InterpCache *c)
{
    c->generation++;
    c->flushes++;
}

void interp_cache_stats(InterpCache *c, CacheStats *out)
{
    *out = (CacheStats){
        .blocks = c->blocks,
        .guest_insns = c->guest_insns,
        .translate_ns = c->translate_ns,
        .lookups = c->lookups,
        .flushes = c->flushes,
        .invalidated = c->invalidated,
        .entries = c->entries,
    };
}

InterpThread *interp_thread_new(InterpCache *c)
{
    InterpThread *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->cache = c;
    t->generation = c->generation;
    t->ir = ir_new();
    if (!t->ir) {
        free(t);
        return NULL;
    }
    t->blocks = g_hash_table_new_full(key_hash, key_equal, NULL, block_free);
    return t;
}

void interp_thread_free(InterpThread *t)
{
    g_hash_table_destroy(t->blocks);
    free(t->ir);
    free(t);
}
