/* SPDX-License-Identifier: MIT */
/*
 * A bank of parallel NOR flash with Intel's command set: two 16-bit chips side by side,
 * as QEMU's pflash_cfi01 shows them to its virt board.  Its bytes are a memory file,
 * mapped for us to write and, where the guest has the bank, for CPUs to run code from;
 * they read it as registers, since a command changes what all of it says.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "board.h"

enum {
    BANK_WIDTH = 4, /* bytes */
    CHIP_WIDTH = 2,
    CHIPS = BANK_WIDTH / CHIP_WIDTH,
    SECTOR = 256 << 10, /* of the bank; half of it is in each chip */
    SECTOR_OF_CHIP = SECTOR / CHIPS,
    MANUFACTURER = 0x89,
    DEVICE_ID = 0x18,
    BUFFER_BITS = 11, /* a chip's write buffer's size */
    BUFFER = CHIPS << BUFFER_BITS,
};

enum Command {
    READ_ARRAY = 0x00,
    PROGRAM_OLD = 0x10,
    ERASE = 0x20,
    PROGRAM = 0x40,
    CLEAR_STATUS = 0x50,
    LOCK = 0x60,
    READ_STATUS = 0x70,
    READ_ID = 0x90,
    QUERY = 0x98,
    CONFIRM = 0xd0,
    WRITE_BUFFER = 0xe8,
    RESET = 0xff,
};

/* How far the command at hand has come. */
enum Cycle {
    CYCLE_COMMAND, /* there is none */
    CYCLE_SECOND,
    CYCLE_FIRST_WORD, /* of the write buffer */
    CYCLE_WORDS,
    CYCLE_CONFIRM,
    CYCLES,
};

enum Status {
    STATUS_PROGRAM_ERROR = 0x10,
    STATUS_ERASE_ERROR = 0x20,
    STATUS_READY = 0x80
};

enum { QUERY_SIZE = 0x52 };

typedef struct Flash {
    Device device;
    DeviceType type; /* pflash with its size */
    u64 size;
    u8 *bytes;
    int memory, file; /* file: what is written through to; -1: none */
    bool read_only, failed;
    u8 command, status;
    u8 cycle;
    u16 count; /* of words that the write buffer still takes, less one */
    u64 block; /* that the write buffer is for */
    u8 buffer[BUFFER];
    u8 query[QUERY_SIZE];
} Flash;

static Flash *flash(Device *d) { return (Flash *)d; }

/* ---- the bytes ---- */

/* They have been changed: by what CPUs have made of them as code, and in the file. */
static void changed(Flash *f, u64 offset, u64 len)
{
    cache_host_write(f->device.machine->cache, f->device.base + offset, len);
    if (f->file < 0 || pwrite(f->file, f->bytes + offset, len, offset) == (ssize_t)len)
        return;
    if (!f->failed)
        report("flash: cannot write: %s", strerror(errno));
    f->failed = true;
    f->status |= STATUS_PROGRAM_ERROR;
}

static u64 bytes_read(const Flash *f, u64 offset, u32 width)
{
    u64 value = 0;

    memcpy(&value, f->bytes + offset, width);
    return value;
}

static void program(Flash *f, u64 offset, u64 value, u32 width)
{
    f->status |= STATUS_READY;
    if (f->read_only) {
        f->status |= STATUS_PROGRAM_ERROR;
        return;
    }
    memcpy(f->bytes + offset, &value, width);
    changed(f, offset, width);
}

static void erase(Flash *f, u64 offset)
{
    f->status |= STATUS_READY;
    if (f->read_only) {
        f->status |= STATUS_ERASE_ERROR;
        return;
    }
    offset = align_down(offset, SECTOR);
    memset(f->bytes + offset, 0xff, SECTOR);
    changed(f, offset, SECTOR);
}

/* The first word says where; all must lie in that block. */
static void buffer_write(Flash *f, u64 offset, u64 value, u32 width)
{
    if (f->cycle == CYCLE_FIRST_WORD) {
        f->block = align_down(offset, BUFFER);
        memcpy(f->buffer, f->bytes + f->block, BUFFER);
    }
    if (f->read_only || align_down(offset, BUFFER) != f->block)
        f->status |= STATUS_PROGRAM_ERROR;
    else
        memcpy(f->buffer + (offset - f->block), &value, width);
    f->status |= STATUS_READY;
    f->cycle = f->count-- ? CYCLE_WORDS : CYCLE_CONFIRM;
}

