# netend - the end of a connection, orderly for each side: the last alert reaches the client, prog gets EOF and,
# if it does not end, SIGTERM and SIGKILL; no process is left, and prog's status becomes the exit code.

cdef int net_upload_queued(Net *net) noexcept nogil:
    """How much of a client's last bytes is not acknowledged yet: a reset would throw them away."""
    cdef int queued = 0
    if net.config.client != NULL and net.end == END_OUTPUT:
        ioctl(net.fd_out, TIOCOUTQ, &queued)
    return queued

cdef void net_linger(Net *net) noexcept nogil:
    """After our last record: FIN, then read and drop, so that no reset takes that record from the peer's hands.

    After an orderly end a peer that is silent is not waited for, only one that is still sending.
    """
    cdef int64_t until = now_ms() + (LINGER_MS if net.end == END_ALERT else 0)
    cdef int64_t now, wait
    cdef size_t dropped = 0
    cdef ssize_t n
    shutdown(net.fd_out, SHUT_WR)
    while dropped < LINGER_BYTES or net_upload_queued(net):
        n = read(net.fd_in, net_rbuf, sizeof(net_rbuf))
        now = now_ms()
        if n > 0:
            dropped += <size_t>n
            net.heard_ms = now
            if n > ALERT_RECORD_MAX:        # more than the close_notify that answers ours
                until = now + LINGER_MS
        elif n == 0 or (errno != EAGAIN and errno != EINTR):
            break
        else:
            wait = until
            # a peer that was sending may go on after a pause; the end itself is not waited for
            if now < net.heard_ms + LINGER_QUEUED_MS and net_upload_queued(net) > ALERT_RECORD_MAX:
                wait = now + LINGER_LOOK_MS
            if now >= wait:
                break
            net_sleep(net, wait)

cdef void net_last_words(Net *net) noexcept nogil:
    """The alert that this end asks for, sealed if our direction is."""
    cdef bint running = net.await_ == AWAIT_NOTHING
    cdef int level = 2, number = net.alert
    cdef int64_t until = now_ms() + GRACE_MS
    if running and net.end != END_OUTPUT:
        port_send(net.port, BW_OP_DROP_OUTPUT, NULL, 0)
    if net.end == END_OUTPUT or net.end == END_NOTIFY or net.end == END_IDLE:
        level = 1
        number = CLOSE_NOTIFY
        if not running:
            return
        if net.end == END_OUTPUT:
            port_send(net.port, BW_OP_END_INPUT, NULL, 0)
        if net.end != END_IDLE:
            until = now_ms() + net.config.idle_ms
    if number == NO_ALERT:
        return
    if engine.out_switched:
        net_seal_alert(net, level, number)
        net_flush(net, until)
    else:
        net.out_len = 0
        net_wbuf[0] = 21
        put_uint(net_wbuf + 1, BR_TLS12 if net.version == TLS13 else net.version if net.version else 0x0301, 2)
        put_uint(net_wbuf + 3, 2, 2)
        net_wbuf[5] = <uint8_t>level
        net_wbuf[6] = <uint8_t>number
        # a fresh alert fits any socket buffer; one that does not is lost, as its peer no longer reads
        if write(net.fd_out, net_wbuf, 7) != 7:
            return
    net_linger(net)

cdef int net_wait_prog(Net *net, int64_t patience_ms) noexcept nogil:
    """Wait for prog; after patience_ms (negative: for ever) SIGTERM, GRACE_MS later SIGKILL. Its exit code."""
    cdef char m[64]
    cdef int64_t until = -1
    cdef int next_signal = SIGTERM
    if patience_ms >= 0:
        until = now_ms() + patience_ms
    while not net.prog_done:
        if net.terminated and until < 0:
            until = now_ms() + GRACE_MS
        if until >= 0 and now_ms() >= until:
            signal_pipe_send(net.killer, next_signal)
            until = now_ms() + GRACE_MS
            next_signal = SIGKILL
        net_sleep(net, until)
        net_reap(net)
    if WIFEXITED(net.prog_status):
        if log_state.level >= LOG_DEBUG:
            snprintf(m, sizeof(m), "child exited with status %d", WEXITSTATUS(net.prog_status))
            log_debug(m)
        return WEXITSTATUS(net.prog_status)
    snprintf(m, sizeof(m), "child process killed by signal %d", WTERMSIG(net.prog_status))
    log_fatal(m, 0)
    return 111

cdef const char *end_text(int end) noexcept nogil:
    if end == END_OUTPUT: return "finished, close_notify sent, not waiting for peer"
    if end == END_NOTIFY: return "finished, TLS closed normally"
    if end == END_ALERT: return "finished, TLS error"
    if end == END_REFUSED: return "finished, refused by peer"
    if end == END_LOST: return "write to network failed"
    if end == END_IDLE: return "timeout"
    if end == END_SIGNAL: return "signal"
    if end == END_KEY: return "key process ended"
    if end == END_CLEAR: return "finished, no TLS"
    if end == END_CONTROL: return "control protocol broken"
    return "finished"

cdef int net_end(Net *net) noexcept nogil:
    """From the end of the relay, or of a failed handshake, to the exit code."""
    cdef bint running = net.await_ == AWAIT_NOTHING and not net.in_clear
    cdef int end = net.end, status = 0, code
    cdef char m[128]
    cdef int64_t patience = 0
    if net.in_clear:
        snprintf(m, sizeof(m), "clear phase: %s", end_text(end))
        log_debug(m)
        if end == END_CLEAR:
            patience = -1
            net_linger(net)
    elif running:
        if log_state.level >= LOG_DEBUG:
            snprintf(m, sizeof(m), "tls phase: %s", end_text(end))
            log_debug(m)
    elif end == END_KEY:
        log_error("key process ended", 0)
    elif end == END_DEADLINE or end == END_EARLY or end == END_LOST:
        log_debug("tls phase: handshake failed, timed out" if end == END_DEADLINE
                  else "tls phase: handshake failed, connection closed by peer")
    if net.in_clear:
        pass
    elif end == END_OUTPUT or end == END_NOTIFY or end == END_ALERT or end == END_REFUSED or end == END_IDLE:
        net_last_words(net)
    elif running and end != END_KEY:
        port_send(net.port, BW_OP_DROP_OUTPUT, NULL, 0)
    shutdown(net.fd_in, SHUT_RD)
    shutdown(net.fd_out, SHUT_WR)
    close(net.fd_in)
    if net.fd_out != net.fd_in:
        close(net.fd_out)
    if not running:
        net_dismiss_key(net)    # prog sees EOF: on the pipe it waits on, or with -n on its stdin
    elif end == END_OUTPUT:
        patience = -1
    elif end == END_NOTIFY or end == END_ALERT or end == END_REFUSED:
        patience = net.config.idle_ms
    else:
        patience = GRACE_MS
    code = net_wait_prog(net, patience if running or end == END_CLEAR else GRACE_MS)
    if running:
        close(net.port)
    if not net.key_done:
        waitpid(net.key, &status, 0)
    return code
