# connection - one connection from its descriptors to its exit code: forks, ends of pipes, jail, phases, in order.

cdef struct Pipes:
    int to_prog[2]          # prog's stdin
    int from_prog[2]        # prog's stdout
    int go[2]               # key's word to prog; the same pipe as to_prog but with -n, where net writes there first
    int port[2]             # the key port: net's end, key's end
    int control[2]          # -n: prog's descriptor 5 is the write end
    int ack[2]              # -n: prog's descriptor 6 is the read end
    int wake_net
    int wake_key
    int network[2]          # a client's, where they are not 0 and 1

cdef bint above(int *fd) noexcept nogil:
    """Move a descriptor above the numbers that prog is given."""
    cdef int moved = fcntl(fd[0], F_DUPFD_CLOEXEC, 10)
    close(fd[0])
    fd[0] = moved
    return moved >= 0

cdef bint control_free(int fd, const char *what) noexcept nogil:
    cdef char m[128]
    if fcntl(fd, F_GETFL) < 0:
        return True
    snprintf(m, sizeof(m), "unable to create control %s on filedescriptor %d: filedescriptor exits", what, fd)
    log_fatal(m, 0)
    return False

cdef bint prog_pipes(Pipes *p, bint delayed) noexcept nogil:
    """What prog has an end of; the rest is not there yet."""
    memset(p, 255, sizeof(Pipes))           # -1: not there
    if pipe2(p.to_prog, O_CLOEXEC) < 0 or pipe2(p.from_prog, O_CLOEXEC) < 0:
        return False
    memcpy(p.go, p.to_prog, sizeof(p.go))
    return not delayed or (pipe2(p.go, O_CLOEXEC) == 0 and pipe2(p.control, O_CLOEXEC) == 0
                           and pipe2(p.ack, O_CLOEXEC) == 0 and above(&p.control[1]) and above(&p.ack[0]))

cdef bint key_pipes(Pipes *p) noexcept nogil:
    """What net and key share."""
    p.wake_net = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    p.wake_key = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    return (p.wake_net >= 0 and p.wake_key >= 0
            and socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p.port) == 0)

cdef bint proxy_receive(Net *net) noexcept nogil:
    """Read the PROXY v1 line, at most until the deadline."""
    cdef ProxyLine line
    cdef int r
    line.len = 0
    while True:
        r = proxy_read(&line, net.fd_in, &net.addresses)
        if r != PROXY_WAIT:
            return r == PROXY_GOOD
        if now_ms() >= net.deadline or net.end != END_NOT:
            log_error("unable to read proxy-protocol string", ETIMEDOUT)
            return False
        net_sleep(net, net.deadline)

cdef bint net_addresses(Net *net) noexcept nogil:
    """Who talks to whom; False when a PROXY line was asked for and is not there."""
    cdef Addresses socket_has = net.addresses
    if net.config.proxy:
        if not proxy_receive(net):
            net.addresses = socket_has
            log_fatal("unable to receive incoming proxy-protocol v1 string", 0)
            return False
    elif net.config.listening:
        pass                                # the listener has told
    elif not addresses_find(&net.addresses, net.fd_in):
        log_warning("connectioninfo_get() failed", 0)
    strcpy(log_state.ip, net.addresses.remote_ip)
    return True

cdef bint net_anchors(Net *net) noexcept nogil:
    """Fetch the anchor file through key and take the names for CertificateRequest from it."""
    cdef char m[2048]
    cdef ssize_t n = ask(BW_OP_ANCHORS, NULL, 0)
    if n < 0 or port_reply[0] != STATUS_OK:
        snprintf(m, sizeof(m), "unable to read anchor PEM file '%.1024s'", net.config.anchors)
        log_fatal(m, port_reply[1] if n == 1 else 0)
        return False
    if not anchors_parse(&net.anchors, answer(), <size_t>n):
        snprintf(m, sizeof(m), "unable to parse anchor PEM file '%.1024s'", net.config.anchors)
        log_fatal(m, 0)
        return False
    return True

cdef void close_network(Config *config) noexcept nogil:
    """Neither prog nor key has the connection; a client's prog gets its pipes under the same numbers."""
    if config.client == NULL:
        close(0)
        close(1)
    else:
        close(config.client.read_fd)
        close(config.client.write_fd)

cdef void close_standard(Config *config) noexcept nogil:
    """A client's descriptors 0 and 1, perhaps a terminal, are prog's alone."""
    if config.client != NULL:
        close(0)
        close(1)

