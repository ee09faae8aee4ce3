"""programs - what is called by name: parse options, build settings, call one thing.

main() picks the program by the basename of argv[0], as tlswrapper's one binary does.
"""

from __future__ import annotations

from bearwrap.errors import BearError, Finished, OptionError, SystemCallError, UsageError
from bearwrap.logs import Log, write
from bearwrap.options import help_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


place = b""  # where the executable lies


def main(argv: Sequence[bytes], executable: bytes = b"") -> int:
    """Run the program that argv[0] names (argv: list of bytes); its exit code."""
    name = argv[0].rpartition(b"/")[2] if argv else b""
    if not name:
        return 100
    global place
    place = executable
    return run(program_named(name), argv[1:])


def program_named(name: bytes) -> ModuleType:
    """The module of a program; only the one that runs is imported. An unknown name is tlswrapper, as the original's."""
    if name == b"bearwrap":
        from bearwrap.programs import bearwrap

        return bearwrap
    if name == b"tlswrapper-tcp":
        from bearwrap.programs import tlswrapper_tcp

        return tlswrapper_tcp
    if name == b"tlswrapper-smtp":
        from bearwrap.programs import tlswrapper_smtp

        return tlswrapper_smtp
    if name == b"s6-tlsc":
        from bearwrap.programs import s6_tlsc

        return s6_tlsc
    if name == b"s6-tlsclient":
        from bearwrap.programs import s6_tlsclient

        return s6_tlsclient
    from bearwrap.programs import tlswrapper

    return tlswrapper


def run(program: ModuleType, args: Sequence[bytes]) -> int:
    """Run a program module (NAME, USAGE, OPTIONS, CLOSING, start) and turn its errors into lines and codes.

    A program of another family than tlswrapper's has its own LOG and HELP.
    """
    log = getattr(program, "LOG", Log)(program.NAME)
    try:
        code: int = program.start(args, log)
        return code
    except Finished as end:
        text = getattr(program, "HELP", help_text)
        write(1, version_text() if end.text == "V" else text(program.USAGE, program.OPTIONS, program.CLOSING))
        return end.exit_code
    except UsageError as end:
        log.usage(program.USAGE)
        return end.exit_code
    except OptionError as end:
        if end.detail:
            log.error(end.detail, end.errno)
        log.fatal(end.message, end.errno)
        for value in end.available:
            log.fatal(b"available: " + value)
        return end.exit_code
    except SystemCallError as end:
        log.fatal(end.message, end.errno)
        return end.exit_code
    except BearError as end:
        log.fatal(str(end).encode())
        return end.exit_code


def version_text() -> str:
    from bearwrap._version import __version__

    return "bearwrap " + __version__ + "\n"
