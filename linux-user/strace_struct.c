/* SPDX-License-Identifier: MIT */
/* -strace: structures behind pointers.  One that cannot be read shows as its address.
 */
#include <arpa/inet.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "ioctls.h"
#include "strace.h"

/* Copies the structure; if it cannot, shows its address. */
static bool fetch(Show *s, u64 addr, void *to, size_t size)
{
    if (addr && guest_read(s->t, to, addr, size))
        return true;
    show_ptr(s, addr);
    return false;
}
#define FETCH(s, addr, to) fetch(s, addr, to, sizeof *(to))

/* ---- time ---- */

static void seconds(Show *s, const char *before, const GuestTimespec *ts, int digits)
{
    show(s, "%s%lld.%0*lld", before, (long long)ts->sec, digits, (long long)ts->nsec);
}

static void one_time(Show *s, u64 addr, int digits)
{
    GuestTimespec ts;

    if (FETCH(s, addr, &ts)) {
        seconds(s, "{", &ts, digits);
        show(s, "}");
    }
}

static void two_times(Show *s, u64 addr, int digits)
{
    GuestTimespec ts[2];

    if (FETCH(s, addr, &ts)) {
        seconds(s, "{", &ts[0], digits);
        seconds(s, ", ", &ts[1], digits);
        show(s, "}");
    }
}

void show_timespec(Show *s, u64 addr) { one_time(s, addr, 9); }

/* Written by an interrupted sleep only. */
void show_time_left(Show *s, u64 addr)
{
    (s->result == -EINTR ? show_timespec : show_ptr)(s, addr);
}

void show_timeval(Show *s, u64 addr) { one_time(s, addr, 6); }

void show_timespec2(Show *s, u64 addr) { two_times(s, addr, 9); }

void show_timeval2(Show *s, u64 addr) { two_times(s, addr, 6); }

/* The fourth argument of futex is a time only where the operation waits. */
void show_futex_timeout(Show *s, u64 v)
{
    switch (s->arg[1] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: show_timespec(s, v); break;
    default: show_hex(s, v); break;
    }
}

void show_tms(Show *s, u64 addr)
{
    struct tms m;

    if (FETCH(s, addr, &m))
        show(s, "{utime=%ld, stime=%ld, cutime=%ld, cstime=%ld}", m.tms_utime,
             m.tms_stime, m.tms_cutime, m.tms_cstime);
}

/* ---- processes ---- */

void show_rusage(Show *s, u64 addr)
{
    struct rusage u;

    if (FETCH(s, addr, &u))
        show(s, "{utime=%ld.%06ld, stime=%ld.%06ld, maxrss=%ld, ...}",
             u.ru_utime.tv_sec, u.ru_utime.tv_usec, u.ru_stime.tv_sec,
             u.ru_stime.tv_usec, u.ru_maxrss);
}

static void limit(Show *s, const char *before, u64 v)
{
    if (v == RLIM_INFINITY)
        show(s, "%sRLIM_INFINITY", before);
    else
        show(s, "%s%llu", before, (unsigned long long)v);
}

void show_rlimit(Show *s, u64 addr)
{
    struct rlimit l;

    if (FETCH(s, addr, &l)) {
        limit(s, "{cur=", l.rlim_cur);
        limit(s, ", max=", l.rlim_max);
        show(s, "}");
    }
}

/* wait4's status; with nobody waited for, it was not written. */
void show_status(Show *s, u64 addr)
{
    i32 status;

    if (s->result == 0 || !FETCH(s, addr, &status)) {
        if (s->result == 0)
            show_ptr(s, addr);
        return;
    }
    if (WIFEXITED(status)) {
        show(s, "[exited %d]", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status) || WIFSTOPPED(status)) {
        show(s, WIFSTOPPED(status) ? "[stopped by " : "[killed by ");
        show_signal(s, WIFSTOPPED(status) ? WSTOPSIG(status) : WTERMSIG(status));
        show(s, !WIFSTOPPED(status) && WCOREDUMP(status) ? ", core dumped]" : "]");
    } else {
        show(s, "[0x%x]", status);
    }
}

void show_sysinfo(Show *s, u64 addr)
{
    struct sysinfo i;

    if (FETCH(s, addr, &i))
        show(s, "{uptime=%ld, totalram=%lu, freeram=%lu, procs=%u, mem_unit=%u, ...}",
             i.uptime, i.totalram, i.freeram, i.procs, i.mem_unit);
}

