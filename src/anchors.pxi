# anchors - the trust anchors of -a: their keys for key, which verifies, and their names for net, which asks.

cdef enum:
    ANCHORS_MAX = 16        # tlswrapper's limit on -a

cdef struct Anchors:
    int num
    br_x509_trust_anchor list[16]
    uint8_t keys[16][600]   # the public keys' numbers, copied out of the decoder
    uint8_t *names          # the distinguished names, one after the other
    size_t names_len
    size_t names_room

cdef void append_name(void *ctx, const void *buf, size_t n) noexcept nogil:
    cdef Anchors *a = <Anchors *>ctx
    if a.names_len + n <= a.names_room:
        memcpy(a.names + a.names_len, buf, n)
    a.names_len += n

cdef bint anchor_key(br_x509_pkey *src, br_x509_pkey *dst, uint8_t *room) noexcept nogil:
    """Copy a public key out of the decoder, which the next certificate overwrites."""
    dst[0] = src[0]
    if src.key_type == BR_KEYTYPE_RSA:
        if src.key.rsa.nlen + src.key.rsa.elen > 600:
            return False
        memcpy(room, src.key.rsa.n, src.key.rsa.nlen)
        memcpy(room + src.key.rsa.nlen, src.key.rsa.e, src.key.rsa.elen)
        dst.key.rsa.n = room
        dst.key.rsa.e = room + src.key.rsa.nlen
        return True
    if src.key.ec.qlen > 600:
        return False
    memcpy(room, src.key.ec.q, src.key.ec.qlen)
    dst.key.ec.q = room
    return True

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
    """Every certificate of a PEM text becomes an anchor, a non-CA one for direct trust; False when one is bad."""
    cdef Pem pem
    cdef PemObject object
    cdef br_x509_decoder_context decoder
    cdef uint8_t *der = <uint8_t *>malloc(n + 4)
    cdef size_t start
    cdef int fault = PEM_OK
    memset(a, 0, sizeof(Anchors))
    a.names_room = n + 4
    a.names = <uint8_t *>malloc(a.names_room)
    if der == NULL or a.names == NULL:
        return False
    pem.p = <const char *>text
    pem.end = pem.p + n
    while True:
        fault = pem_next(&pem, der, n + 4, &object)
        if fault != PEM_OK:
            break
        if object.kind != PEM_CERTIFICATE:
            continue
        start = a.names_len
        br_x509_decoder_init(&decoder, append_name, a)
        br_x509_decoder_push(&decoder, object.der, object.len)
        if a.num == ANCHORS_MAX or br_x509_decoder_get_pkey(&decoder) == NULL or a.names_len > a.names_room:
            fault = PEM_MALFORMED
            break
        a.list[a.num].dn.data = a.names + start
        a.list[a.num].dn.len = a.names_len - start
        a.list[a.num].flags = BR_X509_TA_CA if br_x509_decoder_isCA(&decoder) else 0
        if not anchor_key(br_x509_decoder_get_pkey(&decoder), &a.list[a.num].pkey, a.keys[a.num]):
            fault = PEM_MALFORMED
            break
        a.num += 1
    free(der)
    return fault == PEM_END and a.num > 0
