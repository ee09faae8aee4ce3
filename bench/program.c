/*
program.c - the wrapped program of the bulk measures

The first line on stdin says what to do:
    D N   write N bytes to stdout, as fast as they are taken
    U N   read N bytes from stdin, then write the count and a newline
Blocks are as large as a pipe holds, so that the wrapper is what is measured.
Exit status: 0 done, 1 the stream ended early.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char block[64 * 1024];

static int write_all(const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(1, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

int main(void) {
    char line[40], order = 0;
    size_t have = 0;
    long long wanted, done = 0;

    /* A byte at a time: what follows the line is payload and must stay in the pipe. */
    while (have < sizeof line - 1) {
        if (read(0, line + have, 1) != 1) return 1;
        if (line[have++] == '\n') break;
    }
    line[have] = 0;
    if (sscanf(line, "%c %lld", &order, &wanted) != 2 || wanted < 0) return 1;
    if (order == 'D') {
        while (done < wanted) {
            size_t n = wanted - done < (long long)sizeof block ? (size_t)(wanted - done) : sizeof block;
            if (write_all(block, n) < 0) return 1;
            done += (long long)n;
        }
        return 0;
    }
    if (order != 'U') return 1;
    while (done < wanted) {
        ssize_t n = read(0, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += n;
    }
    snprintf(line, sizeof line, "%lld\n", done);
    return write_all(line, strlen(line)) < 0 || done != wanted;
}
