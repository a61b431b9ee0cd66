/* SPDX-License-Identifier: MIT */
/*
 * What is loaded before a machine starts: files of raw bytes, ELF executables, and
 * Linux's kernel Image.  Files are hostile: sizes and addresses are checked before use.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "board.h"

/* ---- images ---- */

void image_free(Image *i)
{
    if (!i)
        return;
    close(i->fd);
    g_free(i->path);
    g_free(i);
}

/* False: there is no room for it. */
static bool add_part(Image *i, struct ImagePart part)
{
    if (i->n_parts == IMAGE_PARTS)
        return false;
    i->part[i->n_parts++] = part;
    i->start = MIN(i->start, part.phys);
    i->end = MAX(i->end, part.phys + part.size);
    return true;
}

/* Exactly n bytes of the file; false: it has no such, or errno. */
static bool read_at(const Image *i, u64 offset, void *to, u64 n)
{
    errno = 0;
    while (n) {
        ssize_t got = pread(i->fd, to, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to = (u8 *)to + got;
        offset += (u64)got;
        n -= (u64)got;
    }
    return true;
}

/* What linkers put in front of the first section lies below memory: not needed. */
static struct ImagePart in_memory(const Machine *m, struct ImagePart p)
{
    u64 base = m->board->ram_base, below = p.phys < base ? base - p.phys : 0;

    if (below >= p.size)
        return p;
    return (struct ImagePart){p.phys + below, p.size - below, p.offset + below,
                              p.n - MIN(below, p.n)};
}

bool image_load(Machine *m, const Image *i, char **error)
{
    for (u32 k = 0; k < i->n_parts; k++) {
        struct ImagePart p = in_memory(m, i->part[k]);
        u8 *ram = dma_ram(m, p.phys, p.size, true);

        if (!ram) {
            *error = g_strdup_printf("%s: it does not fit into memory", i->path);
            return false;
        }
        if (!read_at(i, p.offset, ram, p.n)) {
            *error = g_strdup_printf("%s: %s", i->path,
                                     errno ? strerror(errno) : "it has become shorter");
            return false;
        }
        memset(ram + p.n, 0, p.size - p.n);
    }
    return true;
}

/* ---- ELF ---- */

/* One segment; false: it is not all in the file, wraps, or is one too many. */
static bool add_segment(Image *i, const Elf64_Phdr *p)
{
    if (p->p_offset > i->file_size || p->p_filesz > i->file_size - p->p_offset ||
        p->p_filesz > p->p_memsz || p->p_paddr + p->p_memsz < p->p_paddr)
        return false;
    return add_part(
        i, (struct ImagePart){p->p_paddr, p->p_memsz, p->p_offset, p->p_filesz});
}

static bool is_ours(const Elf64_Ehdr *h)
{
    return h->e_ident[EI_CLASS] == ELFCLASS64 && h->e_ident[EI_DATA] == ELFDATA2LSB &&
           h->e_machine == EM_RISCV && (h->e_type == ET_EXEC || h->e_type == ET_DYN);
}

/* The entry's physical address is that of its virtual one. */
static const char *read_elf(Image *i)
{
    Elf64_Phdr p;
    Elf64_Ehdr h;

    if (!read_at(i, 0, &h, sizeof h) || !is_ours(&h))
        return "not an executable of this machine";
    if (h.e_phentsize != sizeof p)
        return "its program headers make no sense";
    i->entry = h.e_entry;
    for (u32 k = 0; k < h.e_phnum; k++) {
        if (h.e_phoff + k * sizeof p < h.e_phoff ||
            !read_at(i, h.e_phoff + k * sizeof p, &p, sizeof p))
            return "its program headers lie outside of the file";
        if (p.p_type != PT_LOAD || !p.p_memsz)
            continue;
        if (!add_segment(i, &p))
            return "a segment makes no sense";
        if (h.e_entry - p.p_vaddr < p.p_memsz)
            i->entry = h.e_entry - p.p_vaddr + p.p_paddr;
    }
    return i->n_parts ? NULL : "nothing in it is to be loaded";
}

/* ---- Linux's Image (Documentation/arch/riscv/boot-image-header.rst) ---- */

typedef struct LinuxHeader {
    u32 code[2];
    u64 text_offset, image_size, flags;
    u32 version, reserved;
    u64 reserved2, magic;
    char magic2[4];
    u32 reserved3;
} LinuxHeader;

static bool is_linux(const LinuxHeader *h) { return !memcmp(h->magic2, "RSC\x05", 4); }

/* ---- any file ---- */

static const char *read_raw(Image *i, u64 phys, u64 size)
{
    if (phys + size < phys)
        return "its size makes no sense";
    add_part(i, (struct ImagePart){phys, size, 0, i->file_size});
    i->entry = phys;
    return NULL;
}

static const char *read_any(Image *i, u32 kinds, u64 phys)
{
    LinuxHeader h = {0};

    if (!i->file_size)
        return "the file is empty";
    if (!read_at(i, 0, &h, MIN(sizeof h, i->file_size)))
        return "it cannot be read";
    if (kinds & IMAGE_ELF && !memcmp(&h, ELFMAG, SELFMAG))
        return read_elf(i);
    if (kinds & IMAGE_LINUX && is_linux(&h)) {
        i->is_linux = true;
        return read_raw(i, phys, MAX(i->file_size, h.image_size));
    }
    if (kinds & IMAGE_LINUX && !memcmp(&h, "\x1f\x8b", 2))
        return "it is compressed: gunzip it first";
    if (kinds & IMAGE_RAW)
        return read_raw(i, phys, i->file_size);
    return "not an image that can be started";
}

Image *image_read(const char *path, u32 kinds, u64 phys, char **error)
{
    Image *i = g_new0(Image, 1);
    const char *why = NULL;
    struct stat st;

    i->path = g_strdup(path);
    i->start = ~0ull;
    i->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (i->fd < 0 || fstat(i->fd, &st) < 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a file";
    if (!why) {
        i->file_size = (u64)st.st_size;
        why = read_any(i, kinds, phys);
    }
    if (!why)
        return i;
    *error = g_strdup_printf("%s: %s", path, why);
    image_free(i);
    return NULL;
}
