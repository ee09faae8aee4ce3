/*
load.c - a TLS load generator

Runs many connections, a few at a time, against one address and prints what it
saw as one JSON object on stdout. It is compiled so that the client is not what
is measured; its own CPU time is in the output so that the reader can check.

Modes:
    handshake  connect, TLS handshake, --echo bytes to the wrapped program and
               back, close_notify both ways; until --count or --seconds;
               --resume: with a session, for which each stream makes one full
               handshake more that does not count; a full one later is an error
    download   ask the wrapped program (program.c) for --bytes, count them
    upload     send --bytes, wait until the wrapped program has counted them
    hold       open --count connections, prove each by --repeat echoes, print
               "ready", keep them until stdin ends

Exit status: 0 everything complete, 1 a connection failed or a count is wrong,
2 bad usage.
*/
#include "wire.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_STREAMS 64
#define MAX_CONNECTIONS 1000000 /* bounds the memory for samples: 40 MB */
#define MAX_ECHO 16384
#define CHUNK_BYTES (256 * 1024)

enum mode { HANDSHAKE, DOWNLOAD, UPLOAD, HOLD };
static const char *const mode_names[] = {"handshake", "download", "upload", "hold"};

/* Moments of a connection, each counted from just before connect(). */
enum stage { CONNECT, HELLO, HANDSHAKEN, FIRST_BYTE, CLOSED, STAGES };
static const char *const stage_names[] = {"connect", "hello", "handshake", "first_byte", "closed"};

struct sample {
    uint64_t at_ns[STAGES];
};

struct stream {
    pthread_t thread;
    SSL_SESSION *session; /* the newest, with --resume */
    struct sample *samples;
    size_t used, room;
    unsigned long failed, truncated;
    uint64_t bytes;
    uint64_t begin_ns;          /* of its first connection */
    uint64_t first_ns, last_ns; /* of the timed part, over all its connections */
    char error[200];
    char suite[128];
};

static struct wire_config config = {
    .host = "127.0.0.1", .server_name = "bench.test", .tls_version = TLS1_2_VERSION, .io_timeout_s = 10};
static enum mode mode = HANDSHAKE;
static long streams_wanted = 1, count = 1, echo_bytes = 16, repeat = 1, limit_s = 120;
static long long bytes_wanted = 64 * 1024 * 1024;
static double seconds = 0;
static int print_samples = 0;
static atomic_long ticket;
static uint64_t stop_ns, limit_ns;
static struct stream streams[MAX_STREAMS];

/* Describes what went wrong; returns -1. */
__attribute__((format(printf, 2, 3))) static int wrong(struct wire *wire, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(wire->error, sizeof wire->error, format, arguments);
    va_end(arguments);
    return -1;
}

static void note(struct stream *stream, const char *text) {
    if (!stream->error[0]) snprintf(stream->error, sizeof stream->error, "%s", text);
}

/* Sends bytes through the wrapped program and checks that they come back. */
static int echo(struct wire *wire, uint64_t *first_byte_ns) {
    char sent[MAX_ECHO], got[MAX_ECHO];
    long have = 0;

    for (long i = 0; i < echo_bytes; i++) sent[i] = (char)('a' + i % 26);
    sent[echo_bytes - 1] = '\n';
    if (wire_write_all(wire, sent, (size_t)echo_bytes) < 0 || wire_flush(wire) < 0) return -1;
    while (have < echo_bytes) {
        ssize_t n = wire_read(wire, got + have, (size_t)(echo_bytes - have));
        if (n < 0) return -1;
        if (n == 0) {
            return wrong(wire, "echo: closed after %ld of %ld bytes", have, echo_bytes);
        }
        if (have == 0) *first_byte_ns = wire_now_ns();
        have += n;
    }
    if (memcmp(sent, got, (size_t)echo_bytes) != 0) {
        return wrong(wire, "echo: other bytes came back");
    }
    return 0;
}

static int over_limit(struct wire *wire) {
    if (wire_now_ns() < limit_ns) return 0;
    wrong(wire, "over the limit of %ld s", limit_s);
    return 1;
}

static int download(struct wire *wire, char *chunk, uint64_t *done) {
    char order[40];

    snprintf(order, sizeof order, "D %lld\n", bytes_wanted);
    if (wire_write_all(wire, order, strlen(order)) < 0 || wire_flush(wire) < 0) return -1;
    while (*done < (uint64_t)bytes_wanted) {
        ssize_t n;
        if (over_limit(wire)) return -1;
        n = wire_read(wire, chunk, CHUNK_BYTES);
        if (n < 0) return -1;
        if (n == 0) break;
        *done += (uint64_t)n;
    }
    if (*done == (uint64_t)bytes_wanted) return 0;
    return wrong(wire, "download: %llu of %lld bytes", (unsigned long long)*done, bytes_wanted);
}

