# sandbox - the jail of a process that was not started as root: no file by any name, no new socket, no signal to others.
#
# Landlock (Linux 5.13; sockets 6.7, signals 6.12) takes them away without a privilege; what the kernel does not know
# of it stays open and is said at -v2. The limits of the real jail need no privilege either.

cdef enum:
    NR_LANDLOCK_CREATE_RULESET = 444
    NR_LANDLOCK_RESTRICT_SELF = 446
    LANDLOCK_VERSION = 1            # flag: tell the ABI instead of making a rule set

cdef struct LandlockRules:
    uint64_t access_fs
    uint64_t access_net
    uint64_t scoped

cdef bint landlock_enter() noexcept nogil:
    """Give up all that Landlock handles; False when the kernel has none of it."""
    cdef LandlockRules rules
    cdef long abi = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION)
    cdef long rule_set
    cdef size_t size
    cdef bint good
    if abi < 1:
        return False
    # one bit a right: 13 of the first ABI, then REFER, TRUNCATE and, with the fifth, IOCTL_DEV
    rules.access_fs = (1 << (13 if abi == 1 else (14 if abi == 2 else (15 if abi < 5 else 16)))) - 1
    rules.access_net = 3 if abi >= 4 else 0             # bind and connect TCP
    rules.scoped = 3 if abi >= 6 else 0                 # abstract Unix sockets, signals
    size = 24 if abi >= 6 else (16 if abi >= 4 else 8)
    rule_set = syscall(NR_LANDLOCK_CREATE_RULESET, &rules, size, 0)
    if rule_set < 0:
        return False
    good = syscall(NR_LANDLOCK_RESTRICT_SELF, rule_set, 0) == 0
    close(<int>rule_set)
    return good

cdef bint confine(Jail *jail) noexcept nogil:
    """The jail as root, the sandbox otherwise. Irreversible; False after an error line."""
    if geteuid() == 0:
        return jail_enter(jail)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0:
        return failed("prctl", 0)
    if not landlock_enter():
        log_info("sandbox: this kernel has no Landlock, files stay readable to the TLS processes")
    return jail_limits()
