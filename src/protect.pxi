# protect - record protection: Traffic seals and opens records of TLS 1.3 (RFC 8446 section 5.2), and one pair of
# functions serves it and BearSSL's record classes of 1.0 to 1.2 alike.
#
# How a role calls it, in key, which has one Traffic a direction (k.opening, k.sealing) beside its engine:
#
#   traffic_begin(&k.sealing, &k.eng, suite, s.server_handshake)    from here on that direction is TLS 1.3's
#   traffic_next(&k.sealing)                                        one generation on, after a KeyUpdate
#   traffic_tired(&k.sealing)                                       a KeyUpdate is due before the next record
#   record_open / record_seal / record_start                        whatever protects the direction
#   traffic_wipe(&k.sealing)
#
# All is done in place, a plaintext has RECORD_HEADER
# bytes before it and TRAFFIC_TAIL behind it. The ciphers are those that the engine context was given, asked for once a
# connection. The receiver of records has no limit of its own: RFC 8446 gives the sender one.

cdef enum:
    AEAD_TAG = 16
    TRAFFIC_TAIL = 1 + AEAD_TAG         # inner content type and tag

cdef struct Traffic:
    const bw_suite *suite               # NULL: TLS 1.3 does not protect this direction
    uint64_t seq
    uint64_t most                       # records that this key may seal
    uint8_t secret[SECRET_MAX]          # traffic secret of this generation
    uint8_t key[32]                     # ChaCha20's
    uint8_t iv[12]
    br_aes_gen_ctr_keys aes
    uint8_t h[16]                       # GHASH's
    const br_block_ctr_class *ctr
    br_ghash ghash
    br_chacha20_run chacha
    br_poly1305_run poly

cdef void traffic_wipe(Traffic *t) noexcept nogil:
    explicit_bzero(t, sizeof(Traffic))

cdef void traffic_keys(Traffic *t) noexcept nogil:
    """Key and IV of the present secret (section 7.3)."""
    cdef int hash_id = t.suite.prf_id
    hkdf_label(hash_id, t.secret, "key", NULL, 0, t.key, t.suite.key_len)
    hkdf_label(hash_id, t.secret, "iv", NULL, 0, t.iv, sizeof(t.iv))
    t.seq = 0
    if t.suite.encryption == BW_GCM:
        t.ctr.init(&t.aes.vtable, t.key, t.suite.key_len)
        memset(t.h, 0, sizeof(t.h))
        t.ctr.run(&t.aes.vtable, t.h, 0, t.h, sizeof(t.h))
        explicit_bzero(t.key, sizeof(t.key))

cdef void traffic_begin(Traffic *t, br_ssl_engine_context *e, const bw_suite *suite,
                        const uint8_t *secret) noexcept nogil:
    """Protect a direction from here on; e: what records_engine has prepared."""
    traffic_wipe(t)
    t.suite = suite
    memcpy(t.secret, secret, hash_size(suite.prf_id))
    if suite.encryption == BW_GCM:
        if e.iaes_ctr == NULL:
            br_ssl_engine_set_default_aes_gcm(e)
        t.ctr = e.iaes_ctr
        t.ghash = e.ighash
        t.most = bw_test_number("BEARWRAP_TEST_RECORDS", GCM_RECORDS_MAX)
    else:
        t.chacha = e.ichacha
        t.poly = e.ipoly
        t.most = bw_test_number("BEARWRAP_TEST_RECORDS", CHAPOL_RECORDS_MAX)
    traffic_keys(t)

cdef void traffic_next(Traffic *t) noexcept nogil:
    """The next generation (section 7.2); the old secret and key are gone."""
    hkdf_label(t.suite.prf_id, t.secret, "traffic upd", NULL, 0, t.secret, hash_size(t.suite.prf_id))
    traffic_keys(t)

cdef bint traffic_tired(Traffic *t) noexcept nogil:
    return t.suite != NULL and t.seq + RECORDS_SPARE >= t.most

cdef void traffic_gcm(Traffic *t, const uint8_t *nonce, uint8_t *data, size_t n, uint8_t *tag,
                      bint sealing) noexcept nogil:
    """AES-GCM over a record in as few calls as it has: BearSSL's br_gcm_* make one more each for the last byte."""
    cdef uint8_t lengths[16]
    if sealing:
        t.ctr.run(&t.aes.vtable, nonce, 2, data, n)
    memset(lengths, 0, sizeof(lengths))
    put_uint(lengths + 4, 8 * RECORD_HEADER, 4)
    put_uint(lengths + 12, <uint32_t>(8 * n), 4)
    memset(tag, 0, AEAD_TAG)
    t.ghash(tag, t.h, data - RECORD_HEADER, RECORD_HEADER)      # which pads
    t.ghash(tag, t.h, data, n)
    t.ghash(tag, t.h, lengths, sizeof(lengths))
    t.ctr.run(&t.aes.vtable, nonce, 1, tag, AEAD_TAG)
    if not sealing:
        t.ctr.run(&t.aes.vtable, nonce, 2, data, n)

