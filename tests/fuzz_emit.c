/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz emit
 *
 * Random blocks of micro-ops as in test_emit, but the input decides: libFuzzer looks
 * for blocks that take new ways through the emitter and the passes.
 */
#include "emit_case.h"
#include "fuzz.h"

static Case trial;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    trial.ir = ir_new();
    run_init();
    return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const char *why;

    case_make_from(&trial, data, size);
    fuzz_demand(ir_verify(trial.ir, &why), "%s", why);
    if (trial.set == &stencils_v3 && stencils_pick(false) != &stencils_v3)
        return 0;
    if (!case_agrees(&trial, &why)) {
        case_print(&trial);
        ir_dump(stdout, trial.ir);
        fflush(stdout);
        fuzz_demand(false, "%s", why);
    }
    return 0;
}
