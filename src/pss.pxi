# pss - the encoding of RSASSA-PSS (RFC 8017 section 9.1): MGF1 over the same hash, a salt as long as the hash.
#
# Nothing here is secret: what is encoded is what the signature shows to everybody.

cdef enum:
    HASH_MAX = 64

cdef void mgf1_mask(int hash_id, const uint8_t *seed, size_t seed_len, uint8_t *data, size_t n) noexcept nogil:
    """Xor MGF1's output over data (RFC 8017 appendix B.2.1); the seed is a hash."""
    cdef uint8_t block[HASH_MAX + 4]
    cdef uint8_t mask[HASH_MAX]
    cdef uint32_t counter = 0
    cdef size_t i, k
    memcpy(block, seed, seed_len)
    while n:
        put_uint(block + seed_len, counter, 4)
        k = hash_once(hash_id, block, seed_len + 4, mask)
        if k > n:
            k = n
        for i in range(k):
            data[i] ^= mask[i]
        data += k
        n -= k
        counter += 1

cdef void pss_hash(int hash_id, const uint8_t *digest, const uint8_t *salt, uint8_t *out) noexcept nogil:
    """H: the hash of eight zeros, the message's digest and the salt."""
    cdef uint8_t text[8 + 2 * HASH_MAX]
    cdef size_t h = hash_size(hash_id)
    memset(text, 0, 8)
    memcpy(text + 8, digest, h)
    memcpy(text + 8 + h, salt, h)
    hash_once(hash_id, text, 8 + 2 * h, out)

cdef bint pss_encode(int hash_id, const uint8_t *digest, const uint8_t *salt, uint8_t *em, size_t bits) noexcept nogil:
    """EMSA-PSS-ENCODE for a modulus of so many bits, whose length in bytes em has; False if it is too short."""
    cdef size_t h = hash_size(hash_id), n = (bits + 6) // 8, masked
    if n < (bits + 7) // 8:             # of 8k + 1 bits: the first byte stays zero
        em[0] = 0
        em += 1
    if n < 2 * h + 2:
        return False
    masked = n - h - 1
    memset(em, 0, masked - h - 1)
    em[masked - h - 1] = 1
    memcpy(em + masked - h, salt, h)
    pss_hash(hash_id, digest, salt, em + masked)
    mgf1_mask(hash_id, em + masked, h, em, masked)
    em[0] &= 0xFF >> (8 * n - (bits - 1))
    em[n - 1] = 0xBC
    return True

cdef bint pss_check(int hash_id, const uint8_t *digest, uint8_t *em, size_t bits) noexcept nogil:
    """EMSA-PSS-VERIFY, in place: whether em encodes this digest with a salt of its length."""
    cdef size_t h = hash_size(hash_id), n = (bits + 6) // 8, masked, i
    cdef uint8_t top = <uint8_t>(0xFF >> (8 * n - (bits - 1)))
    cdef uint8_t expected[HASH_MAX]
    if n < (bits + 7) // 8:
        if em[0]:
            return False
        em += 1
    if n < 2 * h + 2 or em[n - 1] != 0xBC or em[0] & ~top:
        return False
    masked = n - h - 1
    mgf1_mask(hash_id, em + masked, h, em, masked)
    em[0] &= top
    for i in range(masked - h - 1):
        if em[i]:
            return False
    if em[masked - h - 1] != 1:
        return False
    pss_hash(hash_id, digest, em + masked - h, expected)
    return memcmp(expected, em + masked, h) == 0
