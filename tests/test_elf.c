/* SPDX-License-Identifier: MIT */
/* Run: TESSERA=./tessera-riscv64 tests/test_elf        (in the build folder)
 *
 * Bad programs: each must be refused with one line on stderr and the status a shell
 * would give (126: found but cannot run, 127: not found); never a crash or hang. */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, TEXT = 0x10000, DATA = 0x20000, SECONDS = 10, MUTATIONS = 400 };

/* A program of two segments that exits with 42. */
typedef struct Image {
    Elf64_Ehdr e;
    Elf64_Phdr p[3]; /* the third one is unused */
    char interp[64];
    uint8_t pad[PAGE - 64 - 3 * 56 - 64];
    uint32_t text[PAGE / 4];
    uint8_t data[PAGE];
} Image;

_Static_assert(sizeof(Image) == 3 * PAGE, "segments begin at pages");

static void image_init(Image *m)
{
    static const uint32_t code[] = {0x02a00513, 0x05d00893, 0x00000073};

    memset(m, 0, sizeof(*m));
    memcpy(m->e.e_ident, ELFMAG "\2\1\1", 7);
    m->e.e_type = ET_EXEC;
    m->e.e_machine = EM_RISCV;
    m->e.e_version = 1;
    m->e.e_entry = TEXT;
    m->e.e_phoff = 64;
    m->e.e_flags = 5;
    m->e.e_ehsize = 64;
    m->e.e_phentsize = 56;
    m->e.e_phnum = 2;
    m->p[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, PAGE, TEXT, TEXT, PAGE, PAGE, PAGE};
    m->p[1] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 2 * PAGE, DATA, DATA, PAGE, 2 * PAGE, PAGE};
    memcpy(m->text, code, sizeof(code));
}

/* ---- running ---- */

typedef struct Outcome {
    int status;     /* of wait */
    char err[2048]; /* stderr */
} Outcome;

static const char *tessera(void)
{
    const char *path = getenv("TESSERA");

    return path ? path : "./tessera-riscv64";
}

static void child(const char *file, int err)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    dup2(err, 2);
    alarm(SECONDS);
    execl(tessera(), tessera(), file, NULL);
    _exit(99);
}

static Outcome run(const char *file)
{
    Outcome o = {0};
    FILE *err = tmpfile();
    pid_t pid = fork();

    if (!pid)
        child(file, fileno(err));
    while (waitpid(pid, &o.status, 0) < 0 && errno == EINTR)
        ;
    rewind(err);
    o.err[fread(o.err, 1, sizeof(o.err) - 1, err)] = 0;
    fclose(err);
    return o;
}

static const char *file_name(void)
{
    static char name[64];

    snprintf(name, sizeof(name), "/tmp/test_elf-%d", getpid());
    return name;
}

static Outcome run_bytes(const void *bytes, size_t size)
{
    const char *name = file_name();
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    Outcome o;

    cr_assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    o = run(name);
    unlink(name);
    return o;
}

static bool one_line(const char *err)
{
    const char *end = strchr(err, '\n');

    return !strncmp(err, "tessera-riscv64: ", 17) && end && !end[1];
}

/* Status 126 (or 127, when it may be) and one line. */
static void expect_refused(Outcome o, const char *what, bool not_found)
{
    int code = WIFEXITED(o.status) ? WEXITSTATUS(o.status) : -1;

    cr_expect(code == 126 || (not_found && code == 127), "%s: wait status %#x\n%s",
              what, o.status, o.err);
    cr_expect(one_line(o.err), "%s: not one line: '%s'", what, o.err);
}

static void expect_bad(const Image *m, const char *what)
{
    expect_refused(run_bytes(m, sizeof(*m)), what, false);
}

/* ---- the tests ---- */

Test(elf, good_one_runs)
{
    Image m;
    Outcome o;

    image_init(&m);
    o = run_bytes(&m, sizeof(m));
    cr_assert(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 42, "%#x %s", o.status,
              o.err);
    cr_assert_str_empty(o.err);
}

