/* SPDX-License-Identifier: MIT */
/*
 * A whole machine: its board, devices, host back ends and the threads that run it.
 *
 * Each CPU has a host thread (or all share one); everything else happens on the main
 * thread's event loop (Machine.io) and on worker threads of a device's own.  One lock,
 * Machine.lock, covers all devices: callbacks of this header are called with it held,
 * whatever the thread, and must not take it again, block, or wait for a CPU.  The lock
 * is taken before none of tcache's: what devices do to guest memory (dma_*) takes only
 * a leaf lock, so a CPU that waits for the device lock never stops the world.
 */
#ifndef TESSERA_HW_H
#define TESSERA_HW_H

#include <glib.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include "../tcache/tcache.h"

typedef struct Machine Machine;
typedef struct Device Device;
typedef struct Chardev Chardev;
typedef struct State State;
typedef struct Timer Timer;
typedef struct MachineOptions MachineOptions;
typedef struct Loop Loop;
typedef struct Turns Turns;
typedef struct CpuCall CpuCall;
typedef struct GdbMachine GdbMachine;

enum { MAX_CPUS = 8 };

/* ---- device.c: what all devices are ---- */

/* A kind of device.  A device's own struct begins with a Device. */
typedef struct DeviceType {
    const char *name; /* "uart16550", as info qtree and the saved state call it */
    u64 size;         /* bytes of registers; 0: none */
    u8 widths;        /* of accesses it takes: 1, 2, 4, 8 or-ed */
    /* offset: a multiple of width; value: width bytes, zero above. */
    u64 (*read)(Device *d, u64 offset, u32 width);
    void (*write)(Device *d, u64 offset, u64 value, u32 width);
    void (*reset)(Device *d);           /* to what power-on gives; may be NULL */
    void (*state)(Device *d, State *s); /* saves or loads each field; may be NULL */
    /* Before the state is saved, the machine stopped: true when nothing is under way
     * (else asked again after the event loop has gone round).  May be NULL. */
    bool (*drained)(Device *d);
    void (*info)(const Device *d, GString *out); /* a line each, for monitors; NULL */
    void (*free)(Device *d);                     /* what it owns, and itself; NULL */
} DeviceType;

struct Device {
    const DeviceType *type;
    Machine *machine;
    char *id; /* from -device ...,id=; NULL */
    u64 base; /* physical address of its registers */
    u32 irq;  /* its line to the interrupt controller; 0: none */
};

/* Makes d one of the machine's, its registers at base.  False: they overlap others'. */
bool device_add(Machine *m, Device *d, const DeviceType *type, u64 base, u32 irq);
Device *device_find(const Machine *m, const char *type, const char *id); /* or NULL */
/* Sets the device's interrupt line; any thread that holds the lock. */
void device_irq(Device *d, bool level);

/* ---- state.c: saving and loading, with the same words ---- */

struct State {
    GByteArray *bytes; /* of the section at hand */
    size_t at;         /* loading: next byte to read */
    bool loading;
    char *error; /* loading: the first thing that did not fit; NULL */
};

void state_bytes(State *s, void *bytes, size_t size);
void state_u8(State *s, u8 *v);
void state_u16(State *s, u16 *v);
void state_u32(State *s, u32 *v);
void state_u64(State *s, u64 *v);
void state_bool(State *s, bool *v);
/* For what must be as it was when saved, and for checks of values loaded. */
void state_refuse(State *s, const char *why);
/* The whole machine, stopped, to a file or from it.  False: *error, one line; after a
 * failed load the machine has been reset. */
bool machine_save(Machine *m, const char *path, char **error);
bool machine_load(Machine *m, const char *path, char **error);

/* ---- dma.c: guest memory, for devices; from any thread, with or without the lock ----
 */

/* Host address of [phys, phys+len), all of it RAM (or NULL), ready to be written by
 * this process if so asked: code translated from it is dropped.  A system call that
 * writes there may still give EFAULT when a CPU has run code there since: ask again,
 * repeat. */
u8 *dma_ram(Machine *m, u64 phys, u64 len, bool write);
/* False: not all of it is RAM, nothing was copied. */
bool dma_read(Machine *m, u64 phys, void *to, u64 len);
bool dma_write(Machine *m, u64 phys, const void *from, u64 len);
bool dma_fill(Machine *m, u64 phys, u8 byte, u64 len);

