/* SPDX-License-Identifier: MIT */
/*
 * The benchmark of cold translation, guest only: `cold 100` runs the code written by
 * gencold.c once, `cold 0` does all but that; the driver takes the difference. Eight
 * copies at eight addresses: assembling all of it would take half a minute. Prints
 * what a kernel prints (kernels/main.c), the count of instructions as the rounds.
 */
#include "kernels/kernel.h"
#include <stdio.h>
#include <stdlib.h>

enum { COPIES = 8 };

__asm__("    .text\n    .balign 8\n    .globl copies, copies_end\n"
        "copies:\n    .rept 8\n    .incbin \"" COLD_CODE "\"\n    .endr\n"
        "copies_end:\n    .previous\n");

extern const u8 copies[], copies_end[];
typedef void ColdCode(u8 *data);

static u64 count_of(const u8 *end)
{
    u64 count;

    memcpy(&count, end - sizeof(count), sizeof(count));
    return count;
}

int main(int argc, char **argv)
{
    static u8 data[2048 + 8];
    size_t size = (size_t)(copies_end - copies) / COPIES;
    int run = argc < 2 || atoi(argv[1]) > 0;
    u64 sum = 0, count = 0;

    for (const u8 *copy = copies; copy < copies_end; copy += size) {
        count += count_of(copy + size);
        if (run)
            ((ColdCode *)(uintptr_t)copy)(data);
    }
    for (size_t i = 0; i < sizeof(data); i++)
        sum = checksum(sum, data[i]);
    printf("%016llx 0 %llu\n", (unsigned long long)sum, (unsigned long long)count);
    return 0;
}
