# pem - PEM text to DER, in place of any library's: lines of any length, LF, CR or CRLF, comments between
# objects, blanks after a BEGIN or END line. Secrets stay in the caller's buffers, which it wipes.

cdef enum PemKind:
    PEM_CERTIFICATE = 1
    PEM_KEY = 2
    PEM_OTHER = 3       # EC PARAMETERS, ENCRYPTED PRIVATE KEY, ...: passed over

cdef enum PemFault:
    PEM_OK = 0
    PEM_END = 1         # no further object
    PEM_UNFINISHED = 2  # BEGIN without its END
    PEM_MALFORMED = 3   # bad base64, an extra BEGIN, an END of another name

cdef struct Pem:
    const char *p
    const char *end

cdef struct PemObject:
    int kind
    uint8_t *der        # inside the buffer given to pem_next
    size_t len

cdef size_t pem_line(Pem *pem, const char **line) noexcept nogil:
    """The next line without its end and its trailing blanks; the caller has checked that p < end."""
    cdef size_t n = 0, total = <size_t>(pem.end - pem.p)
    line[0] = pem.p
    while n < total and pem.p[n] != c'\n' and pem.p[n] != c'\r':
        n += 1
    pem.p += n + (1 if n < total else 0)
    while n and (line[0][n - 1] == c' ' or line[0][n - 1] == c'\t'):
        n -= 1
    return n

cdef bint pem_boundary(const char *line, size_t n, const char *word, const char **label, size_t *label_len) noexcept nogil:
    """Whether the line is `-----WORD LABEL-----`."""
    cdef size_t w = strlen(word)
    if n < 5 + w + 1 + 5 or memcmp(line, "-----", 5) or memcmp(line + 5, word, w) or line[5 + w] != c' ':
        return False
    if memcmp(line + n - 5, "-----", 5):
        return False
    label[0] = line + 5 + w + 1
    label_len[0] = n - 5 - w - 1 - 5
    return True

cdef bint is_label(const char *label, size_t n, const char *name) noexcept nogil:
    return n == strlen(name) and memcmp(label, name, n) == 0

cdef int pem_kind(const char *label, size_t n) noexcept nogil:
    if is_label(label, n, "CERTIFICATE") or is_label(label, n, "X509 CERTIFICATE"):
        return PEM_CERTIFICATE
    if is_label(label, n, "PRIVATE KEY") or is_label(label, n, "RSA PRIVATE KEY") or is_label(label, n, "EC PRIVATE KEY"):
        return PEM_KEY
    return PEM_OTHER

cdef int base64_value(char c) noexcept nogil:
    """Constant time: the value 0 to 63, or -1. Key material passes here, so no table is indexed by it."""
    cdef int v = -1
    cdef int x = <unsigned char>c
    v += (((64 - x) & (x - 91)) >> 8) & (x - 64)        # A-Z
    v += (((96 - x) & (x - 123)) >> 8) & (x - 70)       # a-z
    v += (((47 - x) & (x - 58)) >> 8) & (x + 5)         # 0-9
    v += (((42 - x) & (x - 44)) >> 8) & 63              # +
    v += (((46 - x) & (x - 48)) >> 8) & 64              # /
    return v

cdef uint8_t base64_digits[256]     # base64_value for what is public, 255 for no digit; empty until it is needed

cdef size_t base64_groups(const char *line, size_t n, uint8_t *out, size_t room) noexcept nogil:
    """Decode whole groups of four digits up to the first that is none, while there is room; how many digits."""
    cdef const uint8_t *p = <const uint8_t *>line
    cdef size_t i = 0, k = 0
    cdef uint8_t a, b, c, d
    if base64_digits[0] == 0:
        for i in range(256):
            base64_digits[i] = <uint8_t>base64_value(<char>i)
        i = 0
    while n - i >= 4 and room - k >= 3:
        a = base64_digits[p[i]]
        b = base64_digits[p[i + 1]]
        c = base64_digits[p[i + 2]]
        d = base64_digits[p[i + 3]]
        if (a | b | c | d) & 0x80:
            break
        out[k] = <uint8_t>(a << 2 | b >> 4)
        out[k + 1] = <uint8_t>(b << 4 | c >> 2)
        out[k + 2] = <uint8_t>(c << 6 | d)
        i += 4
        k += 3
    return i

cdef int pem_object(Pem *pem, uint8_t *der, size_t room, PemObject *out, bint public_only) noexcept nogil:
    """Decode the next object; public_only: a key is passed over, and a certificate is decoded by a table."""
    cdef const char *line
    cdef const char *label
    cdef const char *begin
    cdef size_t n, i, label_len, begin_len
    cdef uint32_t group = 0
    cdef int digits = 0, padding = 0, v
    out.der = der
    out.len = 0
    while True:
        if pem.p >= pem.end:
            return PEM_END
        n = pem_line(pem, &line)
        if pem_boundary(line, n, "BEGIN", &begin, &begin_len):
            break
    out.kind = pem_kind(begin, begin_len)
    if public_only and out.kind == PEM_KEY:
        out.kind = PEM_OTHER
    while True:
        if pem.p >= pem.end:
            return PEM_MALFORMED if digits & 3 else PEM_UNFINISHED
        n = pem_line(pem, &line)
        if n >= 5 and memcmp(line, "-----", 5) == 0:
            if not pem_boundary(line, n, "END", &label, &label_len) or label_len != begin_len \
                    or memcmp(label, begin, label_len):
                return PEM_MALFORMED
            break
        if out.kind == PEM_OTHER or memchr(line, c':', n) != NULL:     # an RFC 1421 header is no base64
            if out.kind != PEM_OTHER:
                return PEM_MALFORMED
            continue
        i = 0
        if public_only and digits & 3 == 0 and padding == 0:
            i = base64_groups(line, n, der + out.len, room - out.len)
            out.len += i // 4 * 3
        for i in range(i, n):
            if line[i] == c' ' or line[i] == c'\t':
                continue
            if line[i] == c'=':
                padding += 1
                v = 0
            else:
                v = base64_value(line[i])
                if v < 0 or padding:
                    return PEM_MALFORMED
            group = (group << 6) | <uint32_t>v
            digits += 1
            if digits & 3 == 0:
                if out.len + 3 > room or padding > 2:
                    return PEM_MALFORMED
                put_uint(der + out.len, group & 0xFFFFFF, 3)
                out.len += <size_t>(3 - padding)
    if digits & 3 or (out.kind != PEM_OTHER and out.len == 0):
        return PEM_MALFORMED
    return PEM_OK

cdef int pem_next(Pem *pem, uint8_t *der, size_t room, PemObject *out) noexcept nogil:
    """Decode the next object into der; PEM_OK, or a PemFault. Text outside objects is passed over."""
    return pem_object(pem, der, room, out, False)

cdef int pem_certificate(Pem *pem, uint8_t *der, size_t room, PemObject *out) noexcept nogil:
    """The same where only certificates count: any other object, a private key too, comes without its content."""
    return pem_object(pem, der, room, out, True)
