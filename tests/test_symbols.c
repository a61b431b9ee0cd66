/* SPDX-License-Identifier: MIT */
/* Run: tests/test_symbols        (in the build folder)
 *
 * Symbol tables of ELF files, good and bad: what is found at an address, in which
 * table; and that no damaged file does harm. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../linux-user/symbols.h"

enum { TEXT = 0x10000, MUTATIONS = 4000, SECTIONS = 6, SYMBOLS = 16 };

/* A file with one code segment, .symtab, .dynsym and a build id. */
typedef struct TestElf {
    Elf64_Ehdr e;
    Elf64_Phdr p[2];
    Elf64_Shdr s[SECTIONS];
    Elf64_Nhdr note;
    char owner[4];
    u8 id[4];
    Elf64_Sym symbols[SYMBOLS], dynamic[2];
    char names[256];
    u8 code[256];
} TestElf;

enum { S_NULL, S_TEXT, S_SYMTAB, S_DYNSYM, S_STRTAB, S_DATA };

typedef struct Builder {
    TestElf image;
    u32 n_names, n_symbols;
} Builder;

static u32 put_name(Builder *b, const char *name)
{
    u32 at = b->n_names;

    strcpy(b->image.names + at, name);
    b->n_names += (u32)strlen(name) + 1;
    return at;
}

static Elf64_Sym symbol(Builder *b, const char *name, u8 bind, u8 type, u64 value,
                        u64 size)
{
    return (Elf64_Sym){.st_name = put_name(b, name),
                       .st_info = ELF64_ST_INFO(bind, type),
                       .st_shndx = S_TEXT,
                       .st_value = value,
                       .st_size = size};
}

static void add(Builder *b, const char *name, u8 bind, u8 type, u64 value, u64 size)
{
    b->image.symbols[b->n_symbols++] = symbol(b, name, bind, type, value, size);
}

static Elf64_Shdr table(u32 type, u64 offset, u64 size)
{
    return (Elf64_Shdr){.sh_type = type,
                        .sh_offset = offset,
                        .sh_size = size,
                        .sh_link = S_STRTAB,
                        .sh_entsize = sizeof(Elf64_Sym)};
}

static void set_headers(TestElf *m)
{
    memcpy(m->e.e_ident, ELFMAG "\2\1\1", 7);
    m->e.e_phoff = offsetof(TestElf, p);
    m->e.e_phentsize = sizeof m->p[0];
    m->e.e_phnum = 2;
    m->e.e_shoff = offsetof(TestElf, s);
    m->e.e_shentsize = sizeof m->s[0];
    m->e.e_shnum = SECTIONS;
    m->p[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                           .p_flags = PF_R | PF_X,
                           .p_vaddr = TEXT,
                           .p_filesz = sizeof *m};
    m->p[1] = (Elf64_Phdr){.p_type = PT_NOTE,
                           .p_offset = offsetof(TestElf, note),
                           .p_filesz = sizeof m->note + 8};
    m->note = (Elf64_Nhdr){4, 4, NT_GNU_BUILD_ID};
    memcpy(m->owner, "GNU", 4);
    memcpy(m->id, "\x12\x34\x56\x78", 4);
    m->s[S_TEXT].sh_flags = SHF_EXECINSTR;
    m->s[S_SYMTAB] = table(SHT_SYMTAB, offsetof(TestElf, symbols), sizeof m->symbols);
    m->s[S_DYNSYM] = table(SHT_DYNSYM, offsetof(TestElf, dynamic), sizeof m->dynamic);
    m->s[S_STRTAB] = table(SHT_STRTAB, offsetof(TestElf, names), sizeof m->names);
}

static Builder build(void)
{
    Builder b = {.n_names = 1};

    set_headers(&b.image);
    add(&b, "second", STB_GLOBAL, STT_FUNC, TEXT + 0x100, 0x40);
    add(&b, "first", STB_LOCAL, STT_FUNC, TEXT + 0x80, 0x20);
    add(&b, "inside", STB_LOCAL, STT_NOTYPE, TEXT + 0x110, 0);
    add(&b, "$x", STB_LOCAL, STT_NOTYPE, TEXT + 0x100, 0);
    add(&b, "__alias", STB_GLOBAL, STT_FUNC, TEXT + 0x100, 0x40);
    add(&b, "open_end@@V_1", STB_GLOBAL, STT_FUNC, TEXT + 0x200, 0);
    add(&b, "data", STB_GLOBAL, STT_OBJECT, TEXT + 0x300, 8);
    add(&b, "elsewhere", STB_GLOBAL, STT_FUNC, TEXT + 0x300, 8);
    b.image.symbols[b.n_symbols - 1].st_shndx = S_DATA;
    b.image.dynamic[1] = symbol(&b, "exported", STB_GLOBAL, STT_FUNC, TEXT + 0x100, 8);
    return b;
}

/* ---- files ---- */

static const char *work(void)
{
    static char dir[64];

    if (!*dir) {
        strcpy(dir, "/tmp/test_symbols-XXXXXX");
        cr_assert(mkdtemp(dir));
    }
    return dir;
}

static SymbolFile *read_bytes(const void *bytes, size_t size, const char *prefix)
{
    char path[128];
    SymbolFile *f;
    int fd;

    snprintf(path, sizeof path, "%s/file", work());
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    f = symbol_file_read(path, prefix);
    unlink(path);
    return f;
}

static void clean(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", work());
    cr_expect(system(command) == 0);
}

