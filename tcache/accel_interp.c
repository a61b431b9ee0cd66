/* SPDX-License-Identifier: MIT */
/*
 * "-accel interp": blocks of micro-ops, kept by key, and the loop that interprets
 * them.  What ops do is steps.c's; the passes run here too, so that they are under
 * the oracle's eye.  A block looks at its own source bytes when it is entered (or, if
 * nobody may write them, whether they still are what nobody may write), so a link to it
 * is never wrong: what has changed is made again in the same place.  A whole system's
 * blocks have keys and links as those of code (system.c, exec.c).
 */
#include "accel_interp.h"

#include <stdlib.h>
#include <string.h>
#include "tb.h"

enum {
    MAX_INSNS = 64,       /* a block, unless the options say otherwise */
    MAX_BLOCKS = 1 << 16, /* a thread; then it drops all */
    CODE_PAGES = 2,
};

struct InterpCache {
    const Guest *guest;
    Space *space;
    u32 max_insns;
    bool system;
    bool awaited;           /* pages may be: no more of them is read than is run */
    _Atomic u64 generation; /* threads drop their blocks when it has changed */
    _Atomic u64 map;        /* changes of the guest's map so far */
    _Atomic u64 blocks, guest_insns, bytes, translate_ns, links, flushes, invalidated;
};

typedef struct Block {
    StepHead head; /* first */
    TbKey key;
    StepCode *code;
    u8 *bytes;
    bool joined; /* one instruction, in two pages: no link leads to it */
    u32 n_insns;
} Block;

