# nethandshake - from the first byte to the keys: read records, put messages together, check them, let the engine
# answer. Straight-line code: each step waits for what it needs, with the deadline over all.

cdef size_t message_most(int await_) noexcept nogil:
    if await_ == AWAIT_HELLO:
        return CLIENT_HELLO_MAX
    if await_ == AWAIT_CERTIFICATE or await_ == AWAIT_REQUEST:      # the names of a server's anchors fill one too
        return CERTIFICATE_MAX
    return HANDSHAKE_MAX

cdef bint net_awaits(Net *net, int kind) noexcept nogil:
    return net.await_ == kind if net.config.client == NULL else client_awaits(net, kind)

cdef bint net_hello_request(Net *net) noexcept nogil:
    """A client passes over an empty HelloRequest during the handshake (RFC 5246 section 7.4.1.1), a bounded number."""
    if net.version == TLS13 or net_message[0] != HELLO_REQUEST or message_size(net) != 4:
        return False
    net.renegotiations += 1
    if net.renegotiations > RENEGOTIATIONS_MAX:
        net_fail(net, UNEXPECTED_MESSAGE, "too many HelloRequests")
    return True

cdef void net_handshake_message(Net *net) noexcept nogil:
    """A whole message is in net_message."""
    cdef bint last = net.await_ == AWAIT_FINISHED
    if net.config.client == NULL:
        server_message(net)
    else:
        client_message(net)
    engine_output(net)
    engine_verdict(net)
    if net_over(net) or server13.running:
        return
    # a server's change_cipher_spec goes with the Finished that key is sealing
    if not last or net.config.client != NULL:
        net_write_all(net)
    # a client's own Finished may be sealed by now, and the server waits for it
    if net.config.client != NULL and engine.out_switched and not net_over(net):
        net_flush(net, net.deadline)
    # a server that refuses us may have said why before it closed: that is still to be read
    if net.config.client != NULL and net.end == END_LOST and net.lost_writing:
        net.end = END_NOT
    if last:
        net.await_ = AWAIT_NOTHING

