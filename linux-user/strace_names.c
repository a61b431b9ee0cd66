/* SPDX-License-Identifier: MIT */
/*
 * Names of constants, for -strace.  FLAG: some bits; ENUM: the whole value; PART: a
 * value within a field.  Where one flag contains another, the larger comes first.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "ioctls.h"
#include "strace.h"

/* clang-format off */
#define FLAG(name)        {(u32)(name), (u32)(name), #name}
#define ENUM(name)        {~0ull, (u32)(name), #name}
#define PART(field, name) {(u32)(field), (u32)(name), #name}
#define END               {0, 0, NULL}
/* clang-format on */

/* ---- files ---- */

const Name names_access[] = {ENUM(F_OK), FLAG(R_OK), FLAG(W_OK), FLAG(X_OK), END};

const Name names_at[] = {
    FLAG(AT_SYMLINK_NOFOLLOW), FLAG(AT_REMOVEDIR),
    FLAG(AT_SYMLINK_FOLLOW),   FLAG(AT_NO_AUTOMOUNT),
    FLAG(AT_EMPTY_PATH),       PART(0x6000, 0x2000),
    PART(0x6000, 0x4000),      END,
};

#define KERNEL_O_LARGEFILE 0100000
const Name names_open[] = {
    PART(O_ACCMODE, O_RDONLY),
    PART(O_ACCMODE, O_WRONLY),
    PART(O_ACCMODE, O_RDWR),
    FLAG(O_CREAT),
    FLAG(O_EXCL),
    FLAG(O_NOCTTY),
    FLAG(O_TRUNC),
    FLAG(O_APPEND),
    FLAG(O_NONBLOCK),
    FLAG(O_SYNC),
    FLAG(O_DSYNC),
    FLAG(O_ASYNC),
    FLAG(O_DIRECT),
    FLAG(O_TMPFILE),
    FLAG(O_DIRECTORY),
    FLAG(O_NOFOLLOW),
    FLAG(O_NOATIME),
    FLAG(O_CLOEXEC),
    FLAG(O_PATH),
    {KERNEL_O_LARGEFILE, KERNEL_O_LARGEFILE, "O_LARGEFILE"},
    END,
};

const Name names_whence[] = {ENUM(SEEK_SET),  ENUM(SEEK_CUR),  ENUM(SEEK_END),
                             ENUM(SEEK_DATA), ENUM(SEEK_HOLE), END};

const Name names_flock[] = {FLAG(LOCK_SH), FLAG(LOCK_EX), FLAG(LOCK_UN), FLAG(LOCK_NB),
                            END};

const Name names_fcntl[] = {
    ENUM(F_DUPFD),         ENUM(F_GETFD),
    ENUM(F_SETFD),         ENUM(F_GETFL),
    ENUM(F_SETFL),         ENUM(F_GETLK),
    ENUM(F_SETLK),         ENUM(F_SETLKW),
    ENUM(F_SETOWN),        ENUM(F_GETOWN),
    ENUM(F_SETSIG),        ENUM(F_GETSIG),
    ENUM(F_SETOWN_EX),     ENUM(F_GETOWN_EX),
    ENUM(F_OFD_GETLK),     ENUM(F_OFD_SETLK),
    ENUM(F_OFD_SETLKW),    ENUM(F_SETLEASE),
    ENUM(F_GETLEASE),      ENUM(F_NOTIFY),
    ENUM(F_DUPFD_CLOEXEC), ENUM(F_SETPIPE_SZ),
    ENUM(F_GETPIPE_SZ),    ENUM(F_ADD_SEALS),
    ENUM(F_GET_SEALS),     END,
};

const Name names_ioctl[] = {
#define IOCTL(request, how, size) {~0ull, (u32)(request), #request},
#include "ioctls.def"
#undef IOCTL
    ENUM(TIOCGPTN), ENUM(TIOCSPTLCK), ENUM(FS_IOC_GETFLAGS), ENUM(FS_IOC_SETFLAGS), END,
};

const Name names_userfault[] = {FLAG(O_CLOEXEC), FLAG(O_NONBLOCK),
                                FLAG(UFFD_USER_MODE_ONLY), END};

const Name names_stat_mode[] = {
    PART(S_IFMT, S_IFSOCK), PART(S_IFMT, S_IFLNK),
    PART(S_IFMT, S_IFREG),  PART(S_IFMT, S_IFBLK),
    PART(S_IFMT, S_IFDIR),  PART(S_IFMT, S_IFCHR),
    PART(S_IFMT, S_IFIFO),  END,
};

/* ---- waiting for descriptors ---- */

