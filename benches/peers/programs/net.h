/*
 * Sockets, clocks and percentiles -> what the four small programs beside this file share.
 *
 * In: addresses as on a command line. Out: sockets that do not block. Never: a wait, or an error that is passed over: all are fatal.
 */
#ifndef NET_H
#define NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static inline void fatal(const char *what) {
    perror(what);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#define READABLE (EPOLLIN | EPOLLRDHUP | EPOLLET)

static inline int new_epoll(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fatal("epoll_create1");
    return epoll;
}

/* A new element of `epoll`, or (with EPOLL_CTL_MOD) another interest of an old one. */
static inline void interest(int epoll, int operation, int fd, uint32_t events, void *owner) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) fatal("epoll_ctl");
}

static inline struct sockaddr_in loopback(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline struct sockaddr_un unix_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fatal(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

static inline int listen_at(const void *address, socklen_t length, int family) {
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fatal("socket");
    if (family == AF_INET) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, length) < 0) fatal("bind");
    if (listen(fd, 4096) < 0) fatal("listen");
    return fd;
}

/* Connects, then stops blocking: on one machine a connection is there at once, or refused. */
static inline int connect_to(const void *address, socklen_t length, int family) {
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fatal("socket");
    if (connect(fd, address, length) < 0) fatal("connect");
    if (family == AF_INET) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/*
 * For ever: `accept` what is new, `work` for each owner that something happened to (`ending`: its other side says no more), then `rest`.
 * The compiler puts all of them into one function.
 */
static inline void serve_all(int epoll, int listener, void (*accept)(int), void (*work)(void *, int ending), void (*rest)(void)) {
    interest(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[512];
        int ready = epoll_wait(epoll, events, 512, -1);
        if (ready < 0 && errno != EINTR) fatal("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int ending = (events[i].events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0;
            if (events[i].data.ptr) work(events[i].data.ptr, ending);
            else accept(listener);
        }
        if (rest) rest();
    }
}

static inline int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* Latencies in microseconds, as many as there is room for. */
struct latencies {
    uint32_t *us;
    size_t count, room;
};

static inline void record(struct latencies *all, uint64_t begin_ns, uint64_t end_ns) {
    if (all->count == all->room) {
        all->room = all->room ? all->room * 2 : 1 << 16;
        all->us = realloc(all->us, all->room * sizeof *all->us);
        if (!all->us) fatal("realloc");
    }
    all->us[all->count++] = (uint32_t)((end_ns - begin_ns) / 1000);
}

/* One line of JSON: what the caller of these programs reads. */
static inline void report(struct latencies *all, uint64_t errors, double seconds) {
    qsort(all->us, all->count, sizeof *all->us, by_size);
    uint32_t p50 = all->count ? all->us[all->count / 2] : 0, p99 = all->count ? all->us[all->count * 99 / 100] : 0;
    printf("{\"requests\": %zu, \"errors\": %llu, \"seconds\": %.6f, \"p50\": %u, \"p99\": %u}\n", all->count,
           (unsigned long long)errors, seconds, p50, p99);
}

#endif
