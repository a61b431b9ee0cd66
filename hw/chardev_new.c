/* SPDX-License-Identifier: MIT */
/* Character devices by their names: -chardev's lists, -serial's words for the same. */
#include <string.h>
#include "chardev.h"

static const CharBackend *const backends[] = {
    &chardev_null, &chardev_file, &chardev_pty, &chardev_stdio, &chardev_socket,
};

/* ---- -chardev's lists ---- */

static const CharBackend *backend_find(const char *name)
{
    for (u32 i = 0; i < ARRAY_SIZE(backends); i++)
        if (name && !strcmp(backends[i]->name, name))
            return backends[i];
    return NULL;
}

static bool parse_error(const char *list, char **error, const char *what,
                        const char *which)
{
    *error = g_strdup_printf("character device %s: %s%s", list, what, which);
    return false;
}

/* What the list asks of the back end.  False: *error. */
static bool chardev_open(Chardev *c, const char *list, Props *p, char **error)
{
    if (!props_bool(p, "mux", &c->mux, error) || !c->backend->open(c, p, error))
        return false;
    if (props_unused(p))
        return parse_error(list, error, "no such option: ", props_unused(p));
    chardev_rename(c);
    return true;
}

/* From a list whose first is the back end; label: NULL: it says id=. */
static Chardev *chardev_parse(Machine *m, const char *label, const char *list,
                              char **error)
{
    Props *p = props_parse(list, "backend");
    const CharBackend *b = backend_find(props_get(p, "backend"));
    const char *id = label ? label : props_get(p, "id");
    Chardev *c = NULL;

    if (!b)
        parse_error(list, error, "no such kind", "");
    else if (!id)
        parse_error(list, error, "id=ID is missing", "");
    else if (!label && chardev_find(m, id))
        parse_error(list, error, "there is another of this id", "");
    else
        c = chardev_create(m, id, b);
    if (c) {
        c->named = !label;
        if (chardev_open(c, list, p, error)) {
            g_ptr_array_add(m->chardevs, c);
        } else {
            chardev_free(c);
            c = NULL;
        }
    }
    props_free(p);
    return c;
}

bool chardev_add(Machine *m, const char *spec, char **error)
{
    return chardev_parse(m, NULL, spec, error);
}

Chardev *chardev_find(const Machine *m, const char *id)
{
    for (u32 i = 0; i < m->chardevs->len; i++) {
        Chardev *c = m->chardevs->pdata[i];

        if (c->named && !strcmp(c->label, id))
            return c;
    }
    return NULL;
}

bool chardev_nth(const Machine *m, u32 n, ChardevInfo *info)
{
    const Chardev *c;

    if (n >= m->chardevs->len)
        return false;
    c = m->chardevs->pdata[n];
    *info = (ChardevInfo){c->label, c->filename, c->ports->len > 0};
    return true;
}

/* ---- -serial's words ---- */

/* "HOST:PORT,rest" as "socket,host=HOST,port=PORT,rest". */
static char *words_of_tcp(const char *text)
{
    size_t address = strcspn(text, ",");
    const char *colon = memrchr(text, ':', address);
    int host = colon ? colon - text : 0;
    const char *port = colon ? colon + 1 : text;

    if (host > 1 && text[0] == '[' && text[host - 1] == ']') /* [::1]:PORT */
        return g_strdup_printf("socket,host=%.*s,port=%s", host - 2, text + 1, port);
    return g_strdup_printf("socket,host=%.*s,port=%s", host, text, port);
}

/* -serial's words as -chardev's. */
static char *words_of_list(const char *spec)
{
    const char *rest;

    if (g_str_has_prefix(spec, "tcp:"))
        return words_of_tcp(spec + 4);
    rest = strchr(spec, ':');
    if (g_str_has_prefix(spec, "unix:"))
        return g_strconcat("socket,path=", rest + 1, NULL);
    if (g_str_has_prefix(spec, "file:"))
        return g_strconcat("file,path=", rest + 1, NULL);
    return g_strdup(spec);
}

static Chardev *chardev_taken(const Machine *m, const char *id, char **error)
{
    Chardev *c = chardev_find(m, id);

    if (!c)
        *error = g_strdup_printf("there is no -chardev with id=%s", id);
    return c;
}

Chardev *chardev_new(Machine *m, const char *label, const char *spec, char **error)
{
    bool monitor = g_str_has_prefix(spec, "mon:");
    Chardev *c;
    char *list;

    if (g_str_has_prefix(spec, "chardev:"))
        return chardev_taken(m, spec + strlen("chardev:"), error);
    list = words_of_list(monitor ? spec + strlen("mon:") : spec);
    if (monitor) { /* whose keys are C-a's, and C-c the guest's */
        char *more = g_str_has_prefix(list, "stdio") ? ",mux=on,signal=off" : ",mux=on";
        char *with = g_strconcat(list, more, NULL);

        g_free(list);
        list = with;
    }
    c = chardev_parse(m, label, list, error);
    g_free(list);
    if (c && monitor && !monitor_new(m, c, error))
        return NULL;
    return c;
}