void show_utsname(Show *s, u64 addr)
{
    struct utsname u;

    if (FETCH(s, addr, &u))
        show(s,
             "{sysname=\"%.64s\", nodename=\"%.64s\", release=\"%.64s\", "
             "machine=\"%.64s\", ...}",
             u.sysname, u.nodename, u.release, u.machine);
}

/* ---- files ---- */

void show_stat(Show *s, u64 addr)
{
    GuestStat st;

    if (!FETCH(s, addr, &st))
        return;
    show(s, "{mode=");
    show_bits(s, names_stat_mode, st.mode & S_IFMT);
    show(s, "|%04o, size=%lld, ino=%llu, ...}", st.mode & 07777, (long long)st.size,
         (unsigned long long)st.ino);
}

void show_statx(Show *s, u64 addr)
{
    struct statx st;

    if (!FETCH(s, addr, &st))
        return;
    show(s, "{mask=0x%x, mode=", st.stx_mask);
    show_bits(s, names_stat_mode, st.stx_mode & S_IFMT);
    show(s, "|%04o, size=%llu, ...}", st.stx_mode & 07777u,
         (unsigned long long)st.stx_size);
}

void show_statfs(Show *s, u64 addr)
{
    struct statfs f;

    if (FETCH(s, addr, &f))
        show(s, "{type=0x%lx, bsize=%ld, blocks=%lu, bfree=%lu, ...}", (long)f.f_type,
             (long)f.f_bsize, (long)f.f_blocks, (long)f.f_bfree);
}

void show_pollfds(Show *s, u64 addr)
{
    u32 n = (u32)s->arg[s->i + 1];
    struct pollfd p;

    show(s, "[");
    for (u32 i = 0; i < MIN(n, (u32)SHOW_ITEMS); i++) {
        if (!GET(s->t, addr + i * sizeof p, &p))
            break;
        show(s, "%s{fd=%d, events=", i ? ", " : "", p.fd);
        show_bits(s, names_poll, (u16)p.events);
        if (s->result > 0 && p.revents) {
            show(s, ", revents=");
            show_bits(s, names_poll, (u16)p.revents);
        }
        show(s, "}");
    }
    show(s, n > SHOW_ITEMS ? ", ...]" : "]");
}

void show_epoll_event(Show *s, u64 addr)
{
    GuestEpollEvent e;

    if (!FETCH(s, addr, &e))
        return;
    show(s, "{events=");
    show_bits(s, names_epoll_event, e.events);
    show(s, ", data=0x%llx}", (unsigned long long)e.data);
}

void show_mq_attr(Show *s, u64 addr)
{
    struct mq_attr a;

    if (FETCH(s, addr, &a))
        show(s, "{flags=0x%lx, maxmsg=%ld, msgsize=%ld, curmsgs=%ld}", a.mq_flags,
             a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
}

/* ---- sockets ---- */

static void unix_name(Show *s, const struct sockaddr_un *u, u64 len)
{
    size_t n = len > 2 ? MIN(len, sizeof *u) - 2 : 0;
    bool hidden = n && !u->sun_path[0]; /* abstract names begin with a NUL */

    show(s, "{AF_UNIX, \"%s%.*s\"}", hidden ? "@" : "", (int)(hidden ? n - 1 : n),
         u->sun_path + hidden);
}

static void sockaddr(Show *s, u64 addr, u64 len)
{
    union {
        struct sockaddr_storage all;
        struct sockaddr_un un;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a = {0};
    char text[INET6_ADDRSTRLEN];

    if (len < 2 || !fetch(s, addr, &a, MIN(len, sizeof a)))
        return;
    switch (a.all.ss_family) {
    case AF_UNIX: unix_name(s, &a.un, len); break;
    case AF_INET:
        show(s, "{AF_INET, %s:%u}",
             inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof text),
             ntohs(a.in.sin_port));
        break;
    case AF_INET6:
        show(s, "{AF_INET6, [%s]:%u}",
             inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text),
             ntohs(a.in6.sin6_port));
        break;
    default:
        show(s, "{");
        show_bits(s, names_domain, a.all.ss_family);
        show(s, ", ...}");
        break;
    }
}

void show_sockaddr(Show *s, u64 addr)
{
    if (addr)
        sockaddr(s, addr, (u32)s->arg[s->i + 1]);
    else
        show(s, "NULL");
}

void show_out_sockaddr(Show *s, u64 addr)
{
    u32 len;

    if (addr && GET(s->t, s->arg[s->i + 1], &len))
        sockaddr(s, addr, len);
    else
        show_ptr(s, addr);
}

