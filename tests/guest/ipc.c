/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run ipc
 *
 * System V and POSIX queues, semaphores, shared memory; timers, limits, clocks and
 * what a process can ask about itself. */
#define _GNU_SOURCE
#include <mqueue.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define BAD ((void *)0x1000)

static void check_messages(void)
{
    struct {
        long type;
        char text[16];
    } m = {7, "hello"}, got;
    int id = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
    struct msqid_ds ds;

    CHECK_EQ(msgsnd(id, &m, 6, 0), 0);
    CHECK_EQ(msgctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.msg_qnum, 1);
    CHECK_ERR(msgrcv(id, &got, 16, 8, IPC_NOWAIT), ENOMSG);
    CHECK_EQ(msgrcv(id, &got, 16, 7, 0), 6);
    CHECK_EQ(strcmp(got.text, "hello"), 0);
    CHECK_ERR(msgsnd(id, BAD, 6, 0), EFAULT);
    CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
}

static void check_semaphores(void)
{
    struct sembuf up = {1, 2, 0}, down = {1, -3, 0};
    struct timespec soon = {0, 1000000};
    unsigned short all[2] = {0, 5};
    struct semid_ds ds = {0};
    int id = semget(IPC_PRIVATE, 2, 0600 | IPC_CREAT);

    CHECK_EQ(semctl(id, 0, SETALL, all), 0);
    CHECK_EQ(semop(id, &up, 1), 0);
    CHECK_EQ(semctl(id, 1, GETVAL), 7);
    CHECK_EQ(semop(id, &down, 1), 0);
    CHECK_EQ(semctl(id, 0, GETALL, all), 0);
    CHECK_EQ(all[1], 4);
    down.sem_num = 0;
    CHECK_ERR(semtimedop(id, &down, 1, &soon), EAGAIN);
    CHECK_EQ(semctl(id, 0, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.sem_nsems, 2);
    CHECK(ds.sem_otime > 1000000000 && ds.sem_ctime > 1000000000);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

static void check_shared(void)
{
    int id = shmget(IPC_PRIVATE, 10000, 0600 | IPC_CREAT);
    struct shmid_ds ds;
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);

    CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
    strcpy(a, "shared");
    CHECK_EQ(strcmp(b, "shared"), 0);
    CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_segsz, 10000);
    CHECK_EQ(ds.shm_nattch, 2);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
    CHECK_EQ(shmdt(a) | shmdt(b), 0);
    CHECK_ERR(shmdt(a), EINVAL);
}

/* Many at a time; what is mapped over one, shmdt leaves alone. */
static void check_shared_many(void)
{
    enum { MANY = 300 };
    int id = shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT);
    char *at[MANY], *over;
    struct shmid_ds ds;

    for (int i = 0; i < MANY; i++)
        at[i] = shmat(id, NULL, 0);
    CHECK(at[MANY - 1] != (void *)-1);
    CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_nattch, MANY);
    over = mmap(at[7], 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK_EQ(over, at[7]);
    over[0] = 1;
    CHECK_ERR(shmdt(over), EINVAL);
    CHECK_EQ(over[0], 1);
    for (int i = 0; i < MANY; i++)
        CHECK(i == 7 || shmdt(at[i]) == 0);
    CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_nattch, 0);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

static void check_mqueue(void)
{
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 16}, got;
    char name[32], text[16] = "";
    unsigned prio;
    mqd_t q;

    snprintf(name, sizeof name, "/tessera-%d", getpid());
    q = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
    if (q == -1 && errno == ENOSYS)
        return;
    CHECK_EQ(mq_unlink(name), 0);
    CHECK_EQ(mq_send(q, "abc", 4, 3), 0);
    CHECK_EQ(mq_getattr(q, &got), 0);
    CHECK_EQ(got.mq_curmsgs, 1);
    CHECK_EQ(mq_receive(q, text, sizeof text, &prio), 4);
    CHECK(prio == 3 && !strcmp(text, "abc"));
    CHECK_ERR(mq_receive(q, text, sizeof text, &prio), EAGAIN);
    mq_close(q);
}

