/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_qmp
 *
 * QMP without a client: where messages end, each kind of wrong message and the error
 * that QEMU 7.2 gives it, and bytes that are nearly right. */
#include <string.h>
#include "../hw/qmp.h"
#include "hw_hart.h"

enum { MIB = 1 << 20 };

/* ---- messages ---- */

/* What is found in text, a letter each: m(essage), s(tray), l(ong), d(eep). */
static void found_in(QmpReader *r, const char *text, size_t n, GString *found)
{
    static const char letters[] = {
        [QMP_MESSAGE] = 'm', [QMP_STRAY] = 's', [QMP_LONG] = 'l', [QMP_DEEP] = 'd'};

    for (size_t i = 0; i < n; i++) {
        QmpFound f = qmp_reader_put(r, (u8)text[i]);

        if (f != QMP_MORE)
            g_string_append_c(found, letters[f]);
    }
}

Test(qmp, messages)
{
    static const struct {
        const char *text, *found, *last;
    } cases[] = {
        {"{}", "m", "{}"},
        {"{}{}\r\n[]", "mmm", "[]"},
        {"{\"a\": [1, {\"b\": 2}]}", "m", "{\"a\": [1, {\"b\": 2}]}"},
        {"{\"}\": \"\\\"]\"}", "m", "{\"}\": \"\\\"]\"}"},
        {"{'a': 'it\\'s \"b\"'}", "m", "{\"a\": \"it's \\\"b\\\"\"}"},
        {"\"a\"", "m", "\"a\""},
        {"{]", "m", "{]"},
        {"garbage {}", "sm", "{}"},
        {"null, 1\n{}", "ssm", "{}"},
        {"]{}", "sm", "{}"},
        {"{\"a\"\xff{}", "sm", "{}"},
        {"{\"a\n{}", "sm", "{}"},
        {"{\"a\": \x01 {}", "sm", "{}"},
    };
    QmpReader r;

    qmp_reader_init(&r);
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        GString *found = g_string_new(NULL);

        found_in(&r, cases[i].text, strlen(cases[i].text), found);
        cr_expect_str_eq(found->str, cases[i].found, "case %u: %s", i, found->str);
        cr_expect_str_eq(r.text->str, cases[i].last, "case %u: %s", i, r.text->str);
        g_string_free(found, TRUE);
    }
    qmp_reader_free(&r);
}

Test(qmp, limits)
{
    GString *found = g_string_new(NULL);
    char *text = g_malloc(QMP_TEXT_MAX + 2);
    QmpReader r;

    qmp_reader_init(&r);
    memset(text, '[', QMP_DEPTH_MAX + 1);
    found_in(&r, text, QMP_DEPTH_MAX + 1, found);
    cr_expect_str_eq(found->str, "d");
    memset(text, 'a', QMP_TEXT_MAX + 2);
    text[0] = '{';
    text[1] = '"';
    g_string_truncate(found, 0);
    found_in(&r, text, QMP_TEXT_MAX + 1, found);
    cr_expect_str_eq(found->str, "l");
    g_string_truncate(found, 0);
    found_in(&r, " {}", 3, found);
    cr_expect_str_eq(found->str, "m", "it recovers: %s", found->str);
    qmp_reader_free(&r);
    g_free(text);
    g_string_free(found, TRUE);
}

/* ---- answers ---- */

static void expect(Machine *m, const char *text, const char *reply)
{
    bool agreed = true;
    json_t *got = qmp_answer(m, &agreed, text, strlen(text)),
           *want = json_loads(reply, 0, NULL);

    cr_assert(want, "the test's own JSON: %s", reply);
    if (!json_equal(got, want)) {
        char *dump = json_dumps(got, 0);

        cr_expect(false, "%s: %s", text, dump);
        free(dump);
    }
    json_decref(got);
    json_decref(want);
}

static void expect_error(Machine *m, const char *text, const char *class,
                         const char *desc)
{
    char *reply = g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}",
                                  class, desc);

    expect(m, text, reply);
    g_free(reply);
}

