/* SPDX-License-Identifier: MIT */
/* beside.c with its data in a page without code. */
#define CELLS_AT (4096 + 2048)
#include "beside.c"
