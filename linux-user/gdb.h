/* SPDX-License-Identifier: MIT */
/*
 * Inside the debugger's stub.  gdb.c has the connection and its thread, gdb_stop.c
 * stops and resumes the guest's threads, gdb_command.c answers packets, gdb_query.c
 * those that begin with q or Q, gdb_file.c vFile, gdb_memory.c memory, breakpoints and
 * watchpoints, gdb_fork.c what happens when there is another process.
 *
 * All-stop: either the guest's threads run and the client waits for a stop reply, or
 * all are held, each before its next instruction or in a system call that it may not
 * return from.  Gdb.lock guards everything here; it comes before any other lock.
 */
#ifndef TESSERA_GDB_H
#define TESSERA_GDB_H

#include "gdb_packet.h"
#include "user.h"

typedef enum StopKind {
    STOP_NONE, /* asked for by the client */
    STOP_SIGNAL,
    STOP_STEP,
    STOP_BREAK,
    STOP_WATCH,
    STOP_ENTRY, /* of a system call */
    STOP_RETURN,
    STOP_FORK,
    STOP_VFORK,
    STOP_VFORK_DONE,
    STOP_EXEC,
} StopKind;

typedef struct Stop {
    StopKind kind;
    int sig;   /* the guest's number */
    u64 value; /* address, system call, process */
    char type; /* of a watchpoint: '2', '3', '4' */
    siginfo_t info;
} Stop;

typedef enum GdbAction { GDB_HOLD, GDB_RUN, GDB_STEP } GdbAction;

typedef struct GdbTask GdbTask;
struct GdbTask {
    Task *task;
    i32 pid, tid; /* as the client knows it: a vfork child's own, once it is followed */
    GdbTask *next, **prev;
    bool running; /* runs guest code; else held, or in a system call */
    bool away;    /* in a system call */
    bool kicked;  /* it is to be interrupted, and made again */
    bool asking;  /* held because of a signal: resumed with what becomes of it */
    bool stepped; /* has done what a step is */
    GdbAction action;
    u64 range_start, range_end; /* a step goes on while pc is in there */
    int signal;                 /* asking: to be delivered; 0: none */
    int inject;                 /* on its way, and not to be asked about */
    u64 after_call, call; /* kicked: pc as the client knows it, and as it must be */
    GByteArray *before;   /* watched memory when the system call began */
    Stop stop;
};

typedef struct GdbBreak {
    u64 pc;
    char type; /* '0': software, '1': hardware: the same to us */
} GdbBreak;

typedef struct GdbWatch {
    u64 addr, len;
    char type; /* '2' write, '3' read, '4' both */
} GdbWatch;

/* Another process of the client's, on the other side of a fork.  The one that owns the
 * connection serves it; the others are held until it is passed to them. */
typedef struct GdbPeer {
    i32 pid, tid;
    int link;   /* a socket between the two */
    bool told;  /* the client knows of it */
    bool vfork; /* runs in our memory, as the task below */
    GdbTask *task;
    char threads[256]; /* as in qfThreadInfo */
} GdbPeer;

enum { GDB_SYSCALLS = 512, GDB_FILES = 64 };

/* What the client has asked for; goes with the connection to another process. */
typedef struct GdbSession {
    u64 pass_signals; /* signal_bit: not worth a stop */
    bool no_ack, multiprocess, fork_events, vfork_events, exec_events;
    bool catching, catch_all;
    u8 catches[GDB_SYSCALLS];
} GdbSession;

struct Gdb {
    Process *process;
    pthread_mutex_t lock;
    pthread_cond_t go; /* something was resumed, or stopped is over */
    int listener, client, wake;
    char *socket_path; /* to unlink; or NULL */
    bool attached;
    bool owner;           /* the connection is ours to serve */
    bool waiting;         /* the client waits for a stop reply */
    bool waited;          /* the program began held, for the client */
    bool detached, ended; /* the client leaves; the process has ended */
    _Atomic u32 stopped;  /* nobody may run */
    GdbTask *tasks;
    GdbTask *chosen;   /* whose stop is to be told, and whose registers are asked for */
    GdbAction unnamed; /* of tasks that are still to come */
    int leader_code;   /* exit code of the main thread, when others outlive it */
    GArray *breaks, *watches; /* GdbBreak, GdbWatch */
    GdbSession session;
    GdbReader reader;
    GString *frame;    /* the last packet sent */
    GByteArray *bytes; /* of the packet at hand */
    GArray *peers;     /* GdbPeer */
    int pair[2];       /* of a fork under way: the parent's link, the child's */
    GArray *files;     /* int: descriptors that the client has open */
};

