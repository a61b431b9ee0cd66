# SPDX-License-Identifier: MIT
# Interrupts as a board delivers them: CLINT timer and IPIs, PLIC, UART, WFI, Sstc, with
# two harts. Run by tests/system_bare as -bios, also under QEMU; the test finisher gets
# 0x5555, or 0x3333 with the number of the step that failed.
        .set FINISHER, 0x100000
        .set MSIP, 0x2000000
        .set MTIMECMP, 0x2004000
        .set MTIME, 0x200bff8
        .set PLIC, 0xc000000
        .set PLIC_ENABLE, PLIC + 0x2000         # 0x80 a context
        .set PLIC_CONTEXT, PLIC + 0x200000      # 0x1000 a context
        .set UART, 0x10000000
        .set UART_IRQ, 10
        .set SOON, 20000                        # 2 ms
        .set MSI, 1 << 3
        .set MTI, 1 << 7
        .set MEI, 1 << 11
        .set STI, 1 << 5
        .set SEI, 1 << 9
        .set IRQ, 1 << 63
        .set PINGS, 2000

        # In all of it: tp hart, s8 interrupts taken, s9 the last one's cause, s7 what
        # the PLIC said, s6 what the UART said, s10 the exception that is expected.
        .macro step n
        li      s11, \n
        .endm
        .macro same reg, value
        li      t6, \value
        bne     \reg, t6, fail
        .endm
        .macro write width, value, address
        li      t4, \address
        li      t6, \value
        \width  t6, (t4)
        .endm
        .macro timer_soon
        li      t4, MTIME
        ld      t4, (t4)
        li      t6, SOON
        add     t4, t4, t6
        li      t6, MTIMECMP
        sd      t4, (t6)
        .endm
        # Waits for one interrupt and takes it; they are off before and after.
        .macro await status=mstatus, bit=8
1:      wfi
        csrsi   \status, \bit
        nop
        csrci   \status, \bit
        beq     s8, s5, 1b
        addi    s5, s5, 1
        bne     s8, s5, fail
        .endm

        .option norelax
        .text
        .globl  _start
_start: csrr    tp, mhartid
        la      t0, m_trap
        csrw    mtvec, t0
        csrw    mie, zero
        li      s5, 0
        li      s8, 0
        li      s10, -1
        li      t0, 1
        beq     tp, t0, second
        bnez    tp, idle

        step    1                               # time goes on
        li      t0, MTIME
        ld      t1, (t0)
1:      ld      t2, (t0)
        bleu    t2, t1, 1b
        csrr    t1, time
        bltu    t1, t2, fail

        step    2                               # the timer interrupts WFI
        write   sd, -1, MTIMECMP
        csrr    t0, mip
        andi    t0, t0, MTI
        bnez    t0, fail
        li      t0, MTI
        csrs    mie, t0
        timer_soon
        await
        same    s9, IRQ | 7
        li      t0, MTIME                       # and not before its time
        ld      t0, (t0)
        bltu    t0, s4, fail

        step    3                               # WFI ends without interrupts, too
        timer_soon
1:      wfi
        csrr    t0, mip
        andi    t0, t0, MTI
        beqz    t0, 1b
        bne     s8, s5, fail
        write   sd, -1, MTIMECMP
        csrr    t0, mip
        andi    t0, t0, MTI
        bnez    t0, fail

        step    4                               # a half of the register at a time
        write   sw, 0, MTIMECMP + 4
        csrr    t0, mip
        andi    t0, t0, MTI
        bnez    t0, fail
        write   sw, 0, MTIMECMP
        await
        same    s9, IRQ | 7

        step    5                               # to oneself
        li      t0, MSI
        csrs    mie, t0
        write   sw, 1, MSIP
        await
        same    s9, IRQ | 3
        li      t0, MSIP
        lw      t0, (t0)
        bnez    t0, fail

        step    6                               # which one comes first
        write   sd, 0, MTIMECMP
        write   sw, -1, MSIP                    # only its bit 0 is there
        li      t0, MSIP
        lw      t0, (t0)
        same    t0, 1
        la      t0, m_once                      # takes one, returns with none enabled
        csrw    mtvec, t0
        await
        same    s9, IRQ | 3
        la      t0, m_trap
        csrw    mtvec, t0
        await
        same    s9, IRQ | 7

        step    7                               # to and fro between the harts
        li      s3, PINGS
1:      la      t0, turn
        sd      zero, (t0)
        fence   rw, rw
        write   sw, 1, MSIP + 4
2:      wfi
        csrsi   mstatus, 8
        nop
        csrci   mstatus, 8
        la      t0, turn
        ld      t0, (t0)
        beqz    t0, 2b
        addi    s3, s3, -1
        bnez    s3, 1b
        la      t0, pinged
        ld      t0, (t0)
        same    t0, PINGS
        mv      s5, s8

        step    8                               # the UART through the PLIC
        write   sb, 0, UART + 1
        write   sw, 1, PLIC + 4 * UART_IRQ
        write   sw, 1 << UART_IRQ, PLIC_ENABLE
        write   sw, 1, PLIC_CONTEXT             # its priority is not above
        li      t0, MEI
        csrw    mie, t0
        write   sb, 2, UART + 1                 # transmitter empty
        csrsi   mstatus, 8
        nop
        csrci   mstatus, 8
        bne     s8, s5, fail
        li      t0, PLIC + 0x1000
        lw      t0, (t0)
        same    t0, 1 << UART_IRQ
        write   sw, 0, PLIC_CONTEXT
        await
        same    s9, IRQ | 11
        same    s7, UART_IRQ
        andi    s6, s6, 15
        same    s6, 2
        li      t0, PLIC_CONTEXT + 4
        lw      t0, (t0)                        # nothing more to claim
        bnez    t0, fail

        step    9                               # a byte received, from itself
        write   sb, 1, UART + 2                 # FIFOs
        write   sb, 1, UART + 1
        write   sb, 0x10, UART + 4              # loop back
        write   sb, 'T', UART
        await
        same    s7, UART_IRQ
        same    s2, 'T'
        write   sb, 0, UART + 4
        write   sb, 0, UART + 1

        step    10                              # claimed by asking
        write   sb, 2, UART + 1
