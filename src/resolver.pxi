# resolver - from a host's name to its addresses, in a process of its own and with a deadline.
#
# Name services load foreign code and parse what the network sends, so they stay out of this process: a child takes
# the jail's uid (it needs files, so no chroot), may gain no privileges, and becomes getent(1), whose lines are read
# through a pipe. Literal addresses need none of that. Works before the jail only. Who is not root has no other uid to
# take: without a jail the child keeps its own.

cdef enum:
    TARGETS_MAX = 16            # addresses of one host that are tried
    HOST_MAX = 255              # a DNS name is at most 253 bytes
    GETENT_BYTES = 16384        # of getent's answer: more than TARGETS_MAX times its three lines
    CHILD_NO_JAIL = 112         # exit codes of the child before it is getent
    CHILD_NO_GETENT = 113
    EV_ANSWER = 0
    EV_STOP = 1

cdef enum ResolverEnd:
    RESOLVER_ANSWER = 0
    RESOLVER_STOPPED = 1        # by what the caller watches
    RESOLVER_NO_JAIL = 2
    RESOLVER_FAILED = 3         # with an errno, or 0

cdef struct Question:
    const char *database        # of getent: ahosts for a name, hosts for an address
    const char *key
    bint search                 # complete a name by the search list of resolv.conf(5)
    Jail *jail                  # NULL: keep the uid
    int64_t deadline            # monotonic ms
    int stop                    # a descriptor that ends the wait, -1 without

cdef struct Target:
    char ip[48]                 # canonical text, with %ZONE if it has one
    int family
    uint8_t raw[16]
    uint32_t zone               # interface of a link-local address, 0 without

cdef struct Targets:
    Target list[16]
    int count

cdef bint target_parse(Target *t, const char *text, size_t n) noexcept nogil:
    """A literal address, IPv6 possibly with %ZONE; a v4-mapped one becomes IPv4. False when it is none."""
    cdef char plain[48]
    cdef char normal[48]
    cdef char *zone
    cdef const char *suffix = ""
    if n == 0 or n >= IP_MAX:
        return False
    memcpy(plain, text, n)
    plain[n] = 0
    memset(t, 0, sizeof(Target))
    zone = strchr(plain, c'%')
    if zone != NULL:
        t.zone = if_nametoindex(zone + 1)
        if t.zone == 0:
            return False
        zone[0] = 0
        suffix = zone + 1
    if not ip_normalize(plain, 0, normal):
        return False
    t.family = AF_INET6 if strchr(normal, c':') != NULL else AF_INET
    if zone != NULL and (t.family != AF_INET6 or strlen(normal) + strlen(suffix) + 2 > IP_MAX):
        return False
    strcpy(t.ip, normal)
    if zone != NULL:
        snprintf(t.ip + strlen(normal), IP_MAX - strlen(normal), "%%%s", suffix)
    return inet_pton(t.family, normal, t.raw) == 1

cdef void targets_add(Targets *all, Target *t) noexcept nogil:
    """Keep an address that is new, while there is room."""
    cdef int i
    for i in range(all.count):
        if all.list[i].family == t.family and all.list[i].zone == t.zone and memcmp(all.list[i].raw, t.raw, 16) == 0:
            return
    if all.count < TARGETS_MAX:
        all.list[all.count] = t[0]
        all.count += 1

cdef void targets_parse(Targets *all, const char *lines, size_t n) noexcept nogil:
    """The addresses in the lines of `getent ahosts`, `ADDRESS STREAM|DGRAM|RAW [NAME]`; a line cut short is left out."""
    cdef const char *end = lines + n
    cdef const char *eol
    cdef const char *p
    cdef Target t
    all.count = 0
    while lines < end:
        eol = <const char *>memchr(lines, c'\n', <size_t>(end - lines))
        if eol == NULL:
            return
        p = lines
        while p < eol and p[0] != c' ':
            p += 1
        if memmem(p, <size_t>(eol - p), b" STREAM", 7) != NULL and target_parse(&t, lines, <size_t>(p - lines)):
            targets_add(all, &t)
        lines = eol + 1

cdef void targets_order(Targets *all) noexcept nogil:
    """Shuffle, so that load spreads over a host's addresses, then one IPv6 address first."""
    cdef uint32_t random[16]
    cdef Target swap
    cdef int i, j
    if getrandom(random, sizeof(random), 0) != sizeof(random):
        return
    for i in range(all.count - 1, 0, -1):
        j = <int>(random[i] % <uint32_t>(i + 1))
        swap = all.list[i]
        all.list[i] = all.list[j]
        all.list[j] = swap
    for i in range(all.count):
        if all.list[i].family == AF_INET6:
            swap = all.list[i]
            all.list[i] = all.list[0]
            all.list[0] = swap
            return

cdef void resolver_child(Question *q, int sink, pid_t parent) noexcept nogil:
    """Become getent, with no more rights than it needs; never returns."""
    cdef char *argv[5]
    cdef sigset_t none
    cdef uid_t uid = 0
    cdef int null
    log_as("resolver")
    if q.jail != NULL:
        if not jail_identity(q.jail, &uid):
            _exit(CHILD_NO_JAIL)
        if setuid(uid) < 0:
            failed("setuid", uid)
            _exit(CHILD_NO_JAIL)
    # after setuid, which clears the first; a parent that died before it is seen as another parent
    if prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 or getppid() != parent \
            or prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 or not limit_to(RLIMIT_CORE, 0, "setrlimit CORE") \
            or not limit_to(RLIMIT_NPROC, 0, "setrlimit NPROC") \
            or not limit_to(RLIMIT_DATA, MEMORY_MAX, "setrlimit DATA"):
        _exit(CHILD_NO_JAIL)
    null = open_("/dev/null", O_RDWR)
    if null < 0 or dup2(null, 0) < 0 or dup2(sink, 1) < 0:
        _exit(CHILD_NO_GETENT)
    dup2(null, 2)
    close_range(3, ~<unsigned>0, 0)
    sigemptyset(&none)
    signal(SIGPIPE, SIG_DFL)
    sigprocmask(SIG_SETMASK, &none, NULL)
    if not q.search:
        setenv("LOCALDOMAIN", "", 1)        # resolv.conf(5): it takes the place of the search list
    argv[0] = "getent"
    argv[1] = <char *>q.database
    argv[2] = "--"
    argv[3] = <char *>q.key
    argv[4] = NULL
    execv("/usr/bin/getent", argv)
    _exit(CHILD_NO_GETENT)

