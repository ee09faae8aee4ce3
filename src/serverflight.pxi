# serverflight - strict parsers of what a server sends in a handshake of TLS 1.0 to 1.2 (RFC 5246 section 7.4,
# RFC 8422 section 5, RFC 5746, RFC 6066): the client's twin of hello.pxi and of message_check.
#
# They run before BearSSL sees a message and decide nothing: a good one goes on to the engine unchanged.

cdef enum:
    PSS_SCHEME = 8              # the first byte of rsa_pss_rsae_*, where TLS 1.2 has a hash

cdef struct ServerHello:
    int version
    const uint8_t *random
    Cursor session
    uint32_t record_limit       # record_size_limit, 0 without
    int suite
    const char *why             # what was wrong, for the message

cdef int refuse_server(ServerHello *h, int alert, const char *why) noexcept nogil:
    h.why = why
    return alert

cdef enum ServerExtension:      # those of our ClientHello, as bits
    SEEN_SERVER_NAME = 1
    SEEN_GROUPS = 2
    SEEN_POINT_FORMATS = 4
    SEEN_ALGORITHMS = 8
    SEEN_RENEGOTIATION = 16
    SEEN_RECORD_LIMIT = 32

cdef int server_extension(uint32_t kind, bint sni_sent) noexcept nogil:
    """The bit of an extension that may come back, 0 for one that was not offered.

    Of ours RFC 5246 and RFC 8422 have no answer to signature_algorithms and supported_groups, but servers send them;
    max_fragment_length is not sent with buffers for whole records.
    """
    if kind == 0:
        return SEEN_SERVER_NAME if sni_sent else 0
    if kind == 10:
        return SEEN_GROUPS
    if kind == 11:
        return SEEN_POINT_FORMATS
    if kind == 13:
        return SEEN_ALGORITHMS
    if kind == 28:
        return SEEN_RECORD_LIMIT
    return SEEN_RENEGOTIATION if kind == 0xFF01 else 0

cdef int check_server_extension(ServerHello *h, int bit, Cursor e) noexcept nogil:
    cdef Cursor items
    if bit == SEEN_SERVER_NAME:                         # RFC 6066 section 3
        if e.left:
            return refuse_server(h, DECODE_ERROR, "server_name of the server not empty")
        return 0
    if bit == SEEN_GROUPS or bit == SEEN_ALGORITHMS:
        items = take_vector(&e, 2)
        if e.bad or e.left or items.left == 0 or items.left & 1:
            return refuse_server(h, DECODE_ERROR, "malformed supported_groups or signature_algorithms")
        return 0
    if bit == SEEN_RECORD_LIMIT:                        # RFC 8449 section 4; it may count a type that 1.2 does not have
        h.record_limit = take_uint(&e, 2)
        if e.bad or e.left:
            return refuse_server(h, DECODE_ERROR, "malformed record_size_limit of the server")
        if not RECORD_LIMIT_MIN <= h.record_limit <= INNER_MAX:
            return refuse_server(h, ILLEGAL_PARAMETER, "record_size_limit out of range")
        return 0
    items = take_vector(&e, 1)
    if bit == SEEN_POINT_FORMATS:                       # RFC 8422 section 5.2
        if e.bad or e.left or items.left == 0:
            return refuse_server(h, DECODE_ERROR, "malformed ec_point_formats")
        if memchr(items.p, 0, items.left) == NULL:
            return refuse_server(h, ILLEGAL_PARAMETER, "ec_point_formats without uncompressed")
        return 0
    if e.bad or e.left:                                 # RFC 5746 section 3.4
        return refuse_server(h, DECODE_ERROR, "malformed renegotiation_info")
    if items.left:
        return refuse_server(h, HANDSHAKE_FAILURE, "renegotiation_info not empty in the first handshake")
    return 0

cdef bint suite_offered(int suite, const uint16_t *suites, int suites_num) noexcept nogil:
    cdef int i
    for i in range(suites_num):
        if suites[i] == suite:
            return True
    return False