1:      csrr    t0, mip
        li      t1, MEI
        and     t0, t0, t1
        beqz    t0, 1b
        li      t0, PLIC_CONTEXT + 4
        lw      s7, (t0)
        same    s7, UART_IRQ
        csrr    t0, mip
        and     t0, t0, t1
        bnez    t0, fail
        write   sb, 0, UART + 1
        write   sw, UART_IRQ, PLIC_CONTEXT + 4
        csrr    t0, mip
        and     t0, t0, t1
        bnez    t0, fail
        write   sw, 0, PLIC_ENABLE

        step    11                              # WFI that is not allowed
        csrw    mie, zero
        li      t0, -1
        csrw    pmpaddr0, t0
        li      t0, 0x1f
        csrw    pmpcfg0, t0
        li      t0, 1 << 21
        csrs    mstatus, t0
        la      a0, 1f
        li      s10, 2
        j       to_s
1:      wfi
        li      s10, 9                          # now the handler returns to M
        la      a0, 1f
        ecall
1:      li      s10, -1
        li      t0, 1 << 21
        csrc    mstatus, t0

        step    12                              # Sstc
        li      t0, STI | SEI
        csrw    mideleg, t0
        la      t0, s_trap
        csrw    stvec, t0
        li      t0, -1
        csrw    mcounteren, t0
        li      t0, 1 << 63
        csrs    0x30a, t0                       # menvcfg.STCE
        csrr    t1, 0x30a
        bgez    t1, fail
        la      a0, 1f
        j       to_s
1:      li      t0, -1
        csrw    0x14d, t0                       # stimecmp
        li      t0, STI
        csrw    sie, t0
        csrr    s4, time
        li      t0, SOON
        add     s4, s4, t0
        csrw    0x14d, s4
        await   sstatus, 2
        same    s9, IRQ | 5
        csrr    t0, time
        bltu    t0, s4, fail
        csrr    t0, sip
        andi    t0, t0, STI
        bnez    t0, fail

        step    13                              # the PLIC's context of S mode
        li      t0, SEI
        csrw    sie, t0
        write   sw, 0, PLIC_CONTEXT + 0x1000
        write   sw, 1 << UART_IRQ, PLIC_ENABLE + 0x80
        write   sb, 2, UART + 1
        await   sstatus, 2
        same    s9, IRQ | 9
        same    s7, UART_IRQ

        write   sw, 0x5555, FINISHER
1:      j       1b

fail:   slli    s11, s11, 16
        li      t0, 0x3333
        or      s11, s11, t0
        li      t0, FINISHER
        sw      s11, (t0)
idle:   wfi
        j       idle

        # To a0 in S mode.
to_s:   csrw    mepc, a0
        li      t0, 3 << 11
        csrc    mstatus, t0
        li      t0, 1 << 11
        csrs    mstatus, t0
        mret

        # Hart 1: answers each interrupt with one.
second: step    64
        li      t0, MSI
        csrw    mie, t0
1:      wfi
        csrr    t0, mip
        andi    t0, t0, MSI
        beqz    t0, 1b
        write   sw, 0, MSIP + 4
        la      t0, pinged
        ld      t1, (t0)
        addi    t1, t1, 1
        sd      t1, (t0)
        la      t0, turn
        sd      t1, (t0)
        fence   rw, rw
        write   sw, 1, MSIP
        j       1b

        # Handlers: t5 and t6 are theirs, t6 never lives across an interrupt.
        .balign 4
m_once: li      t5, 1 << 7                      # MPIE
        csrc    mstatus, t5
m_trap: csrr    s9, mcause
        bgez    s9, exception
        addi    s8, s8, 1
        andi    t5, s9, 15
        addi    t5, t5, -3
        beqz    t5, 3f
        addi    t5, t5, -4
        beqz    t5, 7f
        li      t5, PLIC_CONTEXT + 4
        j       external
3:      li      t5, MSIP
        sw      zero, (t5)
        mret
7:      li      t5, MTIMECMP
        ld      s4, (t5)
        li      t6, -1
        sd      t6, (t5)
        mret
exception:
        bne     s9, s10, fail
        li      t5, 9
        beq     s9, t5, 1f
        csrr    t5, mepc
        addi    t5, t5, 4
        csrw    mepc, t5
        mret
1:      jr      a0

        # t5: the context's claim register. Takes why, and the byte, from the UART.
external:
        lw      s7, (t5)
        li      t6, UART
        lbu     s6, 2(t6)
        lbu     s2, (t6)
        sb      zero, 1(t6)
        sw      s7, (t5)
        andi    t6, s9, 2
        beqz    t6, 1f
        mret
1:      sret

        .balign 4
s_trap: csrr    s9, scause
        bgez    s9, fail
        addi    s8, s8, 1
        li      t5, PLIC_CONTEXT + 0x1004
        andi    t6, s9, 8
        bnez    t6, external
        li      t6, -1
        csrw    0x14d, t6                       # stimecmp
        sret

        .data
        .balign 64
turn:   .dword  0
        .balign 64
pinged: .dword  0
