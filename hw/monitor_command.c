/* SPDX-License-Identifier: MIT */
/* The human monitor's commands: one table says names, arguments, help, what runs. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "monitor.h"
#include "virtio.h"

enum {
    HOLD = 1, /* CPUs are parked meanwhile: it looks at what they own */
};

typedef struct Command {
    const char *name, *alias;
    u8 least, most; /* arguments */
    u8 flags;
    void (*run)(Monitor *mon);
    const char *args, *help;
} Command;

static const Command commands[];

/* ---- what all use ---- */

void monitor_refuse(Monitor *mon, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_string_append_vprintf(mon->out, format, ap);
    va_end(ap);
    g_string_append_c(mon->out, '\n');
}

/* Takes error. */
static void say_error(Monitor *mon, char *error)
{
    monitor_refuse(mon, "Error: %s", error ? error : "unknown");
    g_free(error);
}

Cpu *monitor_cpu(const Monitor *mon) { return &mon->m->cpu[mon->cpu]; }

bool monitor_status_name(const Machine *m, const char **name)
{
    static const char *const names[] = {
        [RUN_PRELAUNCH] = "prelaunch", [RUN_RUNNING] = "running",
        [RUN_PAUSED] = "paused",       [RUN_DEBUG] = "debug",
        [RUN_IO_ERROR] = "io-error",   [RUN_SHUTDOWN] = "shutdown",
    };

    *name = names[m->run];
    return m->run == RUN_RUNNING;
}

static bool number(Monitor *mon, const char *text, u64 *value)
{
    const char *why;

    if (monitor_eval(mon, text, value, &why))
        return true;
    monitor_refuse(mon, "%s", why);
    return false;
}

/* ---- the machine ---- */

static void run_stop(Monitor *mon)
{
    if (mon->m->run == RUN_RUNNING)
        machine_stop(mon->m, RUN_PAUSED);
}

static void run_cont(Monitor *mon)
{
    if (mon->m->run == RUN_SHUTDOWN)
        monitor_refuse(mon, "Error: Resetting the Virtual Machine is required");
    else if (mon->m->run != RUN_RUNNING)
        machine_cont(mon->m);
}

static void run_reset(Monitor *mon)
{
    mon->m->asked = "host-qmp-system-reset";
    machine_reset(mon->m);
}

static void run_powerdown(Monitor *mon) { machine_event(mon->m, EVENT_POWERDOWN); }

static void run_quit(Monitor *mon)
{
    mon->m->asked = "host-qmp-quit";
    machine_event(mon->m, EVENT_SHUTDOWN);
    machine_quit(mon->m, 0);
}

/* Around a function that wants the machine stopped. */
static void stopped(Monitor *mon, bool (*f)(Machine *m, const char *path, char **error))
{
    Machine *m = mon->m;
    bool running = m->run == RUN_RUNNING;
    char *error = NULL;

    if (running)
        machine_stop(m, RUN_PAUSED);
    if (!f(m, mon->arg[0], &error))
        say_error(mon, error);
    if (running)
        machine_cont(m);
}

static void run_savevm(Monitor *mon) { stopped(mon, machine_save); }

static void run_loadvm(Monitor *mon) { stopped(mon, machine_load); }

static void run_balloon(Monitor *mon)
{
    char *error = NULL;
    u64 mib;

    if (!number(mon, mon->arg[0], &mib))
        return;
    if (mib > mon->m->ram_size >> 20)
        mib = mon->m->ram_size >> 20;
    if (!balloon_set(mon->m, mib << 20, &error))
        say_error(mon, error);
}

/* ---- CPUs ---- */

static void run_cpu(Monitor *mon)
{
    u64 id;

    if (!number(mon, mon->arg[0], &id))
        return;
    if (id >= mon->m->n_cpus)
        monitor_refuse(mon, "invalid CPU index");
    else
        mon->cpu = (u32)id;
}

static void run_gdbserver(Monitor *mon)
{
    const char *address = mon->arg[0] ? mon->arg[0] : "tcp::1234";
    char *error = NULL;

    if (gdb_new(mon->m, address, &error))
        monitor_refuse(mon, "Waiting for gdb connection on device '%s'", address);
    else
        say_error(mon, error);
}

static void run_log(Monitor *mon)
{
    const char *bad;

    if (strcmp(mon->arg[0], "none") == 0)
        log_mask = 0;
    else if (strcmp(mon->arg[0], "help") != 0 && log_set_items(mon->arg[0], &bad))
        return;
    else {
        g_string_append(mon->out, "Log items (comma separated):\n"
                                  "none            remove all logs\n");
#define X(bit, NAME, name, help) \
    g_string_append_printf(mon->out, "%-15s %s\n", name, help);
        LOG_ITEMS(X)
#undef X
    }
}

/* ---- help ---- */

static void put_help(const Command *c, GString *out)
{
    g_string_append(out, c->name);
    if (c->alias)
        g_string_append_printf(out, "|%s", c->alias);
    g_string_append_printf(out, "%s%s -- %s\n", *c->args ? " " : "", c->args, c->help);
}

static const Command *command_find(const char *name, size_t n)
{
    for (const Command *c = commands; c->name; c++)
        if ((strlen(c->name) == n && memcmp(c->name, name, n) == 0) ||
            (c->alias && strlen(c->alias) == n && memcmp(c->alias, name, n) == 0))
            return c;
    return NULL;
}

