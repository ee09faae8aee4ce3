# netserver13 - a server's handshake of TLS 1.3 as net sees it (RFC 8446 sections 2 and 4): ClientHello, perhaps again,
# then sealed messages that key opens.
#
# net reads what the client offers and chooses; every message of the server's is key's (keyserver13.pxi).

cdef struct Server13:
    bint running            # the client offers TLS 1.3, and so do we
    bint retried            # our HelloRetryRequest is out
    bint opened             # a sealed record has been opened: no alert comes in clear any more
    bint resumed
    Terms13 terms
    uint8_t hello[32]       # digest of what both hellos must share
    size_t early_left       # bytes of early data that are passed over before the second hello

cdef Server13 server13

cdef enum:
    NAME_LOGGED = 64        # bytes of a server name that a log line shows

cdef const char *name_rest(size_t n) noexcept nogil:
    return "..." if n > NAME_LOGGED else ""

cdef void server13_verdict_read(Net *net, ssize_t n, const char *why) noexcept nogil:
    """The end of the connection if key's answer is a refusal."""
    if n < 0 or port_reply[0] == STATUS_OK:
        return
    if n == 2 and answer()[1]:
        net_fail_error(net, answer()[1])
    elif n >= 1:
        net_fail(net, answer()[0], why)
    else:
        net.end = END_KEY

cdef void server13_log(ClientHello *h) noexcept nogil:
    """What the client offers, at -vv."""
    cdef char m[512]
    cdef size_t n = h.sni_len
    cdef int i
    if log_state.level < LOG_DEBUG:
        return
    for i in range(server13.terms.suites_num):
        if lists_u16(cursor_over(h.suites, h.suites_len), server13.terms.suites[i]):
            snprintf(m, sizeof(m), "clients cipher %s", suite13_row(server13.terms.suites[i]).log_name)
            log_debug(m)
    for i in range(BW_GROUPS):
        if lists_u16(h.groups, bw_groups[i].id):
            snprintf(m, sizeof(m), "clients ECDHE %s", bw_groups[i].name)
            log_debug(m)
    log_debug("clients tls_version=TLS 1.3")
    snprintf(m, sizeof(m), "clients server_name='%.*s%s'", <int>(n if n <= NAME_LOGGED else NAME_LOGGED),
             <const char *>h.sni, name_rest(n))
    log_debug(m)

cdef void server13_digest(const uint8_t *body, size_t n, uint8_t *out) noexcept nogil:
    """Hash of a checked ClientHello but for what a HelloRetryRequest lets change (section 4.1.2)."""
    cdef br_sha256_context hash
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor extensions, e
    cdef const uint8_t *at
    cdef uint32_t kind
    take(&c, 34)
    take_vector(&c, 1)
    take_vector(&c, 2)
    take_vector(&c, 1)
    br_sha256_init(&hash)
    br_sha224_update(&hash, body, n - c.left)
    extensions = take_vector(&c, 2)
    while extensions.left:
        at = extensions.p
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        # padding, pre_shared_key, early_data, cookie, key_share
        if kind != 21 and kind != 41 and kind != 42 and kind != 44 and kind != 51:
            br_sha224_update(&hash, at, 4 + e.left)
    br_sha256_out(&hash, out)

cdef bint server13_load(Net *net, ClientHello *h, Choice13 *choice) noexcept nogil:
    """Have key find the identity for this client, and jail itself."""
    cdef uint8_t request[259]
    cdef ssize_t n
    # with a ticket the hello may do without schemes: whether the identity can sign shows when no ticket is taken
    request[0] = 0
    request[1] = <uint8_t>(choice.schemes if choice.schemes else 0xff)
    request[2] = <uint8_t>h.sni_len
    memcpy(request + 3, h.sni, h.sni_len)
    n = ask(BW_OP_LOAD, request, 3 + h.sni_len)
    if n >= 0 and port_reply[0] != STATUS_OK:
        load_failure(<size_t>n)
        return False
    if h.sni_len:
        memcpy(engine.eng.server_name, h.sni, h.sni_len)
    engine.eng.server_name[h.sni_len] = 0
    return n >= 0

