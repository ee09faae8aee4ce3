# supervisor - what the listener's process knows: its places, its workers and its counters, and how a worker comes and
# goes. A worker that serves may be a conquered one: it has no descriptor of the supervisor's, and one page, for its word.

cdef enum:
    EVENTS = 64
    ACCEPTS = 64            # of one listener in one pass
    STATUS_CLIENTS = 8
    STATUS_ROOM = 32768
    PAUSE_MS = 100          # before what failed for want of something is tried again
    KILL_MS = 4000          # after SIGTERM at the end of a drain: a worker gives its prog two seconds of that
    REAP_MS = 50
    LOOK = 16               # idle workers, for one on the right processor
    LINE_MS = 1000          # between two lines about the same
    DESCRIPTORS = 24        # of the supervisor's own: standard ones, status, signals, epoll, words, a fork's socket pair

cdef enum Tag:
    TAG_SIGNAL = 1
    TAG_LISTENER = 2
    TAG_PLACE = 3
    TAG_STATUS = 4
    TAG_STATUS_CLIENT = 5

cdef struct Worker:
    pid_t pid               # 0: free
    int sock                # -1 once it has its connection
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
    uint64_t resumed
    uint64_t bytes_in
    uint64_t bytes_out
    uint64_t versions[8]
    uint64_t suites[64]
    uint64_t alerts[256]
    uint64_t failed         # handshakes
    uint64_t lost           # workers that ended without a word

cdef struct Supervisor:
    Config *config
    int listeners[LISTENERS_MAX]
    int listeners_num
    int status              # listening socket, -1 without
    int status_clients[STATUS_CLIENTS]
    int status_next         # gives way when there are too many
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
    int words_fd            # a memory file, a page for each worker: its Outcome
    uint8_t *words
    int *idle               # their numbers
    int idle_num
    int *unused             # numbers of those that are free
    int used                # workers that exist
    bint stopping
    bint paused             # the listeners are not watched: no descriptors
    int64_t stop_ms
    int64_t resume_ms
    int64_t fork_ms         # not before
    int64_t watchdog_next
    int64_t reap_ms         # when to look for ends whose signals were one with another's, 0: none
    int64_t tickets_ms      # when the next ticket key is due, 0: none
    rlimit files            # RLIMIT_NOFILE as it was, for prog
    int64_t refused_ms      # when the last line about refused ones was written
    uint64_t refused_lines  # refused since
    int64_t trouble_ms      # the same of workers
    int kill_signal
    Counters c
    SocketPath *sockets     # to remove at the end
    int sockets_num

cdef Supervisor *supervisor_new(Config *config, Listening *l) noexcept nogil:
    """Where no child has it, so that none pays for it or learns from it; NULL without memory."""
    cdef Supervisor *s = <Supervisor *>pages_unforked(sizeof(Supervisor))
    if s == NULL:
        return NULL
    s.config = config
    memcpy(s.listeners, l.listeners, sizeof(s.listeners))
    s.listeners_num = l.listeners_num
    s.status = l.status
    s.log_file = l.log_file
    s.most = l.most
    s.most_waiting = l.most_waiting
    s.most_per_address = l.most_per_address
    s.spare = l.spare
    s.drain_ms = l.drain_ms
    s.watchdog_ms = l.watchdog_ms
    s.sockets = l.sockets
    s.sockets_num = l.sockets_num
    return s

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
    if now - s.refused_ms < LINE_MS:
        return
    snprintf(m, sizeof(m), "%s, %llu refused since the last such line", why, <unsigned long long>s.refused_lines)
    log_fatal(m, 0)
    s.refused_ms = now
    s.refused_lines = 0

cdef void serve_trouble(Supervisor *s, const char *what, int err) noexcept nogil:
    """A worker could not be had, or was lost: a line a second, and no fork for a moment."""
    cdef int64_t now = now_ms()
    s.fork_ms = now + PAUSE_MS
    if now - s.trouble_ms >= LINE_MS:
        s.trouble_ms = now
        log_fatal(what, err)

cdef bint words_open(Supervisor *s) noexcept nogil:
    """The pages of the workers' words, which no child gets; each maps its own."""
    cdef size_t n = <size_t>s.workers_num * PAGE
    cdef void *p
    s.words_fd = memfd_create("words", MFD_CLOEXEC)
    if s.words_fd < 0 or ftruncate(s.words_fd, <off_t>n) < 0:
        return False
    p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, s.words_fd, 0)
    if p == MAP_FAILED or madvise(p, n, MADV_DONTFORK) < 0:
        return False
    s.words = <uint8_t *>p
    return True

cdef Outcome *worker_word(Supervisor *s, int i) noexcept nogil:
    return <Outcome *>(s.words + <size_t>i * PAGE)

cdef void worker_free(Supervisor *s, int i) noexcept nogil:
    """It has been waited for: its row is free, its page empty for the next one."""
    cdef Worker *w = &s.workers[i]
    if w.sock >= 0:
        close(w.sock)
    memset(worker_word(s, i), 0, PAGE)      # all of it: what a conquered one has left is for nobody
    w.pid = 0
    s.used -= 1
    s.unused[s.workers_num - s.used - 1] = i

cdef void worker_prefer(Supervisor *s, int cpu) noexcept nogil:
    """Let the next idle worker be one that stays on this processor, if there is one among the last few."""
    cdef int last = s.idle_num - 1, k, i
    for k in range(last, last - LOOK if last > LOOK else -1, -1):
        i = s.idle[k]
        if worker_word(s, i).cpu == cpu + 1:
            s.idle[k] = s.idle[last]
            s.idle[last] = i
            return

