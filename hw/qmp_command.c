/* SPDX-License-Identifier: MIT */
/* QMP's commands: one table says names, parameters, what runs; and the checks that
 * every message has to pass. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "monitor.h"
#include "qmp.h"
#include "virtio.h"

typedef struct Command {
    const char *name;
    json_t *(*run)(QmpCall *c);
    const char *params; /* "name:type", blanks between; type: str int array; "?": may
                           be missing */
} Command;

static const Command commands[];

/* ---- errors ---- */

json_t *qmp_refusal(const char *class, const char *desc)
{
    return json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", desc);
}

static json_t *PRINTF(2, 3) refuse(QmpCall *c, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    c->error = g_strdup_vprintf(format, ap);
    va_end(ap);
    return NULL;
}

static u64 integer(const QmpCall *c, const char *name)
{
    return (u64)json_integer_value(json_object_get(c->args, name));
}

static const char *string(const QmpCall *c, const char *name)
{
    return json_string_value(json_object_get(c->args, name));
}

/* ---- the machine ---- */

static json_t *run_stop(QmpCall *c)
{
    if (c->m->run == RUN_RUNNING)
        machine_stop(c->m, RUN_PAUSED);
    return json_object();
}

static json_t *run_cont(QmpCall *c)
{
    if (c->m->run == RUN_SHUTDOWN)
        return refuse(c, "Resetting the Virtual Machine is required");
    if (c->m->run != RUN_RUNNING)
        machine_cont(c->m);
    return json_object();
}

/* The human monitor's command of the same name. */
static json_t *by_monitor(QmpCall *c, const char *line)
{
    g_free(monitor_command(c->m, line));
    return json_object();
}

static json_t *run_reset(QmpCall *c) { return by_monitor(c, "system_reset"); }

static json_t *run_powerdown(QmpCall *c) { return by_monitor(c, "system_powerdown"); }

static json_t *run_quit(QmpCall *c) { return by_monitor(c, "quit"); }

static json_t *run_balloon(QmpCall *c)
{
    json_int_t bytes = (json_int_t)integer(c, "value");

    if (bytes <= 0)
        return refuse(c, "Parameter 'value' expects a size");
    if (balloon_set(c->m, MIN((u64)bytes, c->m->ram_size), &c->error))
        return json_object();
    c->error_class = "DeviceNotActive";
    return NULL;
}

/* ---- memory ---- */

typedef size_t ReadFn(QmpCall *c, u64 addr, void *to, size_t n);

static size_t read_physical(QmpCall *c, u64 addr, void *to, size_t n)
{
    return monitor_read_physical(c->m, addr, to, n);
}

static size_t read_virtual(QmpCall *c, u64 addr, void *to, size_t n)
{
    return monitor_read_virtual(&c->m->cpu[integer(c, "cpu-index")], addr, to, n);
}

static bool write_all(QmpCall *c, ReadFn *read, FILE *f)
{
    u64 addr = integer(c, "val"), left = integer(c, "size");

    while (left) {
        u8 bytes[4096];
        size_t n = read(c, addr, bytes, MIN(left, sizeof bytes));

        if (!n)
            return refuse(c, "Invalid addr 0x%016llx/size %llu specified",
                          (unsigned long long)addr, (unsigned long long)left);
        if (fwrite(bytes, 1, n, f) < n)
            return refuse(c, "writing memory to file: %s", strerror(errno));
        addr += n;
        left -= n;
    }
    return true;
}

static json_t *save_memory(QmpCall *c, ReadFn *read)
{
    FILE *f = fopen(string(c, "filename"), "we");
    bool good;

    if (!f)
        return refuse(c, "Could not open '%s': %s", string(c, "filename"),
                      strerror(errno));
    machine_hold(c->m);
    good = write_all(c, read, f);
    machine_release(c->m);
    if (fclose(f) && good)
        return refuse(c, "writing memory to file: %s", strerror(errno));
    return good ? json_object() : NULL;
}

static json_t *run_pmemsave(QmpCall *c) { return save_memory(c, read_physical); }

