/* SPDX-License-Identifier: MIT */
/*
 * Disks by their -drive: which file, opened how, and locked as QEMU locks it, so that
 * no image is written by two at once whatever they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "disk.h"

/* ---- locks on bytes of the file, as QEMU's block layer has them ---- */

enum {
    BYTE_USES = 100,  /* + what: this process does that */
    BYTE_ALONE = 200, /* + what: nobody else may */
    BYTE_READ = 0,
    BYTE_WRITE = 1,
    BYTE_RESIZE = 3,
};

static bool lock(int fd, u32 byte)
{
    struct flock l = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return !fcntl(fd, F_OFD_SETLK, &l) || (errno != EAGAIN && errno != EACCES);
}

/* Has another open file locked the byte? */
static bool locked(int fd, u32 byte)
{
    struct flock l = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

/* We read, perhaps write, and want nobody else to write.  False: somebody minds. */
static bool disk_lock(const Disk *d, bool write)
{
    bool ok =
        lock(d->fd, BYTE_USES + BYTE_READ) && lock(d->fd, BYTE_ALONE + BYTE_WRITE);

    if (write)
        ok = ok && lock(d->fd, BYTE_USES + BYTE_WRITE) &&
             lock(d->fd, BYTE_USES + BYTE_RESIZE);
    return ok && !locked(d->fd, BYTE_USES + BYTE_WRITE) &&
           !locked(d->fd, BYTE_ALONE + BYTE_READ) &&
           !(write && (locked(d->fd, BYTE_ALONE + BYTE_WRITE) ||
                       locked(d->fd, BYTE_ALONE + BYTE_RESIZE)));
}

/* ---- the list ---- */

typedef struct Drive {
    const char *file, *interface, *id;
    bool read_only, snapshot, unlocked, any_format;
} Drive;

static bool bad(char **error, const char *key, const char *value, const char *wanted)
{
    *error = g_strdup_printf("%s=%s: wanted %s", key, value, wanted);
    return false;
}

/* Index of the key's value among words, separated by '|'; absent: first.  -1: *error.
 */
static int choice(Props *p, const char *key, const char *words, char **error)
{
    const char *value = props_get(p, key);
    char **word = g_strsplit(words, "|", -1);
    int found = value ? -1 : 0;

    for (int i = 0; value && word[i] && found < 0; i++)
        if (!strcmp(word[i], value))
            found = i;
    g_strfreev(word);
    if (found < 0)
        bad(error, key, value, words);
    return found;
}

static bool cache_set(Disk *d, Props *p, char **error)
{
    enum { WRITEBACK, NONE, WRITETHROUGH, DIRECTSYNC, UNSAFE };
    int cache =
        choice(p, "cache", "writeback|none|writethrough|directsync|unsafe", error);

    d->writethrough = cache == WRITETHROUGH || cache == DIRECTSYNC;
    d->unsafe = cache == UNSAFE;
    return cache >= 0;
}

static bool errors_set(Disk *d, Props *p, char **error)
{
    const char *const words = "report|ignore|stop|enospc";
    int on_write = choice(p, "werror", words, error);
    int on_read = on_write < 0 ? -1 : choice(p, "rerror", "report|ignore|stop", error);

    d->on_write = MAX(on_write, 0);
    d->on_read = MAX(on_read, 0);
    return on_read >= 0;
}

/* Keys that say how QEMU goes about it; they change nothing that a guest can see. */
static bool others_known(Props *p, char **error)
{
    u64 number;

    return choice(p, "aio", "threads|native|io_uring", error) >= 0 &&
           choice(p, "detect-zeroes", "off|on|unmap", error) >= 0 &&
           props_u64(p, "index", &number, error) &&
           props_u64(p, "unit", &number, error) && props_u64(p, "bus", &number, error);
}

static bool drive_parse(Disk *d, Drive *drive, Props *p, char **error)
{
    int discard, media, locking;

    drive->file = props_get(p, "file");
    drive->id = props_get(p, "id");
    if (!drive->file)
        *error = g_strdup("file=PATH is missing");
    if (!drive->file || choice(p, "format", "raw", error) < 0 ||
        (discard = choice(p, "discard", "ignore|off|unmap|on", error)) < 0 ||
        (media = choice(p, "media", "disk|cdrom", error)) < 0 ||
        (locking = choice(p, "file.locking", "auto|on|off", error)) < 0 ||
        !props_bool(p, "readonly", &drive->read_only, error) ||
        !props_bool(p, "read-only", &drive->read_only, error) ||
        !props_bool(p, "snapshot", &drive->snapshot, error) ||
        !cache_set(d, p, error) || !errors_set(d, p, error) || !others_known(p, error))
        return false;
    drive->any_format = !props_get(p, "format");
    drive->unlocked = locking == 2;
    drive->read_only |= media == 1;
    d->unmap = discard >= 2;
    if (props_unused(p))
        *error = g_strdup_printf("no such property: %s", props_unused(p));
    return !props_unused(p);
}

/* ---- the file ---- */

static bool refuse(const Disk *d, const char *why, char **error)
{
    *error = g_strdup_printf("%s: %s", d->path, why);
    return false;
}

/* Its size; a file's last sector may be a part of one. */
static bool disk_measure(Disk *d, char **error)
{
    struct stat st;

    if (fstat(d->fd, &st) < 0)
        return refuse(d, g_strerror(errno), error);
    if (S_ISDIR(st.st_mode))
        return refuse(d, "is a directory", error);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return refuse(d, "neither a file nor a block device", error);
    if (S_ISREG(st.st_mode))
        d->size = st.st_size;
    else if (ioctl(d->fd, BLKGETSIZE64, &d->size) < 0)
        return refuse(d, g_strerror(errno), error);
    d->size = align_up(d->size, DISK_SECTOR);
    return true;
}

/* An image of another format, taken for a raw one, would be spoilt. */
static bool looks_raw(const Disk *d, char **error)
{
    static const char *const magics[] = {"QFI\xfb", "KDMV", "COWD", "vhdxfile", "QED"};
    char start[8] = "";

    if (pread(d->fd, start, sizeof start, 0) < 0)
        return refuse(d, g_strerror(errno), error);
    for (u32 i = 0; i < G_N_ELEMENTS(magics); i++)
        if (!strncmp(start, magics[i], strlen(magics[i])))
            return refuse(d, "not a raw image (format=raw: take it for one)", error);
    return true;
}

static bool disk_open(Disk *d, const Drive *drive, char **error)
{
    bool write = !drive->read_only && !drive->snapshot;

    d->path = g_strdup(drive->file);
    d->read_only = drive->read_only;
    /* A FIFO or a terminal is not to keep us waiting. */
    d->fd =
        open(d->path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (d->fd < 0)
        return refuse(d, errno == EISDIR ? "is a directory" : g_strerror(errno), error);
    if (!disk_measure(d, error) || (drive->any_format && !looks_raw(d, error)))
        return false;
    if (!drive->unlocked && !disk_lock(d, write))
        return refuse(d,
                      write ? "is in use by another process"
                            : "is being written by another process",
                      error);
    d->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (d->zero < 0 || (drive->snapshot && !drive->read_only && !disk_overlay(d)))
        return refuse(d, g_strerror(errno), error);
    return true;
}

/* ---- as a device ---- */

static void close_files(Disk *d)
{
    const int fd[] = {d->fd, d->overlay, d->zero};

    for (u32 i = 0; i < G_N_ELEMENTS(fd); i++)
        if (fd[i] >= 0)
            close(fd[i]);
    g_free(d->written);
    g_free(d->path);
    g_free(d->device.id);
    g_free(d);
}

void disk_close(Disk *d)
{
    g_ptr_array_remove(d->device.machine->devices, d);
    close_files(d);
}

static void device_free(Device *d)
{
    Disk *disk = (Disk *)d;

    if (!disk->taken)
        close_files(disk);
}

static void device_state(Device *d, State *s) { disk_state((Disk *)d, s); }

static void device_info(const Device *d, GString *out)
{
    const Disk *disk = (const Disk *)d;

    g_string_append_printf(out, "%s: %s (raw%s%s) %llu bytes\n", d->id, disk->path,
                           disk->read_only ? ", read-only" : "",
                           disk->overlay >= 0 ? ", snapshot" : "",
                           (unsigned long long)disk->size);
}

static const DeviceType drive_type = {
    .name = "drive", .state = device_state, .info = device_info, .free = device_free};

/* "virtio0", as QEMU calls the first without an id. */
static char *id_make(Machine *m, const char *interface)
{
    char *id = NULL;

    for (u32 i = 0; !id || device_find(m, drive_type.name, id); i++) {
        g_free(id);
        id = g_strdup_printf("%s%u", interface, i);
    }
    return id;
}

Disk *disk_take(Machine *m, const char *id, char **error)
{
    Disk *d = (Disk *)device_find(m, drive_type.name, id);

    if (!d || d->taken) {
        *error = g_strdup_printf(d ? "drive %s is in use by another device"
                                   : "there is no -drive with id=%s",
                                 id);
        return NULL;
    }
    d->taken = true;
    return d;
}

bool disk_nth(const Machine *m, u32 n, DiskInfo *info)
{
    const Disk *d = NULL;
    struct stat st = {0};

    for (u32 i = 0; i < m->devices->len && !d; i++) {
        const Device *device = m->devices->pdata[i];

        if (device->type == &drive_type && !n--)
            d = (const Disk *)device;
    }
    if (!d)
        return false;
    fstat(d->fd, &st);
    *info = (DiskInfo){.id = d->device.id,
                       .file = d->path,
                       .size = d->size,
                       .allocated = (u64)st.st_blocks * 512,
                       .read_only = d->read_only,
                       .snapshot = d->overlay >= 0,
                       .used = d->taken};
    return true;
}

static bool drive_open(Machine *m, Props *p, Drive *drive, char **error)
{
    Disk *d = g_new0(Disk, 1);
    bool ok;

    d->fd = d->overlay = d->zero = -1;
    ok = drive_parse(d, drive, p, error);
    if (ok && drive->id && device_find(m, drive_type.name, drive->id))
        ok = bad(error, "id", drive->id, "one that is not taken");
    ok = ok && disk_open(d, drive, error);
    if (!ok) {
        close_files(d);
        return false;
    }
    d->device.id = drive->id ? g_strdup(drive->id) : id_make(m, drive->interface);
    drive->id = d->device.id;
    return device_add(m, &d->device, &drive_type, 0, 0);
}

static bool device_for(Machine *m, const Drive *drive, char **error)
{
    char **part = g_strsplit(drive->id, ",", -1), *id = g_strjoinv(",,", part);
    char *spec = g_strdup_printf("virtio-blk-device,drive=%s", id);
    bool ok = devices_add(m, spec, error);

    g_free(spec);
    g_free(id);
    g_strfreev(part);
    return ok;
}

bool disk_add(Machine *m, const char *spec, char **error)
{
    enum { NONE, VIRTIO, PFLASH };
    Props *p = props_parse(spec, "file");
    Drive drive = {.snapshot = m->options->snapshot};
    char *why = NULL;
    int interface = choice(p, "if", "none|virtio|pflash", &why);
    bool ok = interface >= 0;

    drive.interface = interface == VIRTIO ? "virtio" : "none";
    if (ok && interface != PFLASH) /* the board's bank reads it itself */
        ok = drive_open(m, p, &drive, &why) &&
             (interface != VIRTIO || device_for(m, &drive, &why));
    if (!ok)
        *error = g_strdup_printf("-drive %s: %s", spec, why);
    g_free(why);
    props_free(p);
    return ok;
}
