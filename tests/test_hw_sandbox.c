/* SPDX-License-Identifier: MIT */
/* Run: build/tests/test_hw_sandbox
 *
 * What is left to a process after -sandbox on: its open files, memory and threads; no
 * other files but those of a shared folder, no programs, no processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../hw/disk.h"
#include "../hw/fs.h"
#include "../hw/net.h"
#include "hw_driver.h"

enum { SKIPPED = 77 };

static char folder[] = "/tmp/tessera-sandbox-XXXXXX";

/* Runs inside(ctx) in a sandboxed process with a machine; its exit status, or -signal.
 */
static int sandboxed(bool (*setup)(Machine *m, char **error), int (*inside)(Machine *m))
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (!pid) {
        Machine *m = driver_machine();
        char *error = NULL;

        machine_lock(m);
        if (setup && !setup(m, &error))
            _exit(100);
        if (!sandbox_enter(m, &error))
            _exit(strstr(error, "Landlock") ? SKIPPED : 101);
        machine_unlock(m);
        _exit(inside(m));
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool refused(long result, int with) { return result < 0 && errno == with; }

/* The number of the first that does not hold; 0: all do. */
static int first_wrong(const bool *holds, u32 n)
{
    for (u32 i = 0; i < n; i++)
        if (!holds[i])
            return (int)i + 1;
    return 0;
}

/* ---- with nothing but a disk ---- */

static bool with_disk(Machine *m, char **error)
{
    return disk_add(m, "file=/proc/self/exe,if=virtio,readonly=on", error);
}

static gpointer one(gpointer p) { return p; }

static int plain(Machine *m)
{
    char byte = '\n';
    const bool holds[] = {
        refused(open("/etc/passwd", O_RDONLY), EPERM),
        refused(open("/tmp/tessera-never", O_CREAT | O_WRONLY, 0600), EPERM),
        refused(syscall(SYS_open, "/dev/null", O_RDONLY), EPERM),
        refused(unlink("/tmp/tessera-never"), EPERM),
        refused(socket(AF_UNIX, SOCK_STREAM, 0), EPERM),
        refused(ioctl(0, TIOCSTI, &byte), EPERM),
        refused(syscall(SYS_ioctl, 0, 0x100000000 | TIOCSTI, &byte), EPERM),
        refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM),
        refused(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM),
        g_thread_join(g_thread_new("one", one, m)) == m,
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED,
        !syscall(SYS_tgkill, getpid(), getpid(), 0),
    };

    return first_wrong(holds, G_N_ELEMENTS(holds));
}

Test(sandbox, files_and_processes) { cr_assert_eq(sandboxed(with_disk, plain), 0); }

/* The disk's thread had begun before. */
static int reads_disk(Machine *m)
{
    Driver d = driver_new(m, DRIVER_SLOTS + 7 * DRIVER_STRIDE, 0, 1);
    const u64 at = BOARD_RAM + 0x1000;

    memset(ram(&d, at), 0, 16);
    driver_add(&d, 0, (Buffer[]){{at, 16}, {at + 0x1000, 513, true}}, 2);
    driver_kick(&d, 0);
    driver_wait(&d, 0);
    return memcmp(ram(&d, at + 0x1000), "\177ELF", 4) != 0;
}

Test(sandbox, disk_goes_on) { cr_assert_eq(sandboxed(with_disk, reads_disk), 0); }

static int executes(Machine *m) { return execl("/bin/true", "true", NULL); }
static int forks(Machine *m) { return (int)syscall(SYS_fork) * 0; }
static int traces(Machine *m) { return (int)syscall(SYS_ptrace, 0, 0, 0, 0); }
static int kills(Machine *m) { return kill(getppid(), 0); }

Test(sandbox, ends_the_process)
{
    cr_assert_eq(sandboxed(NULL, executes), -SIGSYS);
    cr_assert_eq(sandboxed(NULL, forks), -SIGSYS);
    cr_assert_eq(sandboxed(NULL, traces), -SIGSYS);
    cr_assert_eq(sandboxed(NULL, kills), -SIGSYS);
}

/* ---- with a folder, with a network ---- */

static bool with_folder(Machine *m, char **error)
{
    char *list = g_strdup_printf("local,id=f,path=%s,security_model=none", folder);

    return fs_add(m, list, error);
}

static int in_folder(Machine *m)
{
    const Fs *fs = fs_find(m, "f");
    const bool holds[] = {
        fs_open(fs, "new", O_CREAT | O_RDWR, 0600) >= 0,
        !mkdirat(fs->root, "sub", 0700),
        !renameat(fs->root, "new", fs->root, "sub/new"),
        refused(open("/etc/passwd", O_RDONLY), EACCES),
        refused(openat(fs->root, "../passwd", O_CREAT | O_WRONLY, 0600), EACCES),
        refused(unlinkat(AT_FDCWD, "/etc/passwd", 0), EACCES),
        refused(socket(AF_INET, SOCK_STREAM, 0), EPERM),
    };

    return first_wrong(holds, G_N_ELEMENTS(holds));
}

static bool with_network(Machine *m, char **error)
{
    return net_add(m, "user,id=n", error);
}

static int on_network(Machine *m)
{
    const bool holds[] = {
        socket(AF_INET, SOCK_STREAM, 0) >= 0,
        open("/etc/resolv.conf", O_RDONLY) >= 0 || errno == ENOENT,
        refused(open("/etc/passwd", O_RDONLY), EACCES),
        refused(open("/tmp/tessera-never", O_CREAT | O_WRONLY, 0600), EACCES),
    };

    return first_wrong(holds, G_N_ELEMENTS(holds));
}

static void check_land(int result)
{
    if (result == SKIPPED)
        cr_skip_test("this host has no Landlock");
    cr_assert_eq(result, 0, "check %d", result);
}

Test(sandbox, shared_folder)
{
    char *command;

    cr_assert(mkdtemp(folder));
    command = g_strdup_printf("rm -r %s", folder);
    check_land(sandboxed(with_folder, in_folder));
    cr_assert_eq(system(command), 0);
    g_free(command);
}

Test(sandbox, network) { check_land(sandboxed(with_network, on_network)); }
