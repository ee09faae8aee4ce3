# engine - BearSSL's handshake in net, with every secret replaced by a call of the key port: what both roles share.
#
# The hooks are the ones BearSSL offers: br_ec_impl (mul, mulgen), the three PRFs, the X.509 engine, the record classes,
# and those of each role (engineserver.pxi, engineclient.pxi). The engine sees whole, checked handshake messages in
# clear and believes that its records are protected: the record classes here are the identity and mark what must be
# sealed. A process serves one connection, so the hooks find their state in one static struct.

# What every handshake of a server uses lies together: each page that is written costs a fault.
cdef struct Engine:
    br_ssl_engine_context *eng      # of the one of these that runs
    const br_ssl_server_policy_class *policy
    const br_ssl_client_certificate_class *identity
    const br_x509_class *x509
    br_x509_pkey peer_key           # its type and size only: the key itself stays in key
    unsigned peer_usages
    br_ec_impl ec
    int port
    Config *config
    br_x509_certificate chain[CHAIN_MAX]
    size_t chain_len
    int chain_key_type
    size_t peer_list_len
    const uint8_t *signed_body      # the CertificateVerify or ServerKeyExchange now given to the engine
    size_t signed_len
    uint8_t own_point[133]          # client: key's ephemeral public point
    size_t own_point_len
    uint32_t record_limit           # client: the server's record_size_limit, 0 without
    uint8_t *transcript
    size_t transcript_len
    bint out_marked                 # the record being made goes out sealed
    bint in_switched                # the peer's change_cipher_spec has been read
    bint out_switched
    bint finished_given             # the record of the client's Finished lies in the ring, to be opened with the keys
    size_t opened                   # so much of the reply to that is what `open` would have answered
    uint8_t awaited[12]             # verify data of the client's Finished, which came with the keys
    uint8_t finished_hash[48]       # what our own Finished covers, a server's
    size_t finished_hash_len
    int alert                       # what the failure of a hook asks for, NO_ALERT when the engine decides
    bint key_gone
    br_ssl_server_context sc
    # the handshake's large rooms: nothing is needed of them once it is over
    uint8_t chain_text[CHAIN_BYTES_MAX]     # our certificates, as key gave them
    uint8_t peer_list[CERTIFICATE_MAX]      # the peer's certificate_list
    uint8_t ibuf[16709]             # 16384 + BearSSL's largest input overhead
    uint8_t obuf[16469]             # 16384 + its largest output overhead
    br_ssl_client_context cc
    br_x500_name anchor_names[ANCHORS_MAX]
    char protocol_text[PROTOCOLS_MAX * 256]
    const char *protocol_names[PROTOCOLS_MAX]

cdef Engine engine
cdef br_x509_class remote_x509
cdef br_sslrec_in_cbc_class remote_cbc_in
cdef br_sslrec_out_cbc_class remote_cbc_out
cdef br_sslrec_in_gcm_class remote_gcm_in
cdef br_sslrec_out_gcm_class remote_gcm_out
cdef br_sslrec_in_ccm_class remote_ccm_in
cdef br_sslrec_out_ccm_class remote_ccm_out
cdef br_sslrec_in_chapol_class remote_chapol_in
cdef br_sslrec_out_chapol_class remote_chapol_out
cdef extern from *:
    """
    static uint8_t port_reply[131072] BW_PAGES;
    """
    uint8_t port_reply[MESSAGE_MAX]

cdef ssize_t ask(int op, const uint8_t *request, size_t n) noexcept nogil:
    """One operation of the key port: length of the payload behind the status, or -1 with key_gone set."""
    cdef ssize_t r = port_send(engine.port, op, request, n)
    if r == 0:
        r = port_receive(engine.port, port_reply, MESSAGE_MAX)
    if r < 1:
        engine.key_gone = True
        engine.alert = INTERNAL_ERROR
        return -1
    return r - 1

cdef const uint8_t *answer() noexcept nogil:
    return port_reply + 1

