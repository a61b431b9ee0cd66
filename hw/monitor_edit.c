/* SPDX-License-Identifier: MIT */
/* A line editor for terminals that send what is typed: cursor keys, Emacs's control
 * keys, history, completion.  Bytes in, bytes out; it knows no terminal. */
#include <string.h>
#include "monitor.h"

enum { PLAIN, AFTER_ESC, AFTER_BRACKET, AFTER_DIGIT, AFTER_O };

#define CTRL(letter) ((letter)&31)

void line_edit_init(LineEdit *e)
{
    *e = (LineEdit){.line = g_string_new(NULL),
                    .history = g_ptr_array_new_with_free_func(g_free)};
}

void line_edit_free(LineEdit *e)
{
    g_string_free(e->line, TRUE);
    g_ptr_array_free(e->history, TRUE);
    g_free(e->own);
}

/* ---- what the terminal shows ---- */

static void move(GString *out, size_t n, char way)
{
    if (n)
        g_string_append_printf(out, "\033[%zu%c", n, way);
}

/* What follows the cursor is new, down to the line's end. */
static void show_tail(const LineEdit *e, GString *out)
{
    g_string_append(out, "\033[K");
    g_string_append(out, e->line->str + e->cursor);
    move(out, e->line->len - e->cursor, 'D');
}

static void go_to(LineEdit *e, size_t at, GString *out)
{
    if (at < e->cursor)
        move(out, e->cursor - at, 'D');
    else
        move(out, at - e->cursor, 'C');
    e->cursor = at;
}

static void insert(LineEdit *e, const char *text, size_t n, GString *out)
{
    if (e->line->len + n > EDIT_LINE_MAX)
        return;
    g_string_insert_len(e->line, (gssize)e->cursor, text, (gssize)n);
    g_string_append_len(out, text, (gssize)n);
    e->cursor += n;
    if (e->cursor < e->line->len)
        show_tail(e, out);
}

/* Takes [from, to) away and leaves the cursor there. */
static void cut(LineEdit *e, size_t from, size_t to, GString *out)
{
    go_to(e, from, out);
    if (from == to)
        return;
    g_string_erase(e->line, (gssize)from, (gssize)(to - from));
    show_tail(e, out);
}

static void replace(LineEdit *e, const char *text, GString *out)
{
    cut(e, 0, e->line->len, out);
    insert(e, text, strlen(text), out);
}

static size_t word_start(const LineEdit *e)
{
    size_t at = e->cursor;

    while (at && e->line->str[at - 1] == ' ')
        at--;
    while (at && e->line->str[at - 1] != ' ')
        at--;
    return at;
}

/* ---- history ---- */

static void remember(LineEdit *e, const char *line)
{
    GPtrArray *h = e->history;

    if (*line && !(h->len && strcmp(h->pdata[h->len - 1], line) == 0))
        g_ptr_array_add(h, g_strdup(line));
    if (h->len > EDIT_HISTORY)
        g_ptr_array_remove_index(h, 0);
    e->shown = h->len;
}

static void show_history(LineEdit *e, u32 to, GString *out)
{
    if (to > e->history->len)
        return;
    if (e->shown == e->history->len) {
        g_free(e->own);
        e->own = g_strdup(e->line->str);
    }
    e->shown = to;
    replace(e, to < e->history->len ? e->history->pdata[to] : e->own, out);
}

/* ---- completion ---- */

static size_t common_prefix(const GPtrArray *names)
{
    const char *first = names->pdata[0];
    size_t n = strlen(first);

    for (u32 i = 1; i < names->len; i++) {
        const char *other = names->pdata[i];
        size_t same = 0;

        while (same < n && other[same] == first[same])
            same++;
        n = same;
    }
    return n;
}

static void list_names(const LineEdit *e, const GPtrArray *names, GString *out)
{
    g_string_append(out, "\r\n");
    for (u32 i = 0; i < names->len; i++)
        g_string_append_printf(out, "%-19s%s", (char *)names->pdata[i],
                               i % 4 == 3 || i + 1 == names->len ? "\r\n" : " ");
    g_string_append_printf(out, MONITOR_PROMPT "%s", e->line->str);
}

static void complete(LineEdit *e, GString *out)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    char *last = strrchr(e->line->str, ' ');
    size_t typed = strlen(last ? last + 1 : e->line->str);

    if (e->complete && e->cursor == e->line->len)
        e->complete(e->line->str, names);
    if (names->len) {
        size_t common = common_prefix(names);

        if (common > typed)
            insert(e, (char *)names->pdata[0] + typed, common - typed, out);
        if (names->len == 1)
            insert(e, " ", 1, out);
        else if (common == typed)
            list_names(e, names, out);
    }
    g_ptr_array_free(names, TRUE);
}

