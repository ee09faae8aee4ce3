# smtp - the effects of tlswrapper-smtp: prog and its pipes, the jail, the connection to a greylist server, and
# reads and writes that wait for one descriptor at a time, each with a deadline, all below the session's.
#
# One session a process, so its state is one static structure. Every descriptor has an epoll of its own, made before
# the jail (no descriptor can be made in it, and poll fails there). What is read and said is Python's to decide.

cdef enum:
    SMTP_CONTROL = 5            # the control pipe to tlswrapper -n...
    SMTP_ACK = 6                # ...and its acknowledgement
    SMTP_READ_MAX = 16384
    SMTP_WRITE_MAX = 4096       # PIPE_BUF: what a descriptor reported writable takes without blocking
    SMTP_TERM_MS = 1000         # prog gets EOF, so long after it SIGTERM...
    SMTP_KILL_MS = 500          # ...and so long after that SIGKILL, before tlswrapper's own patience with us ends

cdef enum:                      # the ends of a session
    SMTP_CLIENT_IN = 0
    SMTP_CLIENT_OUT = 1
    SMTP_PROG_IN = 2            # prog's stdin, which we write
    SMTP_PROG_OUT = 3
    SMTP_POLICY = 4
    SMTP_ENDS = 5

cdef enum:                      # what an epoll reports
    SMTP_EV_FD = 0
    SMTP_EV_TERM = 1            # SIGTERM
    SMTP_EV_CHILD = 2
    SMTP_EV_ACK = 3

cdef struct Smtp:
    int fd[5]                   # by end, -1 when there is none
    int epoll[5]                # -1 when the descriptor is always ready (a file)
    uint32_t waits[5]           # what the epoll waits for now
    int handover                # epoll for STARTTLS
    int ending                  # epoll for the end of prog
    int terminate               # signalfd of SIGTERM
    int child                   # signalfd of SIGCHLD
    int killer[2]               # the pipe that signals prog
    bint starttls               # 5 and 6 are control pipes
    int go                      # one byte tells prog to exec, EOF to leave
    pid_t prog
    int64_t deadline            # monotonic ms, of the session
    int64_t patience_ms         # of one read or write
    int connecting              # epoll for the greylist server's addresses
    Targets targets             # of the greylist server
    Dial dial

cdef Smtp smtp_session

cdef int64_t smtp_until() noexcept nogil:
    """When the wait that begins now is over: monotonic ms."""
    cdef int64_t until = now_ms() + smtp_session.patience_ms
    return until if until < smtp_session.deadline else smtp_session.deadline

cdef bint smtp_watch(int epoll, int fd, uint32_t events, uint32_t data) noexcept nogil:
    """Level-triggered: what waits for one thing at a time need not remember what is left to read."""
    cdef epoll_event e
    e.events = events
    e.data.u32 = data
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0

cdef bint smtp_end_open(int end, int fd, uint32_t events) noexcept nogil:
    """Give an end its descriptor (-1: later) and its epoll, which SIGTERM wakes too."""
    cdef Smtp *s = &smtp_session
    s.fd[end] = fd
    s.waits[end] = events
    s.epoll[end] = epoll_create1(EPOLL_CLOEXEC)
    if s.epoll[end] < 0 or not smtp_watch(s.epoll[end], s.terminate, EPOLLIN, SMTP_EV_TERM):
        return False
    if fd < 0 or smtp_watch(s.epoll[end], fd, events, SMTP_EV_FD):
        return True
    if errno != EPERM:
        return False
    close(s.epoll[end])
    s.epoll[end] = -1
    return True

cdef void smtp_drain(int signals) noexcept nogil:
    cdef signalfd_siginfo info
    while read(signals, &info, sizeof(info)) > 0:
        pass

cdef int smtp_wait(int epoll, int64_t until, uint32_t *event) noexcept nogil:
    """Wait for one event, SIGTERM before others: 0, or ETIMEDOUT, EINTR for SIGTERM, or another errno."""
    cdef epoll_event events[2]
    cdef int64_t left
    cdef int n
    while True:
        left = until - now_ms()
        # one event at a time keeps the order in which they came, which the handover counts on
        n = epoll_wait(epoll, events, 1, <int>(left if left > 0 else 0))
        if n == 1:
            event[0] = events[0].data.u32
            if event[0] != SMTP_EV_TERM:
                return 0
            smtp_drain(smtp_session.terminate)
            return EINTR
        if n < 0 and errno != EINTR:
            return errno
        if n == 0 and now_ms() >= until:
            return ETIMEDOUT