/* ---- machine.c: running, stopping, time ---- */

typedef enum RunState {
    RUN_PRELAUNCH, /* -S: not begun yet */
    RUN_RUNNING,
    RUN_PAUSED,   /* by a monitor or debugger */
    RUN_DEBUG,    /* a CPU has met a breakpoint */
    RUN_IO_ERROR, /* a disk's werror=stop */
    RUN_SHUTDOWN, /* powered off, with -no-shutdown */
} RunState;

typedef struct Cpu {
    Machine *machine;
    Env *env;
    u32 id;
    GThread *thread;
    i32 tid;     /* that thread's, for monitors; 0: not begun */
    GCond wake;  /* with Machine.lock: an interrupt, a request to park */
    bool parked; /* not in exec_run, and does not go there while CPUs are held */
    _Atomic bool halted; /* not started (hart state management): its own thread sets
                            it, others clear it (cpu_start) */
    _Atomic bool waiting, asleep, parked_asleep; /* in WFI; its thread: in a wait */
    _Atomic bool attention;                      /* look at Machine.held, run, quit */
    _Atomic u32 kicks;
    CpuCall *_Atomic calls;
    u64 idle_ns; /* spent in WFI */
    u32 in_vain; /* WFIs in a row that ended at once, and no interrupt was taken */
    bool frozen; /* a debugger's: does not run until the next stop */
    bool slow;   /* likewise: one instruction after the other, by gdb_run */
    void *guest; /* the guest's CPU state beside Env (riscv64: Hart) */
} Cpu;

/* A board: riscv64_virt.c.  Functions that a board's guest gives machine.c. */
typedef struct BoardType {
    const char *name, *help; /* -M NAME; -M help */
    const Guest *guest;
    u64 ram_base;
    /* Adds CPUs' insides and devices, loads what is booted.  False: *error, one line.
     */
    bool (*create)(Machine *m, char **error);
    void (*reset)(Machine *m); /* after all devices' resets: CPUs, boot contents */
    void (*free)(Machine *m);  /* board_data, Cpu.guest */
    void (*irq)(Machine *m, u32 irq, bool level); /* a device's line */
    /* The CPU's: deliver env->trap; take an interrupt (false: none); does WFI end? */
    void (*trap)(Cpu *cpu);
    bool (*interrupt)(Cpu *cpu);
    bool (*wakes)(const Cpu *cpu);
    void (*cpu_state)(Cpu *cpu, State *s); /* Env's globals and pc are saved for it */
    /* monitor's "info registers" is Guest.dump; these print what else it knows. */
    void (*info_irq)(const Machine *m, GString *out);
    void (*info_cpu)(const Cpu *cpu, GString *out); /* registers beside Guest.dump's */
    void (*info_tlb)(const Cpu *cpu, GString *out); /* what the TLB holds */
    void (*info_mem)(const Cpu *cpu, GString *out); /* the page tables, by range */
    /* Physical address of a virtual one, as the CPU reads now; false: none. */
    bool (*translate)(const Cpu *cpu, u64 virt, u64 *phys);
} BoardType;

struct Machine {
    const MachineOptions *options;
    const BoardType *board;
    void *board_data; /* the board's own */
    Space space;      /* physical addresses */
    Bus bus;
    Cache *cache;
    u64 ram_size; /* at board->ram_base */
    u32 n_cpus;
    Cpu cpu[MAX_CPUS];
    GPtrArray *devices; /* of Device *, in order of creation */
    GPtrArray *chardevs;
    GMutex lock;
    GMainContext *io; /* the main thread's; its callbacks take the lock (see io_*) */
    RunState run;
    u32 held;          /* machine_hold's not yet released; CPUs are or will be parked */
    GCond parked;      /* a CPU has parked */
    i64 clock_shift;   /* from the machine's clock to CLOCK_MONOTONIC, ns */
    u64 clock_stopped; /* what it shows while it stands still; else CLOCK_RUNS */
    bool quit, reset_wanted;
    volatile int signalled; /* a signal that ends us; 0: none */
    GBytes *fdt;            /* the device tree, as loaded */
    int status;             /* of the process */
    const char *asked;      /* "host-qmp-quit": whose wish a reset or end is; NULL: the
                               guest's.  For EVENT_RESET and EVENT_SHUTDOWN, NULL after */
    GPtrArray *listeners;
    Loop *loop;
    Turns *turns;    /* all CPUs share a thread; NULL: each has one */
    Cpu *debugged;   /* RUN_DEBUG: the one that met it */
    GdbMachine *gdb; /* NULL: no -gdb */
};
extern Machine *machine_here; /* the process's one; for signal handlers */

