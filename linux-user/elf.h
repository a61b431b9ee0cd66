/* SPDX-License-Identifier: MIT */
/* What elf.c (loading), elf_file.c (finding and checking) and elf_stack.c share. */
#ifndef TESSERA_ELF_H
#define TESSERA_ELF_H

#include <elf.h>
#include "user.h"

/* ---- elf_file.c ---- */

enum { ELF_HEAD = 4096 };

/* An open file that may be a program. */
typedef struct ElfFile {
    int fd; /* -1: closed */
    u64 size;
    size_t head_len;
    union {
        char head[ELF_HEAD]; /* its first bytes */
        Elf64_Ehdr eh;
    };
    Elf64_Phdr *ph; /* NULL before elf_check */
} ElfFile;

/* A #! line. */
typedef struct Shebang {
    char text[ABI_SHEBANG + 1];
    const char *interp, *arg; /* into text; arg: NULL when there is none */
} Shebang;

/* Opens a regular file that we may execute, by its host path.  0 or -errno. */
i64 elf_open(ElfFile *f, const char *host_path);
/* The same of a file that the kernel has opened to run it; takes the descriptor. */
i64 elf_open_fd(ElfFile *f, int fd);
void elf_close(ElfFile *f);
FileKind elf_kind(const Process *p, const ElfFile *f);
bool elf_shebang(const ElfFile *f, Shebang *out);
/* Reads and checks the headers.  NULL, or why they will not do. */
const char *elf_check(ElfFile *f, const Process *p);

/* ---- elf_stack.c ---- */

/* Maps the main thread's stack, at the end of the window: before anything else. */
void elf_stack_map(Task *t);
/* Fills it with arguments, environment and auxiliary vector; returns sp.  Ends the
 * program when there is no room. */
u64 elf_stack(Task *t, char **envp);

#endif
