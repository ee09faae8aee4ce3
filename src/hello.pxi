# hello - the strict parser of a ClientHello (RFC 5246 section 7.4.1.2, RFC 6066, 7301, 8422, 5746, 7627, 7366).
#
# It runs before BearSSL sees the message, which accepts duplicate extensions and malformed lists and reports
# every fault as the same error. It decides nothing: a good message goes on to the engine unchanged.

cdef struct ClientHello:
    uint16_t version
    const uint8_t *sni          # the host_name, NULL when absent
    size_t sni_len
    const uint8_t *suites       # pairs of bytes
    size_t suites_len
    const uint8_t *versions     # supported_versions, pairs of bytes, NULL when absent
    size_t versions_len
    const char *why             # what was wrong, for the log

cdef int refuse(ClientHello *h, int alert, const char *why) noexcept nogil:
    h.why = why
    return alert

cdef int check_server_name(ClientHello *h, Cursor e) noexcept nogil:
    """RFC 6066 section 3: a list of at least one name, one host_name at most, and that a DNS name's bytes."""
    cdef Cursor names = take_vector(&e, 2)
    cdef Cursor name
    cdef uint32_t kind
    cdef size_t i
    if e.bad or e.left or names.left == 0:
        return refuse(h, DECODE_ERROR, "malformed server_name")
    while names.left:
        kind = take_uint(&names, 1)
        name = take_vector(&names, 2)
        if names.bad:
            return refuse(h, DECODE_ERROR, "malformed server_name")
        if kind != 0:
            continue
        if h.sni != NULL:
            return refuse(h, ILLEGAL_PARAMETER, "two host names in server_name")
        if name.left == 0:
            return refuse(h, DECODE_ERROR, "empty host name in server_name")
        if name.left > SNI_MAX:
            return refuse(h, ILLEGAL_PARAMETER, "host name in server_name too long")
        for i in range(name.left):
            if name.p[i] < 32 or name.p[i] >= 127:
                return refuse(h, ILLEGAL_PARAMETER, "host name in server_name is no DNS name")
        h.sni = name.p
        h.sni_len = name.left
    return 0

cdef int check_u16_list(ClientHello *h, Cursor e, const char *why) noexcept nogil:
    """A non-empty vector of 16-bit numbers that fills the extension."""
    cdef Cursor items = take_vector(&e, 2)
    if e.bad or e.left or items.left == 0 or items.left & 1:
        return refuse(h, DECODE_ERROR, why)
    return 0