static json_t *run_memsave(QmpCall *c)
{
    if (integer(c, "cpu-index") >= c->m->n_cpus)
        return refuse(c, "Parameter 'cpu-index' expects a CPU number");
    return save_memory(c, read_virtual);
}

/* ---- the human monitor ---- */

static json_t *run_human(QmpCall *c)
{
    Monitor mon = {.m = c->m};
    char **lines, *text;
    json_t *reply;

    if (integer(c, "cpu-index") >= c->m->n_cpus)
        return refuse(c, "Parameter 'cpu-index' expects a CPU number");
    mon.cpu = (u32)integer(c, "cpu-index");
    mon.out = g_string_new(NULL);
    monitor_run(&mon, string(c, "command-line"));
    lines = g_strsplit(mon.out->str, "\n", -1);
    text = g_strjoinv("\r\n", lines);
    reply = json_string(text);
    if (!reply) /* what the guest wrote may be no UTF-8 */
        reply = json_string("output is not UTF-8\r\n");
    g_free(text);
    g_strfreev(lines);
    g_string_free(mon.out, TRUE);
    return reply;
}

/* ---- the protocol ---- */

static json_t *run_capabilities(QmpCall *c)
{
    const json_t *wanted = json_object_get(c->args, "enable");

    if (*c->agreed) {
        c->error_class = "CommandNotFound";
        return refuse(c,
                      "Capabilities negotiation is already complete, command ignored");
    }
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *name = json_string_value(json_array_get(wanted, i));

        return refuse(c, "Capability %s not available", name ? name : "of that kind");
    }
    *c->agreed = true;
    return json_object();
}

static json_t *run_commands(QmpCall *c)
{
    json_t *all = json_array();

    for (const Command *i = commands; i->name; i++)
        json_array_append_new(all, json_pack("{s:s}", "name", i->name));
    return all;
}

static const Command commands[] = {
    {"balloon", run_balloon, "value:int"},
    {"cont", run_cont, ""},
    {"human-monitor-command", run_human, "command-line:str cpu-index:int?"},
    {"memsave", run_memsave, "val:int size:int filename:str cpu-index:int?"},
    {"pmemsave", run_pmemsave, "val:int size:int filename:str"},
    {"qmp_capabilities", run_capabilities, "enable:array?"},
    {"query-balloon", qmp_query_balloon, ""},
    {"query-block", qmp_query_block, ""},
    {"query-chardev", qmp_query_chardev, ""},
    {"query-commands", run_commands, ""},
    {"query-cpus-fast", qmp_query_cpus_fast, ""},
    {"query-current-machine", qmp_query_current_machine, ""},
    {"query-iothreads", qmp_query_iothreads, ""},
    {"query-kvm", qmp_query_kvm, ""},
    {"query-machines", qmp_query_machines, ""},
    {"query-memory-size-summary", qmp_query_memory_size_summary, ""},
    {"query-name", qmp_query_name, ""},
    {"query-status", qmp_query_status, ""},
    {"query-target", qmp_query_target, ""},
    {"query-uuid", qmp_query_uuid, ""},
    {"query-version", qmp_query_version, ""},
    {"quit", run_quit, ""},
    {"stop", run_stop, ""},
    {"system_powerdown", run_powerdown, ""},
    {"system_reset", run_reset, ""},
    {"x-query-irq", qmp_query_irq, ""},
    {"x-query-jit", qmp_query_jit, ""},
    {NULL},
};

/* ---- arguments ---- */

static bool is_of_type(const json_t *value, const char *type)
{
    if (g_str_has_prefix(type, "str"))
        return json_is_string(value);
    return g_str_has_prefix(type, "int") ? json_is_integer(value)
                                         : json_is_array(value);
}

