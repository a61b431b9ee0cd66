/* SPDX-License-Identifier: MIT */
/* Run: build/tests/translate      (one: --filter blocks/traces_follow)
 *
 * The guest's table, its disassembler against binutils, blocks and traces, pages. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../translate/riscv64/riscv64.h"
#include "translate_random.h"

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
            InsnId found = insn_lookup(random_insn(id));
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
        InsnId found = insn_lookup(bits);

        if (found)
            continue;
        for (InsnId id = 1; id < INSN_COUNT; id++)
            cr_assert((bits & insn_desc[id].mask) != insn_desc[id].match, "%08x is %s",
                      bits, insn_desc[id].name);
    }
}

/* ---- the disassembler and binutils ---- */

#define ARCH "rv64gc_zfh_zba_zbb_zbs_zicbom_zicboz_zicbop_zihintpause"

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

/* objdump knows these and we do not: old privileged instructions, a reserved encoding.
 */
static bool not_ours(const char *text)
{
    static const char *const names[] = {"uret", "hret", "dret", "sfence.vm"};
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
    static const char *const starts[] = {
        "fli.",  "fminm.",   "fmaxm.",  "fround.",   "froundnx.",    "fleq.",
        "fltq.", "fcvtmod.", "sinval.", "sfence.w.", "sfence.inval."};

    for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return strncmp(text, "czero.", 6) == 0 ||
           ((strncmp(text, "fcvt.d.", 7) == 0 || strncmp(text, "fcvt.s.h", 8) == 0) &&
            strlen(strrchr(text, ',')) > 3);
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

/* ---- blocks ---- */

enum { CODE_AT = 0x10000 };

static Space space;
static Ir *ir;
static Dis dis;

static void map_page(u64 at, u8 flags)
{
    void *p = mmap(space_host(&space, at), PAGE_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    cr_assert(p != MAP_FAILED);
    space_set(&space, at, PAGE_SIZE, flags);
}

static void blocks_begin(void)
{
    cr_assert(space_init(&space, 1ull << 32));
    map_page(CODE_AT, PAGE_MAPPED | PAGE_READ | PAGE_EXEC);
    map_page(CODE_AT + PAGE_SIZE, PAGE_MAPPED | PAGE_READ | PAGE_EXEC);
    ir = ir_new();
}

static void blocks_end(void) { free(ir); }

TestSuite(blocks, .init = blocks_begin, .fini = blocks_end);

static void put_code(u64 at, const u32 *code, size_t n)
{
    memcpy(space_host(&space, at), code, n * sizeof(*code));
}

static void translate(u64 pc, const Follow *follow)
{
    const char *why;

    translate_block(&dis, ir, &guest_riscv64, &space, (TbKey){pc, 0}, 0, follow);
    cr_assert(ir_verify(ir, &why), "%s", why);
}

static const IrExit *last_exit(void) { return &ir->exits[ir->n_exits - 1]; }

static u32 count_ops(OpCode op)
{
    u32 n = 0;

    for (u32 i = 0; i < ir->n_ops; i++)
        n += ir->ops[i].op == op;
    return n;
}

enum {
    NOP = 0x00000013,
    SELF = 0x0000006f,    /* j . */
    ADDI_X0 = 0x00158013, /* addi zero,a1,1 */
    LW_X0 = 0x00052003,   /* lw zero,0(a0) */
    BACK = 0xfea59ee3,    /* bne a1,a0,.-4 */
    AHEAD = 0x00b50463,   /* beq a0,a1,.+8 */
    LONG_ILLEGAL = 0x7f,
};

Test(blocks, every_line_makes_good_ops)
{
    for (InsnId id = 1; id < INSN_COUNT; id++)
        for (int i = 0; i < 100; i++) {
            u32 code[] = {random_insn(id), NOP};

            for (u64 flags = FRM_HOST; flags <= FRM_INVALID; flags++) {
                const char *why;

                put_code(CODE_AT, code, 2);
                translate_block(&dis, ir, &guest_riscv64, &space,
                                (TbKey){CODE_AT, flags}, 1, NULL);
                cr_assert(ir_verify(ir, &why), "%s %08x: %s", insn_desc[id].name,
                          code[0], why);
                cr_assert_eq(dis.high, CODE_AT + insn_desc[id].len);
            }
        }
}

Test(blocks, x0_is_not_written)
{
    u32 code[] = {ADDI_X0, LW_X0, SELF};

    put_code(CODE_AT, code, 3);
    translate(CODE_AT, NULL);
    cr_assert_eq(count_ops(OP_add), 0);
    cr_assert_eq(count_ops(OP_ld32s), 1);
    for (u32 i = 0; i < ir->n_ops; i++)
        cr_assert_neq(ir->ops[i].out, 0);
    cr_assert(last_exit()->loop && last_exit()->pc == CODE_AT + 8);
}

Test(blocks, unreadable_code_traps)
{
    u32 code[] = {NOP, NOP};

    translate(0x5000, NULL);
    cr_assert_eq(last_exit()->trap, TRAP_FETCH);
    cr_assert_eq(last_exit()->addr, 0x5000);

    /* only its second half cannot be read */
    put_code(CODE_AT + 2 * PAGE_SIZE - 2, code, 0);
    memcpy(space_host(&space, CODE_AT + 2 * PAGE_SIZE - 2), &(u16){NOP}, 2);
    translate(CODE_AT + 2 * PAGE_SIZE - 2, NULL);
    cr_assert_eq(last_exit()->trap, TRAP_FETCH);
    cr_assert_eq(last_exit()->pc, CODE_AT + 2 * PAGE_SIZE - 2);
    cr_assert_eq(last_exit()->addr, CODE_AT + 2 * PAGE_SIZE);

    /* after another instruction it is the next block's */
    put_code(CODE_AT + 2 * PAGE_SIZE - 4, code, 1);
    translate(CODE_AT + 2 * PAGE_SIZE - 4, NULL);
    cr_assert_eq(last_exit()->kind, EXIT_JUMP);
    cr_assert_eq(last_exit()->pc, CODE_AT + 2 * PAGE_SIZE);
}

Test(blocks, illegal_traps_at_its_pc)
{
    u32 code[] = {NOP, LONG_ILLEGAL};

    put_code(CODE_AT, code, 2);
    translate(CODE_AT, NULL);
    cr_assert_eq(last_exit()->trap, TRAP_ILLEGAL);
    cr_assert_eq(last_exit()->pc, CODE_AT + 4);
}

Test(blocks, length_is_bounded)
{
    for (u64 at = CODE_AT; at < CODE_AT + 2 * PAGE_SIZE; at += 4)
        put_code(at, &(u32){NOP}, 1);
    translate(CODE_AT, NULL);
    cr_assert_eq(ir->n_insns, 128);
    cr_assert(!last_exit()->loop && last_exit()->pc == CODE_AT + 4 * 128);
    map_page(CODE_AT + 2 * PAGE_SIZE, PAGE_MAPPED | PAGE_READ | PAGE_EXEC);
    translate_block(&dis, ir, &guest_riscv64, &space,
                    (TbKey){CODE_AT + PAGE_SIZE - 8, 0}, IR_INSNS, NULL);
    cr_assert(dis.high <= CODE_AT + 2 * PAGE_SIZE);
}

/* ---- traces ---- */

typedef struct Way {
    bool taken, jump;
} Way;

static u64 way_branch(void *ctx, u64 taken, u64 next)
{
    return ((Way *)ctx)->taken ? taken : next;
}

static bool way_jump(void *ctx, u64 pc) { return ((Way *)ctx)->jump; }

Test(blocks, traces_follow)
{
    u32 code[] = {NOP, AHEAD, SELF, BACK, SELF};
    Follow not = {&(Way){false, false}, way_branch, way_jump};
    Follow taken = {&(Way){true, false}, way_branch, way_jump};

    put_code(CODE_AT, code, 5);
    translate(CODE_AT, NULL);
    cr_assert_eq(ir->n_insns, 2);
    cr_assert_eq(ir->exits[0].pc, CODE_AT + 12);
    cr_assert_eq(last_exit()->pc, CODE_AT + 8);

    translate(CODE_AT, &not ); /* falls through to the jump that is not followed */
    cr_assert_eq(ir->n_insns, 3);
    cr_assert_eq(count_ops(OP_beq), 1);
    cr_assert_eq(last_exit()->pc, CODE_AT + 8);

    translate(CODE_AT + 4, &taken); /* over the jump, then back to it */
    cr_assert_eq(count_ops(OP_bne), 1);
    cr_assert_eq(count_ops(OP_beq), 1);
    cr_assert_eq(count_ops(OP_check), 1);
    cr_assert_eq(ir->n_insns, 3);
}

Test(blocks, trace_ends_at_its_head)
{
    u32 code[] = {NOP, BACK};
    Follow taken = {&(Way){true, true}, way_branch, way_jump};

    put_code(CODE_AT, code, 2);
    translate(CODE_AT, &taken);
    cr_assert_eq(ir->n_insns, 2);
    cr_assert(last_exit()->loop && last_exit()->pc == CODE_AT);
}

/* ---- pages ---- */

Test(pages, flags_of_ranges)
{
    cr_assert(space_init(&space, 1ull << 38));
    space_set(&space, 0x1001, 0x1000, PAGE_MAPPED | PAGE_READ); /* two pages */
    cr_assert(space_check(&space, 0x1000, 0x2000, PAGE_READ));
    cr_assert(!space_check(&space, 0x1000, 0x2001, PAGE_READ));
    cr_assert(space_check(&space, 0x5000, 0, PAGE_READ));
    cr_assert(space_any(&space, 0, 0x1001, PAGE_READ));
    cr_assert(!space_any(&space, 0, 0x1000, PAGE_READ));
    space_set_bits(&space, 0x2000, 1, PAGE_CODE);
    cr_assert_eq(space_flags(&space, 0x2fff), PAGE_MAPPED | PAGE_READ | PAGE_CODE);
    space_clear_bits(&space, 0, 0x10000, PAGE_CODE);
    cr_assert_eq(space_flags(&space, 0x2fff), PAGE_MAPPED | PAGE_READ);
    space_set(&space, space.size - 1, ~0ull, PAGE_READ); /* clipped */
    cr_assert(!space_check(&space, space.size - 1, 2, PAGE_READ));
    cr_assert_eq(space_prot(PAGE_MAPPED | PAGE_WRITE | PAGE_CODE), PROT_READ);
    cr_assert_eq(space_prot(PAGE_MAPPED), PROT_NONE);
}
