/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run hwprobe
 *
 * What the machine says it has it has: each extension that riscv_hwprobe tells of is in
 * /proc/cpuinfo, and an instruction of it runs; and the other way round. */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

enum { NR_RISCV_HWPROBE = 258, KEY_IMA_EXT_0 = 4 };

static sigjmp_buf illegal;

static void on_sigill(int sig)
{
    (void)sig;
    siglongjmp(illegal, 1);
}

/* One instruction; a0 points at memory that it may write. */
#define RUN(name, word)                                                  \
    static void name(void)                                               \
    {                                                                    \
        static _Alignas(64) char memory[64];                             \
        register void *a0 __asm__("a0") = memory;                        \
                                                                         \
        __asm__ volatile(".word " #word : "+r"(a0) : : "memory", "ft0"); \
    }
RUN(sh1add, 0x20a52533)
RUN(cpop, 0x60251513)
RUN(bext, 0x48a55533)
RUN(cbo_zero, 0x0045200f)
RUN(czero_eqz, 0x0ea55533)
RUN(fadd_h, 0x04007053)
RUN(fcvt_s_h, 0x40200053)
RUN(fli_s, 0xf0180053)
RUN(pause_, 0x0100000f)

static const struct Extension {
    const char *name; /* as in the isa string */
    int bit;
    void (*run)(void);
} extensions[] = {
    {"zba", 3, sh1add},      {"zbb", 4, cpop},          {"zbs", 5, bext},
    {"zicboz", 6, cbo_zero}, {"zfh", 27, fadd_h},       {"zfhmin", 28, fcvt_s_h},
    {"zfa", 32, fli_s},      {"zicond", 35, czero_eqz}, {"zihintpause", 36, pause_},
};

static int runs(void (*run)(void))
{
    if (sigsetjmp(illegal, 1))
        return 0;
    run();
    return 1;
}

/* Is it one of the names between underscores? */
static int isa_has(const char *isa, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = isa; (p = strstr(p, name)); p += len)
        if (p[-1] == '_' && (p[len] == '_' || p[len] == '\n'))
            return 1;
    return 0;
}

int main(void)
{
    struct {
        i64 key;
        u64 value;
    } pair = {KEY_IMA_EXT_0, 0};
    char isa[1024] = "", line[1024];
    FILE *f = fopen("/proc/cpuinfo", "r");

    signal(SIGILL, on_sigill);
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, "isa", 3))
            strcpy(isa, line);
    CHECK_EQ(syscall(NR_RISCV_HWPROBE, &pair, 1, 0, NULL, 0), 0);
    CHECK_EQ(pair.key, KEY_IMA_EXT_0);
    for (size_t i = 0; i < COUNT(extensions); i++) {
        const struct Extension *e = &extensions[i];
        int told = pair.value >> e->bit & 1;

        printf("%s\n", e->name);
        CHECK_EQ(told, isa_has(isa, e->name));
        CHECK_EQ(told, runs(e->run));
    }
    return check_done("hwprobe");
}
