# smtpface - what Python sees of tlswrapper-smtp. Types and docstrings: bearwrap/_bear.pyi.

cdef object smtp_failure(int err):
    return OSError(err, "")

cdef Jail smtp_jail(const char *account, const char *directory):
    """-j and -J; whatever else a jail may be told stays unset."""
    cdef Jail jail
    memset(&jail, 0, sizeof(jail))
    jail.account = account
    jail.directory = directory
    return jail

def smtp_starttls_possible():
    return smtp_control_open()

def smtp_prepare(int64_t deadline_ms, int64_t patience_ms):
    smtp_session.deadline = deadline_ms
    smtp_session.patience_ms = patience_ms
    return smtp_signals_open()

def smtp_resolve_greylist(bytes host, bytes port_text, int port, bytes jail_account, bytes jail_directory):
    cdef Jail jail = smtp_jail(c_text(jail_account), c_text(jail_directory))
    return greylist_resolve(c_text(host), c_text(port_text), port, &jail, smtp_until())

def smtp_start(list prog, bytes account, bytes jail_account, bytes jail_directory):
    cdef Jail jail = smtp_jail(c_text(jail_account), c_text(jail_directory))
    cdef char **argv = c_vector(prog)
    cdef bint good
    good = smtp_open(argv, c_text(account), &jail)
    free(argv)
    return good

def smtp_connect_greylist():
    cdef int err
    with nogil:
        err = greylist_connect()
    return err

def smtp_close_greylist():
    greylist_close()

def smtp_run_prog():
    return write(smtp_session.go, b"!", 1) == 1

def smtp_client_address():
    cdef Addresses a
    if not addresses_find(&a, 0):
        log_warning("connectioninfo_get() failed", 0)
    strcpy(log_state.ip, a.remote_ip)
    return <bytes>a.remote_ip

def smtp_read(int end):
    cdef uint8_t room[16384]
    cdef ssize_t n
    cdef int err = 0
    if not 0 <= end < SMTP_ENDS or smtp_session.fd[end] < 0:
        raise smtp_failure(EBADF)
    with nogil:
        n = smtp_read_some(end, room, &err)
    if n < 0:
        raise smtp_failure(err)
    return (<char *>room)[:n]

def smtp_write(int end, data):
    cdef _Span span = _Span(data)
    cdef int err
    if not 0 <= end < SMTP_ENDS or smtp_session.fd[end] < 0:
        raise smtp_failure(EBADF)
    with nogil:
        err = smtp_write_all(end, span.p, <size_t>span.n)
    if err:
        raise smtp_failure(err)

def smtp_drain_greylist():
    cdef uint8_t rest[16384]
    cdef ssize_t n = recv(smtp_session.fd[SMTP_POLICY], rest, sizeof(rest), MSG_DONTWAIT)
    return (<char *>rest)[:n] if n > 0 else b""

def smtp_begin_tls():
    cdef int err = 0
    cdef const char *why
    with nogil:
        why = smtp_handover(&err)
    return None if why == NULL else (<bytes>why, err)

def smtp_finish(bint orderly):
    cdef int code
    with nogil:
        code = smtp_end(orderly)
    return code
