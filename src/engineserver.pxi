# engineserver - the hooks of BearSSL's server: its policy (choose, do_sign), its point, a client's certificate.

cdef br_ssl_server_policy_class remote_policy

cdef void load_failure(size_t n) noexcept nogil:
    """Log why key has no identity for this client."""
    cdef char m[2048]
    engine.alert = HANDSHAKE_FAILURE
    if port_reply[0] == LOAD_NOTHING:
        log_debug("no usable PEM certificate")
        return
    if n < 5:
        return
    port_reply[1 + n] = 0
    cdef int err = <int>((<uint32_t>port_reply[2] << 24) | (<uint32_t>port_reply[3] << 16)
                         | (<uint32_t>port_reply[4] << 8) | port_reply[5])
    if port_reply[1] == 0:
        snprintf(m, sizeof(m), "unable to obtain certificate(s) from the PEM file '%s'", <const char *>port_reply + 6)
        log_fatal(m, err)

cdef unsigned server_algorithm(uint32_t hashes) noexcept nogil:
    """What key signs with: the strongest hash that the client offers for this type of key; 0 for nothing.

    The number of a pair (hash, signature), or of a scheme of RSA-PSS, goes on the wire as it is (RFC 8446 section
    4.2.3). RSA-PSS signs for a client that has nothing but SHA-1 for PKCS#1, or nothing at all.
    """
    cdef int hash_id = br_sha512_ID
    cdef Certificate ours
    cdef const bw_scheme *row
    cdef int i
    if engine.chain_key_type == BR_KEYTYPE_EC:      # server_choose has seen that there is one
        while hash_id > br_sha1_ID and not (hashes >> (8 + hash_id)) & 1:
            hash_id -= 1
        return (<unsigned>hash_id << 8) | 3
    while hash_id > br_sha1_ID and not (hashes >> hash_id) & 1:
        hash_id -= 1
    if engine.eng.session.version < BR_TLS12 or hash_id > br_sha1_ID or not hashes & BW_PSS_BITS:
        return (<unsigned>hash_id << 8) | 1
    if certificate_parts(engine.chain[0].data, engine.chain[0].data_len, &ours):
        for i in range(BW_SCHEMES - 1, -1, -1):
            row = &bw_schemes[i]
            if row.key_type == BR_KEYTYPE_RSA and (hashes >> (16 + (row.id & 15))) & 1 \
                    and scheme_fits(row, BR_KEYTYPE_RSA, 0, modulus_size(&ours.key.key.rsa)):
                return row.id
    return 0

cdef bint server_suite(Config *config, const ClientHello *h, int suite, int version) noexcept nogil:
    """Whether a suite is ours and the client's, and one of this version."""
    cdef const bw_suite *row = suite_row(suite)
    return row != NULL and suite_fits(row, version) and config_has_suite(config, suite) \
        and lists_u16(cursor_over(h.suites, h.suites_len), <uint32_t>suite)

