/* SPDX-License-Identifier: MIT */
/* Host folders that a guest sees through 9P.  Nothing of what the guest asks for leads
 * out of the folder: paths are resolved beneath it by the host's kernel. */
#ifndef TESSERA_FS_H
#define TESSERA_FS_H

#include "hw.h"

typedef struct Fs Fs;

/* ---- fs.c ---- */

/* From -fsdev's "local,id=ID,path=PATH,security_model=none,readonly=on". */
bool fs_add(Machine *m, const char *spec, char **error);
Fs *fs_find(const Machine *m, const char *id); /* several devices may show it */

#endif
