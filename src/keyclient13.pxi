# keyclient13 - key's part in a client's handshake of TLS 1.3 (RFC 8446 sections 2 and 4).
#
# net gives each handshake message as it is on the wire, and key hashes it: so the server's CertificateVerify and
# Finished are judged over what key has seen, and what key signs and seals covers a ClientHello with key's own point.
# net has checked every message before; one that does not pass here ends key. What only key can judge is answered, and
# after a refusal nothing but an alert may follow.

cdef int signature13_error(const br_x509_pkey *pk, int scheme, const uint8_t *content, size_t n,
                           Cursor sig) noexcept nogil:
    """0, or a BearSSL error: a scheme for another key, or a wrong signature."""
    cdef const bw_scheme *row = scheme_row(scheme)
    if row.key_type != pk.key_type or (row.key_type == BR_KEYTYPE_EC and row.curve != pk.key.ec.curve):
        return BR_ERR_INVALID_ALGORITHM
    return 0 if scheme_verify(pk, scheme, content, n, sig.p, sig.left) else BR_ERR_BAD_SIGNATURE

cdef const uint8_t *client13_body(const uint8_t *m, size_t n, int kind) noexcept nogil:
    """The body of a whole message of this kind; another one ends key."""
    if n < 4 or m[0] != kind or ((<size_t>m[1] << 16) | (<size_t>m[2] << 8) | m[3]) != n - 4:
        key_end()
    return m + 4

cdef void client13_verdict(Key *k, int error) noexcept nogil:
    """Answer with 0 or a BearSSL error."""
    key_reply[0] = <uint8_t>error
    k.refused = error != 0
    key_answer(k, 1 if error else STATUS_OK, 1 if error else 0)

cdef void key_share13(Key *k, int group) noexcept nogil:
    """A fresh share; the one before, which the server did not want, is gone."""
    if k.config.version_max < TLS13 or group_row(group) == NULL or not (k.config.groups >> group) & 1 \
            or (k.state == BW_RETRIED13 and group != k.offered.retry_group):
        key_end()
    key_ephemeral(k, group)
    memcpy(key_reply, k.point, k.point_len)
    key_answer(k, STATUS_OK, k.point_len)

cdef void key_hello13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """Our ClientHello: with key's share, and no other; nothing that this client has no answer for."""
    cdef const uint8_t *body = client13_body(m, n, 1)
    cdef ClientHello h
    cdef Cursor share, shares
    cdef uint16_t ours[3]
    cdef int i, num
    if hello_check(body, n - 4, &h, TLS13) or not h.tls13 or h.protocols.p != NULL or h.identities.p != NULL \
            or h.early_data or (k.state == BW_RETRIED13 and k.offered.retry_group):
        key_end()
    shares = h.shares
    take_uint(&shares, 2)
    take_vector(&shares, 2)
    share = share_of(h.shares, k.group)
    if shares.left or share.left != k.point_len or memcmp(share.p, k.point, k.point_len) != 0:
        key_end()
    if not k.offered.retried:
        transcript13_start(&k.transcript13)
    transcript13_add(&k.transcript13, m, n)
    memcpy(k.eng.client_random, body + 2, 32)
    memcpy(k.session, h.session.p, h.session.left)
    k.offered.session = k.session
    k.offered.session_len = h.session.left
    k.offered.suites = k.suites13
    k.offered.suites_num = 0
    num = suites13_of(k.config.suites, k.config.suites_num, ours)
    for i in range(num):
        if lists_u16(cursor_over(h.suites, h.suites_len), ours[i]):
            k.suites13[k.offered.suites_num] = ours[i]
            k.offered.suites_num += 1
    k.offered.groups = 0
    for i in range(BW_GROUPS):
        if (k.config.groups >> bw_groups[i].id) & 1 and lists_u16(h.groups, bw_groups[i].id):
            k.offered.groups |= <uint32_t>1 << bw_groups[i].id
    k.offered.shares = <uint32_t>1 << k.group
    k.offered.sni = h.sni != NULL
    k.offered.record_limit = h.record_limit != 0

