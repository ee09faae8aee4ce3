# jail - what a process gives up: user, files, limits, dumps. Irreversible; every failure is fatal.

cdef enum:
    UID_BASE = 141500000        # tlswrapper's range: base + pid
    UID_RANGE = 1000000000
    MEMORY_MAX = 134217728      # 128 MiB

cdef struct Jail:
    const char *account     # -j, NULL for a pid-derived uid
    const char *directory   # -J
    uid_t uid               # TLS_UID and TLS_GID, 0 without
    gid_t gid

cdef bint failed(const char *what, long number) noexcept nogil:
    """Log `what(number) failed` with the errno and say no."""
    cdef char m[128]
    snprintf(m, sizeof(m), "%s(%ld) failed", what, number)
    log_error(m, errno)
    return False

cdef bint refuse_privileged(const char *name, uid_t uid, gid_t gid) noexcept nogil:
    cdef char m[512]
    if uid != 0 and gid != 0:
        return False
    snprintf(m, sizeof(m), "refusing privileged account '%s' with uid = %u, gid = %u", name, uid, gid)
    log_error(m, 0)
    return True

cdef bint account_find(const char *name, passwd **out) noexcept nogil:
    """Look an account up; a missing, empty or over-long one and one with uid or gid 0 are refused."""
    cdef char m[512]
    set_errno(0)
    out[0] = getpwnam(name) if 0 < strlen(name) < ACCOUNT_MAX else NULL
    if out[0] == NULL:
        snprintf(m, sizeof(m), "getpwnam for account '%.256s' failed", name)
        log_error(m, errno)
        return False
    return not refuse_privileged(name, out[0].pw_uid, out[0].pw_gid)

cdef bint become(const char *name, uid_t uid, gid_t gid) noexcept nogil:
    """Take groups and both ids; with no name the one group is gid itself. setuid is left to the caller."""
    if setgid(gid) < 0:
        return failed("setgid", gid)
    if name != NULL:
        if initgroups(name, gid) < 0:
            return failed("initgroups", gid)
    elif setgroups(1, &gid) < 0:
        return failed("setgroups", 1)
    return True

cdef bint limit_to(int resource, rlim_t most, const char *what) noexcept nogil:
    """Lower a limit, soft and hard; one that is lower already stays."""
    cdef rlimit lim = rlimit(0, 0)
    if most and getrlimit(resource, &lim) < 0:
        return failed("getrlimit", resource)
    if lim.rlim_max > most:
        lim.rlim_max = most
    if lim.rlim_cur > most:
        lim.rlim_cur = most
    if setrlimit(resource, &lim) < 0:
        return failed(what, <long>most)
    return True

cdef bint jail_identity(Jail *jail, uid_t *uid) noexcept nogil:
    """Take the groups of the jail's account, or ids that were given or made from the pid; setuid to `uid` is left to
    the caller."""
    cdef passwd *pw = NULL
    cdef uid_t own = <uid_t>(UID_BASE + getpid() % UID_RANGE)
    cdef gid_t gid = jail.gid if jail.gid else <gid_t>own
    uid[0] = jail.uid if jail.uid else own
    if jail.account != NULL:
        if not account_find(jail.account, &pw):
            return False
        uid[0] = pw.pw_uid
        gid = pw.pw_gid
    return become(jail.account, uid[0], gid)

cdef bint jail_limits() noexcept nogil:
    """What needs no privilege: no descriptors, processes, cores or dumps, little memory, no new privileges."""
    # setuid resets the dumpable flag, so it is cleared here as well as before the first secret is read
    if prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 or prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0:
        return failed("prctl", 0)
    return (limit_to(RLIMIT_NOFILE, 0, "setrlimit NOFILE") and limit_to(RLIMIT_NPROC, 0, "setrlimit NPROC")
            and limit_to(RLIMIT_CORE, 0, "setrlimit CORE") and limit_to(RLIMIT_DATA, MEMORY_MAX, "setrlimit DATA")
            and limit_to(RLIMIT_AS, MEMORY_MAX, "setrlimit AS"))

cdef bint jail_enter(Jail *jail) noexcept nogil:
    """Own uid, chroot into an empty directory, no descriptors, processes, cores or dumps, little memory.

    Everything that needs a file, a fork or another uid must have happened before. False after an error line.
    """
    cdef uid_t uid = 0
    if not jail_identity(jail, &uid):
        return False
    if chdir(jail.directory) < 0 or chroot(".") < 0:
        return failed("chroot", 0)
    if setuid(uid) < 0:
        return failed("setuid", uid)
    return jail_limits()

cdef void jail_refused() noexcept nogil:
    """The fatal line after a jail that could not be made; its most likely reason is said at any verbosity."""
    log_fatal("unable to create jail" if geteuid() == 0 else "unable to create jail: not started as root", 0)
