# engine - BearSSL's server handshake in net, with every secret replaced by a call of the key port.
#
# The hooks are the ones BearSSL offers: server policy (choose, do_sign), br_ec_impl (mul, mulgen), the three PRFs,
# the X.509 engine and the record classes. The engine sees whole, checked handshake messages in clear and believes
# that its records are protected: the record classes here are the identity and mark what must be sealed.
# A process serves one connection, so the hooks find their state in one static struct.

cdef struct Engine:
    br_ssl_server_context sc
    const br_ssl_server_policy_class *policy
    const br_x509_class *x509
    br_x509_pkey peer_key           # key type only: the key itself stays in key
    br_ec_impl ec
    int port
    Config *config
    uint8_t ibuf[16709]             # 16384 + BearSSL's largest input overhead
    uint8_t obuf[16469]             # 16384 + its largest output overhead
    br_x500_name anchor_names[16]
    br_x509_certificate chain[16]
    uint8_t *chain_der
    uint8_t peer_list[65536]        # the client's certificate_list
    size_t peer_list_len
    const uint8_t *verify_body      # the CertificateVerify now given to the engine
    size_t verify_len
    uint8_t *transcript
    size_t transcript_len
    const uint8_t *offered          # the client's suites, for its order (-S)
    size_t offered_len
    bint out_marked                 # the record being made goes out sealed
    bint in_switched                # the client's change_cipher_spec has been read
    bint out_switched
    int alert                       # what the failure of a hook asks for, NO_ALERT when the engine decides
    bint key_gone

cdef Engine engine
cdef br_ssl_server_policy_class remote_policy
cdef br_x509_class remote_x509
cdef br_sslrec_in_cbc_class remote_cbc_in
cdef br_sslrec_out_cbc_class remote_cbc_out
cdef br_sslrec_in_gcm_class remote_gcm_in
cdef br_sslrec_out_gcm_class remote_gcm_out
cdef br_sslrec_in_chapol_class remote_chapol_in
cdef br_sslrec_out_chapol_class remote_chapol_out
cdef uint8_t port_reply[MESSAGE_MAX]

cdef ssize_t ask(int op, const uint8_t *request, size_t n) noexcept nogil:
    """One operation of the key port: length of the payload behind the status, or -1 with key_gone set."""
    cdef ssize_t r
    port_send(engine.port, op, request, n)
    r = port_receive(engine.port, port_reply, MESSAGE_MAX)
    if r < 1:
        engine.key_gone = True
        engine.alert = INTERNAL_ERROR
        return -1
    return r - 1

cdef const uint8_t *answer() noexcept nogil:
    return port_reply + 1

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

