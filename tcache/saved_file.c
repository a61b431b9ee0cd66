/* SPDX-License-Identifier: MIT */
/*
 * The folder of saved translations: names, checks, writing a file whole or not at all,
 * keeping the folder within its size.  Nothing in there is believed that is not ours
 * alone to write, of this version of us, and as long and as intact as it says.  That a
 * file has been found intact is marked in the file `checked`, until the file is changed
 * or the host starts anew: adding up its bytes takes longer than anything else here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "saved.h"

static const char suffix[] = ".code";

enum {
    TOUCH_AGAIN = 24 * 3600, /* seconds: how fine the order of last uses is */
    MARKS = 8192,            /* in `checked`, 8 bytes each */
    BOOT_GRAIN = 64,         /* seconds: how exactly the host's start is known */
};

/* ---- sums ---- */

static u64 mixed(u64 h, u64 v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 29;
}

/* Four at a time, since each waits for the one before it. */
u64 saved_sum(const u8 *bytes, u64 size)
{
    u64 h[4] = {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0,
                0x082efa98ec4e6c89}; /* pi's digits */
    u64 sum = size;

    for (; size >= 32; bytes += 32, size -= 32)
        for (u32 i = 0; i < 4; i++) {
            u64 v;

            memcpy(&v, bytes + 8 * i, 8);
            h[i] = mixed(h[i], v);
        }
    for (; size; size--)
        sum = mixed(sum, *bytes++);
    for (u32 i = 0; i < 4; i++)
        sum = mixed(sum, h[i]);
    return sum;
}

/* ---- names ---- */

static char *name_of(const Saved *s, const SavedKey *key)
{
    return g_strdup_printf(
        "%s/%016llx%016llx%s", s->dir,
        (long long)saved_sum((const u8 *)key->version, sizeof key->version),
        (long long)saved_sum((const u8 *)key, sizeof *key), suffix);
}

/* Ours alone: whoever else could write here could run code as us. */
static bool is_safe(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & 022);
}

bool saved_folder(const char *dir)
{
    struct stat st;

    if (stat(dir, &st) && (g_mkdir_with_parents(dir, 0700) || stat(dir, &st)))
        return false;
    errno = S_ISDIR(st.st_mode) ? EPERM : ENOTDIR;
    return S_ISDIR(st.st_mode) && is_safe(&st);
}

/* ---- reading ---- */

static bool in_order(const SavedHead *h)
{
    return SAVED_DATA < h->data_end && h->data_end <= h->code &&
           h->code <= h->code_end && h->code_end <= h->tbs && h->tbs < h->exits &&
           h->exits < h->maps && h->maps < h->plans && h->plans < h->hash &&
           h->hash + (4ull << h->hash_bits) <= h->size;
}

u64 saved_file_sum(const u8 *base, u64 size)
{
    enum { AFTER = SAVED_HEAD + offsetof(SavedHead, size) };

    return saved_sum(base, SAVED_HEAD) ^ saved_sum(base + AFTER, size - AFTER);
}

static bool is_for(const u8 *base, u64 size, const SavedKey *key)
{
    const SavedHead *h = (const SavedHead *)(base + SAVED_HEAD);

    return !memcmp(h->magic, SAVED_MAGIC, sizeof h->magic) && h->size == size &&
           !memcmp(&h->key, key, sizeof *key) && h->hash_bits < 32 && in_order(h) &&
           h->n_tbs < 1u << SAVED_NUMBERS && h->n_exits < 1u << SAVED_NUMBERS;
}

/* When the host was started, roughly. */
static u64 boot_time(void)
{
    struct timespec now, up;

    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return (u64)(now.tv_sec - up.tv_sec) / BOOT_GRAIN;
}

/* Stands for the file as it is now. */
static u64 mark_of(const struct stat *st, const SavedKey *key)
{
    struct {
        CacheFileId id;
        u64 boot;
        SavedKey key;
    } all = {cache_file_id(st), boot_time(), *key};

    return saved_sum((const u8 *)&all, sizeof all);
}

static bool is_intact(const Saved *s, const u8 *base, const struct stat *st,
                      const SavedKey *key)
{
    const SavedHead *h = (const SavedHead *)(base + SAVED_HEAD);
    u64 size = (u64)st->st_size, mark = mark_of(st, key), known = 0;
    g_autofree char *name = g_strconcat(s->dir, "/checked", NULL);
    int fd;
    bool intact;

    if (!is_for(base, size, key))
        return false;
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    intact = pread(fd, &known, sizeof known, (off_t)(mark % MARKS * 8)) == 8 &&
             known == mark;
    if (!intact && saved_file_sum(base, size) == h->sum) {
        intact = true;
        if (pwrite(fd, &mark, sizeof mark, (off_t)(mark % MARKS * 8)) < 0)
            errno = 0; /* then it is added up again the next time */
    }
    if (fd >= 0)
        close(fd);
    return intact;
}

