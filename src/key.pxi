# key - the process that holds the secrets: answers the key port in the table's order, then seals and opens.
#
# It has no socket. It reads PEM files as root at `load`, jails itself, and only then parses them. It trusts
# nothing net says: an operation out of order, repeated, over-long or truncated ends it.

cdef struct Key:
    Config *config
    int port
    int go                      # write end of the pipe on which prog waits
    int state                   # BW_START ...
    Ring ring
    br_hmac_drbg_context rng
    Identity identity
    br_ec_private_key ephemeral # key's ECDHE secret
    uint8_t ephemeral_bytes[80]
    uint8_t point[133]          # and its public point
    size_t point_len            # the client's has the same length
    uint8_t peer_point[133]     # the client's
    int group
    br_ssl_engine_context eng   # randoms, master secret and record keys; never sees the wire
    const bw_suite *suite
    uint8_t *anchors_text
    size_t anchors_len
    Anchors anchors
    Peer peer
    Transcript transcript
    char account[256]           # from the client's certificate, empty without -U
    char sni[256]
    size_t fragment_max
    Candidate candidates[CANDIDATES_MAX]

cdef Key key_process
cdef uint8_t key_message[MESSAGE_MAX]
cdef uint8_t key_reply[MESSAGE_MAX]

cdef void key_end() noexcept nogil:
    """The only way out: forget everything and leave. Descriptors close by themselves, which the others notice."""
    explicit_bzero(&key_process, sizeof(key_process))
    _exit(0)

cdef void key_answer(Key *k, int status, size_t n) noexcept nogil:
    if port_send(k.port, status, key_reply, n) < 0:
        key_end()

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

cdef void key_load(Key *k, uint32_t usable, const char *name, size_t name_len) noexcept nogil:
    """Read candidates as root, enter the jail, parse, pick the first that serves; reply with its chain.

    usable: bit BR_KEYTYPE_RSA and bit BR_KEYTYPE_EC, the key types that the client's suites allow.
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
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    num = candidates_read(k.config, name, name_len, list)
    if not jail_enter(&k.config.jail):
        log_fatal("unable to create jail", 0)
        key_end()
    if k.anchors_text != NULL and not anchors_parse(&k.anchors, k.anchors_text, k.anchors_len):
        key_end()       # net has parsed the same text already: only a changed copy comes here
    for i in range(num):
        c = &list[i]
        if c.err == 0 and identity_parse(&k.identity, c, &secret_fault):
            if usable & (1 << k.identity.key_type):
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
    """Sign the ServerKeyExchange parameters; the signature's length, 0 when the key cannot sign them."""
    cdef uint8_t digest[64]
    cdef size_t digest_len
    cdef const br_rsa_private_key *rsa
    if k.identity.key_type == BR_KEYTYPE_EC:
        if version < BR_TLS12:
            hash_id = br_sha1_ID
        if hash_class(hash_id) == NULL or hash_id == br_md5_ID:
            return 0
        hash_once(hash_id, params, n, digest)
        return br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), hash_class(hash_id), digest,
                                                br_skey_decoder_get_ec(&k.identity.key), sig)
    if version < BR_TLS12:
        hash_id = 0
        hash_once(br_md5_ID, params, n, digest)
        hash_once(br_sha1_ID, params, n, digest + 16)
        digest_len = 36
    else:
        if hash_class(hash_id) == NULL or hash_id == br_md5_ID:
            return 0
        digest_len = hash_once(hash_id, params, n, digest)
    rsa = br_skey_decoder_get_rsa(&k.identity.key)
    if (rsa.n_bitlen + 7) // 8 > 512:
        return 0
    if not br_rsa_pkcs1_sign_get_default()(hash_oid(hash_id), digest, digest_len, rsa, sig):
        return 0
    return (rsa.n_bitlen + 7) // 8

cdef void key_exchange(Key *k, int group, int version, int hash_id, const uint8_t *client_random,
                       const uint8_t *server_random) noexcept nogil:
    """Draw the ephemeral key, sign its point with the randoms (RFC 8422 section 5.4), forget the private key."""
    cdef br_ec_public_key pub
    cdef uint8_t params[256]
    cdef size_t sig_len
    if group_row(group) == NULL or not (k.config.groups >> group) & 1 or version_row(version) == NULL \
            or not k.config.version_min <= version <= k.config.version_max:
        key_end()
    k.group = group
    k.eng.session.version = <uint16_t>version
    memcpy(k.eng.client_random, client_random, 32)
    memcpy(k.eng.server_random, server_random, 32)
    if not br_ec_keygen(&k.rng.vtable, br_ec_get_default(), &k.ephemeral, k.ephemeral_bytes, group):
        key_end()
    k.point_len = br_ec_compute_pub(br_ec_get_default(), &pub, k.point, &k.ephemeral)
    if k.point_len != group_row(group).point_len:
        key_end()
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

