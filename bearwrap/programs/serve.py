"""serve - `bearwrap serve`: the listener in front of the wrapper, warm, one worker a connection (bearwrap(1))."""

from __future__ import annotations

import posix

from bearwrap import _bear, options, s6options
from bearwrap.errors import Finished, OptionError, SystemCallError, UsageError
from bearwrap.programs import tlswrapper
from bearwrap.s6options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log

NAME = b"bearwrap"
USAGE = "bearwrap serve [ --option=value ... ] address[,address...] [ tlswrapper options ] prog"
CLOSING = (
    "An address is IP:PORT, [IPv6]:PORT, :PORT, a path that begins with /, or `systemd` for the sockets that systemd\n"
    "passes. The options behind it are tlswrapper's; `tlswrapper -h` lists them. See bearwrap(1)."
)
OPTIONS = [
    Option("", "max-connections", "number", "connections that are served at a time, 1 to 10000 (default 500)"),
    Option("", "max-per-address", "number", "connections of one address, served or waiting, 0: no limit (default)"),
    Option("", "max-waiting", "number", "connections that have not spoken yet, 1 to 60000 (default 8192)"),
    Option("", "workers", "number", "workers kept ready, 1 to 1000 (default 8)"),
    Option("", "backlog", "number", "of each listening socket, 1 to 65535 (default 1024)"),
    Option("", "drain", "seconds", "what SIGTERM leaves to those that are served, 0 to 86400 (default 60)"),
    Option("", "log", "text|json|none", "one line for each connection on stderr (default text)"),
    Option("", "log-file", "path", "write stderr there; SIGHUP opens it anew"),
    Option("", "status", "path", "counters for Prometheus on this Unix socket"),
]
RANGES = {
    "max-connections": (1, 10000), "max-per-address": (0, 10000), "max-waiting": (1, 60000), "workers": (1, 1000),
    "backlog": (1, 65535), "drain": (0, 86400),
}
HELP = s6options.help_text
LISTENERS_MOST = 16
STALE = (  # what a super-server may have left for us, and what is not prog's
    b"TCPREMOTEIP", b"TCPREMOTEPORT", b"TCPREMOTEHOST", b"TCPREMOTEINFO",
    b"TCPLOCALIP", b"TCPLOCALPORT", b"TCPLOCALHOST",
)
STARTED_FD = 3  # the first descriptor that systemd passes (sd_listen_fds(3))
STATUS_BACKLOG = 64
EINVAL = 22


class Settings:
    """What the words ask for; the compiled side reads these attributes."""

    def __init__(self) -> None:
        self.wrapper = tlswrapper.Settings()
        self.numbers = {
            "max-connections": 500, "max-per-address": 0, "max-waiting": 8192, "workers": 8, "backlog": 1024,
            "drain": 60,
        }
        self.accounts, self.json = True, False
        self.log_file: bytes | None = None
        self.status_path: bytes | None = None
        self.status = -1
        self.listeners: list[int] = []
        self.watchdog_ms = 0
        self.sockets: list[tuple[bytes, int, int]] = []

    def take(self, name: str, value: bytes) -> None:
        """One long option. Raises OptionError."""
        if name in RANGES:
            low, high = RANGES[name]
            number = options.number(value, low, high)
            if number is None:
                raise OptionError(b"unable to parse --" + name.encode() + b" from the string '" + value
                                  + b"', must be a number in the range <%d,%d>" % (low, high), EINVAL)
            self.numbers[name] = number
        elif name == "log":
            if value not in (b"text", b"json", b"none"):
                raise OptionError(b"unable to parse --log from the string '" + value + b"'",
                                  available=[b"text", b"json", b"none"])
            self.accounts, self.json = value != b"none", value == b"json"
        elif name == "log-file":
            self.log_file = value
        else:
            self.status_path = value

    def finish(self) -> None:
        """The numbers under the names that the compiled side reads."""
        self.most, self.spare = self.numbers["max-connections"], self.numbers["workers"]
        self.most_waiting = self.numbers["max-waiting"]
        self.most_per_address = self.numbers["max-per-address"]
        self.drain_s = self.numbers["drain"]


def parse_address(text: bytes) -> tuple[bytes, int]:
    """(host or path, port) of one address. Raises OptionError."""
    if text[:1] == b"/":
        return text, 0
    host, colon, port = text.rpartition(b":")
    if host[:1] == b"[" and host[-1:] == b"]":
        host = host[1:-1]
    elif b":" in host:
        colon = b""
    number = options.number(port, 0, 65535)
    if not colon or number is None or port[:1] in (b"+", b"-"):
        raise OptionError(b"unable to parse address from the string '" + text + b"'", EINVAL)
    return host or b"0.0.0.0", number


def open_listener(host: bytes, port: int, backlog: int, name: bytes) -> int:
    """A listening socket's descriptor. Raises OptionError for what is no address, SystemCallError."""
    try:
        return _bear.listen_socket(host, port, backlog)
    except OSError as why:
        kind = OptionError if why.errno == EINVAL else SystemCallError
        raise kind(b"unable to listen on '" + name + b"'", why.errno or EINVAL) from None


