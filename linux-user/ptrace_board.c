/* SPDX-License-Identifier: MIT */
/* The tracer's half of ptrace: boards of other processes, and the list of tracees. */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include "ptrace.h"

extern const char __executable_start; /* the linker's */

/* ---- another process's memory ---- */

static i64 transfer(long nr, i32 tid, u64 remote, void *local, size_t len)
{
    struct iovec l = {local, len}, r = {(void *)remote, len};
    i64 n = host_syscall(nr, tid, &l, 1, &r, 1, 0);

    return n < 0 ? n : n == (i64)len ? 0 : -EFAULT;
}

bool board_read(i32 tid, u64 from, void *to, size_t len)
{
    return transfer(SYS_process_vm_readv, tid, from, to, len) == 0;
}

bool board_write(i32 tid, u64 to, const void *from, size_t len)
{
    return transfer(SYS_process_vm_writev, tid, to, (void *)from, len) == 0;
}

/* 0: it is there, and ours to read; else -ESRCH, -EPERM. */
static i64 probe(i32 tid)
{
    char byte;
    i64 r = transfer(SYS_process_vm_readv, tid, 0, &byte, 1);

    return r == -EFAULT ? 0 : r;
}

bool board_may_look(i32 tid) { return probe(tid) == 0; }

/* ---- finding a board ---- */

/* A line of maps: where the file that our program is begins. */
static bool is_start(const char *line, const struct stat *self, u64 *start)
{
    u64 offset, inode;
    u32 major, minor;

    return sscanf(line, "%lx-%*x %*s %lx %x:%x %lu", start, &offset, &major, &minor,
                  &inode) == 5 &&
           offset == 0 && inode == self->st_ino;
}

/* Where our program is there; 0: nowhere. */
static u64 program_start(i32 tid)
{
    char name[32], line[512];
    struct stat self, other;
    u64 start = 0;
    FILE *f;

    snprintf(name, sizeof name, "/proc/%d/exe", tid);
    if (stat("/proc/self/exe", &self) || stat(name, &other) ||
        self.st_dev != other.st_dev || self.st_ino != other.st_ino)
        return 0;
    snprintf(name, sizeof name, "/proc/%d/maps", tid);
    f = fopen(name, "re");
    while (f && fgets(line, sizeof line, f))
        if (is_start(line, &self, &start))
            break;
        else
            start = 0;
    if (f)
        fclose(f);
    return start;
}

/* Is it a thread of that process?  The board is another's to fill. */
static bool is_thread_of(i32 tid, i32 pid)
{
    i64 r = pid > 0 ? host_syscall(SYS_tgkill, pid, tid, 0) : -ESRCH;

    return r == 0 || r == -EPERM;
}

static i64 find_slot(Tracee *e, u32 n)
{
    for (u32 i = 0; i < MIN(n, (u32)TRACEE_SLOTS); i++) {
        u64 at = e->board + offsetof(PtraceBoard, slot) + i * sizeof(PtraceSlot);
        i32 tid_pid[2];

        if (!board_read(e->tid, at, tid_pid, sizeof tid_pid))
            return -EAGAIN;
        if (tid_pid[0] != e->tid || !is_thread_of(e->tid, tid_pid[1]))
            continue;
        e->slot = at;
        e->pid = tid_pid[1];
        return 0;
    }
    return -ENOENT;
}

i64 board_find(i32 tid, Tracee *out)
{
    struct {
        u64 ready, base, size, map;
        u32 n;
    } head;
    i64 r = tid > 0 ? probe(tid) : -ESRCH;
    u64 start;

    *out = (Tracee){.tid = tid};
    if (r < 0)
        return r;
    start = program_start(tid);
    if (!start)
        return -EPERM;
    out->board = (u64)&ptrace_board - (u64)&__executable_start + start;
    if (!board_read(tid, out->board, &head, sizeof head) || head.ready != TRACEE_READY)
        return -EAGAIN;
    out->base = head.base;
    out->size = head.size;
    out->map = head.map;
    return find_slot(out, head.n);
}

