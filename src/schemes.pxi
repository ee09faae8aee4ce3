# schemes - the signatures of TLS 1.3 (RFC 8446 section 4.2.3), a row of bw_schemes each.
#
#   scheme_sign(&key, scheme, message, n, &rng, sig)            length of the signature, 0 when the key cannot
#   scheme_verify(&public, scheme, message, n, sig, sig_len)    public: of a certificate (certificate_parts)
#
# Ed25519 is libsodium's: without it no such key is taken, and no such signature is good. BearSSL judges no chain with
# an Ed25519 key or signature in it, nor one with RSASSA-PSS keys (rsa_pss_pss_*), so a peer cannot show them to us.

cdef enum:
    SIGNATURE_MAX = SERVER_KEY_MAX
    HASH_PSS = 8                    # of `exchange`, beside a hash: by RSA-PSS

cdef bint scheme_verifiable(const bw_scheme *row) noexcept nogil:
    """Whether a peer could show us a certificate for it."""
    return row.key_type != BW_KEYTYPE_ED25519

cdef bint scheme_fits(const bw_scheme *row, int key_type, int curve, size_t modulus_len) noexcept nogil:
    """Whether such a key can sign by a scheme: a curve has its own, PSS needs two digests and two bytes of modulus."""
    if row.key_type != key_type:
        return False
    if key_type == BR_KEYTYPE_EC:
        return row.curve == curve
    return key_type != BR_KEYTYPE_RSA or modulus_len >= 2 * hash_size(row.hash_id) + 2

cdef size_t modulus_size(const br_rsa_public_key *rsa) noexcept nogil:
    """Bytes of a modulus without leading zeros."""
    cdef size_t n = rsa.nlen
    while n and rsa.n[rsa.nlen - n] == 0:
        n -= 1
    return n

cdef size_t pss_sign(const br_rsa_private_key *rsa, int hash_id, const uint8_t *digest, br_hmac_drbg_context *rng,
                     uint8_t *sig) noexcept nogil:
    """RSASSA-PSS-SIGN (RFC 8017 section 8.1.1)."""
    cdef uint8_t salt[HASH_MAX]
    cdef size_t n = (rsa.n_bitlen + 7) // 8
    if n > SIGNATURE_MAX:
        return 0
    br_hmac_drbg_generate(rng, salt, hash_size(hash_id))
    if not pss_encode(hash_id, digest, salt, sig, rsa.n_bitlen) or not bw_rsa_private()(sig, rsa):
        return 0
    return n

cdef bint pss_verify(const br_rsa_public_key *rsa, int hash_id, const uint8_t *digest, const uint8_t *sig,
                     size_t n) noexcept nogil:
    """RSASSA-PSS-VERIFY (RFC 8017 section 8.1.2)."""
    cdef uint8_t em[SIGNATURE_MAX]
    cdef const uint8_t *modulus = rsa.n
    cdef size_t len = rsa.nlen, bits
    cdef uint8_t top
    while len and modulus[0] == 0:
        modulus += 1
        len -= 1
    if len == 0 or n != len or n > SIGNATURE_MAX:
        return False
    bits = 8 * len
    top = modulus[0]
    while not top & 0x80:
        top = <uint8_t>(top << 1)
        bits -= 1
    memcpy(em, sig, n)
    return bw_rsa_public()(em, n, rsa) and pss_check(hash_id, digest, em, bits)

cdef bint der_signature(const uint8_t *sig, size_t n) noexcept nogil:
    """Whether an ECDSA signature is DER: BearSSL's decoder takes longer forms too (RFC 3279 section 2.2.3)."""
    cdef Cursor c = cursor_over(sig, n)
    cdef Cursor pair = der_take(&c, DER_SEQUENCE)
    cdef Cursor number
    cdef int i
    for i in range(2):
        number = der_take(&pair, DER_INTEGER)
        if number.left == 0 or number.p[0] & 0x80 or (number.left > 1 and number.p[0] == 0 and number.p[1] < 0x80):
            return False
    return not c.bad and c.left == 0 and not pair.bad and pair.left == 0

cdef size_t scheme_sign(const SigningKey *key, int scheme, const uint8_t *message, size_t n, br_hmac_drbg_context *rng,
                        uint8_t *sig) noexcept nogil:
    """Sign; sig has SIGNATURE_MAX bytes. Security: the caller wipes the stack."""
    cdef const bw_scheme *row = scheme_row(scheme)
    cdef uint8_t digest[HASH_MAX]
    if row == NULL or row.key_type != key.key_type:
        return 0
    if row.key_type == BW_KEYTYPE_ED25519:
        return 64 if bw_ed25519_sign(sig, message, n, key.ed25519) else 0
    hash_once(row.hash_id, message, n, digest)
    if row.key_type == BR_KEYTYPE_RSA:
        return pss_sign(&key.rsa, row.hash_id, digest, rng, sig)
    if key.ec.curve != row.curve:
        return 0
    return bw_ecdsa_sign()(bw_ec(), hash_class(row.hash_id), digest, &key.ec, sig)

cdef bint scheme_verify(const br_x509_pkey *key, int scheme, const uint8_t *message, size_t n, const uint8_t *sig,
                        size_t sig_len) noexcept nogil:
    """Whether a signature is good, and of a scheme that fits the key."""
    cdef const bw_scheme *row = scheme_row(scheme)
    cdef uint8_t digest[HASH_MAX]
    if row == NULL or row.key_type != key.key_type:
        return False
    if row.key_type == BW_KEYTYPE_ED25519:
        return key.key.ec.qlen == 32 and sig_len == 64 and bw_ed25519_verify(sig, message, n, key.key.ec.q)
    hash_once(row.hash_id, message, n, digest)
    if row.key_type == BR_KEYTYPE_RSA:
        return pss_verify(&key.key.rsa, row.hash_id, digest, sig, sig_len)
    return (key.key.ec.curve == row.curve and der_signature(sig, sig_len)
            and bw_ecdsa_vrfy()(bw_ec(), digest, hash_size(row.hash_id), &key.key.ec, sig, sig_len))
