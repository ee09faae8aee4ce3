"""The compiled half of bearwrap, as Python sees it: types, shapes, units and errors of what src/face.pxi defines.

Text is bytes throughout, since options, paths and names need not be in any encoding. A `bytes` parameter takes a
bytes object and nothing else (TypeError); a Buffer may be any contiguous one. No function keeps
what it is given, except log_setup (a copy) and the two serve functions (until the process ends). Sizes are bytes,
times milliseconds of the monotonic clock. OverflowError for a number that does not fit its C type.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol, TypedDict

from typing_extensions import Buffer

class _Tables(TypedDict):
    """What options are read against, in the manual's order."""

    ciphers: list[tuple[bytes, bool, int, int]]
    """-c: name, whether a default, IANA number of its ECDSA suite, of its RSA suite."""
    groups: list[tuple[bytes, bool, int]]
    """-e: name, whether a default, IANA number (below 32)."""
    versions: list[tuple[bytes, int]]
    """-m and -M, lowest first: name, number on the wire (0x0301 to 0x0303)."""

class _AuditTables(TypedDict):
    """What only tests, tools and manuals read."""

    suites: list[tuple[int, bytes, bytes, int, int]]
    """What a client offers, in the order of its preference: IANA number, name in SSL_CIPHER (OpenSSL's), name in the
    log, key exchange (1 ECDHE, 2 static ECDH, 3 RSA), type of the server's key (1 RSA, 2 EC)."""
    suites13: list[tuple[int, bytes, bytes]]
    """Of TLS 1.3, in the order of -c: IANA number, name in SSL_CIPHER (OpenSSL's), name in the log."""
    ciphers13: list[tuple[bytes, int]]
    """The names of -c that have a suite of TLS 1.3, and its number."""
    schemes: list[tuple[bytes, int, int, int, int]]
    """Signature schemes of TLS 1.3 in our order: name, IANA number, key type (1 RSA, 2 EC, 3 Ed25519), curve (0: none),
    hash (TLS HashAlgorithm, 0: the scheme's own)."""
    alerts: list[tuple[int, bytes]]
    """IANA number, name."""
    errors: list[tuple[int, int, bytes, bytes]]
    """BearSSL's error, the alert that it becomes, its name (BR_ERR_*), words for the log."""
    operations: list[tuple[int, bytes, int, int, int, int, bool, bytes]]
    """The key port: number, name, least and most payload bytes of the request, the states in which it is allowed
    (bit n: state n of bw_key_state in tables.h), the state after it (0: unchanged), whether it is answered, what it
    does."""

class _BuildFacts(TypedDict):
    """How this extension was built."""

    vendored: bool
    """BearSSL's source came with ours; False: the system's library."""
    libcrypto: bytes
    """OpenSSL's version, b"" when ChaCha20-Poly1305 is libsodium's or BearSSL's."""
    sodium: bytes
    """libsodium's version, b"" when X25519 is BearSSL's and nothing does Ed25519."""
    nettle: bytes
    """nettle's version, b"" when the P curves and RSA are BearSSL's."""
    gmp: bytes
    """GMP's version, b"" without nettle."""

class _Settings(Protocol):
    """The settings of one connection (Config in src/config.pxi); None is "not given"."""

    @property
    def entries(self) -> Sequence[tuple[bytes, bool]]:
        """-f and -d in their order, at most 4: path, whether a folder."""

    @property
    def anchors(self) -> bytes | None:
        """-a: path of the anchor file."""

    @property
    def suites(self) -> Sequence[int]:
        """IANA suite numbers in the server's order, at most 14."""

    @property
    def groups(self) -> int:
        """Bit n: IANA group number n."""

    @property
    def version_min(self) -> int:
        """-m: 0x0301 to 0x0304."""

    @property
    def version_max(self) -> int:
        """-M, likewise."""

    @property
    def protocols(self) -> bytes | None:
        """--alpn: at most 16 names, each with its length before it."""

    @property
    def ticket_file(self) -> bytes | None:
        """--ticket-keys: a file's path."""

    @property
    def server_order(self) -> bool:
        """-s, not -S."""

    @property
    def idle_s(self) -> int:
        """-t, seconds."""

    @property
    def handshake_s(self) -> int:
        """-T, seconds."""

    @property
    def account(self) -> bytes | None:
        """-u."""

    @property
    def user_field(self) -> int:
        """-U: 0 none, 1 commonName, 2 emailAddress."""

    @property
    def proxy(self) -> bool:
        """-p1."""

    @property
    def delayed(self) -> bool:
        """-n."""

    @property
    def jail_account(self) -> bytes | None:
        """-j."""

    @property
    def jail_directory(self) -> bytes:
        """-J."""

    @property
    def prog(self) -> Sequence[bytes]:
        """The program and its arguments, at least one word."""

