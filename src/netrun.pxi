# netrun - the way of a record through net, one direction each, whole batches a system call:
#
#   socket -> ring in (read straight into it, framed there)          ring out -> socket (written straight from it)
#
# net sees ciphertext, lengths and types. What is not application data comes back opened from key over the port.

cdef void net_active(Net *net) noexcept nogil:
    """Something moved: the idle time starts anew."""
    net.deadline = now_ms() + net.config.idle_ms

cdef void net_seal(Net *net, int kind, const uint8_t *p, size_t n) noexcept nogil:
    """Have key seal an alert or handshake record into the ring."""
    cdef uint8_t m[512]
    if n > sizeof(m) - 1:
        net_fail(net, INTERNAL_ERROR, "message too long to seal")
        return
    m[0] = <uint8_t>kind
    memcpy(m + 1, p, n)
    if port_send(net.port, BW_OP_SEAL, m, n + 1) == 0:
        net.seals += 1

cdef void net_seal_alert(Net *net, int level, int number) noexcept nogil:
    cdef uint8_t m[2]
    m[0] = <uint8_t>level
    m[1] = <uint8_t>number
    net_seal(net, 21, m, 2)

cdef void net_frame(Net *net) noexcept nogil:
    """Move the published cursor over every whole record that has arrived."""
    cdef Ring *r = &net.ring
    cdef uint8_t header[5]
    cdef size_t length
    cdef uint64_t at
    cdef int i, alert
    while net.filled - r.head >= RECORD_HEADER:
        at = r.head
        for i in range(RECORD_HEADER):
            header[i] = r.out[<size_t>((at + <uint64_t>i) & (RING_SIZE - 1))]
        alert = record_check(net, header, True)
        if alert:
            net_fail(net, alert, "bad record header")
            return
        length = RECORD_HEADER + ((<size_t>header[3] << 8) | header[4])
        if net.filled - r.head < length:
            return
        r.head += length

cdef bint net_input(Net *net) noexcept nogil:
    """socket -> ring; True when something moved."""
    cdef Ring *r = &net.ring
    cdef iovec iov[2]
    cdef uint64_t used = net.filled - bw_load_u64(&r.theirs.tail)
    cdef ssize_t n
    if used > RING_SIZE:
        net.end = END_KEY
        return False
    if not net.in_open or not net.in_ready or used == RING_SIZE:
        return False
    n = readv(net.fd_in, iov, ring_spans(r.out, net.filled, RING_SIZE - <size_t>used, iov))
    if n > 0:
        net.filled += <uint64_t>n
        net_active(net)
        net_frame(net)
        ring_publish(r)
        return True
    if n < 0 and errno == EINTR:
        return True
    net.in_ready = False
    if n < 0 and errno == EAGAIN:
        return False
    net.in_open = False
    if n < 0:
        net.end = END_LOST
    else:
        # a half-close without close_notify: what came before it is delivered, then prog's stdin ends
        net.input_ended = True
        port_send(net.port, BW_OP_END_INPUT, NULL, 0)
    return True

cdef bint net_output(Net *net) noexcept nogil:
    """ring -> socket; True when something moved."""
    cdef Ring *r = &net.ring
    cdef iovec iov[2]
    cdef size_t available = ring_available(r)
    cdef ssize_t n
    if available > RING_SIZE:
        net.end = END_KEY
        return False
    if available == 0 or not net.out_ready:
        return False
    n = writev(net.fd_out, iov, ring_spans(<uint8_t *>r.in_, r.tail, available, iov))
    if n > 0:
        r.tail += <uint64_t>n
        net_active(net)
        ring_publish(r)
        return True
    if n < 0 and errno == EINTR:
        return True
    if n < 0 and errno == EAGAIN:
        net.out_ready = False
        return False
    net.out_ready = False
    net.end = END_LOST
    return True

cdef void net_renegotiation(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """A handshake message after the handshake: a ClientHello is refused politely (RFC 5746 section 4.4), others not."""
    cdef size_t k
    while n and not net_over(net):
        k = message_take(net, p, n)
        p += k
        n -= k
        if net.message_len < 4:
            continue
        if net_message[0] != AWAIT_HELLO:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected handshake message")
        elif message_size(net) - 4 > CLIENT_HELLO_MAX:
            net_fail(net, ILLEGAL_PARAMETER, "handshake message too long")
        elif net.message_len == message_size(net):
            net.message_len = 0
            net.renegotiations += 1
            if net.renegotiations > RENEGOTIATIONS_MAX:
                net_fail(net, HANDSHAKE_FAILURE, "too many renegotiation attempts")
            else:
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
        net_fail(net, answer()[0], "record decryption or MAC failed" if answer()[0] == BAD_RECORD_MAC
                 else "record refused")
    elif port_reply[0] == BW_EV_OPENED and n >= 2:
        if answer()[0] == 21 and n > 2:
            net_alerts(net, answer() + 1, <size_t>n - 2)
        elif answer()[0] == 22 and n > 2:
            net_renegotiation(net, answer() + 1, <size_t>n - 2)
        else:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected record")
        if not net_over(net):
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

cdef void net_run(Net *net) noexcept nogil:
    """Relay until net.end says why it is over."""
    cdef Ring *r = &net.ring
    cdef int64_t until, now
    cdef bint moved
    net_active(net)
    net.port_ready = True
    # what came behind the client's Finished is already ciphertext
    if net.have > net.used:
        ring_copy_in(r, net_rbuf + net.used, net.have - net.used)
        net.filled = r.head
        r.head -= net.have - net.used
        net_frame(net)
        ring_publish(r)
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
        if net.prog_done and not net.output_ended:
            if now >= net.drained_ms and now >= net.deadline - net.config.idle_ms + GRACE_MS:
                net.end = END_OUTPUT
                break
            until = net.drained_ms if net.drained_ms > now else net.deadline - net.config.idle_ms + GRACE_MS
        elif now >= net.deadline:
            net.end = END_IDLE
            break
        ring_sleeping(r)
        if (ring_available(r) and net.out_ready) or (net.in_open and net.in_ready
                                                     and net.filled - bw_load_u64(&r.theirs.tail) < RING_SIZE):
            ring_awake(r)
            continue
        net_sleep(net, until)
        ring_awake(r)
