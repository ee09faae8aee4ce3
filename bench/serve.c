/*
serve.c - the TLS server of the client measures

usage: serve PORT CHAIN KEY CIPHER [batch]

Listens on 127.0.0.1 and serves one connection after the other, in one process
and without a wrapped program, so that as little as possible of the machine is
the server's and each client finds the same. CHAIN and KEY are PEM files,
CIPHER is the one suite that is spoken, X25519 the one group. The first line of
a connection says what to do, as for program.c:
    D N   send N bytes
    U N   take N bytes, then send the count and a newline
Any other line is sent back. Then close_notify both ways. `batch`: many records
to a system call, for bulk.
Exit status: 1 unable to listen, 2 bad usage; a failed connection is a line on
stderr.
*/
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 64
#define LINE_BYTES 40
#define CHUNK_BYTES (256 * 1024)

static char chunk[CHUNK_BYTES];

/* Reads up to the end of the first line; returns how many bytes there are, 0 when there is no line. */
static size_t read_order(struct wire *wire) {
    size_t have = 0;

    while (!memchr(chunk, '\n', have)) {
        ssize_t n = have < sizeof chunk ? wire_read(wire, chunk + have, sizeof chunk - have) : 0;
        if (n <= 0) return 0;
        have += (size_t)n;
    }
    return have;
}

static int send_bytes(struct wire *wire, long long wanted) {
    while (wanted > 0) {
        size_t n = wanted < CHUNK_BYTES ? (size_t)wanted : CHUNK_BYTES;
        if (wire_write_all(wire, chunk, n) < 0) return -1;
        wanted -= (long long)n;
    }
    return wire_flush(wire);
}

static int take_bytes(struct wire *wire, long long wanted, long long done) {
    char line[LINE_BYTES];

    while (done < wanted) {
        ssize_t n = wire_read(wire, chunk, sizeof chunk);
        if (n < 0) return -1;
        if (n == 0) break;
        done += n;
    }
    snprintf(line, sizeof line, "%lld\n", done);
    return wire_write_all(wire, line, strlen(line)) < 0 ? -1 : wire_flush(wire);
}

static int serve(struct wire *wire) {
    size_t have = read_order(wire), length;
    char line[LINE_BYTES] = "", order = 0;
    long long wanted = 0;

    if (have == 0) return wire->error[0] ? -1 : 0;
    length = (size_t)((char *)memchr(chunk, '\n', have) - chunk) + 1;
    memcpy(line, chunk, length < sizeof line ? length : sizeof line - 1);
    if (sscanf(line, "%c %lld", &order, &wanted) == 2 && wanted >= 0) {
        if (order == 'D') return send_bytes(wire, wanted);
        if (order == 'U') return take_bytes(wire, wanted, (long long)(have - length));
    }
    return wire_write_all(wire, chunk, have) < 0 ? -1 : wire_flush(wire);
}

int main(int argc, char **argv) {
    struct wire_config config = {.tls_version = TLS1_2_VERSION, .io_timeout_s = 10};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener, on = 1;

    if (argc < 5 || argc > 6 || (argc == 6 && strcmp(argv[5], "batch") != 0)) {
        fprintf(stderr, "usage: serve PORT CHAIN KEY CIPHER [batch]\n");
        return 2;
    }
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    config.chain = argv[2];
    config.key = argv[3];
    config.ciphers = argv[4];
    config.batch = argc == 6;
    signal(SIGPIPE, SIG_IGN);
    if (wire_setup(&config) < 0) {
        fprintf(stderr, "serve: cipher, certificate or key refused\n");
        return 2;
    }
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0) {
        perror("serve: listen");
        return 1;
    }
    for (;;) {
        struct wire wire;
        if (wire_accept(&wire, &config, listener) < 0 || serve(&wire) < 0)
            fprintf(stderr, "serve: %s\n", wire.error);
        else
            wire_end(&wire);
        wire_release(&wire);
    }
}
