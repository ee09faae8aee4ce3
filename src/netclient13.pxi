# netclient13 - a client's handshake in TLS 1.3: the ClientHello for every version, and the server's flight.
#
# BearSSL's engine makes a ClientHello for TLS 1.2; ours is that one with a session id, suites and extensions of TLS 1.3
# added, and the groups in our order. What the engine has hashed and will go on from is then put right: it keeps its
# random, and knows of no session. A ServerHello of TLS 1.3 leaves the engine behind.

cdef struct Offer:
    uint8_t base[1024]          # the engine's hello, without header
    size_t base_len
    uint8_t session[32]
    uint8_t point[133]          # key's share
    size_t point_len
    uint16_t suites[3]
    Offered13 offered
    uint8_t hello[CLIENT13_HELLO_MAX]
    size_t hello_len

cdef Offer net_offer

cdef void put_offered_schemes(Writer *w, Cursor base) noexcept nogil:
    """The engine's signature_algorithms, then what TLS 1.3 has besides."""
    cdef Cursor list = take_vector(&base, 2)
    cdef size_t outer, inner
    cdef int i
    put(w, 13, 2)
    outer = open_vector(w, 2)
    inner = open_vector(w, 2)
    put_bytes(w, list.p, list.left)
    for i in range(BW_SCHEMES):
        # no certificate with an Ed25519 key can be verified
        if bw_schemes[i].key_type != BW_KEYTYPE_ED25519 and not lists_u16(list, bw_schemes[i].id):
            put(w, bw_schemes[i].id, 2)
    close_vector(w, inner, 2)
    close_vector(w, outer, 2)

cdef void put_offered_groups(Writer *w, uint32_t groups) noexcept nogil:
    """supported_groups in our order of preference; the engine's is that of the numbers."""
    cdef size_t outer, inner
    cdef int i
    put(w, 10, 2)
    outer = open_vector(w, 2)
    inner = open_vector(w, 2)
    for i in range(BW_GROUPS):
        if (groups >> bw_groups[i].id) & 1:
            put(w, bw_groups[i].id, 2)
    close_vector(w, inner, 2)
    close_vector(w, outer, 2)

cdef void put_offered_extensions(Writer *w, Net *net, Cursor cookie) noexcept nogil:
    """supported_versions, key_share, record_size_limit, and the cookie of a HelloRetryRequest."""
    cdef Offer *o = &net_offer
    cdef size_t outer, inner
    cdef int version
    put(w, 43, 2)
    outer = open_vector(w, 2)
    inner = open_vector(w, 1)
    for version in range(net.config.version_max, net.config.version_min - 1, -1):
        put(w, version, 2)
    close_vector(w, inner, 1)
    close_vector(w, outer, 2)
    put(w, 51, 2)
    outer = open_vector(w, 2)
    inner = open_vector(w, 2)
    put(w, net.group, 2)
    put_vector(w, 2, o.point, o.point_len)
    close_vector(w, inner, 2)
    close_vector(w, outer, 2)
    put(w, 28, 2)
    put(w, 2, 2)
    put(w, INNER_MAX, 2)
    if cookie.p != NULL:
        put(w, 44, 2)
        put(w, <uint32_t>cookie.left + 2, 2)
        put_vector(w, 2, cookie.p, cookie.left)

cdef bint offer_build(Net *net, Cursor cookie) noexcept nogil:
    """The ClientHello, from the engine's; False when it does not fit."""
    cdef Offer *o = &net_offer
    cdef Cursor base = cursor_over(o.base, o.base_len)
    cdef Writer w = writer_over(o.hello, sizeof(o.hello))
    cdef size_t message = open_message(&w, AWAIT_HELLO)
    cdef size_t vector
    cdef Cursor list, extension
    cdef uint32_t kind
    cdef int i
    put_bytes(&w, take(&base, 34), 34)          # version and random
    take_vector(&base, 1)
    put_vector(&w, 1, o.session, sizeof(o.session))
    list = take_vector(&base, 2)
    vector = open_vector(&w, 2)
    for i in range(o.offered.suites_num):
        put(&w, o.suites[i], 2)
    put_bytes(&w, list.p, list.left)
    close_vector(&w, vector, 2)
    list = take_vector(&base, 1)
    put_vector(&w, 1, list.p, list.left)
    list = take_vector(&base, 2)
    vector = open_vector(&w, 2)
    while list.left:
        kind = take_uint(&list, 2)
        extension = take_vector(&list, 2)
        if kind == 13:
            put_offered_schemes(&w, extension)
        elif kind == 10:
            put_offered_groups(&w, net.config.groups)
        else:
            put(&w, kind, 2)
            put_vector(&w, 2, extension.p, extension.left)
    put_offered_extensions(&w, net, cookie)
    close_vector(&w, vector, 2)
    close_message(&w, message)
    o.hello_len = w.n
    return not w.full and not base.bad and not list.bad

