/*
 * relay PORT SOCKET: bytes of a TCP connection -> bytes of a unix socket, and back.
 *
 * The floor under every proxy: two reads and two writes per request, and no look at the bytes. One thread, edge-triggered.
 * In: connections to 127.0.0.1:PORT. Out: one connection to SOCKET for each. Never: HTTP.
 */
#define _GNU_SOURCE
#include "net.h"

/* One side of a pair. `rest` is what its socket had no room for: until it is gone, the other side is not read. */
struct side {
    int fd;
    struct side *other;
    char *rest;
    size_t length;
};

static int epoll;
static struct sockaddr_un up;
static char buffer[65536];

static struct side *closed[1024];
static size_t closed_count;

/* Both sides are freed when the events of this round are over: one of them may be among those. */
static void close_pair(struct side *side) {
    if (side->fd < 0) return;
    close(side->fd);
    close(side->other->fd);
    side->fd = side->other->fd = -1;
    closed[closed_count++] = side;
}

static void free_closed(void) {
    while (closed_count) {
        struct side *side = closed[--closed_count];
        free(side->rest);
        free(side->other->rest);
        free(side->other);
        free(side);
    }
}

/* Keeps what could not be written, and asks for the moment when it can be. */
static void keep_rest(struct side *to, const char *bytes, size_t length) {
    to->rest = malloc(length);
    if (!to->rest) fatal("malloc");
    memcpy(to->rest, bytes, length);
    to->length = length;
    interest(epoll, EPOLL_CTL_MOD, to->fd, READABLE | EPOLLOUT, to);
}

/* Whether all of the rest is written. */
static int flush(struct side *to) {
    ssize_t sent = send(to->fd, to->rest, to->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return 0;
    to->length -= (size_t)sent;
    memmove(to->rest, to->rest + sent, to->length);
    if (to->length) return 0;
    free(to->rest);
    to->rest = NULL;
    interest(epoll, EPOLL_CTL_MOD, to->fd, READABLE, to);
    return 1;
}

/* Carries what `from` has to the other side. A read that fills less than the buffer was the last one, unless the end is near. */
static void carry(struct side *from, int to_the_end) {
    struct side *to = from->other;
    while (from->fd >= 0 && !to->rest) {
        ssize_t got = recv(from->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) close_pair(from);
        if (got <= 0) return;
        ssize_t sent = send(to->fd, buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            close_pair(from);
            return;
        }
        if (sent < got) keep_rest(to, buffer + (sent < 0 ? 0 : sent), (size_t)(got - (sent < 0 ? 0 : sent)));
        if ((size_t)got < sizeof buffer && !to_the_end) return;
    }
}

static void accept_one(int listener) {
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct side *client = calloc(1, sizeof *client), *backend = calloc(1, sizeof *backend);
    if (!client || !backend) fatal("calloc");
    *client = (struct side){.fd = fd, .other = backend};
    *backend = (struct side){.fd = connect_to(&up, sizeof up, AF_UNIX), .other = client};
    interest(epoll, EPOLL_CTL_ADD, client->fd, READABLE, client);
    interest(epoll, EPOLL_CTL_ADD, backend->fd, READABLE, backend);
}

static void work(void *owner, int ending) {
    struct side *side = owner;
    if (side->fd >= 0 && side->rest && flush(side)) carry(side->other, 1);
    if (side->fd >= 0) carry(side, ending);
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: relay PORT SOCKET\n"), 2;
    struct sockaddr_in here = loopback(words[1]);
    up = unix_path(words[2]);
    int listener = listen_at(&here, sizeof here, AF_INET);
    epoll = new_epoll();
    serve_all(epoll, listener, accept_one, work, free_closed);
}
