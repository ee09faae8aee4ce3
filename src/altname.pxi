# altname - IP addresses as names of a server: literals, and a certificate's iPAddress entries (RFC 5280 section
# 4.2.1.6, RFC 6125 section 1.7.2), which BearSSL's X.509 engine does not look at.

cdef size_t ip_literal(const char *text, uint8_t *ip) noexcept nogil:
    """4 or 16 when the text is a literal IPv4 or IPv6 address, which goes to ip in network order; else 0.

    inet_pton(3) takes no short forms, no leading zeros in a dotted quad and no zone. Brackets may be round IPv6 alone
    (RFC 3986 section 3.2.2).
    """
    cdef char inner[IP_MAX]
    cdef size_t n = strlen(text)
    if n >= 2 and text[0] == c'[' and text[n - 1] == c']':
        n -= 2
        if n >= IP_MAX:
            return 0
        memcpy(inner, text + 1, n)
        inner[n] = 0
        return 16 if inet_pton(AF_INET6, inner, ip) == 1 else 0
    if inet_pton(AF_INET, text, ip) == 1:
        return 4
    return 16 if inet_pton(AF_INET6, text, ip) == 1 else 0

cdef bint general_names_have_ip(Cursor list, const uint8_t *ip, size_t ip_len) noexcept nogil:
    """Whether GeneralNames, well-formed to the last entry, hold the address."""
    cdef Cursor names = der_take(&list, DER_SEQUENCE)
    cdef Cursor name
    cdef uint32_t tag
    cdef bint found = False
    if list.bad or list.left or names.left == 0:
        return False
    while names.left:
        tag = take_uint(&names, 1)
        name = der_content(&names, True)
        # otherName, x400Address, directoryName and ediPartyName are constructed, the others are not
        if tag != 0xA0 and not 0x81 <= tag <= 0x82 and not 0xA3 <= tag <= 0xA5 and not 0x86 <= tag <= 0x88:
            return False
        if names.bad:
            return False
        if tag == 0x87:
            if name.left != 4 and name.left != 16:
                return False
            if name.left == ip_len and memcmp(name.p, ip, ip_len) == 0:
                found = True
    return found

cdef bint altname_has_ip(const uint8_t *der, size_t n, const uint8_t *ip, size_t ip_len) noexcept nogil:
    """Whether a certificate's subjectAltName names an IP address of 4 or 16 bytes, these very bytes.

    An IPv4 address and its mapped IPv6 form are two names (RFC 5280). False for a certificate that is not DER of
    version 3 with well-formed extensions of which none is there twice; the chain itself is BearSSL's to judge.
    """
    cdef Cursor c = cursor_over(der, n)
    cdef Cursor outer, tbs, field, extensions, extension, oid, value
    cdef Cursor names
    cdef bint named = False
    outer = der_take(&c, DER_SEQUENCE)
    tbs = der_take(&outer, DER_SEQUENCE)
    der_take(&outer, DER_SEQUENCE)                  # signatureAlgorithm
    der_take(&outer, DER_BIT_STRING)                # signature
    if c.bad or c.left or outer.bad or outer.left:
        return False
    field = der_take(&tbs, 0xA0)                    # version
    value = der_take(&field, DER_INTEGER)
    if field.left or not der_equals(&value, b"\x02", 1):
        return False
    der_take(&tbs, DER_INTEGER)                     # serialNumber
    der_take(&tbs, DER_SEQUENCE)                    # signature
    der_take(&tbs, DER_SEQUENCE)                    # issuer
    der_take(&tbs, DER_SEQUENCE)                    # validity
    der_take(&tbs, DER_SEQUENCE)                    # subject
    der_take(&tbs, DER_SEQUENCE)                    # subjectPublicKeyInfo
    if der_at(&tbs, 0x81):                          # issuerUniqueID
        der_take(&tbs, 0x81)
    if der_at(&tbs, 0x82):                          # subjectUniqueID
        der_take(&tbs, 0x82)
    field = der_take(&tbs, 0xA3)
    extensions = der_take(&field, DER_SEQUENCE)
    if tbs.bad or tbs.left or field.bad or field.left:
        return False
    while extensions.left:
        extension = der_take(&extensions, DER_SEQUENCE)
        oid = der_take(&extension, DER_OID)
        if der_at(&extension, DER_BOOLEAN):
            value = der_take(&extension, DER_BOOLEAN)
            # FALSE is the default and not to be written, but it is in real certificates
            if value.left != 1 or (value.p[0] != 0 and value.p[0] != 0xFF):
                return False
        value = der_take(&extension, DER_OCTET_STRING)
        if extensions.bad or extension.bad or extension.left or oid.left == 0:
            return False
        if der_equals(&oid, b"\x55\x1d\x11", 3):     # subjectAltName
            if named:
                return False
            named = True
            names = value
    return named and general_names_have_ip(names, ip, ip_len)