/* One parameter "name:type"; it is among known from now on. */
static bool check_param(QmpCall *c, const char *param, json_t *known)
{
    const char *colon = strchr(param, ':'), *type = colon + 1;
    char *name = g_strndup(param, (size_t)(colon - param));
    const json_t *value = json_object_get(c->args, name);

    json_object_set_new(known, name, json_true());
    if (!value && !g_str_has_suffix(type, "?"))
        refuse(c, "Parameter '%s' is missing", name);
    else if (value && !is_of_type(value, type))
        refuse(c, "Invalid parameter type for '%s', expected: %s", name,
               *type == 's'   ? "string"
               : *type == 'i' ? "integer"
                              : "array");
    g_free(name);
    return !c->error;
}

static bool check_args(QmpCall *c, const Command *command)
{
    char **params = g_strsplit(command->params, " ", -1);
    json_t *known = json_object(), *value;
    bool good = true;
    const char *key;

    for (u32 i = 0; good && params[i] && *params[i]; i++)
        good = check_param(c, params[i], known);
    json_object_foreach(c->args, key, value)
    {
        if (good && !json_object_get(known, key)) {
            refuse(c, "Parameter '%s' is unexpected", key);
            good = false;
        }
    }
    json_decref(known);
    g_strfreev(params);
    return good;
}

/* ---- messages ---- */

static const char *const members[] = {"execute", "arguments", "id"};

/* What is wrong with it; NULL: nothing. */
static char *check_members(json_t *message)
{
    const json_t *name = json_object_get(message, "execute"),
                 *args = json_object_get(message, "arguments");
    json_t *value;
    const char *key;

    json_object_foreach(message, key, value)
    {
        bool known = false;

        for (u32 i = 0; i < ARRAY_SIZE(members); i++)
            known |= strcmp(key, members[i]) == 0;
        if (!known)
            return g_strdup_printf("QMP input member '%s' is unexpected", key);
    }
    if (!name)
        return g_strdup("QMP input lacks member 'execute'");
    if (!json_is_string(name))
        return g_strdup("QMP input member 'execute' must be a string");
    if (args && !json_is_object(args))
        return g_strdup("QMP input member 'arguments' must be an object");
    return NULL;
}

static const Command *command_find(QmpCall *c, const char *name)
{
    for (const Command *i = commands; i->name; i++)
        if (strcmp(i->name, name) == 0 && (*c->agreed || i->run == run_capabilities))
            return i;
    c->error_class = "CommandNotFound";
    if (*c->agreed)
        refuse(c, "The command %s has not been found", name);
    else
        refuse(c, "Expecting capabilities negotiation with 'qmp_capabilities'");
    return NULL;
}

static json_t *execute(QmpCall *c, json_t *message)
{
    const Command *command;
    json_t *result = NULL;

    c->error = check_members(message);
    if (c->error)
        return NULL;
    command = command_find(c, json_string_value(json_object_get(message, "execute")));
    if (!command)
        return NULL;
    c->args = json_incref(json_object_get(message, "arguments"));
    c->args = c->args ? c->args : json_object();
    if (check_args(c, command))
        result = command->run(c);
    json_decref(c->args);
    return result;
}

static json_t *answer_object(QmpCall *c, json_t *message)
{
    json_t *result = execute(c, message), *reply, *id = json_object_get(message, "id");

    reply = result ? json_pack("{s:o}", "return", result)
                   : qmp_refusal(c->error_class ? c->error_class : "GenericError",
                                 c->error ? c->error : "failed");
    if (id)
        json_object_set(reply, "id", id);
    return reply;
}

json_t *qmp_answer(Machine *m, bool *agreed, const char *text, size_t n)
{
    QmpCall c = {.m = m, .agreed = agreed};
    json_error_t error;
    json_t *message =
               json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error),
           *reply;

    if (!message)
        c.error = g_strdup_printf("JSON parse error, %s", error.text);
    else if (!json_is_object(message))
        c.error = g_strdup("QMP input must be a JSON object");
    reply = c.error ? qmp_refusal("GenericError", c.error) : answer_object(&c, message);
    if (!reply) /* c.error quoted what is no UTF-8 */
        reply = qmp_refusal("GenericError", "JSON parse error");
    g_free(c.error);
    json_decref(message);
    return reply;
}
