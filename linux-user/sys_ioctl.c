/* SPDX-License-Identifier: MIT */
/*
 * ioctl: the argument is moved into the window by the size and direction that the
 * request's number carries, or that ioctls.def says.  Structures have the same
 * layout on both sides; what they point to in turn is translated for SIOCGIFCONF
 * only.  userfaultfd's are sys_userfault.c's.
 */
#include "ioctls.h"
#include "sys.h"

enum { NUM = OUT_PREV + 1, CONF, NOTIF, UFFD };

typedef struct Ioctl {
    u32 request;
    u8 how;
    u16 size;
} Ioctl;

static const Ioctl table[] = {
#define IOCTL(request, how, size) {(u32)request, how, size},
#include "ioctls.def"
#undef IOCTL
};

/* False: nobody knows what its argument is. */
static bool ioctl_find(u32 request, Ioctl *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].request == request) {
            *out = table[i];
            return true;
        }
    }
    *out =
        (Ioctl){request, _IOC_DIR(request) & _IOC_READ ? OUT : IN, _IOC_SIZE(request)};
    if (_IOC_DIR(request) == _IOC_NONE) /* _IO(): a number, if it is that new */
        out->how = NUM;
    return _IOC_DIR(request) != _IOC_NONE || _IOC_TYPE(request) >= 0x90;
}

static i64 ioctl_conf(Task *t, u64 fd, u64 addr)
{
    struct ifconf c;
    u64 buf;
    i64 r;

    if (!GET(t, addr, &c))
        return -EFAULT;
    buf = (u64)c.ifc_buf;
    if (buf && c.ifc_len > 0) {
        c.ifc_buf = guest_ptr(t, buf, c.ifc_len, GUEST_WRITE);
        if (!c.ifc_buf)
            return -EFAULT;
    }
    r = host_syscall(SYS_ioctl, fd, SIOCGIFCONF, &c);
    c.ifc_buf = (char *)buf;
    return r < 0 || PUT(t, addr, &c) ? r : -EFAULT;
}

i64 sys_ioctl(Task *t, u64 fd, u64 request, u64 arg)
{
    Ioctl io;
    void *p;

    if (!ioctl_find(request, &io)) {
        sys_unimp("ioctl 0x%x", (u32)request);
        return host_syscall(SYS_fcntl, fd, 1 /* F_GETFD */) < 0 ? -EBADF : -ENOTTY;
    }
    if (io.how == CONF)
        return ioctl_conf(t, fd, arg);
    if (io.how == NOTIF)
        return seccomp_ioctl(t, fd, request, arg);
    if (io.how == UFFD)
        return userfault_ioctl(t, fd, (u32)request, io.size, arg);
    if (io.how == NUM)
        return safe_syscall(SYS_ioctl, fd, (u32)request, arg);
    if (!guest_opt(t, arg, io.size, io.how == IN ? GUEST_READ : GUEST_WRITE, &p))
        return -EFAULT;
    return safe_syscall(SYS_ioctl, fd, (u32)request, p);
}
