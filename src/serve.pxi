# serve - the supervisor of `bearwrap serve`: accepts, waits until a client speaks, hands it to a worker that was forked
# ahead, counts, and reads not one byte of any client.
#
# One loop over one epoll. Every step is bounded: by the places there are, the events of a pass, the limits of
# Supervisor. What can fail in passing (a fork, a descriptor) is tried again; what cannot be had at the start is fatal.

cdef enum:
    LISTENERS_MAX = 16
    EVENTS = 64
    ACCEPTS = 64            # of one listener in one pass
    STATUS_CLIENTS = 8
    STATUS_ROOM = 32768
    PAUSE_MS = 100          # before what failed for want of something is tried again
    KILL_MS = 2000          # after SIGTERM at the end of a drain

cdef enum Tag:
    TAG_SIGNAL = 1
    TAG_LISTENER = 2
    TAG_PLACE = 3
    TAG_WORKER = 4
    TAG_STATUS = 5
    TAG_STATUS_CLIENT = 6

cdef struct Worker:
    pid_t pid               # 0: free
    int sock
    int place               # -1: idle

cdef struct Counters:
    uint64_t accepted
    uint64_t over_limit     # closed because --max-connections were being served until the deadline
    uint64_t over_address   # closed because of --max-per-address
    uint64_t silent         # closed because nothing came until the deadline
    uint64_t crowded        # silent ones closed because every place was taken
    uint64_t gone           # closed by the client before it said anything
    uint64_t served
    uint64_t established
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t versions[8]
    uint64_t suites[64]
    uint64_t alerts[256]
    uint64_t failed         # handshakes

cdef struct Supervisor:
    Config *config
    int listeners[LISTENERS_MAX]
    int listeners_num
    int status              # listening socket, -1 without
    int status_clients[STATUS_CLIENTS]
    const char *log_file    # to open anew at SIGHUP, NULL without
    int most                # --max-connections
    int most_waiting        # places besides
    int most_per_address    # 0: no limit
    int spare               # workers kept ready
    int64_t drain_ms
    int64_t watchdog_ms     # 0: none
    int epoll
    int signals
    Places places
    Worker *workers
    int workers_num
    int *idle               # their numbers
    int idle_num
    int used                # workers that exist
    bint stopping
    bint paused             # the listeners are not watched: no descriptors
    int64_t stop_ms
    int64_t resume_ms
    int64_t fork_ms         # not before
    int64_t watchdog_next
    int64_t refused_ms      # when the last line about refused ones was written
    uint64_t refused_lines  # refused since
    int kill_signal
    Counters c

cdef bint serve_watch(Supervisor *s, int fd, uint32_t events, int tag, int index) noexcept nogil:
    cdef epoll_event ev
    ev.events = events
    ev.data.u64 = (<uint64_t>tag << 32) | <uint32_t>index
    return epoll_ctl(s.epoll, EPOLL_CTL_ADD, fd, &ev) == 0

cdef void serve_refused(Supervisor *s, const char *why) noexcept nogil:
    """Count a refusal in the log, at most once a second."""
    cdef char m[160]
    cdef int64_t now = now_ms()
    s.refused_lines += 1
    if now - s.refused_ms < 1000:
        return
    snprintf(m, sizeof(m), "%s, %llu refused since the last such line", why, <unsigned long long>s.refused_lines)
    log_fatal(m, 0)
    s.refused_ms = now
    s.refused_lines = 0

# ---- workers ----

cdef void worker_spawn(Supervisor *s) noexcept nogil:
    """Fork a worker that waits for its connection."""
    cdef int pair[2]
    cdef int i
    cdef Worker *w = NULL
    cdef pid_t pid
    for i in range(s.workers_num):
        if s.workers[i].pid == 0:
            w = &s.workers[i]
            break
    if w == NULL:
        return
    pid = -1
    if socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0:
        pid = fork()
        if pid == 0:
            close_inherited(&pair[1], 1)
            serve_unblock()
            worker_main(s.config, pair[1])
        close(pair[1])
        if pid < 0:
            close(pair[0])
    if pid < 0 or not serve_watch(s, pair[0], EPOLLIN, TAG_WORKER, i):
        log_fatal("unable to start a worker", errno)
        s.fork_ms = now_ms() + PAUSE_MS
        return
    w.pid = pid
    w.sock = pair[0]
    w.place = -1
    s.idle[s.idle_num] = i
    s.idle_num += 1
    s.used += 1

cdef void serve_unblock() noexcept nogil:
    cdef sigset_t none
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, NULL)

