# ticket - stateless tickets of TLS 1.3 (RFC 8446 section 4.6.1, the form of RFC 5077 section 4), sealed under keys that
# only key processes share: name, nonce, sealed state, tag. ChaCha20-Poly1305, the name is its additional data.
#
# A Tickets page has few keys, the current one seals and all open. Its one writer fills the oldest slot and then says
# that this is the current one, so a reader needs no lock: a key half written opens nothing. The state binds the PSK to
# suite, certificate and server name; who is not there for the same gets a full handshake.

cdef enum:
    TICKET_KEYS = 4
    TICKET_NAME = 16
    TICKET_KEY = TICKET_NAME + 32
    TICKET_STATE = 1 + 2 + 8 + 4 + 32 + 32 + SECRET_MAX     # form, suite, issued (ms), age_add, certificate, name, PSK
    TICKET_BYTES = TICKET_NAME + 12 + TICKET_STATE + AEAD_TAG
    TICKET_LIFETIME = 7200          # seconds; a key of the listener's seals for an hour and opens for three more
    TICKET_SKEW_MS = 60000          # by which a client's idea of the ticket's age may differ from ours

cdef struct TicketKey:
    uint8_t name[TICKET_NAME]       # random; all zeros: no key
    uint8_t key[32]

cdef struct Tickets:
    uint64_t current
    TicketKey keys[TICKET_KEYS]

cdef struct TicketState:
    int suite
    uint64_t issued_ms              # of the wall clock
    uint32_t age_add
    uint8_t certificate[32]         # SHA-256 of the server's
    uint8_t server[32]              # SHA-256 of the name that the client asked for, in lower case
    uint8_t psk[SECRET_MAX]

cdef void server_digest(const char *name, uint8_t *out) noexcept nogil:
    cdef uint8_t text[256]
    cdef size_t i, n = strlen(name)
    n = n if n < sizeof(text) else sizeof(text)
    for i in range(n):
        text[i] = <uint8_t>(name[i] + 32 if c'A' <= name[i] <= c'Z' else name[i])
    hash_once(br_sha256_ID, text, n, out)

cdef bint ticket_key_there(const TicketKey *key) noexcept nogil:
    cdef uint8_t bits = 0
    cdef int i
    for i in range(TICKET_NAME):
        bits |= key.name[i]
    return bits != 0

cdef size_t ticket_seal(br_ssl_engine_context *e, const Tickets *keys, br_hmac_drbg_context *rng, const TicketState *s,
                        uint8_t *out) noexcept nogil:
    """A ticket of TICKET_BYTES; 0 when there is no key."""
    cdef const TicketKey *key = &keys.keys[bw_load_u64(&keys.current) % TICKET_KEYS]
    cdef uint8_t *p = out + TICKET_NAME + 12
    if not ticket_key_there(key):
        return 0
    memcpy(out, key.name, TICKET_NAME)
    br_hmac_drbg_generate(rng, out + TICKET_NAME, 12)
    p[0] = 1
    put_uint(p + 1, s.suite, 2)
    put_uint(p + 3, <uint32_t>(s.issued_ms >> 32), 4)
    put_uint(p + 7, <uint32_t>s.issued_ms, 4)
    put_uint(p + 11, s.age_add, 4)
    memcpy(p + 15, s.certificate, 32)
    memcpy(p + 47, s.server, 32)
    memcpy(p + 79, s.psk, SECRET_MAX)
    e.ipoly(key.key, out + TICKET_NAME, p, TICKET_STATE, out, TICKET_NAME, p + TICKET_STATE, e.ichacha, 1)
    return TICKET_BYTES

cdef bint ticket_open(br_ssl_engine_context *e, const Tickets *keys, const uint8_t *ticket, size_t n,
                      TicketState *s) noexcept nogil:
    """Open a ticket; False for one that is none of ours."""
    cdef uint8_t p[TICKET_STATE]
    cdef uint8_t tag[AEAD_TAG]
    cdef const TicketKey *key = NULL
    cdef Cursor c
    cdef int i
    cdef bint good = False
    if n != TICKET_BYTES:
        return False
    for i in range(TICKET_KEYS):
        if ticket_key_there(&keys.keys[i]) and memcmp(keys.keys[i].name, ticket, TICKET_NAME) == 0:
            key = &keys.keys[i]
    if key == NULL:
        return False
    memcpy(p, ticket + TICKET_NAME + 12, TICKET_STATE)
    e.ipoly(key.key, ticket + TICKET_NAME, p, TICKET_STATE, ticket, TICKET_NAME, tag, e.ichacha, 0)
    if same_bytes(tag, ticket + n - AEAD_TAG, AEAD_TAG) and p[0] == 1:
        c = cursor_over(p + 1, TICKET_STATE - 1)
        s.suite = <int>take_uint(&c, 2)
        s.issued_ms = <uint64_t>take_uint(&c, 4) << 32
        s.issued_ms |= take_uint(&c, 4)
        s.age_add = take_uint(&c, 4)
        memcpy(s.certificate, take(&c, 32), 32)
        memcpy(s.server, take(&c, 32), 32)
        memcpy(s.psk, take(&c, SECRET_MAX), SECRET_MAX)
        good = True
    explicit_bzero(p, sizeof(p))
    return good

cdef bint ticket_fresh(const TicketState *s, uint64_t now_wall_ms, uint32_t obfuscated) noexcept nogil:
    """Whether a ticket is not too old, and as old as its client says (section 4.2.11.1)."""
    cdef int64_t age = <int64_t>(now_wall_ms - s.issued_ms)
    cdef int64_t difference = age - <int64_t><uint32_t>(obfuscated - s.age_add)
    return 0 <= age <= <int64_t>TICKET_LIFETIME * 1000 and -TICKET_SKEW_MS <= difference <= TICKET_SKEW_MS

cdef bint tickets_take(Tickets *t, const uint8_t *text, size_t n) noexcept nogil:
    """The keys of a file, the first seals: TICKET_KEY bytes each, at most TICKET_KEYS."""
    memset(t, 0, sizeof(Tickets))
    if n == 0 or n % TICKET_KEY or n > sizeof(t.keys):
        return False
    memcpy(t.keys, text, n)
    return True