cdef int smtp_ready(int end, uint32_t events, int64_t until) noexcept nogil:
    """Wait until an end can be read or written: 0 or an errno, as smtp_wait."""
    cdef Smtp *s = &smtp_session
    cdef epoll_event e
    cdef uint32_t event
    if s.epoll[end] < 0:
        return 0 if now_ms() < until else ETIMEDOUT
    if s.waits[end] != events:
        e.events = events
        e.data.u32 = SMTP_EV_FD
        if epoll_ctl(s.epoll[end], EPOLL_CTL_MOD, s.fd[end], &e) < 0:
            return errno
        s.waits[end] = events
    return smtp_wait(s.epoll[end], until, &event)

cdef ssize_t smtp_read_some(int end, uint8_t *room, int *err) noexcept nogil:
    """Bytes read, 0 at EOF, -1 with an errno; at most SMTP_READ_MAX."""
    cdef int64_t until = smtp_until()
    cdef ssize_t n
    while True:
        err[0] = smtp_ready(end, EPOLLIN, until)
        if err[0]:
            return -1
        n = read(smtp_session.fd[end], room, SMTP_READ_MAX)
        if n >= 0:
            return n
        if errno != EINTR and errno != EAGAIN:
            err[0] = errno
            return -1

cdef int smtp_write_all(int end, const uint8_t *data, size_t n) noexcept nogil:
    """0 or an errno. Each piece has the patience of one write."""
    cdef ssize_t w
    cdef int err
    cdef int64_t until = smtp_until()
    while n:
        err = smtp_ready(end, EPOLLOUT, until)
        if err:
            return err
        w = write(smtp_session.fd[end], data, n if n < SMTP_WRITE_MAX else SMTP_WRITE_MAX)
        if w > 0:
            data += w
            n -= <size_t>w
            until = smtp_until()
        elif errno != EINTR and errno != EAGAIN:
            return errno
    return 0

# ---- prog ----

cdef void smtp_prog_main(char **argv, const char *account, int go, int stdin_fd, int stdout_fd) noexcept nogil:
    """prog's process up to its exec; never returns. It starts only when the jail is closed behind us."""
    cdef char word
    cdef ssize_t n
    log_as("prog")
    while True:
        n = read(go, &word, 1)
        if not (n < 0 and errno == EINTR):
            break
    if n != 1:
        _exit(111)
    if account != NULL:
        prog_drop(account)
    dup2(stdin_fd, 0)
    dup2(stdout_fd, 1)
    close(SMTP_CONTROL)
    close(SMTP_ACK)
    prog_exec(argv, environ, "unable to run %.512s")

cdef int smtp_signals(int signo) noexcept nogil:
    cdef sigset_t one
    sigemptyset(&one)
    sigaddset(&one, signo)
    return signalfd(-1, &one, SFD_CLOEXEC | SFD_NONBLOCK)

cdef bint smtp_signals_open() noexcept nogil:
    """First of all: descriptors 0 to 2 are there, and SIGTERM and SIGCHLD are events. False after a fatal line."""
    cdef sigset_t blocked
    if not standard_descriptors(True):
        return False
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    signal(SIGALRM, SIG_DFL)
    sigemptyset(&blocked)
    sigaddset(&blocked, SIGTERM)
    sigaddset(&blocked, SIGCHLD)
    sigprocmask(SIG_SETMASK, &blocked, NULL)
    smtp_session.terminate = smtp_signals(SIGTERM)
    smtp_session.child = smtp_signals(SIGCHLD)
    smtp_session.fd[SMTP_POLICY] = -1
    if smtp_session.terminate < 0 or smtp_session.child < 0:
        log_fatal("unable to prepare the session", errno)
        return False
    return True