cdef bint offer_share(Net *net, int group) noexcept nogil:
    """Have key draw a share."""
    cdef Offer *o = &net_offer
    cdef uint8_t request[2]
    cdef ssize_t n
    put_uint(request, group, 2)
    n = ask(BW_OP_SHARE_AGAIN13 if o.offered.retried else BW_OP_SHARE13, request, 2)
    if n < 1 or port_reply[0] != STATUS_OK or <size_t>n > sizeof(o.point):
        return False
    memcpy(o.point, answer(), <size_t>n)
    o.point_len = <size_t>n
    o.offered.shares = <uint32_t>1 << group
    net.group = group
    return True

cdef void offer_send(Net *net, int version) noexcept nogil:
    """The ClientHello to key and to the server; version: of its record."""
    cdef Offer *o = &net_offer
    cdef uint8_t *p = net_wbuf + net.out_len
    p[0] = 22
    put_uint(p + 1, version, 2)
    put_uint(p + 3, <uint32_t>o.hello_len, 2)
    memcpy(p + RECORD_HEADER, o.hello, o.hello_len)
    net.out_len += RECORD_HEADER + o.hello_len
    port_send(net.port, BW_OP_HELLO_AGAIN13 if o.offered.retried else BW_OP_HELLO13, o.hello, o.hello_len)

cdef bint offer_first(Net *net) noexcept nogil:
    """Our first ClientHello in place of the engine's, which has just made its own; False when something fails."""
    cdef Offer *o = &net_offer
    cdef br_ssl_engine_context *e = engine.eng
    cdef size_t n = 0
    cdef unsigned char *record = br_ssl_engine_sendrec_buf(e, &n)
    cdef int i
    if record == NULL or n < RECORD_HEADER + 4 or n - RECORD_HEADER - 4 > sizeof(o.base) \
            or getrandom(o.session, sizeof(o.session), 0) != sizeof(o.session):
        return False
    o.base_len = n - RECORD_HEADER - 4
    memcpy(o.base, record + RECORD_HEADER + 4, o.base_len)
    br_ssl_engine_sendrec_ack(e, n)
    o.offered.session = o.session
    o.offered.session_len = sizeof(o.session)
    o.offered.suites = o.suites
    o.offered.suites_num = suites13_of(net.config.suites, net.config.suites_num, o.suites)
    o.offered.groups = net.config.groups
    o.offered.sni = net.config.client.sni != NULL
    o.offered.record_limit = True
    for i in range(BW_GROUPS):
        if (net.config.groups >> bw_groups[i].id) & 1:
            break
    if not offer_share(net, bw_groups[i].id) or not offer_build(net, cursor_over(NULL, 0)):
        return False
    br_multihash_init(&e.mhash)
    br_multihash_update(&e.mhash, o.hello, o.hello_len)
    engine_note(o.hello, o.hello_len)
    offer_send(net, BR_TLS10)
    return True

cdef void client13_spec(Net *net) noexcept nogil:
    """change_cipher_spec for the boxes on the way, once and before anything else of ours (appendix D.4)."""
    cdef uint8_t *p = net_wbuf + net.out_len
    if net.spec_sent:
        return
    net.spec_sent = True
    memcpy(p, b"\x14\x03\x03\x00\x01\x01", 6)
    net.out_len += 6