cdef void key_retry13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """The HelloRetryRequest: it fixes suite and hash, and the first ClientHello becomes a hash (section 4.4.1)."""
    cdef const uint8_t *body = client13_body(m, n, MSG_SERVER_HELLO)
    cdef ServerHello13 h
    if not server_hello13_is(body, n - 4) or server_hello13_check(body, n - 4, &k.offered, &h) or not h.retry:
        key_end()
    transcript13_choose(&k.transcript13, suite13_row(h.suite).prf_id)
    transcript13_retry(&k.transcript13)
    transcript13_add(&k.transcript13, m, n)
    k.offered.retried = True
    k.offered.retry_suite = h.suite
    k.offered.retry_group = h.group

cdef void key_agree13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """The ServerHello: handshake secrets, and both directions protected; or the verdict that its share is bad."""
    cdef const uint8_t *body = client13_body(m, n, MSG_SERVER_HELLO)
    cdef ServerHello13 h
    cdef uint8_t point[133]
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t *x
    cdef size_t x_len
    if not server_hello13_is(body, n - 4) or server_hello13_check(body, n - 4, &k.offered, &h) or h.retry:
        key_end()
    k.suite = suite13_row(h.suite)
    memcpy(point, h.share.p, h.share.left)
    x = key_multiply(k, point, h.share.left, &x_len)
    if x == NULL:
        client13_verdict(k, BR_ERR_INVALID_ALGORITHM)
        key_end()
    k.eng.session.version = TLS13
    k.eng.session.cipher_suite = <uint16_t>h.suite
    k.fragment_max = PLAINTEXT_MAX
    transcript13_choose(&k.transcript13, k.suite.prf_id)
    transcript13_add(&k.transcript13, m, n)
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_start(&k.schedule, k.suite.prf_id, NULL, 0)
    schedule_handshake(&k.schedule, x, x_len, digest)
    traffic_begin(&k.opening, &k.eng, k.suite, k.schedule.server_handshake)
    traffic_begin(&k.sealing, &k.eng, k.suite, k.schedule.client_handshake)
    bw_keylog_handshake(k.eng.client_random, k.schedule.client_handshake, k.schedule.server_handshake, k.schedule.n)
    bw_test_stop("agree13")
    explicit_bzero(point, sizeof(point))
    explicit_bzero(k.ephemeral_bytes, sizeof(k.ephemeral_bytes))
    bw_wipe_stack()
    client13_verdict(k, 0)

cdef void key_extensions13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """EncryptedExtensions: the server's record_size_limit is for our records."""
    cdef const uint8_t *body = client13_body(m, n, MSG_ENCRYPTED_EXTENSIONS)
    cdef EncryptedExtensions x
    if encrypted_extensions_check(body, n - 4, &k.offered, &x):
        key_end()
    k.fragment_max = record_content_max(x.record_limit)
    transcript13_add(&k.transcript13, m, n)

cdef void key_request13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """CertificateRequest: the scheme that our certificate signs with, if there is one that the server takes."""
    cdef const uint8_t *body = client13_body(m, n, MSG_CERTIFICATE_REQUEST)
    cdef CertificateRequest13 request
    if certificate_request13_check(body, n - 4, &request):
        key_end()
    k.requested = True
    k.scheme = identity_scheme13(&k.identity, request.schemes)
    transcript13_add(&k.transcript13, m, n)

cdef void key_server_chain13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """The server's Certificate: anchors, dates, name, and that its key may sign."""
    cdef const uint8_t *body = client13_body(m, n, MSG_CERTIFICATE)
    cdef Cursor context, entries
    cdef int num = 0
    cdef unsigned err
    if certificate13_check(body, n - 4, True, &context, &entries, &num):
        key_end()
    err = server_judged(k, key_reply, certificate13_list(entries, key_reply))
    if err == 0:
        err = peer_signs(&k.peer)
    transcript13_add(&k.transcript13, m, n)
    client13_verdict(k, <int>err)

