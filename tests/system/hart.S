# SPDX-License-Identifier: MIT
# A hart from reset to user mode: CSRs, traps, delegation, Sv39, interrupts, code that
# is mapped elsewhere.  Each step that fails ends with its number in a0.  Linked at
# RAM's start; results go to the device at FINISH.
        .set FINISH, 0x100000
        .set PTE_V, 1
        .set PTE_R, 2
        .set PTE_W, 4
        .set PTE_X, 8
        .set PTE_U, 16
        .set PTE_G, 32
        .set PTE_A, 64
        .set PTE_D, 128

        .macro step n
        li      s11, \n
        .endm
        .macro same reg, value
        li      t6, \value
        bne     \reg, t6, fail
        .endm

        .section .text
        .globl  _start
_start:
        la      sp, stack_top
        la      t0, m_trap
        csrw    mtvec, t0

        # ---- CSRs: what is written and what reads back ----
        step    1
        csrr    t0, mhartid
        bnez    t0, fail
        li      t0, -1
        csrw    mepc, t0
        csrr    t0, mepc
        same    t0, -2
        csrw    mideleg, t6
        csrr    t0, mideleg
        same    t0, 0x222
        csrw    mideleg, zero
        step    2
        li      t0, 0x1234
        csrw    mscratch, t0
        csrrwi  t1, mscratch, 5
        same    t1, 0x1234
        csrrsi  t1, mscratch, 8
        same    t1, 5
        csrrci  t1, mscratch, 1
        same    t1, 13
        csrr    t1, mscratch
        same    t1, 12

        # ---- a CSR that is not there, one that cannot be written ----
        step    3
        li      s10, 2
        csrr    t0, 0x5c0
        csrw    mhartid, zero
        step    4
        li      s10, 11
        ecall
        li      s10, 3
        ebreak

        # ---- floating point's CSRs while it is off ----
        step    25
        li      s10, 2
        li      t3, 0
        csrr    t0, fflags
        same    t3, 2                   # m_trap has been there
        li      t3, 0
        csrwi   frm, 1
        same    t3, 2
        li      t3, 0
        csrsi   fcsr, 1
        same    t3, 2

        # ---- no device, misaligned device access ----
        step    5
        li      s10, 5
        li      t0, 0x40000000
        ld      t1, 0(t0)
        csrr    t1, mtval
        bne     t0, t1, fail
        li      s10, 7
        sd      t1, 8(t0)
        li      t0, FINISH
        sb      zero, 0(t0)             # takes words only
        addi    t0, t0, 4
        amoand.w t1, zero, (t0)         # and those not atomically
        csrr    t1, mtval
        bne     t0, t1, fail
        li      s10, 6
        la      t0, pages + 4
        amoadd.d t1, t1, (t0)
        csrr    t1, mtval
        bne     t0, t1, fail

        # ---- loads and stores across pages, misaligned ----
        step    6
        la      t0, pages
        li      t1, 4096 - 3
        add     t0, t0, t1
        li      t1, 0x1122334455667788
        sd      t1, 0(t0)
        ld      t2, 0(t0)
        bne     t1, t2, fail
        lw      t2, 1(t0)
        same    t2, 0x44556677
        lbu     t2, 3(t0)
        same    t2, 0x55

        # ---- an interrupt in machine mode ----
        step    7
        li      t0, FINISH
        li      t1, 1
        sw      t1, 4(t0)               # raises MTI
        li      t1, 0x80
        csrw    mie, t1
        li      s10, -1
        li      s9, 0
        csrsi   mstatus, 8
