# tcp - tlswrapper-tcp from its settings to its exit code: resolve, make sockets, jail, learn who the client is,
# connect, relay. Descriptors 0 and 1 are the client.

cdef enum:
    RETRY_MS = 20               # between two tries of a Unix socket whose queue is full, which has no event

cdef struct Forward:
    const char *host
    const char *port_text
    int port
    const char *path            # of a Unix socket, NULL for host and port
    const char *where           # the destination as log lines name it
    int64_t idle_ms             # -t
    int64_t deadline            # -T: monotonic ms
    bint proxy_in               # -p1
    bint proxy_out              # -P1
    Jail jail
    Targets targets
    Dial dial
    Addresses addresses

cdef Relay forward_relay

cdef int forward_stopped() noexcept nogil:
    log_debug("signal received, tcp forwarding interrupted")
    return 0

cdef int forward_unreachable(Forward *f, int err) noexcept nogil:
    cdef char m[1200]
    snprintf(m, sizeof(m), "unable to connect to %.1024s", f.where)
    log_fatal(m, err)
    return 111

cdef int forward_resolve(Forward *f, Relay *r) noexcept nogil:
    """A socket for each address of the host; -1, or the exit code."""
    cdef char m[1200]
    cdef bint stopped
    cdef int i
    if not resolve(f.host, f.port_text, &f.jail, f.deadline, r.signals, &f.targets, &stopped):
        return forward_stopped() if stopped else 111
    for i in range(f.targets.count):
        snprintf(m, sizeof(m), "%.1024s: %s", f.host, f.targets.list[i].ip)
        log_debug(m)
    if not dial_sockets(&f.dial, &f.targets, f.port):
        log_fatal("unable to create TCP socket", errno)
        return 111
    return -1

cdef int forward_unix(Forward *f, Relay *r) noexcept nogil:
    """Connect to the Unix socket: before the jail, where its path exists, but as the jail's account, whose rights
    count and which the server sees. -1, or the exit code."""
    cdef sockaddr_un sa
    cdef uid_t root = geteuid(), uid = 0
    cdef int64_t now
    cdef int err = 0
    memset(&sa, 0, sizeof(sa))
    sa.sun_family = AF_UNIX
    if strlen(f.path) >= sizeof(sa.sun_path):
        return forward_unreachable(f, ENAMETOOLONG)
    strcpy(sa.sun_path, f.path)
    r.host = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if r.host < 0:
        log_fatal("unable to create socket", errno)
        return 111
    if not jail_identity(&f.jail, &uid) or (seteuid(uid) < 0 and not failed("seteuid", uid)):
        jail_refused()
        return 111
    while connect(r.host, <sockaddr *>&sa, sizeof(sa)) < 0 and not r.stopped:
        err = errno
        now = now_ms()
        if err != EAGAIN or now >= f.deadline:
            return forward_unreachable(f, ETIMEDOUT if err == EAGAIN else err)
        relay_sleep(r, now + RETRY_MS if now + RETRY_MS < f.deadline else f.deadline)
    if r.stopped:
        return forward_stopped()
    if seteuid(root) < 0 or not watch(r.epoll, r.host, EPOLLIN | EPOLLOUT | EPOLLRDHUP, EV_HOST):
        log_fatal("unable to prepare the connection", errno)
        return 111
    return -1

cdef int forward_client(Forward *f, Relay *r) noexcept nogil:
    """Learn who the client is; -1, or the exit code."""
    cdef ProxyLine line
    cdef int got = PROXY_WAIT
    line.len = 0
    while f.proxy_in and got == PROXY_WAIT:
        got = proxy_read(&line, 0, &f.addresses)
        if got == PROXY_WAIT and now_ms() >= f.deadline:
            log_error("unable to read proxy-protocol string", ETIMEDOUT)
            got = PROXY_BAD
        elif got == PROXY_WAIT:
            relay_sleep(r, f.deadline)
            if r.stopped:
                return forward_stopped()
    if got == PROXY_BAD:
        log_fatal("unable to receive incoming proxy-protocol v1 string", 0)
        return 100
    if not f.proxy_in and not addresses_find(&f.addresses, 0):
        log_warning("connectioninfo_get() failed", errno)
    strcpy(log_state.ip, f.addresses.remote_ip)
    return -1

cdef int forward_connect(Forward *f, Relay *r) noexcept nogil:
    """Connect to the first address that answers; -1, or the exit code."""
    cdef char m[128]
    cdef int winner = -1
    dial_start(&f.dial, r.epoll, EV_HOST)
    while True:
        winner = dial_check(&f.dial)
        if winner >= 0 or f.dial.left == 0 or now_ms() >= f.deadline:
            break
        relay_sleep(r, f.deadline)
        if r.stopped:
            return forward_stopped()
    r.host = dial_keep(&f.dial, winner)
    if winner < 0:
        return forward_unreachable(f, f.dial.err)
    dial_text(&f.dial, winner, "connected to ", m, sizeof(m))
    log_debug(m)
    return -1

cdef int forward_run(Forward *f, Relay *r) noexcept nogil:
    """One connection to its end; the exit code of the program."""
    cdef char m[1200]
    cdef int code, n, yes = 1
    log_as("tcp")
    # by hand, without an input or an output, it serves too
    if not standard_descriptors(False):
        return 111
    if not relay_prepare(r):
        log_fatal("unable to prepare the connection", errno)
        return 111
    code = forward_resolve(f, r) if f.path == NULL else forward_unix(f, r)
    if code >= 0:
        return code
    if not jail_enter(&f.jail):
        jail_refused()
        return 111
    code = forward_client(f, r)
    if code < 0 and f.path == NULL:
        code = forward_connect(f, r)
    if code >= 0:
        return code
    snprintf(m, sizeof(m), "connected to %.1024s", f.where)
    log_info(m)
    setsockopt(r.host, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
    r.up.sink = r.host
    r.down.source = r.host
    if f.proxy_out:
        n = proxy_make(&f.addresses, m)
        if n == 0 or not flow_put(&r.up, m, <size_t>n):
            log_fatal("unable to create outgoing proxy-protocol v1 string", 0)
            return 100
    code = relay_run(r, f.idle_ms)
    if r.stopped:
        return forward_stopped()
    log_debug("finished, timed out" if code == RELAY_IDLE else "finished")
    return 0
