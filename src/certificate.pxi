# certificate - the walk through an X.509 certificate to what an anchor needs: subject, public key, CA flag.
#
# certificate_walk accepts what BearSSL's br_x509_decoder accepts (the tests compare them), which interprets bytecode and takes
# 20 us a certificate: 3 ms for a Debian bundle, thirty times this walk. BearSSL still names the fault of a refused one.

cdef struct Certificate:
    br_x500_name subject        # name and key point into the certificate
    br_x509_pkey key
    bint is_ca

cdef Cursor walk_in(Cursor *c, int tag) noexcept nogil:
    """The content of the next element; a length may be longer than DER has it, as BearSSL allows."""
    if take_uint(c, 1) != <uint32_t>tag:
        cursor_spoil(c)
    return der_content(c, False)

cdef void walk_close(Cursor *inner, Cursor *outer) noexcept nogil:
    """Nothing may be left of an element."""
    if inner.bad or inner.left:
        cursor_spoil(outer)

cdef int walk_decimal(Cursor *c, int least, int most) noexcept nogil:
    """Two digits, in this range."""
    cdef const uint8_t *p = take(c, 2)
    cdef int v
    if p == NULL or not (c'0' <= p[0] <= c'9' and c'0' <= p[1] <= c'9'):
        cursor_spoil(c)
        return 0
    v = (p[0] - c'0') * 10 + (p[1] - c'0')
    if not least <= v <= most:
        cursor_spoil(c)
    return v

cdef void walk_date(Cursor *c) noexcept nogil:
    """A UTCTime or GeneralizedTime that exists, in UTC; fractions of a second are passed over."""
    cdef bint four = der_at(c, DER_GENERALIZED_TIME)
    cdef Cursor date = walk_in(c, DER_GENERALIZED_TIME if four else DER_UTC_TIME)
    cdef int year = walk_decimal(&date, 0, 99)
    cdef int month, days
    if four:
        year = year * 100 + walk_decimal(&date, 0, 99)
    else:
        year += 2000 if year < 50 else 1900
    month = walk_decimal(&date, 1, 12)
    if month == 2:
        days = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    else:
        days = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    walk_decimal(&date, 1, days)
    walk_decimal(&date, 0, 23)
    walk_decimal(&date, 0, 59)
    walk_decimal(&date, 0, 60)
    if der_at(&date, c'.'):
        take(&date, 1)
        while date.left and c'0' <= date.p[0] <= c'9':
            take(&date, 1)
    if take_uint(&date, 1) != c'Z':
        cursor_spoil(&date)
    walk_close(&date, c)

cdef Cursor walk_positive(Cursor *c) noexcept nogil:
    """An INTEGER's value without leading zeros; a negative or empty one is bad."""
    cdef Cursor number = walk_in(c, DER_INTEGER)
    if number.left == 0 or number.p[0] & 0x80:
        cursor_spoil(c)
    while number.left and number.p[0] == 0:
        take(&number, 1)
    return number

cdef int walk_small(Cursor *c) noexcept nogil:
    """An INTEGER from 0 to 255; another is bad."""
    cdef Cursor number = walk_positive(c)
    if c.bad or number.left > 1:
        cursor_spoil(c)
        return 0
    return number.p[0] if number.left else 0

cdef int curve_of(Cursor *oid) noexcept nogil:
    """The IANA number of a named curve (RFC 5480 section 2.1.1.1), 0 for another."""
    if der_equals(oid, b"\x2a\x86\x48\xce\x3d\x03\x01\x07", 8): return BR_EC_secp256r1
    if der_equals(oid, b"\x2b\x81\x04\x00\x22", 5): return BR_EC_secp384r1
    if der_equals(oid, b"\x2b\x81\x04\x00\x23", 5): return BR_EC_secp521r1
    return 0

cdef void walk_key(Cursor *c, br_x509_pkey *key) noexcept nogil:
    """SubjectPublicKeyInfo: RSA (RFC 3279 section 2.3.1), a point on a named curve (RFC 5480 section 2), Ed25519.

    An Ed25519 key (RFC 8410 section 4), which BearSSL has no place for, stands as a point of 32 bytes, curve 0.
    """
    cdef Cursor info = walk_in(c, DER_SEQUENCE)
    cdef Cursor algorithm = walk_in(&info, DER_SEQUENCE)
    cdef Cursor oid = walk_in(&algorithm, DER_OID)
    cdef Cursor bits, numbers, n, e
    memset(key, 0, sizeof(br_x509_pkey))
    if der_equals(&oid, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9):
        key.key_type = BR_KEYTYPE_RSA
    elif der_equals(&oid, b"\x2a\x86\x48\xce\x3d\x02\x01", 7):
        key.key_type = BR_KEYTYPE_EC
        oid = walk_in(&algorithm, DER_OID)
        key.key.ec.curve = curve_of(&oid)
        if key.key.ec.curve == 0:
            cursor_spoil(c)
        walk_close(&algorithm, c)
    elif der_equals(&oid, b"\x2b\x65\x70", 3):
        key.key_type = BW_KEYTYPE_ED25519
        walk_close(&algorithm, c)
    else:
        cursor_spoil(c)
    bits = walk_in(&info, DER_BIT_STRING)
    if take_uint(&bits, 1) != 0:                    # no unused bits
        cursor_spoil(c)
    if key.key_type == BR_KEYTYPE_RSA:
        numbers = walk_in(&bits, DER_SEQUENCE)
        n = walk_positive(&numbers)
        e = walk_positive(&numbers)
        if n.left + e.left > BR_X509_BUFSIZE_KEY:
            cursor_spoil(c)
        walk_close(&numbers, c)
        walk_close(&bits, c)
        key.key.rsa.n = <unsigned char *>n.p
        key.key.rsa.nlen = n.left
        key.key.rsa.e = <unsigned char *>e.p
        key.key.rsa.elen = e.left
    else:
        if bits.bad or bits.left > BR_X509_BUFSIZE_KEY or (key.key_type == BW_KEYTYPE_ED25519 and bits.left != 32):
            cursor_spoil(c)
        key.key.ec.q = <unsigned char *>bits.p
        key.key.ec.qlen = bits.left
    walk_close(&info, c)

