# address - who talks to whom: from PROXY v1, the environment or the socket; always as text (spec section 4).

cdef enum:
    IP_MAX = 48         # INET6_ADDRSTRLEN is 46

cdef struct Addresses:
    char remote_ip[48]
    char remote_port[6]
    char local_ip[48]
    char local_port[6]

cdef void addresses_unknown(Addresses *a) noexcept nogil:
    memset(a, 0, sizeof(Addresses))
    strcpy(a.remote_ip, "::")
    strcpy(a.local_ip, "::")
    strcpy(a.remote_port, "0")
    strcpy(a.local_port, "0")

cdef size_t put_decimal(char *p, unsigned int v) noexcept nogil:
    """A number's digits and a NUL; how many digits. printf would fault in a dozen pages that nothing else needs."""
    cdef size_t n = 1, i
    cdef unsigned int rest = v
    while rest >= 10:
        rest //= 10
        n += 1
    for i in range(n, 0, -1):
        p[i - 1] = <char>(c'0' + v % 10)
        v //= 10
    p[n] = 0
    return n

cdef void ipv4_text(const uint8_t *raw, char *out) noexcept nogil:
    """What inet_ntop(3) makes of an IPv4 address, without printf."""
    cdef int i
    for i in range(4):
        out += put_decimal(out, raw[i])
        out[0] = c'.' if i < 3 else 0
        out += 1

cdef bint ip_normalize(const char *text, int family, char *out) noexcept nogil:
    """Text of an address to its canonical text; a v4-mapped IPv6 address becomes IPv4. family 0: either."""
    cdef uint8_t raw[16]
    cdef uint8_t mapped[12]
    if family != AF_INET6 and inet_pton(AF_INET, text, raw) == 1:
        ipv4_text(raw, out)
        return True
    if family != AF_INET and inet_pton(AF_INET6, text, raw) == 1:
        memset(mapped, 0, 10)
        mapped[10] = mapped[11] = 255
        if memcmp(raw, mapped, 12) == 0:
            ipv4_text(raw + 12, out)
            return True
        return inet_ntop(AF_INET6, raw, out, IP_MAX) != NULL
    return False

cdef bint port_normalize(const char *text, char *out) noexcept nogil:
    """A decimal port 0 to 65535 without leading zeros."""
    cdef size_t i, n = strlen(text)
    cdef unsigned int v = 0
    if n == 0 or n > 5 or (text[0] == c'0' and n > 1):
        return False
    for i in range(n):
        if text[i] < c'0' or text[i] > c'9':
            return False
        v = v * 10 + <unsigned int>(text[i] - c'0')
    if v > 65535:
        return False
    memcpy(out, text, n + 1)
    return True

cdef bint addresses_from_environment(Addresses *a) noexcept nogil:
    """All four variables must parse, or none counts."""
    cdef const char *li = getenv("TCPLOCALIP")
    cdef const char *lp = getenv("TCPLOCALPORT")
    cdef const char *ri = getenv("TCPREMOTEIP")
    cdef const char *rp = getenv("TCPREMOTEPORT")
    if li == NULL or lp == NULL or ri == NULL or rp == NULL:
        return False
    return (ip_normalize(li, 0, a.local_ip) and port_normalize(lp, a.local_port)
            and ip_normalize(ri, 0, a.remote_ip) and port_normalize(rp, a.remote_port))

cdef bint sockaddr_text(sockaddr_storage *sa, char *ip, char *port) noexcept nogil:
    cdef char text[48]
    if sa.ss_family == AF_INET:
        ipv4_text(<const uint8_t *>&(<sockaddr_in *>sa).sin_addr, text)
        put_decimal(port, ntohs((<sockaddr_in *>sa).sin_port))
    elif sa.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &(<sockaddr_in6 *>sa).sin6_addr, text, IP_MAX)
        put_decimal(port, ntohs((<sockaddr_in6 *>sa).sin6_port))
    else:
        return False
    return ip_normalize(text, 0, ip)

cdef bint addresses_from_socket(Addresses *a, int fd) noexcept nogil:
    cdef sockaddr_storage sa
    cdef socklen_t n = sizeof(sockaddr_storage)
    if getpeername(fd, <sockaddr *>&sa, &n) < 0 or not sockaddr_text(&sa, a.remote_ip, a.remote_port):
        return False
    n = sizeof(sockaddr_storage)
    return getsockname(fd, <sockaddr *>&sa, &n) == 0 and sockaddr_text(&sa, a.local_ip, a.local_port)

cdef bint addresses_find(Addresses *a, int fd) noexcept nogil:
    """From the environment, else from the socket; unknown ones, and False, when neither tells."""
    if addresses_from_environment(a) or addresses_from_socket(a, fd):
        return True
    addresses_unknown(a)
    return False

cdef const char *proxy_field(int i) noexcept nogil:
    if i == 0: return "remoteip"
    if i == 1: return "localip"
    return "remoteport" if i == 2 else "localport"

cdef const char *proxy_parse(const char *line, size_t n, Addresses *a) noexcept nogil:
    """Parse a PROXY v1 line with its LF (HAProxy's PROXY protocol, section 2.1).

    NULL when good. Else what could not be parsed: "" for the line as a whole, or one of remoteip, localip,
    remoteport, localport. `PROXY UNKNOWN` gives the unknown addresses, whatever follows.
    """
    cdef char copy[128]
    cdef char *p
    cdef char *rest
    cdef bint good
    cdef int i, family
    addresses_unknown(a)
    if n == 0 or n > PROXY_MAX or line[n - 1] != c'\n' or memchr(line, 0, n) != NULL:
        return ""
    n -= 1
    if n and line[n - 1] == c'\r':
        n -= 1
    memcpy(copy, line, n)
    copy[n] = 0
    if strncmp(copy, "PROXY UNKNOWN", 13) == 0:
        return NULL
    if strncmp(copy, "PROXY TCP4 ", 11) == 0:
        family = AF_INET
    elif strncmp(copy, "PROXY TCP6 ", 11) == 0:
        family = AF_INET6
    else:
        return ""
    p = copy + 11
    for i in range(4):
        rest = strchr(p, c' ')
        if rest == NULL and i < 3:
            return proxy_field(i)
        if rest != NULL and i < 3:
            rest[0] = 0
        if i == 0:
            good = ip_normalize(p, family, a.remote_ip)
        elif i == 1:
            good = ip_normalize(p, family, a.local_ip)
        elif i == 2:
            good = port_normalize(p, a.remote_port)
        else:
            good = port_normalize(p, a.local_port)
        if not good:
            return proxy_field(i)
        p = rest + 1
    return NULL
