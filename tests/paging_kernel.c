/* SPDX-License-Identifier: MIT */
/* The hart, its memory and the kernel of test_paging. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include "paging.h"

enum {
    RAM_SIZE = 4 << 20,
    FRAMES = 320, /* pages of RAM that hold the guest's; tables come after them */
    LEAVE_AT = 0x7000,
    CALM = 24,      /* faults of a round after which addresses are good */
    TOO_MANY = 400, /* and after which it ends */
    STORM_US = 200,
    NR_MPROTECT = 226,
};
#define RAM      0x80000000ull
#define REGISTER 0x200000ull

enum {
    PTE_V = 1,
    PTE_R = 2,
    PTE_W = 4,
    PTE_X = 8,
    PTE_U = 16,
    PTE_A = 64,
    PTE_D = 128,
    PTE_RWX = PTE_R | PTE_W | PTE_X,
};

/* A page of the sequences': what its entry is when nothing is kept back. */
typedef struct Page {
    u64 at, full, table; /* table: physical address of its entry */
} Page;

typedef struct Kernel {
    Space space;
    Bus bus;
    Hart hart;
    Cache *cache;
    Env *env;
    const PagingMode *mode;
    const CaseHead *file;
    Outcome *out;
    u64 rng, hash, flags, reads, root, n_tables;
    u32 faults;
    u32 n_pages;
    Page page[MAX_PAGES];
    bool used[FRAMES];
} Kernel;

static Kernel k;

static u64 next(void) { return random_next(&k.rng) >> 8; }

static void hash(u64 v)
{
    k.hash = (k.hash ^ v) * 0x9e3779b97f4a7c15;
    k.hash ^= k.hash >> 29;
}

/* ---- memory ---- */

/* RAM that is about to be written from here. */
static void *to_write(u64 phys, u64 len)
{
    cache_host_write(k.cache, phys, len);
    return space_host(&k.space, phys);
}

static u64 read_entry(u64 at)
{
    u64 v;

    memcpy(&v, space_host(&k.space, at), 8);
    return v;
}

static void write_entry(u64 at, u64 v) { memcpy(to_write(at, 8), &v, 8); }

static u64 new_table(void)
{
    u64 at = RAM + (FRAMES + k.n_tables++) * PAGE_SIZE;

    memset(to_write(at, PAGE_SIZE), 0, PAGE_SIZE);
    return at;
}

/* The physical address of the leaf entry of addr. */
static u64 entry_of(u64 addr)
{
    u64 table = k.root;

    for (u32 shift = 30; shift > 12; shift -= 9) {
        u64 at = table + (addr >> shift & 511) * 8, entry = read_entry(at);

        if (!entry)
            write_entry(at, entry = new_table() >> 2 | PTE_V);
        table = entry >> 10 << 12;
    }
    return table + (addr >> 12 & 511) * 8;
}

/* n free neighbours. */
static u64 new_frames(u32 n)
{
    for (;;) {
        u64 i = next() % (FRAMES - n + 1), free = 0;

        while (free < n && !k.used[i + free])
            free++;
        if (free < n)
            continue;
        for (u32 j = 0; j < n; j++)
            k.used[i + j] = true;
        return RAM + i * PAGE_SIZE;
    }
}

static Page *page_at(u64 addr)
{
    for (u32 i = 0; i < k.n_pages; i++)
        if (k.page[i].at == (addr & PAGE_MASK))
            return &k.page[i];
    return NULL;
}

static u64 frame_of(const Page *p) { return p->full >> 10 << 12; }

static u8 *host_at(u64 addr)
{
    const Page *p = page_at(addr);

    return p ? space_host(&k.space, frame_of(p) + (addr & ~PAGE_MASK)) : NULL;
}

/* Copies to where the guest has addr, across pages. */
static void put(u64 addr, const void *from, u64 len)
{
    while (len) {
        u64 n = MIN(len, PAGE_SIZE - (addr & ~PAGE_MASK));

        memcpy(to_write(frame_of(page_at(addr)) + (addr & ~PAGE_MASK), n), from, n);
        addr += n;
        from = (const u8 *)from + n;
        len -= n;
    }
}

static void get(void *to, u64 addr, u64 len)
{
    for (u64 i = 0; i < len; i++)
        ((u8 *)to)[i] = *host_at(addr + i);
}

#define ROOM(field)    (ROOM_AT - ROOM_BEFORE + offsetof(Room, field))
#define PUT(at, value) put(at, &(u64){value}, 8)