const Name names_poll[] = {
    FLAG(POLLIN),     FLAG(POLLPRI),    FLAG(POLLOUT),    FLAG(POLLERR),
    FLAG(POLLHUP),    FLAG(POLLNVAL),   FLAG(POLLRDNORM), FLAG(POLLRDBAND),
    FLAG(POLLWRNORM), FLAG(POLLWRBAND), FLAG(POLLRDHUP),  END,
};

const Name names_epoll_event[] = {
    FLAG(EPOLLIN),
    FLAG(EPOLLPRI),
    FLAG(EPOLLOUT),
    FLAG(EPOLLERR),
    FLAG(EPOLLHUP),
    FLAG(EPOLLET),
    FLAG(EPOLLRDHUP),
    FLAG(EPOLLONESHOT),
    FLAG(EPOLLWAKEUP),
    FLAG(EPOLLEXCLUSIVE),
    END,
};

const Name names_epoll_op[] = {ENUM(EPOLL_CTL_ADD), ENUM(EPOLL_CTL_DEL),
                               ENUM(EPOLL_CTL_MOD), END};

const Name names_eventfd[] = {FLAG(EFD_SEMAPHORE), FLAG(EFD_NONBLOCK),
                              FLAG(EFD_CLOEXEC), END};

/* ---- memory ---- */

const Name names_prot[] = {ENUM(PROT_NONE), FLAG(PROT_READ), FLAG(PROT_WRITE),
                           FLAG(PROT_EXEC), END};

const Name names_map[] = {
    PART(MAP_TYPE, MAP_SHARED),
    PART(MAP_TYPE, MAP_PRIVATE),
    PART(MAP_TYPE, MAP_SHARED_VALIDATE),
    FLAG(MAP_FIXED),
    FLAG(MAP_ANONYMOUS),
    FLAG(MAP_GROWSDOWN),
    FLAG(MAP_DENYWRITE),
    FLAG(MAP_EXECUTABLE),
    FLAG(MAP_LOCKED),
    FLAG(MAP_NORESERVE),
    FLAG(MAP_POPULATE),
    FLAG(MAP_NONBLOCK),
    FLAG(MAP_STACK),
    FLAG(MAP_HUGETLB),
    FLAG(MAP_FIXED_NOREPLACE),
    END,
};

const Name names_mremap[] = {FLAG(MREMAP_MAYMOVE), FLAG(MREMAP_FIXED),
                             FLAG(MREMAP_DONTUNMAP), END};

const Name names_madvise[] = {
    ENUM(MADV_NORMAL),     ENUM(MADV_RANDOM),
    ENUM(MADV_SEQUENTIAL), ENUM(MADV_WILLNEED),
    ENUM(MADV_DONTNEED),   ENUM(MADV_FREE),
    ENUM(MADV_REMOVE),     ENUM(MADV_DONTFORK),
    ENUM(MADV_DOFORK),     ENUM(MADV_HUGEPAGE),
    ENUM(MADV_NOHUGEPAGE), ENUM(MADV_DONTDUMP),
    ENUM(MADV_DODUMP),     ENUM(MADV_WIPEONFORK),
    ENUM(MADV_KEEPONFORK), END,
};

/* ---- processes, signals, time ---- */

const Name names_clone[] = {
    FLAG(CLONE_VM),
    FLAG(CLONE_FS),
    FLAG(CLONE_FILES),
    FLAG(CLONE_SIGHAND),
    FLAG(CLONE_PIDFD),
    FLAG(CLONE_PTRACE),
    FLAG(CLONE_VFORK),
    FLAG(CLONE_PARENT),
    FLAG(CLONE_THREAD),
    FLAG(CLONE_NEWNS),
    FLAG(CLONE_SYSVSEM),
    FLAG(CLONE_SETTLS),
    FLAG(CLONE_PARENT_SETTID),
    FLAG(CLONE_CHILD_CLEARTID),
    FLAG(CLONE_DETACHED),
    FLAG(CLONE_UNTRACED),
    FLAG(CLONE_CHILD_SETTID),
    FLAG(CLONE_NEWCGROUP),
    FLAG(CLONE_NEWUTS),
    FLAG(CLONE_NEWIPC),
    FLAG(CLONE_NEWUSER),
    FLAG(CLONE_NEWPID),
    FLAG(CLONE_NEWNET),
    FLAG(CLONE_IO),
    END,
};

const Name names_wait[] = {FLAG(WNOHANG),    FLAG(WUNTRACED), FLAG(WEXITED),
                           FLAG(WCONTINUED), FLAG(WNOWAIT),   FLAG(__WNOTHREAD),
                           FLAG(__WALL),     FLAG(__WCLONE),  END};

const Name names_wait_which[] = {ENUM(P_ALL), ENUM(P_PID), ENUM(P_PGID), ENUM(P_PIDFD),
                                 END};

