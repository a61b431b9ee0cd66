/* SPDX-License-Identifier: MIT */
/* A static PIE without a library: three arguments, an aligned stack, one line. */
    .option pic
    .section .rodata
text:
    .ascii "hello: ok\n"
    .set len, . - text
    .text
    .globl _start
_start:
    andi t0, sp, 15
    bnez t0, wrong
    ld t0, 0(sp) /* argc */
    li t1, 3
    bne t0, t1, wrong
    li a0, 1
    lla a1, text
    li a2, len
    li a7, 64
    ecall
    li a0, 0
    j leave
wrong:
    li a0, 1
leave:
    li a7, 94
    ecall
