/* SPDX-License-Identifier: MIT */
/* What is not there yet, and refuses or is left out; each line goes with its part. */
#include "board.h"

static bool refuse(const char *what, char **error)
{
    *error = g_strdup_printf("%s: not there yet", what);
    return false;
}

bool sandbox_enter(Machine *m, char **error) { return refuse("-sandbox", error); }
