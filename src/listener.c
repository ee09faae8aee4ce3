/*
 * listener - what `bearwrap serve` becomes once its words are read: supervisor, net, key and prog of each connection, and
 * no interpreter. Small, so that its forks are cheap; it lies in lib/bearwrap and is started by nobody else.
 */
#include <unistd.h>

int bw_listener(int argc, char **argv); /* again.pxi */

int main(int argc, char **argv)
{
    static const char line[] = "bearwrap: fatal: this is a part of `bearwrap serve`, which starts it\n";
    int code = bw_listener(argc, argv);

    if (code >= 0)
        _exit(code & 255);
    if (write(2, line, sizeof line - 1) < 0)
        _exit(111);
    _exit(111);
}