cdef void client13_retry(Net *net, ServerHello13 *h) noexcept nogil:
    """A HelloRetryRequest: another share, or the same with a cookie."""
    cdef Offered13 *o = &net_offer.offered
    port_send(net.port, BW_OP_RETRY13, net_message, net.message_len)
    o.retried = True
    o.retry_suite = h.suite
    o.retry_group = h.group
    if (h.group and not offer_share(net, h.group)) or not offer_build(net, h.cookie):
        net_fail(net, INTERNAL_ERROR, "unable to make a second ClientHello")
        return
    client13_spec(net)
    offer_send(net, BR_TLS12)

cdef void client13_hello(Net *net) noexcept nogil:
    """A ServerHello or HelloRetryRequest of TLS 1.3 is in net_message."""
    cdef ServerHello13 h
    cdef int alert = server_hello13_check(net_message + 4, net.message_len - 4, &net_offer.offered, &h)
    if alert:
        net_fail(net, alert, h.why)
        return
    if net.alert_split:                 # in TLS 1.3 no alert is (section 5.1)
        net_fail(net, DECODE_ERROR, "malformed alert")
        return
    if h.retry:
        client13_retry(net, &h)
        return
    if ask(BW_OP_AGREE13, net_message, net.message_len) < 0:
        return
    if port_reply[0] != STATUS_OK:
        net_fail(net, ILLEGAL_PARAMETER, "bad key share")
        return
    net.version = TLS13
    net.suite = suite13_row(h.suite)
    engine.in_switched = engine.out_switched = True
    net.await_ = AWAIT_EXTENSIONS

cdef bint client13_awaits(Net *net, int kind) noexcept nogil:
    """Whether a message may come now; only the CertificateRequest may be left out."""
    if net.await_ == AWAIT_REQUEST and kind == AWAIT_CERTIFICATE:
        net.await_ = AWAIT_CERTIFICATE
    return net.await_ == kind

cdef int client13_check(Net *net, const char **why) noexcept nogil:
    """The form of the message that was awaited; 0 or an alert."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef EncryptedExtensions x
    cdef CertificateRequest13 request
    cdef Cursor a, b
    cdef int number = 0, alert
    why[0] = "malformed handshake message"
    if net.await_ == AWAIT_EXTENSIONS:
        alert = encrypted_extensions_check(body, n, &net_offer.offered, &x)
        if alert:
            why[0] = x.why
        return alert
    if net.await_ == AWAIT_REQUEST:
        return certificate_request13_check(body, n, &request)
    if net.await_ == AWAIT_CERTIFICATE:
        return certificate13_check(body, n, True, &a, &b, &number)
    if net.await_ == AWAIT_VERIFY:
        return certificate_verify13_check(body, n, &number, &a)
    return finished13_check(body, n, hash_size(net.suite.prf_id))

cdef void client13_message(Net *net) noexcept nogil:
    """A whole message of the server's flight is in net_message: check it, let key judge it, await the next."""
    cdef const char *why = NULL
    cdef int op
    cdef int alert = client13_check(net, &why)
    if alert:
        net_fail(net, alert, why)
        return
    if net.await_ == AWAIT_EXTENSIONS or net.await_ == AWAIT_REQUEST:
        port_send(net.port, BW_OP_EXTENSIONS13 if net.await_ == AWAIT_EXTENSIONS else BW_OP_REQUEST13, net_message,
                  net.message_len)
        net.await_ = AWAIT_REQUEST if net.await_ == AWAIT_EXTENSIONS else AWAIT_CERTIFICATE
        return
    op = BW_OP_FINISH13
    if net.await_ != AWAIT_FINISHED:
        op = BW_OP_SERVER_CHAIN13 if net.await_ == AWAIT_CERTIFICATE else BW_OP_SERVER_VERIFY13
    if ask(op, net_message, net.message_len) < 0:
        return
    if port_reply[0] != STATUS_OK:
        net_fail_error(net, answer()[0])
    elif op == BW_OP_FINISH13:
        client13_spec(net)              # key's flight follows from the ring
    else:
        net.await_ = AWAIT_VERIFY if op == BW_OP_SERVER_CHAIN13 else AWAIT_FINISHED
