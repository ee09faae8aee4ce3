# cursor - a reader over bytes that a peer sent: length-prefixed vectors of RFC 5246 section 4.
#
# A read past the end sets `bad` and gives zeros; the caller looks once at the end. Nothing is copied.

cdef struct Cursor:
    const uint8_t *p
    size_t left
    bint bad

cdef Cursor cursor_over(const uint8_t *p, size_t n) noexcept nogil:
    cdef Cursor c
    c.p = p
    c.left = n
    c.bad = False
    return c

cdef const uint8_t *take(Cursor *c, size_t n) noexcept nogil:
    cdef const uint8_t *p = c.p
    if c.bad or n > c.left:
        c.bad = True
        c.left = 0
        return NULL
    c.p += n
    c.left -= n
    return p

cdef uint32_t take_uint(Cursor *c, int width) noexcept nogil:
    """A big-endian unsigned integer of 1 to 4 bytes."""
    cdef uint32_t v = 0
    cdef int i
    cdef const uint8_t *p = take(c, width)
    if p == NULL:
        return 0
    for i in range(width):
        v = (v << 8) | p[i]
    return v

cdef Cursor take_vector(Cursor *c, int width) noexcept nogil:
    """A vector whose length is `width` bytes wide; an overlong one marks both cursors bad."""
    cdef uint32_t n = take_uint(c, width)
    cdef const uint8_t *p = take(c, n)
    cdef Cursor sub = cursor_over(p, 0 if p == NULL else n)
    sub.bad = c.bad
    return sub

cdef void put_uint(uint8_t *p, uint32_t v, int width) noexcept nogil:
    cdef int i
    for i in range(width):
        p[i] = <uint8_t>(v >> (8 * (width - 1 - i)))