/* ---- gdb_stop.c ---- */

/* The lock is held.  Asks all threads to stop. */
void gdb_stop_all(Gdb *g);
bool gdb_all_held(const Gdb *g);
/* The actions are set: lets go.  The client waits for what happens. */
void gdb_resume_all(Gdb *g);
/* Tells the client of the stop, unless it is not true any more or nobody listens, and
 * waits until the thread is resumed. */
void gdb_report(GdbTask *gt, const Stop *stop);
/* The client changes the thread's registers: if it is in a system call, that is
 * interrupted, and made again when the thread goes on from there. */
void gdb_kick(Gdb *g, GdbTask *gt);
/* It goes on. */
void gdb_make_call_again(GdbTask *gt);
void gdb_list_add(Gdb *g, GdbTask *gt);
GdbTask *gdb_task_new(Gdb *g, Task *t);

/* ---- gdb_command.c ---- */

/* Answers a packet; the lock is held.  False: no answer is due now. */
bool gdb_packet(Gdb *g, const char *packet, size_t size, GString *reply);
void gdb_put_error(GString *out, int error);
void gdb_put_stop(Gdb *g, GString *out);
void gdb_put_thread(const Gdb *g, GString *out, const GdbTask *gt);
/* A thread as "pPID.TID" or "TID", 0 for any and -1 for all. */
typedef struct GdbId {
    i64 pid, tid;
} GdbId;
bool gdb_text_thread(GdbText *t, GdbId *id);
bool gdb_matches(const GdbTask *gt, GdbId id);
GdbTask *gdb_find(const Gdb *g, GdbId id);
/* gdb's number of a signal, and back (0: none). */
int gdb_signal_out(int sig);
int gdb_signal_in(int number);

/* ---- gdb_fork.c ---- */

/* The packet may be about another process: true, it has been seen to (and answered,
 * if reply has something). */
bool gdb_for_peer(Gdb *g, const char *packet, size_t size, GString *reply);
/* Something has come from a peer. */
void gdb_peer_says(Gdb *g, u32 peer);
void gdb_kill_peers(Gdb *g);
/* We leave: another process shall own the connection, if there is one. */
bool gdb_pass_on(Gdb *g);
/* The client leaves us all. */
void gdb_leave_peers(Gdb *g);
/* The client is told of a fork. */
void gdb_peer_told(Gdb *g, i64 pid);
/* A vfork child that the client followed ends. */
void gdb_vfork_end(Gdb *g, GdbTask *gt);
void gdb_put_peers(const Gdb *g, GString *out);
/* -g fd:N, after execve. */
void gdb_after_exec(Gdb *g, const char *where);

/* ---- gdb_query.c, gdb_file.c ---- */

bool gdb_query(Gdb *g, GdbText *in, GString *out);
void gdb_file(Gdb *g, GdbText *in, GString *out);
void gdb_close_files(Gdb *g);

/* ---- gdb_memory.c ---- */

/* Copies as a debugger does: whatever the page's rights.  False: not all of it is
 * mapped. */
bool gdb_read(Gdb *g, u64 addr, void *to, u64 len);
bool gdb_write(Gdb *g, u64 addr, const void *from, u64 len);
/* Z and z; 0 or an error number. */
int gdb_insert(Gdb *g, char type, u64 addr, u64 len);
int gdb_remove(Gdb *g, char type, u64 addr, u64 len);
void gdb_remove_all(Gdb *g);
/* Which watchpoint the access has hit; false: none. */
bool gdb_watch_hit(Gdb *g, const Access *a, Stop *stop);
/* What is watched for writes, as it is now; and whether it is so no longer. */
void gdb_watch_note(Gdb *g, GByteArray *now);
bool gdb_watch_changed(Gdb *g, const GByteArray *before, Stop *stop);

/* ---- gdb.c ---- */

/* A stub without a connection or threads, p->gdb. */
Gdb *gdb_new(Process *p);
/* Moves a descriptor out of the guest's way. */
int gdb_high(int fd);
void gdb_new_wake(Gdb *g);
/* Starts the connection's thread. */
void gdb_serve(Gdb *g);
/* The lock is held. */
void gdb_send(Gdb *g, const GString *body);
void gdb_wake(Gdb *g);
/* The client is gone: the program goes on without. */
void gdb_detach(Gdb *g);

#endif
