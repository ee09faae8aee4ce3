"""tlswrapper-smtp - STARTTLS and greylisting for an SMTP server that has neither (tlswrapper-smtp(1))."""

from __future__ import annotations

import posix

from bearwrap import _bear
from bearwrap.errors import BearError, OptionError, UsageError
from bearwrap.greylist import server_address
from bearwrap.options import EINVAL, JAIL_DIRECTORY, LOG_OPTIONS, parse, timeout
from bearwrap.smtp import Dialogue
from bearwrap.smtpsession import Broken, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log
    from bearwrap.options import Option

NAME = b"tlswrapper-smtp"
USAGE = "tlswrapper-smtp [options] child"
CLOSING = "child is an SMTP server on descriptors 0 and 1; run it so below tlswrapper -n. See tlswrapper-smtp(1)."
OPTIONS: list[Option] = [
    *LOG_OPTIONS,
    ("t", "seconds", "the whole session's deadline, 1 to 86400 (default 600)"),
    ("T", "seconds", "limit of each read, write and connect, 1 to 86400 (default 15)"),
    ("u", "account", "run child as this account"),
    ("g", "host:port", "ask this greylist server about each recipient"),
    ("c", None, "when the greylist server fails, end the session"),
    ("C", None, "when the greylist server fails, go on without it (default)"),
    ("J", "dir", "empty folder to jail in (default /var/lib/tlswrapper/empty)"),
    ("j", "account", "account of the jailed process (default: a uid made from the pid)"),
]


class Settings:
    """What the options say."""

    __slots__ = ("account", "fail_closed", "greylist", "jail_account", "jail_directory", "session", "step")

    def __init__(self) -> None:
        self.session, self.step = b"600", b"15"
        self.account: bytes | None = None
        self.greylist: bytes | None = None
        self.fail_closed = False
        self.jail_directory = JAIL_DIRECTORY
        self.jail_account: bytes | None = None

    def take(self, letter: str, value: bytes) -> None:
        """One option, in the order of the command line."""
        if letter == "t":
            self.session = value
        elif letter == "T":
            self.step = value
        elif letter == "u":
            self.account = value
        elif letter == "g":
            self.greylist = value
        elif letter in ("c", "C"):
            self.fail_closed = letter == "c"
        elif letter == "J":
            self.jail_directory = value
        elif letter == "j":
            self.jail_account = value


def start(args: Sequence[bytes], log: Log) -> int:
    """Parse the options and serve the session on descriptors 0 and 1; the exit code."""
    # before anything is opened, which might get these numbers
    starttls = _bear.smtp_starttls_possible()
    settings = Settings()

    def take(letter: str, value: bytes) -> None:
        if not log.option(letter):
            settings.take(letter, value)

    prog = parse(args, OPTIONS, take)
    if not prog:
        raise UsageError()
    session_ms, step_ms = 1000 * timeout(settings.session), 1000 * timeout(settings.step)
    deadline_ms = _bear.monotonic_ms() + session_ms
    server = server_address(settings.greylist or b"")
    if settings.greylist is not None and server is None:
        raise OptionError(
            b"unable to parse greylist host:port from the string: '" + settings.greylist + b"'", EINVAL)
    if posix.geteuid() != 0:
        raise BearError("unable to create jail: not started as root (under tlswrapper, -u is for tlswrapper-smtp)")
    if not _bear.smtp_prepare(deadline_ms, step_ms):
        return 111
    session = Session(Dialogue(log.identity, starttls, server is not None), deadline_ms, log)
    session.server, session.fail_closed = settings.greylist or b"", settings.fail_closed
    jail = (settings.jail_account, settings.jail_directory)
    if server is not None and not session.resolve(*server, *jail):
        return 111
    if not _bear.smtp_start(prog, settings.account, *jail):
        return 111
    try:
        if server is not None:
            session.connect()
        session.client = _bear.smtp_client_address()
        _bear.smtp_run_prog()
        orderly = session.run()
    except Broken:
        orderly = False
    return _bear.smtp_finish(orderly)
