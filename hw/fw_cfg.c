/* SPDX-License-Identifier: MIT */
/*
 * QEMU's firmware configuration (its docs/specs/fw_cfg): items of bytes by number, and
 * files, which are items with names.  Read a byte after another through a register, or
 * by DMA, whose descriptors are hostile.  Nothing in it can be written.
 */
#include <string.h>
#include "board.h"

enum Register { DATA = 0, SELECTOR = 8, DMA = 16, REGISTERS_END = 24 };

enum Key {
    KEY_SIGNATURE = 0x00,
    KEY_ID = 0x01,
    KEY_UUID = 0x02,
    KEY_NOGRAPHIC = 0x04,
    KEY_CPUS = 0x05,
    KEY_KERNEL_SIZE = 0x08,
    KEY_INITRD_SIZE = 0x0b,
    KEY_BOOT_MENU = 0x0e,
    KEY_KERNEL = 0x11,
    KEY_INITRD = 0x12,
    KEY_COMMAND_SIZE = 0x14,
    KEY_COMMAND = 0x15,
    KEY_FILES = 0x19,
    KEY_FIRST_FILE = 0x20,
    KEYS = 0x40,
    KEY_MASK = 0x3fff, /* without: to be written, of the architecture's */
    KEY_ARCH = 0x8000,
    KEY_NONE = 0xffff,
};

enum { ID_REGISTERS = 1, ID_DMA = 2 };

enum DmaControl {
    DMA_ERROR = 1,
    DMA_READ = 2,
    DMA_SKIP = 4,
    DMA_SELECT = 8,
    DMA_WRITE = 16
};

/* In guest memory, big-endian. */
typedef struct DmaRequest {
    u32 control, length;
    u64 address;
} DmaRequest;

enum { FILE_NAME = 56, FILE_MOST = 64 << 20 };

/* An entry of the directory of files. */
typedef struct FileEntry {
    u32 size;
    u16 key, reserved;
    char name[FILE_NAME];
} FileEntry;

typedef struct FwCfg {
    Device device;
    GBytes *item[KEYS];
    GPtrArray *names; /* of files: item KEY_FIRST_FILE + i; sorted */
    u16 key;
    u32 at; /* next byte of the item */
    u64 dma;
} FwCfg;

static FwCfg *fw_cfg(Device *d) { return (FwCfg *)d; }

/* ---- reading ---- */

static void item_select(FwCfg *f, u16 key)
{
    f->at = 0;
    f->key = (key & KEY_MASK) < KEYS ? key : KEY_NONE;
}

/* What is left of the selected item. */
static const u8 *item_rest(const FwCfg *f, size_t *size)
{
    GBytes *item = f->key & KEY_ARCH ? NULL : f->item[f->key & KEY_MASK];
    const u8 *bytes = item ? g_bytes_get_data(item, size) : NULL;

    if (!bytes || f->at >= *size) {
        *size = 0;
        return NULL;
    }
    *size -= f->at;
    return bytes + f->at;
}

static u64 data_read(FwCfg *f, u32 width)
{
    size_t rest;
    const u8 *bytes = item_rest(f, &rest);
    u64 value = 0;

    if (bytes) {
        memcpy(&value, bytes, MIN(width, rest));
        f->at += MIN(width, rest);
    }
    return value;
}

/* ---- DMA ---- */

/* Bytes of the item, or zeroes after its end, into RAM, or nowhere.  False: no RAM. */
static bool transfer(FwCfg *f, const DmaRequest *q, bool read)
{
    Machine *m = f->device.machine;
    size_t rest;
    const u8 *bytes = item_rest(f, &rest);

    rest = MIN(rest, q->length);
    f->at += rest;
    if (!read || !q->length)
        return true;
    return dma_ram(m, q->address, q->length, true) &&
           (!rest || dma_write(m, q->address, bytes, rest)) &&
           dma_fill(m, q->address + rest, 0, q->length - rest);
}

static void dma_run(FwCfg *f)
{
    Machine *m = f->device.machine;
    u64 at = f->dma;
    DmaRequest q;
    u32 done = 0;

    f->dma = 0;
    if (!dma_read(m, at, &q, sizeof q)) {
        done = GUINT32_TO_BE(DMA_ERROR);
        dma_write(m, at, &done, sizeof done);
        return;
    }
    q = (DmaRequest){GUINT32_FROM_BE(q.control), GUINT32_FROM_BE(q.length),
                     GUINT64_FROM_BE(q.address)};
    if (q.control & DMA_SELECT)
        item_select(f, q.control >> 16);
    if (q.control & DMA_READ)
        done = transfer(f, &q, true) ? 0 : DMA_ERROR;
    else if (q.control & (DMA_WRITE | DMA_SKIP))
        transfer(f, &q, false);
    if (q.control & DMA_WRITE && !(q.control & DMA_READ) && q.length)
        done = DMA_ERROR;
    done = GUINT32_TO_BE(done);
    dma_write(m, at, &done, sizeof done);
}

