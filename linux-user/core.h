/* SPDX-License-Identifier: MIT */
/* What core.c (when, and under which name) and core_file.c (what) share. */
#ifndef TESSERA_CORE_H
#define TESSERA_CORE_H

#include "user.h"

/* The name that a pattern (core(5)) stands for; for g_free. */
char *core_name(const Task *t, int sig, const char *pattern);
/* Writes the file, at most limit bytes of it; false: could not. */
bool core_write(Task *t, const siginfo_t *info, const char *name, u64 limit);

#endif
