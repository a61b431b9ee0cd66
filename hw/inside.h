/* SPDX-License-Identifier: MIT */
/* Inside hw: what machine.c, device.c, cpu.c and loop.c have of one another. */
#ifndef TESSERA_HW_INSIDE_H
#define TESSERA_HW_INSIDE_H

#include "hw.h"

/* ---- device.c; lock held ---- */
void devices_reset(Machine *m);
bool devices_drained(Machine *m);
void devices_free(Machine *m);

/* ---- machine.c ---- */
/* A thread that holds the lock does a device's work: its faults are no guest's. */
void machine_lock(Machine *m);
void machine_unlock(Machine *m);
void machine_reset_now(Machine *m); /* main thread, lock held */

/* ---- cpu.c ---- */
bool cpus_create(Machine *m); /* false: no memory */
void cpus_begin(Machine *m);  /* their threads */
void cpus_end(Machine *m);
void cpus_free(Machine *m);
void cpus_kick(Machine *m); /* all look at Machine.held, run, quit */
bool cpus_parked(const Machine *m);
/* One stay in generated code, and what it ended with. */
void cpu_go(Cpu *cpu);
void cpu_run_as(Cpu *cpu);   /* this thread is the CPU's now */
void cpu_thread_begin(void); /* a thread that will run CPUs */
/* All on one thread, lock held: until one may run; false: the machine is quitting. */
bool cpus_park(Machine *m);
/* Until a kick since kicks was read, or for ns (0: no limit); ns slept. */
u64 cpu_sleep(Cpu *cpu, u32 kicks, u64 ns);
/* Host faults of all threads, from now on. */
void cpu_catch_faults(void);
/* Code of a device, not of a guest, runs on this thread: how often nested. */
extern _Thread_local u32 cpu_in_device;

/* ---- loop.c: timers and the event loop ---- */
bool loop_init(Machine *m); /* false: errno */
void loop_free(Machine *m);
u64 loop_next(const Machine *m); /* when the next timer is due; TIMER_OFF */
void loop_fire(Machine *m);      /* all that are; lock held */
void loop_rearm(Machine *m);     /* the clock has been stopped, started or set */

/* ---- gdb.c ---- */
/* Instead of exec_run, for a CPU that is slow.  TRAP_STOP: as the debugger wanted. */
TrapKind gdb_run(Cpu *cpu);
void gdb_free(Machine *m);

/* ---- turns.c: CPUs on one thread ---- */
void turns_new(Machine *m);
gpointer turns_thread(gpointer first_cpu);
/* -icount: the machine's clock. */
u64 turns_clock(const Machine *m);
void turns_clock_set(Machine *m, u64 now);
void turns_shorten(Machine *m); /* a timer was set earlier; lock held */
static inline bool turns_count(const Machine *m)
{
    return m->turns && m->options->icount >= 0;
}

#endif
