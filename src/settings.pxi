# settings - what a process with the interpreter leaves to one without: `bearwrap serve` to itself (again.pxi), one
# tlswrapper to the next (cache.pxi).
#
# Texts lie in one room and a field holds its place there plus one, since the other process has other addresses. prog's
# words are the last of the program's own and are told by their number.

cdef enum:
    LISTENERS_MAX = 16
    TEXTS_MAX = 32768       # bytes of all texts together
    SOCKETS_MAX = LISTENERS_MAX + 1

cdef struct SocketPath:     # a Unix socket of ours, to be removed at the end
    const char *path
    uint64_t device
    uint64_t inode

cdef struct Listening:      # the settings of `bearwrap serve`
    int listeners[LISTENERS_MAX]
    int listeners_num
    int status              # listening socket, -1 without
    const char *log_file    # to open anew at SIGHUP, NULL without
    int most                # --max-connections
    int most_waiting        # places besides
    int most_per_address    # 0: no limit
    int spare               # workers kept ready
    int64_t drain_ms
    int64_t watchdog_ms     # 0: none
    SocketPath sockets[SOCKETS_MAX]
    int sockets_num

cdef struct Executable:     # which file a program was started from
    uint64_t device
    uint64_t inode
    int64_t size
    int64_t seconds         # of its last change
    int64_t nanoseconds

cdef struct Message:
    Config config           # of a server
    Listening listening
    Log log
    Executable made_by      # of the cache alone, with the whole command line: where it lies among the texts
    size_t line
    int line_words
    int words               # prog's
    size_t used             # of text
    char text[TEXTS_MAX]

cdef Message settings_message
cdef int program_argc       # of a native program; 0 otherwise
cdef char **program_argv

cdef void program_take(int argc, char **argv) noexcept nogil:
    """A native program's words, before anything else."""
    global program_argc, program_argv
    program_argc = argc
    program_argv = argv

cdef bint text_pack(Message *m, const char **field) noexcept nogil:
    """Put a text into the room; False when it is full."""
    cdef size_t n
    if field[0] == NULL:
        return True
    n = strlen(field[0]) + 1
    if n > TEXTS_MAX - m.used:
        return False
    memcpy(m.text + m.used, field[0], n)
    field[0] = <const char *>(m.used + 1)
    m.used += n
    return True

cdef bint text_unpack(Message *m, const char **field) noexcept nogil:
    if field[0] != NULL:
        field[0] = m.text + (<size_t>field[0] - 1)
    return True

ctypedef bint (*TextStep)(Message *, const char **) noexcept nogil

cdef bint each_text(Message *m, TextStep step) noexcept nogil:
    """Every text of the settings, packed or unpacked."""
    cdef Config *c = &m.config
    cdef int i
    for i in range(c.entries_num):
        if not step(m, &c.entries[i].path):
            return False
    for i in range(m.listening.sockets_num):
        if not step(m, &m.listening.sockets[i].path):
            return False
    return (step(m, &c.anchors) and step(m, &c.ticket_file) and step(m, <const char **>&c.protocols)
            and step(m, &c.account) and step(m, &c.jail.account) and step(m, &c.jail.directory)
            and step(m, &m.listening.log_file))

cdef bint settings_pack(Config *config, Listening *listening) noexcept nogil:
    """Fill the message; False when it has no room for the texts."""
    cdef Message *m = &settings_message
    m.config = config[0]
    m.listening = listening[0]
    m.log = log_state
    m.used = 0
    m.words = 0
    while config.argv[m.words] != NULL:
        m.words += 1
    m.config.argv = NULL
    return each_text(m, text_pack)

cdef size_t settings_size() noexcept nogil:
    """Bytes of the message that are told."""
    return sizeof(Message) - TEXTS_MAX + settings_message.used

cdef bint settings_unpack(size_t n) noexcept nogil:
    """Take a message of n bytes that lies in its place; False when it is none."""
    global log_state
    cdef Message *m = &settings_message
    if n < sizeof(Message) - TEXTS_MAX or n != settings_size() or not 0 < m.words < program_argc:
        return False
    each_text(m, text_unpack)
    m.config.argv = program_argv + (program_argc - m.words)
    log_state = m.log
    log_as("main")
    return True
