# listen - the sockets of `bearwrap serve`, and a word for systemd. Works as whoever starts us, before any fork.

cdef socklen_t listen_address(const char *host, int port, sockaddr_storage *sa) noexcept nogil:
    """A literal address, or a path that begins with a slash; the length, 0 when it is neither."""
    cdef sockaddr_in *four = <sockaddr_in *>sa
    cdef sockaddr_in6 *six = <sockaddr_in6 *>sa
    cdef sockaddr_un *path = <sockaddr_un *>sa
    memset(sa, 0, sizeof(sockaddr_storage))
    if host[0] == c'/':
        if strlen(host) >= sizeof(path.sun_path):
            set_errno(ENAMETOOLONG)
            return 0
        sa.ss_family = <unsigned short>AF_UNIX
        strcpy(path.sun_path, host)
        return sizeof(sockaddr_un)
    if inet_pton(AF_INET, host, &four.sin_addr) == 1:
        sa.ss_family = <unsigned short>AF_INET
        four.sin_port = htons(<uint16_t>port)
        return sizeof(sockaddr_in)
    if inet_pton(AF_INET6, host, &six.sin6_addr) == 1:
        sa.ss_family = <unsigned short>AF_INET6
        six.sin6_port = htons(<uint16_t>port)
        return sizeof(sockaddr_in6)
    set_errno(EINVAL)
    return 0

cdef bint listen_stale(const char *path, sockaddr_storage *sa, socklen_t n) noexcept nogil:
    """Remove the socket of a listener that was killed: one at which nobody listens; errno is left as it was."""
    cdef int saved = errno
    cdef int fd
    cdef bint stale
    cdef stat_t st
    if fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0 or not S_ISSOCK(st.st_mode):
        set_errno(saved)
        return False
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    stale = fd >= 0 and connect(fd, <sockaddr *>sa, n) < 0 and errno == ECONNREFUSED
    close(fd)
    stale = stale and unlink(path) == 0
    set_errno(saved)
    return stale

cdef void socket_remove(const SocketPath *s) noexcept nogil:
    """Remove a socket of ours, unless another process has put its own there."""
    cdef stat_t st
    if fstatat(AT_FDCWD, s.path, &st, AT_SYMLINK_NOFOLLOW) == 0 and st.st_dev == s.device and st.st_ino == s.inode:
        unlink(s.path)

cdef int listen_open(const char *host, int port, int backlog) noexcept nogil:
    """A listening socket, non-blocking; -1 with errno. An IPv6 one takes IPv6 alone, so that both may be named."""
    cdef sockaddr_storage sa
    cdef socklen_t n = listen_address(host, port, &sa)
    cdef int yes = 1
    cdef int fd, err
    if n == 0:
        return -1
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    if fd < 0:
        return -1
    if sa.ss_family != AF_UNIX:
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes))
    if sa.ss_family == AF_INET6:
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes))
    if (bind(fd, <sockaddr *>&sa, n) == 0 or (sa.ss_family == AF_UNIX and errno == EADDRINUSE
            and listen_stale(host, &sa, n) and bind(fd, <sockaddr *>&sa, n) == 0)) and listen(fd, backlog) == 0:
        return fd
    err = errno
    close(fd)
    set_errno(err)
    return -1

cdef char notify_path[108]          # sun_path

cdef void notify_prepare() noexcept nogil:
    """Before the forks: where the service manager listens, which workers and their progs are not told."""
    cdef const char *path = getenv("NOTIFY_SOCKET")
    if path != NULL and strlen(path) < sizeof(notify_path):
        strcpy(notify_path, path)
    unsetenv("NOTIFY_SOCKET")

cdef void notify(const char *text) noexcept nogil:
    """Tell the service manager, if there is one (sd_notify(3)); nothing is lost when it does not listen."""
    cdef const char *path = notify_path
    cdef sockaddr_un sa
    cdef size_t n
    cdef int fd
    if path[0] != c'/' and path[0] != c'@':
        return
    memset(&sa, 0, sizeof(sa))
    sa.sun_family = <unsigned short>AF_UNIX
    n = strlen(path)
    memcpy(sa.sun_path, path, n)
    if path[0] == c'@':
        sa.sun_path[0] = 0
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if fd >= 0:
        sendto(fd, text, strlen(text), MSG_NOSIGNAL, <sockaddr *>&sa, <socklen_t>(sizeof(sa.sun_family) + n))
        close(fd)
