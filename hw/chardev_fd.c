/* SPDX-License-Identifier: MIT */
/* The plain back ends: nothing at all, a file, a pseudo-terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>
#include "chardev.h"

/* ---- null ---- */

static bool null_open(Chardev *c, Props *p, char **error)
{
    c->open = true;
    return true;
}

const CharBackend chardev_null = {.name = "null", .open = null_open};

/* ---- file ---- */

static bool file_open(Chardev *c, Props *p, char **error)
{
    const char *path = props_get(p, "path"), *input = props_get(p, "input-path");
    bool append = false;

    if (!path || !*path)
        return chardev_refuse(c, error, "path=FILE is missing", 0);
    if (!props_bool(p, "append", &append, error))
        return false;
    c->out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC),
                  0666);
    if (c->out < 0)
        return chardev_refuse(c, error, path, errno);
    fcntl(c->out, F_SETFL, fcntl(c->out, F_GETFL) | O_NONBLOCK);
    if (input && (c->in = open(input, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
        return chardev_refuse(c, error, input, errno);
    c->open = true;
    return true;
}

static void file_close(Chardev *c)
{
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0)
        close(c->out);
}

const CharBackend chardev_file = {
    .name = "file", .open = file_open, .close = file_close};

/* ---- pty: open while somebody has its other side open ---- */

typedef struct Pty {
    int master, opens; /* opens: an inotify descriptor */
    guint watch;
} Pty;

static bool on_opens(void *ctx, int fd, GIOCondition condition)
{
    Chardev *c = ctx;
    Pty *t = c->own;
    u8 events[1024];

    while (read(fd, events, sizeof events) > 0)
        ;
    if (!c->open) {
        c->in = c->out = t->master;
        chardev_opened(c);
    }
    return true;
}

static void pty_gone(Chardev *c) { c->in = c->out = -1; }

/* Bytes go through as they are.  False: errno. */
static bool pty_raw(const char *name)
{
    int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;
    bool ok = fd >= 0 && tcgetattr(fd, &t) == 0;

    if (ok) {
        cfmakeraw(&t);
        ok = tcsetattr(fd, TCSANOW, &t) == 0;
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool pty_open(Chardev *c, Props *p, char **error)
{
    Pty *t = c->own = g_new0(Pty, 1);
    char name[64];

    t->opens = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    t->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (t->master < 0 || t->opens < 0 || grantpt(t->master) || unlockpt(t->master) ||
        ptsname_r(t->master, name, sizeof name) || !pty_raw(name) ||
        inotify_add_watch(t->opens, name, IN_OPEN) < 0)
        return chardev_refuse(c, error, "no pseudo-terminal", errno);
    t->watch = io_watch(c->machine, t->opens, G_IO_IN, on_opens, c);
    g_free(c->address);
    c->address = g_strconcat("pty:", name, NULL);
    report("char device redirected to %s (label %s)", name, c->label);
    return true;
}

static void pty_close(Chardev *c)
{
    Pty *t = c->own;

    if (!t)
        return;
    io_remove(c->machine, t->watch);
    if (t->master >= 0)
        close(t->master);
    if (t->opens >= 0)
        close(t->opens);
    g_free(t);
}

const CharBackend chardev_pty = {
    .name = "pty", .open = pty_open, .gone = pty_gone, .close = pty_close};
