/* SPDX-License-Identifier: MIT */
/* The constants of ioctls.def; also those newer than the headers we may build with. */
#ifndef TESSERA_IOCTLS_H
#define TESSERA_IOCTLS_H

#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <linux/vt.h>
#include <net/if.h>
#include <sys/ioctl.h>

#ifndef BLKROTATIONAL
#define BLKROTATIONAL _IO(0x12, 126)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR
#define SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR SECCOMP_IOR(2, __u64)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef UFFDIO_POISON
#define UFFDIO_POISON 0xc020aa08u
#endif
#ifndef UFFDIO_MOVE
#define UFFDIO_MOVE 0xc028aa05u
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW 0xaa00u
#endif

#endif
