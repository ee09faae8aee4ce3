# keyserver13 - key's part in a server's handshake of TLS 1.3 (RFC 8446 sections 2 and 4).
#
# net says what the client sent and what was chosen. key hashes that, builds every message of the server itself,
# draws its share and the random, signs and seals: so what it signs covers its own fresh share, and net sees no secret.
# After a refusal nothing but an alert may follow.

cdef uint8_t key_flight[FLIGHT_MAX]

cdef void server13_verdict(Key *k, int alert, int error) noexcept nogil:
    """Answer with 0, or with an alert and the BearSSL error behind it, 0 for none."""
    k.refused = alert != 0
    key_reply[0] = <uint8_t>alert
    key_reply[1] = <uint8_t>error
    key_answer(k, 1 if alert else STATUS_OK, 2 if alert else 0)

cdef void server13_refuse(Key *k, int alert) noexcept nogil:
    """The same while the alert still goes out in clear: key is needed no more."""
    server13_verdict(k, alert, 0)
    key_end()

cdef const uint8_t *server13_body(const uint8_t *m, size_t n, int kind) noexcept nogil:
    """The body of a whole message of this kind; another one ends key."""
    if n < 4 or m[0] != kind or ((<size_t>m[1] << 16) | (<size_t>m[2] << 8) | m[3]) != n - 4:
        key_end()
    return m + 4

cdef void key_client_hello13(Key *k, const uint8_t *p, size_t n) noexcept nogil:
    if k.config.version_max < TLS13:
        key_end()
    if k.state == BW_LOADED:
        transcript13_start(&k.transcript13)
    k.server.hello_len += n
    if k.server.hello_len > 2 * (CLIENT_HELLO_MAX + 4):
        key_end()
    transcript13_add(&k.transcript13, p, n)

cdef void server13_suite(Key *k, int suite, int group) noexcept nogil:
    """Take what was chosen; what our options do not allow ends key."""
    cdef uint16_t ours[3]
    cdef int num = suites13_of(k.config.suites, k.config.suites_num, ours)
    k.suite = suite13_row(suite)
    if k.suite == NULL or not suite_offered(suite, ours, num) or group_row(group) == NULL \
            or not (k.config.groups >> group) & 1 \
            or (k.server.retried and (suite != k.server.retry_suite or group != k.server.retry_group)):
        key_end()

cdef void key_again13(Key *k, const uint8_t *p, size_t n) noexcept nogil:
    """The HelloRetryRequest, whose transcript begins with the hash of the first hello (section 4.4.1)."""
    cdef Writer w = writer_over(key_reply, 256)
    cdef int suite = (<int>p[0] << 8) | p[1]
    if k.server.retried:
        key_end()
    server13_suite(k, suite, p[2])
    k.server.retried = True
    k.server.retry_suite = suite
    k.server.retry_group = p[2]
    build13_retry(&w, cursor_over(p + 3, n - 3), suite, p[2])
    transcript13_choose(&k.transcript13, k.suite.prf_id)
    transcript13_retry(&k.transcript13)
    transcript13_add(&k.transcript13, key_reply, w.n)
    key_answer(k, STATUS_OK, w.n)

cdef void server13_identity(Key *k, TicketState *s) noexcept nogil:
    """What a ticket is bound to."""
    hash_once(br_sha256_ID, k.identity.chain[0].data, k.identity.chain[0].data_len, s.certificate)
    server_digest(k.sni, s.server)