cdef void traffic_aead(Traffic *t, uint8_t *data, size_t n, uint8_t *tag, bint sealing) noexcept nogil:
    """Seal or open n bytes in place; the additional data is the record header before them. The tag is computed."""
    cdef uint8_t nonce[12]
    cdef int i
    memcpy(nonce, t.iv, 12)
    for i in range(8):
        nonce[11 - i] ^= <uint8_t>(t.seq >> (8 * i))
    t.seq += 1
    if t.suite.encryption == BW_CHAPOL:
        t.poly(t.key, nonce, data, n, data - RECORD_HEADER, RECORD_HEADER, tag, t.chacha, sealing)
        return
    traffic_gcm(t, nonce, data, n, tag, sealing)

cdef uint8_t *traffic_seal(Traffic *t, int kind, uint8_t *p, size_t *n) noexcept nogil:
    """Seal n bytes at p; the record begins RECORD_HEADER before, n becomes its length. NULL when the key is spent."""
    cdef uint8_t *record = p - RECORD_HEADER
    if t.seq >= t.most:
        return NULL
    record[0] = 23
    record[1] = record[2] = 3               # legacy_record_version
    put_uint(record + 3, <uint32_t>n[0] + TRAFFIC_TAIL, 2)
    p[n[0]] = <uint8_t>kind
    traffic_aead(t, p, n[0] + 1, p + n[0] + 1, True)
    n[0] += RECORD_HEADER + TRAFFIC_TAIL
    return record

cdef int traffic_open(Traffic *t, uint8_t *p, size_t *n, int *kind) noexcept nogil:
    """Open a fragment of n bytes at p, its header before it; n becomes the content's length. 0, or the alert."""
    cdef uint8_t tag[AEAD_TAG]
    cdef size_t inner
    if n[0] > SEALED_MAX:
        return RECORD_OVERFLOW
    if n[0] < TRAFFIC_TAIL:
        return BAD_RECORD_MAC
    inner = n[0] - AEAD_TAG
    traffic_aead(t, p, inner, tag, False)
    if not same_bytes(tag, p + inner, AEAD_TAG):
        memset(p, 0, inner)                 # what was not authentic is not for anybody's eyes
        return BAD_RECORD_MAC
    if inner > INNER_MAX:
        return RECORD_OVERFLOW
    while inner and p[inner - 1] == 0:
        inner -= 1
    if inner == 0:                          # no content type at all
        return UNEXPECTED_MESSAGE
    kind[0] = p[inner - 1]
    n[0] = inner - 1
    # an alert or handshake message is never empty (section 5.1), change_cipher_spec is never sealed (section 5)
    if not 21 <= kind[0] <= 23 or (n[0] == 0 and kind[0] != 23):
        return UNEXPECTED_MESSAGE
    return 0

# ---- either ----

cdef inline int record_open(br_ssl_engine_context *e, const bw_suite *suite, Traffic *t, uint8_t *record, int *kind,
                            uint8_t **plain, size_t *n) noexcept nogil:
    """Open a whole record in place; n: the fragment's length, then the content's. kind becomes the inner one. 0 or an
    alert."""
    if t.suite != NULL:
        plain[0] = record + RECORD_HEADER
        return traffic_open(t, plain[0], n, kind)
    if not e.in_.vtable.check_length(<const br_sslrec_in_class *const *>&e.in_.vtable, n[0]):
        return RECORD_OVERFLOW if n[0] > PLAINTEXT_MAX else BAD_RECORD_MAC
    if not whole_blocks(suite, n[0]):
        return BAD_RECORD_MAC
    plain[0] = e.in_.vtable.decrypt(&e.in_.vtable, kind[0], e.session.version, record + RECORD_HEADER, n)
    return BAD_RECORD_MAC if plain[0] == NULL else 0

cdef inline uint8_t *record_seal(br_ssl_engine_context *e, Traffic *t, int kind, uint8_t *p, size_t *n) noexcept nogil:
    """Seal n bytes at p in place; where the record begins, n its length. NULL: this key may seal no more."""
    if t.suite != NULL:
        return traffic_seal(t, kind, p, n)
    return e.out.vtable.encrypt(&e.out.vtable, kind, e.session.version, p, n)

cdef inline size_t record_start(br_ssl_engine_context *e, Traffic *t, size_t slot, size_t *most) noexcept nogil:
    """Where plaintext begins in a slot of a size, and how much fits in one record."""
    cdef size_t start = RECORD_HEADER, end = slot - RECORD_HEADER
    if t.suite != NULL:
        most[0] = end - start - TRAFFIC_TAIL
        if most[0] > PLAINTEXT_MAX:
            most[0] = PLAINTEXT_MAX
        return start
    e.out.vtable.max_plaintext(<const br_sslrec_out_class *const *>&e.out.vtable, &start, &end)
    most[0] = end - start
    return start
