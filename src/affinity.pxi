# affinity - a connection's three processes on one processor while the handshake lasts, the one that its packets come to.
#
# They take turns then, so they gain nothing from two; and a process that has run on two processors makes each of them
# forget its memory when it ends, by interrupts that the other waits for. Under load that is a twentieth of a
# connection's time. What moves many bytes, or rests, is free to run anywhere again, and so is prog from its exec on.

cdef enum:
    STAY_BYTES = 65536      # of a connection, both ways

cdef extern from * nogil:
    """
    /* Thread-local for the reason that log_process is. */
    static __thread cpu_set_t affinity_before; /* where this process may run otherwise */
    static __thread int affinity_staying;
    """
    cpu_set_t affinity_before
    bint affinity_staying

cdef int affinity_stay() noexcept nogil:
    """Stay on the processor that this process runs on, with the children to come; its number, -1 when it cannot be."""
    global affinity_staying
    cdef cpu_set_t one
    cdef int cpu = sched_getcpu()
    if not 0 <= cpu < CPU_SETSIZE or sched_getaffinity(0, sizeof(cpu_set_t), &affinity_before) < 0:
        return -1
    CPU_ZERO(&one)
    CPU_SET(cpu, &one)
    affinity_staying = sched_setaffinity(0, sizeof(cpu_set_t), &one) == 0
    return cpu if affinity_staying else -1

cdef void affinity_leave() noexcept nogil:
    """Run anywhere again, if this process stayed."""
    global affinity_staying
    if affinity_staying:
        affinity_staying = False
        sched_setaffinity(0, sizeof(cpu_set_t), &affinity_before)

cdef void affinity_moved(uint64_t n) noexcept nogil:
    """A connection has moved so many bytes so far: with many, two processors are a gain."""
    if n > STAY_BYTES:
        affinity_leave()

cdef int affinity_incoming(int sock) noexcept nogil:
    """The processor that took a socket's last packet (SO_INCOMING_CPU, socket(7)), -1 when the kernel does not say."""
    cdef int cpu = -1
    cdef socklen_t n = sizeof(cpu)
    return cpu if getsockopt(sock, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &n) == 0 else -1
