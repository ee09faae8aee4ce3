# status - the counters on a Unix socket, as Prometheus' text format (version 0.0.4), for curl --unix-socket too.

cdef size_t status_text(Supervisor *s, char *out, size_t room) noexcept nogil:
    """Prometheus' text format (version 0.0.4) behind an HTTP/1.0 head, so that curl --unix-socket reads it."""
    cdef Counters *c = &s.c
    cdef size_t n = 0
    cdef int i
    n += <size_t>snprintf(out, room, "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n"
        "# TYPE bearwrap_accepted_total counter\nbearwrap_accepted_total %llu\n"
        "# TYPE bearwrap_connections gauge\nbearwrap_connections{state=\"silent\"} %d\n"
        "bearwrap_connections{state=\"ready\"} %d\nbearwrap_connections{state=\"served\"} %d\n"
        "# TYPE bearwrap_workers_idle gauge\nbearwrap_workers_idle %d\n"
        "# TYPE bearwrap_closed_total counter\nbearwrap_closed_total{reason=\"limit\"} %llu\n"
        "bearwrap_closed_total{reason=\"address\"} %llu\nbearwrap_closed_total{reason=\"silent\"} %llu\n"
        "bearwrap_closed_total{reason=\"crowded\"} %llu\nbearwrap_closed_total{reason=\"gone\"} %llu\n"
        "# TYPE bearwrap_workers_lost_total counter\nbearwrap_workers_lost_total %llu\n"
        "# TYPE bearwrap_served_total counter\nbearwrap_served_total %llu\n"
        "# TYPE bearwrap_handshakes_total counter\nbearwrap_handshakes_total{result=\"done\"} %llu\n"
        "bearwrap_handshakes_total{result=\"failed\"} %llu\n"
        "# TYPE bearwrap_resumed_total counter\nbearwrap_resumed_total %llu\n"
        "# TYPE bearwrap_bytes_total counter\nbearwrap_bytes_total{direction=\"in\"} %llu\n"
        "bearwrap_bytes_total{direction=\"out\"} %llu\n",
        <unsigned long long>c.accepted, s.places.silent.num, s.places.ready.num, s.places.served, s.idle_num,
        <unsigned long long>c.over_limit, <unsigned long long>c.over_address, <unsigned long long>c.silent,
        <unsigned long long>c.crowded, <unsigned long long>c.gone, <unsigned long long>c.lost,
        <unsigned long long>c.served,
        <unsigned long long>c.established, <unsigned long long>c.failed, <unsigned long long>c.resumed, <unsigned long long>c.bytes_in,
        <unsigned long long>c.bytes_out)
    n += <size_t>snprintf(out + n, room - n, "# TYPE bearwrap_version_total counter\n")
    for i in range(BW_VERSIONS):
        n += <size_t>snprintf(out + n, room - n, "bearwrap_version_total{version=\"%s\"} %llu\n",
                              bw_versions[i].ssl_protocol, <unsigned long long>c.versions[i])
    n += <size_t>snprintf(out + n, room - n, "# TYPE bearwrap_cipher_total counter\n")
    for i in range(BW_SUITES):
        if c.suites[i]:
            n += <size_t>snprintf(out + n, room - n, "bearwrap_cipher_total{cipher=\"%s\"} %llu\n",
                                  bw_suites[i].openssl_name, <unsigned long long>c.suites[i])
    for i in range(BW_SUITES13):
        if c.suites[BW_SUITES + i]:
            n += <size_t>snprintf(out + n, room - n, "bearwrap_cipher_total{cipher=\"%s\"} %llu\n",
                                  bw_suites13[i].openssl_name, <unsigned long long>c.suites[BW_SUITES + i])
    n += <size_t>snprintf(out + n, room - n, "# TYPE bearwrap_alerts_total counter\n")
    for i in range(BW_ALERTS):
        if c.alerts[bw_alerts[i].id]:
            n += <size_t>snprintf(out + n, room - n, "bearwrap_alerts_total{alert=\"%s\"} %llu\n",
                                  bw_alerts[i].name, <unsigned long long>c.alerts[bw_alerts[i].id])
    return n

cdef void status_accept(Supervisor *s) noexcept nogil:
    """Someone asks; the answer comes when the question is there, so that no reset takes it away."""
    cdef int i = s.status_next, fd = accept4(s.status, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
    if fd < 0:
        return
    s.status_next = (i + 1) % STATUS_CLIENTS
    if s.status_clients[i] >= 0:        # has not asked for as long as the others took
        close(s.status_clients[i])
    s.status_clients[i] = fd
    if not serve_watch(s, fd, EPOLLIN | EPOLLRDHUP, TAG_STATUS_CLIENT, i):
        close(fd)
        s.status_clients[i] = -1

cdef void status_answer(Supervisor *s, int i) noexcept nogil:
    cdef char text[STATUS_ROOM]
    cdef char question[4096]
    cdef size_t n = status_text(s, text, sizeof(text))
    recv(s.status_clients[i], question, sizeof(question), MSG_DONTWAIT)
    if write(s.status_clients[i], text, n) < 0:
        pass
    close(s.status_clients[i])
    s.status_clients[i] = -1
