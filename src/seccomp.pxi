# seccomp - the last step of the jail: what is no row of bw_calls (syscalls.h) ends the process by SIGSYS (seccomp(2)).
#
# The jail leaves some calls that need no descriptor and no privilege: kill and prlimit on processes of one's own user,
# a socket that is disconnected and connected anew to anywhere (connect(2), AF_UNSPEC), a signal or a terminal's input
# by fcntl and ioctl on descriptors that are there. Best effort: a kernel without filters is said at -vv.

cdef extern from "syscalls.h" nogil:
    uint32_t BW_ARCH
    int BW_NET, BW_KEY
    enum:
        BW_CALLS
        BW_FILTER_MAX
    ctypedef struct bw_call:
        uint8_t who, argument
        int number
        uint32_t mask, value
    const bw_call bw_calls[1]

cdef extern from "<linux/filter.h>" nogil:
    struct sock_filter:
        uint16_t code
        uint8_t jt
        uint8_t jf
        uint32_t k
    struct sock_fprog:
        unsigned short len
        sock_filter *filter
    int BPF_LD, BPF_W, BPF_ABS, BPF_JMP, BPF_JEQ, BPF_K, BPF_RET, BPF_ALU, BPF_AND, BPF_MISC, BPF_TAX

cdef extern from "<linux/seccomp.h>" nogil:
    uint32_t SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS
    int SECCOMP_MODE_FILTER

cdef extern from "<sys/prctl.h>" nogil:
    int PR_SET_SECCOMP

# struct seccomp_data
cdef enum:
    DATA_NUMBER = 0
    DATA_ARCH = 4
    DATA_ARGUMENTS = 16

cdef struct Filter:
    sock_filter steps[BW_FILTER_MAX]
    int at                              # the first; it is made from its end, so that what is jumped to is there

cdef int filter_step(Filter *f, int code, uint32_t k) noexcept nogil:
    """One instruction in front; its place."""
    f.at -= 1
    f.steps[f.at] = sock_filter(<uint16_t>code, 0, 0, k)
    return f.at

cdef int filter_equal(Filter *f, uint32_t k, int when_true, int when_false) noexcept nogil:
    filter_step(f, BPF_JMP | BPF_JEQ | BPF_K, k)
    f.steps[f.at].jt = <uint8_t>(when_true - f.at - 1)
    f.steps[f.at].jf = <uint8_t>(when_false - f.at - 1)
    return f.at

cdef int call_before(const bw_call *calls, int i, int who) noexcept nogil:
    """The row of net or key before the i-th, -1 without."""
    i -= 1
    while i >= 0 and not calls[i].who & who:
        i -= 1
    return i

cdef int filter_row(Filter *f, const bw_call *row, int allow, int otherwise) noexcept nogil:
    """The verdict on a row's number; otherwise: the one on another argument."""
    if row.mask == 0:
        return allow
    filter_equal(f, row.value, allow, otherwise)
    if row.mask != 0xffffffffU:
        filter_step(f, BPF_ALU | BPF_AND | BPF_K, row.mask)
    return filter_step(f, BPF_LD | BPF_W | BPF_ABS, DATA_ARGUMENTS + 8 * <uint32_t>row.argument)

cdef void filter_make(Filter *f, const bw_call *calls, int num_calls, int who) noexcept nogil:
    """The filter of net or key: the table's rows in their order, those of one number together.

    When it is installed, once a process, the kernel tries it with each of some 470 numbers of both its interfaces, and
    runs it no more for what it allows by number alone. That trial takes 10 us, a run 1 to 3 ns, so its first step is
    one that the trial does not follow, which ends it.
    """
    cdef int allow, deny, search, verdict, i, before
    f.at = BW_FILTER_MAX
    allow = filter_step(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    verdict = search = deny = filter_step(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    i = call_before(calls, num_calls, who)
    while i >= 0:
        verdict = filter_row(f, &calls[i], allow, verdict)
        before = call_before(calls, i, who)
        if before < 0 or calls[before].number != calls[i].number:
            search = filter_equal(f, <uint32_t>calls[i].number, verdict, search)
            verdict = deny
        i = before
    filter_step(f, BPF_LD | BPF_W | BPF_ABS, DATA_NUMBER)
    filter_equal(f, BW_ARCH, f.at, deny)
    filter_step(f, BPF_LD | BPF_W | BPF_ABS, DATA_ARCH)
    filter_step(f, BPF_MISC | BPF_TAX, 0)

cdef void limit_calls(int who) noexcept nogil:
    """Behind the jail, which has taken new privileges away: nothing but the calls of net (BW_NET) or key (BW_KEY)."""
    cdef Filter f
    cdef sock_fprog program
    filter_make(&f, bw_calls, BW_CALLS, who)
    program.len = <unsigned short>(BW_FILTER_MAX - f.at)
    program.filter = f.steps + f.at
    if BW_ARCH == 0 or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, <unsigned long>&program, 0, 0) < 0:
        log_info("jail: system calls are not filtered here")
