/* SPDX-License-Identifier: MIT */
/*
 * -strace: one line for each system call, written when it has returned, so that
 * results behind pointers can be shown.  What each argument is, syscalls.def says;
 * how it looks, sysargs.def.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "strace.h"

static const struct {
    bool is_result; /* not valid when the call failed */
    ShowFn *show;
    const Name *names;
} forms[KIND_COUNT] = {
#define ARG(word, how, size, show_fn, names)                                           \
    [KIND_##word] = {sizeof #word > 4 && !__builtin_memcmp(#word, "out_", 4), show_fn, \
                     names},
#include "sysargs.def"
#undef ARG
};

void show(Show *s, const char *format, ...)
{
    size_t room = sizeof s->text - s->len;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(s->text + s->len, room, format, ap);
    va_end(ap);
    s->len += MIN((size_t)n, room - 1);
}

void show_bits(Show *s, const Name *names, u64 v)
{
    const char *bar = "";
    u64 rest = (u32)v;

    for (const Name *n = names; n->name; n++) {
        if ((rest & n->mask) != n->value)
            continue;
        show(s, "%s%s", bar, n->name);
        rest &= ~n->mask;
        bar = "|";
        if (n->mask == ~0ull)
            return;
    }
    if (rest || !*bar)
        show(s, rest ? "%s0x%llx" : "%s%llu", bar, (unsigned long long)rest);
}

void show_names(Show *s, u64 value)
{
    show_bits(s, forms[s->desc->kind[s->i]].names, value);
}

void show_bytes(Show *s, u64 addr, u64 len)
{
    u8 bytes[SHOW_BYTES];
    u64 n = MIN(len, sizeof bytes);

    if (!guest_read(s->t, bytes, addr, n)) {
        show_ptr(s, addr);
        return;
    }
    show(s, "\"");
    for (u64 i = 0; i < n; i++) {
        const char *at = memchr("\n\r\t\"\\", bytes[i], 5);

        if (bytes[i] == 0)
            show(s, "\\0");
        else if (at)
            show(s, "\\%c", "nrt\"\\"[strchr("\n\r\t\"\\", bytes[i]) - "\n\r\t\"\\"]);
        else
            show(s, bytes[i] >= ' ' && bytes[i] < 127 ? "%c" : "\\x%02x", bytes[i]);
    }
    show(s, n < len ? "\"..." : "\"");
}

/* ---- the line ---- */

static void show_args(Show *s, bool done)
{
    show(s, "%d %s(", s->t->tid, s->desc->name);
    for (s->i = 0; s->i < s->desc->n; s->i++) {
        u8 kind = s->desc->kind[s->i];
        bool valid = !forms[kind].is_result || (done && s->result >= 0);

        show(s, s->i ? ", " : "");
        (valid ? forms[kind].show : show_ptr)(s, s->arg[s->i]);
    }
    show(s, ")");
}

static const char *restart_name(i64 result)
{
    switch (result) {
    case SYS_RESTART_SA: return "ERESTARTSYS (interrupted by a signal)";
    case SYS_RESTART: return "ERESTARTNOINTR (a signal comes first)";
    default: return NULL;
    }
}

static void show_result(Show *s)
{
    const char *name = s->result < 0 ? strerrorname_np((int)-s->result) : NULL;

    if (restart_name(s->result))
        show(s, " = ? %s", restart_name(s->result));
    else if (s->result == SYS_KEEP)
        show(s, " = ?");
    else if (name && s->result > -4096)
        show(s, " = -1 %s (%s)", name, strerrordesc_np((int)-s->result));
    else
        show(s, s->desc->gives_addr ? " = 0x%llx" : " = %lld", (long long)s->result);
}

static void show_call(Show *s, Task *t, const SysDesc *d, const u64 *arg, i64 result)
{
    s->t = t;
    s->desc = d;
    s->arg = arg;
    s->result = result;
    s->len = 0;
    show_args(s, true);
    show_result(s);
}

void strace_call(Task *t, const SysDesc *d, const u64 *arg, i64 result)
{
    Show s;

    show_call(&s, t, d, arg, result);
    log_printf("%s\n", s.text);
}

void strace_put(FILE *f, Task *t, const SysCall *call, i64 result)
{
    const SysDesc *d = sys_desc(call->nr);
    Show s;

    if (!d) {
        fprintf(f, "%d syscall_%llu()\n", t->tid, (unsigned long long)call->nr);
        return;
    }
    show_call(&s, t, d, call->arg, result);
    fprintf(f, "%s\n", s.text);
}

void strace_last(Task *t, const SysDesc *d, const u64 *arg)
{
    Show s;

    s.t = t;
    s.desc = d;
    s.arg = arg;
    s.result = 0;
    s.len = 0;
    show_args(&s, false);
    log_printf("%s = ?\n", s.text);
}
