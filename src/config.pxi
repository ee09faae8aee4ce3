# config - the settings of one run, made by the programs' option parsers, read-only from the first fork on.

cdef enum UserField:
    USER_NONE = 0
    USER_COMMON_NAME = 1
    USER_EMAIL = 2

# what net tells key of a ClientHello of TLS 1.3 (accept13)
cdef enum Accept13:
    ACCEPT_SNI = 1              # server_name was used
    ACCEPT_LIMIT = 2            # record_size_limit came
    ACCEPT_TICKETS = 4          # psk_dhe_ke is among the modes
    ACCEPT_EARLY = 8            # early data may follow, and is passed over

cdef struct Entry:
    const char *path
    bint is_directory

# exit codes of a TLS client (s6-tlsc(1)); any other is prog's
cdef enum ClientExit:
    EXIT_CONTENT = 96           # a file that holds nothing usable
    EXIT_TLS = 98
    EXIT_SYSTEM = 111

# a TLS client's own settings (s6-tlsc(1))
cdef struct ClientConfig:
    const char *name            # -k, NULL without: the server's name is then not verified
    const char *sni             # the same unless it is a literal address
    uint8_t ip[16]
    size_t ip_len               # of that address, 0 for a name
    bint verify                 # not --no-verify-cert
    bint close_notify           # -S
    bint enforce_close_notify   # -J
    const char *anchors_directory   # CADIR, or
    const char *anchors_file        # CAFILE; the other is NULL
    const char *certificate_file    # CERTFILE and KEYFILE, NULL without -y
    const char *key_file
    int read_fd
    int write_fd
    int verbosity

cdef struct Config:
    ClientConfig *client        # NULL for a server
    Entry entries[ENTRIES_MAX]  # -f and -d in their order
    int entries_num
    const char *anchors         # -a, NULL without
    uint16_t suites[SUITES_MAX]     # in the order of preference
    int suites_num
    uint32_t groups             # bit per IANA group number below 32
    uint16_t version_min
    uint16_t version_max
    const uint8_t *protocols    # --alpn, each with its length before it
    size_t protocols_len
    const char *ticket_file     # --ticket-keys, NULL without
    bint server_order           # -s
    int64_t idle_ms             # -t
    int64_t handshake_ms        # -T, -K
    const char *account         # -u, NULL without
    int user_field              # -U
    bint proxy                  # -p1
    bint delayed                # -n
    bint listening              # `bearwrap serve`: the addresses are the socket's own
    bint accounts               # one log line a connection
    bint json                   # as JSON
    Jail jail
    char **argv                 # prog and its arguments, NULL-terminated

cdef bint config_has_suite(Config *config, int suite) noexcept nogil:
    cdef int i
    for i in range(config.suites_num):
        if config.suites[i] == suite:
            return True
    return False