cdef void key_derive(Key *k, int suite, size_t fragment_max, uint8_t *point, size_t n) noexcept nogil:
    """Shared secret, master secret, record keys; a peer's point of the wrong form or value is refused with status 1."""
    cdef const bw_group *g = group_row(k.group)
    cdef size_t x_len = 0, x_at, i
    cdef uint8_t any_bit = 0
    k.suite = suite_row(suite)
    if k.suite == NULL or fragment_max < 512 or fragment_max > PLAINTEXT_MAX or not config_has_suite(k.config, suite) \
            or (k.suite.encryption != BW_CBC and k.eng.session.version < BR_TLS12):
        key_end()
    k.fragment_max = fragment_max
    memcpy(k.peer_point, point, n if n < sizeof(k.peer_point) else sizeof(k.peer_point))
    if n != g.point_len or not br_ec_get_default().mul(point, n, k.ephemeral.x, k.ephemeral.xlen, k.group):
        key_answer(k, 1, 0)
        key_end()
    x_at = br_ec_get_default().xoff(k.group, &x_len)
    for i in range(x_len):
        any_bit |= point[x_at + i]
    if any_bit == 0:                        # a point of small order (RFC 7748 section 6.1)
        key_answer(k, 1, 0)
        key_end()
    k.eng.session.cipher_suite = <uint16_t>suite
    br_ssl_engine_compute_master(&k.eng, k.suite.prf_id, point + x_at, x_len)
    records_switch(&k.eng, k.suite, False)
    bw_test_stop("derive")
    explicit_bzero(point, n)
    explicit_bzero(k.ephemeral_bytes, sizeof(k.ephemeral_bytes))
    bw_wipe_stack()
    key_answer(k, STATUS_OK, 0)

cdef void key_finished(Key *k, const char *label, const uint8_t *digest, size_t n) noexcept nogil:
    """verify_data for one side (RFC 5246 section 7.4.9)."""
    cdef br_tls_prf_seed_chunk seed
    cdef const uint8_t *secret = k.eng.session.master_secret
    seed.data = digest
    seed.len = n
    if k.eng.session.version < BR_TLS12:
        br_tls10_prf(key_reply, 12, secret, 48, label, 1, &seed)
    elif k.suite.prf_id == br_sha384_ID:
        br_tls12_sha384_prf(key_reply, 12, secret, 48, label, 1, &seed)
    else:
        br_tls12_sha256_prf(key_reply, 12, secret, 48, label, 1, &seed)
    key_answer(k, STATUS_OK, 12)

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

cdef void key_go(Key *k, const uint8_t *addresses, size_t n) noexcept nogil:
    """Tell prog to start: the account and the facts for its environment, in the order of GoField."""
    cdef uint8_t m[2048]
    cdef char text[768]
    cdef char normal[48]
    cdef Cursor c = cursor_over(addresses, n)
    cdef Cursor field
    cdef size_t used = 2, i
    cdef int f
    used += go_field(m + used, k.account)
    for f in range(4):
        field = take_vector(&c, 1)
        if c.bad or field.left == 0 or field.left >= IP_MAX:
            key_end()
        memcpy(text, field.p, field.left)
        text[field.left] = 0
        # net may choose an address, not another text; its order is remote, local, each address before its port
        if not (port_normalize(text, normal) if f & 1 else ip_normalize(text, 0, normal)):
            key_end()
        used += go_field(m + used, normal)
    # with -n prog starts before there is anything to tell: the variables are then unset
    if k.suite == NULL:
        used += go_field(m + used, "")
        used += go_field(m + used, "")
    else:
        used += go_field(m + used, version_row(k.eng.session.version).ssl_protocol)
        used += go_field(m + used, k.suite.openssl_name)
    used += go_field(m + used, k.sni)
    text[0] = 0
    if k.peer.key_type:
        strcpy(text, "SHA256:")
        for i in range(32):
            snprintf(text + 7 + 2 * i, 3, "%02x", <unsigned int>k.peer.leaf_hash[i])
    used += go_field(m + used, text)
    text[0] = 0
    if k.peer.key_type:
        subject_text(&k.peer, text, sizeof(text))
    used += go_field(m + used, text)
    put_uint(m, <uint32_t>used, 2)
    if write(k.go, m, used) != <ssize_t>used:
        key_end()
    close(k.go)
    k.go = -1

