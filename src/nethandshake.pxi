# nethandshake - from the first byte to the keys: read records, put messages together, check them, let the engine
# answer. Straight-line code: each step waits for what it needs, with the -T deadline over all.

cdef bint net_over(Net *net) noexcept nogil:
    return net.end != END_NOT

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
            net.end = END_LOST
    net.out_len = 0

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
        elif r == 0:
            net.end = END_EARLY
        elif errno == EAGAIN:
            net_sleep(net, net.deadline)
        elif errno != EINTR:
            net.end = END_LOST
    return not net_over(net)

cdef void engine_output(Net *net) noexcept nogil:
    """Collect the engine's records: clear ones for the wire, marked ones for key to seal."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef unsigned char *record
    cdef size_t n = 0
    while not net_over(net):
        record = br_ssl_engine_sendrec_buf(e, &n)
        if record == NULL:
            break
        net.version = e.session.version
        if record[0] == 21:
            pass                            # the engine's own alert: its number is in the error code too
        elif engine.out_marked:
            engine.out_marked = False
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
    cdef int err = br_ssl_engine_last_error(&engine.sc.eng)
    if engine.key_gone and not net_over(net):
        net.end = END_KEY
    elif engine.alert != NO_ALERT:
        net_fail(net, engine.alert, "bad key exchange" if engine.alert == ILLEGAL_PARAMETER else "refused by key")
    elif err >= BR_ERR_SEND_FATAL_ALERT:
        net_fail(net, err - BR_ERR_SEND_FATAL_ALERT, "no common version, cipher, curve or signature algorithm")
    elif err:
        net_fail(net, error_row(err).alert, error_row(err).text)

cdef enum:
    NAME_LOGGED = 64        # bytes of a server name that a log line shows

cdef const char *name_rest(size_t n) noexcept nogil:
    return "..." if n > NAME_LOGGED else ""

cdef void net_hello(Net *net, const uint8_t *body, size_t n) noexcept nogil:
    """The ClientHello: strict check, log what matters, answer."""
    cdef ClientHello hello
    cdef char m[512]
    cdef size_t u, num = 0
    cdef int i, alert = hello_check(body, n, &hello)
    cdef const br_suite_translated *common
    if alert:
        net_fail(net, alert, hello.why)
        return
    # the engine negotiates the lower of both maxima, which a client with supported_versions need not have offered
    if not hello_offers(&hello, net.config.version_max if hello.version > net.config.version_max else hello.version):
        net_fail(net, PROTOCOL_VERSION, "no common version in supported_versions")
        return
    if hello.sni != NULL and not dns_name(<const char *>hello.sni, hello.sni_len):
        snprintf(m, sizeof(m), "invalid SNI server_name '%.*s' rejected", <int>hello.sni_len, <const char *>hello.sni)
        log_debug(m)
    engine.offered = hello.suites
    engine.offered_len = hello.suites_len
    engine_feed(22, net_message, n + 4)
    if log_state.level < LOG_DEBUG:
        return
    common = br_ssl_server_get_client_suites(&engine.sc, &num)
    for u in range(num if num <= 14 else 0):
        if suite_row(common[u][0]) != NULL:
            snprintf(m, sizeof(m), "clients cipher %s", suite_row(common[u][0]).log_name)
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

cdef size_t message_most(int await_) noexcept nogil:
    if await_ == AWAIT_HELLO:
        return CLIENT_HELLO_MAX
    return CERTIFICATE_MAX if await_ == AWAIT_CERTIFICATE else HANDSHAKE_MAX

cdef int message_check(int kind, const uint8_t *body, size_t n) noexcept nogil:
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
        if engine.sc.eng.session.version >= BR_TLS12:
            hash_id = take_uint(&c, 1)
            signature = take_uint(&c, 1)
            if not c.bad and (signature != (1 if engine.peer_key.key_type == BR_KEYTYPE_RSA else 3)
                              or not br_sha1_ID <= <int>hash_id <= br_sha512_ID):
                return ILLEGAL_PARAMETER
        take_vector(&c, 2)
    elif kind == AWAIT_FINISHED:
        take(&c, 12)
    return DECODE_ERROR if c.bad or c.left else 0

cdef void net_handshake_message(Net *net) noexcept nogil:
    """A whole message is in net_message."""
    cdef const uint8_t *body = net_message + 4
    cdef size_t n = net.message_len - 4
    cdef int alert
    if net.await_ == AWAIT_HELLO:
        engine_note(net_message, net.message_len)
        net_hello(net, body, n)
        net.await_ = AWAIT_CERTIFICATE if engine.transcript != NULL else AWAIT_KEY_EXCHANGE
    else:
        alert = message_check(net.await_, body, n)
        if alert:
            net_fail(net, alert, "malformed handshake message")
            return
        if net.await_ == AWAIT_VERIFY:
            engine.verify_body = body
            engine.verify_len = n
        elif net.await_ != AWAIT_FINISHED:
            engine_note(net_message, net.message_len)
        engine_feed(22, net_message, net.message_len)
        if net.await_ == AWAIT_CERTIFICATE:
            net.await_ = AWAIT_KEY_EXCHANGE
        elif net.await_ == AWAIT_KEY_EXCHANGE:
            net.await_ = AWAIT_VERIFY if engine.transcript != NULL else AWAIT_CIPHER_SPEC
        elif net.await_ == AWAIT_VERIFY:
            net.await_ = AWAIT_CIPHER_SPEC
    engine_output(net)
    engine_verdict(net)
    if not net_over(net):
        net_write_all(net)
        if net.await_ == AWAIT_FINISHED:
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
        if net_message[0] != net.await_:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected handshake message")
        elif message_size(net) - 4 > message_most(net.await_):
            net_fail(net, ILLEGAL_PARAMETER, "handshake message too long")
        elif net.message_len == message_size(net):
            if n and (net.await_ == AWAIT_HELLO or net.await_ == AWAIT_FINISHED):
                net_fail(net, UNEXPECTED_MESSAGE, "data behind the last message of a flight")
                return
            net_handshake_message(net)
            net.message_len = 0

cdef void net_sealed_finished(Net *net, size_t length) noexcept nogil:
    """A protected record before the handshake is done: through the ring to key, and what it says to the engine."""
    cdef ssize_t n
    ring_copy_in(&net.ring, net_rbuf + net.used, RECORD_HEADER + length)
    ring_publish(&net.ring)
    net.filled = net.ring.head
    n = ask(BW_OP_OPEN, NULL, 0)
    if n < 0:
        engine_verdict(net)
    elif port_reply[0] != STATUS_OK:
        net_fail(net, answer()[0], "record decryption or MAC failed")
    elif answer()[0] == 21:
        net_alerts(net, answer() + 1, <size_t>n - 1)
    elif answer()[0] != 22 or n < 2:
        net_fail(net, UNEXPECTED_MESSAGE, "no Finished in a sealed record")
    else:
        # the engine's own questions use the reply buffer again; the text is never longer than the record was
        memcpy(net_rbuf + net.used, answer() + 1, <size_t>n - 1)
        net_handshake_bytes(net, net_rbuf + net.used, <size_t>n - 1)

cdef void net_record(Net *net) noexcept nogil:
    """Read one record and act on it."""
    cdef bint sealed = engine.in_switched
    cdef uint8_t *header
    cdef size_t length
    cdef int alert
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
    if sealed:
        net_sealed_finished(net, length)
    elif header[0] == 21:
        net_alerts(net, header + RECORD_HEADER, length)
    elif header[0] == 20:
        if net.await_ != AWAIT_CIPHER_SPEC or net.message_len:
            net_fail(net, UNEXPECTED_MESSAGE, "unexpected change_cipher_spec")
        elif length != 1 or header[5] != 1:
            net_fail(net, DECODE_ERROR if length != 1 else ILLEGAL_PARAMETER, "malformed change_cipher_spec")
        else:
            engine_feed(20, header + RECORD_HEADER, 1)
            engine_verdict(net)
            net.await_ = AWAIT_FINISHED
    elif net.await_ == AWAIT_CIPHER_SPEC:
        net_fail(net, UNEXPECTED_MESSAGE, "handshake message in place of change_cipher_spec")
    else:
        net.warnings = 0
        net_handshake_bytes(net, header + RECORD_HEADER, length)
    net.used += RECORD_HEADER + length

cdef size_t run_facts(Net *net, uint8_t *out) noexcept nogil:
    """The four address texts, each with its length before it."""
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
    return n

cdef void net_handshake(Net *net) noexcept nogil:
    """Run the handshake; afterwards net.end is END_NOT when application data may flow."""
    cdef char m[512]
    cdef uint8_t facts[256]
    net.await_ = AWAIT_HELLO
    while net.await_ != AWAIT_NOTHING and not net_over(net):
        net_record(net)
    if net_over(net):
        return
    port_send(net.port, BW_OP_RUN, facts, run_facts(net, facts))
    snprintf(m, sizeof(m), "SSL connection: %s, %s, %s, sni='%.64s%s'", version_row(net.version).log_name,
             suite_row(engine.sc.eng.session.cipher_suite).log_name, group_row(engine.sc.eng.ecdhe_curve).name,
             engine.sc.eng.server_name, name_rest(strlen(engine.sc.eng.server_name)))
    log_info(m)
