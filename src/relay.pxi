# relay - bytes between a client on descriptors 0 and 1 and a host's socket, each direction by itself.
#
# A flow holds up to HOLD_MAX bytes in a pipe, filled and emptied with splice(2), so that they never pass through
# this process; where a descriptor cannot splice (a file opened to append, an odd device), in a buffer instead.
#
# The end of a flow: its source ends, what it holds is delivered, and its sink is told (half-close). The other flow
# is not touched. A sink that fails makes its flow lost: the source is then read and dropped, since closing a
# socket with unread bytes resets it, and a reset eats what the peer has not yet read of the other flow.

cdef enum:
    HOLD_MAX = 262144       # bytes of one flow on their way
    PASSES = 16             # moves between two looks at signals
    EV_STDIN = 0
    EV_STDOUT = 1
    EV_HOST = 2
    EV_TERM = 3
    RELAY_DONE = 1
    RELAY_IDLE = 2

cdef struct Flow:
    int source
    int sink
    int hold[2]
    bint piped
    size_t held             # bytes taken and not yet given
    size_t offset           # where they begin in the buffer
    uint8_t *buffer
    bint source_ready       # edge-triggered: true until it says EAGAIN
    bint sink_ready
    bint ended              # the source is at its end
    bint last               # take what is at hand, then count as ended
    bint lost               # the sink takes no more
    bint done

cdef struct Relay:
    int epoll
    int signals             # signalfd of SIGTERM
    bint stopped            # SIGTERM came
    int host
    int flags[2]            # of descriptors 0 and 1 before us: others may share their open files
    Flow up                 # client to host
    Flow down               # host to client

cdef uint8_t relay_buffers[2][262144]       # HOLD_MAX

cdef bint flow_prepare(Flow *f, int source, int sink, uint8_t *buffer) noexcept nogil:
    memset(f, 0, sizeof(Flow))
    f.source = source
    f.sink = sink
    f.buffer = buffer
    f.source_ready = True
    f.sink_ready = True
    f.piped = True
    if pipe2(f.hold, O_CLOEXEC | O_NONBLOCK) < 0:
        return False
    # a smaller pipe does too
    fcntl(f.hold[1], F_SETPIPE_SZ, HOLD_MAX)
    return True

cdef void flow_lose(Flow *f) noexcept nogil:
    f.lost = True
    f.held = 0
    f.source_ready = True

cdef void flow_last(Flow *f) noexcept nogil:
    f.last = True
    f.source_ready = True

cdef void flow_unpipe(Flow *f) noexcept nogil:
    """Go on with the buffer: what the pipe holds moves into it."""
    cdef size_t have = 0
    cdef ssize_t n
    while have < f.held:
        n = read(f.hold[0], f.buffer + have, f.held - have)
        if n > 0:
            have += <size_t>n
        elif n == 0 or errno != EINTR:
            flow_lose(f)
            return
    f.offset = 0
    f.piped = False

cdef bint flow_put(Flow *f, const char *text, size_t n) noexcept nogil:
    """Have the flow begin with n bytes of ours, less than a page."""
    f.held = n
    return write(f.hold[1], text, n) == <ssize_t>n

cdef bint cannot_splice(int err) noexcept nogil:
    return err == EINVAL or err == ENOSYS or err == EPERM or err == EOPNOTSUPP

