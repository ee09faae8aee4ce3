# extension13 - a ClientHello's extensions of TLS 1.3 (RFC 8446 section 4.2, RFC 8449), and what it must have together.

cdef int check_shares(ClientHello *h, Cursor e) noexcept nogil:
    """key_share, section 4.2.8; that the groups were offered is seen when all extensions are."""
    cdef Cursor items = take_vector(&e, 2)
    cdef Cursor point
    if e.bad or e.left:
        return refuse(h, DECODE_ERROR, "malformed key_share")
    h.shares = items
    while items.left:
        take_uint(&items, 2)
        point = take_vector(&items, 2)
        if items.bad or point.left == 0:
            return refuse(h, DECODE_ERROR, "malformed key_share")
    return 0

cdef int check_psk(ClientHello *h, Cursor e, const uint8_t *body) noexcept nogil:
    """pre_shared_key, section 4.2.11: identities, and a binder for each."""
    cdef Cursor items = take_vector(&e, 2)
    cdef Cursor item
    cdef size_t identities = 0, binders = 0
    h.identities = items
    h.truncated = <size_t>(e.p - body)
    h.binders = take_vector(&e, 2)
    if e.bad or e.left or items.left == 0 or h.binders.left == 0:
        return refuse(h, DECODE_ERROR, "malformed pre_shared_key")
    while items.left:
        item = take_vector(&items, 2)
        take_uint(&items, 4)
        identities += 1
        if items.bad or item.left == 0:
            return refuse(h, DECODE_ERROR, "malformed pre_shared_key")
    items = h.binders
    while items.left:
        item = take_vector(&items, 1)
        binders += 1
        if items.bad or item.left < BINDER_MIN:
            return refuse(h, DECODE_ERROR, "malformed binders in pre_shared_key")
    if identities != binders:
        return refuse(h, ILLEGAL_PARAMETER, "not one binder for each identity")
    return 0

cdef int check_extension13(ClientHello *h, uint32_t kind, Cursor e, const uint8_t *body) noexcept nogil:
    """Those that mean something in TLS 1.3 alone; any other number is none of ours."""
    cdef Cursor items, item
    if kind == 28:                                                  # record_size_limit, RFC 8449 section 4
        h.record_limit = take_uint(&e, 2)
        if e.bad or e.left:
            return refuse(h, DECODE_ERROR, "malformed record_size_limit")
        if h.record_limit < RECORD_LIMIT_MIN:
            return refuse(h, ILLEGAL_PARAMETER, "record_size_limit below 64")
    elif kind == 41:
        return check_psk(h, e, body)
    elif kind == 42 or kind == 49:                                  # sections 4.2.10 and 4.2.6
        if e.left:
            return refuse(h, DECODE_ERROR, "early_data or post_handshake_auth not empty")
        if kind == 42:
            h.early_data = True
        else:
            h.post_handshake_auth = True
    elif kind == 44:                                                # cookie, section 4.2.2
        h.cookie = take_vector(&e, 2)
        if e.bad or e.left or h.cookie.left == 0:
            return refuse(h, DECODE_ERROR, "malformed cookie")
    elif kind == 45:                                                # psk_key_exchange_modes, section 4.2.9
        h.psk_modes = take_vector(&e, 1)
        if e.bad or e.left or h.psk_modes.left == 0:
            return refuse(h, DECODE_ERROR, "malformed psk_key_exchange_modes")
    elif kind == 47:                                                # certificate_authorities, section 4.2.4
        items = h.authorities = take_vector(&e, 2)
        if e.bad or e.left or items.left == 0:
            return refuse(h, DECODE_ERROR, "malformed certificate_authorities")
        while items.left:
            item = take_vector(&items, 2)
            if items.bad or item.left == 0:
                return refuse(h, DECODE_ERROR, "malformed certificate_authorities")
    elif kind == 51:
        return check_shares(h, e)
    return 0

cdef int check_shared_groups(ClientHello *h) noexcept nogil:
    """Each share is of a group that was offered, and the only one of it (section 4.2.8)."""
    cdef Cursor groups = h.groups
    cdef Cursor shares = h.shares
    cdef uint32_t group
    cdef int alert = 0
    while groups.left:
        group = take_uint(&groups, 2)
        hello_seen[group >> 3] |= <uint8_t>(1 << (group & 7))
    while shares.left and alert == 0:
        group = take_uint(&shares, 2)
        take_vector(&shares, 2)
        if not (hello_seen[group >> 3] >> (group & 7)) & 1:
            alert = refuse(h, ILLEGAL_PARAMETER, "key_share of a group not offered, or two of one")
        hello_seen[group >> 3] &= <uint8_t>~(1 << (group & 7))
    groups = h.groups
    while groups.left:
        hello_seen[take_uint(&groups, 2) >> 3] = 0
    return alert

cdef int check_together13(ClientHello *h) noexcept nogil:
    """What a hello that offers TLS 1.3 must and must not have (sections 4.1.2, 4.2.9, 9.2, appendix D.5)."""
    if h.version < 0x0301:
        return refuse(h, PROTOCOL_VERSION, "TLS 1.3 offered under SSL 3.0")
    if h.methods.left != 1:
        return refuse(h, ILLEGAL_PARAMETER, "compression offered with TLS 1.3")
    if h.identities.p != NULL and h.psk_modes.p == NULL:
        return refuse(h, MISSING_EXTENSION, "pre_shared_key without psk_key_exchange_modes")
    if (h.shares.p == NULL) != (h.groups.p == NULL):
        return refuse(h, MISSING_EXTENSION, "one of key_share and supported_groups without the other")
    if h.identities.p == NULL and (h.schemes.p == NULL or h.groups.p == NULL):
        return refuse(h, MISSING_EXTENSION, "no signature_algorithms or no supported_groups")
    return check_shared_groups(h)
