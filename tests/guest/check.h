/* SPDX-License-Identifier: MIT */
/* What every guest test program uses: checks that count, and a running hash. */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static unsigned check_failed, check_count;

static inline void check_that(int ok, const char *what, const char *file, int line)
{
    __atomic_add_fetch(&check_count, 1, __ATOMIC_RELAXED);
    if (ok)
        return;
    __atomic_add_fetch(&check_failed, 1, __ATOMIC_RELAXED);
    printf("%s:%d: %s is false (errno %d)\n", file, line, what, errno);
}

static inline void check_equal(u64 a, u64 b, const char *what, const char *file,
                               int line)
{
    check_count++;
    if (a == b)
        return;
    check_failed++;
    printf("%s:%d: %s: 0x%llx is not 0x%llx (errno %d)\n", file, line, what,
           (unsigned long long)a, (unsigned long long)b, errno);
}

#define CHECK(cond)    check_that(!!(cond), #cond, __FILE__, __LINE__)
#define CHECK_EQ(a, b) check_equal((u64)(a), (u64)(b), #a " == " #b, __FILE__, __LINE__)
/* A call that must fail with this errno. */
#define CHECK_ERR(call, err) (CHECK_EQ((call), -1), CHECK_EQ(errno, (err)))

static inline u64 hash_add(u64 hash, u64 value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        hash = (hash ^ (value & 0xff)) * 0x100000001b3;
    return hash;
}

#define HASH_START 0xcbf29ce484222325

/* A step of xorshift; state must not be 0. */
static inline u64 random_next(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The last line of every program: "ok" is what the runner looks for. */
static inline int check_done(const char *name)
{
    if (check_failed)
        printf("%s: %u of %u checks failed\n", name, check_failed, check_count);
    else
        printf("%s: ok\n", name);
    return check_failed != 0;
}

#endif
