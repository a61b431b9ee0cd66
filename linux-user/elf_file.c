/* SPDX-License-Identifier: MIT */
/* Program files: finding them, telling their kind, checking their headers. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf.h"

/* ---- the -L prefix ---- */

static bool has_prefix(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return !strncmp(path, dir, n) && (path[n] == '/' || path[n] == 0);
}

/* These are the running kernel's, whatever stands in the prefix. */
static bool is_kernels(const char *path)
{
    return has_prefix(path, "/proc") || has_prefix(path, "/sys") ||
           has_prefix(path, "/dev");
}

/* path within the prefix, in out: does it exist?  A link to an absolute path is
 * followed within the prefix too. */
static bool in_prefix(const char *prefix, const char *path, char *out)
{
    char link[2][PATH_MAX];

    for (int depth = 0; depth < 8; depth++) {
        ssize_t n;

        if (snprintf(out, PATH_MAX, "%s%s", prefix, path) >= PATH_MAX)
            return false;
        if (access(out, F_OK) == 0)
            return true;
        n = readlink(out, link[depth & 1], PATH_MAX - 1);
        if (n <= 0 || *link[depth & 1] != '/')
            return false;
        link[depth & 1][n] = 0;
        path = link[depth & 1];
    }
    return false;
}

const char *path_host(const Process *p, const char *path, char *out)
{
    const char *prefix = p->options.prefix;

    if (!prefix || *path != '/' || is_kernels(path))
        return path;
    return in_prefix(prefix, path, out) ? out : path;
}

const char *path_guest(const Process *p, const char *path)
{
    size_t n = p->options.prefix ? strlen(p->options.prefix) : 0;

    return n > 1 && !strncmp(path, p->options.prefix, n) && path[n] == '/' ? path + n
                                                                           : path;
}

/* ---- files ---- */

/* path: whose right to be executed is to be checked; NULL: none. */
static i64 open_checked(ElfFile *f, int fd, const char *path)
{
    struct stat st;
    ssize_t n;
    i64 r = 0;

    f->ph = NULL;
    f->fd = fd;
    if (fstat(f->fd, &st))
        r = -errno;
    else if (S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (!S_ISREG(st.st_mode) ||
             (path && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)))
        r = -EACCES;
    n = r == 0 ? pread(f->fd, f->head, sizeof f->head, 0) : 0;
    if (n < 0)
        r = -errno;
    if (r < 0)
        elf_close(f);
    f->size = (u64)st.st_size;
    f->head_len = n > 0 ? (size_t)n : 0;
    return r;
}

