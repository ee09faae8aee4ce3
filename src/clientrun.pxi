# clientrun - a TLS client's connection from its descriptors to its exit code: forks, trust, handshake, transfer, end.
#
# The rules of its end are UCSPI's, not a server's: the two directions end apart, nothing is timed after the
# handshake, and prog is waited for as long as it runs (s6-tlsc(1)).

cdef void client_line(const char *phase, const char *what, const char *symbol) noexcept nogil:
    """Why the connection ended: `what` in words, and BearSSL's name for it if it has one."""
    cdef char m[512]
    if symbol != NULL:
        snprintf(m, sizeof(m), "the TLS engine closed the connection %s the handshake: %s (%s)", phase, what, symbol)
    else:
        snprintf(m, sizeof(m), "the TLS engine closed the connection %s the handshake: %s", phase, what)
    log_fatal(m, 0)

cdef int client_report(Net *net) noexcept nogil:
    """Say what went wrong, if anything did; the exit code that it has before prog runs."""
    cdef const char *phase = "during"
    cdef char m[64]
    cdef int end = net.end
    if net.await_ == AWAIT_NOTHING:
        phase = "after"
    if end == END_ALERT:
        client_line(phase, net.why, net.symbol)
    elif end == END_REFUSED:
        snprintf(m, sizeof(m), "alert %s received", alert_name(net.refusal))
        client_line(phase, m, NULL)
    elif end == END_EARLY:
        client_line(phase, "connection closed by the peer", "BR_ERR_IO")
    elif end == END_NOTIFY and net.await_ != AWAIT_NOTHING:
        client_line(phase, "alert close_notify received", NULL)
    elif end == END_TRUNCATED and net.filled != net.ring.head:
        client_line(phase, "connection closed by the peer in the middle of a record", "BR_ERR_IO")
    elif end == END_TRUNCATED:
        log_fatal("remote closed connection without a close_notify", 0)
    elif end == END_DEADLINE:
        if net.config.client.verbosity > 0:
            log_fatal("handshake timed out", 0)
    elif end == END_LOST:
        if net.lost_writing:
            log_fatal("unable to write to remote", net.lost_errno)
        else:
            log_fatal("unable to read from remote", net.lost_errno)
        return EXIT_SYSTEM
    elif end == END_KEY:
        log_fatal("key process ended", 0)
        return EXIT_SYSTEM
    elif end == END_PROG:
        log_fatal("prog process ended before the handshake was done", 0)
        return EXIT_SYSTEM
    return EXIT_TLS

cdef bint client_output_sent(Net *net) noexcept nogil:
    """Our close_notify, if -S asks for one, and all before it are out; the end of the stream is not."""
    return (net.output_closed and not net.output_shut and bw_load_u64(&net.ring.theirs.seals) == net.seals
            and ring_available(&net.ring) == 0)

cdef void client_close_output(Net *net) noexcept nogil:
    """prog has closed its side and all of it is out: pass that on as -S or -s asks, a step a call."""
    if not net.output_closed:
        net.output_closed = True
        if net.config.client.close_notify:
            net_seal_alert(net, 1, CLOSE_NOTIFY)
    if client_output_sent(net):
        net.output_shut = True
        if shutdown(net.fd_out, SHUT_WR) < 0 and errno == ENOTSOCK:
            net_close(net, &net.fd_out)         # a pair of pipes

cdef bint client_delivered(Net *net) noexcept nogil:
    """The peer will send no more, and prog has been given all that came."""
    return not net.in_open and bw_load_u64(&net.ring.theirs.tail) == net.ring.head

cdef int64_t client_patience(Net *net) noexcept nogil:
    """Until when a descendant of prog that holds its pipe may be silent; -1 while there is no such limit.

    While the network holds up what is already sealed, its silence means nothing.
    """
    if not net.prog_done or net.output_ended or ring_available(&net.ring):
        return -1
    return net.drained_ms if net.drained_ms > net.deadline else net.deadline

cdef void client_lost(Net *net) noexcept nogil:
    """A read or write failed, or nothing more is there after a write that did: what has come is still delivered.

    A peer that closes as soon as it has said all resets the connection when something of ours is on its way to it.
    """
    cdef bint look_again = net.end == END_LOST and net.lost_writing and net.in_open
    if not net.output_shut:
        net.lost_early = True
    net.end = END_NOT
    if look_again:
        net.in_ready = True
    else:
        net.in_open = False
        port_send(net.port, BW_OP_END_INPUT, NULL, 0)

cdef bint client_discard(Net *net) noexcept nogil:
    """What cannot be sent any more must not hold prog up, which may have to read before it sees the end."""
    cdef size_t n = ring_available(&net.ring)
    if n == 0 or n > RING_SIZE:
        return False
    net.ring.tail += n
    ring_publish(&net.ring)
    return True

cdef int client_finished(Net *net) noexcept nogil:
    """How it ends once prog has: what was lost before that is still to be said, prog may have ended of it."""
    return END_LOST if net.lost_early else END_OUTPUT