cdef void server13_give(Net *net, const uint8_t *p, size_t n) noexcept nogil:
    """Give key pieces of the hello to hash."""
    cdef size_t k
    while n:
        k = n if n < CERTIFICATE_MAX else CERTIFICATE_MAX
        if port_send(net.port, BW_OP_CLIENT_HELLO13, p, k) < 0:
            engine.key_gone = True
            return
        p += k
        n -= k

cdef bint server13_psk(Net *net, ClientHello *h, Choice13 *choice) noexcept nogil:
    """Offer key the client's tickets, the first few; False when a binder is wrong."""
    cdef uint8_t request[2048]
    cdef Cursor identities = h.identities
    cdef Cursor binders = h.binders
    cdef Cursor ticket, binder
    cdef uint32_t age
    cdef ssize_t n
    cdef int i
    for i in range(PSK_TRIED):
        if identities.left == 0:
            break
        ticket = take_vector(&identities, 2)
        age = take_uint(&identities, 4)
        binder = take_vector(&binders, 1)
        if ticket.left > 1024 or ticket.left < 1:
            continue
        request[0] = <uint8_t>i
        put_uint(request + 1, choice.suite.id, 2)
        put_uint(request + 3, age, 4)
        request[7] = <uint8_t>binder.left
        memcpy(request + 8, binder.p, binder.left)
        memcpy(request + 8 + binder.left, ticket.p, ticket.left)
        n = ask(BW_OP_PSK13, request, 8 + binder.left + ticket.left)
        if n < 0:
            return False
        if port_reply[0] == STATUS_OK:
            server13.resumed = True
            return True
        if port_reply[0] == 2 and n == 1:
            net_fail(net, answer()[0], "bad binder")
            return False
    return True

cdef void server13_clear(Net *net, ssize_t n, bint compatible) noexcept nogil:
    """Key's hello as a record in wbuf, and a change_cipher_spec behind the first to a client that expects one."""
    cdef uint8_t *p = net_wbuf
    if n < 4 or n > 512:
        net.end = END_KEY
        return
    p[0] = 22
    put_uint(p + 1, BR_TLS12, 2)
    put_uint(p + 3, <uint32_t>n, 2)
    memcpy(p + 5, answer(), <size_t>n)
    net.out_len = 5 + <size_t>n
    if compatible:
        memcpy(p + net.out_len, b"\x14\x03\x03\x00\x01\x01", 6)
        net.out_len += 6

cdef void server13_again(Net *net, ClientHello *h, Choice13 *choice) noexcept nogil:
    """Ask for another share."""
    cdef uint8_t request[35]
    cdef ssize_t n
    put_uint(request, choice.suite.id, 2)
    request[2] = <uint8_t>choice.group.id
    memcpy(request + 3, h.session.p, h.session.left)
    n = ask(BW_OP_AGAIN13, request, 3 + h.session.left)
    if n < 0:
        return
    server13_clear(net, n, h.session.left > 0)
    server13.retried = True
    server13.terms.retry_suite = choice.suite.id
    server13.terms.retry_group = choice.group.id
    server13.early_left = EARLY_MAX if h.early_data else 0
    net_write_all(net)

