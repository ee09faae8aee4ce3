# engineclient - the hooks of BearSSL's client: the server's certificates and signature are judged in key, key draws
# the ephemeral point or the pre-master, and signs for our own certificate.

cdef br_ssl_client_certificate_class remote_identity
cdef uint8_t peer_modulus[SERVER_KEY_MAX]       # never used: the engine wants to know how long it is

cdef unsigned client_end_chain(const br_x509_class **ctx) noexcept nogil:
    """Key's verdict; the engine learns the type, the uses and the size of the server's key."""
    cdef ssize_t n
    cdef size_t size
    if engine.peer_list_len > CERTIFICATE_MAX:
        return BR_ERR_LIMIT_EXCEEDED
    n = ask(BW_OP_SERVER_CHAIN, engine.peer_list, engine.peer_list_len)
    if n == 1 and port_reply[0] != STATUS_OK:
        return answer()[0]
    if n != 4:
        return BR_ERR_BAD_PARAM
    engine.peer_key.key_type = answer()[0]
    engine.peer_usages = answer()[1]
    size = (<size_t>answer()[2] << 8) | answer()[3]
    if engine.peer_key.key_type == BR_KEYTYPE_RSA:
        memset(peer_modulus, 255, sizeof(peer_modulus))
        engine.peer_key.key.rsa.n = peer_modulus
        engine.peer_key.key.rsa.nlen = size if size < sizeof(peer_modulus) else sizeof(peer_modulus)
    else:
        engine.peer_key.key.ec.curve = <int>size
        engine.peer_key.key.ec.q = peer_modulus
        engine.peer_key.key.ec.qlen = 0 if group_row(<int>size) == NULL else group_row(<int>size).point_len
    return 0

cdef bint server_params_good() noexcept nogil:
    """Hand key the ServerKeyExchange that the engine is looking at, with what its signature covers besides."""
    cdef uint8_t request[66 + HANDSHAKE_MAX]
    cdef ssize_t n
    put_uint(request, engine.eng.session.version, 2)
    memcpy(request + 2, engine.eng.client_random, 32)
    memcpy(request + 34, engine.eng.server_random, 32)
    memcpy(request + 66, engine.signed_body, engine.signed_len)
    n = ask(BW_OP_SERVER_PARAMS, request, 66 + engine.signed_len)
    return n >= 0 and port_reply[0] == STATUS_OK

cdef uint32_t client_ecdsa_verify(const br_ec_impl *impl, const void *digest, size_t digest_len,
                                  const br_ec_public_key *pk, const void *sig, size_t sig_len) noexcept nogil:
    return server_params_good()

cdef uint32_t client_rsa_verify(const unsigned char *x, size_t xlen, const unsigned char *oid, size_t hash_len,
                                const br_rsa_public_key *pk, unsigned char *hash_out) noexcept nogil:
    """The engine compares the hash itself, so it gets the one it has just computed."""
    cdef uint8_t signed_params[64 + 4 + 133]
    cdef size_t n = 4 + engine.eng.ecdhe_point_len
    if not server_params_good():
        return 0
    memcpy(signed_params, engine.eng.client_random, 32)
    memcpy(signed_params + 32, engine.eng.server_random, 32)
    memcpy(signed_params + 64, engine.signed_body, n)
    if oid == NULL:
        hash_once(br_md5_ID, signed_params, 64 + n, hash_out)
        hash_once(br_sha1_ID, signed_params, 64 + n, hash_out + 16)
    else:
        # what the engine is told of RSA-PSS (client_feed_params)
        hash_once(br_sha256_ID if engine.signed_body[n] == PSS_SCHEME else engine.signed_body[n], signed_params,
                  64 + n, hash_out)
    return 1

cdef ssize_t agree() noexcept nogil:
    """Have key make the secrets; what goes to the server is then in its answer. Its length, -1 after a refusal."""
    cdef br_ssl_engine_context *e = engine.eng
    cdef uint8_t request[70]
    cdef ssize_t n
    put_uint(request, e.session.cipher_suite, 2)
    put_uint(request + 2, engine.record_limit if engine.record_limit else e.max_frag_len, 2)
    put_uint(request + 4, e.session.version, 2)
    memcpy(request + 6, e.client_random, 32)
    memcpy(request + 38, e.server_random, 32)
    n = ask(BW_OP_AGREE, request, sizeof(request))
    if n >= 0 and port_reply[0] != STATUS_OK:
        engine.alert = ILLEGAL_PARAMETER
        return -1
    return n

cdef uint32_t client_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    """The shared secret is made in key, with the point that it has verified; our own point is kept for mulgen."""
    cdef ssize_t n = agree()
    if n < 0 or <size_t>n > sizeof(engine.own_point):
        return 0
    memcpy(engine.own_point, answer(), <size_t>n)
    engine.own_point_len = <size_t>n
    return 1

