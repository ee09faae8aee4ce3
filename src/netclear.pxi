# netclear - delayed encryption (-n): relay in clear until prog asks for TLS, then hand over with nothing left over.
#
# prog runs from the start, with a control pipe on descriptor 5 and an acknowledgement pipe on 6. Two protocols, told
# apart by what comes on 5: one zero byte (acknowledged on 6 by one), or text and EOF (the text goes to the client).
# At the switch everything prog has written goes out first; what the client sent in clear and prog has not read is
# dropped wherever it is, in our buffer and in prog's stdin pipe, so that no command crosses into TLS.

cdef enum:
    CLEAR_BUFFER = 8192
    CONTROL_MAX = 1024      # the old protocol's text
    QUIET_MS = 100          # prog that has written nothing for so long has said all it will about a line

cdef enum Asked:
    ASKED_NOT = 0
    ASKED_BYTE = 1          # the zero byte: acknowledge
    ASKED_TEXT = 2          # text so far; EOF is the signal
    ASKED_TEXT_END = 3
    ASKED_NEVER = 4         # the control pipe was closed without a word: clear to the end

cdef enum LineKind:
    LINE_PLAIN = 0
    LINE_ASKS_IF_OVER = 1   # for TLS, if no further word comes
    LINE_ASKS = 2

cdef struct Clear:
    int prog_in             # write end of prog's stdin, -1 once closed
    int prog_in_drain       # the same pipe's read end, opened anew without blocking
    int prog_out
    int control
    int ack
    bint output_ended
    int asked
    char text[1024]         # CONTROL_MAX
    size_t text_len
    uint8_t up[8192]        # client -> prog
    size_t up_at
    size_t up_len
    size_t up_now           # of which prog may have this much before it answers, see clear_allow
    int64_t hold_ms         # until then what the client sends, beyond up_now, is kept from prog
    bint hello              # `up` looks like a ClientHello
    char word[9]            # the current word of the client's current line, upper case, cut
    size_t word_len
    size_t words            # that this line had before it
    int line                # a LineKind, as far as it is known
    uint8_t down[8192]      # prog -> client
    size_t down_at
    size_t down_len

cdef Clear clear_phase

