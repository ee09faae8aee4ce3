# cache - the settings cache of tlswrapper: what the interpreter made of a command line is kept, and the next exec of
# the same program with the same words, a connection later, starts no interpreter.
#
# Only root uses it, and only what root alone can have written: the folder and the files in it are root's, and nobody
# else may write there. A file holds a Message with the words it was made of and the program that made it; each must be
# the same now, and what -f, -d, -a and --ticket-keys name must be there as it was. Anything else, and any failure, is a
# miss: the interpreter starts and judges. A command line that made it say something is not kept.

cdef enum:
    CACHE_FILES = 1024      # a command line has one place; another one of the same place takes it over

cdef extern from *:
    """
    #ifdef BEARWRAP_TEST_HOOKS
    #define BW_CACHE_FOLDER (getenv("BEARWRAP_TEST_CACHE") ? getenv("BEARWRAP_TEST_CACHE") : "/run/tlswrapper")
    #else
    #define BW_CACHE_FOLDER "/run/tlswrapper"
    #endif
    """
    const char *BW_CACHE_FOLDER

cdef bint roots_alone(int fd, stat_t *st) noexcept nogil:
    """Whether an open file belongs to root and nobody else may write it."""
    return fstat(fd, st) == 0 and st.st_uid == 0 and st.st_mode & 0o022 == 0

cdef bint this_program(Executable *e) noexcept nogil:
    """Which file runs: another build is another file, or was written later."""
    cdef stat_t st
    memset(e, 0, sizeof(Executable))
    if fstatat(AT_FDCWD, "/proc/self/exe", &st, 0) < 0:
        return False
    e.device = st.st_dev
    e.inode = st.st_ino
    e.size = st.st_size
    e.seconds = st.st_ctim.tv_sec
    e.nanoseconds = st.st_ctim.tv_nsec
    return True

cdef int cache_place() noexcept nogil:
    """The place of our words (FNV-1a)."""
    cdef uint32_t h = 2166136261
    cdef const char *p
    cdef int i
    for i in range(program_argc):
        p = program_argv[i]
        while True:
            h = (h ^ <uint8_t>p[0]) * <uint32_t>16777619
            if p[0] == 0:
                break
            p += 1
    return <int>(h % CACHE_FILES)

cdef int cache_open_folder() noexcept nogil:
    """-1 when there is none that is root's alone."""
    cdef stat_t st
    cdef int fd = open_(BW_CACHE_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    if fd >= 0 and not roots_alone(fd, &st):
        close(fd)
        return -1
    return fd

cdef ssize_t cache_read() noexcept nogil:
    """Read the message of our place; its size, or -1."""
    cdef stat_t st
    cdef char name[16]
    cdef ssize_t n = -1
    cdef int fd, folder = cache_open_folder()
    if folder < 0:
        return -1
    snprintf(name, sizeof(name), "%03x", cache_place())
    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    close(folder)
    if fd < 0:
        return -1
    if roots_alone(fd, &st) and S_ISREG(st.st_mode):
        n = read(fd, &settings_message, sizeof(Message))
    close(fd)
    return n

cdef bint words_pack(Message *m) noexcept nogil:
    """Put all of the command line behind the texts; False when there is no room."""
    cdef const char *word
    cdef int i
    m.line = m.used
    m.line_words = program_argc
    for i in range(program_argc):
        word = program_argv[i]
        if not text_pack(m, &word):
            return False
    return True

cdef bint words_same(Message *m) noexcept nogil:
    """Whether a message was made of our words."""
    cdef size_t n, at = m.line
    cdef int i
    if m.line_words != program_argc:
        return False
    for i in range(program_argc):
        n = strlen(program_argv[i]) + 1
        if at > m.used or n > m.used - at or memcmp(m.text + at, program_argv[i], n) != 0:
            return False
        at += n
    return at == m.used

cdef bint is_there(const char *path, bint directory) noexcept nogil:
    """Whether a file, or with `directory` a folder, is what this path names; nothing is asked of no path."""
    cdef stat_t st
    if path == NULL:
        return True
    return fstatat(AT_FDCWD, path, &st, 0) == 0 and (S_ISDIR(st.st_mode) if directory else S_ISREG(st.st_mode))

cdef bint cache_valid(ssize_t n) noexcept nogil:
    """Whether the n bytes that were read are the settings for this exec; they are unpacked then."""
    cdef Message *m = &settings_message
    cdef Executable now
    cdef int i
    if n < <ssize_t>(sizeof(Message) - TEXTS_MAX) or m.used > TEXTS_MAX or <size_t>n != settings_size() \
            or not this_program(&now) or memcmp(&now, &m.made_by, sizeof(Executable)) != 0 or not words_same(m) \
            or not settings_unpack(<size_t>n):
        return False
    for i in range(m.config.entries_num):
        if not is_there(m.config.entries[i].path, m.config.entries[i].is_directory):
            return False
    return is_there(m.config.anchors, False) and is_there(m.config.ticket_file, False)

cdef void cache_write(Config *config) noexcept nogil:
    """Keep the settings of this command line. A failure means that the next start is as slow as this one."""
    cdef Message *m = &settings_message
    cdef Listening none
    cdef char name[16]
    cdef char new[32]
    cdef int fd, folder
    cdef bint whole
    if program_argc == 0 or geteuid() != 0 or log_state.spoke:
        return
    memset(&none, 0, sizeof(none))
    if not settings_pack(config, &none) or not words_pack(m) or not this_program(&m.made_by):
        return
    mkdir(BW_CACHE_FOLDER, 0o700)
    folder = cache_open_folder()
    if folder < 0:
        return
    snprintf(name, sizeof(name), "%03x", cache_place())
    snprintf(new, sizeof(new), "%s.%d", name, <int>getpid())
    fd = openat(folder, new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if fd >= 0:
        whole = write(fd, m, settings_size()) == <ssize_t>settings_size()
        close(fd)
        if not whole or renameat(folder, new, folder, name) < 0:
            unlinkat(folder, new, 0)
    close(folder)

cdef int connection_again() noexcept nogil:
    """Serve the connection with the settings of a start before this one; the exit code, -1 when there are none."""
    if program_argc < 2 or geteuid() != 0 or not cache_valid(cache_read()):
        return -1
    log_identify(getenv("LOG_ID"))
    setenv("LOG_ID", log_state.id, 1)
    log_tracing("settings from the cache")
    return connection_run(&settings_message.config, now_ms())

cdef public int bw_program(int argc, char **argv) noexcept nogil:
    """A native program's first call: the exit code when all is done, -1 when the interpreter is to start."""
    cdef int code
    program_take(argc, argv)
    code = listener_again()
    return connection_again() if code < 0 else code