cdef void key_server_verify13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """The server's CertificateVerify, over everything before it."""
    cdef const uint8_t *body = client13_body(m, n, MSG_CERTIFICATE_VERIFY)
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t content[VERIFY_CONTENT_MAX]
    cdef Cursor signature
    cdef int scheme = 0
    cdef size_t size
    if certificate_verify13_check(body, n - 4, &scheme, &signature):
        key_end()
    size = transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    size = verify13_content(True, digest, size, content)
    transcript13_add(&k.transcript13, m, n)
    client13_verdict(k, signature13_error(peer_public_key(&k.peer, NULL), scheme, content, size, signature))

cdef void client13_send(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """Hash one of our messages and seal it, in as many records as the server's limit asks for."""
    cdef uint8_t *slot = key_pump.out_slots[0]
    cdef size_t part, most = PLAINTEXT_MAX
    cdef size_t start = key_slot_start(k, SLOT, &most)
    transcript13_add(&k.transcript13, m, n)
    while n:
        part = n if n < most else most
        if ring_room(&k.ring) < SLOT or ring_room(&k.ring) > RING_SIZE:
            key_end()
        memcpy(slot + start, m, part)
        key_seal_slot(k, slot, start, 22, part)
        m += part
        n -= part

cdef void client13_flight(Key *k) noexcept nogil:
    """Certificate, CertificateVerify, as the server has asked for them, and Finished (section 4.4)."""
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t content[VERIFY_CONTENT_MAX]
    cdef uint8_t sig[SIGNATURE_MAX]
    cdef Writer w = writer_over(key_reply, sizeof(key_reply))
    cdef size_t n
    cdef int hash_id = k.suite.prf_id
    if k.requested:
        build13_certificate(&w, k.identity.chain, k.identity.num if k.scheme else 0, cursor_over(NULL, 0))
        if w.full:
            key_end()
        client13_send(k, w.start, w.n)
        if k.scheme:
            n = verify13_content(False, digest, transcript13_digest(&k.transcript13, hash_id, digest), content)
            n = scheme_sign(&k.identity.key, k.scheme, content, n, &k.rng, sig)
            bw_test_stop("sign")
            if n == 0:
                key_end()
            w = writer_over(key_reply, sizeof(key_reply))
            build13_certificate_verify(&w, k.scheme, sig, n)
            client13_send(k, w.start, w.n)
    identity_wipe(&k.identity)          # also when the server asked for no certificate
    n = transcript13_digest(&k.transcript13, hash_id, digest)
    schedule_finished(&k.schedule, k.schedule.client_handshake, digest, content)
    w = writer_over(key_reply, sizeof(key_reply))
    build13_finished(&w, content, n)
    client13_send(k, w.start, w.n)

cdef void key_finish13(Key *k, const uint8_t *m, size_t n) noexcept nogil:
    """The server's Finished, over everything before it; then our own flight, and application keys."""
    cdef const uint8_t *body = client13_body(m, n, MSG_FINISHED)
    cdef uint8_t digest[SECRET_MAX]
    cdef uint8_t expected[SECRET_MAX]
    cdef size_t size = transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    if finished13_check(body, n - 4, size):
        key_end()
    schedule_finished(&k.schedule, k.schedule.server_handshake, digest, expected)
    if not same_bytes(body, expected, size):
        client13_verdict(k, BR_ERR_BAD_FINISHED)
        return
    transcript13_add(&k.transcript13, m, n)
    transcript13_digest(&k.transcript13, k.suite.prf_id, digest)
    schedule_master(&k.schedule, digest)
    client13_flight(k)
    traffic_begin(&k.opening, &k.eng, k.suite, k.schedule.server_application)
    traffic_begin(&k.sealing, &k.eng, k.suite, k.schedule.client_application)
    bw_keylog_application(k.eng.client_random, k.schedule.client_application, k.schedule.server_application,
                          k.schedule.n)
    bw_test_stop("finish13")
    schedule_wipe(&k.schedule)          # no ticket is kept, so the resumption secret is not even made
    bw_wipe_stack()
    ring_publish(&k.ring)
    client13_verdict(k, 0)
