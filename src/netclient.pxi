# netclient - the handshake messages that a client awaits: their form, their order, what the engine is told.

cdef void client_hello_send(Net *net) noexcept nogil:
    """The first flight: the engine has our ClientHello ready."""
    engine_output(net)
    engine_verdict(net)
    if not net_over(net):
        net_write_all(net)
    net.await_ = AWAIT_SERVER_HELLO

cdef bint client_awaits(Net *net, int kind) noexcept nogil:
    """Whether a message may come now; only the CertificateRequest may be left out."""
    if net.await_ == AWAIT_REQUEST and kind == AWAIT_DONE:
        net.await_ = AWAIT_DONE
    return net.await_ == kind

cdef void client_message(Net *net) noexcept nogil:
    """A whole message that was awaited is in net_message: check it, give it to the engine, await the next."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef int suite = engine.eng.session.cipher_suite
    cdef int alert
    cdef ServerHello hello
    if net.await_ == AWAIT_SERVER_HELLO:
        alert = server_hello_check(body, n, &hello, net.config.version_min, net.config.version_max,
                                   net.config.client.sni != NULL, net.config.suites, net.config.suites_num)
        if alert:
            net_fail(net, alert, hello.why)
            return
        net.version = hello.version
    else:
        alert = server_message_check(net.await_, body, n, net.version, suite)
        if alert:
            net_fail(net, alert, "malformed handshake message")
            return
    if net.await_ == AWAIT_PARAMS:
        engine.signed_body = body
        engine.signed_len = n
    if net.await_ != AWAIT_FINISHED:
        engine_note(net_message, net.message_len)
    engine_feed(22, net.version, net_message, net.message_len)
    if net.await_ == AWAIT_SERVER_HELLO:
        net.await_ = AWAIT_CERTIFICATE
    elif net.await_ == AWAIT_CERTIFICATE:
        net.await_ = AWAIT_PARAMS if suite_row(suite).exchange == BW_ECDHE else AWAIT_REQUEST
    elif net.await_ == AWAIT_PARAMS:
        net.await_ = AWAIT_REQUEST
    elif net.await_ == AWAIT_REQUEST:
        net.await_ = AWAIT_DONE
    elif net.await_ == AWAIT_DONE:
        net.await_ = AWAIT_CIPHER_SPEC