cdef size_t client_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    memcpy(R, engine.own_point, engine.own_point_len)
    return engine.own_point_len

cdef uint32_t client_rsa_encrypt(unsigned char *x, size_t xlen, const br_rsa_public_key *pk) noexcept nogil:
    """The pre-master that the engine drew gives way to the one that key has drawn and encrypted."""
    cdef ssize_t n = agree()
    if n < 0 or <size_t>n != xlen:
        return 0
    memcpy(x, answer(), xlen)
    return 1

# ---- our own certificate ----

cdef void identity_none(const br_ssl_client_certificate_class **pctx) noexcept nogil:
    pass

cdef void identity_name(const br_ssl_client_certificate_class **pctx, size_t n) noexcept nogil:
    pass

cdef void identity_name_bytes(const br_ssl_client_certificate_class **pctx, const unsigned char *p,
                              size_t n) noexcept nogil:
    pass

cdef int identity_hash(uint32_t hashes) noexcept nogil:
    """The hash to sign with, of those that the server takes: SHA-256 first; 0 when there is none."""
    cdef int i
    cdef const uint8_t *order = <const uint8_t *>b"\x04\x05\x06\x03\x02"
    for i in range(5):
        if (hashes >> order[i]) & 1:
            return order[i]
    return 0

cdef void identity_choose(const br_ssl_client_certificate_class **pctx, const br_ssl_client_context *cc,
                          uint32_t auth_types, br_ssl_client_certificate *choices) noexcept nogil:
    """Our one certificate, if the server takes its kind; otherwise an empty list, and the server decides."""
    cdef bint ec = engine.chain_key_type == BR_KEYTYPE_EC
    cdef uint32_t hashes = (auth_types >> 8 if ec else auth_types) & 0xff
    memset(choices, 0, sizeof(br_ssl_client_certificate))
    if engine.chain_key_type == BW_KEYTYPE_ED25519:     # of TLS 1.3 alone
        return
    # bit 0 of RSA's: MD5 and SHA-1 together, before TLS 1.2
    if identity_hash(hashes) == 0 and (ec or not hashes & 1):
        return
    choices.auth_type = BR_AUTH_ECDSA if ec else BR_AUTH_RSA
    choices.hash_id = identity_hash(hashes)
    choices.chain = engine.chain
    choices.chain_len = engine.chain_len

cdef size_t identity_sign(const br_ssl_client_certificate_class **pctx, int hash_id, size_t digest_len,
                          unsigned char *data, size_t room) noexcept nogil:
    """Key signs what it has hashed itself."""
    cdef uint8_t request = <uint8_t>hash_id
    cdef ssize_t n
    if not transcript_given():
        return 0
    n = ask(BW_OP_CLIENT_SIGN, &request, 1)
    if n < 1 or port_reply[0] != STATUS_OK or <size_t>n > room:
        engine.alert = INTERNAL_ERROR
        return 0
    memcpy(data, answer(), <size_t>n)
    return <size_t>n

cdef bint client_start(Config *config, int port) noexcept nogil:
    """Set the engine up for one handshake as a client, engine.chain being our certificates; False when it cannot be."""
    cdef br_ssl_engine_context *e = &engine.cc.eng
    engine.eng = e
    br_ssl_client_zero(&engine.cc)
    if not engine_prepare(config, port):
        return False
    br_ssl_engine_set_suites(e, config.suites, config.suites_num)
    br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION)
    engine.ec.mul = client_mul
    engine.ec.mulgen = client_mulgen
    br_ssl_engine_set_rsavrfy(e, client_rsa_verify)
    br_ssl_engine_set_ecdsa(e, client_ecdsa_verify)
    br_ssl_client_set_rsapub(&engine.cc, client_rsa_encrypt)
    remote_x509.end_chain = client_end_chain
    engine.x509 = &remote_x509
    br_ssl_engine_set_x509(e, &engine.x509)
    if engine.chain_len:
        remote_identity.start_name_list = remote_identity.end_name = remote_identity.end_name_list = identity_none
        remote_identity.start_name = identity_name
        remote_identity.append_name = identity_name_bytes
        remote_identity.choose = identity_choose
        remote_identity.do_sign = identity_sign
        engine.identity = &remote_identity
        br_ssl_client_set_client_certificate(&engine.cc, &engine.identity)
        engine.transcript = <uint8_t *>malloc(TRANSCRIPT_MAX)
        if engine.transcript == NULL:
            return False
    return br_ssl_client_reset(&engine.cc, config.client.sni, 0) == 1
