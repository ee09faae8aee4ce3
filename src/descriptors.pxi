# descriptors - what is open when a program starts; how jailed processes watch theirs: edge-triggered epoll, made
# before the jail, nothing re-armed; and the clock that limits each wait.

# tags of what every process watches; its own begin at 2
cdef enum:
    EV_PORT = 0
    EV_WAKE = 1

cdef bint watch(int epoll, int fd, uint32_t events, uint32_t tag) noexcept nogil:
    """Edge-triggered; True also for a descriptor that epoll refuses because it is always ready (a regular file)."""
    cdef epoll_event ev
    ev.events = events | EPOLLET
    ev.data.u32 = tag
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == 0 or errno == EPERM

cdef bint nonblocking(int fd) noexcept nogil:
    cdef int yes = 1
    return ioctl(fd, FIONBIO, &yes) == 0        # one call, where fcntl(2) needs the old flags

cdef bint standard_descriptors(bint connection) noexcept nogil:
    """First of all: 0, 1 and 2 are open, so that none becomes the number of a descriptor of ours.

    A closed 0 reads as EOF from then on, a closed 1 or 2 takes everything. connection: 0 and 1 are the client's,
    so without them there is nothing to do. False after a fatal line.
    """
    cdef char m[64]
    cdef bint closed
    cdef int fd
    for fd in range(3):
        closed = fcntl(fd, F_GETFL) < 0
        if closed and open_("/dev/null", O_RDONLY if fd == 0 else O_WRONLY) != fd:
            log_fatal("unable to open /dev/null", errno)
            return False
        if closed and connection and fd < 2:
            snprintf(m, sizeof(m), "unable to serve the connection on descriptor %d", fd)
            log_fatal(m, EBADF)
            return False
    return True

cdef void close_inherited(const int *own, int n) noexcept nogil:
    """Close what the super-server left open: prog may want it (it has its copy by now), a jailed process must not have it.

    own: the n descriptors to keep besides 0, 1 and 2; -1 where there is none.
    """
    cdef int i, after, at = 3
    while True:
        after = -1
        for i in range(n):
            if own[i] >= at and (after < 0 or own[i] < after):
                after = own[i]
        if after < 0:
            break
        if after > at:
            close_range(<unsigned>at, <unsigned>(after - 1), 0)
        at = after + 1
    close_range(<unsigned>at, ~<unsigned>0, 0)

cdef bint signal_pipe_arm(int *pipe, pid_t pid) noexcept nogil:
    """Before the jail: arm a pipe whose O_ASYNC signal goes to a process, the only way to signal it from the jail.

    It also signals when it is closed, as by our own death; that is SIGURG, nothing to the process, which sees EOF.
    """
    return (fcntl(pipe[0], F_SETOWN, pid) == 0 and fcntl(pipe[0], F_SETSIG, SIGURG) == 0
            and fcntl(pipe[0], F_SETFL, O_ASYNC) == 0)

cdef void signal_pipe_send(int *pipe, int signo) noexcept nogil:
    """Send the process a signal through the armed pipe."""
    if fcntl(pipe[0], F_SETSIG, signo) == 0 and write(pipe[1], b"!", 1) < 0:
        pass

cdef int64_t now_ms() noexcept nogil:
    """The monotonic clock."""
    cdef timespec ts
    clock_gettime(CLOCK_MONOTONIC, &ts)
    return <int64_t>ts.tv_sec * 1000 + ts.tv_nsec // 1000000
