/* SPDX-License-Identifier: MIT */
/*
 * What a benchmark kernel is: one source file, built natively and for the guest with
 * the same compiler options, that does `rounds` units of work and returns a checksum.
 * main.c times it from inside the process, so start-up is not part of the figure.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

/* As if in another file: not inlined, not specialised for what its caller passes. */
#define NOINLINE      __attribute__((noipa))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

extern const u64 kernel_rounds; /* how many make 0.2 to 0.3 s natively */
u64 kernel_run(u64 rounds);

/* One step of a checksum that depends on the order of its inputs. */
static inline u64 checksum(u64 sum, u64 value)
{
    return (sum ^ value) * 0x9e3779b97f4a7c15 + (sum >> 29);
}

static inline u64 checksum_double(u64 sum, double value)
{
    u64 bits;

    memcpy(&bits, &value, sizeof(bits));
    return checksum(sum, bits);
}

/* xorshift: the same sequence on every machine. */
static inline u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
