/*
spawn.c - how long a program takes from its start to its end

usage: spawn COUNT PROGRAM [ARGUMENT ...]

Starts PROGRAM (a path) COUNT times, one after the other, with stdin, stdout
and stderr on /dev/null, and prints JSON: the median, the 95th percentile, the
least and the sum of the wall times, in microseconds, the last wait status, and
how many starts had another one than that.
Exit status: 0, 1 when a start failed, 2 bad usage.
*/
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COUNT 100000

extern char **environ;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    posix_spawn_file_actions_t files;
    double *times, sum = 0;
    int *statuses;
    int count, status = 0, others = 0;

    if (argc < 3 || (count = atoi(argv[1])) < 1 || count > MAX_COUNT) {
        fprintf(stderr, "usage: spawn COUNT PROGRAM [ARGUMENT ...]\n");
        return 2;
    }
    times = calloc((size_t)count, sizeof *times);
    statuses = calloc((size_t)count, sizeof *statuses);
    if (!times || !statuses || posix_spawn_file_actions_init(&files) != 0) return 1;
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    for (int i = 0; i < count; i++) {
        double begin = now_us();
        pid_t child;
        if (posix_spawn(&child, argv[2], &files, NULL, argv + 2, environ) != 0 ||
            waitpid(child, &status, 0) != child) {
            fprintf(stderr, "spawn: unable to run %s\n", argv[2]);
            return 1;
        }
        sum += times[i] = now_us() - begin;
        statuses[i] = status;
    }
    for (int i = 0; i < count; i++) others += statuses[i] != status;
    qsort(times, (size_t)count, sizeof *times, compare);
    printf("{\"count\": %d, \"p50_us\": %.1f, \"p95_us\": %.1f, \"min_us\": %.1f, ", count, times[count / 2],
           times[count * 95 / 100], times[0]);
    printf("\"sum_us\": %.1f, \"exit\": %d, \"signal\": %d, \"others\": %d}\n", sum,
           WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0, others);
    return 0;
}
