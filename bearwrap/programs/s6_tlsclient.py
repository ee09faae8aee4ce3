"""s6-tlsclient - connect to a host by TCP, then be s6-tlsc on that connection (s6-tlsclient(1))."""

from __future__ import annotations

import posix

from bearwrap import _bear, programs, s6logs, s6options, tcpconnect
from bearwrap.errors import OptionError, SystemCallError, UsageError
from bearwrap.programs import s6_tlsc
from bearwrap.s6options import Option, parse, unsigned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = b"s6-tlsclient"
USAGE = "s6-tlsclient [ options ] host port prog..."
CLOSING = "prog runs with the plaintext on descriptors 6 and 7. See s6-tlsclient(1)."
LOG = s6logs.S6Log
HELP = s6options.help_text
OPTIONS = [
    Option("q", "quiet", None, "errors only"),
    Option("Q", "normally-verbose", None, "... and warnings (default)"),
    Option("v", "verbose", None, "... and who is connected to; -vv: debug"),
    Option("4", "ipv4", None, "use IPv4 addresses"),
    Option("6", "ipv6", None, "use IPv6 addresses; with -4 first these, with neither both"),
    Option("d", "nagle", None, "no effect: small packets are sent at once"),
    Option("D", "no-nagle", None, "no effect"),
    Option("h", "hosts", None, "look up the names of both ends (default)"),
    Option("", "dns", None, "... the same"),
    Option("H", "no-dns", None, "... do not, and do not verify host's name without -k"),
    Option("", "no-hosts", None, "no effect"),
    Option("R", "no-ident", None, "no effect: there is no ident lookup"),
    Option("r", "ident", None, "no effect"),
    Option("n", "qualify", None, "complete host by the search list (default)"),
    Option("N", "no-qualify", None, "... take it as it is"),
    Option("t", "timeout", "seconds", "limit of looking up and connecting; 0: none (default)"),
    Option("l", "local-name", "name", "the local host's name, instead of looking it up"),
    Option("T", "connection-timeouts", "x+y", "seconds for each address, in two rounds (default 2+58)"),
    Option("i", "local-ip", "address", "connect from this address"),
    Option("p", "local-port", "port", "connect from this port"),
    *s6_tlsc.SHARED_OPTIONS,
]
SHARED = {row.name: row for row in s6_tlsc.SHARED_OPTIONS}
LOOPBACK = (b"::1", b"127.0.0.1")  # what "0" and "" mean to UCSPI clients
PORT_MOST = 65535
LOOKUP_MS = 60_000  # limit of looking up host: as long as connecting to it may take
NAMES_MS = 2_000  # limit of looking up the names of both ends, which only inform
READ_FD, WRITE_FD = 6, 7


class Settings:
    """What the options say; what s6-tlsc is to get is in `words`."""

    __slots__ = ("first_s", "ipv4", "ipv6", "local_ip", "local_name", "local_port", "lookup", "search", "second_s",
                 "servername_given", "timeout_s", "tlsc", "verbosity", "words")

    def __init__(self) -> None:
        self.verbosity = 1
        self.ipv4 = self.ipv6 = self.servername_given = False
        self.lookup = self.search = True
        self.timeout_s, self.first_s, self.second_s = 0, 2, 58
        self.local_name: bytes | None = None
        self.local_ip: bytes | None = None
        self.local_port = 0
        self.words: list[bytes] = []
        self.tlsc = s6_tlsc.Settings()

    def take(self, name: str, value: bytes) -> None:
        """One option, in the order of the command line. Raises OptionError."""
        if name in SHARED:
            self.tlsc.take(name, value)  # for its errors, before there is a connection
            flag = b"-" + name.encode() if len(name) == 1 else b"--" + name.encode()
            self.words += [flag, value] if SHARED[name].value else [flag]
            self.servername_given = self.servername_given or name == "k"
        elif name in ("q", "Q"):
            self.verbosity = 0 if name == "q" else 1
        elif name == "v":
            self.verbosity += 1
        elif name == "4":
            self.ipv4 = True
        elif name == "6":
            self.ipv6 = True
        elif name in ("h", "dns", "H"):
            self.lookup = name != "H"
        elif name in ("n", "N"):
            self.search = name == "n"
        elif name == "l":
            self.local_name = value
        else:
            self.take_number(name, value)

    def take_number(self, name: str, value: bytes) -> None:
        if name == "t":
            self.timeout_s = s6_tlsc.number(value, b"timeout")
        elif name == "T":
            self.first_s, self.second_s = timeouts(value)
        elif name == "i":
            self.local_ip = _bear.parse_address(value)
            if self.local_ip is None:
                raise OptionError(b"local-ip must be an IP address")
        elif name == "p":
            port = unsigned(value, PORT_MOST)
            if port is None:
                raise OptionError(b"local-port must be a port number")
            self.local_port = port

    def tlsc_words(self, host: bytes, prog: Sequence[bytes]) -> list[bytes]:
        """The command line of s6-tlsc. host is the name to verify, without the dot that ends the domain name system's
        (RFC 6066 section 3), unless it is an address or -H says otherwise."""
        words = [b"-v%d" % self.verbosity, *self.words]
        if self.lookup and not self.servername_given and host not in (b"", b"0") and _bear.parse_address(host) is None:
            words += [b"-k", host.removesuffix(b".")]
        return [*words, b"--", *prog]