1:      addi    s9, s9, 1
        li      t1, 100000000
        beq     s9, t1, fail
        beqz    s8, 1b                  # m_trap counts interrupts in s8
        csrci   mstatus, 8
        csrr    t1, mcause
        li      t2, 1 << 63 | 7
        bne     t1, t2, fail

        # ---- mip: what a line holds is read, and not written back ----
        step    22
        li      t1, 2
        sw      t1, 4(t0)               # raises SEI
        csrr    t1, mip
        same    t1, 0x200
        csrsi   mip, 2
        sw      zero, 4(t0)
        csrr    t1, mip
        same    t1, 2
        csrci   mip, 2
        csrr    t1, mip
        bnez    t1, fail

        # ---- counters that stand still ----
        step    23
        li      t1, -1
        csrw    mcountinhibit, t1
        csrr    t1, mcountinhibit
        same    t1, 5
        csrr    t1, mcycle
        csrr    t2, mcycle
        bne     t1, t2, fail
        li      t1, 77
        csrw    minstret, t1
        csrr    t1, instret
        same    t1, 77
        csrw    mcountinhibit, zero
        csrr    t1, minstret
        csrr    t2, minstret
        li      t3, 77
        bltu    t1, t3, fail
        bgeu    t1, t2, fail
        csrr    t1, mcycle
        csrr    t2, mcycle
        bgeu    t1, t2, fail

        # ---- nothing there, where an emptied near slot says so ----
        step    30
        li      s10, 5
        li      s9, 40
1:      la      t0, pages
        jal     load_there
        sfence.vma
        li      t0, 1 << 62
        li      t1, 7
        jal     load_there
        same    t1, 7
        csrr    t2, mtval
        addi    t1, t0, 16
        bne     t1, t2, fail
        addi    s9, s9, -1
        bnez    s9, 1b

        # ---- stores one after the other, in two pages, then in one's own ----
        step    31
        li      s9, 40
        li      s7, 0
1:      la      t0, pages + 4096
        li      t1, 3
        bgtu    s9, t1, 2f
        la      t0, beside_code
2:      jal     store_two
        ld      t1, -8(t0)
        ld      t2, 0(t0)
        bne     t1, s9, fail
        bne     t2, s9, fail
        addi    s9, s9, -1
        bnez    s9, 1b
        same    s7, 40
        li      s7, 0

        # ---- page tables: pages at VA, a superpage of RAM at its own address ----
        step    8
        la      t0, root
        la      t1, middle
        srli    t1, t1, 2
        ori     t1, t1, PTE_V
        sd      t1, 0(t0)               # VA 0 .. 1 GiB
        li      t1, 0x80000000 >> 2 | PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
        sd      t1, 16(t0)              # 2 .. 3 GiB
        la      t0, middle
        la      t1, leaves
        srli    t1, t1, 2
        ori     t1, t1, PTE_V
        sd      t1, 0(t0)
        la      t0, leaves
        la      t1, pages
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_W
        sd      t1, 8(t0)               # VA 0x1000: no A, no D
        la      t1, code_one
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A
        sd      t1, 16(t0)              # VA 0x2000
        la      t1, pages
        li      t2, 4096
        add     t1, t1, t2
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D
        sd      t1, 24(t0)              # VA 0x3000: user's
        li      t1, -1
        csrw    pmpaddr0, t1
        li      t1, 0x1f
        csrw    pmpcfg0, t1
        la      t0, s_trap
        csrw    stvec, t0
        li      t0, 0xb1ff
        csrw    medeleg, t0
        li      t0, 0x222
        csrw    mideleg, t0
        la      t0, root
        srli    t0, t0, 12
        li      t1, 8 << 60
        or      t0, t0, t1
        csrw    satp, t0
        sfence.vma
        li      t0, 3 << 11
        csrc    mstatus, t0
        li      t0, 1 << 11
        csrs    mstatus, t0
        la      t0, in_s
        csrw    mepc, t0
        mret

in_s:
        step    9
        li      t0, 0x1000
        ld      t1, 8(t0)
        la      t2, leaves
        ld      t3, 8(t2)
        andi    t3, t3, PTE_A | PTE_D
        same    t3, PTE_A
        sd      t1, 8(t0)
        ld      t3, 8(t2)
        andi    t3, t3, PTE_A | PTE_D
        same    t3, PTE_A | PTE_D
        li      t1, 77
        sd      t1, 8(t0)
        la      t2, pages
        ld      t1, 8(t2)
        same    t1, 77

        # ---- faults: not mapped, not writable, not executable, the user's ----
        step    10
        li      s10, 13
        li      t0, 0x5000
        ld      t1, 0x123(t0)
        csrr    t1, stval
        same    t1, 0x5123
        li      s10, 15
        li      t0, 0x2000
        sd      t1, 0(t0)
        li      s10, 12
        li      t0, 0x1000
        la      ra, 1f
        jr      t0
