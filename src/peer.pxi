# peer - the other side's certificate, judged wholly inside key (RFC 5246 sections 7.4.2, 7.4.6 and 7.4.8).
#
# For a client's signature, the peer's or our own, net hands over the transcript. key hashes it itself and walks it: it
# must hold the randoms that key has seen and the public point that key drew for this connection, so that a conquered
# net can neither replay a signature of another handshake nor have one made for it.

cdef enum:
    FIELD_MAX = 256         # a -U value
    PARTS = 6               # C, ST, L, O, OU, CN

cdef struct Peer:
    br_x509_minimal_context x509
    br_name_element elements[7]     # PARTS, and emailAddress
    char part[7][256]
    int key_type            # 0 until the chain is good
    bint trusted            # it leads to an anchor; only then do its names count
    uint8_t chain_hash[32]  # SHA-256 of the Certificate message's certificate list
    uint8_t leaf_hash[32]   # SHA-256 of the client's certificate

cdef struct Transcript:
    br_multihash_context hash
    bint is_client          # ours is the client's signature
    uint8_t header[4]
    int header_have
    uint32_t kind
    uint32_t left           # bytes of the current message still to come
    uint32_t at             # offset in it
    int step                # position in the expected order
    bint bad
    size_t total
    br_sha256_context list  # of the client's certificate list
    uint8_t seen[256]       # the head of the current message

cdef const char *part_label(int i) noexcept nogil:
    if i == 0: return "C"
    if i == 1: return "ST"
    if i == 2: return "L"
    if i == 3: return "O"
    if i == 4: return "OU"
    return "CN"

cdef const uint8_t *part_oid(int i) noexcept nogil:
    """The attribute type (X.520, PKCS#9), its length before it as BearSSL wants it."""
    if i == 0: return <const uint8_t *>b"\x03\x55\x04\x06"
    if i == 1: return <const uint8_t *>b"\x03\x55\x04\x08"
    if i == 2: return <const uint8_t *>b"\x03\x55\x04\x07"
    if i == 3: return <const uint8_t *>b"\x03\x55\x04\x0a"
    if i == 4: return <const uint8_t *>b"\x03\x55\x04\x0b"
    if i == 5: return <const uint8_t *>b"\x03\x55\x04\x03"
    return <const uint8_t *>b"\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"

cdef size_t part_room(int i) noexcept nogil:
    """X.520's upper bounds, and the NUL; a commonName may be longer, since -U is bound by the account's length."""
    if i >= PARTS - 1:
        return FIELD_MAX
    return 3 if i == 0 else (129 if i < 3 else 65)

cdef unsigned peer_chain(Peer *peer, Anchors *anchors, const char *name, const uint8_t *list, size_t n) noexcept nogil:
    """Validate a Certificate message's certificate_list (after its 3-byte length); 0 or a BearSSL error.

    name: what the certificate must be for, NULL for any. The public key is there after BR_ERR_X509_NOT_TRUSTED too.
    """
    cdef Cursor c = cursor_over(list, n)
    cdef Cursor cert
    cdef const br_x509_class **x = &peer.x509.vtable
    cdef unsigned err
    cdef int i, count = 0
    br_x509_minimal_init_full(&peer.x509, anchors.list, anchors.num)
    br_x509_minimal_set_ecdsa(&peer.x509, bw_ec(), bw_ecdsa_vrfy())
    br_x509_minimal_set_rsa(&peer.x509, bw_rsa_pkcs1_vrfy)
    for i in range(PARTS + 1):
        peer.elements[i].oid = part_oid(i)
        peer.elements[i].buf = peer.part[i]
        peer.elements[i].len = part_room(i)
    br_x509_minimal_set_name_elements(&peer.x509, peer.elements, PARTS + 1)
    hash_once(br_sha256_ID, list, n, peer.chain_hash)
    x[0].start_chain(x, name)
    while c.left:
        cert = take_vector(&c, 3)
        count += 1
        if c.bad or cert.left == 0 or count > CHAIN_MAX:
            return BR_ERR_BAD_PARAM
        if count == 1:
            hash_once(br_sha256_ID, cert.p, cert.left, peer.leaf_hash)
        x[0].start_cert(x, <uint32_t>cert.left)
        x[0].append(x, cert.p, cert.left)
        x[0].end_cert(x)
    err = x[0].end_chain(x)
    peer.trusted = err == 0
    return err

cdef bint peer_forged(Peer *peer, Anchors *anchors) noexcept nogil:
    """Whether an untrusted chain ends in the name of an anchor: its signature is then not by that anchor's key."""
    cdef uint8_t issuer[32]
    cdef int i
    for i in range(anchors.num):
        hash_once(br_sha256_ID, anchors.list[i].dn.data, anchors.list[i].dn.len, issuer)
        if anchors.list[i].flags & BR_X509_TA_CA and memcmp(issuer, peer.x509.saved_dn_hash, 32) == 0:
            return True
    return False

