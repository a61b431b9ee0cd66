/* SPDX-License-Identifier: MIT */
/* Inside chardev*.c: a line between clients (devices, monitors) and one back end, which
 * is two file descriptors and how they come and go. */
#ifndef TESSERA_CHARDEV_H
#define TESSERA_CHARDEV_H

#include "inside.h"

/* A kind of back end: chardev_fd.c, chardev_stdio.c, chardev_socket.c. */
typedef struct CharBackend {
    const char *name; /* -chardev's first word */
    /* From the rest of the list; sets in, out and address.  False: *error, one line. */
    bool (*open)(Chardev *c, Props *p, char **error);
    /* The peer has gone: waits for another.  NULL: there is none to come, and output
     * goes on. */
    void (*gone)(Chardev *c);
    void (*close)(Chardev *c); /* what it owns beside in and out; may be NULL */
} CharBackend;

extern const CharBackend chardev_null, chardev_file, chardev_pty, chardev_stdio,
    chardev_socket;

/* A client's end. */
typedef struct CharPort {
    CharClient client;
    GByteArray *input; /* behind a mux: typed while it had no room */
    bool greeted;      /* has been told CHAR_OPENED */
    bool waits;        /* for room, after a short write */
} CharPort;

struct Chardev {
    Machine *machine;
    const CharBackend *backend;
    void *own;       /* the back end's */
    char *label;     /* "serial0" */
    char *address;   /* "unix:/tmp/s,server=on" */
    char *filename;  /* the same with "disconnected:" before it when that is so */
    bool mux, named; /* mux=on; from -chardev */
    bool open;       /* somebody is at the other end, or nobody needs to be */
    bool is_socket, is_tty, failed; /* failed: and we have said so */
    int in, out;                    /* -1: none; may be the same */
    guint in_watch, out_watch;
    GByteArray *output; /* not yet written */
    GSource *flush;
    bool flush_soon;
    GPtrArray *ports; /* of CharPort */
    u32 focus;        /* whose the keyboard is */
    bool escaped;     /* C-a has come */
    bool stamps;      /* each line begins with the time.. */
    bool mid_line;    /* ..and one has begun */
};

/* ---- chardev.c ---- */

Chardev *chardev_create(Machine *m, const char *label, const CharBackend *b);
void chardev_free(Chardev *c);
void chardev_rename(Chardev *c); /* after its address or peer has changed */
void chardev_opened(Chardev *c); /* a peer has come: in and out are set */
void chardev_gone(Chardev *c);
void chardev_print(Chardev *c, const char *text); /* to the peer, our own words */
void port_event(CharPort *p, int event);
void port_deliver(CharPort *p); /* as much as it takes of what waits for it */
/* An error's line: label, what failed, why. */
bool chardev_refuse(const Chardev *c, char **error, const char *what, int err);

/* ---- chardev_mux.c ---- */

void mux_receive(Chardev *c, const u8 *bytes, size_t n);
size_t mux_room(const Chardev *c);
void mux_focus(Chardev *c, u32 port);
/* As many of bytes, with the time before each line, as fit into room. */
size_t mux_stamp(Chardev *c, const u8 *bytes, size_t n, size_t room);

/* ---- chardev_stdio.c ---- */

void terminal_restore(void); /* as it was; async-signal-safe */

#endif
