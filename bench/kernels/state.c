/* SPDX-License-Identifier: MIT */
/* A state machine that sorts the words of a text into kinds of numbers. */
#include "kernel.h"

const u64 kernel_rounds = 5100;

typedef enum {
    START,
    SIGN,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    SCIENTIFIC,
    INVALID,
    STATES
} State;

static const char *const samples[] = {
    "5012",     "-1234",    "+874",     "35.54400", ".1234500", "-110.700",
    "+0.64400", "5.500e+3", "-.123e-2", "-87e+832", "+0.6e-12", "T0.3e-1F",
    "-T.T++Tq", "1T3.4e4z", "34.0e-T^", "x",
};
static char text[32 * 1024];

static void make_text(void)
{
    size_t at = 0;
    u64 seed = 6;

    while (at + 16 < sizeof(text)) {
        const char *sample = samples[next_random(&seed) % ARRAY_SIZE(samples)];
        size_t length = strlen(sample);

        memcpy(text + at, sample, length);
        at += length;
        text[at++] = ',';
    }
    text[at] = 0;
}

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }

static inline State step(State state, char c)
{
    switch (state) {
    case START:
        if (is_digit(c))
            return INTEGER;
        return c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN: return is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case INTEGER:
        if (is_digit(c))
            return INTEGER;
        return c == '.' ? FRACTION : c == 'e' || c == 'E' ? EXPONENT : INVALID;
    case POINT: return is_digit(c) ? FRACTION : INVALID;
    case FRACTION:
        if (is_digit(c))
            return FRACTION;
        return c == 'e' || c == 'E' ? EXPONENT : INVALID;
    case EXPONENT:
        if (is_digit(c))
            return SCIENTIFIC;
        return c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case SCIENTIFIC: return is_digit(c) ? SCIENTIFIC : INVALID;
    default: return INVALID;
    }
}

static NOINLINE void scan(const char *p, u64 finals[STATES], u64 visits[STATES])
{
    while (*p) {
        State state = START;

        for (; *p && *p != ','; p++) {
            state = step(state, *p);
            visits[state]++;
        }
        finals[state]++;
        if (*p)
            p++;
    }
}

u64 kernel_run(u64 rounds)
{
    u64 finals[STATES] = {0}, visits[STATES] = {0}, sum = 0;

    make_text();
    for (u64 i = 0; i < rounds; i++) {
        text[i * 7 % 1000] ^= 1;
        scan(text, finals, visits);
    }
    for (int i = 0; i < STATES; i++)
        sum = checksum(checksum(sum, finals[i]), visits[i]);
    return sum;
}