cdef const br_x509_pkey *peer_public_key(Peer *peer, unsigned *usages) noexcept nogil:
    """The public key of a chain that was validated."""
    return peer.x509.vtable.get_pkey(<const br_x509_class *const *>&peer.x509.vtable, usages)

cdef unsigned peer_signs(Peer *peer) noexcept nogil:
    """Take the key of a good chain for signatures; 0 or a BearSSL error."""
    cdef unsigned usages = 0
    cdef const br_x509_pkey *pk = peer_public_key(peer, &usages)
    if pk == NULL or not usages & BR_KEYTYPE_SIGN:
        return BR_ERR_WRONG_KEY_USAGE
    peer.key_type = pk.key_type
    return 0

cdef void transcript_start(Transcript *t, bint is_client) noexcept nogil:
    memset(t, 0, sizeof(Transcript))
    t.is_client = is_client
    hash_all(&t.hash)

cdef bint transcript_message(Transcript *t, Peer *peer, const uint8_t *client_random, const uint8_t *server_random,
                             const uint8_t *point, size_t point_len, const uint8_t *peer_point) noexcept nogil:
    """Judge a finished message by the head of it that was kept; the order is that of RFC 5246 section 7.3.

    point is key's own, of the ServerKeyExchange or the ClientKeyExchange; the peer's has the same length. A client
    comes here up to ServerHelloDone, its own messages behind it are key's: transcript_own.
    """
    cdef const uint8_t *order = <const uint8_t *>b"\x01\x02\x0b\x0c\x0d\x0e\x0b\x10"
    cdef uint8_t digest[32]
    if t.is_client and t.step == 3 and point_len == 0:
        t.step = 4                  # no ServerKeyExchange where the server's certificate holds its key
    if t.step >= (6 if t.is_client else 8) or t.kind != order[t.step]:
        return False
    t.step += 1
    if t.step == 1:
        return t.at >= 34 and memcmp(t.seen + 2, client_random, 32) == 0
    if t.step == 2:
        return t.at >= 34 and memcmp(t.seen + 2, server_random, 32) == 0
    if t.step == (3 if t.is_client else 7):
        br_sha256_out(&t.list, digest)
        return memcmp(digest, peer.chain_hash, 32) == 0
    if t.step == 4:
        return (t.at > 4 + point_len and t.seen[3] == point_len
                and memcmp(t.seen + 4, peer_point if t.is_client else point, point_len) == 0)
    if t.step == 8:
        # the client signs for the very point that the keys were made with; both points have one length
        return t.at == 1 + point_len and t.seen[0] == point_len and memcmp(t.seen + 1, peer_point, point_len) == 0
    return True

cdef void transcript_feed(Transcript *t, Peer *peer, const uint8_t *data, size_t n, const uint8_t *client_random,
                          const uint8_t *server_random, const uint8_t *point, size_t point_len,
                          const uint8_t *peer_point) noexcept nogil:
    """Hash the next piece of the transcript and follow its messages; a wrong one sets `bad`."""
    cdef size_t k, skip
    t.total += n
    if t.total > TRANSCRIPT_MAX:
        t.bad = True
    if t.bad:
        return
    br_multihash_update(&t.hash, data, n)
    while n:
        if t.header_have < 4:
            t.header[t.header_have] = data[0]
            t.header_have += 1
            data += 1
            n -= 1
            if t.header_have < 4:
                continue
            t.kind = t.header[0]
            t.left = (<uint32_t>t.header[1] << 16) | (<uint32_t>t.header[2] << 8) | t.header[3]
            t.at = 0
            br_sha256_init(&t.list)
        k = n if n < t.left else t.left
        if t.at < sizeof(t.seen) and k:
            memcpy(t.seen + t.at, data, k if k < sizeof(t.seen) - t.at else sizeof(t.seen) - t.at)
        if k:
            # the list after its 3-byte length, as peer_chain hashed it
            skip = 3 - t.at if t.at < 3 else 0
            if skip < k:
                br_sha224_update(&t.list, data + skip, k - skip)
        t.at += <uint32_t>k
        t.left -= <uint32_t>k
        data += k
        n -= k
        if t.left == 0:
            t.header_have = 0
            if not transcript_message(t, peer, client_random, server_random, point, point_len, peer_point):
                t.bad = True
                return

cdef int signature_scheme(Cursor *c, int version, int key_type) noexcept nogil:
    """The hash of a signature (RFC 5246 section 4.7), 0 for MD5 and SHA-1 together; -1 for one that does not fit."""
    cdef uint32_t hash_id, algorithm
    if version < BR_TLS12:
        return br_sha1_ID if key_type == BR_KEYTYPE_EC else 0
    hash_id = take_uint(c, 1)
    algorithm = take_uint(c, 1)
    if algorithm != (1 if key_type == BR_KEYTYPE_RSA else 3) or not br_sha1_ID <= <int>hash_id <= br_sha512_ID:
        return -1
    return <int>hash_id