static int upload(struct wire *wire, char *chunk, uint64_t *done) {
    char line[40], want[40];
    size_t have = 0;

    snprintf(line, sizeof line, "U %lld\n", bytes_wanted);
    if (wire_write_all(wire, line, strlen(line)) < 0) return -1;
    while (*done < (uint64_t)bytes_wanted) {
        uint64_t left = (uint64_t)bytes_wanted - *done;
        size_t n = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        if (over_limit(wire) || wire_write_all(wire, chunk, n) < 0) return -1;
        *done += n;
    }
    if (wire_flush(wire) < 0) return -1;
    while (have < sizeof line - 1 && (have == 0 || line[have - 1] != '\n')) {
        ssize_t n = wire_read(wire, line + have, sizeof line - 1 - have);
        if (n < 0) return -1;
        if (n == 0) break;
        have += (size_t)n;
    }
    line[have] = 0;
    snprintf(want, sizeof want, "%lld\n", bytes_wanted);
    if (strcmp(line, want) == 0) return 0;
    line[strcspn(line, "\n")] = 0;
    return wrong(wire, "upload: program counted \"%s\" of %lld bytes", line, bytes_wanted);
}

static int keep(struct stream *stream, const struct sample *sample) {
    if (stream->used == stream->room) {
        size_t room = stream->room ? stream->room * 2 : 256;
        struct sample *grown = realloc(stream->samples, room * sizeof *grown);
        if (!grown) return -1;
        stream->samples = grown;
        stream->room = room;
    }
    stream->samples[stream->used++] = *sample;
    return 0;
}

/* One whole connection: 0, or -1 with a note in the stream. The first with --resume does not count. */
static int connection(struct stream *stream, char *chunk) {
    struct wire wire;
    struct sample sample;
    struct wire_config own = config;
    uint64_t begin = wire_now_ns(), first_byte = 0, done = 0, from = begin;
    int counts = !config.resume || stream->session, result;

    if (config.resume) own.session = &stream->session;
    result = wire_open(&wire, &own);
    if (result == 0 && config.resume && counts && !wire_resumed(&wire)) result = wrong(&wire, "not resumed");
    if (result == 0 && counts) {
        if (!stream->suite[0]) wire_suite(&wire, stream->suite, sizeof stream->suite);
        if (mode != HANDSHAKE) from = wire.handshake_ns;
    }
    if (result == 0) {
        if (mode == HANDSHAKE) result = echo(&wire, &first_byte);
        else if (mode == DOWNLOAD) result = download(&wire, chunk, &done);
        else result = upload(&wire, chunk, &done);
    }
    if (mode != HANDSHAKE) first_byte = wire_now_ns();
    if (result == 0) {
        enum wire_end end = wire_end(&wire);
        if (end == WIRE_END_TRUNCATED) stream->truncated++; /* impolite, but complete: counted, not failed */
        if (end == WIRE_END_DATA || end == WIRE_END_TIMEOUT) {
            const char *what = end == WIRE_END_DATA ? "more bytes than asked for" : "no answer in time";
            result = wrong(&wire, "close: %s", what);
        }
    }
    if (result == 0 && !counts && !stream->session) result = wrong(&wire, "no ticket came");
    if (result == 0 && counts) {
        const uint64_t at[STAGES] = {wire.connected_ns, wire.hello_ns, wire.handshake_ns, first_byte,
                                     wire_now_ns()};
        for (int i = 0; i < STAGES; i++) sample.at_ns[i] = at[i] - begin;
        if (!stream->first_ns) stream->first_ns = from, stream->begin_ns = begin;
        stream->last_ns = mode == HANDSHAKE ? at[CLOSED] : first_byte;
        stream->bytes += done;
        if (keep(stream, &sample) < 0) result = -1;
    }
    if (result < 0) note(stream, wire.error[0] ? wire.error : "out of memory");
    wire_release(&wire);
    return result;
}

