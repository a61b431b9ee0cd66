/* SPDX-License-Identifier: MIT */
/* Straight code of fourteen steps for precise.c.  x30: a table of addresses, one a step;
 * every other register begins as its number times 0x111 (f: as its number), grows a
 * little in each step, and then the step's address is used, in one of seven ways. */

#define SAVE 288

    .macro each_saved insn_x, insn_f
    \insn_x ra, 0(sp)
    \insn_x s0, 8(sp)
    \insn_x s1, 16(sp)
    \insn_x s2, 24(sp)
    \insn_x s3, 32(sp)
    \insn_x s4, 40(sp)
    \insn_x s5, 48(sp)
    \insn_x s6, 56(sp)
    \insn_x s7, 64(sp)
    \insn_x s8, 72(sp)
    \insn_x s9, 80(sp)
    \insn_x s10, 88(sp)
    \insn_x s11, 96(sp)
    \insn_f fs0, 104(sp)
    \insn_f fs1, 112(sp)
    \insn_f fs2, 120(sp)
    \insn_f fs3, 128(sp)
    \insn_f fs4, 136(sp)
    \insn_f fs5, 144(sp)
    \insn_f fs6, 152(sp)
    \insn_f fs7, 160(sp)
    \insn_f fs8, 168(sp)
    \insn_f fs9, 176(sp)
    \insn_f fs10, 184(sp)
    \insn_f fs11, 192(sp)
    .endm

    .macro set_all
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    li x31, \n
    fcvt.d.l f\n, x31
    .endr
    li x1, 0x111
    .irp n, 5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    li x\n, \n * 0x111
    .endr
    .endm

    .macro grow
    addi x5, x5, 1
    add x10, x10, x11
    addw x18, x18, x5
    xori x29, x29, 0x55
    sub x8, x8, x1
    slli x1, x1, 1
    fadd.d f3, f3, f1
    fmul.d f20, f20, f2
    fsub.d f31, f31, f10
    c.addi x12, 3
    c.mv x14, x5
    .endm

    /* The address of the instruction that may fault goes to step_pc. */
    .macro touch insn:vararg
99: \insn
    .pushsection .rodata
    .quad 99b
    .popsection
    .endm

    .pushsection .rodata
    .balign 8
    .globl step_pc
step_pc:
    .popsection

    .text
    .globl run_steps
run_steps:
    addi sp, sp, -SAVE
    each_saved sd, fsd
    csrwi fcsr, 0
    mv x30, a0
    set_all
    .set k, 0
    .rept 2
    grow
    ld x31, k + 0(x30)
    touch ld x31, 0(x31)
    grow
    ld x31, k + 8(x30)
    touch sw x5, 0(x31)
    grow
    ld x31, k + 16(x30)
    touch fld f7, 0(x31)
    grow
    ld x31, k + 24(x30)
    touch amoadd.d x28, x5, (x31)
    grow
    ld x31, k + 32(x30)
    touch sb x10, 0(x31)
    fdiv.d f4, f1, f3
    grow
    ld x31, k + 40(x30)
    touch lhu x10, 0(x31)
    grow
    ld x31, k + 48(x30)
    touch flw f11, 0(x31)
    .set k, k + 56
    .endr
    each_saved ld, fld
    addi sp, sp, SAVE
    ret
