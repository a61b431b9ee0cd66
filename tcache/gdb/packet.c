/* SPDX-License-Identifier: MIT */
/* The bytes of gdb's remote protocol; see packet.h. */
#include "packet.h"

#include <string.h>

enum { IDLE, BODY, CHECK_1, CHECK_2 };
enum { ESCAPE = '}', ESCAPE_XOR = 0x20, INTERRUPT = 3 };

/* ---- a stream of bytes ---- */

void gdb_reader_init(GdbReader *r) { *r = (GdbReader){.packet = g_string_new(NULL)}; }

void gdb_reader_free(GdbReader *r) { g_string_free(r->packet, TRUE); }

static GdbEvent between_packets(GdbReader *r, u8 byte)
{
    switch (byte) {
    case '$':
        g_string_truncate(r->packet, 0);
        r->sum = 0;
        r->state = BODY;
        return GDB_MORE;
    case '-': return GDB_AGAIN;
    case INTERRUPT: return GDB_INTERRUPT;
    default: return GDB_MORE; /* '+', and what should not be there */
    }
}

static GdbEvent in_packet(GdbReader *r, u8 byte)
{
    if (byte == '#') {
        r->state = CHECK_1;
    } else if (byte == '$') { /* the one before was cut off */
        return between_packets(r, byte);
    } else if (r->packet->len == GDB_PACKET_MAX) {
        r->state = IDLE;
        return GDB_BAD;
    } else {
        r->sum += byte;
        g_string_append_c(r->packet, (char)byte);
    }
    return GDB_MORE;
}

GdbEvent gdb_reader_put(GdbReader *r, u8 byte)
{
    int digit = g_ascii_xdigit_value((char)byte);

    switch (r->state) {
    case IDLE: return between_packets(r, byte);
    case BODY: return in_packet(r, byte);
    case CHECK_1:
        r->check = (u8)((u32)digit << 4);
        r->state = digit < 0 ? IDLE : CHECK_2;
        return digit < 0 ? GDB_BAD : GDB_MORE;
    default:
        r->state = IDLE;
        return digit >= 0 && (r->check | digit) == r->sum ? GDB_PACKET : GDB_BAD;
    }
}

void gdb_frame(GString *out, const GString *body)
{
    u8 sum = 0;

    for (size_t i = 0; i < body->len; i++)
        sum += (u8)body->str[i];
    g_string_append_c(out, '$');
    g_string_append_len(out, body->str, (gssize)body->len);
    g_string_append_printf(out, "#%02x", sum);
}

/* ---- reading ---- */

bool gdb_text_skip(GdbText *t, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n))
        return false;
    t->at += n;
    return true;
}

bool gdb_text_number(GdbText *t, u64 *out)
{
    u64 value = 0;
    u32 n = 0;

    while (n < t->end - t->at && g_ascii_isxdigit(t->at[n])) {
        value = value << 4 | (u64)g_ascii_xdigit_value(t->at[n]);
        if (++n > 16)
            return false;
    }
    if (n == 0)
        return false;
    t->at += n;
    *out = value;
    return true;
}

bool gdb_text_pair(GdbText *t, u64 *a, u64 *b)
{
    GdbText all = *t;

    if (gdb_text_number(t, a) && gdb_text_skip(t, ",") && gdb_text_number(t, b))
        return true;
    *t = all;
    return false;
}

bool gdb_text_id(GdbText *t, i64 *out)
{
    GdbText all = *t;
    u64 value;

    if (gdb_text_skip(t, "-1")) {
        *out = -1;
        return true;
    }
    if (gdb_text_number(t, &value) && value <= INT32_MAX) {
        *out = (i64)value;
        return true;
    }
    *t = all;
    return false;
}

bool gdb_text_bytes(GdbText *t, u8 *out, size_t n)
{
    if ((size_t)(t->end - t->at) / 2 < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = g_ascii_xdigit_value(t->at[2 * i]);
        int low = g_ascii_xdigit_value(t->at[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (u8)(high << 4 | low);
    }
    t->at += 2 * n;
    return true;
}

bool gdb_text_hex(GdbText *t, GByteArray *out)
{
    size_t n = (size_t)(t->end - t->at) / 2;

    g_byte_array_set_size(out, (guint)n);
    return (t->end - t->at) % 2 == 0 && gdb_text_bytes(t, out->data, n);
}

bool gdb_text_binary(GdbText *t, GByteArray *out)
{
    g_byte_array_set_size(out, 0);
    for (; t->at < t->end; t->at++) {
        u8 byte = (u8)*t->at;

        if (byte == ESCAPE) {
            if (++t->at == t->end)
                return false;
            byte = (u8)*t->at ^ ESCAPE_XOR;
        }
        g_byte_array_append(out, &byte, 1);
    }
    return true;
}

GdbText gdb_text_word(GdbText *t, char separator)
{
    const char *mark = memchr(t->at, separator, (size_t)(t->end - t->at));
    GdbText word = {t->at, mark ? mark : t->end};

    t->at = mark ? mark + 1 : t->end;
    return word;
}

/* ---- writing ---- */

void gdb_put_hex(GString *out, const void *bytes, size_t n)
{
    const u8 *p = bytes;

    for (size_t i = 0; i < n; i++)
        g_string_append_printf(out, "%02x", p[i]);
}

void gdb_put_binary(GString *out, const void *bytes, size_t n)
{
    const u8 *p = bytes;

    for (size_t i = 0; i < n; i++) {
        bool special = strchr("#$}*", p[i]) && p[i];

        if (special)
            g_string_append_c(out, ESCAPE);
        g_string_append_c(out, (char)(special ? p[i] ^ ESCAPE_XOR : p[i]));
    }
}
