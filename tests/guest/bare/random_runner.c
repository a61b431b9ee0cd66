/* SPDX-License-Identifier: MIT */
/*
 * Runs the sequences of a file that test_random wrote (tests/random_case.h) and writes
 * what came of them to standard output.  No library, so that it starts at once.
 *
 *   random_runner FILE         as it is
 *   random_runner FILE storm   with a timer's signal every so often, whose handler
 *                              overwrites every register it may: nothing may change
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include "../../random_case.h"

enum { PAGE = 4096, FAULTS_CALM = 24, STORM_US = 150 };

void enter_sequence(u64 entry); /* random_enter.S */
void leave_sequence(void);
void clobber(void);

#define ROOM ((Room *)(ROOM_AT - ROOM_BEFORE))
#define CASE ((const CaseHead *)CASE_AT)

_Static_assert(offsetof(Room, state) == ROOM_BEFORE, "tp points at the state");
_Static_assert(offsetof(Room, last_x) == ROOM_BEFORE + LAST_X_OFFSET, "");
_Static_assert(offsetof(Room, addr) == ROOM_BEFORE + ADDR_OFFSET, "");
_Static_assert(offsetof(Room, wild) == ROOM_BEFORE + WILD_OFFSET, "");

static struct {
    u64 rng, hash;
    u64 flags;           /* of the sequence */
    u32 faults, allowed; /* in this round; of the trap page */
    CaseResult *out;
} run;

/* Where no sequence's sp is by chance: it would count as being on this stack. */
#define STACK_AT    0x2d3a7c9000
#define STACK_BYTES 16384

static CaseResult result;

/* ---- system calls ---- */

static long system_call(long nr, long a, long b, long c, long d, long e, long f)
{
    register long a7 __asm__("a7") = nr;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;

    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7)
                     : "memory");
    return a0;
}

static void stop(int status) { system_call(SYS_exit_group, status, 0, 0, 0, 0, 0); }

static void must(long r, int status)
{
    if (r < 0)
        stop(status);
}

static void map(u64 at, u64 size, int prot, int fd, u64 offset)
{
    int flags = MAP_FIXED | MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);

    must(system_call(SYS_mmap, (long)at, (long)size, prot, flags, fd, (long)offset), 3);
}

static void protect(u64 page, int prot)
{
    must(system_call(SYS_mprotect, AREA_AT + (long)page * PAGE, PAGE, prot, 0, 0, 0),
         4);
}

