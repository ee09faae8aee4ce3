# extension - a ClientHello in pieces, and its extensions in any version (RFC 6066, 7301, 8422, 5746, 7627, 7366).

cdef struct ClientHello:
    uint16_t version
    const uint8_t *sni          # the host_name, NULL when absent
    size_t sni_len
    const uint8_t *suites       # pairs of bytes
    size_t suites_len
    const uint8_t *versions     # supported_versions, pairs of bytes, NULL when absent
    size_t versions_len
    Cursor session              # legacy_session_id
    Cursor methods              # legacy_compression_methods
    Cursor groups               # supported_groups, pairs of bytes; each Cursor's p is NULL when it is absent
    Cursor schemes              # signature_algorithms, pairs of bytes
    Cursor schemes_cert         # signature_algorithms_cert, likewise
    Cursor protocols            # ALPN's list: vectors with a length of one byte
    bint tls13                  # TLS 1.3 is offered and our maximum: what follows is filled in for it only
    Cursor shares               # key_share: group, then a vector with a length of two bytes; may be empty
    Cursor psk_modes            # bytes
    Cursor identities           # pre_shared_key: vectors with a length of two bytes, each followed by four of age
    Cursor binders              # as many vectors with a length of one byte
    size_t truncated            # bytes of the body that the binders are made over (the header comes before them)
    Cursor cookie
    Cursor authorities          # certificate_authorities: vectors with a length of two bytes
    uint32_t record_limit       # record_size_limit, 0 when absent
    bint early_data
    bint post_handshake_auth
    const char *why             # what was wrong, for the log

# A bit for each number of 16 bits; all zero but while a hello is looked at. On the stack it would be pages more of it.
cdef uint8_t hello_seen[8192]

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

cdef int check_u16_list(ClientHello *h, Cursor e, Cursor *found, const char *why) noexcept nogil:
    """A non-empty vector of 16-bit numbers that fills the extension."""
    found[0] = take_vector(&e, 2)
    if e.bad or e.left or found.left == 0 or found.left & 1:
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
        return check_u16_list(h, e, &h.groups, "malformed supported_groups")
    elif kind == 11:                                                # ec_point_formats, RFC 8422 section 5.1.2
        items = take_vector(&e, 1)
        if e.bad or e.left or items.left == 0:
            return refuse(h, DECODE_ERROR, "malformed ec_point_formats")
        for i in range(items.left):
            if items.p[i] == 0:
                return 0
        return refuse(h, ILLEGAL_PARAMETER, "ec_point_formats without uncompressed")
    elif kind == 13:                                                # signature_algorithms, RFC 5246 7.4.1.4.1
        return check_u16_list(h, e, &h.schemes, "malformed signature_algorithms")
    elif kind == 50:                                                # signature_algorithms_cert, RFC 8446 4.2.3
        return check_u16_list(h, e, &h.schemes_cert, "malformed signature_algorithms_cert")
    elif kind == 15:                                                # heartbeat, RFC 6520 section 2
        if e.left != 1:
            return refuse(h, DECODE_ERROR, "malformed heartbeat")
        if e.p[0] < 1 or e.p[0] > 2:
            return refuse(h, ILLEGAL_PARAMETER, "unknown heartbeat mode")
    elif kind == 16:                                                # ALPN, RFC 7301 section 3.1
        items = take_vector(&e, 2)
        if e.bad or e.left or items.left == 0:
            return refuse(h, DECODE_ERROR, "malformed application_layer_protocol_negotiation")
        h.protocols = items
        while items.left:
            item = take_vector(&items, 1)
            if items.bad or item.left == 0:
                return refuse(h, DECODE_ERROR, "malformed application_layer_protocol_negotiation")
    elif kind == 22 or kind == 23:                                  # RFC 7366 section 2, RFC 7627 section 5.1
        if e.left:
            return refuse(h, DECODE_ERROR, "encrypt_then_mac or extended_master_secret not empty")
    elif kind == 0xFF01:                                            # renegotiation_info, RFC 5746 section 3.6
        items = take_vector(&e, 1)
        if e.bad or e.left:
            return refuse(h, DECODE_ERROR, "malformed renegotiation_info")
        if items.left:
            return refuse(h, HANDSHAKE_FAILURE, "renegotiation_info not empty in the first handshake")
    return 0

cdef int check_versions(ClientHello *h, Cursor e, int version_max) noexcept nogil:
    """supported_versions (RFC 8446 section 4.2.1): one that we know, 1.3 only where it is our maximum."""
    cdef Cursor items = take_vector(&e, 1)
    cdef bint known = False
    cdef size_t i
    if e.bad or e.left or items.left < 2 or items.left & 1:
        return refuse(h, DECODE_ERROR, "malformed supported_versions")
    h.versions = items.p
    h.versions_len = items.left
    for i in range(0, items.left, 2):
        if items.p[i] == 3 and items.p[i + 1] <= 3:
            known = True
        if items.p[i] == 3 and items.p[i + 1] == 4 and version_max >= TLS13:
            known = h.tls13 = True
    if known:
        return 0
    return refuse(h, PROTOCOL_VERSION, "no known version offered" if version_max >= TLS13
                  else "no version below TLS 1.3 offered")
