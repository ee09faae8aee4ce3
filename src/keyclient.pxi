# keyclient - key's part in a client's handshake: anchors and identity, the server's certificates and signature, the
# secrets, and the signature for our own certificate.

cdef extern from "keylog.h" nogil:
    void bw_keylog_open()       # these are nothing but in the tests' programs
    void bw_keylog_master(const uint8_t *client_random, const uint8_t *secret)
    void bw_keylog_handshake(const uint8_t *client_random, const uint8_t *client, const uint8_t *server, size_t n)
    void bw_keylog_application(const uint8_t *client_random, const uint8_t *client, const uint8_t *server, size_t n)

cdef struct ClientFile:
    const char *path
    int err
    uint8_t *text
    size_t len

cdef void trust_refuse(Key *k, int code, const char *what, const char *path, int err) noexcept nogil:
    """Log what is wrong with a file and give net the exit code; never returns."""
    cdef char m[3000]
    snprintf(m, sizeof(m), "%s %.1400s", what, path)
    log_fatal(m, err)
    key_reply[0] = <uint8_t>code
    key_answer(k, 1, 1)
    key_end()

cdef void trust_refuse_bad(Key *k, const char *what, const char *path, int error) noexcept nogil:
    """The same for content that BearSSL does not take: its words and its error's name follow."""
    cdef char m[2048]
    snprintf(m, sizeof(m), "%s %.1400s: %s (%s)", what, path, error_row(error).text, error_row(error).symbol)
    log_fatal(m, 0)
    key_reply[0] = EXIT_CONTENT
    key_answer(k, 1, 1)
    key_end()

cdef void text_forget(ClientFile *f) noexcept nogil:
    """Wipe and free what was read; an empty file has no text."""
    if f.text != NULL:
        explicit_bzero(f.text, f.len)
    free(f.text)
    f.text = NULL

cdef int client_chain(Identity *id, ClientFile *f, bint ed25519) noexcept nogil:
    """The certificates of a PEM text into id; 0, or a BearSSL error, or BR_ERR_X509_EMPTY_CHAIN when there is none.

    A private key may stand in the same file: it is not decoded, and the text is wiped.
    """
    cdef Pem pem
    cdef PemObject object
    cdef br_x509_pkey found
    cdef size_t used = 0
    cdef int err
    id.num = 0
    id.der_room = f.len + 4
    id.der = <uint8_t *>malloc(id.der_room)
    if id.der == NULL:
        return BR_ERR_X509_LIMIT_EXCEEDED
    pem.p = <const char *>f.text
    pem.end = pem.p + f.len
    while pem_certificate(&pem, id.der + used, id.der_room - used, &object) == PEM_OK:
        used += object.len
        if object.kind != PEM_CERTIFICATE:
            continue
        if id.num == CHAIN_MAX:
            return BR_ERR_X509_LIMIT_EXCEEDED
        id.chain[id.num].data = object.der
        id.chain[id.num].data_len = object.len
        err = chain_key(&id.chain[id.num], ed25519, &found)
        if err:
            return err
        if used > CHAIN_BYTES_MAX:
            return BR_ERR_X509_LIMIT_EXCEEDED
        if id.num == 0:
            id.key_type = found.key_type
        id.num += 1
    text_forget(f)
    return 0 if id.num else BR_ERR_X509_EMPTY_CHAIN

cdef bint client_key(Identity *id, ClientFile *f, bint ed25519, bint *matches) noexcept nogil:
    """The private key of a PEM or DER file into id; its text is wiped. matches: it belongs to the certificate."""
    cdef Pem pem
    cdef PemObject object
    cdef br_x509_pkey leaf
    cdef uint8_t *der = <uint8_t *>malloc(f.len + 4)
    cdef bint good = False
    if der == NULL:
        return False
    object.len = 0
    object.der = der
    if f.len and f.text[0] == 0x30:             # a DER SEQUENCE; no PEM text begins so
        memcpy(der, f.text, f.len)
        object.len = f.len
    else:
        pem.p = <const char *>f.text
        pem.end = pem.p + f.len
        while pem_next(&pem, der, f.len + 4, &object) == PEM_OK and object.kind != PEM_KEY:
            object.len = 0
    good = signing_key(&id.key, object.der, object.len, ed25519) == 0 and object.len > 0
    if good:
        chain_key(&id.chain[0], ed25519, &leaf)
        matches[0] = key_matches(&leaf, &id.key, object.der, object.len)
    explicit_bzero(der, f.len + 4)
    free(der)
    text_forget(f)
    return good

