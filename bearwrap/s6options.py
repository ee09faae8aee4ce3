"""s6options - the option grammar of s6's tools: short and long options from one table, pure.

Short options may be grouped (`-Sk host`); a value is the rest of its group or the next word. A long option's value
follows `=` or is the next word. `--` ends the options; the first word that is none, also a lone `-`, starts what
follows them. A value may be empty or begin with `-`.
"""

from __future__ import annotations

from bearwrap.errors import Finished, OptionError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UINT_MOST = 2**32 - 1  # what an unsigned int of s6's holds
FINISHED = {b"help": "h", b"version": "V"}


class Option:
    """One row of a program's option table: letter and long name ("" for none), name of its value (None for a flag),
    what --help says."""

    __slots__ = ("letter", "long", "text", "value")

    def __init__(self, letter: str, long: str, value: str | None, text: str) -> None:
        self.letter = letter
        self.long = long
        self.value = value
        self.text = text

    @property
    def name(self) -> str:
        """What take() is called with: the letter, or the long name of an option that has none."""
        return self.letter or self.long


def parse(args: Sequence[bytes], table: Sequence[Option], take: Callable[[str, bytes], object]) -> list[bytes]:
    """Walk args (without argv[0]) and call take(name, value) for each option, in order (value b"" for a flag).

    Returns what follows the options. Raises OptionError for an unknown option and for a value that a flag was given,
    UsageError for a missing value, Finished for --help and --version.
    """
    letters = {ord(row.letter): row for row in table if row.letter}
    longs = {row.long.encode(): row for row in table if row.long}
    at = 0
    while at < len(args):
        word = args[at]
        if word[:1] != b"-" or word == b"-":
            break
        at += 1
        if word == b"--":
            break
        if word[:2] == b"--":
            name, equals, value = word[2:].partition(b"=")
            at += take_long(longs, name, value if equals else None, args[at:at + 1], take)
        else:
            at += take_group(letters, word[1:], args[at:at + 1], take)
    return list(args[at:])


def take_long(
    longs: dict[bytes, Option], name: bytes, value: bytes | None, following: Sequence[bytes],
    take: Callable[[str, bytes], object],
) -> int:
    """One long option; 1 if the word that follows was its value."""
    row = longs.get(name)
    if row is None and name not in FINISHED:
        raise OptionError(b"unrecognized long option: " + name)
    if row is None or row.value is None:
        if value is not None:
            raise OptionError(b"option --" + name + b" takes no argument")
        if row is None:
            raise Finished(FINISHED[name])
        take(row.name, b"")
        return 0
    if value is not None:
        take(row.name, value)
        return 0
    if not following:
        raise UsageError(row.long)
    take(row.name, following[0])
    return 1


def take_group(
    letters: dict[int, Option], group: bytes, following: Sequence[bytes], take: Callable[[str, bytes], object]
) -> int:
    """A group of short options; 1 if the word that follows was the value of the last one."""
    for at, letter in enumerate(group):
        row = letters.get(letter)
        if row is None:
            raise OptionError(b"unrecognized short option: " + group[at:at + 1])
        if row.value is None:
            take(row.name, b"")
        elif at + 1 < len(group):
            take(row.name, group[at + 1:])
            return 0
        elif following:
            take(row.name, following[0])
            return 1
        else:
            raise UsageError(row.letter)
    return 0


def unsigned(text: bytes, most: int = UINT_MOST) -> int | None:
    """An unsigned decimal number, the whole text, at most `most`; None for anything else."""
    digits = text.lstrip(b"0")
    if not text.isdigit() or len(digits) > 10:
        return None
    value = int(digits or b"0")
    return value if value <= most else None


def help_text(usage: str, table: Sequence[Option], closing: str) -> str:
    """The text of --help: usage, one line an option, closing words."""
    lines = ["usage: " + usage, ""]
    for row in table:
        flags = ", ".join(([f"-{row.letter}"] if row.letter else []) + ([f"--{row.long}"] if row.long else []))
        flags += " " + row.value if row.value else ""
        lines.append("  " + flags + " " * max(1, 34 - len(flags)) + row.text)
    lines += ["  --help                            print this text",
              "  --version                         print the version", "", closing, ""]
    return "\n".join(lines)