/* What all of machine.c's users want to hear of (QMP events, gdb); lock held. */
typedef enum MachineEvent {
    EVENT_STOP,
    EVENT_RESUME,
    EVENT_RESET,
    EVENT_SHUTDOWN,
    EVENT_POWERDOWN,
    EVENT_BALLOON, /* actual size changed */
} MachineEvent;
typedef void MachineListener(void *ctx, MachineEvent event);
void machine_listen(Machine *m, MachineListener *f, void *ctx);
void machine_unlisten(Machine *m, const void *ctx);
void machine_event(Machine *m, MachineEvent event);

Machine *machine_new(const MachineOptions *o, char **error); /* NULL: *error */
void machine_free(Machine *m);
/* Runs the event loop and CPUs until the machine quits; returns the exit status. */
int machine_main(Machine *m);

/* Lock held, any thread unless said otherwise. */
void machine_stop(Machine *m, RunState why); /* CPUs stop soon; time stands still */
void machine_cont(Machine *m);
void machine_reset(Machine *m); /* soon, by the main thread, all CPUs parked */
/* The guest's power off, status: the process's (a finisher's code); -no-shutdown. */
void machine_shutdown(Machine *m, int status);
void machine_quit(Machine *m, int status);
/* Main thread: waits until all CPUs are parked (and the lock was released meanwhile);
 * to be followed by machine_release.  They nest. */
void machine_hold(Machine *m);
void machine_release(Machine *m);
void cpu_kick(Cpu *cpu);  /* look at interrupts, requests: soon; async-signal-safe */
void cpu_start(Cpu *cpu); /* is halted no longer; lock held */
Cpu *cpu_current(void);   /* the one whose thread this is; NULL */
/*
 * Runs f on the threads of CPUs (bit i: CPU i) while they are outside of code, and
 * waits until all have; from's own first if its bit is set.  From a CPU's own thread,
 * outside of code (BoardType.trap), without the lock.  f does not wait or take it.
 */
void cpu_call(Cpu *from, u64 cpus, void (*f)(Cpu *cpu, void *arg), void *arg);

/* The guest's nanoseconds since it was switched on; stands still while stopped.  From
 * any thread. */
u64 machine_clock(const Machine *m);
#define CLOCK_RUNS (~0ull)
void machine_clock_stop(Machine *m);
void machine_clock_set(Machine *m, u64 now, bool runs);
/* fire: on the main thread, lock held. */
Timer *timer_new(Machine *m, void (*fire)(void *ctx), void *ctx);
void timer_free(Timer *t);
void timer_set(Timer *t, u64 when); /* of machine_clock; TIMER_OFF; lock held */
#define TIMER_OFF (~0ull)

/* Events of the main thread's loop, with the lock held; they return true to stay.
 * io_remove(0) does nothing. */
typedef bool IoFunction(void *ctx, int fd, GIOCondition condition);
guint io_watch(Machine *m, int fd, GIOCondition condition, IoFunction *f, void *ctx);
void io_remove(Machine *m, guint id);
void io_call(Machine *m, void (*f)(void *ctx), void *ctx); /* soon, once; any thread,
                                                               lock not needed */

/* ---- chardev.c: where a serial line leads ---- */

/* Behind a mux, OPENED comes when a client first gets the keyboard, and FOCUS whenever
 * it gets it again. */
enum { CHAR_BREAK = -1, CHAR_OPENED = -2, CHAR_CLOSED = -3, CHAR_FOCUS = -4 };

/* Who has the device's end.  Called on the main thread, lock held. */
typedef struct CharClient {
    void *ctx;                 /* also tells clients from one another */
    size_t (*room)(void *ctx); /* bytes it takes now; chardev_accept when more */
    void (*receive)(void *ctx, const u8 *bytes, size_t n);
    void (*event)(void *ctx, int event); /* CHAR_*; may be NULL */
    void (*writable)(void *ctx);         /* after a short write; may be NULL */
} CharClient;