class _Outgoing(Protocol):
    """The settings of s6-tlsc; None is "not given"."""

    @property
    def read_fd(self) -> int:
        """-6: where the network is read, 3 or more."""

    @property
    def write_fd(self) -> int:
        """-7: where it is written, another descriptor."""

    @property
    def close_notify(self) -> bool:
        """-S, not -s."""

    @property
    def enforce_close_notify(self) -> bool:
        """-J, not -j."""

    @property
    def verify(self) -> bool:
        """--verify-cert, not --no-verify-cert."""

    @property
    def verbosity(self) -> int:
        """-v."""

    @property
    def handshake_ms(self) -> int:
        """-K: 0 is no deadline, at most 2^31-1."""

    @property
    def servername(self) -> bytes | None:
        """-k, not empty."""

    @property
    def anchors_directory(self) -> bytes | None:
        """CADIR; exactly one of it and anchors_file is given."""

    @property
    def anchors_file(self) -> bytes | None:
        """CAFILE."""

    @property
    def certificate_file(self) -> bytes | None:
        """CERTFILE, with -y."""

    @property
    def key_file(self) -> bytes | None:
        """KEYFILE, with -y."""

    @property
    def uid(self) -> int:
        """TLS_UID, 0 without."""

    @property
    def gid(self) -> int:
        """TLS_GID, 0 without."""

    @property
    def jail_directory(self) -> bytes:
        """The empty folder."""

    @property
    def prog(self) -> Sequence[bytes]:
        """The program and its arguments, at least one word."""

class _Forwarding(Protocol):
    """The settings of tlswrapper-tcp (Forward in src/tcp.pxi); None is "not given"."""

    @property
    def host(self) -> bytes:
        """Name or literal address; with a path it is not looked at."""

    @property
    def port(self) -> bytes | None:
        """The port as it was given, for log lines."""

    @property
    def port_number(self) -> int:
        """0 to 65535."""

    @property
    def path(self) -> bytes | None:
        """Of a Unix socket, at most 107 bytes, to connect to instead."""

    @property
    def where(self) -> bytes:
        """The destination as log lines name it."""

    @property
    def idle_s(self) -> int:
        """-t."""

    @property
    def connect_s(self) -> int:
        """-T."""

    @property
    def proxy_in(self) -> bool:
        """-p1."""

    @property
    def proxy_out(self) -> bool:
        """-P1."""

    @property
    def jail_account(self) -> bytes | None:
        """-j."""

    @property
    def jail_directory(self) -> bytes:
        """-J."""

class _Listening(Protocol):
    """The settings of `bearwrap serve` (Supervisor in src/supervisor.pxi); None is "not given"."""

    @property
    def wrapper(self) -> _Settings:
        """What every connection is served with."""

    @property
    def listeners(self) -> Sequence[int]:
        """Listening sockets, non-blocking, 1 to 16."""

    @property
    def status(self) -> int:
        """The listening socket of --status, -1 without."""

    @property
    def sockets(self) -> Sequence[tuple[bytes, int, int]]:
        """Path, device and inode of the Unix sockets that are removed at the end."""

    @property
    def accounts(self) -> bool:
        """--log is text or json: one line a connection."""

    @property
    def json(self) -> bool:
        """--log is json."""

    @property
    def log_file(self) -> bytes | None:
        """--log-file, which SIGHUP opens anew."""

    @property
    def most(self) -> int:
        """--max-connections, 1 and more."""

    @property
    def most_waiting(self) -> int:
        """--max-waiting, 1 and more."""

    @property
    def most_per_address(self) -> int:
        """--max-per-address, 0 is no limit."""

    @property
    def spare(self) -> int:
        """--workers, 1 and more."""

    @property
    def drain_s(self) -> int:
        """--drain."""

    @property
    def watchdog_ms(self) -> int:
        """How often the service manager hears of us, 0 is never."""

