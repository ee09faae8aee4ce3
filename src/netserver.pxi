# netserver - the handshake messages that a server awaits: their form, their order, what the engine is told.

cdef void server_hello_received(Net *net, const uint8_t *body, size_t n) noexcept nogil:
    """The ClientHello: strict check, log what matters, answer."""
    cdef ClientHello hello
    cdef char m[512]
    cdef int i, alert, version, version_max = net.config.version_max
    server13.terms.suites_num = suites13_of(net.config.suites, net.config.suites_num, server13.terms.suites)
    if version_max >= TLS13 and server13.terms.suites_num == 0 and net.config.version_min < TLS13:
        version_max = BR_TLS12          # -c names no cipher that TLS 1.3 has
    alert = hello_check(body, n, &hello, version_max)
    if alert:
        net_fail(net, alert, hello.why)
        return
    if hello.tls13:
        server13_hello(net, body, n, &hello)
        return
    if server13.running:
        net_fail(net, ILLEGAL_PARAMETER, "second ClientHello differs from the first")
        return
    if net.config.version_min >= TLS13:
        net_fail(net, PROTOCOL_VERSION, "TLS 1.3 not offered")
        return
    # RFC 7507 section 3; the engine heeds it up to its own maximum
    if version_max >= TLS13 and lists_u16(cursor_over(hello.suites, hello.suites_len), 0x5600):
        net_fail(net, INAPPROPRIATE_FALLBACK, "fallback from TLS 1.3")
        return
    if version_max > BR_TLS12:
        version_max = BR_TLS12
    # the engine negotiates the lower of both maxima, which a client with supported_versions need not have offered
    version = version_max if hello.version > version_max else hello.version
    if not hello_offers(&hello, version):
        net_fail(net, PROTOCOL_VERSION, "no common version in supported_versions")
        return
    if hello.sni != NULL and not dns_name(<const char *>hello.sni, hello.sni_len):
        snprintf(m, sizeof(m), "invalid SNI server_name '%.*s' rejected", <int>hello.sni_len, <const char *>hello.sni)
        log_debug(m)
    server_suites(net.config, &hello, version)
    engine_feed(22, 0, net_message, n + 4)
    if log_state.level < LOG_DEBUG:
        return
    for i in range(net.config.suites_num):
        if server_suite(net.config, &hello, net.config.suites[i], version):
            snprintf(m, sizeof(m), "clients cipher %s", suite_row(net.config.suites[i]).log_name)
            log_debug(m)
    for i in range(BW_GROUPS):
        if (engine.sc.curves >> bw_groups[i].id) & 1:
            snprintf(m, sizeof(m), "clients ECDHE %s", bw_groups[i].name)
            log_debug(m)
    if version_row(engine.sc.client_max_version) != NULL:
        snprintf(m, sizeof(m), "clients tls_version=%s", version_row(engine.sc.client_max_version).log_name)
        log_debug(m)
    n = hello.sni_len
    snprintf(m, sizeof(m), "clients server_name='%.*s%s'", <int>(n if n <= NAME_LOGGED else NAME_LOGGED),
             <const char *>hello.sni, name_rest(n))
    log_debug(m)

