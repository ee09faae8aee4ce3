# netclient - the handshake messages that a client awaits: their form, their order, what the engine is told.

cdef void client_hello_send(Net *net) noexcept nogil:
    """The first flight."""
    if not offer_first(net):
        net_fail(net, INTERNAL_ERROR, "unable to make a ClientHello")
        engine_verdict(net)
        return
    net_write_all(net)
    net.await_ = AWAIT_SERVER_HELLO

cdef bint client_awaits(Net *net, int kind) noexcept nogil:
    """Whether a message may come now; only the CertificateRequest may be left out."""
    if net.version == TLS13:
        return client13_awaits(net, kind)
    if net.await_ == AWAIT_REQUEST and kind == AWAIT_DONE:
        net.await_ = AWAIT_DONE
    return net.await_ == kind

cdef void client_feed_as(Net *net, const uint8_t *message, size_t n) noexcept nogil:
    """Give the engine, which does not know all that we offer, another form of the message; it hashes the real one."""
    cdef br_multihash_context before = engine.eng.mhash
    engine_feed(22, net.version, message, n)
    engine.eng.mhash = before
    br_multihash_update(&engine.eng.mhash, net_message, net.message_len)

cdef void client_feed_hello(Net *net, ServerHello *h) noexcept nogil:
    """A ServerHello without the record_size_limit that the engine did not offer."""
    cdef uint8_t m[4 + HANDSHAKE_MAX]
    cdef Cursor base = cursor_over(net_message + 4, net.message_len - 4)
    cdef Writer w = writer_over(m, sizeof(m))
    cdef size_t head = 38 + h.session.left, message = open_message(&w, MSG_SERVER_HELLO), vector
    cdef Cursor list, extension
    cdef uint32_t kind
    put_bytes(&w, take(&base, head), head)
    list = take_vector(&base, 2)
    vector = open_vector(&w, 2)
    while list.left:
        kind = take_uint(&list, 2)
        extension = take_vector(&list, 2)
        if kind != 28:
            put(&w, kind, 2)
            put_vector(&w, 2, extension.p, extension.left)
    close_vector(&w, vector, 2)
    close_message(&w, message)
    engine.record_limit = PLAINTEXT_MAX if h.record_limit > PLAINTEXT_MAX else h.record_limit
    client_feed_as(net, m, w.n)

cdef void client_feed_params(Net *net) noexcept nogil:
    """A ServerKeyExchange with RSA-PSS as one with PKCS#1: key verifies what there is."""
    cdef uint8_t m[4 + HANDSHAKE_MAX]
    memcpy(m, net_message, net.message_len)
    m[8 + m[7]] = br_sha256_ID
    m[9 + m[7]] = 1
    client_feed_as(net, m, net.message_len)

cdef void client_message(Net *net) noexcept nogil:
    """A whole message that was awaited is in net_message: check it, give it to the engine, await the next."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef int suite = engine.eng.session.cipher_suite
    cdef int alert
    cdef ServerHello hello
    if net.version == TLS13:
        client13_message(net)
        return
    if net.await_ == AWAIT_SERVER_HELLO and server_hello13_is(body, n):
        client13_hello(net)
        return
    if net.await_ == AWAIT_SERVER_HELLO:
        alert = server_hello_check(body, n, &hello, net.config.version_min, net.config.version_max,
                                   net.config.client.sni != NULL, net.config.suites, net.config.suites_num)
        if alert:
            net_fail(net, alert, hello.why)
            return
        if net_offer.offered.retried or (hello.session.left == sizeof(net_offer.session)
                                         and memcmp(hello.session.p, net_offer.session, hello.session.left) == 0):
            net_fail(net, ILLEGAL_PARAMETER, "session of TLS 1.2 resumed, or TLS 1.2 after a HelloRetryRequest")
            return
        if net.specs:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected change_cipher_spec")
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
    if net.await_ == AWAIT_SERVER_HELLO and hello.record_limit:
        client_feed_hello(net, &hello)
    elif net.await_ == AWAIT_PARAMS and net.version >= BR_TLS12 and body[4 + body[3]] == PSS_SCHEME:
        client_feed_params(net)
    else:
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
