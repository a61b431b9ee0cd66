/* SPDX-License-Identifier: MIT */
/*
 * Host folders that a guest sees through 9P.  Each path a guest names is resolved by
 * the host's kernel beneath the folder (openat2), without following any symbolic link:
 * what links mean is the guest's business, and a folder that is swapped for one
 * meanwhile is refused.  Paths are relative to the folder, "" is itself.
 */
#ifndef TESSERA_FS_H
#define TESSERA_FS_H

#include <sys/stat.h>
#include "hw.h"

typedef struct Fs {
    Device device; /* no registers; its id is the -fsdev's */
    char *path;
    int root; /* O_PATH */
    bool read_only;
    bool owners; /* security_model=passthrough: an owner that cannot be set is an error
                  */
    dev_t dev;   /* of the root */
} Fs;

/* ---- fs.c ---- */

extern const DeviceType fs_local;

/* From -fsdev's "local,id=ID,path=PATH,security_model=none,readonly=on". */
bool fs_add(Machine *m, const char *spec, char **error);
Fs *fs_find(const Machine *m, const char *id); /* several devices may show it */

/* ---- all of these: -errno when they fail; any thread ---- */

int fs_open(const Fs *fs, const char *path, int flags, u32 mode); /* a descriptor */
int fs_stat(const Fs *fs, const char *path, struct stat *s);
/* What has been opened with O_PATH, opened: a file or folder, nothing else. */
int fs_reopen(int fd, int flags);
int fs_chmod(int fd, u32 mode); /* fd: O_PATH is enough; no symbolic link */
/* Descriptor of the folder that path is in, and its name there; the root: -EBUSY. */
int fs_parent(const Fs *fs, const char *path, const char **name);
/* Of something new: its mode and owners, as the security model has it. */
int fs_own(const Fs *fs, int fd, u32 mode, u32 uid, u32 gid);

#endif