static const char *name_at(const SymbolFile *f, u64 address)
{
    const FileSymbol *s = symbol_file_find(f, address);

    return s ? f->names + s->name : "";
}

/* ---- tests ---- */

Test(symbols, what_is_where, .fini = clean)
{
    static const struct {
        u64 address;
        const char *name;
    } cases[] = {
        {0, ""},
        {TEXT + 0x7f, ""},
        {TEXT + 0x80, "first"},
        {TEXT + 0x9f, "first"},
        {TEXT + 0xa0, ""},
        {TEXT + 0x100, "second"}, /* before its alias, and no mapping symbol */
        {TEXT + 0x118, "second"}, /* a label hides nothing */
        {TEXT + 0x140, ""},
        {TEXT + 0x200, "open_end"}, /* without version */
        {TEXT + 0x400, "open_end"},
        {~0ull, "open_end"},
    };
    Builder b = build();
    SymbolFile *f = read_bytes(&b.image, sizeof b.image, NULL);
    u64 address = 0;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_expect_str_eq(name_at(f, cases[i].address), cases[i].name, "at 0x%llx",
                         (long long)cases[i].address);
    cr_expect(symbol_file_address(f, 0x100, &address) && address == TEXT + 0x100);
    cr_expect_not(symbol_file_address(f, 0x100000, &address));
    cr_expect_str_eq(f->name, "file");
    symbol_file_free(f);
}

Test(symbols, exported_ones_of_a_stripped_file, .fini = clean)
{
    Builder b = build();
    SymbolFile *f;

    b.image.s[S_SYMTAB].sh_type = SHT_NULL;
    f = read_bytes(&b.image, sizeof b.image, NULL);
    cr_expect_str_eq(name_at(f, TEXT + 0x104), "exported");
    cr_expect_str_eq(name_at(f, TEXT + 0x80), "");
    symbol_file_free(f);
}

/* PREFIX/usr/lib/debug/.build-id/12/345678.debug */
static void write_debug_file(const TestElf *m)
{
    char path[160], command[200];
    int fd;

    snprintf(path, sizeof path, "%s/usr/lib/debug/.build-id/12/345678.debug", work());
    snprintf(command, sizeof command, "mkdir -p %s/usr/lib/debug/.build-id/12", work());
    cr_assert(system(command) == 0);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0 && write(fd, m, sizeof *m) == (ssize_t)sizeof *m);
    close(fd);
}

Test(symbols, separate_debug_file, .fini = clean)
{
    Builder b = build();
    SymbolFile *f;

    write_debug_file(&b.image);
    b.image.s[S_SYMTAB].sh_type = SHT_NULL;
    f = read_bytes(&b.image, sizeof b.image, work());
    cr_expect_str_eq(name_at(f, TEXT + 0x80), "first");
    symbol_file_free(f);
    b.image.id[3]++;
    f = read_bytes(&b.image, sizeof b.image, work());
    cr_expect_str_eq(name_at(f, TEXT + 0x104), "exported", "another build id");
    symbol_file_free(f);
}

/* Reads all that was understood of a file. */
static void walk(SymbolFile *f)
{
    u64 address;

    for (u32 i = 0; i < f->n; i++)
        cr_assert(strlen(f->names + f->at[i].name) < sizeof(TestElf));
    for (u64 at = TEXT; at < TEXT + 0x400; at += 16)
        name_at(f, at);
    for (u64 at = 0; at < 0x2000; at += 0x400)
        symbol_file_address(f, at, &address);
    symbol_file_free(f);
}

Test(symbols, every_length, .fini = clean, .timeout = 600)
{
    Builder b = build();

    for (size_t size = 0; size < sizeof b.image; size += 7)
        walk(read_bytes(&b.image, size, NULL));
}

Test(symbols, damaged_bytes, .fini = clean, .timeout = 600)
{
    const size_t headers = offsetof(TestElf, names);
    u32 seed = 1;

    for (u32 i = 0; i < MUTATIONS; i++) {
        Builder b = build();

        for (u32 k = 0; k <= i % 4; k++) {
            seed = seed * 1103515245 + 12345;
            ((u8 *)&b.image)[(seed >> 8) % headers] = (u8)(i & 1 ? 0xff : seed >> 24);
        }
        walk(read_bytes(&b.image, sizeof b.image, i & 2 ? work() : NULL));
    }
}

Test(symbols, bad_fields, .fini = clean)
{
    static const u64 bad[] = {0,     1,          0x7fffffff, 0xffffffff,
                              ~0ull, ~0ull - 23, 1ull << 63};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        for (u32 field = 0; field < 8; field++) {
            Builder b = build();
            TestElf *m = &b.image;
            u64 *const fields[] = {&m->e.e_shoff,           &m->e.e_phoff,
                                   &m->p[1].p_filesz,       &m->p[0].p_offset,
                                   &m->p[0].p_filesz,       &m->s[S_SYMTAB].sh_size,
                                   &m->s[S_STRTAB].sh_size, &m->symbols[0].st_size};

            *fields[field] = bad[i];
            m->symbols[1].st_name = (u32)bad[i];
            m->note.n_namesz = field & 1 ? (u32)bad[i] : 4;
            walk(read_bytes(m, sizeof *m, work()));
        }
}

Test(symbols, not_a_file)
{
    SymbolFile *f = symbol_file_read("/nonexistent", "/");

    cr_expect_eq(f->n, 0);
    symbol_file_free(f);
    f = symbol_file_read("/dev/zero", NULL); /* endless */
    cr_expect_eq(f->n, 0);
    symbol_file_free(f);
}