cdef void resolver_failed(const char *host, const char *port, int err) noexcept nogil:
    cdef char m[1024]
    snprintf(m, sizeof(m), "unable to resolve host '%.700s' or port '%.16s'", host, port)
    log_fatal(m, err)

cdef void resolver_no_name(const char *host) noexcept nogil:
    cdef char m[1024]
    snprintf(m, sizeof(m), "unable to resolve host '%.700s': name not exist", host)
    log_fatal(m, 0)

cdef ssize_t resolver_answer(int epoll, int fd, int64_t deadline, char *lines, bint *stopped) noexcept nogil:
    """getent's whole answer, or as much as GETENT_BYTES holds; -1 with errno after the deadline."""
    cdef epoll_event event
    cdef size_t have = 0
    cdef ssize_t n
    cdef int64_t left
    while have < GETENT_BYTES:
        left = deadline - now_ms()
        if left <= 0:
            set_errno(ETIMEDOUT)
            return -1
        n = read(fd, lines + have, GETENT_BYTES - have)
        if n > 0:
            have += <size_t>n
        elif n == 0:
            break
        elif errno == EAGAIN:
            if epoll_wait(epoll, &event, 1, <int>(left if left < 60000 else 60000)) == 1 \
                    and event.data.u32 == EV_STOP:
                stopped[0] = True
                return -1
        elif errno != EINTR:
            return -1
    return <ssize_t>have

cdef int resolver_ask(Question *q, char *lines, size_t *n) noexcept nogil:
    """Ask getent; n bytes of answer, of at most GETENT_BYTES, none when there is no such name. A ResolverEnd with errno.

    No child is left in any case.
    """
    cdef int fds[2]
    cdef int epoll, status = 0, err
    cdef ssize_t got = -1
    cdef bint stopped = False
    cdef pid_t parent = getpid(), child
    n[0] = 0
    if pipe2(fds, O_CLOEXEC) < 0:
        return RESOLVER_FAILED
    child = fork()
    if child == 0:
        resolver_child(q, fds[1], parent)
    err = errno
    close(fds[1])
    epoll = epoll_create1(EPOLL_CLOEXEC)
    if child > 0 and epoll >= 0 and nonblocking(fds[0]) and watch(epoll, fds[0], EPOLLIN, EV_ANSWER) \
            and (q.stop < 0 or watch(epoll, q.stop, EPOLLIN, EV_STOP)):
        got = resolver_answer(epoll, fds[0], q.deadline, lines, &stopped)
        err = errno
    elif child > 0:
        err = errno
    close(fds[0])
    close(epoll)
    if child < 0:
        set_errno(err)
        return RESOLVER_FAILED
    # at the end of its answer it has exited or has nothing more to say: its exit code stays if it has one
    kill(child, SIGKILL)
    while waitpid(child, &status, 0) < 0 and errno == EINTR:
        pass
    if stopped:
        return RESOLVER_STOPPED
    if WIFEXITED(status) and WEXITSTATUS(status) == CHILD_NO_JAIL:
        return RESOLVER_NO_JAIL
    if WIFEXITED(status) and WEXITSTATUS(status) == CHILD_NO_GETENT:
        log_error("unable to run /usr/bin/getent", 0)
        set_errno(0)
        return RESOLVER_FAILED
    if got < 0:
        set_errno(err)
        return RESOLVER_FAILED
    n[0] = <size_t>got
    return RESOLVER_ANSWER

cdef int resolver_addresses(Question *q, Targets *out) noexcept nogil:
    """The addresses of a host, none when there is no such name: a ResolverEnd."""
    cdef char lines[16384]
    cdef Target literal
    cdef size_t n
    cdef int end
    out.count = 0
    if target_parse(&literal, q.key, strlen(q.key)):
        targets_add(out, &literal)
        return RESOLVER_ANSWER
    if not 0 < strlen(q.key) <= HOST_MAX:
        return RESOLVER_ANSWER
    end = resolver_ask(q, lines, &n)
    if end == RESOLVER_ANSWER:
        targets_parse(out, lines, n)
    return end

cdef bint resolve(const char *host, const char *port, Jail *jail, int64_t deadline, int stop, Targets *out,
                  bint *stopped) noexcept nogil:
    """The addresses of a host in the order to try them; False after a fatal line, or when `stop` became readable.

    deadline: monotonic ms. stop: a descriptor that ends the wait, -1 without; stopped tells that it did.
    """
    cdef Question q
    cdef int end
    q.database = "ahosts"
    q.key = host
    q.search = True
    q.jail = jail
    q.deadline = deadline
    q.stop = stop
    end = resolver_addresses(&q, out)
    stopped[0] = end == RESOLVER_STOPPED
    if end == RESOLVER_NO_JAIL:
        jail_refused()
    elif end == RESOLVER_FAILED:
        resolver_failed(host, port, errno)
    elif end == RESOLVER_ANSWER and out.count == 0:
        resolver_no_name(host)
    targets_order(out)
    return end == RESOLVER_ANSWER and out.count > 0