1:      step    11
        li      s10, 13
        li      t0, 0x3000
        ld      t1, 0(t0)
        li      t2, 1 << 18             # SUM
        csrs    sstatus, t2
        li      s10, -1
        ld      t1, 0(t0)
        csrc    sstatus, t2
        li      s10, 13
        ld      t1, 0(t0)
        # bits beyond Sv39
        li      t0, 1 << 40
        ld      t1, 0(t0)

        # ---- across two pages, the second of which is not there ----
        step    12
        li      s10, 15
        li      t0, 0x3ffc
        li      t2, 1 << 18
        csrs    sstatus, t2
        sd      t0, 0(t0)
        csrr    t1, stval
        same    t1, 0x4000
        csrc    sstatus, t2

        # ---- code that is mapped elsewhere: the same address, other code ----
        step    13
        li      s10, -1
        li      s9, 5000                # often enough for a trace
2:      li      t0, 0x2000
        jalr    t0
        same    a0, 1
        addi    s9, s9, -1
        bnez    s9, 2b
        la      t2, leaves
        la      t1, code_two
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A
        sd      t1, 16(t2)
        sfence.vma
        li      t0, 0x2000
        jalr    t0
        same    a0, 2
        # and code that is changed in place
        la      t1, code_two
        li      t0, 0x00300513          # li a0, 3
        sw      t0, 0(t1)
        fence.i
        li      t0, 0x2000
        jalr    t0
        same    a0, 3

        # ---- an instruction in two pages, the second of which changes ----
        step    19
        la      t2, leaves
        la      t1, joint_first
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A
        sd      t1, 48(t2)              # VA 0x6000
        li      t0, 0x6ffe
        li      s10, 12
        la      ra, 3f
        jr      t0                      # its second half is not there
3:      csrr    t1, stval
        same    t1, 0x7000
        la      t1, joint_one
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A
        sd      t1, 56(t2)              # VA 0x7000
        sfence.vma
        li      s10, -1
        li      s9, 5000
4:      li      t0, 0x6ffe
        jalr    t0
        same    a0, 1
        addi    s9, s9, -1
        bnez    s9, 4b
        la      t1, joint_two
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A
        sd      t1, 56(t2)
        li      t0, 0x7000
        sfence.vma t0, zero
        li      t0, 0x6ffe
        jalr    t0
        same    a0, 2
        # changed in place
        la      t1, joint_two
        li      t0, 0x0030
        sh      t0, 0(t1)
        fence.i
        li      t0, 0x6ffe
        jalr    t0
        same    a0, 3

        # ---- a supervisor interrupt, vectored ----
        step    14
        la      t0, vectors
        ori     t0, t0, 1
        csrw    stvec, t0
        csrwi   sie, 2
        li      s8, 0
        csrsi   sip, 2
        csrsi   sstatus, 2
        nop
        beqz    s8, fail
        csrci   sstatus, 2
        la      t0, s_trap
        csrw    stvec, t0

        # ---- user mode: its page, a system call, nothing of ours ----
        step    15
        la      t2, leaves
        la      t1, user_code
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_U | PTE_A
        sd      t1, 32(t2)              # VA 0x4000
        sfence.vma
        li      t0, 0x4000
        csrw    sepc, t0
        li      t0, 1 << 8
        csrc    sstatus, t0
        li      s10, 8
        la      s7, after_user
        sret
after_user:
        step    16
        csrr    t0, sepc
        li      t1, 0x4000
        bltu    t0, t1, fail

        # ---- floating point off, and on ----
        step    17
        li      s7, 0
        li      s10, 2
        fmv.d.x fa0, zero
        li      t0, 1 << 13
        csrs    sstatus, t0
        li      s10, -1
        li      t0, 3
        fcvt.d.l fa0, t0
        fadd.d  fa0, fa0, fa0
        fcvt.l.d t0, fa0
        same    t0, 6
        csrr    t0, sstatus
        bgez    t0, fail                # SD: dirty

        # ---- code known with floating point on is not run with it off ----
        step    20
        li      s9, 5000