cdef void key_operation(Key *k, const bw_op *op, uint8_t *p, size_t n) noexcept nogil:
    """Serve one operation whose size and place in the order have been checked."""
    cdef unsigned err
    cdef bint peer_wanted = k.config.anchors != NULL
    if op.op == BW_OP_ANCHORS:
        key_anchors(k)
    elif op.op == BW_OP_LOAD:
        if p[1] != n - 2:
            key_end()
        key_load(k, p[0], <const char *>p + 2, n - 2)
    elif op.op == BW_OP_EXCHANGE:
        key_exchange(k, p[0], (<int>p[1] << 8) | p[2], p[3], p + 4, p + 36)
    elif op.op == BW_OP_PEER_CHAIN:
        if not peer_wanted:
            key_end()
        err = peer_chain(&k.peer, &k.anchors, p, n)
        key_reply[0] = <uint8_t>err
        key_reply[1] = <uint8_t>k.peer.key_type
        key_answer(k, STATUS_OK if err == 0 else 1, 2)
        if err:
            key_end()
    elif op.op == BW_OP_DERIVE:
        if peer_wanted != (k.state == BW_PEER_KNOWN):
            key_end()
        key_derive(k, (<int>p[0] << 8) | p[1], (<size_t>p[2] << 8) | p[3], p + 4, n - 4)
    elif op.op == BW_OP_TRANSCRIPT:
        if not peer_wanted:
            key_end()
        transcript_feed(&k.transcript, &k.peer, p, n, k.eng.client_random, k.eng.server_random, k.point, k.point_len,
                        k.peer_point)
    elif op.op == BW_OP_PEER_VERIFY:
        if not peer_wanted:
            key_end()
        key_peer_verify(k, p, n)
    elif op.op == BW_OP_OPEN:
        key_open_one(k)
    elif op.op == BW_OP_FINISHED_CLIENT:
        if peer_wanted != (k.state == BW_PEER_VERIFIED):
            key_end()
        key_finished(k, "client finished", p, n)
    elif op.op == BW_OP_FINISHED_SERVER:
        key_finished(k, "server finished", p, n)
        explicit_bzero(k.eng.session.master_secret, 48)
        bw_wipe_stack()
    elif op.op == BW_OP_SEAL:
        key_seal(k, p[0], p + 1, n - 1)
    elif op.op == BW_OP_START:
        if not k.config.delayed or k.go < 0:
            key_end()
        key_go(k, p, n)
    elif op.op == BW_OP_RUN:
        if not k.config.delayed:
            key_go(k, p, n)
        elif k.go >= 0:
            key_end()

cdef const bw_op *key_check(Key *k, ssize_t n) noexcept nogil:
    """The table row of a message that is allowed now; anything else ends the process."""
    cdef const bw_op *op
    if n < 1:
        key_end()
    op = op_row(key_message[0])
    if op == NULL or <size_t>(n - 1) < op.request_min or <size_t>(n - 1) > op.request_max \
            or not (op.after >> k.state) & 1:
        key_end()
    return op

cdef void key_main(Config *config, int port, int go, uint8_t *ring_base, int wake_net, int wake_key, int prog_in,
                   int prog_out) noexcept nogil:
    """The key process, from its fork to its end; never returns."""
    cdef Key *k = &key_process
    cdef const bw_op *op
    cdef uint8_t seed[32]
    cdef ssize_t n
    log_state.process = "key"
    k.config = config
    k.port = port
    k.go = go
    k.state = BW_START
    k.eng.version_max = config.version_max
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if not ring_side(&k.ring, ring_base, True, wake_net) or getrandom(seed, 32, 0) != 32 or not bw_sodium_init():
        log_fatal("unable to start the key process", errno)
        key_end()
    br_hmac_drbg_init(&k.rng, &br_sha256_vtable, seed, 32)
    explicit_bzero(seed, 32)
    records_engine(&k.eng)
    transcript_start(&k.transcript)
    if not key_loop_prepare(k, wake_key, prog_in, prog_out):
        log_fatal("unable to start the key process", errno)
        key_end()
    while k.state != BW_RUNNING:
        n = port_receive(port, key_message, MESSAGE_MAX)
        op = key_check(k, n)
        key_operation(k, op, key_message + 1, <size_t>(n - 1))
        if op.then != BW_SAME:
            k.state = op.then
    key_run(k)
    key_end()