Test(qmp, errors)
{
    static const struct {
        const char *text, *desc;
    } cases[] = {
        {"[]", "QMP input must be a JSON object"},
        {"\"a\"", "QMP input must be a JSON object"},
        {"{\"arguments\": {}}", "QMP input lacks member 'execute'"},
        {"{\"execute\": 5}", "QMP input member 'execute' must be a string"},
        {"{\"execute\": \"query-status\", \"foo\": 1}",
         "QMP input member 'foo' is unexpected"},
        {"{\"execute\": \"query-status\", \"arguments\": []}",
         "QMP input member 'arguments' must be an object"},
        {"{\"execute\": \"query-status\", \"arguments\": {\"x\": 1}}",
         "Parameter 'x' is unexpected"},
        {"{\"exec-oob\": \"query-status\"}",
         "QMP input member 'exec-oob' is unexpected"},
        {"{\"execute\": \"balloon\"}", "Parameter 'value' is missing"},
        {"{\"execute\": \"balloon\", \"arguments\": {\"value\": \"x\"}}",
         "Invalid parameter type for 'value', expected: integer"},
        {"{\"execute\": \"balloon\", \"arguments\": {\"value\": -1}}",
         "Parameter 'value' expects a size"},
        {"{\"execute\": \"human-monitor-command\"}",
         "Parameter 'command-line' is missing"},
        {"{\"execute\": \"human-monitor-command\", \"arguments\": "
         "{\"command-line\": \"info status\", \"cpu-index\": 1}}",
         "Parameter 'cpu-index' expects a CPU number"},
        {"{\"execute\": \"human-monitor-command\", \"arguments\": "
         "{\"command-line\": \"info status\", \"cpu-index\": -1}}",
         "Parameter 'cpu-index' expects a CPU number"},
        {"{\"execute\": \"memsave\", \"arguments\": {\"val\": 0, \"size\": 1, "
         "\"filename\": \"/dev/null\", \"cpu-index\": 7}}",
         "Parameter 'cpu-index' expects a CPU number"},
        {"{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 0, \"size\": 16, "
         "\"filename\": \"/nonexistent/pm\"}}",
         "Could not open '/nonexistent/pm': No such file or directory"},
        {"{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 0, \"size\": 16, "
         "\"filename\": \"/dev/null\"}}",
         "Invalid addr 0x0000000000000000/size 16 specified"},
    };
    Machine *m = hw_machine(MIB, 1);

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
        expect_error(m, cases[i].text, "GenericError", cases[i].desc);
    expect_error(m, "{\"execute\": \"nosuch\"}", "CommandNotFound",
                 "The command nosuch has not been found");
    expect_error(m, "{\"execute\": \"query-balloon\"}", "DeviceNotActive",
                 "No balloon device has been activated");
    hw_machine_free(m);
}

Test(qmp, queries)
{
    Machine *m = hw_machine(MIB, 1);

    expect(m, "{\"execute\": \"query-status\", \"id\": {\"a\": [1, null]}}",
           "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, "
           "\"running\": false}, \"id\": {\"a\": [1, null]}}");
    expect(m, "{\"execute\": \"query-kvm\"}",
           "{\"return\": {\"enabled\": false, \"present\": false}}");
    expect(m, "{\"execute\": \"query-target\"}",
           "{\"return\": {\"arch\": \"riscv64\"}}");
    expect(m, "{\"execute\": \"query-memory-size-summary\"}",
           "{\"return\": {\"base-memory\": 1048576}}");
    expect(m, "{\"execute\": \"query-cpus-fast\"}",
           "{\"return\": [{\"thread-id\": 0, \"props\": {\"core-id\": 0}, "
           "\"qom-path\": \"/machine/soc0/harts[0]\", \"cpu-index\": 0, "
           "\"target\": \"riscv64\"}]}");
    expect(m, "{\"execute\": \"query-block\"}", "{\"return\": []}");
    expect(m, "{\"execute\": \"query-chardev\"}", "{\"return\": []}");
    expect(m,
           "{\"execute\": \"human-monitor-command\", \"arguments\": "
           "{\"command-line\": \"info status\"}}",
           "{\"return\": \"VM status: paused (prelaunch)\\r\\n\"}");
    expect(m, "{\"execute\": \"cont\"}", "{\"return\": {}}");
    cr_expect_eq(m->run, RUN_RUNNING);
    expect(m, "{\"execute\": \"stop\"}", "{\"return\": {}}");
    cr_expect_eq(m->run, RUN_PAUSED);
    expect(m, "{\"execute\": \"quit\"}", "{\"return\": {}}");
    cr_expect(m->quit);
    hw_machine_free(m);
}

