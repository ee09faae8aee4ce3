# keymain - the key process itself: it serves the port in the table's order, then moves records until net is gone.

cdef void key_start(Key *k, const uint8_t *addresses, size_t n) noexcept nogil:
    """The handshake is good: let prog start, unless it runs already."""
    if not k.config.delayed:
        key_go(k, addresses, n)
    elif k.go >= 0:
        key_end()

cdef void key_finish(Key *k, const uint8_t *digest, size_t n) noexcept nogil:
    """A server's Finished, after which the master secret is of no use."""
    cdef uint8_t m[16]
    put_uint(m, (<uint32_t>20 << 24) | 12, 4)
    key_verify_data(k, "server finished", digest, n, m + 4)
    key_seal(k, 22, m, sizeof(m))
    key_forget_master(k)

cdef void key_operation(Key *k, const bw_op *op, uint8_t *p, size_t n) noexcept nogil:
    """Serve one operation whose size and place in the order have been checked."""
    cdef bint peer_wanted = k.config.anchors != NULL
    cdef bint is_client = k.config.client != NULL
    cdef int status = STATUS_OK
    cdef size_t size = 0
    if op.op == BW_OP_ANCHORS:
        key_anchors(k)
    elif op.op == BW_OP_LOAD:
        if p[2] != n - 3:
            key_end()
        key_load(k, p[0], p[1], <const char *>p + 3, n - 3)
    elif op.op == BW_OP_EXCHANGE:
        key_exchange(k, p[0], (<int>p[1] << 8) | p[2], p[3], p + 4, p + 36)
    elif op.op == BW_OP_PEER_CHAIN:
        if not peer_wanted:
            key_end()
        key_peer_chain(k, p, n)
    elif op.op == BW_OP_DERIVE:
        key_derive(k, (<int>p[0] << 8) | p[1], (<size_t>p[2] << 8) | p[3], p + 4, n - 4)
        key_answer(k, STATUS_OK, 0)
    elif op.op == BW_OP_DERIVE_FINISHED or op.op == BW_OP_DERIVE_OPEN:
        if peer_wanted or not 32 <= p[4] <= 48 or n <= 5 + <size_t>p[4]:
            key_end()
        key_derive(k, (<int>p[0] << 8) | p[1], (<size_t>p[2] << 8) | p[3], p + 5 + p[4], n - 5 - p[4])
        if op.op == BW_OP_DERIVE_OPEN:
            status = key_open_one(k, &size)
        key_verify_data(k, "client finished", p + 5, p[4], key_reply + size)
        key_answer(k, status, size + 12)
    elif op.op == BW_OP_TRANSCRIPT:
        if (is_client and k.identity.num == 0) or (not is_client and not peer_wanted):
            key_end()
        transcript_feed(&k.transcript, &k.peer, p, n, k.eng.client_random, k.eng.server_random, k.point,
                        k.params_len if is_client else k.point_len, k.peer_point)
    elif op.op == BW_OP_PEER_VERIFY:
        if not peer_wanted:
            key_end()
        key_peer_verify(k, p, n)
    elif op.op == BW_OP_OPEN or op.op == BW_OP_OPEN_FINISHED or op.op == BW_OP_OPEN13:
        status = key_open_one(k, &size)
        key_answer(k, status, size)
    elif op.op == BW_OP_FINISHED_CLIENT:
        key_finished(k, "client finished", p, n)
    elif op.op == BW_OP_FINISHED_SERVER:
        if not 32 <= p[0] <= 48 or n <= 1 + <size_t>p[0]:
            key_end()
        key_start(k, p + 1 + p[0], n - 1 - p[0])
        key_finish(k, p + 1, p[0])
    elif op.op == BW_OP_CLIENT_HELLO13:
        key_client_hello13(k, p, n)
    elif op.op == BW_OP_AGAIN13:
        key_again13(k, p, n)
    elif op.op == BW_OP_PSK13:
        key_psk13(k, p, n)
    elif op.op == BW_OP_ACCEPT13:
        key_accept13(k, p, n)
    elif op.op == BW_OP_PEER_CHAIN13:
        key_peer_chain13(k, p, n)
    elif op.op == BW_OP_PEER_VERIFY13:
        key_peer_verify13(k, p, n)
    elif op.op == BW_OP_CLIENT_FINISHED13:
        key_client_finished13(k, p, n)
    elif op.op == BW_OP_TRUST:
        key_trust(k)
    elif op.op == BW_OP_SERVER_CHAIN:
        key_server_chain(k, p, n)
    elif op.op == BW_OP_SERVER_PARAMS:
        key_server_params(k, p, n)
    elif op.op == BW_OP_AGREE:
        key_agree(k, p)
    elif op.op == BW_OP_CLIENT_SIGN:
        key_client_sign(k, p[0])
    elif op.op == BW_OP_SEND_FINISHED:
        identity_wipe(&k.identity)      # also when the server asked for no certificate
        key_finished(k, "client finished", p, n)
    elif op.op == BW_OP_AWAIT_FINISHED:
        key_finished(k, "server finished", p, n)
        key_forget_master(k)
    elif op.op == BW_OP_BEGIN:
        key_go(k, NULL, 0)
    elif op.op == BW_OP_SHARE13 or op.op == BW_OP_SHARE_AGAIN13:
        key_share13(k, (<int>p[0] << 8) | p[1])
    elif op.op == BW_OP_HELLO13 or op.op == BW_OP_HELLO_AGAIN13:
        key_hello13(k, p, n)
    elif op.op == BW_OP_RETRY13:
        key_retry13(k, p, n)
    elif op.op == BW_OP_AGREE13:
        key_agree13(k, p, n)
    elif op.op == BW_OP_EXTENSIONS13:
        key_extensions13(k, p, n)
    elif op.op == BW_OP_REQUEST13:
        key_request13(k, p, n)
    elif op.op == BW_OP_SERVER_CHAIN13:
        key_server_chain13(k, p, n)
    elif op.op == BW_OP_SERVER_VERIFY13:
        key_server_verify13(k, p, n)
    elif op.op == BW_OP_FINISH13:
        key_finish13(k, p, n)
    elif op.op == BW_OP_SEAL:
        # alerts and, of a client before TLS 1.3, its Finished, never application data
        if p[0] != 21 and (p[0] != 22 or not is_client or k.sealing.suite != NULL):
            key_end()
        key_seal(k, p[0], p + 1, n - 1)
    elif op.op == BW_OP_START:
        if not k.config.delayed or k.go < 0:
            key_end()
        key_go(k, p, n)
    elif op.op == BW_OP_RUN:
        key_start(k, p, n)

