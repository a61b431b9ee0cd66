/* SPDX-License-Identifier: MIT */
/*
 * A debugger's stub, as much of it as programs and machines share: gdb's remote
 * protocol (packet.h), the client's stream (client.c), packets and their answers
 * (command.c, query.c), breakpoints and watchpoints (points.c).  What differs is a
 * GdbSide: how bytes are sent, what memory is, how threads are let go.
 *
 * All-stop: either the threads run and the client waits for a stop reply, or all are
 * held.  A stub has no lock of its own: its owner's is held in all of these.
 */
#ifndef TESSERA_GDB_GDB_H
#define TESSERA_GDB_GDB_H

#include "../tcache.h"
#include "packet.h"

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

/* A thread as the client sees it; its owner's own struct begins with one. */
typedef struct GdbThread GdbThread;
struct GdbThread {
    Env *env;
    i32 pid, tid;
    GdbThread *next, **prev;
    GdbAction action;
    u64 range_start, range_end; /* a step goes on while pc is in there */
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

enum { GDB_SYSCALLS = 512, GDB_NAME = 32 };

/* What the client has asked for; goes with the connection to another process. */
typedef struct GdbSession {
    u64 pass_signals; /* a bit each: not worth a stop */
    bool no_ack, multiprocess, fork_events, vfork_events, exec_events;
    bool catching, catch_all;
    u8 catches[GDB_SYSCALLS];
} GdbSession;

typedef struct GdbStub GdbStub;

typedef void GdbAnswer(GdbStub *s, GdbText *in, GString *out);

/* A packet by its first word. */
typedef struct GdbQuery {
    const char *name; /* NULL ends the list */
    GdbAnswer *answer;
} GdbQuery;

/* What is read in pieces: puts all of it into s->bytes; false: there is none. */
typedef struct GdbObject {
    const char *name; /* NULL ends the list */
    bool (*get)(GdbStub *s);
} GdbObject;

/* Functions that may be NULL do nothing then. */
typedef struct GdbSide {
    void (*send)(GdbStub *s, const char *bytes, size_t n);
    void (*stop)(GdbStub *s);   /* all threads shall stop; told when they have */
    void (*resume)(GdbStub *s); /* the threads' actions are set: lets go */
    /* Before that, of each: its action is set, and it gets the signal (0: none). */
    void (*resume_thread)(GdbThread *t, int sig); /* or NULL */
    void (*change)(GdbThread *t); /* its registers are going to be changed; or NULL */
    void (*kill)(GdbStub *s, bool all);
    void (*name)(const GdbThread *t, char out[GDB_NAME]);
    /* Copies as a debugger does, whatever the rights, as the chosen thread sees memory.
     * False: not all of it is there. */
    bool (*read)(GdbStub *s, u64 addr, void *to, u64 len);
    bool (*write)(GdbStub *s, u64 addr, const void *from, u64 len);
    bool (*mapped)(GdbStub *s, u64 addr); /* NULL: breakpoints may be anywhere */
    /* The packet is somebody else's: true, it has been seen to (and answered, if out
     * has something). */
    bool (*redirect)(GdbStub *s, const char *packet, size_t n, GString *out);
    GdbAnswer *file;                                           /* vFile, or NULL */
    void (*features)(const GdbStub *s, GString *out);          /* for qSupported */
    void (*reason)(GdbStub *s, GString *out, const Stop *why); /* kinds of its own */
    void (*more_threads)(const GdbStub *s, GString *out); /* ",ID" of each; or NULL */
    const GdbQuery *queries;
    const GdbObject *objects;
} GdbSide;

/* The owner's own struct begins with one. */
struct GdbStub {
    const GdbSide *side;
    const Guest *guest;
    Cache *cache;
    bool attached;
    bool owner;           /* the connection is ours to serve */
    bool waiting;         /* the client waits for a stop reply */
    bool waited;          /* it all began held, for the client */
    bool detached, ended; /* the client leaves; the program has ended */
    _Atomic u32 stopped;  /* nobody may run */
    GdbThread *threads;
    GdbThread *chosen; /* whose stop is to be told, and whose registers are asked for */
    GdbAction unnamed; /* of threads that are still to come */
    GArray *breaks, *watches; /* GdbBreak, GdbWatch */
    GdbSession session;
    GdbReader reader;
    GString *frame;    /* the last packet sent */
    GByteArray *bytes; /* of the packet at hand */
};

/* ---- client.c ---- */

void gdb_stub_init(GdbStub *s, const GdbSide *side, const Guest *guest, Cache *cache);
void gdb_stub_free(GdbStub *s); /* what it owns, not itself */
void gdb_thread_add(GdbStub *s, GdbThread *t);
void gdb_thread_remove(GdbStub *s, GdbThread *t);
/* A client has come; the threads are to be stopped for it. */
void gdb_client_comes(GdbStub *s);
/* Bytes from it: packets are answered. */
void gdb_client_says(GdbStub *s, const u8 *bytes, size_t n);
void gdb_send(GdbStub *s, const GString *body);
/* All are held: the client that waits is told why. */
void gdb_tell_stop(GdbStub *s);

/* ---- command.c ---- */

/* Answers a packet.  False: no answer is due now. */
bool gdb_packet(GdbStub *s, const char *packet, size_t size, GString *reply);
void gdb_put_error(GString *out, int error);
void gdb_put_stop(GdbStub *s, GString *out);
void gdb_put_thread(const GdbStub *s, GString *out, const GdbThread *t);
/* A thread as "pPID.TID" or "TID", 0 for any and -1 for all. */
typedef struct GdbId {
    i64 pid, tid;
} GdbId;
bool gdb_text_thread(GdbText *t, GdbId *id);
bool gdb_matches(const GdbThread *t, GdbId id);
GdbThread *gdb_find(const GdbStub *s, GdbId id);
/* gdb's number of a signal, and back (0: none). */
int gdb_signal_out(int sig);
int gdb_signal_in(int number);

/* ---- query.c ---- */

void gdb_query(GdbStub *s, GdbText *in, GString *out);
void gdb_put_text(GdbStub *s, const char *text); /* into s->bytes, for objects */
/* qRcmd's command line, which it leaves in s->bytes; NULL: out has the error. */
const char *gdb_monitor_line(GdbStub *s, GdbText *in, GString *out);

/* ---- points.c ---- */

/* Z and z; 0 or an error number. */
int gdb_insert(GdbStub *s, char type, u64 addr, u64 len);
int gdb_remove(GdbStub *s, char type, u64 addr, u64 len);
void gdb_remove_all(GdbStub *s);
enum { GDB_WATCH_BYTES = 4096 };
/* Which watchpoint the access has hit; false: none. */
bool gdb_watch_hit(const GdbStub *s, const Access *a, Stop *stop);

#endif
