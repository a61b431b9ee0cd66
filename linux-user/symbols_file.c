/* SPDX-License-Identifier: MIT */
/*
 * The symbol table of one ELF file: functions and labels in executable sections,
 * from .symtab (its own or its debug file's) or else .dynsym.  The file is the
 * guest's: nothing in it is believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "symbols.h"

enum { TABLE_MAX = 1 << 30, NOTES_MAX = 1 << 16, ID_MAX = 64 };

/* ---- an ELF file's parts ---- */

typedef struct Elf {
    int fd;
    u64 size;
    Elf64_Ehdr eh;
    Elf64_Shdr *sh; /* eh.e_shnum of them, or NULL */
} Elf;

static bool read_at(const Elf *e, void *to, u64 size, u64 offset)
{
    return offset <= e->size && size <= e->size - offset &&
           pread(e->fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* A piece of the file and a NUL after it; NULL: it is not there. */
static void *piece(const Elf *e, u64 offset, u64 size)
{
    char *p = size <= TABLE_MAX && size <= e->size ? malloc(size + 1) : NULL;

    if (p && !read_at(e, p, size, offset)) {
        free(p);
        return NULL;
    }
    if (p)
        p[size] = 0;
    return p;
}

static void elf_end(Elf *e)
{
    if (e->fd >= 0)
        close(e->fd);
    free(e->sh);
}

static bool elf_begin(Elf *e, const char *path)
{
    struct stat st;
    const Elf64_Ehdr *h = &e->eh;

    *e = (Elf){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (e->fd < 0 || fstat(e->fd, &st) || !S_ISREG(st.st_mode))
        return false;
    e->size = (u64)st.st_size;
    if (!read_at(e, &e->eh, sizeof e->eh, 0) || memcmp(h->e_ident, ELFMAG, SELFMAG) ||
        h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return false;
    if (h->e_shnum && h->e_shentsize == sizeof *e->sh)
        e->sh = piece(e, h->e_shoff, h->e_shnum * sizeof *e->sh);
    return true;
}

/* ---- symbols ---- */

static bool in_code(const Elf *e, const Elf64_Sym *s)
{
    return s->st_shndx != SHN_UNDEF && s->st_shndx < e->eh.e_shnum &&
           (e->sh[s->st_shndx].sh_flags & SHF_EXECINSTR);
}

/* Not the assembler's own names: .L1, and $x and $d, which say what bytes are. */
static bool wanted(const Elf *e, const Elf64_Sym *s, const char *name)
{
    u8 type = ELF64_ST_TYPE(s->st_info);

    return (type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC) && *name &&
           *name != '$' && strncmp(name, ".L", 2) != 0 && in_code(e, s);
}

static FileSymbol make_symbol(const Elf64_Sym *s, const char *name)
{
    u8 bind = ELF64_ST_BIND(s->st_info);
    bool label = ELF64_ST_TYPE(s->st_info) == STT_NOTYPE;
    u8 rank =
        (u8)(8 * label + 4 * !s->st_size + 2 * (*name == '_') + (bind == STB_LOCAL));

    return (FileSymbol){s->st_value, s->st_size, s->st_name, rank, label};
}

static int compare(const void *a, const void *b)
{
    const FileSymbol *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank - y->rank;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* Labels inside functions would hide them. */
static void drop_labels(SymbolFile *f)
{
    u64 start = 0, end = 0;
    u32 to = 0;

    for (u32 i = 0; i < f->n; i++) {
        const FileSymbol *s = &f->at[i];

        if (s->label && s->value > start && s->value - start < end - start)
            continue;
        if (!s->label && s->size && s->size < ~0ull - s->value) {
            start = s->value;
            end = s->value + s->size;
        }
        f->at[to++] = *s;
    }
    f->n = to;
}

static void take_symbols(SymbolFile *f, const Elf *e, const Elf64_Sym *s, u64 n,
                         u64 names)
{
    for (u64 i = 0; i < n; i++) {
        char *name = f->names + s[i].st_name;

        if (s[i].st_name >= names || !wanted(e, &s[i], name))
            continue;
        name[strcspn(name, "@")] = 0; /* its version */
        f->at[f->n++] = make_symbol(&s[i], name);
    }
    qsort(f->at, f->n, sizeof *f->at, compare);
    drop_labels(f);
}

static const Elf64_Shdr *section(const Elf *e, u32 type)
{
    for (u32 i = 0; e->sh && i < e->eh.e_shnum; i++)
        if (e->sh[i].sh_type == type)
            return &e->sh[i];
    return NULL;
}

/* Reads the table of this type; false: there is none, or nothing in it. */
static bool read_table(SymbolFile *f, const Elf *e, u32 type)
{
    const Elf64_Shdr *table = section(e, type), *names;
    Elf64_Sym *s = NULL;
    u64 n;

    if (!table || table->sh_link >= e->eh.e_shnum ||
        table->sh_entsize != sizeof(Elf64_Sym))
        return false;
    names = &e->sh[table->sh_link];
    n = table->sh_size / sizeof *s;
    f->names = piece(e, names->sh_offset, names->sh_size);
    if (f->names)
        s = piece(e, table->sh_offset, n * sizeof *s);
    f->at = s ? malloc((n + 1) * sizeof *f->at) : NULL;
    if (f->at)
        take_symbols(f, e, s, n, names->sh_size);
    free(s);
    if (!f->n) {
        free(f->at);
        free(f->names);
        f->at = NULL;
        f->names = NULL;
    }
    return f->n;
}

/* ---- the separate debug file ---- */

/* The build id in one note segment, as hexadecimal digits. */
static bool id_in_notes(const u8 *p, u64 size, char *out)
{
    while (size >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        u64 name, desc;

        memcpy(&n, p, sizeof n);
        name = sizeof n + align_up(n.n_namesz, 4);
        desc = align_up(n.n_descsz, 4);
        if (name > size || desc > size - name)
            return false;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
            !memcmp(p + sizeof n, "GNU", 4) && n.n_descsz > 1 && n.n_descsz <= ID_MAX) {
            for (u32 i = 0; i < n.n_descsz; i++)
                sprintf(out + 2 * i, "%02x", p[name + i]);
            return true;
        }
        p += name + desc;
        size -= name + desc;
    }
    return false;
}

static bool build_id(const SymbolFile *f, const Elf *e, char *out)
{
    bool found = false;

    for (u32 i = 0; i < f->n_ph && !found; i++) {
        const Elf64_Phdr *ph = &f->ph[i];
        u8 *notes = NULL;

        if (ph->p_type == PT_NOTE && ph->p_filesz <= NOTES_MAX)
            notes = piece(e, ph->p_offset, ph->p_filesz);
        found = notes && id_in_notes(notes, ph->p_filesz, out);
        free(notes);
    }
    return found;
}

static bool read_debug_file(SymbolFile *f, const char *id, const char *prefix)
{
    char path[PATH_MAX];
    bool found;
    Elf e;

    if (snprintf(path, sizeof path, "%s/usr/lib/debug/.build-id/%.2s/%s.debug", prefix,
                 id, id + 2) >= (int)sizeof path)
        return false;
    found = elf_begin(&e, path) && read_table(f, &e, SHT_SYMTAB);
    elf_end(&e);
    return found;
}

/* ---- the door ---- */

static void read_symbols(SymbolFile *f, const Elf *e, const char *prefix)
{
    char id[2 * ID_MAX + 1];

    if (read_table(f, e, SHT_SYMTAB))
        return;
    if (build_id(f, e, id) &&
        ((prefix && read_debug_file(f, id, prefix)) || read_debug_file(f, id, "")))
        return;
    read_table(f, e, SHT_DYNSYM);
}

SymbolFile *symbol_file_read(const char *path, const char *prefix)
{
    SymbolFile *f = calloc(1, sizeof *f);
    Elf e;

    if (!f || !(f->path = strdup(path))) {
        free(f);
        return NULL;
    }
    f->name = strrchr(f->path, '/') ? strrchr(f->path, '/') + 1 : f->path;
    if (elf_begin(&e, path) && e.eh.e_phentsize == sizeof *f->ph) {
        f->ph = piece(&e, e.eh.e_phoff, e.eh.e_phnum * sizeof *f->ph);
        f->n_ph = f->ph ? e.eh.e_phnum : 0;
        read_symbols(f, &e, prefix);
    }
    elf_end(&e);
    return f;
}

void symbol_file_free(SymbolFile *f)
{
    free(f->path);
    free(f->ph);
    free(f->at);
    free(f->names);
    free(f);
}

bool symbol_file_address(const SymbolFile *f, u64 offset, u64 *address)
{
    bool found = false;

    for (u32 i = 0; i < f->n_ph; i++) {
        const Elf64_Phdr *ph = &f->ph[i];

        /* Two segments may share a page of the file: code is what is asked about. */
        if (ph->p_type != PT_LOAD || (found && !(ph->p_flags & PF_X)) ||
            offset < align_down(ph->p_offset, PAGE_SIZE) ||
            offset - align_down(ph->p_offset, PAGE_SIZE) >=
                align_up((ph->p_offset & ~PAGE_MASK) + ph->p_filesz, PAGE_SIZE))
            continue;
        *address = offset - ph->p_offset + ph->p_vaddr;
        found = true;
    }
    return found;
}

const FileSymbol *symbol_file_find(const SymbolFile *f, u64 address)
{
    u32 low = 0, high = f->n;

    while (low < high) {
        u32 mid = (low + high) / 2;

        if (f->at[mid].value <= address)
            low = mid + 1;
        else
            high = mid;
    }
    if (!low--)
        return NULL;
    while (low && f->at[low - 1].value == f->at[low].value)
        low--;
    if (f->at[low].size && address - f->at[low].value >= f->at[low].size)
        return NULL;
    return &f->at[low];
}
