# hello - the strict parser of a ClientHello (RFC 5246 section 7.4.1.2, RFC 8446 section 4.1.2).
#
# It runs before BearSSL sees the message, which accepts duplicate extensions and malformed lists and reports
# every fault as the same error. It decides nothing: a good message goes on to the engine unchanged, or, for TLS 1.3,
# to select13.pxi. The struct points into the message, which must stay where it is.

cdef bint hello_offers(ClientHello *h, int version) noexcept nogil:
    """Whether a version may be negotiated: supported_versions, where it is there, must name it (RFC 8446 4.2.1)."""
    cdef size_t i
    if h.versions == NULL:
        return True
    for i in range(0, h.versions_len, 2):
        if (<int>h.versions[i] << 8 | h.versions[i + 1]) == version:
            return True
    return False

cdef int check_types(ClientHello *h, Cursor extensions, int version_max) noexcept nogil:
    """No type of extension comes twice (16,383 fit in a hello), and supported_versions says what the others mean."""
    cdef Cursor walk = extensions
    cdef Cursor e
    cdef uint32_t kind
    cdef int alert = 0
    while walk.left and alert == 0:
        kind = take_uint(&walk, 2)
        e = take_vector(&walk, 2)
        if (hello_seen[kind >> 3] >> (kind & 7)) & 1:
            alert = refuse(h, ILLEGAL_PARAMETER, "duplicate extension")
        hello_seen[kind >> 3] |= <uint8_t>(1 << (kind & 7))
        if alert == 0 and kind == 43:
            alert = check_versions(h, e, version_max)
    while extensions.left:
        hello_seen[take_uint(&extensions, 2) >> 3] = 0
        take_vector(&extensions, 2)
    return alert

cdef int hello_check(const uint8_t *body, size_t n, ClientHello *h, int version_max) noexcept nogil:
    """Check a ClientHello's body (without the 4-byte header); 0, or the alert to send with `why` set.

    version_max: our newest; below TLS 1.3 its extensions are not looked at. A good hello with h.tls13 set is one for
    TLS 1.3 (RFC 8446 section 4.2.1: supported_versions decides, whatever legacy_version says).
    """
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor suites, extensions, e, walk
    cdef uint32_t kind
    cdef int alert
    memset(h, 0, sizeof(ClientHello))
    h.version = <uint16_t>take_uint(&c, 2)
    take(&c, 32)
    h.session = take_vector(&c, 1)
    suites = take_vector(&c, 2)
    h.methods = take_vector(&c, 1)
    if c.bad or h.session.left > 32 or suites.left == 0 or suites.left & 1 or h.methods.left == 0:
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
    if memchr(h.methods.p, 0, h.methods.left) == NULL:
        return refuse(h, ILLEGAL_PARAMETER, "no null compression method")
    alert = check_types(h, extensions, version_max)
    if alert:
        return alert
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        alert = check_extension(h, kind, e)
        if alert == 0 and h.tls13:
            alert = check_extension13(h, kind, e, body)
            if alert == 0 and kind == 41 and extensions.left:
                alert = refuse(h, ILLEGAL_PARAMETER, "pre_shared_key not the last extension")
        if alert:
            return alert
    return check_together13(h) if h.tls13 else 0
