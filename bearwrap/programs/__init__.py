"""programs - what is called by name: parse options, build settings, call one thing.

main() picks the program by the basename of argv[0], as tlswrapper's one binary does.
"""

from __future__ import annotations

from bearwrap.logs import Log

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
    """Run a program module (NAME, USAGE, OPTIONS, CLOSING, start); its exit code.

    A program of another family than tlswrapper's has its own LOG and HELP.
    """
    log = getattr(program, "LOG", Log)(program.NAME)
    try:
        code: int = program.start(args, log)
        return code
    except Exception as end:
        from bearwrap.programs.refusal import refuse

        return refuse(end, program, log)
