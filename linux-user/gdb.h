/* SPDX-License-Identifier: MIT */
/*
 * Inside the debugger's stub of a program (tcache/gdb/gdb.h has what stubs share).
 * gdb.c has the connection and its thread, gdb_stop.c stops and resumes the guest's
 * threads, gdb_query.c answers packets that only a program has, gdb_file.c vFile,
 * gdb_memory.c memory, gdb_fork.c what happens when there is another process.
 *
 * Threads are held each before its next instruction or in a system call that it may
 * not return from.  Gdb.lock guards everything here; it comes before any other lock.
 */
#ifndef TESSERA_GDB_H
#define TESSERA_GDB_H

#include "../tcache/gdb/gdb.h"
#include "user.h"

typedef struct GdbTask GdbTask;
struct GdbTask {
    GdbThread thread; /* pid, tid: a vfork child's own, once it is followed */
    Task *task;
    bool running; /* runs guest code; else held, or in a system call */
    bool away;    /* in a system call */
    bool kicked;  /* it is to be interrupted, and made again */
    bool asking;  /* held because of a signal: resumed with what becomes of it */
    bool stepped; /* has done what a step is */
    int signal;   /* asking: to be delivered; 0: none */
    int inject;   /* on its way, and not to be asked about */
    u64 after_call, call; /* kicked: pc as the client knows it, and as it must be */
    GByteArray *before;   /* watched memory when the system call began */
};

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

enum { GDB_FILES = 64 };

struct Gdb {
    GdbStub stub;
    Process *process;
    pthread_mutex_t lock;
    pthread_cond_t go; /* something was resumed, or stopped is over */
    int listener, client, wake;
    char *socket_path; /* to unlink; or NULL */
    int leader_code;   /* exit code of the main thread, when others outlive it */
    GArray *peers;     /* GdbPeer */
    int pair[2];       /* of a fork under way: the parent's link, the child's */
    GArray *files;     /* int: descriptors that the client has open */
};

static inline Gdb *gdb_of(GdbStub *s) { return (Gdb *)s; }
static inline GdbTask *gdb_task(GdbThread *t) { return (GdbTask *)t; }
static inline GdbTask *gdb_first(const Gdb *g) { return gdb_task(g->stub.threads); }
static inline GdbTask *gdb_next(const GdbTask *gt) { return gdb_task(gt->thread.next); }

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
GdbTask *gdb_task_new(Gdb *g, Task *t);

/* ---- gdb_fork.c ---- */

/* GdbSide.redirect: the packet may be about another process. */
bool gdb_for_peer(GdbStub *s, const char *packet, size_t size, GString *reply);
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
void gdb_put_peers(const GdbStub *s, GString *out);
/* -g fd:N, after execve. */
void gdb_after_exec(Gdb *g, const char *where);

/* ---- gdb_query.c, gdb_file.c ---- */

extern const GdbQuery gdb_queries[];
extern const GdbObject gdb_objects[];
void gdb_features(const GdbStub *s, GString *out);
void gdb_reason(GdbStub *s, GString *out, const Stop *why);
void gdb_thread_name(const GdbThread *t, char name[GDB_NAME]);
GdbAnswer gdb_file;
void gdb_close_files(Gdb *g);

/* ---- gdb_memory.c ---- */

bool gdb_read(GdbStub *s, u64 addr, void *to, u64 len);
bool gdb_write(GdbStub *s, u64 addr, const void *from, u64 len);
bool gdb_mapped(GdbStub *s, u64 addr);
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
void gdb_wake(Gdb *g);
/* The client is gone: the program goes on without. */
void gdb_detach(Gdb *g);

#endif
