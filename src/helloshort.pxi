# helloshort - a checked ClientHello without what BearSSL's engine would read and pass over.
#
# Its handshake is an interpreter that costs some 15 ns a step and reads byte after byte: of suites, groups, signature
# algorithms and extensions only those that it can use are left for it. The transcript is of what the client sent
# (server_choose in engineserver.pxi).

cdef enum:
    HELLO_SHORT_MAX = 2048      # what is longer than that even so is given as it is

cdef bint short_extension(uint32_t kind) noexcept nogil:
    """server_name, max_fragment_length, groups, signature_algorithms, ALPN, renegotiation_info: all that is read."""
    return kind == 0 or kind == 1 or kind == 10 or kind == 13 or kind == 16 or kind == 0xFF01

cdef bint short_item(uint32_t kind, uint32_t item) noexcept nogil:
    """Whether an item of a list is known: a group, or SHA-1 to SHA-512 with RSA or ECDSA."""
    if kind == 10:
        return group_row(<int>item) != NULL
    return br_sha1_ID <= <int>(item >> 8) <= br_sha512_ID and (item & 255 == 1 or item & 255 == 3)

cdef bint short_suite(uint32_t suite, const uint16_t *suites, int num) noexcept nogil:
    """One of ours, or one of the signals TLS_EMPTY_RENEGOTIATION_INFO_SCSV and TLS_FALLBACK_SCSV."""
    cdef int i
    for i in range(num):
        if suites[i] == suite:
            return True
    return suite == 0x00FF or suite == 0x5600

cdef size_t hello_shorten(const uint8_t *message, size_t n, const uint16_t *suites, int num, uint8_t *out) noexcept nogil:
    """Copy a checked ClientHello, its header included; the length, 0 when it must be given as it is.

    out: HELLO_SHORT_MAX bytes. A list of which nothing is left would say something else and makes the answer 0.
    """
    cdef Cursor c = cursor_over(message + 4, n - 4)
    cdef Cursor list, extensions, e
    cdef uint32_t kind, item
    cdef size_t at = 4, mark, inner
    memcpy(out + at, take(&c, 34), 34)          # version, random
    at += 34
    list = take_vector(&c, 1)
    out[at] = <uint8_t>list.left
    memcpy(out + at + 1, list.p, list.left)     # session_id, at most 32
    at += 1 + list.left
    list = take_vector(&c, 2)
    mark = at
    at += 2
    while list.left:
        item = take_uint(&list, 2)
        if short_suite(item, suites, num):
            if at + 2 > HELLO_SHORT_MAX - 4:
                return 0
            put_uint(out + at, item, 2)
            at += 2
    if at == mark + 2:
        return 0
    put_uint(out + mark, <uint32_t>(at - mark - 2), 2)
    take_vector(&c, 1)
    out[at] = 1                                 # null compression, which is there
    out[at + 1] = 0
    at += 2
    if c.left == 0:
        put_uint(out, (<uint32_t>1 << 24) | <uint32_t>(at - 4), 4)
        return at
    extensions = take_vector(&c, 2)
    mark = at
    at += 2
    while extensions.left:
        kind = take_uint(&extensions, 2)
        e = take_vector(&extensions, 2)
        if not short_extension(kind):
            continue
        if at + 6 + e.left > HELLO_SHORT_MAX:
            return 0
        put_uint(out + at, kind, 2)
        inner = at + 4
        if kind == 10 or kind == 13:
            list = take_vector(&e, 2)
            inner += 2
            while list.left:
                item = take_uint(&list, 2)
                if short_item(kind, item):
                    put_uint(out + inner, item, 2)
                    inner += 2
            if inner == at + 6:
                return 0
            put_uint(out + at + 4, <uint32_t>(inner - at - 6), 2)
        else:
            memcpy(out + inner, e.p, e.left)
            inner += e.left
        put_uint(out + at + 2, <uint32_t>(inner - at - 4), 2)
        at = inner
    put_uint(out + mark, <uint32_t>(at - mark - 2), 2)
    put_uint(out, (<uint32_t>1 << 24) | <uint32_t>(at - 4), 4)
    return at
