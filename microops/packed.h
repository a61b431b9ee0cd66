/* SPDX-License-Identifier: MIT */
/* Guest memory as an lvalue, for ops.h's MEM: unaligned, and aliasing everything. */
#ifndef TESSERA_PACKED_H
#define TESSERA_PACKED_H

#include "base.h"

#define PACKED(T)                                       \
    typedef struct __attribute__((packed, may_alias)) { \
        T v;                                            \
    } Packed_##T;
PACKED(u8)
PACKED(i8)
PACKED(u16)
PACKED(i16)
PACKED(u32)
PACKED(i32)
PACKED(u64)
PACKED(float)
PACKED(double)
#undef PACKED

#endif