/* ---- mappings ---- */

/* Old entries may be known: all that is known of the page is forgotten, or all. */
static void fence(u64 addr)
{
    if (next() % 4)
        mmu_flush_page(k.env, addr, 0, 0);
    else
        mmu_flush(k.env);
}

static void add_page(u64 at, u64 frame, u64 rights)
{
    Page *p = &k.page[k.n_pages++];
    bool user = k.hart.priv == PRIV_U ||
                (k.hart.mstatus & MSTATUS_SUM && at >= AREA_AT && next() & 1);

    p->at = at;
    p->table = entry_of(at);
    p->full = frame >> 2 | PTE_V | rights | (user ? PTE_U : 0) | PTE_A | PTE_D;
    write_entry(p->table, p->full & ~(next() & (PTE_A | PTE_D)));
}

static void add_area(void)
{
    for (u64 i = 0; i < AREA_END; i++) {
        u64 at = AREA_AT + i * PAGE_SIZE;

        if (i == AREA_NOTHING || i == AREA_NONE || i == AREA_NOTHING2)
            continue;
        if (i == AREA_BEYOND)
            add_page(at, REGISTER, PTE_R);
        else
            add_page(at, new_frames(1), i == AREA_READ ? PTE_R : PTE_R | PTE_W);
    }
}

static void map_all(void)
{
    u64 room = ROOM_AT - PAGE_SIZE;

    k.n_pages = 0;
    k.n_tables = 0;
    memset(k.used, 0, sizeof k.used);
    k.root = new_table();
    for (u64 at = 0; at < k.file->code_bytes; at += PAGE_SIZE)
        add_page(CODE_AT + at, new_frames(1), PTE_RWX);
    add_area();
    for (u64 at = room; at < room + 2 * PAGE_SIZE; at += PAGE_SIZE)
        add_page(at, new_frames(1), PTE_R | PTE_W);
}

/* Something is kept back of an entry, or the page moves. */
static void disturb(void)
{
    static const u64 kept[] = {PTE_V, PTE_W, PTE_X, PTE_A, PTE_D, PTE_A | PTE_D};
    Page *p = &k.page[next() % k.n_pages];

    if (next() % 3 == 0 && frame_of(p) != REGISTER) {
        u64 old = frame_of(p), new = new_frames(1);

        memcpy(to_write(new, PAGE_SIZE), space_host(&k.space, old), PAGE_SIZE);
        k.used[(old - RAM) / PAGE_SIZE] = false;
        p->full = (p->full & 1023) | new >> 2;
        cache_fence_i(k.cache);
    }
    write_entry(p->table, p->full & ~kept[next() % ARRAY_SIZE(kept)]);
    fence(p->at);
}

/* Gives back what was kept back.  False: it is all there, or nobody's page. */
static bool bring(u64 addr)
{
    const Page *p = page_at(addr);
    u64 now = p ? read_entry(p->table) : 0;

    if (!p || now == p->full)
        return false;
    write_entry(p->table, p->full);
    fence(p->at);
    return true;
}

/* ---- what is compared ---- */

static void see_state(State *s)
{
    memcpy(s->x, k.env->g, sizeof s->x);
    memcpy(s->f, k.env->g + F0, sizeof s->f);
    s->x[0] = 0;
    s->fcsr = riscv64_fcsr(k.env);
}

static void event(TrapKind kind)
{
    Event e = {.pc = k.env->pc, .kind = kind};
    State s;

    if (kind == TRAP_MEMORY || kind == TRAP_FETCH) {
        e.code = (u32)k.env->trap.code;
        e.addr = k.env->trap.addr;
    }
    see_state(&s);
    for (u32 i = 0; i < sizeof s / 8; i++)
        hash(((const u64 *)&s)[i]);
    hash(e.pc), hash(e.addr), hash(e.kind), hash(e.code);
    e.hash = k.hash;
    if (k.out->n == k.out->wanted)
        k.out->state = s;
    if (k.out->n < MAX_EVENTS)
        k.out->event[k.out->n++] = e;
}

/* Of the sequences' memory and of their entries, with A and D. */
static void hash_memory(void)
{
    for (u32 i = 0; i < k.n_pages; i++) {
        const Page *p = &k.page[i];
        const u64 *words = (const u64 *)space_host(&k.space, frame_of(p));

        hash(read_entry(p->table));
        for (u32 j = 0; frame_of(p) != REGISTER && j < PAGE_SIZE / 8; j++)
            hash(words[j]);
    }
}

