/* SPDX-License-Identifier: MIT */
/*
 * System V queues, semaphores and shared memory, and mq_notify.  Only semid_ds has a
 * layout of its own; none of these waits is restarted after a signal handler.
 */
#include <mqueue.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include "sys.h"

/* Passes the call on with what addr points to, of the size its command implies. */
static i64 control(Task *t, long nr, const u64 arg[2], u64 addr, u64 size, bool reads)
{
    void *p = guest_ptr(t, addr, size, reads ? GUEST_READ : GUEST_WRITE);

    if (size == 0)
        return host_syscall(nr, arg[0], arg[1], 0);
    return p ? host_syscall(nr, arg[0], arg[1], p) : -EFAULT;
}

/* ---- queues ---- */

i64 sys_msgctl(Task *t, u64 id, u64 command, u64 addr)
{
    u64 size = sizeof(struct msqid_ds);

    switch ((i32)command & ~0x100) { /* 0x100: IPC_64, implied */
    case IPC_RMID: size = 0; break;
    case IPC_INFO:
    case MSG_INFO: size = sizeof(struct msginfo); break;
    }
    return control(t, SYS_msgctl, (u64[2]){id, command}, addr, size,
                   (i32)command == IPC_SET);
}

/* A message is a type and then size bytes. */
static void *message(Task *t, u64 addr, u64 size, GuestAccess access)
{
    return (i64)size < 0 ? NULL : guest_ptr(t, addr, sizeof(i64) + size, access);
}

i64 sys_msgrcv(Task *t, u64 id, u64 addr, u64 size, u64 type, u64 flags)
{
    void *p = message(t, addr, size, GUEST_WRITE);

    if ((i64)size < 0)
        return -EINVAL;
    return p ? safe_syscall(SYS_msgrcv, id, p, size, type, flags) : -EFAULT;
}

i64 sys_msgsnd(Task *t, u64 id, u64 addr, u64 size, u64 flags)
{
    void *p = message(t, addr, size, GUEST_READ);

    if ((i64)size < 0)
        return -EINVAL;
    return p ? safe_syscall(SYS_msgsnd, id, p, size, flags) : -EFAULT;
}

/* mq_notify: SIGEV_THREAD's value is the address of a 32-byte cookie. */
i64 sys_mq_notify(Task *t, u64 fd, u64 addr)
{
    struct sigevent event;

    if (addr && !GET(t, addr, &event))
        return -EFAULT;
    if (addr && event.sigev_notify == SIGEV_THREAD)
        event.sigev_value.sival_ptr =
            (void *)host_addr(t, (u64)event.sigev_value.sival_ptr);
    return host_syscall(SYS_mq_notify, fd, addr ? &event : NULL);
}

/* ---- semaphores ---- */

typedef struct GuestSemid { /* x86-64 has a word between the two times */
    struct ipc_perm perm;
    i64 otime, ctime;
    u64 nsems, unused[2];
} GuestSemid;

_Static_assert(sizeof(GuestSemid) == 48 + 40, "asm-generic/sembuf.h");

static i64 sem_stat(Task *t, u64 id, u64 command, u64 addr)
{
    struct semid_ds ds;
    GuestSemid g = {0};
    i64 r = host_syscall(SYS_semctl, id, 0, command, &ds);

    if (r < 0)
        return r;
    g.perm = ds.sem_perm;
    g.otime = ds.sem_otime;
    g.ctime = ds.sem_ctime;
    g.nsems = ds.sem_nsems;
    return PUT(t, addr, &g) ? r : -EFAULT;
}

static i64 sem_set(Task *t, u64 id, u64 command, u64 addr)
{
    struct semid_ds ds = {0};
    GuestSemid g;

    if (!GET(t, addr, &g))
        return -EFAULT;
    ds.sem_perm = g.perm;
    return host_syscall(SYS_semctl, id, 0, command, &ds);
}

static i64 sem_all(Task *t, u64 id, u64 command, u64 addr, GuestAccess access)
{
    struct semid_ds ds;
    i64 r = host_syscall(SYS_semctl, id, 0, IPC_STAT, &ds);
    void *p;

    if (r < 0)
        return r;
    p = guest_ptr(t, addr, ds.sem_nsems * sizeof(u16), access);
    return p ? host_syscall(SYS_semctl, id, 0, command, p) : -EFAULT;
}

i64 sys_semctl(Task *t, u64 id, u64 index, u64 command, u64 arg)
{
    void *p;

    switch ((i32)command & ~0x100) {
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY: return sem_stat(t, id, command, arg);
    case IPC_SET: return sem_set(t, id, command, arg);
    case GETALL: return sem_all(t, id, command, arg, GUEST_WRITE);
    case SETALL: return sem_all(t, id, command, arg, GUEST_READ);
    case IPC_INFO:
    case SEM_INFO:
        p = guest_ptr(t, arg, sizeof(struct seminfo), GUEST_WRITE);
        return p ? host_syscall(SYS_semctl, id, index, command, p) : -EFAULT;
    default: return host_syscall(SYS_semctl, id, index, command, arg);
    }
}

i64 sys_semtimedop(Task *t, u64 id, u64 ops, u64 n, u64 timeout)
{
    void *p = guest_ptr(t, ops, (u64)(u32)n * sizeof(struct sembuf), GUEST_READ);
    void *limit;

    if (!p || !guest_opt(t, timeout, sizeof(GuestTimespec), GUEST_READ, &limit))
        return -EFAULT;
    return safe_syscall(SYS_semtimedop, id, p, n, limit);
}

i64 sys_semop(Task *t, u64 id, u64 ops, u64 n)
{
    return sys_semtimedop(t, id, ops, n, 0);
}

/* ---- shared memory ---- */

i64 sys_shmctl(Task *t, u64 id, u64 command, u64 addr)
{
    u64 size = sizeof(struct shmid_ds);

    switch ((i32)command & ~0x100) {
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK: size = 0; break;
    case IPC_INFO: size = sizeof(struct shminfo); break;
    case SHM_INFO: size = sizeof(struct shm_info); break;
    }
    return control(t, SYS_shmctl, (u64[2]){id, command}, addr, size,
                   (i32)command == IPC_SET);
}