def passed_sockets() -> list[int]:
    """The descriptors that systemd passed (LISTEN_PID, LISTEN_FDS), which prog does not get. Raises OptionError."""
    environ = posix.environ
    count = options.number(environ.get(b"LISTEN_FDS", b""), 1, LISTENERS_MOST)
    if environ.get(b"LISTEN_PID") != b"%d" % posix.getpid() or count is None:
        raise OptionError(b"unable to listen on 'systemd': no sockets were passed (LISTEN_PID, LISTEN_FDS)")
    for name in (b"LISTEN_PID", b"LISTEN_FDS", b"LISTEN_FDNAMES"):
        posix.unsetenv(name)
    passed = list(range(STARTED_FD, STARTED_FD + count))
    try:
        for fd in passed:
            posix.set_inheritable(fd, False)
            posix.set_blocking(fd, False)
    except OSError as why:
        raise SystemCallError(b"unable to listen on 'systemd'", why.errno or EINVAL) from None
    return passed


class Paths:
    """The Unix sockets that were made: path, device, inode. The compiled side removes them at the end."""

    def __init__(self) -> None:
        self.made: list[tuple[bytes, int, int]] = []

    def add(self, path: bytes) -> None:
        found = posix.lstat(path)
        self.made.append((path, found.st_dev, found.st_ino))

    def remove(self) -> None:
        for path, device, inode in self.made:
            _bear.remove_socket(path, device, inode)


def watchdog_ms() -> int:
    """Half of what the service manager allows between our words, 0 when it wants none (sd_watchdog_enabled(3))."""
    environ = posix.environ
    pid = environ.get(b"WATCHDOG_PID")
    usec = environ.get(b"WATCHDOG_USEC", b"")
    if not usec.isdigit() or len(usec) > 15 or (pid is not None and pid != b"%d" % posix.getpid()):
        return 0
    return max(1, int(usec) // 2000)


def open_log(path: bytes) -> None:
    """Make a file descriptor 2. Raises SystemCallError."""
    try:
        fd = posix.open(path, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC, 0o640)
    except OSError as why:
        raise SystemCallError(b"unable to open log file '" + path + b"'", why.errno or EINVAL) from None
    posix.dup2(fd, 2)
    posix.close(fd)


def split(words: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(our long options, tlswrapper's options and prog), which may be mixed up to prog."""
    valued = {ord(letter) for letter, value, _text in tlswrapper.OPTIONS if value is not None}
    ours: list[bytes] = []
    theirs: list[bytes] = []
    at = 0
    while at < len(words) and words[at][:1] == b"-" and words[at] not in (b"-", b"--"):
        word = words[at]
        if word[:2] == b"--":
            into, count = ours, 1 if b"=" in word or word[2:] in s6options.FINISHED else 2
        else:
            takes = [place for place, letter in enumerate(word[1:], 2) if letter in valued]
            into, count = theirs, 2 if takes and takes[0] == len(word) else 1
        into.extend(words[at:at + count])
        at += count
    return ours, theirs + list(words[at:])


def listen(settings: Settings, address: bytes, paths: Paths) -> bytes:
    """Open the sockets; the value of PROTO. Raises OptionError or SystemCallError."""
    backlog = settings.numbers["backlog"]
    proto = b"TCP"
    if address == b"systemd":
        settings.listeners = passed_sockets()
    else:
        places = [(parse_address(text), text) for text in address.split(b",")]
        if len(places) > LISTENERS_MOST:
            raise OptionError(b"unable to listen on more than %d addresses" % LISTENERS_MOST)
        for (host, port), text in places:
            settings.listeners.append(open_listener(host, port, backlog, text))
            if host[:1] == b"/":
                paths.add(host)
        if all(host[:1] == b"/" for (host, _), _ in places):
            proto = b"IPC"
    if settings.status_path is not None:
        settings.status = open_listener(settings.status_path, 0, STATUS_BACKLOG, settings.status_path)
        paths.add(settings.status_path)
        posix.chmod(settings.status_path, 0o600)
    return proto


def start(args: Sequence[bytes], log: Log) -> int:
    """Parse the words, open the sockets, serve until SIGTERM; the exit code."""
    if not _bear.open_standard_descriptors():
        return 111
    if args and args[0] in (b"-h", b"-V"):
        raise Finished(args[0][1:].decode())
    settings = Settings()
    rest = s6options.parse(args, OPTIONS, settings.take)
    if not rest:
        raise UsageError
    ours, wrapped = split(rest[1:])
    s6options.parse(ours, OPTIONS, settings.take)
    tlswrapper.configure(settings.wrapper, wrapped, log)
    settings.finish()
    if settings.log_file is not None:
        open_log(settings.log_file)
    paths = Paths()
    try:
        proto = listen(settings, rest[0], paths)
        _bear.environment_set(b"PROTO", proto)
        settings.watchdog_ms = watchdog_ms()
        for name in (b"WATCHDOG_PID", b"WATCHDOG_USEC", *STALE):
            posix.unsetenv(name)
        settings.sockets = paths.made
    except BaseException:
        paths.remove()
        raise
    return _bear.serve(settings)