cdef void key_psk13(Key *k, const uint8_t *p, size_t n) noexcept nogil:
    """Open a ticket and judge its binder over the hello so far: status 0 taken, 1 of no use, 2 with an alert."""
    cdef Cursor c = cursor_over(p, n)
    cdef uint32_t number = take_uint(&c, 1), suite = take_uint(&c, 2), age = take_uint(&c, 4)
    cdef Cursor binder = take_vector(&c, 1)
    cdef const bw_suite *row = suite13_row(<int>suite)
    cdef TicketState s, ours
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t expected[SECRET_MAX]
    cdef bint usable
    k.server.psk_tried += 1
    if c.bad or row == NULL or number >= PSK_TRIED or k.server.psk_tried > PSK_TRIED or k.server.psk \
            or k.config.anchors != NULL:
        key_end()
    usable = k.tickets != NULL and ticket_open(&k.eng, k.tickets, c.p, c.left, &s)
    if usable:
        server13_identity(k, &ours)
        usable = (<uint32_t>s.suite == suite and memcmp(s.certificate, ours.certificate, 32) == 0
                  and memcmp(s.server, ours.server, 32) == 0 and ticket_fresh(&s, wall_ms(), age))
    if not usable:
        explicit_bzero(&s, sizeof(s))
        key_answer(k, 1, 0)
        return
    transcript13_digest(&k.transcript13, row.prf_id, digest)
    memcpy(k.server.psk_secret, s.psk, SECRET_MAX)
    explicit_bzero(&s, sizeof(s))
    schedule_start(&k.schedule, row.prf_id, k.server.psk_secret, hash_size(row.prf_id))
    schedule_binder(&k.schedule, False, digest, expected)
    if binder.left != k.schedule.n or not same_bytes(expected, binder.p, binder.left):
        key_reply[0] = DECRYPT_ERROR
        key_answer(k, 2, 1)
        key_end()
    k.server.psk = <int>number + 1
    k.server.psk_suite = <int>suite
    bw_wipe_stack()
    key_answer(k, STATUS_OK, 0)

cdef void server13_seal(Key *k, int kind, const uint8_t *p, size_t n) noexcept nogil:
    """Put messages into the ring, as many records as they need; the ring was made to hold a flight."""
    cdef size_t most = PLAINTEXT_MAX, part, start = key_slot_start(k, SLOT, &most)
    while n:
        part = n if n < most else most
        if ring_room(&k.ring) > RING_SIZE or ring_room(&k.ring) < SLOT:
            key_end()
        memcpy(key_pump.out_slots[0] + start, p, part)
        key_seal_slot(k, key_pump.out_slots[0], start, kind, part)
        p += part
        n -= part

cdef bint server13_certificate(Key *k, Writer *w, int scheme) noexcept nogil:
    """CertificateRequest with -a, Certificate and CertificateVerify; False when the key cannot sign."""
    cdef uint8_t content[VERIFY_CONTENT_MAX]
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t sig[SIGNATURE_MAX]
    cdef size_t n, at = w.n
    if k.config.anchors != NULL:
        build13_certificate_request(w, k.anchors.list, k.anchors.num)
    build13_certificate(w, k.identity.chain, k.identity.num, cursor_over(NULL, 0))
    transcript13_add(&k.transcript13, w.start + at, w.n - at)
    n = transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    n = verify13_content(True, digest, n, content)
    n = scheme_sign(&k.identity.key, scheme, content, n, &k.rng, sig)
    bw_test_stop("sign")
    if n == 0:
        return False
    at = build13_certificate_verify(w, scheme, sig, n)
    transcript13_add(&k.transcript13, w.start + at, w.n - at)
    return True

cdef void server13_flight(Key *k, int scheme, uint32_t flags, uint32_t protocol) noexcept nogil:
    """From EncryptedExtensions to Finished, sealed into the ring; then the application secrets are made."""
    cdef Writer w = writer_over(key_flight, sizeof(key_flight))
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t verify_data[SECRET_MAX]
    cdef size_t at
    build13_encrypted_extensions(&w, flags & ACCEPT_SNI, key_protocol(k, protocol),
                                 INNER_MAX if flags & ACCEPT_LIMIT else 0)
    transcript13_add(&k.transcript13, key_flight, w.n)
    if k.server.psk == 0 and not server13_certificate(k, &w, scheme):
        key_end()
    identity_wipe(&k.identity)
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_finished(&k.schedule, k.schedule.server_handshake, digest, verify_data)
    at = build13_finished(&w, verify_data, k.schedule.n)
    if w.full:
        key_end()
    transcript13_add(&k.transcript13, key_flight + at, w.n - at)
    server13_seal(k, 22, key_flight, w.n)
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_master(&k.schedule, digest)
    traffic_begin(&k.sealing, &k.eng, k.suite, k.schedule.server_application)
    explicit_bzero(k.schedule.server_handshake, SECRET_MAX)
    explicit_bzero(k.schedule.server_application, SECRET_MAX)
    ring_publish(&k.ring)