i64 elf_open(ElfFile *f, const char *host_path)
{
    int fd = open(host_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    f->fd = -1;
    return fd < 0 ? -errno : open_checked(f, fd, host_path);
}

i64 elf_open_fd(ElfFile *f, int fd) { return open_checked(f, fd, NULL); }

void elf_close(ElfFile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    free(f->ph);
    f->ph = NULL;
}

FileKind elf_kind(const Process *p, const ElfFile *f)
{
    if (f->head_len >= 2 && !memcmp(f->head, "#!", 2))
        return FILE_SCRIPT;
    if (f->head_len < sizeof f->eh || memcmp(f->head, ELFMAG, SELFMAG))
        return FILE_OTHER;
    if (f->eh.e_machine == p->abi->elf_machine)
        return FILE_GUEST;
    return f->eh.e_machine == EM_X86_64 || f->eh.e_machine == EM_386 ? FILE_HOST
                                                                     : FILE_OTHER;
}

bool elf_shebang(const ElfFile *f, Shebang *out)
{
    size_t n = MIN(f->head_len, (size_t)ABI_SHEBANG) - 2;
    char *end, *s = out->text;

    memcpy(s, f->head + 2, n);
    s[n] = 0;
    s[strcspn(s, "\n")] = 0;
    for (end = s + strlen(s); end > s && strchr(" \t\r", end[-1]);)
        *--end = 0;
    s += strspn(s, " \t");
    out->interp = s;
    s += strcspn(s, " \t");
    out->arg = NULL;
    if (*s) {
        *s++ = 0;
        out->arg = s + strspn(s, " \t");
    }
    return *out->interp != 0;
}

i64 elf_probe(const Process *p, const char *host_path, FileKind *kind)
{
    char path[PATH_MAX], buf[PATH_MAX];
    ElfFile f;
    Shebang bang;

    for (int depth = 0; depth < ABI_SHEBANG_DEPTH; depth++) {
        i64 r = elf_open(&f, host_path);
        bool bad = false;

        if (r < 0)
            return r == -EISDIR ? -EACCES : r;
        *kind = elf_kind(p, &f);
        if (*kind == FILE_GUEST)
            bad = elf_check(&f, p) != NULL;
        else if (*kind == FILE_SCRIPT)
            bad = !elf_shebang(&f, &bang);
        elf_close(&f);
        if (bad || *kind == FILE_OTHER)
            return -ENOEXEC;
        if (*kind != FILE_SCRIPT)
            return 0;
        strcpy(path, bang.interp);
        host_path = path_host(p, path, buf);
    }
    return -ELOOP;
}

/* ---- headers ---- */

static const char *check_header(const Elf64_Ehdr *eh, const Process *p)
{
    if (eh->e_ident[EI_CLASS] != ELFCLASS64)
        return "not a 64-bit ELF file";
    if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
        return "not a little-endian ELF file";
    if (eh->e_machine != p->abi->elf_machine)
        return "a program for another machine";
    if (eh->e_ident[EI_VERSION] != EV_CURRENT || eh->e_version != EV_CURRENT)
        return "unknown ELF version";
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
        return "not an executable or shared ELF file";
    if (eh->e_phentsize != sizeof(Elf64_Phdr))
        return "program headers of a wrong size";
    if (eh->e_phnum == 0 || eh->e_phnum > 65536 / sizeof(Elf64_Phdr))
        return "no program headers, or too many";
    return NULL;
}

static const char *check_segment(const ElfFile *f, const Elf64_Phdr *ph, u64 window)
{
    if (ph->p_filesz > ph->p_memsz)
        return "a segment is larger in the file than in memory";
    if (ph->p_offset > f->size || ph->p_filesz > f->size - ph->p_offset)
        return "truncated: a segment lies beyond the end of the file";
    if (ph->p_vaddr > window || ph->p_memsz > window - ph->p_vaddr)
        return "a segment does not fit into guest memory";
    if (ph->p_filesz && ((ph->p_vaddr ^ ph->p_offset) & ~PAGE_MASK))
        return "a segment's address and file offset differ within the page";
    return NULL;
}

static const char *check_segments(const ElfFile *f, u64 window)
{
    const char *bad = NULL;
    bool any = false;

    for (int i = 0; i < f->eh.e_phnum && !bad; i++) {
        const Elf64_Phdr *a = &f->ph[i];

        if (a->p_type != PT_LOAD)
            continue;
        any |= a->p_memsz != 0;
        bad = check_segment(f, a, window);
        for (int j = 0; j < i && !bad; j++) {
            const Elf64_Phdr *b = &f->ph[j];

            if (b->p_type == PT_LOAD && a->p_vaddr < b->p_vaddr + b->p_memsz &&
                b->p_vaddr < a->p_vaddr + a->p_memsz)
                bad = "overlapping segments";
        }
    }
    return bad ? bad : any ? NULL : "nothing to load";
}

const char *elf_check(ElfFile *f, const Process *p)
{
    const char *bad;
    u64 size;

    if (f->head_len == 0)
        return "empty file";
    if (f->head_len >= SELFMAG && !memcmp(f->head, ELFMAG, SELFMAG) &&
        f->head_len < sizeof f->eh)
        return "truncated ELF header";
    if (f->head_len < sizeof f->eh || memcmp(f->head, ELFMAG, SELFMAG))
        return "not an ELF file";
    if ((bad = check_header(&f->eh, p)))
        return bad;
    size = f->eh.e_phnum * sizeof *f->ph;
    if (f->eh.e_phoff > f->size || size > f->size - f->eh.e_phoff)
        return "truncated: program headers lie beyond the end of the file";
    f->ph = malloc(size);
    if (!f->ph || pread(f->fd, f->ph, size, (off_t)f->eh.e_phoff) != (ssize_t)size)
        return "cannot read program headers";
    return check_segments(f, p->mem->space.size);
}
