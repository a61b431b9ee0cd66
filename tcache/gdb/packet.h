/* SPDX-License-Identifier: MIT */
/*
 * gdb's remote serial protocol, the layer of bytes: packets out of a stream and into
 * one, and reading and writing what is in them.  Knows nothing of programs.  Nothing
 * that comes from a client is trusted: what cannot be read is said to be so.
 */
#ifndef TESSERA_GDB_PACKET_H
#define TESSERA_GDB_PACKET_H

#include <glib.h>
#include "../../microops/base.h"

enum { GDB_PACKET_MAX = 1 << 17 }; /* bytes of a packet, as in PacketSize */

/* ---- a stream of bytes ---- */

typedef enum GdbEvent {
    GDB_MORE,      /* nothing complete yet */
    GDB_PACKET,    /* reader->packet is one */
    GDB_BAD,       /* a damaged or overlong packet: to be sent again */
    GDB_INTERRUPT, /* ^C */
    GDB_AGAIN,     /* the client wants our last packet again */
} GdbEvent;

typedef struct GdbReader {
    GString *packet; /* its contents, still escaped */
    u8 state, sum, check;
} GdbReader;

void gdb_reader_init(GdbReader *r);
void gdb_reader_free(GdbReader *r);
GdbEvent gdb_reader_put(GdbReader *r, u8 byte);
/* Appends body as a packet. */
void gdb_frame(GString *out, const GString *body);

/* ---- what is in a packet ---- */

/* The rest of a packet.  Functions that return false have moved nothing. */
typedef struct GdbText {
    const char *at, *end;
} GdbText;

static inline bool gdb_text_end(const GdbText *t) { return t->at == t->end; }
bool gdb_text_skip(GdbText *t, const char *word);
/* A hexadecimal number of 1 to 16 digits. */
bool gdb_text_number(GdbText *t, u64 *out);
/* "number,number" */
bool gdb_text_pair(GdbText *t, u64 *a, u64 *b);
/* A number that is -1 or positive. */
bool gdb_text_id(GdbText *t, i64 *out);
/* n bytes, each as two digits. */
bool gdb_text_bytes(GdbText *t, u8 *out, size_t n);
/* All the rest as bytes: two digits each, or escaped binary. */
bool gdb_text_hex(GdbText *t, GByteArray *out);
bool gdb_text_binary(GdbText *t, GByteArray *out);
/* Up to a separator, which is skipped, or the end: a piece of its own. */
GdbText gdb_text_word(GdbText *t, char separator);

void gdb_put_hex(GString *out, const void *bytes, size_t n);
void gdb_put_binary(GString *out, const void *bytes, size_t n);

#endif