cdef void key_trust(Key *k) noexcept nogil:
    """Read all files as who started us, then the jail, then parse; reply with our chain, or refuse with a line."""
    cdef ClientConfig *config = k.config.client
    cdef ClientFile chain, secret
    cdef const char *anchors = config.anchors_directory
    cdef bint matches = False
    cdef int i, err, fault
    cdef size_t n = 2
    cdef char m[2048]
    if anchors == NULL:
        anchors = config.anchors_file
    if config.name != NULL:
        snprintf(k.sni, sizeof(k.sni), "%s", config.name)
    if config.key_file != NULL:
        chain.err = read_all(config.certificate_file, &chain.text, &chain.len)
        secret.err = read_all(config.key_file, &secret.text, &secret.len)
    err = trust_read(&k.trust, config.anchors_directory, config.anchors_file)
    bw_keylog_open()
    if not confine(&k.config.jail):
        trust_refuse(k, EXIT_SYSTEM, "unable to create jail in", k.config.jail.directory, 0)
    limit_calls(BW_KEY)
    if config.key_file != NULL:
        if chain.err:
            trust_refuse(k, EXIT_SYSTEM, "unable to read certificate chain in", config.certificate_file,
                         chain.err)
        fault = client_chain(&k.identity, &chain, k.config.version_max >= TLS13)
        if fault == BR_ERR_X509_EMPTY_CHAIN:
            trust_refuse(k, EXIT_CONTENT, "unable to find a certificate in", config.certificate_file, 0)
        if fault:
            trust_refuse_bad(k, "unable to read certificate chain in", config.certificate_file, fault)
        if secret.err:
            trust_refuse(k, EXIT_SYSTEM, "unable to read private key in", config.key_file, secret.err)
        if not client_key(&k.identity, &secret, k.config.version_max >= TLS13, &matches):
            trust_refuse(k, EXIT_SYSTEM, "unable to read private key in", config.key_file, EINVAL)
        if not matches:
            snprintf(m, sizeof(m), "private key in %.1400s does not match the certificate in", config.key_file)
            trust_refuse(k, EXIT_CONTENT, m, config.certificate_file, 0)
    if err:
        trust_refuse(k, EXIT_SYSTEM, "unable to read trust anchors in", anchors, err)
    fault = trust_parse(&k.trust)
    if fault == TRUST_NONE:
        trust_refuse(k, EXIT_CONTENT, "no trust anchor found in", anchors, 0)
    if fault == TRUST_UNFINISHED:
        trust_refuse(k, EXIT_SYSTEM, "unable to read trust anchors in", anchors, EPROTO)
    if fault:
        trust_refuse_bad(k, "unable to read trust anchors in", anchors, k.trust.error)
    key_reply[0] = <uint8_t>k.identity.key_type
    key_reply[1] = <uint8_t>k.identity.num
    for i in range(k.identity.num):
        put_uint(key_reply + n, <uint32_t>k.identity.chain[i].data_len, 3)
        memcpy(key_reply + n + 3, k.identity.chain[i].data, k.identity.chain[i].data_len)
        n += 3 + k.identity.chain[i].data_len
    key_answer(k, STATUS_OK, n)

cdef unsigned server_judged(Key *k, const uint8_t *list, size_t n) noexcept nogil:
    """Judge the server's certificates: anchors, dates, name; 0 or a BearSSL error."""
    cdef ClientConfig *config = k.config.client
    cdef unsigned err = peer_chain(&k.peer, &k.trust.anchors, config.sni, list, n)
    cdef Cursor c = cursor_over(list, n)
    cdef Cursor leaf = take_vector(&c, 3)
    if err == BR_ERR_X509_NOT_TRUSTED and not config.verify:
        err = 0
    if err == 0 and config.ip_len and not altname_has_ip(leaf.p, leaf.left, config.ip, config.ip_len):
        err = BR_ERR_X509_BAD_SERVER_NAME
    if err == 0 and peer_public_key(&k.peer, NULL) == NULL:
        err = BR_ERR_X509_UNSUPPORTED
    return err

