# tcpface - what Python sees of tlswrapper-tcp. Types and docstrings: bearwrap/_bear.pyi.

def parse_ahosts(bytes answer):
    cdef Targets found
    targets_parse(&found, answer, len(answer))
    return [found.list[i].ip for i in range(found.count)]

def make_proxy(bytes remote_ip, bytes remote_port, bytes local_ip, bytes local_port):
    cdef Addresses a
    cdef char line[128]
    addresses_unknown(&a)
    if not (ip_normalize(remote_ip, 0, a.remote_ip) and ip_normalize(local_ip, 0, a.local_ip)
            and port_normalize(remote_port, a.remote_port) and port_normalize(local_port, a.local_port)):
        raise ValueError("address or port")
    return line[:proxy_make(&a, line)]

def forward_connection(forwarding, int64_t started_ms):
    cdef Forward f
    cdef int code
    memset(&f, 0, sizeof(Forward))
    f.host = c_text(forwarding.host)
    f.port_text = c_text(forwarding.port)
    f.port = forwarding.port_number
    f.path = c_text(forwarding.path)
    f.where = c_text(forwarding.where)
    f.idle_ms = forwarding.idle_s * 1000
    f.deadline = started_ms + forwarding.connect_s * 1000
    f.proxy_in = forwarding.proxy_in
    f.proxy_out = forwarding.proxy_out
    f.jail.account = c_text(forwarding.jail_account)
    f.jail.directory = c_text(forwarding.jail_directory)
    with nogil:
        code = forward_run(&f, &forward_relay)
        relay_restore(&forward_relay)
    return code