struct InterpThread {
    InterpCache *cache;
    Ir *ir;
    GHashTable *blocks; /* TbKey -> Block */
    u64 generation;
    u64 dropped;                     /* times that all were */
    u64 step_pc;                     /* code here cannot be read ahead; -1: none such */
    Source source;                   /* system: of the code at env->pc */
    u8 code[CODE_PAGES * PAGE_SIZE]; /* a copy of what is being translated */
    /* What a host fault needs to know. */
    volatile bool inside; /* this thread reads guest memory for us, or runs a block */
    StepRun run;
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

static void block_clear(Block *b)
{
    free(b->code);
    free(b->bytes);
    b->code = NULL;
    b->bytes = NULL;
}

static void block_free(gpointer p)
{
    block_clear(p);
    free(p);
}

/* ---- translating ---- */

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

/* Makes a view of space in which the code at pc stands still: another thread may be
 * writing it.  A block lies in its first page and the next; a system's in one. */
static void make_still(InterpThread *t, u64 pc, Space *view)
{
    u64 first = pc & PAGE_MASK;

    for (u64 i = 0; i < (t->cache->system || t->cache->awaited ? 1 : CODE_PAGES); i++)
        if (space_check(view, first + i * PAGE_SIZE, PAGE_SIZE,
                        PAGE_MAPPED | PAGE_EXEC))
            memcpy(t->code + i * PAGE_SIZE, space_host(view, first + i * PAGE_SIZE),
                   PAGE_SIZE);
    view->base = (u8 *)((uintptr_t)t->code - first);
}

static void make_ir(InterpThread *t, TbKey key, const Space *view, u32 max_insns)
{
    InterpCache *c = t->cache;
    Ir *ir = t->ir;
    Dis d = {0};

    translate_block(&d, ir, c->guest, view, key, max_insns, NULL);
    check_ir(ir);
    log_ir(LOG_OP, ir, key.pc);
    pass_fold(ir);
    pass_dead(ir);
    check_ir(ir);
    log_ir(LOG_OP_OPT, ir, key.pc);
}

/* Bytes of guest code under ir: one piece, as nothing is followed. */
static u32 source_length(const Ir *ir)
{
    const IrInsn *last = &ir->insns[ir->n_insns - 1];

    return (u32)(last->pc + last->len - ir->insns[0].pc);
}

static void count_block(InterpCache *c, const Ir *ir, u64 start)
{
    c->blocks++;
    c->guest_insns += ir->n_insns;
    c->bytes += sizeof(Block) + ir->n_ops * sizeof(Step);
    c->translate_ns += now_ns() - start;
}

/* How many instructions a block may have. */
static u32 most_insns(const InterpThread *t, u64 pc)
{
    u32 most = t->cache->max_insns;

    return t->cache->awaited ? MIN(most, (u32)((PAGE_SIZE - pc % PAGE_SIZE) / 4))
                             : most;
}

/* Makes t->ir and what it was made from; reading that may fault.  *map: of when it
 * may be entered without a look at it; never, if so little could be read. */
static void read_block(InterpThread *t, TbKey key, u8 **bytes, u32 *len, u64 *map)
{
    bool system = t->cache->system, joined = system && t->source.joined;
    u32 most = most_insns(t, key.pc);
    bool step = t->step_pc == key.pc || !most;
    Space view = system ? t->source.view : *t->cache->space;

    *map = atomic_load(&t->cache->map);
    if (!step && !joined)
        make_still(t, key.pc, &view);
    make_ir(t, key, &view, step || joined ? 1 : most);
    *len = step ? 0 : source_length(t->ir);
    *bytes = g_malloc(*len + 1);
    memcpy(*bytes, space_host(&view, key.pc), *len);
    if (!*len && !system)
        *map = ~0ull;
    t->step_pc = ~0ull;
}

/* Where the code at key is in the window. */
static u64 place_of(const InterpCache *c, TbKey key)
{
    return c->system ? (key.flags & KEY_PHYS) | (key.pc & ~PAGE_MASK) : key.pc;
}

/* Code that the guest cannot write need not be looked at each time; nor what has been
 * looked at on the way to it. */
static void block_watch(InterpThread *t, Env *env, Block *b)
{
    u8 writable = PAGE_WRITE | PAGE_SHARED;
    bool fixed = b->joined || !space_any(t->cache->space, place_of(t->cache, b->key),
                                         b->head.len, writable);

    steps_head(&b->head, b->key.pc, b->code, fixed, env->cache->timed);
}

/* The block, as memory is now; b: to be replaced in its place, or NULL. */
static Block *block_make(InterpThread *t, Env *env, TbKey key, Block *b)
{
    u64 start = now_ns(), map;
    bool count = env->cache->timed;
    u8 *bytes;
    u32 len;

    read_block(t, key, &bytes, &len, &map);
    if (b)
        block_clear(b);
    else
        b = g_new0(Block, 1);
    b->key = key;
    b->bytes = bytes;
    b->joined = t->source.joined;
    b->n_insns = t->ir->n_insns;
    b->code = steps_new(t->ir, env, &t->run, count);
    for (u32 i = 0; i < t->ir->n_exits; i++)
        b->code->links[i].owner = b;
    b->head.host = space_host(t->cache->space, place_of(t->cache, key));
    b->head.bytes = bytes;
    b->head.len = len;
    b->head.map = map;
    block_watch(t, env, b);
    count_block(t->cache, t->ir, start);
    return b;
}

/* ---- a thread's blocks ---- */

static void drop_all(InterpThread *t, Env *env)
{
    exec_forget_jumps(env);
    g_hash_table_remove_all(t->blocks);
    t->generation = t->cache->generation;
    t->dropped++;
}

static void insert(InterpThread *t, Env *env, Block *b)
{
    if (g_hash_table_size(t->blocks) >= MAX_BLOCKS) {
        drop_all(t, env);
        t->cache->flushes++;
    }
    g_hash_table_insert(t->blocks, &b->key, b);
}

/* Is it what t->source says now? */
static bool same_source(InterpThread *t, const Block *b)
{
    const u8 *now = t->source.joined ? t->source.joint : b->head.host;

    return b->joined == t->source.joined && !memcmp(now, b->bytes, b->head.len);
}

/* A system's block is looked at here: its second page may not even be there. */
static void make_good(InterpThread *t, Env *env, Block *b)
{
    if (same_source(t, b)) {
        b->head.map = atomic_load(&t->cache->map);
    } else {
        t->cache->invalidated++;
        block_make(t, env, b->key, b);
    }
}

/* What the code at env->pc is; false: it cannot be fetched, env->trap. */
static bool find_key(InterpThread *t, Env *env, TbKey *key)
{
    u64 second;

    *key = (TbKey){env->pc, env->key_flags};
    return LIKELY(!t->cache->system) ||
           (system_key(env->cache, env, key, &second) &&
            system_source(env->cache, env, *key, &t->source));
}

/* The block at env->pc; entering it shows whether it is true to memory as it is now.
 * NULL: env->trap. */
static Block *find(InterpThread *t, Env *env)
{
    TbKey key;
    Block *b;

    env->thread->lookups++;
    if (!find_key(t, env, &key))
        return NULL;
    if (UNLIKELY(t->generation != t->cache->generation))
        drop_all(t, env);
    b = g_hash_table_lookup(t->blocks, &key);
    if (!b) {
        b = block_make(t, env, key, NULL);
        insert(t, env, b);
    } else if (t->cache->system) {
        make_good(t, env, b);
    }
    return b;
}

/* The map has changed, or the code: makes the block good for being run now. */
static void refresh(InterpThread *t, Env *env, Block *b)
{
    InterpCache *c = t->cache;
    u64 map = atomic_load(&c->map);
    StepHead *h = &b->head;

    if (h->map != ~0ull && space_check(c->space, b->key.pc, h->len, PAGE_EXEC) &&
        !memcmp(h->host, h->bytes, h->len)) {
        h->map = map;
        block_watch(t, env, b);
        return;
    }
    c->invalidated++;
    block_make(t, env, b->key, b);
}

/* ---- running ---- */

/* How to go on from where the last block was left. */
typedef struct Way {
    StepLink *link; /* to be led to the next block; NULL: none */
    u64 dropped;    /* InterpThread.dropped then */
    bool jump;      /* by an indirect jump */
} Way;

/* As exec.c's. */
static bool may_link(const InterpCache *c, const Block *from, const Block *to)
{
    return !c->system || (!to->joined && from->key.flags == to->key.flags &&
                          !((from->key.pc ^ to->key.pc) & PAGE_MASK));
}

static void link_blocks(InterpThread *t, Env *env, const Way *way, const Block *b)
{
    StepLink *link = way->dropped == t->dropped ? way->link : NULL;

    if (link && may_link(t->cache, link->owner, b)) {
        link->to = &b->head.enter;
        t->cache->links++;
    } else if ((link || way->jump) && !b->joined) {
        env->jump_cache[jump_slot(b->key.pc)] =
            (JumpSlot){b->key.pc ^ env->jump_tag, &b->head.enter};
    }
}

static TrapKind trap(Env *env, TrapKind kind, u64 pc, u64 addr)
{
    env->pc = pc;
    env->trap = (Trap){.kind = kind, .addr = addr};
    if (kind == TRAP_REQUEST)
        atomic_fetch_and(&env->request, ~(u64)REQUEST_SIGNAL);
    return kind;
}

static TrapKind trap_memory(Env *env, int sig, int code, u64 pc, u64 addr, bool write)
{
    trap(env, TRAP_MEMORY, pc, addr);
    env->trap.sig = sig;
    env->trap.code = code;
    env->trap.write = write;
    return TRAP_MEMORY;
}

static StepsEnd run_block(InterpThread *t, Env *env, const Step *first)
{
    Thread *thread = env->thread;
    StepsEnd end;
    u64 began = UNLIKELY(env->cache->timed) ? now_ns() : 0;

    thread->entries++;
    end = steps_run(env, first, &t->run);
    if (UNLIKELY(env->cache->timed))
        thread->inside_ns += now_ns() - began;
    return end;
}

/* Runs from a step until there is something to do.  TRAP_NONE: go on at env->pc. */
static TrapKind run_steps(InterpThread *t, Env *env, const Step *first, Way *way)
{
    StepRun *run = &t->run;
    StepsEnd end = run_block(t, env, first);
    Block *b;

    while (end == STEPS_STALE && !t->cache->system &&
           t->generation == t->cache->generation) {
        b = (Block *)run->head;
        env->pc = b->key.pc;
        refresh(t, env, b);
        end = run_block(t, env, b->head.body);
    }
    *way = (Way){.dropped = t->dropped};
    switch (end) {
    case STEPS_STALE: env->pc = run->head->enter.pc; return TRAP_NONE;
    case STEPS_FAULT:
        return trap_memory(env, SIGSEGV, SEGV_MAPERR, run->pc, run->addr, run->write);
    case STEPS_JUMP:
        env->thread->misses++;
        env->pc = run->pc;
        way->jump = true;
        return TRAP_NONE;
    case STEPS_LINK: break;
    }
    if (run->link->kind == EXIT_TRAP)
        return trap(env, run->link->trap, run->link->pc, run->link->addr);
    env->pc = run->link->pc;
    way->link = run->link;
    return TRAP_NONE;
}

/* Takes the block from Env.budget; false: that does not last for it. */
static bool afford(Env *env, const Block *b)
{
    if (env->budget < b->n_insns) {
        env->budget = 0;
        return false;
    }
    env->budget -= b->n_insns;
    return true;
}

static TrapKind run_blocks(InterpThread *t, Env *env)
{
    bool counted = env->cache->options.budget;
    bool linked = !counted && !log_on(LOG_EXEC | LOG_CPU | LOG_NOCHAIN);
    Way way = {0};

    for (;;) {
        TrapKind kind;
        Block *b;

        if (atomic_load_explicit(&env->request, memory_order_relaxed))
            return trap(env, TRAP_REQUEST, env->pc, 0);
        b = find(t, env);
        if (UNLIKELY(!b))
            return env->trap.kind;
        if (LIKELY(linked))
            link_blocks(t, env, &way, b);
        else
            exec_log(env, false);
        if (UNLIKELY(counted) && !afford(env, b))
            return trap(env, TRAP_REQUEST, env->pc, 0);
        kind = run_steps(t, env, &b->head.enter, &way);
        if (kind != TRAP_NONE)
            return kind;
    }
}

TrapKind interp_run(InterpThread *t, Env *env)
{
    TrapKind kind;
    bool again;

    t->run.limit = t->cache->space->size;
    t->run.miss = system_misses(env);
    do {
        again = false;
        if (sigsetjmp(t->fault, 0) == 0) {
            t->inside = true;
            kind = run_blocks(t, env);
        } else {
            if (t->run.at)
                steps_leave(env, &t->run);
            kind = env->trap.kind;
            again = kind == TRAP_NONE;
        }
        t->inside = false;
    } while (again);
    return kind;
}

/* ---- faults ---- */

void interp_fault(InterpThread *t, Env *env)
{
    env->pc = t->run.pc;
    steps_leave(env, &t->run);
    siglongjmp(t->fault, 1);
}

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

/* Code that cannot be read: perhaps its first instruction can. */
static void unreadable(InterpThread *t, Env *env, int sig, const siginfo_t *info)
{
    u64 page = ((u64)(uintptr_t)info->si_addr - env->base) & PAGE_MASK;
    bool step = t->step_pc == env->pc;

    trap_memory(env, sig, info->si_code, env->pc, MAX(env->pc, page), false);
    if (!step)
        env->trap.kind = TRAP_NONE;
    t->step_pc = step ? ~0ull : env->pc;
}

/* The guest address of the byte that faulted, where the host can tell. */
static u64 fault_address(const Step *at, u64 offset)
{
    u64 addr = at->a ? *at->a + at->imm : at->pc;

    return offset - addr < sizeof(u64) ? offset : addr;
}

bool interp_host_fault(InterpThread *t, Env *env, int sig, siginfo_t *info,
                       ucontext_t *context)
{
    u64 offset = (u64)(uintptr_t)info->si_addr - env->base;
    const Step *at = t->run.at;

    if (!t->inside || t->cache->system || (sig != SIGSEGV && sig != SIGBUS))
        return false;
    if (!at && offset >= t->cache->space->size)
        return false;
    if (at)
        trap_memory(env, sig, info->si_code == SI_KERNEL ? SEGV_MAPERR : info->si_code,
                    at->pc, fault_address(at, offset),
                    context->uc_mcontext.gregs[REG_ERR] & 2);
    else
        unreadable(t, env, sig, info);
    if (log_on(LOG_FAULT))
        log_printf("fault: signal %d at guest pc 0x%llx, host %p\n", sig,
                   (unsigned long long)env->pc, info->si_addr);
    redirect(t, context);
    return true;
}

bool interp_is_inside(const InterpThread *t) { return t->inside; }

bool interp_leave_access(InterpThread *t, Env *env, ucontext_t *context)
{
    if (!t->inside || t->cache->system)
        return false;
    if (t->run.at)
        env->pc = t->run.at->pc;
    env->trap.kind = TRAP_NONE;
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
    c->system = options->system;
    return c;
}

void interp_cache_map(InterpCache *c) { c->map++; }

void interp_cache_pages_awaited(InterpCache *c) { c->awaited = true; }

void interp_cache_flush(InterpCache *c)
{
    c->generation++;
    c->flushes++;
    c->map++; /* threads look */
}

void interp_cache_stats(InterpCache *c, CacheStats *s)
{
    s->blocks += c->blocks;
    s->guest_insns += c->guest_insns;
    s->meta_bytes += c->bytes;
    s->translate_ns += c->translate_ns;
    s->links += c->links;
    s->flushes += c->flushes;
    s->invalidated += c->invalidated;
}

InterpThread *interp_thread_new(InterpCache *c)
{
    InterpThread *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->cache = c;
    t->generation = c->generation;
    t->step_pc = ~0ull;
    t->run.map = &c->map;
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
