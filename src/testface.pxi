# testface - what tests and benchmarks see beyond the programs: decisions value in, value out, and key alone.
#
# The native programs are built without it, since each name costs their start (build-aux/native.py).

def audit_tables():
    return {
        "suites": [(bw_suites[i].id, bw_suites[i].openssl_name, bw_suites[i].log_name, bw_suites[i].exchange,
                    bw_suites[i].key_type) for i in range(BW_SUITES)],
        "suites13": [(bw_suites13[i].id, bw_suites13[i].openssl_name, bw_suites13[i].log_name)
                     for i in range(BW_SUITES13)],
        "ciphers13": [(bw_ciphers[i].name, bw_ciphers[i].tls13) for i in range(BW_CIPHERS) if bw_ciphers[i].tls13],
        "schemes": [(bw_schemes[i].name, bw_schemes[i].id, bw_schemes[i].key_type, bw_schemes[i].curve,
                     bw_schemes[i].hash_id) for i in range(BW_SCHEMES)],
        "alerts": [(bw_alerts[i].id, bw_alerts[i].name) for i in range(BW_ALERTS)],
        "errors": [(bw_errors[i].error, bw_errors[i].alert, bw_errors[i].symbol, bw_errors[i].text)
                   for i in range(BW_ERRORS)],
        "operations": [(bw_ops[i].op, bw_ops[i].name, bw_ops[i].request_min, bw_ops[i].request_max, bw_ops[i].after,
                        bw_ops[i].then, bool(bw_ops[i].replies), bw_ops[i].doc) for i in range(BW_OPS)],
    }

def check_client_hello(body, int version_max=0x0303):
    cdef ClientHello h
    cdef _Span span = _Span(body)
    cdef int alert = hello_check(span.p, span.n, &h, version_max)
    if alert:
        return alert, h.why
    return 0, None if h.sni == NULL else (<const char *>h.sni)[:h.sni_len]

def check_server_hello(body, int version_min, int version_max, bint sni_sent, suites):
    cdef ServerHello h
    cdef _Span span = _Span(body)
    cdef uint16_t offered[256]
    cdef int i, alert, num = len(suites)
    if num > 256:
        raise ValueError("more than 256 suites")
    for i, suite in enumerate(suites):
        offered[i] = suite
    alert = server_hello_check(span.p, span.n, &h, version_min, version_max, sni_sent, offered, num)
    if alert:
        return alert, h.why
    return 0, (h.version, (<const char *>h.random)[:32], h.suite)

def check_server_message(int kind, body, int version, int suite):
    cdef _Span span = _Span(body)
    return server_message_check(kind, span.p, span.n, version, suite)

def candidate_names(bytes name):
    cdef char out[NAMES_MAX][NAME_MAX]
    cdef int i, n = name_candidates(name, len(name), out)
    return [<bytes>out[i] for i in range(n)]

def parse_proxy(bytes line):
    cdef Addresses a
    cdef const char *bad = proxy_parse(line, len(line), &a)
    if bad != NULL:
        raise ValueError((<bytes>bad).decode() or "proxy-protocol string")
    return a.remote_ip, a.remote_port, a.local_ip, a.local_port

def parse_ip(bytes text):
    cdef uint8_t ip[16]
    cdef size_t n = ip_literal(text, ip)
    return None if n == 0 or strlen(text) != <size_t>len(text) else (<char *>ip)[:n]

def names_ip(bytes certificate, bytes address):
    if len(address) != 4 and len(address) != 16:
        raise ValueError("an address of 4 or 16 bytes")
    return altname_has_ip(certificate, len(certificate), address, len(address))

cdef tuple anchor_facts(const br_x509_trust_anchor *anchor):
    cdef const br_x509_pkey *key = &anchor.pkey
    subject = (<char *>anchor.dn.data)[:anchor.dn.len]
    if key.key_type == BR_KEYTYPE_RSA:
        public = (<char *>key.key.rsa.n)[:key.key.rsa.nlen], (<char *>key.key.rsa.e)[:key.key.rsa.elen]
    else:
        public = key.key.ec.curve, (<char *>key.key.ec.q)[:key.key.ec.qlen]
    return subject, key.key_type, bool(anchor.flags & BR_X509_TA_CA), public