cdef void net_handshake_bytes(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """Content of handshake records: messages may be split and may share a record, but not a flight boundary."""
    cdef size_t k
    while n and not net_over(net):
        k = message_take(net, p, n)
        p += k
        n -= k
        if net.message_len < 4:
            continue
        if net.config.client != NULL and net.message_len == 4 and net_hello_request(net):
            net.message_len = 0
        elif not net_awaits(net, net_message[0]):
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected handshake message")
        elif message_size(net) - 4 > message_most(net.await_):
            net_fail(net, ILLEGAL_PARAMETER, "handshake message too long")
        elif net.message_len == message_size(net):
            if n and (net.await_ == AWAIT_HELLO or net.await_ == AWAIT_DONE or net.await_ == AWAIT_FINISHED
                      or (net.await_ == AWAIT_SERVER_HELLO
                          and server_hello13_is(net_message + 4, net.message_len - 4))):
                net_fail(net, UNEXPECTED_MESSAGE, "data behind the last message of a flight")
                return
            net_handshake_message(net)
            net.message_len = 0

cdef void net_sealed_finished(Net *net, size_t length) noexcept nogil:
    """A protected record before the handshake is done: through the ring to key, and what it says to the engine."""
    cdef ssize_t n = <ssize_t>engine.opened         # the reply is there already
    engine.opened = 0
    if n == 0:
        net_give(net, net_rbuf + net.used, RECORD_HEADER + length)
        if net.version == TLS13:
            n = ask(BW_OP_OPEN13, NULL, 0)
        else:
            n = ask(BW_OP_OPEN if net.config.client == NULL else BW_OP_OPEN_FINISHED, NULL, 0)
    if n < 0:
        engine_verdict(net)
    elif port_reply[0] == 2 and server13.running:
        return                              # refused early data
    elif port_reply[0] != STATUS_OK:
        net_refused_record(net, answer()[0])
    elif answer()[0] == 21:
        net_alerts(net, answer() + 1, <size_t>n - 1)
    elif answer()[0] != 22 or n < 2 or <size_t>n - 1 > length:
        net_fail(net, UNEXPECTED_MESSAGE, "no handshake message in a sealed record")
    else:
        server13.opened = True
        # the engine's own questions use the reply buffer again
        memcpy(net_rbuf + net.used, answer() + 1, <size_t>n - 1)
        net_handshake_bytes(net, net_rbuf + net.used, <size_t>n - 1)

cdef bint spec_passed(Net *net, const uint8_t *header, size_t length) noexcept nogil:
    """TLS 1.3: a change_cipher_spec for the boxes on the way is passed over (RFC 8446 section 5), before Finished.

    A client does not know the version before the ServerHello; netclient.pxi refuses TLS 1.2 behind one.
    """
    if net.version != TLS13 and (net.config.client == NULL or net.await_ != AWAIT_SERVER_HELLO):
        return False
    net.specs += 1
    if length != 1 or header[5] != 1 or net.specs > SPECS_MAX or net.message_len:
        net_fail(net, UNEXPECTED_MESSAGE, "unexpected change_cipher_spec")
    return True

cdef void server13_record(Net *net) noexcept nogil:
    """One record of the handshake from the first ClientHello on (section 5)."""
    cdef uint8_t *header
    cdef size_t length
    cdef int kind
    if not net_need(net, RECORD_HEADER):
        return
    kind = net_rbuf[0]
    length = (<size_t>net_rbuf[3] << 8) | net_rbuf[4]
    if not 20 <= kind <= 23:
        net_fail(net, UNEXPECTED_MESSAGE, "bad record header")
        return
    if length > (SEALED_MAX if kind == 23 else PLAINTEXT_MAX):
        net_fail(net, RECORD_OVERFLOW, "bad record header")
        return
    if not net_need(net, RECORD_HEADER + length):
        return
    header = net_rbuf + net.used
    if kind == 20:
        spec_passed(net, header, length)
    elif kind == 23 and engine.in_switched:
        net_sealed_finished(net, length)
    elif kind == 23 and RECORD_HEADER + length <= server13.early_left and net.message_len == 0:
        server13.early_left -= RECORD_HEADER + length
    elif kind == 23 or length == 0 or (kind == 22 and engine.in_switched) or (kind == 21 and server13.opened):
        net_fail(net, UNEXPECTED_MESSAGE, "unexpected record")
    elif kind == 21:
        net_alerts(net, header + RECORD_HEADER, length)
    else:
        server13.early_left = 0
        net_handshake_bytes(net, header + RECORD_HEADER, length)
    net.used += RECORD_HEADER + length

cdef void net_record(Net *net) noexcept nogil:
    """Read one record and act on it."""
    cdef bint sealed = engine.in_switched
    cdef uint8_t *header
    cdef size_t length
    cdef int alert
    if server13.running:
        server13_record(net)
        return
    if not net_need(net, RECORD_HEADER):
        return
    alert = record_check(net, net_rbuf, sealed)
    if alert:
        net_fail(net, alert, "bad record header")
        return
    length = (<size_t>net_rbuf[3] << 8) | net_rbuf[4]
    if not net_need(net, RECORD_HEADER + length):
        return
    header = net_rbuf + net.used
    if header[0] == 20 and spec_passed(net, header, length):
        pass
    elif sealed:
        net_sealed_finished(net, length)
    elif header[0] == 21:
        net_alerts(net, header + RECORD_HEADER, length)
    elif header[0] == 20:
        # nothing may be half in clear and half protected
        if net.await_ != AWAIT_CIPHER_SPEC or net.message_len or net.alert_split:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected change_cipher_spec")
        elif length != 1 or header[5] != 1:
            net_fail(net, DECODE_ERROR if length != 1 else ILLEGAL_PARAMETER, "malformed change_cipher_spec")
        else:
            engine_feed(20, net.version, header + RECORD_HEADER, 1)
            engine_verdict(net)
            net.await_ = AWAIT_FINISHED
    elif net.await_ == AWAIT_CIPHER_SPEC and not (net.config.client != NULL and header[5] == HELLO_REQUEST):
        net_fail(net, UNEXPECTED_MESSAGE, "handshake message in place of change_cipher_spec")
    else:
        net.warnings = 0
        net_handshake_bytes(net, header + RECORD_HEADER, length)
    net.used += RECORD_HEADER + length

cdef const char *group_text() noexcept nogil:
    """The name of the ephemeral group for the log."""
    cdef const bw_group *g = group_row(engine.eng.ecdhe_curve)
    if net_process.version == TLS13:
        return group_row(net_process.group).name
    if suite_row(engine.eng.session.cipher_suite).exchange != BW_ECDHE or g == NULL:
        return "none"
    return g.name

cdef void net_handshake(Net *net) noexcept nogil:
    """Run the handshake; afterwards net.end is END_NOT when application data may flow."""
    cdef char m[512]
    if net.config.client == NULL:
        net.await_ = AWAIT_HELLO
    else:
        client_hello_send(net)
    while net.await_ != AWAIT_NOTHING and not net_over(net):
        net_record(net)
    if net_over(net):
        return
    if net.config.client == NULL:
        server_run(net)
    else:
        port_send(net.port, BW_OP_BEGIN, NULL, 0)
    if log_state.level < LOG_INFO:
        return
    snprintf(m, sizeof(m), "SSL connection: %s, %s, %s, sni='%.64s%s'%s", version_row(net.version).log_name,
             net.suite.log_name if net.version == TLS13 else suite_row(engine.eng.session.cipher_suite).log_name,
             group_text(), engine.eng.server_name, name_rest(strlen(engine.eng.server_name)),
             ", resumed" if server13.resumed else "")
    log_info(m)
