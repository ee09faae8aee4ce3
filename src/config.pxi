# config - the settings of one run, made by the programs' option parsers, read-only from the first fork on.

cdef enum UserField:
    USER_NONE = 0
    USER_COMMON_NAME = 1
    USER_EMAIL = 2

cdef struct Entry:
    const char *path
    bint is_directory

cdef struct Config:
    Entry entries[4]            # -f and -d in their order
    int entries_num
    const char *anchors         # -a, NULL without
    uint16_t suites[14]         # in the server's order
    int suites_num
    uint32_t groups             # bit per IANA group number below 32
    uint16_t version_min
    uint16_t version_max
    bint server_order           # -s
    int64_t idle_ms             # -t
    int64_t handshake_ms        # -T
    const char *account         # -u, NULL without
    int user_field              # -U
    bint proxy                  # -p1
    bint delayed                # -n
    Jail jail
    char **argv                 # prog and its arguments, NULL-terminated

cdef bint config_has_suite(Config *config, int suite) noexcept nogil:
    cdef int i
    for i in range(config.suites_num):
        if config.suites[i] == suite:
            return True
    return False
