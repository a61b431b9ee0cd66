/* SPDX-License-Identifier: MIT */
/* Run: tests/binfmt         (this program prints what the kernel started it with)
 *
 * "exec PROGRAM [ARGUMENT...]" executes another program instead. */
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "check.h"

static void print_fds(void)
{
    for (int fd = 3; fd < 1024; fd++)
        if (lseek(fd, 0, SEEK_CUR) >= 0)
            printf("fd: %d\n", fd);
}

int main(int argc, char **argv)
{
    char exe[4096] = "", comm[17] = "";

    if (argc > 2 && !strcmp(argv[1], "exec")) {
        execv(argv[2], argv + 2);
        printf("%s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    for (int i = 0; i < argc; i++)
        printf("arg %d: %s\n", i, argv[i]);
    printf("uid: %d %d\n", (int)getuid(), (int)geteuid());
    printf("secure: %lu\n", getauxval(AT_SECURE));
    printf("flags: %lu\n", getauxval(AT_FLAGS));
    printf("name: %s\n", (const char *)getauxval(AT_EXECFN));
    prctl(PR_GET_NAME, comm);
    printf("comm: %s\n", comm);
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) > 0)
        printf("exe: %s\n", exe);
    print_fds();
    return 0;
}
