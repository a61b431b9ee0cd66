/* SPDX-License-Identifier: MIT */
/*
 * Disks: raw files and block devices, read-only or not, and overlays of them that are
 * thrown away.  Reading and writing need no lock, but one thread at a time: they block,
 * and belong to a device's worker thread.
 */
#ifndef TESSERA_DISK_H
#define TESSERA_DISK_H

#include "hw.h"

typedef struct Disk Disk;

enum { DISK_SECTOR = 512 };

/* What to do when the host fails (werror=, rerror=). */
typedef enum DiskError { DISK_REPORT, DISK_IGNORE, DISK_STOP, DISK_ENOSPC } DiskError;

struct Disk {
    Device device; /* no registers; its id is the -drive's */
    char *path;
    int fd, overlay, zero; /* overlay: -1: none; zero: reads as zeroes for ever */
    u64 size;              /* bytes, a multiple of DISK_SECTOR */
    u8 *written;           /* a bit for each page that is in the overlay */
    bool taken, read_only, unmap, unsafe;
    bool lost; /* a flush has failed: what the host forgot then it may not say again */
    _Atomic bool writethrough;
    DiskError on_read, on_write;
};

/* ---- disk.c ---- */

/* From -drive's list (file, if, format=raw, readonly, snapshot, id, discard, cache,
 * werror, index): one line of *error, or a disk that virtio-blk's drive=ID finds. */
bool disk_add(Machine *m, const char *drive, char **error);
/* The disk, which nobody else has then.  NULL: *error. */
Disk *disk_take(Machine *m, const char *id, char **error);
void disk_close(Disk *d); /* by who took it */

/* ---- disk_io.c: 0, or -errno; guest memory that cannot be written now: -EFAULT ----
 */

int disk_read(Disk *d, u64 offset, const struct iovec *iov, u32 n); /* n <= 1024 */
int disk_write(Disk *d, u64 offset, const struct iovec *iov, u32 n);
int disk_flush(Disk *d); /* what was written before is on the medium */
int disk_discard(Disk *d, u64 offset, u64 size); /* what is there is not needed */
int disk_zero(Disk *d, u64 offset, u64 size, bool unmap);
/* What the overlay holds. */
void disk_state(Disk *d, State *s);
/* Pages of the overlay, and an empty one for a disk of so many bytes.  False: errno. */
bool disk_overlay(Disk *d);

/* For monitors; false: there are no n+1. */
typedef struct DiskInfo {
    const char *id, *file;
    u64 size, allocated; /* bytes; on the host's disk */
    bool read_only, snapshot, used;
} DiskInfo;
bool disk_nth(const Machine *m, u32 n, DiskInfo *info);

#endif
