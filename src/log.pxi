# log - one event, one line, one write(2) on descriptor 2.
#
# Line: NAME: LEVEL: [IP: ]MESSAGE[ (ERRNO)][ ][{PROCESS}][[ID]]  (tlswrapper's format; the original has a place
# in its source where we name the process). With the s6 style: NAME: LEVEL: MESSAGE[: ERRNO]. Usable in every
# process, before and after the jail: no allocation, no file, no interpreter. No secret is ever an argument.

cdef enum LogLevel:
    LOG_QUIET = 0
    LOG_FATAL = 1
    LOG_ERROR = 2
    LOG_WARNING = 2
    LOG_INFO = 2
    LOG_DEBUG = 3
    LOG_TRACING = 4

cdef enum:
    LOG_LINE_MAX = 4096
    LOG_TEXT_MAX = 3500     # name, address and message: errno, process and identity still fit behind
    ID_LENGTH = 16          # of a random identity
    ID_LONGEST = 67         # of one that is inherited; more is cut to 64 and "..."

cdef struct Log:
    int level
    char name[32]
    char id[72]
    char ip[64]
    bint spoke              # a line was written
    bint s6                 # the lines of s6's tools, with the system's words for an errno

cdef Log log_state
cdef extern from * nogil:
    """
    /* Shown from -vv on. Thread-local: so it lies in the page of data that each child of a fork writes anyway. */
    static __thread const char *log_process;
    static inline void log_as(const char *process) { log_process = process; }
    """
    const char *log_process
    void log_as(const char *process)            # net, key, prog...

cdef void log_identify(const char *given) noexcept nogil:
    """The name of a connection in its log lines: an inherited one, or with NULL or nothing a random one."""
    cdef uint8_t raw[ID_LENGTH]
    cdef const char *alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    cdef int i
    if given != NULL and given[0] != 0:
        snprintf(log_state.id, sizeof(log_state.id), "%.64s..." if strlen(given) > ID_LONGEST else "%s", given)
        return
    if getrandom(raw, ID_LENGTH, 0) != ID_LENGTH:
        memset(raw, 0, ID_LENGTH)
    for i in range(ID_LENGTH):
        log_state.id[i] = alphabet[raw[i] % 62]
    log_state.id[ID_LENGTH] = 0

cdef const char *errno_word(int number) noexcept nogil:
    """The original's words for an errno; 'unknown error' for one it does not list."""
    if number == ENOENT: return "file does not exist"
    if number == EACCES: return "access denied"
    if number == EPERM: return "permission denied"
    if number == ENOTDIR: return "not a directory"
    if number == EISDIR: return "is a directory"
    if number == EINVAL: return "invalid argument"
    if number == ECONNREFUSED: return "connection refused"
    if number == ETIMEDOUT: return "timed out"
    if number == EHOSTUNREACH: return "host unreachable"
    if number == ENETUNREACH: return "network unreachable"
    if number == ECONNRESET: return "connection reset"
    if number == EPIPE: return "broken pipe"
    if number == EPROTO: return "protocol error"
    if number == EBADF: return "file descriptor not open"
    if number == ENOMEM: return "out of memory"
    if number == EMFILE: return "process cannot open more files"
    if number == EAGAIN: return "temporary failure"
    if number == EINPROGRESS: return "operation in progress"
    if number == EFBIG: return "file too large"      # ours: the original has no such limit
    if number == ENOTSOCK: return "not a socket"
    if number == EADDRINUSE: return "address already in use"
    if number == EADDRNOTAVAIL: return "address not available"
    if number == EAFNOSUPPORT: return "address family not supported"
    if number == ENETDOWN: return "network down"
    if number == EHOSTDOWN: return "host down"
    if number == ENAMETOOLONG: return "file name too long"
    return "unknown error"

cdef struct Line:
    char text[4096]
    size_t len

