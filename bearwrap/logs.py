"""logs - the programs' own lines, through the compiled writer that every process uses."""

from __future__ import annotations

from bearwrap import _bear

QUIET, FATAL, DETAIL, DEBUG, TRACING = range(5)


class Log:
    """A program's verbosity, as -q, -Q and -v change it while options are parsed."""

    __slots__ = ("name", "level", "identity")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.level = FATAL
        self.identity = _bear.log_identity(_bear.environment_get(b"LOG_ID") or b"")
        _bear.environment_set(b"LOG_ID", self.identity)
        self.apply()

    def apply(self) -> None:
        _bear.log_setup(self.name, self.level, self.identity)

    def option(self, letter: str) -> bool:
        """Take one of -q, -Q, -v; False for another letter."""
        if letter not in ("q", "Q", "v"):
            return False
        self.level = {"q": QUIET, "Q": FATAL, "v": min(self.level + 1, TRACING)}[letter]
        self.apply()
        return True

    def usage(self, text: str) -> None:
        write(2, text + "\n")

    def fatal(self, message: bytes, errno: int = 0) -> None:
        _bear.log_line(FATAL, b"fatal", message, errno)

    def error(self, message: bytes, errno: int = 0) -> None:
        _bear.log_line(DETAIL, b"error", message, errno)

    def warning(self, message: bytes) -> None:
        _bear.log_line(DETAIL, b"warning", message)


def write(fd: int, text: str) -> None:
    """All of a text, as it is."""
    data = text.encode()
    while data:
        data = data[_bear.write_some(fd, data):]
