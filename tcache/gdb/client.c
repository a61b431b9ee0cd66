/* SPDX-License-Identifier: MIT */
/* The client's stream: what it says, and what is said to it. */
#include "gdb.h"

/* ---- threads ---- */

void gdb_thread_add(GdbStub *s, GdbThread *t)
{
    GdbThread **last = &s->threads;

    while (*last)
        last = &(*last)->next;
    t->next = NULL;
    t->prev = last;
    *last = t;
}

void gdb_thread_remove(GdbStub *s, GdbThread *t)
{
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    if (s->chosen == t)
        s->chosen = s->threads;
}

/* ---- sending ---- */

static void send_frame(GdbStub *s) { s->side->send(s, s->frame->str, s->frame->len); }

void gdb_send(GdbStub *s, const GString *body)
{
    g_string_truncate(s->frame, 0);
    gdb_frame(s->frame, body);
    send_frame(s);
}

static void acknowledge(GdbStub *s, bool good)
{
    if (!s->session.no_ack)
        s->side->send(s, good ? "+" : "-", 1);
}

void gdb_tell_stop(GdbStub *s)
{
    GString *text = g_string_new(NULL);

    gdb_put_stop(s, text);
    s->waiting = false;
    gdb_send(s, text);
    g_string_free(text, TRUE);
}

/* ---- what the client sends ---- */

static void interrupt(GdbStub *s)
{
    if (s->stopped || !s->threads)
        return;
    if (!s->chosen)
        s->chosen = s->threads;
    s->chosen->stop = (Stop){.sig = SIGINT};
    s->side->stop(s);
}

static void answer(GdbStub *s)
{
    GString *reply = g_string_new(NULL);

    if (gdb_packet(s, s->reader.packet->str, s->reader.packet->len, reply))
        gdb_send(s, reply);
    g_string_free(reply, TRUE);
}

static void take_byte(GdbStub *s, u8 byte)
{
    switch (gdb_reader_put(&s->reader, byte)) {
    case GDB_MORE: break;
    case GDB_PACKET:
        acknowledge(s, true);
        answer(s);
        break;
    case GDB_BAD: acknowledge(s, false); break;
    case GDB_INTERRUPT: interrupt(s); break;
    case GDB_AGAIN: send_frame(s); break;
    }
}

void gdb_client_says(GdbStub *s, const u8 *bytes, size_t n)
{
    for (size_t i = 0; i < n && s->owner && !s->detached && !s->ended; i++)
        take_byte(s, bytes[i]);
}

void gdb_client_comes(GdbStub *s)
{
    gdb_reader_free(&s->reader);
    gdb_reader_init(&s->reader);
    s->session = (GdbSession){0};
    s->attached = s->owner = true;
    s->waiting = s->detached = false;
    s->unnamed = GDB_RUN;
    s->chosen = s->threads;
    for (GdbThread *t = s->threads; t; t = t->next)
        t->stop = (Stop){.sig = SIGTRAP};
}

/* ---- the stub ---- */

void gdb_stub_init(GdbStub *s, const GdbSide *side, const Guest *guest, Cache *cache)
{
    *s = (GdbStub){.side = side,
                   .guest = guest,
                   .cache = cache,
                   .unnamed = GDB_RUN,
                   .owner = false};
    s->breaks = g_array_new(FALSE, FALSE, sizeof(GdbBreak));
    s->watches = g_array_new(FALSE, FALSE, sizeof(GdbWatch));
    s->frame = g_string_new(NULL);
    s->bytes = g_byte_array_new();
    gdb_reader_init(&s->reader);
}

void gdb_stub_free(GdbStub *s)
{
    g_array_free(s->breaks, TRUE);
    g_array_free(s->watches, TRUE);
    g_string_free(s->frame, TRUE);
    g_byte_array_free(s->bytes, TRUE);
    gdb_reader_free(&s->reader);
}