5:      la      t0, fp_leaf
        jalr    t0
        addi    s9, s9, -1
        bnez    s9, 5b
        li      t0, 3 << 13
        csrc    sstatus, t0
        li      s10, 2
        li      t3, 0
        la      t0, fp_leaf
        jalr    t0
        same    t3, 2                   # s_trap has been there
        li      t0, 3 << 13
        csrs    sstatus, t0

        # ---- floating point's CSRs: what is written, what is computed ----
        step    32
        li      s10, -1
        li      t0, -1
        csrw    fcsr, t0
        csrrwi  t0, fflags, 0
        same    t0, 31
        csrrwi  t0, frm, 2              # down
        same    t0, 7
        li      t0, 1
        fcvt.d.l fa0, t0
        li      t0, 3
        fcvt.d.l fa1, t0
        fdiv.d  fa0, fa0, fa1
        fmv.x.d t0, fa0
        same    t0, 0x3fd5555555555555
        csrr    t0, fcsr
        same    t0, 0x41                # down, inexact
        csrrci  t0, fflags, 1
        same    t0, 1
        csrrwi  t0, frm, 3              # up
        same    t0, 2
        la      t0, fp_round
        jalr    t0
        same    t0, 3
        csrwi   frm, 4                  # to nearest, ties away
        la      t0, fp_round
        jalr    t0
        same    t0, 3
        csrwi   frm, 2
        la      t0, fp_round
        jalr    t0
        same    t0, 2
        csrwi   frm, 5                  # no such: what uses it is illegal
        li      s10, 2
        li      t3, 0
        la      t0, fp_round
        jalr    t0
        same    t3, 2
        csrwi   fcsr, 0
        li      t0, 3 << 13
        csrc    sstatus, t0
        li      t3, 0
        csrr    t0, frm
        same    t3, 2
        li      t3, 0
        csrwi   fflags, 1
        same    t3, 2
        li      t0, 3 << 13
        csrs    sstatus, t0
        csrr    t0, fcsr
        bnez    t0, fail

        # ---- code that is changed again and again, beside other code ----
        step    21
        la      t1, hot_code
        li      s9, 200
6:      slli    t0, s9, 20
        li      t2, 0x513               # addi a0, zero, s9
        or      t0, t0, t2
        sw      t0, 0(t1)
        fence.i
        jalr    t1
        bne     a0, s9, fail
        jalr    t1
        bne     a0, s9, fail
        la      t0, hot_other
        jalr    t0
        same    a0, 7
        addi    s9, s9, -1
        bnez    s9, 6b

        # ---- across two pages that are no neighbours in memory ----
        step    27
        la      t0, leaves
        la      t1, pages + 2 * 4096
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D
        sd      t1, 64(t0)              # VA 0x8000
        la      t1, pages
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D
        sd      t1, 72(t0)              # VA 0x9000
        sfence.vma
        li      t0, 0x8ffd
        li      t1, 0x1122334455667788
        sd      t1, 0(t0)
        ld      t2, 0(t0)
        bne     t1, t2, fail
        la      t2, pages
        lwu     t3, 0(t2)
        same    t3, 0x22334455
        lbu     t3, 4(t2)
        same    t3, 0x11
        li      t4, 3 * 4096
        add     t2, t2, t4
        lbu     t3, -3(t2)
        same    t3, 0x88
        lhu     t3, -2(t2)
        same    t3, 0x6677

        # ---- a table that holds code, marked while code is looked up ----
        step    24
        la      t0, leaves
        la      t1, code_one
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X
        sd      t1, 80(t0)              # VA 0xa000: no A
        li      t1, 2048
        add     t0, t0, t1
        li      t1, 0x8082              # ret
        sd      t1, 0(t0)
        fence.i
        sfence.vma
        jalr    t0
        li      t0, 0xa000
        jalr    t0
        same    a0, 1
        la      t0, leaves
        ld      t1, 80(t0)
        andi    t1, t1, PTE_A
        same    t1, PTE_A