cdef int flow_take(Flow *f) noexcept nogil:
    """Source to hold: 1 when something changed, 0 when not, -1 when the source failed (errno)."""
    cdef ssize_t n
    if f.ended or not f.source_ready:
        return 0
    if f.lost or not f.piped:
        if f.held:
            return 0
        f.offset = 0
        n = read(f.source, f.buffer, HOLD_MAX)
    else:
        if f.held == HOLD_MAX:
            return 0
        n = splice(f.source, NULL, f.hold[1], NULL, HOLD_MAX - f.held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if n < 0 and cannot_splice(errno):
            flow_unpipe(f)
            return 1
    if n > 0:
        if not f.lost:
            f.held += <size_t>n
        return 1
    if n < 0 and errno == EINTR:
        return 1
    if n < 0 and errno == EAGAIN:
        # or the pipe's slots are full, which small pieces do long before HOLD_MAX
        if f.held:
            return 0
        f.source_ready = False
        if not f.last:
            return 0
    f.ended = True
    return 1 if n == 0 or f.last else -1

cdef int flow_give(Flow *f) noexcept nogil:
    """Hold to sink: 1 when something moved, 0 when not, -1 when the sink failed and the flow is lost (errno)."""
    cdef ssize_t n
    cdef int err
    if f.held == 0 or not f.sink_ready:
        return 0
    if f.piped:
        n = splice(f.hold[0], NULL, f.sink, NULL, f.held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
        if n < 0 and cannot_splice(errno):
            flow_unpipe(f)
            return 1
    else:
        n = write(f.sink, f.buffer + f.offset, f.held)
    if n > 0:
        f.held -= <size_t>n
        f.offset += <size_t>n
        return 1
    if n < 0 and errno == EINTR:
        return 1
    if n < 0 and errno == EAGAIN:
        f.sink_ready = False
        return 0
    err = errno
    flow_lose(f)
    set_errno(err)
    return -1

cdef bint relay_prepare(Relay *r) noexcept nogil:
    """Everything else that needs a new descriptor, before the jail. False with errno."""
    cdef sigset_t mask
    cdef int fd, yes = 1
    # what the super-server left open is no business of a jailed process
    close_range(3, ~<unsigned>0, 0)
    memset(r, 0, sizeof(Relay))
    r.host = -1
    for fd in range(2):
        r.flags[fd] = fcntl(fd, F_GETFL)
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    sigemptyset(&mask)
    sigaddset(&mask, SIGTERM)
    if sigprocmask(SIG_BLOCK, &mask, NULL) < 0:
        return False
    r.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)
    r.epoll = epoll_create1(EPOLL_CLOEXEC)
    # what a relay is given it passes on: waiting for more is the sender's part
    setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
    return (r.signals >= 0 and r.epoll >= 0 and nonblocking(0) and nonblocking(1)
            and flow_prepare(&r.up, 0, -1, relay_buffers[0]) and flow_prepare(&r.down, -1, 1, relay_buffers[1])
            and watch(r.epoll, r.signals, EPOLLIN, EV_TERM) and watch(r.epoll, 0, EPOLLIN | EPOLLRDHUP, EV_STDIN)
            and watch(r.epoll, 1, EPOLLOUT, EV_STDOUT))

cdef void relay_restore(Relay *r) noexcept nogil:
    """Descriptors 0 and 1 as they were: a shell that shares its terminal with us would miss their blocking mode."""
    cdef int fd
    for fd in range(2):
        fcntl(fd, F_SETFL, r.flags[fd])

cdef void relay_sleep(Relay *r, int64_t until) noexcept nogil:
    """Wait for an event, at most until a monotonic time."""
    cdef epoll_event events[6]
    cdef signalfd_siginfo info
    cdef int64_t timeout = until - now_ms()
    cdef uint32_t tag, what
    cdef int i, n
    if timeout < 0:
        timeout = 0
    n = epoll_wait(r.epoll, events, 6, <int>(timeout if timeout < 60000 else 60000))
    for i in range(n):
        tag = events[i].data.u32
        what = events[i].events
        if tag == EV_TERM:
            if read(r.signals, &info, sizeof(info)) == sizeof(info):
                r.stopped = True
        elif tag == EV_STDIN:
            r.up.source_ready = True
        elif tag == EV_STDOUT:
            r.down.sink_ready = True
            if what & EPOLLERR and not r.down.lost:
                relay_client_gone(r)
        else:
            r.down.source_ready = True
            r.up.sink_ready = True

cdef void relay_client_gone(Relay *r) noexcept nogil:
    """Nobody reads descriptor 1: what the client has sent by now still goes to the host."""
    flow_lose(&r.down)
    flow_last(&r.up)

cdef void relay_failed(const char *what, int err) noexcept nogil:
    cdef char m[128]
    snprintf(m, sizeof(m), "%s failed, %s", what, errno_word(err))
    log_debug(m)

cdef bint relay_move(Relay *r) noexcept nogil:
    """One pass of both flows; True when something changed."""
    cdef int a, b, c, d, err
    a = flow_take(&r.up)
    if a < 0:
        err = errno
        relay_failed("read from standard input", err)
        # a reset, unlike an end, tells that nobody reads descriptor 1 either
        if err == ECONNRESET or err == ETIMEDOUT or err == EHOSTUNREACH or err == ENETUNREACH:
            flow_lose(&r.down)
    b = flow_give(&r.up)
    if b < 0:
        relay_failed("write to network", errno)
    c = flow_take(&r.down)
    if c < 0:
        relay_failed("read from network", errno)
        flow_lose(&r.up)
    d = flow_give(&r.down)
    if d < 0:
        relay_failed("write to standard output", errno)
        relay_client_gone(r)
    if r.up.ended and r.up.held == 0 and not r.up.done:
        r.up.done = True
        shutdown(r.host, SHUT_WR)
        a = 1
    if r.down.ended and r.down.held == 0 and not r.down.done:
        r.down.done = True
        relay_close_stdout(r)
        a = 1
    return a != 0 or b != 0 or c != 0 or d != 0

cdef void relay_close_stdout(Relay *r) noexcept nogil:
    """Tell the client that no more comes: half-close a socket, close a pipe; nothing can be told to a file."""
    cdef stat_t st
    if shutdown(1, SHUT_WR) < 0 and fstat(1, &st) == 0 and S_ISFIFO(st.st_mode):
        fcntl(1, F_SETFL, r.flags[1])
        close(1)

cdef int relay_run(Relay *r, int64_t idle_ms) noexcept nogil:
    """Relay until both flows are done, nothing moves for idle_ms, or SIGTERM: why it ended."""
    cdef int64_t now = now_ms()
    cdef int64_t deadline = now + idle_ms, linger = 0
    cdef bint moved
    cdef int passes = 0
    while not r.stopped:
        moved = relay_move(r)
        now = now_ms()
        if r.up.done and r.down.done or r.up.lost and r.down.lost:
            return RELAY_DONE
        if (r.up.done or r.up.lost) and (r.down.done or r.down.lost):
            # one way is over and the other lost: only its unread bytes are kept from doing harm
            if linger == 0:
                linger = now + LINGER_MS
            if now >= linger:
                return RELAY_DONE
        if moved:
            deadline = now + idle_ms
            passes += 1
            if passes % PASSES == 0:
                relay_sleep(r, 0)
        elif now >= deadline:
            return RELAY_IDLE
        else:
            relay_sleep(r, linger if linger and linger < deadline else deadline)
    return 0
