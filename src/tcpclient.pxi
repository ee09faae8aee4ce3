# tcpclient - what s6-tlsclient moves: one socket at a time, bound and connected by a deadline, and the names of both
# ends. Which address is tried when is decided in Python.

cdef enum:
    HOSTNAME_MAX = 253          # bytes of a DNS name in text (RFC 1035 section 2.3.4)

cdef int tcp_connect(int fd, Target *t, int port, int64_t deadline) noexcept nogil:
    """Connect a non-blocking socket; 0 or an errno. It is blocking afterwards, as prog's and the engine's like it."""
    cdef sockaddr_storage sa
    cdef epoll_event event
    cdef socklen_t n = target_address(t, port, &sa)
    cdef int64_t left
    cdef int err = 0, epoll
    if connect(fd, <sockaddr *>&sa, n) < 0:
        if errno != EINPROGRESS:
            return errno
        epoll = epoll_create1(EPOLL_CLOEXEC)
        if epoll < 0 or not watch(epoll, fd, EPOLLOUT, 0):
            err = errno
        while not err:
            left = deadline - now_ms()
            if left <= 0:
                err = ETIMEDOUT
            elif epoll_wait(epoll, &event, 1, <int>(left if left < 60000 else 60000)) == 1:
                break
        close(epoll)
        n = sizeof(int)
        if not err and getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0:
            err = errno
    if not err and fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0:
        err = errno
    return err

cdef bint hostname_byte(char c) noexcept nogil:
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9' or c == c'-' or c == c'_' or c == c'.'

cdef size_t hostname_parse(const char *lines, size_t n, const char **name) noexcept nogil:
    """The first name in the answer of `getent hosts`, `ADDRESS NAME...`; its length, 0 when there is none.

    Whoever owns the address chose it, and programs log it or put it into a command line: only the bytes of a host name
    (RFC 952, with the underscore that is in use) are taken.
    """
    cdef const char *end = lines + n
    cdef const char *p = lines
    cdef size_t size = 0
    while p < end and p[0] != c' ' and p[0] != c'\n':
        p += 1
    while p < end and p[0] == c' ':
        p += 1
    name[0] = p
    while p + size < end and hostname_byte(p[size]):
        size += 1
    if p + size == end or (p[size] != c' ' and p[size] != c'\n') or size > HOSTNAME_MAX or p[0] == c'-':
        return 0
    return size
