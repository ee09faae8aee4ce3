# clientface - what Python sees of the TLS client. Types and docstrings: bearwrap/_bear.pyi.

def client_connection(settings, int64_t started_ms):
    cdef Config config
    cdef ClientConfig client
    cdef int i, code
    memset(&config, 0, sizeof(config))
    memset(&client, 0, sizeof(client))
    config.client = &client
    client.name = c_text(settings.servername)
    client.sni = client.name
    if client.name != NULL:
        client.ip_len = ip_literal(client.name, client.ip)
        if client.ip_len:
            client.sni = NULL
    client.verify = settings.verify
    client.close_notify = settings.close_notify
    client.enforce_close_notify = settings.enforce_close_notify
    client.anchors_directory = c_text(settings.anchors_directory)
    client.anchors_file = c_text(settings.anchors_file)
    client.certificate_file = c_text(settings.certificate_file)
    client.key_file = c_text(settings.key_file)
    client.read_fd = settings.read_fd
    client.write_fd = settings.write_fd
    client.verbosity = settings.verbosity
    config.suites_num = BW_SUITES
    for i in range(BW_SUITES):
        config.suites[i] = bw_suites[i].id
    for i in range(BW_GROUPS):
        config.groups |= <uint32_t>1 << bw_groups[i].id
    config.version_min = BR_TLS10
    config.version_max = BR_TLS12
    config.handshake_ms = settings.handshake_ms
    config.idle_ms = GRACE_MS
    config.jail.directory = c_text(settings.jail_directory)
    config.jail.uid = settings.uid
    config.jail.gid = settings.gid
    config.argv = c_vector(settings.prog)
    with nogil:
        code = client_run(&config, started_ms)
    free(config.argv)
    return code