cdef void worker_ended(Supervisor *s, int i) noexcept nogil:
    """A worker has closed its socket: take its word, reap it, free its place."""
    cdef Worker *w = &s.workers[i]
    cdef Outcome o
    cdef int k, status = 0
    cdef ssize_t n = recv(w.sock, &o, sizeof(o), MSG_DONTWAIT)
    if n < 0 and (errno == EAGAIN or errno == EINTR):
        return
    if n == sizeof(o) and w.place >= 0:
        serve_count(s, &o)
        return                  # its end follows
    close(w.sock)
    waitpid(w.pid, &status, 0)
    if w.place >= 0:
        place_free(&s.places, w.place)
    else:
        for k in range(s.idle_num):
            if s.idle[k] == i:
                s.idle_num -= 1
                s.idle[k] = s.idle[s.idle_num]
                break
        if not s.stopping:
            log_fatal("a worker ended before it had a connection", 0)
            s.fork_ms = now_ms() + PAUSE_MS
    w.pid = 0
    s.used -= 1

cdef void serve_count(Supervisor *s, Outcome *o) noexcept nogil:
    """A worker's word may be a conquered one's: every number is checked before it counts, and only counts."""
    cdef int i
    s.c.served += 1
    s.c.bytes_in += o.bytes_in
    s.c.bytes_out += o.bytes_out
    if o.alert:
        s.c.alerts[o.alert] += 1
    if not o.established:
        s.c.failed += 1
        return
    s.c.established += 1
    for i in range(BW_VERSIONS):
        s.c.versions[i] += bw_versions[i].id == o.version
    for i in range(BW_SUITES):
        s.c.suites[i] += bw_suites[i].id == o.suite

# ---- connections ----

cdef void place_drop(Supervisor *s, int i) noexcept nogil:
    """Close a connection that no worker has."""
    close(s.places.rows[i].fd)      # the only copy: epoll forgets it too
    place_free(&s.places, i)

cdef void hand_over(Supervisor *s) noexcept nogil:
    """Give those that have spoken to idle workers, in order of arrival."""
    cdef Places *p = &s.places
    cdef HandOver h
    cdef Worker *w
    cdef int i, k
    while p.ready.num and s.idle_num and p.served < s.most:
        i = p.ready.first
        s.idle_num -= 1
        k = s.idle[s.idle_num]
        w = &s.workers[k]
        h.accepted_ms = p.rows[i].accepted_ms
        if not socket_send(w.sock, p.rows[i].fd, &h):
            w.place = -1            # it is ending: its event will say so
            s.idle_num += 1
            return
        # the worker's copy keeps the file open, so epoll would go on watching it
        epoll_ctl(s.epoll, EPOLL_CTL_DEL, p.rows[i].fd, NULL)
        close(p.rows[i].fd)
        p.rows[i].fd = -1
        w.place = i
        place_state(p, i, PLACE_SERVED)

cdef void serve_accept(Supervisor *s, int listener) noexcept nogil:
    cdef sockaddr_storage sa
    cdef socklen_t n
    cdef uint8_t peer[PEER]
    cdef int fd, i, k
    for k in range(ACCEPTS):
        n = sizeof(sa)
        fd = accept4(listener, <sockaddr *>&sa, &n, SOCK_CLOEXEC)
        if fd < 0:
            if errno == EMFILE or errno == ENFILE or errno == ENOMEM or errno == ENOBUFS:
                serve_refused(s, "no file descriptors left")
                serve_pause(s)
            return
        s.c.accepted += 1
        peer_of(&sa, peer)
        if s.most_per_address and sa.ss_family != AF_UNIX and peer_count(&s.places, peer) >= s.most_per_address:
            s.c.over_address += 1
            close(fd)
            serve_refused(s, "too many connections of one address")
            continue
        if s.places.free < 0 and s.places.silent.num:
            s.c.crowded += 1
            place_drop(s, s.places.silent.first)
        i = place_take(&s.places, fd, peer, now_ms())
        if i < 0:
            s.c.over_limit += 1
            close(fd)
            serve_refused(s, "too many connections")
            continue
        if s.config.delayed:        # the server speaks first
            place_state(&s.places, i, PLACE_READY)
        else:
            place_state(&s.places, i, PLACE_SILENT)
            if not serve_watch(s, fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, TAG_PLACE, i):
                place_drop(s, i)

cdef void place_spoke(Supervisor *s, int i) noexcept nogil:
    """The first bytes, or the end, of a connection that was silent."""
    cdef int n = 0
    if s.places.rows[i].state != PLACE_SILENT:
        return
    if ioctl(s.places.rows[i].fd, FIONREAD, &n) == 0 and n == 0:
        s.c.gone += 1
        place_drop(s, i)
        return
    place_state(&s.places, i, PLACE_READY)