cdef int engine_choose(const br_ssl_server_policy_class **pctx, const br_ssl_server_context *cc,
                       br_ssl_server_choices *choices) noexcept nogil:
    """Let key pick the identity, then take the first common suite that its key can sign (spec 6.5)."""
    cdef size_t num = 0, u, i
    cdef const br_suite_translated *common = br_ssl_server_get_client_suites(cc, &num)
    cdef uint32_t usable = 0, hashes
    cdef uint8_t request[258]
    cdef size_t name_len = strlen(cc.eng.server_name)
    cdef ssize_t n
    cdef const bw_suite *s
    cdef Cursor c, cert
    cdef int key_type, hash_id
    for u in range(num):
        s = suite_row(common[u][0])
        if s != NULL:
            usable |= <uint32_t>1 << s.key_type
    request[0] = <uint8_t>usable
    request[1] = <uint8_t>name_len
    memcpy(request + 2, cc.eng.server_name, name_len)
    n = ask(BW_OP_LOAD, request, 2 + name_len)
    if n < 0:
        return 0
    if port_reply[0] != STATUS_OK or n < 2:
        load_failure(<size_t>n)
        return 0
    key_type = answer()[0]
    engine.chain_der = <uint8_t *>malloc(<size_t>n)
    if engine.chain_der == NULL or answer()[1] == 0 or answer()[1] > CHAIN_MAX:
        engine.alert = INTERNAL_ERROR
        return 0
    memcpy(engine.chain_der, answer(), <size_t>n)
    c = cursor_over(engine.chain_der + 2, <size_t>n - 2)
    for i in range(engine.chain_der[1]):
        cert = take_vector(&c, 3)
        engine.chain[i].data = <unsigned char *>cert.p
        engine.chain[i].data_len = cert.left
    choices.chain = engine.chain
    choices.chain_len = engine.chain_der[1]
    # the strongest hash the client offers with this key type; the number of a pair (hash, signature) goes on the wire
    hashes = (cc.hashes >> 8) if key_type == BR_KEYTYPE_EC else cc.hashes
    hash_id = br_sha512_ID
    while hash_id > br_md5_ID and not (hashes >> hash_id) & 1:
        hash_id -= 1
    choices.algo_id = (<unsigned>hash_id << 8) | (3 if key_type == BR_KEYTYPE_EC else 1)
    if engine.config.server_order:
        for u in range(num):
            s = suite_row(common[u][0])
            if s != NULL and s.key_type == key_type:
                choices.cipher_suite = s.id
                return 1
    else:
        for i in range(0, engine.offered_len, 2):
            for u in range(num):
                s = suite_row(common[u][0])
                if s != NULL and s.key_type == key_type \
                        and s.id == (engine.offered[i] << 8 | engine.offered[i + 1]):
                    choices.cipher_suite = s.id
                    return 1
    engine.alert = HANDSHAKE_FAILURE
    return 0

cdef uint32_t engine_keyx(const br_ssl_server_policy_class **pctx, unsigned char *data, size_t *n) noexcept nogil:
    return 0        # no static key exchange is ever offered

