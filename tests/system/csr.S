# SPDX-License-Identifier: MIT
# Prints, for each CSR that machine mode can read: its number, its value after reset,
# and what it holds after four patterns were written to it, or "read-only"; of counters
# only that they are there.
# tests/system_csr compares the lines with QEMU's.
        .set UART, 0x10000000
        .set FINISH, 0x100000
        .set LAST, 0xfff

        .globl  _start
_start: csrr    t0, mhartid
1:      bnez    t0, 1b
        la      sp, stack_top
        la      t0, trap
        csrw    mtvec, t0
        li      s0, 0
next:   mv      a0, s0
        call    assemble
        li      s10, 0
        la      t0, probe_read
        jalr    t0
        bnez    s10, after
        mv      s1, a0                  # the value as found
        mv      a0, s0
        li      a1, 8
        call    print_hex
        call    is_counter
        bnez    a0, line_end
        mv      a0, s1
        li      a1, 60
        call    print_hex
        srli    t0, s0, 4
        li      t1, 0x7a                # debug triggers: QEMU 7.2 dies of some values
        beq     t0, t1, line_end
        la      s2, patterns
1:      ld      a2, 0(s2)
        srli    t0, s0, 4
        li      t1, 0x3a
        bne     t0, t1, 2f
        ld      t1, mask_pmpcfg         # no locked entries: they cannot be undone
        and     a2, a2, t1
2:      mv      a0, s1
        la      t0, probe_write
        jalr    t0
        bnez    s10, read_only
        mv      a0, a3
        li      a1, 60
        call    print_hex
        addi    s2, s2, 8
        la      t0, patterns_end
        bltu    s2, t0, 1b
line_end:
        li      a0, '\n'
        call    print
after:  addi    s0, s0, 1
        li      t0, LAST
        bleu    s0, t0, next
        li      t0, FINISH
        li      t1, 0x5555
        sw      t1, (t0)
1:      j       1b
read_only:
        la      s3, text_read_only
1:      lbu     a0, (s3)
        addi    s3, s3, 1
        call    print
        lbu     t0, (s3)
        bnez    t0, 1b
        j       line_end

# a0: is s0 one that counts?
is_counter:
        li      a0, 1
        andi    t0, s0, 31
        li      t1, 2
        bgtu    t0, t1, 1f
        srli    t1, s0, 5
        li      t2, 0xb00 >> 5
        beq     t1, t2, 2f
        li      t2, 0xc00 >> 5
        beq     t1, t2, 2f
1:      li      a0, 0
2:      ret

# Puts the CSR of number a0 into the probes.
assemble:
        slli    a0, a0, 20
        la      t0, probe_read
        li      t1, 0x2573              # csrr a0, csr
        or      t1, t1, a0
        sw      t1, 0(t0)
        la      t0, probe_write
        li      t1, 0x61073             # csrw csr, a2
        or      t1, t1, a0
        sw      t1, 0(t0)
        li      t1, 0x26f3              # csrr a3, csr
        or      t1, t1, a0
        sw      t1, 4(t0)
        li      t1, 0x51073             # csrw csr, a0
        or      t1, t1, a0
        sw      t1, 8(t0)
        fence.i
        ret

# a0's hexadecimal digits, the first at bit a1, and a space
print_hex:
        addi    sp, sp, -32
        sd      ra, 0(sp)
        sd      s4, 8(sp)
        sd      s5, 16(sp)
        mv      s4, a0
        mv      s5, a1
1:      srl     a0, s4, s5
        andi    a0, a0, 15
        la      t0, digits
        add     t0, t0, a0
        lbu     a0, (t0)
        call    print
        addi    s5, s5, -4
        bgez    s5, 1b
        li      a0, ' '
        call    print
        ld      ra, 0(sp)
        ld      s4, 8(sp)
        ld      s5, 16(sp)
        addi    sp, sp, 32
        ret
print:  li      t0, UART
1:      lbu     t1, 5(t0)
        andi    t1, t1, 0x20
        beqz    t1, 1b
        sb      a0, 0(t0)
        ret

        .balign 4
trap:   li      s10, 1
        csrr    t0, mepc
        addi    t0, t0, 4
        csrw    mepc, t0
        mret

        .balign 4
probe_read:
        .word   0
        jr      ra
        .balign 4
probe_write:
        .word   0, 0, 0
        jr      ra

        .balign 8
patterns:
        .quad   0, -1, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa
patterns_end:
mask_pmpcfg:
        .quad   0x1f1f1f1f1f1f1f1f
digits: .ascii  "0123456789abcdef"
text_read_only:
        .asciz  "read-only"
        .balign 16
        .skip   1024
stack_top:
