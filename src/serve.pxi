# serve - the supervisor of `bearwrap serve`: accepts, waits until a client speaks, hands it to a worker that was forked
# ahead, counts, and reads not one byte of any client.
#
# One loop over one epoll. Every step is bounded: by the places there are, the events of a pass, the limits of
# Supervisor. What can fail in passing (a fork, a descriptor) is tried again; what cannot be had at the start is fatal.

# ---- connections ----

cdef void place_close(Supervisor *s, int i) noexcept nogil:
    """Close the supervisor's descriptor of a connection."""
    # a child that has not closed its copy yet, or a worker that has one, would keep it in the epoll
    if s.places.rows[i].watched:
        epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.places.rows[i].fd, NULL)
    close(s.places.rows[i].fd)
    s.places.rows[i].fd = -1

cdef void place_drop(Supervisor *s, int i) noexcept nogil:
    """End a connection that no worker has."""
    place_close(s, i)
    place_free(&s.places, i)

cdef void hand_over(Supervisor *s) noexcept nogil:
    """Give those that have spoken to idle workers, in order of arrival."""
    cdef Places *p = &s.places
    cdef HandOver h
    cdef Worker *w
    cdef int i, k
    while p.ready.num and s.idle_num and p.served < s.most:
        i = p.ready.first
        worker_prefer(s, affinity_incoming(p.rows[i].fd))
        s.idle_num -= 1
        k = s.idle[s.idle_num]
        w = &s.workers[k]
        h.accepted_ms = p.rows[i].accepted_ms
        memcpy(h.address, p.rows[i].address, ADDRESS)
        if not socket_send(w.sock, p.rows[i].fd, &h):
            kill(w.pid, SIGKILL)        # most likely it is gone; its signal follows
            s.idle_num += 1
            return
        place_close(s, i)
        close(w.sock)
        w.sock = -1
        w.place = i
        place_state(p, i, PLACE_SERVED)

cdef void serve_accept(Supervisor *s, int listener) noexcept nogil:
    cdef sockaddr_storage sa
    cdef socklen_t n
    cdef uint8_t peer[PEER]
    cdef int fd, i, k, heard
    for k in range(ACCEPTS):
        n = sizeof(sa)
        fd = accept4(listener, <sockaddr *>&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK)
        if fd < 0:
            if errno == EMFILE or errno == ENFILE or errno == ENOMEM or errno == ENOBUFS:
                serve_trouble(s, "unable to accept", errno)
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
        i = place_take(&s.places, fd, peer, &sa, now_ms())
        if i < 0:
            s.c.over_limit += 1
            close(fd)
            serve_refused(s, "too many connections")
            continue
        heard = s.config.delayed    # then the server speaks first
        if heard or (ioctl(fd, FIONREAD, &heard) == 0 and heard):
            place_state(&s.places, i, PLACE_READY)
            continue
        place_state(&s.places, i, PLACE_SILENT)
        s.places.rows[i].watched = serve_watch(s, fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, TAG_PLACE, i)
        if not s.places.rows[i].watched:
            place_drop(s, i)

cdef void place_spoke(Supervisor *s, int i, uint32_t events) noexcept nogil:
    """The first bytes, or the end, of a connection that was silent.

    The event may be that of the row's last connection, which gave way in this very pass: an end is looked at again.
    """
    cdef Place *row = &s.places.rows[i]
    cdef epoll_event ev
    cdef pollfd p
    cdef int n = 0
    if row.state != PLACE_SILENT:
        return
    if ioctl(row.fd, FIONREAD, &n) < 0 or n == 0 or events & (EPOLLERR | EPOLLHUP):
        p.fd = row.fd
        p.events = POLLRDHUP
        p.revents = 0
        poll(&p, 1, 0)
        if p.revents & (POLLERR | POLLHUP) or (n == 0 and p.revents):
            s.c.gone += 1
            place_drop(s, i)
            return
        if n == 0:
            ev.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT
            ev.data.u64 = (<uint64_t>TAG_PLACE << 32) | <uint32_t>i
            epoll_ctl(s.epoll, EPOLL_CTL_MOD, row.fd, &ev)
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
    if s.status >= 0:
        epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.status, NULL)
    s.paused = True
    s.resume_ms = now_ms() + PAUSE_MS