cdef int server_message_form(int kind, const uint8_t *body, size_t n) noexcept nogil:
    """Structure of the client's messages other than ClientHello (RFC 5246 section 7.4, RFC 8422 section 5.7)."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor list, item
    cdef uint32_t hash_id, signature
    if kind == AWAIT_CERTIFICATE:
        list = take_vector(&c, 3)
        while list.left:
            item = take_vector(&list, 3)
            if list.bad or item.left == 0:
                return DECODE_ERROR
    elif kind == AWAIT_KEY_EXCHANGE:
        item = take_vector(&c, 1)
        if not c.bad and item.left == 0:
            return DECODE_ERROR
    elif kind == AWAIT_VERIFY:
        if engine.eng.session.version >= BR_TLS12:
            hash_id = take_uint(&c, 1)
            signature = take_uint(&c, 1)
            if not c.bad and (signature != (1 if engine.peer_key.key_type == BR_KEYTYPE_RSA else 3)
                              or not br_sha1_ID <= <int>hash_id <= br_sha512_ID):
                return ILLEGAL_PARAMETER
        take_vector(&c, 2)
    elif kind == AWAIT_FINISHED:
        take(&c, 12)
    return DECODE_ERROR if c.bad or c.left else 0

cdef size_t run_facts(Net *net, uint8_t *out) noexcept nogil:
    """The four address texts, each with its length before it; before TLS 1.3 the number of the application protocol."""
    cdef const char *texts[4]
    cdef size_t n = 0, k
    cdef int i
    texts[0] = net.addresses.remote_ip
    texts[1] = net.addresses.remote_port
    texts[2] = net.addresses.local_ip
    texts[3] = net.addresses.local_port
    for i in range(4):
        k = strlen(texts[i])
        out[n] = <uint8_t>k
        memcpy(out + n + 1, texts[i], k)
        n += k + 1
    if net.version < TLS13 and engine.eng != NULL:
        out[n] = server_protocol()      # of TLS 1.3 key has chosen it
        n += out[n] != 0
    return n

cdef void server_run(Net *net) noexcept nogil:
    """Let prog start; before TLS 1.3 key also seals our Finished, which is the same word."""
    cdef uint8_t m[305]
    cdef size_t n = 0
    cdef bint tls13 = net.version == TLS13
    if not tls13:
        m[0] = <uint8_t>engine.finished_hash_len
        memcpy(m + 1, engine.finished_hash, engine.finished_hash_len)
        n = 1 + engine.finished_hash_len
        net.seals += 1
    port_send(net.port, BW_OP_RUN if tls13 else BW_OP_FINISHED_SERVER, m, n + run_facts(net, m + n))

cdef bint server_finished_given(Net *net) noexcept nogil:
    """Whether change_cipher_spec and a sealed record have come with the record in hand, as they do; key gets the
    latter. Only what net_record would take as well: what is wrong is refused there, in its turn."""
    cdef Cursor c = cursor_over(net_rbuf + net.used, net.have - net.used)
    cdef Cursor value
    cdef const uint8_t *spec
    cdef const uint8_t *sealed
    take(&c, 3)
    take_vector(&c, 2)
    spec = take(&c, 3)
    value = take_vector(&c, 2)
    sealed = take(&c, 3)
    take_vector(&c, 2)
    if c.bad or spec[0] != 20 or value.left != 1 or record_check(net, spec, False) or record_check(net, sealed, True):
        return False
    net_give(net, sealed, <size_t>(c.p - sealed))
    return True

cdef void server_message(Net *net) noexcept nogil:
    """A whole message that was awaited is in net_message: check it, give it to the engine, await the next."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef int alert
    if server13.running and net.await_ != AWAIT_HELLO:
        server13_message(net)
        return
    if net.await_ == AWAIT_HELLO:
        engine_note(net_message, net.message_len)
        server_hello_received(net, body, n)
        if server13.running:
            return
        net.await_ = AWAIT_CERTIFICATE if engine.transcript != NULL else AWAIT_KEY_EXCHANGE
        return
    alert = server_message_form(net.await_, body, n)
    if alert:
        net_fail(net, alert, "malformed handshake message")
        return
    if net.await_ == AWAIT_VERIFY:
        engine.signed_body = body
        engine.signed_len = n
    elif net.await_ != AWAIT_FINISHED:
        engine_note(net_message, net.message_len)
    if net.await_ == AWAIT_KEY_EXCHANGE and net.config.anchors == NULL:
        engine.finished_given = server_finished_given(net)
    engine_feed(22, 0, net_message, net.message_len)
    if net.await_ == AWAIT_CERTIFICATE:
        net.await_ = AWAIT_KEY_EXCHANGE
    elif net.await_ == AWAIT_KEY_EXCHANGE:
        net.await_ = AWAIT_VERIFY if engine.transcript != NULL else AWAIT_CIPHER_SPEC
    elif net.await_ == AWAIT_VERIFY:
        net.await_ = AWAIT_CIPHER_SPEC