/* ---- keys ---- */

static void erase_back(LineEdit *e, GString *out)
{
    if (e->cursor)
        cut(e, e->cursor - 1, e->cursor, out);
}

static void erase_here(LineEdit *e, GString *out)
{
    if (e->cursor < e->line->len)
        cut(e, e->cursor, e->cursor + 1, out);
}

static void key_control(LineEdit *e, u8 byte, GString *out)
{
    size_t end = e->line->len;

    switch (byte) {
    case CTRL('A'): go_to(e, 0, out); break;
    case CTRL('B'): go_to(e, e->cursor - (e->cursor > 0), out); break;
    case CTRL('C'):
        g_string_append(out, "^C\r\n" MONITOR_PROMPT);
        g_free(line_edit_take(e));
        break;
    case CTRL('D'): erase_here(e, out); break;
    case CTRL('E'): go_to(e, end, out); break;
    case CTRL('F'): go_to(e, e->cursor + (e->cursor < end), out); break;
    case '\b':
    case 127: erase_back(e, out); break;
    case '\t': complete(e, out); break;
    case CTRL('K'): cut(e, e->cursor, end, out); break;
    case CTRL('L'):
        g_string_append_printf(out, "\033[H\033[2J" MONITOR_PROMPT "%s", e->line->str);
        move(out, end - e->cursor, 'D');
        break;
    case CTRL('N'): show_history(e, e->shown + 1, out); break;
    case CTRL('P'): show_history(e, e->shown - 1, out); break;
    case CTRL('U'): cut(e, 0, e->cursor, out); break;
    case CTRL('W'): cut(e, word_start(e), e->cursor, out); break;
    case '\033': e->escape = AFTER_ESC; break;
    }
}

static void key_letter(LineEdit *e, u8 letter, GString *out)
{
    switch (letter) {
    case 'A': key_control(e, CTRL('P'), out); break;
    case 'B': key_control(e, CTRL('N'), out); break;
    case 'C': key_control(e, CTRL('F'), out); break;
    case 'D': key_control(e, CTRL('B'), out); break;
    case 'F': key_control(e, CTRL('E'), out); break;
    case 'H': key_control(e, CTRL('A'), out); break;
    }
}

static void key_digit(LineEdit *e, GString *out)
{
    switch (e->digit) {
    case '1':
    case '7': key_control(e, CTRL('A'), out); break;
    case '3': erase_here(e, out); break;
    case '4':
    case '8': key_control(e, CTRL('E'), out); break;
    }
}

static void escape_put(LineEdit *e, u8 byte, GString *out)
{
    u8 state = e->escape;

    e->escape = PLAIN;
    if (state == AFTER_ESC && (byte == '[' || byte == 'O')) {
        e->escape = byte == '[' ? AFTER_BRACKET : AFTER_O;
    } else if (state == AFTER_BRACKET && g_ascii_isdigit(byte)) {
        e->escape = AFTER_DIGIT;
        e->digit = byte;
    } else if (state == AFTER_DIGIT && (g_ascii_isdigit(byte) || byte == ';')) {
        e->escape = AFTER_DIGIT;
        e->digit = 0; /* a key we do not know */
    } else if (state == AFTER_DIGIT && byte == '~') {
        key_digit(e, out);
    } else if (state == AFTER_BRACKET || state == AFTER_O) {
        key_letter(e, byte, out);
    }
}

bool line_edit_put(LineEdit *e, u8 byte, GString *out)
{
    bool second = byte == '\n' && e->after_return;

    e->after_return = byte == '\r';
    if (second) /* of a return that was taken */
        return false;
    if (e->escape != PLAIN) {
        escape_put(e, byte, out);
    } else if (byte == '\r' || byte == '\n') {
        g_string_append(out, "\r\n");
        remember(e, e->line->str);
        return true;
    } else if (byte < ' ' || byte == 127) {
        key_control(e, byte, out);
    } else {
        char c = (char)byte;

        insert(e, &c, 1, out);
    }
    return false;
}

char *line_edit_take(LineEdit *e)
{
    char *line = g_strdup(e->line->str);

    g_string_truncate(e->line, 0);
    e->cursor = 0;
    e->shown = e->history->len;
    return line;
}