const Name names_ptrace[] = {ENUM(PTRACE_TRACEME),
                             ENUM(PTRACE_PEEKTEXT),
                             ENUM(PTRACE_PEEKDATA),
                             ENUM(PTRACE_POKETEXT),
                             ENUM(PTRACE_POKEDATA),
                             ENUM(PTRACE_CONT),
                             ENUM(PTRACE_KILL),
                             ENUM(PTRACE_SINGLESTEP),
                             ENUM(PTRACE_ATTACH),
                             ENUM(PTRACE_DETACH),
                             ENUM(PTRACE_SYSCALL),
                             ENUM(PTRACE_SETOPTIONS),
                             ENUM(PTRACE_GETEVENTMSG),
                             ENUM(PTRACE_GETSIGINFO),
                             ENUM(PTRACE_SETSIGINFO),
                             ENUM(PTRACE_GETREGSET),
                             ENUM(PTRACE_SETREGSET),
                             ENUM(PTRACE_SEIZE),
                             ENUM(PTRACE_INTERRUPT),
                             ENUM(PTRACE_LISTEN),
                             ENUM(PTRACE_PEEKSIGINFO),
                             ENUM(PTRACE_GETSIGMASK),
                             ENUM(PTRACE_SETSIGMASK),
                             ENUM(PTRACE_GET_SYSCALL_INFO),
                             END};

const Name names_futex[] = {
    PART(FUTEX_CMD_MASK, FUTEX_WAIT),
    PART(FUTEX_CMD_MASK, FUTEX_WAKE),
    PART(FUTEX_CMD_MASK, FUTEX_REQUEUE),
    PART(FUTEX_CMD_MASK, FUTEX_CMP_REQUEUE),
    PART(FUTEX_CMD_MASK, FUTEX_WAKE_OP),
    PART(FUTEX_CMD_MASK, FUTEX_LOCK_PI),
    PART(FUTEX_CMD_MASK, FUTEX_UNLOCK_PI),
    PART(FUTEX_CMD_MASK, FUTEX_TRYLOCK_PI),
    PART(FUTEX_CMD_MASK, FUTEX_WAIT_BITSET),
    PART(FUTEX_CMD_MASK, FUTEX_WAKE_BITSET),
    PART(FUTEX_CMD_MASK, FUTEX_WAIT_REQUEUE_PI),
    PART(FUTEX_CMD_MASK, FUTEX_CMP_REQUEUE_PI),
    PART(FUTEX_CMD_MASK, FUTEX_LOCK_PI2),
    FLAG(FUTEX_PRIVATE_FLAG),
    FLAG(FUTEX_CLOCK_REALTIME),
    END,
};

const Name names_sched[] = {
    PART(0xff, SCHED_OTHER),
    PART(0xff, SCHED_FIFO),
    PART(0xff, SCHED_RR),
    PART(0xff, SCHED_BATCH),
    PART(0xff, SCHED_IDLE),
    FLAG(SCHED_RESET_ON_FORK),
    END,
};

const Name names_rlimit[] = {
    ENUM(RLIMIT_CPU),
    ENUM(RLIMIT_FSIZE),
    ENUM(RLIMIT_DATA),
    ENUM(RLIMIT_STACK),
    ENUM(RLIMIT_CORE),
    ENUM(RLIMIT_RSS),
    ENUM(RLIMIT_NPROC),
    ENUM(RLIMIT_NOFILE),
    ENUM(RLIMIT_MEMLOCK),
    ENUM(RLIMIT_AS),
    ENUM(RLIMIT_LOCKS),
    ENUM(RLIMIT_SIGPENDING),
    ENUM(RLIMIT_MSGQUEUE),
    ENUM(RLIMIT_NICE),
    ENUM(RLIMIT_RTPRIO),
    ENUM(RLIMIT_RTTIME),
    END,
};

const Name names_prctl[] = {
    ENUM(PR_SET_PDEATHSIG),
    ENUM(PR_GET_PDEATHSIG),
    ENUM(PR_GET_DUMPABLE),
    ENUM(PR_SET_DUMPABLE),
    ENUM(PR_GET_KEEPCAPS),
    ENUM(PR_SET_KEEPCAPS),
    ENUM(PR_SET_NAME),
    ENUM(PR_GET_NAME),
    ENUM(PR_GET_SECCOMP),
    ENUM(PR_SET_SECCOMP),
    ENUM(PR_CAPBSET_READ),
    ENUM(PR_CAPBSET_DROP),
    ENUM(PR_GET_SECUREBITS),
    ENUM(PR_SET_SECUREBITS),
    ENUM(PR_SET_TIMERSLACK),
    ENUM(PR_GET_TIMERSLACK),
    ENUM(PR_SET_MM),
    ENUM(PR_SET_CHILD_SUBREAPER),
    ENUM(PR_GET_CHILD_SUBREAPER),
    ENUM(PR_SET_NO_NEW_PRIVS),
    ENUM(PR_GET_NO_NEW_PRIVS),
    ENUM(PR_GET_TID_ADDRESS),
    ENUM(PR_SET_THP_DISABLE),
    ENUM(PR_GET_THP_DISABLE),
    ENUM(PR_CAP_AMBIENT),
    ENUM(PR_SET_PTRACER),
    ENUM(PR_SET_VMA),
    END,
};

