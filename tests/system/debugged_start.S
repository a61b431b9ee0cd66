# SPDX-License-Identifier: MIT
# Where debugged.c's harts begin, each on a stack of its own, and how one of them goes on
# in supervisor mode behind page tables.
        .globl  _start, supervise
_start: csrr    a0, mhartid
        la      sp, stacks
        addi    t0, a0, 1
        slli    t0, t0, 12
        add     sp, sp, t0
        la      t0, 1f
        csrw    mtvec, t0
        call    begin
1:      j       1b

# supervise(satp, function): never returns
supervise:
        csrw    satp, a0
        sfence.vma
        csrw    mepc, a1
        li      t0, 0x1800
        csrc    mstatus, t0
        li      t0, 0x800
        csrs    mstatus, t0
        li      t0, -1
        csrw    pmpaddr0, t0
        li      t0, 0x1f
        csrw    pmpcfg0, t0
        mret

        .bss
        .balign 4096
stacks: .space  8 * 4096
