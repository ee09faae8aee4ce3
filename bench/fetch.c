/*
fetch.c - the program that a TLS client runs in the client measures

usage: fetch handshake | fetch download BYTES | fetch upload BYTES

Speaks program.c's protocol, as load.c does over TLS, but in clear text on
descriptors 6 and 7, where a UCSPI client's program finds the network:
    handshake  send a line and wait until it is back
    download   ask for BYTES, count them
    upload     send BYTES, wait until the other side has counted them
Then it ends its output, waits for the end of its input, and prints one JSON
object. The seconds are those from the start of this program, which is just
after the handshake, to the last byte. Blocks are larger than a pipe, so that
the client is what is measured.
Exit status: 0 everything complete, 1 not, 2 bad usage.
*/
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FROM_NETWORK 6
#define TO_NETWORK 7
#define LINE_BYTES 40
#define LIMIT_S 60

static char block[256 * 1024];
static const char *error = "";

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int wrong(const char *what) {
    error = what;
    return -1;
}

static int write_all(const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(TO_NETWORK, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return wrong("unable to write");
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

static ssize_t read_some(char *data, size_t length) {
    ssize_t n;

    do n = read(FROM_NETWORK, data, length);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Waits for a line and compares it. */
static int expect(const char *want) {
    size_t length = strlen(want), have = 0;

    while (have < length) {
        ssize_t n = read_some(block + have, length - have);
        if (n <= 0) return wrong("closed before the answer");
        have += (size_t)n;
    }
    return memcmp(block, want, length) == 0 ? 0 : wrong("another answer");
}

static int handshake(void) {
    static const char line[] = "abcdefghijklmno\n";
    return write_all(line, sizeof line - 1) < 0 ? -1 : expect(line);
}

static int download(long long wanted, long long *done) {
    char line[LINE_BYTES];

    snprintf(line, sizeof line, "D %lld\n", wanted);
    if (write_all(line, strlen(line)) < 0) return -1;
    while (*done < wanted) {
        ssize_t n = read_some(block, sizeof block);
        if (n <= 0) return wrong("closed before the last byte");
        *done += n;
    }
    return *done == wanted ? 0 : wrong("more bytes than asked for");
}

static int upload(long long wanted, long long *done) {
    char line[LINE_BYTES];

    snprintf(line, sizeof line, "U %lld\n", wanted);
    if (write_all(line, strlen(line)) < 0) return -1;
    while (*done < wanted) {
        size_t n = wanted - *done < (long long)sizeof block ? (size_t)(wanted - *done) : sizeof block;
        if (write_all(block, n) < 0) return -1;
        *done += (long long)n;
    }
    snprintf(line, sizeof line, "%lld\n", wanted);
    return expect(line);
}

int main(int argc, char **argv) {
    double begin = now_s(), took;
    long long wanted = argc == 3 ? atoll(argv[2]) : 0, done = 0;
    const char *mode = argc > 1 ? argv[1] : "", *protocol = getenv("SSL_PROTOCOL"), *suite = getenv("SSL_CIPHER");
    int result;

    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    if (argc == 2 && strcmp(mode, "handshake") == 0) result = handshake();
    else if (wanted > 0 && strcmp(mode, "download") == 0) result = download(wanted, &done);
    else if (wanted > 0 && strcmp(mode, "upload") == 0) result = upload(wanted, &done);
    else {
        fprintf(stderr, "usage: fetch handshake | fetch download BYTES | fetch upload BYTES\n");
        return 2;
    }
    took = now_s() - begin;
    close(TO_NETWORK);
    if (result == 0 && read_some(block, 1) != 0) result = wrong("no end of the connection");
    printf("{\"mode\": \"%s\", \"connections\": %d, \"failed\": %d, \"truncated\": 0, ", mode, result == 0, result != 0);
    printf("\"seconds\": %.6f, \"bytes\": %lld, \"mb_per_second\": %.3f, ", took, done, (double)done / 1e6 / took);
    printf("\"suite\": \"%s %s\", \"error\": \"%s\"}\n", protocol ? protocol : "", suite ? suite : "", error);
    return result != 0;
}
