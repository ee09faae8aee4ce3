# hkdf - HKDF (RFC 5869) over SHA-256 and SHA-384, and HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1).
#
# hash_id is br_sha256_ID or br_sha384_ID, as in the suite's prf_id. Contexts on the stack are wiped before the return.

cdef enum:
    SECRET_MAX = 48         # a secret, digest or verify_data of SHA-384
    LABEL_MAX = 2 + 1 + 255 + 1 + 255   # HkdfLabel

cdef void hmac_once(int hash_id, const uint8_t *key, size_t key_len, const void *data, size_t n,
                    uint8_t *out) noexcept nogil:
    """HMAC of one piece."""
    cdef br_hmac_key_context kc
    cdef br_hmac_context h
    br_hmac_key_init(&kc, hash_class(hash_id), key, key_len)
    br_hmac_init(&h, &kc, 0)
    br_hmac_update(&h, data, n)
    br_hmac_out(&h, out)
    explicit_bzero(&kc, sizeof(kc))
    explicit_bzero(&h, sizeof(h))

cdef void hkdf_extract(int hash_id, const uint8_t *salt, size_t salt_len, const uint8_t *ikm, size_t ikm_len,
                       uint8_t *out) noexcept nogil:
    """RFC 5869 section 2.2; no salt is the same as zeros, which HMAC makes of an empty key by itself."""
    hmac_once(hash_id, salt, salt_len, ikm, ikm_len, out)

cdef void hkdf_expand(int hash_id, const uint8_t *prk, size_t prk_len, const uint8_t *info, size_t info_len,
                      uint8_t *out, size_t n) noexcept nogil:
    """RFC 5869 section 2.3, for n up to 255 digests."""
    cdef br_hmac_key_context kc
    cdef br_hmac_context h
    cdef uint8_t block[SECRET_MAX]
    cdef uint8_t counter = 0
    cdef size_t k, size = hash_size(hash_id)
    br_hmac_key_init(&kc, hash_class(hash_id), prk, prk_len)
    while n:
        br_hmac_init(&h, &kc, 0)
        if counter:
            br_hmac_update(&h, block, size)
        br_hmac_update(&h, info, info_len)
        counter += 1
        br_hmac_update(&h, &counter, 1)
        br_hmac_out(&h, block)
        k = n if n < size else size
        memcpy(out, block, k)
        out += k
        n -= k
    explicit_bzero(block, sizeof(block))
    explicit_bzero(&kc, sizeof(kc))
    explicit_bzero(&h, sizeof(h))

cdef void hkdf_label(int hash_id, const uint8_t *secret, const char *label, const uint8_t *context, size_t context_len,
                     uint8_t *out, size_t n) noexcept nogil:
    """HKDF-Expand-Label; label without "tls13 ", at most 249 bytes, context at most 255. out may be the secret."""
    cdef uint8_t info[LABEL_MAX]
    cdef size_t label_len = strlen(label)
    put_uint(info, <uint32_t>n, 2)
    info[2] = <uint8_t>(6 + label_len)
    memcpy(info + 3, b"tls13 ", 6)
    memcpy(info + 9, label, label_len)
    info[9 + label_len] = <uint8_t>context_len
    if context_len:
        memcpy(info + 10 + label_len, context, context_len)
    hkdf_expand(hash_id, secret, hash_size(hash_id), info, 10 + label_len + context_len, out, n)

cdef bint same_bytes(const uint8_t *a, const uint8_t *b, size_t n) noexcept nogil:
    """Whether n bytes are equal, in a time that does not tell where they differ."""
    cdef uint8_t different = 0
    cdef size_t i
    for i in range(n):
        different |= a[i] ^ b[i]
    return different == 0
