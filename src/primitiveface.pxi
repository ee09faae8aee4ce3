# primitiveface - the primitives that key uses, one by one, for the tests. Types and docstrings: bearwrap/_bear.pyi.

def hash_pieces(int hash_id, pieces, bint carried):
    cdef const br_hash_class *cls = hash_class(hash_id)
    cdef br_hash_compat_context h
    cdef _Span piece
    cdef uint8_t state[64]
    cdef uint8_t out[64]
    cdef uint64_t count
    bw_primitives_init()
    if cls == NULL:
        raise ValueError("no hash function")
    cls.init(&h.vtable)
    for each in pieces:
        piece = _Span(each)
        cls.update(&h.vtable, piece.p, piece.n)
        count = cls.state(&h.vtable, state)
        if carried and count % (128 if hash_size(hash_id) > 32 else 64) == 0:
            memset(&h, 0xa5, sizeof(h))
            cls.init(&h.vtable)
            cls.set_state(&h.vtable, state, count)
    cls.out(&h.vtable, out)
    return (<char *>out)[:hash_size(hash_id)]

def x25519(scalar, point):
    cdef _Span k = _Span(scalar)
    cdef _Span p
    cdef uint8_t out[32]
    bw_primitives_init()
    if k.n != 32:
        raise ValueError("a scalar of 32 bytes")
    if point is None:
        bw_ec().mulgen(out, k.p, 32, BR_EC_curve25519)
    else:
        p = _Span(point)
        if p.n != 32:
            raise ValueError("a point of 32 bytes")
        memcpy(out, p.p, 32)
        bw_ec().mul(out, 32, k.p, 32, BR_EC_curve25519)
    return (<char *>out)[:32]

def curve_multiply(int curve, scalar, point):
    cdef _Span k = _Span(scalar)
    cdef _Span p
    cdef uint8_t out[192]
    cdef size_t n
    if not BR_EC_secp256r1 <= curve <= BR_EC_secp521r1:
        raise ValueError("no P curve")
    if point is None:
        n = bw_ec().mulgen(out, k.p, k.n, curve)
        return (<char *>out)[:n] if n else None
    p = _Span(point)
    if p.n > 192:
        raise ValueError("a point of at most 192 bytes")
    memcpy(out, p.p, p.n)
    return (<char *>out)[:p.n] if bw_ec().mul(out, p.n, k.p, k.n, curve) else None

def ecdsa_sign(int curve, scalar, int hash_id, digest):
    cdef _Span k = _Span(scalar)
    cdef _Span d = _Span(digest)
    cdef br_ec_private_key key
    cdef uint8_t out[160]
    if hash_class(hash_id) == NULL or d.n != hash_size(hash_id):
        raise ValueError("no hash of this length")
    key.curve = curve
    key.x = k.p
    key.xlen = k.n
    return (<char *>out)[:bw_ecdsa_sign()(bw_ec(), hash_class(hash_id), d.p, &key, out)]

def ecdsa_verify(int curve, point, digest, signature):
    cdef _Span q = _Span(point)
    cdef _Span d = _Span(digest)
    cdef _Span sig = _Span(signature)
    cdef br_ec_public_key key
    key.curve = curve
    key.q = q.p
    key.qlen = q.n
    return bool(bw_ecdsa_vrfy()(bw_ec(), d.p, d.n, &key, sig.p, sig.n))

def rsa_private(key, number):
    cdef _Span der = _Span(key)
    cdef _Span m = _Span(number)
    cdef SigningKey signing
    cdef uint8_t x[512]
    if signing_key(&signing, der.p, der.n, False) or signing.key_type != BR_KEYTYPE_RSA or m.n > 512 \
            or m.n != (signing.rsa.n_bitlen + 7) // 8:
        raise ValueError("an RSA key, and a number as long as its modulus")
    memcpy(x, m.p, m.n)
    done = bw_rsa_private()(x, &signing.rsa)
    explicit_bzero(&signing, sizeof(signing))
    return (<char *>x)[:m.n] if done else None

