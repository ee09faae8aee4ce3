# enginehello - a checked ClientHello as BearSSL's engine is given it: without what the engine does not know.
#
# Its interpreter compares every suite with all of ours and passes over other extensions byte by byte, which was two
# fifths of its whole handshake. The transcript is of what the client sent: server_choose sees to that.

cdef bint engine_extension(uint32_t kind) noexcept nogil:
    """server_name, max_fragment_length, supported_groups, signature_algorithms, ALPN, renegotiation_info."""
    return kind == 0 or kind == 1 or kind == 10 or kind == 13 or kind == 16 or kind == 0xFF01

cdef size_t engine_hello(Config *config, const ClientHello *h, const uint8_t *body, size_t n, uint8_t *out,
                         size_t room) noexcept nogil:
    """Write the message for a good hello's body; its size, never more than the client's message has."""
    cdef Writer w = writer_over(out, room)
    cdef Cursor suites = cursor_over(h.suites, h.suites_len)
    cdef Cursor rest = cursor_over(h.methods.p + h.methods.left, <size_t>(body + n - h.methods.p) - h.methods.left)
    cdef Cursor extensions, e
    cdef size_t message = open_message(&w, MSG_CLIENT_HELLO), at
    cdef uint32_t number
    put_bytes(&w, body, 34)                 # version, random
    put_vector(&w, 1, h.session.p, h.session.left)
    at = open_vector(&w, 2)
    while suites.left:
        number = take_uint(&suites, 2)
        # the two that are signals: RFC 5746 section 3.3, RFC 7507 section 2
        if number == 0x00FF or number == 0x5600 or config_has_suite(config, <int>number):
            put(&w, number, 2)
    if w.n == at:
        put(&w, 0, 2)                       # none of ours: a list is never empty
    close_vector(&w, at, 2)
    put_vector(&w, 1, h.methods.p, h.methods.left)
    if rest.left:
        extensions = take_vector(&rest, 2)
        at = open_vector(&w, 2)
        while extensions.left:
            number = take_uint(&extensions, 2)
            e = take_vector(&extensions, 2)
            if engine_extension(number):
                put(&w, number, 2)
                put_vector(&w, 2, e.p, e.left)
        close_vector(&w, at, 2)
    close_message(&w, message)
    return w.n