cdef void key_accept13(Key *k, const uint8_t *p, size_t n) noexcept nogil:
    """Everything from our share to our Finished; the ServerHello is net's to send, the rest lies in the ring."""
    cdef Writer w = writer_over(key_reply, 512)
    cdef Cursor c = cursor_over(p, n)
    cdef uint32_t suite = take_uint(&c, 2), limit = take_uint(&c, 2), group = take_uint(&c, 1)
    cdef uint32_t flags = take_uint(&c, 1), protocol = take_uint(&c, 1)
    cdef Cursor session = take_vector(&c, 1)
    cdef Cursor schemes = take_vector(&c, 1)
    cdef uint8_t random[32]
    cdef uint8_t point[133]
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t *x
    cdef size_t x_len
    cdef int scheme = 0
    if c.bad or session.left > 32 or schemes.left & 1 or c.left > sizeof(point) or limit < RECORD_LIMIT_MIN - 1 \
            or limit > PLAINTEXT_MAX or (k.server.psk and k.server.psk_suite != <int>suite):
        key_end()
    server13_suite(k, <int>suite, <int>group)
    k.eng.session.version = TLS13
    k.fragment_max = limit
    if k.server.psk == 0:
        scheme = identity_scheme13(&k.identity, schemes)
        if scheme == 0:
            server13_refuse(k, HANDSHAKE_FAILURE)
    key_ephemeral(k, <int>group)
    memcpy(point, c.p, c.left)
    x = key_multiply(k, point, c.left, &x_len)
    if x == NULL:
        server13_refuse(k, ILLEGAL_PARAMETER)
    br_hmac_drbg_generate(&k.rng, random, 32)
    build13_server_hello(&w, random, session, <int>suite, <int>group, k.point, k.point_len, k.server.psk - 1)
    transcript13_choose(&k.transcript13, k.suite.prf_id)
    transcript13_add(&k.transcript13, key_reply, w.n)
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_start(&k.schedule, k.suite.prf_id, k.server.psk_secret if k.server.psk else NULL,
                   hash_size(k.suite.prf_id))
    schedule_handshake(&k.schedule, x, x_len, digest)
    explicit_bzero(point, sizeof(point))
    explicit_bzero(k.ephemeral_bytes, sizeof(k.ephemeral_bytes))
    explicit_bzero(k.server.psk_secret, SECRET_MAX)
    traffic_begin(&k.sealing, &k.eng, k.suite, k.schedule.server_handshake)
    traffic_begin(&k.opening, &k.eng, k.suite, k.schedule.client_handshake)
    bw_test_stop("derive")
    k.server.early_left = EARLY_MAX if flags & ACCEPT_EARLY else 0
    if not flags & ACCEPT_TICKETS or k.config.anchors != NULL:
        tickets_forget(k)
    if k.tickets != NULL:
        server13_identity(k, &k.server.ticket)
    server13_flight(k, scheme, flags, protocol)
    bw_wipe_stack()
    key_answer(k, STATUS_OK, w.n)

