# trust - the client's trust anchors: CADIR or CAFILE read as root, parsed after the jail.
#
# A folder may be a rehashed one, where each certificate has two names and a bundle holds them all once more, so the
# same file is read once and the same certificate walked once.

cdef enum:
    TRUST_FILE_MAX = 4194304        # a file; Mozilla's whole list is 220 KB
    TRUST_BYTES_MAX = 33554432      # all files of a folder, a quarter of the jail's memory
    TRUST_ENTRIES_MAX = 16384       # entries of a folder
    TRUST_ANCHORS_MAX = 4096        # Debian's bundle holds 144
    TRUST_SLOTS = 8192              # of the table of what was seen, a power of two, twice the anchors

cdef enum TrustFault:
    TRUST_NONE = 1          # no anchor found
    TRUST_UNFINISHED = 2    # PEM in CAFILE that breaks off or is malformed
    TRUST_BAD = 3           # a certificate in CAFILE does not decode, or there are too many; `error` says why

cdef struct TrustFile:
    uint64_t device
    uint64_t inode
    size_t at               # its bytes in text
    size_t len

cdef struct TrustSpan:
    const uint8_t *p        # an anchor's DER
    size_t len

cdef struct Trust:
    bint is_directory       # CADIR: what does not decode is passed over
    TrustFile *files
    int files_num
    int files_room
    uint8_t *text           # the files' bytes, one after the other, until they are parsed
    size_t len
    size_t room
    uint16_t *slots         # which certificates are anchors already: their number and one, 0 for none
    TrustSpan *spans
    Anchors anchors
    int error

cdef void trust_forget(Trust *t) noexcept nogil:
    """Wipe and free what was read, which may hold private keys too; the anchors stay."""
    if t.text != NULL:
        explicit_bzero(t.text, t.len)
    free(t.text)
    free(t.files)
    free(t.slots)
    free(t.spans)
    t.text = NULL
    t.files = NULL
    t.slots = NULL
    t.spans = NULL
    t.len = 0
    t.room = 0
    t.files_num = 0
    t.files_room = 0

cdef void trust_free(Trust *t) noexcept nogil:
    trust_forget(t)
    anchors_free(&t.anchors)

cdef bint trust_reserve(Trust *t, size_t n) noexcept nogil:
    """Room for one more file of n bytes and the byte that shows its end."""
    cdef void *p
    cdef size_t room = t.room if t.room else 524288
    while room < t.len + n + 1:
        room *= 2
    if room != t.room:
        p = realloc(t.text, room)
        if p == NULL:
            return False
        t.text = <uint8_t *>p
        t.room = room
    if t.files_num == t.files_room:
        p = realloc(t.files, <size_t>(t.files_room + 512) * sizeof(TrustFile))
        if p == NULL:
            return False
        t.files = <TrustFile *>p
        t.files_room += 512
    return True

cdef bint trust_has(Trust *t, stat_t *st) noexcept nogil:
    cdef int i
    for i in range(t.files_num):
        if t.files[i].inode == st.st_ino and t.files[i].device == st.st_dev:
            return True
    return False

cdef int trust_take(Trust *t, int fd, bint *fits) noexcept nogil:
    """Append an open file; 0 or an errno, and whether the folder as a whole still fits. Other than files are empty."""
    cdef stat_t st
    cdef TrustFile *file
    cdef ssize_t r
    cdef size_t n = 0, most
    fits[0] = True
    if fstat(fd, &st) < 0:
        return errno
    if S_ISDIR(st.st_mode):
        return EISDIR
    if not S_ISREG(st.st_mode) or trust_has(t, &st):
        return 0
    if st.st_size > TRUST_FILE_MAX:
        return EFBIG
    most = <size_t>st.st_size
    if t.len + most > TRUST_BYTES_MAX or not trust_reserve(t, most):
        fits[0] = False
        return EFBIG if t.len + most > TRUST_BYTES_MAX else ENOMEM
    while n <= most:
        r = read(fd, t.text + t.len + n, most + 1 - n)
        if r == 0:
            break
        if r < 0 and errno != EINTR:
            explicit_bzero(t.text + t.len, n)
            return errno
        if r > 0:
            n += <size_t>r
    if n > most:            # it grew meanwhile: what is there now would be half of something
        explicit_bzero(t.text + t.len, n)
        return EAGAIN
    file = t.files + t.files_num
    file.device = st.st_dev
    file.inode = st.st_ino
    file.at = t.len
    file.len = n
    t.files_num += 1
    t.len += n
    return 0

cdef int trust_open(Trust *t, int folder, const char *name, bint *fits) noexcept nogil:
    """Read one file; a FIFO does not make it wait, a terminal does not become ours."""
    cdef int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    cdef int err
    fits[0] = True
    if fd < 0:
        return errno
    err = trust_take(t, fd, fits)
    close(fd)
    return err