/* Every command that query-commands lists is there, and none takes unknown members. */
Test(qmp, all_commands)
{
    static const char list[] = "{\"execute\": \"query-commands\"}";
    Machine *m = hw_machine(MIB, 1);
    bool agreed = true;
    json_t *reply = qmp_answer(m, &agreed, list, strlen(list)),
           *all = json_object_get(reply, "return");

    cr_assert_gt(json_array_size(all), 20);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name =
            json_string_value(json_object_get(json_array_get(all, i), "name"));
        char *text = g_strdup_printf(
            "{\"execute\": \"%s\", \"arguments\": {\"value\": 1, \"val\": 1, \"size\": "
            "1, \"filename\": \"\", \"command-line\": \"\", \"zz\": 1}}",
            name);
        json_t *got = qmp_answer(m, &agreed, text, strlen(text));
        const char *desc =
            json_string_value(json_object_get(json_object_get(got, "error"), "desc"));

        cr_expect(desc && g_str_has_suffix(desc, "is unexpected"), "%s: %s", name,
                  desc);
        json_decref(got);
        g_free(text);
    }
    json_decref(reply);
    hw_machine_free(m);
}

Test(qmp, negotiation)
{
    static const struct {
        const char *text, *desc;
        bool agreed;
    } steps[] = {
        {"{\"execute\": \"query-status\"}",
         "Expecting capabilities negotiation with 'qmp_capabilities'", false},
        {"{\"execute\": \"nosuch\"}",
         "Expecting capabilities negotiation with 'qmp_capabilities'", false},
        {"{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
         "Capability oob not available", false},
        {"{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": \"oob\"}}",
         "Invalid parameter type for 'enable', expected: array", false},
        {"{\"execute\": \"qmp_capabilities\"}", NULL, true},
        {"{\"execute\": \"qmp_capabilities\"}",
         "Capabilities negotiation is already complete, command ignored", true},
        {"{\"execute\": \"query-status\"}", NULL, true},
    };
    Machine *m = hw_machine(MIB, 1);
    bool agreed = false;

    for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
        json_t *got = qmp_answer(m, &agreed, steps[i].text, strlen(steps[i].text));
        const char *desc =
            json_string_value(json_object_get(json_object_get(got, "error"), "desc"));

        cr_expect_eq(agreed, steps[i].agreed, "step %u", i);
        cr_expect_eq(!desc, !steps[i].desc, "step %u: %s", i, desc);
        if (desc && steps[i].desc)
            cr_expect_str_eq(desc, steps[i].desc);
        json_decref(got);
    }
    hw_machine_free(m);
}

/* ---- bytes that are nearly right ---- */

static void random_message(GRand *r, GString *text)
{
    static const char *const parts[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "\"",
                                        "'",
                                        "\\",
                                        "\\u00",
                                        "\\ud800",
                                        "\"execute\"",
                                        "1",
                                        "1e999",
                                        "-0",
                                        "null",
                                        "true",
                                        "\"query-block\"",
                                        " ",
                                        "\n",
                                        "\"arguments\"",
                                        "\"id\"",
                                        "99999999999999999999",
                                        "\"human-monitor-command\"",
                                        "\"command-line\""};
    u32 n = (u32)g_rand_int_range(r, 1, 40);

    g_string_assign(text, g_rand_int_range(r, 0, 2) ? "{\"execute\":" : "");
    for (u32 i = 0; i < n; i++) {
        if (g_rand_int_range(r, 0, 8))
            g_string_append(text, parts[g_rand_int_range(r, 0, ARRAY_SIZE(parts))]);
        else
            g_string_append_c(text, (char)g_rand_int_range(r, 0, 256));
    }
}

Test(qmp, random_bytes)
{
    GRand *rand = g_rand_new_with_seed(6);
    GString *text = g_string_new(NULL);
    Machine *m = hw_machine(MIB, 1);
    bool agreed = true;
    u32 messages = 0;
    QmpReader r;

    qmp_reader_init(&r);
    for (u32 i = 0; i < 20000; i++) {
        random_message(rand, text);
        for (size_t at = 0; at < text->len; at++) {
            json_t *reply;

            if (qmp_reader_put(&r, (u8)text->str[at]) != QMP_MESSAGE)
                continue;
            reply = qmp_answer(m, &agreed, r.text->str, r.text->len);
            cr_assert(json_is_object(reply));
            json_decref(reply);
            messages++;
        }
    }
    cr_expect_gt(messages, 1000);
    qmp_reader_free(&r);
    g_string_free(text, TRUE);
    hw_machine_free(m);
    g_rand_free(rand);
}
