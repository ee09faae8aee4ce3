# worker - one process of `bearwrap serve` for one connection: forked ahead of need with its prog and key, it waits for
# a socket from the supervisor, serves it as tlswrapper does and ends. Its memory never sees another connection.

cdef struct Outcome:            # what a worker tells the supervisor, in a page that the two share
    int32_t cpu                 # before it has a connection: the processor that it stays on, plus 1; 0: any
    int32_t end                 # End
    int32_t code                # the exit code
    uint16_t version            # 0 before it was negotiated
    uint16_t suite
    uint8_t established         # the handshake was finished
    uint8_t alert               # that ended it, ours or the peer's
    uint8_t clear               # -n: it never came to TLS
    uint8_t resumed
    uint8_t told                # it is at its end, and all of this is there
    uint64_t bytes_in           # records from Finished on, their headers included
    uint64_t bytes_out

cdef struct HandOver:           # what a worker gets with its socket
    int64_t accepted_ms
    uint8_t address[28]         # the client's sockaddr

cdef int socket_receive(int sock, HandOver *h) noexcept nogil:
    """Wait for a connection; its descriptor, -1 when the supervisor wants none of us any more."""
    cdef msghdr m
    cdef iovec iov
    cdef char control[64]
    cdef cmsghdr *c
    cdef ssize_t n
    cdef int fd = -1
    while True:
        memset(&m, 0, sizeof(m))
        iov.iov_base = h
        iov.iov_len = sizeof(HandOver)
        m.msg_iov = &iov
        m.msg_iovlen = 1
        m.msg_control = control
        m.msg_controllen = sizeof(control)
        n = recvmsg(sock, &m, 0)
        if n < 0 and errno == EINTR:
            continue
        c = CMSG_FIRSTHDR(&m)
        if n == sizeof(HandOver) and c != NULL and c.cmsg_level == SOL_SOCKET and c.cmsg_type == SCM_RIGHTS:
            memcpy(&fd, CMSG_DATA(c), sizeof(int))
        return fd

cdef bint socket_send(int sock, int fd, HandOver *h) noexcept nogil:
    """The supervisor's side: give a worker its connection."""
    cdef msghdr m
    cdef iovec iov
    cdef char control[64]
    cdef cmsghdr *c
    memset(&m, 0, sizeof(m))
    memset(control, 0, sizeof(control))
    iov.iov_base = h
    iov.iov_len = sizeof(HandOver)
    m.msg_iov = &iov
    m.msg_iovlen = 1
    m.msg_control = control
    m.msg_controllen = CMSG_LEN(sizeof(int))
    c = CMSG_FIRSTHDR(&m)
    c.cmsg_level = SOL_SOCKET
    c.cmsg_type = SCM_RIGHTS
    c.cmsg_len = CMSG_LEN(sizeof(int))
    memcpy(CMSG_DATA(c), &fd, sizeof(int))
    return sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(HandOver)

cdef const char *outcome_text(Net *net, char *room, size_t n) noexcept nogil:
    """The reason of the end, in one word or an alert's direction and name."""
    cdef int end = net.end
    if end == END_OUTPUT: return "finished"
    if end == END_NOTIFY: return "close_notify"
    if end == END_ALERT:
        snprintf(room, n, "sent %s", alert_name(net.alert))
        return room
    if end == END_REFUSED:
        snprintf(room, n, "received %s", alert_name(net.refusal))
        return room
    if end == END_LOST: return "lost"
    if end == END_IDLE: return "idle"
    if end == END_DEADLINE: return "deadline"
    if end == END_SIGNAL: return "signal"
    if end == END_KEY: return "key"
    if end == END_EARLY: return "eof"
    if end == END_PROG: return "prog"
    if end == END_CLEAR: return "clear"
    return "control" if end == END_CONTROL else "refused"

