/* SPDX-License-Identifier: MIT */
/* Our own terminal, or whatever standard input and output are.  While it is ours, keys
 * come one by one; it is as it was when we end, whatever ends us but SIGKILL. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "chardev.h"

/* The process has one, and signal handlers cannot be given another. */
static struct {
    bool taken, raw;
    struct termios before, ours;
    int flags; /* of standard output, when they had to be changed; else -1 */
} terminal = {.flags = -1};

static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT};

void terminal_restore(void)
{
    if (terminal.raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    if (terminal.flags >= 0)
        fcntl(STDOUT_FILENO, F_SETFL, terminal.flags);
    terminal.raw = false;
    terminal.flags = -1;
}

static void on_fatal(int sig)
{
    terminal_restore();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Continued after a shell has had the terminal. */
static void on_continue(int sig)
{
    int err = errno;

    if (terminal.raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.ours);
    errno = err;
}

/* Only where nobody else has a handler: theirs ends in terminal_restore. */
static void catch (int sig, void (*handler)(int))
{
    struct sigaction old, new = {.sa_handler = handler, .sa_flags = SA_RESTART};

    if (sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        sigaction(sig, &new, NULL);
}

/* keys: C-c and its like are signals to us, not the guest's. */
static void terminal_raw(bool keys)
{
    struct termios *t = &terminal.ours;

    if (tcgetattr(STDIN_FILENO, &terminal.before))
        return;
    *t = terminal.before;
    t->c_iflag &=
        ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXOFF);
    t->c_oflag |= OPOST;
    t->c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN | (keys ? 0 : ISIG));
    t->c_cflag = (t->c_cflag & ~(CSIZE | PARENB)) | CS8;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
    terminal.raw = tcsetattr(STDIN_FILENO, TCSANOW, t) == 0;
    for (u32 i = 0; i < ARRAY_SIZE(fatal); i++)
        catch (fatal[i], on_fatal);
    catch (SIGCONT, on_continue);
    atexit(terminal_restore);
}

/* Standard output, not to be waited for: opened anew where that is possible, since
 * O_NONBLOCK is seen by all who share what is open already. */
static int output_open(Chardev *c)
{
    struct stat st;
    int fd;

    if (fstat(STDOUT_FILENO, &st))
        return -1;
    c->is_socket = S_ISSOCK(st.st_mode);
    if (c->is_socket || S_ISREG(st.st_mode))
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    terminal.flags = fcntl(STDOUT_FILENO, F_GETFL);
    fcntl(STDOUT_FILENO, F_SETFL, terminal.flags | O_NONBLOCK);
    atexit(terminal_restore);
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static bool stdio_open(Chardev *c, Props *p, char **error)
{
    bool keys = true;

    if (!props_bool(p, "signal", &keys, error))
        return false;
    if (terminal.taken)
        return chardev_refuse(c, error, "standard input and output are taken already",
                              0);
    terminal.taken = true;
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    c->in = fcntl(STDIN_FILENO, F_GETFD) < 0 ? -1 : STDIN_FILENO;
    c->out = output_open(c);
    c->is_tty = isatty(STDIN_FILENO);
    c->own = &terminal;
    c->open = true;
    if (c->is_tty)
        terminal_raw(keys);
    return true;
}

static void stdio_close(Chardev *c)
{
    if (!c->own) /* another's */
        return;
    if (c->out >= 0)
        close(c->out);
    terminal_restore();
    terminal.taken = false;
}

const CharBackend chardev_stdio = {
    .name = "stdio", .open = stdio_open, .close = stdio_close};
