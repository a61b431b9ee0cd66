/* Run: cmake --build build --target translate && build/tests/translate */
/* SPDX-License-Identifier: MIT */
/* The guest's table, its disassembler against binutils, and its soft rounding. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "../translate/riscv64/riscv64.h"

static u64 random_state = 1;

static u64 random64(void) /* xorshift */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1d;
}

/* The instruction of a table line with random operands. */
static u32 random_insn(InsnId id)
{
    const InsnDesc *i = &insn_desc[id];
    u32 bits = ((u32)random64() & ~i->mask) | i->match;

    return i->len == 2 ? bits & 0xffff : bits;
}

/* ---- decoding ---- */

Test(decode, every_line_finds_itself)
{
    for (InsnId id = 1; id < INSN_COUNT; id++)
        for (int i = 0; i < 200; i++) {
            InsnId found = insn_find(random_insn(id));
            u32 mask = insn_desc[id].mask;

            /* or a special case of itself */
            cr_assert(found >= id && (insn_desc[found].mask & mask) == mask,
                      "%s found as %s", insn_desc[id].name, insn_desc[found].name);
        }
}

Test(decode, slots_miss_nothing)
{
    for (int i = 0; i < 1000000; i++) {
        u32 bits = (u32)random64() | 3;
        InsnId found = insn_find(bits);

        if (found)
            continue;
        for (InsnId id = 1; id < INSN_COUNT; id++)
            cr_assert((bits & insn_desc[id].mask) != insn_desc[id].match, "%08x is %s",
                      bits, insn_desc[id].name);
    }
}

/* ---- the disassembler and binutils ---- */

#define ARCH "rv64gc_zba_zbb_zbs_zicbom_zicboz_zicbop_zihintpause"

static FILE *objdump(const char *dir)
{
    char command[1024];

    snprintf(
        command, sizeof(command),
        "cd %s && printf '.attribute arch, \"" ARCH "\"\\n.text\\n"
        ".incbin \"code\"\\n' > code.s && riscv64-linux-gnu-as -o code.o code.s && "
        "riscv64-linux-gnu-strip --strip-all code.o && "
        "riscv64-linux-gnu-objdump -dz -M no-aliases code.o",
        dir);
    return popen(command, "r");
}

/* objdump knows these and we do not: privileged instructions, a reserved encoding. */
static bool not_ours(const char *text)
{
    static const char *const names[] = {"sret", "mret", "wfi",        "uret",
                                        "hret", "dret", "sfence.vma", "sfence.vm"};
    size_t len = strcspn(text, "\t");

    if (strcmp(text, "c.addi16sp\tsp,0") == 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0)
            return true;
    return false;
}

/* We know these and binutils 2.40 does not. */
static bool newer(const char *text)
{
    return strncmp(text, "czero.", 6) == 0 ||
           (strncmp(text, "fcvt.d.", 7) == 0 && strlen(strrchr(text, ',')) > 3);
}

static void compare_line(char *line, const u8 *code, size_t size, u32 *wrong)
{
    char ours[128] = "", *theirs;
    u64 at = strtoull(line, &theirs, 16);
    size_t len;

    theirs = strchr(theirs, '\t');
    theirs = theirs ? strchr(theirs + 1, '\t') : NULL;
    if (!theirs)
        return;
    theirs++;
    theirs[strcspn(theirs, " \n")] = 0;
    len = riscv64_disas(ours, sizeof(ours), at, code + at, size - at);
    if (len == 0)
        strcpy(ours, insn_len(code[at]) == 2 ? ".2byte" : ".4byte");
    if (*theirs == '.')
        theirs[strlen(".4byte")] = 0;
    if (strcmp(ours, theirs) == 0 || not_ours(theirs) || newer(ours))
        return;
    if ((*wrong)++ < 20)
        fprintf(stderr, "%08x: ours \"%s\", objdump's \"%s\"\n", *(u32 *)(code + at),
                ours, theirs);
}

static u32 compare(const u8 *code, size_t size)
{
    char dir[] = "/tmp/test-translate-XXXXXX", path[64], line[256], command[64];
    u32 wrong = 0, lines = 0;
    FILE *f;

    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/code", dir);
    f = fopen(path, "w");
    cr_assert(f && fwrite(code, 1, size, f) == size && fclose(f) == 0);
    f = objdump(dir);
    while (fgets(line, sizeof(line), f)) {
        if (line[0] != ' ')
            continue;
        compare_line(line, code, size, &wrong);
        lines++;
    }
    pclose(f);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    cr_assert(system(command) == 0);
    cr_assert(lines > size / 8, "objdump printed %u lines", lines);
    return wrong;
}

static bool no_objdump(void)
{
    return system("riscv64-linux-gnu-objdump --version >/dev/null 2>&1") != 0;
}

Test(disas, all_short_words)
{
    static u16 code[65536];
    size_t n = 0;

    if (no_objdump())
        cr_skip_test("no riscv64-linux-gnu-objdump");
    for (u32 w = 0; w < 65536; w++)
        if ((w & 3) != 3)
            code[n++] = (u16)w;
    cr_assert_eq(compare((u8 *)code, n * 2), 0);
}

Test(disas, random_words)
{
    static u32 code[60000];
    size_t n = 0;

    if (no_objdump())
        cr_skip_test("no riscv64-linux-gnu-objdump");
    while (n < ARRAY_SIZE(code)) {
        u32 w = (u32)random64() | 3;

        if (n % 2)
            w = random_insn(1 + random64() % (INSN_COUNT - 1));
        if ((w & 3) == 3 && (w & 31) != 31)
            code[n++] = w;
    }
    cr_assert_eq(compare((u8 *)code, sizeof(code)), 0);
}
