/* SPDX-License-Identifier: MIT */
/* AES-128 encryption (FIPS 197) with four 1 KB tables, in counter mode. */
#include "kernel.h"

const u64 kernel_rounds = 7000000;

static u8 sbox[256];
static u32 te[4][256];
static u32 key[44];

static u8 times2(u8 x) { return (u8)(x << 1 ^ (x >> 7) * 0x1b); }

static u32 ror(u32 x, int n) { return x >> n | x << (32 - n); }

/* p runs through the powers of 3 in GF(256) while q runs through their inverses. */
static void make_sbox(void)
{
    u8 p = 1, q = 1;

    do {
        p = (u8)(p ^ times2(p));
        q ^= (u8)(q << 1);
        q ^= (u8)(q << 2);
        q ^= (u8)(q << 4);
        q ^= (q >> 7) * 0x09;
        sbox[p] = (u8)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^
                       (q << 4 | q >> 4) ^ 0x63);
    } while (p != 1);
    sbox[0] = 0x63;
}

static void make_tables(void)
{
    for (int i = 0; i < 256; i++) {
        u32 s = sbox[i], s2 = times2(sbox[i]);
        u32 column = s2 << 24 | s << 16 | s << 8 | (s2 ^ s);

        for (int t = 0; t < 4; t++)
            te[t][i] = t ? ror(column, 8 * t) : column;
    }
}

static u32 substitute(u32 x)
{
    return (u32)sbox[x >> 24] << 24 | (u32)sbox[x >> 16 & 0xff] << 16 |
           (u32)sbox[x >> 8 & 0xff] << 8 | sbox[x & 0xff];
}

static void expand_key(void)
{
    u8 constant = 1;

    for (u32 i = 0; i < 4; i++)
        key[i] = 0x01234567 * (i + 3);
    for (int i = 4; i < 44; i++) {
        u32 word = key[i - 1];

        if (i % 4 == 0) {
            word = substitute(ror(word, 24)) ^ (u32)constant << 24;
            constant = times2(constant);
        }
        key[i] = key[i - 4] ^ word;
    }
}

static inline u32 column(const u32 *s, int i)
{
    return te[0][s[i] >> 24] ^ te[1][s[(i + 1) & 3] >> 16 & 0xff] ^
           te[2][s[(i + 2) & 3] >> 8 & 0xff] ^ te[3][s[(i + 3) & 3] & 0xff];
}

static inline u32 last_column(const u32 *s, int i)
{
    return (u32)sbox[s[i] >> 24] << 24 | (u32)sbox[s[(i + 1) & 3] >> 16 & 0xff] << 16 |
           (u32)sbox[s[(i + 2) & 3] >> 8 & 0xff] << 8 | sbox[s[(i + 3) & 3] & 0xff];
}

static NOINLINE void encrypt(const u32 in[4], u32 out[4])
{
    u32 s[4], t[4];
    const u32 *k = key;

    for (int i = 0; i < 4; i++)
        s[i] = in[i] ^ k[i];
    for (int round = 1; round < 10; round++) {
        k += 4;
        t[0] = column(s, 0) ^ k[0];
        t[1] = column(s, 1) ^ k[1];
        t[2] = column(s, 2) ^ k[2];
        t[3] = column(s, 3) ^ k[3];
        s[0] = t[0], s[1] = t[1], s[2] = t[2], s[3] = t[3];
    }
    k += 4;
    for (int i = 0; i < 4; i++)
        out[i] = last_column(s, i) ^ k[i];
}

u64 kernel_run(u64 rounds)
{
    u32 in[4] = {0}, out[4];
    u64 sum = 0;

    make_sbox();
    make_tables();
    expand_key();
    for (u64 i = 0; i < rounds; i++) {
        in[0] = (u32)i;
        encrypt(in, out);
        sum += out[0] ^ out[1] ^ out[2] ^ out[3];
    }
    return sum;
}
