# serveface - what Python sees of the listener. Types and docstrings: bearwrap/_bear.pyi.

def listen_socket(bytes host, int port, int backlog):
    cdef int fd = listen_open(host, port, backlog)
    if fd < 0:
        raise OSError(errno, "")
    return fd

def serve(listening):
    cdef Config config
    cdef Supervisor s
    cdef char **argv = config_read(listening.wrapper, &config)
    cdef int i, code
    memset(&s, 0, sizeof(s))
    config.listening = True
    config.accounts = listening.accounts
    config.json = listening.json
    s.config = &config
    s.listeners_num = len(listening.listeners)
    if not 0 < s.listeners_num <= LISTENERS_MAX:
        raise ValueError("listeners")
    for i, fd in enumerate(listening.listeners):
        s.listeners[i] = fd
    s.status = listening.status
    s.log_file = c_text(listening.log_file)
    s.most = listening.most
    s.most_waiting = listening.most_waiting
    s.most_per_address = listening.most_per_address
    s.spare = listening.spare
    s.drain_ms = listening.drain_s * 1000
    s.watchdog_ms = listening.watchdog_ms
    with nogil:
        code = serve_run(&s)
    free(argv)
    return code
