/* SPDX-License-Identifier: MIT */
/* Disks: files, read-only or not, and overlays that are thrown away.  No lock is needed
 * to read and write; calls block, and belong to a device's worker thread. */
#ifndef TESSERA_DISK_H
#define TESSERA_DISK_H

#include "hw.h"

typedef struct Disk Disk;

/* From -drive's list (file, if, format=raw, readonly, snapshot, id, discard, cache,
 * werror, index): one line of *error, or a disk that virtio-blk's drive=ID finds. */
bool disk_add(Machine *m, const char *drive, char **error);
Disk *disk_find(Machine *m, const char *id); /* not taken yet; takes it */

u64 disk_size(const Disk *d); /* bytes */
bool disk_read_only(const Disk *d);
/* All of it, or -errno. */
int disk_read(Disk *d, u64 offset, const struct iovec *iov, u32 n);
int disk_write(Disk *d, u64 offset, const struct iovec *iov, u32 n);
int disk_flush(Disk *d); /* what was written before is on the medium */
int disk_discard(Disk *d, u64 offset, u64 size, bool zeroes); /* reads as zeroes then */

/* For monitors; false: there are no n+1. */
typedef struct DiskInfo {
    const char *id, *file;
    u64 size, allocated; /* bytes; on the host's disk */
    bool read_only, snapshot, used;
} DiskInfo;
bool disk_nth(const Machine *m, u32 n, DiskInfo *info);

#endif