/* ---- signals ---- */

void show_signal(Show *s, u64 v)
{
    const char *name = sigabbrev_np((i32)v);

    if (name)
        show(s, "SIG%s", name);
    else
        show(s, "%d", (i32)v);
}

static void signal_set(Show *s, u64 set)
{
    const char *space = "";
    bool most = __builtin_popcountll(set) > 32;

    show(s, most ? "~[" : "[");
    for (int sig = 1; sig <= SIGNALS; sig++) {
        if (!(set & signal_bit(sig)) != most)
            continue;
        show(s, "%s", space);
        show_signal(s, (u64)sig);
        space = " ";
    }
    show(s, "]");
}

void show_sigset(Show *s, u64 addr)
{
    u64 set;

    if (FETCH(s, addr, &set))
        signal_set(s, set);
}

void show_sigaction(Show *s, u64 addr)
{
    SigAction a;

    if (!FETCH(s, addr, &a))
        return;
    if (a.handler == ABI_SIG_DFL || a.handler == ABI_SIG_IGN)
        show(s, a.handler == ABI_SIG_IGN ? "{SIG_IGN, " : "{SIG_DFL, ");
    else
        show(s, "{0x%llx, ", (unsigned long long)a.handler);
    show_bits(s, names_sa, a.flags);
    show(s, ", ");
    signal_set(s, a.mask);
    show(s, "}");
}

void show_stack(Show *s, u64 addr)
{
    SigStack st;

    if (!FETCH(s, addr, &st))
        return;
    show(s, "{sp=0x%llx, flags=", (unsigned long long)st.sp);
    show_bits(s, names_stack, (u32)st.flags);
    show(s, ", size=%llu}", (unsigned long long)st.size);
}

void show_siginfo(Show *s, u64 addr)
{
    siginfo_t info;

    if (!FETCH(s, addr, &info))
        return;
    show(s, "{signo=");
    show_signal(s, (u32)info.si_signo);
    show(s, ", code=%d, pid=%d, uid=%d, ...}", info.si_code, info.si_pid, info.si_uid);
}

void show_sigevent(Show *s, u64 addr)
{
    struct sigevent e;

    if (!FETCH(s, addr, &e))
        return;
    show(s, "{notify=%d, signo=", e.sigev_notify);
    show_signal(s, (u32)e.sigev_signo);
    show(s, ", value=%p}", e.sigev_value.sival_ptr);
}

/* ---- ioctl ---- */

/* userfaultfd's structures: words, the last of which is often the kernel's. */
static const struct {
    u32 request;
    const char *word[5];
} fault_words[] = {
    {UFFDIO_API, {"api", "features", "ioctls"}},
    {UFFDIO_REGISTER, {"start", "len", "mode", "ioctls"}},
    {UFFDIO_UNREGISTER, {"start", "len"}},
    {UFFDIO_WAKE, {"start", "len"}},
    {UFFDIO_COPY, {"dst", "src", "len", "mode", "copy"}},
    {UFFDIO_ZEROPAGE, {"start", "len", "mode", "zeropage"}},
    {UFFDIO_WRITEPROTECT, {"start", "len", "mode"}},
    {UFFDIO_CONTINUE, {"start", "len", "mode", "mapped"}},
    {UFFDIO_POISON, {"start", "len", "mode", "updated"}},
    {UFFDIO_MOVE, {"dst", "src", "len", "mode", "move"}},
};

static void show_words(Show *s, const char *const *name, size_t n, u64 addr)
{
    const char *before = "{";
    u64 word[5];

    while (n && !name[n - 1])
        n--;
    if (!fetch(s, addr, word, n * sizeof *word))
        return;
    for (size_t i = 0; i < n; i++, before = ", ") {
        bool error = (i64)word[i] < 0 && (i64)word[i] >= -4095;

        show(s, "%s%s=", before, name[i]);
        (error ? show_long : show_hex)(s, word[i]);
    }
    show(s, "}");
}

void show_ioctl_arg(Show *s, u64 v)
{
    u32 request = (u32)s->arg[s->i - 1];

    if (request == USERFAULTFD_IOC_NEW) {
        show_bits(s, names_userfault, v);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(fault_words); i++)
        if ((u32)fault_words[i].request == request) {
            show_words(s, fault_words[i].word, ARRAY_SIZE(fault_words[i].word), v);
            return;
        }
    show_hex(s, v);
}
