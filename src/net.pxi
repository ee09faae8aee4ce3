# net - the process that talks to the network: the original pid, the socket's owner, the holder of no secret.
#
# This part is what its phases share: time, waiting, descriptors, alerts. netmove.pxi moves records, nethandshake.pxi
# (with netflight, netserver and netclient) brings the connection to its keys, netrun.pxi and netend.pxi are a server's
# transfer and end, clientrun.pxi a client's.

# the handshake message that must come next, by its number
cdef enum Await:
    AWAIT_NOTHING = 0
    AWAIT_HELLO = 1
    AWAIT_SERVER_HELLO = 2
    AWAIT_EXTENSIONS = 8        # EncryptedExtensions
    AWAIT_CERTIFICATE = 11
    AWAIT_PARAMS = 12           # ServerKeyExchange
    AWAIT_REQUEST = 13          # CertificateRequest: a ServerHelloDone, in TLS 1.3 a Certificate, will do as well
    AWAIT_DONE = 14             # ServerHelloDone
    AWAIT_VERIFY = 15
    AWAIT_KEY_EXCHANGE = 16     # ClientKeyExchange
    AWAIT_FINISHED = 20
    AWAIT_CIPHER_SPEC = 256     # a record of its own

cdef enum:
    HELLO_REQUEST = 0           # awaited nowhere: a client is asked for another handshake with it

cdef enum End:
    END_NOT = 0
    END_OUTPUT = 1          # prog closed its stdout; everything is sent
    END_NOTIFY = 2          # the client's close_notify
    END_ALERT = 3           # we refuse the peer
    END_REFUSED = 4         # the peer's fatal alert
    END_LOST = 5            # reset, or a failed write
    END_IDLE = 6            # -t
    END_DEADLINE = 7        # -T
    END_SIGNAL = 8          # SIGTERM
    END_KEY = 9             # the key process is gone
    END_EARLY = 10          # EOF before the handshake was done
    END_PROG = 11           # the prog process is gone before the handshake was done
    END_CLEAR = 12          # -n: prog closed its stdout and never asked for TLS
    END_CONTROL = 13        # -n: prog broke the control protocol
    END_TRUNCATED = 14      # client: EOF inside a record, or without the close_notify that -J wants

cdef struct Net:
    Config *config
    int port
    int epoll
    int signals             # signalfd: SIGTERM, SIGCHLD
    int fd_in
    int fd_out
    int killer[2]           # the pipe that signals prog
    pid_t prog
    pid_t key
    bint in_clear           # -n, before TLS
    bint key_dismissed      # -n: there will be no TLS
    bint prog_done
    bint key_done
    bint terminated         # SIGTERM came
    int prog_status
    Ring ring
    int64_t deadline        # monotonic ms; of the handshake, then of idleness
    Addresses addresses
    Anchors anchors         # of -a, for their names
    bint in_ready           # edge-triggered: true until a read says EAGAIN
    bint out_ready
    bint port_ready
    bint clear_in_ready     # -n: prog's stdin, stdout and descriptor 5
    bint clear_out_ready
    bint control_ready
    int end                 # End
    int alert               # the alert to send, NO_ALERT for none
    const char *why         # what the peer did wrong, in words, and BearSSL's name for it if it has one
    const char *symbol
    int refusal             # the peer's fatal alert
    int lost_errno          # of the read or write that failed
    bint lost_writing
    bint lost_early         # a client: before all that prog had to say was out
    int version             # negotiated, 0 before
    const bw_suite *suite   # TLS 1.3: negotiated
    int group
    bint spec_sent          # our own change_cipher_spec is
    int specs               # change_cipher_spec records passed over
    int await_
    int warnings            # consecutive warning alerts
    int renegotiations
    bint output_closed      # client: our direction is ended: no record follows
    bint output_shut        # client: and the end of the stream is out
    uint8_t alert_half      # first byte of an alert split over records
    bint alert_split
    # handshake only
    size_t have             # bytes in rbuf
    size_t used             # of which consumed
    size_t message_len      # bytes collected of the current handshake message
    size_t out_len          # bytes in wbuf
    # records only
    uint64_t filled         # bytes read into the ring, framed or not
    uint64_t seals          # seal operations asked for
    bint in_open
    bint rested             # nothing has moved since memory was given back
    bint output_ended       # prog's stdout is at its end and sealed
    bint input_ended        # end-input was asked for
    bint notified           # TLS 1.3: the peer's close_notify ended its direction
    int64_t heard_ms        # when bytes came last
    int64_t drained_ms      # after prog's exit: when a grandchild's hold on stdout ends

cdef Net net_process
cdef extern from *:
    """
    static uint8_t net_rbuf[24576] BW_PAGES, net_message[131400] BW_PAGES, net_wbuf[262144] BW_PAGES;
    """
    uint8_t net_rbuf[24576]             # one record and what came with it
    uint8_t net_message[131400]         # one handshake message, CLIENT_HELLO_MAX
    uint8_t net_wbuf[262144]            # our flight: chain and anchors' names at their largest

