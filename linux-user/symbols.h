/* SPDX-License-Identifier: MIT */
/* What symbols.c (which file is where) and symbols_file.c (ELF tables) share. */
#ifndef TESSERA_SYMBOLS_H
#define TESSERA_SYMBOLS_H

#include <elf.h>
#include "user.h"

/* ---- symbols_file.c ---- */

typedef struct FileSymbol {
    u64 value, size; /* addresses in the file; size 0: up to the next one */
    u32 name;        /* offset into names */
    u8 rank;         /* the lowest of those at one address is shown */
    bool label;      /* without a type, as assembler labels are */
} FileSymbol;

typedef struct SymbolFile {
    const char *name; /* without its folders; for what has no symbol */
    char *path;
    Elf64_Phdr *ph;
    u32 n_ph, n;
    FileSymbol *at; /* by address */
    char *names;    /* ends with a NUL */
} SymbolFile;

/* Reads the tables of an ELF file that code was mapped from, and of its separate
 * debug file (below prefix or /).  What is bad is left out; NULL: no memory. */
SymbolFile *symbol_file_read(const char *path, const char *prefix);
void symbol_file_free(SymbolFile *f);
/* The address at which the file wants the byte at this offset of it. */
bool symbol_file_address(const SymbolFile *f, u64 offset, u64 *address);
/* The symbol there (the first of several); NULL: none. */
const FileSymbol *symbol_file_find(const SymbolFile *f, u64 address);

#endif
