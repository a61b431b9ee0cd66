/* SPDX-License-Identifier: MIT */
/*
 * QMP, the protocol by which programs control QEMU: JSON objects in, JSON objects out,
 * and events.  Errors are spelt as QEMU 7.2 spells them.
 * (QEMU Machine Protocol Specification.)
 */
#ifndef TESSERA_QMP_H
#define TESSERA_QMP_H

#include <jansson.h>
#include "hw.h"

/* ---- qmp_read.c: where one message ends ---- */

enum { QMP_DEPTH_MAX = 1024, QMP_TEXT_MAX = 1 << 20 };

typedef struct QmpReader {
    GString *text; /* the message, in strict JSON: 'strings' are "strings" */
    u32 depth;     /* of brackets */
    char quote;    /* that ends the string we are in; 0: none */
    bool escaped;  /* after a backslash */
    bool junk;     /* in a word outside of messages, which was told of */
} QmpReader;

typedef enum QmpFound { QMP_MORE, QMP_MESSAGE, QMP_STRAY, QMP_LONG, QMP_DEEP } QmpFound;

void qmp_reader_init(QmpReader *r);
void qmp_reader_free(QmpReader *r);
/* QMP_MESSAGE: text is one, until the next byte.  The last three: it began anew. */
QmpFound qmp_reader_put(QmpReader *r, u8 byte);

/* ---- qmp_command.c: what there is to execute ---- */

typedef struct QmpCall {
    Machine *m;
    json_t *args; /* an object: known members, of the right types */
    bool *agreed; /* capabilities have been negotiated */
    const char *error_class;
    char *error;
} QmpCall;

/* The reply to one message; bad JSON too. */
json_t *qmp_answer(Machine *m, bool *agreed, const char *text, size_t n);
json_t *qmp_refusal(const char *class, const char *desc);

/* ---- qmp_query.c: what only asks; NULL: the call's error ---- */

json_t *qmp_version(void);
json_t *qmp_query_version(QmpCall *c);
json_t *qmp_query_status(QmpCall *c);
json_t *qmp_query_name(QmpCall *c);
json_t *qmp_query_uuid(QmpCall *c);
json_t *qmp_query_kvm(QmpCall *c);
json_t *qmp_query_target(QmpCall *c);
json_t *qmp_query_machines(QmpCall *c);
json_t *qmp_query_current_machine(QmpCall *c);
json_t *qmp_query_cpus_fast(QmpCall *c);
json_t *qmp_query_memory_size_summary(QmpCall *c);
json_t *qmp_query_block(QmpCall *c);
json_t *qmp_query_chardev(QmpCall *c);
json_t *qmp_query_balloon(QmpCall *c);
json_t *qmp_query_iothreads(QmpCall *c);
json_t *qmp_query_jit(QmpCall *c);
json_t *qmp_query_irq(QmpCall *c);

#endif
