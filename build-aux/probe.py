"""What the probe of the build runs, once in the linked interpreter and once in plain Python; both must agree.

It uses what the programs use: every frozen module, the compiled extension, the import forms, strings, bytes,
exceptions, closures, classes, sorting, a fork. The result goes to stdout as one line. It may import nothing
but builtin modules and ours.
"""

import posix
import sys


def imports(names):
    """Import forms, and that what is not there is not found."""
    found = [__import__(name, None, None, ["*"]).__name__ for name in names]
    try:
        import bearwrap.no_such_module  # noqa: F401
    except ModuleNotFoundError as error:
        found.append(error.name)
    try:
        from bearwrap import no_such_name  # noqa: F401
    except ImportError as error:
        found.append(type(error).__name__)
    return found


def language():
    """A spread of the language over C types that the core phase must have set up."""

    class Base:
        """A plain class."""

        __slots__ = ("value",)

        def __init__(self, value):
            self.value = value

        @property
        def double(self):
            """Twice the value."""
            return self.value * 2

    def numbers():
        yield from (Base(n).double for n in (3, 1, 2))

    try:
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise OSError(2, "outer", b"\xffpath") from error
    except OSError as error:
        raised = (error.errno, error.filename, type(error.__cause__).__name__)
    text = "\u00e9t\u00e9 {:>4}".format("x")
    odd = b"\xff".decode("utf-8", "surrogateescape")
    coded = text.encode() + text.encode("latin-1", "replace") + odd.encode("utf-8", "surrogateescape")
    return [
        sorted(numbers()), raised, coded.hex(), bytes.fromhex("00ff").rjust(4, b"."), int("ff", 16),
        f"{255:#06x} {1.5:.3f} {b'x'!r}", sorted({"b": 1, "a": 2}.items()), b"%d\0b" % 7, str(2**70),
        memoryview(bytearray(b"abc"))[1:].tobytes(), round(1 / 3, 4), bool(frozenset((1, 2)) & {2}),
    ]  # fmt: skip


def child():
    """The exit status of a forked child that ran a line of Python."""
    pid = posix.fork()
    if pid == 0:
        posix._exit(len([n for n in range(7)]))
    return posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])


def main(argv, executable):
    """Print the findings; argv[1:] are names of modules to import."""
    names = [item.decode() for item in argv[1:]]
    result = [imports(names), language(), child(), type(executable).__name__, sys.version_info[:3]]
    posix.write(1, repr(result).encode("ascii", "backslashreplace") + b"\n")
    return 23


if __name__ == "__main__":
    # Plain Python's turn: the last two arguments are the folders of the package and of its compiled half.
    sys.path += sys.argv[-1:]
    posix._exit(main([item.encode() for item in sys.argv[:-1]], b""))
