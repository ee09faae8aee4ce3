# flight13 - strict parsers of TLS 1.3's messages behind the hellos (RFC 8446 sections 4.3 to 4.6): bodies without their
# 4-byte header. 0, or the alert. Positions point into the message.
#
#   certificate13_check(body, n, from_server, &context, &entries, &num)    then certificate13_list(entries, out) makes
#                                   1.2's certificate_list of it, which peer_chain takes; num 0: a client without one
#   certificate_request13_check(body, n, &request)
#   certificate_verify13_check(body, n, &scheme, &signature)
#   finished13_check(body, n, size)     size: hash_size of the suite; compare by same_bytes
#   ticket13_check(body, n, &ticket)    key_update13_check(body, n, &requested)

cdef int certificate13_check(const uint8_t *body, size_t n, bint from_server, Cursor *context, Cursor *entries,
                             int *num) noexcept nogil:
    """Section 4.4.2. No extension of an entry was asked for, so none may come; a server's list is not empty."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor walk, cert, extensions
    cdef bint extended = False
    context[0] = take_vector(&c, 1)
    entries[0] = take_vector(&c, 3)
    num[0] = 0
    if c.bad or c.left:
        return DECODE_ERROR
    walk = entries[0]
    while walk.left:
        cert = take_vector(&walk, 3)
        extensions = take_vector(&walk, 2)
        if walk.bad or cert.left == 0:
            return DECODE_ERROR
        extended |= extensions.left != 0
        while extensions.left:
            take_uint(&extensions, 2)
            take_vector(&extensions, 2)
        if extensions.bad:
            return DECODE_ERROR
        num[0] += 1
    if from_server and num[0] == 0:
        return DECODE_ERROR
    if context.left:                        # not after the handshake: we ask for none there
        return ILLEGAL_PARAMETER
    return UNSUPPORTED_EXTENSION if extended else 0

cdef size_t certificate13_list(Cursor entries, uint8_t *out) noexcept nogil:
    """A checked list without its extensions, as TLS 1.2 has it; out: entries.left bytes are enough. Its length."""
    cdef Cursor cert
    cdef size_t n = 0
    while entries.left:
        cert = take_vector(&entries, 3)
        take_vector(&entries, 2)
        put_uint(out + n, <uint32_t>cert.left, 3)
        memmove(out + n + 3, cert.p, cert.left)
        n += 3 + cert.left
    return n

cdef struct CertificateRequest13:
    Cursor context
    Cursor schemes              # pairs of bytes
    Cursor authorities          # vectors with a length of two bytes, p NULL when absent

cdef int certificate_request13_check(const uint8_t *body, size_t n, CertificateRequest13 *r) noexcept nogil:
    """Section 4.3.2: unknown extensions are passed over, signature_algorithms must be there."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor extensions, e, items, item
    cdef uint32_t kind
    cdef bint twice = False
    memset(r, 0, sizeof(CertificateRequest13))
    r.context = take_vector(&c, 1)
    extensions = take_vector(&c, 2)
    if c.bad or c.left:
        return DECODE_ERROR
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        if extensions.bad:
            return DECODE_ERROR
        if kind != 13 and kind != 47:
            continue
        items = take_vector(&e, 2)
        if e.bad or e.left or items.left == 0 or (kind == 13 and items.left & 1):
            return DECODE_ERROR
        if kind == 13:
            twice |= r.schemes.p != NULL
            r.schemes = items
            continue
        twice |= r.authorities.p != NULL
        r.authorities = items
        while items.left:
            item = take_vector(&items, 2)
            if items.bad or item.left == 0:
                return DECODE_ERROR
    if twice or r.context.left:
        return ILLEGAL_PARAMETER
    return MISSING_EXTENSION if r.schemes.p == NULL else 0

cdef int certificate_verify13_check(const uint8_t *body, size_t n, int *scheme, Cursor *signature) noexcept nogil:
    """Section 4.4.3; a scheme that we did not offer is illegal."""
    cdef Cursor c = cursor_over(body, n)
    cdef const bw_scheme *row
    scheme[0] = <int>take_uint(&c, 2)
    signature[0] = take_vector(&c, 2)
    if c.bad or c.left:
        return DECODE_ERROR
    row = scheme_row(scheme[0])
    return 0 if row != NULL and scheme_verifiable(row) else ILLEGAL_PARAMETER

cdef int finished13_check(const uint8_t *body, size_t n, size_t size) noexcept nogil:
    return DECODE_ERROR if n != size else 0

cdef struct Ticket13:
    uint32_t lifetime           # seconds; 0: of no use
    uint32_t age_add
    Cursor nonce
    Cursor ticket

cdef int ticket13_check(const uint8_t *body, size_t n, Ticket13 *t) noexcept nogil:
    """Section 4.6.1."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor extensions, e
    memset(t, 0, sizeof(Ticket13))
    t.lifetime = take_uint(&c, 4)
    t.age_add = take_uint(&c, 4)
    t.nonce = take_vector(&c, 1)
    t.ticket = take_vector(&c, 2)
    extensions = take_vector(&c, 2)
    if c.bad or c.left or t.ticket.left == 0:
        return DECODE_ERROR
    while extensions.left:
        if take_uint(&extensions, 2) == 42:             # early_data: how much; we send none
            e = take_vector(&extensions, 2)
            if not extensions.bad and e.left != 4:
                return DECODE_ERROR
        else:
            take_vector(&extensions, 2)
    if extensions.bad:
        return DECODE_ERROR
    return ILLEGAL_PARAMETER if t.lifetime > TICKET_LIFETIME_MAX else 0

cdef int key_update13_check(const uint8_t *body, size_t n, bint *requested) noexcept nogil:
    """Section 4.6.3."""
    if n != 1:
        return DECODE_ERROR
    requested[0] = body[0] == 1
    return ILLEGAL_PARAMETER if body[0] > 1 else 0