enum { TRIES = 2000 };

i64 board_await(i32 tid, Tracee *out)
{
    const struct timespec ms = {.tv_nsec = 1000 * 1000};
    i64 r = board_find(tid, out);

    for (int i = 1; (r == -EAGAIN || r == -ENOENT) && i < TRIES; i++) {
        host_syscall(SYS_nanosleep, &ms, NULL);
        r = board_find(tid, out);
    }
    return r == -EAGAIN || r == -ENOENT ? -EPERM : r;
}

/* ---- the list ---- */

static Tracee *tracee_at(const Tracer *r, u32 i)
{
    return &g_array_index(r->tracees, Tracee, i);
}

Tracee *tracee_find(const Tracer *r, i32 tid)
{
    for (u32 i = 0; r->tracees && i < r->tracees->len; i++)
        if (tracee_at(r, i)->tid == tid)
            return tracee_at(r, i);
    return NULL;
}

Tracee *tracee_add(Tracer *r, const Tracee *e)
{
    Tracee *known = tracee_find(r, e->tid);

    if (known)
        return known;
    if (!r->tracees)
        r->tracees = g_array_new(FALSE, FALSE, sizeof *e);
    g_array_append_val(r->tracees, *e);
    return tracee_at(r, r->tracees->len - 1);
}

void tracee_remove(Tracer *r, i32 tid)
{
    Tracee *e = tracee_find(r, tid);

    if (e)
        g_array_remove_index(r->tracees, (guint)(e - tracee_at(r, 0)));
}

/* Where its slot is now: another after execve. */
static bool bind(Tracee *e)
{
    Tracee now;

    if (board_find(e->tid, &now) < 0)
        return false;
    now.tracer_tid = e->tracer_tid;
    now.told = e->told;
    *e = now;
    return true;
}

bool tracee_read(Tracee *e, PtraceSlot *out, bool all)
{
    size_t size = all ? sizeof *out : offsetof(PtraceSlot, set);

    if (e->slot && board_read(e->tid, e->slot, out, size) && out->tid == e->tid)
        return true;
    return bind(e) && board_read(e->tid, e->slot, out, size) && out->tid == e->tid;
}

bool tracee_gone(const Tracee *e) { return probe(e->tid) == -ESRCH; }

/* The thread may be a tracee that we do not know yet. */
static void look_at(Tracer *r, i32 tid)
{
    PtraceSlot slot;
    Tracee e;

    if (tracee_find(r, tid) || board_find(tid, &e) < 0 ||
        !tracee_read(&e, &slot, false) || slot.tracer != r->pid)
        return;
    e.tracer_tid = slot.tracer_tid;
    tracee_add(r, &e);
}

void tracer_look(Tracer *r)
{
    for (u32 i = 0; i < TRACEE_NEWS; i++) {
        i32 tid = atomic_exchange(&r->news[i], 0);

        if (tid)
            look_at(r, tid);
    }
}

bool ptrace_seen(i32 tid, i32 *tracer, bool *stopped)
{
    PtraceSlot slot;
    Tracee e;

    if (board_find(tid, &e) < 0 || !tracee_read(&e, &slot, false))
        return false;
    *tracer = ptrace_tracer_lives(&slot) ? slot.tracer : 0;
    *stopped = *tracer && slot.state == TRACEE_STOPPED;
    return true;
}

/* ---- orders and wishes ---- */

enum { DETACH_TRIES = 40000 }; /* two seconds and more */

/* Another may attach at once, and must not be taken for us. */
static void await_detach(Tracee *e)
{
    const struct timespec little = {.tv_nsec = 50 * 1000};
    PtraceSlot slot;

    for (int i = 0; i < DETACH_TRIES; i++) {
        if (!board_read(e->tid, e->slot, &slot, offsetof(PtraceSlot, set)) ||
            slot.tracer != getpid())
            return;
        host_syscall(SYS_nanosleep, &little, NULL);
    }
}

