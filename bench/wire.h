/*
wire.h - one connection, in clear or over TLS

The load generator's only way to the network, and that of the server that the
client measures have in common. Everything blocks, with a
timeout on each system call, so that a server that stops answering ends as an
error and not as a benchmark that hangs.
*/
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wire_config {
    const char *host;        /* IPv4 address in dotted form */
    int port;
    const char *server_name; /* sent as SNI */
    const char *anchors;     /* PEM file: verify the server's chain and name; NULL: accept any */
    const char *chain, *key; /* PEM files: be a server, NULL: a client */
    const char *ciphers;     /* OpenSSL's list for TLS 1.2, NULL: its default */
    int tls_version;         /* TLS1_2_VERSION, TLS1_3_VERSION, 0: clear text */
    int io_timeout_s;        /* of each blocking system call */
    int resume;              /* a client that keeps the sessions it is given, for `session` */
    SSL_SESSION **session;   /* offered when it is not NULL, and replaced by each newer one; one thread's own */
    int batch;               /* large buffers: for bulk only, they cost page faults */
    SSL_CTX *context;        /* made by wire_setup, NULL for clear text */
};

struct wire {
    int fd;
    SSL *ssl;                /* NULL for clear text */
    uint64_t connected_ns;   /* TCP connection made */
    uint64_t hello_ns;       /* ServerHello received */
    uint64_t handshake_ns;   /* both Finished exchanged */
    char error[160];         /* set when a function returned -1 */
};

enum wire_end {
    WIRE_END_CLEAN = 0,      /* close_notify (EOF in clear text) */
    WIRE_END_TRUNCATED = 1,  /* EOF or reset without close_notify */
    WIRE_END_DATA = 2,       /* bytes nobody asked for */
    WIRE_END_TIMEOUT = 3
};

uint64_t wire_now_ns(void);
int wire_setup(struct wire_config *config);
void wire_teardown(struct wire_config *config);
int wire_open(struct wire *wire, const struct wire_config *config);
int wire_accept(struct wire *wire, const struct wire_config *config, int listener);
int wire_write_all(struct wire *wire, const void *data, size_t length);
int wire_flush(struct wire *wire);
ssize_t wire_read(struct wire *wire, void *data, size_t length);
enum wire_end wire_end(struct wire *wire);
void wire_release(struct wire *wire);
int wire_resumed(const struct wire *wire);
void wire_suite(const struct wire *wire, char *out, size_t size);

void pubkey_decode_directly(void);

#endif
