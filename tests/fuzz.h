/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz_*.c share: each is a libFuzzer program that tests/fuzz builds and
 * runs.  Input is never to crash, hang or leave something behind that is not what the
 * door's comments promise; fuzz_demand says so.
 */
#ifndef TESSERA_FUZZ_H
#define TESSERA_FUZZ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../microops/base.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define fuzz_demand(cond, ...) ((cond) ? (void)0 : fuzz_broken(#cond, __VA_ARGS__))

PRINTF(2, 3) static inline void fuzz_broken(const char *cond, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "not so: %s: ", cond);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* The next n bytes of the input, zero where it has ended. */
static inline void fuzz_take(const u8 **data, size_t *size, void *to, size_t n)
{
    size_t have = MIN(n, *size);

    memset(to, 0, n);
    memcpy(to, *data, have);
    *data += have;
    *size -= have;
}

/*
 * What ends the program (fatal, exit) ends the input instead while fuzz_inside is set;
 * --wrap makes these the functions that the product calls.
 */
static jmp_buf fuzz_end;
static bool fuzz_inside;

_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);
_Noreturn void __wrap_fatal(int status, const char *format, ...);

_Noreturn void __wrap_exit(int status)
{
    if (!fuzz_inside)
        __real_exit(status);
    longjmp(fuzz_end, 1);
}

_Noreturn void __wrap_fatal(int status, const char *format, ...)
{
    char line[4096];
    va_list args;

    va_start(args, format); /* what it would print must be printable, too */
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    __wrap_exit(status);
}

#endif
