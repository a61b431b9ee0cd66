/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing a disk, straight from and to the guest's memory.  An overlay is a
 * file without a name, as large as the disk and full of holes: a bit says of each page
 * whether it is there or still beneath.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "disk.h"

enum { SEGMENTS = 1024, ZEROES = 1 << 16 };

static const u8 zeroes[ZEROES];

static u64 iov_size(const struct iovec *iov, u32 n)
{
    u64 size = 0;

    for (u32 i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

/* ---- one file ---- */

/* The segments of [skip, skip+len) of iov. */
static u32 iov_part(const struct iovec *iov, u64 skip, u64 len, struct iovec *part)
{
    u32 n = 0;

    for (; skip >= iov->iov_len; iov++)
        skip -= iov->iov_len;
    for (; len; iov++, skip = 0) {
        part[n].iov_base = (u8 *)iov->iov_base + skip;
        part[n].iov_len = MIN(iov->iov_len - skip, len);
        len -= part[n++].iov_len;
    }
    return n;
}

typedef struct Transfer {
    const struct iovec *iov;
    u64 skip, len; /* bytes of it */
    u64 offset;    /* in the file */
    bool write;
    int flags; /* RWF_* */
} Transfer;

static ssize_t transfer_some(int fd, const Transfer *t)
{
    struct iovec part[SEGMENTS];
    u32 n = iov_part(t->iov, t->skip, t->len, part);
    ssize_t done;

    do
        done = t->write ? pwritev2(fd, part, n, t->offset, t->flags)
                        : preadv(fd, part, n, t->offset);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

/* All of it; behind the end of the file are zeroes. */
static int transfer(const Disk *d, int fd, Transfer t)
{
    while (t.len) {
        ssize_t done = transfer_some(fd, &t);

        if (done < 0)
            return done;
        if (!done && (t.write || fd == d->zero))
            return -EIO;
        if (!done)
            fd = d->zero;
        t.skip += done;
        t.len -= done;
        t.offset += done;
    }
    return 0;
}

/* ---- the overlay ---- */

static bool is_written(const Disk *d, u64 page)
{
    return d->written[page / 8] >> page % 8 & 1;
}

static void set_written(Disk *d, u64 offset, u64 len)
{
    for (u64 page = offset / PAGE_SIZE; page * PAGE_SIZE < offset + len; page++)
        d->written[page / 8] |= 1 << page % 8;
}

/* Bytes from offset on, at most len, that are all in the overlay, or all not. */
static u64 overlay_run(const Disk *d, u64 offset, u64 len)
{
    u64 page = offset / PAGE_SIZE, end = (page + 1) * PAGE_SIZE;
    bool written = is_written(d, page);

    while (end < offset + len && is_written(d, ++page) == written)
        end += PAGE_SIZE;
    return MIN(end - offset, len);
}

static int overlay_read(const Disk *d, Transfer t)
{
    u64 left = t.len;
    int error = 0;

    while (left && !error) {
        t.len = overlay_run(d, t.offset, left);
        error =
            transfer(d, is_written(d, t.offset / PAGE_SIZE) ? d->overlay : d->fd, t);
        t.skip += t.len;
        t.offset += t.len;
        left -= t.len;
    }
    return error;
}

/* The page that has a part of it written: the rest is taken from beneath. */
static int overlay_fill(Disk *d, u64 offset)
{
    u8 bytes[PAGE_SIZE];
    const struct iovec iov = {bytes, sizeof bytes};
    Transfer t = {
        .iov = &iov, .len = sizeof bytes, .offset = align_down(offset, PAGE_SIZE)};
    int error;

    if (!(offset % PAGE_SIZE) || is_written(d, offset / PAGE_SIZE))
        return 0;
    error = transfer(d, d->fd, t);
    t.write = true;
    if (!error)
        error = transfer(d, d->overlay, t);
    if (!error)
        set_written(d, t.offset, t.len);
    return error;
}

static int overlay_write(Disk *d, Transfer t)
{
    int error = overlay_fill(d, t.offset);

    if (!error)
        error = overlay_fill(d, t.offset + t.len);
    if (!error)
        error = transfer(d, d->overlay, t);
    if (!error)
        set_written(d, t.offset, t.len);
    return error;
}

bool disk_overlay(Disk *d)
{
    const char *dir = getenv("TMPDIR");
    u64 pages = align_up(d->size, PAGE_SIZE) / PAGE_SIZE;

    d->overlay = open(dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (d->overlay < 0 || ftruncate(d->overlay, pages * PAGE_SIZE) < 0)
        return false;
    d->written = g_malloc0(pages / 8 + 1);
    return true;
}

/* ---- zeroes ---- */

/* By the file system; -EOPNOTSUPP: it has no such thing. */
static int punch(int fd, int mode, u64 offset, u64 size)
{
    int done;

    do
        done = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, offset, size);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : 0;
}

static bool unsupported(int error)
{
    return error == -EOPNOTSUPP || error == -ENOSYS || error == -EINVAL ||
           error == -ENODEV;
}

static int write_zeroes(Disk *d, u64 offset, u64 size)
{
    int error = 0;

    while (size && !error) {
        const struct iovec iov = {(u8 *)zeroes, MIN(size, ZEROES)};

        error = disk_write(d, offset, &iov, 1);
        offset += iov.iov_len;
        size -= iov.iov_len;
    }
    return error;
}

/* Pages that are covered become holes of the overlay, what is left at the ends does
 * not. */
static int overlay_zero(Disk *d, u64 offset, u64 size)
{
    u64 start = align_up(offset, PAGE_SIZE), end = align_down(offset + size, PAGE_SIZE);
    int error;

    if (start >= end)
        return write_zeroes(d, offset, size);
    error = write_zeroes(d, offset, start - offset);
    if (!error)
        error = write_zeroes(d, end, offset + size - end);
    if (!error)
        error = punch(d->overlay, FALLOC_FL_PUNCH_HOLE, start, end - start);
    if (unsupported(error))
        return write_zeroes(d, start, end - start);
    if (!error)
        set_written(d, start, end - start);
    return error;
}

/* ---- what devices ask for ---- */

static bool in_range(const Disk *d, u64 offset, u64 size)
{
    return offset <= d->size && size <= d->size - offset;
}

int disk_read(Disk *d, u64 offset, const struct iovec *iov, u32 n)
{
    const Transfer t = {.iov = iov, .len = iov_size(iov, n), .offset = offset};

    if (!in_range(d, offset, t.len))
        return -EINVAL;
    return d->overlay >= 0 ? overlay_read(d, t) : transfer(d, d->fd, t);
}

int disk_write(Disk *d, u64 offset, const struct iovec *iov, u32 n)
{
    Transfer t = {.iov = iov, .len = iov_size(iov, n), .offset = offset, .write = true};

    if (d->read_only)
        return -EROFS;
    if (!in_range(d, offset, t.len))
        return -EINVAL;
    if (d->overlay >= 0)
        return overlay_write(d, t);
    t.flags = d->writethrough && !d->unsafe ? RWF_DSYNC : 0;
    return transfer(d, d->fd, t);
}

/* The host says once that it could not write something: it stays lost. */
int disk_flush(Disk *d)
{
    if (d->read_only || d->unsafe || d->overlay >= 0)
        return 0;
    if (!d->lost && fdatasync(d->fd) < 0 && errno != EROFS && errno != EINVAL)
        d->lost = true;
    return d->lost ? -EIO : 0;
}

int disk_discard(Disk *d, u64 offset, u64 size)
{
    int error;

    if (d->read_only)
        return -EROFS;
    if (!in_range(d, offset, size))
        return -EINVAL;
    if (!d->unmap || !size)
        return 0;
    if (d->overlay >= 0)
        return overlay_zero(d, offset, size);
    error = punch(d->fd, FALLOC_FL_PUNCH_HOLE, offset, size);
    return unsupported(error) ? 0 : error;
}

int disk_zero(Disk *d, u64 offset, u64 size, bool unmap)
{
    int error = -EOPNOTSUPP;

    if (d->read_only)
        return -EROFS;
    if (!in_range(d, offset, size))
        return -EINVAL;
    if (!size)
        return 0;
    if (d->overlay >= 0)
        return overlay_zero(d, offset, size);
    if (unmap && d->unmap)
        error = punch(d->fd, FALLOC_FL_PUNCH_HOLE, offset, size);
    if (unsupported(error))
        error = punch(d->fd, FALLOC_FL_ZERO_RANGE, offset, size);
    if (unsupported(error))
        return write_zeroes(d, offset, size);
    return !error && d->writethrough ? disk_flush(d) : error;
}

/* ---- saved and loaded ---- */

static bool overlay_page(Disk *d, u64 page, u8 *bytes, bool write)
{
    const struct iovec iov = {bytes, PAGE_SIZE};
    const Transfer t = {
        .iov = &iov, .len = PAGE_SIZE, .offset = page * PAGE_SIZE, .write = write};

    return !transfer(d, d->overlay, t);
}

static void overlay_save(Disk *d, State *s)
{
    u64 pages = align_up(d->size, PAGE_SIZE) / PAGE_SIZE, end = ~0ull;
    u8 bytes[PAGE_SIZE];

    for (u64 page = 0; page < pages; page++)
        if (is_written(d, page)) {
            if (!overlay_page(d, page, bytes, false))
                state_refuse(s, "the overlay of a disk cannot be read");
            state_u64(s, &page);
            state_bytes(s, bytes, sizeof bytes);
        }
    state_u64(s, &end);
}

static void overlay_load(Disk *d, State *s)
{
    u64 pages = align_up(d->size, PAGE_SIZE) / PAGE_SIZE, page;
    u8 bytes[PAGE_SIZE];

    memset(d->written, 0, pages / 8 + 1);
    for (;;) {
        state_u64(s, &page);
        if (s->error || page == ~0ull)
            return;
        state_bytes(s, bytes, sizeof bytes);
        if (page >= pages || s->error || !overlay_page(d, page, bytes, true)) {
            state_refuse(s, "an overlay that does not fit the disk");
            return;
        }
        set_written(d, page * PAGE_SIZE, PAGE_SIZE);
    }
}

void disk_state(Disk *d, State *s)
{
    u64 size = d->size;
    bool overlay = d->overlay >= 0;

    state_u64(s, &size);
    state_bool(s, &overlay);
    if (size != d->size || overlay != (d->overlay >= 0))
        state_refuse(s, "a disk of another size, or with snapshot= otherwise");
    else if (overlay && s->loading)
        overlay_load(d, s);
    else if (overlay)
        overlay_save(d, s);
}