/* ---- registers: big-endian where they are numbers ---- */

static u64 fw_cfg_read(Device *d, u64 offset, u32 width)
{
    static const char signature[] = "QEMU CFG";
    u64 value = 0;

    if (offset == DATA)
        return data_read(fw_cfg(d), width);
    if (offset >= DMA)
        memcpy(&value, signature + (offset - DMA), width);
    return value;
}

static void fw_cfg_write(Device *d, u64 offset, u64 value, u32 width)
{
    FwCfg *f = fw_cfg(d);

    if (offset == SELECTOR && width == 2) {
        item_select(f, GUINT16_FROM_BE((u16)value));
    } else if (offset == DMA && width == 8) {
        f->dma = GUINT64_FROM_BE(value);
        dma_run(f);
    } else if (offset == DMA && width == 4) {
        f->dma = (u64)GUINT32_FROM_BE((u32)value) << 32;
    } else if (offset == DMA + 4 && width == 4) {
        f->dma |= GUINT32_FROM_BE((u32)value);
        dma_run(f);
    }
}

static void fw_cfg_reset(Device *d)
{
    item_select(fw_cfg(d), KEY_SIGNATURE);
    fw_cfg(d)->dma = 0;
}

static void fw_cfg_state(Device *d, State *s)
{
    FwCfg *f = fw_cfg(d);

    state_u16(s, &f->key);
    state_u32(s, &f->at);
    state_u64(s, &f->dma);
    if (f->key != KEY_NONE && (f->key & KEY_MASK) >= KEYS) {
        f->key = KEY_NONE;
        state_refuse(s, "an item that there cannot be");
    }
}

static void fw_cfg_info(const Device *d, GString *out)
{
    const FwCfg *f = (const FwCfg *)d;

    for (u32 i = 0; i < f->names->len; i++)
        g_string_append_printf(out, "%#x %s, %zu bytes\n", KEY_FIRST_FILE + i,
                               (const char *)f->names->pdata[i],
                               g_bytes_get_size(f->item[KEY_FIRST_FILE + i]));
}

static void fw_cfg_free(Device *d)
{
    FwCfg *f = fw_cfg(d);

    for (u32 i = 0; i < KEYS; i++)
        if (f->item[i])
            g_bytes_unref(f->item[i]);
    g_ptr_array_unref(f->names);
    g_free(f);
}

static const DeviceType fw_cfg_type = {
    .name = "fw_cfg",
    .size = REGISTERS_END,
    .widths = 1 | 2 | 4 | 8,
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .reset = fw_cfg_reset,
    .state = fw_cfg_state,
    .info = fw_cfg_info,
    .free = fw_cfg_free,
};

/* ---- items ---- */

static void item_set(FwCfg *f, u32 key, const void *bytes, size_t size)
{
    if (f->item[key])
        g_bytes_unref(f->item[key]);
    f->item[key] = g_bytes_new(bytes, size);
}

static void item_u16(FwCfg *f, u32 key, u16 v)
{
    v = GUINT16_TO_LE(v);
    item_set(f, key, &v, sizeof v);
}

static void item_u32(FwCfg *f, u32 key, u32 v)
{
    v = GUINT32_TO_LE(v);
    item_set(f, key, &v, sizeof v);
}

static void directory_write(FwCfg *f)
{
    u32 n = GUINT32_TO_BE(f->names->len);
    GByteArray *all = g_byte_array_new();

    g_byte_array_append(all, (u8 *)&n, sizeof n);
    for (u32 i = 0; i < f->names->len; i++) {
        u32 key = KEY_FIRST_FILE + i;
        FileEntry e = {.size = GUINT32_TO_BE((u32)g_bytes_get_size(f->item[key])),
                       .key = GUINT16_TO_BE((u16)key)};

        g_strlcpy(e.name, f->names->pdata[i], sizeof e.name);
        g_byte_array_append(all, (u8 *)&e, sizeof e);
    }
    item_set(f, KEY_FILES, all->data, all->len);
    g_byte_array_unref(all);
}