cdef void server13_accept(Net *net, ClientHello *h, Choice13 *choice) noexcept nogil:
    """Have key answer with everything up to its Finished."""
    cdef uint8_t request[256]
    cdef size_t at = 7
    cdef Cursor schemes = h.schemes
    cdef Cursor ours = cursor_over(net.config.protocols, net.config.protocols_len)
    cdef Cursor chosen
    cdef uint32_t scheme, protocol = 0
    cdef uint8_t flags = 0
    cdef int64_t until = net.deadline
    cdef ssize_t n
    if ours.left and h.protocols.p != NULL:
        chosen = protocol13_choose(h.protocols, ours)
        if chosen.p == NULL:
            net_fail(net, NO_APPLICATION_PROTOCOL, "no common application protocol")
            return
        while ours.p <= chosen.p:
            take_vector(&ours, 1)
            protocol += 1
    if h.sni != NULL:
        flags |= ACCEPT_SNI
    if h.record_limit:
        flags |= ACCEPT_LIMIT
    if mode_offered(h.psk_modes, 1):
        flags |= ACCEPT_TICKETS
    if h.early_data:
        flags |= ACCEPT_EARLY
    put_uint(request, choice.suite.id, 2)
    put_uint(request + 2, <uint32_t>record_content_max(h.record_limit), 2)
    request[4] = <uint8_t>choice.group.id
    request[5] = flags
    request[6] = <uint8_t>protocol
    request[at] = <uint8_t>h.session.left
    memcpy(request + at + 1, h.session.p, h.session.left)
    at += 1 + h.session.left
    request[at] = 0
    while schemes.left:
        scheme = take_uint(&schemes, 2)
        if scheme_row(<int>scheme) != NULL and request[at] < 2 * SCHEMES_MAX:
            put_uint(request + at + 1 + request[at], scheme, 2)
            request[at] += 2
    at += 1 + request[at]
    memcpy(request + at, choice.share.p, choice.share.left)
    n = ask(BW_OP_ACCEPT13, request, at + choice.share.left)
    server13_verdict_read(net, n, "bad key_share, or nothing to sign with")
    if n < 0 or net_over(net):
        return
    engine.in_switched = engine.out_switched = True
    engine.eng.session.cipher_suite = choice.suite.id
    net.suite = choice.suite
    net.group = choice.group.id
    server13_clear(net, n, h.session.left > 0 and not server13.retried)
    net.await_ = AWAIT_CERTIFICATE if net.config.anchors != NULL and not server13.resumed else AWAIT_FINISHED
    if not net_over(net):
        net_write_sealed(net)

cdef void server13_hello(Net *net, const uint8_t *body, size_t n, ClientHello *h) noexcept nogil:
    """A ClientHello that offers TLS 1.3, the first or the second."""
    cdef Choice13 choice
    cdef uint8_t digest[32]
    cdef int alert
    if not server13.running:
        server13.running = True
        net.version = TLS13
        if net.alert_split:             # in TLS 1.3 no alert is (section 5.1)
            net_fail(net, DECODE_ERROR, "malformed alert")
            return
        server13.terms.groups = net.config.groups
        server13.terms.server_order = net.config.server_order
        server13_log(h)
        server13_digest(body, n, server13.hello)
    else:
        server13_digest(body, n, digest)
        if memcmp(digest, server13.hello, 32) != 0:
            net_fail(net, ILLEGAL_PARAMETER, "second ClientHello differs from the first")
            return
    alert = select13(h, &server13.terms, &choice)
    if alert:
        net_fail(net, alert, choice.why)
        return
    if not server13.retried and not server13_load(net, h, &choice):
        return
    if choice.share.p == NULL:
        server13_give(net, net_message, net.message_len)
        server13_again(net, h, &choice)
        return
    if choice.psk and net.config.anchors == NULL:
        # the binders are made over the hello up to them
        server13_give(net, net_message, 4 + h.truncated)
        if not server13_psk(net, h, &choice):
            return
        server13_give(net, net_message + 4 + h.truncated, n - h.truncated)
    else:
        server13_give(net, net_message, net.message_len)
    server13_accept(net, h, &choice)

cdef void server13_message(Net *net) noexcept nogil:
    """A whole sealed message that was awaited is in net_message: key judges it."""
    cdef int op = BW_OP_CLIENT_FINISHED13
    cdef const char *why = "Finished does not match"
    cdef ssize_t n
    if net.await_ == AWAIT_CERTIFICATE:
        op = BW_OP_PEER_CHAIN13
        why = "malformed Certificate, or none"
    elif net.await_ == AWAIT_VERIFY:
        op = BW_OP_PEER_VERIFY13
        why = "bad CertificateVerify"
    if net.message_len < 8:         # less than any of them has
        net_fail(net, DECODE_ERROR, "malformed handshake message")
        return
    n = ask(op, net_message, net.message_len)
    server13_verdict_read(net, n, why)
    if n < 0 or net_over(net):
        return
    if net.await_ == AWAIT_CERTIFICATE:
        net.await_ = AWAIT_VERIFY
    elif net.await_ == AWAIT_VERIFY:
        net.await_ = AWAIT_FINISHED
    else:
        net.await_ = AWAIT_NOTHING