cdef bint serve_listen(Supervisor *s) noexcept nogil:
    """Watch the listeners, from the start or anew."""
    cdef int i
    s.resume_ms = now_ms() + PAUSE_MS
    for i in range(s.listeners_num):
        if not s.stopping and not serve_watch(s, s.listeners[i], EPOLLIN, TAG_LISTENER, i) and errno != EEXIST:
            return False
    if s.status >= 0 and not serve_watch(s, s.status, EPOLLIN, TAG_STATUS, 0) and errno != EEXIST:
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
    if read(s.signals, &info, sizeof(info)) == sizeof(info):        # others that wait are another event
        if <int>info.ssi_signo == SIGINT and s.stopping:
            s.stop_ms = now_ms()        # twice at the terminal: now
        elif <int>info.ssi_signo == SIGCHLD:
            child_ended(s, P_PID, <pid_t>info.ssi_pid)
            if s.reap_ms == 0:
                s.reap_ms = now_ms() + REAP_MS
        elif <int>info.ssi_signo != SIGHUP:
            serve_stop(s, now_ms())
        elif s.log_file != NULL:
            fd = open_(s.log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o640)
            if fd < 0:
                log_fatal("unable to open the log file anew", errno)
            else:
                dup2(fd, 2)
                close(fd)
                workers_renew(s)        # they have the old file

cdef void serve_kill(Supervisor *s, int64_t now) noexcept nogil:
    """The drain's deadline: SIGTERM to those that still serve, a moment later SIGKILL."""
    cdef int i
    for i in range(s.workers_num):
        if s.workers[i].pid and s.workers[i].place >= 0:
            kill(s.workers[i].pid if s.kill_signal == SIGTERM else -s.workers[i].pid, s.kill_signal)
    while s.places.ready.num:
        place_drop(s, s.places.ready.first)
    s.kill_signal = SIGKILL
    s.stop_ms = now + KILL_MS

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
    if s.reap_ms and (until < 0 or s.reap_ms < until):
        until = s.reap_ms
    if s.tickets_ms and (until < 0 or s.tickets_ms < until):
        until = s.tickets_ms
    if s.watchdog_ms and (until < 0 or s.watchdog_next < until):
        until = s.watchdog_next
    return until

cdef bint serve_files(Supervisor *s, int *places) noexcept nogil:
    """As many descriptors as the limits need; where the system allows fewer, fewer places, so that none is ever missing.

    A connection costs one here until a worker has it; so does an idle worker. What was inherited is closed.
    """
    cdef int own[LISTENERS_MAX + 1]         # the status socket besides
    cdef rlim_t besides = <rlim_t>(DESCRIPTORS + STATUS_CLIENTS + s.listeners_num + s.spare)
    cdef rlimit limit
    cdef int i
    for i in range(s.listeners_num):
        own[i] = s.listeners[i]
    own[s.listeners_num] = s.status
    close_inherited(own, s.listeners_num + 1)
    if getrlimit(RLIMIT_NOFILE, &limit) < 0:
        return False
    s.files = limit
    if limit.rlim_cur < besides + <rlim_t>places[0]:
        limit.rlim_cur = besides + <rlim_t>places[0]
        if limit.rlim_cur > limit.rlim_max:
            limit.rlim_cur = limit.rlim_max
        if setrlimit(RLIMIT_NOFILE, &limit) < 0:
            return False
    if limit.rlim_cur <= besides:
        set_errno(EMFILE)
        return False
    if limit.rlim_cur < besides + <rlim_t>places[0]:
        places[0] = <int>(limit.rlim_cur - besides)
        log_warning("RLIMIT_NOFILE allows fewer connections", 0)
    return True

cdef bint serve_listening(Supervisor *s) noexcept nogil:
    """What was passed to us must be a listening socket: any other would be an event for ever."""
    cdef int i, yes
    cdef socklen_t n
    for i in range(s.listeners_num):
        yes = 0
        n = sizeof(yes)
        if getsockopt(s.listeners[i], SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) < 0:
            return False
        if not yes:
            set_errno(EINVAL)
            return False
    return True

