# keyrun - the way of a byte through key, one direction each, many records a system call, no event awaited:
#
#   ring in -> open -> prog's stdin          prog's stdout -> seal -> ring out
#
# A record is copied out of the ring once, opened in place in private memory and written to the pipe from there;
# plaintext is read into private memory, sealed in place and the sealed record copied into the ring.

cdef struct KeyRun:
    uint8_t control[16392]      # a sealed-record request that waits for room
    uint8_t in_slots[BATCH][SLOT]
    uint8_t out_slots[BATCH][SLOT]
    uint8_t margin[4096]        # PAGE: no slot shares its last page with what stays
    int epoll
    int prog_in                 # write end of prog's stdin, -1 once closed
    int prog_out                # read end of prog's stdout, -1 once closed
    bint port_ready             # edge-triggered: true from an event until a read says EAGAIN
    bint in_ready
    bint out_ready
    bint out_hangup             # prog's stdout is closed, what it wrote may still be in the pipe
    bint refused                # a record was refused: no other is opened any more
    bint paused                 # a record that is no application data awaits net's word
    bint half_message           # net has part of an alert or handshake message: no application data may come now
    bint input_end              # close prog's stdin when everything is delivered
    bint input_over             # the peer has said its last: what follows in the ring is not opened
    bint update_due             # TLS 1.3: our own KeyUpdate goes before the next application data (section 4.6.3)
    bint dropping               # read and drop prog's stdout
    bint want_room              # output waits for room in the ring
    bint in_wide                # prog's pipes hold more than they did at first
    bint out_wide
    size_t first                # bytes of prog's that still go out in small records
    int empty_records
    size_t pending              # opened records not yet written to prog: spans, and the ring bytes they came from
    int pending_first
    int pending_num
    iovec pending_iov[BATCH]
    bint rested                 # nothing has happened since memory was given back
    size_t control_len

cdef KeyRun key_pump

cdef enum:
    EV_IN = 2
    EV_OUT = 3

cdef bint key_loop_prepare(Key *k, int wake, int prog_in, int prog_out) noexcept nogil:
    """Everything of the loop that needs a descriptor, before the jail forbids new ones."""
    cdef KeyRun *r = &key_pump
    r.prog_in = prog_in
    r.prog_out = prog_out
    r.in_ready = True
    r.first = FIRST_BYTES
    r.epoll = epoll_create1(EPOLL_CLOEXEC)
    return (r.epoll >= 0 and nonblocking(prog_in) and nonblocking(prog_out)
            and watch(r.epoll, k.port, EPOLLIN, EV_PORT) and watch(r.epoll, wake, EPOLLIN, EV_WAKE)
            and watch(r.epoll, prog_in, EPOLLOUT, EV_IN) and watch(r.epoll, prog_out, EPOLLIN, EV_OUT))

cdef bint pipe_widen(int fd, bint *done) noexcept nogil:
    """Once, where a pipe turns out to be what others wait for: room for what is written while it is read. True when
    it holds more now; the limit that an account has may forbid that (pipe(7))."""
    if done[0]:
        return False
    done[0] = True
    return fcntl(fd, F_SETPIPE_SZ, PIPE_WIDE) > 0

cdef void key_close_input(KeyRun *r) noexcept nogil:
    if r.prog_in >= 0:
        close(r.prog_in)
        r.prog_in = -1
    r.pending_num = 0

