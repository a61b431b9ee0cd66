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
/* Host faults of all threads, from now on. */
void cpu_catch_faults(void);
/* Code of a device, not of a guest, runs on this thread: how often nested. */
extern _Thread_local u32 cpu_in_device;

/* ---- loop.c: timers and the event loop ---- */
bool loop_init(Machine *m); /* false: errno */
void loop_free(Machine *m);
void loop_rearm(Machine *m); /* the clock has been stopped, started or set */

#endif
