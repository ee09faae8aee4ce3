# proxyline - a PROXY v1 line on its way in and out (HAProxy's PROXY protocol, section 2.1; parsing: address.pxi).

cdef enum:
    PROXY_WAIT = 0          # not complete, and the descriptor has no more for now
    PROXY_GOOD = 1
    PROXY_BAD = -1          # the reason is logged

cdef struct ProxyLine:
    char text[128]
    size_t len

cdef int proxy_read(ProxyLine *l, int fd, Addresses *a) noexcept nogil:
    """Read on, byte by byte, so that what follows the line stays in the descriptor, which is non-blocking."""
    cdef char m[256]
    cdef ssize_t r
    cdef const char *what
    while l.len < PROXY_MAX and (l.len == 0 or l.text[l.len - 1] != c'\n'):
        r = read(fd, l.text + l.len, 1)
        if r == 1:
            l.len += 1
        elif r < 0 and errno == EAGAIN:
            return PROXY_WAIT
        elif r == 0 or errno != EINTR:
            log_error("unable to read proxy-protocol string", errno if r < 0 else 0)
            return PROXY_BAD
    if l.text[l.len - 1] != c'\n':
        log_error("unable to read proxy-protocol string, no CRLF", EPROTO)
        return PROXY_BAD
    what = proxy_parse(l.text, l.len, a)
    if what == NULL:
        return PROXY_GOOD
    if what[0] == 0:
        snprintf(m, sizeof(m), "unable to parse proxy-protocol string '%.*s'", <int>l.len, l.text)
    else:
        snprintf(m, sizeof(m), "unable to parse %s from proxy-protocol string '%.*s'", what, <int>l.len, l.text)
    log_error(m, 0)
    return PROXY_BAD

cdef int proxy_make(Addresses *a, char *out) noexcept nogil:
    """The line for these addresses into 128 bytes; its length, or 0 when nothing is known of them.

    Both addresses of a line must be of one family. When they are not, the IPv4 one is written as a v4-mapped IPv6
    address: the receiver still learns who the client is, whereas UNKNOWN would have it take us for the client.
    """
    cdef bint remote6 = strchr(a.remote_ip, c':') != NULL
    cdef bint local6 = strchr(a.local_ip, c':') != NULL
    cdef bint six = remote6 or local6
    if strcmp(a.remote_ip, "::") == 0 and strcmp(a.local_ip, "::") == 0 \
            and strcmp(a.remote_port, "0") == 0 and strcmp(a.local_port, "0") == 0:
        return 0
    return snprintf(out, 128, "PROXY %s %s%s %s%s %s %s\r\n", "TCP6" if six else "TCP4",
                    "::ffff:" if six and not remote6 else "", <char *>a.remote_ip,
                    "::ffff:" if six and not local6 else "", <char *>a.local_ip,
                    <char *>a.remote_port, <char *>a.local_port)
