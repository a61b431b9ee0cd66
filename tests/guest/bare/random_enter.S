/* SPDX-License-Identifier: MIT */
/* random_runner's start, and its ways into and out of a sequence: all registers are
 * loaded from the Room that tp points at, and stored there. */

    .equ LAST_X, 520
    .equ F_AT, 256
    .equ FCSR_AT, 512
    .equ ROOM_AT, 0x31000000
    .equ GP_AT, 0x3000a000

    .macro each_saved insn
    \insn ra, 0(sp)
    \insn s0, 8(sp)
    \insn s1, 16(sp)
    \insn s2, 24(sp)
    \insn s3, 32(sp)
    \insn s4, 40(sp)
    \insn s5, 48(sp)
    \insn s6, 56(sp)
    \insn s7, 64(sp)
    \insn s8, 72(sp)
    \insn s9, 80(sp)
    \insn s10, 88(sp)
    \insn s11, 96(sp)
    .endm

    .macro each_x insn
    .irp n, 1,2,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    \insn x\n, \n * 8(tp)
    .endr
    .endm

    .macro each_f insn
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \insn f\n, F_AT + \n * 8(tp)
    .endr
    .endm

    .option norelax
    .data
    .balign 8
stack_kept:
    .quad 0

    .text
    .globl _start
_start:
    ld a0, 0(sp)
    addi a1, sp, 8
    andi sp, sp, -16
    call begin

    /* a0: the sequence, which begins by loading x31 itself */
    .globl enter_sequence
enter_sequence:
    addi sp, sp, -112
    each_saved sd
    la t0, stack_kept
    sd sp, 0(t0)
    li tp, ROOM_AT
    li gp, GP_AT
    mv x31, a0
    ld t0, FCSR_AT(tp)
    fscsr t0
    each_f fld
    each_x ld
    jr x31

    /* x31 is at LAST_X */
    .globl leave_sequence
leave_sequence:
    each_x sd
    each_f fsd
    ld t0, LAST_X(tp)
    sd t0, 31 * 8(tp)
    frcsr t0
    sd t0, FCSR_AT(tp)
    la t0, stack_kept
    ld sp, 0(t0)
    each_saved ld
    addi sp, sp, 112
    ret

    /* Overwrites what a signal handler may. */
    .globl clobber
clobber:
    li t0, 0x7ff0dead12345678
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fmv.d.x f\n, t0
    .endr
    .irp n, 6,7,10,11,12,13,14,15,16,17,28,29,30,31
    li x\n, \n * 0x1111
    .endr
    li t0, 0x6a
    fscsr t0
    ret
