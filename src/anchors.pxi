# anchors - trust anchors: the tables that BearSSL verifies against and takes names from. Also the text of -a.

cdef enum:
    ANCHORS_MAX = 16        # tlswrapper's limit on -a

cdef struct Anchors:
    int num
    int room
    br_x509_trust_anchor *list  # names and keys point into der, which never moves
    uint8_t *der
    size_t der_len
    size_t der_room

cdef void anchors_free(Anchors *a) noexcept nogil:
    free(a.list)
    free(a.der)
    memset(a, 0, sizeof(Anchors))

cdef bint anchors_room(Anchors *a, int num, size_t der_room) noexcept nogil:
    """Make room for so many anchors and the DER of all; what is not used costs no memory until it is."""
    memset(a, 0, sizeof(Anchors))
    a.room = num
    a.der_room = der_room
    a.list = <br_x509_trust_anchor *>malloc(<size_t>num * sizeof(br_x509_trust_anchor))
    a.der = <uint8_t *>malloc(der_room)
    if a.list == NULL or a.der == NULL:
        anchors_free(a)
        return False
    return True

cdef int anchors_add(Anchors *a, size_t n) noexcept nogil:
    """Make an anchor of the n bytes behind what der holds, and keep them; 0 or a BearSSL error.

    A certificate that is no CA's becomes an anchor for direct trust.
    """
    cdef Certificate found
    cdef br_x509_trust_anchor *anchor = a.list + a.num
    if a.num == a.room:
        return BR_ERR_X509_LIMIT_EXCEEDED
    if not certificate_walk(a.der + a.der_len, n, &found):
        return certificate_fault(a.der + a.der_len, n)
    anchor.dn = found.subject
    anchor.pkey = found.key
    anchor.flags = BR_X509_TA_CA if found.is_ca else 0
    a.der_len += n
    a.num += 1
    return 0

cdef size_t certificates_only(const uint8_t *text, size_t n, uint8_t *out) noexcept nogil:
    """Copy a PEM text's certificates and nothing else, so that a private key in the same file is not handed on.

    Runs as root, so it decodes nothing. Writes at most n + 1 bytes; returns how many.
    """
    cdef const uint8_t *p = text
    cdef const uint8_t *end = text + n
    cdef const uint8_t *stop
    cdef const uint8_t *last
    cdef size_t used = 0
    while True:
        p = <const uint8_t *>memmem(p, <size_t>(end - p), b"-----BEGIN ", 11)
        if p == NULL:
            return used
        stop = <const uint8_t *>memmem(p + 11, <size_t>(end - p) - 11, b"-----BEGIN ", 11)
        if stop == NULL:
            stop = end
        if (stop - p >= 27 and memcmp(p + 11, b"CERTIFICATE-----", 16) == 0) \
                or (stop - p >= 32 and memcmp(p + 11, b"X509 CERTIFICATE-----", 21) == 0):
            last = <const uint8_t *>memmem(p + 11, <size_t>(stop - p) - 11, b"-----END ", 9)
            if last == NULL:
                last = stop
            while last < stop and last[0] != c'\n' and last[0] != c'\r':
                last += 1
            memcpy(out + used, p, <size_t>(last - p))
            used += <size_t>(last - p)
            out[used] = c'\n'
            used += 1
        p = stop

cdef bint anchors_parse(Anchors *a, const uint8_t *text, size_t n) noexcept nogil:
    """Every certificate of a PEM text becomes an anchor; False when one is bad, or there is none or too many."""
    cdef Pem pem
    cdef PemObject object
    cdef int fault
    if not anchors_room(a, ANCHORS_MAX, n + 4):
        return False
    pem.p = <const char *>text
    pem.end = pem.p + n
    while True:
        fault = pem_certificate(&pem, a.der + a.der_len, a.der_room - a.der_len, &object)
        if fault != PEM_OK:
            break
        if object.kind == PEM_CERTIFICATE and anchors_add(a, object.len) != 0:
            fault = PEM_MALFORMED
            break
    if fault == PEM_END and a.num > 0:
        return True
    anchors_free(a)
    return False
