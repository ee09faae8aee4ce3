# tls13face - what Python sees of TLS 1.3: pure parts, for tests. Types and docstrings: bearwrap/_bear.pyi.

cdef int hash_number(int bits) except -1:
    if bits == 256:
        return br_sha256_ID
    if bits == 384:
        return br_sha384_ID
    raise ValueError("SHA-256 or SHA-384")

cdef bytes some(const uint8_t *p, size_t n):
    return (<const char *>p)[:n] if n else b""

def hkdf13_extract(int bits, salt, ikm):
    cdef _Span s = _Span(salt)
    cdef _Span i = _Span(ikm)
    cdef uint8_t out[SECRET_MAX]
    cdef int hash_id = hash_number(bits)
    hkdf_extract(hash_id, s.p, s.n, i.p, i.n, out)
    return some(out, hash_size(hash_id))

def hkdf13_expand(int bits, prk, info, int n):
    cdef _Span secret = _Span(prk)
    cdef _Span about = _Span(info)
    cdef uint8_t out[255 * SECRET_MAX]
    cdef int hash_id = hash_number(bits)
    if not 0 <= n <= 255 * <int>hash_size(hash_id):
        raise ValueError("at most 255 digests")
    hkdf_expand(hash_id, secret.p, secret.n, about.p, about.n, out, n)
    return some(out, n)

def hkdf13_label(int bits, secret, bytes label, context, int n):
    cdef _Span s = _Span(secret)
    cdef _Span c = _Span(context)
    cdef uint8_t out[255]
    cdef int hash_id = hash_number(bits)
    if s.n != <Py_ssize_t>hash_size(hash_id) or len(label) > 249 or c.n > 255 or not 0 <= n <= 255:
        raise ValueError("a secret of the hash's size, label of 249, context and output of 255 bytes at most")
    hkdf_label(hash_id, s.p, label, c.p, c.n, out, n)
    return some(out, n)

def transcript13(int bits, messages, retry=None):
    cdef Transcript13 t
    cdef _Span m
    cdef uint8_t out[SECRET_MAX]
    cdef int hash_id = hash_number(bits)
    transcript13_start(&t)
    for i, message in enumerate(messages):
        if i == retry:
            transcript13_choose(&t, hash_id)
            transcript13_retry(&t)
        m = _Span(message)
        transcript13_add(&t, m.p, m.n)
    return some(out, transcript13_digest(&t, hash_id, out))

cdef class Schedule13:
    """The key schedule, step by step."""

    cdef Schedule s

    def __cinit__(self, int bits, psk=None):
        cdef _Span p
        cdef int hash_id = hash_number(bits)
        if psk is None:
            schedule_start(&self.s, hash_id, NULL, 0)
        else:
            p = _Span(psk)
            schedule_start(&self.s, hash_id, p.p, p.n)

    def __dealloc__(self):
        schedule_wipe(&self.s)

    cdef const uint8_t *digest_of(self, _Span span) except NULL:
        if span.n != <Py_ssize_t>self.s.n:
            raise ValueError("a digest of the hash's size")
        return span.p

    cdef uint8_t *named(self, bytes name) except NULL:
        if name == b"present":
            return self.s.secret
        if name == b"client handshake":
            return self.s.client_handshake
        if name == b"server handshake":
            return self.s.server_handshake
        if name == b"client application":
            return self.s.client_application
        if name == b"server application":
            return self.s.server_application
        if name == b"resumption":
            return self.s.resumption
        raise ValueError("no such secret")

    def binder(self, digest, bint external=False):
        cdef uint8_t out[SECRET_MAX]
        schedule_binder(&self.s, external, self.digest_of(_Span(digest)), out)
        return some(out, self.s.n)

    def handshake(self, shared, digest):
        cdef _Span secret = _Span(shared)
        schedule_handshake(&self.s, secret.p, secret.n, self.digest_of(_Span(digest)))

    def master(self, digest):
        schedule_master(&self.s, self.digest_of(_Span(digest)))

    def resume(self, digest):
        schedule_resumption(&self.s, self.digest_of(_Span(digest)))

    def finished(self, bytes name, digest):
        cdef uint8_t out[SECRET_MAX]
        schedule_finished(&self.s, self.named(name), self.digest_of(_Span(digest)), out)
        return some(out, self.s.n)

    def ticket(self, nonce):
        cdef _Span span = _Span(nonce)
        cdef uint8_t out[SECRET_MAX]
        if span.n > 255:
            raise ValueError("a nonce of at most 255 bytes")
        schedule_ticket(&self.s, span.p, span.n, out)
        return some(out, self.s.n)

    def secret(self, bytes name):
        return some(self.named(name), self.s.n)

cdef class Traffic13:
    """Record protection of one direction."""

    cdef br_ssl_engine_context eng
    cdef Traffic t

    def __cinit__(self, int suite, secret, bint sodium=True):
        cdef _Span s = _Span(secret)
        cdef const bw_suite *row = suite13_row(suite)
        if row == NULL or s.n != <Py_ssize_t>hash_size(row.prf_id):
            raise ValueError("a suite of TLS 1.3 and a secret of its hash's size")
        bw_sodium_init()
        records_engine(&self.eng)
        if not sodium:
            br_ssl_engine_set_default_chapol(&self.eng)
        traffic_begin(&self.t, &self.eng, row, s.p)

    def __dealloc__(self):
        traffic_wipe(&self.t)

    def keys(self):
        cdef uint8_t key[32]
        hkdf_label(self.t.suite.prf_id, self.t.secret, "key", NULL, 0, key, self.t.suite.key_len)
        return some(key, self.t.suite.key_len), some(self.t.iv, 12)

    def next_generation(self):
        traffic_next(&self.t)

    def at(self, uint64_t seq):
        self.t.seq = seq

    def tired(self):
        return traffic_tired(&self.t)

    def seal(self, int kind, bytes plaintext):
        cdef uint8_t slot[SLOT]
        cdef size_t n = len(plaintext)
        cdef size_t most, start = record_start(&self.eng, &self.t, &most)
        cdef uint8_t *record
        if n > most:
            raise ValueError("plaintext of more than %d bytes" % most)
        memcpy(slot + start, <char *>plaintext, n)
        record = record_seal(&self.eng, &self.t, kind, slot + start, &n)
        if record == NULL:
            raise ValueError("this key is spent")
        return (<char *>record)[:n]

    def open(self, bytes record):
        cdef uint8_t slot[SLOT]
        cdef size_t n = len(record)
        cdef uint8_t *plain = NULL
        cdef int kind, alert
        if n < RECORD_HEADER or n > SLOT:
            raise ValueError("no record")
        memcpy(slot, <char *>record, n)
        kind = slot[0]
        n -= RECORD_HEADER
        alert = record_open(&self.eng, NULL, &self.t, slot, &kind, &plain, &n)
        if alert:
            return alert, None
        return 0, (kind, (<char *>plain)[:n])
