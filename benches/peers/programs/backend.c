/*
 * backend SOCKET: HTTP/1.1 on a unix socket, at the least cost there is, so that the proxy in front is what is measured.
 *
 *   GET /bytes/N      N bytes, with Content-Length
 *   GET /head         the head of the request, as it came
 *   PUT /upload       reads as much as Content-Length says and drops it, then answers
 *   GET /echo         a WebSocket (RFC 6455) that sends back every frame
 *
 * One thread, edge-triggered: a request costs one read and one write. In: requests of a proxy, one at a time on a connection.
 * Out: answers; connections stay. Never: pipelining, chunked bodies, or fragments and frames over 64 KiB: nobody here sends them.
 */
#define _GNU_SOURCE
#include "net.h"

#define HEAD_ROOM 8192

enum state { HEAD, DROP, ECHO };

struct connection {
    int fd;
    enum state state;
    uint64_t to_drop;
    size_t have;
    char in[HEAD_ROOM];
    /* What is still to be written. `owned`: nobody else needs it then. */
    const char *out;
    size_t out_length;
    char *owned;
};

/* Answers of each size that was asked for: made once. */
static struct {
    size_t size, length;
    char *bytes;
} answers[16];

static int epoll;
static char sink[1 << 18];

static void close_connection(struct connection *one) {
    close(one->fd);
    free(one->owned);
    free(one);
}

/* Whether the connection lives. What the socket has no room for waits. */
static int flush(struct connection *one) {
    ssize_t sent = send(one->fd, one->out, one->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return 0;
    if (sent > 0) one->out += sent, one->out_length -= (size_t)sent;
    if (one->out_length) return 1;
    free(one->owned);
    one->owned = NULL;
    return 1;
}

static int answer(struct connection *one, const char *bytes, size_t length, char *owned) {
    one->out = bytes, one->out_length = length, one->owned = owned;
    if (!flush(one)) return 0;
    if (one->out_length) interest(epoll, EPOLL_CTL_MOD, one->fd, READABLE | EPOLLOUT, one);
    return 1;
}

static char *with_head(const char *status, const char *fields, const char *body, size_t size, size_t *length) {
    char head[512];
    int head_length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, fields, size);
    char *all = malloc((size_t)head_length + size);
    if (!all) fatal("malloc");
    memcpy(all, head, (size_t)head_length);
    if (body) memcpy(all + head_length, body, size);
    else memset(all + head_length, 'x', size);
    *length = (size_t)head_length + size;
    return all;
}

static int answer_text(struct connection *one, const char *status, const char *body, size_t size) {
    size_t length;
    char *all = with_head(status, "Content-Type: text/plain\r\n", body, size, &length);
    return answer(one, all, length, all);
}

static int answer_bytes(struct connection *one, size_t size) {
    size_t slot = 0, slots = sizeof answers / sizeof *answers;
    while (slot < slots && answers[slot].bytes && answers[slot].size != size) slot++;
    if (slot == slots || size > 1 << 26) return answer_text(one, "404 Not Found", "", 0);
    if (!answers[slot].bytes) {
        answers[slot].size = size;
        answers[slot].bytes = with_head("200 OK", "Content-Type: text/plain\r\n", NULL, size, &answers[slot].length);
    }
    return answer(one, answers[slot].bytes, answers[slot].length, NULL);
}

/* The client always sends the sample key of RFC 6455 section 1.3; this is its answer. */
static int answer_upgrade(struct connection *one) {
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    one->state = ECHO;
    return answer(one, head, sizeof head - 1, NULL);
}