cdef bint clear_prepare(Net *net, int prog_in, int prog_in_read, int prog_out, int control, int ack) noexcept nogil:
    """Before the jail: a second opening of prog's stdin pipe that does not share prog's blocking mode, and watches."""
    cdef Clear *c = &clear_phase
    cdef char path[64]
    c.prog_in = prog_in
    c.prog_out = prog_out
    c.control = control
    c.ack = ack
    net.clear_in_ready = net.clear_out_ready = net.control_ready = True
    snprintf(path, sizeof(path), "/proc/self/fd/%d", prog_in_read)
    c.prog_in_drain = open_(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    close(prog_in_read)
    return (c.prog_in_drain >= 0 and nonblocking(prog_in) and nonblocking(prog_out) and nonblocking(control)
            and watch(net.epoll, prog_in, EPOLLOUT, EV_CLEAR_IN) and watch(net.epoll, prog_out, EPOLLIN, EV_CLEAR_OUT)
            and watch(net.epoll, control, EPOLLIN, EV_CONTROL))

cdef void clear_close_all(Net *net) noexcept nogil:
    cdef Clear *c = &clear_phase
    net_close(net, &c.prog_in)
    net_close(net, &c.prog_in_drain)
    net_close(net, &c.prog_out)
    net_close(net, &c.control)
    net_close(net, &c.ack)
    explicit_bzero(c.up, sizeof(c.up))
    explicit_bzero(c.down, sizeof(c.down))
    explicit_bzero(c.text, sizeof(c.text))

cdef void clear_word(Clear *c) noexcept nogil:
    """The end of a word of the client's line: may the line ask for TLS?

    STARTTLS or STLS is its first or second word (IMAP has a tag before it), whatever follows. Or TLS is its last one
    of at most two (AUTH TLS), or its one word is a beginning of STARTTLS, which tlswrapper-smtp took for it up to
    0~20230101. More would slow texts down that are sent in clear: each of their lines that looks so is a hold.
    """
    cdef bint whole
    if c.word_len == 0:
        return
    c.word[c.word_len if c.word_len < sizeof(c.word) else 0] = 0
    c.words += 1
    whole = strcmp(c.word, "STARTTLS") == 0 or strcmp(c.word, "STLS") == 0
    if whole and c.words <= 2:
        c.line = LINE_ASKS
    elif c.line != LINE_ASKS:
        c.line = LINE_PLAIN
        if strcmp(c.word, "TLS") == 0 and c.words <= 2:
            c.line = LINE_ASKS_IF_OVER
        elif strncmp(c.word, "STARTTLS", c.word_len) == 0 and c.words == 1:
            c.line = LINE_ASKS_IF_OVER
    c.word_len = 0

cdef size_t clear_line(Clear *c, const uint8_t *p, size_t n) noexcept nogil:
    """Bytes up to the end of the first line that may ask for TLS, which begins a hold; n when there is none.

    The line may have come in pieces. CR and NUL end a word too, as programs differ in what they take for a line end.
    """
    cdef size_t i
    cdef int line
    cdef char x
    for i in range(n):
        x = <char>p[i]
        if x == c'\n':
            clear_word(c)
            line = c.line
            c.line = LINE_PLAIN
            c.words = 0
            if line != LINE_PLAIN:
                c.hold_ms = now_ms() + GRACE_MS
                return i + 1
        elif x == c' ' or x == c'\t' or x == c'\r' or x == 0:
            clear_word(c)
        else:
            if c.word_len < sizeof(c.word):
                c.word[c.word_len] = x - 32 if c'a' <= x <= c'z' else x
                c.word_len += 1
    return n

cdef void clear_allow(Clear *c) noexcept nogil:
    """Decide how much of what the client has just sent prog may have at once; the rest waits for the end of a hold.

    Behind a line that may ask for TLS nothing goes on, in whatever packet it comes, until prog has answered and said
    no more for QUIET_MS, or for GRACE_MS: a prog of the old protocol would take it for something that came under TLS.
    And prog says 220 on stdout before it signals on descriptor 5: a quick client's ClientHello may come in between
    and must not end in prog's hands.
    """
    if c.asked != ASKED_NOT:
        c.up_now = c.up_len
        return
    c.hello = c.up_at == 0 and c.up_len > 2 and c.up[0] == 22 and c.up[1] == 3
    c.up_now = 0
    if c.hello:
        c.hold_ms = now_ms() + GRACE_MS
    elif now_ms() >= c.hold_ms:
        c.up_now = clear_line(c, c.up + c.up_at, c.up_len)

cdef bint clear_up(Net *net) noexcept nogil:
    """client -> prog; True when something moved."""
    cdef Clear *c = &clear_phase
    cdef ssize_t n
    if c.up_len == 0 and net.in_open and net.in_ready and (c.asked == ASKED_NOT or c.asked == ASKED_NEVER):
        n = read(net.fd_in, c.up, CLEAR_BUFFER)
        if n > 0:
            c.up_at = 0
            c.up_len = <size_t>n
            clear_allow(c)
            net_active(net)
            return True
        if n < 0 and errno == EINTR:
            return True
        net.in_ready = False
        if n < 0 and errno == EAGAIN:
            return False
        net.in_open = False
        if n < 0:
            net_lost(net, False)
        return True
    if c.up_now == 0 and c.up_len and (now_ms() >= c.hold_ms or c.asked == ASKED_NEVER):
        if c.hello:
            c.hello = False
            c.up_now = c.up_len
        else:
            clear_allow(c)
    if c.up_now and c.prog_in >= 0 and net.clear_in_ready:
        n = write(c.prog_in, c.up + c.up_at, c.up_now)
        if n > 0:
            c.up_at += <size_t>n
            c.up_len -= <size_t>n
            c.up_now -= <size_t>n
            return True
        net.clear_in_ready = n < 0 and errno == EINTR
        return net.clear_in_ready
    if not net.in_open and c.up_len == 0 and c.prog_in >= 0:
        # half-close: prog's stdin ends when nobody holds its other end, key and our own second opening included
        net_dismiss_key(net)
        net_close(net, &c.prog_in)
        net_close(net, &c.prog_in_drain)
        return True
    return False

cdef bint clear_down(Net *net) noexcept nogil:
    """prog -> client; True when something moved."""
    cdef Clear *c = &clear_phase
    cdef ssize_t n
    if c.down_len == 0 and not c.output_ended and net.clear_out_ready:
        n = read(c.prog_out, c.down, CLEAR_BUFFER)
        if n > 0:
            c.down_at = 0
            c.down_len = <size_t>n
            if c.hold_ms and not c.hello:
                c.hold_ms = now_ms() + QUIET_MS
            net_active(net)
            return True
        if n < 0 and errno == EINTR:
            return True
        net.clear_out_ready = False
        if n == 0:
            c.output_ended = True
            return True
        return False
    if c.down_len and net.out_ready:
        n = write(net.fd_out, c.down + c.down_at, c.down_len)
        if n > 0:
            c.down_at += <size_t>n
            c.down_len -= <size_t>n
            net_active(net)
            return True
        if n < 0 and errno == EINTR:
            return True
        net.out_ready = False
        if n < 0 and errno != EAGAIN:
            net_lost(net, True)
    return False

cdef void clear_abort(Net *net, const char *why) noexcept nogil:
    cdef char m[128]
    snprintf(m, sizeof(m), "unexpected STARTTLS control signal: %s", why)
    log_debug(m)
    net.end = END_CONTROL

cdef bint clear_control(Net *net) noexcept nogil:
    """Look at descriptor 5, but only when all that prog has written so far is out; True when something came."""
    cdef Clear *c = &clear_phase
    cdef ssize_t n
    if c.down_len or (net.clear_out_ready and not c.output_ended) or c.control < 0 or not net.control_ready:
        return False
    n = read(c.control, c.text + c.text_len, CONTROL_MAX - c.text_len)
    if n < 0:
        net.control_ready = errno == EINTR
        return net.control_ready
    # what prog wrote to stdout before it signalled may have come in between
    net.clear_out_ready = not c.output_ended
    if n == 0 and c.asked == ASKED_NOT:
        log_debug("control pipe closed before STARTTLS, continuing cleartext relay")
        c.asked = ASKED_NEVER
        net_close(net, &c.control)
    elif n == 0:
        c.asked = ASKED_TEXT_END
        net_close(net, &c.control)
    elif c.asked == ASKED_NOT and c.text[0] == 0:
        if n != 1:
            clear_abort(net, "more than one byte")
        c.asked = ASKED_BYTE
        log_tracing("child requested encryption(STARTTLS)")
        net_close(net, &c.control)
    else:
        c.asked = ASKED_TEXT
        c.text_len += <size_t>n
        if memchr(c.text, 0, c.text_len) != NULL:
            clear_abort(net, "a zero byte in the text")
        elif c.text_len == CONTROL_MAX:
            clear_abort(net, "text too long")
    return True

cdef bint clear_switch(Net *net) noexcept nogil:
    """prog has asked and all it wrote is out: drop the client's clear bytes, answer, let go of prog's pipes."""
    cdef Clear *c = &clear_phase
    cdef char zero = 0
    cdef ssize_t n
    if c.asked == ASKED_TEXT_END:
        net.out_len = c.text_len
        memcpy(net_wbuf, c.text, c.text_len)
        log_tracing("child requested encryption(STARTTLS)")
        net_write_all(net)
        if net_over(net):
            return False
    if c.hello:
        memcpy(net_rbuf, c.up, c.up_len)
        net.have = c.up_len
    while True:
        n = read(c.prog_in_drain, c.up, CLEAR_BUFFER)
        if n <= 0 and not (n < 0 and errno == EINTR):
            break
    if c.asked == ASKED_BYTE and write(c.ack, &zero, 1) != 1:
        clear_abort(net, "acknowledgement not taken")
        return False
    clear_close_all(net)
    return True

cdef void net_clear(Net *net) noexcept nogil:
    """The clear phase: until TLS is asked for (net.end is END_NOT then) or the connection is over."""
    cdef Clear *c = &clear_phase
    cdef uint8_t facts[256]
    cdef bint moved
    cdef int64_t until
    net.in_clear = True
    net_active(net)
    port_send(net.port, BW_OP_START, facts, run_facts(net, facts))
    while not net_over(net):
        moved = clear_down(net)
        if not net_over(net):
            moved = clear_control(net) or moved
        if not net_over(net):
            moved = clear_up(net) or moved
        if moved or net_over(net):
            continue
        if (c.asked == ASKED_BYTE or c.asked == ASKED_TEXT_END) and c.down_len == 0:
            if clear_switch(net):
                net.deadline = now_ms() + net.config.handshake_ms
                net.in_clear = False
                return
            continue
        if c.output_ended and c.down_len == 0:
            net.end = END_CLEAR
            break
        if now_ms() >= net.deadline:
            net.end = END_IDLE
            break
        until = net.deadline
        if c.up_len and c.up_now == 0 and c.hold_ms < until:
            until = c.hold_ms
        net_sleep(net, until)
    clear_close_all(net)
