/* SPDX-License-Identifier: MIT */
/* What tests/golden_check translates: each instruction, or idiom, ends its own block
 * with a fence.i. */
    .macro g insn:vararg
    \insn
    fence.i
    .endm

    .option arch, +zba, +zbb, +zbs
    .globl _start, first, final
_start:
    la a1, scratch
    mv s3, a1
    mv t5, a1
    fence.i
first:
    /* registers: pinned ones, others, the zero register */
    g add a0, a1, a2
    g add s5, s6, s7
    g add a0, a0, s7
    g mv a3, a4
    g li a4, 0
    g li t5, 0x12345
    g lui a5, 0xfffff
    g auipc a4, 1
    g addi a0, a0, -1
    g addi sp, sp, -32
    g addi sp, sp, 32
    g addiw a0, a0, 1
    g sext.w a0, a2
    g andi a3, a3, 255
    g xori a3, a3, -1
    g slli a3, a3, 3
    g sraiw a3, a2, 5
    g sll a3, a2, a0
    g srlw a3, a2, a0
    g slt a3, a2, a0
    g sltiu a3, a2, 1
    g sub a0, a2, a3
    g subw a0, a2, a3
    g mul a0, a2, a3
    g mulhu a0, a2, a3
    g divw a0, a2, a3
    g remu a0, a2, a3
    g sh2add a0, a2, a3
    g add.uw a0, a2, a3
    g andn a0, a2, a3
    g max a0, a2, a3
    g clz a0, a2
    g cpopw a0, a2
    g rev8 a0, a2
    g bexti a0, a2, 9
    /* memory */
    g lw a0, 4(a1)
    g lbu a0, 0(a1)
    g ld s7, 8(a1)
    g lwu a0, 2047(a1)
    g sd a0, 16(a1)
    g sb zero, 5(a1)
    g sw s7, 12(s3)
    g lr.w a0, (a1)
    g sc.d a0, a2, (a1)
    g amoadd.w a0, a2, (a1)
    g amomaxu.d a0, a2, (a1)
    g fence rw, rw
    g fence r, rw
    /* floating point */
    g fld fa0, 8(a1)
    g flw fa1, 4(a1)
    g fsd fa0, 16(a1)
    g fadd.d fa0, fa1, fa2
    g fmul.s fa0, fa1, fa2
    g fmadd.d fa0, fa1, fa2, fa3
    g fsqrt.d fa0, fa1
    g fsgnjx.d fa0, fa1, fa1
    g flt.d a0, fa1, fa2
    g fmin.d fa0, fa1, fa2
    g fcvt.w.d a0, fa1, rtz
    g fcvt.d.l fa0, a2
    g fcvt.lu.s a0, fa1
    g fmv.x.d a0, fa1
    g fadd.d fa0, fa1, fa2, rtz
    g csrr a0, fflags
    /* idioms */
    slli a0, a2, 32
    g srli a0, a0, 32
    slli a0, a2, 48
    g srli a0, a0, 48
    srliw a3, a2, 7
    slliw a4, a2, 25
    g or a0, a3, a4
    addw a0, a2, a3
    g sext.w a0, a0
    slt a0, a2, a3
    bnez a0, 1f
1:  fence.i
    fadd.s fa0, fa1, fa2
    g fmul.s fa0, fa0, fa2
    /* control */
    beq a2, a3, 1f
1:  fence.i
    bltu zero, a2, 1f
1:  fence.i
    jal ra, 1f
1:  fence.i
    la t5, 1f
    fence.i
    jalr zero, 0(t5)
1:
final:
    fence.i
    li a0, 0
    li a7, 93
    ecall

    .bss
    .balign 64
scratch:
    .space 4096