cdef void engine_prf(void *dst, size_t n, const void *secret, size_t secret_len, const char *label, size_t seed_num,
                     const br_tls_prf_seed_chunk *seed) noexcept nogil:
    """Only the Finished values are key's; net has no use for any other output and gets zeros."""
    cdef ssize_t r
    cdef int op
    memset(dst, 0, n)
    if strcmp(label, "client finished") != 0 and strcmp(label, "server finished") != 0:
        return
    if seed_num != 1 or n != 12 or engine.alert != NO_ALERT:
        return
    if engine.config.client != NULL:
        op = BW_OP_SEND_FINISHED if label[0] == c'c' else BW_OP_AWAIT_FINISHED
    elif label[0] == c's':
        # key makes the whole message, see server_run; what the engine makes of zeros goes nowhere
        engine.finished_hash_len = seed.len
        memcpy(engine.finished_hash, seed.data, seed.len)
        return
    elif engine.config.anchors == NULL:
        memcpy(dst, engine.awaited, 12)
        return
    else:
        op = BW_OP_FINISHED_CLIENT
    r = ask(op, <const uint8_t *>seed.data, seed.len)
    if r != 12 or port_reply[0] != STATUS_OK:
        engine.alert = INTERNAL_ERROR
        return
    memcpy(dst, answer(), 12)

# ---- the peer's certificates: bytes are collected here and judged in key ----

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

cdef const br_x509_pkey *x509_pkey(const br_x509_class *const *ctx, unsigned *usages) noexcept nogil:
    if usages != NULL:
        usages[0] = engine.peer_usages
    return &engine.peer_key

cdef bint transcript_given() noexcept nogil:
    """Hand key the handshake's messages so far, for a client's signature."""
    cdef size_t at = 0, k
    while at < engine.transcript_len:
        k = engine.transcript_len - at
        k = k if k < CERTIFICATE_MAX else CERTIFICATE_MAX
        if port_send(engine.port, BW_OP_TRANSCRIPT, engine.transcript + at, k) < 0:
            return False
        at += k
    return True

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

cdef void ccm_in(const br_sslrec_in_ccm_class **ctx, const br_block_ctrcbc_class *a, const void *b, size_t c,
                 const void *d, size_t e) noexcept nogil:
    ctx[0] = &remote_ccm_in
    engine.in_switched = True

cdef void ccm_out(const br_sslrec_out_ccm_class **ctx, const br_block_ctrcbc_class *a, const void *b, size_t c,
                  const void *d, size_t e) noexcept nogil:
    ctx[0] = &remote_ccm_out
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
    """Fill the constant tables of the hooks that both roles share."""
    remote_x509.start_chain = x509_start_chain
    remote_x509.start_cert = x509_start_cert
    remote_x509.append = x509_append
    remote_x509.end_cert = x509_end_cert
    remote_x509.get_pkey = x509_pkey
    remote_cbc_in.inner.check_length = remote_gcm_in.inner.check_length = in_check
    remote_ccm_in.inner.check_length = remote_chapol_in.inner.check_length = in_check
    remote_cbc_in.inner.decrypt = remote_gcm_in.inner.decrypt = in_open
    remote_ccm_in.inner.decrypt = remote_chapol_in.inner.decrypt = in_open
    remote_cbc_out.inner.max_plaintext = remote_gcm_out.inner.max_plaintext = out_room
    remote_ccm_out.inner.max_plaintext = remote_chapol_out.inner.max_plaintext = out_room
    remote_cbc_out.inner.encrypt = remote_gcm_out.inner.encrypt = out_mark
    remote_ccm_out.inner.encrypt = remote_chapol_out.inner.encrypt = out_mark
    remote_cbc_in.init = cbc_in
    remote_cbc_out.init = cbc_out
    remote_gcm_in.init = gcm_in
    remote_gcm_out.init = gcm_out
    remote_ccm_in.init = ccm_in
    remote_ccm_out.init = ccm_out
    remote_chapol_in.init = chapol_in
    remote_chapol_out.init = chapol_out

cdef bint hash_used(Config *config, int hash_id) noexcept nogil:
    """Whether a suite has it in its PRF or MAC, or TLS before 1.2 in its PRF."""
    cdef const bw_suite *s
    cdef int i
    if config.version_min < BR_TLS12 and (hash_id == br_md5_ID or hash_id == br_sha1_ID):
        return True
    for i in range(config.suites_num):
        s = suite_row(config.suites[i])
        if s != NULL and (s.prf_id == hash_id or s.mac_id == hash_id):
            return True
    return False

