# again - `bearwrap serve` without the interpreter: once the words are read and the sockets open, the program execs
# the listener of its build, which has none in it, or itself where that is not beside it. The supervisor that starts then
# is a small process, whose forks are cheap.
#
# Descriptors, environment and pid stay as they are; the settings lie in a memory file whose number is put among the
# words. That word is ours: typed by somebody who has no such file, it is an unknown option.

cdef const char *settings_word() noexcept nogil:
    return "--settings-fd="         # a global would be set by the interpreter only

cdef bint again_keep(int fd) noexcept nogil:
    """Let a descriptor live through exec."""
    return fd < 0 or fcntl(fd, F_SETFD, 0) == 0

cdef extern from *:
    """
    #ifndef BEARWRAP_LISTENER
    #define BEARWRAP_LISTENER "listener"
    #endif
    """
    const char *BEARWRAP_LISTENER

cdef bint listener_path(char *path, size_t room) noexcept nogil:
    """Where the listener of this very build would be: ../lib/bearwrap from the folder of the program."""
    cdef ssize_t n = readlink("/proc/self/exe", path, room)
    cdef char *slash
    cdef int i
    if n <= 0 or <size_t>n >= room:
        return False
    path[n] = 0
    for i in range(2):
        slash = strrchr(path, c'/')
        if slash == NULL:
            return False
        slash[0] = 0
    n = <ssize_t>strlen(path)
    return snprintf(path + n, room - <size_t>n, "/lib/bearwrap/%s", BEARWRAP_LISTENER) < <int>(room - <size_t>n)

cdef bint serve_again(Config *config, Listening *listening) noexcept nogil:
    """Exec the listener, or this program again; returns False, with errno, when that cannot be."""
    cdef char word[32]
    cdef char path[4096]
    cdef char **argv = <char **>malloc((<size_t>program_argc + 2) * sizeof(char *))
    cdef int i, fd = memfd_create("settings", 0)
    if argv == NULL or fd < 0:
        return False
    if not settings_pack(config, listening):
        set_errno(E2BIG)
        return False
    if write(fd, &settings_message, settings_size()) != <ssize_t>settings_size() or lseek(fd, 0, SEEK_SET) < 0:
        return False
    for i in range(listening.listeners_num):
        if not again_keep(listening.listeners[i]):
            return False
    if not again_keep(listening.status):
        return False
    snprintf(word, sizeof(word), "%s%d", settings_word(), fd)
    argv[0] = program_argv[0]
    argv[1] = program_argv[1]
    argv[2] = word
    for i in range(2, program_argc + 1):
        argv[i + 1] = program_argv[i]
    if listener_path(path, sizeof(path)):
        execv(path, argv)
    execv("/proc/self/exe", argv)
    return False

cdef int again_settings() noexcept nogil:
    """The number of the settings' file among the words, -1 without."""
    cdef char *slash = strrchr(program_argv[0], c'/') if program_argc > 2 else NULL
    cdef size_t n = strlen(settings_word())
    if program_argc < 3 or strcmp(program_argv[0] if slash == NULL else slash + 1, "bearwrap") != 0 \
            or strcmp(program_argv[1], "serve") != 0 or strncmp(program_argv[2], settings_word(), n) != 0:
        return -1
    return atoi(program_argv[2] + n)

cdef int listener_again() noexcept nogil:
    """After the exec: serve until the end; its exit code, -1 when this is no such start."""
    cdef Listening *l = &settings_message.listening
    cdef int i, fd = again_settings()
    cdef ssize_t n
    if fd < 3:
        return -1
    n = read(fd, &settings_message, sizeof(Message))
    if n < 0 or not settings_unpack(<size_t>n):
        return -1
    close(fd)
    for i in range(l.listeners_num):
        fcntl(l.listeners[i], F_SETFD, FD_CLOEXEC)
    if l.status >= 0:
        fcntl(l.status, F_SETFD, FD_CLOEXEC)
    prctl(PR_SET_NAME, <unsigned long><const char *>"bearwrap", 0, 0, 0)
    return serve_run(&settings_message.config, l)

cdef public int bw_listener(int argc, char **argv) noexcept nogil:
    """The listener's only call: its exit code, -1 when nobody has left it settings."""
    program_take(argc, argv)
    return listener_again()
