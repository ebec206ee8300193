/*
 * rate PORT PATH CONNECTIONS REQUESTS_PER_SECOND SECONDS: requests at fixed moments -> how late their answers are.
 *
 * A latency begins when its request was due, not when a connection was free for it: a proxy that stalls can't hide it by getting
 * fewer requests. In: answers with Content-Length. Out: one line of JSON. Never: more than CONNECTIONS requests at once.
 */
#define _GNU_SOURCE
#include <sys/prctl.h>

#include "net.h"

/* After the last request was due: answers that take longer are errors. */
#define PATIENCE_NS 2000000000u

struct connection {
    int fd;
    uint64_t due;
    size_t have, body_left;
    int in_body;
    char in[8192];
};

static struct latencies latencies;
static uint64_t errors;
static struct connection **idle;
static size_t idle_count;

/* The answer is complete, or broken: then nothing more is sent on this connection. */
static void finish(struct connection *one, int well) {
    if (well) {
        record(&latencies, one->due, now_ns());
        idle[idle_count++] = one;
    } else {
        errors++;
        close(one->fd);
    }
}

static void read_answer(struct connection *one) {
    ssize_t got = recv(one->fd, one->in + one->have, sizeof one->in - one->have - 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return finish(one, 0);
    size_t body = (size_t)got;
    if (!one->in_body) {
        one->have += (size_t)got;
        one->in[one->have] = 0;
        char *end = strstr(one->in, "\r\n\r\n"), *field = strcasestr(one->in, "\r\ncontent-length:");
        if (!end) return;
        if (!field || field > end || strncmp(one->in, "HTTP/1.1 200", 12)) return finish(one, 0);
        one->in_body = 1;
        one->body_left = strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
        body = one->have - (size_t)(end + 4 - one->in);
        one->have = 0;
    }
    one->body_left -= body < one->body_left ? body : one->body_left;
    if (!one->body_left) finish(one, 1);
}

static void send_request(const char *request, size_t length, uint64_t due) {
    struct connection *one = idle[--idle_count];
    one->due = due, one->have = 0, one->in_body = 0;
    if (send(one->fd, request, length, MSG_NOSIGNAL) != (ssize_t)length) finish(one, 0);
}

int main(int count, char **words) {
    if (count != 6) return fprintf(stderr, "usage: rate PORT PATH CONNECTIONS REQUESTS_PER_SECOND SECONDS\n"), 2;
    size_t connections = strtoul(words[3], NULL, 10);
    double per_second = atof(words[4]), seconds = atof(words[5]);
    struct sockaddr_in there = loopback(words[1]);
    char request[1024];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", words[2], words[1]);
    int epoll = new_epoll();
    idle = calloc(connections, sizeof *idle);
    if (!idle) fatal("calloc");
    for (size_t i = 0; i < connections; i++) {
        struct connection *one = calloc(1, sizeof *one);
        if (!one) fatal("calloc");
        one->fd = connect_to(&there, sizeof there, AF_INET);
        interest(epoll, EPOLL_CTL_ADD, one->fd, EPOLLIN, one);
        idle[idle_count++] = one;
    }
    /* Waits end when they should, not 50 us later. */
    prctl(PR_SET_TIMERSLACK, 1);
    uint64_t begin = now_ns(), planned = (uint64_t)(per_second * seconds), sent = 0;
    uint64_t end = begin + (uint64_t)(seconds * 1e9) + PATIENCE_NS;
    while (latencies.count + errors < planned) {
        uint64_t now = now_ns(), due = begin + (uint64_t)((double)sent * 1e9 / per_second);
        if (now >= end) break;
        for (; sent < planned && due <= now && idle_count; due = begin + (uint64_t)((double)sent * 1e9 / per_second)) {
            send_request(request, (size_t)length, due);
            sent++;
        }
        int waits_for_time = sent < planned && idle_count;
        uint64_t until = waits_for_time ? due : end, wait = until > now ? until - now : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        struct epoll_event events[256];
        int ready = epoll_pwait2(epoll, events, 256, &timeout, NULL);
        if (ready < 0 && errno != EINTR) fatal("epoll_pwait2");
        for (int i = 0; i < ready; i++) read_answer(events[i].data.ptr);
    }
    errors = planned - latencies.count;
    report(&latencies, errors, (double)(now_ns() - begin) / 1e9);
    return 0;
}
