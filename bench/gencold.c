/* SPDX-License-Identifier: MIT */
/*
 * Build tool: writes riscv64 assembly of at least COUNT distinct instructions that all
 * run exactly once, for the benchmark of cold translation (cold.c). The mix is that of
 * compiled code: a branch every six to eight instructions, half of them taken, loads,
 * stores and 32-bit arithmetic, hot registers used most, functions of about a hundred
 * instructions called by parents. Deterministic. The text starts with its entry and
 * ends with the exact count, and is the same at any address.
 *
 * Registers: s0 holds a data buffer, s1 is 0, s10 < s11; the others are scratch.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    unsigned weight;
    const char *text; /* D A B: a register, I: an immediate, O: an offset, S: a shift */
} Pattern;

typedef struct {
    uint64_t seed;
    long count; /* instructions that run */
    long label;
} Generator;

#define SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum { BLOCKS = 12, CHILDREN = 16 };

static const Pattern straight[] = {
    {9, "addi D, A, I"}, {7, "addi D, D, I"},  {10, "add D, A, B"},
    {4, "sub D, A, B"},  {7, "li D, I"},       {7, "mv D, A"},
    {12, "ld D, O(s0)"}, {8, "lw D, O(s0)"},   {3, "lbu D, O(s0)"},
    {7, "sd A, O(s0)"},  {4, "sw A, O(s0)"},   {1, "sb A, O(s0)"},
    {2, "and D, A, B"},  {2, "or D, A, B"},    {2, "xor D, A, B"},
    {3, "andi D, A, I"}, {4, "slli D, A, S"},  {2, "srli D, A, S"},
    {1, "srai D, A, S"}, {4, "addiw D, A, I"}, {3, "addw D, A, B"},
    {1, "subw D, A, B"}, {1, "slliw D, A, 3"}, {2, "sext.w D, A"},
    {3, "lui D, 0x12S"}, {1, "sltu D, A, B"},  {1, "slti D, A, I"},
    {1, "mul D, A, B"},
};
static const Pattern taken[] = {
    {3, "beqz s1"}, {2, "bne s10, s11"}, {2, "bltu s10, s11"}, {1, "beq s1, zero"}};
static const Pattern not_taken[] = {
    {3, "bnez s1"}, {2, "beq s10, s11"}, {2, "bge s10, s11"}, {1, "bltu s11, s10"}};

static const char *const registers[] = {"a5", "a4", "a0", "a3", "a5", "a4", "a1", "a2",
                                        "a5", "s2", "s3", "a6", "a7", "t1", "t3", "t4",
                                        "s4", "s5", "s6", "s7", "s8", "t5"};

static unsigned pick(Generator *g, unsigned limit)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return (unsigned)(g->seed >> 20) % limit;
}

static const char *pick_pattern(Generator *g, const Pattern *p, size_t size)
{
    unsigned all = 0, at;

    for (size_t i = 0; i < size; i++)
        all += p[i].weight;
    for (at = pick(g, all); at >= p->weight; p++)
        at -= p->weight;
    return p->text;
}

static void put_instruction(Generator *g, const char *text)
{
    putchar('\t');
    for (; *text; text++) {
        switch (*text) {
        case 'D':
        case 'A':
        case 'B': fputs(registers[pick(g, SIZE(registers))], stdout); break;
        case 'I': printf("%d", (int)pick(g, pick(g, 3) ? 32 : 2000) - 16); break;
        case 'O': printf("%u", 8 * pick(g, pick(g, 3) ? 16 : 255)); break;
        case 'S': printf("%u", 1 + pick(g, 31)); break;
        default: putchar(*text);
        }
    }
    putchar('\n');
}

static void put_straight(Generator *g, unsigned n)
{
    for (g->count += n; n > 0; n--)
        put_instruction(g, pick_pattern(g, straight, SIZE(straight)));
}

/* A taken branch jumps over one instruction that never runs, as an if would. */
static void put_branch(Generator *g)
{
    long label = g->label++;

    if (pick(g, 2)) {
        printf("\t%s, 1f\n", pick_pattern(g, taken, SIZE(taken)));
        put_straight(g, 1);
        g->count--;
        puts("1:");
    } else {
        printf("\t%s, .L%ld\n", pick_pattern(g, not_taken, SIZE(not_taken)), label);
        put_straight(g, 1 + pick(g, 4));
        printf(".L%ld:\n", label);
    }
    g->count++;
}

static void put_leaf(Generator *g, int child)
{
    printf("%d:\taddi sp, sp, -32\n\tsd ra, 24(sp)\n\tsd s2, 16(sp)\n", child);
    for (int i = 0; i < BLOCKS; i++) {
        put_straight(g, 3 + pick(g, 5));
        put_branch(g);
    }
    puts("\tld ra, 24(sp)\n\tld s2, 16(sp)\n\taddi sp, sp, 32\n\tret");
    g->count += 7;
}

/* A parent calls its children, which follow it. */
static void put_family(Generator *g, long parent)
{
    printf("parent%ld:\n\taddi sp, sp, -16\n\tsd ra, 8(sp)\n", parent);
    for (int child = 0; child < CHILDREN; child++) {
        put_straight(g, 2);
        printf("\tjal %df\n", 10 + child);
    }
    puts("\tld ra, 8(sp)\n\taddi sp, sp, 16\n\tret");
    g->count += 5 + CHILDREN;
    for (int child = 0; child < CHILDREN; child++)
        put_leaf(g, 10 + child);
}

static void put_entry(Generator *g, long parents)
{
    puts("entry:\taddi sp, sp, -112\n\tsd ra, 0(sp)");
    for (int s = 0; s < 12; s++)
        printf("\tsd s%d, %d(sp)\n", s, 8 + 8 * s);
    puts("\tmv s0, a0\n\tli s1, 0\n\tli s10, 1\n\tli s11, 2");
    for (long i = 0; i < parents; i++)
        printf("\tcall parent%ld\n", i);
    for (int s = 0; s < 12; s++)
        printf("\tld s%d, %d(sp)\n", s, 8 + 8 * s);
    puts("\tld ra, 0(sp)\n\taddi sp, sp, 112\n\tret");
    g->count += 34 + 2 * parents;
}

int main(int argc, char **argv)
{
    long wanted = argc > 1 ? strtol(argv[1], NULL, 10) : 250000;
    Generator g = {.seed = 0x1234567, .count = 0};
    long parents = 0;

    puts("\t.option norelax\n\t.text\n\t.globl _start\n_start:\tj entry\n\tnop");
    while (g.count < wanted)
        put_family(&g, parents++);
    put_entry(&g, parents);
    printf("\t.balign 8\n\t.dword %ld\n", g.count);
    return 0;
}
