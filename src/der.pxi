# der - a reader of DER (X.690 sections 8 and 10) over a Cursor: tags of one byte, definite lengths.
#
# An element that is not the expected one marks both cursors bad; the caller looks once at the end.

cdef enum DerTag:
    DER_BOOLEAN = 0x01
    DER_INTEGER = 0x02
    DER_BIT_STRING = 0x03
    DER_OCTET_STRING = 0x04
    DER_OID = 0x06
    DER_UTC_TIME = 0x17
    DER_GENERALIZED_TIME = 0x18
    DER_SEQUENCE = 0x30

cdef void cursor_spoil(Cursor *c) noexcept nogil:
    c.bad = True
    c.left = 0

cdef uint32_t der_length(Cursor *c, bint shortest) noexcept nogil:
    """A length; shortest: in its only DER form. 2^31 and more is bad, nothing that is read here is as long."""
    cdef uint32_t n = take_uint(c, 1)
    cdef uint32_t width
    if n < 0x80:
        return n
    width = n & 0x7F
    if width == 0 or (shortest and (c.left == 0 or c.p[0] == 0)):   # indefinite, or with a leading zero
        cursor_spoil(c)
    n = 0
    while width and not c.bad:
        if n > 0x7FFFFF:
            cursor_spoil(c)
        n = (n << 8) | take_uint(c, 1)
        width -= 1
    if shortest and n < 0x80:
        cursor_spoil(c)
    return n

cdef Cursor der_content(Cursor *c, bint shortest) noexcept nogil:
    """The content of an element whose tag has been read."""
    cdef uint32_t n = der_length(c, shortest)
    cdef const uint8_t *p = take(c, n)
    cdef Cursor content = cursor_over(p, 0 if p == NULL else n)
    content.bad = c.bad
    return content

cdef Cursor der_take(Cursor *c, int tag) noexcept nogil:
    """The content of the next element, which must have this tag byte and a length in DER."""
    if take_uint(c, 1) != <uint32_t>tag:
        cursor_spoil(c)
    return der_content(c, True)

cdef bint der_at(Cursor *c, int tag) noexcept nogil:
    """Whether there is a next element and it has this tag byte."""
    return c.left > 0 and c.p[0] == tag

cdef bint der_equals(Cursor *c, const char *value, size_t n) noexcept nogil:
    """Whether a content is these very bytes."""
    return not c.bad and c.left == n and memcmp(c.p, value, n) == 0
