# wire13 - messages of TLS 1.3 as they are built (RFC 8446 sections 4.1.3 to 4.6.3), each with its 4-byte header.
#
# How a role calls it: a Writer over its buffer, then one build13_* after the other; each returns where its message
# begins, so the transcript gets w.start + at .. w.start + w.n. What does not fit makes w.full, asked for once at the end.
#
#   Writer w = writer_over(buffer, sizeof(buffer))
#   at = build13_server_hello(&w, random, session, suite, group, NULL, 32, -1)     point NULL: left empty for key, which
#                                                   finds the place with server_hello13_check (h.share) and fills it in
#   build13_retry(&w, session, suite, group)
#   build13_encrypted_extensions(&w, sni_seen, protocol, limit)
#   build13_certificate_request(&w, anchors, num)
#   build13_certificate(&w, chain, num, context)    num 0: a client without one
#   verify13_content(is_server, digest, n, out)     what is signed; build13_certificate_verify(&w, scheme, sig, n)
#   build13_finished(&w, verify_data, n)
#   build13_ticket(&w, lifetime, age_add, nonce, nonce_len, ticket, n)
#   build13_key_update(&w, requested)

cdef enum Message13:
    MSG_SERVER_HELLO = 2
    MSG_TICKET = 4
    MSG_ENCRYPTED_EXTENSIONS = 8
    MSG_CERTIFICATE = 11
    MSG_CERTIFICATE_REQUEST = 13
    MSG_CERTIFICATE_VERIFY = 15
    MSG_FINISHED = 20
    MSG_KEY_UPDATE = 24

cdef enum:
    VERIFY_CONTENT_MAX = 64 + 33 + 1 + SECRET_MAX

# SHA-256 of "HelloRetryRequest" (section 4.1.3)
cdef const uint8_t *retry_random() noexcept nogil:
    return <const uint8_t *>(b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
                             b"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c")

cdef struct Writer:
    uint8_t *start
    size_t n                    # bytes written
    size_t room
    bint full                   # something did not fit; nothing is written any more

cdef Writer writer_over(uint8_t *p, size_t room) noexcept nogil:
    cdef Writer w
    w.start = p
    w.n = 0
    w.room = room
    w.full = False
    return w

cdef uint8_t *put_space(Writer *w, size_t n) noexcept nogil:
    """Where n bytes may be written, NULL when they do not fit."""
    cdef uint8_t *p = w.start + w.n
    if w.full or n > w.room - w.n:
        w.full = True
        return NULL
    w.n += n
    return p

cdef void put(Writer *w, uint32_t v, int width) noexcept nogil:
    cdef uint8_t *p = put_space(w, width)
    if p != NULL:
        put_uint(p, v, width)

cdef void put_bytes(Writer *w, const uint8_t *data, size_t n) noexcept nogil:
    cdef uint8_t *p = put_space(w, n)
    if p != NULL and n:
        memcpy(p, data, n)

cdef void put_vector(Writer *w, int width, const uint8_t *data, size_t n) noexcept nogil:
    if width < 4 and n >> (8 * width):
        w.full = True
    put(w, <uint32_t>n, width)
    put_bytes(w, data, n)

cdef size_t open_vector(Writer *w, int width) noexcept nogil:
    """Begin a vector; close_vector takes what this returns."""
    put(w, 0, width)
    return w.n

cdef void close_vector(Writer *w, size_t at, int width) noexcept nogil:
    if w.full:
        return
    if (w.n - at) >> (8 * width):
        w.full = True
        return
    put_uint(w.start + at - width, <uint32_t>(w.n - at), width)

cdef size_t open_message(Writer *w, int kind) noexcept nogil:
    put(w, kind, 1)
    return open_vector(w, 3)

cdef size_t close_message(Writer *w, size_t at) noexcept nogil:
    """Where the message began."""
    close_vector(w, at, 3)
    return at - 4

cdef size_t open_hello(Writer *w, const uint8_t *random, Cursor session, int suite) noexcept nogil:
    """A ServerHello up to its extensions, whose vector is the caller's to close behind this message's begin + 4."""
    cdef size_t at = open_message(w, MSG_SERVER_HELLO)
    put(w, 0x0303, 2)
    put_bytes(w, random, 32)
    put_vector(w, 1, session.p, session.left)
    put(w, suite, 2)
    put(w, 0, 1)
    open_vector(w, 2)
    put(w, 43, 2)                           # supported_versions
    put(w, 2, 2)
    put(w, TLS13, 2)
    return at

cdef size_t build13_server_hello(Writer *w, const uint8_t *random, Cursor session, int suite, int group,
                                 const uint8_t *point, size_t point_len, int psk) noexcept nogil:
    """point NULL: zeros in its place; psk: which identity was taken, -1 for none."""
    cdef size_t at = open_hello(w, random, session, suite)
    cdef size_t extensions = at + 40 + session.left
    cdef uint8_t *place
    put(w, 51, 2)                           # key_share
    put(w, <uint32_t>point_len + 4, 2)
    put(w, group, 2)
    put(w, <uint32_t>point_len, 2)
    place = put_space(w, point_len)
    if place != NULL:
        if point == NULL:
            memset(place, 0, point_len)
        else:
            memcpy(place, point, point_len)
    if psk >= 0:
        put(w, 41, 2)
        put(w, 2, 2)
        put(w, psk, 2)
    close_vector(w, extensions, 2)
    return close_message(w, at)

