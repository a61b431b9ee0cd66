/* SPDX-License-Identifier: MIT */
/*
 * RISC-V boards: harts and what stands around them.  A CPU's own functions (hart_*)
 * run on its thread; devices reach it through hart_line, which any thread may call.
 */
#ifndef TESSERA_RISCV64_BOARD_H
#define TESSERA_RISCV64_BOARD_H

#include "../translate/riscv64/priv.h"
#include "board.h"

enum { CLOCK_NS = 1000000000 / TIMEBASE_HZ }; /* of one count of mtime */

typedef struct Clint Clint;
typedef struct Plic Plic;
typedef struct Sbi Sbi;

/* Cpu.guest */
typedef struct RiscvCpu {
    Hart hart; /* first */
    Cpu *cpu;
    Clint *clint;
    Timer *timer; /* of stimecmp */
} RiscvCpu;

/* What is booted, and how: kept for resets. */
typedef struct RiscvBoot {
    Image *firmware, *kernel, *initrd; /* or NULL */
    bool sbi;                          /* ours: harts start in S mode, at entry */
    u64 entry;                         /* first pc of what is loaded */
    u64 fdt_at;
    GBytes *fdt;
} RiscvBoot;

/* Machine.board_data */
typedef struct Virt {
    Clint *clint;
    Plic *plic;
    RiscvBoot boot;
    Sbi *sbi; /* NULL: there is firmware */
} Virt;

static inline RiscvCpu *riscv_cpu(const Cpu *cpu) { return cpu->guest; }
static inline Virt *virt_of(const Machine *m) { return m->board_data; }

/* ---- riscv64_cpu.c: BoardType's functions of a CPU ---- */

bool riscv_cpu_new(Cpu *cpu, Clint *clint, char **error);
void riscv_cpu_free(Cpu *cpu);
void riscv_cpu_trap(Cpu *cpu);
bool riscv_cpu_interrupt(Cpu *cpu);
bool riscv_cpu_wakes(const Cpu *cpu);
void riscv_cpu_state(Cpu *cpu, State *s);

/* ---- riscv64_clint.c: software interrupts and timers ---- */

Clint *clint_new(Machine *m, u64 base, char **error);
u64 clint_time(const Clint *c); /* mtime; any thread */
/* machine_clock when mtime will be this; TIMER_OFF: in no time that matters. */
u64 clint_when(const Clint *c, u64 time);

/* ---- riscv64_plic.c: interrupts of devices ---- */

enum { PLIC_SOURCES = 96 }; /* 1 .. */

Plic *plic_new(Machine *m, u64 base, char **error);
void plic_line(Plic *p, u32 irq, bool level);
void plic_info(const Plic *p, GString *out);

/* ---- riscv64_sbi.c: the supervisor's firmware, when none is given ---- */

/* console: bus address of the serial port */
Sbi *sbi_new(Machine *m, u64 console);
void sbi_free(Sbi *sbi);
void sbi_reset(Sbi *sbi, u64 entry, u64 fdt); /* lock held; CPU 0 will start there */
/* The ecall that S mode is at. */
void sbi_call(Cpu *cpu);

/* ---- riscv64_fdt.c, riscv64_virt.c: the device tree, the board ---- */

/* One device of the memory map. */
typedef struct VirtPlace {
    const char *node; /* before "@base"; NULL: no node of its own */
    u64 base, size;
    u32 irq;
    const char *compatible; /* strings, each ended by a 0, and an empty one */
} VirtPlace;

enum {
    VIRT_ROM,
    VIRT_TEST,
    VIRT_RTC,
    VIRT_CLINT,
    VIRT_PLIC,
    VIRT_UART,
    VIRT_VIRTIO,
    VIRT_FW_CFG,
    VIRT_FLASH,
    VIRT_RAM,
    VIRT_PLACES
};
extern const VirtPlace virt_map[VIRT_PLACES];

/* The tree without what is to be booted; or that of -dtb's file.  NULL: *error. */
GBytes *virt_fdt(const Machine *m, const char *file, char **error);
/* /chosen: boot arguments, initial RAM disk, randomness.  NULL: *error. */
GBytes *virt_fdt_chosen(const Machine *m, GBytes *fdt, const Image *initrd,
                        char **error);

#endif
