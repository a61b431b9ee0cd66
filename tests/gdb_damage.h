/* SPDX-License-Identifier: MIT */
/* Packets that are nearly right, the same in every run. */
#ifndef TESSERA_GDB_DAMAGE_H
#define TESSERA_GDB_DAMAGE_H

#include <glib.h>
#include "../microops/base.h"

static u64 random_state = 88172645463325252ull;

static u32 random_below(u32 n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (u32)(random_state >> 32) % n;
}

/* One packet with a few bytes changed, lost or doubled. */
static void damage(GString *packet)
{
    static const char bytes[] = "0123456789abcdef:;,.=-p}#\377\200 cCsSrtzZ";

    for (u32 n = random_below(4); n-- > 0 && packet->len;) {
        u32 at = random_below((u32)packet->len);

        switch (random_below(4)) {
        case 0: packet->str[at] = bytes[random_below(sizeof bytes)]; break;
        case 1: g_string_erase(packet, at, 1); break;
        case 2: g_string_insert_c(packet, at, bytes[random_below(sizeof bytes)]); break;
        case 3: g_string_truncate(packet, at); break;
        }
    }
}

#endif
