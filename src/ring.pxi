# ring - the shared mapping between net and key: two one-way byte rings of whole TLS records, ciphertext only.
#
# Layout: [net's cursors][inbound data][key's cursors][outbound data]; the first half is written by net alone and the
# second by key alone, each maps the other's read-only. Data begin in the page of the cursors: a short connection needs
# no other. A cursor counts bytes for ever and has one writer. A reader takes the other side's cursor once a pass, with
# acquire order, and a difference above the size is fatal.
#
# Waking: a side that is about to sleep says in `wants` how much free room it waits for and makes its `sleeps` odd, and
# even when it runs again. The other side writes to its eventfd only when it reads an odd value it has not yet answered
# and has produced something or freed that much: many records, one wake-up, and none for what nobody waits for.

cdef enum:
    RING_DATA = 64          # where the data of a half begin: behind the cursors, a cache line of their own

cdef struct RingPage:
    uint64_t head           # bytes produced into the half this page belongs to
    uint64_t tail           # bytes consumed of the other half
    uint64_t sleeps         # odd: asleep or about to be
    uint64_t wants          # asleep until this much of our half is free, 0: for what the other side produces alone
    uint64_t seals          # key only: seal operations done

cdef struct Ring:
    RingPage *mine
    RingPage *theirs
    uint8_t *out            # the half that this side produces into
    const uint8_t *in_      # the half that this side consumes
    uint64_t head           # private: bytes produced, possibly not yet published
    uint64_t tail           # private: bytes consumed
    uint64_t seals          # private: see RingPage
    uint64_t answered       # the odd value of theirs.sleeps already answered
    int wake_fd             # eventfd of the other side

cdef uint8_t *ring_map() noexcept nogil:
    cdef void *p = mmap(NULL, 2 * (PAGE + RING_SIZE), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    return NULL if p == MAP_FAILED else <uint8_t *>p

cdef bint ring_side(Ring *r, uint8_t *base, bint is_key, int wake_fd) noexcept nogil:
    """Take one side after the fork: the other side's half becomes read-only."""
    cdef uint8_t *other = base + PAGE + RING_SIZE
    cdef uint8_t *swap
    if is_key:
        swap = base
        base = other
        other = swap
    memset(r, 0, sizeof(Ring))
    r.mine = <RingPage *>base
    r.out = base + RING_DATA
    r.theirs = <RingPage *>other
    r.in_ = other + RING_DATA
    r.wake_fd = wake_fd
    return mprotect(other, PAGE + RING_SIZE, PROT_READ) == 0

cdef size_t ring_available(Ring *r) noexcept nogil:
    """Bytes published by the other side and not yet consumed; above the size when the other side lies."""
    cdef uint64_t n = bw_load_u64(&r.theirs.head) - r.tail
    return <size_t>n if n <= RING_SIZE else RING_SIZE + 1

cdef size_t ring_room(Ring *r) noexcept nogil:
    """Bytes that may be produced now; above the size when the other side lies."""
    cdef uint64_t used = r.head - bw_load_u64(&r.theirs.tail)
    return <size_t>(RING_SIZE - used) if used <= RING_SIZE else RING_SIZE + 1

cdef void ring_wake(Ring *r, bint produced) noexcept nogil:
    cdef uint64_t one = 1
    cdef uint64_t sleeps, wants
    bw_fence()
    sleeps = bw_load_u64(&r.theirs.sleeps)
    if not sleeps & 1 or sleeps == r.answered:
        return
    wants = bw_load_u64(&r.theirs.wants)
    if produced or (wants and RING_SIZE - (bw_load_u64(&r.theirs.head) - r.tail) >= wants):
        r.answered = sleeps
        if write(r.wake_fd, &one, 8) < 0:
            pass

cdef void ring_publish(Ring *r) noexcept nogil:
    """Let the other side see what was produced and consumed; the count of seals says that their records are there."""
    cdef bint produced = r.mine.head != r.head
    bw_store_u64(&r.mine.head, r.head)
    bw_store_u64(&r.mine.tail, r.tail)
    bw_store_u64(&r.mine.seals, r.seals)
    ring_wake(r, produced)

cdef void ring_sleeping(Ring *r, size_t wants) noexcept nogil:
    """Announce sleep, until something was produced for us or, not 0, this much of our half is free; the caller looks at
    the ring once more before it really sleeps."""
    bw_store_u64(&r.mine.wants, wants)
    bw_store_u64(&r.mine.sleeps, r.mine.sleeps | 1)
    bw_fence()

cdef void ring_rest(Ring *r, uint64_t filled) noexcept nogil:
    """Give the pages of our half but the first back, for both sides, unless something of what was `filled` into it is
    still to be read. Only this frees shared memory (madvise(2)): MADV_DONTNEED would merely forget where it is."""
    if bw_load_u64(&r.theirs.tail) == filled:
        madvise(<uint8_t *>r.mine + PAGE, RING_SIZE, MADV_REMOVE)

cdef void ring_awake(Ring *r) noexcept nogil:
    if r.mine.sleeps & 1:
        bw_store_u64(&r.mine.sleeps, r.mine.sleeps + 1)

cdef void ring_copy_out(Ring *r, uint64_t at, uint8_t *dst, size_t n) noexcept nogil:
    """Copy consumed bytes at a cursor into private memory, once."""
    cdef size_t offset = <size_t>(at & (RING_SIZE - 1))
    cdef size_t first = RING_SIZE - offset
    if first > n:
        first = n
    memcpy(dst, r.in_ + offset, first)
    memcpy(dst + first, r.in_, n - first)

cdef void ring_copy_in(Ring *r, const uint8_t *src, size_t n) noexcept nogil:
    """Produce n bytes; the caller has checked the room and publishes later."""
    cdef size_t offset = <size_t>(r.head & (RING_SIZE - 1))
    cdef size_t first = RING_SIZE - offset
    if first > n:
        first = n
    memcpy(r.out + offset, src, first)
    memcpy(r.out, src + first, n - first)
    r.head += n

cdef int ring_spans(uint8_t *data, uint64_t at, size_t n, iovec *iov) noexcept nogil:
    """One or two spans of a ring half for n bytes at a cursor."""
    cdef size_t offset = <size_t>(at & (RING_SIZE - 1))
    cdef size_t first = RING_SIZE - offset
    iov[0].iov_base = data + offset
    iov[0].iov_len = n if n < first else first
    iov[1].iov_base = data
    iov[1].iov_len = n - iov[0].iov_len
    return 2 if iov[1].iov_len else 1
