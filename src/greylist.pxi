# greylist - the connection of tlswrapper-smtp to its policy server.

cdef int greylist_resolve(const char *host, const char *port_text, int port, Jail *jail, int64_t until) noexcept nogil:
    """Before the jail: the server's addresses and a socket for each. 0; -1 after a fatal line; EINTR for SIGTERM."""
    cdef Smtp *s = &smtp_session
    cdef char m[512]
    cdef bint stopped
    cdef int i
    if not resolve(host, port_text, jail, until, smtp_session.terminate, &s.targets, &stopped):
        return EINTR if stopped else -1
    for i in range(s.targets.count):
        snprintf(m, sizeof(m), "%.255s: %s", host, s.targets.list[i].ip)
        log_debug(m)
    if not dial_sockets(&s.dial, &s.targets, port):
        log_fatal("unable to create TCP socket", errno)
        return -1
    return 0

cdef int greylist_connect() noexcept nogil:
    """In the jail: connect to all addresses, keep the first that answers. 0, or an errno (EINTR for SIGTERM)."""
    cdef Smtp *s = &smtp_session
    cdef Dial *d = &s.dial
    cdef int64_t until = smtp_until()
    cdef uint32_t event = 0
    cdef int winner, err = 0
    dial_start(d, s.connecting, SMTP_EV_FD)
    while True:
        winner = dial_check(d)
        if winner >= 0 or d.left == 0 or err:
            break
        err = smtp_wait(s.connecting, until, &event)
        if err == EINTR:
            return err
    s.fd[SMTP_POLICY] = dial_keep(d, winner)
    if winner < 0:
        return d.err
    s.waits[SMTP_POLICY] = EPOLLIN
    return 0 if smtp_watch(s.epoll[SMTP_POLICY], s.fd[SMTP_POLICY], EPOLLIN, SMTP_EV_FD) else errno

cdef void greylist_close() noexcept nogil:
    if smtp_session.fd[SMTP_POLICY] >= 0:
        close(smtp_session.fd[SMTP_POLICY])
        smtp_session.fd[SMTP_POLICY] = -1