static void run_help(Monitor *mon)
{
    const char *name = mon->arg[0];
    const Command *c = name ? command_find(name, strlen(name)) : NULL;

    if (name && !c) {
        monitor_refuse(mon, "unknown command: '%s'", name);
        return;
    }
    if (c && c->run == monitor_info)
        monitor_info_help(mon->out, mon->n_args > 1 ? mon->arg[1] : "");
    else if (c)
        put_help(c, mon->out);
    for (c = commands; !name && c->name; c++)
        put_help(c, mon->out);
}

/* ---- the table ---- */

static const Command commands[] = {
    {"balloon", NULL, 1, 1, 0, run_balloon, "MIB", "leave the guest that much memory"},
    {"cont", "c", 0, 0, 0, run_cont, "", "go on"},
    {"cpu", NULL, 1, 1, 0, run_cpu, "INDEX", "the CPU that others ask about"},
    {"gdbserver", NULL, 0, 1, 0, run_gdbserver, "[ADDRESS]",
     "let gdb connect there (tcp::1234)"},
    {"help", "?", 0, 2, 0, run_help, "[COMMAND]", "this"},
    {"info", NULL, 0, 2, HOLD, monitor_info, "[ITEM]", "show ITEM; alone: lists them"},
    {"loadvm", NULL, 1, 1, 0, run_loadvm, "FILE", "become the machine saved there"},
    {"log", NULL, 1, 1, 0, run_log, "ITEM[,...]", "what is logged (none, help)"},
    {"print", "p", 1, 99, HOLD, monitor_print, "/FMT EXPR",
     "its value; $REG: a register"},
    {"quit", "q", 0, 0, 0, run_quit, "", "end at once"},
    {"savevm", NULL, 1, 1, 0, run_savevm, "FILE", "save the machine there"},
    {"stop", "s", 0, 0, 0, run_stop, "", "stop the machine and its clock"},
    {"system_powerdown", NULL, 0, 0, 0, run_powerdown, "", "press the power button"},
    {"system_reset", NULL, 0, 0, 0, run_reset, "", "press the reset button"},
    {"x", NULL, 1, 99, HOLD, monitor_x, "/FMT EXPR",
     "memory at a virtual address; FMT: count, x d u o c or i, b h w or g"},
    {"xp", NULL, 1, 99, HOLD, monitor_xp, "/FMT EXPR", "memory at a physical address"},
    {NULL},
};

/* ---- lines ---- */

/* Splits at blanks; "..." with \" and \\ is one word. */
static bool split(const char *p, GPtrArray *words)
{
    while (*(p += strspn(p, " \t\r\n"))) {
        GString *word = g_string_new(NULL);
        bool quoted = *p == '"', open = quoted;

        for (p += quoted; *p && (open || !strchr(" \t\r\n", *p)); p++) {
            if (open && *p == '"') {
                open = false;
                continue;
            }
            if (open && *p == '\\' && p[1])
                p++;
            g_string_append_c(word, *p);
        }
        g_ptr_array_add(words, g_string_free(word, FALSE));
        if (open)
            return false;
    }
    g_ptr_array_add(words, NULL);
    return true;
}

static void run_words(Monitor *mon, char **words, u32 n)
{
    const char *slash = strchr(words[0], '/');
    size_t len = slash ? (size_t)(slash - words[0]) : strlen(words[0]);
    const Command *c = command_find(words[0], len);

    if (!c || (slash && !strstr(c->args, "/FMT"))) {
        monitor_refuse(mon, "unknown command: '%s'", words[0]);
        return;
    }
    mon->format = slash ? slash + 1 : "";
    mon->arg = words + 1;
    mon->n_args = n - 1;
    if (mon->n_args < c->least || mon->n_args > c->most) {
        monitor_refuse(mon, "%s: %s\nTry \"help %s\" for more information", c->name,
                       mon->n_args < c->least
                           ? "argument expected"
                           : "extraneous characters at the end of line",
                       c->name);
        return;
    }
    if (c->flags & HOLD)
        machine_hold(mon->m);
    c->run(mon);
    if (c->flags & HOLD)
        machine_release(mon->m);
}

void monitor_run(Monitor *mon, const char *line)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    if (!split(line, words))
        monitor_refuse(mon, "unterminated string");
    else if (words->len > 1)
        run_words(mon, (char **)words->pdata, words->len - 1);
    g_ptr_array_free(words, TRUE);
}

char *monitor_command(Machine *m, const char *line)
{
    Monitor mon = {.m = m, .out = g_string_new(NULL)};

    monitor_run(&mon, line);
    return g_string_free(mon.out, FALSE);
}

void monitor_complete(const char *line, GPtrArray *names)
{
    line += strspn(line, " ");
    if (g_str_has_prefix(line, "info ") && !strchr(line + 5, ' '))
        monitor_info_names(line + 5, names);
    else if (g_str_has_prefix(line, "help "))
        line += 5;
    for (const Command *c = commands; c->name && !strchr(line, ' '); c++)
        if (g_str_has_prefix(c->name, line))
            g_ptr_array_add(names, g_strdup(c->name));
}
