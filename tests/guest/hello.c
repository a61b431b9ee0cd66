/* SPDX-License-Identifier: MIT */
/* Run: tests/options         (this program prints what it was started with)
 *
 * Arguments, environment and auxiliary vector; a constructor and thread-local data, so
 * that every way of linking has something to do. */
#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>
#include "check.h"

extern char **environ;
static int constructed;
static __thread int local = 7;

__attribute__((constructor)) static void construct(void) { constructed = 1; }

static void *thread(void *arg)
{
    local += 1;
    return (void *)((u64)arg + (u64)local);
}

static void check_start(char **argv)
{
    pthread_t t;
    void *result;

    CHECK(constructed);
    CHECK_EQ(local, 7);
    CHECK_EQ(pthread_create(&t, NULL, thread, (void *)10), 0);
    pthread_join(t, &result);
    CHECK_EQ(result, 18);
    CHECK_EQ(local, 7);
    CHECK_EQ((u64)__builtin_frame_address(0) % 16, 0);
    CHECK_EQ(argv[0] ? 1 : 0, 1);
}

static void check_auxv(void)
{
    const u8 *random = (const u8 *)getauxval(AT_RANDOM);
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    const char *name = (const char *)getauxval(AT_EXECFN);

    CHECK_EQ(getauxval(AT_PAGESZ), 4096);
    CHECK(getauxval(AT_PHDR) && getauxval(AT_PHNUM) > 2);
    CHECK_EQ(getauxval(AT_PHENT), sizeof(Elf64_Phdr));
    CHECK(getauxval(AT_ENTRY));
    CHECK_EQ(getauxval(AT_UID), getuid());
    CHECK_EQ(getauxval(AT_SECURE), 0);
    CHECK_EQ(getauxval(AT_CLKTCK), sysconf(_SC_CLK_TCK));
#ifdef __riscv
    /* I M A F D C: bits by letter */
    CHECK_EQ(getauxval(AT_HWCAP) & 0x112d, 0x112d);
#endif
    CHECK(random != NULL);
    CHECK(name && strstr(name, "hello"));
    CHECK(!platform || *platform);
}

int main(int argc, char **argv)
{
    struct rlimit stack;

    check_start(argv);
    check_auxv();
    for (int i = 0; i < argc; i++)
        printf("arg %d: %s\n", i, argv[i]);
    for (char **e = environ; *e; e++)
        if (!strncmp(*e, "HELLO", 5))
            printf("env: %s\n", *e);
    getrlimit(RLIMIT_STACK, &stack);
    if (argc > 1 && !strcmp(argv[1], "random"))
        for (int i = 0; i < 16; i++)
            printf("%02x%s", ((u8 *)getauxval(AT_RANDOM))[i], i == 15 ? "\n" : "");
    return check_done("hello");
}
