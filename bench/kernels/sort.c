/* SPDX-License-Identifier: MIT */
/* Quicksort of records through a comparison callback, as qsort(3) would. */
#include "kernel.h"

const u64 kernel_rounds = 95;

typedef struct {
    u32 key, value;
} Record;
typedef int Compare(const void *a, const void *b);

enum { RECORDS = 20000 };
static Record records[RECORDS];

static NOINLINE int by_key(const void *a, const void *b)
{
    const Record *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static NOINLINE int by_value_down(const void *a, const void *b)
{
    const Record *x = a, *y = b;

    return x->value > y->value ? -1 : x->value < y->value;
}

static void swap(Record *a, Record *b)
{
    Record r = *a;

    *a = *b;
    *b = r;
}

static NOINLINE void sort(Record *r, i64 count, Compare *compare)
{
    while (count > 1) {
        Record pivot = r[count / 2];
        i64 i = 0, j = count - 1;

        while (i <= j) {
            while (compare(&r[i], &pivot) < 0)
                i++;
            while (compare(&r[j], &pivot) > 0)
                j--;
            if (i <= j)
                swap(&r[i++], &r[j--]);
        }
        sort(r, j + 1, compare);
        r += i;
        count -= i;
    }
}

u64 kernel_run(u64 rounds)
{
    static Compare *volatile compares[2] = {by_key, by_value_down};
    u64 seed = 8, sum = 0;

    for (u64 i = 0; i < rounds; i++) {
        for (int n = 0; n < RECORDS; n++)
            records[n] = (Record){(u32)next_random(&seed), (u32)n};
        sort(records, RECORDS, compares[0]);
        for (int n = 0; n < RECORDS; n += 16)
            sum = checksum(sum, records[n].key);
        sort(records, RECORDS, compares[1]);
        sum = checksum(sum, records[i % RECORDS].key);
    }
    return sum;
}