cdef const bw_op *key_check(Key *k, ssize_t n) noexcept nogil:
    """The table row of a message that is allowed now; anything else ends the process."""
    cdef const bw_op *op
    if n < 1:
        key_end()
    op = op_row(key_message[0])
    if op == NULL or <size_t>(n - 1) < op.request_min or <size_t>(n - 1) > op.request_max \
            or not (op.after >> k.state) & 1 or (k.refused and op.op != BW_OP_SEAL):
        key_end()
    return op

cdef bint key_port(Key *k) noexcept nogil:
    """One message of the port, if there is one; True when one was served."""
    cdef KeyRun *r = &key_pump
    cdef const bw_op *op
    cdef ssize_t n
    if not r.port_ready:
        return False
    n = recv(k.port, key_message, MESSAGE_MAX, MSG_DONTWAIT)
    if n < 0 and (errno == EAGAIN or errno == EINTR):
        r.port_ready = errno == EINTR
        return False
    op = key_check(k, n)
    if op.op == BW_OP_RESUME:
        if r.refused:
            key_end()
        r.paused = False
        r.half_message = key_message[1] != 0
    elif op.op == BW_OP_UPDATE13:
        key_update13(k, key_message[1] != 0)
    elif op.op == BW_OP_END_INPUT:
        r.input_end = True
    elif op.op == BW_OP_CLOSE_INPUT:
        if not r.paused:
            key_end()
        r.input_over = r.input_end = True
    elif op.op == BW_OP_DROP_OUTPUT:
        r.dropping = True
        r.want_room = False
        key_close_input(r)
    else:
        key_operation(k, op, key_message + 1, <size_t>(n - 1))
    return True

cdef void key_run(Key *k) noexcept nogil:
    """Move application data until net closes the port."""
    cdef KeyRun *r = &key_pump
    cdef epoll_event events[4]
    cdef bint moved
    cdef size_t wants
    cdef int i, n
    while True:
        moved = False
        if r.control_len == 0:
            moved = key_port(k)
        if r.control_len:
            moved = key_control(k) or moved
        moved = key_input(k) or moved
        if r.control_len == 0:
            moved = key_output(k) or moved
        if moved:
            continue
        wants = SLOT if r.control_len else (RING_SIZE // 2 if r.want_room else 0)
        affinity_moved(k.ring.head + k.ring.tail)
        ring_sleeping(&k.ring, wants)
        if (not r.paused and not r.pending_num and ring_available(&k.ring)) or (wants and ring_room(&k.ring) >= wants):
            ring_awake(&k.ring)
            continue
        n = epoll_wait(r.epoll, events, 4, -1 if r.rested else REST_MS)
        ring_awake(&k.ring)
        r.rested = n == 0
        if r.rested:
            key_rest(k)
        for i in range(n):
            if events[i].data.u32 == EV_PORT:
                if events[i].events & EPOLLHUP:
                    key_end()
                r.port_ready = True
            elif events[i].data.u32 == EV_IN:
                r.in_ready = True
            elif events[i].data.u32 == EV_OUT:
                r.out_ready = True
                if events[i].events & EPOLLHUP:
                    r.out_hangup = True

cdef void key_main(Config *config, int port, int go, uint8_t *ring_base, int wake_net, int wake_key, int prog_in,
                   int prog_out) noexcept nogil:
    """The key process, from its fork to its end; never returns."""
    cdef Key *k = &key_process
    cdef const bw_op *op
    cdef uint8_t seed[32]
    cdef ssize_t n
    log_as("key")
    k.config = config
    k.port = port
    k.go = go
    k.state = BW_START if config.client == NULL else BW_CLIENT_START
    k.eng.version_max = config.version_max
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if config.ticket_file != NULL or config.version_max < TLS13 or config.anchors != NULL:
        tickets_unmap()
    elif tickets_page != NULL:
        mprotect(tickets_page, PAGE, PROT_READ)
        k.tickets = tickets_page
    if not ring_side(&k.ring, ring_base, True, wake_net) or getrandom(seed, 32, 0) != 32 or not bw_primitives_init():
        log_fatal("unable to start the key process", errno)
        key_end()
    br_hmac_drbg_init(&k.rng, &br_sha256_vtable, seed, 32)
    explicit_bzero(seed, 32)
    records_engine(&k.eng)
    if config.client != NULL or config.anchors != NULL:
        transcript_start(&k.transcript, config.client != NULL)
    if not key_loop_prepare(k, wake_key, prog_in, prog_out):
        log_fatal("unable to start the key process", errno)
        key_end()
    while k.state != BW_RUNNING:
        n = port_receive(port, key_message, MESSAGE_MAX)
        op = key_check(k, n)
        key_operation(k, op, key_message + 1, <size_t>(n - 1))
        if op.then != BW_SAME:
            k.state = op.then
    key_run(k)
    key_end()