cdef void worker_account(Net *net, Outcome *o, int64_t began_ms) noexcept nogil:
    """One line about the connection, for people or as JSON."""
    cdef char m[1024]
    cdef char room[64]
    cdef char sni[260]
    cdef char ip[64]
    cdef const char *why = outcome_text(net, room, sizeof(room))
    cdef const char *version = "-"
    cdef const char *suite = "-"
    cdef const char *group = "-"
    cdef const char *form
    cdef int n
    sni[0] = 0
    strcpy(ip, net.addresses.remote_ip)
    if version_row(o.version) != NULL:
        version = version_row(o.version).ssl_protocol
    if suite_known(o.suite) != NULL:
        suite = suite_known(o.suite).openssl_name
        group = group_text()
    # net has checked it, but only dns_name makes it safe inside quotes
    if engine.eng != NULL and dns_name(engine.eng.server_name, strlen(engine.eng.server_name)):
        strcpy(sni, engine.eng.server_name)
    if net.config.json:
        form = ("{\"id\":\"%s\",\"address\":\"%s\",\"port\":%s,\"sni\":\"%s\",\"version\":\"%s\",\"cipher\":\"%s\","
                "\"group\":\"%s\",\"resumed\":%s,\"bytes_in\":%llu,\"bytes_out\":%llu,\"ms\":%lld,\"code\":%d,\"end\":\"%s\"}\n")
    else:
        form = "bearwrap: connection %s %s:%s sni=%s %s %s %s resumed=%s in=%llu out=%llu ms=%lld code=%d end=%s\n"
        if sni[0] == 0:
            strcpy(sni, "-")
        if strchr(net.addresses.remote_ip, c':') != NULL:
            snprintf(ip, sizeof(ip), "[%s]", net.addresses.remote_ip)
    n = snprintf(m, sizeof(m), form, log_state.id, ip, net.addresses.remote_port, sni, version, suite, group,
                 ("true" if o.resumed else "false") if net.config.json else "yes" if o.resumed else "no",
                 <unsigned long long>o.bytes_in, <unsigned long long>o.bytes_out, <long long>(now_ms() - began_ms),
                 <int>o.code, why)
    if 0 < n < <int>sizeof(m) and write(2, m, <size_t>n) < 0:
        pass

cdef void worker_addresses(Net *net, HandOver *h) noexcept nogil:
    """Who talks to whom, as accept(2) said: the socket forgets its client when that resets it."""
    cdef sockaddr_storage sa
    cdef socklen_t n = sizeof(sa)
    addresses_unknown(&net.addresses)
    memset(&sa, 0, sizeof(sa))
    memcpy(&sa, h.address, sizeof(h.address))
    if sockaddr_text(&sa, net.addresses.remote_ip, net.addresses.remote_port) and getsockname(
            net.fd_in, <sockaddr *>&sa, &n) == 0:
        sockaddr_text(&sa, net.addresses.local_ip, net.addresses.local_port)

cdef void worker_main(Config *config, int sock, Outcome *word) noexcept nogil:
    """The worker, from its fork to its end; never returns. sock is its only descriptor but 0, 1 and 2."""
    cdef Net *net = &net_process
    cdef Pipes p
    cdef HandOver h
    cdef Outcome o
    log_identify(NULL)
    if not connection_fork(config, net, &p, sock):
        _exit(111)
    close(0)                    # the supervisor's; until now, since no pipe of prog's may have these numbers
    close(1)
    net.fd_in = net.fd_out = socket_receive(sock, &h)
    if net.fd_in < 0:
        _exit(0)                # prog and key see it by their pipes
    close(sock)
    worker_addresses(net, &h)
    net.deadline = h.accepted_ms + config.handshake_ms
    memset(&o, 0, sizeof(o))
    o.code = connection_serve(config, net, &p)
    o.end = net.end
    o.clear = net.in_clear
    o.established = net.await_ == AWAIT_NOTHING and engine.in_switched
    o.alert = <uint8_t>(net.refusal if net.end == END_REFUSED else (net.alert if net.end == END_ALERT else 0))
    o.version = <uint16_t>net.version
    if engine.eng != NULL:
        o.suite = engine.eng.session.cipher_suite
    o.resumed = server13.resumed
    o.bytes_in = net.filled
    o.bytes_out = net.ring.tail
    if config.accounts:
        worker_account(net, &o, h.accepted_ms)
    o.told = 1
    word[0] = o
    _exit(o.code)
