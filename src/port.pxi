# port - messages of the key port over a SOCK_SEQPACKET pair: one byte (operation, status or event), then payload.

cdef enum:
    PORT_CLOSED = -1        # the other process is gone, or its message was over-long
    STATUS_OK = 0

# `load` alone tells two failures apart
cdef enum LoadStatus:
    LOAD_FAILED = 1     # payload: byte 1 when the fault was logged as fatal already, errno, path
    LOAD_NOTHING = 2    # no entry fits the client

cdef ssize_t port_send(int fd, int kind, const uint8_t *payload, size_t n) noexcept nogil:
    """0, or PORT_CLOSED. Blocks while the peer's queue is full, which its next read empties."""
    cdef iovec iov[2]
    cdef uint8_t head = <uint8_t>kind
    cdef ssize_t r
    iov[0].iov_base = &head
    iov[0].iov_len = 1
    iov[1].iov_base = <void *>payload
    iov[1].iov_len = n
    while True:
        r = writev(fd, iov, 2)
        if r == <ssize_t>(n + 1):
            return 0
        if r < 0 and errno == EINTR:
            continue
        return PORT_CLOSED

cdef ssize_t port_receive(int fd, uint8_t *message, size_t room) noexcept nogil:
    """Length of the next message (at least 1), or PORT_CLOSED. Blocks."""
    cdef ssize_t r
    while True:
        r = read(fd, message, room)
        if r < 0 and errno == EINTR:
            continue
        return r if r > 0 and <size_t>r < room else PORT_CLOSED

cdef const bw_op *op_row(int op) noexcept nogil:
    cdef int i
    for i in range(BW_OPS):
        if bw_ops[i].op == op:
            return &bw_ops[i]
    return NULL
