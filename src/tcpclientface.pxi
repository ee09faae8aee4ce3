# tcpclientface - what Python sees of s6-tlsclient. Types and docstrings: bearwrap/_bear.pyi.

cdef object network_failure(int err):
    return OSError(err, "")

cdef Target literal_address(bytes ip) except *:
    cdef Target t
    if not target_parse(&t, ip, len(ip)):
        raise ValueError("no address")
    return t

cdef Question question_of(const char *database, bytes key, bint search, int64_t deadline_ms, Jail *jail):
    """What to ask; as root the resolver has an id of its own, as all of our processes."""
    cdef Question q
    memset(jail, 0, sizeof(Jail))
    q.database = database
    q.key = c_text(key)
    q.search = search
    q.jail = jail if geteuid() == 0 else NULL
    q.deadline = deadline_ms
    q.stop = -1
    return q

def open_standard_descriptors():
    return standard_descriptors(False)

def parse_address(bytes text):
    cdef Target t
    return t.ip if target_parse(&t, text, len(text)) else None

def resolve_host(bytes host, bint search, int64_t deadline_ms):
    cdef Jail jail
    cdef Targets found
    cdef int end
    cdef Question q = question_of("ahosts", host, search, deadline_ms, &jail)
    with nogil:
        end = resolver_addresses(&q, &found)
    if end != RESOLVER_ANSWER:
        raise network_failure(EPERM if end == RESOLVER_NO_JAIL else errno)
    return [found.list[i].ip for i in range(found.count)]

def resolve_address(bytes ip, int64_t deadline_ms):
    cdef char lines[16384]
    cdef const char *name = NULL
    cdef Jail jail
    cdef size_t n
    cdef int end
    cdef Question q = question_of("hosts", ip, True, deadline_ms, &jail)
    with nogil:
        end = resolver_ask(&q, lines, &n)
    n = hostname_parse(lines, n, &name) if end == RESOLVER_ANSWER else 0
    return name[:n] if n else None

def parse_hosts(bytes answer):
    cdef const char *name = NULL
    cdef size_t n = hostname_parse(answer, len(answer), &name)
    return name[:n] if n else None

def tcp_socket(bytes ip):
    cdef Target t = literal_address(ip)
    cdef int fd = socket(t.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        raise network_failure(errno)
    return fd

def tcp_bind(int fd, bytes ip, int port):
    cdef Target t = literal_address(ip)
    cdef sockaddr_storage sa
    cdef socklen_t n = target_address(&t, port, &sa)
    if bind(fd, <sockaddr *>&sa, n) < 0:
        raise network_failure(errno)

def tcp_connect_until(int fd, bytes ip, int port, int64_t deadline_ms):
    cdef Target t = literal_address(ip)
    cdef int err
    with nogil:
        err = tcp_connect(fd, &t, port, deadline_ms)
    if err:
        raise network_failure(err)

def tcp_addresses(int fd):
    cdef Addresses a
    addresses_unknown(&a)
    if not addresses_from_socket(&a, fd):
        raise network_failure(errno)
    return a.remote_ip, a.remote_port, a.local_ip, a.local_port