cdef void append_subject(void *ctx, const void *buf, size_t n) noexcept nogil:
    """For br_x509_decoder: the name's bytes follow each other."""
    cdef br_x500_name *name = <br_x500_name *>ctx
    memcpy(name.data + name.len, buf, n)
    name.len += n

def read_certificate(bytes der, bint reference=False):
    cdef Anchors a
    cdef br_x509_decoder_context decoder
    cdef size_t n = len(der)
    cdef int err = 0
    if not anchors_room(&a, 1, n + 1):
        raise MemoryError
    try:
        memcpy(a.der, <const char *>der, n)
        if not reference:
            err = anchors_add(&a, n)
        else:
            a.list[0].dn.data = a.der
            a.list[0].dn.len = 0
            br_x509_decoder_init(&decoder, append_subject, &a.list[0].dn)
            br_x509_decoder_push(&decoder, <const char *>der, n)
            err = br_x509_decoder_last_error(&decoder)
            if err == 0:
                a.list[0].pkey = br_x509_decoder_get_pkey(&decoder)[0]
                a.list[0].flags = BR_X509_TA_CA if br_x509_decoder_isCA(&decoder) else 0
        if err:
            raise ValueError((<bytes>error_row(err).text).decode())
        return anchor_facts(&a.list[0])
    finally:
        anchors_free(&a)

def trust_anchors(bytes directory, bytes file):
    cdef Trust t
    cdef int fault, i
    fault = trust_read(&t, c_text(directory), c_text(file))
    if fault:
        raise OSError(fault, "unable to read trust anchors")
    fault = trust_parse(&t)
    try:
        if fault == TRUST_NONE:
            raise ValueError("no trust anchor found")
        if fault == TRUST_UNFINISHED:
            raise ValueError("malformed or unfinished")
        if fault:
            raise ValueError((<bytes>error_row(t.error).text).decode())
        return [anchor_facts(&t.anchors.list[i]) for i in range(t.anchors.num)]
    finally:
        trust_free(&t)

def time_trust(bytes directory, bytes file):
    cdef Trust t
    cdef timespec start, read, end
    clock_gettime(CLOCK_MONOTONIC, &start)
    cdef int fault = trust_read(&t, c_text(directory), c_text(file))
    clock_gettime(CLOCK_MONOTONIC, &read)
    if fault == 0:
        fault = trust_parse(&t)
    clock_gettime(CLOCK_MONOTONIC, &end)
    trust_free(&t)
    if fault:
        raise ValueError("no trust anchors")
    return ((read.tv_sec - start.tv_sec) * 1000000000 + read.tv_nsec - start.tv_nsec,
            (end.tv_sec - read.tv_sec) * 1000000000 + end.tv_nsec - read.tv_nsec)

def parse_pem(bytes text, bint certificates=False):
    cdef Pem pem
    cdef PemObject o
    cdef int fault
    cdef uint8_t *der = <uint8_t *>malloc(len(text) + 4)
    if der == NULL:
        raise MemoryError
    found = []
    try:
        pem.p = text
        pem.end = pem.p + len(text)
        while True:
            fault = pem_object(&pem, der, len(text) + 4, &o, certificates)
            if fault == PEM_END:
                return found
            if fault != PEM_OK:
                raise ValueError("malformed" if fault == PEM_MALFORMED else "unfinished")
            found.append((o.kind, bytearray((<char *>o.der)[:o.len])))
    finally:
        explicit_bzero(der, len(text) + 4)
        free(der)

def escape_log(bytes text):
    cdef Line l
    l.len = 0
    line_escaped(&l, text, len(text), LOG_LINE_MAX - 160)
    return l.text[:l.len]