/* Called by gcc for structures. */
void *memcpy(void *to, const void *from, size_t len)
{
    u64 *d = to;
    const u64 *s = from;

    for (size_t i = 0; i < len / 8; i++) {
        d[i] = s[i];
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

/* ---- the random numbers and the hash ---- */

static u64 next(void)
{
    run.rng ^= run.rng << 13;
    run.rng ^= run.rng >> 7;
    run.rng ^= run.rng << 17;
    return run.rng;
}

/* No reservation from earlier. */
static void unreserve(void)
{
    __asm__ volatile("sc.w zero, zero, (%0)" ::"r"(&run.rng) : "memory");
}

static void hash(u64 v)
{
    run.hash = (run.hash ^ v) * 0x9e3779b97f4a7c15;
    run.hash ^= run.hash >> 29;
}

static void hash_words(const void *from, u64 bytes)
{
    const u64 *p = from;

    for (u64 i = 0; i < bytes / 8; i++)
        hash(p[i]);
}

/* ---- faults ---- */

static void record(int sig, const siginfo_t *info, const mcontext_t *mc)
{
    FaultRecord *r = &run.out->fault[run.out->faults % RECORDS];

    r->number = run.out->faults++;
    r->sig = (u64)sig;
    r->code = (u64)info->si_code;
    r->addr = (u64)info->si_addr >> 38 ? 0 : (u64)info->si_addr; /* qemu cannot say */
    r->pc = mc->__gregs[0];
    for (int i = 1; i < 32; i++)
        r->state.x[i] = mc->__gregs[i];
    for (int i = 0; i < 32; i++)
        r->state.f[i] = mc->__fpregs.__d.__f[i];
    r->state.fcsr = mc->__fpregs.__d.__fcsr;
    hash_words(r, sizeof *r);
}

static bool is_memory(u32 insn)
{
    u32 opcode = insn & 0x7f;

    return opcode == 0x03 || opcode == 0x23 || opcode == 0x07 || opcode == 0x27 ||
           opcode == 0x2f;
}

/* Half of the accesses are tried again at an address that is good. */
static bool redirect(mcontext_t *mc, u32 insn, u64 random)
{
    u32 base = insn >> 15 & 31;

    if (!is_memory(insn) || base == 3 || base == 4 || base == 0 || (random & 1))
        return false;
    mc->__gregs[base] = GP_AT + PAGE + (random & 0xff8);
    return true;
}

static void calm_down(void)
{
    for (int i = 0; i < ADDR_SLOTS; i++)
        ROOM->addr[i] = GP_AT + 64 + (u64)i * 8;
    protect(AREA_TRAP, PROT_READ | PROT_WRITE);
}

/* The interrupted code does not see what is done here but in its registers. */
static void on_fault(int sig, siginfo_t *info, void *data)
{
    mcontext_t *mc = &((ucontext_t *)data)->uc_mcontext;
    u64 pc = mc->__gregs[0], random = next();
    bool in_trap = ((u64)info->si_addr - AREA_AT) / PAGE == AREA_TRAP;
    u32 insn;

    unreserve();
    record(sig, info, mc);
    if (pc < CODE_AT || pc >= CODE_AT + CASE->code_bytes - 2) { /* no code there */
        mc->__gregs[0] = ROOM->resume;
        return;
    }
    if (++run.faults == FAULTS_CALM)
        calm_down();
    insn = *(u16 *)pc | (u32) * (u16 *)(pc + 2) << 16;
    if (in_trap && run.allowed && --run.allowed == 0)
        protect(AREA_TRAP, PROT_READ | PROT_WRITE); /* and again */
    else if ((insn & 3) != 3)
        mc->__gregs[0] = pc + 2;
    else if ((sig != SIGSEGV && sig != SIGBUS) || !redirect(mc, insn, random >> 20))
        mc->__gregs[0] = pc + 4;
    if ((random & 0xf00) == 0) { /* the code goes on with what is written here */
        mc->__gregs[6 + (random & 7)] = random; /* no link register */
        mc->__fpregs.__d.__f[random >> 4 & 15] = random;
        mc->__fpregs.__d.__fcsr ^= 1u << (random >> 12 & 3);
    }
}

static void on_timer(int sig) { clobber(); }

struct KernelAction {
    void *handler;
    u64 flags, mask;
};

static void handle(int sig, void *handler, u64 mask)
{
    struct KernelAction act = {handler, SA_SIGINFO | SA_ONSTACK | SA_RESTART, mask};

    must(system_call(SYS_rt_sigaction, sig, (long)&act, 0, 8, 0, 0), 5);
}

static void handle_all(void)
{
    static const stack_t stack = {.ss_sp = (void *)STACK_AT, .ss_size = STACK_BYTES};

    map(STACK_AT, STACK_BYTES, PROT_READ | PROT_WRITE, -1, 0);
    must(system_call(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0), 6);
    handle(SIGSEGV, on_fault, ~0ull);
    handle(SIGBUS, on_fault, ~0ull);
    handle(SIGILL, on_fault, ~0ull);
    handle(SIGTRAP, on_fault, ~0ull);
    handle(SIGALRM, on_timer, ~0ull);
}

static void storm(void)
{
    static const struct itimerval every = {{0, STORM_US}, {0, STORM_US}};

    must(system_call(SYS_setitimer, ITIMER_REAL, (long)&every, 0, 0, 0, 0), 7);
}

/* ---- memory ---- */

static void map_file(const char *name)
{
    long fd = system_call(SYS_openat, AT_FDCWD, (long)name, O_RDONLY, 0, 0, 0);

    must(fd, 8);
    map(CASE_AT, align_up(sizeof(CaseHead), PAGE), PROT_READ, (int)fd, 0);
    map(CODE_AT, CASE->code_bytes, PROT_READ | PROT_WRITE | PROT_EXEC, (int)fd,
        CASE->code_at);
    map(CASE_AT, CASE->code_at, PROT_READ, (int)fd, 0);
}

static void map_area(void)
{
    long fd = system_call(SYS_memfd_create, (long)"", 0, 0, 0, 0, 0);

    must(fd, 9);
    must(system_call(SYS_ftruncate, fd, PAGE, 0, 0, 0, 0), 10);
    map(AREA_AT, AREA_BYTES, PROT_READ | PROT_WRITE, -1, 0);
    map(AREA_AT + AREA_FILE * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, (int)fd, 0);
    protect(AREA_NONE, PROT_NONE);
    protect(AREA_READ, PROT_READ);
    must(system_call(SYS_munmap, AREA_AT, PAGE, 0, 0, 0, 0), 11);
    must(system_call(SYS_munmap, AREA_AT + AREA_NOTHING2 * PAGE, PAGE, 0, 0, 0, 0), 11);
    map(ROOM_AT - PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, -1, 0);
}

static void reset_memory(void)
{
    u64 *p = (u64 *)(AREA_AT + AREA_EDGE * PAGE);

    memcpy((void *)(GP_AT - SCRATCH_BEFORE), CASE->scratch, SCRATCH_BYTES);
    for (u32 page = AREA_EDGE; page <= AREA_FILE; page++, p += PAGE / 8)
        for (u32 i = 0; page != AREA_NONE && page != AREA_READ && i < PAGE / 8; i++)
            p[i] = i * 0x0101010101010101ull + page;
    for (u32 i = 0; i < POOL_SIZE; i++)
        ROOM->pool[i] = i & 1 ? CASE->floats[i] : CASE->ints[i];
    for (u32 i = 0; i < ADDR_SLOTS; i++)
        ROOM->wild[i] = CASE->wild[i];
}

static void hash_memory(void)
{
    hash_words((void *)(GP_AT - SCRATCH_BEFORE), SCRATCH_BYTES);
    for (u32 page = AREA_EDGE; page <= AREA_FILE; page++) {
        if (page == AREA_NONE)
            continue;
        hash_words((void *)(AREA_AT + (u64)page * PAGE), 64);
        hash_words((void *)(AREA_AT + (u64)(page + 1) * PAGE - 64), 64);
    }
}

/* ---- sequences ---- */

/* Some registers anew, all loop counters, some values and addresses. */
static void refresh(void)
{
    u64 x = next(), from = next(),
        limit = run.flags & SEQ_FAULTY ? TARGETS : TARGETS_GOOD;
    u64 f = x >> 32;
    State *s = &ROOM->state;

    for (u32 i = 0; i < 32; i++, from += 37, x >>= 1, f >>= 1) {
        if (x & 1)
            s->x[i] = CASE->ints[from % VALUES];
        if (f & 1)
            s->f[i] = CASE->floats[(from >> 9) % VALUES];
    }
    if ((from >> 40 & 3) == 0)
        s->fcsr = (from >> 42) % 5 << 5 | (from >> 48 & 31);
    for (u32 i = 0; i < 4; i++)
        ROOM->pool[next() % POOL_SIZE] = from >> i & 1
                                             ? CASE->ints[(from >> 20) % VALUES]
                                             : CASE->floats[(from >> 30) % VALUES];
    for (u32 i = 0; i < LOOP_SLOTS; i++)
        ROOM->loop[i] = i % 4 || run.flags & SEQ_SHORT ? 3 : 40;
    for (u32 i = 0; i < ADDR_SLOTS; i++)
        ROOM->addr[i] = CASE->targets[(from >> 13) % limit], from = next();
    run.faults = 0;
    run.allowed = 0;
}

/* In some rounds the page below gp may not be read, or not be written. */
static void set_trap(u32 round)
{
    u64 v = next() >> 10;
    bool wanted = run.flags & SEQ_EACH ? round % 4 == 3 : v % 8 == 0;

    if (!(run.flags & (SEQ_FAULTY | SEQ_EACH)) || !wanted)
        return;
    run.allowed = 1 + (v >> 4) % 8;
    protect(AREA_TRAP, v >> 8 & 1 ? PROT_NONE : PROT_READ);
}

static void run_round(const CaseSeq *q, u32 round)
{
    refresh();
    set_trap(round);
    ROOM->resume = ROOM->leave;
    unreserve();
    memcpy(&run.out->begin, &ROOM->state, sizeof(State));
    enter_sequence(q->entry);
    if (run.flags & (SEQ_FAULTY | SEQ_EACH))
        protect(AREA_TRAP, PROT_READ | PROT_WRITE);
    hash_words(&ROOM->state, sizeof(State));
    if (round % 16 == 15 || round == CASE->rounds - 1)
        hash_memory();
    run.out->hash[round] = run.hash;
}

static void run_sequence(const CaseSeq *q, CaseResult *out)
{
    run.rng = q->seed;
    run.hash = q->seed;
    run.flags = q->flags;
    run.out = out;
    reset_memory();
    memcpy(&ROOM->state, &q->start, sizeof(State));
    ROOM->leave = (u64)leave_sequence;
    for (u32 round = 0; round < CASE->rounds; round++)
        run_round(q, round);
    memcpy(&out->end, &ROOM->state, sizeof(State));
    memcpy(out->scratch, (void *)(GP_AT - SCRATCH_BEFORE), SCRATCH_BYTES);
}

void begin(long argc, char **argv)
{
    static const CaseResult empty;

    if (argc < 2)
        stop(2);
    map_file(argv[1]);
    map_area();
    handle_all();
    if (argc > 2)
        storm();
    for (u64 i = 0; i < CASE->n; i++) {
        memcpy(&result, &empty, sizeof result);
        if (argc == 2 || !(CASE->seq[i].flags & SEQ_RESERVES))
            run_sequence(&CASE->seq[i], &result);
        must(system_call(SYS_write, 1, (long)&result, sizeof result, 0, 0, 0), 12);
    }
    stop(0);
}
