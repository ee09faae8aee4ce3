"""s6-tlsc - a TLS client on the network descriptors that a UCSPI client has opened (s6-tlsc(1))."""

from __future__ import annotations

import posix

from bearwrap import _bear, s6logs, s6options
from bearwrap.errors import OptionError, SystemCallError, UsageError
from bearwrap.options import JAIL_DIRECTORY
from bearwrap.s6options import Option, parse, unsigned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = b"s6-tlsc"
USAGE = "s6-tlsc [ options ] prog..."
CLOSING = "prog runs with the plaintext on the two network descriptors. See s6-tlsc(1)."
LOG = s6logs.S6Log
HELP = s6options.help_text
# what s6-tlsclient takes too
SHARED_OPTIONS = [
    Option("S", "close-notify", None, "when prog ends its output, send close_notify"),
    Option("s", "no-close-notify", None, "... half-close the connection without an alert (default)"),
    Option("J", "enforce-close-notify", None, "an end of the connection without close_notify is an error"),
    Option("j", "no-enforce-close-notify", None, "... is an end (default)"),
    Option("y", "client-cert", None, "show the client certificate of CERTFILE and KEYFILE"),
    Option("Y", "no-client-cert", None, "show none (default)"),
    Option("Z", "keep", None, "leave CADIR, CAFILE and the like in prog's environment"),
    Option("z", "no-keep", None, "... remove them (default)"),
    Option("K", "handshake-timeout", "ms", "deadline of the handshake; 0: none (default)"),
    Option("k", "servername", "name", "the server's name, sent to it and verified"),
    Option("", "verify-cert", None, "verify the server's certificate (default)"),
    Option("", "no-verify-cert", None, "accept one that leads to no trust anchor"),
]
OPTIONS = [
    *SHARED_OPTIONS,
    Option("v", "verbosity", "level", "0: quiet, 1: also warnings (default), 2: more, 3: debug"),
    Option("6", "read-fd", "fd", "descriptor to read from (default 6)"),
    Option("7", "write-fd", "fd", "descriptor to write to (default 7)"),
]
VARIABLES = (b"CADIR", b"CAFILE", b"KEYFILE", b"CERTFILE", b"TLS_UID", b"TLS_GID")
PREFIXES = (b"KEYFILE:", b"CERTFILE:")
FD_LEAST = 3  # below are prog's own input, output and log
INT_MOST = 2**31 - 1
ID_MOST = 2**32 - 2  # -1 means "no change" to setuid(2)
# take() of these sets an attribute and nothing else
FLAGS = {
    "S": ("close_notify", True), "s": ("close_notify", False),
    "J": ("enforce_close_notify", True), "j": ("enforce_close_notify", False),
    "y": ("client_cert", True), "Y": ("client_cert", False),
    "Z": ("keep", True), "z": ("keep", False),
    "verify-cert": ("verify", True), "no-verify-cert": ("verify", False),
}  # fmt: skip


class Settings:
    """The settings of one connection, as client_connection takes them; `keep` is for Python alone."""

    __slots__ = ("anchors_directory", "anchors_file", "certificate_file", "client_cert", "close_notify",
                 "enforce_close_notify", "gid", "handshake_ms", "jail_directory", "keep", "key_file", "prog", "read_fd",
                 "servername", "uid", "verbosity", "verify", "write_fd")

    def __init__(self) -> None:
        self.read_fd, self.write_fd = 6, 7
        self.close_notify = self.enforce_close_notify = self.client_cert = self.keep = False
        self.verify = True
        self.verbosity = 1
        self.handshake_ms = 0
        self.servername: bytes | None = None
        self.anchors_directory: bytes | None = None
        self.anchors_file: bytes | None = None
        self.certificate_file: bytes | None = None
        self.key_file: bytes | None = None
        self.uid = self.gid = 0
        self.jail_directory = JAIL_DIRECTORY
        self.prog: list[bytes] = []

    def take(self, name: str, value: bytes) -> None:
        """One option, in the order of the command line. Raises OptionError."""
        if name in FLAGS:
            attribute, flag = FLAGS[name]
            setattr(self, attribute, flag)
        elif name == "k":
            self.servername = value or None
        elif name == "K":
            self.handshake_ms = min(number(value, b"handshake-timeout"), INT_MOST)
        elif name == "v":
            self.verbosity = min(number(value, b"verbosity"), INT_MOST)
        elif name == "6":
            self.read_fd = descriptor(value, b"read-fd")
        elif name == "7":
            self.write_fd = descriptor(value, b"write-fd")

    def check(self) -> None:
        """What can only be judged when all options are known. Raises UsageError or OptionError."""
        if not self.prog:
            raise UsageError()
        if self.read_fd == self.write_fd:
            raise OptionError(b"read-fd and write-fd must be different")

    def environment(self, variables: Mapping[bytes, bytes], is_root: bool) -> None:
        """What the variables ask for; only root can change its ids. Raises OptionError."""
        self.anchors_directory = variables.get(b"CADIR")
        if self.anchors_directory is None:
            self.anchors_file = variables.get(b"CAFILE")
            if self.anchors_file is None:
                raise OptionError(b"CADIR or CAFILE not set")
        if self.client_cert:
            self.certificate_file = needed(variables, b"CERTFILE")
            self.key_file = needed(variables, b"KEYFILE")
        if is_root:
            self.uid = identity(variables, b"TLS_UID")
            self.gid = identity(variables, b"TLS_GID")


def number(text: bytes, name: bytes) -> int:
    value = unsigned(text)
    if value is None:
        raise OptionError(name + b" must be an unsigned integer")
    return value


def descriptor(text: bytes, name: bytes) -> int:
    value = unsigned(text, INT_MOST)
    if value is None or value < FD_LEAST:
        raise OptionError(name + b" must be an unsigned integer (3 or more)")
    return value


def needed(variables: Mapping[bytes, bytes], name: bytes) -> bytes:
    value = variables.get(name)
    if value is None:
        raise OptionError(name + b" not set")
    return value


def identity(variables: Mapping[bytes, bytes], name: bytes) -> int:
    """A user or group id, 0 when none is asked for."""
    value = unsigned(variables.get(name, b"0"), ID_MOST)
    if value is None:
        raise OptionError(b"invalid $" + name)
    return value


def hidden(variables: Mapping[bytes, bytes]) -> list[bytes]:
    """The variables that prog does not get without -Z."""
    return [name for name in variables if name in VARIABLES or name.startswith(PREFIXES)]


def check_descriptors(*fds: int) -> None:
    """Both must be open before any other descriptor is, which might get their number. Raises SystemCallError."""
    for fd in fds:
        try:
            posix.fstat(fd)
        except OSError as why:
            raise SystemCallError(b"unable to check network fds", why.errno or 0) from None


def start(args: Sequence[bytes], log: s6logs.S6Log) -> int:
    """Parse the options, read the environment and run the connection; the exit code."""
    settings = Settings()
    settings.prog = parse(args, OPTIONS, settings.take)
    settings.check()
    log.set_verbosity(settings.verbosity)
    check_descriptors(settings.read_fd, settings.write_fd)
    settings.environment(posix.environ, posix.getuid() == 0)
    if settings.servername is None:
        log.warning(b"no -k: the server's name is not verified")
    if not settings.keep:
        for name in hidden(posix.environ):
            posix.unsetenv(name)
    return _bear.client_connection(settings, _bear.monotonic_ms())
