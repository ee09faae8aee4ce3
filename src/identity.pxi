# identity - the server's certificate chain and private key: raw reads as root, everything else after the jail.

cdef struct Candidate:
    char path[1536]
    int entry               # which -f or -d it came from
    int err                 # errno of the read, 0 when there is text
    uint8_t *text
    size_t len

cdef struct Identity:
    int key_type            # BR_KEYTYPE_RSA, BR_KEYTYPE_EC or BW_KEYTYPE_ED25519, of the chain and the key alike
    int num
    br_x509_certificate chain[16]
    uint8_t *der            # the chain's certificates
    size_t der_room
    SigningKey key

cdef int read_all(const char *path, uint8_t **text, size_t *len) noexcept nogil:
    """Read a regular file of at most PEM_MAX bytes; 0 or an errno. Anything that is no regular file reads as empty."""
    cdef stat_t st
    cdef uint8_t *p = NULL
    cdef ssize_t r
    cdef size_t n = 0, room = 0
    cdef int err = 0
    cdef int fd = open_(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    text[0] = NULL
    len[0] = 0
    if fd < 0:
        return errno
    if fstat(fd, &st) < 0:
        err = errno
    elif S_ISREG(st.st_mode):
        if st.st_size > PEM_MAX:
            err = EFBIG
        else:
            room = <size_t>st.st_size
            p = <uint8_t *>malloc(room + 1)
            if p == NULL:
                err = ENOMEM
            while err == 0 and n < room:
                r = read(fd, p + n, room - n)
                if r == 0:
                    break
                if r < 0 and errno != EINTR:
                    err = errno
                elif r > 0:
                    n += <size_t>r
    close(fd)
    if err and p != NULL:
        explicit_bzero(p, n)
        free(p)
        p = NULL
    text[0] = p
    len[0] = n if p != NULL else 0
    return err

cdef void candidate_path(Candidate *c, const char *path, const char *name) noexcept nogil:
    """A file, or with a name one in a folder; cut where it is too long."""
    cdef size_t n = strlen(path), room = sizeof(c.path) - 1, k
    n = n if n < room else room
    memcpy(c.path, path, n)
    if name != NULL and n < room:
        c.path[n] = c'/'
        n += 1
        k = strlen(name)
        k = k if k < room - n else room - n
        memcpy(c.path + n, name, k)
        n += k
    c.path[n] = 0

cdef int candidates_read(Config *config, const char *name, size_t name_len, Candidate *out) noexcept nogil:
    """Read, as root, every file that may hold the identity for a server name; returns how many were tried.

    An entry of which no file exists yields one candidate with its first path and ENOENT. Security: raw bytes only,
    nothing is parsed before the jail.
    """
    cdef char names[NAMES_MAX][NAME_MAX]
    cdef int n = 0, e, i, names_num, first
    names_num = name_candidates(name, name_len, names) if name_len else 0
    for e in range(config.entries_num):
        if not config.entries[e].is_directory:
            candidate_path(&out[n], config.entries[e].path, NULL)
            out[n].entry = e
            out[n].err = read_all(out[n].path, &out[n].text, &out[n].len)
            n += 1
            continue
        first = n
        for i in range(names_num):
            candidate_path(&out[n], config.entries[e].path, names[i])
            out[n].entry = e
            out[n].err = read_all(out[n].path, &out[n].text, &out[n].len)
            # a missing file counts only when the entry has no other: then the name as sent is reported
            if out[n].err != ENOENT:
                n += 1
        if n == first and names_num:
            candidate_path(&out[n], config.entries[e].path, names[0])
            out[n].entry = e
            out[n].err = ENOENT
            out[n].text = NULL
            out[n].len = 0
            n += 1
    return n

cdef void candidates_wipe(Candidate *list, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if list[i].text != NULL:
            explicit_bzero(list[i].text, list[i].len)
            free(list[i].text)
            list[i].text = NULL

cdef bint bad_object(const char *what, const char *kind, const char *path) noexcept nogil:
    """Log `what PEM kind-object in 'path'` and say no."""
    cdef char m[2048]
    snprintf(m, sizeof(m), "%s PEM %s-object in '%s'", what, kind, path)
    log_error(m, 0)
    return False

cdef bint bad_decode(const char *kind, int err, const char *path) noexcept nogil:
    cdef char m[2048]
    snprintf(m, sizeof(m), "unable to decode %s, err=%s in '%s'", kind, error_row(err).text, path)
    log_error(m, 0)
    return False

cdef bint key_matches(br_x509_pkey *pub, SigningKey *key, const uint8_t *der, size_t len) noexcept nogil:
    """Whether a private key belongs to a certificate's public key.

    RFC 8017 and RFC 5915 keys normally carry their public half, which is then only compared; a key without it pays
    one multiplication.
    """
    cdef uint8_t point[160]
    cdef br_ec_public_key pk
    cdef const br_ec_private_key *ec
    if pub.key_type != key.key_type:
        return False
    if pub.key_type == BW_KEYTYPE_ED25519:
        return memcmp(key.ed25519 + 32, pub.key.ec.q, 32) == 0
    if pub.key_type == BR_KEYTYPE_RSA:
        return memmem(der, len, pub.key.rsa.n, pub.key.rsa.nlen) != NULL
    ec = &key.ec
    if ec.curve != pub.key.ec.curve:
        return False
    if memmem(der, len, pub.key.ec.q, pub.key.ec.qlen) != NULL:
        return True
    if br_ec_compute_pub(bw_ec(), &pk, point, ec) != pub.key.ec.qlen:
        return False
    return memcmp(point, pub.key.ec.q, pub.key.ec.qlen) == 0

cdef int chain_key(const br_x509_certificate *c, bint ed25519, br_x509_pkey *key) noexcept nogil:
    """The public key of a certificate of ours, which it points into; 0 or a BearSSL error.

    ed25519: it may be one, which BearSSL does not know. We need not judge our own chain, only send it and sign.
    """
    cdef Certificate found
    if not certificate_parts(c.data, c.data_len, &found) or (found.key.key_type == BW_KEYTYPE_ED25519 and not ed25519):
        return certificate_fault(c.data, c.data_len)
    key[0] = found.key
    return 0

cdef bint identity_parse(Identity *id, Candidate *c, bint ed25519, bint *secret_fault) noexcept nogil:
    """Parse one file into an identity; False after error lines, secret_fault telling which half was bad.

    ed25519: keys of this kind may be taken, because TLS 1.3 may be negotiated.
    One file holds one private key and a chain of at most 16 certificates, in any order. Every certificate must be
    one that BearSSL decodes; the first decides the key's type. Security: runs after the jail; the key's DER is
    wiped here, the decoded key by identity_wipe.
    """
    cdef Pem pem
    cdef PemObject object
    cdef br_x509_pkey leaf, other
    cdef uint8_t *secret = NULL
    cdef size_t secret_len = 0, used = 0
    cdef int fault, keys = 0, err, i
    cdef char m[2048]
    cdef bint good = False
    secret_fault[0] = False
    id.num = 0
    id.der_room = c.len + 4
    id.der = <uint8_t *>malloc(id.der_room)
    if id.der == NULL:
        log_error("unable to allocate memory", ENOMEM)
        return False
    pem.p = <const char *>c.text
    pem.end = pem.p + c.len
    while True:
        fault = pem_next(&pem, id.der + used, id.der_room - used, &object)
        if fault == PEM_END:
            break
        if fault != PEM_OK:
            secret_fault[0] = object.kind != PEM_CERTIFICATE
            bad_object("malformed" if fault == PEM_MALFORMED else "unfinished",
                       "public" if object.kind == PEM_CERTIFICATE else "secret", c.path)
            used += object.len
            break
        used += object.len
        if object.kind == PEM_KEY:
            keys += 1
            secret = object.der
            secret_len = object.len
        elif object.kind == PEM_CERTIFICATE:
            if id.num < CHAIN_MAX:
                id.chain[id.num].data = object.der
                id.chain[id.num].data_len = object.len
            id.num += 1
    if fault == PEM_END:
        good = id.num > 0
        if id.num == 0:
            bad_object("no", "public", c.path)
        elif id.num > CHAIN_MAX:
            snprintf(m, sizeof(m), "too many public PEM certificates in '%s'", c.path)
            log_error(m, 0)
            id.num = 0
            good = False
    for i in range(id.num if good else 0):
        err = chain_key(&id.chain[i], ed25519, &leaf if i == 0 else &other)
        if err:
            good = bad_decode("public-key", err, c.path)
            break
    if good and keys != 1:
        secret_fault[0] = True
        if keys == 0:
            good = bad_object("no", "secret", c.path)
        else:
            snprintf(m, sizeof(m), "too many secret-keys in '%s'", c.path)
            log_error(m, 0)
            good = False
    if good:
        id.key_type = leaf.key_type
        err = signing_key(&id.key, secret, secret_len, ed25519)
        if err:
            secret_fault[0] = True
            good = bad_decode("secret-key", err, c.path)
        elif not key_matches(&leaf, &id.key, secret, secret_len):
            secret_fault[0] = True
            snprintf(m, sizeof(m), "secret-key does not match the certificate in '%s'", c.path)
            log_error(m, 0)
            good = False
    # certificates are public: of the DER only keys and what could not be told apart is wiped
    if secret != NULL:
        explicit_bzero(secret, secret_len)
    if not good:
        explicit_bzero(id.der, id.der_room)
        explicit_bzero(&id.key, sizeof(id.key))
        free(id.der)
        id.der = NULL
    return good

cdef int identity_scheme13(Identity *id, Cursor schemes) noexcept nogil:
    """The scheme that an identity signs with for a peer that takes these, 0 for none."""
    if id.num == 0:
        return 0
    if id.key_type == BR_KEYTYPE_EC:
        return scheme13_for(schemes, id.key_type, id.key.ec.curve, 0)
    if id.key_type == BR_KEYTYPE_RSA:
        return scheme13_for(schemes, id.key_type, 0, (id.key.rsa.n_bitlen + 7) // 8)
    return scheme13_for(schemes, id.key_type, 0, 0)

cdef bint identity_fits(Identity *id, uint32_t types, uint32_t schemes) noexcept nogil:
    """Whether a client can use an identity: for its key type (bit n: type n), or by a scheme (bit n: row n)."""
    cdef uint8_t list[2 * SCHEMES_MAX]
    cdef size_t n = 0
    cdef int i
    for i in range(BW_SCHEMES):
        if (schemes >> i) & 1:
            put_uint(list + n, bw_schemes[i].id, 2)
            n += 2
    return (types >> id.key_type) & 1 or identity_scheme13(id, cursor_over(list, n)) != 0

cdef void identity_wipe(Identity *id) noexcept nogil:
    """Forget the private key; called once it has signed, and on every way out."""
    explicit_bzero(&id.key, sizeof(id.key))
