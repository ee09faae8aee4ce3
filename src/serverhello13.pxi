# serverhello13 - a client's strict parsers of ServerHello, HelloRetryRequest and EncryptedExtensions of TLS 1.3 (RFC
# 8446 sections 4.1.3, 4.1.4 and 4.3.1), against what was offered. key of a server walks its own net's ServerHello with
# server_hello13_check too, to find the place of the point.
#
#   server_hello13_is(body, n)                          whether supported_versions is there: else serverflight's
#   server_hello13_check(body, n, &offered, &h)         h.retry: a HelloRetryRequest, h.group, h.cookie
#   encrypted_extensions_check(body, n, &offered, &e)

cdef struct Offered13:          # what the last ClientHello said
    const uint8_t *session      # legacy_session_id
    size_t session_len
    const uint16_t *suites
    int suites_num
    uint32_t groups             # bit n: IANA group number n, supported_groups
    uint32_t shares             # likewise, key_share
    int psks                    # identities offered
    bint sni                    # the extensions that EncryptedExtensions may answer
    Cursor protocols            # ALPN's list as it was sent, p NULL without
    bint record_limit
    bint retried                # there was a HelloRetryRequest already,
    int retry_suite             # for this suite
    int retry_group             # and this group, 0 when it was for the cookie alone

cdef struct ServerHello13:
    const uint8_t *random
    int suite
    bint retry
    int group                   # of the share, or asked for; 0 when a HelloRetryRequest asks for none
    Cursor share                # the server's point
    Cursor cookie               # p NULL without
    int psk                     # the identity taken, -1 for none
    const char *why

cdef int refuse13(ServerHello13 *h, int alert, const char *why) noexcept nogil:
    h.why = why
    return alert

cdef Cursor hello_extensions(const uint8_t *body, size_t n) noexcept nogil:
    """The extensions of a ServerHello, bad when they cannot be walked."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor extensions, walk
    take(&c, 34)
    take_vector(&c, 1)
    take(&c, 3)
    extensions = take_vector(&c, 2)
    walk = extensions
    while walk.left:
        take_uint(&walk, 2)
        take_vector(&walk, 2)
    extensions.bad = c.bad or c.left != 0 or walk.bad
    return extensions

cdef bint server_hello13_is(const uint8_t *body, size_t n) noexcept nogil:
    """Whether a ServerHello is one of TLS 1.3: it has supported_versions (section 4.2.1)."""
    cdef Cursor extensions = hello_extensions(body, n)
    if extensions.bad:
        return False
    while extensions.left:
        if take_uint(&extensions, 2) == 43:
            return True
        take_vector(&extensions, 2)
    return False

cdef int check_server_share(ServerHello13 *h, Cursor e, Offered13 *o) noexcept nogil:
    """key_share (section 4.2.8): a point of a group whose share we sent, or a group whose we did not."""
    cdef const bw_group *row
    h.group = <int>take_uint(&e, 2)
    if not h.retry:
        h.share = take_vector(&e, 2)
    if e.bad or e.left or (not h.retry and h.share.left == 0):
        return refuse13(h, DECODE_ERROR, "malformed key_share of the server")
    row = group_row(h.group)
    if row == NULL or not (o.groups >> h.group) & 1:
        return refuse13(h, ILLEGAL_PARAMETER, "key_share of a group not offered")
    if h.retry and (o.shares >> h.group) & 1:
        return refuse13(h, ILLEGAL_PARAMETER, "HelloRetryRequest for a share that was sent")
    if not h.retry and (not (o.shares >> h.group) & 1 or h.share.left != row.point_len):
        return refuse13(h, ILLEGAL_PARAMETER, "key_share of a group not shared, or of a wrong size")
    return 0

cdef int check_hello_extension(ServerHello13 *h, uint32_t kind, Cursor e, Offered13 *o) noexcept nogil:
    if kind == 43:
        if e.left != 2:
            return refuse13(h, DECODE_ERROR, "malformed supported_versions of the server")
        if take_uint(&e, 2) != TLS13:
            return refuse13(h, ILLEGAL_PARAMETER, "protocol version not offered in supported_versions")
        return 0
    if kind == 51:
        return check_server_share(h, e, o)
    if kind == 41 and not h.retry and o.psks:
        if e.left != 2:
            return refuse13(h, DECODE_ERROR, "malformed pre_shared_key of the server")
        h.psk = <int>take_uint(&e, 2)
        if h.psk >= o.psks:
            return refuse13(h, ILLEGAL_PARAMETER, "pre_shared_key not offered")
        return 0
    if kind == 44 and h.retry:
        h.cookie = take_vector(&e, 2)
        if e.bad or e.left or h.cookie.left == 0:
            return refuse13(h, DECODE_ERROR, "malformed cookie")
        return 0
    # offered, but not for here: the others (section 4.2)
    if kind == 10 or kind == 13 or kind == 45 or (kind == 0 and o.sni) or (kind == 16 and o.protocols.p != NULL) \
            or (kind == 28 and o.record_limit) or (kind == 41 and o.psks):
        return refuse13(h, ILLEGAL_PARAMETER, "extension in the wrong message")
    return refuse13(h, UNSUPPORTED_EXTENSION, "extension not offered")

cdef int server_hello13_check(const uint8_t *body, size_t n, Offered13 *o, ServerHello13 *h) noexcept nogil:
    """A ServerHello for which server_hello13_is; 0, or the alert with `why` set."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor session, e
    cdef Cursor extensions = hello_extensions(body, n)
    cdef uint32_t version, compression, kind, bit, seen = 0
    cdef int alert
    memset(h, 0, sizeof(ServerHello13))
    h.psk = -1
    version = take_uint(&c, 2)
    h.random = take(&c, 32)
    session = take_vector(&c, 1)
    h.suite = <int>take_uint(&c, 2)
    compression = take_uint(&c, 1)
    if c.bad or extensions.bad or session.left > 32:
        return refuse13(h, DECODE_ERROR, "malformed ServerHello")
    h.retry = memcmp(h.random, retry_random(), 32) == 0
    if h.retry and o.retried:
        return refuse13(h, UNEXPECTED_MESSAGE, "a second HelloRetryRequest")
    if version != BR_TLS12:
        return refuse13(h, ILLEGAL_PARAMETER, "legacy_version is not TLS 1.2's")
    if session.left != o.session_len or (session.left and memcmp(session.p, o.session, session.left) != 0):
        return refuse13(h, ILLEGAL_PARAMETER, "session id not echoed")
    if suite13_row(h.suite) == NULL or not suite_offered(h.suite, o.suites, o.suites_num) \
            or (o.retried and h.suite != o.retry_suite):
        return refuse13(h, ILLEGAL_PARAMETER, "cipher suite not offered")
    if compression != 0:
        return refuse13(h, ILLEGAL_PARAMETER, "compression not offered")
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        bit = <uint32_t>1 << (kind - 40) if 40 <= kind < 60 else 0
        if seen & bit:
            return refuse13(h, ILLEGAL_PARAMETER, "duplicate extension")
        seen |= bit
        alert = check_hello_extension(h, kind, e, o)
        if alert:
            return alert
    if h.retry:
        if h.group == 0 and h.cookie.p == NULL:
            return refuse13(h, ILLEGAL_PARAMETER, "HelloRetryRequest that changes nothing")
        return 0
    if h.share.p == NULL:                   # we offer psk_dhe_ke alone
        return refuse13(h, MISSING_EXTENSION, "no key_share of the server")
    if o.retried and o.retry_group and h.group != o.retry_group:
        return refuse13(h, ILLEGAL_PARAMETER, "key_share of another group than the HelloRetryRequest's")
    return 0