cdef int check_extension(ClientHello *h, uint32_t kind, Cursor e) noexcept nogil:
    cdef Cursor items, item
    cdef size_t i
    if kind == 0:
        return check_server_name(h, e)
    if kind == 1:                                                   # max_fragment_length, RFC 6066 section 4
        if e.left != 1:
            return refuse(h, DECODE_ERROR, "malformed max_fragment_length")
        if e.p[0] < 1 or e.p[0] > 4:
            return refuse(h, ILLEGAL_PARAMETER, "unknown max_fragment_length")
    elif kind == 10:                                                # supported_groups, RFC 8422 section 5.1.1
        return check_u16_list(h, e, "malformed supported_groups")
    elif kind == 11:                                                # ec_point_formats, RFC 8422 section 5.1.2
        items = take_vector(&e, 1)
        if e.bad or e.left or items.left == 0:
            return refuse(h, DECODE_ERROR, "malformed ec_point_formats")
        for i in range(items.left):
            if items.p[i] == 0:
                return 0
        return refuse(h, ILLEGAL_PARAMETER, "ec_point_formats without uncompressed")
    elif kind == 13 or kind == 50:                                  # signature_algorithms(_cert), RFC 5246 7.4.1.4.1
        return check_u16_list(h, e, "malformed signature_algorithms")
    elif kind == 15:                                                # heartbeat, RFC 6520 section 2
        if e.left != 1:
            return refuse(h, DECODE_ERROR, "malformed heartbeat")
        if e.p[0] < 1 or e.p[0] > 2:
            return refuse(h, ILLEGAL_PARAMETER, "unknown heartbeat mode")
    elif kind == 16:                                                # ALPN, RFC 7301 section 3.1
        items = take_vector(&e, 2)
        if e.bad or e.left or items.left == 0:
            return refuse(h, DECODE_ERROR, "malformed application_layer_protocol_negotiation")
        while items.left:
            item = take_vector(&items, 1)
            if items.bad or item.left == 0:
                return refuse(h, DECODE_ERROR, "malformed application_layer_protocol_negotiation")
    elif kind == 22 or kind == 23:                                  # RFC 7366 section 2, RFC 7627 section 5.1
        if e.left:
            return refuse(h, DECODE_ERROR, "encrypt_then_mac or extended_master_secret not empty")
    elif kind == 43:                                                # supported_versions, RFC 8446 section 4.2.1
        items = take_vector(&e, 1)
        if e.bad or e.left or items.left < 2 or items.left & 1:
            return refuse(h, DECODE_ERROR, "malformed supported_versions")
        h.versions = items.p
        h.versions_len = items.left
        for i in range(0, items.left, 2):
            if items.p[i] == 3 and items.p[i + 1] <= 3:
                return 0
        return refuse(h, PROTOCOL_VERSION, "no version below TLS 1.3 offered")
    elif kind == 0xFF01:                                            # renegotiation_info, RFC 5746 section 3.6
        items = take_vector(&e, 1)
        if e.bad or e.left:
            return refuse(h, DECODE_ERROR, "malformed renegotiation_info")
        if items.left:
            return refuse(h, HANDSHAKE_FAILURE, "renegotiation_info not empty in the first handshake")
    return 0

cdef bint hello_offers(ClientHello *h, int version) noexcept nogil:
    """Whether a version may be negotiated: supported_versions, where it is there, must name it (RFC 8446 4.2.1)."""
    cdef size_t i
    if h.versions == NULL:
        return True
    for i in range(0, h.versions_len, 2):
        if (<int>h.versions[i] << 8 | h.versions[i + 1]) == version:
            return True
    return False

cdef int hello_check(const uint8_t *body, size_t n, ClientHello *h) noexcept nogil:
    """Check a ClientHello's body (without the 4-byte header); 0, or the alert to send with `why` set."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor session, suites, methods, extensions, e, walk
    cdef uint32_t kind
    cdef uint8_t seen[8192]
    cdef int alert
    memset(h, 0, sizeof(ClientHello))
    memset(seen, 0, sizeof(seen))
    h.version = <uint16_t>take_uint(&c, 2)
    take(&c, 32)
    session = take_vector(&c, 1)
    suites = take_vector(&c, 2)
    methods = take_vector(&c, 1)
    if c.bad or session.left > 32 or suites.left == 0 or suites.left & 1 or methods.left == 0:
        return refuse(h, DECODE_ERROR, "malformed ClientHello")
    h.suites = suites.p
    h.suites_len = suites.left
    memset(&extensions, 0, sizeof(extensions))
    if c.left:
        extensions = take_vector(&c, 2)
        walk = extensions
        while walk.left:
            take_uint(&walk, 2)
            take_vector(&walk, 2)
        if c.bad or c.left or walk.bad:
            return refuse(h, DECODE_ERROR, "malformed extensions")
    # all of it can be decoded: now the values
    if h.version < 0x0300:
        return refuse(h, PROTOCOL_VERSION, "protocol version below SSL 3.0")
    if memchr(methods.p, 0, methods.left) == NULL:
        return refuse(h, ILLEGAL_PARAMETER, "no null compression method")
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        if (seen[kind >> 3] >> (kind & 7)) & 1:                     # a bit a type: 16,383 extensions fit in a hello
            return refuse(h, ILLEGAL_PARAMETER, "duplicate extension")
        seen[kind >> 3] |= <uint8_t>(1 << (kind & 7))
        alert = check_extension(h, kind, e)
        if alert:
            return alert
    return 0
