# schedule - the key schedule of TLS 1.3 (RFC 8446 section 7.1) and the transcript it is bound to (section 4.4.1).
#
# How a role calls it, in key:
#
#   transcript13_start(&t)                      before the first ClientHello; both hashes run until the suite is known
#   transcript13_add(&t, message, n)            every handshake message as it is on the wire, header included
#   transcript13_choose(&t, hash_id)            once the suite is known (suite.prf_id)
#   transcript13_retry(&t)                      with a HelloRetryRequest: after choose, before the HRR itself is added
#   transcript13_digest(&t, hash_id, out)       any time; the transcript goes on
#
#   schedule_start(&s, hash_id, psk, n)         psk NULL without resumption
#   schedule_binder(&s, False, digest, out)     of the truncated ClientHello; compare by same_bytes
#   schedule_handshake(&s, shared, n, digest)   digest: ClientHello..ServerHello; then s.client_handshake and
#                                               s.server_handshake go to traffic_begin
#   schedule_finished(&s, s.server_handshake, digest, out)      verify_data of one side
#   schedule_master(&s, digest)                 digest: ClientHello..server's Finished; then s.client_application ...
#   schedule_resumption(&s, digest)             digest: ClientHello..client's Finished; the master secret is gone then
#   schedule_ticket(&s, nonce, n, out)          the PSK of one ticket
#   schedule_wipe(&s)                           whatever is left
#
# A handshake traffic secret is wiped by the role when its Finished is done; an application one when traffic_begin has
# it (a Traffic keeps its own for KeyUpdate). The caller wipes `shared` and the psk.

cdef struct Transcript13:
    int hash_id                 # 0 until the suite is known
    br_sha256_context sha256
    br_sha384_context sha384

cdef void transcript13_start(Transcript13 *t) noexcept nogil:
    t.hash_id = 0
    br_sha256_init(&t.sha256)
    br_sha384_init(&t.sha384)

cdef void transcript13_add(Transcript13 *t, const uint8_t *message, size_t n) noexcept nogil:
    if t.hash_id != br_sha384_ID:
        br_sha224_update(&t.sha256, message, n)
    if t.hash_id != br_sha256_ID:
        br_sha512_update(&t.sha384, message, n)

cdef void transcript13_choose(Transcript13 *t, int hash_id) noexcept nogil:
    t.hash_id = hash_id

cdef size_t transcript13_digest(Transcript13 *t, int hash_id, uint8_t *out) noexcept nogil:
    """Hash of everything so far; its size. hash_id: the suite's, or a PSK's while both run."""
    if hash_id == br_sha384_ID:
        br_sha384_out(&t.sha384, out)
    else:
        br_sha256_out(&t.sha256, out)
    return hash_size(hash_id)

cdef void transcript13_retry(Transcript13 *t) noexcept nogil:
    """ClientHello1 gives way to the synthetic message_hash."""
    cdef uint8_t m[4 + SECRET_MAX]
    cdef int hash_id = t.hash_id
    cdef size_t n = transcript13_digest(t, hash_id, m + 4)
    put_uint(m, 254, 1)
    put_uint(m + 1, <uint32_t>n, 3)
    transcript13_start(t)
    t.hash_id = hash_id
    transcript13_add(t, m, 4 + n)

cdef struct Schedule:
    int hash_id
    size_t n                            # of a secret
    uint8_t secret[SECRET_MAX]          # early, handshake or master secret
    uint8_t client_handshake[SECRET_MAX]
    uint8_t server_handshake[SECRET_MAX]
    uint8_t client_application[SECRET_MAX]
    uint8_t server_application[SECRET_MAX]
    uint8_t resumption[SECRET_MAX]

cdef void schedule_derive(Schedule *s, const char *label, const uint8_t *digest, uint8_t *out) noexcept nogil:
    """Derive-Secret of the present secret; digest NULL: of no messages."""
    cdef uint8_t nothing[64]
    if digest == NULL:
        hash_once(s.hash_id, b"", 0, nothing)
        digest = nothing
    hkdf_label(s.hash_id, s.secret, label, digest, s.n, out, s.n)

cdef void schedule_step(Schedule *s, const uint8_t *ikm, size_t ikm_len) noexcept nogil:
    """The next secret of the three, which takes the place of the one before."""
    cdef uint8_t salt[SECRET_MAX]
    schedule_derive(s, "derived", NULL, salt)
    hkdf_extract(s.hash_id, salt, s.n, ikm, ikm_len, s.secret)
    explicit_bzero(salt, sizeof(salt))

cdef void schedule_wipe(Schedule *s) noexcept nogil:
    explicit_bzero(s, sizeof(Schedule))

cdef void schedule_start(Schedule *s, int hash_id, const uint8_t *psk, size_t psk_len) noexcept nogil:
    """The early secret."""
    cdef uint8_t zeros[SECRET_MAX]
    schedule_wipe(s)
    memset(zeros, 0, sizeof(zeros))
    s.hash_id = hash_id
    s.n = hash_size(hash_id)
    if psk == NULL:
        psk = zeros
        psk_len = s.n
    hkdf_extract(hash_id, NULL, 0, psk, psk_len, s.secret)

cdef void schedule_finished(Schedule *s, const uint8_t *base, const uint8_t *digest, uint8_t *out) noexcept nogil:
    """verify_data under a traffic secret (section 4.4.4)."""
    cdef uint8_t key[SECRET_MAX]
    hkdf_label(s.hash_id, base, "finished", NULL, 0, key, s.n)
    hmac_once(s.hash_id, key, s.n, digest, s.n, out)
    explicit_bzero(key, sizeof(key))

cdef void schedule_binder(Schedule *s, bint external, const uint8_t *digest, uint8_t *out) noexcept nogil:
    """The binder of the PSK that the schedule began with (section 4.2.11.2)."""
    cdef uint8_t key[SECRET_MAX]
    schedule_derive(s, "ext binder" if external else "res binder", NULL, key)
    schedule_finished(s, key, digest, out)
    explicit_bzero(key, sizeof(key))

cdef void schedule_handshake(Schedule *s, const uint8_t *shared, size_t n, const uint8_t *digest) noexcept nogil:
    schedule_step(s, shared, n)
    schedule_derive(s, "c hs traffic", digest, s.client_handshake)
    schedule_derive(s, "s hs traffic", digest, s.server_handshake)

cdef void schedule_master(Schedule *s, const uint8_t *digest) noexcept nogil:
    cdef uint8_t zeros[SECRET_MAX]
    memset(zeros, 0, sizeof(zeros))
    schedule_step(s, zeros, s.n)
    schedule_derive(s, "c ap traffic", digest, s.client_application)
    schedule_derive(s, "s ap traffic", digest, s.server_application)

cdef void schedule_resumption(Schedule *s, const uint8_t *digest) noexcept nogil:
    schedule_derive(s, "res master", digest, s.resumption)
    explicit_bzero(s.secret, sizeof(s.secret))

cdef void schedule_ticket(Schedule *s, const uint8_t *nonce, size_t n, uint8_t *out) noexcept nogil:
    """The PSK that a ticket with this nonce stands for (section 4.6.1)."""
    hkdf_label(s.hash_id, s.resumption, "resumption", nonce, n, out, s.n)
