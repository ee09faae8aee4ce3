# serveface - what Python sees of the listener. Types and docstrings: bearwrap/_bear.pyi.

def listen_socket(bytes host, int port, int backlog):
    cdef int fd = listen_open(host, port, backlog)
    if fd < 0:
        raise OSError(errno, "")
    return fd

def serve(settings):
    cdef Config config
    cdef Supervisor s
    cdef char **argv = config_read(settings.wrapper, &config)
    cdef int i, code
    memset(&s, 0, sizeof(s))
    config.listening = True
    config.accounts = settings.accounts
    config.json = settings.json
    s.config = &config
    s.listeners_num = len(settings.listeners)
    if not 0 < s.listeners_num <= LISTENERS_MAX:
        raise ValueError("listeners")
    for i, fd in enumerate(settings.listeners):
        s.listeners[i] = fd
    s.status = settings.status
    s.log_file = c_text(settings.log_file)
    s.most = settings.most
    s.most_waiting = settings.most_waiting
    s.most_per_address = settings.most_per_address
    s.spare = settings.spare
    s.drain_ms = settings.drain_s * 1000
    s.watchdog_ms = settings.watchdog_ms
    with nogil:
        code = serve_run(&s)
    free(argv)
    return code