Test(elf, truncated)
{
    static const size_t sizes[] = {0,
                                   1,
                                   3,
                                   4,
                                   5,
                                   15,
                                   16,
                                   17,
                                   18,
                                   20,
                                   24,
                                   32,
                                   40,
                                   52,
                                   54,
                                   56,
                                   58,
                                   63,
                                   64,
                                   65,
                                   64 + 55,
                                   64 + 56,
                                   64 + 57,
                                   175,
                                   176,
                                   4095,
                                   4096,
                                   PAGE + 1,
                                   2 * PAGE - 1,
                                   2 * PAGE,
                                   3 * PAGE - 1};
    char what[32];
    Image m;

    image_init(&m);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(what, sizeof(what), "cut to %zu bytes", sizes[i]);
        expect_refused(run_bytes(&m, sizes[i]), what, false);
    }
}

#define BAD(change)              \
    do {                         \
        Image m;                 \
                                 \
        image_init(&m);          \
        change;                  \
        expect_bad(&m, #change); \
    } while (0)

Test(elf, foreign)
{
    BAD(m.e.e_ident[EI_CLASS] = ELFCLASS32);
    BAD(m.e.e_ident[EI_CLASS] = 9);
    BAD(m.e.e_ident[EI_DATA] = ELFDATA2MSB);
    BAD(m.e.e_machine = EM_AARCH64);
    BAD(m.e.e_machine = EM_386);
    BAD(m.e.e_type = ET_REL);
    BAD(m.e.e_type = ET_CORE);
    BAD(m.e.e_type = 0xffff);
    BAD(m.e.e_ident[0] = 'x');
}

Test(elf, program_headers)
{
    BAD(m.e.e_phnum = 0);
    BAD(m.e.e_phnum = 0xffff);
    BAD(m.e.e_phentsize = 0);
    BAD(m.e.e_phentsize = 55);
    BAD(m.e.e_phentsize = 0xffff);
    BAD(m.e.e_phoff = 1ull << 40);
    BAD(m.e.e_phoff = ~0ull);
    BAD(m.e.e_phoff = sizeof(m) - 8);
    BAD(m.p[0].p_type = m.p[1].p_type = PT_NULL);
}

Test(elf, segments)
{
    BAD(m.p[0].p_filesz = PAGE + 1);
    BAD(m.p[0].p_memsz = 1ull << 62);
    BAD(m.p[0].p_memsz = ~0ull);
    BAD(m.p[0].p_filesz = m.p[0].p_memsz = 1ull << 50);
    BAD(m.p[1].p_filesz = m.p[1].p_memsz = ~0ull - PAGE);
    BAD(m.p[0].p_offset = ~0ull - PAGE + 1);
    BAD(m.p[0].p_offset = 1ull << 45);
    BAD(m.p[0].p_offset = PAGE + 8);
    BAD(m.p[0].p_vaddr = 1ull << 62);
    BAD(m.p[0].p_vaddr = ~0ull - PAGE + 1);
    BAD(m.p[1].p_vaddr = 1ull << 47);
    BAD(m.p[1].p_vaddr = 0x8000000000000000);
    BAD(m.p[1].p_vaddr = TEXT);
    BAD(m.p[1].p_vaddr = TEXT - PAGE);
    BAD(m.p[0].p_memsz = DATA);
}

/* Strange, but with a meaning: it may run, and must not crash. */
static void expect_survives(const Image *m, const char *what)
{
    Outcome o = run_bytes(m, sizeof(*m));

    if (WIFEXITED(o.status))
        return;
    cr_expect(strstr(o.err, "at guest pc") && WTERMSIG(o.status) != SIGALRM,
              "%s: wait status %#x\n%s", what, o.status, o.err);
}

#define STRANGE(change)               \
    do {                              \
        Image m;                      \
                                      \
        image_init(&m);               \
        change;                       \
        expect_survives(&m, #change); \
    } while (0)

Test(elf, strange)
{
    STRANGE(m.p[0].p_align = 1ull << 63);
    STRANGE(m.p[0].p_align = 0);
    STRANGE(m.p[0].p_align = 3);
    STRANGE(m.e.e_entry = 0);
    STRANGE(m.e.e_entry = ~0ull);
    STRANGE(m.e.e_entry = TEXT + 1);
    STRANGE(m.e.e_entry = DATA);
    STRANGE(m.e.e_type = ET_DYN);
    STRANGE(m.e.e_type = ET_DYN; m.p[0].p_align = 1ull << 40);
    STRANGE(m.p[0].p_flags = 0);
    STRANGE(m.p[0].p_flags = PF_X);
    STRANGE(m.p[1].p_filesz = 0);
    STRANGE(m.p[1].p_memsz = 1ull << 32);
    STRANGE(m.p[1].p_memsz = 1ull << 36);
    STRANGE(m.p[0].p_vaddr = 0; m.e.e_entry = 0);
    STRANGE(m.e.e_version = 7);
    STRANGE(m.e.e_shoff = ~0ull; m.e.e_shnum = 0xffff; m.e.e_shstrndx = 0xffff);
}

static void with_interp(Image *m, const char *path, size_t size)
{
    image_init(m);
    m->e.e_phnum = 3;
    m->p[2] = m->p[1];
    m->p[1] = m->p[0];
    m->p[0] =
        (Elf64_Phdr){PT_INTERP, PF_R, offsetof(Image, interp), 0, 0, size, size, 1};
    snprintf(m->interp, sizeof(m->interp), "%s", path);
}

Test(elf, interpreter)
{
    static const char *const paths[] = {"/nonexistent/ld.so", "/tmp", "/etc/passwd",
                                        "/dev/null", ""};
    Image m;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        with_interp(&m, paths[i], strlen(paths[i]) + 1);
        expect_refused(run_bytes(&m, sizeof(m)), paths[i], true);
    }
    with_interp(&m, "/not/ended", 4);
    expect_bad(&m, "interpreter's name without an end");
    with_interp(&m, "/x", 1ull << 40);
    expect_bad(&m, "huge interpreter name");
    with_interp(&m, "/x", 0);
    expect_bad(&m, "no interpreter name");
    with_interp(&m, "/x", 3);
    m.p[0].p_offset = 1ull << 50;
    expect_bad(&m, "interpreter name beyond the end");
}

Test(elf, not_programs)
{
    static const char text[] = "hello, world\n", loop[] = "#!/tmp/tessera-loop\n";
    int fd;

    expect_refused(run("/nonexistent/program"), "missing file", true);
    expect_refused(run("/tmp"), "directory", false);
    expect_refused(run("/dev/null"), "device", false);
    expect_refused(run("/etc/passwd/x"), "below a file", true);
    expect_refused(run(""), "no name", true);
    expect_refused(run_bytes(text, sizeof(text) - 1), "text", false);
    expect_refused(run_bytes("#!\n", 3), "empty #!", false);
    expect_refused(run_bytes("#!", 2), "cut #!", false);
    expect_refused(run_bytes("#!/nonexistent/sh\n", 18), "missing #!", true);
    fd = open("/tmp/tessera-loop", O_WRONLY | O_CREAT | O_TRUNC, 0700);
    cr_assert(write(fd, loop, sizeof(loop) - 1) > 0);
    close(fd);
    expect_refused(run("/tmp/tessera-loop"), "#! loop", false);
    unlink("/tmp/tessera-loop");
}

/* Nobody writes to it: opening it must not wait. */
Test(elf, fifo)
{
    const char *name = file_name();
    Image m;

    cr_assert_eq(mkfifo(name, 0700), 0);
    expect_refused(run(name), "fifo", false);
    unlink(name);
    cr_assert_eq(mkfifo("/tmp/tessera-fifo", 0700), 0);
    with_interp(&m, "/tmp/tessera-fifo", 18);
    expect_refused(run_bytes(&m, sizeof(m)), "interpreter is a fifo", false);
    unlink("/tmp/tessera-fifo");
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* One to four bytes, anywhere in the headers, become anything. */
static void mutate(Image *m, uint64_t *state)
{
    static const uint8_t favourites[] = {0, 1, 0x7f, 0x80, 0xff};
    size_t range = offsetof(Image, p[2]);

    for (uint64_t n = next(state) % 4 + 1; n; n--) {
        uint64_t r = next(state);
        uint8_t byte = r >> 32 & 1 ? favourites[r % sizeof(favourites)] : (uint8_t)r;

        ((uint8_t *)m)[(r >> 40) % range] = byte;
    }
}

Test(elf, mutations, .timeout = 900)
{
    char what[32];
    Image m;

    for (uint64_t seed = 1; seed <= MUTATIONS; seed++) {
        uint64_t state = seed * 0x9e3779b97f4a7c15;

        image_init(&m);
        mutate(&m, &state);
        snprintf(what, sizeof(what), "mutation %d", (int)seed);
        expect_survives(&m, what);
    }
}
