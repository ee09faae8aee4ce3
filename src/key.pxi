# key - the process that holds the secrets: what it holds, and the steps of a handshake that both roles share.
#
# It has no socket. It reads files as root, jails itself, and only then parses them. It trusts nothing net says: an
# operation out of order, repeated, over-long or truncated ends it. keyserver.pxi and keyclient.pxi have the
# operations of a role, keyrun.pxi moves records, keymain.pxi serves the port in the table's order.

cdef struct Server13Key:        # a server's in TLS 1.3, see keyserver13.pxi
    bint retried                # there was a HelloRetryRequest,
    int retry_suite             # for this suite
    int retry_group             # and this group
    size_t hello_len            # bytes hashed of both hellos
    size_t early_left           # bytes of refused early data that are still passed over
    uint32_t psk_tried          # tickets looked at
    int psk                     # which ticket was taken and one, 0 for none
    int psk_suite
    TicketState ticket          # what ours are bound to
    uint8_t psk_secret[SECRET_MAX]
    const uint8_t *protocol     # the application protocol, its length before it; NULL for none

# What a plain server handshake uses lies together, secrets among it; what is large and rarely used comes last and holds
# none, so that the end touches no page that nothing else has.
cdef struct Key:
    Config *config
    int port
    int go                      # write end of the pipe on which prog waits, its stdin but with -n; -1 once told
    int state                   # BW_START ...
    bint refused                # the peer's Finished did not open: nothing but an alert may follow
    Ring ring
    br_hmac_drbg_context rng
    br_ec_private_key ephemeral # key's ECDHE secret
    uint8_t ephemeral_bytes[80]
    uint8_t point[133]          # and its public point
    size_t point_len            # the peer's has the same length
    uint8_t peer_point[133]     # the peer's
    size_t params_len           # client: length of the server's point as its ServerKeyExchange has it, 0 without one
    int group
    const bw_suite *suite
    size_t fragment_max
    br_ssl_engine_context eng   # randoms, master secret and record keys; never sees the wire
    Traffic opening             # TLS 1.3: the two directions' protection
    Traffic sealing
    Schedule schedule
    Transcript13 transcript13
    Server13Key server
    const Tickets *tickets      # NULL: none are opened or made
    Tickets ticket_keys         # of a file
    Identity identity
    # from here on nothing is secret
    uint8_t *anchors_text
    size_t anchors_len
    Anchors anchors
    char account[256]           # from the client's certificate, empty without -U
    char sni[256]
    Candidate candidates[CANDIDATES_MAX]
    Peer peer
    Transcript transcript
    Trust trust                 # client: the anchors
    Offered13 offered           # client: what our last ClientHello said
    uint8_t session[32]
    uint16_t suites13[3]
    bint requested              # client: the server wants a certificate
    int scheme                  # client: that our certificate signs with, 0 for none
    uint8_t exchange[6 + SERVER_KEY_MAX]    # client: our ClientKeyExchange
    size_t exchange_len

cdef void tickets_forget(Key *k) noexcept nogil:
    """No ticket is made or opened any more."""
    if k.tickets == tickets_page:
        tickets_unmap()
    explicit_bzero(&k.ticket_keys, sizeof(k.ticket_keys))
    k.tickets = NULL

cdef Key key_process
cdef extern from *:
    """
    static uint8_t key_message[131072] BW_PAGES, key_reply[131072] BW_PAGES;
    """
    uint8_t key_message[MESSAGE_MAX]
    uint8_t key_reply[MESSAGE_MAX]

cdef void key_end() noexcept nogil:
    """The only way out: forget everything and leave. Descriptors close by themselves, which the others notice."""
    explicit_bzero(&key_process, <size_t>(<uint8_t *>&key_process.anchors_text - <uint8_t *>&key_process))
    _exit(0)

cdef void key_answer(Key *k, int status, size_t n) noexcept nogil:
    if port_send(k.port, status, key_reply, n) < 0:
        key_end()

