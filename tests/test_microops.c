/* SPDX-License-Identifier: MIT */
/*
 * ninja -C build test_microops && ctest --test-dir build -R test_microops
 *
 * The op buffer's text and verifier, the log, the host disassembler.
 */
#include <string.h>
#include <unistd.h>
#include "fake_guest.h"

TestSuite(microops, .init = set_up);
TestSuite(log);

/* ---- the verifier ---- */

static void refused(Ir *ir, const char *because)
{
    const char *why = "nothing";

    cr_assert_not(ir_verify(ir, &why), "%s was accepted", because);
    cr_assert_not_null(strstr(why, because), "\"%s\" is not about \"%s\"", why,
                       because);
}

#define REFUSES(name, because, ...)                          \
    Test(microops, name)                                     \
    {                                                        \
        Ir *ir = new_ir();                                   \
        u16 out = ir_exit(ir, EXIT_JUMP, TRAP_NONE, 0x1000); \
                                                             \
        ir_insn(ir, 0x1000, 4);                              \
        __VA_ARGS__;                                         \
        gen_leave(ir, out);                                  \
        refused(ir, because);                                \
        free(ir);                                            \
    }

REFUSES(float_operand, "wrong class", gen_add(ir, 1, 2, INTS))
REFUSES(int_operand, "wrong class", gen_fadd_d(ir, INTS, INTS, 1))
REFUSES(float_result, "wrong class", gen_add(ir, INTS, 1, 1))
REFUSES(unused_global, "wrong class", gen_add(ir, 1, 2, 63))
REFUSES(float_constant, "wrong class", gen_fmov(ir, INTS, ir_const(ir, 1)))
REFUSES(temp_of_wrong_class, "wrong class", gen_fmov(ir, ir_temp(ir), INTS))
REFUSES(unwritten_temp, "before it is written", gen_mov(ir, 1, ir_temp(ir)))
REFUSES(outlived_temp, "before it is written", gen_mov(ir, ir_temp(ir), 1),
        ir_insn(ir, 0x1004, 4), gen_mov(ir, 1, VAL_TEMP))
REFUSES(no_constant, "no such constant", gen_mov(ir, 1, VAL_CONST + 5))
REFUSES(missing_operand, "missing", gen_add(ir, 1, 2, VAL_NONE))
REFUSES(extra_operand, "too many", ir_gen(ir, OP_mov, 1, 2, 3, VAL_NONE, 0, 0))
REFUSES(missing_result, "missing", gen_mov(ir, VAL_NONE, 1))
REFUSES(extra_result, "too many", ir_gen(ir, OP_st8, 1, 2, 3, VAL_NONE, 0, 0))
REFUSES(constant_result, "is a constant", gen_mov(ir, ir_const(ir, 0), 1))
REFUSES(no_exit, "no such exit", gen_beq(ir, 1, 2, out + 1))
REFUSES(trap_of_no_kind, "without its trap",
        gen_beq(ir, 1, 2, ir_exit(ir, EXIT_TRAP, TRAP_NONE, 0)))
REFUSES(no_helper, "no such helper", gen_call(ir, 1, 2, 3, VAL_NONE, 2))
REFUSES(too_few_arguments, "missing", gen_call(ir, 1, 2, VAL_NONE, VAL_NONE, 0))
REFUSES(too_many_arguments, "too many", gen_call(ir, VAL_NONE, 2, 3, VAL_NONE, 1))
REFUSES(early_end, "after the end", gen_leave(ir, out))
REFUSES(foreign_insn, "out of order", gen_insn(ir, 0))
REFUSES(no_op, "no such op", ir_gen(ir, OP_COUNT, 1, 2, 3, VAL_NONE, 0, 0))

Test(microops, blocks_must_end)
{
    Ir *ir = new_ir();

    refused(ir, "does not end");
    ir_insn(ir, 0x1000, 4);
    gen_mov(ir, 1, 2);
    refused(ir, "does not end");
    free(ir);
}

Test(microops, text)
{
    Ir *ir = new_ir();
    char text[128];
    u16 out = ir_exit(ir, EXIT_TRAP, TRAP_SYSCALL, 0x1000);

    gen_st64(ir, 1, ir_const(ir, 0x123456), -8);
    ir_op_text(text, sizeof(text), ir, &ir->ops[0]);
    cr_assert_str_eq(text, "st64     [r1 - 8], 0x123456");
    gen_leave(ir, out);
    ir_op_text(text, sizeof(text), ir, &ir->ops[1]);
    cr_assert_str_eq(text, "leave     -> syscall at 0x1000");
    gen_call(ir, 1, 2, 3, VAL_NONE, 0);
    cr_assert_eq(ir_op_text(text, 8, ir, &ir->ops[2]), 24, "length without truncation");
    cr_assert_str_eq(text, "call   ");
    free(ir);
}

