# clientface - what Python sees of the TLS client. Types and docstrings: bearwrap/_bear.pyi.

cdef char **client_read(outgoing, Config *config, ClientConfig *client) except NULL:
    """Fill a client's Config, whose strings belong to the settings; the argument vector is the caller's to free."""
    cdef char **argv
    cdef int i
    memset(config, 0, sizeof(Config))
    memset(client, 0, sizeof(ClientConfig))
    config.client = client
    client.name = c_text(outgoing.servername)
    client.sni = client.name
    if client.name != NULL:
        client.ip_len = ip_literal(client.name, client.ip)
        if client.ip_len:
            client.sni = NULL
    client.verify = outgoing.verify
    client.close_notify = outgoing.close_notify
    client.enforce_close_notify = outgoing.enforce_close_notify
    client.anchors_directory = c_text(outgoing.anchors_directory)
    client.anchors_file = c_text(outgoing.anchors_file)
    client.certificate_file = c_text(outgoing.certificate_file)
    client.key_file = c_text(outgoing.key_file)
    client.read_fd = outgoing.read_fd
    client.write_fd = outgoing.write_fd
    client.verbosity = outgoing.verbosity
    config.suites_num = BW_SUITES
    for i in range(BW_SUITES):
        config.suites[i] = bw_suites[i].id
    for i in range(BW_GROUPS):
        config.groups |= <uint32_t>1 << bw_groups[i].id
    config.version_min = BR_TLS10
    config.version_max = TLS13
    config.handshake_ms = outgoing.handshake_ms
    config.idle_ms = GRACE_MS
    config.jail.directory = c_text(outgoing.jail_directory)
    config.jail.uid = outgoing.uid
    config.jail.gid = outgoing.gid
    argv = c_vector(outgoing.prog)
    config.argv = argv
    return argv

def client_connection(outgoing, int64_t started_ms):
    cdef Config config
    cdef ClientConfig client
    cdef char **argv = client_read(outgoing, &config, &client)
    cdef int code
    with nogil:
        code = client_run(&config, started_ms)
    free(argv)
    return code