cdef struct EncryptedExtensions:
    Cursor protocol             # ALPN's choice, p NULL without
    uint32_t record_limit       # the server's record_size_limit, 0 without
    const char *why

cdef bint protocol_offered(Cursor protocols, Cursor protocol) noexcept nogil:
    cdef Cursor one
    while protocols.left:
        one = take_vector(&protocols, 1)
        if one.left == protocol.left and memcmp(one.p, protocol.p, one.left) == 0:
            return True
    return False

cdef int refuse_encrypted(EncryptedExtensions *x, int alert, const char *why) noexcept nogil:
    x.why = why
    return alert

cdef int check_protocol(EncryptedExtensions *x, Cursor e, Offered13 *o) noexcept nogil:
    """The one protocol that the server took (RFC 7301 section 3.1)."""
    cdef Cursor list = take_vector(&e, 2)
    x.protocol = take_vector(&list, 1)
    if e.bad or e.left or list.bad or list.left or x.protocol.left == 0:
        return refuse_encrypted(x, DECODE_ERROR, "malformed application_layer_protocol_negotiation of the server")
    if not protocol_offered(o.protocols, x.protocol):
        return refuse_encrypted(x, ILLEGAL_PARAMETER, "application protocol not offered")
    return 0

cdef int encrypted_extensions_check(const uint8_t *body, size_t n, Offered13 *o, EncryptedExtensions *x) noexcept nogil:
    """Section 4.3.1; 0, or the alert with `why` set."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor extensions = take_vector(&c, 2)
    cdef Cursor e, items
    cdef Cursor walk = extensions
    cdef uint32_t kind, seen = 0
    cdef int alert
    memset(x, 0, sizeof(EncryptedExtensions))
    while walk.left:
        take_uint(&walk, 2)
        take_vector(&walk, 2)
    if c.bad or c.left or walk.bad:
        return refuse_encrypted(x, DECODE_ERROR, "malformed EncryptedExtensions")
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        if kind < 32:
            if (seen >> kind) & 1:
                return refuse_encrypted(x, ILLEGAL_PARAMETER, "duplicate extension")
            seen |= <uint32_t>1 << kind
        if kind == 0 and o.sni:
            if e.left:
                return refuse_encrypted(x, DECODE_ERROR, "server_name of the server not empty")
        elif kind == 10:                    # for later connections: of no use here
            items = take_vector(&e, 2)
            if e.bad or e.left or items.left == 0 or items.left & 1:
                return refuse_encrypted(x, DECODE_ERROR, "malformed supported_groups of the server")
        elif kind == 16 and o.protocols.p != NULL:
            alert = check_protocol(x, e, o)
            if alert:
                return alert
        elif kind == 28 and o.record_limit:
            x.record_limit = take_uint(&e, 2)
            if e.bad or e.left:
                return refuse_encrypted(x, DECODE_ERROR, "malformed record_size_limit of the server")
            # a client may not be told to send less than it can, nor more than TLS has (RFC 8449 section 4)
            if not RECORD_LIMIT_MIN <= x.record_limit <= INNER_MAX:
                return refuse_encrypted(x, ILLEGAL_PARAMETER, "record_size_limit out of range")
        elif kind == 13 or kind == 43 or kind == 45 or kind == 51 or (kind == 41 and o.psks):
            return refuse_encrypted(x, ILLEGAL_PARAMETER, "extension in the wrong message")
        else:
            return refuse_encrypted(x, UNSUPPORTED_EXTENSION, "extension not offered")
    return 0
