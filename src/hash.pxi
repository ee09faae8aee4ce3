# hash - one-shot and running digests over BearSSL's hash classes.

cdef const br_hash_class *hash_class(int hash_id) noexcept nogil:
    """BearSSL's class for a TLS HashAlgorithm number (RFC 5246 section 7.4.1.4.1); NULL for another number."""
    if hash_id == br_md5_ID: return &br_md5_vtable
    if hash_id == br_sha1_ID: return &br_sha1_vtable
    if hash_id == 3: return &br_sha224_vtable
    if hash_id == br_sha256_ID: return &br_sha256_vtable
    if hash_id == br_sha384_ID: return &br_sha384_vtable
    if hash_id == br_sha512_ID: return &br_sha512_vtable
    return NULL

cdef size_t hash_size(int hash_id) noexcept nogil:
    """Bytes of a digest, 0 for another number."""
    if hash_id == br_md5_ID: return 16
    if hash_id == br_sha1_ID: return 20
    if hash_id == 3: return 28
    if hash_id == br_sha256_ID: return 32
    if hash_id == br_sha384_ID: return 48
    if hash_id == br_sha512_ID: return 64
    return 0

cdef const unsigned char *hash_oid(int hash_id) noexcept nogil:
    """The DER object identifier, length first, of a PKCS#1 signature's hash; NULL for MD5+SHA-1 (TLS 1.0, 1.1)."""
    if hash_id == br_sha1_ID: return <const unsigned char *>b"\x05\x2b\x0e\x03\x02\x1a"
    if hash_id == 3: return <const unsigned char *>b"\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04"
    if hash_id == br_sha256_ID: return <const unsigned char *>b"\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
    if hash_id == br_sha384_ID: return <const unsigned char *>b"\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02"
    if hash_id == br_sha512_ID: return <const unsigned char *>b"\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03"
    return NULL

cdef void hash_all(br_multihash_context *h) noexcept nogil:
    """A multihash with every function a CertificateVerify may name."""
    cdef int i
    br_multihash_zero(h)
    for i in range(br_md5_ID, br_sha512_ID + 1):
        br_multihash_setimpl(h, i, hash_class(i))
    br_multihash_init(h)

cdef size_t hash_once(int hash_id, const void *data, size_t n, uint8_t *out) noexcept nogil:
    """Digest of data; its length."""
    cdef br_multihash_context h
    br_multihash_zero(&h)
    br_multihash_setimpl(&h, hash_id, hash_class(hash_id))
    br_multihash_init(&h)
    br_multihash_update(&h, data, n)
    return br_multihash_out(&h, hash_id, out)

cdef extern from "bearssl_hash.h" nogil:
    void br_sha256_init(br_sha256_context *ctx)
    void br_sha224_update(br_sha256_context *ctx, const void *data, size_t len)
    void br_sha256_out(const br_sha256_context *ctx, void *out)
    void br_sha384_init(br_sha384_context *ctx)
    void br_sha512_update(br_sha512_context *ctx, const void *data, size_t len)
    void br_sha384_out(const br_sha384_context *ctx, void *out)
