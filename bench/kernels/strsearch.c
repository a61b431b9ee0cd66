/* SPDX-License-Identifier: MIT */
/* Horspool's string search for several words, and a plain search for comparison. */
#include "kernel.h"

const u64 kernel_rounds = 145;

enum { TEXT = 256 * 1024 };
static char text[TEXT + 1];
static const char *const words[] = {"abacus", "tessera", "mosaic", "dead", "cafebabe"};

static void make_text(void)
{
    u64 seed = 3;

    for (size_t i = 0; i < TEXT; i++)
        text[i] = (char)('a' + next_random(&seed) % 26);
    for (size_t i = 1000; i + 16 < TEXT; i += 7919) {
        const char *word = words[i % ARRAY_SIZE(words)];

        memcpy(text + i, word, strlen(word));
    }
}

static NOINLINE u64 search_horspool(const char *word)
{
    size_t length = strlen(word), skip[256], at = 0;
    u64 found = 0;

    for (size_t i = 0; i < 256; i++)
        skip[i] = length;
    for (size_t i = 0; i + 1 < length; i++)
        skip[(u8)word[i]] = length - 1 - i;
    while (at + length <= TEXT) {
        size_t i = length;

        while (i > 0 && text[at + i - 1] == word[i - 1])
            i--;
        if (i == 0)
            found += at;
        at += skip[(u8)text[at + length - 1]];
    }
    return found;
}

static NOINLINE u64 search_plain(const char *word)
{
    u64 found = 0;

    for (const char *p = text; *p; p++) {
        const char *a = p, *b = word;

        while (*b && *a == *b)
            a++, b++;
        if (!*b)
            found += (u64)(p - text);
    }
    return found;
}

u64 kernel_run(u64 rounds)
{
    u64 sum = 0;

    make_text();
    for (u64 i = 0; i < rounds; i++) {
        for (size_t w = 0; w < ARRAY_SIZE(words); w++) {
            sum = checksum(sum, search_horspool(words[w]));
            sum = checksum(sum, search_plain(words[w]));
        }
    }
    return sum;
}
