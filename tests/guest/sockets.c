/* SPDX-License-Identifier: MIT */
/* Run: tests/guest_run sockets
 *
 * Sockets: addresses and their lengths, messages with descriptors, options, several
 * messages at once, bad addresses. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"

#define BAD ((void *)0x1000)

static void *client(void *arg)
{
    struct sockaddr_in *to = arg;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[8] = "";

    CHECK_EQ(connect(fd, (struct sockaddr *)to, sizeof *to), 0);
    CHECK_EQ(send(fd, "ping", 4, MSG_NOSIGNAL), 4);
    CHECK_EQ(recv(fd, text, sizeof text, MSG_WAITALL), 4);
    CHECK_EQ(memcmp(text, "pong", 4), 0);
    close(fd);
    return NULL;
}

static void check_inet(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET}, peer;
    socklen_t len = sizeof a, short_len = 4;
    int server = socket(AF_INET, SOCK_STREAM, 0), fd, on = 1, got = 0;
    char text[8];
    pthread_t thread;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    len = sizeof got;
    CHECK_EQ(getsockopt(server, SOL_SOCKET, SO_REUSEADDR, &got, &len), 0);
    CHECK(got && len == sizeof got);
    CHECK_EQ(setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    len = sizeof a;
    CHECK_EQ(bind(server, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_EQ(getsockname(server, (struct sockaddr *)&a, &len), 0);
    CHECK(len == sizeof a && a.sin_port != 0);
    CHECK_EQ(listen(server, 4), 0);
    CHECK_EQ(pthread_create(&thread, NULL, client, &a), 0);
    len = sizeof peer;
    fd = accept(server, (struct sockaddr *)&peer, &len);
    CHECK(fd >= 0 && len == sizeof peer);
    CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQ(recv(fd, text, 4, MSG_WAITALL), 4);
    CHECK_EQ(write(fd, "pong", 4), 4);
    CHECK_EQ(getpeername(fd, (struct sockaddr *)&peer, &short_len), 0);
    CHECK_EQ(short_len, sizeof peer);
    CHECK_ERR(syscall(SYS_getpeername, fd, &peer, BAD), EFAULT);
    CHECK_EQ(shutdown(fd, SHUT_RDWR), 0);
    pthread_join(thread, NULL);
    close(fd);
    close(server);
}

static void check_datagrams(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, from;
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + 20, len = sizeof from;
    int to = socket(AF_UNIX, SOCK_DGRAM, 0), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    char text[16] = "";

    snprintf(a.sun_path + 1, 21, "tessera-test-%07d", getpid());
    CHECK_EQ(bind(to, (struct sockaddr *)&a, size), 0);
    CHECK_EQ(sendto(fd, "data", 4, 0, (struct sockaddr *)&a, size), 4);
    CHECK_EQ(recvfrom(to, text, sizeof text, 0, (struct sockaddr *)&from, &len), 4);
    CHECK_EQ(memcmp(text, "data", 4), 0);
    CHECK(len == 0 || from.sun_family == AF_UNIX);
    CHECK_ERR(recvfrom(to, text, 16, MSG_DONTWAIT, NULL, NULL), EAGAIN);
    CHECK_ERR(syscall(SYS_sendto, fd, BAD, 4, 0, &a, size), EFAULT);
    close(to);
    close(fd);
}

/* A descriptor and credentials travel in control messages. */
static void check_messages(void)
{
    char control[CMSG_SPACE(sizeof(int))], a[3], b[5], c = 0;
    struct iovec out[2] = {{"ab", 2}, {"cdef", 4}}, in[2] = {{a, 3}, {b, 5}};
    struct msghdr m = {.msg_iov = out,
                       .msg_iovlen = 2,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    struct cmsghdr *part;
    int pair[2], ends[2], fd = -1;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    CHECK_EQ(pipe(ends), 0);
    part = CMSG_FIRSTHDR(&m);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &ends[1], sizeof(int));
    CHECK_EQ(sendmsg(pair[0], &m, 0), 6);
    memset(control, 0, sizeof control);
    m.msg_iov = in;
    CHECK_EQ(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC), 6);
    CHECK_EQ(memcmp(a, "abc", 3) | memcmp(b, "def", 3), 0);
    part = CMSG_FIRSTHDR(&m);
    CHECK(part && part->cmsg_type == SCM_RIGHTS);
    if (part)
        memcpy(&fd, CMSG_DATA(part), sizeof fd);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(read(ends[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_ERR(sendmsg(pair[0], BAD, 0), EFAULT);
    m.msg_iov = BAD;
    CHECK_ERR(sendmsg(pair[0], &m, 0), EFAULT);
}

static void check_many(void)
{
    char text[3][8];
    struct iovec iov[3];
    struct mmsghdr m[3];
    struct timespec limit = {1, 0};
    int pair[2];

    memset(m, 0, sizeof m);
    for (int i = 0; i < 3; i++) {
        snprintf(text[i], sizeof text[i], "msg%d", i);
        iov[i] = (struct iovec){text[i], 4};
        m[i].msg_hdr.msg_iov = &iov[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    CHECK_EQ(sendmmsg(pair[0], m, 3, 0), 3);
    CHECK_EQ(m[2].msg_len, 4);
    memset(text, 0, sizeof text);
    CHECK_EQ(recvmmsg(pair[1], m, 3, MSG_WAITFORONE, &limit), 3);
    CHECK_EQ(memcmp(text[2], "msg2", 4), 0);
    CHECK_ERR(recvmmsg(pair[1], m, 3, MSG_DONTWAIT, NULL), EAGAIN);
}

int main(void)
{
    check_inet();
    check_datagrams();
    check_messages();
    check_many();
    return check_done("sockets");
}