cdef void serve_expire(Supervisor *s, int64_t now) noexcept nogil:
    """Close what has waited for longer than a handshake may take."""
    cdef Places *p = &s.places
    cdef int64_t before = now - s.config.handshake_ms
    while p.silent.num and p.rows[p.silent.first].accepted_ms <= before:
        s.c.silent += 1
        place_drop(s, p.silent.first)
    while p.ready.num and p.rows[p.ready.first].accepted_ms <= before:
        s.c.over_limit += 1
        place_drop(s, p.ready.first)
        serve_refused(s, "too many connections")

# ---- listeners ----

cdef void serve_pause(Supervisor *s) noexcept nogil:
    """Look away from the listeners for a moment: what they have waits in the kernel."""
    cdef int i
    if s.paused or s.stopping:
        return
    for i in range(s.listeners_num):
        epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.listeners[i], NULL)
    s.paused = True
    s.resume_ms = now_ms() + PAUSE_MS

cdef bint serve_listen(Supervisor *s) noexcept nogil:
    cdef int i
    for i in range(s.listeners_num):
        if not serve_watch(s, s.listeners[i], EPOLLIN, TAG_LISTENER, i):
            return False
    s.paused = False
    return True

cdef void serve_stop(Supervisor *s, int64_t now) noexcept nogil:
    """SIGTERM: no new connection, nobody who has spoken is cut, the rest go."""
    cdef int i
    if s.stopping:
        return
    notify("STOPPING=1")
    s.stopping = True
    s.stop_ms = now + s.drain_ms
    s.kill_signal = SIGTERM
    for i in range(s.listeners_num):
        close(s.listeners[i])
    while s.places.silent.num:
        place_drop(s, s.places.silent.first)

cdef void serve_signals(Supervisor *s) noexcept nogil:
    cdef signalfd_siginfo info
    cdef int fd
    while read(s.signals, &info, sizeof(info)) == sizeof(info):
        if <int>info.ssi_signo != SIGHUP:
            serve_stop(s, now_ms())
        elif s.log_file != NULL:
            fd = open_(s.log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o640)
            if fd < 0:
                log_fatal("unable to open the log file anew", errno)
            else:
                dup2(fd, 2)
                close(fd)

cdef void serve_kill(Supervisor *s, int64_t now) noexcept nogil:
    """The drain's deadline: SIGTERM to those that still serve, a moment later SIGKILL."""
    cdef int i
    for i in range(s.workers_num):
        if s.workers[i].pid and s.workers[i].place >= 0:
            kill(s.workers[i].pid, s.kill_signal)
    s.kill_signal = SIGKILL
    s.stop_ms = now + KILL_MS

# ---- status ----

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
        "# TYPE bearwrap_served_total counter\nbearwrap_served_total %llu\n"
        "# TYPE bearwrap_handshakes_total counter\nbearwrap_handshakes_total{result=\"done\"} %llu\n"
        "bearwrap_handshakes_total{result=\"failed\"} %llu\n"
        "# TYPE bearwrap_bytes_total counter\nbearwrap_bytes_total{direction=\"in\"} %llu\n"
        "bearwrap_bytes_total{direction=\"out\"} %llu\n",
        <unsigned long long>c.accepted, s.places.silent.num, s.places.ready.num, s.places.served, s.idle_num,
        <unsigned long long>c.over_limit, <unsigned long long>c.over_address, <unsigned long long>c.silent,
        <unsigned long long>c.crowded, <unsigned long long>c.gone, <unsigned long long>c.served,
        <unsigned long long>c.established, <unsigned long long>c.failed, <unsigned long long>c.bytes_in,
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
    n += <size_t>snprintf(out + n, room - n, "# TYPE bearwrap_alerts_total counter\n")
    for i in range(BW_ALERTS):
        if c.alerts[bw_alerts[i].id]:
            n += <size_t>snprintf(out + n, room - n, "bearwrap_alerts_total{alert=\"%s\"} %llu\n",
                                  bw_alerts[i].name, <unsigned long long>c.alerts[bw_alerts[i].id])
    return n