static void buffer_flush(Flash *f)
{
    memcpy(f->bytes + f->block, f->buffer, BUFFER);
    changed(f, f->block, BUFFER);
}

/* ---- what it says of itself ---- */

static void query_u16(Flash *f, u32 at, u16 v)
{
    f->query[at] = (u8)v;
    f->query[at + 1] = v >> 8;
}

/* The common flash interface's table: JEDEC's JESD68.01. */
static void query_fill(Flash *f)
{
    static const u8 voltages_times[] = {0x45, 0x55, 0, 0, 7, 7, 10, 0, 4, 4, 4, 0};
    u8 *q = f->query;

    memcpy(q + 0x10, "QRY\1", 4); /* commands: Intel's */
    q[0x15] = 0x31;               /* where "PRI" is */
    memcpy(q + 0x1b, voltages_times, sizeof voltages_times);
    q[0x27] = __builtin_ctzll(f->size / CHIPS);
    q[0x28] = 2; /* 8 and 16 bits wide */
    q[0x2a] = BUFFER_BITS;
    q[0x2c] = 1; /* kind of sectors: */
    query_u16(f, 0x2d, f->size / SECTOR - 1);
    query_u16(f, 0x2f, SECTOR_OF_CHIP >> 8);
    memcpy(q + 0x31, "PRI10", 5);
    q[0x3f] = 1; /* field of protection */
}

static u32 query_word(const Flash *f, u64 word)
{
    return word < QUERY_SIZE ? f->query[word] : 0;
}

static u32 id_word(const Flash *f, u64 word)
{
    static const u8 id[] = {MANUFACTURER, DEVICE_ID};

    return word % 256 < ARRAY_SIZE(id) ? id[word % 256] : 0;
}

/* The same from each chip. */
static u64 replicate(u64 word, u32 width)
{
    return (word | word << 8 * CHIP_WIDTH) & (~0ull >> (64 - 8 * width));
}

static u64 status_read(const Flash *f, u32 width)
{
    return width > CHIP_WIDTH ? replicate(f->status, width) : f->status;
}

/* ---- registers ---- */

/* What is wider than the bank is two accesses. */
static u64 flash_read(Device *d, u64 offset, u32 width)
{
    Flash *f = flash(d);

    if (f->command == READ_ARRAY)
        return bytes_read(f, offset, width);
    if (width > BANK_WIDTH)
        return flash_read(d, offset, BANK_WIDTH) |
               flash_read(d, offset + BANK_WIDTH, BANK_WIDTH) << 8 * BANK_WIDTH;
    switch (f->command) {
    case READ_ID: return replicate(id_word(f, offset / BANK_WIDTH), width);
    case QUERY: return replicate(query_word(f, offset / BANK_WIDTH), width);
    default: return status_read(f, width);
    }
}

static void read_array(Flash *f)
{
    f->command = READ_ARRAY;
    f->cycle = CYCLE_COMMAND;
}

/* Its first write, which says what is to be done. */
static void command_begin(Flash *f, u64 offset, u8 command)
{
    switch (command) {
    case ERASE: erase(f, offset); break;
    case WRITE_BUFFER: f->status |= STATUS_READY; break;
    case CLEAR_STATUS:
        f->status = 0;
        read_array(f);
        return;
    case READ_STATUS:
    case READ_ID: f->command = command; return;
    case PROGRAM_OLD:
    case PROGRAM:
    case LOCK:
    case QUERY: break;
    default: read_array(f); return;
    }
    f->command = command;
    f->cycle = CYCLE_SECOND;
}

/* It is what it was begun for. */
static void command_confirm(Flash *f, bool confirmed)
{
    if (!confirmed) {
        read_array(f);
        return;
    }
    f->status |= STATUS_READY;
    f->cycle = CYCLE_COMMAND;
}

