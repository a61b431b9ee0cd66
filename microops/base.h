/* SPDX-License-Identifier: MIT */
/* Integer names and the few macros everything uses.  Includes nothing of ours. */
#ifndef TESSERA_BASE_H
#define TESSERA_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned __int128 u128;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef __int128 i128;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))

#undef MIN /* glib's are the same */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define PAGE_BITS 12
#define PAGE_SIZE (1ull << PAGE_BITS)
#define PAGE_MASK (~(PAGE_SIZE - 1))

static inline u64 align_down(u64 v, u64 to) { return v & ~(to - 1); }
static inline u64 align_up(u64 v, u64 to) { return (v + to - 1) & ~(to - 1); }
static inline bool fits_i8(i64 v) { return v == (i8)v; }
static inline bool fits_i32(i64 v) { return v == (i32)v; }

#endif
