# face - what Python sees of the compiled half. Types and docstrings: bearwrap/_bear.pyi.

cdef char *c_text(bytes text):
    """A C string that lives as long as its bytes object; NULL for None."""
    return NULL if text is None else <char *>text

cdef class _Span:
    """The bytes of a buffer while it is held. Typed memoryviews would make every start import collections.abc."""

    cdef Py_buffer view
    cdef uint8_t *p
    cdef Py_ssize_t n

    def __cinit__(self, holder, bint writable=False):
        PyObject_GetBuffer(holder, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
        self.p = <uint8_t *>self.view.buf
        self.n = self.view.len

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

cdef char **c_vector(list words) except NULL:
    """An argument vector whose strings belong to the list; free() is the caller's."""
    cdef char **argv = <char **>malloc((len(words) + 1) * sizeof(char *))
    cdef Py_ssize_t i
    if argv == NULL:
        raise MemoryError
    for i, word in enumerate(words):
        argv[i] = c_text(word)
    argv[len(words)] = NULL
    return argv

# ---- log ----

def log_setup(bytes name, int level, bytes identity, bint s6=False):
    log_as("main")
    log_state.s6 = s6
    log_state.level = level
    snprintf(log_state.name, sizeof(log_state.name), "%s", <char *>name)
    snprintf(log_state.id, sizeof(log_state.id), "%s", <char *>identity)

def log_line(int level, bytes word, bytes message, int err=0):
    log_write(level, word, err, message, len(message))

def environment_set(bytes name, bytes value):
    if setenv(name, value, 1) < 0:
        raise OSError(errno, "setenv failed")

def environment_get(bytes name):
    cdef const char *value = getenv(name)
    return None if value == NULL else <bytes>value

def file_mode(bytes path):
    cdef stat_t st
    if fstatat(AT_FDCWD, path, &st, 0) < 0:
        raise OSError(errno, "")
    return st.st_mode

def write_some(int fd, bytes data):
    cdef ssize_t n = write(fd, <const char *>data, len(data))
    if n < 0:
        raise OSError(errno, "")
    return n

def log_identity(bytes given):
    log_identify(given)
    return <bytes>log_state.id

def monotonic_ms():
    return now_ms()

# ---- tables ----

def tables():
    return {
        "ciphers": [(bw_ciphers[i].name, bool(bw_ciphers[i].is_default), bw_ciphers[i].ecdsa, bw_ciphers[i].rsa)
                    for i in range(BW_CIPHERS)],
        "groups": [(bw_groups[i].name, bool(bw_groups[i].is_default), bw_groups[i].id) for i in range(BW_GROUPS)],
        "versions": [(bw_versions[i].name, bw_versions[i].id) for i in range(BW_VERSIONS)],
    }

def build_facts():
    return {"vendored": bool(BW_VENDORED), "libcrypto": bw_libcrypto_version(), "sodium": bw_sodium_version(),
            "nettle": bw_nettle_version(), "gmp": bw_gmp_version()}

# ---- the connection ----

cdef char **config_read(settings, Config *config) except NULL:
    """Fill a Config, whose strings belong to the settings; the argument vector is the caller's to free."""
    cdef char **argv
    cdef int i
    memset(config, 0, sizeof(Config))
    config.entries_num = len(settings.entries)
    if config.entries_num > ENTRIES_MAX or len(settings.suites) > SUITES_MAX:
        raise ValueError("too many entries or suites")
    for i, (path, is_directory) in enumerate(settings.entries):
        config.entries[i].path = c_text(path)
        config.entries[i].is_directory = is_directory
    config.anchors = c_text(settings.anchors)
    config.suites_num = len(settings.suites)
    for i, suite in enumerate(settings.suites):
        config.suites[i] = suite
    config.groups = settings.groups
    config.version_min = settings.version_min
    config.version_max = settings.version_max
    config.protocols = <const uint8_t *>c_text(settings.protocols)
    config.protocols_len = 0 if settings.protocols is None else len(settings.protocols)
    config.ticket_file = c_text(settings.ticket_file)
    config.server_order = settings.server_order
    config.idle_ms = settings.idle_s * 1000
    config.handshake_ms = settings.handshake_s * 1000
    config.account = c_text(settings.account)
    config.user_field = settings.user_field
    config.proxy = settings.proxy
    config.delayed = settings.delayed
    config.jail.account = c_text(settings.jail_account)
    config.jail.directory = c_text(settings.jail_directory)
    argv = c_vector(settings.prog)
    config.argv = argv
    return argv

def serve_connection(settings, int64_t started_ms):
    cdef Config config
    cdef char **argv = config_read(settings, &config)
    cdef int code
    with nogil:
        cache_write(&config)
        code = connection_run(&config, started_ms)
    free(argv)
    return code