cdef int key_record(Key *k, uint8_t *slot, uint64_t *at, int *kind, uint8_t **plain, size_t *n) noexcept nogil:
    """Open the next whole record at a ring cursor into a slot; 0, or the alert that refuses it.

    The caller has seen that the ring holds something; a lying header ends the process.
    """
    cdef size_t left = ring_available(&k.ring) - <size_t>(at[0] - k.ring.tail)
    cdef size_t length
    cdef int version
    if left < RECORD_HEADER or left > RING_SIZE:
        key_end()
    ring_copy_out(&k.ring, at[0], slot, RECORD_HEADER)
    kind[0] = slot[0]
    version = (<int>slot[1] << 8) | slot[2]
    length = (<size_t>slot[3] << 8) | slot[4]
    # TLS 1.3 has one outer type, and a version that nobody looks at
    if k.opening.suite != NULL:
        if kind[0] != 23:
            key_end()
    elif not 20 <= kind[0] <= 23 or version != k.eng.session.version:
        key_end()
    if length > CIPHERTEXT_MAX or left < RECORD_HEADER + length:
        key_end()
    ring_copy_out(&k.ring, at[0] + RECORD_HEADER, slot + RECORD_HEADER, length)
    at[0] += RECORD_HEADER + length
    n[0] = length
    return record_open(&k.eng, k.suite, &k.opening, slot, kind, plain, n)

cdef int key_open_one(Key *k, size_t *size) noexcept nogil:
    """Open the one handshake record that the ring must hold now; the status and size of a reply: type and text, or the
    alert with status 1."""
    cdef uint8_t *plain = NULL
    cdef size_t n = 0
    cdef int kind = 0
    cdef uint64_t at = k.ring.tail, seq = k.opening.seq
    cdef int alert = key_record(k, key_pump.in_slots[0], &at, &kind, &plain, &n)
    # refused early data: passed over until the first record that opens (RFC 8446 section 4.2.10)
    if alert == BAD_RECORD_MAC and at - k.ring.tail <= k.server.early_left:
        k.server.early_left -= <size_t>(at - k.ring.tail)
        k.opening.seq = seq
        k.ring.tail = at
        ring_publish(&k.ring)
        return 2
    k.server.early_left = 0
    # data that a client sends before it has seen our Finished (False Start, RFC 7918) is not for net's eyes
    if alert == 0 and kind == 23:
        alert = UNEXPECTED_MESSAGE
    k.ring.tail = at
    ring_publish(&k.ring)
    if alert:
        k.refused = True
        key_reply[0] = <uint8_t>alert
        size[0] = 1
        return 1
    key_reply[0] = <uint8_t>kind
    memcpy(key_reply + 1, plain, n)
    size[0] = n + 1
    return STATUS_OK

cdef void key_seal_slot(Key *k, uint8_t *slot, size_t start, int kind, size_t n) noexcept nogil:
    """Seal n bytes that lie at slot + start and put the record into the ring, whose room the caller has checked."""
    cdef uint8_t *record = record_seal(&k.eng, &k.sealing, kind, slot + start, &n)
    if record == NULL:
        key_end()
    ring_copy_in(&k.ring, record, n)

cdef size_t key_slot_start(Key *k, size_t slot, size_t *most) noexcept nogil:
    """Where plaintext begins in a slot of a size under the current record protection; most: no more than that in one
    record, lowered to what fits and what the peer takes."""
    cdef size_t fits, start = record_start(&k.eng, &k.sealing, slot, &fits)
    if most[0] > fits:
        most[0] = fits
    if most[0] > k.fragment_max:
        most[0] = k.fragment_max
    return start

cdef bint key_seal_now(Key *k, int kind, const uint8_t *p, size_t n) noexcept nogil:
    """Seal what net asks for if there is room; False while there is none."""
    cdef uint8_t *slot = key_pump.out_slots[0]
    cdef size_t most = PLAINTEXT_MAX, start = key_slot_start(k, SLOT, &most), room = ring_room(&k.ring)
    if room > RING_SIZE:
        key_end()
    if room < SLOT:
        return False
    if n > most:
        key_end()
    memcpy(slot + start, p, n)
    key_seal_slot(k, slot, start, kind, n)
    k.ring.seals += 1
    ring_publish(&k.ring)
    return True

cdef bint key_control(Key *k) noexcept nogil:
    """The same with the request that waits."""
    cdef KeyRun *r = &key_pump
    if not key_seal_now(k, r.control[0], r.control + 1, r.control_len - 1):
        return False
    r.control_len = 0
    return True

