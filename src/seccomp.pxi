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
    int BPF_LD, BPF_W, BPF_ABS, BPF_JMP, BPF_JEQ, BPF_JGE, BPF_K, BPF_RET, BPF_ALU, BPF_AND

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

cdef struct Span:                       # the numbers from `first` to the next span
    uint64_t first
    int verdict                         # a place in the filter

cdef int filter_step(Filter *f, int code, uint32_t k) noexcept nogil:
    """One instruction in front; its place."""
    f.at -= 1
    f.steps[f.at] = sock_filter(<uint16_t>code, 0, 0, k)
    return f.at

cdef int filter_jump(Filter *f, int comparison, uint32_t k, int when_true, int when_false) noexcept nogil:
    filter_step(f, BPF_JMP | comparison | BPF_K, k)
    f.steps[f.at].jt = <uint8_t>(when_true - f.at - 1)
    f.steps[f.at].jf = <uint8_t>(when_false - f.at - 1)
    return f.at

cdef int filter_load(Filter *f, uint32_t offset) noexcept nogil:
    return filter_step(f, BPF_LD | BPF_W | BPF_ABS, offset)

cdef int filter_row(Filter *f, const bw_call *row, int allow, int otherwise) noexcept nogil:
    """The verdict on a row's number; otherwise: the one on another argument."""
    if row.mask == 0:
        return allow
    filter_jump(f, BPF_JEQ, row.value, allow, otherwise)
    if row.mask != 0xffffffffU:
        filter_step(f, BPF_ALU | BPF_AND | BPF_K, row.mask)
    return filter_load(f, DATA_ARGUMENTS + 8 * <uint32_t>row.argument)

cdef int filter_search(Filter *f, const Span *spans, int num, uint64_t end) noexcept nogil:
    """The verdict on numbers up to `end`, which are halved as evenly as their spans allow."""
    cdef int upper, half = 1
    if num == 1:
        return spans[0].verdict
    while half + 1 < num and spans[half].first + spans[half + 1].first < spans[0].first + end:
        half += 1
    upper = filter_search(f, spans + half, num - half, end)
    return filter_jump(f, BPF_JGE, <uint32_t>spans[half].first, upper, filter_search(f, spans, half, spans[half].first))

cdef int span_begin(Span *spans, int num, uint64_t first, int verdict) noexcept nogil:
    """From here on numbers have this verdict; how many spans there are."""
    if num and spans[num - 1].first == first:
        num -= 1
    if first > 0xffffffffU or (num and spans[num - 1].verdict == verdict):
        return num
    spans[num] = Span(first, verdict)
    return num + 1

cdef void filter_make(Filter *f, const bw_call *calls, int num_calls, int who) noexcept nogil:
    """The filter of net or key; of at most BW_CALLS calls.

    When it is installed, once a process, the kernel tries it with each of some 470 numbers, and runs it no more for
    what it allows by number alone, if only by comparisons. A step there costs 3 ns a number, an instruction 0.1 us.
    """
    cdef const bw_call *rows[BW_CALLS]
    cdef Span spans[2 * BW_CALLS + 1]
    cdef int allow, deny, verdict, i, k, num = 0, num_spans
    for i in range(num_calls):
        if not calls[i].who & who:
            continue
        k = num
        while k and <uint32_t>rows[k - 1].number > <uint32_t>calls[i].number:
            rows[k] = rows[k - 1]
            k -= 1
        rows[k] = &calls[i]
        num += 1
    f.at = BW_FILTER_MAX
    allow = filter_step(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    verdict = deny = filter_step(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    num_spans = span_begin(spans, 0, 0, deny)
    for i in range(num):
        verdict = filter_row(f, rows[i], allow, verdict)
        if i + 1 == num or rows[i + 1].number != rows[i].number:
            num_spans = span_begin(spans, num_spans, <uint32_t>rows[i].number, verdict)
            num_spans = span_begin(spans, num_spans, <uint64_t><uint32_t>rows[i].number + 1, deny)
            verdict = deny
    filter_search(f, spans, num_spans, 512)
    filter_load(f, DATA_NUMBER)
    filter_jump(f, BPF_JEQ, BW_ARCH, f.at, deny)
    filter_load(f, DATA_ARCH)

cdef void limit_calls(int who) noexcept nogil:
    """Behind the jail, which has taken new privileges away: nothing but the calls of net (BW_NET) or key (BW_KEY)."""
    cdef Filter f
    cdef sock_fprog program
    filter_make(&f, bw_calls, BW_CALLS, who)
    program.len = <unsigned short>(BW_FILTER_MAX - f.at)
    program.filter = f.steps + f.at
    if BW_ARCH == 0 or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, <unsigned long>&program, 0, 0) < 0:
        log_info("jail: system calls are not filtered here")
