# keyserver - key's part in a server's handshake: load an identity, sign, judge a client's certificate.

cdef void key_anchors(Key *k) noexcept nogil:
    """The anchor file's certificates, read as root; status 1 with the errno when it cannot be read."""
    cdef int err
    cdef size_t n
    if k.config.anchors == NULL or k.anchors_text != NULL:
        key_end()
    err = read_all(k.config.anchors, &k.anchors_text, &k.anchors_len)
    if err == 0 and k.anchors_len >= MESSAGE_MAX - 1:
        err = EFBIG
    if err:
        key_reply[0] = <uint8_t>err
        key_answer(k, 1, 1)
        key_end()
    n = certificates_only(k.anchors_text, k.anchors_len, key_reply)
    explicit_bzero(k.anchors_text, k.anchors_len)
    k.anchors_len = n
    memcpy(k.anchors_text, key_reply, n)
    key_answer(k, STATUS_OK, n)

cdef void key_ticket_file(Key *k) noexcept nogil:
    """The keys of --ticket-keys, as root; without a good file there are no tickets."""
    cdef uint8_t *text = NULL
    cdef size_t n = 0
    cdef int err
    cdef char m[2048]
    if k.config.ticket_file == NULL or k.config.version_max < TLS13 or k.config.anchors != NULL:
        return
    err = read_all(k.config.ticket_file, &text, &n)
    if err == 0 and tickets_take(&k.ticket_keys, text, n):
        k.tickets = &k.ticket_keys
    else:
        snprintf(m, sizeof(m), "unable to read ticket keys '%.1024s'", k.config.ticket_file)
        log_warning(m, err if err else EINVAL)
    if text != NULL:
        explicit_bzero(text, n)
        free(text)

cdef void key_load(Key *k, uint32_t types, uint32_t schemes, const char *name, size_t name_len) noexcept nogil:
    """Read candidates as root, enter the jail, parse, pick the first that serves; reply with its chain.

    types: bit BR_KEYTYPE_RSA and bit BR_KEYTYPE_EC, the key types that the client's suites allow; in TLS 1.3 none, but
    schemes: bit n, the signature scheme in row n of bw_schemes, all of the client's.
    """
    cdef Candidate *list = k.candidates
    cdef Candidate *c
    cdef Candidate *failure = NULL
    cdef bint secret_fault = False, failure_secret = False, picked = False
    cdef char m[2048]
    cdef size_t n = 0
    cdef int i, num
    # what is no DNS name names no file, and has no business in prog's environment either
    if dns_name(name, name_len):
        memcpy(k.sni, name, name_len)
        k.sni[name_len] = 0
    num = candidates_read(k.config, name, name_len, list)
    key_ticket_file(k)
    if not jail_enter(&k.config.jail):
        log_fatal("unable to create jail", 0)
        key_end()
    limit_calls(BW_KEY)
    if k.anchors_text != NULL and not anchors_parse(&k.anchors, k.anchors_text, k.anchors_len):
        key_end()       # net has parsed the same text already: only a changed copy comes here
    for i in range(num):
        c = &list[i]
        if c.err == 0 and identity_parse(&k.identity, c, k.config.version_max >= TLS13, &secret_fault):
            if identity_fits(&k.identity, types, schemes):
                picked = True
                break
            identity_wipe(&k.identity)
            free(k.identity.der)
            continue
        if c.err == 0 or c.err != ENOENT or failure == NULL:
            if failure == NULL or failure.err == ENOENT:
                failure = c
                failure_secret = c.err == 0 and secret_fault
        if i + 1 < num:
            snprintf(m, sizeof(m), "unable to obtain certificate(s) from the PEM file '%s', trying next", c.path)
            if c.err == ENOENT:
                log_debug(m)
            else:
                log_warning(m, c.err)
    candidates_wipe(list, num)
    if picked:
        key_reply[0] = <uint8_t>k.identity.key_type
        key_reply[1] = <uint8_t>k.identity.num
        n = 2
        for i in range(k.identity.num):
            if n + 3 + k.identity.chain[i].data_len > CHAIN_BYTES_MAX:
                key_end()
            put_uint(key_reply + n, <uint32_t>k.identity.chain[i].data_len, 3)
            memcpy(key_reply + n + 3, k.identity.chain[i].data, k.identity.chain[i].data_len)
            n += 3 + k.identity.chain[i].data_len
        key_answer(k, STATUS_OK, n)
        return
    if failure == NULL:
        key_answer(k, LOAD_NOTHING, 0)
        key_end()
    if failure_secret:
        snprintf(m, sizeof(m), "unable to obtain secret-key from the PEM file '%s'", failure.path)
        log_fatal(m, 0)
    key_reply[0] = 1 if failure_secret else 0
    put_uint(key_reply + 1, <uint32_t>failure.err, 4)
    n = strlen(failure.path)
    memcpy(key_reply + 5, failure.path, n)
    key_answer(k, LOAD_FAILED, 5 + n)
    key_end()

