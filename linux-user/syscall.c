/* SPDX-License-Identifier: MIT */
/*
 * System calls: the table, dispatch, and the pass-through that serves most of them.
 * Both ABIs are 64-bit little-endian Linux, so a call is the host's call with its
 * addresses moved into the guest's window; sys_*.c has the exceptions.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "sys.h"

/* ---- the table ---- */

#define CALL_0(a)
#define CALL_1(a) , (a)[0]
#define CALL_2(a) CALL_1(a), (a)[1]
#define CALL_3(a) CALL_2(a), (a)[2]
#define CALL_4(a) CALL_3(a), (a)[3]
#define CALL_5(a) CALL_4(a), (a)[4]
#define CALL_6(a) CALL_5(a), (a)[5]

#define LACK(nr, name, why, n, ...)
#define PASS(nr, name, n, ...)
#define SAME(nr, name, n, ...)
#define WAIT(nr, name, n, ...)
#define SYS(nr, name, n, ...) \
    static i64 call_##name(Task *t, const u64 *a) { return sys_##name(t CALL_##n(a)); }
#define ADDR(nr, name, n, ...) SYS(nr, name, n)
#define LAST(nr, name, n, ...) SYS(nr, name, n)
#include "syscalls.def"
#undef LACK
#undef PASS
#undef SAME
#undef WAIT
#undef SYS
#undef ADDR
#undef LAST

#define KINDS_0()
#define KINDS_1(a)                KIND_##a
#define KINDS_2(a, b)             KIND_##a, KIND_##b
#define KINDS_3(a, b, c)          KIND_##a, KIND_##b, KIND_##c
#define KINDS_4(a, b, c, d)       KINDS_3(a, b, c), KIND_##d
#define KINDS_5(a, b, c, d, e)    KINDS_4(a, b, c, d), KIND_##e
#define KINDS_6(a, b, c, d, e, f) KINDS_5(a, b, c, d, e), KIND_##f