cdef bint engine_prepare(Config *config, int port) noexcept nogil:
    """What both roles set up, engine.eng being the role's; False when there is no randomness."""
    cdef br_ssl_engine_context *e = engine.eng
    cdef uint8_t seed[32]
    cdef int i
    engine.config = config
    engine.port = port
    engine.alert = NO_ALERT
    engine_classes()
    # TLS 1.3 is ours, not the engine's
    br_ssl_engine_set_versions(e, config.version_min if config.version_min < TLS13 else BR_TLS12,
                              config.version_max if config.version_max < TLS13 else BR_TLS12)
    for i in range(br_md5_ID, br_sha512_ID + 1):
        # each that is set is run over every message; hs_server.c knows the others that a server signs with
        if not BW_VENDORED or config.client != NULL or config.anchors != NULL or hash_used(config, i):
            br_ssl_engine_set_hash(e, i, hash_class(i))
    br_ssl_engine_set_prf10(e, engine_prf)
    br_ssl_engine_set_prf_sha256(e, engine_prf)
    br_ssl_engine_set_prf_sha384(e, engine_prf)
    # TLS 1.0 asks them for their block size; they never run, so the plainest will do (see records_engine on CPUID)
    br_ssl_engine_set_aes_cbc(e, &br_aes_ct64_cbcenc_vtable, &br_aes_ct64_cbcdec_vtable)
    br_ssl_engine_set_default_des_cbc(e)
    br_ssl_engine_set_cbc(e, &remote_cbc_in, &remote_cbc_out)
    br_ssl_engine_set_gcm(e, &remote_gcm_in, &remote_gcm_out)
    br_ssl_engine_set_ccm(e, &remote_ccm_in, &remote_ccm_out)
    br_ssl_engine_set_chapol(e, &remote_chapol_in, &remote_chapol_out)
    engine.ec = br_ec_get_default()[0]
    engine.ec.supported_curves = config.groups
    br_ssl_engine_set_ec(e, &engine.ec)
    br_ssl_engine_set_buffers_bidi(e, engine.ibuf, sizeof(engine.ibuf), engine.obuf, sizeof(engine.obuf))
    # the seeder would open /dev/urandom in the jail; this DRBG makes the public random only, no secret
    if getrandom(seed, 32, 0) != 32:
        return False
    br_ssl_engine_inject_entropy(e, seed, 32)
    e.rng_os_rand_done = 1
    return True

cdef void engine_note(const uint8_t *message, size_t n) noexcept nogil:
    """Keep a handshake message for key's own look at the transcript (only for a client certificate)."""
    if engine.transcript == NULL:
        return
    if engine.transcript_len + n <= TRANSCRIPT_MAX:
        memcpy(engine.transcript + engine.transcript_len, message, n)
        engine.transcript_len += n
    else:
        engine.alert = INTERNAL_ERROR

cdef bint engine_chain(size_t n) noexcept nogil:
    """Keep the chain in key's answer (key type, number, certificates) for the Certificate message."""
    cdef Cursor c, cert
    cdef size_t i
    if n < 2 or n > sizeof(engine.chain_text) or answer()[1] == 0 or answer()[1] > CHAIN_MAX:
        engine.alert = INTERNAL_ERROR
        return False
    memcpy(engine.chain_text, answer(), n)
    engine.chain_key_type = engine.chain_text[0]
    engine.chain_len = engine.chain_text[1]
    c = cursor_over(engine.chain_text + 2, n - 2)
    for i in range(engine.chain_len):
        cert = take_vector(&c, 3)
        engine.chain[i].data = <unsigned char *>cert.p
        engine.chain[i].data_len = cert.left
    return True

cdef void engine_feed(int kind, int version, const uint8_t *data, size_t n) noexcept nogil:
    """Give the engine one checked message as records of its own making; version: what it must carry, 0 for the last."""
    cdef br_ssl_engine_context *e = engine.eng
    cdef uint8_t header[5]
    cdef unsigned char *buf
    cdef size_t room = 0, part, at, k
    if version == 0:
        version = e.version_in if e.version_in else BR_TLS10
    while n:
        part = n if n < PLAINTEXT_MAX else PLAINTEXT_MAX
        header[0] = <uint8_t>kind
        put_uint(header + 1, version, 2)
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