/* Adds a file where its name belongs.  NULL, or why not. */
static const char *file_add(FwCfg *f, const char *name, GBytes *bytes)
{
    u32 at = 0;

    if (!*name || strlen(name) >= FILE_NAME)
        return "a name has 1 to 55 bytes";
    if (f->names->len == KEYS - KEY_FIRST_FILE)
        return "there is no room for so many";
    while (at < f->names->len && strcmp(f->names->pdata[at], name) < 0)
        at++;
    if (at < f->names->len && !strcmp(f->names->pdata[at], name))
        return "there is another of this name";
    g_ptr_array_insert(f->names, at, g_strdup(name));
    memmove(&f->item[KEY_FIRST_FILE + at + 1], &f->item[KEY_FIRST_FILE + at],
            (f->names->len - 1 - at) * sizeof f->item[0]);
    f->item[KEY_FIRST_FILE + at] = g_bytes_ref(bytes);
    return NULL;
}

/* ---- from the command line ---- */

static GBytes *file_bytes(const char *path, char **error)
{
    GError *why = NULL;
    char *bytes;
    size_t size;

    if (!g_file_get_contents(path, &bytes, &size, &why)) {
        *error = g_strdup(why->message);
        g_error_free(why);
        return NULL;
    }
    return g_bytes_new_take(bytes, size);
}

/* -fw_cfg [name=]NAME,file=FILE or ,string=TEXT */
static bool file_option(FwCfg *f, const char *option, char **error)
{
    Props *p = props_parse(option, "name");
    const char *name = props_get(p, "name"), *path = props_get(p, "file"),
               *text = props_get(p, "string"), *bad = props_unused(p), *why = NULL;
    GBytes *bytes = NULL;

    if (!name || !path == !text || bad)
        why = "wanted name=NAME and file=FILE or string=TEXT";
    else if (text)
        bytes = g_bytes_new(text, strlen(text));
    else
        bytes = file_bytes(path, error);
    if (bytes) {
        why = g_bytes_get_size(bytes) > FILE_MOST ? "too large"
                                                  : file_add(f, name, bytes);
        g_bytes_unref(bytes);
    }
    if (why)
        *error = g_strdup_printf("-fw_cfg %s: %s", option, why);
    props_free(p);
    return !*error;
}

/* Firmware in the second bank of flash loads the kernel itself. */
static bool firmware_loads(const Machine *m)
{
    Props *p = pflash_drive(m, 1);
    bool found = p;

    if (p)
        props_free(p);
    return found;
}

static bool file_items(FwCfg *f, u32 size_key, u32 key, const char *path, char **error)
{
    if (!path)
        return true;
    f->item[key] = file_bytes(path, error);
    if (f->item[key])
        item_u32(f, size_key, g_bytes_get_size(f->item[key]));
    return f->item[key];
}

static bool items_create(FwCfg *f, const Machine *m, char **error)
{
    static const u8 uuid[16];
    const MachineOptions *o = m->options;

    item_set(f, KEY_SIGNATURE, "QEMU", 4);
    item_set(f, KEY_UUID, uuid, sizeof uuid);
    item_u32(f, KEY_ID, ID_REGISTERS | ID_DMA);
    item_u16(f, KEY_NOGRAPHIC, o->nographic);
    item_u16(f, KEY_CPUS, o->n_cpus);
    item_u16(f, KEY_BOOT_MENU, 0);
    if (firmware_loads(m)) {
        const char *text = o->append ? o->append : "";

        if (!file_items(f, KEY_KERNEL_SIZE, KEY_KERNEL, o->kernel, error) ||
            !file_items(f, KEY_INITRD_SIZE, KEY_INITRD, o->initrd, error))
            return false;
        item_u32(f, KEY_COMMAND_SIZE, strlen(text) + 1);
        item_set(f, KEY_COMMAND, text, strlen(text) + 1);
    }
    for (u32 i = 0; o->fw_cfgs && i < o->fw_cfgs->len; i++)
        if (!file_option(f, o->fw_cfgs->pdata[i], error))
            return false;
    directory_write(f);
    return true;
}

bool fw_cfg_new(Machine *m, u64 base, char **error)
{
    FwCfg *f = g_new0(FwCfg, 1);

    f->names = g_ptr_array_new_with_free_func(g_free);
    if (items_create(f, m, error)) {
        if (device_add(m, &f->device, &fw_cfg_type, base, 0))
            return true;
        *error = g_strdup("the firmware configuration has no place of its own");
    }
    fw_cfg_free(&f->device);
    return false;
}
