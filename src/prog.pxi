# prog - the process that becomes the wrapped program: it waits for key's word, drops privileges and execs.
#
# The word is one message on a pipe that only key can write: total length, then one length-prefixed field for the
# account and one for each variable below. EOF instead of it means that the handshake failed: prog never runs. The pipe
# is the program's stdin, so no byte behind the word is read here; but with -n net writes there before key does.

cdef enum:
    GO_VARIABLES = 10
    GO_ADDRESSES = 4        # of which the first
    GO_MAX = 2048
    GO_FIELD_MAX = 1024     # with its end

cdef const char *go_variable(int i) noexcept nogil:
    if i == 0: return "TCPREMOTEIP"
    if i == 1: return "TCPREMOTEPORT"
    if i == 2: return "TCPLOCALIP"
    if i == 3: return "TCPLOCALPORT"
    if i == 4: return "SSL_PROTOCOL"
    if i == 5: return "SSL_CIPHER"
    if i == 6: return "SSL_TLS_SNI_SERVERNAME"
    if i == 7: return "SSL_PEER_CERT_HASH"
    if i == 8: return "SSL_PEER_CERT_SUBJECT"
    if i == 9: return "SSL_ALPN"
    return "LOG_ID"         # not of the word: a worker's own

cdef bint go_given(Config *config, int i) noexcept nogil:
    """A UCSPI client has told prog who talks to whom; a TLS client has no ALPN."""
    if i == GO_VARIABLES:
        return config.listening
    return config.client == NULL or GO_ADDRESSES <= i < GO_VARIABLES - 1

cdef size_t go_field(uint8_t *p, const char *text) noexcept nogil:
    cdef size_t n = strlen(text)
    put_uint(p, <uint32_t>n, 2)
    memcpy(p + 2, text, n)
    return n + 2

cdef void prog_refuse(const char *what, const char *name, int err) noexcept nogil:
    """Log `what`, a format with one %s for the name, and end."""
    cdef char m[1024]
    snprintf(m, sizeof(m), what, name)
    log_fatal(m, err)
    _exit(111)

cdef void prog_drop(const char *account) noexcept nogil:
    """Take an account's groups, uid and environment, as -u and -U ask."""
    cdef passwd *pw = NULL
    if not account_find(account, &pw) or not become(pw.pw_name, pw.pw_uid, pw.pw_gid):
        prog_refuse("unable to drop privileges to '%.512s'", account, 0)
    if setuid(pw.pw_uid) < 0:
        prog_refuse("unable to drop privileges to '%.512s'", account, errno)
    setenv("HOME", pw.pw_dir, 1)
    setenv("SHELL", pw.pw_shell, 1)
    setenv("USER", pw.pw_name, 1)
    setenv("LOGNAME", pw.pw_name, 1)

cdef bint prog_variable(Config *config, const char *entry) noexcept nogil:
    """Whether key's word, or we, have another value for this entry of the environment, or none."""
    cdef size_t n
    cdef int i
    for i in range(GO_VARIABLES + 1):
        n = strlen(go_variable(i))
        if go_given(config, i) and strncmp(entry, go_variable(i), n) == 0 and entry[n] == c'=':
            return True
    return False

cdef char *variable_write(char *at, const char *name, const void *value, size_t n) noexcept nogil:
    """NAME=value; behind it."""
    cdef size_t k = strlen(name)
    memcpy(at, name, k)
    at[k] = c'='
    memcpy(at + k + 1, value, n)
    at[k + 1 + n] = 0
    return at + k + n + 2

cdef void prog_environment(Config *config, Cursor *c, char **list, char *text) noexcept nogil:
    """The environment with the variables of key's word.

    list has room for all of both, text for the word and the names. Not setenv(3), whose memory would be four pages that
    the fork has to copy.
    """
    cdef char **old = environ
    cdef Cursor field
    cdef int i
    while old[0] != NULL:
        if not prog_variable(config, old[0]):
            list[0] = old[0]
            list += 1
        old += 1
    for i in range(GO_VARIABLES):
        field = take_vector(c, 2)
        if c.bad or field.left >= GO_FIELD_MAX:
            _exit(111)
        if field.left and go_given(config, i):
            list[0] = text
            list += 1
            text = variable_write(text, go_variable(i), field.p, field.left)
    if config.listening:
        list[0] = text
        list += 1
        variable_write(text, go_variable(GO_VARIABLES), log_state.id, strlen(log_state.id))
    list[0] = NULL

cdef void prog_exec(char **argv, char **variables, const char *refusal) noexcept nogil:
    """Become the program, with default signals and none blocked; never returns.

    refusal: the fatal line when it cannot be run, a format with one %s for its name.
    """
    cdef sigset_t none
    affinity_leave()
    sigemptyset(&none)
    signal(SIGPIPE, SIG_DFL)
    signal(SIGCHLD, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    signal(SIGALRM, SIG_DFL)
    sigprocmask(SIG_SETMASK, &none, NULL)
    execvpe(argv[0], argv, variables)
    prog_refuse(refusal, argv[0], errno)

cdef void prog_main(Config *config, int go, int stdin_fd, int stdout_fd, int control, int ack) noexcept nogil:
    """The prog process, from its fork to exec; never returns. control and ack become 5 and 6 with -n."""
    cdef uint8_t m[GO_MAX]
    cdef char text[GO_MAX + 256]        # the account, then the variables
    cdef char **variables
    cdef size_t entries = 0
    cdef Cursor c, field
    cdef ssize_t n = -1
    cdef size_t have = 0, want = 2
    cdef bint account
    log_as("prog")
    while have < want:
        n = read(go, m + have, want - have)
        if n < 0 and errno == EINTR:
            continue
        if n <= 0:
            _exit(111)
        have += <size_t>n
        if have == 2:
            want = (<size_t>m[0] << 8) | m[1]
            if not 2 < want <= GO_MAX:
                _exit(111)
    c = cursor_over(m + 2, have - 2)
    field = take_vector(&c, 2)
    account = field.left > 0
    if field.left >= ACCOUNT_MAX:
        _exit(111)
    memcpy(text, field.p, field.left)
    text[field.left] = 0
    if config.user_field != USER_NONE and not account:
        _exit(111)              # -U without a user: never as the one who started us, whatever key says
    if account:
        prog_drop(text)
    if config.account != NULL:
        prog_drop(config.account)
    while environ[entries] != NULL:
        entries += 1
    variables = <char **>alloca((entries + GO_VARIABLES + 2) * sizeof(char *))
    prog_environment(config, &c, variables, text)
    if config.listening:
        signal(SIGHUP, SIG_DFL)         # which only its worker ignores
    if config.client != NULL:
        dup2(stdin_fd, config.client.read_fd)
        dup2(stdout_fd, config.client.write_fd)
        prog_exec(config.argv, variables, "unable to spawn %.512s")
    dup2(stdin_fd, 0)
    dup2(stdout_fd, 1)
    if config.delayed:
        dup2(control, 5)
        dup2(ack, 6)
    elif not config.listening:      # where nothing is inherited
        close(5)
        close(6)
    prog_exec(config.argv, variables, "unable to run %.512s")
