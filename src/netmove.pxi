# netmove - the way of a record through net, one direction each, whole batches a system call:
#
#   socket -> ring in (read straight into it, framed there)          ring out -> socket (written straight from it)
#
# net sees ciphertext, lengths and types. What is not application data comes back opened from key over the port.

cdef void net_active(Net *net) noexcept nogil:
    """Something moved: the idle time starts anew."""
    net.deadline = now_ms() + net.config.idle_ms
    net.rested = False

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
        net.heard_ms = net.deadline - net.config.idle_ms
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
        net_lost(net, False)
    else:
        # a half-close without close_notify: what came before it is delivered, then prog's stdin ends
        net.input_ended = True
        port_send(net.port, BW_OP_END_INPUT, NULL, 0)
    return True

cdef ssize_t net_send(Net *net, size_t sealed) noexcept nogil:
    """What wbuf holds, and behind it so much of what key has sealed, in one write, whose result it is."""
    cdef iovec iov[3]
    cdef ssize_t w
    cdef int num = ring_spans(<uint8_t *>net.ring.in_, net.ring.tail, sealed, iov + 1)
    iov[0].iov_base = net_wbuf
    iov[0].iov_len = net.out_len
    w = writev(net.fd_out, &iov[0 if net.out_len else 1], num + (net.out_len > 0))
    if w >= <ssize_t>net.out_len:
        net.ring.tail += <uint64_t>w - net.out_len
        net.out_len = 0
        ring_publish(&net.ring)
    elif w > 0:
        memmove(net_wbuf, net_wbuf + w, net.out_len - <size_t>w)
        net.out_len -= <size_t>w
    return w

cdef bint net_output(Net *net) noexcept nogil:
    """ring -> socket; True when something moved."""
    cdef size_t available = ring_available(&net.ring)
    cdef ssize_t n
    if available > RING_SIZE:
        net.end = END_KEY
        return False
    if available == 0 or not net.out_ready:
        return False
    n = net_send(net, available)
    if n > 0:
        net_active(net)
        return True
    if n < 0 and errno == EINTR:
        return True
    if n < 0 and errno == EAGAIN:
        net.out_ready = False
        return False
    net.out_ready = False
    net_lost(net, True)
    return True

cdef void net_flush(Net *net, int64_t until) noexcept nogil:
    """Send what key has sealed and will still seal for us, at most until a monotonic time.

    What the end is stays as it is, but a connection that was alive may end here.
    """
    cdef int end = net.end
    while now_ms() < until:
        if net_output(net):
            continue
        if net.end == END_LOST or net.key_done:
            break
        if bw_load_u64(&net.ring.theirs.seals) == net.seals and ring_available(&net.ring) == 0:
            break
        ring_sleeping(&net.ring, 0)
        if ring_available(&net.ring) == 0 or not net.out_ready:
            if bw_load_u64(&net.ring.theirs.seals) != net.seals or ring_available(&net.ring):
                net_sleep(net, until)
        ring_awake(&net.ring)
    if end != END_NOT:
        net.end = end
