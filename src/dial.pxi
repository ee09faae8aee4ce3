# dial - connect to one of a host's addresses: all at the same time, the first that succeeds is kept.
#
# The sockets are made before the jail and connected in it.

cdef struct Dial:
    Targets *targets
    int port
    int fds[16]             # by target, -1 when there is none (any more)
    int left                # sockets that may still connect
    int err                 # errno of the latest failure

cdef socklen_t target_address(Target *t, int port, sockaddr_storage *sa) noexcept nogil:
    """The socket address for connect; its length."""
    cdef sockaddr_in *four = <sockaddr_in *>sa
    cdef sockaddr_in6 *six = <sockaddr_in6 *>sa
    memset(sa, 0, sizeof(sockaddr_storage))
    sa.ss_family = <unsigned short>t.family
    if t.family == AF_INET:
        four.sin_port = htons(<uint16_t>port)
        memcpy(&four.sin_addr, t.raw, 4)
        return sizeof(sockaddr_in)
    six.sin6_port = htons(<uint16_t>port)
    memcpy(&six.sin6_addr, t.raw, 16)
    six.sin6_scope_id = t.zone
    return sizeof(sockaddr_in6)

cdef void dial_text(Dial *d, int i, const char *before, char *out, size_t room) noexcept nogil:
    """`before` and the target's IP:PORT, IPv6 in brackets."""
    cdef Target *t = &d.targets.list[i]
    snprintf(out, room, "%s[%s]:%d" if t.family == AF_INET6 else "%s%s:%d", before, <char *>t.ip, d.port)

cdef void dial_failed(Dial *d, int i, int err) noexcept nogil:
    """Give one address up."""
    cdef char m[128]
    dial_text(d, i, "unable to connect to ", m, sizeof(m))
    log_warning(m, err)
    d.err = err
    if d.fds[i] >= 0:
        close(d.fds[i])
        d.fds[i] = -1
        d.left -= 1

cdef bint dial_sockets(Dial *d, Targets *targets, int port) noexcept nogil:
    """A socket for each address; an address whose family the kernel lacks is given up. False with errno if none."""
    cdef int i
    d.targets = targets
    d.port = port
    d.left = 0
    d.err = 0
    for i in range(targets.count):
        d.fds[i] = socket(targets.list[i].family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if d.fds[i] < 0:
            dial_failed(d, i, errno)
        else:
            d.left += 1
    set_errno(d.err)
    return d.left > 0

cdef void dial_start(Dial *d, int epoll, uint32_t tag) noexcept nogil:
    """Send all connects."""
    cdef sockaddr_storage sa
    cdef socklen_t n
    cdef char m[128]
    cdef int i
    for i in range(d.targets.count):
        if d.fds[i] < 0:
            continue
        dial_text(d, i, "sending connect to ", m, sizeof(m))
        log_debug(m)
        n = target_address(&d.targets.list[i], d.port, &sa)
        if connect(d.fds[i], <sockaddr *>&sa, n) < 0 and errno != EINPROGRESS:
            dial_failed(d, i, errno)
        elif not watch(epoll, d.fds[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP, tag):
            dial_failed(d, i, errno)

cdef int dial_check(Dial *d) noexcept nogil:
    """The first target, in order, that is connected; -1 while there is none. Failed ones are given up."""
    cdef sockaddr_storage sa
    cdef socklen_t n
    cdef int i, err
    for i in range(d.targets.count):
        if d.fds[i] < 0:
            continue
        err = 0
        n = sizeof(int)
        if getsockopt(d.fds[i], SOL_SOCKET, SO_ERROR, &err, &n) < 0:
            err = errno
        if err:
            dial_failed(d, i, err)
            continue
        n = sizeof(sockaddr_storage)
        if getpeername(d.fds[i], <sockaddr *>&sa, &n) == 0:
            return i
    return -1

cdef int dial_keep(Dial *d, int winner) noexcept nogil:
    """Close every socket but one, which is the caller's now; -1 closes all, as timed out."""
    cdef int i, fd = -1
    for i in range(d.targets.count):
        if i == winner:
            fd = d.fds[i]
        elif d.fds[i] >= 0 and winner < 0:
            dial_failed(d, i, ETIMEDOUT)
        elif d.fds[i] >= 0:
            close(d.fds[i])
        d.fds[i] = -1
    d.left = 0
    return fd
