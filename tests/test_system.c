/* SPDX-License-Identifier: MIT */
/* Run: GUESTS=build/tests/guest build/tests/test_system
 *
 * A hart of a whole system: system/hart.S from reset through machine, supervisor and
 * user mode, as blocks, as traces, one instruction at a time and with baseline code;
 * and the bus and the TLB by themselves. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../tcache/tcache.h"
#include "../translate/riscv64/priv.h"

enum { RAM_SIZE = 1 << 24, TOO_LONG = 1 << 22 };
#define RAM    0x80000000ull
#define FINISH 0x100000ull

typedef struct Machine {
    Space space;
    Bus bus;
    Hart hart;
    Cache *cache;
    Env *env;
    bool done;
    u64 result, traps;
} Machine;

/* ---- the one device: the result, and two lines to interrupt with ---- */

static u64 finish_read(void *ctx, u64 offset, u32 width) { return offset; }

static void finish_write(void *ctx, u64 offset, u64 value, u32 width)
{
    Machine *m = ctx;

    if (offset == 4) {
        hart_line(m->env, IRQ_MTI, value & 1);
        hart_line(m->env, IRQ_SEI, value & 2);
        return;
    }
    m->done = true;
    m->result = value;
    exec_request(m->env);
}

/* ---- the board ---- */

static u64 board_time(void *ctx) { return 0; }
static bool board_timer(void *ctx, u32 hart, u64 when) { return false; }
static void board_fence_i(Env *env) { cache_fence_i(env->cache); }

static void on_fault(int sig, siginfo_t *info, void *context)
{
    extern Env *running;

    if (!exec_host_fault(running, sig, info, context)) {
        fprintf(stderr, "host fault at %p\n", info->si_addr);
        _exit(3);
    }
}

Env *running;

static void load(Machine *m, const char *name)
{
    char path[512];
    const char *guests = getenv("GUESTS");
    int fd;

    snprintf(path, sizeof path, "%s/%s", guests ? guests : "tests/guest", name);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        cr_skip_test("%s is not there", path);
    cr_assert_gt(read(fd, space_host(&m->space, RAM), RAM_SIZE), 0);
    close(fd);
}