bool tracee_order(Tracee *e, PtraceCommand command, int signal)
{
    const PtraceOrder order = {command, signal};

    if (!TRACEE_PUT(e, order, &order) ||
        ptrace_kick(e->pid, e->tid, TRACEE_KICK, 0) != 0)
        return false;
    if (command == TRACEE_DETACH)
        await_detach(e);
    return true;
}

void tracee_wish(Tracee *e, size_t field, u8 value)
{
    if (board_write(e->tid, e->slot + field, &value, 1))
        ptrace_kick(e->pid, e->tid, TRACEE_KICK, 0);
}

/* ---- its memory ---- */

enum { EXTENTS_MOST = 1 << 16 };

u64 tracee_mapped(const Tracee *e, u64 addr, u64 len)
{
    Extents map;
    Extent part;
    u64 n = 0;

    if (addr >= e->size || !board_read(e->tid, e->map, &map, sizeof map))
        return 0;
    map.n = MIN(map.n, (size_t)EXTENTS_MOST);
    len = MIN(len, e->size - addr);
    g_autofree Extent *at = g_new(Extent, map.n);
    if (!board_read(e->tid, (u64)map.at, at, map.n * sizeof *at))
        return 0;
    map.at = at;
    if (extents_next(&map, addr, addr + len, &part) && part.start <= addr)
        n = MIN(part.end, addr + len) - addr;
    return n;
}

size_t tracee_memory(Tracee *e, u64 addr, void *bytes, size_t len, bool write)
{
    char path[32];
    ssize_t n;
    int fd;

    len = tracee_mapped(e, addr, len);
    if (len == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/mem", e->tid);
    fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (write)
        n = pwrite(fd, bytes, len, (off_t)(e->base + addr));
    else
        n = pread(fd, bytes, len, (off_t)(e->base + addr));
    close(fd);
    if (write && n > 0)
        tracee_wrote(e, addr, (u64)n);
    return (size_t)MAX(n, 0);
}

void tracee_wrote(Tracee *e, u64 addr, u64 len)
{
    const PtraceWrite w = {addr, len};
    u64 at = e->board + offsetof(PtraceBoard, n_writes);
    u32 n;

    if (!board_read(e->tid, at, &n, sizeof n))
        return;
    board_write(e->tid,
                e->board + offsetof(PtraceBoard, writes) + n % TRACEE_WRITES * sizeof w,
                &w, sizeof w);
    n++;
    board_write(e->tid, at, &n, sizeof n);
}

/* ---- the tracer's end ---- */

void tracee_let_go(Tracee *e, int signal)
{
    const i32 none = 0;
    PtraceSlot slot;

    if (!tracee_read(e, &slot, false))
        return;
    if (slot.state == TRACEE_STOPPED) {
        tracee_order(e, TRACEE_DETACH, signal);
    } else if (slot.state == TRACEE_EXITED) {
        TRACEE_PUT(e, tid, &none);
    } else {
        TRACEE_PUT(e, tracer, &none);
        tracee_wish(e, offsetof(PtraceSlot, wish.adopted), 1);
    }
}

void tracer_end(Process *p, i32 tid)
{
    Tracer *r = p->tracer;

    if (!r->tracees || r->pid != getpid())
        return;
    lock_take(&r->lock);
    for (u32 i = r->tracees->len; i-- > 0;) {
        Tracee *e = tracee_at(r, i);
        PtraceSlot slot;

        if (tid && e->tracer_tid != tid)
            continue;
        if (tracee_read(e, &slot, false) && slot.options & PTRACE_O_EXITKILL)
            host_syscall(SYS_kill, e->pid, SIGKILL);
        else
            tracee_let_go(e, 0);
        g_array_remove_index(r->tracees, i);
    }
    lock_leave(&r->lock);
}
