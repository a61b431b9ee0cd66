/* SPDX-License-Identifier: MIT */
/* CRC-32 of a buffer, a word at a time through four tables. */
#include "kernel.h"

const u64 kernel_rounds = 5900;

static u32 table[4][256];
static u32 buffer[16 * 1024];

static void make_tables(void)
{
    for (u32 i = 0; i < 256; i++) {
        u32 crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
        table[0][i] = crc;
    }
    for (int t = 1; t < 4; t++) {
        for (u32 i = 0; i < 256; i++)
            table[t][i] = table[0][table[t - 1][i] & 0xff] ^ (table[t - 1][i] >> 8);
    }
}

static NOINLINE u32 crc32(u32 crc, const u32 *words, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= words[i];
        crc = table[3][crc & 0xff] ^ table[2][crc >> 8 & 0xff] ^
              table[1][crc >> 16 & 0xff] ^ table[0][crc >> 24];
    }
    return ~crc;
}

u64 kernel_run(u64 rounds)
{
    u64 seed = 1;
    u32 crc = 0;

    make_tables();
    for (size_t i = 0; i < 16 * 1024; i++)
        buffer[i] = (u32)next_random(&seed);
    for (u64 i = 0; i < rounds; i++)
        crc = crc32(crc, buffer, 16 * 1024);
    return crc;
}
