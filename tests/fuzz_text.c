/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz text
 *
 * What people type: the command line, -d's items and -dfilter's ranges.  The input is
 * one argument a line.  An accepted range must be one that log_wants agrees with.
 */
#include "../linux-user/user.h"
#include "fuzz.h"

enum { ARGS = 32, TEXT = 1024 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    return freopen("/dev/null", "w", stdout) ? 0 : 1;
}

static size_t split(char *text, char **argv)
{
    size_t n = 1;

    argv[0] = "tessera";
    for (char *rest = NULL, *s = strtok_r(text, "\n", &rest); s && n < ARGS;
         s = strtok_r(NULL, "\n", &rest))
        argv[n++] = s;
    argv[n] = NULL;
    return n;
}

/* Both ways round: what options_argv writes is read as the same. */
static void check_again(const Options *o)
{
    Options again = {0};
    size_t n;
    char **argv = options_argv(o, 2, &n);

    argv[n++] = "program";
    argv[n] = NULL;
    options_parse(&again, &abi_riscv64, (int)n, argv);
    fuzz_demand(again.tb_size == o->tb_size && again.reserve == o->reserve &&
                    again.stack_size == o->stack_size && again.seed == o->seed &&
                    again.one_insn == o->one_insn && again.strace == o->strace &&
                    !again.log_items == !o->log_items,
                "options differ");
    free(argv);
}

static void check_filter(const char *text)
{
    if (log_set_filter(text) && strchr("0123456789", *text))
        fuzz_demand(log_wants(strtoull(text, NULL, 0)), "%s does not hold its start",
                    text);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static char text[TEXT + 1];
    static Options o;
    char *argv[ARGS + 1];
    const char *bad;
    size_t n = MIN(size, TEXT);

    memcpy(text, data, n);
    text[n] = 0;
    n = split(text, argv);
    memset(&o, 0, sizeof o);
    fuzz_inside = true;
    if (!setjmp(fuzz_end)) {
        options_parse(&o, &abi_riscv64, (int)n, argv);
        fuzz_demand(o.program && o.args, "no program");
        check_again(&o);
        if (o.log_items)
            log_set_items(o.log_items, &bad);
    }
    if (!setjmp(fuzz_end) && n > 1) {
        check_filter(argv[1]);
        log_set_items(argv[1], &bad);
    }
    fuzz_inside = false;
    log_mask = 0;
    for (size_t i = 0; i < o.n_set_env; i++)
        free(o.set_env[i]);
    free(o.set_env);
    return 0;
}