cdef void status_accept(Supervisor *s) noexcept nogil:
    """Someone asks; the answer comes when the question is there, so that no reset takes it away."""
    cdef int i, fd = accept4(s.status, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
    if fd < 0:
        return
    for i in range(STATUS_CLIENTS):
        if s.status_clients[i] < 0:
            s.status_clients[i] = fd
            if serve_watch(s, fd, EPOLLIN | EPOLLRDHUP, TAG_STATUS_CLIENT, i):
                return
            s.status_clients[i] = -1
            break
    close(fd)

cdef void status_answer(Supervisor *s, int i) noexcept nogil:
    cdef char text[STATUS_ROOM]
    cdef char question[4096]
    cdef size_t n = status_text(s, text, sizeof(text))
    recv(s.status_clients[i], question, sizeof(question), MSG_DONTWAIT)
    if write(s.status_clients[i], text, n) < 0:
        pass
    close(s.status_clients[i])
    s.status_clients[i] = -1

# ---- the loop ----

cdef int64_t serve_until(Supervisor *s, int64_t now) noexcept nogil:
    """When something must be done even if nothing happens; -1 for never."""
    cdef Places *p = &s.places
    cdef int64_t until = -1, at
    if p.silent.num:
        until = p.rows[p.silent.first].accepted_ms + s.config.handshake_ms
    if p.ready.num:
        at = p.rows[p.ready.first].accepted_ms + s.config.handshake_ms
        until = at if until < 0 or at < until else until
    if s.stopping and (until < 0 or s.stop_ms < until):
        until = s.stop_ms
    if s.paused and (until < 0 or s.resume_ms < until):
        until = s.resume_ms
    if s.fork_ms > now and (until < 0 or s.fork_ms < until):
        until = s.fork_ms
    if s.watchdog_ms and (until < 0 or s.watchdog_next < until):
        until = s.watchdog_next
    return until

cdef bint serve_open(Supervisor *s) noexcept nogil:
    cdef sigset_t mask
    cdef int i
    s.workers_num = s.most + s.spare
    s.workers = <Worker *>malloc(<size_t>s.workers_num * sizeof(Worker))
    s.idle = <int *>malloc(<size_t>s.workers_num * sizeof(int))
    if s.workers == NULL or s.idle == NULL or not places_open(&s.places, s.most + s.most_waiting):
        return False
    memset(s.workers, 0, <size_t>s.workers_num * sizeof(Worker))
    for i in range(STATUS_CLIENTS):
        s.status_clients[i] = -1
    sigemptyset(&mask)
    sigaddset(&mask, SIGTERM)
    sigaddset(&mask, SIGINT)
    sigaddset(&mask, SIGHUP)
    if sigprocmask(SIG_BLOCK, &mask, NULL) < 0:
        return False
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    s.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)
    s.epoll = epoll_create1(EPOLL_CLOEXEC)
    return (s.signals >= 0 and s.epoll >= 0 and serve_watch(s, s.signals, EPOLLIN, TAG_SIGNAL, 0)
            and (s.status < 0 or serve_watch(s, s.status, EPOLLIN, TAG_STATUS, 0)) and serve_listen(s))

cdef void serve_event(Supervisor *s, uint64_t data) noexcept nogil:
    cdef int tag = <int>(data >> 32), i = <int>(<uint32_t>data)
    if tag == TAG_LISTENER and not s.stopping:
        serve_accept(s, s.listeners[i])
    elif tag == TAG_PLACE:
        place_spoke(s, i)
    elif tag == TAG_WORKER and s.workers[i].pid:
        worker_ended(s, i)
    elif tag == TAG_SIGNAL:
        serve_signals(s)
    elif tag == TAG_STATUS:
        status_accept(s)
    elif tag == TAG_STATUS_CLIENT and s.status_clients[i] >= 0:
        status_answer(s, i)

cdef int serve_run(Supervisor *s) noexcept nogil:
    """Serve until SIGTERM or SIGINT; the exit code."""
    cdef epoll_event events[EVENTS]
    cdef int64_t now, until, left
    cdef int i, n, first
    if not serve_open(s):
        log_fatal("unable to start the listener", errno)
        return 111
    notify("READY=1")
    while True:
        now = now_ms()
        serve_expire(s, now)
        if s.paused and now >= s.resume_ms and not s.stopping:
            serve_listen(s)
        if s.watchdog_ms and now >= s.watchdog_next:
            notify("WATCHDOG=1")
            s.watchdog_next = now + s.watchdog_ms
        hand_over(s)
        if s.stopping:
            if s.places.served == 0 and s.places.ready.num == 0:
                return 0
            if now >= s.stop_ms:
                serve_kill(s, now)
        # one fork a pass: what has arrived meanwhile goes first to the workers that are there
        first = s.spare if not s.stopping else s.places.ready.num
        until = serve_until(s, now)
        if s.idle_num < first and s.used < s.workers_num and now >= s.fork_ms:
            worker_spawn(s)
            until = now
        left = -1
        if until >= 0:
            left = until - now if until > now else 0
            left = left if left < 60000 else 60000
        n = epoll_wait(s.epoll, events, EVENTS, <int>left)
        for i in range(n):
            serve_event(s, events[i].data.u64)
