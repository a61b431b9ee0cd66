/* SPDX-License-Identifier: MIT */
/*
 * The log.  A thread composes its text in memory and hands it to write(2) in whole
 * lines, on a descriptor of our own opened for appending: no lock that a fork could
 * find held, and nothing interleaves, not even between processes.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>

enum {
    LINE = 1024,   /* longer ones are composed on the heap */
    CHUNK = 4096,  /* a pipe takes so much in one piece (PIPE_BUF) */
    OUR_FDS = 900, /* descriptors from here are out of a guest's way */
    MAX_RANGES = 64,
};

typedef struct Range {
    u64 low, high; /* inclusive */
} Range;

typedef struct Item {
    u32 bit;
    const char *name, *help;
} Item;

static const Item items[] = {
#define X(bit, NAME, name, help) {1u << bit, name, help},
    LOG_ITEMS(X)
#undef X
};

u32 log_mask;
static int log_fd = -1;
static struct {
    Range ranges[MAX_RANGES];
    size_t n_ranges;
    char **names; /* glib's; NULL: none */
    bool (*in_names)(void *ctx, u64 pc);
    void *ctx;
} filter;

/* What log_begin holds back. */
static _Thread_local struct {
    FILE *stream;
    char *text;
    size_t size;
    u32 depth;
} held;

/* ---- output ---- */

static void write_all(int fd, const char *p, size_t n)
{
    int saved = errno;

    while (n) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno != EINTR)
            break;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    errno = saved;
}

/* How much of text to write at once: whole lines, as many as a pipe takes. */
static size_t chunk(const char *text, size_t n)
{
    const char *end;

    if (n <= CHUNK)
        return n;
    end = memrchr(text, '\n', CHUNK);
    if (!end)
        end = memchr(text, '\n', n);
    return end ? (size_t)(end + 1 - text) : n;
}

static void put(const char *text, size_t n)
{
    while (n) {
        size_t now = chunk(text, n);

        write_all(log_fd < 0 ? STDERR_FILENO : log_fd, text, now);
        text += now;
        n -= now;
    }
}

static void put_format(const char *format, va_list args)
{
    char line[LINE], *text = line;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(line, sizeof(line), format, args);
    if (n >= (int)sizeof(line) && vasprintf(&text, format, again) < 0)
        text = line, n = sizeof(line) - 1;
    va_end(again);
    if (n > 0)
        put(text, (size_t)n);
    if (text != line)
        free(text);
}

void log_printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (held.depth && held.stream != stderr)
        vfprintf(held.stream, format, args);
    else
        put_format(format, args);
    va_end(args);
}

FILE *log_begin(void)
{
    if (held.depth++ == 0) {
        held.stream = open_memstream(&held.text, &held.size);
        if (!held.stream)
            held.stream = stderr;
    }
    return held.stream;
}

void log_end(void)
{
    assert(held.depth);
    if (--held.depth || held.stream == stderr)
        return;
    fclose(held.stream);
    put(held.text, held.size);
    free(held.text);
    held.text = NULL;
}

void report(const char *format, ...)
{
    char line[LINE] = "tessera: ";
    size_t used = strlen(line);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
    va_end(args);
    used = MIN(used + (n > 0 ? (size_t)n : 0), sizeof(line) - 2);
    line[used++] = '\n';
    write_all(STDERR_FILENO, line, used);
}

/* ---- what to log ---- */

static void print_items(void)
{
    printf("Log items (comma separated):\n");
    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        printf("%-10s %s\n", items[i].name, items[i].help);
}

static u32 find_item(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(items); i++)
        if (strlen(items[i].name) == len && !memcmp(items[i].name, name, len))
            return items[i].bit;
    return 0;
}

/* Moves fd out of the guest's way if it can. */
static int fd_ours(int fd)
{
    int ours = fcntl(fd, F_DUPFD_CLOEXEC, OUR_FDS);

    return ours < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : ours;
}