cdef void net_reap(Net *net) noexcept nogil:
    """Collect children that have ended, without waiting."""
    cdef int status = 0
    if not net.prog_done and waitpid(net.prog, &status, WNOHANG) == net.prog:
        net.prog_done = True
        net.prog_status = status
        # what a grandchild may still write is awaited for as long as EOF alone would be
        net.drained_ms = now_ms() + GRACE_MS
    if not net.key_done and waitpid(net.key, &status, WNOHANG) == net.key:
        net.key_done = True

cdef void net_signals(Net *net) noexcept nogil:
    cdef signalfd_siginfo info[2]       # of each number one waits at most
    cdef ssize_t i, n = read(net.signals, info, sizeof(info))
    for i in range(n // <ssize_t>sizeof(signalfd_siginfo)):
        if <int>info[i].ssi_signo == SIGTERM:
            net.terminated = True
            if net.end == END_NOT:
                net.end = END_SIGNAL
    net_reap(net)
    if net.key_done and not net.key_dismissed and net.end == END_NOT:
        net.end = END_KEY
    # before it is exec'ed prog ends by itself only when key has gone, which may be reaped later
    if net.prog_done and net.end == END_NOT and net.await_ != AWAIT_NOTHING and not net.in_clear:
        net.end = END_KEY if WIFEXITED(net.prog_status) else END_PROG

cdef enum:
    EV_SIGNAL = 4
    EV_CLIENT = 5

cdef enum:
    EV_CLEAR_IN = 7
    EV_CLEAR_OUT = 8
    EV_CONTROL = 9

cdef void net_sleep(Net *net, int64_t until) noexcept nogil:
    """Wait for an event, at most until a monotonic time (negative: without limit)."""
    cdef epoll_event events[6]
    cdef int64_t timeout = -1
    cdef int i, n
    if until >= 0:
        timeout = until - now_ms()
        if timeout < 0:
            timeout = 0
        if timeout > 60000:
            timeout = 60000
    n = epoll_wait(net.epoll, events, 6, <int>timeout)
    for i in range(n):
        if events[i].data.u32 == EV_CLIENT:     # an error is for both
            net.in_ready |= (events[i].events & ~<uint32_t>EPOLLOUT) != 0
            net.out_ready |= (events[i].events & ~<uint32_t>(EPOLLIN | EPOLLRDHUP)) != 0
        elif events[i].data.u32 == EV_PORT:
            net.port_ready = True
        elif events[i].data.u32 == EV_SIGNAL:
            net_signals(net)
        elif events[i].data.u32 == EV_CLEAR_IN:
            net.clear_in_ready = True
        elif events[i].data.u32 == EV_CLEAR_OUT:
            net.clear_out_ready = True
        elif events[i].data.u32 == EV_CONTROL:
            net.control_ready = True

cdef void net_close(Net *net, int *fd) noexcept nogil:
    """Close an end that key or prog shares: epoll would go on reporting it, so it is taken out first."""
    if fd[0] >= 0:
        epoll_ctl(net.epoll, EPOLL_CTL_DEL, fd[0], NULL)
        close(fd[0])
        fd[0] = -1

cdef void net_dismiss_key(Net *net) noexcept nogil:
    """There will be no TLS: key ends, and with it its share of prog's pipes."""
    if not net.key_dismissed:
        net.key_dismissed = True
        net_close(net, &net.port)

cdef bint net_prepare(Net *net, int wake) noexcept nogil:
    """Everything that needs a new descriptor, before the jail."""
    cdef sigset_t mask
    cdef int yes = 1
    # Nagle would hold our Finished until the client's delayed acknowledgement; records are written whole anyway.
    # A descriptor that is no TCP socket refuses it, which is fine.
    setsockopt(net.fd_out, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
    sigemptyset(&mask)
    if net.config.client == NULL:
        sigaddset(&mask, SIGTERM)       # a client may just die: prog sees EOF
    sigaddset(&mask, SIGCHLD)
    net.in_ready = True
    net.out_ready = True
    net.in_open = True
    net.alert = NO_ALERT
    if sigprocmask(SIG_BLOCK, &mask, NULL) < 0:
        return False
    net.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)
    net.epoll = epoll_create1(EPOLL_CLOEXEC)
    return (net.signals >= 0 and net.epoll >= 0 and watch(net.epoll, net.signals, EPOLLIN, EV_SIGNAL)
            and watch(net.epoll, wake, EPOLLIN, EV_WAKE) and watch(net.epoll, net.port, EPOLLIN, EV_PORT)
            and watch(net.epoll, net.fd_in, EPOLLIN | EPOLLRDHUP | EPOLLOUT, EV_CLIENT)
            and (net.fd_out == net.fd_in or watch(net.epoll, net.fd_out, EPOLLOUT, EV_CLIENT))
            # a listener accepts sockets that are so
            and (net.config.listening or (nonblocking(net.fd_in) and nonblocking(net.fd_out))))

cdef bint net_over(Net *net) noexcept nogil:
    return net.end != END_NOT

cdef void net_fail(Net *net, int alert, const char *why) noexcept nogil:
    """Refuse the peer: the first reason counts. why outlives the call."""
    cdef char m[256]
    if net.end != END_NOT:
        return
    net.end = END_ALERT
    net.alert = alert
    net.why = why
    snprintf(m, sizeof(m), "TLS error: %s", why)
    log_debug(m)
    if net.await_ == AWAIT_NOTHING:
        snprintf(m, sizeof(m), "TLS sent alert: %s", alert_name(alert))
        log_error(m, 0)
    else:
        snprintf(m, sizeof(m), "tls phase: handshake failed, %s", alert_name(alert))
        log_debug(m)

cdef void net_fail_error(Net *net, int error) noexcept nogil:
    """Refuse the peer for one of BearSSL's reasons."""
    if net.end == END_NOT:
        net.symbol = error_row(error).symbol
    net_fail(net, error_row(error).alert, error_row(error).text)

cdef void net_lost(Net *net, bint writing) noexcept nogil:
    """A read or write failed: there is nobody to say anything to."""
    net.end = END_LOST
    if net.lost_errno == 0:
        net.lost_errno = errno
        net.lost_writing = writing

cdef void net_refused_record(Net *net, int alert) noexcept nogil:
    """Key refused a record; every failure of decryption looks the same."""
    if alert == BAD_RECORD_MAC:
        net_fail_error(net, BR_ERR_BAD_MAC)
    else:
        net_fail(net, alert, "record refused")

cdef int record_check(Net *net, const uint8_t *header, bint sealed) noexcept nogil:
    """Check a record header (RFC 5246 section 6.2.1); 0 or the alert that refuses it."""
    cdef int version = (<int>header[1] << 8) | header[2]
    cdef size_t length = (<size_t>header[3] << 8) | header[4]
    if net.version == TLS13:            # the version is nobody's business (RFC 8446 section 5.1)
        if header[0] != 23 and (header[0] != 20 or net.await_ == AWAIT_NOTHING):
            return UNEXPECTED_MESSAGE
        return RECORD_OVERFLOW if length > SEALED_MAX else 0
    if not 20 <= header[0] <= 23:
        return UNEXPECTED_MESSAGE
    if header[1] != 3 or (net.version and version != net.version):
        return PROTOCOL_VERSION
    if length > (CIPHERTEXT_MAX if sealed else PLAINTEXT_MAX):
        return RECORD_OVERFLOW
    # application data before the keys are there, and empty fragments of the other types, are never legal in clear
    if not sealed and (header[0] == 23 or length == 0):
        return UNEXPECTED_MESSAGE
    return 0

cdef void net_alert_received(Net *net, int level, int number) noexcept nogil:
    cdef char m[128]
    cdef bint tls13 = net.version == TLS13
    if level != 1 and level != 2 and not tls13:
        net_fail(net, ILLEGAL_PARAMETER, "alert of an unknown level")
        return
    if number == CLOSE_NOTIFY and tls13 and net.await_ == AWAIT_NOTHING:
        # the peer's direction is at its end, ours goes on (RFC 8446 section 6.1)
        net.in_open = False
        net.input_ended = net.notified = True
        port_send(net.port, BW_OP_CLOSE_INPUT, NULL, 0)
        return
    if number == CLOSE_NOTIFY:
        net.end = END_NOTIFY
        return
    snprintf(m, sizeof(m), "TLS received alert: %s", alert_name(number))
    if net.await_ == AWAIT_NOTHING:
        log_error(m, 0)
    else:
        log_debug(m)
    # in TLS 1.3 the level says nothing (section 6); close_notify follows user_canceled
    if number != USER_CANCELED if tls13 else level == 2:
        net.end = END_REFUSED
        net.refusal = number
        return
    net.warnings += 1
    if net.warnings > WARNINGS_MAX:
        net_fail(net, UNEXPECTED_MESSAGE, "too many warning alerts")

cdef size_t message_size(Net *net) noexcept nogil:
    """Bytes of the handshake message being collected, its header included; the header's 4 until that is here."""
    if net.message_len < 4:
        return 4
    return 4 + ((<size_t>net_message[1] << 16) | (<size_t>net_message[2] << 8) | net_message[3])

cdef size_t message_take(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """Collect what belongs to the current header or message; how many bytes that was. The caller bounds the size."""
    cdef size_t k = message_size(net) - net.message_len
    k = k if k < n else n
    memcpy(net_message + net.message_len, p, k)
    net.message_len += k
    return k

cdef void net_alerts(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """The content of an alert record: in TLS 1.3 one alert, and whole, between messages (RFC 8446 section 5.1); before
    it pairs of bytes, possibly split over records (RFC 5246 section 6.2.1)."""
    cdef size_t i
    if net.version == TLS13 and net.message_len:
        net_fail(net, UNEXPECTED_MESSAGE, "alert inside a handshake message")
        return
    if net.version == TLS13 and n != 2:
        net_fail(net, DECODE_ERROR, "malformed alert")
        return
    for i in range(n):
        if net.end != END_NOT:
            return
        if not net.alert_split:
            net.alert_half = p[i]
            net.alert_split = True
        else:
            net.alert_split = False
            net_alert_received(net, net.alert_half, p[i])
