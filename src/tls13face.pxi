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

    def __cinit__(self, int suite, secret, bint quick=True):
        cdef _Span s = _Span(secret)
        cdef const bw_suite *row = suite13_row(suite)
        if row == NULL or s.n != <Py_ssize_t>hash_size(row.prf_id):
            raise ValueError("a suite of TLS 1.3 and a secret of its hash's size")
        bw_primitives_init()
        records_engine(&self.eng)
        if not quick:
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
        cdef size_t most, start = record_start(&self.eng, &self.t, SLOT, &most)
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

cdef object cursor_bytes(Cursor c):
    return None if c.p == NULL else (<const char *>c.p)[:c.left]

def client_hello13(body):
    cdef ClientHello h
    cdef _Span span = _Span(body)
    cdef int alert = hello_check(span.p, span.n, &h, TLS13)
    if alert:
        return alert, None
    return 0, {
        "tls13": bool(h.tls13), "session": cursor_bytes(h.session), "suites": some(h.suites, h.suites_len),
        "groups": cursor_bytes(h.groups), "schemes": cursor_bytes(h.schemes),
        "schemes_cert": cursor_bytes(h.schemes_cert), "protocols": cursor_bytes(h.protocols),
        "shares": cursor_bytes(h.shares), "psk_modes": cursor_bytes(h.psk_modes),
        "identities": cursor_bytes(h.identities), "binders": cursor_bytes(h.binders), "truncated": h.truncated,
        "cookie": cursor_bytes(h.cookie), "authorities": cursor_bytes(h.authorities),
        "record_limit": h.record_limit, "early_data": bool(h.early_data),
        "post_handshake_auth": bool(h.post_handshake_auth),
    }

# ---- messages ----

cdef object written(Writer *w):
    if w.full:
        raise ValueError("does not fit")
    return some(w.start, w.n)

cdef Cursor span_cursor(_Span span):
    return cursor_over(NULL, 0) if span is None else cursor_over(span.p, span.n)

def build13(bytes what, parts):
    cdef uint8_t buffer[70000]
    cdef Writer w = writer_over(buffer, sizeof(buffer))
    cdef br_x509_certificate chain[CHAIN_MAX]
    cdef br_x509_trust_anchor anchors[CHAIN_MAX]
    cdef int i
    cdef _Span a, b
    cdef list spans = []
    if what == b"server hello":
        a, b = _Span(parts["random"]), _Span(parts["session"])
        spans = [None if parts["point"] is None else _Span(parts["point"])]
        build13_server_hello(&w, a.p, span_cursor(b), parts["suite"], parts["group"],
                             span_cursor(spans[0]).p, parts["point_len"], parts["psk"])
    elif what == b"retry":
        a = _Span(parts["session"])
        build13_retry(&w, span_cursor(a), parts["suite"], parts["group"])
    elif what == b"encrypted extensions":
        a = None if parts["protocol"] is None else _Span(parts["protocol"])
        build13_encrypted_extensions(&w, parts["sni"], span_cursor(a), parts["limit"])
    elif what == b"certificate request" or what == b"certificate":
        spans = [_Span(one) for one in parts["items"]]
        if len(spans) > CHAIN_MAX:
            raise ValueError("too many")
        for i in range(len(spans)):
            a = spans[i]
            chain[i].data = anchors[i].dn.data = a.p
            chain[i].data_len = anchors[i].dn.len = a.n
        if what == b"certificate":
            build13_certificate(&w, chain, len(spans), cursor_over(NULL, 0))
        else:
            build13_certificate_request(&w, anchors, len(spans))
    elif what == b"certificate verify":
        a = _Span(parts["signature"])
        build13_certificate_verify(&w, parts["scheme"], a.p, a.n)
    elif what == b"finished":
        a = _Span(parts["data"])
        build13_finished(&w, a.p, a.n)
    elif what == b"ticket":
        a, b = _Span(parts["nonce"]), _Span(parts["ticket"])
        build13_ticket(&w, parts["lifetime"], parts["age_add"], a.p, a.n, b.p, b.n)
    elif what == b"key update":
        build13_key_update(&w, parts["requested"])
    else:
        raise ValueError("no such message")
    return written(&w)

def verify13(bint is_server, digest):
    cdef _Span d = _Span(digest)
    cdef uint8_t out[VERIFY_CONTENT_MAX]
    if d.n > SECRET_MAX:
        raise ValueError("a digest")
    return some(out, verify13_content(is_server, d.p, d.n, out))

