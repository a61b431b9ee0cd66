/* SPDX-License-Identifier: MIT */
/*
 * The code buffer and fork.  What is in it at a fork is frozen: parent and child run
 * it, neither writes to it.  Their new code follows it, the child's in memory of its
 * own.  Exits of frozen code that are not linked yet stay so, until going through C
 * each time has cost as much as a copy would have; then it is copied.
 *
 * Children usually run the same code, which their parent never does: what comes after
 * fork returns 0.  They tell it which blocks they had to make or to take from a file,
 * and before its next fork it does so once for all.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "saved.h"

/* In memory that parent and children share.  Only hints: nobody trusts them. */
typedef struct Lesson {
    _Atomic u32 n; /* told since the last fork; may be more than there is room for */
    TbKey keys[LESSON];
} Lesson;

/* ---- who writes where ---- */

static void renew(Cache *c, size_t keep, size_t from, size_t to)
{
    if (code_renew(c, keep, from, to))
        return;
    report("no memory for a code buffer after a fork");
    _exit(127);
}

void fork_own_tail(Cache *c)
{
    if (LIKELY(!c->borrowed))
        return;
    renew(c, 0, c->frozen, c->size);
    c->ready = c->own = c->frozen;
    c->borrowed = false;
}

void fork_own_all(Cache *c, u32 keep)
{
    fork_own_tail(c);
    if (c->frozen)
        renew(c, keep, 0, c->frozen);
    c->frozen = c->wishes = 0;
}

bool fork_may_write(Cache *c, u32 at, u32 urgency)
{
    if (at >= c->frozen)
        return true;
    c->wishes += urgency;
    if (c->wishes < WISHES_LEAST + c->frozen / WISHES_BYTES)
        return false;
    fork_own_all(c, c->frozen);
    return true;
}

/* ---- what children need ---- */

void fork_teach(Cache *c, TbKey key)
{
    Lesson *l = c->teach;
    u32 n = l && l->n < LESSON ? atomic_fetch_add(&l->n, 1) : LESSON;

    if (n < LESSON)
        l->keys[n] = key;
}

static void learn(Cache *c, Env *env)
{
    Lesson *l = c->learn;
    u32 n = l && l->n ? atomic_exchange(&l->n, 0) : 0;
    bool faulted;

    for (u32 i = 0; i < MIN(n, LESSON) && !c->kick; i++) { /* nothing waits here */
        TbKey key = l->keys[i];

        if (!(key.pc & 1) && !(key.flags & KEY_STEP) &&
            (space_flags(c->space, key.pc) & PAGE_EXEC) &&
            !tb_find(c, key.pc, key.flags) && !saved_find(c, key) &&
            !exec_gen(c, env, key, GEN_BLOCK, &faulted) && !faulted)
            break;
    }
    if (!l) {
        l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
        c->learn = l == MAP_FAILED ? NULL : l;
    }
}

/* ---- the fork ---- */

void exec_fork_prepare(Cache *c, Env *env)
{
    lock_take(&c->lock);
    if (c->interp)
        return;
    learn(c, env);
    c->at = c->frozen = (u32)align_up(c->at, PAGE_SIZE);
}

void exec_fork_parent(Cache *c) { lock_leave(&c->lock); }

void exec_fork_child(Cache *c, Env *env)
{
    lock_renew(&c->lock);
    lock_renew(&c->pages_lock);
    c->threads = NULL;
    exec_list_add(c, env->thread);
    env->thread->sparing = SPARED;
    if (c->teach)
        munmap(c->teach, sizeof *c->teach);
    c->teach = c->learn;
    c->learn = NULL;
    c->borrowed = c->interp == NULL;
    c->wishes = 0;
    if (c->saved)
        c->saved->born = c->n_tbs;
    perf_fork_child(c);
}