cdef bint key_renew(Key *k, bint requested) noexcept nogil:
    """TLS 1.3: seal a KeyUpdate, then seal under the next generation (RFC 8446 section 4.6.3); False without room."""
    cdef uint8_t *p = key_pump.out_slots[0] + RECORD_HEADER
    cdef Writer w = writer_over(p, 5)
    cdef size_t room = ring_room(&k.ring)
    if room > RING_SIZE:
        key_end()
    if room < SLOT:
        return False
    build13_key_update(&w, requested)
    key_seal_slot(k, key_pump.out_slots[0], RECORD_HEADER, 22, w.n)
    traffic_next(&k.sealing)
    key_pump.update_due = False
    bw_wipe_stack()
    return True

cdef void key_update13(Key *k, bint requested) noexcept nogil:
    """The peer has sent a KeyUpdate, on which key has stopped: its next generation, and ours where it asks for it."""
    if k.opening.suite == NULL or not key_pump.paused or key_pump.refused:
        key_end()
    traffic_next(&k.opening)
    key_pump.update_due |= requested
    bw_wipe_stack()

cdef void key_seal(Key *k, int kind, const uint8_t *p, size_t n) noexcept nogil:
    """Seal a record now, or when there is room."""
    if not key_seal_now(k, kind, p, n):
        key_pump.control[0] = <uint8_t>kind
        memcpy(key_pump.control + 1, p, n)
        key_pump.control_len = n + 1

cdef bint key_flush(Key *k, uint64_t at) noexcept nogil:
    """Write opened records to prog; True when all are delivered (or prog reads no more). Frees the ring behind them."""
    cdef KeyRun *r = &key_pump
    cdef ssize_t w
    while r.pending_num and r.prog_in >= 0:
        if not r.in_ready:
            return False
        w = writev(r.prog_in, r.pending_iov + r.pending_first, r.pending_num)
        if w < 0:
            if errno == EINTR:
                continue
            if errno == EAGAIN:
                if pipe_widen(r.prog_in, &r.in_wide):
                    continue
                r.in_ready = False
                return False
            key_close_input(r)
            break
        while r.pending_num and <size_t>w >= r.pending_iov[r.pending_first].iov_len:
            w -= <ssize_t>r.pending_iov[r.pending_first].iov_len
            r.pending_first += 1
            r.pending_num -= 1
        if r.pending_num:
            r.pending_iov[r.pending_first].iov_base = <uint8_t *>r.pending_iov[r.pending_first].iov_base + w
            r.pending_iov[r.pending_first].iov_len -= <size_t>w
    r.pending_num = 0
    k.ring.tail = at
    ring_publish(&k.ring)
    return True

cdef bint key_input(Key *k) noexcept nogil:
    """ring -> prog, one batch; True when something moved."""
    cdef KeyRun *r = &key_pump
    cdef uint8_t *plain = NULL
    cdef size_t n = 0, available
    cdef int kind = 0, alert = 0, records = 0
    cdef uint64_t at
    if r.pending_num:
        return key_flush(k, k.ring.tail + r.pending)
    available = ring_available(&k.ring)
    if available > RING_SIZE:
        key_end()
    if r.input_over and available:
        k.ring.tail += available
        ring_publish(&k.ring)
        available = 0
    if r.paused or available == 0:
        if available == 0 and r.input_end:
            key_close_input(r)
        return False
    at = k.ring.tail
    r.pending_first = 0
    while records < BATCH and at - k.ring.tail < available:
        if records and k.ring.in_[<size_t>(at & (RING_SIZE - 1))] != 23:
            break                           # deliver what came before it first
        alert = key_record(k, r.in_slots[records], &at, &kind, &plain, &n)
        if alert:
            break
        if kind != 23:
            r.empty_records += k.opening.suite != NULL
            if r.empty_records > EMPTY_RECORDS_MAX:
                alert = UNEXPECTED_MESSAGE
            break
        if r.half_message:
            alert = UNEXPECTED_MESSAGE
            break
        if n == 0:
            r.empty_records += 1
            if r.empty_records > EMPTY_RECORDS_MAX:
                alert = UNEXPECTED_MESSAGE
                break
            continue
        r.empty_records = 0
        r.pending_iov[records].iov_base = plain
        r.pending_iov[records].iov_len = n
        records += 1
    r.pending_num = records
    r.pending = <size_t>(at - k.ring.tail)
    # TLS 1.3 hides the type until a record is open: then what came before is still to be delivered, below
    if alert or kind != 23:
        r.paused = True
        r.refused = alert != 0
        key_reply[0] = <uint8_t>(alert if alert else kind)
        if alert == 0:
            memcpy(key_reply + 1, plain, n)
    # before the cursor that says that the record is done: at the end of the connection net asks for no more
    if r.paused and port_send(k.port, BW_EV_REFUSED if alert else BW_EV_OPENED, key_reply,
                              1 if alert else n + 1) < 0:
        key_end()
    key_flush(k, at)
    return True