cdef size_t sign_digest(Identity *id, int hash_id, const uint8_t *digest, size_t n, uint8_t *sig) noexcept nogil:
    """Sign a hash, 0 meaning MD5 and SHA-1 together; the signature's length, 0 when the key cannot."""
    cdef const br_rsa_private_key *rsa
    if id.key_type == BW_KEYTYPE_ED25519:       # of TLS 1.3 only: scheme_sign
        return 0
    if id.key_type == BR_KEYTYPE_EC:
        if hash_class(hash_id) == NULL or hash_id == br_md5_ID:
            return 0
        return bw_ecdsa_sign()(bw_ec(), hash_class(hash_id), digest, &id.key.ec, sig)
    rsa = &id.key.rsa
    if hash_id == br_md5_ID or (rsa.n_bitlen + 7) // 8 > SERVER_KEY_MAX \
            or not bw_rsa_pkcs1_sign(hash_oid(hash_id), digest, n, rsa, sig):
        return 0
    return (rsa.n_bitlen + 7) // 8

cdef void key_ephemeral(Key *k, int group) noexcept nogil:
    """Draw the ephemeral key and its public point."""
    cdef br_ec_public_key pub
    k.group = group
    if not br_ec_keygen(&k.rng.vtable, bw_ec(), &k.ephemeral, k.ephemeral_bytes, group):
        key_end()
    k.point_len = br_ec_compute_pub(bw_ec(), &pub, k.point, &k.ephemeral)
    if k.point_len != group_row(group).point_len:
        key_end()

cdef uint8_t *key_multiply(Key *k, uint8_t *point, size_t n, size_t *x_len) noexcept nogil:
    """The peer's point times our key, in place: where its x coordinate lies, NULL for a bad point."""
    cdef size_t x_at, i
    cdef uint8_t any_bit = 0
    x_len[0] = 0
    if n != group_row(k.group).point_len or not bw_ec().mul(point, n, k.ephemeral.x, k.ephemeral.xlen, k.group):
        return NULL
    x_at = bw_ec().xoff(k.group, x_len)
    for i in range(x_len[0]):
        any_bit |= point[x_at + i]
    if any_bit == 0:                        # a point of small order (RFC 7748 section 6.1)
        return NULL
    return point + x_at

cdef bint key_shared(Key *k, uint8_t *point, size_t n) noexcept nogil:
    """The peer's point times our key, in place, becomes the master secret; False for a bad point."""
    cdef size_t x_len
    cdef uint8_t *x = key_multiply(k, point, n, &x_len)
    if x == NULL:
        return False
    br_ssl_engine_compute_master(&k.eng, k.suite.prf_id, x, x_len)
    return True

cdef void key_suite(Key *k, int suite, size_t fragment_max) noexcept nogil:
    """Take what was negotiated, the version being known; a server's record_size_limit may be small."""
    cdef size_t least = 512 if k.config.client == NULL else RECORD_LIMIT_MIN
    k.suite = suite_row(suite)
    if k.suite == NULL or fragment_max < least or fragment_max > PLAINTEXT_MAX or not config_has_suite(k.config, suite) \
            or not suite_fits(k.suite, k.eng.session.version):
        key_end()
    k.fragment_max = fragment_max
    k.eng.session.cipher_suite = <uint16_t>suite

cdef void key_version(Key *k, int version, const uint8_t *client_random, const uint8_t *server_random) noexcept nogil:
    """Take the version and the randoms of this handshake."""
    if version_row(version) == NULL or version > BR_TLS12 \
            or not k.config.version_min <= version <= k.config.version_max:
        key_end()
    k.eng.session.version = <uint16_t>version
    memcpy(k.eng.client_random, client_random, 32)
    memcpy(k.eng.server_random, server_random, 32)

cdef void key_derived(Key *k, uint8_t *secret, size_t n, bint is_client) noexcept nogil:
    """Make the record keys from the master secret and forget what led to it."""
    records_switch(&k.eng, k.suite, is_client)
    bw_test_stop("derive")
    explicit_bzero(secret, n)
    explicit_bzero(k.ephemeral_bytes, sizeof(k.ephemeral_bytes))
    bw_wipe_stack()

