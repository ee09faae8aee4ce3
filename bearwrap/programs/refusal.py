"""refusal - the lines and the exit code of a program that raised, help and version included.

Loaded only then: a connection that is served needs none of it.
"""

from __future__ import annotations

from bearwrap.errors import BearError, Finished, OptionError, SystemCallError, UsageError
from bearwrap.logs import write
from bearwrap.options import help_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from bearwrap.logs import Log


def refuse(error: Exception, program: ModuleType, log: Log) -> int:
    """Say what an error asks for; its exit code. An error that is not ours is raised again."""
    if not isinstance(error, BearError):
        raise error
    if isinstance(error, Finished):
        text = getattr(program, "HELP", help_text)
        write(1, version_text() if error.text == "V" else text(program.USAGE, program.OPTIONS, program.CLOSING))
    elif isinstance(error, UsageError):
        log.usage(program.USAGE)
    elif isinstance(error, OptionError):
        if error.detail:
            log.error(error.detail, error.errno)
        log.fatal(error.message, error.errno)
        for value in error.available:
            log.fatal(b"available: " + value)
    elif isinstance(error, SystemCallError):
        log.fatal(error.message, error.errno)
    else:
        log.fatal(str(error).encode())
    return error.exit_code


def version_text() -> str:
    """The line of --version."""
    from bearwrap._version import __version__

    return "bearwrap " + __version__ + "\n"