cdef bint key_output(Key *k) noexcept nogil:
    """prog -> ring, one batch; True when something moved.

    The first of it goes in records of one TCP segment each, which a client can open as they come.
    """
    cdef KeyRun *r = &key_pump
    cdef iovec iov[FIRST_BATCH]
    cdef uint8_t *base = r.out_slots[0]
    cdef size_t slot = SLOT, most = PLAINTEXT_MAX, start, room, left, n
    cdef ssize_t got
    cdef int i, slots = BATCH
    if r.prog_out < 0 or not r.out_ready:
        return False
    if (r.update_due or traffic_tired(&k.sealing)) and not r.dropping and not key_renew(k, False):
        r.want_room = True
        return False
    if r.first:
        slot = FIRST_SLOT
        most = FIRST_PLAINTEXT
        slots = FIRST_BATCH
    start = key_slot_start(k, slot, &most)
    if not r.dropping:
        room = ring_room(&k.ring)
        if room > RING_SIZE:
            key_end()
        if room // slot < <size_t>slots:
            slots = <int>(room // slot)
        r.want_room = slots == 0
        if slots == 0:
            return False
    for i in range(slots):
        iov[i].iov_base = base + <size_t>i * slot + start
        iov[i].iov_len = most
    got = readv(r.prog_out, iov, slots)
    if got < 0:
        if errno == EINTR:
            return True
        r.out_ready = False
        if errno == EAGAIN:
            return False
        got = 0
    if got == 0:
        close(r.prog_out)
        r.prog_out = -1
        if port_send(k.port, BW_EV_OUTPUT_END, NULL, 0) < 0:
            key_end()
        return True
    if got >= PIPE_FULL:
        pipe_widen(r.prog_out, &r.out_wide)
    # a short read emptied the pipe: the next byte is a new edge; only an EOF that is already known is not
    r.out_ready = r.out_hangup or <size_t>got == most * <size_t>slots
    if r.dropping:
        return True
    left = <size_t>got
    if r.first:
        r.first = r.first - left if r.first > left else 0
    while left:
        n = left if left < most else most
        key_seal_slot(k, base, start, 23, n)
        left -= n
        base += slot
    ring_publish(&k.ring)
    return True

cdef void key_rest(Key *k) noexcept nogil:
    """Silence for a while: the next output begins with small records again; plaintext that was delivered is forgotten,
    and memory that waits for the next byte goes back."""
    cdef KeyRun *r = &key_pump
    r.first = FIRST_BYTES
    if r.pending_num == 0 and r.control_len == 0:
        pages_drop(r.control, <size_t>(<uint8_t *>&r.epoll - r.control))
    pages_drop(key_message, sizeof(key_message))
    pages_drop(key_reply, sizeof(key_reply))
    ring_rest(&k.ring, k.ring.head)
    affinity_leave()
    bw_drop_stack()
