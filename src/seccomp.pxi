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
    int num

cdef void filter_step(Filter *f, int code, uint32_t k, int when_true, int when_false) noexcept nogil:
    """One instruction; of a comparison, how many to pass over."""
    f.steps[f.num].code = <uint16_t>code
    f.steps[f.num].k = k
    f.steps[f.num].jt = <uint8_t>when_true
    f.steps[f.num].jf = <uint8_t>when_false
    f.num += 1

cdef void filter_load(Filter *f, uint32_t offset) noexcept nogil:
    filter_step(f, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)

cdef void filter_unless(Filter *f, uint32_t value, int passed_over) noexcept nogil:
    """Pass over so many instructions unless what was loaded is this."""
    filter_step(f, BPF_JMP | BPF_JEQ | BPF_K, value, 0, passed_over)

cdef void filter_return(Filter *f, uint32_t action) noexcept nogil:
    filter_step(f, BPF_RET | BPF_K, action, 0, 0)

cdef void filter_row(Filter *f, const bw_call *row) noexcept nogil:
    """One number and, where the row binds an argument, that; anything else ends the process."""
    if row.mask == 0:
        filter_unless(f, <uint32_t>row.number, 1)
    else:
        filter_unless(f, <uint32_t>row.number, 4)
        filter_load(f, DATA_ARGUMENTS + 8 * <uint32_t>row.argument)
        filter_step(f, BPF_ALU | BPF_AND | BPF_K, row.mask, 0, 0)
        filter_unless(f, row.value, 1)
    filter_return(f, SECCOMP_RET_ALLOW)
    filter_return(f, SECCOMP_RET_KILL_PROCESS)

cdef void filter_values(Filter *f, const bw_call **rows, int num) noexcept nogil:
    """Rows of one number, each with a value of its own."""
    cdef int i
    for i in range(num - 1):
        filter_unless(f, <uint32_t>rows[i].number, 5)
        filter_load(f, DATA_ARGUMENTS + 8 * <uint32_t>rows[i].argument)
        filter_step(f, BPF_ALU | BPF_AND | BPF_K, rows[i].mask, 0, 0)
        filter_unless(f, rows[i].value, 1)
        filter_return(f, SECCOMP_RET_ALLOW)
        filter_load(f, DATA_NUMBER)
    filter_row(f, rows[num - 1])

cdef void filter_search(Filter *f, const bw_call **rows, int num) noexcept nogil:
    """A binary search over rows in the order of their numbers."""
    cdef int half = num // 2
    cdef int at = f.num
    if rows[0].number == rows[num - 1].number:
        filter_values(f, rows, num)
        return
    while rows[half].number == rows[half - 1].number:
        half = half - 1 if rows[half].number != rows[0].number else half + 1
    filter_step(f, BPF_JMP | BPF_JGE | BPF_K, <uint32_t>rows[half].number, 0, 0)
    filter_search(f, rows, half)
    f.steps[at].jt = <uint8_t>(f.num - at - 1)
    filter_search(f, rows + half, num - half)

cdef void filter_make(Filter *f, int who) noexcept nogil:
    """The filter of net or key.

    The kernel runs it for each number that there is when it is installed, once a process, so the steps to an answer
    count: a search takes 33 us where a row after the other took 63.
    """
    cdef const bw_call *rows[BW_CALLS]
    cdef int i, k, num = 0
    for i in range(BW_CALLS):
        if not bw_calls[i].who & who:
            continue
        k = num
        while k and <uint32_t>rows[k - 1].number > <uint32_t>bw_calls[i].number:
            rows[k] = rows[k - 1]
            k -= 1
        rows[k] = &bw_calls[i]
        num += 1
    f.num = 0
    filter_load(f, DATA_ARCH)
    filter_step(f, BPF_JMP | BPF_JEQ | BPF_K, BW_ARCH, 1, 0)
    filter_return(f, SECCOMP_RET_KILL_PROCESS)
    filter_load(f, DATA_NUMBER)
    filter_search(f, rows, num)

cdef void limit_calls(int who) noexcept nogil:
    """Behind the jail, which has taken new privileges away: nothing but the calls of net (BW_NET) or key (BW_KEY)."""
    cdef Filter f
    cdef sock_fprog program
    filter_make(&f, who)
    program.len = <unsigned short>f.num
    program.filter = f.steps
    if BW_ARCH == 0 or prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, <unsigned long>&program, 0, 0) < 0:
        log_info("jail: system calls are not filtered here")
