/* SPDX-License-Identifier: MIT */
/* Comma lists of KEY=VALUE, as options have them. */
#include <errno.h>
#include <string.h>
#include "hw.h"

/* The text up to a single comma, doubled ones made one; *text moves behind it. */
static char *item_next(const char **text)
{
    GString *item = g_string_new(NULL);
    const char *p = *text;

    for (; *p && (*p != ',' || p[1] == ','); p++) {
        p += *p == ',';
        g_string_append_c(item, *p);
    }
    *text = *p ? p + 1 : p;
    return g_string_free(item, FALSE);
}

Props *props_parse(const char *text, const char *first_key)
{
    Props *p = g_new(Props, 1);

    *p = (Props){.keys = g_ptr_array_new_with_free_func(g_free),
                 .values = g_ptr_array_new_with_free_func(g_free),
                 .used = g_ptr_array_new_with_free_func(g_free)};
    for (bool first = true; *text; first = false) {
        char *item = item_next(&text), *equals = strchr(item, '=');
        const char *value = equals ? equals + 1 : "on";

        if (first && first_key && !equals) {
            g_ptr_array_add(p->keys, g_strdup(first_key));
            value = item;
        } else {
            g_ptr_array_add(p->keys, g_strndup(item, strcspn(item, "=")));
        }
        g_ptr_array_add(p->values, g_strdup(value));
        g_free(item);
    }
    return p;
}

void props_free(Props *p)
{
    if (!p)
        return;
    g_ptr_array_free(p->keys, TRUE);
    g_ptr_array_free(p->values, TRUE);
    g_ptr_array_free(p->used, TRUE);
    g_free(p);
}

static bool is_used(const Props *p, const char *key)
{
    for (u32 i = 0; i < p->used->len; i++)
        if (!strcmp(p->used->pdata[i], key))
            return true;
    return false;
}

/* The last one counts. */
const char *props_get(Props *p, const char *key)
{
    const char *value = NULL;

    for (u32 i = 0; i < p->keys->len; i++)
        if (!strcmp(p->keys->pdata[i], key))
            value = p->values->pdata[i];
    if (value && !is_used(p, key))
        g_ptr_array_add(p->used, g_strdup(key));
    return value;
}

const char *props_unused(const Props *p)
{
    for (u32 i = 0; i < p->keys->len; i++)
        if (!is_used(p, p->keys->pdata[i]))
            return p->keys->pdata[i];
    return NULL;
}

/* ---- values ---- */

/* The shift that a letter after a number stands for; -1: none. */
static int unit_shift(const char *text)
{
    static const char units[] = "KMGTP";
    const char *u = *text ? strchr(units, g_ascii_toupper(*text)) : NULL;

    if (!*text || !strcmp(text, "B") || !strcmp(text, "b"))
        return 0;
    if (!u || text[1])
        return -1;
    return 10 * (int)(u - units + 1);
}

bool number_parse(const char *text, u64 unit, u64 *v)
{
    char *end;
    int shift;
    double whole;

    errno = 0;
    *v = g_ascii_strtoull(text, &end, 0);
    if (end == text || errno || !g_ascii_isdigit(*text))
        return false;
    if (*end != '.') {
        u64 scale;

        shift = unit_shift(end);
        scale = *end ? 1ull << MAX(shift, 0) : unit;
        return shift >= 0 && !__builtin_mul_overflow(*v, scale, v);
    }
    whole = g_ascii_strtod(text, &end); /* 1.5G */
    shift = unit_shift(end);
    whole *= *end ? (double)(1ull << MAX(shift, 0)) : (double)unit;
    if (shift < 0 || !(whole < 0x1p63))
        return false;
    *v = (u64)whole;
    return true;
}

bool props_u64(Props *p, const char *key, u64 *v, char **error)
{
    const char *text = props_get(p, key);
    u64 value;

    if (!text)
        return true;
    if (!number_parse(text, 1, &value)) {
        *error = g_strdup_printf("%s=%s: a number is wanted", key, text);
        return false;
    }
    *v = value;
    return true;
}

bool props_bool(Props *p, const char *key, bool *v, char **error)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true"};
    const char *text = props_get(p, key);

    if (!text)
        return true;
    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcmp(text, words[i])) {
            *v = i & 1;
            return true;
        }
    *error = g_strdup_printf("%s=%s: on or off is wanted", key, text);
    return false;
}