static void command_second(Flash *f, u64 offset, u64 value, u32 width)
{
    u8 byte = value;

    switch (f->command) {
    case PROGRAM_OLD:
    case PROGRAM:
        program(f, offset, value, width);
        f->cycle = CYCLE_COMMAND;
        break;
    case ERASE: command_confirm(f, byte == CONFIRM); break;
    case WRITE_BUFFER:
        f->count = value & 0xffff;
        f->cycle = CYCLE_FIRST_WORD;
        break;
    case LOCK: command_confirm(f, byte == CONFIRM || byte == 0x01); break;
    case QUERY:
        if (byte == RESET)
            read_array(f);
        break;
    default: read_array(f);
    }
}

static void flash_write(Device *d, u64 offset, u64 value, u32 width)
{
    Flash *f = flash(d);

    bool good;

    if (width > BANK_WIDTH) {
        flash_write(d, offset, (u32)value, BANK_WIDTH);
        flash_write(d, offset + BANK_WIDTH, value >> 8 * BANK_WIDTH, BANK_WIDTH);
        return;
    }
    switch (f->cycle) {
    case CYCLE_COMMAND: command_begin(f, offset, value); break;
    case CYCLE_SECOND: command_second(f, offset, value, width); break;
    case CYCLE_FIRST_WORD:
    case CYCLE_WORDS: buffer_write(f, offset, value, width); break;
    default:
        good = (u8)value == CONFIRM && !(f->status & STATUS_PROGRAM_ERROR);
        if (good)
            buffer_flush(f);
        command_confirm(f, good);
    }
}

static void flash_reset(Device *d)
{
    Flash *f = flash(d);

    read_array(f);
    f->status = STATUS_READY;
    f->count = 0;
}

/* ---- state: what there is of it, sector by sector ---- */

/* Has anything ever been written there?  Looking itself would make pages of it. */
static bool has_bytes(const Flash *f, u64 offset, u64 len)
{
    off_t data = lseek(f->memory, offset, SEEK_DATA);

    return data >= 0 && (u64)data < offset + len;
}

static void sector_load(Flash *f, State *s, u64 offset, bool there)
{
    u8 *now = f->bytes + offset, *new = g_malloc0(SECTOR);

    if (there)
        state_bytes(s, new, SECTOR);
    if (memcmp(now, new, SECTOR) != 0) {
        memcpy(now, new, SECTOR);
        changed(f, offset, SECTOR);
    }
    g_free(new);
}

static void sector_state(Flash *f, State *s, u64 offset)
{
    bool was = has_bytes(f, offset, SECTOR), there = was;

    state_bool(s, &there);
    if (s->loading && (there || was))
        sector_load(f, s, offset, there);
    else if (there)
        state_bytes(s, f->bytes + offset, SECTOR);
}

static void flash_state(Device *d, State *s)
{
    Flash *f = flash(d);

    state_u8(s, &f->command);
    state_u8(s, &f->status);
    state_u8(s, &f->cycle);
    state_u16(s, &f->count);
    state_u64(s, &f->block);
    state_bytes(s, f->buffer, sizeof f->buffer);
    if (f->cycle >= CYCLES || f->block >= f->size || f->block % BUFFER) {
        read_array(f);
        f->block = 0;
        state_refuse(s, "a command that there is none of");
    }
    for (u64 offset = 0; offset < f->size; offset += SECTOR)
        sector_state(f, s, offset);
}

static void flash_info(const Device *d, GString *out)
{
    const Flash *f = (const Flash *)d;

    g_string_append_printf(out, "%u MiB%s, status %#x\n", (u32)(f->size >> 20),
                           f->read_only ? ", read-only" : "", f->status);
}

static void flash_free(Device *d)
{
    Flash *f = flash(d);

    if (f->bytes != MAP_FAILED)
        munmap(f->bytes, f->size);
    if (f->memory >= 0)
        close(f->memory);
    if (f->file >= 0)
        close(f->file);
    g_free(f);
}

static const DeviceType pflash = {
    .name = "pflash",
    .widths = 1 | 2 | 4 | 8,
    .read = flash_read,
    .write = flash_write,
    .reset = flash_reset,
    .state = flash_state,
    .info = flash_info,
    .free = flash_free,
};