bool log_set_items(const char *spec, const char **bad)
{
    u32 mask = 0;

    for (;;) {
        size_t len = strcspn(spec, ",");
        u32 bit = find_item(spec, len);

        if (len == 4 && !memcmp(spec, "help", 4)) {
            print_items();
            exit(0);
        }
        if (!bit) {
            *bad = spec;
            return false;
        }
        mask |= bit;
        if (!spec[len])
            break;
        spec += len + 1;
    }
    log_mask = mask;
    if (log_fd < 0)
        log_fd = fd_ours(STDERR_FILENO);
    return true;
}

/* path with its first "%d" replaced by our pid; NULL: no memory. */
static char *expand_pid(const char *path)
{
    const char *at = strstr(path, "%d");
    char *name;

    if (!at)
        return strdup(path);
    if (asprintf(&name, "%.*s%d%s", (int)(at - path), path, (int)getpid(), at + 2) < 0)
        return NULL;
    return name;
}

bool log_set_file(const char *path)
{
    char *name = expand_pid(path);
    int fd, ours;

    if (!name)
        return false;
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    free(name);
    if (fd < 0)
        return false;
    ours = fd_ours(fd);
    if (ours >= 0)
        close(fd);
    if (log_fd >= 0)
        close(log_fd);
    log_fd = ours >= 0 ? ours : fd;
    return true;
}

/* ---- which guest addresses ---- */

static bool parse_number(const char **p, u64 *out)
{
    char *end;

    if (!strchr("0123456789", **p) || !**p)
        return false;
    errno = 0;
    *out = strtoull(*p, &end, 0);
    *p = end;
    return errno == 0;
}

/* START..END, START+LEN, START-LEN */
static bool parse_range(const char **p, Range *r)
{
    u64 start, other;
    char how;

    if (!parse_number(p, &start))
        return false;
    how = **p;
    if (how == '.' && (*p)[1] == '.')
        ++*p;
    else if (how != '+' && how != '-')
        return false;
    ++*p;
    if (!parse_number(p, &other))
        return false;
    if (how == '.')
        *r = (Range){start, other};
    else if (how == '+')
        *r = (Range){start, start + other - 1};
    else
        *r = (Range){start - (other - 1), start};
    return r->low <= r->high && (how == '.' || other != 0);
}

static bool is_name(const char *item)
{
    return (g_ascii_isalpha(*item) || (*item && strchr("_./*?[", *item))) &&
           !strstr(item, "..");
}

static bool parse_item(const char *item, Range *ranges, size_t *n, GPtrArray *names)
{
    if (is_name(item)) {
        g_ptr_array_add(names, g_strdup(item));
        return true;
    }
    return *n < MAX_RANGES && parse_range(&item, &ranges[(*n)++]) && !*item;
}

bool log_set_filter(const char *spec)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    char **items = g_strsplit(spec, ",", 0);
    Range ranges[MAX_RANGES];
    size_t n = 0;
    bool ok = *spec;

    for (size_t i = 0; ok && items[i]; i++)
        ok = parse_item(items[i], ranges, &n, names);
    g_strfreev(items);
    if (!ok) {
        g_ptr_array_free(names, true);
        return false;
    }
    memcpy(filter.ranges, ranges, n * sizeof *ranges);
    filter.n_ranges = n;
    g_ptr_array_add(names, NULL);
    g_strfreev(filter.names);
    filter.names = (char **)g_ptr_array_free(names, false);
    if (!*filter.names)
        g_clear_pointer(&filter.names, g_strfreev);
    return true;
}

char **log_filter_names(void) { return filter.names; }

void log_set_namer(bool (*in_names)(void *ctx, u64 pc), void *ctx)
{
    filter.in_names = in_names;
    filter.ctx = ctx;
}

bool log_wants(u64 pc)
{
    for (size_t i = 0; i < filter.n_ranges; i++)
        if (pc >= filter.ranges[i].low && pc <= filter.ranges[i].high)
            return true;
    if (filter.names)
        return filter.in_names && filter.in_names(filter.ctx, pc);
    return filter.n_ranges == 0;
}
