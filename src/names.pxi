# names - which file names a server name may stand for (spec of -d, "Differences" in tlswrapper(1)).

cdef enum:
    NAME_MAX = 256      # a DNS name of 253 bytes with its dot, and the NUL
    NAMES_MAX = 3

cdef bint dns_name(const char *name, size_t n) noexcept nogil:
    """Labels of [A-Za-z0-9_-], 1 to 63 bytes, no hyphen at either end, 253 bytes in all, one trailing dot at most.

    The result is a file name too: it holds no path separator, begins with no dot and has no empty label.
    """
    cdef size_t i, start = 0
    cdef char c
    if n and name[n - 1] == c'.':
        n -= 1
    if n == 0 or n > 253:
        return False
    for i in range(n + 1):
        if i == n or name[i] == c'.':
            if i == start or i - start > 63 or name[start] == c'-' or name[i - 1] == c'-':
                return False
            start = i + 1
            continue
        c = name[i]
        if not (c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9' or c == c'_' or c == c'-'):
            return False
    return True

cdef int name_candidates(const char *name, size_t n, char (*out)[NAME_MAX]) noexcept nogil:
    """File names to try for a server name, in order: as sent, lower case without trailing dot, `*.rest`.

    Returns how many were written (0 when the name is no DNS name); each is NUL-terminated and none repeats.
    """
    cdef size_t i
    cdef int count = 1
    cdef char c
    cdef char *dot
    if not dns_name(name, n):
        return 0
    memcpy(out[0], name, n)
    out[0][n] = 0
    for i in range(n):
        c = name[i]
        out[1][i] = c + 32 if c'A' <= c <= c'Z' else c
    if out[1][n - 1] == c'.':
        n -= 1
    out[1][n] = 0
    if strcmp(out[0], out[1]) != 0:
        count = 2
    dot = strchr(out[1], c'.')
    if dot != NULL:
        # one label gives way to the star; the rest is at most n bytes with it
        memmove(out[count] + 1, dot, strlen(dot) + 1)
        out[count][0] = c'*'
        count += 1
    return count