cdef void worker_dismiss(Supervisor *s, int i) noexcept nogil:
    """End one that is idle, and nobody else's yet, so that waiting for it is short."""
    cdef int status = 0
    kill(s.workers[i].pid, SIGKILL)
    waitpid(s.workers[i].pid, &status, 0)
    worker_free(s, i)

cdef void worker_begin(Config *config, const rlimit *files, int sock, int words_fd, int at) noexcept nogil:
    """The child: what is the supervisor's alone goes, then it is a worker; never returns."""
    cdef sigset_t none
    cdef void *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, words_fd, <off_t>at * PAGE)
    if word == MAP_FAILED or madvise(word, PAGE, MADV_DONTFORK) < 0:
        _exit(111)
    close_inherited(&sock, 1)
    setpgid(0, 0)               # what a terminal signals is the supervisor: connections are not cut
    signal(SIGINT, SIG_DFL)
    signal(SIGHUP, SIG_IGN)     # before it is unblocked: one for the supervisor may be meant for all
    sigemptyset(&none)
    sigprocmask(SIG_SETMASK, &none, NULL)
    setrlimit(RLIMIT_NOFILE, files)
    if not config.delayed:    # before STARTTLS there is nothing to take turns for
        (<Outcome *>word).cpu = affinity_stay() + 1
    worker_main(config, sock, <Outcome *>word)

cdef void worker_spawn(Supervisor *s) noexcept nogil:
    """Fork a worker that waits for its connection; the caller has seen that one is free."""
    cdef int pair[2]
    cdef Config *config = s.config          # the child has no *s
    cdef rlimit files = s.files
    cdef int words_fd = s.words_fd
    cdef int at = s.unused[s.workers_num - s.used - 1]
    cdef Worker *w = &s.workers[at]
    cdef pid_t pid
    if socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0:
        serve_trouble(s, "unable to start a worker", errno)
        return
    pid = bw_fork()
    if pid == 0:
        worker_begin(config, &files, pair[1], words_fd, at)
    close(pair[1])
    if pid < 0:
        close(pair[0])
        serve_trouble(s, "unable to start a worker", errno)
        return
    w.pid = pid
    w.sock = pair[0]
    w.place = -1
    s.used += 1
    s.idle[s.idle_num] = at
    s.idle_num += 1

cdef void worker_ended(Supervisor *s, int i) noexcept nogil:
    """A worker is no more, but not yet waited for: count its word, free its place."""
    cdef Worker *w = &s.workers[i]
    cdef Outcome o = worker_word(s, i)[0]
    cdef int k
    if w.place >= 0:
        place_free(&s.places, w.place)
        if o.told:
            serve_count(s, &o)
        else:
            s.c.lost += 1
            kill(-w.pid, SIGTERM)       # its group: nobody else tells prog, which may not heed the end of its input
            serve_trouble(s, "a worker was lost with its connection", 0)
        return
    for k in range(s.idle_num):
        if s.idle[k] == i:
            s.idle_num -= 1
            s.idle[k] = s.idle[s.idle_num]
            break
    if not s.stopping:
        serve_trouble(s, "a worker ended before it had a connection", 0)

cdef bint child_ended(Supervisor *s, int kind, pid_t pid) noexcept nogil:
    """Take a child that has ended, this one (P_PID) or any (P_ALL); False when there is none. As process 1 of a
    container there are orphans of others too."""
    cdef siginfo_t info
    cdef int i, status
    info.si_pid = 0
    # the number stays its own until it is waited for
    if waitid(kind, <unsigned>pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 or info.si_pid == 0:
        return False
    for i in range(s.workers_num):
        if s.workers[i].pid == info.si_pid:
            worker_ended(s, i)
            waitpid(info.si_pid, &status, 0)
            worker_free(s, i)
            return True
    waitpid(info.si_pid, &status, 0)
    return True

cdef void children_ended(Supervisor *s) noexcept nogil:
    """All that have ended. The kernel looks at every child for this, so it is not done at each signal."""
    s.reap_ms = 0
    while child_ended(s, P_ALL, 0):
        pass

cdef void workers_renew(Supervisor *s) noexcept nogil:
    """The idle ones go, and with them what they were forked with."""
    while s.idle_num:
        s.idle_num -= 1
        worker_dismiss(s, s.idle[s.idle_num])

cdef void serve_count(Supervisor *s, Outcome *o) noexcept nogil:
    """A worker's word may be a conquered one's: every number is checked before it counts, and only counts."""
    cdef uint64_t most = <uint64_t>1 << 50      # bytes of one connection
    cdef int i
    s.c.served += 1
    s.c.bytes_in += o.bytes_in if o.bytes_in < most else 0
    s.c.bytes_out += o.bytes_out if o.bytes_out < most else 0
    if o.alert:
        s.c.alerts[o.alert] += 1
    if o.clear:
        return
    if not o.established:
        s.c.failed += 1
        return
    s.c.established += 1
    s.c.resumed += o.resumed == 1
    for i in range(BW_VERSIONS):
        s.c.versions[i] += bw_versions[i].id == o.version
    for i in range(BW_SUITES):
        s.c.suites[i] += bw_suites[i].id == o.suite
    for i in range(BW_SUITES13):
        s.c.suites[BW_SUITES + i] += bw_suites13[i].id == o.suite