/* From -serial's words: "stdio", "null", "pty", "file:PATH",
 * "unix:PATH,server=on,wait=off", "tcp:HOST:PORT,...", "chardev:ID"; "mon:" before it
 * puts a monitor of its own behind the same line.  label: "serial0".  NULL: *error. */
Chardev *chardev_new(Machine *m, const char *label, const char *spec, char **error);
/* From -chardev's "BACKEND,id=ID,...". */
bool chardev_add(Machine *m, const char *spec, char **error);
Chardev *chardev_find(const Machine *m, const char *id);
/* One client each, or two and more behind mux=on: the newest has the keyboard, OPENED
 * may come at once.  False: taken. */
bool chardev_attach(Chardev *c, const CharClient *client);
/* Bytes taken, never waits; less than n: writable is called.  Without a peer: n. */
size_t chardev_write(Chardev *c, const CharClient *from, const u8 *bytes, size_t n);
void chardev_accept(Chardev *c, const CharClient *client); /* has room again */
/* At the end: what was written goes out, a second is waited for it; the terminal is as
 * it was; sockets' names are removed. */
void chardevs_close(Machine *m);

/* For monitors; false: there are no n+1. */
typedef struct ChardevInfo {
    const char *label, *filename; /* "serial0", "unix:/tmp/s,server=on" */
    bool open;                    /* somebody has the device's end */
} ChardevInfo;
bool chardev_nth(const Machine *m, u32 n, ChardevInfo *info);

/* ---- props.c: comma lists; options.c: the command line ---- */

/* A comma list "first,key=value,key,...": doubled commas are commas; a key alone is
 * "on"; first stands for the key given to props_parse. */
typedef struct Props {
    GPtrArray *keys, *values; /* of char * */
    GPtrArray *used;          /* keys asked for */
} Props;

Props *props_parse(const char *text, const char *first_key);
void props_free(Props *p);
const char *props_get(Props *p, const char *key); /* NULL: not there */
/* False with *error set: not a number, out of range; absent: *v stays. */
bool props_u64(Props *p, const char *key, u64 *v,
               char **error); /* 1, 0x1, 1k, 1M, 1G */
bool props_bool(Props *p, const char *key, bool *v, char **error); /* on off yes no */
/* "512", "0x200", "1.5G"; without a letter: so many units. */
bool number_parse(const char *text, u64 unit, u64 *v);
/* The first key that nobody asked for; NULL: none.  For the last check. */
const char *props_unused(const Props *p);

struct MachineOptions {
    const BoardType *board;
    Props *machine; /* the rest of -M */
    const char *cpu;
    u64 ram_size;
    u32 n_cpus;
    const char *bios, *kernel, *initrd, *append, *dtb, *dump_dtb, *load_state, *name;
    GPtrArray *drives, *devices, *netdevs, *nics, *chardevs, *serials, *monitors, *qmps,
        *gdbs, *fw_cfgs, *globals, *fsdevs, *virtfs; /* of const char *, as given */
    bool nographic, snapshot, no_reboot, no_shutdown, start_stopped, sandbox,
        single_thread;
    i32 icount;   /* shift; -1: none */
    u64 rtc_base; /* the date at first, in ns since 1970; 0: always the host's */
    CacheOptions cache;
};

/* The command line into o, which lives as long as the machine.  False: *error, one
 * line. -help and the like end the process. */
bool options_parse(MachineOptions *o, int argc, char **argv, char **error);

/* ---- virtio.c, net.c, disk.c: see virtio.h, net.h, disk.h ---- */

/* ---- devices.c ---- */

/* Each of -chardev, -netdev, -fsdev, -drive, -nic, -virtfs, -device; for machine_new.
 */
bool devices_create(Machine *m, char **error);
void devices_help(void); /* -device help */
/* One -device list.  False: *error, one line. */
bool devices_add(Machine *m, const char *spec, char **error);

/* ---- monitor.c, qmp.c, gdb.c ---- */

bool monitor_new(Machine *m, Chardev *c, char **error);
bool qmp_new(Machine *m, Chardev *c, char **error);
/* One command line of the human monitor; its output.  Main thread, lock held. */
char *monitor_command(Machine *m, const char *line);
bool gdb_new(Machine *m, const char *address, char **error);

/* ---- sandbox.c ---- */

bool sandbox_enter(Machine *m, char **error); /* -sandbox on */

#endif