def timeouts(text: bytes) -> tuple[int, int]:
    """The seconds of -T: x+y, or x alone for one round."""
    first_text, plus, second_text = text.partition(b"+")
    first, second = unsigned(first_text), unsigned(second_text) if plus else 0
    if first is None or second is None or first + second == 0:
        raise OptionError(b"connection-timeouts must be seconds, x+y")
    return first, second


def addresses(host: bytes, settings: Settings, deadline_ms: int | None) -> list[bytes]:
    """The addresses to try. Raises SystemCallError."""
    limit_ms = _bear.monotonic_ms() + LOOKUP_MS
    found = list(LOOPBACK)
    if host not in (b"", b"0"):
        try:
            until = limit_ms if deadline_ms is None else min(limit_ms, deadline_ms)
            found = _bear.resolve_host(host, settings.search, until)
        except OSError as why:
            raise SystemCallError(b"unable to resolve " + host, why.errno or 0) from None
        if not found:
            raise SystemCallError(b"unable to resolve " + host + b": no such name", 0)
    suitable = tcpconnect.chosen(found, settings.ipv4, settings.ipv6, settings.local_ip)
    if not suitable:
        raise SystemCallError(b"unable to resolve " + host + b": no address of this family", 0)
    return suitable


def connect(host: bytes, port: int, settings: Settings, deadline_ms: int | None, log: s6logs.S6Log) -> int:
    """A connected socket. Raises SystemCallError."""
    found = addresses(host, settings, deadline_ms)

    def attempt(ip: bytes, until_ms: int) -> int:
        fd = _bear.tcp_socket(ip)
        try:
            if settings.local_ip is not None or settings.local_port:
                bind(fd, settings.local_ip or (b"::" if tcpconnect.is_ipv6(ip) else b"0.0.0.0"), settings.local_port)
            _bear.tcp_connect_until(fd, ip, port, until_ms)
        except BaseException:
            posix.close(fd)
            raise
        return fd

    def given_up(ip: bytes, errno: int) -> None:
        log.warning(b"unable to connect to %s port %d" % (ip, port), errno)

    limits = tcpconnect.rounds(len(found), settings.first_s, settings.second_s)
    fd = tcpconnect.connect(found, limits, deadline_ms, _bear.monotonic_ms, attempt, given_up)
    if fd is None:
        raise SystemCallError(b"unable to connect to a suitable IP address", 0)
    return fd


def bind(fd: int, ip: bytes, port: int) -> None:
    """Raises SystemCallError: no other address would do better."""
    try:
        _bear.tcp_bind(fd, ip, port)
    except OSError as why:
        raise SystemCallError(b"unable to bind socket", why.errno or 0) from None


def describe(fd: int, settings: Settings, deadline_ms: int | None, log: s6logs.S6Log) -> None:
    """Set what UCSPI promises a TCP client (UCSPI-1996, section 4); a variable without value is unset."""
    remote_ip, remote_port, local_ip, local_port = _bear.tcp_addresses(fd)
    log.info(b"connected to " + remote_ip + b" port " + remote_port)
    until = _bear.monotonic_ms() + NAMES_MS
    if deadline_ms is not None:
        until = min(until, deadline_ms)
    remote_host = name_of(remote_ip, until) if settings.lookup else None
    local_host = settings.local_name
    if local_host is None and settings.lookup:
        local_host = name_of(local_ip, until)
    values = {
        b"PROTO": b"TCP",
        b"TCPREMOTEIP": remote_ip,
        b"TCPREMOTEPORT": remote_port,
        b"TCPREMOTEHOST": remote_host,
        b"TCPREMOTEINFO": None,
        b"TCPLOCALIP": local_ip,
        b"TCPLOCALPORT": local_port,
        b"TCPLOCALHOST": local_host,
    }
    for name, value in values.items():
        if value is None:
            posix.unsetenv(name)
        else:
            _bear.environment_set(name, value)


def name_of(ip: bytes, until_ms: int) -> bytes | None:
    return _bear.resolve_address(ip, until_ms) if _bear.monotonic_ms() < until_ms else None


def move(fd: int) -> None:
    """Put the connection where a UCSPI client's program finds it."""
    posix.dup2(fd, READ_FD) if fd != READ_FD else posix.set_inheritable(fd, True)
    posix.dup2(READ_FD, WRITE_FD)
    if fd not in (READ_FD, WRITE_FD):
        posix.close(fd)


def start(args: Sequence[bytes], log: s6logs.S6Log) -> int:
    """Parse the options, connect, and run s6-tlsc; the exit code."""
    settings = Settings()
    rest = parse(args, OPTIONS, settings.take)
    if len(rest) < 3:
        raise UsageError()
    log.set_verbosity(settings.verbosity)
    host, port_text, *prog = rest
    port = unsigned(port_text, PORT_MOST)
    if port is None:
        raise OptionError(b"invalid port number: " + port_text)
    if not _bear.open_standard_descriptors():
        return 111
    deadline_ms = _bear.monotonic_ms() + 1000 * settings.timeout_s if settings.timeout_s else None
    fd = connect(host, port, settings, deadline_ms, log)
    describe(fd, settings, deadline_ms, log)
    move(fd)
    return programs.run(s6_tlsc, settings.tlsc_words(host, prog))
