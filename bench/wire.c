/*
wire.c - one connection, in clear or over TLS

The server's certificate is verified only where the client is what is measured
(the driver made it a moment ago), and no session is resumed, so that each
connection pays for a whole handshake, unless that is what is measured.

For bulk, reads and writes are batched, many records to a system call; for
handshakes the buffers stay small, and of the certificate only the key is looked
at (pubkey.c), which has to have signed. This end shares the machine with the
one that is measured, so each microsecond it saves is one that the figures are
not about.
*/
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Sixteen full records: past this the time of a system call no longer shows. */
#define BATCH_BYTES (256 * 1024)

uint64_t wire_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int fail(struct wire *wire, const char *what) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    if (!reason && (errno == EAGAIN || errno == EWOULDBLOCK)) reason = "no answer in time";
    if (!reason) reason = errno ? strerror(errno) : "connection closed";
    snprintf(wire->error, sizeof wire->error, "%s: %s", what, reason);
    return -1;
}

/* Called by OpenSSL for each message; keeps the time of ServerHello. */
static void on_message(int is_write, int version, int type, const void *data, size_t length, SSL *ssl,
                       void *argument) {
    struct wire *wire = argument;

    (void)version;
    (void)ssl;
    if (is_write || type != SSL3_RT_HANDSHAKE || length == 0) return;
    if (((const unsigned char *)data)[0] == SSL3_MT_SERVER_HELLO) wire->hello_ns = wire_now_ns();
}

static int accept_any(X509_STORE_CTX *store, void *argument) {
    (void)store;
    (void)argument;
    return 1;
}

/* Called by OpenSSL for each ticket; takes the session over when there is a place for it. */
static int on_session(SSL *ssl, SSL_SESSION *session) {
    SSL_SESSION **place = SSL_get_app_data(ssl);

    if (!place) return 0;
    SSL_SESSION_free(*place);
    *place = session;
    return 1;
}

/* Makes config->context; returns 0, or -1 when a setting is refused. */
int wire_setup(struct wire_config *config) {
    SSL_CTX *context;

    config->context = NULL;
    if (!config->tls_version) return 0;
    context = SSL_CTX_new(config->chain ? TLS_server_method() : TLS_client_method());
    if (!context) return -1;
    if (!config->chain && !config->anchors) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
        pubkey_decode_directly();
    }
    if (config->anchors) SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (config->resume) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_read_ahead(context, 1);
    if (config->batch) SSL_CTX_set_default_read_buffer_len(context, BATCH_BYTES);
    if (!SSL_CTX_set_min_proto_version(context, config->tls_version) ||
        !SSL_CTX_set_max_proto_version(context, config->tls_version) ||
        (config->ciphers && !SSL_CTX_set_cipher_list(context, config->ciphers)) ||
        (config->anchors && SSL_CTX_load_verify_file(context, config->anchors) != 1) ||
        (config->chain && (SSL_CTX_set1_groups_list(context, "X25519") != 1 ||
                           SSL_CTX_use_certificate_chain_file(context, config->chain) != 1 ||
                           SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1))) {
        SSL_CTX_free(context);
        return -1;
    }
    config->context = context;
    return 0;
}

void wire_teardown(struct wire_config *config) {
    SSL_CTX_free(config->context);
    config->context = NULL;
}

static void set_options(int fd, const struct wire_config *config) {
    struct timeval timeout = {.tv_sec = config->io_timeout_s};
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int open_tcp(struct wire *wire, const struct wire_config *config) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)config->port)};

    if (inet_pton(AF_INET, config->host, &address.sin_addr) != 1) {
        errno = EINVAL;
        return fail(wire, "address");
    }
    wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (wire->fd < 0) return fail(wire, "socket");
    set_options(wire->fd, config);
    if (connect(wire->fd, (struct sockaddr *)&address, sizeof address) < 0) return fail(wire, "connect");
    wire->connected_ns = wire->hello_ns = wire->handshake_ns = wire_now_ns();
    return 0;
}

/* Makes the TLS connection on wire->fd, with the buffers that the configuration asks for. */
static int make_tls(struct wire *wire, const struct wire_config *config) {
    BIO *batch = NULL;

    wire->ssl = SSL_new(config->context);
    if (!wire->ssl || SSL_set_fd(wire->ssl, wire->fd) != 1) return fail(wire, "memory");
    if (config->batch) {
        batch = BIO_new(BIO_f_buffer());
        if (!batch || BIO_set_write_buffer_size(batch, BATCH_BYTES) != 1) {
            BIO_free(batch);
            return fail(wire, "memory");
        }
        /* Reading and writing share one socket BIO: one more reference, a chain for writing. */
        BIO_up_ref(SSL_get_rbio(wire->ssl));
        SSL_set0_wbio(wire->ssl, BIO_push(batch, SSL_get_rbio(wire->ssl)));
    }
    return 0;
}

