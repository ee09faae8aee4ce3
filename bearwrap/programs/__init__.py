"""programs - what is called by name: parse options, build settings, call one thing.

main() picks the program by the basename of argv[0], as tlswrapper's one binary does.
"""

import posix

from bearwrap import logs
from bearwrap.errors import BearError, Finished, OptionError, UsageError
from bearwrap.options import help_text


def main(argv, executable=b""):
    """Run the program that argv[0] names (argv: list of bytes); its exit code."""
    name = argv[0].rpartition(b"/")[2] if argv else b""
    if not name:
        return 100
    if name == b"bearwrap":
        from bearwrap.programs import bearwrap as program
    else:
        from bearwrap.programs import tlswrapper as program
    return run(program, argv[1:])


def run(program, args):
    """Run a program module (NAME, USAGE, OPTIONS, CLOSING, start) and turn its errors into lines and codes."""
    log = logs.Log(program.NAME)
    try:
        return program.start(args, log)
    except Finished as end:
        write(1, version_text() if end.text == "V" else help_text(program.USAGE, program.OPTIONS, program.CLOSING))
        return end.exit_code
    except UsageError as end:
        write(2, program.USAGE + "\n")
        return end.exit_code
    except OptionError as end:
        if end.detail:
            log.error(end.detail, end.errno)
        log.fatal(end.message, end.errno)
        for value in end.available:
            log.fatal(b"available: " + value)
        return end.exit_code
    except BearError as end:
        log.fatal(str(end).encode())
        return end.exit_code


def version_text():
    from bearwrap._version import __version__

    return "bearwrap " + __version__ + "\n"


def write(fd, text):
    data = text.encode()
    while data:
        data = data[posix.write(fd, data):]