cdef void walk_constraints(Cursor *c, bint *is_ca) noexcept nogil:
    """basicConstraints: the CA flag alone counts (RFC 5280 section 4.2.1.9)."""
    cdef Cursor fields = walk_in(c, DER_SEQUENCE)
    cdef Cursor flag
    if fields.left == 0:
        return
    if (fields.p[0] & 0x1F) == DER_BOOLEAN and fields.p[0] < 0x40:
        flag = walk_in(&fields, DER_BOOLEAN)
        if flag.left != 1:
            cursor_spoil(c)
        else:
            is_ca[0] = flag.p[0] != 0
    elif fields.p[0] & 0x40 or (fields.p[0] & 0x1F) == 0x1F:        # a class or form that no field has
        cursor_spoil(c)

cdef void walk_extensions(Cursor *c, bint *is_ca) noexcept nogil:
    cdef Cursor outer = walk_in(c, 0xA3)
    cdef Cursor list = walk_in(&outer, DER_SEQUENCE)
    cdef Cursor extension, oid, value
    while list.left:
        extension = walk_in(&list, DER_SEQUENCE)
        oid = walk_in(&extension, DER_OID)
        if der_at(&extension, DER_BOOLEAN):
            value = walk_in(&extension, DER_BOOLEAN)
            if value.left != 1:
                cursor_spoil(&list)
        value = walk_in(&extension, DER_OCTET_STRING)
        if der_equals(&oid, b"\x55\x1d\x13", 3):
            walk_constraints(&value, is_ca)
            walk_close(&value, &list)
        walk_close(&extension, &list)
    walk_close(&list, c)
    walk_close(&outer, c)

cdef bint certificate_parts(const uint8_t *der, size_t n, Certificate *out) noexcept nogil:
    """Find subject, key and CA flag; False for what is no certificate, or has a key of another kind."""
    cdef Cursor c = cursor_over(der, n)
    cdef Cursor outer = walk_in(&c, DER_SEQUENCE)
    cdef Cursor tbs = walk_in(&outer, DER_SEQUENCE)
    cdef Cursor inner
    out.is_ca = False
    if der_at(&tbs, 0xA0):                          # version: 1 to 3
        inner = walk_in(&tbs, 0xA0)
        if walk_small(&inner) > 2:
            cursor_spoil(&tbs)
        walk_close(&inner, &tbs)
    walk_in(&tbs, DER_INTEGER)                      # serialNumber
    walk_in(&tbs, DER_SEQUENCE)                     # signature
    walk_in(&tbs, DER_SEQUENCE)                     # issuer
    inner = walk_in(&tbs, DER_SEQUENCE)             # validity
    walk_date(&inner)
    walk_date(&inner)
    walk_close(&inner, &tbs)
    out.subject.data = <unsigned char *>tbs.p
    walk_in(&tbs, DER_SEQUENCE)
    if tbs.bad:
        return False
    out.subject.len = <size_t>(tbs.p - <const uint8_t *>out.subject.data)
    walk_key(&tbs, &out.key)
    if tbs.left and (tbs.p[0] & 0xDF) == 0x81:      # issuerUniqueID, in either form as BearSSL has it
        walk_in(&tbs, tbs.p[0])
    if tbs.left and (tbs.p[0] & 0xDF) == 0x82:      # subjectUniqueID
        walk_in(&tbs, tbs.p[0])
    if tbs.left:
        walk_extensions(&tbs, &out.is_ca)
    walk_close(&tbs, &outer)
    inner = walk_in(&outer, DER_SEQUENCE)           # signatureAlgorithm
    walk_in(&inner, DER_OID)
    if inner.bad:
        return False
    inner = walk_in(&outer, DER_BIT_STRING)         # signatureValue
    if take_uint(&inner, 1) != 0 or inner.bad:
        return False
    walk_close(&outer, &c)
    return not c.bad and c.left == 0

cdef bint certificate_walk(const uint8_t *der, size_t n, Certificate *out) noexcept nogil:
    """The same of a certificate whose key BearSSL can use."""
    return certificate_parts(der, n, out) and out.key.key_type != BW_KEYTYPE_ED25519

cdef int certificate_fault(const uint8_t *der, size_t n) noexcept nogil:
    """What BearSSL finds wrong with a certificate that the walk refuses (BR_ERR_X509_*)."""
    cdef br_x509_decoder_context decoder
    cdef int err
    br_x509_decoder_init(&decoder, NULL, NULL)
    br_x509_decoder_push(&decoder, der, n)
    err = br_x509_decoder_last_error(&decoder)
    return err if err else BR_ERR_X509_INVALID_VALUE
