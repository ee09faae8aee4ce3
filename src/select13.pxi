# select13 - a server's choice for a ClientHello that offers TLS 1.3: suite, group, HelloRetryRequest or not, schemes,
# whether a PSK may be used (RFC 8446 sections 4.1.1 and 4.2). Pure; the hello has passed hello_check.
#
#   select13(&hello, &terms, &choice)       0, or the alert with choice.why; the same function for both ClientHellos:
#                                           terms.retry_group and retry_suite are what the HelloRetryRequest asked for
#   scheme13_for(hello.schemes, key_type, curve, modulus_len)      the scheme that an identity signs with, 0 for none
#   schemes13(schemes)                      bit n: row n of bw_schemes is among them (for `load`)
#   suites13_of(suites, num, out)           1.3's suites for a list of 1.2's, in its order
#   protocol13_choose(protocols, ours)      ALPN
#   record_content_max(limit)               what a record may hold for a peer's record_size_limit
#
# With choice.psk the hello need not have signature schemes: when no PSK is taken then and schemes is 0, the server has
# no certificate that it could show, and ends with handshake_failure.

cdef struct Terms13:
    uint16_t suites[3]          # ours, in our order (suites13_of)
    int suites_num
    uint32_t groups             # bit n: IANA group number n
    bint server_order           # our order of suites, not the client's
    int retry_suite             # of the HelloRetryRequest, 0 before one
    int retry_group

cdef struct Choice13:
    const bw_suite *suite
    const bw_group *group
    Cursor share                # the client's point, of the group's size; p NULL: HelloRetryRequest
    uint32_t schemes            # schemes13 of the client's
    bint psk                    # pre_shared_key may be looked at: psk_dhe_ke is among the modes
    const char *why

cdef int suites13_of(const uint16_t *suites, int num, uint16_t *out) noexcept nogil:
    """A name of -c stands for suites of 1.2 and one of 1.3: those of 1.3, each once; how many (three at most)."""
    cdef int i, j, count = 0
    cdef uint16_t suite
    for i in range(num):
        suite = 0
        for j in range(BW_CIPHERS):
            if bw_ciphers[j].ecdsa == suites[i] or bw_ciphers[j].rsa == suites[i]:
                suite = bw_ciphers[j].tls13
        if suite and not suite_offered(suite, out, count):
            out[count] = suite
            count += 1
    return count

cdef bint lists_u16(Cursor list, uint32_t value) noexcept nogil:
    while list.left:
        if take_uint(&list, 2) == value:
            return True
    return False

cdef const bw_suite *select_suite(ClientHello *h, Terms13 *t) noexcept nogil:
    cdef Cursor theirs = cursor_over(h.suites, h.suites_len)
    cdef uint32_t suite
    cdef int i
    if t.server_order:
        for i in range(t.suites_num):
            if lists_u16(theirs, t.suites[i]):
                return suite13_row(t.suites[i])
        return NULL
    while theirs.left:
        suite = take_uint(&theirs, 2)
        if suite_offered(<int>suite, t.suites, t.suites_num):
            return suite13_row(<int>suite)
    return NULL

cdef Cursor share_of(Cursor shares, int group) noexcept nogil:
    """The client's share of a group; p NULL without."""
    cdef Cursor point
    cdef uint32_t number
    while shares.left:
        number = take_uint(&shares, 2)
        point = take_vector(&shares, 2)
        if <int>number == group:
            return point
    return cursor_over(NULL, 0)

cdef const bw_group *select_group(ClientHello *h, Terms13 *t, Cursor *share) noexcept nogil:
    """The first in our order that has a share, which saves a round trip; else the first that is offered."""
    cdef const bw_group *offered = NULL
    cdef int i
    for i in range(BW_GROUPS):
        if not (t.groups >> bw_groups[i].id) & 1 or not lists_u16(h.groups, bw_groups[i].id):
            continue
        share[0] = share_of(h.shares, bw_groups[i].id)
        if share.p != NULL:
            return &bw_groups[i]
        if offered == NULL:
            offered = &bw_groups[i]
    share[0] = cursor_over(NULL, 0)
    return offered

cdef uint32_t schemes13(Cursor schemes) noexcept nogil:
    cdef uint32_t found = 0, scheme
    cdef int i
    while schemes.left:
        scheme = take_uint(&schemes, 2)
        for i in range(BW_SCHEMES):
            if bw_schemes[i].id == scheme:
                found |= <uint32_t>1 << i
    return found

cdef int scheme13_for(Cursor schemes, int key_type, int curve, size_t modulus_len) noexcept nogil:
    """The first in the peer's order that this key can sign with."""
    cdef const bw_scheme *row
    while schemes.left:
        row = scheme_row(<int>take_uint(&schemes, 2))
        if row != NULL and scheme_fits(row, key_type, curve, modulus_len):
            return row.id
    return 0

cdef bint mode_offered(Cursor modes, uint32_t mode) noexcept nogil:
    while modes.left:
        if take_uint(&modes, 1) == mode:
            return True
    return False

cdef int refuse_choice(Choice13 *c, int alert, const char *why) noexcept nogil:
    c.why = why
    return alert

cdef int select13(ClientHello *h, Terms13 *t, Choice13 *c) noexcept nogil:
    """0 with the choice made (c.share.p NULL: a HelloRetryRequest for c.group is due), or the alert to send."""
    cdef Cursor walk
    memset(c, 0, sizeof(Choice13))
    c.suite = select_suite(h, t)
    if c.suite == NULL:
        return refuse_choice(c, HANDSHAKE_FAILURE, "no common cipher suite of TLS 1.3")
    c.group = select_group(h, t, &c.share)
    if c.group == NULL:                     # a client of psk_ke alone is among them
        return refuse_choice(c, HANDSHAKE_FAILURE, "no common ephemeral group")
    if t.retry_group:
        # section 4.1.2: the one share that was asked for, everything else as it was
        walk = h.shares
        take_uint(&walk, 2)
        take_vector(&walk, 2)
        if c.group.id != t.retry_group or c.share.p == NULL or walk.left or c.suite.id != t.retry_suite:
            return refuse_choice(c, ILLEGAL_PARAMETER, "second ClientHello does not fit the HelloRetryRequest")
        if h.early_data:
            return refuse_choice(c, ILLEGAL_PARAMETER, "early_data in the second ClientHello")
    if c.share.p != NULL and c.share.left != c.group.point_len:
        return refuse_choice(c, ILLEGAL_PARAMETER, "key_share of a wrong size")
    c.schemes = schemes13(h.schemes)
    c.psk = h.identities.p != NULL and mode_offered(h.psk_modes, 1)
    if c.schemes == 0 and not c.psk:
        return refuse_choice(c, HANDSHAKE_FAILURE, "no common signature scheme")
    return 0

cdef Cursor protocol13_choose(Cursor protocols, Cursor ours) noexcept nogil:
    """The first of ours (vectors with a length of one byte) that the client names; p NULL for none."""
    cdef Cursor one
    while ours.left:
        one = take_vector(&ours, 1)
        if protocol_offered(protocols, one):
            return one
    return cursor_over(NULL, 0)

cdef size_t record_content_max(uint32_t limit) noexcept nogil:
    """Bytes of content: the limit counts the type, more than TLS has means nothing (RFC 8449 section 4); 0: no limit."""
    if limit == 0 or limit > INNER_MAX:
        return PLAINTEXT_MAX
    return limit - 1
