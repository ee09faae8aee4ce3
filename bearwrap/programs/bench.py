"""bearwrap bench - hand over to a full Python that runs the benchmarks, which are not part of this program.

They are found from where the executable lies and from nowhere else: beside an installation in lib/bearwrap/bench, in
the tree they were built from in bench. Never in the current directory or by an environment variable.
"""

from __future__ import annotations

import posix

from bearwrap import programs
from bearwrap.errors import BearError, SystemCallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearwrap.logs import Log

NAME = b"bearwrap"
USAGE = "bearwrap bench"
MAIN = b"/bench.py"
PYTHONS = (b"/usr/bin/python3", b"/usr/local/bin/python3")  # after one beside the executable
FOLDERS = 2  # build/NAME/executable: the tree is so many folders up


def readable(path: bytes) -> bool:
    return posix.access(path, posix.R_OK)


def code(folder: bytes) -> bytes:
    """The benchmarks' main file, from the folder of the executable. Raises BearError."""
    installed = folder.rpartition(b"/")[0] + b"/lib/bearwrap/bench"
    if readable(installed + MAIN):
        return installed + MAIN
    tree, build = folder.rsplit(b"/", FOLDERS)[:FOLDERS] if folder.count(b"/") >= FOLDERS else (b"", b"")
    if build == b"build" and readable(tree + b"/src/_bear.pyx") and readable(tree + b"/bench" + MAIN):
        return tree + b"/bench" + MAIN
    raise BearError("the benchmarks are not installed: no " + (installed + MAIN).decode("utf-8", "replace"))


def python(folder: bytes) -> bytes:
    """A full Python. Raises BearError."""
    for path in (folder + b"/python3", *PYTHONS):
        if posix.access(path, posix.X_OK):
            return path
    raise BearError("bench needs python3, beside this program or in /usr/bin or /usr/local/bin")


def start(args: Sequence[bytes], log: Log) -> int:
    """Become the benchmarks; returns only by an exception. Without the place of the executable nothing is found."""
    folder = programs.place.rpartition(b"/")[0]
    main = code(folder)
    interpreter = python(folder)
    environment = {**posix.environ, b"BEARWRAP_BIN": folder}
    # Isolated (no PYTHON* variable, no current directory), and nothing is written beside the installed files.
    try:
        posix.execve(interpreter, [b"python3", b"-I", b"-B", main, *args], environment)
    except OSError as why:
        raise SystemCallError(b"unable to run " + interpreter, why.errno or 0) from None
    return 111