cdef size_t engine_mulgen(unsigned char *R, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    """Our ephemeral point: only its length for now, key draws it together with the signature over it."""
    memset(R, 0, group_row(curve).point_len)
    return group_row(curve).point_len

cdef size_t engine_sign(const br_ssl_server_policy_class **pctx, unsigned algo_id, unsigned char *data,
                        size_t hv_len, size_t room) noexcept nogil:
    """Have key draw its ephemeral key and sign; its point takes the place of the empty one."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef uint8_t request[68]
    cdef ssize_t n
    cdef size_t sig_len
    request[0] = e.ecdhe_curve
    put_uint(request + 1, e.session.version, 2)
    request[3] = <uint8_t>(algo_id >> 8)
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

cdef uint32_t engine_mul(unsigned char *G, size_t Glen, const unsigned char *x, size_t xlen, int curve) noexcept nogil:
    """Give key the client's point; a refusal is remembered, since BearSSL would go on with a random secret."""
    cdef uint8_t request[137]
    cdef ssize_t n
    if Glen == 0 or Glen > 133:
        engine.alert = ILLEGAL_PARAMETER
        return 0
    put_uint(request, engine.sc.eng.session.cipher_suite, 2)
    put_uint(request + 2, engine.sc.eng.max_frag_len, 2)
    memcpy(request + 4, G, Glen)
    n = ask(BW_OP_DERIVE, request, 4 + Glen)
    if n < 0:
        return 0
    if port_reply[0] != STATUS_OK:
        engine.alert = ILLEGAL_PARAMETER
        return 0
    return 1

cdef void engine_prf(void *dst, size_t n, const void *secret, size_t secret_len, const char *label, size_t seed_num,
                     const br_tls_prf_seed_chunk *seed) noexcept nogil:
    """Only the two Finished values are asked of key; net has no use for any other output and gets zeros."""
    cdef ssize_t r
    memset(dst, 0, n)
    if strcmp(label, "client finished") != 0 and strcmp(label, "server finished") != 0:
        return
    if seed_num != 1 or n != 12 or engine.alert != NO_ALERT:
        return
    r = ask(BW_OP_FINISHED_CLIENT if label[0] == c'c' else BW_OP_FINISHED_SERVER, <const uint8_t *>seed.data, seed.len)
    if r != 12 or port_reply[0] != STATUS_OK:
        engine.alert = INTERNAL_ERROR
        return
    memcpy(dst, answer(), 12)

# ---- the client's certificate: bytes are collected here and judged in key ----

cdef void x509_start_chain(const br_x509_class **ctx, const char *name) noexcept nogil:
    engine.peer_list_len = 0
    engine.peer_key.key_type = 0

cdef void x509_start_cert(const br_x509_class **ctx, uint32_t length) noexcept nogil:
    if engine.peer_list_len + 3 <= CERTIFICATE_MAX:
        put_uint(engine.peer_list + engine.peer_list_len, length, 3)
    engine.peer_list_len += 3

cdef void x509_append(const br_x509_class **ctx, const unsigned char *buf, size_t n) noexcept nogil:
    if engine.peer_list_len + n <= CERTIFICATE_MAX:
        memcpy(engine.peer_list + engine.peer_list_len, buf, n)
    engine.peer_list_len += n

cdef void x509_end_cert(const br_x509_class **ctx) noexcept nogil:
    pass

cdef unsigned x509_end_chain(const br_x509_class **ctx) noexcept nogil:
    cdef ssize_t n
    if engine.peer_list_len > CERTIFICATE_MAX:
        return BR_ERR_LIMIT_EXCEEDED
    n = ask(BW_OP_PEER_CHAIN, engine.peer_list, engine.peer_list_len)
    if n != 2:
        return BR_ERR_BAD_PARAM
    if port_reply[0] != STATUS_OK:
        return answer()[0]
    engine.peer_key.key_type = answer()[1]
    return 0

cdef const br_x509_pkey *x509_pkey(const br_x509_class *const *ctx, unsigned *usages) noexcept nogil:
    if usages != NULL:
        usages[0] = BR_KEYTYPE_SIGN
    return &engine.peer_key

cdef bint peer_verified() noexcept nogil:
    """Hand key the transcript and the CertificateVerify that the engine is looking at."""
    cdef size_t at = 0, k
    cdef ssize_t n
    while at < engine.transcript_len:
        k = engine.transcript_len - at
        k = k if k < 65536 else 65536
        port_send(engine.port, BW_OP_TRANSCRIPT, engine.transcript + at, k)
        at += k
    n = ask(BW_OP_PEER_VERIFY, engine.verify_body, engine.verify_len)
    if n < 0:
        return False
    if port_reply[0] == 2:
        engine.alert = ACCESS_DENIED
    elif port_reply[0] != STATUS_OK and n == 1:
        engine.alert = error_row(answer()[0]).alert
    return port_reply[0] == STATUS_OK

cdef uint32_t engine_rsa_verify(const unsigned char *x, size_t xlen, const unsigned char *oid, size_t hash_len,
                                const br_rsa_public_key *pk, unsigned char *hash_out) noexcept nogil:
    memcpy(hash_out, engine.sc.hash_CV, engine.sc.hash_CV_len)
    return peer_verified()

cdef uint32_t engine_ecdsa_verify(const br_ec_impl *impl, const void *digest, size_t digest_len,
                                  const br_ec_public_key *pk, const void *sig, size_t sig_len) noexcept nogil:
    return peer_verified()

# ---- records: identity, with marks ----

cdef int in_check(const br_sslrec_in_class *const *ctx, size_t n) noexcept nogil:
    return 1

cdef unsigned char *in_open(const br_sslrec_in_class **ctx, int kind, unsigned version, void *payload,
                            size_t *n) noexcept nogil:
    return <unsigned char *>payload

cdef void out_room(const br_sslrec_out_class *const *ctx, size_t *start, size_t *end) noexcept nogil:
    if end[0] - start[0] > PLAINTEXT_MAX:
        end[0] = start[0] + PLAINTEXT_MAX

cdef unsigned char *out_mark(const br_sslrec_out_class **ctx, int kind, unsigned version, void *plaintext,
                             size_t *n) noexcept nogil:
    cdef unsigned char *p = <unsigned char *>plaintext - RECORD_HEADER
    p[0] = <unsigned char>kind
    put_uint(p + 1, version, 2)
    put_uint(p + 3, <uint32_t>n[0], 2)
    n[0] += RECORD_HEADER
    engine.out_marked = True
    return p

cdef void cbc_in(const br_sslrec_in_cbc_class **ctx, const br_block_cbcdec_class *a, const void *b, size_t c,
                 const br_hash_class *d, const void *e, size_t f, size_t g, const void *h) noexcept nogil:
    ctx[0] = &remote_cbc_in
    engine.in_switched = True

cdef void cbc_out(const br_sslrec_out_cbc_class **ctx, const br_block_cbcenc_class *a, const void *b, size_t c,
                  const br_hash_class *d, const void *e, size_t f, size_t g, const void *h) noexcept nogil:
    ctx[0] = &remote_cbc_out
    engine.out_switched = True

cdef void gcm_in(const br_sslrec_in_gcm_class **ctx, const br_block_ctr_class *a, const void *b, size_t c,
                 br_ghash d, const void *e) noexcept nogil:
    ctx[0] = &remote_gcm_in
    engine.in_switched = True

cdef void gcm_out(const br_sslrec_out_gcm_class **ctx, const br_block_ctr_class *a, const void *b, size_t c,
                  br_ghash d, const void *e) noexcept nogil:
    ctx[0] = &remote_gcm_out
    engine.out_switched = True

cdef void chapol_in(const br_sslrec_in_chapol_class **ctx, br_chacha20_run a, br_poly1305_run b, const void *c,
                    const void *d) noexcept nogil:
    ctx[0] = &remote_chapol_in
    engine.in_switched = True

cdef void chapol_out(const br_sslrec_out_chapol_class **ctx, br_chacha20_run a, br_poly1305_run b, const void *c,
                     const void *d) noexcept nogil:
    ctx[0] = &remote_chapol_out
    engine.out_switched = True

cdef void engine_classes() noexcept nogil:
    """Fill the constant tables of hooks."""
    remote_policy.choose = engine_choose
    remote_policy.do_keyx = engine_keyx
    remote_policy.do_sign = engine_sign
    remote_x509.start_chain = x509_start_chain
    remote_x509.start_cert = x509_start_cert
    remote_x509.append = x509_append
    remote_x509.end_cert = x509_end_cert
    remote_x509.end_chain = x509_end_chain
    remote_x509.get_pkey = x509_pkey
    remote_cbc_in.inner.check_length = remote_gcm_in.inner.check_length = remote_chapol_in.inner.check_length = in_check
    remote_cbc_in.inner.decrypt = remote_gcm_in.inner.decrypt = remote_chapol_in.inner.decrypt = in_open
    remote_cbc_out.inner.max_plaintext = out_room
    remote_gcm_out.inner.max_plaintext = out_room
    remote_chapol_out.inner.max_plaintext = out_room
    remote_cbc_out.inner.encrypt = remote_gcm_out.inner.encrypt = remote_chapol_out.inner.encrypt = out_mark
    remote_cbc_in.init = cbc_in
    remote_cbc_out.init = cbc_out
    remote_gcm_in.init = gcm_in
    remote_gcm_out.init = gcm_out
    remote_chapol_in.init = chapol_in
    remote_chapol_out.init = chapol_out

cdef bint engine_start(Config *config, int port, Anchors *anchors) noexcept nogil:
    """Set the engine up for one handshake; False when it cannot be (no randomness)."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef uint8_t seed[32]
    cdef int i
    engine.config = config
    engine.port = port
    engine.alert = NO_ALERT
    engine_classes()
    br_ssl_server_zero(&engine.sc)
    br_ssl_engine_set_versions(e, config.version_min, config.version_max)
    br_ssl_engine_set_suites(e, config.suites, config.suites_num)
    # the engine's own client order refuses a list with duplicates, so engine_choose does that order itself
    br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION | BR_OPT_ENFORCE_SERVER_PREFERENCES)
    for i in range(br_md5_ID, br_sha512_ID + 1):
        br_ssl_engine_set_hash(e, i, hash_class(i))
    br_ssl_engine_set_prf10(e, engine_prf)
    br_ssl_engine_set_prf_sha256(e, engine_prf)
    br_ssl_engine_set_prf_sha384(e, engine_prf)
    br_ssl_engine_set_default_aes_cbc(e)        # TLS 1.0 asks it for its block size
    br_ssl_engine_set_cbc(e, &remote_cbc_in, &remote_cbc_out)
    br_ssl_engine_set_gcm(e, &remote_gcm_in, &remote_gcm_out)
    br_ssl_engine_set_chapol(e, &remote_chapol_in, &remote_chapol_out)
    engine.ec = br_ec_get_default()[0]
    engine.ec.supported_curves = config.groups
    engine.ec.mul = engine_mul
    engine.ec.mulgen = engine_mulgen
    br_ssl_engine_set_ec(e, &engine.ec)
    engine.policy = &remote_policy
    br_ssl_server_set_policy(&engine.sc, &engine.policy)
    if anchors.num:
        for i in range(anchors.num):
            engine.anchor_names[i] = anchors.list[i].dn
        br_ssl_server_set_trust_anchor_names(&engine.sc, engine.anchor_names, anchors.num)
        engine.x509 = &remote_x509
        br_ssl_engine_set_x509(e, &engine.x509)
        br_ssl_engine_set_rsavrfy(e, engine_rsa_verify)
        br_ssl_engine_set_ecdsa(e, engine_ecdsa_verify)
        engine.transcript = <uint8_t *>malloc(TRANSCRIPT_MAX)
        if engine.transcript == NULL:
            return False
    br_ssl_engine_set_buffers_bidi(e, engine.ibuf, sizeof(engine.ibuf), engine.obuf, sizeof(engine.obuf))
    # the seeder would open /dev/urandom in the jail; this DRBG makes the server random only, no secret
    if getrandom(seed, 32, 0) != 32:
        return False
    br_ssl_engine_inject_entropy(e, seed, 32)
    e.rng_os_rand_done = 1
    return br_ssl_server_reset(&engine.sc) == 1

cdef void engine_note(const uint8_t *message, size_t n) noexcept nogil:
    """Keep a handshake message for key's own look at the transcript (only with -a)."""
    if engine.transcript == NULL:
        return
    if engine.transcript_len + n <= TRANSCRIPT_MAX:
        memcpy(engine.transcript + engine.transcript_len, message, n)
        engine.transcript_len += n
    else:
        engine.alert = INTERNAL_ERROR

cdef void engine_feed(int kind, const uint8_t *data, size_t n) noexcept nogil:
    """Give the engine one checked message as records of its own making."""
    cdef br_ssl_engine_context *e = &engine.sc.eng
    cdef uint8_t header[5]
    cdef unsigned char *buf
    cdef size_t room = 0, part, at, k
    while n:
        part = n if n < PLAINTEXT_MAX else PLAINTEXT_MAX
        header[0] = <uint8_t>kind
        put_uint(header + 1, e.version_in if e.version_in else 0x0301, 2)
        put_uint(header + 3, <uint32_t>part, 2)
        at = 0
        while at < RECORD_HEADER + part:
            buf = br_ssl_engine_recvrec_buf(e, &room)
            if buf == NULL:
                return              # failed, or it has something to say first: the caller looks at its output
            if at < RECORD_HEADER:
                k = RECORD_HEADER - at if room > RECORD_HEADER - at else room
                memcpy(buf, header + at, k)
            else:
                k = RECORD_HEADER + part - at if room > RECORD_HEADER + part - at else room
                memcpy(buf, data + at - RECORD_HEADER, k)
            at += k
            br_ssl_engine_recvrec_ack(e, k)
        data += part
        n -= part
