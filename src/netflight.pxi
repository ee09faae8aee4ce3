# netflight - the handshake's flights: bytes in until a deadline, the engine's records out, its verdict.

cdef void net_write_all(Net *net) noexcept nogil:
    """Send what wbuf holds, waiting as long as the deadline allows."""
    cdef size_t at = 0
    cdef ssize_t w
    while at < net.out_len and not net_over(net):
        w = write(net.fd_out, net_wbuf + at, net.out_len - at)
        if w > 0:
            at += <size_t>w
        elif w < 0 and errno == EAGAIN:
            net_sleep(net, net.deadline)
            if now_ms() >= net.deadline and not net_over(net):
                net.end = END_DEADLINE
        elif w == 0 or errno != EINTR:
            net_lost(net, True)
    net.out_len = 0

cdef void net_write_sealed(Net *net) noexcept nogil:
    """Send what wbuf holds and what key has sealed behind it, in one write if the socket takes it."""
    cdef size_t sealed = ring_available(&net.ring)
    if sealed > RING_SIZE:
        net.end = END_KEY
        return
    net_send(net, sealed)
    net_write_all(net)
    while ring_available(&net.ring) and not net_over(net):
        if not net_output(net) and not net_over(net):
            net_sleep(net, net.deadline)
            if now_ms() >= net.deadline and not net_over(net):
                net.end = END_DEADLINE

cdef bint net_need(Net *net, size_t n) noexcept nogil:
    """Have at least n unconsumed bytes in rbuf; False when the connection is over."""
    cdef ssize_t r
    if net.used:
        memmove(net_rbuf, net_rbuf + net.used, net.have - net.used)
        net.have -= net.used
        net.used = 0
    while net.have < n and not net_over(net):
        if now_ms() >= net.deadline:
            net.end = END_DEADLINE
            break
        r = read(net.fd_in, net_rbuf + net.have, sizeof(net_rbuf) - net.have)
        if r > 0:
            net.have += <size_t>r
        elif net.lost_errno and (r == 0 or errno != EINTR):
            net.end = END_LOST          # nothing more can come: what was said is read
        elif r == 0:
            net.end = END_EARLY
        elif errno == EAGAIN:
            net_sleep(net, net.deadline)
        elif errno != EINTR:
            net_lost(net, False)
    return not net_over(net)

cdef void net_give(Net *net, const uint8_t *record, size_t n) noexcept nogil:
    """A sealed record of the handshake, for key."""
    ring_copy_in(&net.ring, record, n)
    ring_publish(&net.ring)
    net.filled = net.ring.head

cdef void engine_output(Net *net) noexcept nogil:
    """Collect the engine's records: clear ones for the wire, marked ones for key to seal."""
    cdef br_ssl_engine_context *e = engine.eng
    cdef unsigned char *record
    cdef size_t n = 0
    while not net_over(net):
        record = br_ssl_engine_sendrec_buf(e, &n)
        if record == NULL:
            break
        if net.config.client == NULL:
            net.version = e.session.version
        if record[0] == 21:
            pass                            # the engine's own alert: its number is in the error code too
        elif engine.out_marked:
            engine.out_marked = False
            if net.config.client != NULL:   # a server's Finished is key's
                net_seal(net, record[0], record + RECORD_HEADER, n - RECORD_HEADER)
        elif net.out_len + n > sizeof(net_wbuf):
            net_fail(net, INTERNAL_ERROR, "flight too large")
        else:
            if record[0] == 22:
                engine_note(record + 5, n - 5)
            memcpy(net_wbuf + net.out_len, record, n)
            net.out_len += n
        br_ssl_engine_sendrec_ack(e, n)

cdef void engine_verdict(Net *net) noexcept nogil:
    """Turn a failed engine or hook into the end of the connection."""
    cdef int err = br_ssl_engine_last_error(engine.eng)
    if engine.key_gone and not net_over(net):
        net.end = END_KEY
    elif engine.alert != NO_ALERT:
        net_fail(net, engine.alert, "bad key exchange" if engine.alert == ILLEGAL_PARAMETER else "refused by key")
    elif err >= BR_ERR_SEND_FATAL_ALERT:
        net_fail(net, err - BR_ERR_SEND_FATAL_ALERT, "no common version, cipher, curve or signature algorithm")
    elif err:
        net_fail_error(net, err)