cdef void server_suites(Config *config, const ClientHello *h, int version) noexcept nogil:
    """What the engine may choose from: the first common suite for each type of key, in our order or the client's."""
    cdef uint16_t suites[BW_SERVER_SUITES]
    cdef const bw_suite *row
    cdef int num = 0, i, suite
    cdef uint32_t types = 0
    for i in range(config.suites_num if config.server_order else <int>(h.suites_len // 2)):
        suite = config.suites[i] if config.server_order else <int>h.suites[2 * i] << 8 | h.suites[2 * i + 1]
        row = suite_row(suite)
        # this first: a client may name one suite 30,000 times
        if row != NULL and not (types >> row.key_type) & 1 and server_suite(config, h, suite, version):
            types |= <uint32_t>1 << row.key_type
            suites[num] = <uint16_t>suite
            num += 1
    br_ssl_engine_set_suites(engine.eng, suites, num)

cdef int server_choose(const br_ssl_server_policy_class **pctx, const br_ssl_server_context *cc,
                       br_ssl_server_choices *choices) noexcept nogil:
    """Let key pick the identity, then take the suite that its key can sign (spec 6.5)."""
    cdef size_t num = 0, u
    cdef const br_suite_translated *common = br_ssl_server_get_client_suites(cc, &num)
    cdef uint32_t usable = 0
    cdef uint8_t request[259]
    cdef size_t name_len = strlen(cc.eng.server_name)
    cdef ssize_t n
    cdef const bw_suite *s
    for u in range(num):
        s = suite_row(common[u][0])
        # to the engine RSA-PSS alone, in the upper half, looks like a hash for ECDSA
        if s != NULL and (s.key_type == BR_KEYTYPE_RSA or cc.hashes & 0xFF00):
            usable |= <uint32_t>1 << s.key_type
    request[0] = <uint8_t>usable
    request[1] = 0
    request[2] = <uint8_t>name_len
    memcpy(request + 3, cc.eng.server_name, name_len)
    n = ask(BW_OP_LOAD, request, 3 + name_len)
    if n < 0:
        return 0
    if port_reply[0] != STATUS_OK or n < 2:
        load_failure(<size_t>n)
        return 0
    if not engine_chain(<size_t>n):
        return 0
    choices.chain = engine.chain
    choices.chain_len = engine.chain_len
    choices.algo_id = server_algorithm(cc.hashes)
    if choices.algo_id == 0:
        engine.alert = HANDSHAKE_FAILURE
        return 0
    for u in range(num):
        s = suite_row(common[u][0])
        if s != NULL and s.key_type == engine.chain_key_type:
            choices.cipher_suite = s.id
            return 1
    engine.alert = HANDSHAKE_FAILURE
    return 0

cdef uint32_t server_keyx(const br_ssl_server_policy_class **pctx, unsigned char *data, size_t *n) noexcept nogil:
    return 0        # no static key exchange is ever offered

cdef size_t server_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    """Our ephemeral point: only its length for now, key draws it together with the signature over it."""
    memset(R, 0, group_row(curve).point_len)
    return group_row(curve).point_len

cdef size_t server_sign(const br_ssl_server_policy_class **pctx, unsigned algo_id, unsigned char *data,
                        size_t hv_len, size_t room) noexcept nogil:
    """Have key draw its ephemeral key and sign; its point takes the place of the empty one."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef uint8_t request[68]
    cdef ssize_t n
    cdef size_t sig_len
    request[0] = e.ecdhe_curve
    put_uint(request + 1, e.session.version, 2)
    # a hash, with a bit for RSA-PSS
    request[3] = <uint8_t>(algo_id >> 8 if algo_id >> 8 != 8 else HASH_PSS | (algo_id & 7))
    memcpy(request + 4, e.client_random, 32)
    memcpy(request + 36, e.server_random, 32)
    n = ask(BW_OP_EXCHANGE, request, sizeof(request))
    if n < 3 or port_reply[0] != STATUS_OK or answer()[0] != e.ecdhe_point_len or n < 3 + e.ecdhe_point_len:
        engine.alert = INTERNAL_ERROR
        return 0
    memcpy(e.ecdhe_point, answer() + 1, e.ecdhe_point_len)
    sig_len = (<size_t>answer()[1 + e.ecdhe_point_len] << 8) | answer()[2 + e.ecdhe_point_len]
    if <size_t>n != 3 + e.ecdhe_point_len + sig_len or sig_len > room:
        engine.alert = INTERNAL_ERROR
        return 0
    memcpy(data, answer() + 3 + e.ecdhe_point_len, sig_len)
    return sig_len

cdef size_t transcript_hash(br_ssl_engine_context *e, uint8_t *out) noexcept nogil:
    """What a Finished covers (RFC 5246 section 7.4.9, RFC 4346 section 7.4.9); its size."""
    if e.session.version >= BR_TLS12:
        return br_multihash_out(&e.mhash, suite_row(e.session.cipher_suite).prf_id, out)
    return br_multihash_out(&e.mhash, br_md5_ID, out) + br_multihash_out(&e.mhash, br_sha1_ID, out + 16)

cdef uint32_t server_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    """Give key the client's point; a refusal is remembered, since BearSSL would go on with a random secret."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef uint8_t request[186]
    cdef bint at_once = engine.config.anchors == NULL       # what Finished must be comes with the keys
    cdef int op = BW_OP_DERIVE
    cdef size_t at = 4
    cdef ssize_t n
    if Glen == 0 or Glen > 133:
        engine.alert = ILLEGAL_PARAMETER
        return 0
    put_uint(request, e.session.cipher_suite, 2)
    put_uint(request + 2, e.max_frag_len, 2)
    if at_once:
        # the engine has read the whole ClientKeyExchange, and nothing follows before the client's Finished
        op = BW_OP_DERIVE_OPEN if engine.finished_given else BW_OP_DERIVE_FINISHED
        request[4] = <uint8_t>transcript_hash(e, request + 5)
        at = 5 + request[4]
    memcpy(request + at, G, Glen)
    n = ask(op, request, at + Glen)
    if n < 0:
        return 0
    if n == 0 and port_reply[0] != STATUS_OK:
        engine.alert = ILLEGAL_PARAMETER
        return 0
    if at_once and n < <ssize_t>sizeof(engine.awaited):
        engine.alert = INTERNAL_ERROR
        return 0
    if at_once:
        # a record that was refused is so when its turn comes, behind change_cipher_spec
        engine.opened = <size_t>n - sizeof(engine.awaited)
        memcpy(engine.awaited, answer() + engine.opened, sizeof(engine.awaited))
    return 1

# ---- the client's certificate ----

cdef unsigned server_end_chain(const br_x509_class **ctx) noexcept nogil:
    cdef ssize_t n
    if engine.peer_list_len > CERTIFICATE_MAX:
        return BR_ERR_LIMIT_EXCEEDED
    n = ask(BW_OP_PEER_CHAIN, engine.peer_list, engine.peer_list_len)
    if n != 2:
        return BR_ERR_BAD_PARAM
    if port_reply[0] != STATUS_OK:
        return answer()[0]
    engine.peer_key.key_type = answer()[1]
    engine.peer_usages = BR_KEYTYPE_SIGN
    return 0

cdef bint peer_verified() noexcept nogil:
    """Hand key the transcript and the CertificateVerify that the engine is looking at."""
    cdef ssize_t n
    if not transcript_given():
        return False
    n = ask(BW_OP_PEER_VERIFY, engine.signed_body, engine.signed_len)
    if n < 0:
        return False
    if port_reply[0] == 2:
        engine.alert = ACCESS_DENIED
    elif port_reply[0] != STATUS_OK and n == 1:
        engine.alert = error_row(answer()[0]).alert
    return port_reply[0] == STATUS_OK

cdef uint32_t server_rsa_verify(const unsigned char *x, size_t xlen, const unsigned char *oid, size_t hash_len,
                                const br_rsa_public_key *pk, unsigned char *hash_out) noexcept nogil:
    memcpy(hash_out, engine.sc.hash_CV, engine.sc.hash_CV_len)
    return peer_verified()

cdef uint32_t server_ecdsa_verify(const br_ec_impl *impl, const void *digest, size_t digest_len,
                                  const br_ec_public_key *pk, const void *sig, size_t sig_len) noexcept nogil:
    return peer_verified()

cdef uint32_t above_tls12(Config *config) noexcept nogil:
    """The flag for what the engine cannot know when it marks a downgrade (RFC 8446 section 4.1.3)."""
    cdef uint16_t suites[3]
    if config.version_max >= TLS13 and suites13_of(config.suites, config.suites_num, suites) > 0:
        return BW_ABOVE_TLS12
    return 0

cdef void server_protocols(Config *config) noexcept nogil:
    """ALPN for the engine, whose names are C strings; a client that knows none of them is refused."""
    cdef Cursor list = cursor_over(config.protocols, config.protocols_len)
    cdef Cursor name
    cdef char *p = engine.protocol_text
    cdef size_t num = 0
    while list.left and num < PROTOCOLS_MAX:
        name = take_vector(&list, 1)
        memcpy(p, name.p, name.left)
        p[name.left] = 0
        engine.protocol_names[num] = p
        p += name.left + 1
        num += 1
    if num:
        br_ssl_engine_set_protocol_names(engine.eng, engine.protocol_names, num)
        br_ssl_engine_add_flags(engine.eng, BR_OPT_FAIL_ON_ALPN_MISMATCH)

cdef uint8_t server_protocol() noexcept nogil:
    """Which of ours the engine has chosen and one, 0 for none."""
    cdef const char *chosen = br_ssl_engine_get_selected_protocol(engine.eng)
    cdef int i
    for i in range(PROTOCOLS_MAX if chosen != NULL else 0):
        if engine.protocol_names[i] != NULL and strcmp(engine.protocol_names[i], chosen) == 0:
            return <uint8_t>(i + 1)
    return 0

cdef bint server_start(Config *config, int port, Anchors *anchors) noexcept nogil:
    """Set the engine up for one handshake as a server; False when it cannot be."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef int i
    engine.eng = e
    br_ssl_server_zero(&engine.sc)
    if not engine_prepare(config, port):
        return False
    server_protocols(config)
    # the engine's own client order refuses a list with duplicates, so server_choose does that order itself
    br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION | BR_OPT_ENFORCE_SERVER_PREFERENCES | above_tls12(config))
    engine.ec.mul = server_mul
    engine.ec.mulgen = server_mulgen
    remote_policy.choose = server_choose
    remote_policy.do_keyx = server_keyx
    remote_policy.do_sign = server_sign
    engine.policy = &remote_policy
    br_ssl_server_set_policy(&engine.sc, &engine.policy)
    if anchors.num:
        for i in range(anchors.num):
            engine.anchor_names[i] = anchors.list[i].dn
        br_ssl_server_set_trust_anchor_names(&engine.sc, engine.anchor_names, anchors.num)
        remote_x509.end_chain = server_end_chain
        engine.x509 = &remote_x509
        br_ssl_engine_set_x509(e, &engine.x509)
        br_ssl_engine_set_rsavrfy(e, server_rsa_verify)
        br_ssl_engine_set_ecdsa(e, server_ecdsa_verify)
        engine.transcript = <uint8_t *>malloc(TRANSCRIPT_MAX)
        if engine.transcript == NULL:
            return False
    return br_ssl_server_reset(&engine.sc) == 1