static void machine_init(Machine *m)
{
    const BusRegion finish = {FINISH, 8, 4, m, finish_read, finish_write};

    *m = (Machine){0};
    cr_assert(space_init(&m->space, 1ull << 36));
    cr_assert_neq(mmap(space_host(&m->space, RAM), RAM_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                  MAP_FAILED);
    space_set(&m->space, RAM, RAM_SIZE,
              PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    m->bus.space = &m->space;
    cr_assert(bus_add(&m->bus, &finish));
}

static void machine_boot(Machine *m, CacheOptions options)
{
    static u8 stack[1 << 16];
    const HartBoard board = {m, board_time, board_timer, exec_request, board_fence_i};
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};

    machine_init(m);
    load(m, "hart");
    options.system = true;
    m->cache = cache_new(&options, &guest_riscv64, &m->space);
    cr_assert(m->cache);
    m->env = running = env_new(m->cache);
    cr_assert(hart_init(&m->hart, m->env, 0, &m->bus, &board));
    cache_serve(m->env);
    hart_reset(m->env, RAM);
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    sigaction(SIGSEGV, &action, NULL);
    exec_thread_begin(m->env);
}

static void machine_run(Machine *m)
{
    while (!m->done && m->traps++ < TOO_LONG) {
        if (exec_run(m->env) == TRAP_REQUEST)
            hart_interrupt(m->env);
        else
            hart_trap(m->env);
    }
}

static void must_be_done(const Machine *m)
{
    cr_assert(m->done, "it did not end; pc 0x%llx, step %llu",
              (unsigned long long)m->env->pc, (unsigned long long)m->env->g[27]);
    cr_assert_eq(m->result, 0, "step %llu failed", (unsigned long long)m->result);
}

static void run(CacheOptions options)
{
    static Machine m;

    machine_boot(&m, options);
    machine_run(&m);
    must_be_done(&m);
}

Test(hart, blocks) { run((CacheOptions){.hot = HOT_NEVER}); }
Test(hart, traces) { run((CacheOptions){.hot = 20}); }
Test(hart, traces_soon) { run((CacheOptions){.hot = 2}); }
Test(hart, default_) { run((CacheOptions){0}); }
Test(hart, baseline) { run((CacheOptions){.no_v3 = true}); }
Test(hart, small_cache) { run((CacheOptions){.code_size = 1}); }
Test(hart, interp) { run((CacheOptions){.interp = true}); }
Test(hart, interp_one) { run((CacheOptions){.interp = true, .max_insns = 1}); }
Test(hart, one_insn) { run((CacheOptions){.max_insns = 1, .hot = HOT_NEVER}); }

/* ---- interpreted and as code, compared ---- */

static void check(CacheOptions options)
{
    static Machine m;
    CacheStats s;

    options.check = true;
    machine_boot(&m, options);
    machine_run(&m);
    must_be_done(&m);
    cache_stats(m.cache, &s);
    cr_assert_gt(s.compared, 10000);
    cr_assert_lt(s.passed_by, 100, "%llu blocks", (unsigned long long)s.passed_by);
}

Test(hart, check) { check((CacheOptions){0}); }
Test(hart, check_traces) { check((CacheOptions){.hot = 20}); }
Test(hart, check_one) { check((CacheOptions){.max_insns = 1}); }

/* What is said of a bug that is planted. */
static void see_bug(CacheOptions options, const char *named)
{
    static Machine m;
    static char text[1 << 16];
    FILE *said = tmpfile();
    pid_t pid = fork();
    int status;

    if (!pid) {
        dup2(fileno(said), 2);
        machine_boot(&m, options);
        machine_run(&m);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    rewind(said);
    text[fread(text, 1, sizeof text - 1, said)] = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 70, "status %#x", status);
    cr_assert(strstr(text, named), "%s", text);
}

Test(hart, check_names_op)
{
    see_bug((CacheOptions){.check = true, .plant = {OP_st64, OP_st32}},
            "first op that differs");
}
Test(hart, check_names_pass)
{
    see_bug(
        (CacheOptions){
            .check = true, .hot = 20, .plant = {OP_add, OP_sub}, .plant_in = "fold"},
        "the pass \"fold\" changes what this means");
}

/* ---- one instruction after another, as a debugger steps ---- */

static void step_once(Machine *m)
{
    TrapKind kind;

    if (atomic_exchange(&m->env->request, 0) && hart_interrupt(m->env))
        return;
    kind = exec_step(m->env, NULL);
    if (kind == TRAP_REQUEST)
        hart_interrupt(m->env);
    else if (kind != TRAP_NONE)
        hart_trap(m->env);
}

static void step(CacheOptions options)
{
    static Machine m;

    machine_boot(&m, options);
    while (!m.done && m.traps++ < TOO_LONG)
        step_once(&m);
    must_be_done(&m);
}

Test(hart, steps) { step((CacheOptions){0}); }
Test(hart, steps_interp) { step((CacheOptions){.interp = true}); }

static void on_alarm(int sig) { exec_request(running); }

/* Some instructions as code, some stepped: code is seen to change either way. */
Test(hart, steps_now_and_then)
{
    static Machine m;

    machine_boot(&m, (CacheOptions){.hot = 20});
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 50}, {0, 50}}, NULL);
    while (!m.done && m.traps++ < TOO_LONG) {
        for (u32 i = 0; i < m.traps % 64 && !m.done; i++)
            step_once(&m);
        if (!m.done && exec_run(m.env) == TRAP_REQUEST)
            hart_interrupt(m.env);
        else
            hart_trap(m.env);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    must_be_done(&m);
}

/* ---- the bus ---- */

Test(bus, regions)
{
    static Machine m;
    const BusRegion over = {FINISH + 4, 8, 4, &m, finish_read, finish_write};
    const BusRegion wraps = {~0ull - 3, 8, 4, &m, finish_read, finish_write};
    const BusRegion below = {0x1000, 16, 1 | 2, &m, finish_read, finish_write};
    u64 v;

    machine_init(&m);
    cr_assert(!bus_add(&m.bus, &over));
    cr_assert(!bus_add(&m.bus, &wraps));
    cr_assert(bus_add(&m.bus, &below));
    cr_assert(bus_read(&m.bus, FINISH + 4, 4, &v) && v == 4);
    cr_assert(!bus_read(&m.bus, FINISH, 8, &v));
    cr_assert(!bus_read(&m.bus, FINISH + 2, 4, &v));
    cr_assert(!bus_read(&m.bus, FINISH + 8, 4, &v));
    cr_assert(bus_read(&m.bus, 0x100f, 1, &v) && v == 15);
    cr_assert(!bus_read(&m.bus, 0x100f, 2, &v));
    cr_assert(bus_write(&m.bus, RAM + RAM_SIZE - 8, 8, 77));
    cr_assert(bus_read(&m.bus, RAM + RAM_SIZE - 8, 8, &v) && v == 77);
    cr_assert(!bus_write(&m.bus, RAM + RAM_SIZE - 4, 8, 77));
    cr_assert_null(bus_ram(&m.bus, ~0ull - 4095, 4096));
}
