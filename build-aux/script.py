"""Write the script form of the programs: plain Python, for where no libpython can be linked.

The module path is fixed relative to where the script really lies, so that a tree can be moved and DESTDIR
used; the current directory and the PYTHON* variables are never consulted (-I), site is not imported (-S),
nothing is written beside the modules (-B).
"""

from __future__ import annotations

from pathlib import Path

TEXT = '''\
#!{interpreter} -ISB
"""{name} - see the manual page {name}(1)."""

import sys

import _signal
import posix

MODULES = "{modules}"  # from the folder of this file


def place(path):
    """The path of this file with symbolic links followed, absolute."""
    for _step in range(40):
        if not path.startswith("/"):
            path = posix.getcwd() + "/" + path
        try:
            target = posix.readlink(path)
        except OSError:
            break
        path = target if target.startswith("/") else path.rpartition("/")[0] + "/" + target
    return path


def restore():
    """Take back what Python has done to the process: LC_CTYPE set (PEP 538), which the wrapped program would inherit,
    and SIGINT caught, which compiled code would never hear of."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    fd = posix.open("/proc/self/environ", posix.O_RDONLY)
    given = b"\\0"
    while piece := posix.read(fd, 65536):
        given += piece
    posix.close(fd)
    if b"\\0LC_CTYPE=" not in given:
        posix.unsetenv(b"LC_CTYPE")


def run():
    """Call the program as the native launcher does, and report like it."""
    coded = [item.encode(sys.getfilesystemencoding(), "surrogateescape") for item in sys.argv]
    here = place(sys.argv[0])
    sys.path.append(here.rpartition("/")[0] + "/" + MODULES)
    try:
        restore()
        from bearwrap.programs import main

        return main(coded, here.encode(sys.getfilesystemencoding(), "surrogateescape"))
    except Exception as error:
        line = f"{{sys.argv[0].rpartition('/')[2]}}: fatal: {{type(error).__name__}}: {{error}}"
        line = "".join("?" if ord(c) < 32 or ord(c) == 127 else c for c in line)
        posix.write(2, line.encode("utf-8", "backslashreplace")[:1023] + b"\\n")
        return 111


posix._exit(run() & 255)
'''


def text(name: str, interpreter: str, modules: str) -> str:
    """The script of one program; `modules` is the folder that holds the package, relative to the script's."""
    return TEXT.format(name=name, interpreter=interpreter, modules=modules)


def write(folder: Path, names: list[str], interpreter: str, modules: str) -> None:
    """Write the scripts into a folder, executable."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        wanted = text(name, interpreter, modules)
        if path.is_symlink() or not path.exists() or path.read_bytes() != wanted.encode():
            path.unlink(missing_ok=True)
            path.write_text(wanted)
        path.chmod(0o755)
