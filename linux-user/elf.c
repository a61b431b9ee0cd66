/* SPDX-License-Identifier: MIT */
/*
 * Loading a program: scripts are replaced by their interpreters, segments are mapped,
 * the dynamic linker comes from the -L prefix.  What cannot be loaded ends the
 * program with one line and the status a shell would give: 127 for what is not
 * there, 126 for what is there and does not run.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "elf.h"
#include "mem.h"

enum { NOT_FOUND = 127, NOT_RUN = 126 };

_Noreturn static void fail_errno(const char *name, i64 error)
{
    bool absent = error == -ENOENT || error == -ENOTDIR;

    fatal(absent ? NOT_FOUND : NOT_RUN, "%s: %s", name, strerror((int)-error));
}

/* ---- segments ---- */

static int prot_of(const Elf64_Phdr *ph)
{
    return (ph->p_flags & PF_R ? PROT_READ : 0) |
           (ph->p_flags & PF_W ? PROT_WRITE : 0) | (ph->p_flags & PF_X ? PROT_EXEC : 0);
}

static i64 map_file_part(Task *t, const ElfFile *f, const Elf64_Phdr *ph, u64 bias)
{
    u64 start = align_down(bias + ph->p_vaddr, PAGE_SIZE);
    u64 end = bias + ph->p_vaddr + ph->p_filesz;
    i64 r = mem_mmap(t, start, end - start, prot_of(ph), MAP_PRIVATE | MAP_FIXED, f->fd,
                     align_down(ph->p_offset, PAGE_SIZE));

    /* What follows in the last page is zero, when the program can write there. */
    if (r >= 0 && (ph->p_flags & PF_W) && ph->p_memsz > ph->p_filesz)
        memset(space_host(&t->process->mem->space, end), 0,
               align_up(end, PAGE_SIZE) - end);
    return r;
}

