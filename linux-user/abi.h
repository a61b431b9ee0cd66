/* SPDX-License-Identifier: MIT */
/*
 * Facts of the guest kernel's ABI that host headers do not give.  The 64-bit
 * little-endian Linux ABIs share most constants and structures with x86-64; what
 * does not differ is taken from the host's headers.
 */
#ifndef TESSERA_ABI_H
#define TESSERA_ABI_H

#include "../microops/base.h"

/* Kernel-internal limits of execve. */
enum {
    ABI_ARG_STRLEN = 32 * PAGE_SIZE, /* longest argument */
    ABI_SHEBANG = 256,               /* bytes of a #! line */
    ABI_SHEBANG_DEPTH = 5,
};

/* Signal actions: flags (asm-generic/signal-defs.h), the handlers 0 and 1. */
enum { ABI_SIG_DFL = 0, ABI_SIG_IGN = 1, ABI_MINSIGSTKSZ = 2048 };

/* struct rseq, robust lists and clone3 have the host's layout. */

#endif