cdef bint smtp_epolls(int to_prog, int from_prog) noexcept nogil:
    """Everything that waits, made while descriptors can be."""
    cdef Smtp *s = &smtp_session
    s.handover = epoll_create1(EPOLL_CLOEXEC)
    s.ending = epoll_create1(EPOLL_CLOEXEC)
    s.connecting = epoll_create1(EPOLL_CLOEXEC)
    return (smtp_end_open(SMTP_CLIENT_IN, 0, EPOLLIN) and smtp_end_open(SMTP_CLIENT_OUT, 1, EPOLLOUT)
            and smtp_end_open(SMTP_PROG_IN, to_prog, EPOLLOUT) and smtp_end_open(SMTP_PROG_OUT, from_prog, EPOLLIN)
            and smtp_end_open(SMTP_POLICY, -1, 0)
            and smtp_watch(s.handover, s.terminate, EPOLLIN, SMTP_EV_TERM)
            and smtp_watch(s.connecting, s.terminate, EPOLLIN, SMTP_EV_TERM)
            and smtp_watch(s.ending, s.terminate, EPOLLIN, SMTP_EV_TERM)
            and smtp_watch(s.ending, s.child, EPOLLIN, SMTP_EV_CHILD))

cdef void smtp_close_inherited() noexcept nogil:
    """Close what the super-server left open, which is prog's only, and 5 and 6 when they are no control pipes."""
    cdef Smtp *s = &smtp_session
    cdef int own[48]
    cdef int n
    memset(own, 255, sizeof(own))
    memcpy(own, s.fd, sizeof(s.fd))
    memcpy(own + SMTP_ENDS, s.epoll, sizeof(s.epoll))
    n = 2 * SMTP_ENDS
    own[n] = s.handover
    own[n + 1] = s.ending
    own[n + 2] = s.connecting
    own[n + 3] = s.terminate
    own[n + 4] = s.child
    own[n + 5] = s.killer[0]
    own[n + 6] = s.killer[1]
    own[n + 7] = s.go
    n += 8
    if s.starttls:
        own[n] = SMTP_CONTROL
        own[n + 1] = SMTP_ACK
        n += 2
    memcpy(own + n, s.dial.fds, <size_t>s.targets.count * sizeof(int))
    close_inherited(own, n + s.targets.count)

cdef bint smtp_open(char **argv, const char *account, Jail *jail) noexcept nogil:
    """Fork prog, make all descriptors, go to jail, let prog start; False after a fatal line."""
    cdef Smtp *s = &smtp_session
    cdef int to_prog[2]
    cdef int from_prog[2]
    cdef int go[2]
    if (pipe2(to_prog, O_CLOEXEC) < 0 or pipe2(from_prog, O_CLOEXEC) < 0 or pipe2(go, O_CLOEXEC) < 0
            or pipe2(s.killer, O_CLOEXEC) < 0):
        log_fatal("unable to create pipe", errno)
        return False
    s.prog = fork()
    if s.prog == 0:
        close(to_prog[1])
        close(from_prog[0])
        close(go[1])
        smtp_prog_main(argv, account, go[0], to_prog[0], from_prog[1])
    if s.prog < 0:
        log_fatal("unable to fork", errno)
        return False
    close(to_prog[0])
    close(from_prog[1])
    close(go[0])
    s.go = go[1]
    log_as("smtp")
    if not smtp_epolls(to_prog[1], from_prog[0]) or not signal_pipe_arm(s.killer, s.prog):
        log_fatal("unable to prepare the session", errno)
        return False
    smtp_close_inherited()
    if not jail_enter(jail):
        jail_refused()
        return False
    return True

cdef int smtp_end(bint orderly) noexcept nogil:
    """Close everything and wait for prog; its exit code, or 111 when the end is none of its doing.

    After QUIT (orderly) prog has until the session's deadline. Otherwise, and then, SIGTERM and SIGKILL follow.
    """
    cdef Smtp *s = &smtp_session
    cdef char m[64]
    cdef int i, status = 0, next_signal = SIGTERM
    cdef uint32_t event = 0
    cdef int64_t until = s.deadline if orderly else now_ms() + SMTP_TERM_MS
    for i in range(SMTP_ENDS):
        if s.fd[i] >= 0:
            close(s.fd[i])
    close(s.go)
    while waitpid(s.prog, &status, WNOHANG) != s.prog:
        if now_ms() >= until:
            if next_signal == 0:
                return 111          # not even SIGKILL came through; never seen
            signal_pipe_send(s.killer, next_signal)
            next_signal = SIGKILL if next_signal == SIGTERM else 0
            until = now_ms() + SMTP_KILL_MS
        i = smtp_wait(s.ending, until, &event)
        if i == EINTR:
            until = now_ms() if next_signal == SIGTERM else until
        elif i == 0:
            smtp_drain(s.child)
    if WIFEXITED(status):
        snprintf(m, sizeof(m), "child exited with status %d", WEXITSTATUS(status))
        log_debug(m)
        return WEXITSTATUS(status) if orderly else 111
    snprintf(m, sizeof(m), "child process killed by signal %d", WTERMSIG(status))
    if orderly:
        log_fatal(m, 0)
    else:
        log_debug(m)
    return 111