cdef size_t build13_retry(Writer *w, Cursor session, int suite, int group) noexcept nogil:
    """HelloRetryRequest: a share of this group, please."""
    cdef size_t at = open_hello(w, retry_random(), session, suite)
    put(w, 51, 2)
    put(w, 2, 2)
    put(w, group, 2)
    close_vector(w, at + 40 + session.left, 2)
    return close_message(w, at)

cdef size_t build13_encrypted_extensions(Writer *w, bint sni, Cursor protocol, uint32_t limit) noexcept nogil:
    """sni: server_name was used; protocol: ALPN's choice, p NULL for none; limit: our record_size_limit, 0 for none."""
    cdef size_t at = open_message(w, MSG_ENCRYPTED_EXTENSIONS)
    cdef size_t extensions = open_vector(w, 2)
    if sni:
        put(w, 0, 4)
    if protocol.p != NULL:
        put(w, 16, 2)
        put(w, <uint32_t>protocol.left + 3, 2)
        put(w, <uint32_t>protocol.left + 1, 2)
        put_vector(w, 1, protocol.p, protocol.left)
    if limit:
        put(w, 28, 2)
        put(w, 2, 2)
        put(w, limit, 2)
    close_vector(w, extensions, 2)
    return close_message(w, at)

cdef void put_schemes(Writer *w) noexcept nogil:
    """signature_algorithms with all that we verify, for a CertificateRequest or a ClientHello.

    PKCS#1 (SHA-256, SHA-384, SHA-512) is for certificates alone (section 4.2.3), most of which are signed by it.
    """
    cdef size_t outer, inner
    cdef int i
    put(w, 13, 2)
    outer = open_vector(w, 2)
    inner = open_vector(w, 2)
    for i in range(BW_SCHEMES):
        if scheme_verifiable(&bw_schemes[i]):
            put(w, bw_schemes[i].id, 2)
    for i in range(0x0401, 0x0701, 0x0100):
        put(w, <uint32_t>i, 2)
    close_vector(w, inner, 2)
    close_vector(w, outer, 2)

cdef size_t build13_certificate_request(Writer *w, const br_x509_trust_anchor *anchors, int num) noexcept nogil:
    """For the handshake: no context. Names that do not fit into one extension are left out, all of them."""
    cdef size_t at = open_message(w, MSG_CERTIFICATE_REQUEST)
    cdef size_t extensions, names = 0, outer
    cdef int i
    put(w, 0, 1)
    extensions = open_vector(w, 2)
    put_schemes(w)
    for i in range(num):
        names += 2 + anchors[i].dn.len
    if names and names < 65000:
        put(w, 47, 2)
        outer = open_vector(w, 2)
        put(w, <uint32_t>names, 2)
        for i in range(num):
            put_vector(w, 2, anchors[i].dn.data, anchors[i].dn.len)
        close_vector(w, outer, 2)
    close_vector(w, extensions, 2)
    return close_message(w, at)

cdef size_t build13_certificate(Writer *w, const br_x509_certificate *chain, int num, Cursor context) noexcept nogil:
    """context: that of the CertificateRequest, empty in the handshake."""
    cdef size_t at = open_message(w, MSG_CERTIFICATE)
    cdef size_t entries
    cdef int i
    put_vector(w, 1, context.p, context.left)
    entries = open_vector(w, 3)
    for i in range(num):
        put_vector(w, 3, chain[i].data, chain[i].data_len)
        put(w, 0, 2)
    close_vector(w, entries, 3)
    return close_message(w, at)

cdef size_t verify13_content(bint is_server, const uint8_t *digest, size_t n, uint8_t *out) noexcept nogil:
    """What a CertificateVerify signs (section 4.4.3), at most VERIFY_CONTENT_MAX bytes; its length."""
    memset(out, 32, 64)
    memcpy(out + 64, b"TLS 1.3, server CertificateVerify" if is_server else b"TLS 1.3, client CertificateVerify", 33)
    out[97] = 0
    memcpy(out + 98, digest, n)
    return 98 + n

cdef size_t build13_certificate_verify(Writer *w, int scheme, const uint8_t *sig, size_t n) noexcept nogil:
    cdef size_t at = open_message(w, MSG_CERTIFICATE_VERIFY)
    put(w, scheme, 2)
    put_vector(w, 2, sig, n)
    return close_message(w, at)

cdef size_t build13_finished(Writer *w, const uint8_t *verify_data, size_t n) noexcept nogil:
    cdef size_t at = open_message(w, MSG_FINISHED)
    put_bytes(w, verify_data, n)
    return close_message(w, at)

cdef size_t build13_ticket(Writer *w, uint32_t lifetime, uint32_t age_add, const uint8_t *nonce, size_t nonce_len,
                           const uint8_t *ticket, size_t n) noexcept nogil:
    """NewSessionTicket without early data; lifetime in seconds."""
    cdef size_t at = open_message(w, MSG_TICKET)
    put(w, lifetime, 4)
    put(w, age_add, 4)
    put_vector(w, 1, nonce, nonce_len)
    put_vector(w, 2, ticket, n)
    put(w, 0, 2)
    return close_message(w, at)

cdef size_t build13_key_update(Writer *w, bint requested) noexcept nogil:
    cdef size_t at = open_message(w, MSG_KEY_UPDATE)
    put(w, requested, 1)
    return close_message(w, at)