/* ---- traps ---- */

static void skip(u64 pc)
{
    k.env->pc = pc + (host_at(pc) ? insn_len(*host_at(pc)) : 2);
}

/* Tries again with a good address, unless the base is none of the sequence's. */
static bool redirect(u64 pc, u64 random)
{
    u32 bits = 0, base;

    get(&bits, pc, insn_len(*host_at(pc)));
    base = bits >> 15 & 31;
    if ((bits & 3) != 3 || base == X_GP || base == X_TP || !base || random & 1)
        return false;
    k.env->g[base] = GP_AT + PAGE_SIZE + (random & 0xff8);
    return true;
}

static void calm_down(void)
{
    for (u64 i = 0; i < ADDR_SLOTS; i++)
        PUT(ROOM(addr) + i * 8, GP_AT + 64 + i * 8);
}

static void on_memory(u64 pc, u64 random)
{
    if (bring(k.env->trap.addr))
        return;
    if (++k.faults == CALM)
        calm_down();
    if (!redirect(pc, random))
        skip(pc);
}

static void on_fetch(void)
{
    if (!bring(k.env->trap.addr))
        get(&k.env->pc, ROOM(resume), 8);
}

static void on_call(u64 pc)
{
    if (k.env->g[X_A7] == NR_MPROTECT) {
        Page *p = page_at(AREA_AT + AREA_TRAP * PAGE_SIZE);
        u64 rights = k.env->g[12] & 1 ? PTE_R | PTE_W : PTE_W | PTE_R | PTE_V;

        write_entry(p->table, p->full & ~(k.env->g[12] == 1 ? PTE_W : rights));
        fence(p->at);
    }
    k.env->g[X_A0] = 0;
    k.env->pc = pc + 4;
}

/* A program's call enters machine mode, where there is no code: back to the call. */
static TrapKind call_of(TrapKind kind)
{
    if (kind != TRAP_FETCH || k.hart.priv != PRIV_M)
        return kind;
    k.hart.priv = PRIV_U;
    k.hart.mstatus &= ~MSTATUS_MPP;
    k.env->pc = k.hart.mepc;
    hart_changed(k.env);
    return TRAP_SYSCALL;
}

/* False: the round is over. */
static bool on_trap(TrapKind found)
{
    TrapKind kind = call_of(found);
    u64 pc = k.env->pc, random;

    if (kind == TRAP_NONE || kind == TRAP_REQUEST || kind == TRAP_WAIT)
        return true;
    if (kind == TRAP_FENCE_I) {
        cache_fence_i(k.cache);
        return true;
    }
    k.env->res_addr = ~0ull;
    event(kind);
    k.out->faults++;
    if ((kind == TRAP_FETCH && pc == LEAVE_AT) || k.faults > TOO_MANY)
        return false;
    random = next();
    switch (kind) {
    case TRAP_MEMORY: on_memory(pc, random >> 20); break;
    case TRAP_FETCH: on_fetch(); break;
    case TRAP_SYSCALL: on_call(pc); break;
    default:
        k.faults++;
        skip(pc);
        break;
    }
    if (random % 3 == 0)
        disturb();
    return true;
}

/* ---- sequences ---- */

/* Some registers anew, all loop counters, some addresses. */
static void refresh(State *s)
{
    u64 limit = k.flags & SEQ_FAULTY ? TARGETS : TARGETS_GOOD;

    for (u32 i = 0; i < 32; i++) {
        u64 v = next();

        if (v & 1)
            s->x[i] = k.file->ints[v / 2 % VALUES];
        if (v & 2 << 20)
            s->f[i] = k.file->floats[(v >> 24) % VALUES];
    }
    for (u64 i = 0; i < LOOP_SLOTS; i++)
        PUT(ROOM(loop) + i * 8, i % 4 || k.flags & SEQ_SHORT ? 3 : 40);
    for (u64 i = 0; i < ADDR_SLOTS; i++)
        PUT(ROOM(addr) + i * 8, k.file->targets[next() % limit]);
    put(ROOM(state), s, sizeof *s);
    PUT(ROOM(leave), LEAVE_AT);
    PUT(ROOM(resume), LEAVE_AT);
    k.faults = 0;
}

