# SPDX-License-Identifier: MIT
# Part of hart.S, in S mode behind its tables: address spaces that share global pages,
# loops that walk through pages.

        # ---- two spaces, whose global pages are the same ----
        .macro enter root, asid
        la      t0, \root
        srli    t0, t0, 12
        li      t1, 8 << 60 | \asid << 44
        or      t0, t0, t1
        csrw    satp, t0
        .endm
        .macro map tables, number, page, rights
        la      t0, \tables
        la      t1, \page
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_X | PTE_A | \rights
        sd      t1, 8 * \number(t0)
        .endm
        .macro runs address, result
        li      t0, \address
        jalr    t0
        same    a0, \result
        .endm
        step    29
        la      t0, root
        la      t2, root_two
        ld      t1, 16(t0)
        ori     t1, t1, PTE_G
        sd      t1, 16(t0)              # RAM is global
        sd      t1, 16(t2)
        la      t1, middle_two
        srli    t1, t1, 2
        ori     t1, t1, PTE_V
        sd      t1, 0(t2)
        la      t0, middle_two
        la      t1, leaves_two
        srli    t1, t1, 2
        ori     t1, t1, PTE_V
        sd      t1, 0(t0)
        map     leaves, 11, code_one, PTE_G
        map     leaves_two, 11, code_one, PTE_G
        sfence.vma
        li      s9, 5000
7:      enter   root_two, 2
        runs    0xb000, 1
        enter   root, 1
        runs    0xb000, 1
        addi    s9, s9, -1
        bnez    s9, 7b
        map     leaves, 11, code_two, PTE_G
        map     leaves_two, 11, code_two, PTE_G
        li      t0, 0xb000
        sfence.vma t0
        runs    0xb000, 3
        enter   root_two, 2
        runs    0xb000, 3
        map     leaves, 11, code_one, PTE_G
        map     leaves_two, 11, code_one, PTE_G
        sfence.vma
        runs    0xb000, 1
        enter   root, 1
        runs    0xb000, 1
        # pages that are not
        step    30
        map     leaves, 12, code_one, 0
        map     leaves_two, 12, code_two, 0
        sfence.vma
        li      s9, 5000
8:      enter   root_two, 2
        runs    0xb000, 1
        runs    0xc000, 3
        enter   root, 1
        runs    0xb000, 1
        runs    0xc000, 1
        addi    s9, s9, -1
        bnez    s9, 8b
        # ... which one space forgets
        map     leaves, 12, code_two, 0
        li      t0, 1
        sfence.vma zero, t0
        runs    0xc000, 3
        map     leaves, 12, code_one, 0
        li      t0, 1
        li      t1, 0xc000
        sfence.vma t1, t0
        runs    0xc000, 1
        enter   root_two, 2
        runs    0xc000, 3
        enter   root, 1

        # ---- loops that walk through pages, up and down ----
        step    33
        la      t0, leaves
        la      t1, pages
        srli    t1, t1, 2
        ori     t1, t1, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D
        sd      t1, 136(t0)             # VA 0x11000
        addi    t1, t1, 1024
        sd      t1, 144(t0)
        addi    t1, t1, 1024
        sd      t1, 128(t0)             # VA 0x10000
        sfence.vma
        li      t0, 0x10000
        li      t1, 3 * 512
1:      addi    t0, t0, 8
        sd      t1, -8(t0)
        addi    t1, t1, -1
        bnez    t1, 1b
        li      t2, 0x10000
        li      t3, 0
1:      ld      t1, -8(t0)
        add     t3, t3, t1
        addi    t0, t0, -8
        bne     t0, t2, 1b
        same    t3, 3 * 512 * (3 * 512 + 1) / 2

        # from one place to another, in steps that end pages at different times
        step    34
        li      t0, 0x10018
        li      t1, 0x10000
        li      t2, 0x13000
1:      ld      t3, 0(t0)
        ld      t4, 8(t0)
        addi    t0, t0, 24
        sd      t3, 0(t1)
        addi    t1, t1, 12
        add     t4, t4, t3
        bltu    t0, t2, 1b
        li      t0, 0x10000
        li      t1, 0x11800
        li      t3, 0
1:      lwu     t2, 4(t0)
        add     t3, t3, t2
        lwu     t2, 0(t0)
        xor     t3, t3, t2
        slli    t4, t3, 1
        xor     t3, t3, t4
        addi    t0, t0, 12
        bltu    t0, t1, 1b
        li      t4, 0xffffff
        and     t3, t3, t4
        same    t3, 0x101f03

        # into a page that cannot be written
        step    35
        la      t0, leaves
        ld      t1, 144(t0)
        xori    t1, t1, PTE_W
        sd      t1, 144(t0)
        sfence.vma
        li      s10, 15
        li      t0, 0x10000
        li      t1, 0x12080
        li      s9, 0
1:      sd      zero, 0(t0)
        addi    s9, s9, 1
        addi    t0, t0, 8
        bne     t0, t1, 1b
        same    s9, 2 * 512 + 16
        csrr    t2, stval
        same    t2, 0x12078
        ld      t2, -8(t0)
        beqz    t2, fail
        li      t2, 0x12000
        ld      t2, -8(t2)
        bnez    t2, fail

        # up to its own code
        step    36
        la      t0, walk_begin
        la      t1, walk_code
        li      s9, 7
        jal     walk_code
        sub     t2, t1, t0
        bnez    t2, fail
        la      t0, walk_begin
        li      t3, 0
1:      ld      t2, 0(t0)
        add     t3, t3, t2
        addi    t0, t0, 8
        bne     t0, t1, 1b
        same    t3, 7 * (512 + 128)
