# privatekey - the walk through an unencrypted private key: PKCS#8 (RFC 5958), RSAPrivateKey (RFC 8017 appendix A.1.2),
# ECPrivateKey (RFC 5915).
#
# private_key_walk accepts what BearSSL's br_skey_decoder accepts (the tests compare them), which interprets bytecode, takes
# 7 us a key, and may write 24 bytes beyond its room for numbers. Ed25519 keys, which it does not know, have a stricter way.

cdef enum:
    NUMBERS_MAX = 1536              # bytes of a key's numbers, as many as BearSSL has room for (3 * BR_X509_BUFSIZE_SIG)

cdef struct SigningKey:
    int key_type                    # BR_KEYTYPE_RSA, BR_KEYTYPE_EC or BW_KEYTYPE_ED25519; 0 for none
    br_rsa_private_key rsa          # this one and the next point into the numbers
    br_ec_private_key ec
    uint8_t numbers[NUMBERS_MAX]
    uint8_t ed25519[64]             # seed and public key

cdef size_t walk_number(Cursor *c, SigningKey *key, size_t at, unsigned char **number) noexcept nogil:
    """Copy an INTEGER's value, without leading zeros, to this place among the numbers; its length."""
    cdef Cursor value = walk_positive(c)
    number[0] = key.numbers + at
    if c.bad or value.left > NUMBERS_MAX - at:
        cursor_spoil(c)
        return 0
    memcpy(number[0], value.p, value.left)
    return value.left

cdef void walk_rsa(Cursor *c, SigningKey *key) noexcept nogil:
    """RSAPrivateKey behind its version. As by BearSSL modulus and exponents are copied too, and overwritten."""
    cdef br_rsa_private_key *rsa = &key.rsa
    cdef size_t n = walk_number(c, key, 0, &rsa.p)
    cdef uint8_t top = key.numbers[0]
    if n == 0:
        cursor_spoil(c)
        return
    key.key_type = BR_KEYTYPE_RSA
    rsa.n_bitlen = <uint32_t>(8 * n)
    while top < 0x80:
        top = <uint8_t>(top << 1)
        rsa.n_bitlen -= 1
    walk_number(c, key, 0, &rsa.p)                  # publicExponent
    walk_number(c, key, 0, &rsa.p)                  # privateExponent
    rsa.plen = n = walk_number(c, key, 0, &rsa.p)
    rsa.qlen = walk_number(c, key, n, &rsa.q)
    n += rsa.qlen
    rsa.dplen = walk_number(c, key, n, &rsa.dp)
    n += rsa.dplen
    rsa.dqlen = walk_number(c, key, n, &rsa.dq)
    n += rsa.dqlen
    rsa.iqlen = walk_number(c, key, n, &rsa.iq)

cdef void walk_ec(Cursor *c, int curve, SigningKey *key) noexcept nogil:
    """ECPrivateKey behind its version; curve: named before it, or 0. What follows a curve here is passed over."""
    cdef Cursor x = walk_in(c, DER_OCTET_STRING)
    cdef Cursor parameters, oid
    cdef int named
    if der_at(c, 0xA0):
        parameters = walk_in(c, 0xA0)
        oid = walk_in(&parameters, DER_OID)
        named = curve_of(&oid)
        if curve != 0 and curve != named:
            cursor_spoil(c)
        curve = named
        walk_close(&parameters, c)
    elif c.left and not der_at(c, 0xA1):
        cursor_spoil(c)
    take(c, c.left)
    if c.bad or curve == 0 or x.left > NUMBERS_MAX:
        cursor_spoil(c)
        return
    key.key_type = BR_KEYTYPE_EC
    key.ec.curve = curve
    key.ec.x = key.numbers
    key.ec.xlen = x.left
    memcpy(key.numbers, x.p, x.left)