const Name names_clock[] = {
    ENUM(CLOCK_REALTIME),
    ENUM(CLOCK_MONOTONIC),
    ENUM(CLOCK_PROCESS_CPUTIME_ID),
    ENUM(CLOCK_THREAD_CPUTIME_ID),
    ENUM(CLOCK_MONOTONIC_RAW),
    ENUM(CLOCK_REALTIME_COARSE),
    ENUM(CLOCK_MONOTONIC_COARSE),
    ENUM(CLOCK_BOOTTIME),
    ENUM(CLOCK_REALTIME_ALARM),
    ENUM(CLOCK_BOOTTIME_ALARM),
    ENUM(CLOCK_TAI),
    END,
};

const Name names_itimer[] = {ENUM(ITIMER_REAL), ENUM(ITIMER_VIRTUAL), ENUM(ITIMER_PROF),
                             END};

const Name names_sig_how[] = {ENUM(SIG_BLOCK), ENUM(SIG_UNBLOCK), ENUM(SIG_SETMASK),
                              END};

const Name names_sa[] = {
    FLAG(SA_NOCLDSTOP), FLAG(SA_NOCLDWAIT), FLAG(SA_SIGINFO),   FLAG(SA_ONSTACK),
    FLAG(SA_RESTART),   FLAG(SA_NODEFER),   FLAG(SA_RESETHAND), END,
};

const Name names_stack[] = {FLAG(SS_ONSTACK), FLAG(SS_DISABLE), END};

/* ---- sockets ---- */

const Name names_domain[] = {
    ENUM(AF_UNSPEC),  ENUM(AF_UNIX),   ENUM(AF_INET),  ENUM(AF_INET6),
    ENUM(AF_NETLINK), ENUM(AF_PACKET), ENUM(AF_VSOCK), END};

const Name names_sock_type[] = {
    PART(0xf, SOCK_STREAM),
    PART(0xf, SOCK_DGRAM),
    PART(0xf, SOCK_RAW),
    PART(0xf, SOCK_SEQPACKET),
    FLAG(SOCK_NONBLOCK),
    FLAG(SOCK_CLOEXEC),
    END,
};

const Name names_sock_level[] = {ENUM(SOL_SOCKET),   ENUM(IPPROTO_IP),
                                 ENUM(IPPROTO_IPV6), ENUM(IPPROTO_TCP),
                                 ENUM(IPPROTO_UDP),  END};

const Name names_sock_option[] = {
    ENUM(SO_DEBUG),     ENUM(SO_REUSEADDR),    ENUM(SO_TYPE),
    ENUM(SO_ERROR),     ENUM(SO_DONTROUTE),    ENUM(SO_BROADCAST),
    ENUM(SO_SNDBUF),    ENUM(SO_RCVBUF),       ENUM(SO_KEEPALIVE),
    ENUM(SO_OOBINLINE), ENUM(SO_LINGER),       ENUM(SO_REUSEPORT),
    ENUM(SO_PASSCRED),  ENUM(SO_PEERCRED),     ENUM(SO_RCVLOWAT),
    ENUM(SO_RCVTIMEO),  ENUM(SO_SNDTIMEO),     ENUM(SO_ATTACH_FILTER),
    ENUM(SO_TIMESTAMP), ENUM(SO_ACCEPTCONN),   ENUM(SO_PROTOCOL),
    ENUM(SO_DOMAIN),    ENUM(SO_BINDTODEVICE), END,
};

const Name names_msg[] = {
    FLAG(MSG_OOB),        FLAG(MSG_PEEK),     FLAG(MSG_DONTROUTE),    FLAG(MSG_CTRUNC),
    FLAG(MSG_TRUNC),      FLAG(MSG_DONTWAIT), FLAG(MSG_EOR),          FLAG(MSG_WAITALL),
    FLAG(MSG_CONFIRM),    FLAG(MSG_ERRQUEUE), FLAG(MSG_NOSIGNAL),     FLAG(MSG_MORE),
    FLAG(MSG_WAITFORONE), FLAG(MSG_FASTOPEN), FLAG(MSG_CMSG_CLOEXEC), END,
};

const Name names_shut[] = {ENUM(SHUT_RD), ENUM(SHUT_WR), ENUM(SHUT_RDWR), END};