static const SysDesc table[] = {
#define ROW(nr, name, n, how, addr, host, fn, ...) \
    [nr] = {#name, how, n, {KINDS_##n(__VA_ARGS__)}, addr, host, fn, NULL},
#define LACK(nr, name, why, n, ...) \
    [nr] = {#name, SYS_LACK, n, {KINDS_##n(__VA_ARGS__)}, false, -1, NULL, why},
#define PASS(nr, name, n, ...) \
    ROW(nr, name, n, SYS_PASS, false, SYS_##name, NULL, __VA_ARGS__)
#define SAME(nr, name, n, ...) ROW(nr, name, n, SYS_PASS, false, nr, NULL, __VA_ARGS__)
#define WAIT(nr, name, n, ...) \
    ROW(nr, name, n, SYS_WAIT, false, SYS_##name, NULL, __VA_ARGS__)
#define SYS(nr, name, n, ...) \
    ROW(nr, name, n, SYS_OWN, false, -1, call_##name, __VA_ARGS__)
#define ADDR(nr, name, n, ...) \
    ROW(nr, name, n, SYS_OWN, true, -1, call_##name, __VA_ARGS__)
#define LAST(nr, name, n, ...) \
    ROW(nr, name, n, SYS_LAST, false, -1, call_##name, __VA_ARGS__)
#include "syscalls.def"
};

static const struct {
    u8 how;
    u16 size;
} kinds[KIND_COUNT] = {
#define ARG(word, how, size, show, names) [KIND_##word] = {how, size},
#include "sysargs.def"
#undef ARG
};

const SysDesc *sys_desc(u64 nr)
{
    return nr < ARRAY_SIZE(table) && table[nr].name ? &table[nr] : NULL;
}

static const char *how_text(const SysDesc *d)
{
    switch ((SysHow)d->how) {
    case SYS_LACK: return "refused: ";
    case SYS_PASS:
    case SYS_WAIT: return "passed through";
    default: return "ours";
    }
}

void syscalls_print(FILE *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const SysDesc *d = &table[i];

        if (d->name)
            fprintf(f, "%3zu %-24s %s%s\n", i, d->name, how_text(d),
                    d->why ? d->why : "");
    }
}

/* ---- guest addresses ---- */

bool guest_opt(Task *t, u64 addr, u64 len, GuestAccess access, void **out)
{
    *out = addr ? guest_ptr(t, addr, len, access) : NULL;
    return *out || !addr;
}

u64 guest_reach(Task *t, u64 addr, u64 len, GuestAccess access)
{
    const Space *s = &t->process->mem->space;
    u64 end = addr;

    while (end - addr < len && space_flags(s, end) & access)
        end = align_down(end, PAGE_SIZE) + PAGE_SIZE;
    return MIN(end - addr, len);
}

i64 guest_path(Task *t, u64 addr, char *buf, const char **out)
{
    const char *path;
    i64 r;

    *out = NULL;
    if (!addr)
        return 0;
    r = guest_string(t, addr, PATH_MAX, &path);
    if (r >= 0)
        *out = path_host(t->process, path, buf);
    return MIN(r, 0);
}

/* ---- pass-through ---- */

typedef struct Pass {
    Task *t;
    const SysDesc *desc;
    const u64 *arg;
    u64 host[6];
    i64 error;
    char path[PATH_MAX];
} Pass;

/* A buffer whose length is another argument.  Where only its beginning is
 * accessible the call is made with that, as the kernel would get that far. */
static u64 pass_array(Pass *p, int i, int count, GuestAccess access)
{
    u64 size = kinds[p->desc->kind[i]].size;
    u64 n = size == 1 ? p->arg[count] : (u32)p->arg[count];
    u64 addr = p->arg[i];
    void *host;

    n = MIN(n, 0x7ffff000ull / size);
    if (addr == 0 || n == 0)
        return host_addr(p->t, addr);
    host = guest_ptr(p->t, addr, n * size, access);
    if (!host) {
        n = guest_reach(p->t, addr, n * size, access) / size;
        host = n ? guest_ptr(p->t, addr, n * size, access) : NULL;
        p->host[count] = n;
    }
    if (!host)
        p->error = -EFAULT;
    return (u64)host;
}

static u64 pass_struct(Pass *p, int i, GuestAccess access)
{
    void *host;

    if (!guest_opt(p->t, p->arg[i], kinds[p->desc->kind[i]].size, access, &host))
        p->error = -EFAULT;
    return (u64)host;
}

static u64 pass_path(Pass *p, int i)
{
    const char *path;
    i64 r;

    if (!p->t->process->options.prefix)
        return host_addr(p->t, p->arg[i]);
    r = guest_path(p->t, p->arg[i], p->path, &path);
    if (r < 0)
        p->error = r;
    return (u64)path;
}

static u64 pass_arg(Pass *p, int i)
{
    switch ((ArgHow)kinds[p->desc->kind[i]].how) {
    case VAL: break;
    case MEM: return host_addr(p->t, p->arg[i]);
    case PATH: return pass_path(p, i);
    case IN: return pass_struct(p, i, GUEST_READ);
    case OUT:
    case IO: return pass_struct(p, i, GUEST_WRITE);
    case IN_NEXT: return pass_array(p, i, i + 1, GUEST_READ);
    case OUT_NEXT: return pass_array(p, i, i + 1, GUEST_WRITE);
    case IN_PREV: return pass_array(p, i, i - 1, GUEST_READ);
    case OUT_PREV: return pass_array(p, i, i - 1, GUEST_WRITE);
    }
    return p->host[i];
}

i64 sys_pass(Task *t, const SysDesc *d, const u64 *arg)
{
    Pass p;
    u64 *h = p.host;

    p.t = t;
    p.desc = d;
    p.arg = arg;
    p.error = 0;
    for (int i = 0; i < 6; i++)
        h[i] = arg[i];
    for (int i = 0; i < d->n && !p.error; i++)
        h[i] = pass_arg(&p, i);
    if (p.error)
        return p.error;
    if (d->how == SYS_PASS)
        return host_syscall(d->host, h[0], h[1], h[2], h[3], h[4], h[5]);
    return safe_syscall(d->host, h[0], h[1], h[2], h[3], h[4], h[5]);
}

/* ---- dispatch ---- */

void sys_unimp(const char *format, ...)
{
    char text[256];
    va_list ap;

    if (!log_on(LOG_UNIMP))
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    log_printf("unimp: %s\n", text);
}

/* -ENOSYS, and a line the first time for each number. */
static i64 sys_lack(Task *t, u64 nr, const SysDesc *d)
{
    _Atomic u32 *said = t->process->unimp_said;
    u64 slot = MIN(nr, 32 * ARRAY_SIZE(t->process->unimp_said) - 1);
    u32 bit = 1u << slot % 32;

    if (!(atomic_fetch_or(&said[slot / 32], bit) & bit))
        sys_unimp("system call %llu (%s)", (unsigned long long)nr,
                  d ? d->name : "unknown");
    return -ENOSYS;
}

static i64 dispatch(Task *t, const SysDesc *d, u64 nr, const u64 *arg)
{
    u64 args[ARRAY_SIZE(t->sys.arg)];
    i64 r;

    if (UNLIKELY(seccomp_is_on(t))) {
        if (seccomp_stops(t, &r))
            return r;
        nr = t->sys.nr; /* a tracer may have changed it */
        memcpy(args, t->sys.arg, sizeof args);
        arg = args;
        d = sys_desc(nr);
    }
    if (!d || d->how == SYS_LACK)
        return sys_lack(t, nr, d);
    return d->fn ? d->fn(t, arg) : sys_pass(t, d, arg);
}

static i64 dispatch_traced(Task *t, const SysDesc *d, u64 nr, const u64 *arg)
{
    i64 r;

    if (d && d->how == SYS_LAST)
        strace_last(t, d, arg);
    r = dispatch(t, d, nr, arg);
    if (!d)
        log_printf("%d syscall_%llu() = -1 ENOSYS\n", t->tid, (unsigned long long)nr);
    else if (d->how != SYS_LAST || r < 0)
        strace_call(t, d, arg, r);
    return r;
}

i64 syscall_run(Task *t)
{
    SysCall call = t->sys;
    const SysDesc *d = sys_desc(call.nr);
    i64 r;

    r = log_on(LOG_STRACE) ? dispatch_traced(t, d, call.nr, call.arg)
                           : dispatch(t, d, call.nr, call.arg);
    if (UNLIKELY(t->process->notes_calls))
        crash_note(&call, r);
    return r;
}