cdef void walk_pkcs8(Cursor *c, SigningKey *key) noexcept nogil:
    """PKCS#8 behind its version; attributes and public key are passed over."""
    cdef Cursor algorithm = walk_in(c, DER_SEQUENCE)
    cdef Cursor oid = walk_in(&algorithm, DER_OID)
    cdef Cursor octets = walk_in(c, DER_OCTET_STRING)
    cdef Cursor fields = walk_in(&octets, DER_SEQUENCE)
    cdef int version = walk_small(&fields)
    cdef int curve = 0
    if version == 0 and der_equals(&oid, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9):
        walk_rsa(&fields, key)
    elif version == 1 and der_equals(&oid, b"\x2a\x86\x48\xce\x3d\x02\x01", 7):
        if algorithm.left:
            oid = walk_in(&algorithm, DER_OID)
            curve = curve_of(&oid)
            if curve == 0:
                cursor_spoil(&fields)
            walk_close(&algorithm, &fields)
        walk_ec(&fields, curve, key)
    else:
        cursor_spoil(c)
    walk_close(&fields, &octets)
    walk_close(&octets, c)
    take(c, c.left)

cdef bint private_key_walk(const uint8_t *der, size_t n, SigningKey *key) noexcept nogil:
    """Find the key's numbers; False for what is none, or of another kind. Security: the caller wipes it in any case."""
    cdef Cursor c = cursor_over(der, n)
    cdef Cursor fields = walk_in(&c, DER_SEQUENCE)
    if walk_small(&fields) > 1:
        cursor_spoil(&fields)
    if der_at(&fields, DER_INTEGER):
        walk_rsa(&fields, key)
    elif der_at(&fields, DER_OCTET_STRING):
        walk_ec(&fields, 0, key)
    else:
        walk_pkcs8(&fields, key)
    walk_close(&fields, &c)
    return not c.bad and c.left == 0

cdef bint ed25519_seed(const uint8_t *der, size_t n, uint8_t *seed) noexcept nogil:
    """The seed in a PKCS#8 key (RFC 8410 section 7, RFC 5958); False for a key of another kind."""
    cdef Cursor c = cursor_over(der, n)
    cdef Cursor fields = der_take(&c, DER_SEQUENCE)
    cdef Cursor version = der_take(&fields, DER_INTEGER)
    cdef Cursor algorithm = der_take(&fields, DER_SEQUENCE)
    cdef Cursor oid = der_take(&algorithm, DER_OID)
    cdef Cursor outer = der_take(&fields, DER_OCTET_STRING)
    cdef Cursor inner = der_take(&outer, DER_OCTET_STRING)
    if der_at(&fields, 0xA0):                       # attributes
        der_take(&fields, 0xA0)
    if der_at(&fields, 0x81):                       # publicKey, of version 2
        der_take(&fields, 0x81)
    if c.bad or c.left or fields.bad or fields.left or outer.bad or outer.left or inner.bad or inner.left != 32 \
            or algorithm.left or not der_equals(&oid, b"\x2b\x65\x70", 3) or version.left != 1 or version.p[0] > 1:
        return False
    memcpy(seed, inner.p, 32)
    return True

cdef int signing_key(SigningKey *key, const uint8_t *der, size_t n, bint ed25519) noexcept nogil:
    """Take a private key's DER; 0 or a BearSSL error: whether it is a whole element. ed25519: such a key may be taken."""
    cdef uint8_t seed[32]
    cdef Cursor c
    memset(key, 0, sizeof(SigningKey))
    if ed25519 and BW_ED25519 and ed25519_seed(der, n, seed):
        if bw_ed25519_key(key.ed25519, seed):
            key.key_type = BW_KEYTYPE_ED25519
        explicit_bzero(seed, 32)
        return 0
    if private_key_walk(der, n, key):
        return 0
    key.key_type = 0
    c = cursor_over(der, n)
    der_take(&c, DER_SEQUENCE)
    return BR_ERR_X509_INVALID_VALUE if c.bad or c.left else BR_ERR_X509_UNSUPPORTED