cdef void key_server_chain(Key *k, const uint8_t *list, size_t n) noexcept nogil:
    """The verdict on the server's certificates, and what the engine must know of its key."""
    cdef const br_x509_pkey *pk
    cdef unsigned usages = 0
    cdef unsigned err = server_judged(k, list, n)
    cdef size_t size
    if err:
        key_reply[0] = <uint8_t>err
        key_answer(k, 1, 1)
        key_end()
    pk = peer_public_key(&k.peer, &usages)
    k.peer.key_type = pk.key_type
    size = pk.key.rsa.nlen if pk.key_type == BR_KEYTYPE_RSA else <size_t>pk.key.ec.curve
    key_reply[0] = pk.key_type
    key_reply[1] = <uint8_t>usages & (BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN)
    put_uint(key_reply + 2, <uint32_t>size, 2)
    key_answer(k, STATUS_OK, 4)

cdef void key_server_params(Key *k, const uint8_t *p, size_t n) noexcept nogil:
    """Verify the server's signature over its point with both randoms; the point is kept."""
    cdef Cursor point
    cdef unsigned usages = 0
    cdef int err, group = 0
    key_version(k, (<int>p[0] << 8) | p[1], p + 2, p + 34)
    peer_public_key(&k.peer, &usages)
    err = peer_params(&k.peer, k.eng.session.version, p + 2, p + 66, n - 66, &group, &point)
    if err == 0 and not usages & BR_KEYTYPE_SIGN:
        err = BR_ERR_WRONG_KEY_USAGE
    if err == 0 and (group_row(group) == NULL or not (k.config.groups >> group) & 1 or point.left > sizeof(k.peer_point)):
        err = BR_ERR_INVALID_ALGORITHM
    if err:
        key_reply[0] = <uint8_t>err
        key_answer(k, 1, 1)
        key_end()
    k.group = group
    k.params_len = point.left
    memcpy(k.peer_point, point.p, point.left)
    key_answer(k, STATUS_OK, 0)

cdef size_t key_encrypt(Key *k, uint8_t *secret) noexcept nogil:
    """Draw a pre-master secret and encrypt it under the server's RSA key (RFC 5246 section 7.4.7.1, PKCS#1 type 2)."""
    cdef const br_x509_pkey *pk = peer_public_key(&k.peer, NULL)
    cdef uint8_t *x = k.exchange + 6
    cdef const uint8_t *modulus = pk.key.rsa.n
    cdef size_t i, n = pk.key.rsa.nlen
    while n and modulus[0] == 0:
        modulus += 1
        n -= 1
    if n < 59 or n > SERVER_KEY_MAX:
        key_end()
    # what the ClientHello says, which has TLS 1.3 in an extension
    put_uint(secret, BR_TLS12 if k.config.version_max > BR_TLS12 else k.config.version_max, 2)
    br_hmac_drbg_generate(&k.rng, secret + 2, 46)
    x[0] = 0
    x[1] = 2
    br_hmac_drbg_generate(&k.rng, x + 2, n - 51)
    for i in range(2, n - 49):
        while x[i] == 0:
            br_hmac_drbg_generate(&k.rng, x + i, 1)
    x[n - 49] = 0
    memcpy(x + n - 48, secret, 48)
    if not br_rsa_public_get_default()(x, n, &pk.key.rsa):
        key_end()
    br_ssl_engine_compute_master(&k.eng, k.suite.prf_id, secret, 48)
    return n

