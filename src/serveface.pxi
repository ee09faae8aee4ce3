# serveface - what Python sees of the listener. Types and docstrings: bearwrap/_bear.pyi.

def listen_socket(bytes host, int port, int backlog):
    cdef int fd = listen_open(host, port, backlog)
    if fd < 0:
        raise OSError(errno, "")
    return fd

def remove_socket(bytes path, uint64_t device, uint64_t inode):
    cdef SocketPath s
    s.path = path
    s.device = device
    s.inode = inode
    socket_remove(&s)

def serve(listening):
    cdef Config config
    cdef Listening l
    cdef char **argv = config_read(listening.wrapper, &config)
    cdef int i, code
    memset(&l, 0, sizeof(l))
    config.listening = True
    config.accounts = listening.accounts
    config.json = listening.json
    l.listeners_num = len(listening.listeners)
    l.sockets_num = len(listening.sockets)
    if not 0 < l.listeners_num <= LISTENERS_MAX or l.sockets_num > SOCKETS_MAX:
        raise ValueError("listeners")
    for i, fd in enumerate(listening.listeners):
        l.listeners[i] = fd
    for i, (path, device, inode) in enumerate(listening.sockets):
        l.sockets[i].path = c_text(path)
        l.sockets[i].device = device
        l.sockets[i].inode = inode
    l.status = listening.status
    l.log_file = c_text(listening.log_file)
    l.most = listening.most
    l.most_waiting = listening.most_waiting
    l.most_per_address = listening.most_per_address
    l.spare = listening.spare
    l.drain_ms = listening.drain_s * 1000
    l.watchdog_ms = listening.watchdog_ms
    with nogil:
        if program_argc and not serve_again(&config, &l):
            log_fatal("unable to start the listener", errno)
            code = 111
        else:
            code = serve_run(&config, &l)
    free(argv)
    return code
