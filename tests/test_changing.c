/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_changing
 *
 * Code that another thread changes while it is being translated: what was made of the
 * old bytes must not pass for a translation of the new ones. */
#include <criterion/criterion.h>
#include <sys/mman.h>
#include "../tcache/tcache.h"

enum { RET_A0 = 10, LI_A0 = 0x513, ECALL = 0x73, READINGS = 4 };
#define CODE 0x10000ull

static Space space;
static u32 due;   /* CODE is changed when it has been read so often; 0: not */
static u32 value; /* that it returns */

static void put(u32 v)
{
    u32 insn = v << 20 | LI_A0;

    value = v;
    __atomic_store_n((u32 *)space_host(&space, CODE), insn, __ATOMIC_SEQ_CST);
}

/* The other thread, at the worst of moments. */
static void insn_then_change(Dis *d)
{
    guest_riscv64.insn(d);
    if (d->pc == CODE && due && --due == 0)
        put(value + 1);
}

static void map_code(void)
{
    u32 *code = (u32 *)space_host(&space, CODE);

    cr_assert_neq(mmap(code, PAGE_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                  MAP_FAILED);
    space_set(&space, CODE, PAGE_SIZE,
              PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_EXEC);
    put(1);
    code[1] = ECALL;
}

static Env *env_begin(CacheOptions options)
{
    static Guest guest;
    Cache *c;
    Env *env;

    guest = guest_riscv64;
    guest.insn = insn_then_change;
    cr_assert(space_init(&space, 1ull << 32));
    map_code();
    c = cache_new(&options, &guest, &space);
    cr_assert_not_null(c);
    env = env_new(c);
    cr_assert_not_null(env);
    exec_thread_begin(env);
    return env;
}

static u64 run(Env *env)
{
    env->pc = CODE;
    cr_assert_eq(exec_run(env), TRAP_SYSCALL);
    return env->g[RET_A0];
}

static u64 step(Env *env)
{
    env->pc = CODE;
    cr_assert_eq(exec_step(env, NULL), TRAP_NONE);
    cr_assert_eq(env->pc, CODE + 4);
    return env->g[RET_A0];
}

static void check_changes(CacheOptions options, u64 (*act)(Env *env), u8 flags)
{
    Env *env = env_begin(options);

    space_set_bits(&space, CODE, PAGE_SIZE, flags);
    for (u32 n = 1; n <= READINGS; n++) {
        u32 before = value;
        u64 r;

        due = n;
        r = act(env);
        cr_assert(r >= before && r <= value);
        due = 0;
        cr_assert_eq(act(env), value, "changed at reading %u", n);
        put(value + 1); /* so that the next round reads it */
    }
}

Test(changing, stepped) { check_changes((CacheOptions){0}, step, 0); }
Test(changing, hot_page) { check_changes((CacheOptions){0}, run, PAGE_HOT); }
Test(changing, interpreted) { check_changes((CacheOptions){.interp = true}, run, 0); }