def read_private_key(key, bint reference=False):
    cdef _Span der = _Span(key)
    cdef SigningKey signing
    cdef br_skey_decoder_context decoder[2]         # it may write beyond itself
    cdef const br_rsa_private_key *rsa = &signing.rsa
    cdef const br_ec_private_key *ec = &signing.ec
    cdef int err
    if reference:
        br_skey_decoder_init(decoder)
        br_skey_decoder_push(decoder, der.p, der.n)
        err = br_skey_decoder_last_error(decoder)
        signing.key_type = br_skey_decoder_key_type(decoder)
        rsa = br_skey_decoder_get_rsa(decoder)
        ec = br_skey_decoder_get_ec(decoder)
    else:
        err = signing_key(&signing, der.p, der.n, False)
    if err:
        return None
    if signing.key_type == BR_KEYTYPE_EC:
        return ec.curve, (<char *>ec.x)[:ec.xlen]
    return (rsa.n_bitlen, (<char *>rsa.p)[:rsa.plen], (<char *>rsa.q)[:rsa.qlen], (<char *>rsa.dp)[:rsa.dplen],
            (<char *>rsa.dq)[:rsa.dqlen], (<char *>rsa.iq)[:rsa.iqlen])

def rsa_public(modulus, exponent, number):
    cdef _Span n = _Span(modulus)
    cdef _Span e = _Span(exponent)
    cdef _Span m = _Span(number)
    cdef br_rsa_public_key key
    cdef uint8_t x[600]
    if m.n > 600:
        raise ValueError("a number of at most 600 bytes")
    key.n = n.p
    key.nlen = n.n
    key.e = e.p
    key.elen = e.n
    memcpy(x, m.p, m.n)
    return (<char *>x)[:m.n] if bw_rsa_public()(x, m.n, &key) else None

# ---- the signature schemes of TLS 1.3 ----

def sign_scheme(key, int scheme, message):
    cdef _Span der = _Span(key)
    cdef _Span m = _Span(message)
    cdef SigningKey signing
    cdef br_hmac_drbg_context rng
    cdef uint8_t seed[32]
    cdef uint8_t sig[SIGNATURE_MAX]
    cdef int err
    if not bw_primitives_init() or getrandom(seed, 32, 0) != 32:
        raise OSError(errno, "no primitives")
    br_hmac_drbg_init(&rng, &br_sha256_vtable, seed, 32)
    err = signing_key(&signing, der.p, der.n, True)
    if err:
        raise ValueError("BearSSL error %d" % err)
    n = scheme_sign(&signing, scheme, m.p, m.n, &rng, sig)
    explicit_bzero(&signing, sizeof(signing))
    explicit_bzero(&rng, sizeof(rng))
    bw_wipe_stack()
    return (<char *>sig)[:n]

cdef bint read_public_key(_Span info, br_x509_pkey *key) except *:
    """A SubjectPublicKeyInfo."""
    cdef Cursor c = cursor_over(info.p, info.n)
    walk_key(&c, key)
    if c.bad or c.left:
        raise ValueError("no public key of a known kind")
    return True

def verify_scheme(public_key, int scheme, message, signature):
    cdef _Span info = _Span(public_key)
    cdef _Span m = _Span(message)
    cdef _Span sig = _Span(signature)
    cdef br_x509_pkey key
    bw_primitives_init()
    read_public_key(info, &key)
    return scheme_verify(&key, scheme, m.p, m.n, sig.p, sig.n)

def digest_verify(public_key, int hash_id, digest, signature):
    cdef _Span info = _Span(public_key)
    cdef _Span d = _Span(digest)
    cdef _Span sig = _Span(signature)
    cdef br_x509_pkey key
    if hash_oid(hash_id) == NULL or d.n != hash_size(hash_id):
        raise ValueError("no hash of this length")
    read_public_key(info, &key)
    return signature_good(&key, hash_id, d.p, d.n, cursor_over(sig.p, sig.n))

def chacha20_poly1305(key, nonce, aad, text, bint encrypt):
    cdef _Span k = _Span(key)
    cdef _Span iv = _Span(nonce)
    cdef _Span a = _Span(aad)
    cdef bytearray out = bytearray(text)
    cdef _Span data = _Span(out, True)
    cdef br_ssl_engine_context engine_
    cdef uint8_t tag[16]
    if k.n != 32 or iv.n != 12:
        raise ValueError("a key of 32 bytes and a nonce of 12")
    bw_primitives_init()
    records_engine(&engine_)
    engine_.ipoly(k.p, iv.p, data.p, data.n, a.p, a.n, tag, engine_.ichacha, encrypt)
    return bytes(out), (<char *>tag)[:16]