cdef class Records:
    """Record protection of TLS 1.0 to 1.2 in this process: what key does, for tests and benchmarks."""

    cdef br_ssl_engine_context eng
    cdef Traffic none                       # never begun
    cdef const bw_suite *suite

    def __cinit__(self, int version, int suite, master, client_random, server_random, bint is_client,
                  bint quick=True):
        cdef _Span secret = _Span(master)
        cdef _Span client = _Span(client_random)
        cdef _Span server = _Span(server_random)
        if secret.n != 48 or client.n != 32 or server.n != 32:
            raise ValueError("master secret of 48 bytes and randoms of 32 bytes")
        self.suite = suite_row(suite)
        if self.suite == NULL or version_row(version) == NULL or version > BR_TLS12:
            raise ValueError("unknown suite or version")
        bw_primitives_init()
        records_engine(&self.eng)
        if not quick:
            br_ssl_engine_set_default_chapol(&self.eng)
        self.eng.session.version = version
        memcpy(self.eng.session.master_secret, secret.p, 48)
        memcpy(self.eng.client_random, client.p, 32)
        memcpy(self.eng.server_random, server.p, 32)
        records_switch(&self.eng, self.suite, is_client)

    def __dealloc__(self):
        explicit_bzero(&self.eng, sizeof(self.eng))

    def seal(self, int kind, bytes plaintext):
        cdef uint8_t slot[SLOT]
        cdef size_t most, start = record_start(&self.eng, &self.none, SLOT, &most), n = len(plaintext)
        cdef uint8_t *record
        if n > most:
            raise ValueError("plaintext of more than %d bytes" % most)
        memcpy(slot + start, <char *>plaintext, n)
        record = record_seal(&self.eng, &self.none, kind, slot + start, &n)
        return (<char *>record)[:n]

    def open(self, bytes record):
        cdef uint8_t slot[SLOT]
        cdef size_t n = len(record)
        cdef uint8_t *plain = NULL
        cdef int alert, kind
        if n < RECORD_HEADER or n > SLOT:
            raise ValueError("no record")
        memcpy(slot, <char *>record, n)
        kind = slot[0]
        n -= RECORD_HEADER
        alert = record_open(&self.eng, self.suite, &self.none, slot, &kind, &plain, &n)
        if alert:
            n = len(record) - RECORD_HEADER
            if not self.eng.in_.vtable.check_length(<const br_sslrec_in_class *const *>&self.eng.in_.vtable, n) \
                    or not whole_blocks(self.suite, n):
                raise ValueError("bad length")
            raise ValueError("bad MAC")
        return (<char *>plain)[:n]

def limit_system_calls(bint is_net):
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    limit_calls(BW_NET if is_net else BW_KEY)

def system_calls():
    return [(bw_calls[i].who, bw_calls[i].argument, bw_calls[i].number, bw_calls[i].mask, bw_calls[i].value)
            for i in range(BW_CALLS)]

def system_call_filter(calls, int who):
    cdef bw_call rows[BW_CALLS]
    cdef Filter f
    cdef int i
    if len(calls) > BW_CALLS:
        raise ValueError("more calls than the table has")
    for i in range(len(calls)):
        rows[i].who, rows[i].argument, rows[i].number, rows[i].mask, rows[i].value = calls[i]
    filter_make(&f, rows, len(calls), who)
    return [(f.steps[i].code, f.steps[i].jt, f.steps[i].jf, f.steps[i].k) for i in range(f.at, BW_FILTER_MAX)]

def ring_bytes():
    return 2 * (PAGE + RING_SIZE)

def serve_key(settings, int port, int go, ring, int wake_net, int wake_key, int prog_in, int prog_out):
    cdef Config config
    cdef _Span span = _Span(ring, True)
    if span.n != 2 * (PAGE + RING_SIZE) or <size_t>span.p % PAGE:
        raise ValueError("a ring is a page-aligned mapping of ring_bytes() bytes")
    config_read(settings, &config)
    with nogil:
        key_main(&config, port, go, span.p, wake_net, wake_key, prog_in, prog_out)

def serve_client_key(outgoing, int port, int go, ring, int wake_net, int wake_key, int prog_in, int prog_out):
    cdef Config config
    cdef ClientConfig client
    cdef _Span span = _Span(ring, True)
    if span.n != 2 * (PAGE + RING_SIZE) or <size_t>span.p % PAGE:
        raise ValueError("a ring is a page-aligned mapping of ring_bytes() bytes")
    client_read(outgoing, &config, &client)
    with nogil:
        key_main(&config, port, go, span.p, wake_net, wake_key, prog_in, prog_out)