cdef void line_raw(Line *l, const char *s) noexcept nogil:
    cdef size_t n = strlen(s)
    if n > LOG_LINE_MAX - 128 - l.len:
        n = LOG_LINE_MAX - 128 - l.len
    memcpy(l.text + l.len, s, n)
    l.len += n

cdef void line_escaped(Line *l, const char *s, size_t n, size_t most) noexcept nogil:
    """LF, CR and TAB by name, other bytes outside printable ASCII as \\xhh: one record is always one line.

    Stops when the line is longer than `most`, so that what follows has its place.
    """
    cdef size_t i
    cdef unsigned char c
    cdef const char *hexdigits = "0123456789abcdef"
    for i in range(n):
        if l.len > most:
            return
        c = <unsigned char>s[i]
        if c == 10 or c == 13 or c == 9:
            l.text[l.len] = c'\\'
            l.text[l.len + 1] = c'n' if c == 10 else (c'r' if c == 13 else c't')
            l.len += 2
        elif c < 32 or c > 126:
            l.text[l.len] = c'\\'
            l.text[l.len + 1] = c'x'
            l.text[l.len + 2] = hexdigits[c >> 4]
            l.text[l.len + 3] = hexdigits[c & 15]
            l.len += 4
        else:
            l.text[l.len] = <char>c
            l.len += 1

cdef void line_end(Line *l) noexcept nogil:
    """Write the line in one call, so that lines of several processes do not mix; a failure is ignored."""
    l.text[l.len] = c'\n'
    l.len += 1
    if write(2, l.text, l.len) < 0:
        pass

cdef void log_write(int level, const char *word, int err, const char *message,
                    size_t len) noexcept nogil:
    """Write one line when the verbosity admits it; errno is unchanged after it."""
    cdef Line l
    cdef int saved = errno
    if log_state.level < level:
        return
    log_state.spoke = True
    l.len = 0
    line_escaped(&l, log_state.name, strlen(log_state.name), LOG_TEXT_MAX)
    line_raw(&l, ": ")
    line_raw(&l, word)
    line_raw(&l, ": ")
    if log_state.s6:
        line_escaped(&l, message, len, LOG_TEXT_MAX)
        if err != 0:
            line_raw(&l, ": ")
            line_raw(&l, strerror(err))
        line_end(&l)
        set_errno(saved)
        return
    if log_state.ip[0] != 0:
        line_escaped(&l, log_state.ip, strlen(log_state.ip), LOG_TEXT_MAX)
        line_raw(&l, ": ")
    line_escaped(&l, message, len, LOG_TEXT_MAX)
    if err != 0:
        line_raw(&l, " (")
        line_raw(&l, errno_word(err))
        line_raw(&l, ")")
    if log_state.level >= LOG_INFO and err == 0:
        line_raw(&l, " ")
    if log_state.level >= LOG_DEBUG:
        line_raw(&l, "{")
        line_raw(&l, log_process)
        line_raw(&l, "}")
    if log_state.level >= LOG_INFO:
        line_raw(&l, "[")
        line_escaped(&l, log_state.id, strlen(log_state.id), LOG_LINE_MAX - 160)
        line_raw(&l, "]")
    line_end(&l)
    set_errno(saved)

# A message is put together with snprintf by the caller; the names say level and whether the address is shown.
cdef void log_fatal(const char *message, int err) noexcept nogil:
    log_write(LOG_FATAL, "fatal", err, message, strlen(message))

cdef void log_error(const char *message, int err) noexcept nogil:
    log_write(LOG_ERROR, "error", err, message, strlen(message))

cdef void log_warning(const char *message, int err) noexcept nogil:
    log_write(LOG_WARNING, "warning", err, message, strlen(message))

cdef void log_info(const char *message) noexcept nogil:
    log_write(LOG_INFO, "info", 0, message, strlen(message))

cdef void log_debug(const char *message) noexcept nogil:
    log_write(LOG_DEBUG, "debug", 0, message, strlen(message))

cdef void log_tracing(const char *message) noexcept nogil:
    log_write(LOG_TRACING, "tracing", 0, message, strlen(message))