/* The order of last uses is that of the files' times. */
static void touch(int fd, const struct stat *st)
{
    if (time(NULL) - st->st_mtime > TOUCH_AGAIN)
        futimens(fd, NULL);
}

static const u8 *map_file(int fd, u64 size, void *at)
{
    int flags = MAP_PRIVATE | (at ? MAP_FIXED : 0);
    u8 *base = mmap(at, size, at ? PROT_READ | PROT_EXEC : PROT_READ, flags, fd, 0);

    return base == MAP_FAILED ? NULL : base;
}

void saved_unmap(const u8 *base, u64 size, bool keep)
{
    if (keep)
        mmap((void *)base, size, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    else
        munmap((void *)base, size);
}

const u8 *saved_open(const Saved *s, const SavedKey *key, void *at, u64 room)
{
    g_autofree char *name = name_of(s, key);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    const u8 *base = NULL;
    struct stat st;

    if (fd < 0)
        return NULL;
    if (!fstat(fd, &st) && S_ISREG(st.st_mode) && is_safe(&st) &&
        st.st_size > SAVED_DATA && (u64)st.st_size <= MIN(room, (u64)SAVED_MOST))
        base = map_file(fd, (u64)st.st_size, at);
    if (base && !is_intact(s, base, &st, key)) {
        saved_unmap(base, (u64)st.st_size, at);
        base = NULL;
        unlink(name);
    }
    if (base)
        touch(fd, &st);
    close(fd);
    return base;
}

/* ---- writing ---- */

/* How many of the bytes are zero, or not, by pages. */
static u64 stretch(const u8 *bytes, u64 size, bool zero)
{
    static const u8 none[PAGE_SIZE];
    u64 n = 0;

    while (n < size && !memcmp(bytes + n, none, MIN(size - n, PAGE_SIZE)) == zero)
        n += MIN(size - n, PAGE_SIZE);
    return n;
}

/* Into an empty file.  Pages of zeros, of which there are many, become holes. */
static bool write_all(int fd, const u8 *bytes, u64 size)
{
    for (u64 at = 0; at < size;) {
        u64 end;

        at += stretch(bytes + at, size - at, true);
        end = at + stretch(bytes + at, size - at, false);
        while (at < end) {
            ssize_t n = pwrite(fd, bytes + at, end - at, (off_t)at);

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return false;
            at += (u64)n;
        }
    }
    return ftruncate(fd, (off_t)size) == 0;
}

static char *part_of(const Saved *s, const SavedKey *key)
{
    g_autofree char *name = name_of(s, key);

    return g_strconcat(name, ".part", NULL);
}

/* Another process may have given the file its name, or removed it, before it was locked
 * by us. */
static bool is_still(int fd, const char *path)
{
    struct stat a, b;

    return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int saved_claim(const Saved *s, const SavedKey *key)
{
    g_autofree char *part = part_of(s, key);
    int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still(fd, part))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool saved_write(const Saved *s, const SavedKey *key, int fd, const u8 *bytes, u64 size)
{
    g_autofree char *name = name_of(s, key), *part = part_of(s, key);
    struct rlimit most;
    bool ok;

    /* A signal would tell the guest of a file that is too large. */
    ok = !getrlimit(RLIMIT_FSIZE, &most) && size <= most.rlim_cur &&
         !ftruncate(fd, 0) && write_all(fd, bytes, size) && !rename(part, name);
    if (!ok)
        unlink(part);
    return ok;
}

/* ---- the folder's size ---- */

typedef struct Entry {
    char *path;
    u64 size;
    struct timespec used;
} Entry;

static int by_age(const void *a, const void *b)
{
    const struct timespec *x = &((const Entry *)a)->used,
                          *y = &((const Entry *)b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static GArray *entries(const char *dir, u64 *total)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Entry));
    DIR *d = opendir(dir);
    struct dirent *e;
    struct stat st;

    *total = 0;
    while (d && (e = readdir(d))) {
        if (!strstr(e->d_name, suffix) ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        *total += (u64)st.st_blocks * 512;
        g_array_append_val(all, ((Entry){g_build_filename(dir, e->d_name, NULL),
                                         (u64)st.st_blocks * 512, st.st_mtim}));
    }
    if (d)
        closedir(d);
    return all;
}

/* Removes what has not been used for longest, until a quarter is free. */
void saved_prune(const Saved *s)
{
    u64 total;
    GArray *all = entries(s->dir, &total);
    bool full = total > s->limit;

    g_array_sort(all, by_age);
    for (u32 i = 0; i < all->len; i++) {
        Entry *e = &g_array_index(all, Entry, i);

        if (full && total > s->limit / 4 * 3 && unlink(e->path) == 0)
            total -= e->size;
        g_free(e->path);
    }
    g_array_free(all, TRUE);
}