/* ---- from -drive ---- */

/* A list's unit; lists without one are counted up from *next. */
static u32 unit_of(Props *p, u32 *next)
{
    const char *unit = props_get(p, "unit");

    if (!unit)
        unit = props_get(p, "index");
    return unit ? g_ascii_strtoull(unit, NULL, 0) : (*next)++;
}

Props *pflash_drive(const Machine *m, u32 unit)
{
    const GPtrArray *drives = m->options->drives;
    u32 next = 0;

    for (u32 i = 0; drives && i < drives->len; i++) {
        Props *p = props_parse(drives->pdata[i], "file");
        const char *kind = props_get(p, "if");

        if (kind && !strcmp(kind, "pflash") && unit_of(p, &next) == unit)
            return p;
        props_free(p);
    }
    return NULL;
}

static char *refusal(const char *path, const char *why)
{
    return g_strdup_printf("-drive if=pflash,file=%s: %s", path, why);
}

/* The file's bytes become the bank's.  NULL, or why not. */
static const char *file_load(Flash *f, const char *path, bool write_through)
{
    int fd = open(path, (write_through ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat st;
    const char *why = NULL;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (u64)st.st_size != f->size)
        why = "a bank of flash is a file of 32 MiB, no more and no less";
    for (u64 at = 0; !why && at < f->size;) {
        ssize_t n = pread(fd, f->bytes + at, f->size - at, at);

        if (n <= 0)
            why = n ? strerror(errno) : "it became shorter";
        at += n > 0 ? n : 0;
    }
    if (why || !write_through)
        close(fd);
    else
        f->file = fd;
    return why;
}

/* False: *error. */
static bool drive_load(Flash *f, Props *p, char **error)
{
    static const char *const known[] = {"if", "unit", "index", "id", "cache"};
    const char *path = props_get(p, "file"), *format = props_get(p, "format"), *why;
    bool snapshot = f->device.machine->options->snapshot;

    for (u32 i = 0; i < ARRAY_SIZE(known); i++)
        props_get(p, known[i]);
    if (!props_bool(p, "readonly", &f->read_only, error) ||
        !props_bool(p, "snapshot", &snapshot, error))
        return false;
    if (!path)
        why = "file=FILE is missing";
    else if (format && strcmp(format, "raw") != 0)
        why = "format=raw is the only one";
    else if ((why = props_unused(p)))
        why = "there is an option that flash does not have";
    else
        why = file_load(f, path, !f->read_only && !snapshot);
    if (why)
        *error = refusal(path ? path : "", why);
    return !why;
}

/* Its bytes, for us and for CPUs that run them.  False: errno. */
static bool bytes_map(Flash *f, u64 base)
{
    Space *s = &f->device.machine->space;

    f->memory = memfd_create("flash", MFD_CLOEXEC);
    if (f->memory < 0 || ftruncate(f->memory, f->size))
        return false;
    f->bytes = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
    if (f->bytes == MAP_FAILED || !space_contains(s, base, f->size) ||
        mmap(space_host(s, base), f->size, PROT_READ, MAP_SHARED | MAP_FIXED, f->memory,
             0) == MAP_FAILED)
        return false;
    space_set(s, base, f->size, PAGE_MAPPED | PAGE_READ | PAGE_EXEC);
    return true;
}

bool pflash_new(Machine *m, u64 base, u64 size, u32 unit, char **error)
{
    Flash *f = g_new0(Flash, 1);
    Props *drive = pflash_drive(m, unit);
    bool ok = false;

    f->device.machine = m;
    f->type = pflash;
    f->type.size = f->size = size;
    f->bytes = MAP_FAILED;
    f->memory = f->file = -1;
    query_fill(f);
    if (!bytes_map(f, base))
        *error = g_strdup_printf("no flash memory: %s", strerror(errno));
    else if (!drive || drive_load(f, drive, error)) {
        ok = device_add(m, &f->device, &f->type, base, 0);
        if (!ok)
            *error = g_strdup("a bank of flash has no place of its own");
    }
    if (drive)
        props_free(drive);
    if (ok)
        flash_reset(&f->device);
    else
        flash_free(&f->device);
    return ok;
}
