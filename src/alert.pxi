# alert - names of alerts, and which alert an error becomes (the tables are in tables.h).

cdef enum Alert:
    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    ILLEGAL_PARAMETER = 47
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INTERNAL_ERROR = 80
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120
    NO_ALERT = -1

cdef const char *alert_name(int number) noexcept nogil:
    cdef int i
    for i in range(BW_ALERTS):
        if bw_alerts[i].id == number:
            return bw_alerts[i].name
    return "unknown_alert"

cdef const bw_error *error_row(int error) noexcept nogil:
    """The row of an engine's error; an unlisted one (none is known) counts as BR_ERR_BAD_STATE."""
    cdef int i
    for i in range(BW_ERRORS):
        if bw_errors[i].error == error:
            return &bw_errors[i]
    return &bw_errors[1]

cdef const bw_suite *suite_row(int suite) noexcept nogil:
    cdef int i
    for i in range(BW_SUITES):
        if bw_suites[i].id == suite:
            return &bw_suites[i]
    return NULL

cdef const bw_group *group_row(int group) noexcept nogil:
    cdef int i
    for i in range(BW_GROUPS):
        if bw_groups[i].id == group:
            return &bw_groups[i]
    return NULL

cdef const bw_version *version_row(int version) noexcept nogil:
    cdef int i
    for i in range(BW_VERSIONS):
        if bw_versions[i].id == version:
            return &bw_versions[i]
    return NULL

cdef enum:
    TLS13 = 0x0304              # BearSSL has no name for it

cdef const bw_suite *suite13_row(int suite) noexcept nogil:
    cdef int i
    for i in range(BW_SUITES13):
        if bw_suites13[i].id == suite:
            return &bw_suites13[i]
    return NULL

cdef const bw_scheme *scheme_row(int scheme) noexcept nogil:
    cdef int i
    for i in range(BW_SCHEMES):
        if bw_schemes[i].id == scheme:
            return &bw_schemes[i]
    return NULL