/* ---- the log and the disassembler ---- */

static bool accepts_items(const char *spec)
{
    const char *bad = NULL;

    return log_set_items(spec, &bad);
}

Test(log, items)
{
    const char *bad;

    cr_assert(accepts_items("in_asm,op,strace"));
    cr_assert_eq(log_mask, LOG_IN_ASM | LOG_OP | LOG_STRACE);
    cr_assert_not(log_set_items("op,nonsense,in_asm", &bad));
    cr_assert_eq(strncmp(bad, "nonsense,", 9), 0);
    cr_assert_not(accepts_items(""));
    cr_assert_not(accepts_items("op,"));
    cr_assert_not(accepts_items("opp"));
    cr_assert_not(accepts_items("o"));
    cr_assert_eq(log_mask, LOG_IN_ASM | LOG_OP | LOG_STRACE,
                 "bad items change nothing");
}

Test(log, help, .exit_code = 0)
{
    accepts_items("op,help");
    cr_assert(false, "help must exit");
}

Test(log, filter)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1..",
                                      "..2",
                                      "1+0",
                                      "1-0",
                                      "5..4",
                                      "1.2",
                                      "a..b",
                                      "1..2,",
                                      "1..2 ",
                                      "-1..2",
                                      "1..2x",
                                      "1+-1",
                                      ",1..2",
                                      "0x..1",
                                      "1..0x",
                                      "99999999999999999999..1",
                                      "2+18446744073709551615"};

    cr_assert(log_wants(0x1234), "no filter: all");
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(log_set_filter(bad[i]), "\"%s\"", bad[i]);
    cr_assert(log_wants(0x1234), "bad filters change nothing");
    cr_assert(log_set_filter("0x1000..0x1fff,0x3000+0x10,0x4010-16"));
    cr_assert(log_wants(0x1000) && log_wants(0x1fff) && !log_wants(0x2000));
    cr_assert(log_wants(0x3000) && log_wants(0x300f) && !log_wants(0x3010));
    cr_assert(log_wants(0x4010) && log_wants(0x4001) && !log_wants(0x4000));
}

static bool is_even(void *ctx, u64 pc) { return *(u32 *)ctx && !(pc & 1); }

Test(log, filter_by_name)
{
    u32 asked = 1;

    cr_assert(log_set_filter("0x11..0x11,main,libc.so.6:qs*"));
    cr_assert_str_eq(log_filter_names()[0], "main");
    cr_assert_str_eq(log_filter_names()[1], "libc.so.6:qs*");
    cr_assert_null(log_filter_names()[2]);
    cr_assert(log_wants(0x11) && !log_wants(0x10), "no names known");
    log_set_namer(is_even, &asked);
    cr_assert(log_wants(0x11) && log_wants(0x10) && !log_wants(0x13));
    cr_assert(log_set_filter("1..2"));
    cr_assert(log_wants(1) && !log_wants(0x10) && !log_filter_names());
}

static void must_contain(const char *path, const char *text)
{
    char got[256] = "";
    FILE *f = fopen(path, "r");

    cr_assert_not_null(f);
    cr_assert_geq(fread(got, 1, sizeof(got) - 1, f), 0u);
    fclose(f);
    cr_assert_str_eq(got, text);
}

Test(log, file_named_by_pid)
{
    char path[64];
    FILE *f;

    cr_assert_not(log_set_file("/nonexistent/log"));
    cr_assert(log_set_file("/tmp/tessera-log-%d"));
    snprintf(path, sizeof(path), "/tmp/tessera-log-%d", (int)getpid());
    f = log_begin();
    fprintf(f, "two ");
    log_begin();
    log_printf("lines\n");
    log_end();
    must_contain(path, "");
    log_end();
    log_printf("%s\n", "more");
    must_contain(path, "two lines\nmore\n");
    unlink(path);
}

Test(microops, disassembly)
{
    static const u8 code[] = {0x48, 0x8d, 0x04, 0x3b, 0xc3, 0x06};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    disas_host(f, code, sizeof(code), 0x401000);
    fclose(f);
    cr_assert_not_null(strstr(text, "0x000000401000:  488d043b"));
    cr_assert_not_null(strstr(text, "lea rax, [rbx + rdi]"));
    cr_assert_not_null(strstr(text, "0x000000401004:  c3"));
    cr_assert_not_null(strstr(text, ".byte 0x06"), "not an instruction in 64-bit mode");
    free(text);
}