# ---- STARTTLS ----

cdef bint smtp_control_open() noexcept nogil:
    """Whether 5 can be written and 6 read, as `tlswrapper -n` opens them; prog gets neither."""
    cdef int control = fcntl(SMTP_CONTROL, F_GETFL)
    cdef int ack = fcntl(SMTP_ACK, F_GETFL)
    if control < 0 or ack < 0 or control & O_ACCMODE == O_RDONLY or ack & O_ACCMODE == O_WRONLY:
        return False
    smtp_session.starttls = (fcntl(SMTP_CONTROL, F_SETFD, FD_CLOEXEC) == 0
                             and fcntl(SMTP_ACK, F_SETFD, FD_CLOEXEC) == 0)
    return smtp_session.starttls

cdef size_t smtp_readable(int fd) noexcept nogil:
    """Bytes that can be read now, whatever mode the descriptor has."""
    cdef int there = 0
    return <size_t>there if ioctl(fd, FIONREAD, &there) == 0 and there > 0 else 0

cdef bint smtp_drop_clear() noexcept nogil:
    """Drop the clear bytes that are readable, without waiting; whether tlswrapper's word is there too.

    What is there while the word is not is clear. Once both are, nobody can tell how much of it is: all goes.
    """
    cdef uint8_t rest[4096]
    cdef size_t there
    cdef ssize_t n
    cdef bint word = False
    while not word:
        there = smtp_readable(0)
        if there == 0:
            break
        word = smtp_readable(SMTP_ACK) > 0
        if word:
            there = smtp_readable(0)
        while there:
            n = read(0, rest, there if there < sizeof(rest) else sizeof(rest))
            if n > 0:
                there -= <size_t>n
            elif n == 0 or errno != EINTR:
                return word
    return word

cdef const char *smtp_handover(int *err) noexcept nogil:
    """Ask tlswrapper for TLS on 5 and wait for its word on 6; NULL when TLS has begun, else what went wrong.

    Security: what the client sent in clear must not be read after TLS has begun, and what it sends in TLS, which may
    be here as soon as the word is, must not be dropped. So both descriptors are in one edge-triggered epoll before
    tlswrapper is asked: its events come in the order in which they happened. Clear bytes are an event before the
    word and are dropped; once the word is the next event, nothing is.
    """
    cdef Smtp *s = &smtp_session
    cdef int64_t until = smtp_until()
    cdef const char *no_word = "unable to receive valid STARTTLS acknowledgement on control fd 6"
    cdef uint32_t event = 0
    cdef char word = 0
    cdef ssize_t n
    if not watch(s.handover, SMTP_ACK, EPOLLIN, SMTP_EV_ACK) or not watch(s.handover, 0, EPOLLIN, SMTP_EV_FD):
        err[0] = errno
        return "unable to watch control fd 6"
    fcntl(SMTP_CONTROL, F_SETFL, O_NONBLOCK)
    fcntl(SMTP_ACK, F_SETFL, O_NONBLOCK)
    # until it is asked it has no word to say, and all that comes is clear
    err[0] = 0
    while err[0] == 0:
        smtp_drop_clear()
        err[0] = smtp_wait(s.handover, now_ms(), &event)
        if (err[0] == 0 and event == SMTP_EV_ACK) or now_ms() >= until:
            return no_word
    if err[0] != ETIMEDOUT:
        return no_word
    if write(SMTP_CONTROL, &word, 1) != 1:
        err[0] = errno
        return "unable to send STARTTLS signal on control fd 5"
    close(SMTP_CONTROL)
    while True:
        err[0] = smtp_wait(s.handover, until, &event)
        if err[0]:
            return no_word
        if event == SMTP_EV_ACK or smtp_drop_clear():
            break
    word = 1
    n = read(SMTP_ACK, &word, 1)
    if n != 1 or word != 0:
        err[0] = errno if n < 0 else 0
        return no_word
    close(SMTP_ACK)
    return NULL
