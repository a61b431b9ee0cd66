/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run procfs
 *
 * /proc of the own process, however its files are called, and of a child: what is there
 * is this program's, and the files agree with one another as a kernel's do. */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { TEXT_MAX = 1 << 18, MAPS_MAX = 512 };

extern char **environ;

static size_t slurp_fd(int fd, char *out)
{
    size_t len = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, out + len, TEXT_MAX - 1 - len)) > 0)
        len += n;
    out[len] = 0;
    close(fd);
    return len;
}

static size_t slurp(const char *path, char *out)
{
    return slurp_fd(open(path, O_RDONLY), out);
}

static size_t slurp_of(int pid, const char *name, char *out)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return slurp(path, out);
}

/* The number behind a key. */
static u64 number(const char *text, const char *key, int base)
{
    const char *at = strstr(text, key);

    return at ? strtoull(at + strlen(key), NULL, base) : ~0ull;
}

/* ---- one file, many names ---- */

static void check_names(void)
{
    static char text[TEXT_MAX], first[TEXT_MAX];
    char thread[64], link[] = "/tmp/procfs.XXXXXX", there[64], here[PATH_MAX];
    int self = open("/proc/self", O_RDONLY | O_DIRECTORY), proc = open("/proc", O_PATH);
    size_t n = slurp("/proc/self/cmdline", first);

    CHECK(getcwd(here, sizeof here) != NULL);
    CHECK(n > 0);
    CHECK_EQ(slurp_of(getpid(), "cmdline", text), n);
    CHECK_EQ(slurp("/proc/thread-self/cmdline", text), n);
    CHECK_EQ(memcmp(text, first, n), 0);
    snprintf(thread, sizeof thread, "/proc/self/task/%d/cmdline", gettid());
    CHECK_EQ(slurp(thread, text), n);
    CHECK_EQ(slurp("/proc/self/../self/cmdline", text), n);
    CHECK_EQ(slurp("//proc//self/./cmdline", text), n);
    CHECK_EQ(slurp_fd(openat(self, "cmdline", O_RDONLY), text), n);
    CHECK_EQ(memcmp(text, first, n), 0);
    CHECK_EQ(slurp_fd(openat(proc, "self/cmdline", O_RDONLY), text), n);
    CHECK(mkdtemp(link) != NULL);
    snprintf(there, sizeof there, "%s/link", link);
    CHECK_EQ(symlink("/proc/self", there), 0);
    snprintf(there, sizeof there, "%s/link/cmdline", link);
    CHECK_EQ(slurp(there, text), n);
    CHECK_EQ(memcmp(text, first, n), 0);
    CHECK_EQ(chdir("/proc/self"), 0);
    CHECK_EQ(slurp("cmdline", text), n);
    CHECK_EQ(chdir(here), 0);
    *strrchr(there, '/') = 0;
    CHECK_EQ(unlink(there), 0);
    CHECK_EQ(rmdir(link), 0);
    CHECK_ERR(open("/proc/self/nothing", O_RDONLY), ENOENT);
    CHECK_ERR(open("/proc/999999999/maps", O_RDONLY), ENOENT);
    close(self);
    close(proc);
}

static void check_file_of_that_name(void)
{
    char dir[] = "/tmp/procfs.XXXXXX", path[64], text[8];
    int fd;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/maps", dir);
    fd = open(path, O_CREAT | O_RDWR, 0600);
    CHECK_EQ(write(fd, "mine", 4), 4);
    close(fd);
    fd = open(path, O_RDONLY);
    CHECK_EQ(read(fd, text, sizeof text), 4);
    close(fd);
    unlink(path);
    rmdir(dir);
}

/* ---- exe ---- */