cdef void key_agree(Key *k, const uint8_t *p) noexcept nogil:
    """Make all secrets; reply with our public point, or with the pre-master secret under the server's key."""
    cdef const br_x509_pkey *pk
    cdef uint8_t secret[133]
    cdef unsigned usages = 0
    cdef size_t n
    cdef int version = (<int>p[4] << 8) | p[5]
    cdef bint good = True
    if k.state == BW_CHAIN_GOOD:
        key_version(k, version, p + 6, p + 38)
    elif version != k.eng.session.version or memcmp(p + 6, k.eng.client_random, 32) != 0 \
            or memcmp(p + 38, k.eng.server_random, 32) != 0:
        key_end()
    key_suite(k, (<int>p[0] << 8) | p[1], (<size_t>p[2] << 8) | p[3])
    pk = peer_public_key(&k.peer, &usages)
    if k.suite.key_type != pk.key_type or (k.suite.exchange == BW_ECDHE) != (k.state == BW_PARAMS_GOOD) \
            or (k.suite.exchange != BW_ECDHE and not usages & BR_KEYTYPE_KEYX):
        key_end()
    # ClientKeyExchange (RFC 5246 section 7.4.7, RFC 8422 section 5.7) is kept for our own signature over it
    k.exchange[0] = 16
    if k.suite.exchange == BW_RSA:
        n = key_encrypt(k, secret)
        put_uint(k.exchange + 1, <uint32_t>n + 2, 3)
        put_uint(k.exchange + 4, <uint32_t>n, 2)
        k.exchange_len = 6 + n
        memcpy(key_reply, k.exchange + 6, n)
    else:
        if k.suite.exchange == BW_ECDH:
            k.group = pk.key.ec.curve
            if group_row(k.group) == NULL or not (k.config.groups >> k.group) & 1 or pk.key.ec.qlen > sizeof(secret):
                key_end()
            n = pk.key.ec.qlen
            memcpy(secret, pk.key.ec.q, n)
        else:
            n = k.params_len
            memcpy(secret, k.peer_point, n)
        key_ephemeral(k, k.group)
        good = key_shared(k, secret, n)
        n = k.point_len
        put_uint(k.exchange + 1, <uint32_t>n + 1, 3)
        k.exchange[4] = <uint8_t>n
        memcpy(k.exchange + 5, k.point, n)
        k.exchange_len = 5 + n
        memcpy(key_reply, k.point, n)
    if not good:
        key_answer(k, 1, 0)
        key_end()
    key_derived(k, secret, sizeof(secret), True)
    bw_keylog_master(k.eng.client_random, k.eng.session.master_secret)
    key_answer(k, STATUS_OK, n)

cdef void key_client_sign(Key *k, int hash_id) noexcept nogil:
    """Sign the transcript: net's part of it, which was walked, then our Certificate and ClientKeyExchange."""
    cdef Identity *id = &k.identity
    cdef uint8_t header[7]
    cdef uint8_t digest[64]
    cdef uint32_t list_len = 0
    cdef size_t n
    cdef int i
    if id.num == 0 or k.transcript.bad or k.transcript.step != 6 or k.transcript.header_have \
            or (hash_id == 0) != (k.eng.session.version < BR_TLS12 and id.key_type == BR_KEYTYPE_RSA) \
            or hash_id == br_md5_ID or (hash_id and hash_class(hash_id) == NULL) \
            or (k.eng.session.version < BR_TLS12 and hash_id and hash_id != br_sha1_ID):
        key_end()
    for i in range(id.num):
        list_len += 3 + <uint32_t>id.chain[i].data_len
    header[0] = 11
    put_uint(header + 1, list_len + 3, 3)
    put_uint(header + 4, list_len, 3)
    br_multihash_update(&k.transcript.hash, header, 7)
    for i in range(id.num):
        put_uint(header, <uint32_t>id.chain[i].data_len, 3)
        br_multihash_update(&k.transcript.hash, header, 3)
        br_multihash_update(&k.transcript.hash, id.chain[i].data, id.chain[i].data_len)
    br_multihash_update(&k.transcript.hash, k.exchange, k.exchange_len)
    n = transcript_digest(&k.transcript, hash_id, digest)
    n = sign_digest(id, hash_id, digest, n, key_reply)
    bw_test_stop("sign")
    identity_wipe(id)
    bw_wipe_stack()
    key_answer(k, STATUS_OK if n else 1, n)
