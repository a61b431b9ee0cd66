/* SPDX-License-Identifier: MIT */
/* Run: tests/test_ptrace        (in the build folder)
 *
 * Boards of other processes, which may hold anything: nothing that is read there makes
 * us write where we should not, signal whom we should not, or wait for ever. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../linux-user/ptrace.h"

enum { ROUNDS = 300, EXTENTS = 64 };

static Extent extents[EXTENTS];
static Extents map = {extents, EXTENTS, EXTENTS};

static u64 random_state = 1;

static u64 random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Small, large or anything. */
static u64 any_word(void)
{
    u64 kind = random_word() % 4, word = random_word();

    return kind == 0 ? word : kind == 1 ? word % 0x10000 : kind == 2 ? ~(word % 16) : 0;
}

static void good_board(i32 pid)
{
    PtraceBoard *b = &ptrace_board;

    b->size = 1 << 20;
    b->map = (u64)&map;
    b->n = 1;
    b->slot[0].tid = b->slot[0].pid = pid;
    extents[0] = (Extent){0x1000, 0x3000};
    map.n = 1;
    b->ready = TRACEE_READY;
}

/* A child with what fill puts on its board. */
static pid_t child_with(void (*fill)(i32 pid))
{
    int ready[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fill(getpid());
        cr_assert_eq(write(ready[1], "", 1), 1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(ptrace, a_good_board)
{
    pid_t pid = child_with(good_board);
    Tracee e;

    cr_assert_eq(board_find(pid, &e), 0);
    cr_assert_eq(e.pid, pid);
    cr_assert_eq(tracee_mapped(&e, 0x2ff0, 0x100), 0x10);
    cr_assert_eq(tracee_mapped(&e, 0x3000, 1), 0);
    end(pid);
}

static void no_board(i32 pid) { ptrace_board.ready = pid; }

static void many_slots(i32 pid)
{
    good_board(pid);
    ptrace_board.slot[0].tid = 0;
    ptrace_board.n = ~0u;
}

static void everybody(i32 pid)
{
    good_board(pid);
    ptrace_board.slot[0].pid = -1; /* kill(-1) */
}

static void another(i32 pid)
{
    good_board(pid);
    ptrace_board.slot[0].pid = getppid();
}

Test(ptrace, bad_boards)
{
    static const struct {
        void (*fill)(i32 pid);
        i64 error;
    } cases[] = {{no_board, -EAGAIN},
                 {many_slots, -ENOENT},
                 {everybody, -ENOENT},
                 {another, -ENOENT}};

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        pid_t pid = child_with(cases[i].fill);
        Tracee e;

        cr_assert_eq(board_find(pid, &e), cases[i].error, "case %u", i);
        end(pid);
    }
}

static void garbage(i32 pid)
{
    u64 *words = (u64 *)&ptrace_board;

    for (size_t i = 0; i < offsetof(PtraceBoard, slot[2]) / sizeof *words; i++)
        words[i] = any_word();
    for (u32 i = 0; i < EXTENTS; i++)
        extents[i] = (Extent){any_word(), any_word()};
    map.n = random_word() % 2 ? EXTENTS : any_word();
    ptrace_board.ready = TRACEE_READY;
    ptrace_board.map = random_word() % 8 ? (u64)&map : any_word();
    ptrace_board.slot[0].tid = ptrace_board.slot[0].pid = pid;
    if (random_word() % 8)
        ptrace_board.n = 1;
}

Test(ptrace, garbage_on_boards)
{
    u8 bytes[64];
    u32 found = 0;

    for (u32 i = 0; i < ROUNDS; i++) {
        pid_t pid = child_with(garbage);
        PtraceSlot slot;
        Tracee e;

        random_word();
        if (board_find(pid, &e) == 0) {
            found++;
            cr_assert_eq(e.pid, pid);
            tracee_read(&e, &slot, true);
            for (u32 k = 0; k < 64; k++) {
                u64 addr = any_word();

                memset(bytes, 0xa5, sizeof bytes);
                cr_assert_leq(tracee_mapped(&e, addr, 8), 8);
                cr_assert_leq(tracee_memory(&e, addr, bytes, 8, false), 8);
                for (u32 n = 8; n < sizeof bytes; n++)
                    cr_assert_eq(bytes[n], 0xa5);
            }
        }
        end(pid);
    }
    cr_assert_gt(found, ROUNDS / 2);
}