cdef void client_run_loop(Net *net) noexcept nogil:
    """Relay until net.end says why it is over."""
    cdef Ring *r = &net.ring
    cdef bint moved, delivered
    cdef int64_t until
    net_begin(net)
    while not net_over(net):
        moved = net_port(net)
        if not net_over(net):
            moved = net_input(net) or moved
        if not net_over(net):
            moved = (client_discard(net) if net.lost_errno else net_output(net)) or moved
        if net.end == END_LOST or (net.lost_errno and net.in_open and not net.in_ready):
            client_lost(net)
        if moved or net_over(net):
            continue
        until = client_patience(net)
        if until >= 0 and now_ms() >= until:
            net.end = client_finished(net)
            break
        if net.output_ended and ring_available(r) == 0:
            client_close_output(net)
            if net.output_shut and net.prog_done:
                net.end = client_finished(net)
                break
        delivered = client_delivered(net)
        if delivered:
            net.port_ready = True               # key has told of the last record before it moved its cursor
            if net_port(net) or net_over(net):
                continue
            if net.lost_errno:
                net.end = END_LOST
                break
            if not net.notified and (net.filled != r.head or net.config.client.enforce_close_notify):
                net.end = END_TRUNCATED
                break
            if net.output_shut:
                net.end = END_OUTPUT
                break
        until = net_rest_until(net, now_ms(), until)
        ring_sleeping(r, net_wants(net))
        if not net_may_move(net) and not client_output_sent(net) and client_delivered(net) == delivered:
            net_sleep(net, until)
        ring_awake(r)

cdef void client_last_words(Net *net) noexcept nogil:
    """close_notify or the alert that this end asks for, then the end of the socket without a reset behind it."""
    cdef int end = net.end
    if end == END_ALERT and not net.output_closed:
        net_last_words(net)
    elif end == END_OUTPUT or end == END_NOTIFY:
        if not net.output_closed and (end == END_NOTIFY or net.config.client.close_notify):
            net_seal_alert(net, 1, CLOSE_NOTIFY)
            net_flush(net, now_ms() + LINGER_MS)
        net_linger(net)

cdef int client_wait(Net *net) noexcept nogil:
    """Wait for prog, however long; its exit code as s6-tlsc maps it."""
    cdef int status = 0
    while not net.prog_done:
        net_sleep(net, -1)
        net_reap(net)
    if not net.key_done:
        waitpid(net.key, &status, 0)
    if WIFEXITED(net.prog_status):
        return WEXITSTATUS(net.prog_status) if WEXITSTATUS(net.prog_status) < 128 else 128
    return 128 + WTERMSIG(net.prog_status)

cdef bint client_trust(Net *net, int *code) noexcept nogil:
    """Have key read anchors and identity; False with the exit code after key's line."""
    cdef ssize_t n = ask(BW_OP_TRUST, NULL, 0)
    if n == 1 and port_reply[0] != STATUS_OK:
        code[0] = answer()[0]
        return False
    if n < 2 or (answer()[1] and not engine_chain(<size_t>n)):
        log_fatal("key process ended", 0)
        code[0] = EXIT_SYSTEM
        return False
    return True

cdef bint client_unheard(Net *net) noexcept nogil:
    """All that prog wrote is out and prog is gone, or about to be: nothing the peer says to that concerns anybody."""
    cdef int64_t until = now_ms() + LEAVING_MS
    if net.lost_early:
        return False
    while net.output_shut and not net.prog_done and now_ms() < until:
        net_sleep(net, until)
        net_reap(net)
    return net.output_shut and net.prog_done

cdef int client_end(Net *net) noexcept nogil:
    """From the end of the relay, or of a failed handshake, to the exit code."""
    cdef bint running = net.await_ == AWAIT_NOTHING
    cdef int status, code = 0
    if net.end != END_OUTPUT and not (running and (net.end == END_NOTIFY or client_unheard(net))):
        code = client_report(net)
    if running or net.end == END_ALERT:
        client_last_words(net)
    net_close(net, &net.fd_in)
    net_close(net, &net.fd_out)
    net_dismiss_key(net)        # and with key go its ends of prog's pipes
    status = client_wait(net)
    return status if running else code

cdef int client_run(Config *config, int64_t started_ms) noexcept nogil:
    """Be the TLS client of the connection on the two descriptors; the exit code of the program."""
    cdef Net *net = &net_process
    cdef Pipes p
    cdef int code = 0
    if not standard_descriptors(False):
        return EXIT_SYSTEM
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    signal(SIGALRM, SIG_DFL)
    net.fd_in = config.client.read_fd
    net.fd_out = config.client.write_fd
    net.deadline = started_ms + config.handshake_ms if config.handshake_ms else <int64_t>1 << 62
    bw_libcrypto_init()             # net hashes; key needs more than this and sees to it
    if not connection_fork(config, net, &p, -1) or not net_ready(net, &p):
        return EXIT_SYSTEM
    if not confine(&config.jail):
        log_fatal("unable to create jail", 0)
        return EXIT_SYSTEM
    limit_calls(BW_NET)
    if not client_trust(net, &code):
        net_dismiss_key(net)
        client_wait(net)
        return code
    if not client_start(config, net.port):
        log_fatal("unable to start the TLS engine", 0)
        return EXIT_SYSTEM
    net_handshake(net)
    if not net_over(net):
        client_run_loop(net)
    return client_end(net)