# log

def log_setup(name: bytes, level: int, identity: bytes, s6: bool = False) -> None:
    """Say how this process logs: its program's name (cut at 31 bytes), its verbosity (0 quiet, 1 fatal, 2 errors,
    warnings and facts, 3 debug, 4 tracing) and the connection's identity (cut at 71 bytes).

    s6: write the lines of s6's tools, `NAME: WORD: MESSAGE[: strerror]`, with nothing else in them."""

def log_line(level: int, word: bytes, message: bytes, err: int = 0) -> None:
    """Write one line on descriptor 2 if the verbosity is `level` or more: `word` names the level, `err` is 0 or the
    errno whose words follow in brackets. The message is escaped as escape_log does; a failed write is ignored."""

def environment_set(name: bytes, value: bytes) -> None:
    """setenv(3): what the compiled half and prog find in the environment; os.environ is unchanged."""

def environment_get(name: bytes) -> bytes | None:
    """getenv(3): what the compiled half and prog find in the environment."""

def file_mode(path: bytes) -> int:
    """st_mode of a file, links followed. OSError; ValueError for a path with a NUL."""

def write_some(fd: int, data: bytes) -> int:
    """write(2): how many bytes were written. OSError."""

def log_identity(given: bytes) -> bytes:
    """The name of a connection in its log lines: the given one, cut when it is too long, or for b"" a random one of
    [0-9A-Za-z] from getrandom(2): no secret."""

def monotonic_ms() -> int:
    """The monotonic clock, as serve_connection takes it."""

# tables

def tables() -> _Tables:
    """The tables that options are read against, as fresh lists (source: src/tables.h)."""

def audit_tables() -> _AuditTables:
    """The tables behind log, alerts and key port, as fresh lists (source: src/tables.h)."""

def build_facts() -> _BuildFacts:
    """How this extension was built."""

# decisions, for tests and tools

def check_client_hello(body: Buffer, version_max: int = 0x0303) -> tuple[int, bytes | None]:
    """Judge a ClientHello's body, without the four bytes of handshake header (src/hello.pxi names the RFCs).

    version_max: our newest version; TLS 1.3 and what belongs to it is looked at from 0x0304 on.

    (0, host name of server_name or None) for a good one; else (number of the alert to send, why).
    """

def check_server_hello(
    body: Buffer, version_min: int, version_max: int, sni_sent: bool, suites: Sequence[int]
) -> tuple[int, bytes | tuple[int, bytes, int]]:
    """Judge a ServerHello's body by what was offered: versions, at most 256 suites, and server_name or not.

    (0, (version, random, suite)) for a good one; else (number of the alert to send, why). The other extensions are
    those of BearSSL's client (src/serverflight.pxi).
    """

def check_server_message(kind: int, body: Buffer, version: int, suite: int) -> int:
    """Judge another handshake message of the server by its type, for the version and suite of its hello.

    Types 11 to 14 and 20 (RFC 5246 section 7.4); 0, or the number of the alert to send.
    """

def candidate_names(name: bytes) -> list[bytes]:
    """File names to try for a server name, in order and each once: as sent, in lower case without a trailing dot,
    `*` for the first label. Empty when it is no DNS name (spec of -d in tlswrapper(1))."""