cdef void key_peer_chain13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """Judge the client's certificates; none at all is refused too, since -a asks for one."""
    cdef const uint8_t *body = server13_body(m, n, MSG_CERTIFICATE)
    cdef Cursor context, entries
    cdef int num = 0, alert
    cdef unsigned err
    if k.config.anchors == NULL or k.server.psk:
        key_end()
    alert = certificate13_check(body, n - 4, False, &context, &entries, &num)
    if alert == 0 and num == 0:
        alert = CERTIFICATE_REQUIRED
    if alert:
        server13_verdict(k, alert, 0)
        return
    err = peer_chain(&k.peer, &k.anchors, NULL, key_flight, certificate13_list(entries, key_flight))
    if err == BR_ERR_X509_NOT_TRUSTED and peer_forged(&k.peer, &k.anchors):
        err = BR_ERR_X509_BAD_SIGNATURE
    if err == 0:
        err = peer_signs(&k.peer)
    transcript13_add(&k.transcript13, m, n)
    server13_verdict(k, error_row(err).alert if err else 0, err)

cdef void key_peer_verify13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """Judge the client's signature over the transcript, and take the account from its certificate (-U)."""
    cdef const uint8_t *body = server13_body(m, n, MSG_CERTIFICATE_VERIFY)
    cdef uint8_t content[VERIFY_CONTENT_MAX]
    cdef uint8_t digest[SECRET_MAX]
    cdef Cursor sig
    cdef int scheme = 0
    cdef int alert = certificate_verify13_check(body, n - 4, &scheme, &sig)
    cdef const br_x509_pkey *pk = peer_public_key(&k.peer, NULL)
    cdef size_t len
    if alert == 0 and scheme_row(scheme).key_type != pk.key_type:
        alert = ILLEGAL_PARAMETER
    if alert:
        server13_verdict(k, alert, 0)
        return
    len = transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    len = verify13_content(False, digest, len, content)
    if not scheme_verify(pk, scheme, content, len, sig.p, sig.left):
        server13_verdict(k, DECRYPT_ERROR, BR_ERR_BAD_SIGNATURE)
        return
    if k.config.user_field != USER_NONE and not key_account(k):
        server13_verdict(k, ACCESS_DENIED, 0)
        return
    transcript13_add(&k.transcript13, m, n)
    server13_verdict(k, 0, 0)

cdef void server13_ticket(Key *k, uint8_t nonce) noexcept nogil:
    """Seal one NewSessionTicket into the ring."""
    cdef Writer w = writer_over(key_flight, 512)
    cdef TicketState *s = &k.server.ticket
    cdef uint8_t ticket[TICKET_BYTES]
    cdef size_t n
    s.suite = k.suite.id
    s.issued_ms = wall_ms()
    br_hmac_drbg_generate(&k.rng, &s.age_add, sizeof(s.age_add))
    memset(s.psk, 0, SECRET_MAX)
    schedule_ticket(&k.schedule, &nonce, 1, s.psk)
    n = ticket_seal(&k.eng, k.tickets, &k.rng, s, ticket)
    explicit_bzero(s.psk, SECRET_MAX)
    if n == 0:
        return
    build13_ticket(&w, TICKET_LIFETIME, s.age_add, &nonce, 1, ticket, n)
    server13_seal(k, 22, key_flight, w.n)

cdef void key_client_finished13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """Judge the client's Finished; then its records are opened under application keys, and it gets its tickets."""
    cdef const uint8_t *body = server13_body(m, n, MSG_FINISHED)
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t expected[SECRET_MAX]
    cdef int alert = finished13_check(body, n - 4, k.schedule.n)
    cdef int i
    if (k.config.anchors != NULL) != (k.state == BW_PEER_VERIFIED13):
        key_end()
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_finished(&k.schedule, k.schedule.client_handshake, digest, expected)
    if alert == 0 and not same_bytes(expected, body, k.schedule.n):
        alert = DECRYPT_ERROR
    if alert == 0:
        transcript13_add(&k.transcript13, m, n)
        transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
        traffic_begin(&k.opening, &k.eng, k.suite, k.schedule.client_application)
        if k.tickets != NULL:
            schedule_resumption(&k.schedule, digest)
            for i in range(1 if k.server.psk else 2):
                server13_ticket(k, <uint8_t>i)
            ring_publish(&k.ring)
    schedule_wipe(&k.schedule)
    tickets_forget(k)
    bw_test_stop("finished")
    bw_wipe_stack()
    server13_verdict(k, alert, 0)