cdef size_t key_sign(Key *k, int version, int hash_id, const uint8_t *params, size_t n, uint8_t *sig) noexcept nogil:
    """Sign the ServerKeyExchange parameters; the signature's length, 0 when the key cannot sign them.

    hash_id: with HASH_PSS by RSA-PSS, in TLS 1.2 only; what is signed differs from TLS 1.3's in byte 65.
    """
    cdef uint8_t digest[64]
    if version >= BR_TLS12 and hash_id & HASH_PSS:
        return scheme_sign(&k.identity.key, 0x0800 | (hash_id & ~HASH_PSS), params, n, &k.rng, sig) \
            if k.identity.key_type == BR_KEYTYPE_RSA else 0
    if version < BR_TLS12:
        hash_id = br_sha1_ID if k.identity.key_type == BR_KEYTYPE_EC else 0
    elif hash_class(hash_id) == NULL or hash_id == br_md5_ID:
        return 0
    if hash_id == 0:
        hash_once(br_md5_ID, params, n, digest)
        hash_once(br_sha1_ID, params, n, digest + 16)
        return sign_digest(&k.identity, 0, digest, 36, sig)
    return sign_digest(&k.identity, hash_id, digest, hash_once(hash_id, params, n, digest), sig)

cdef void key_exchange(Key *k, int group, int version, int hash_id, const uint8_t *client_random,
                       const uint8_t *server_random) noexcept nogil:
    """Draw the ephemeral key, sign its point with the randoms (RFC 8422 section 5.4), forget the private key."""
    cdef uint8_t params[256]
    cdef size_t sig_len
    if group_row(group) == NULL or not (k.config.groups >> group) & 1:
        key_end()
    key_version(k, version, client_random, server_random)
    tickets_forget(k)
    key_ephemeral(k, group)
    memcpy(params, client_random, 32)
    memcpy(params + 32, server_random, 32)
    params[64] = 3
    put_uint(params + 65, group, 2)
    params[67] = <uint8_t>k.point_len
    memcpy(params + 68, k.point, k.point_len)
    key_reply[0] = <uint8_t>k.point_len
    memcpy(key_reply + 1, k.point, k.point_len)
    sig_len = key_sign(k, version, hash_id, params, 68 + k.point_len, key_reply + 3 + k.point_len)
    put_uint(key_reply + 1 + k.point_len, <uint32_t>sig_len, 2)
    bw_test_stop("sign")
    identity_wipe(&k.identity)
    bw_wipe_stack()
    key_answer(k, STATUS_OK if sig_len else 1, 3 + k.point_len + sig_len)

cdef void key_peer_chain(Key *k, const uint8_t *list, size_t n) noexcept nogil:
    """Judge the client's certificates."""
    cdef unsigned err = peer_chain(&k.peer, &k.anchors, NULL, list, n)
    if err == BR_ERR_X509_NOT_TRUSTED and peer_forged(&k.peer, &k.anchors):
        err = BR_ERR_X509_BAD_SIGNATURE
    if err == 0:
        err = peer_signs(&k.peer)
    key_reply[0] = <uint8_t>err
    key_reply[1] = <uint8_t>k.peer.key_type
    key_answer(k, STATUS_OK if err == 0 else 1, 2)
    if err:
        key_end()

cdef void key_derive(Key *k, int suite, size_t fragment_max, uint8_t *point, size_t n) noexcept nogil:
    """Shared secret, master secret, record keys; a peer's point of the wrong form or value is refused with status 1."""
    key_suite(k, suite, fragment_max)
    memcpy(k.peer_point, point, n if n < sizeof(k.peer_point) else sizeof(k.peer_point))
    if not key_shared(k, point, n):
        key_answer(k, 1, 0)
        key_end()
    key_derived(k, point, n, False)

cdef bint key_account(Key *k) noexcept nogil:
    """Take the account from the client's certificate, cut at the first @ (-U); an unusable one is fatal."""
    cdef const char *what = "emailAddress" if k.config.user_field == USER_EMAIL else "commonName"
    cdef char m[512]
    cdef char *at
    cdef int element = PARTS if k.config.user_field == USER_EMAIL else PARTS - 1
    cdef char *value = k.peer.part[element]
    cdef int status = k.peer.elements[element].status
    if status == 0:
        snprintf(m, sizeof(m), "unable to extract ASN.1 object %s from client certificate: object not found", what)
        log_fatal(m, 0)
        return False
    if status < 0:
        snprintf(m, sizeof(m), "unable to extract ASN.1 object %s from client certificate: object too long or malformed",
                 what)
        log_fatal(m, 0)
        return False
    snprintf(m, sizeof(m), "%s from the client certificate '%s'", what, value)
    log_debug(m)
    # the field itself stays whole for SSL_PEER_CERT_SUBJECT
    strcpy(k.account, value)
    at = strchr(k.account, c'@')
    if at != NULL:
        at[0] = 0
    if k.account[0] == 0:
        snprintf(m, sizeof(m), "unable to extract ASN.1 object %s from client certificate: account is empty", what)
        log_fatal(m, 0)
        return False
    return True

cdef void key_peer_verify(Key *k, const uint8_t *body, size_t n) noexcept nogil:
    """Reply status: 0, 2 when the account is unusable, or 1 with the BearSSL error."""
    cdef int err = peer_verify(&k.peer, &k.transcript, k.eng.session.version, body, n)
    if err:
        key_reply[0] = <uint8_t>err
        key_answer(k, 1, 1)
        key_end()
    if k.config.user_field != USER_NONE and not key_account(k):
        key_answer(k, 2, 0)
        key_end()
    key_answer(k, STATUS_OK, 0)
