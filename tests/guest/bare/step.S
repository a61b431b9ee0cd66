/* SPDX-License-Identifier: MIT */
/* What tests/stepping follows: each kind of instruction, a loop that gets hot, a page
 * of code that is written until it is watched no more. */
    .option norelax
    .option norvc
    .text
    .globl _start
_start:
    lui a0, 0x12345
    addi a0, a0, 0x678
    li a1, -7
    sub a2, a1, a0
    mul a3, a2, a1
    div a4, a3, a0
    rem a5, a3, a0
    sllw a6, a0, a1
    sltu a7, a0, a1
    mulhsu s2, a1, a0
    .option rvc
    c.mv s3, a0
    c.addi s3, -1
    .option norvc
/* memory */
1:  auipc s1, %pcrel_hi(place)
    addi s1, s1, %pcrel_lo(1b)
    sd a0, 0(s1)
    lb t0, 1(s1)
    lhu t1, 2(s1)
    amoadd.w t2, a1, (s1)
    lr.d t3, (s1)
    sc.d t4, a1, (s1)
    sc.d t5, a1, (s1)
/* floating point: flags, rounding, boxes */
    fcvt.d.w fa0, a1
    fmv.d.x fa1, a0
    fadd.d fa2, fa0, fa1
    fdiv.d fa3, fa2, fa0
    fsqrt.d fa4, fa0
    fcvt.s.d fa5, fa3
    fsrmi t0, 3
    fcvt.w.d t1, fa2, rdn
    frflags t2
    fdiv.d fa6, fa0, ft0
    fscsr zero
    fmadd.d fa7, fa0, fa0, fa0
    feq.d t3, fa0, fa4
/* a loop */
    li t0, 12
2:  addi t0, t0, -1
    bnez t0, 2b
/* code that changes */
1:  auipc s4, %pcrel_hi(changes)
    addi s4, s4, %pcrel_lo(1b)
    lw s5, 0(s4)
    li s6, 1 << 20
    li s7, 10
3:  add s5, s5, s6
    sw s5, 0(s4)
    fence.i
changes:
    li s8, 0
    addi s7, s7, -1
    bnez s7, 3b
/* calls */
    jal ra, 4f
    li a0, 0
    li a7, 94
    ecall
4:  jalr zero, 0(ra)
    .balign 8
place:
    .dword 0