static volatile int fired;

static void on_timer(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    fired = info->si_value.sival_int;
}

static void check_timers(void)
{
    struct sigaction sa = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    /* Again and again: the first may come before the sleep has begun. */
    struct itimerspec when = {{0, 20000000}, {0, 1000000}}, left;
    struct timespec second = {1, 0}, rest = {0, 0}, a, b;
    timer_t timer;

    event.sigev_value.sival_int = 77;
    sigaction(SIGRTMIN, &sa, NULL);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    CHECK_EQ(timer_settime(timer, 0, &when, NULL), 0);
    CHECK_ERR(nanosleep(&second, &rest), EINTR);
    CHECK_EQ(fired, 77);
    CHECK(rest.tv_sec == 0 && rest.tv_nsec > 0);
    CHECK_EQ(timer_gettime(timer, &left), 0);
    CHECK_EQ(timer_delete(timer), 0);
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &a), 0);
    a.tv_nsec += 2000000;
    a.tv_sec += a.tv_nsec / 1000000000;
    a.tv_nsec %= 1000000000;
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK(b.tv_sec > a.tv_sec || b.tv_nsec >= a.tv_nsec);
    CHECK_ERR(syscall(SYS_clock_gettime, 0, BAD), EFAULT);
    CHECK_ERR(syscall(SYS_clock_gettime, 999, &a), EINVAL);
}

static void check_signalfd(void)
{
    struct signalfd_siginfo info;
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(kill(getpid(), SIGUSR2), 0);
    CHECK_EQ(read(fd, &info, sizeof info), sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR2);
    CHECK_EQ(info.ssi_pid, getpid());
    close(fd);
}

static void check_limits(void)
{
    struct rlimit limit, again;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &again), 0);
    CHECK_EQ(again.rlim_cur, 64);
    CHECK_ERR(dup2(0, 64), EBADF);
    limit.rlim_cur = limit.rlim_max = 1 << 20;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK(malloc(100) != NULL);
    CHECK_ERR(getrlimit(RLIMIT_CPU, BAD), EFAULT);
}

static void check_questions(void)
{
    char name[16] = "", random[32] = "";
    struct sysinfo info;
    struct rusage usage;
    struct tms tms;
    unsigned cpu, node;
    cpu_set_t set;
    gid_t groups[64];
    u64 pairs[2][2] = {{4, 0}, {0x7fffffff, 5}};

    CHECK_EQ(prctl(PR_SET_NAME, "renamed"), 0);
    CHECK_EQ(prctl(PR_GET_NAME, name), 0);
    CHECK_EQ(strcmp(name, "renamed"), 0);
    CHECK_ERR(prctl(PR_GET_NAME, BAD), EFAULT);
    CHECK_EQ(getrandom(random, 32, 0), 32);
    CHECK_EQ(sysinfo(&info), 0);
    CHECK(info.totalram > 0 && info.mem_unit > 0);
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    CHECK(times(&tms) != -1);
    CHECK_EQ(getcpu(&cpu, &node), 0);
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_COUNT(&set) >= 1);
    CHECK(getgroups(64, groups) >= 0);
    CHECK(syscall(258, pairs, 2, 0, NULL, 0) == 0 || errno == ENOSYS);
    CHECK(pairs[0][1] & 3 || errno == ENOSYS);
    CHECK_ERR(syscall(100000), ENOSYS);
    CHECK_ERR(syscall(-1), ENOSYS);
}

int main(void)
{
    check_messages();
    check_semaphores();
    check_shared();
    check_shared_many();
    check_mqueue();
    check_timers();
    check_signalfd();
    check_limits();
    check_questions();
    return check_done("ipc");
}
