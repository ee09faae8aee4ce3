"""errors - what library code raises; only programs print and exit.

No message holds a secret. Messages are bytes, since they quote options and paths, which need not be text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class BearError(Exception):
    """The root. exit_code is the tlswrapper family's code for it."""

    exit_code = 111


class UsageError(BearError):
    """The command line makes no sense: the usage line is all there is to say."""

    exit_code = 100


class OptionError(BearError):
    """One option's value is bad.

    message: the fatal line's text; errno: 0 or the reason; available: the values that would do, one line each;
    detail: a text for -v that goes before it.
    """

    exit_code = 100

    def __init__(
        self, message: bytes, errno: int = 0, available: Sequence[bytes] = (), detail: bytes = b""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errno = errno
        self.available = available
        self.detail = detail


class SystemCallError(BearError):
    """The system refused something. message: the fatal line's text; errno: the reason."""

    exit_code = 111

    def __init__(self, message: bytes, errno: int) -> None:
        super().__init__(message)
        self.message = message
        self.errno = errno


class Finished(BearError):
    """--help or --version: text for standard output, and success."""

    exit_code = 0

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