cdef int server_hello_check(const uint8_t *body, size_t n, ServerHello *h, int version_min, int version_max,
                            bint sni_sent, const uint16_t *suites, int suites_num) noexcept nogil:
    """Check a ServerHello's body against what was offered; 0, or the alert to send with `why` set."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor session, extensions, e, walk
    cdef const bw_suite *row
    cdef uint32_t compression
    cdef int seen = 0, bit, alert
    memset(h, 0, sizeof(ServerHello))
    h.version = <int>take_uint(&c, 2)
    h.random = take(&c, 32)
    session = h.session = take_vector(&c, 1)
    h.suite = <int>take_uint(&c, 2)
    compression = take_uint(&c, 1)
    if c.bad or session.left > 32:
        return refuse_server(h, DECODE_ERROR, "malformed ServerHello")
    memset(&extensions, 0, sizeof(extensions))
    if c.left:
        extensions = take_vector(&c, 2)
        walk = extensions
        while walk.left:
            take_uint(&walk, 2)
            take_vector(&walk, 2)
        if c.bad or c.left or walk.bad:
            return refuse_server(h, DECODE_ERROR, "malformed extensions of the server")
    # all of it can be decoded: now the values
    if not version_min <= h.version <= version_max or h.version > BR_TLS12:     # TLS 1.3 is in an extension
        return refuse_server(h, PROTOCOL_VERSION, "protocol version not offered")
    # RFC 8446 section 4.1.3: the server could have done TLS 1.2 or 1.3, so somebody on the way took it from the offer
    if memcmp(h.random + 24, b"DOWNGRD", 7) == 0 and (
            (h.random[31] == 0 and h.version < BR_TLS12 and version_max >= BR_TLS12)
            or (h.random[31] == 1 and version_max >= TLS13)):
        return refuse_server(h, ILLEGAL_PARAMETER, "protocol version downgraded on the way")
    row = suite_row(h.suite)
    if row == NULL or not suite_offered(h.suite, suites, suites_num):
        return refuse_server(h, ILLEGAL_PARAMETER, "cipher suite not offered")
    if not suite_fits(row, h.version):
        return refuse_server(h, ILLEGAL_PARAMETER, "cipher suite of a later version")
    if compression != 0:
        return refuse_server(h, ILLEGAL_PARAMETER, "compression not offered")
    while extensions.left:
        bit = server_extension(take_uint(&extensions, 2), sni_sent)
        e = take_vector(&extensions, 2)
        if bit == 0:
            return refuse_server(h, UNSUPPORTED_EXTENSION, "extension not offered")
        if seen & bit:
            return refuse_server(h, ILLEGAL_PARAMETER, "duplicate extension")
        seen |= bit
        alert = check_server_extension(h, bit, e)
        if alert:
            return alert
    return 0

cdef int check_key_exchange(Cursor *c, int version, const bw_suite *row) noexcept nogil:
    """ServerKeyExchange with a named curve (RFC 8422 section 5.4); an alert for a wrong value, c for the rest."""
    cdef uint32_t curve_type = take_uint(c, 1)
    cdef Cursor point, signature
    cdef const bw_group *group
    cdef uint32_t hash_id = 0, algorithm = 0
    cdef int curve
    if not c.bad and curve_type != 3:                   # what follows is then of another form
        return ILLEGAL_PARAMETER
    curve = <int>take_uint(c, 2)
    point = take_vector(c, 1)
    if version >= BR_TLS12:
        hash_id = take_uint(c, 1)
        algorithm = take_uint(c, 1)
    signature = take_vector(c, 2)
    if c.bad or c.left or point.left == 0 or signature.left == 0:
        return DECODE_ERROR
    group = group_row(curve)
    if group == NULL or point.left != group.point_len:
        return ILLEGAL_PARAMETER
    if version >= BR_TLS12 and hash_id == PSS_SCHEME:     # RFC 8446 section 4.2.3: where it is offered it may be used
        return 0 if row.key_type == BR_KEYTYPE_RSA and 4 <= algorithm <= 6 else ILLEGAL_PARAMETER
    if version >= BR_TLS12 and (algorithm != (1 if row.key_type == BR_KEYTYPE_RSA else 3)
                                or not br_sha1_ID <= <int>hash_id <= br_sha512_ID):
        return ILLEGAL_PARAMETER
    return 0

cdef int server_message_check(int kind, const uint8_t *body, size_t n, int version, int suite) noexcept nogil:
    """Structure of the server's messages behind ServerHello, for the version and suite that it chose; 0 or an alert."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor list, item
    cdef const bw_suite *row = suite_row(suite)
    cdef int alert
    if kind == 11:                                      # Certificate, section 7.4.2
        list = take_vector(&c, 3)
        if not c.bad and list.left == 0:
            return DECODE_ERROR
        while list.left:
            item = take_vector(&list, 3)
            if list.bad or item.left == 0:
                return DECODE_ERROR
    elif kind == 12:                                    # ServerKeyExchange
        if row == NULL or row.exchange != BW_ECDHE:
            return UNEXPECTED_MESSAGE
        alert = check_key_exchange(&c, version, row)
        if alert:
            return alert
    elif kind == 13:                                    # CertificateRequest, section 7.4.4
        item = take_vector(&c, 1)
        if not c.bad and item.left == 0:
            return DECODE_ERROR
        if version >= BR_TLS12:
            item = take_vector(&c, 2)
            if not c.bad and (item.left == 0 or item.left & 1):
                return DECODE_ERROR
        list = take_vector(&c, 2)
        while list.left:
            item = take_vector(&list, 2)
            if list.bad or item.left == 0:
                return DECODE_ERROR
    elif kind == 20:                                    # Finished, section 7.4.9
        take(&c, 12)
    elif kind != 14:                                    # ServerHelloDone is empty, others have no place here
        return UNEXPECTED_MESSAGE
    return DECODE_ERROR if c.bad or c.left else 0
