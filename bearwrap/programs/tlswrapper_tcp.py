"""tlswrapper-tcp - forward descriptors 0 and 1 to a TCP or Unix server (tlswrapper-tcp(1))."""

from __future__ import annotations

from bearwrap import _bear
from bearwrap.errors import OptionError, UsageError
from bearwrap.options import EINVAL, JAIL_DIRECTORY, LOG_OPTIONS, parse, proxy_version, timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log
    from bearwrap.options import Option

NAME = b"tlswrapper-tcp"
USAGE = "tlswrapper-tcp [options] host port"
CLOSING = "host is a name, an address, or unix:/path, which needs no port. See tlswrapper-tcp(1)."
OPTIONS: list[Option] = [
    *LOG_OPTIONS,
    ("t", "seconds", "idle timeout, 1 to 86400 (default 3600)"),
    ("T", "seconds", "deadline to be connected, 1 to 86400 (default 10)"),
    ("p", "0|1", "1: a PROXY v1 line comes first from descriptor 0; 0: none (default)"),
    ("P", "0|1", "1: send a PROXY v1 line to host first; 0: none (default)"),
    ("J", "dir", "empty folder to jail in (default /var/lib/tlswrapper/empty)"),
    ("j", "account", "account of the jailed process (default: a uid made from the pid)"),
]
UNIX = b"unix:"
UNIX_PATH_MOST = 107  # sun_path with its NUL, unix(7)


class Settings:
    """The settings of one connection, as forward_connection takes them."""

    __slots__ = ("connect", "connect_s", "host", "idle", "idle_s", "jail_account", "jail_directory", "path", "port",
                 "port_number", "proxy_in", "proxy_out", "where")

    def __init__(self) -> None:
        self.idle, self.connect = b"3600", b"10"
        self.idle_s = self.connect_s = 0
        self.proxy_in = self.proxy_out = False
        self.jail_directory = JAIL_DIRECTORY
        self.jail_account: bytes | None = None
        self.host = self.where = b""
        self.port: bytes | None = None
        self.port_number = 0
        self.path: bytes | None = None

    def take(self, letter: str, value: bytes) -> None:
        """One option, in the order of the command line. Raises OptionError."""
        if letter == "t":
            self.idle = value
        elif letter == "T":
            self.connect = value
        elif letter == "p":
            self.proxy_in = proxy_version(b"incoming", value)
        elif letter == "P":
            self.proxy_out = proxy_version(b"outgoing", value)
        elif letter == "J":
            self.jail_directory = value
        elif letter == "j":
            self.jail_account = value

    def destination(self, words: Sequence[bytes]) -> None:
        """Host and port, or unix:/path; more words are passed over. Raises UsageError or OptionError."""
        if not words:
            raise UsageError()
        self.host = self.where = words[0]
        if self.host.startswith(UNIX):
            self.path = self.host[len(UNIX):]
            if not 0 < len(self.path) <= UNIX_PATH_MOST:
                raise OptionError(b"unable to use the Unix socket path '" + self.path + b"', it must be 1 to 107 bytes")
            return
        if len(words) == 1:
            # the original's text, cut where the port would stand
            raise OptionError(b"unable to parse TCP port (a number 0 - 65535) from the string '", EINVAL)
        self.port = words[1]
        self.port_number = port_number(self.port)
        self.where = self.host + b":" + self.port

    def check(self) -> None:
        """What is judged when all options are known. Raises OptionError."""
        self.idle_s = timeout(self.idle)
        self.connect_s = timeout(self.connect)


def port_number(text: bytes) -> int:
    """A port 0 to 65535 in decimal digits without leading zeros. Raises OptionError."""
    if not text.isdigit() or len(text) > 5 or (text[:1] == b"0" and text != b"0") or int(text) > 65535:
        raise OptionError(b"unable to parse TCP port (a number 0 - 65535) from the string '" + text + b"'", EINVAL)
    return int(text)


def start(args: Sequence[bytes], log: Log) -> int:
    """Parse the options and forward the connection on descriptors 0 and 1; the exit code."""
    settings = Settings()

    def take(letter: str, value: bytes) -> None:
        if not log.option(letter):
            settings.take(letter, value)

    settings.destination(parse(args, OPTIONS, take))
    settings.check()
    return _bear.forward_connection(settings, _bear.monotonic_ms())