def parse_proxy(line: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Parse a PROXY v1 line that ends in LF or CRLF, 127 bytes at most (HAProxy's PROXY protocol, section 2.1).

    (remote address, remote port, local address, local port) as canonical text, IPv4 for a mapped IPv6 address;
    (::, 0, ::, 0) for UNKNOWN. ValueError with what could not be parsed: "proxy-protocol string", "remoteip",
    "localip", "remoteport" or "localport".
    """

def parse_ip(text: bytes) -> bytes | None:
    """A literal IP address in network order, 4 or 16 bytes: a strict dotted quad, or IPv6, in brackets or not.

    None for any other text, one with a zone (`%eth0`) included.
    """

def names_ip(certificate: bytes, address: bytes) -> bool:
    """Whether the subjectAltName of a certificate (DER) has an iPAddress entry of these very bytes.

    False for what is malformed. ValueError for an address of another size than 4 or 16 bytes.
    """

def read_certificate(
    der: bytes, reference: bool = False
) -> tuple[bytes, int, bool, tuple[bytes, bytes] | tuple[int, bytes]]:
    """What a trust anchor takes from a certificate: subject (DER), key type (1 RSA, 2 EC), whether a CA's, public key.

    The key: modulus and exponent without leading zeros, or the curve's IANA number and the point. reference: by
    BearSSL's br_x509_decoder, which ours is to agree with. ValueError with the words of a BearSSL error.
    """

def trust_anchors(
    directory: bytes | None, file: bytes | None
) -> list[tuple[bytes, int, bool, tuple[bytes, bytes] | tuple[int, bytes]]]:
    """The anchors that a client has from CADIR, unless it is None, or CAFILE; each as read_certificate gives it.

    OSError when it cannot be read or is too much. ValueError: "no trust anchor found"; of CAFILE also "malformed or
    unfinished", and the words of a BearSSL error for a certificate that does not decode; of either "certificate:
    internal limit exceeded" for more than 4096.
    """

def time_trust(directory: bytes | None, file: bytes | None) -> tuple[int, int]:
    """Nanoseconds to read and to parse the trust anchors, as a measure. ValueError when there are none."""

def parse_pem(text: bytes, certificates: bool = False) -> list[tuple[int, bytearray]]:
    """Every object of a PEM text (RFC 7468, and RFC 1421's labels): kind and DER, which the caller can wipe.

    Kinds: 1 a certificate, 2 a private key, 3 any other, whose DER is left empty; certificates: keys too are others.
    ValueError: "malformed" for bad base64, a BEGIN within an object, an END of another name or nothing between;
    "unfinished" for a missing END.
    """

def escape_log(text: bytes) -> bytes:
    r"""As a log line shows it: \n, \r, \t, other bytes outside printable ASCII as \xhh; cut after 3,937 to 3,940
    bytes."""

def hash_pieces(hash_id: int, pieces: Sequence[Buffer], carried: bool) -> bytes:
    """Digest of the pieces by the hash functions that net and key use, for tests; hash_id as in RFC 5246.

    carried: after each whole block that ends a piece, the state goes on in a new context. ValueError for another
    number.
    """

def x25519(scalar: Buffer, point: Buffer | None) -> bytes:
    """X25519 (RFC 7748 section 5) as key does it, for tests: 32 bytes; point None for the base point.

    A point of small order gives zeros. ValueError for other sizes than 32 bytes.
    """

def curve_multiply(curve: int, scalar: Buffer, point: Buffer | None) -> bytes | None:
    """Multiplication on P-256, P-384 or P-521 (23, 24, 25) as key does it, for tests; point None for the base point.

    Points are uncompressed, scalars big-endian. None for a point off the curve or a scalar out of range.
    """

def ecdsa_sign(curve: int, scalar: Buffer, hash_id: int, digest: Buffer) -> bytes:
    """The ASN.1 ECDSA signature of a digest (RFC 6979) as key makes it, for tests; b"" for a scalar out of range."""

def ecdsa_verify(curve: int, point: Buffer, digest: Buffer, signature: Buffer) -> bool:
    """Whether an ASN.1 ECDSA signature is good, as key judges it, for tests."""

def rsa_private(key: Buffer, number: Buffer) -> bytes | None:
    """RSA's private operation as key does it, for tests: of a DER private key, on a number as long as its modulus.

    None for a key that cannot be one.
    """

def read_private_key(key: Buffer, reference: bool = False) -> tuple[int | bytes, ...] | None:
    """What key finds in a private key's DER, or with `reference` BearSSL's decoder, for tests.

    Curve and number, or the modulus' bits and p, q, d mod (p - 1), d mod (q - 1), the inverse of q. None for what is
    no key, or an Ed25519 key.
    """

def rsa_public(modulus: Buffer, exponent: Buffer, number: Buffer) -> bytes | None:
    """RSA's public operation as key does it for signatures, for tests, on a number as long as the modulus.

    None for an even modulus, one of more than 512 bytes, and a number of another length or not less than the modulus.
    """

def sign_scheme(key: Buffer, scheme: int, message: Buffer) -> bytes:
    """Sign by a scheme of TLS 1.3 (RFC 8446 section 4.2.3) with a DER private key, for tests.

    b"" for a scheme that the key cannot sign by. ValueError for a key that is not understood.
    """

def verify_scheme(public_key: Buffer, scheme: int, message: Buffer, signature: Buffer) -> bool:
    """Whether a signature by a scheme of TLS 1.3 is good for a SubjectPublicKeyInfo in DER, for tests.

    False too for a scheme that does not fit the key. ValueError for a key that is not understood.
    """

def digest_verify(public_key: Buffer, hash_id: int, digest: Buffer, signature: Buffer) -> bool:
    """Whether a signature as TLS 1.2 and certificates have it, PKCS#1 or ECDSA, is good for a digest, for tests."""

def chacha20_poly1305(key: Buffer, nonce: Buffer, aad: Buffer, text: Buffer, encrypt: bool) -> tuple[bytes, bytes]:
    """ChaCha20-Poly1305 (RFC 8439 section 2.8) as records use it, for tests: the other text and the tag."""

class Records:
    """Record protection of TLS 1.0 to 1.2 in this process: what key does, for tests and benchmarks.

    It seals one direction and opens the other, with a sequence number for each from 0 on. After "bad MAC" it is of no
    further use for opening. Its memory is wiped when it goes.
    """

    def __init__(
        self,
        version: int,
        suite: int,
        master: Buffer,
        client_random: Buffer,
        server_random: Buffer,
        is_client: bool,
        quick: bool = True,
    ) -> None:
        """Derive the keys of both directions (RFC 5246 section 6.3).

        version, suite: numbers of the tables; master: 48 bytes; randoms: 32 bytes each; is_client: seal as the client
        does; quick: False for BearSSL's own ChaCha20-Poly1305. ValueError for another size or number.
        """

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        """One record with its header, or two in TLS 1.0 for application data of 2 bytes and more (1 byte, the rest).

        kind: content type, 20 to 23. ValueError for more than 16384 bytes of plaintext.
        """

    def open(self, record: bytes) -> bytes:
        """The plaintext of one whole record. Its type is under the MAC; version and length of the header are not read.

        ValueError: "no record" (shorter than a header or longer than any), "bad length" (no size that this suite
        makes), "bad MAC" (tag, MAC or padding; also a record out of order).
        """

# the connection

def serve_connection(settings: _Settings, started_ms: int) -> int:
    """Serve the connection on descriptors 0 and 1: fork key and prog, be net; the exit code when all have ended.

    started_ms: when the program started, for the handshake's deadline. ValueError for more than 4 entries or 14 suites.
    """

def limit_system_calls(is_net: bool) -> None:
    """Leave this process the system calls of net, or of key, for good; for tests."""

def system_calls() -> list[tuple[int, int, int, int, int]]:
    """What net (1), key (2) or both (3) may call: who, argument, number, mask, value (src/syscalls.h)."""

def system_call_filter(calls: list[tuple[int, int, int, int, int]], who: int) -> list[tuple[int, int, int, int]]:
    """The instructions (code, jt, jf, k) of a filter for net (1) or key (2).

    ValueError for more calls than system_calls() has.
    """

def ring_bytes() -> int:
    """Size of the memory that serve_key takes: for each direction one page and the ring."""

def serve_key(
    settings: _Settings,
    port: int,
    go: int,
    ring: Buffer,
    wake_net: int,
    wake_key: int,
    prog_in: int,
    prog_out: int,
) -> NoReturn:
    """Be the key process alone, for tests; never returns, the process ends by _exit.

    Descriptors: port (SOCK_SEQPACKET, to net), go (write end of the pipe that prog waits on), wake_net and wake_key
    (eventfds), prog_in and prog_out (prog's stdin and stdout, key's ends). ring: page-aligned, writable, shared with
    net, ring_bytes() bytes, else ValueError.
    """

# tlswrapper-tcp

def parse_ahosts(answer: bytes) -> list[bytes]:
    """The addresses in the output of `getent ahosts`, each once, at most 16; lines of another kind are passed over."""

def make_proxy(remote_ip: bytes, remote_port: bytes, local_ip: bytes, local_port: bytes) -> bytes:
    """A PROXY v1 line (HAProxy's PROXY protocol, section 2.1), TCP6 with a mapped address for mixed families.

    Empty for (::, 0, ::, 0), of which there is nothing to tell. ValueError for a bad address or port.
    """

def forward_connection(forwarding: _Forwarding, started_ms: int) -> int:
    """Forward descriptors 0 and 1 to the destination, jailed; the exit code of the program.

    started_ms: when the time of -T began.
    """

# tlswrapper-smtp: one session a process. Ends: 0 the client's input, 1 its output, 2 prog's input, 3 its output, 4 the
# greylist server. A read or a write that cannot be done is an OSError: ETIMEDOUT after the patience or at the deadline
# of smtp_prepare(), EINTR when SIGTERM came, EBADF without such an end.

def smtp_starttls_possible() -> bool:
    """Whether descriptor 5 can be written and 6 read. To be asked before anything is opened; prog gets neither."""

def smtp_prepare(deadline_ms: int, patience_ms: int) -> bool:
    """Take SIGTERM and SIGCHLD as events and the times of the session (monotonic; of one read or write).

    False after a fatal line.
    """

def smtp_resolve_greylist(
    host: bytes, port_text: bytes, port: int, jail_account: bytes | None, jail_directory: bytes
) -> int:
    """Before the jail: the greylist server's addresses and sockets. 0; -1 after a fatal line; EINTR for SIGTERM."""

def smtp_start(prog: list[bytes], account: bytes | None, jail_account: bytes | None, jail_directory: bytes) -> bool:
    """Fork prog (it waits) and go to jail. False after a fatal line."""

def smtp_connect_greylist() -> int:
    """In the jail: connect to the greylist server. 0 or an errno (EINTR for SIGTERM); a warning for each address."""

def smtp_close_greylist() -> None:
    """Close the connection to the greylist server; its end is gone."""

def smtp_run_prog() -> bool:
    """Let prog become its program. False when it is gone."""

def smtp_client_address() -> bytes:
    """The client's address, canonical, from the environment or the socket, else `::`; log lines have it from now on."""

def smtp_read(end: int) -> bytes:
    """At most 16 KiB, empty at EOF."""

def smtp_write(end: int, data: bytes | bytearray) -> None:
    """All of it; each piece that is taken begins the patience anew."""

def smtp_drain_greylist() -> bytes:
    """What the greylist server has sent so far, without waiting."""

def smtp_begin_tls() -> tuple[bytes, int] | None:
    """Ask tlswrapper for TLS and wait for it; clear bytes that come until then are dropped.

    None when TLS has begun, else what went wrong and an errno or 0.
    """

def smtp_finish(orderly: bool) -> int:
    """Close all ends and wait for prog, which is signalled when it stays; the exit code of the program.

    orderly: after QUIT, when prog has until the deadline and its exit code counts.
    """

# s6-tlsc

def client_connection(outgoing: _Outgoing, started_ms: int) -> int:
    """Be a TLS client on the two network descriptors: fork key, be net, spawn prog after the handshake; the exit code.

    started_ms: when the time of -K began.
    """

def serve_client_key(
    outgoing: _Outgoing,
    port: int,
    go: int,
    ring: Buffer,
    wake_net: int,
    wake_key: int,
    prog_in: int,
    prog_out: int,
) -> NoReturn:
    """Be the client's key process alone, for tests, as serve_key is a server's."""

# s6-tlsclient: addresses are literal ones, IPv6 possibly with %ZONE, else ValueError; a failure is an OSError.

def open_standard_descriptors() -> bool:
    """/dev/null for each of 0, 1 and 2 that is closed, so that no socket gets their numbers. False after a fatal line.
    """

def parse_address(text: bytes) -> bytes | None:
    """The canonical text of a literal address, IPv4 for a mapped IPv6 address; None when it is none."""

def resolve_host(host: bytes, search: bool, deadline_ms: int) -> list[bytes]:
    """The addresses of a name, in the name service's order, at most 16; none when there is no such name.

    search: complete the name by the search list. OSError: ETIMEDOUT at the deadline, 0 when there is no getent(1),
    EPERM when root cannot give the resolver an id of its own.
    """

def resolve_address(ip: bytes, deadline_ms: int) -> bytes | None:
    """The name of an address, None without one, and after the deadline."""

def parse_hosts(answer: bytes) -> bytes | None:
    """The first name in the output of `getent hosts`; None when it is no host name."""

def tcp_socket(ip: bytes) -> int:
    """A non-blocking socket, close-on-exec, of the family of an address."""

def tcp_bind(fd: int, ip: bytes, port: int) -> None:
    """Bind it to a local address."""

def tcp_connect_until(fd: int, ip: bytes, port: int, deadline_ms: int) -> None:
    """Connect it, then make it blocking. OSError: ETIMEDOUT at the deadline, ECONNREFUSED and others."""

def tcp_addresses(fd: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Of a connected socket: remote address and port, local address and port."""

# bearwrap serve

def listen_socket(host: bytes, port: int, backlog: int) -> int:
    """A listening socket, non-blocking: of a literal address, or of a path that begins with /, whatever the port.

    A socket in the file system at which nobody listens is replaced. OSError; EINVAL for what is no address.
    """

def remove_socket(path: bytes, device: int, inode: int) -> None:
    """Remove a Unix socket unless another one has its name by now; device and inode: as lstat(2) told of ours."""

def serve(listening: _Listening) -> int:
    """Listen until SIGTERM or SIGINT and the end of what is served then; the exit code, 111 when it could not start.

    Every descriptor from 3 on that is none of these is closed. ValueError for no listener, or more than 16.
    """

# TLS 1.3, for tests (bits: 256 or 384, of the hash)

def hkdf13_extract(bits: int, salt: Buffer, ikm: Buffer) -> bytes:
    """HKDF-Extract (RFC 5869 section 2.2). ValueError for another hash."""

def hkdf13_expand(bits: int, prk: Buffer, info: Buffer, n: int) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3), n up to 255 digests. ValueError."""

def hkdf13_label(bits: int, secret: Buffer, label: bytes, context: Buffer, n: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1); label without its prefix. ValueError for sizes out of range."""

def transcript13(bits: int, messages: Sequence[Buffer], retry: int | None = None) -> bytes:
    """The transcript hash (RFC 8446 section 4.4.1); retry: before which message what came before becomes
    message_hash."""

class Schedule13:
    """The key schedule (RFC 8446 section 7.1), to be called in its order. Its memory is wiped when it goes."""

    def __init__(self, bits: int, psk: Buffer | None = None) -> None:
        """The early secret. ValueError for another hash."""

    def binder(self, digest: Buffer, external: bool = False) -> bytes:
        """The PSK's binder; digest: of the truncated ClientHello. ValueError for another size, here and below."""

    def handshake(self, shared: Buffer, digest: Buffer) -> None:
        """The handshake secrets; digest: up to ServerHello."""

    def master(self, digest: Buffer) -> None:
        """The application secrets; digest: up to the server's Finished."""

    def resume(self, digest: Buffer) -> None:
        """The resumption secret; digest: up to the client's Finished. The master secret is wiped."""

    def finished(self, name: bytes, digest: Buffer) -> bytes:
        """verify_data under the secret of that name."""

    def ticket(self, nonce: Buffer) -> bytes:
        """The PSK of a ticket with this nonce, of at most 255 bytes."""

    def secret(self, name: bytes) -> bytes:
        """b"present" (early, handshake or master), b"client handshake", b"server handshake", b"client application",
        b"server application" or b"resumption". ValueError for another name."""

class Traffic13:
    """Record protection of one direction (RFC 8446 section 5.2), the sequence number from 0 on. Wiped when it goes."""

    def __init__(self, suite: int, secret: Buffer, quick: bool = True) -> None:
        """Key and IV from a traffic secret; quick: False for BearSSL's own ChaCha20-Poly1305.

        ValueError for no suite of TLS 1.3, or a secret of another size than its hash's.
        """

    def keys(self) -> tuple[bytes, bytes]:
        """Key and IV of this generation."""

    def next_generation(self) -> None:
        """What a KeyUpdate does to the sender's direction."""

    def at(self, seq: int) -> None:
        """Set the sequence number."""

    def tired(self) -> bool:
        """Whether a KeyUpdate is due before the next record."""

    def seal(self, kind: int, plaintext: bytes) -> bytes:
        """One record with its header. ValueError for more than 16384 bytes, or when the key may seal no more."""

    def open(self, record: bytes) -> tuple[int, tuple[int, bytes] | None]:
        """Open a whole record: (0, (inner type, content)), or (number of the alert to send, None).

        ValueError for what is shorter than a header or longer than any record.
        """

def client_hello13(body: Buffer) -> tuple[int, dict[str, int | bool | bytes | None] | None]:
    """A ClientHello's body in pieces, for a server up to TLS 1.3: (0, fields of ClientHello in src/extension.pxi), None
    for an absent list; or (number of the alert to send, None)."""

def build13(what: bytes, parts: Mapping[str, object]) -> bytes:
    """One message of TLS 1.3 with its header (src/wire13.pxi), by its name in the RFC's words, lower case.

    b"server hello": random, session, suite, group, point (None: zeros), point_len, psk (-1: none); b"retry": session,
    suite, group; b"encrypted extensions": sni, protocol, limit; b"certificate request", b"certificate": items;
    b"certificate verify": scheme, signature; b"finished": data; b"ticket": lifetime, age_add, nonce, ticket;
    b"key update": requested. ValueError for another name, and when it does not fit.
    """

def verify13(is_server: bool, digest: Buffer) -> bytes:
    """What a CertificateVerify signs (RFC 8446 section 4.4.3). ValueError for more than 48 bytes."""

class Offer13:
    """What a client's last ClientHello said, and the judge of a server's answer to it (src/serverhello13.pxi)."""

    def __init__(
        self,
        session: bytes,
        suites: Sequence[int],
        groups: int,
        shares: int,
        psks: int = 0,
        sni: bool = False,
        protocols: bytes | None = None,
        record_limit: bool = False,
        retried: tuple[int, int] | None = None,
    ) -> None:
        """groups, shares: bit n for IANA group number n; retried: suite and group of a HelloRetryRequest."""

    def server_hello(
        self, body: Buffer
    ) -> tuple[int, bytes | tuple[bool, int, int, bytes | None, bytes | None, int] | None]:
        """(0, None) when it is none of TLS 1.3, (0, (is a HelloRetryRequest, suite, group, share, cookie, psk)), or
        (number of the alert to send, why)."""

    def encrypted_extensions(self, body: Buffer) -> tuple[int, bytes | tuple[bytes | None, int]]:
        """(0, (application protocol, record_size_limit)), or (number of the alert to send, why)."""

def check13(kind: int, body: Buffer, from_server: bool = True, size: int = 32) -> tuple[int, object]:
    """Judge a message behind the hellos by its type (src/flight13.pxi): (0, what it says) or (alert, None).

    11: (number of certificates, TLS 1.2's certificate_list); 13: (schemes, authorities); 15: (scheme, signature);
    20: None, size being the hash's; 4: (lifetime, age_add, nonce, ticket); 24: whether an update is requested.
    """

def suites13(suites: Sequence[int]) -> list[int]:
    """The suites of TLS 1.3 that the names of -c behind these suites of TLS 1.2 stand for, in their order."""

def choose13(
    body: Buffer, suites: Sequence[int], groups: int, server_order: bool, retry: tuple[int, int] | None = None
) -> tuple[int, bytes | tuple[int, int, bytes | None, int, bool]]:
    """A server's choice for a good ClientHello (src/select13.pxi); retry: suite and group asked for before.

    (0, (suite, group, the client's share or None for a HelloRetryRequest, bits of schemes, whether a PSK may be
    used)), or (number of the alert to send, why). ValueError for a hello that is not for TLS 1.3.
    """

def scheme13(schemes: Buffer, key_type: int, curve: int = 0, modulus_len: int = 256) -> int:
    """The first of a peer's schemes that such a key can sign with, 0 for none."""

def protocol13(protocols: bytes, ours: bytes) -> bytes | None:
    """The first of our application protocols that is among theirs; both lists are ALPN's, without their length."""

def record_content(limit: int) -> int:
    """Bytes of content in a record for a peer's record_size_limit, 0 for none (RFC 8449 section 4)."""

def tickets_turned(turns: int) -> list[tuple[bytes, bool]]:
    """Turn the listener's ticket keys so many times, with a ticket made after each (src/ticketpage.pxi).

    For each ticket the name of its key, and whether it still opens at the end.
    """