cdef int trust_read_directory(Trust *t, const char *directory) noexcept nogil:
    cdef DIR *folder = opendir(directory)
    cdef dirent *entry
    cdef stat_t st
    cdef int fd, entries = 0, err = 0, one
    cdef bint fits
    if folder == NULL:
        return errno
    fd = dirfd(folder)
    while err == 0:
        set_errno(0)
        entry = readdir(folder)
        if entry == NULL:
            err = errno
            break
        if entry.d_name[0] == c'.':
            continue
        entries += 1
        if entries > TRUST_ENTRIES_MAX:
            err = EFBIG
        # looked at before it is opened: half of a rehashed folder is there already, and a device may mind
        elif fstatat(fd, entry.d_name, &st, 0) == 0 and S_ISREG(st.st_mode) and not trust_has(t, &st):
            one = trust_open(t, fd, entry.d_name, &fits)
            if not fits:
                err = one
    closedir(folder)
    return err

cdef int trust_read(Trust *t, const char *directory, const char *file) noexcept nogil:
    """Read CADIR, where it is not NULL, else CAFILE; 0 or an errno. Raw bytes only, nothing is parsed as root.

    Of a folder every file that is not hidden counts, through symbolic links too; what cannot be read is skipped.
    """
    cdef bint fits
    cdef int err
    memset(t, 0, sizeof(Trust))
    t.is_directory = directory != NULL
    if directory != NULL:
        err = trust_read_directory(t, directory)
    else:
        err = trust_open(t, AT_FDCWD, file, &fits)
    if err:
        trust_forget(t)
    return err

cdef uint16_t *trust_slot(Trust *t, const uint8_t *der, size_t n) noexcept nogil:
    """The free slot for a certificate, NULL when it is an anchor already."""
    cdef uint64_t key = 0
    cdef size_t at
    cdef TrustSpan *span
    # the last bytes belong to the signature, which is as good as random
    memcpy(&key, der + (n - 8 if n >= 8 else 0), 8 if n >= 8 else n)
    at = <size_t>((key * <uint64_t>0x9E3779B97F4A7C15) >> 51)
    while t.slots[at]:
        span = t.spans + t.slots[at] - 1
        if span.len == n and memcmp(span.p, der, n) == 0:
            return NULL
        at = (at + 1) & (TRUST_SLOTS - 1)
    return t.slots + at

cdef int trust_certificate(Trust *t, size_t n) noexcept nogil:
    """Make an anchor of the n bytes behind the anchors' DER unless it is one; 0 or TRUST_BAD."""
    cdef Anchors *a = &t.anchors
    cdef const uint8_t *der = a.der + a.der_len
    cdef uint16_t *slot = trust_slot(t, der, n)
    cdef int err
    if slot == NULL:
        return 0
    err = anchors_add(a, n)
    if err == 0:
        t.spans[a.num - 1].p = der
        t.spans[a.num - 1].len = n
        slot[0] = <uint16_t>a.num
    else:
        explicit_bzero(a.der + a.der_len, n)        # it may be a private key that nobody meant to hand over
        if not t.is_directory or a.num == a.room:
            t.error = err
            return TRUST_BAD
    return 0

cdef int trust_parse_file(Trust *t, const uint8_t *text, size_t n) noexcept nogil:
    """Take the certificates of one file; 0 or a TrustFault."""
    cdef Anchors *a = &t.anchors
    cdef Pem pem
    cdef PemObject object
    cdef int fault
    # DER: a SEQUENCE of 128 bytes or more; no text begins so, in ASCII, Latin or UTF-8
    if n >= 2 and text[0] == DER_SEQUENCE and 0x81 <= text[1] <= 0x84:
        memcpy(a.der + a.der_len, text, n)
        return trust_certificate(t, n)
    pem.p = <const char *>text
    pem.end = pem.p + n
    while True:
        fault = pem_certificate(&pem, a.der + a.der_len, a.der_room - a.der_len, &object)
        if fault == PEM_END:
            return 0
        if fault != PEM_OK:
            return 0 if t.is_directory else TRUST_UNFINISHED
        if object.kind == PEM_CERTIFICATE:
            fault = trust_certificate(t, object.len)
            if fault:
                return fault

cdef int trust_parse(Trust *t) noexcept nogil:
    """Make anchors of what was read, once, in the jail; 0 or a TrustFault. The text is wiped either way."""
    cdef int i, fault = 0
    t.slots = <uint16_t *>calloc(TRUST_SLOTS, sizeof(uint16_t))
    t.spans = <TrustSpan *>malloc(TRUST_ANCHORS_MAX * sizeof(TrustSpan))
    if t.slots == NULL or t.spans == NULL or not anchors_room(&t.anchors, TRUST_ANCHORS_MAX, t.len + 4):
        t.error = BR_ERR_X509_LIMIT_EXCEEDED
        fault = TRUST_BAD
    for i in range(t.files_num):
        if fault == 0:
            fault = trust_parse_file(t, t.text + t.files[i].at, t.files[i].len)
    if fault == 0 and t.anchors.num == 0:
        fault = TRUST_NONE
    trust_forget(t)
    if fault:
        anchors_free(&t.anchors)
    return fault
