# SPDX-License-Identifier: MIT
# Runs from flash, looks at it as a driver does, and changes code in it: tests/system_bare.
# Ends with the number of the step that went wrong.
#define FLASH  0x20000000
#define SECTOR 0x20040000
#define RAM    0x80000000
#define UART   0x10000000
#define FINISH 0x100000

        .macro  step n
        li      s11, \n
        .endm

        .option norelax                 # .org means it
        .globl  _start
_start: la      t0, trapped
        csrw    mtvec, t0
        step    1                       # code is data that can be read
        lw      t0, two
        li      t1, 0x00200513          # addi a0, zero, 2
        bne     t0, t1, failed

        step    2                       # what changes flash must not be run from it
        la      t0, routines
        la      t1, routines_end
        li      t2, RAM
1:      ld      t3, (t0)
        sd      t3, (t2)
        addi    t0, t0, 8
        addi    t2, t2, 8
        bltu    t0, t1, 1b
        fence.i

        step    3                       # "QRY", from each of two chips
        li      s0, RAM
        jalr    s0
        li      t0, 0x00510051
        bne     a0, t0, failed

        step    4                       # code of another sector
        li      s1, SECTOR
        jalr    s1
        li      t0, 1
        bne     a0, t0, failed

        step    5                       # its instruction is overwritten
        lw      a1, two
        la      t0, program
        la      t1, routines
        sub     t0, t0, t1
        add     s0, s0, t0
        mv      a0, s1
        jalr    s0
        li      t0, 0x00800080
        bne     a0, t0, failed
        lw      t0, (s1)
        lw      t1, two
        bne     t0, t1, failed
        fence.i
        jalr    s1
        li      t0, 2
        bne     a0, t0, failed

        step    6                       # a write there is a command, no store
        sw      zero, (s1)
        lw      t0, (s1)
        lw      t1, two
        bne     t0, t1, failed

        li      t1, 0x5555
        j       finish

failed: slli    t1, s11, 16
        li      t0, 0x3333
        or      t1, t1, t0
finish: li      t0, FINISH
        sw      t1, (t0)
1:      wfi
        j       1b

        .balign 4
trapped:
        addi    s11, s11, 100
        j       failed

        .balign 8
routines:                               # query: a0 = its first word
        li      t0, FLASH
        li      t1, 0x98
        sw      t1, (t0)
        lw      a0, 0x40(t0)
        li      t1, 0xff
        sw      t1, (t0)
        ret
program:                                # a1 to a0: a0 = status
        li      t0, 0x40
        sw      t0, (a0)
        sw      a1, (a0)
        lw      t1, (a0)
        li      t0, 0x50
        sw      t0, (a0)
        li      t0, 0xff
        sw      t0, (a0)
        mv      a0, t1
        ret
        .balign 8
routines_end:
        .option norvc
two:    addi    a0, zero, 2

        .org    SECTOR - FLASH
        addi    a0, zero, 1
        ret