cdef void key_verify_data(Key *k, const char *label, const uint8_t *digest, size_t n, uint8_t *out) noexcept nogil:
    """The 12 bytes of one side's Finished (RFC 5246 section 7.4.9)."""
    cdef br_tls_prf_seed_chunk seed
    cdef const uint8_t *secret = k.eng.session.master_secret
    seed.data = digest
    seed.len = n
    if k.eng.session.version < BR_TLS12:
        br_tls10_prf(out, 12, secret, 48, label, 1, &seed)
    elif k.suite.prf_id == br_sha384_ID:
        br_tls12_sha384_prf(out, 12, secret, 48, label, 1, &seed)
    else:
        br_tls12_sha256_prf(out, 12, secret, 48, label, 1, &seed)

cdef void key_finished(Key *k, const char *label, const uint8_t *digest, size_t n) noexcept nogil:
    key_verify_data(k, label, digest, n, key_reply)
    bw_wipe_stack()                         # here: what it left may lie in a later caller's frame, above what that wipes
    key_answer(k, STATUS_OK, 12)

cdef void key_forget_master(Key *k) noexcept nogil:
    """The handshake is over but for its last record."""
    explicit_bzero(k.eng.session.master_secret, 48)
    bw_wipe_stack()

cdef Cursor key_protocol(Key *k, uint32_t number) noexcept nogil:
    """Note our number'th application protocol for prog; 0: none."""
    cdef Cursor list = cursor_over(k.config.protocols, k.config.protocols_len)
    cdef Cursor chosen = cursor_over(NULL, 0)
    while number:
        k.server.protocol = list.p
        chosen = take_vector(&list, 1)
        number -= 1
    if list.bad or chosen.bad:
        key_end()
    return chosen

cdef void key_go(Key *k, const uint8_t *addresses, size_t n) noexcept nogil:
    """Tell prog to start: the account and the facts for its environment, in the order of GoField."""
    cdef uint8_t m[2048]
    cdef char text[768]
    cdef char normal[48]
    cdef Cursor c = cursor_over(addresses, n)
    cdef Cursor field
    cdef size_t used = 2, i
    cdef bint trusted = (k.config.client != NULL or k.config.anchors != NULL) and k.peer.trusted
    cdef int f
    used += go_field(m + used, k.account)
    for f in range(4):
        if k.config.client != NULL:
            used += go_field(m + used, "")      # prog keeps the addresses that its UCSPI client told it
            continue
        field = take_vector(&c, 1)
        if c.bad or field.left == 0 or field.left >= IP_MAX:
            key_end()
        memcpy(text, field.p, field.left)
        text[field.left] = 0
        # net may choose an address, not another text; its order is remote, local, each address before its port
        if not (port_normalize(text, normal) if f & 1 else ip_normalize(text, 0, normal)):
            key_end()
        used += go_field(m + used, normal)
    if c.left == 1 and k.suite != NULL and k.eng.session.version < TLS13:
        key_protocol(k, c.p[0])
    elif c.left and k.config.client == NULL:
        key_end()
    # with -n prog starts before there is anything to tell: the variables are then unset
    if k.suite == NULL:
        used += go_field(m + used, "")
        used += go_field(m + used, "")
    else:
        used += go_field(m + used, version_row(k.eng.session.version).ssl_protocol)
        used += go_field(m + used, k.suite.openssl_name)
    used += go_field(m + used, k.sni)
    text[0] = 0
    if trusted:
        strcpy(text, "SHA256:")
        for i in range(32):
            snprintf(text + 7 + 2 * i, 3, "%02x", <unsigned int>k.peer.leaf_hash[i])
    used += go_field(m + used, text)
    text[0] = 0
    if trusted:
        subject_text(&k.peer, text, sizeof(text))
    used += go_field(m + used, text)
    text[0] = 0
    if k.server.protocol != NULL:
        memcpy(text, k.server.protocol + 1, k.server.protocol[0])
        text[k.server.protocol[0]] = 0
    used += go_field(m + used, text)
    put_uint(m, <uint32_t>used, 2)
    if write(k.go, m, used) != <ssize_t>used:
        key_end()
    if k.config.delayed:
        close(k.go)
    k.go = -1
