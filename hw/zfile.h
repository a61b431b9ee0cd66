/* SPDX-License-Identifier: MIT */
/* A file that is one checksummed zstd frame, written or read from start to end. */
#ifndef TESSERA_ZFILE_H
#define TESSERA_ZFILE_H

#include "../microops/base.h"

typedef struct ZFile ZFile;

ZFile *zfile_create(const char *path, char **error); /* NULL: *error, one line */
void zfile_write(ZFile *z, const void *bytes, size_t n);
/* False: something went wrong since it was created; it is freed, and synced if not. */
bool zfile_close(ZFile *z, char **error);

ZFile *zfile_open(const char *path, char **error);
bool zfile_read(ZFile *z, void *bytes, size_t n); /* all n; false: cannot */
bool zfile_ends(ZFile *z);                        /* nothing follows, and it is whole */
bool zfile_rewind(ZFile *z);
void zfile_free(ZFile *z); /* of one that was opened */

#endif
