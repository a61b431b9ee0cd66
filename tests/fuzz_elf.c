/* SPDX-License-Identifier: MIT */
/* Run: tests/fuzz elf
 *
 * A file's bytes as a program: told apart (elf_probe, as execve does), then loaded
 * with its stack.  What is loaded must lie in the window, and sp and argv be readable.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../linux-user/elf.h"
#include "fuzz_task.h"

enum { FIRST_FD = 100, X_SP = 2 };

static Task *task;
static int file;
static char path[32];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    int fd = memfd_create("program", 0);

    file = fcntl(fd, F_DUPFD, FIRST_FD);
    close(fd);
    fchmod(file, 0700);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    task = fuzz_task();
    return 0;
}

static void load(void)
{
    static char *envp[] = {"HOME=/", NULL}, *argv[] = {path, "an argument", NULL};

    process.program = process.filename = path;
    process.argv = argv;
    guest_find("riscv64")->reset(task->env);
    fuzz_inside = true;
    if (!setjmp(fuzz_end))
        elf_exec(task, envp);
    else
        process.image.n_phdr = 0; /* refused */
    fuzz_inside = false;
}

static void check_loaded(void)
{
    const Image *image = &process.image;
    u64 sp = task->env->g[X_SP], argc = 0, arg0 = 0;
    char text[64] = "";

    fuzz_demand(image->start < image->end && image->end <= memory.space.size,
                "image %llx to %llx", (unsigned long long)image->start,
                (unsigned long long)image->end);
    fuzz_demand(sp % 16 == 0 && sp >= memory.stack_start && sp < memory.stack_end,
                "sp %llx", (unsigned long long)sp);
    fuzz_demand(guest_read(task, &argc, sp, 8) && argc >= 2 && argc < 10, "argc %llu",
                (unsigned long long)argc);
    fuzz_demand(guest_read(task, &arg0, sp + 8, 8) && guest_read(task, text, arg0, 6),
                "argv[0] at %llx", (unsigned long long)arg0);
    fuzz_demand(memory.brk_start >= image->start, "brk");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    FileKind kind = FILE_OTHER;
    i64 probed;

    if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    probed = elf_probe(&process, path, &kind);
    load();
    if (process.image.n_phdr) {
        fuzz_demand(probed == 0, "execve would say %lld", (long long)probed);
        check_loaded();
    }
    fuzz_task_clear(task);
    free(process.exe);
    process.exe = NULL;
    close_range(file + 1, ~0u, 0); /* fatal leaves files open */
    for (int fd = 3; fd < 16; fd++)
        close(fd);
    return 0;
}
