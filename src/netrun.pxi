# netrun - a server's connection once it has its keys: records move until net.end says why it is over.
#
# What is not application data comes back opened from key over the port.

cdef void net_renegotiation(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """A handshake message after the handshake: a wish for another one is refused politely (RFC 5746 section 4.4).

    A server is asked by a ClientHello, a client by an empty HelloRequest.
    """
    cdef bint is_client = net.config.client != NULL
    cdef size_t k
    while n and not net_over(net):
        k = message_take(net, p, n)
        p += k
        n -= k
        if net.message_len < 4:
            continue
        if net_message[0] != (HELLO_REQUEST if is_client else AWAIT_HELLO):
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected handshake message")
        elif message_size(net) - 4 > (0 if is_client else CLIENT_HELLO_MAX):
            net_fail(net, DECODE_ERROR if is_client else ILLEGAL_PARAMETER, "handshake message too long")
        elif net.message_len == message_size(net):
            net.message_len = 0
            net.renegotiations += 1
            if net.renegotiations > RENEGOTIATIONS_MAX:
                net_fail(net, HANDSHAKE_FAILURE, "too many renegotiation attempts")
            elif not net.output_closed:
                net_seal_alert(net, 1, NO_RENEGOTIATION)

cdef bint net_port(Net *net) noexcept nogil:
    """One message of key, if there is one."""
    cdef ssize_t n
    cdef uint8_t half
    if not net.port_ready:
        return False
    n = recv(net.port, port_reply, MESSAGE_MAX, MSG_DONTWAIT)
    if n < 0 and (errno == EAGAIN or errno == EINTR):
        net.port_ready = errno == EINTR
        return False
    if n < 1:
        net.port_ready = False
        if net.end == END_NOT:
            net.end = END_KEY
        return False
    if port_reply[0] == BW_EV_OUTPUT_END:
        net.output_ended = True
    elif port_reply[0] == BW_EV_REFUSED and n == 2:
        net_refused_record(net, answer()[0])
    elif port_reply[0] == BW_EV_OPENED and n >= 2:
        if answer()[0] == 21 and n > 2:
            net_alerts(net, answer() + 1, <size_t>n - 2)
        elif answer()[0] == 22 and n > 2 and net.version == TLS13:
            post13(net, answer() + 1, <size_t>n - 2)
        elif answer()[0] == 22 and n > 2:
            net_renegotiation(net, answer() + 1, <size_t>n - 2)
        else:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected record")
        if not net_over(net) and not net.notified:
            half = net.message_len > 0 or net.alert_split
            port_send(net.port, BW_OP_RESUME, &half, 1)
    else:
        net.end = END_KEY
    return True

cdef bint net_finished(Net *net) noexcept nogil:
    """prog has said all it will, and nothing that the client has sent so far is still on its way to it."""
    if not net.output_ended or ring_available(&net.ring):
        return False
    return net.prog_done or not net.in_open or (not net.in_ready and bw_load_u64(&net.ring.theirs.tail) == net.ring.head)

cdef void net_begin(Net *net) noexcept nogil:
    """What came behind the peer's Finished is already ciphertext."""
    cdef Ring *r = &net.ring
    net_active(net)
    if net.have > net.used:
        net.heard_ms = net.deadline - net.config.idle_ms
        ring_copy_in(r, net_rbuf + net.used, net.have - net.used)
        net.filled = r.head
        r.head -= net.have - net.used
        net_frame(net)
        ring_publish(r)

cdef bint net_may_move(Net *net) noexcept nogil:
    """A last look at the ring after sleep was announced."""
    cdef Ring *r = &net.ring
    return (ring_available(r) > 0 and net.out_ready) or (net.in_open and net.in_ready
                                                         and net.filled - bw_load_u64(&r.theirs.tail) < RING_SIZE)

cdef size_t net_wants(Net *net) noexcept nogil:
    """Free room that net waits for: half of it where the network has more, all of it where this is the end."""
    if net.in_open and net.in_ready:
        return RING_SIZE // 2
    return RING_SIZE if net.output_ended or net.notified or not net.in_open else 0

cdef void net_rest(Net *net) noexcept nogil:
    """Silence for a while: what only the handshake needed, and room that waits for the next byte, goes back."""
    net.rested = True
    pages_drop(net_rbuf, sizeof(net_rbuf))
    if net.out_len == 0:
        pages_drop(net_wbuf, sizeof(net_wbuf))
    pages_drop(port_reply, sizeof(port_reply))
    pages_drop(engine.chain_text, <size_t>(<uint8_t *>&engine.cc - engine.chain_text))
    free(engine.transcript)
    engine.transcript = NULL
    if net.message_len == 0:
        pages_drop(net_message, sizeof(net_message))
    ring_rest(&net.ring, net.filled)
    affinity_leave()
    bw_drop_stack()

cdef int64_t net_rest_until(Net *net, int64_t now, int64_t until) noexcept nogil:
    """Rest if it is time; else when it will be, if nothing is due before that."""
    cdef int64_t at = net.deadline - net.config.idle_ms + REST_MS
    if net.rested:
        return until
    if now >= at:
        net_rest(net)
        return until
    return at if at < until or until < 0 else until

cdef void net_run(Net *net) noexcept nogil:
    """Relay until net.end says why it is over."""
    cdef Ring *r = &net.ring
    cdef int64_t until, now
    cdef bint moved
    net_begin(net)
    while not net_over(net):
        moved = net_port(net)
        if not net_over(net):
            moved = net_input(net) or moved
        if not net_over(net):
            moved = net_output(net) or moved
        if moved or net_over(net):
            continue
        if net_finished(net):
            net.end = END_OUTPUT
            break
        now = now_ms()
        until = net.deadline
        # while the network holds up what is sealed already, silence on prog's pipe means nothing
        if net.prog_done and not net.output_ended and ring_available(r) == 0:
            if now >= net.drained_ms and now >= net.deadline - net.config.idle_ms + GRACE_MS:
                net.end = END_OUTPUT
                break
            until = net.drained_ms if net.drained_ms > now else net.deadline - net.config.idle_ms + GRACE_MS
        elif now >= net.deadline:
            net.end = END_IDLE
            break
        until = net_rest_until(net, now, until)
        affinity_moved(r.head + r.tail)
        ring_sleeping(r, net_wants(net))
        if not net_may_move(net) and not net_finished(net):
            net_sleep(net, until)
        ring_awake(r)