static void fill(void)
{
    put(CODE_AT, (const u8 *)k.file + k.file->code_at, k.file->code_bytes);
    put(GP_AT - SCRATCH_BEFORE, k.file->scratch, SCRATCH_BYTES);
    for (u64 i = 0; i < POOL_SIZE; i++)
        PUT(ROOM(pool) + i * 8, i & 1 ? k.file->floats[i] : k.file->ints[i]);
    for (u64 i = 0; i < ADDR_SLOTS; i++)
        PUT(ROOM(wild) + i * 8, k.file->wild[i]);
}

/* A mode, a way of keeping A and D, and tables for the sequence. */
static void set_up(void)
{
    u64 v = next();

    k.hart.priv = v & 1 ? PRIV_S : PRIV_U;
    k.hart.menvcfg = v & 2 ? ENVCFG_ADUE : 0;
    k.hart.mstatus |= MSTATUS_FS | MSTATUS_TSR;
    k.hart.mstatus &= ~MSTATUS_SUM;
    k.hart.mstatus |= v & 4 ? MSTATUS_SUM : 0;
    map_all();
    fill();
    cache_fence_i(k.cache);
    k.hart.satp = 8ull << 60 | k.root >> PAGE_BITS;
    mmu_flush(k.env);
    hart_changed(k.env);
}

static void run_round(const CaseSeq *q, State *s)
{
    refresh(s);
    memcpy(k.env->g, s->x, sizeof s->x);
    memcpy(k.env->g + F0, s->f, sizeof s->f);
    riscv64_set_fcsr(k.env, (u32)s->fcsr);
    hart_changed(k.env);
    k.env->g[0] = 0;
    k.env->g[X_GP] = GP_AT;
    k.env->g[X_TP] = ROOM_AT;
    k.env->pc = q->entry;
    k.env->res_addr = ~0ull;
    while (on_trap(k.mode->steps ? exec_step(k.env, NULL) : exec_run(k.env)))
        ;
    see_state(s);
    hash_memory();
    event(TRAP_NONE);
}

static void run_sequence(const CaseSeq *q)
{
    State s = q->start;

    k.rng = q->seed;
    k.flags = q->flags;
    set_up();
    for (u32 i = 0; i < k.file->rounds; i++)
        run_round(q, &s);
}

/* ---- the machine ---- */

static u64 register_read(void *ctx, u64 offset, u32 width)
{
    hash(offset), hash(width);
    return ++k.reads * 0x9e3779b97f4a7c15;
}
static void register_write(void *ctx, u64 offset, u64 value, u32 width) {}

static u64 no_time(void *ctx) { return 0; }
static bool no_timer(void *ctx, u32 hart, u64 when) { return false; }
static void fence_i(Env *env) { cache_fence_i(env->cache); }

static void on_fault(int sig, siginfo_t *info, void *context)
{
    if (!exec_host_fault(k.env, sig, info, context)) {
        fprintf(stderr, "host fault at %p\n", info->si_addr);
        _exit(3);
    }
}

static void on_alarm(int sig) { exec_request(k.env); }

static void handle_signals(void)
{
    static u8 stack[1 << 16];
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const struct itimerval every = {{0, STORM_US}, {0, STORM_US}};

    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (!k.mode->storm)
        return;
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void boot(void)
{
    const HartBoard board = {NULL, no_time, no_timer, exec_request, fence_i};
    const BusRegion reg = {REGISTER, PAGE_SIZE,     15,
                           NULL,     register_read, register_write};
    CacheOptions options = k.mode->options;

    options.system = true;
    if (!space_init(&k.space, 1ull << 32) ||
        mmap(space_host(&k.space, RAM), RAM_SIZE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(4);
    space_set(&k.space, RAM, RAM_SIZE,
              PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    k.bus.space = &k.space;
    bus_add(&k.bus, &reg);
    k.cache = cache_new(&options, &guest_riscv64, &k.space);
    k.env = k.cache ? env_new(k.cache) : NULL;
    if (!k.env || !hart_init(&k.hart, k.env, 0, &k.bus, &board))
        _exit(4);
    cache_serve(k.env);
    exec_thread_begin(k.env);
}

void paging_run(const PagingMode *mode, const CaseHead *file, Outcome *out)
{
    CacheStats stats;

    k.mode = mode;
    k.file = file;
    k.out = out;
    boot();
    handle_signals();
    for (u32 i = 0; i < file->n; i++)
        run_sequence(&file->seq[i]);
    cache_stats(k.cache, &stats);
    out->compared = stats.compared;
    out->passed_by = stats.passed_by;
}