static uint64_t content_length(const char *head) {
    const char *field = strcasestr(head, "\r\nContent-Length:");
    return field ? strtoull(field + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

static int dropped(struct connection *one, size_t bytes) {
    one->to_drop -= bytes < one->to_drop ? bytes : one->to_drop;
    if (one->to_drop) return 1;
    one->state = HEAD;
    return answer_text(one, "200 OK", "dropped\n", 8);
}

/* A whole head is at the start of `in`, `length` bytes long; what is behind it belongs to the body. */
static int serve(struct connection *one, size_t length) {
    char *head = one->in;
    size_t behind = one->have - length;
    char last = head[length - 1];
    head[length - 1] = 0;
    one->have = 0;
    if (!strncmp(head, "GET /bytes/", 11)) return answer_bytes(one, strtoul(head + 11, NULL, 10));
    if (!strncmp(head, "GET /echo", 9)) return answer_upgrade(one);
    one->to_drop = content_length(head);
    head[length - 1] = last;
    if (!strncmp(head, "GET /head", 9)) return answer_text(one, "200 OK", head, length);
    if (strncmp(head, "PUT /upload", 11)) return answer_text(one, "404 Not Found", "", 0);
    one->state = DROP;
    return dropped(one, behind);
}

/* Whole frames in `in` -> the same without a mask (section 5.1), in one write. */
static int echo(struct connection *one) {
    unsigned char *in = (unsigned char *)one->in;
    char *out = malloc(one->have);
    if (!out) fatal("malloc");
    size_t at = 0, length = 0;
    while (one->have - at >= 6) {
        size_t size = in[at + 1] & 0x7f, header = 2;
        if (size == 126) size = (size_t)in[at + 2] << 8 | in[at + 3], header = 4;
        if (size == 127 || header + 4 + size > HEAD_ROOM) return free(out), 0;
        if (one->have - at < header + 4 + size) break;
        memcpy(out + length, in + at, header);
        out[length + 1] &= 0x7f;
        for (size_t i = 0; i < size; i++) out[length + header + i] = (char)(in[at + header + 4 + i] ^ in[at + header + i % 4]);
        at += header + 4 + size;
        length += header + size;
    }
    one->have -= at;
    memmove(in, in + at, one->have);
    if (length) return answer(one, out, length, out);
    free(out);
    return 1;
}

/* Reads until nothing is left, or an answer waits for room. Whether the connection lives. */
static int take(struct connection *one, int to_the_end) {
    while (!one->out_length) {
        char *room = one->state == DROP ? sink : one->in + one->have;
        size_t size = one->state == DROP ? sizeof sink : HEAD_ROOM - one->have;
        ssize_t got = size ? recv(one->fd, room, size, MSG_DONTWAIT) : 0;
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return 0;
        int lives = 1;
        if (one->state == DROP) {
            lives = dropped(one, (size_t)got);
        } else {
            one->have += (size_t)got;
            char *end = one->state == HEAD ? memmem(one->in, one->have, "\r\n\r\n", 4) : NULL;
            if (end) lives = serve(one, (size_t)(end + 4 - one->in));
            else if (one->state == ECHO) lives = echo(one);
        }
        if (!lives) return 0;
        if ((size_t)got < size && !to_the_end) return 1;
    }
    return 1;
}

static void accept_all(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        struct connection *one = malloc(sizeof *one);
        if (!one) fatal("malloc");
        one->fd = fd, one->state = HEAD, one->have = 0, one->out_length = 0, one->owned = NULL;
        interest(epoll, EPOLL_CTL_ADD, fd, READABLE, one);
    }
}

static void work(void *owner, int ending) {
    struct connection *one = owner;
    int waited = one->out_length != 0, lives = !waited || flush(one);
    if (waited && !one->out_length) interest(epoll, EPOLL_CTL_MOD, one->fd, READABLE, one);
    if (!lives || !take(one, ending)) close_connection(one);
}

int main(int count, char **words) {
    if (count != 2) return fprintf(stderr, "usage: backend SOCKET\n"), 2;
    struct sockaddr_un here = unix_path(words[1]);
    int listener = listen_at(&here, sizeof here, AF_UNIX);
    epoll = new_epoll();
    serve_all(epoll, listener, accept_all, work, NULL);
}