cdef bint serve_open(Supervisor *s) noexcept nogil:
    cdef sigset_t mask
    cdef int i, places = s.most + s.most_waiting
    s.workers_num = s.most + s.spare
    if not serve_listening(s) or not serve_files(s, &places):
        return False
    s.workers = <Worker *>pages_unforked(<size_t>s.workers_num * (sizeof(Worker) + 2 * sizeof(int)))
    if s.workers == NULL or not words_open(s) or not places_open(&s.places, places):
        return False
    s.idle = <int *>(s.workers + s.workers_num)
    s.unused = s.idle + s.workers_num
    for i in range(s.workers_num):
        s.unused[i] = i
    for i in range(STATUS_CLIENTS):
        s.status_clients[i] = -1
    sigemptyset(&mask)
    sigaddset(&mask, SIGTERM)
    sigaddset(&mask, SIGINT)
    sigaddset(&mask, SIGHUP)
    sigaddset(&mask, SIGCHLD)
    if sigprocmask(SIG_BLOCK, &mask, NULL) < 0:
        return False
    signal(SIGPIPE, SIG_IGN)        # in the workers too
    signal(SIGCHLD, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    s.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)
    s.epoll = epoll_create1(EPOLL_CLOEXEC)
    return (s.signals >= 0 and s.epoll >= 0 and serve_watch(s, s.signals, EPOLLIN, TAG_SIGNAL, 0)
            and serve_listen(s))

cdef void serve_event(Supervisor *s, uint64_t data, uint32_t events) noexcept nogil:
    cdef int tag = <int>(data >> 32), i = <int>(<uint32_t>data)
    if tag == TAG_LISTENER and not s.stopping:
        serve_accept(s, s.listeners[i])
    elif tag == TAG_PLACE:
        place_spoke(s, i, events)
    elif tag == TAG_SIGNAL:
        serve_signals(s)
    elif tag == TAG_STATUS:
        status_accept(s)
    elif tag == TAG_STATUS_CLIENT and s.status_clients[i] >= 0:
        status_answer(s, i)

cdef int serve_loop(Supervisor *s) noexcept nogil:
    cdef epoll_event events[EVENTS]
    cdef int64_t now, until, left
    cdef int i, n, first
    notify_prepare()
    if s.config.version_max >= TLS13 and s.config.ticket_file == NULL and s.config.anchors == NULL:
        if not tickets_map() or not tickets_rotate():
            log_fatal("unable to make ticket keys", errno)
            return 111
        s.tickets_ms = now_ms() + tickets_turn_ms()
    # before the forks: what asks the processor what it can (CPUID is dear), and a table that each would make anew
    bw_primitives_init()
    bw_ec()
    if not serve_open(s):
        log_fatal("unable to start the listener", errno)
        return 111
    notify("READY=1")
    while True:
        now = now_ms()
        serve_expire(s, now)
        if s.paused and now >= s.resume_ms:
            serve_listen(s)
        if s.reap_ms and now >= s.reap_ms:
            children_ended(s)
        if s.watchdog_ms and now >= s.watchdog_next:
            notify("WATCHDOG=1")
            s.watchdog_next = now + s.watchdog_ms
        if s.tickets_ms and now >= s.tickets_ms:
            s.tickets_ms = now + tickets_turn_ms()
            if not tickets_rotate():
                serve_trouble(s, "unable to make a ticket key", errno)
        hand_over(s)
        if s.stopping:
            if s.places.served == 0 and s.places.ready.num == 0:
                workers_renew(s)
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
            serve_event(s, events[i].data.u64, events[i].events)

cdef int serve_run(Config *config, Listening *l) noexcept nogil:
    """Serve until SIGTERM or SIGINT, then remove the sockets that were made; the exit code."""
    cdef Supervisor *s = supervisor_new(config, l)
    cdef int i, code
    if s == NULL:
        log_fatal("unable to start the listener", errno)
        return 111
    bw_stack_page()
    code = serve_loop(s)
    for i in range(s.sockets_num):
        socket_remove(&s.sockets[i])
    return code
