"""s6logs - the lines of s6's tools, through the compiled writer that every process uses."""

from __future__ import annotations

from bearwrap import _bear
from bearwrap.logs import DEBUG, DETAIL, FATAL, write


class S6Log:
    """The lines of s6's tools, `NAME: WORD: TEXT[: ERROR]`, without address, process and identifier.

    Fatal lines are always written, warnings from verbosity 1 on.
    """

    __slots__ = ("name", "verbosity")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.set_verbosity(1)

    def set_verbosity(self, verbosity: int) -> None:
        """-v, as a number; the compiled half has levels of its own."""
        self.verbosity = verbosity
        _bear.log_setup(self.name, FATAL if verbosity < 2 else DETAIL if verbosity == 2 else DEBUG, b"", True)

    def usage(self, text: str) -> None:
        write(2, f"{self.name.decode()}: usage: {text}\n")

    def fatal(self, message: bytes, errno: int = 0) -> None:
        _bear.log_line(FATAL, b"fatal", message, errno)

    def warning(self, message: bytes, errno: int = 0) -> None:
        if self.verbosity >= 1:
            _bear.log_line(FATAL, b"warning", message, errno)

    def info(self, message: bytes) -> None:
        _bear.log_line(DETAIL, b"info", message)
