/* SPDX-License-Identifier: MIT */
/* Cuts QMP's stream into messages, by brackets and quotes alone: what is inside is the
 * JSON library's to judge.  A byte that no JSON has begins anew, as clients expect. */
#include <string.h>
#include "qmp.h"

void qmp_reader_init(QmpReader *r) { *r = (QmpReader){.text = g_string_new(NULL)}; }

void qmp_reader_free(QmpReader *r) { g_string_free(r->text, TRUE); }

static QmpFound begin_anew(QmpReader *r, QmpFound why)
{
    GString *text = g_string_truncate(r->text, 0);

    *r = (QmpReader){.text = text};
    return why;
}

static bool is_blank(u8 byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Bytes that neither UTF-8 nor JSON has. */
static bool is_stray(const QmpReader *r, u8 byte)
{
    if (byte < ' ')
        return r->quote || !is_blank(byte);
    return byte == 0xc0 || byte == 0xc1 || byte > 0xf4;
}

static void put_in_string(QmpReader *r, u8 byte)
{
    if (r->escaped && byte == '\'') { /* JSON has no such escape */
        g_string_truncate(r->text, r->text->len - 1);
    } else if (!r->escaped && byte == r->quote) {
        byte = '"';
        r->quote = 0;
    } else if (!r->escaped && byte == '"') {
        g_string_append_c(r->text, '\\');
    }
    r->escaped = !r->escaped && byte == '\\';
    g_string_append_c(r->text, (char)byte);
}

/* Outside of strings. */
static QmpFound put_plain(QmpReader *r, u8 byte)
{
    if (byte == '"' || byte == '\'') {
        r->quote = (char)byte;
        byte = '"';
    } else if (byte == '{' || byte == '[') {
        if (++r->depth > QMP_DEPTH_MAX)
            return begin_anew(r, QMP_DEEP);
    } else if (byte == '}' || byte == ']') {
        if (!r->depth)
            return begin_anew(r, QMP_STRAY);
        r->depth--;
    } else if (!r->depth) { /* no message is one word */
        bool told = r->junk;

        r->junk = true;
        return told ? QMP_MORE : QMP_STRAY;
    }
    r->junk = false;
    g_string_append_c(r->text, (char)byte);
    return QMP_MORE;
}

QmpFound qmp_reader_put(QmpReader *r, u8 byte)
{
    QmpFound found = QMP_MORE;

    if (!r->depth && !r->quote)
        g_string_truncate(r->text, 0);
    if (is_stray(r, byte))
        return begin_anew(r, QMP_STRAY);
    if (r->text->len >= QMP_TEXT_MAX)
        return begin_anew(r, QMP_LONG);
    if (r->quote)
        put_in_string(r, byte);
    else if (!r->depth && is_blank(byte))
        r->junk = false;
    else
        found = put_plain(r, byte);
    return r->text->len && !r->depth && !r->quote ? QMP_MESSAGE : found;
}
