/* SPDX-License-Identifier: MIT */
/*
 * Files in guest memory, for translations that outlast the process: these hold guest
 * addresses, so a program or library that can be anywhere is given the place that its
 * identity says, as long as nothing is there; and its code is made known to the cache.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem.h"

/* The part of the window where such places are. */
#define HOMES      (8ull << 30)
#define HOME_ALIGN (2ull << 20)
enum { HOME_TRIES = 4 };

/* Where the window has them; 0: it is too small.  In programs with ThreadSanitizer it
 * is nearly full of other things: libraries are to be near its end there. */
static u64 homes_start(const Memory *m)
{
    return m->high < 8 * HOMES ? 0 : align_down(m->high - 2 * HOMES, HOME_ALIGN);
}

static u64 mixed(u64 h, u64 v) { return (h ^ v) * 0x9e3779b97f4a7c15ull; }

u64 mem_home(const Process *p, int fd, u64 len)
{
    const Memory *m = p->mem;
    u64 start = homes_start(m), h;
    CacheFileId id;
    struct stat st;

    if (!start || !cache_keeps(p->cache) || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return 0;
    id = cache_file_id(&st);
    h = mixed(mixed(mixed(id.dev, id.ino), id.size), id.ctime);
    for (u32 i = 0; i < HOME_TRIES; i++, h = mixed(h, i)) {
        u64 at = start + (h >> 20) % (HOMES / HOME_ALIGN) * HOME_ALIGN;

        if (space_contains(&m->space, at, len) && !extents_touch(&m->map, at, at + len))
            return at;
    }
    return 0;
}

static bool is_elf(int fd)
{
    char head[4];

    return pread(fd, head, sizeof head, 0) == sizeof head &&
           !memcmp(head, "\177ELF", sizeof head);
}

u64 mem_mmap_hint(const Process *p, u64 addr, u64 len, int prot, int flags, int fd,
                  u64 offset)
{
    if (addr || offset || fd < 0 || (prot & PROT_WRITE) ||
        (flags & (MAP_TYPE | MAP_ANONYMOUS | MAP_FIXED | MAP_FIXED_NOREPLACE)) !=
            MAP_PRIVATE ||
        !cache_keeps(p->cache) || !is_elf(fd))
        return addr;
    return mem_home(p, fd, len);
}

void mem_note_file(Process *p, u64 addr, u64 len, int prot, int flags, int fd,
                   u64 offset)
{
    const int types = MAP_TYPE | MAP_ANONYMOUS;
    char link[32], path[PATH_MAX];
    struct stat st;
    ssize_t n;

    if (fd < 0 || !(prot & PROT_EXEC) || (prot & PROT_WRITE) ||
        (flags & types) != MAP_PRIVATE || !cache_keeps(p->cache) || fstat(fd, &st) ||
        !S_ISREG(st.st_mode))
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = 0;
    cache_file_mapped(p->cache, &(CacheFile){.addr = addr,
                                             .len = len,
                                             .offset = offset,
                                             .id = cache_file_id(&st),
                                             .path = path});
}
