/*
 * echo PORT PATH CONNECTIONS SECONDS SIZE: WebSockets that each send a message, wait for it to come back, and send the next.
 *
 * In: a server that sends back what it gets, unmasked. Out: one line of JSON. Never: fragments, extensions, messages over 125 bytes.
 */
#define _GNU_SOURCE
#include "net.h"

struct socket {
    int fd;
    size_t have;
    uint64_t begin;
};

static struct latencies latencies;
static unsigned char frame[6 + 125], expected[2 + 125];
static size_t size;

static void send_frame(struct socket *one) {
    one->have = 0, one->begin = now_ns();
    if (send(one->fd, frame, 6 + size, MSG_NOSIGNAL) != (ssize_t)(6 + size)) fatal("send");
}

/* The sample key of RFC 6455 section 1.3. Blocks until the answer is there, up to the socket's time limit. */
static void upgrade(int fd, const char *port, const char *path) {
    char text[4096];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, port);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) != length) fatal("send");
    size_t have = 0;
    do {
        ssize_t got = recv(fd, text + have, sizeof text - 1 - have, 0);
        if (got <= 0) fatal("no answer to the upgrade");
        have += (size_t)got;
        text[have] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    if (strncmp(text, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "no upgrade: %s", text);
        exit(1);
    }
}

/* Whether the message is back. One that is not what was sent ends the program. */
static int came_back(struct socket *one) {
    unsigned char got_bytes[2 + 125];
    ssize_t got = recv(one->fd, got_bytes, 2 + size - one->have, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) fatal("recv");
    if (memcmp(got_bytes, expected + one->have, (size_t)got)) {
        fprintf(stderr, "another message came back\n");
        exit(1);
    }
    one->have += (size_t)got;
    return one->have == 2 + size;
}

int main(int count, char **words) {
    if (count != 6) return fprintf(stderr, "usage: echo PORT PATH CONNECTIONS SECONDS SIZE\n"), 2;
    size_t connections = strtoul(words[3], NULL, 10);
    double seconds = atof(words[4]);
    size = strtoul(words[5], NULL, 10);
    if (size > 125) return fprintf(stderr, "SIZE is at most 125\n"), 2;
    /* A final text frame; masked towards the server, plain back. */
    frame[0] = expected[0] = 0x81, frame[1] = (unsigned char)(0x80 | size), expected[1] = (unsigned char)size;
    memcpy(frame + 2, "mask", 4);
    for (size_t i = 0; i < size; i++) expected[2 + i] = 'x', frame[6 + i] = 'x' ^ frame[2 + i % 4];
    struct sockaddr_in there = loopback(words[1]);
    struct timeval limit = {.tv_sec = 10};
    struct socket *all = calloc(connections, sizeof *all);
    int epoll = new_epoll();
    if (!all) fatal("calloc");
    for (size_t i = 0; i < connections; i++) {
        all[i].fd = connect_to(&there, sizeof there, AF_INET);
        setsockopt(all[i].fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        upgrade(all[i].fd, words[1], words[2]);
        interest(epoll, EPOLL_CTL_ADD, all[i].fd, EPOLLIN, &all[i]);
    }
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < connections; i++) send_frame(&all[i]);
    while (now_ns() < end) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, 100);
        if (ready < 0 && errno != EINTR) fatal("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct socket *one = events[i].data.ptr;
            if (!came_back(one)) continue;
            record(&latencies, one->begin, now_ns());
            send_frame(one);
        }
    }
    report(&latencies, latencies.count ? 0 : 1, (double)(now_ns() - begin) / 1e9);
    return 0;
}