#include "hart_memory.S"

        # ---- LR/SC and AMO through the tables ----
        step    18
        li      t0, 0x1000
        li      t1, 5
        sd      t1, 0(t0)
        amoadd.d t2, t1, (t0)
        same    t2, 5
        lr.d    t2, (t0)
        same    t2, 10
        sc.d    t3, t1, (t0)
        bnez    t3, fail
        ld      t2, 0(t0)
        same    t2, 5
        li      s10, 6
        addi    t4, t0, 4
        amoadd.d t2, t1, (t4)           # misaligned: not delegated
        li      a0, 0
        j       finish

fail:   mv      a0, s11
finish: li      t0, FINISH
        # S mode cannot reach the device: ask M mode
        li      s10, -2
        ecall
1:      j       1b

        # s10: the cause that is expected; -1 none, -2: a0 is the result
        .balign 4
m_trap: csrr    t3, mcause
        bltz    t3, m_irq
        li      t4, -2
        beq     s10, t4, m_end
        bne     t3, s10, m_fail
        csrr    t4, mepc
        lhu     t5, 0(t4)
        andi    t5, t5, 3
        addi    t4, t4, 2
        addi    t5, t5, -3
        bnez    t5, 1f
        addi    t4, t4, 2
1:      csrw    mepc, t4
        mret
m_irq:  addi    s8, s8, 1
        li      t3, FINISH
        sw      zero, 4(t3)             # lowers MTI
        mret
m_fail: mv      a0, s11
m_end:  li      t0, FINISH
        sw      a0, 0(t0)
2:      j       2b

        .balign 4
s_trap: csrr    t3, scause
        bne     t3, s10, s_fail
        bnez    s7, s_return
        li      t4, 12
        beq     t3, t4, s_fetch
        csrr    t4, sepc
        lhu     t5, 0(t4)
        andi    t5, t5, 3
        addi    t4, t4, 2
        addi    t5, t5, -3
        bnez    t5, 1f
        addi    t4, t4, 2
1:      csrw    sepc, t4
        sret
s_fetch:
        csrw    sepc, ra
        sret
s_return:
        jr      s7
s_fail: mv      a0, s11
        j       finish

        .balign 4
vectors:
        j       s_fail
        j       s_irq
s_irq:  addi    s8, s8, 1
        csrci   sip, 2
        sret

fp_leaf:
        fadd.d  fa0, fa0, fa0
        ret

fp_round:                               # 2.5 as an integer
        li      t0, 5
        fcvt.d.l fa0, t0
        li      t0, 2
        fcvt.d.l fa1, t0
        fdiv.d  fa0, fa0, fa1
        fcvt.l.d t0, fa0
        ret

load_there:
        ld      t1, 16(t0)
        ret

        .balign 4096
        .option push
        .option norvc
hot_code:
        li      a0, 0
        ret
hot_other:
        li      a0, 7
        ret
        .option pop

        .balign 4096
code_one:
        li      a0, 1
        ret
        .balign 4096
code_two:
        .option push
        .option norvc
        li      a0, 2
        ret
        .option pop
        .balign 4096
walk_begin:
        .skip   4096 + 1024
walk_code:
        sd      s9, 0(t0)
        addi    t0, t0, 8
        bne     t0, t1, walk_code
        ret

        .balign 4096
        .skip   4096
beside_code:
        .dword  0
store_two:
        sd      s9, -8(t0)
        sd      s9, 0(t0)
        addi    s7, s7, 1
        ret
        .balign 4096
user_code:
        ecall
        .balign 4096

joint_first:
        .skip   4094
        .half   0x0513                  # addi a0, zero, ...
joint_one:
        .half   0x0010                  # ... 1
        ret
        .balign 4096
joint_two:
        .half   0x0020                  # ... 2
        ret
        .balign 4096

        .section .bss
        .balign 4096
root:   .skip   4096
middle: .skip   4096
leaves: .skip   4096
root_two:
        .skip   4096
middle_two:
        .skip   4096
leaves_two:
        .skip   4096
pages:  .skip   3 * 4096
stack:  .skip   4096
stack_top:
