# SPDX-License-Identifier: MIT
# Ends at once, with CODE to the test finisher: tests/system_bare.
        .globl  _start
_start: li      t0, 0x100000
        li      t1, CODE
        sw      t1, (t0)
1:      wfi
        j       1b