static void check_exe(void)
{
    char own[PATH_MAX] = "", other[PATH_MAX] = "", path[64];
    int self = open("/proc/self", O_PATH), link, fd;
    struct stat a, b;
    Elf64_Ehdr eh;

    CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    CHECK(strstr(own, "procfs") != NULL);
    CHECK_EQ(readlinkat(self, "exe", other, sizeof other), strlen(own));
    CHECK_EQ(strncmp(other, own, strlen(own)), 0);
    snprintf(path, sizeof path, "/proc/%d/task/%d/exe", getpid(), gettid());
    CHECK_EQ(readlink(path, other, sizeof other), strlen(own));
    link = open("/proc/self/exe", O_PATH | O_NOFOLLOW);
    CHECK_EQ(readlinkat(link, "", other, sizeof other), strlen(own));
    CHECK_EQ(readlink("/proc/self/exe", other, 3), 3);
    CHECK_EQ(stat(own, &a), 0);
    CHECK(stat("/proc/thread-self/exe", &b) == 0 && a.st_ino == b.st_ino);
    CHECK(fstatat(self, "exe", &b, 0) == 0 && a.st_ino == b.st_ino);
    CHECK(lstat("/proc/self/exe", &b) == 0 && S_ISLNK(b.st_mode));
    fd = openat(self, "exe", O_RDONLY);
    CHECK_EQ(read(fd, &eh, sizeof eh), sizeof eh);
    CHECK_EQ(eh.e_machine, EM_RISCV);
    close(fd);
    close(self);
    close(link);
}

/* ---- memory ---- */

typedef struct Map {
    u64 start, end;
    char rights[8], file[256];
} Map;

static Map maps[MAPS_MAX];

/* Reads lines of maps or smaps; the rest is left out.  Returns how many. */
static int parse_maps(const char *text)
{
    int n = 0;

    for (const char *at = text; at && *at;
         at = strchr(at, '\n') ? strchr(at, '\n') + 1 : 0) {
        Map *m = &maps[n];
        unsigned long start, end;

        m->file[0] = 0;
        if (sscanf(at, "%lx-%lx %7s %*s %*s %*s%*[ ]%255[^\n]", &start, &end, m->rights,
                   m->file) < 3)
            continue;
        m->start = start;
        m->end = end;
        CHECK(m->start < m->end && m->end <= 1ull << 47);
        CHECK(n == 0 || maps[n - 1].end <= m->start);
        CHECK(!strstr(m->file, "tessera") && !strstr(m->file, "memfd"));
        n += n < MAPS_MAX - 1;
    }
    return n;
}

static const Map *map_of(const void *p, int n)
{
    for (int i = 0; i < n; i++)
        if ((u64)p >= maps[i].start && (u64)p < maps[i].end)
            return &maps[i];
    return NULL;
}

static u64 mapped(int n)
{
    u64 sum = 0;

    for (int i = 0; i < n; i++)
        sum += maps[i].end - maps[i].start;
    return sum;
}