cdef class Offer13:
    """What a client offered, and a judge of what the server says to it."""

    cdef Offered13 o
    cdef uint16_t suites[8]
    cdef object kept

    def __cinit__(self, bytes session, suites, uint32_t groups, uint32_t shares, int psks=0, bint sni=False,
                  bytes protocols=None, bint record_limit=False, tuple retried=None):
        memset(&self.o, 0, sizeof(self.o))
        self.kept = session, protocols
        self.o.session = session
        self.o.session_len = len(session)
        if len(suites) > 8:
            raise ValueError("too many suites")
        for i, suite in enumerate(suites):
            self.suites[i] = suite
        self.o.suites = self.suites
        self.o.suites_num = len(suites)
        self.o.groups = groups
        self.o.shares = shares
        self.o.psks = psks
        self.o.sni = sni
        if protocols is not None:
            self.o.protocols = cursor_over(protocols, len(protocols))
        self.o.record_limit = record_limit
        if retried is not None:
            self.o.retried = True
            self.o.retry_suite, self.o.retry_group = retried

    def server_hello(self, body):
        cdef _Span span = _Span(body)
        cdef ServerHello13 h
        cdef int alert
        if not server_hello13_is(span.p, span.n):
            return 0, None
        alert = server_hello13_check(span.p, span.n, &self.o, &h)
        if alert:
            return alert, h.why
        return 0, (bool(h.retry), h.suite, h.group, cursor_bytes(h.share), cursor_bytes(h.cookie), h.psk)

    def encrypted_extensions(self, body):
        cdef _Span span = _Span(body)
        cdef EncryptedExtensions x
        cdef int alert = encrypted_extensions_check(span.p, span.n, &self.o, &x)
        if alert:
            return alert, x.why
        return 0, (cursor_bytes(x.protocol), x.record_limit)

def check13(int kind, body, bint from_server=True, int size=32):
    cdef _Span span = _Span(body)
    cdef Cursor context, found
    cdef CertificateRequest13 request
    cdef Ticket13 ticket
    cdef int alert, number = 0
    cdef bint flag = False
    cdef uint8_t *list
    if kind == MSG_CERTIFICATE:
        alert = certificate13_check(span.p, span.n, from_server, &context, &found, &number)
        if alert:
            return alert, None
        list = <uint8_t *>malloc(found.left + 1)
        if list == NULL:
            raise MemoryError
        try:
            return 0, (number, some(list, certificate13_list(found, list)))
        finally:
            free(list)
    if kind == MSG_CERTIFICATE_REQUEST:
        alert = certificate_request13_check(span.p, span.n, &request)
        return alert, None if alert else (cursor_bytes(request.schemes), cursor_bytes(request.authorities))
    if kind == MSG_CERTIFICATE_VERIFY:
        alert = certificate_verify13_check(span.p, span.n, &number, &found)
        return alert, None if alert else (number, cursor_bytes(found))
    if kind == MSG_FINISHED:
        return finished13_check(span.p, span.n, size), None
    if kind == MSG_TICKET:
        alert = ticket13_check(span.p, span.n, &ticket)
        return alert, None if alert else (ticket.lifetime, ticket.age_add, cursor_bytes(ticket.nonce),
                                          cursor_bytes(ticket.ticket))
    if kind == MSG_KEY_UPDATE:
        alert = key_update13_check(span.p, span.n, &flag)
        return alert, None if alert else bool(flag)
    raise ValueError("no such message")

# ---- choice ----

def suites13(suites):
    cdef uint16_t ours[64]
    cdef uint16_t out[3]
    cdef int i, num = len(suites)
    if num > 64:
        raise ValueError("too many suites")
    for i in range(num):
        ours[i] = suites[i]
    return [out[i] for i in range(suites13_of(ours, num, out))]

def choose13(body, suites, uint32_t groups, bint server_order, tuple retry=None):
    cdef ClientHello h
    cdef Terms13 t
    cdef Choice13 c
    cdef _Span span = _Span(body)
    cdef int alert = hello_check(span.p, span.n, &h, TLS13)
    if alert or not h.tls13 or len(suites) > 3:
        raise ValueError("no good hello for TLS 1.3")
    memset(&t, 0, sizeof(t))
    for i, suite in enumerate(suites):
        t.suites[i] = suite
    t.suites_num = len(suites)
    t.groups = groups
    t.server_order = server_order
    if retry is not None:
        t.retry_suite, t.retry_group = retry
    alert = select13(&h, &t, &c)
    if alert:
        return alert, c.why
    return 0, (c.suite.id, c.group.id, cursor_bytes(c.share), c.schemes, bool(c.psk))

def scheme13(schemes, int key_type, int curve=0, size_t modulus_len=256):
    cdef _Span span = _Span(schemes)
    return scheme13_for(cursor_over(span.p, span.n), key_type, curve, modulus_len)

def protocol13(bytes protocols, bytes ours):
    return cursor_bytes(protocol13_choose(cursor_over(protocols, len(protocols)), cursor_over(ours, len(ours))))

def record_content(uint32_t limit):
    return record_content_max(limit)

# ---- ticket keys ----

def tickets_turned(int turns):
    cdef br_ssl_engine_context e
    cdef br_hmac_drbg_context rng
    cdef TicketState s, found
    cdef uint8_t ticket[TICKET_BYTES]
    cdef int i
    memset(&e, 0, sizeof(e))
    memset(&s, 0, sizeof(s))
    records_engine(&e)
    br_hmac_drbg_init(&rng, &br_sha256_vtable, b"seed", 4)
    if not tickets_map():
        raise OSError(errno, "")
    try:
        made = []
        for i in range(turns):
            if not tickets_rotate() or ticket_seal(&e, tickets_page, &rng, &s, ticket) != TICKET_BYTES:
                raise OSError(errno, "")
            made.append(ticket[:TICKET_BYTES])
        return [(one[:TICKET_NAME], bool(ticket_open(&e, tickets_page, one, TICKET_BYTES, &found))) for one in made]
    finally:
        tickets_unmap()
