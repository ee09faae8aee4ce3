"""tlswrapper - the drop-in program: one connection on descriptors 0 and 1, wrapped in TLS (tlswrapper(1))."""

from __future__ import annotations

from bearwrap import _bear
from bearwrap.options import JAIL_DIRECTORY, LOG_OPTIONS, bad_option, bad_usage, parse, proxy_version, timeout
from bearwrap.policy import Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log
    from bearwrap.options import Option

NAME = b"tlswrapper"
USAGE = "tlswrapper [options] [ -d certdir ] [ -f certfile ] prog"
CLOSING = "prog runs with the connection's plaintext on descriptors 0 and 1. See tlswrapper(1)."
OPTIONS: list[Option] = [
    *LOG_OPTIONS,
    ("f", "file", "certificate chain and private key, PEM; up to 4 of -f and -d, in order"),
    ("d", "dir", "folder of such files, each named for the server name it serves"),
    ("a", "file", "require a client certificate issued by an anchor in this file"),
    ("U", "field", "run prog as the account in the client certificate's commonName or emailAddress"),
    ("u", "account", "run prog as this account"),
    ("c", "cipher", "allow this cipher; may be repeated"),
    ("e", "curve", "allow this ephemeral group; may be repeated"),
    ("m", "version", "lowest version: tls10, tls11, tls12 (default)"),
    ("M", "version", "highest version: tls10, tls11, tls12 (default)"),
    ("s", None, "the server's cipher order wins (default)"),
    ("S", None, "the client's cipher order wins"),
    ("t", "seconds", "idle timeout, 1 to 86400 (default 60)"),
    ("T", "seconds", "handshake deadline, 1 to 86400 (default 30)"),
    ("p", "0|1", "1: a PROXY v1 line comes first; 0: none (default)"),
    ("J", "dir", "empty folder to jail in (default /var/lib/tlswrapper/empty)"),
    ("j", "account", "account of the jailed processes (default: a uid made from the pid)"),
    ("n", None, "start in clear; prog asks for TLS on descriptor 5 (STARTTLS)"),
    ("N", None, "encrypt from the start (default)"),
]
ENTRIES_MOST = 4
EINVAL = 22
REGULAR, DIRECTORY = 0o100000, 0o040000
USER_FIELDS = {b"commonName": 1, b"emailAddress": 2}


class Settings:
    """The settings of one connection, as serve_connection takes them."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes, bool]] = []
        self.anchors: bytes | None = None
        self.account: bytes | None = None
        self.jail_account: bytes | None = None
        self.user_field = 0
        self.policy = Policy()
        self.idle, self.handshake = b"60", b"30"
        self.proxy = self.delayed = False
        self.jail_directory = JAIL_DIRECTORY
        self.prog: list[bytes] = []

    def take(self, letter: str, value: bytes) -> None:
        """One option, in the order of the command line. Raises OptionError."""
        policy = self.policy
        if letter == "f":
            self.add_entry(b"certfile", value, REGULAR)
        elif letter == "d":
            self.add_entry(b"certdir", value, DIRECTORY)
        elif letter == "a":
            self.add_anchors(value)
        elif letter == "U":
            if value not in USER_FIELDS:
                raise bad_option(b"unable to parse ASN.1 object from the string '" + value + b"'",
                                  available=list(USER_FIELDS))
            self.user_field = USER_FIELDS[value]
        elif letter == "u":
            self.account = value
        elif letter == "e":
            policy.add_group(value)
        elif letter == "m":
            policy.version_min = policy.version(b"min", value)
        elif letter == "M":
            policy.version_max = policy.version(b"max", value)
        elif letter in ("s", "S"):
            policy.server_order = letter == "s"
        elif letter == "t":
            self.idle = value
        elif letter == "T":
            self.handshake = value
        elif letter == "p":
            self.proxy = proxy_version(b"incoming", value)
        elif letter in ("n", "N"):
            self.delayed = letter == "n"
        elif letter == "J":
            self.jail_directory = value
        elif letter == "j":
            self.jail_account = value

    def add_entry(self, what: bytes, path: bytes, kind: int) -> None:
        mode = file_kind(path, b"unable to stat " + what)
        if kind == DIRECTORY and mode != DIRECTORY:
            raise bad_option(b"unable to add certdir '" + path + b"'", 20)
        if kind == REGULAR and mode != REGULAR:
            raise bad_option(b"unable to add certfile '" + path + b"': not a regular file")
        if len(self.entries) == ENTRIES_MOST:
            raise bad_option(b"unable to add more than 4 certdirs+certfiles")
        self.entries.append((path, kind == DIRECTORY))

    def add_anchors(self, path: bytes) -> None:
        if self.anchors is not None:
            raise bad_option(b"unable to add more than one anchor file")
        if file_kind(path, b"unable to add anchor file") != REGULAR:
            raise bad_option(b"unable to add anchor file '" + path + b"': not a regular file")
        self.anchors = path

    def check(self) -> None:
        """What can only be judged when all options are known. Raises UsageError or OptionError."""
        policy = self.policy
        if not self.prog or not self.entries or policy.version_min > policy.version_max:
            raise bad_usage()
        if self.user_field and self.anchors is None:
            raise bad_option(b"option -U must be used with -a")
        if self.user_field and self.delayed:
            raise bad_option(b"option -U is not compatible with -n")
        self.idle_s = timeout(self.idle)
        self.handshake_s = timeout(self.handshake)
        self.suites, self.groups = policy.suites(), policy.groups()
        self.version_min, self.version_max = policy.version_min, policy.version_max
        self.server_order = policy.server_order


def file_kind(path: bytes, failure: bytes) -> int:
    """The type bits of a path's mode, links followed; OptionError `failure 'path' (why)` when there is none."""
    try:
        return _bear.file_mode(path) & 0o170000
    except OSError as why:
        raise bad_option(failure + b" '" + path + b"'", why.errno or EINVAL) from None
    except ValueError:
        raise bad_option(failure + b" '" + path + b"'", EINVAL) from None


def configure(settings: Settings, args: Sequence[bytes], log: Log) -> None:
    """Take options and prog from the words. Raises UsageError or OptionError."""

    def take(letter: str, value: bytes) -> None:
        if log.option(letter):
            return
        if letter == "c":
            if not settings.policy.add_cipher(value):
                log.warning(b"unable to add cipher '" + value + b"': cipher is already added")
        else:
            settings.take(letter, value)

    settings.prog = parse(args, OPTIONS, take)
    settings.check()


def start(args: Sequence[bytes], log: Log) -> int:
    """Parse the options and serve the connection; the exit code."""
    settings = Settings()
    configure(settings, args, log)
    return _bear.serve_connection(settings, _bear.monotonic_ms())
