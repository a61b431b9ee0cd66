/* SPDX-License-Identifier: MIT */
/* A bare-metal program that tests/system_gdb debugs: hart 0 counts, stores, goes on in
 * supervisor mode with its memory mapped a second time, and ends; the others spin. */
typedef unsigned long u64;

enum { GIGA = 30, LEAF = 0xcf, SV39 = 8 };

_Noreturn void supervise(u64 satp, void (*f)(void));
void begin(u64 hart);

volatile long shared = 41, ticks, go;
static u64 root[512] __attribute__((aligned(4096)));

int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

void store(long value) { shared = value; }

/* ---- the other harts ---- */

void spin(u64 hart)
{
    for (;;) {
        long now = ticks;

        ticks = now + (long)hart;
    }
}

/* ---- hart 0, behind page tables ---- */

static void finish(void) { *(volatile unsigned *)0x100000 = 0x5555; }

/* At 1 GiB is what is at 2 GiB, too. */
void mapped(void)
{
    volatile long *again = (volatile long *)((u64)&shared - (1ul << GIGA));

    *again = 7;
    __asm__ volatile("csrw sscratch, %0" : : "r"(shared));
    __asm__ volatile("ebreak");
}

static void supervisor(void)
{
    mapped();
    finish();
}

/* The firmware, for an ebreak: skips it. */
__attribute__((interrupt("machine"), aligned(4))) static void trapped(void)
{
    u64 pc;

    __asm__ volatile("csrr %0, mepc" : "=r"(pc));
    __asm__ volatile("csrw mepc, %0" : : "r"(pc + 2));
}

static u64 giga_page(u64 phys) { return phys >> 2 | LEAF; }

void begin(u64 hart)
{
    if (hart)
        spin(hart);
    while (!go)
        ;
    store(fib(10));
    store(fib(11));
    root[0] = giga_page(0);
    root[1] = root[2] = giga_page(0x80000000);
    __asm__ volatile("csrw mtvec, %0" : : "r"(trapped));
    supervise((u64)SV39 << 60 | (u64)root >> 12, supervisor);
}