static u64 sum_of(const char *text, const char *key)
{
    u64 sum = 0;

    while ((text = strstr(text, key))) {
        text += strlen(key);
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

/* Field of stat, counted from 1; from the third on. */
static u64 stat_field(const char *text, int field)
{
    const char *at = strrchr(text, ')');

    for (int i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : ~0ull;
}

static void check_memory(void)
{
    static char text[TEXT_MAX];
    int local = 0, n, lines;
    const Map *m;
    u64 size;

    CHECK(slurp("/proc/self/maps", text) > 0);
    n = parse_maps(text);
    m = map_of(&local, n);
    CHECK(m && !strcmp(m->file, "[stack]") && !strcmp(m->rights, "rw-p"));
    m = map_of(check_memory, n);
    CHECK(m && !strcmp(m->rights, "r-xp") && strstr(m->file, "procfs"));
    m = map_of(sbrk(0) - 1, n);
    CHECK(m && !strcmp(m->file, "[heap]"));
    CHECK(slurp("/proc/self/smaps", text) > 0);
    lines = parse_maps(text);
    CHECK(lines >= n);
    size = mapped(lines);
    CHECK_EQ(sum_of(text, "\nSize:") * 1024, size);
    CHECK(sum_of(text, "\nRss:") > 0);
    CHECK(slurp("/proc/self/smaps_rollup", text) > 0);
    CHECK(strstr(text, "[rollup]\nRss:") != NULL);
    CHECK(slurp("/proc/self/status", text) > 0);
    CHECK_EQ(number(text, "VmSize:", 10) * 1024, size);
    CHECK(slurp("/proc/self/statm", text) > 0);
    CHECK_EQ(strtoull(text, NULL, 10) * 4096, size);
    CHECK(slurp("/proc/self/stat", text) > 0);
    CHECK_EQ(stat_field(text, 23), size);
    CHECK(stat_field(text, 28) < stat_field(text, 48));
    CHECK(stat_field(text, 26) <= (u64)check_memory);
    CHECK(stat_field(text, 27) > (u64)check_memory);
}

/* To read is not to write: a limit of what may be written counts for nothing. */
static void check_limit(void)
{
    static char text[TEXT_MAX], now[TEXT_MAX];
    static const char *const names[] = {"/proc/self/maps", "/proc/self/smaps",
                                        "/proc/self/cmdline", "/proc/cpuinfo"};
    struct rlimit old, none;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = (struct rlimit){10, old.rlim_max};
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t n = slurp(names[i], text);

        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
        CHECK_EQ(slurp(names[i], now) > 0, n > 0);
        CHECK_EQ(memcmp(text, now, 10), 0);
        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    }
}

static void check_arguments(char **argv)
{
    static char text[TEXT_MAX];
    Elf64_auxv_t *aux = (Elf64_auxv_t *)text;
    size_t n = slurp("/proc/self/cmdline", text);

    CHECK_EQ(n, strlen(argv[0]) + 1);
    CHECK(n && !strcmp(text, argv[0]));
    argv[0][0] ^= 1; /* as programs do that set their title */
    CHECK_EQ(slurp("/proc/self/cmdline", text), n);
    CHECK_EQ(memcmp(text, argv[0], n), 0);
    argv[0][0] ^= 1;
    n = slurp("/proc/self/environ", text);
    for (size_t i = 0, at = 0; environ[i] && at < n; i++) {
        CHECK(!strcmp(text + at, environ[i]));
        at += strlen(text + at) + 1;
    }
    n = slurp("/proc/self/auxv", text) / sizeof *aux;
    CHECK(n > 10);
    for (size_t i = 0; i + 1 < n; i++)
        CHECK_EQ(aux[i].a_un.a_val, getauxval(aux[i].a_type));
    CHECK(slurp("/proc/sys/kernel/arch", text) == 8 && !strcmp(text, "riscv64\n"));
    CHECK(slurp("/proc/cpuinfo", text) && strstr(text, "\nisa\t\t: rv64"));
}

/* ---- signals and threads ---- */

static void on_signal(int sig) { (void)sig; }

static void check_signals(void)
{
    static char text[TEXT_MAX];
    sigset_t set, old;
    u64 caught, ignored;

    slurp("/proc/self/status", text);
    caught = number(text, "SigCgt:", 16);
    ignored = number(text, "SigIgn:", 16);
    signal(SIGUSR1, on_signal);
    signal(SIGSEGV, on_signal);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, &old);
    slurp("/proc/self/status", text);
    CHECK_EQ(number(text, "SigBlk:", 16), 1 << (SIGTERM - 1));
    CHECK_EQ(number(text, "SigCgt:", 16),
             caught | 1 << (SIGUSR1 - 1) | 1 << (SIGSEGV - 1));
    CHECK_EQ(number(text, "SigIgn:", 16), ignored | 1 << (SIGUSR2 - 1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGSEGV, SIG_DFL);
}

static int count_tasks(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    int n = 0;

    while (dir && (e = readdir(dir)))
        n += *e->d_name != '.';
    closedir(dir);
    return n;
}

static void *thread(void *arg)
{
    static char text[TEXT_MAX];
    char path[64];

    pthread_setname_np(pthread_self(), "second");
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", gettid());
    CHECK(slurp(path, text) > 0 && strstr(text, "(second)"));
    CHECK_EQ(strtoull(text, NULL, 10), gettid());
    CHECK(slurp("/proc/thread-self/status", text) && strstr(text, "Name:\tsecond\n"));
    CHECK(slurp("/proc/self/stat", text) && strstr(text, "(procfs)"));
    CHECK_EQ(number(text, ") R ", 10) == ~0ull && number(text, ") S ", 10) == ~0ull, 0);
    CHECK_EQ(count_tasks(), 2);
    CHECK(slurp("/proc/self/status", text) && number(text, "Threads:", 10) == 2);
    return arg;
}

static void check_threads(void)
{
    pthread_t t;

    CHECK_EQ(count_tasks(), 1);
    CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
    pthread_join(t, NULL);
}

/* ---- another process ---- */

/* Says so when it is there, and waits for the end of its input. */
static int child_main(void)
{
    char c = 'x';

    return write(1, &c, 1) != 1 || read(0, &c, 1) != 0;
}

static void check_child_files(int pid, const char *own)
{
    static char text[TEXT_MAX];
    char link[PATH_MAX] = "";
    size_t n = slurp_of(pid, "cmdline", text);
    int lines;

    CHECK(n == sizeof "the child\0child\0--option=1" &&
          !memcmp(text, "the child\0child\0--option=1", n));
    CHECK(slurp_of(pid, "environ", text) == 8 && !strcmp(text, "A=b c=d"));
    CHECK(slurp_of(pid, "comm", text) && !strcmp(text, "procfs\n"));
    snprintf(text, 64, "/proc/%d/exe", pid);
    CHECK(readlink(text, link, sizeof link - 1) > 0 && !strcmp(link, own));
    CHECK(slurp_of(pid, "maps", text) > 0);
    lines = parse_maps(text);
    CHECK(lines > 2 && strstr(text, "procfs\n") && strstr(text, "[stack]\n"));
    CHECK(slurp_of(pid, "stat", text) > 0);
    CHECK_EQ(stat_field(text, 23), mapped(lines));
    CHECK(slurp_of(pid, "status", text) > 0);
    CHECK_EQ(number(text, "VmSize:", 10) * 1024, mapped(lines));
    CHECK(slurp_of(pid, "auxv", text) > 64);
}

static void check_child(void)
{
    char own[PATH_MAX] = "", c;
    int in[2], out[2], status, self = open("/proc/self", O_PATH);
    pid_t pid;

    CHECK(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    CHECK(pipe(in) == 0 && pipe(out) == 0);
    pid = fork();
    if (pid == 0) {
        char *argv[] = {"the child", "child", "--option=1", NULL};
        char *envp[] = {"A=b c=d", NULL};

        dup2(in[0], 0);
        dup2(out[1], 1);
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        syscall(SYS_execveat, self, "exe", argv, envp, 0);
        _exit(9);
    }
    close(in[0]);
    close(out[1]);
    CHECK_EQ(read(out[0], &c, 1), 1);
    check_child_files(pid, own);
    close(in[1]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(out[0]);
    close(self);
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    int n = 0;

    while (dir && (e = readdir(dir)))
        n += *e->d_name != '.' && atoi(e->d_name) > 2;
    closedir(dir);
    return n - 1;
}

/* Nothing is open but what we opened; closing it all, or opening all, hurts nothing. */
static void check_fds(bool root)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        check_failed = 0;
        if (root && (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0))
            CHECK(chroot("/") == 0 || errno == EPERM);
        CHECK_EQ(close_range(3, ~0u, 0), 0);
        CHECK_EQ(count_fds(), 0);
        for (int fd = 500; fd < 520; fd++)
            CHECK_EQ(dup2(0, fd), fd);
        CHECK_EQ(count_fds(), 20);
        execl("/proc/self/exe", "procfs", check_failed ? "bad" : "good", NULL);
        _exit(9);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "child"))
        return child_main();
    if (argc > 1)
        return strcmp(argv[1], "good") != 0;
    check_arguments(argv);
    check_names();
    check_file_of_that_name();
    check_exe();
    check_memory();
    check_limit();
    check_signals();
    check_threads();
    check_child();
    check_fds(false);
    check_fds(true);
    return check_done("procfs");
}