static int open_tls(struct wire *wire, const struct wire_config *config) {
    if (make_tls(wire, config) < 0) return -1;
    SSL_set_tlsext_host_name(wire->ssl, config->server_name);
    if (config->anchors && SSL_set1_host(wire->ssl, config->server_name) != 1) return fail(wire, "memory");
    if (config->session) {
        SSL_set_app_data(wire->ssl, config->session);
        if (*config->session && SSL_set_session(wire->ssl, *config->session) != 1) return fail(wire, "session");
    }
    SSL_set_msg_callback(wire->ssl, on_message);
    SSL_set_msg_callback_arg(wire->ssl, wire);
    if (SSL_connect(wire->ssl) != 1) return fail(wire, "handshake");
    wire->handshake_ns = wire_now_ns();
    SSL_set_msg_callback(wire->ssl, NULL);
    return 0;
}

static void start(struct wire *wire) {
    memset(wire, 0, sizeof *wire);
    wire->fd = -1;
    errno = 0;
    ERR_clear_error();
}

/* Connects and handshakes; on -1 the caller still has to wire_release. */
int wire_open(struct wire *wire, const struct wire_config *config) {
    start(wire);
    if (open_tcp(wire, config) < 0) return -1;
    return config->context ? open_tls(wire, config) : 0;
}

/* Takes the next client of a listening socket and handshakes as its TLS server; on -1 as wire_open. */
int wire_accept(struct wire *wire, const struct wire_config *config, int listener) {
    start(wire);
    wire->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (wire->fd < 0) return fail(wire, "accept");
    set_options(wire->fd, config);
    if (make_tls(wire, config) < 0) return -1;
    return SSL_accept(wire->ssl) == 1 ? 0 : fail(wire, "handshake");
}

/* Writes everything; bytes may wait in the batch until wire_flush. */
int wire_write_all(struct wire *wire, const void *data, size_t length) {
    const char *at = data;

    errno = 0;
    while (length > 0) {
        ssize_t n;
        if (wire->ssl) n = SSL_write(wire->ssl, at, length > INT32_MAX ? INT32_MAX : (int)length);
        else n = send(wire->fd, at, length, MSG_NOSIGNAL);
        if (n < 0 && !wire->ssl && errno == EINTR) continue;
        if (n <= 0) return fail(wire, "write");
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

int wire_flush(struct wire *wire) {
    errno = 0;
    if (wire->ssl && BIO_flush(SSL_get_wbio(wire->ssl)) != 1) return fail(wire, "write");
    return 0;
}

/* Reads up to length bytes; 0 is the end of the stream, -1 an error. */
ssize_t wire_read(struct wire *wire, void *data, size_t length) {
    ssize_t n;

    errno = 0;
    if (wire->ssl) {
        n = SSL_read(wire->ssl, data, (int)length);
        if (n > 0) return n;
        if (SSL_get_error(wire->ssl, (int)n) == SSL_ERROR_ZERO_RETURN) return 0;
        return fail(wire, "read");
    }
    do n = recv(wire->fd, data, length, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? fail(wire, "read") : n;
}

/*
wire_end - says that we are done and waits for the peer to say so too

Waiting matters: a client that just closes has its server's last write answered
by a reset, which no well-behaved client does, and which would hide a part of
the connection's cost.
*/
enum wire_end wire_end(struct wire *wire) {
    char byte[1];

    if (!wire->ssl) {
        ssize_t n;
        shutdown(wire->fd, SHUT_WR);
        n = wire_read(wire, byte, sizeof byte);
        if (n > 0) return WIRE_END_DATA;
        if (n == 0) return WIRE_END_CLEAN;
    } else {
        int n;
        ERR_clear_error();
        errno = 0;
        SSL_shutdown(wire->ssl);
        wire_flush(wire);
        errno = 0;
        n = SSL_read(wire->ssl, byte, sizeof byte);
        if (n > 0) return WIRE_END_DATA;
        if (SSL_get_error(wire->ssl, n) == SSL_ERROR_ZERO_RETURN) return WIRE_END_CLEAN;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? WIRE_END_TIMEOUT : WIRE_END_TRUNCATED;
}

void wire_release(struct wire *wire) {
    SSL_free(wire->ssl);
    wire->ssl = NULL;
    if (wire->fd >= 0) close(wire->fd);
    wire->fd = -1;
}

int wire_resumed(const struct wire *wire) { return wire->ssl && SSL_session_reused(wire->ssl); }

/* Writes "TLSv1.2 ECDHE-... X25519" to out, or "clear". */
void wire_suite(const struct wire *wire, char *out, size_t size) {
    EVP_PKEY *key = NULL;
    char group[40] = "";

    if (!wire->ssl) {
        snprintf(out, size, "clear");
        return;
    }
    if (SSL_get_peer_tmp_key(wire->ssl, &key) == 1) {
        if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
            snprintf(group, sizeof group, "%s", EVP_PKEY_get0_type_name(key));
        EVP_PKEY_free(key);
    }
    snprintf(out, size, "%s %s %s", SSL_get_version(wire->ssl), SSL_get_cipher_name(wire->ssl), group);
}
