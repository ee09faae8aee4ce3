/*
 * stderr.c - a `stderr` that is not the C library's, for the shared object alone.
 *
 * GMP's static library names stderr, for a message before it aborts, in code that may not be part of a shared object
 * unless the name stands for something inside it. The abort then comes by a fault; neither leaves a program alive.
 */
void *stderr __attribute__((visibility("hidden")));