cdef bint connection_fork(Config *config, Net *net, Pipes *p, int supervisor) noexcept nogil:
    """Make prog and key, each with its own ends of the pipes alone; False after an error line.

    What a process must not have is made after its fork where it can be. supervisor: a descriptor that net alone keeps,
    -1 for none.
    """
    cdef uint8_t *ring
    cdef pid_t prog, key            # in net's struct at last: a page written before a fork is copied by both
    if not prog_pipes(p, config.delayed):
        log_fatal("unable to create pipe", errno)
        return False
    if config.client != NULL:
        p.network[0] = config.client.read_fd
        p.network[1] = config.client.write_fd
    prog = bw_fork()
    if prog == 0:
        close(p.go[1])
        close(p.from_prog[0])
        if config.delayed:
            close(p.to_prog[1])
        close_network(config)
        if supervisor >= 0:
            close(supervisor)
        tickets_unmap()
        prog_main(config, p.go[0], p.to_prog[0], p.from_prog[1], p.control[1], p.ack[0])
    if prog < 0:
        log_fatal("unable to fork", errno)
        return False
    close(p.go[0])
    close(p.from_prog[1])
    if config.delayed:
        close(p.control[1])
        close(p.ack[0])
    if supervisor < 0:                      # a worker has inherited none
        close_inherited(<const int *>p, <int>(sizeof(Pipes) // sizeof(int)))    # nothing but descriptors
    ring = ring_map()
    if ring == NULL or not key_pipes(p):
        log_fatal("unable to create pipe", errno)
        return False
    key = bw_fork()
    if key == 0:
        if config.delayed:
            close(p.to_prog[0])
            close(p.control[0])
            close(p.ack[1])
        close(p.port[0])
        close_network(config)
        close_standard(config)
        if supervisor >= 0:
            close(supervisor)
        key_main(config, p.port[1], p.go[1], ring, p.wake_net, p.wake_key, p.to_prog[1], p.from_prog[0])
    if key < 0:
        log_fatal("unable to fork", errno)
        return False
    tickets_unmap()
    close(p.go[1])
    close(p.port[1])
    if not config.delayed:
        close(p.from_prog[0])
    close_standard(config)
    log_as("net")
    net.prog = prog
    net.key = key
    net.config = config
    net.port = engine.port = p.port[0]
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if not ring_side(&net.ring, ring, False, p.wake_key):
        log_fatal("unable to prepare the connection", errno)
        return False
    return True

cdef bint net_ready(Net *net, Pipes *p) noexcept nogil:
    """With the network's descriptors at hand: all that needs a new descriptor, before the jail."""
    if net_prepare(net, p.wake_net):
        return True
    log_fatal("unable to prepare the connection", errno)
    return False

cdef int connection_serve(Config *config, Net *net, Pipes *p) noexcept nogil:
    """From the forks to the exit code: jail, addresses, handshake, transfer, end."""
    if not net_ready(net, p):
        return 111
    if pipe2(net.killer, O_CLOEXEC) < 0 or not signal_pipe_arm(net.killer, net.prog) or (
            config.delayed and not clear_prepare(net, p.to_prog[1], p.to_prog[0], p.from_prog[0], p.control[0],
                                                 p.ack[1])):
        log_fatal("unable to prepare the connection", errno)
        return 111
    if not jail_enter(&config.jail):
        log_fatal("unable to create jail", 0)
        return 111
    limit_calls(BW_NET)
    if config.anchors != NULL and not net_anchors(net):
        return 111
    if not net_addresses(net):
        return 100
    log_debug("start")
    if not server_start(config, net.port, &net.anchors):
        log_fatal("unable to start the TLS engine", 0)
        return 111
    if config.delayed:
        net_clear(net)
    if not net_over(net):
        net_handshake(net)
    if not net_over(net):
        net_run(net)
    return net_end(net)

cdef int connection_run(Config *config, int64_t started_ms) noexcept nogil:
    """Serve the connection on descriptors 0 and 1; the exit code of the program."""
    cdef Net *net = &net_process
    cdef Pipes p
    if not standard_descriptors(True):
        return 111
    signal(SIGPIPE, SIG_IGN)
    signal(SIGCHLD, SIG_DFL)
    signal(SIGALRM, SIG_DFL)
    if config.delayed and not (control_free(5, "pipe") and control_free(6, "ack pipe")):
        return 111
    net.fd_in = 0
    net.fd_out = 1
    net.deadline = started_ms + config.handshake_ms
    bw_libcrypto_init()             # net hashes; key needs more than this and sees to it
    if not connection_fork(config, net, &p, -1):
        return 111
    return connection_serve(config, net, &p)
