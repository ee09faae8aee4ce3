# waiting - the places of `bearwrap serve`: a row for each connection, from accept to the end of its worker.
#
# A connection that has not spoken costs a row and a descriptor, no process. Rows of one address hang on one chain, so
# that a limit for each address is one short walk. The lists are in order of arrival, which is that of their deadlines.

cdef enum PlaceState:
    PLACE_FREE = 0
    PLACE_SILENT = 1        # nothing has come of it yet
    PLACE_READY = 2         # waits for a worker
    PLACE_SERVED = 3        # has one

cdef enum:
    BUCKETS = 4096          # chains of addresses
    PEER = 17               # bytes: family, address
    ADDRESS = 28            # bytes of a sockaddr_in6

cdef struct Place:
    int fd
    bint watched            # the supervisor's epoll has it
    int state
    uint8_t peer[PEER]
    uint8_t address[28]     # its sockaddr, for the log: a reset takes it from the socket
    int64_t accepted_ms
    int chain_next          # of the same bucket; -1 ends
    int chain_before
    int next                # of the same list
    int before

cdef struct List:
    int first
    int last
    int num

cdef struct Places:
    Place *rows
    int num
    int free                # first of the free rows, linked by next
    int chains[BUCKETS]
    List silent
    List ready
    int served

cdef bint places_open(Places *p, int num) noexcept nogil:
    cdef int i
    memset(p, 0, sizeof(Places))
    p.rows = <Place *>pages_unforked(<size_t>num * sizeof(Place))      # it names every client
    if p.rows == NULL:
        return False
    p.num = num
    for i in range(num):
        p.rows[i].state = PLACE_FREE
        p.rows[i].fd = -1
        p.rows[i].next = i + 1 if i + 1 < num else -1
    for i in range(BUCKETS):
        p.chains[i] = -1
    p.silent.first = p.silent.last = p.ready.first = p.ready.last = -1
    return True

cdef void list_append(Places *p, List *l, int i) noexcept nogil:
    p.rows[i].next = -1
    p.rows[i].before = l.last
    if l.last >= 0:
        p.rows[l.last].next = i
    else:
        l.first = i
    l.last = i
    l.num += 1

cdef void list_insert(Places *p, List *l, int i) noexcept nogil:
    """Where its time of arrival puts it: from the end, as most of those that speak late came late."""
    cdef int at = l.last
    while at >= 0 and p.rows[at].accepted_ms > p.rows[i].accepted_ms:
        at = p.rows[at].before
    if at == l.last:
        list_append(p, l, i)
        return
    p.rows[i].before = at
    p.rows[i].next = p.rows[at].next if at >= 0 else l.first
    p.rows[p.rows[i].next].before = i
    if at >= 0:
        p.rows[at].next = i
    else:
        l.first = i
    l.num += 1

cdef void list_remove(Places *p, List *l, int i) noexcept nogil:
    cdef Place *row = &p.rows[i]
    if row.before >= 0:
        p.rows[row.before].next = row.next
    else:
        l.first = row.next
    if row.next >= 0:
        p.rows[row.next].before = row.before
    else:
        l.last = row.before
    l.num -= 1

cdef void place_state(Places *p, int i, int state) noexcept nogil:
    """Move a row to where its new state has it."""
    cdef int old = p.rows[i].state
    if old == PLACE_SILENT:
        list_remove(p, &p.silent, i)
    elif old == PLACE_READY:
        list_remove(p, &p.ready, i)
    elif old == PLACE_SERVED:
        p.served -= 1
    p.rows[i].state = state
    if state == PLACE_SILENT:
        list_append(p, &p.silent, i)
    elif state == PLACE_READY:
        list_insert(p, &p.ready, i)
    elif state == PLACE_SERVED:
        p.served += 1

cdef void peer_of(sockaddr_storage *sa, uint8_t *peer) noexcept nogil:
    """What the limit for each address counts: an IPv4 address whole, of an IPv6 one the network's /64."""
    cdef uint8_t mapped[12]
    memset(mapped, 0, 10)
    mapped[10] = mapped[11] = 255
    memset(peer, 0, PEER)
    peer[0] = <uint8_t>sa.ss_family
    if sa.ss_family == AF_INET:
        memcpy(peer + 1, &(<sockaddr_in *>sa).sin_addr, 4)
    elif sa.ss_family == AF_INET6 and memcmp(&(<sockaddr_in6 *>sa).sin6_addr, mapped, 12) == 0:
        peer[0] = <uint8_t>AF_INET      # of a socket that takes both, as systemd makes them
        memcpy(peer + 1, <uint8_t *>&(<sockaddr_in6 *>sa).sin6_addr + 12, 4)
    elif sa.ss_family == AF_INET6:
        memcpy(peer + 1, &(<sockaddr_in6 *>sa).sin6_addr, 8)

cdef int peer_bucket(const uint8_t *peer) noexcept nogil:
    """Addresses are counted, not trusted: a crowded chain costs a longer walk, bounded by the places there are."""
    cdef uint32_t h = 2166136261
    cdef int i
    for i in range(PEER):
        h = (h ^ peer[i]) * 16777619
    return <int>(h % BUCKETS)

cdef int peer_count(Places *p, const uint8_t *peer) noexcept nogil:
    cdef int n = 0, i = p.chains[peer_bucket(peer)]
    while i >= 0:
        n += memcmp(p.rows[i].peer, peer, PEER) == 0
        i = p.rows[i].chain_next
    return n

cdef int place_take(Places *p, int fd, const uint8_t *peer, sockaddr_storage *sa, int64_t now) noexcept nogil:
    """A row for a new connection, still without a state; -1 when there is none."""
    cdef int i = p.free, bucket = peer_bucket(peer)
    cdef Place *row
    if i < 0:
        return -1
    row = &p.rows[i]
    p.free = row.next
    row.fd = fd
    row.watched = False
    row.accepted_ms = now
    memcpy(row.peer, peer, PEER)
    memcpy(row.address, sa, ADDRESS)
    row.chain_before = -1
    row.chain_next = p.chains[bucket]
    if row.chain_next >= 0:
        p.rows[row.chain_next].chain_before = i
    p.chains[bucket] = i
    return i

cdef void place_free(Places *p, int i) noexcept nogil:
    """The connection is over; its descriptor is the caller's."""
    cdef Place *row = &p.rows[i]
    place_state(p, i, PLACE_FREE)
    if row.chain_before >= 0:
        p.rows[row.chain_before].chain_next = row.chain_next
    else:
        p.chains[peer_bucket(row.peer)] = row.chain_next
    if row.chain_next >= 0:
        p.rows[row.chain_next].chain_before = row.chain_before
    row.fd = -1
    row.next = p.free
    p.free = i