static i64 map_segment(Task *t, const ElfFile *f, const Elf64_Phdr *ph, u64 bias)
{
    u64 file_end = bias + ph->p_vaddr + ph->p_filesz,
        end = bias + ph->p_vaddr + ph->p_memsz;
    u64 start =
        ph->p_filesz ? align_up(file_end, PAGE_SIZE) : align_down(file_end, PAGE_SIZE);
    i64 r = ph->p_filesz ? map_file_part(t, f, ph, bias) : 0;

    if (r >= 0 && align_up(end, PAGE_SIZE) > start)
        r = mem_mmap(t, start, align_up(end, PAGE_SIZE) - start, prot_of(ph),
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return r;
}

/* First and one past the last address of the file's image, and its alignment. */
static void image_range(const ElfFile *f, u64 *low, u64 *high, u64 *align)
{
    *low = ~0ull;
    *high = 0;
    *align = PAGE_SIZE;
    for (int i = 0; i < f->eh.e_phnum; i++) {
        const Elf64_Phdr *ph = &f->ph[i];

        if (ph->p_type != PT_LOAD || ph->p_memsz == 0)
            continue;
        *low = MIN(*low, align_down(ph->p_vaddr, PAGE_SIZE));
        *high = MAX(*high, align_up(ph->p_vaddr + ph->p_memsz, PAGE_SIZE));
        if (!(ph->p_align & (ph->p_align - 1)) && ph->p_align <= 1ull << 30)
            *align = MAX(*align, ph->p_align);
    }
}

/* Where a file that can be anywhere goes: what to add to its addresses. */
static i64 choose_bias(const Process *p, int fd, u64 low, u64 size, u64 align,
                       bool is_program)
{
    const Memory *m = p->mem;
    /* As Linux does: a program at two thirds of the space, its heap after it. */
    u64 hint = is_program ? align_down(m->high / 3 * 2, align) : mem_home(p, fd, size);
    i64 at = mem_place(m, hint, size + align - PAGE_SIZE, 0);

    return at < 0 ? at : (i64)(align_up((u64)at, align) - align_down(low, align));
}

static u64 load(Task *t, const ElfFile *f, const char *name, bool is_program)
{
    u64 low, high, align;
    i64 bias = 0;

    image_range(f, &low, &high, &align);
    if (f->eh.e_type == ET_DYN)
        bias = choose_bias(t->process, f->fd, low, high - low, align, is_program);
    if (bias < 0 && (u64)bias >= (u64)-4095)
        fatal(NOT_RUN, "%s: no room in guest memory", name);
    for (int i = 0; i < f->eh.e_phnum; i++) {
        i64 r = 0;

        if (f->ph[i].p_type == PT_LOAD && f->ph[i].p_memsz)
            r = map_segment(t, f, &f->ph[i], (u64)bias);
        if (r < 0)
            fatal(NOT_RUN, "%s: cannot map a segment at 0x%llx: %s", name,
                  (long long)((u64)bias + f->ph[i].p_vaddr), strerror((int)-r));
    }
    if (is_program) {
        t->process->image.start = (u64)bias + low;
        t->process->image.end = (u64)bias + high;
    }
    return (u64)bias;
}

/* ---- the interpreter ---- */

static void read_interp(const ElfFile *f, const Elf64_Phdr *ph, const char *name,
                        char *out)
{
    if (ph->p_filesz < 2 || ph->p_filesz > PATH_MAX || ph->p_offset > f->size ||
        ph->p_filesz > f->size - ph->p_offset ||
        pread(f->fd, out, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz ||
        out[ph->p_filesz - 1] != 0)
        fatal(NOT_RUN, "%s: bad interpreter name", name);
}

static void load_interp(Task *t, const char *program, const char *interp)
{
    Process *p = t->process;
    char buf[PATH_MAX];
    ElfFile f;
    const char *bad;
    i64 r = elf_open(&f, path_host(p, interp, buf));

    if (r == -ENOENT || r == -ENOTDIR)
        fatal(NOT_FOUND, "%s: interpreter %s not found%s", program, interp,
              p->options.prefix ? "" : " (-L PREFIX says where to look)");
    if (r < 0)
        fatal(NOT_RUN, "%s: interpreter %s: %s", program, interp, strerror((int)-r));
    if ((bad = elf_check(&f, p)))
        fatal(NOT_RUN, "%s: interpreter %s: %s", program, interp, bad);
    p->image.interp_base = load(t, &f, interp, false);
    p->image.start_pc = p->image.interp_base + f.eh.e_entry;
    elf_close(&f);
}

/* ---- the program ---- */

static u64 phdr_address(const ElfFile *f, u64 bias)
{
    for (int i = 0; i < f->eh.e_phnum; i++) {
        const Elf64_Phdr *ph = &f->ph[i];

        if (ph->p_type == PT_LOAD && f->eh.e_phoff >= ph->p_offset &&
            f->eh.e_phoff < ph->p_offset + ph->p_filesz)
            return bias + ph->p_vaddr + f->eh.e_phoff - ph->p_offset;
    }
    return 0;
}

static void load_program(Task *t, const ElfFile *f)
{
    Process *p = t->process;
    char interp[PATH_MAX] = "";
    u64 bias;

    for (int i = 0; i < f->eh.e_phnum; i++) {
        if (f->ph[i].p_type == PT_INTERP && !*interp)
            read_interp(f, &f->ph[i], p->program, interp);
        else if (f->ph[i].p_type == PT_GNU_STACK)
            p->image.exec_stack = f->ph[i].p_flags & PF_X;
    }
    elf_stack_map(t);
    bias = load(t, f, p->program, true);
    p->image.entry = p->image.start_pc = bias + f->eh.e_entry;
    p->image.phdr = phdr_address(f, bias);
    p->image.n_phdr = f->eh.e_phnum;
    p->mem->brk_start = p->mem->brk = p->image.end;
    if (*interp)
        load_interp(t, p->program, interp);
}

/* argv of a script: its interpreter, the argument, the script, the rest. */
static void script_args(Process *p, const Shebang *bang)
{
    size_t n = 0, at = 0;
    char **argv;

    while (p->argv[n])
        n++;
    argv = calloc(n + 4, sizeof *argv);
    if (!argv)
        fatal(NOT_RUN, "%s: out of memory", p->program);
    argv[at++] = strdup(bang->interp);
    if (bang->arg)
        argv[at++] = strdup(bang->arg);
    argv[at++] = (char *)p->program;
    if (n > 0)
        memcpy(&argv[at], &p->argv[1], (n - 1) * sizeof *argv);
    p->argv = argv;
    p->program = argv[0];
}

/* Opens the program, and while it is a script, its interpreter instead. */
static void open_program(Process *p, ElfFile *f)
{
    const char *script = NULL;
    char buf[PATH_MAX];
    Shebang bang;

    for (int depth = 0; depth <= ABI_SHEBANG_DEPTH; depth++) {
        bool opened = !script && p->options.program_fd >= 0;
        i64 r = opened ? elf_open_fd(f, p->options.program_fd)
                       : elf_open(f, path_host(p, p->program, buf));

        if (r < 0 && script)
            fatal(r == -ENOENT ? NOT_FOUND : NOT_RUN, "%s: interpreter %s: %s", script,
                  p->program, strerror((int)-r));
        if (r < 0)
            fail_errno(p->program, r);
        if (elf_kind(p, f) != FILE_SCRIPT)
            return;
        if (!elf_shebang(f, &bang))
            fatal(NOT_RUN, "%s: no interpreter after #!", p->program);
        elf_close(f);
        script = p->program;
        script_args(p, &bang);
    }
    fatal(NOT_RUN, "%s: too many interpreters, one of another", script);
}

static void name_process(Process *p, int fd)
{
    const char *slash = strrchr(p->filename, '/');
    char link[32], path[PATH_MAX];
    ssize_t n;

    prctl(PR_SET_NAME, slash ? slash + 1 : p->filename);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[MAX(n, 0)] = 0;
    p->exe = strdup(n > 0 ? path_guest(p, path) : p->program);
}

void elf_exec(Task *t, char **envp)
{
    Process *p = t->process;
    const char *bad;
    ElfFile f;

    open_program(p, &f);
    if ((bad = elf_check(&f, p)))
        fatal(NOT_RUN, "%s: %s", p->program, bad);
    name_process(p, f.fd);
    load_program(t, &f);
    elf_close(&f);
    p->abi->start(t, p->image.start_pc, elf_stack(t, envp));
    proc_tell_kernel(t);
}