static void *run_stream(void *argument) {
    struct stream *stream = argument;
    char *chunk = calloc(1, CHUNK_BYTES);

    if (!chunk) {
        note(stream, "out of memory");
        stream->failed++;
        return NULL;
    }
    if (config.resume && connection(stream, chunk) < 0) stream->failed++;
    /* Three failures in one stream say all there is to say, even when each is a timeout. */
    while (stream->failed < 3 && atomic_fetch_add(&ticket, 1) < count) {
        if (stop_ns && wire_now_ns() >= stop_ns) break;
        if (wire_now_ns() >= limit_ns) {
            note(stream, "over the limit of time");
            stream->failed++;
            break;
        }
        if (connection(stream, chunk) < 0) stream->failed++;
    }
    SSL_SESSION_free(stream->session);
    free(chunk);
    return NULL;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_stages(size_t total) {
    uint64_t *column = malloc((total ? total : 1) * sizeof *column);

    printf("\"stages_us\": {");
    for (int stage = 0; column && stage < STAGES; stage++) {
        size_t n = 0;
        for (long s = 0; s < streams_wanted; s++)
            for (size_t i = 0; i < streams[s].used; i++) column[n++] = streams[s].samples[i].at_ns[stage];
        qsort(column, n, sizeof *column, compare);
        printf("%s\"%s\": {", stage ? ", " : "", stage_names[stage]);
        if (n > 0)
            printf("\"p50\": %.1f, \"p95\": %.1f, \"p99\": %.1f, \"max\": %.1f", column[n / 2] / 1e3,
                   column[n * 95 / 100] / 1e3, column[n * 99 / 100] / 1e3, column[n - 1] / 1e3);
        printf("}");
    }
    printf("}");
    free(column);
}

static void print_text(const char *name, const char *text) {
    printf("\"%s\": \"", name);
    for (; *text; text++)
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if (*text >= ' ' && *text < 127) putchar(*text);
    printf("\"");
}

/* Prints the JSON object; returns the exit status. */
static int report(void) {
    size_t total = 0;
    unsigned long failed = 0, truncated = 0;
    uint64_t begin = UINT64_MAX, first = UINT64_MAX, last = 0, bytes = 0;
    const char *error = "", *suite = "";
    struct rusage usage;
    double wall;

    for (long s = 0; s < streams_wanted; s++) {
        const struct stream *stream = &streams[s];
        total += stream->used;
        failed += stream->failed;
        truncated += stream->truncated;
        bytes += stream->bytes;
        if (stream->first_ns && stream->first_ns < first) first = stream->first_ns;
        if (stream->first_ns && stream->begin_ns < begin) begin = stream->begin_ns;
        if (stream->last_ns > last) last = stream->last_ns;
        if (!error[0]) error = stream->error;
        if (!suite[0]) suite = stream->suite;
    }
    wall = last > first ? (double)(last - first) / 1e9 : 0;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"mode\": \"%s\", \"streams\": %ld, \"connections\": %zu, \"failed\": %lu, \"truncated\": %lu, ",
           mode_names[mode], streams_wanted, total, failed, truncated);
    printf("\"begin_us\": %.3f, ", (double)(first == UINT64_MAX ? 0 : begin) / 1e3); /* CLOCK_MONOTONIC */
    printf("\"seconds\": %.6f, \"per_second\": %.3f, ", wall, wall > 0 ? (double)total / wall : 0);
    printf("\"bytes\": %llu, \"mb_per_second\": %.3f, ", (unsigned long long)bytes,
           wall > 0 ? (double)bytes / 1e6 / wall : 0);
    printf("\"client_cpu_seconds\": %.6f, ",
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    print_text("suite", suite);
    printf(", ");
    print_text("error", error);
    printf(", ");
    print_stages(total);
    if (print_samples) {
        int comma = 0;
        printf(", \"samples_us\": [");
        for (long s = 0; s < streams_wanted; s++)
            for (size_t i = 0; i < streams[s].used; i++) {
                const uint64_t *at = streams[s].samples[i].at_ns;
                printf("%s[%.1f, %.1f, %.1f, %.1f, %.1f]", comma++ ? ", " : "", at[CONNECT] / 1e3,
                       at[HELLO] / 1e3, at[HANDSHAKEN] / 1e3, at[FIRST_BYTE] / 1e3, at[CLOSED] / 1e3);
            }
        printf("]");
    }
    printf("}\n");
    return failed || total == 0 ? 1 : 0;
}

/* Opens count connections, says "ready", and keeps them until stdin ends. */
static int hold(void) {
    struct wire *wires = calloc((size_t)count, sizeof *wires);
    struct rlimit limit;
    long opened = 0;
    int result = 0;

    if (!wires) return 1;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (; opened < count && result == 0; opened++) {
        uint64_t when;
        int bad = wire_open(&wires[opened], &config) < 0;
        for (long i = 0; i < repeat && !bad; i++) bad = echo(&wires[opened], &when) < 0;
        if (bad) {
            fprintf(stderr, "load: connection %ld: %s\n", opened + 1, wires[opened].error);
            result = 1;
        }
    }
    if (result == 0) {
        char byte;
        printf("ready\n");
        fflush(stdout);
        while (read(0, &byte, 1) > 0 || errno == EINTR) errno = 0;
    }
    while (opened > 0) {
        opened--;
        if (result == 0) wire_end(&wires[opened]);
        wire_release(&wires[opened]);
    }
    free(wires);
    return result;
}

static int usage(void) {
    fprintf(stderr,
            "usage: load --port N [--mode handshake|download|upload|hold] [--host IPV4] [--streams N]\n"
            "            [--count N] [--seconds S] [--bytes N] [--echo N] [--repeat N] [--cipher LIST]\n"
            "            [--tls 1.2|1.3] [--resume] [--plain] [--name SNI] [--anchors FILE] [--timeout S] [--limit S]\n"
            "            [--samples]\n");
    return 2;
}

static int parse(int argc, char **argv) {
    static const struct option table[] = {
        {"host", 1, 0, 'h'},    {"port", 1, 0, 'p'},    {"mode", 1, 0, 'm'},  {"streams", 1, 0, 's'},
        {"count", 1, 0, 'c'},   {"seconds", 1, 0, 'd'}, {"bytes", 1, 0, 'b'}, {"echo", 1, 0, 'e'},
        {"cipher", 1, 0, 'C'},  {"tls", 1, 0, 't'},     {"plain", 0, 0, 'P'}, {"name", 1, 0, 'n'},
        {"timeout", 1, 0, 'T'}, {"limit", 1, 0, 'L'},   {"samples", 0, 0, 'S'}, {"anchors", 1, 0, 'a'},
        {"repeat", 1, 0, 'r'},  {"resume", 0, 0, 'R'},  {0, 0, 0, 0}};
    int option, plain = 0, count_given = 0;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) switch (option) {
            case 'h': config.host = optarg; break;
            case 'p': config.port = atoi(optarg); break;
            case 's': streams_wanted = atol(optarg); break;
            case 'c': count = atol(optarg), count_given = 1; break;
            case 'd': seconds = atof(optarg); break;
            case 'b': bytes_wanted = atoll(optarg); break;
            case 'e': echo_bytes = atol(optarg); break;
            case 'r': repeat = atol(optarg); break;
            case 'C': config.ciphers = optarg; break;
            case 'P': plain = 1; break;
            case 'R': config.resume = 1; break;
            case 'a': config.anchors = optarg; break;
            case 'n': config.server_name = optarg; break;
            case 'T': config.io_timeout_s = atoi(optarg); break;
            case 'L': limit_s = atol(optarg); break;
            case 'S': print_samples = 1; break;
            case 't':
                if (strcmp(optarg, "1.2") == 0) config.tls_version = TLS1_2_VERSION;
                else if (strcmp(optarg, "1.3") == 0) config.tls_version = TLS1_3_VERSION;
                else return -1;
                break;
            case 'm':
                for (mode = HANDSHAKE; mode <= HOLD && strcmp(optarg, mode_names[mode]) != 0;) mode++;
                if (mode > HOLD) return -1;
                break;
            default: return -1;
        }
    if (plain) config.tls_version = 0;
    config.batch = mode == DOWNLOAD || mode == UPLOAD;
    if (config.resume && (mode != HANDSHAKE || config.tls_version != TLS1_3_VERSION)) return -1;
    if (seconds > 0 && !count_given) count = MAX_CONNECTIONS;
    if (optind != argc || config.port < 1 || config.port > 65535) return -1;
    if (streams_wanted < 1 || streams_wanted > MAX_STREAMS || count < 1 || count > MAX_CONNECTIONS) return -1;
    if (bytes_wanted < 1 || echo_bytes < 1 || echo_bytes > MAX_ECHO || repeat < 1) return -1;
    return config.io_timeout_s >= 1 && limit_s >= 1 ? 0 : -1;
}

int main(int argc, char **argv) {
    long started = 0;

    if (parse(argc, argv) < 0) return usage();
    signal(SIGPIPE, SIG_IGN);
    if (wire_setup(&config) < 0) {
        fprintf(stderr, "load: cipher list, TLS version or anchors refused\n");
        return 2;
    }
    if (mode == HOLD) {
        int result = hold();
        wire_teardown(&config);
        return result;
    }
    /* The last resort against a peer that drips bytes: no JSON, but an end. */
    alarm((unsigned)(limit_s + config.io_timeout_s + 1));
    limit_ns = wire_now_ns() + (uint64_t)limit_s * 1000000000u;
    if (seconds > 0) stop_ns = wire_now_ns() + (uint64_t)(seconds * 1e9);
    for (; started < streams_wanted; started++)
        if (pthread_create(&streams[started].thread, NULL, run_stream, &streams[started]) != 0) {
            note(&streams[started], "no thread");
            streams[started].failed++;
            break;
        }
    for (long s = 0; s < started; s++) pthread_join(streams[s].thread, NULL);
    wire_teardown(&config);
    return report();
}
