# ticketpage - the page of ticket keys that `bearwrap serve` makes and turns over for its key processes.
#
# A worker's processes are forked with it mapped. prog and net unmap it before they have a connection, key when it has
# sealed its tickets; the supervisor alone writes.

cdef enum:
    TICKET_ROTATE_MS = 3600000

cdef Tickets *tickets_page              # shared by the supervisor and key processes; NULL elsewhere

cdef bint tickets_map() noexcept nogil:
    """A page for keys that is in no dump and is not swapped where that is allowed."""
    global tickets_page
    cdef void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    if p == MAP_FAILED:
        return False
    madvise(p, PAGE, MADV_DONTDUMP)
    mlock(p, PAGE)
    tickets_page = <Tickets *>p
    return True

cdef void tickets_unmap() noexcept nogil:
    """Once a process, which does not look at the page again."""
    if tickets_page != NULL:
        munmap(tickets_page, PAGE)

cdef bint tickets_rotate() noexcept nogil:
    """A new key becomes the current one and the oldest goes."""
    cdef uint64_t at = tickets_page.current + 1
    cdef TicketKey *key = &tickets_page.keys[at % TICKET_KEYS]
    if getrandom(key, sizeof(TicketKey), 0) != sizeof(TicketKey):
        return False
    bw_store_u64(&tickets_page.current, at)
    return True

cdef int64_t tickets_turn_ms() noexcept nogil:
    """How long a key is the current one."""
    return <int64_t>bw_test_number("BEARWRAP_TEST_ROTATE_MS", TICKET_ROTATE_MS)

cdef uint64_t wall_ms() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_REALTIME, &t)
    return <uint64_t>t.tv_sec * 1000 + <uint64_t>(t.tv_nsec // 1000000)