cdef bint signature_good(const br_x509_pkey *pk, int hash_id, const uint8_t *digest, size_t digest_len,
                         Cursor sig) noexcept nogil:
    """Whether a digest was signed with the private half of a public key."""
    cdef uint8_t signed_digest[64]
    if pk.key_type == BR_KEYTYPE_EC:
        return bw_ecdsa_vrfy()(bw_ec(), digest, digest_len, &pk.key.ec, sig.p, sig.left)
    return (bw_rsa_pkcs1_vrfy(sig.p, sig.left, hash_oid(hash_id), digest_len, &pk.key.rsa, signed_digest)
            and memcmp(signed_digest, digest, digest_len) == 0)

cdef size_t transcript_digest(Transcript *t, int hash_id, uint8_t *digest) noexcept nogil:
    """The hash of all that was fed, as signature_scheme names it; its length."""
    if hash_id == 0:
        br_multihash_out(&t.hash, br_md5_ID, digest)
        br_multihash_out(&t.hash, br_sha1_ID, digest + 16)
        return 36
    return br_multihash_out(&t.hash, hash_id, digest)

cdef int peer_verify(Peer *peer, Transcript *t, int version, const uint8_t *body, size_t n) noexcept nogil:
    """Verify a CertificateVerify's body over the transcript; 0 or a BearSSL error."""
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor sig
    cdef const br_x509_pkey *pk = peer_public_key(peer, NULL)
    cdef uint8_t digest[64]
    cdef size_t digest_len
    cdef int hash_id = signature_scheme(&c, version, pk.key_type)
    if hash_id < 0:
        return BR_ERR_INVALID_ALGORITHM
    sig = take_vector(&c, 2)
    if c.bad or c.left:
        return BR_ERR_BAD_PARAM
    if t.bad or t.step != 8 or t.header_have:
        return BR_ERR_BAD_SIGNATURE
    digest_len = transcript_digest(t, hash_id, digest)
    return 0 if signature_good(pk, hash_id, digest, digest_len, sig) else BR_ERR_BAD_SIGNATURE

cdef int peer_params(Peer *peer, int version, const uint8_t *randoms, const uint8_t *body, size_t n, int *group,
                     Cursor *point) noexcept nogil:
    """Verify a ServerKeyExchange's body and its signature (RFC 8422 section 5.4); 0 or a BearSSL error.

    randoms: the client's and the server's, 64 bytes.
    """
    cdef Cursor c = cursor_over(body, n)
    cdef Cursor sig
    cdef const br_x509_pkey *pk = peer_public_key(peer, NULL)
    cdef uint8_t covered[64 + 4 + 255]
    cdef uint8_t digest[64]
    cdef size_t digest_len, params
    cdef const bw_scheme *pss = NULL
    cdef int hash_id = -1, curve_type = <int>take_uint(&c, 1)
    group[0] = <int>take_uint(&c, 2)
    point[0] = take_vector(&c, 1)
    params = n - c.left
    if version >= BR_TLS12 and c.left and c.p[0] == PSS_SCHEME and pk.key_type == BR_KEYTYPE_RSA:
        pss = scheme_row(<int>take_uint(&c, 2))
    else:
        hash_id = signature_scheme(&c, version, pk.key_type)
    sig = take_vector(&c, 2)
    if c.bad or c.left:
        return BR_ERR_BAD_PARAM
    if (pss == NULL and hash_id < 0) or curve_type != 3:
        return BR_ERR_INVALID_ALGORITHM
    memcpy(covered, randoms, 64)
    memcpy(covered + 64, body, params)
    if pss != NULL:
        return 0 if scheme_verify(pk, pss.id, covered, 64 + params, sig.p, sig.left) else BR_ERR_BAD_SIGNATURE
    if hash_id == 0:
        hash_once(br_md5_ID, covered, 64 + params, digest)
        hash_once(br_sha1_ID, covered, 64 + params, digest + 16)
        digest_len = 36
    else:
        digest_len = hash_once(hash_id, covered, 64 + params, digest)
    return 0 if signature_good(pk, hash_id, digest, digest_len, sig) else BR_ERR_BAD_SIGNATURE

cdef void subject_text(Peer *peer, char *out, size_t room) noexcept nogil:
    """C, ST, L, O, OU, CN joined by ", "; missing ones skipped, a bad one `<invalid>` (s6-tlsc's form)."""
    cdef size_t n = 0, i
    cdef int k
    cdef const char *v
    out[0] = 0
    for k in range(PARTS):
        if peer.elements[k].status == 0:
            continue
        if n:
            n += <size_t>snprintf(out + n, room - n, ", ")
        n += <size_t>snprintf(out + n, room - n, "%s=", part_label(k))
        v = "<invalid>"
        if peer.elements[k].status > 0 and strlen(peer.part[k]) <= (64 if k == 5 else FIELD_MAX):
            v = peer.part[k]
        i = 0
        while v[i] and n + 3 < room:
            if v == peer.part[k] and strchr(",=+<>#\\\n", v[i]) != NULL:
                out[n] = c'\\'
                n += 1
            out[n] = v[i]
            n += 1
            i += 1
        out[n] = 0
