"""options - tlswrapper's option grammar: a hand-written getopt, pure, shared by every program of the family.

Clusters (`-vvnf rsa.pem`, `-vvfrsa.pem`); a value is the rest of its cluster or the next argument, which may be
empty or begin with `-`. `-` and `--` alone end the options and are consumed. Everything else is a UsageError.

What every connection loads imports an error where it raises it: their classes would cost each start 0.08 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # One row of a program's option table: letter, name of its value (None for a flag), what the manual says.
    Option = tuple[str, str | None, str]

TIMEOUT_MOST = 86400  # seconds
EINVAL = 22

LOG_OPTIONS: list[Option] = [
    ("q", None, "no log at all"),
    ("Q", None, "log fatal errors only (default)"),
    ("v", None, "log more; -vv, -vvv: more yet"),
]
JAIL_DIRECTORY = b"/var/lib/tlswrapper/empty"


def parse(
    args: Sequence[bytes], table: Sequence[Option], take: Callable[[str, bytes], object]
) -> list[bytes]:
    """Walk args (bytes, without argv[0]) and call take(letter, value) for each option, in order
    (value b"" for a flag).

    Returns what follows the options. Raises UsageError for an unknown letter or a missing value, and Finished with
    the letter `h` or `V` for -h, --help, -V and --version.
    """
    values = {letter: value for letter, value, _text in table}
    at = 0
    while at < len(args):
        word = args[at]
        if word[:1] != b"-":
            break
        at += 1
        if word in (b"-", b"--"):
            break
        if word in (b"--help", b"--version"):
            raise ended("h" if word == b"--help" else "V")
        cluster = word[1:]
        while cluster:
            letter, cluster = chr(cluster[0]), cluster[1:]
            if letter in ("h", "V") and letter not in values:
                raise ended(letter)
            if letter not in values:
                raise bad_usage(letter)
            if values[letter] is None:
                take(letter, b"")
                continue
            if not cluster:
                if at == len(args):
                    raise bad_usage(letter)
                cluster = args[at]
                at += 1
            take(letter, cluster)
            break
    return list(args[at:])


def ended(letter: str) -> Exception:
    """What -h and -V end in."""
    from bearwrap.errors import Finished

    return Finished(letter)


def bad_usage(letter: str = "") -> Exception:
    """What words that make no sense end in."""
    from bearwrap.errors import UsageError

    return UsageError(letter)


def bad_option(message: bytes, errno: int = 0, available: Sequence[bytes] = (), detail: bytes = b"") -> Exception:
    """What one option's bad value ends in: an OptionError."""
    from bearwrap.errors import OptionError

    return OptionError(message, errno, available, detail)


def number(text: bytes, lowest: int, highest: int) -> int | None:
    """A decimal number `[+-]?(0|[1-9][0-9]*)` in lowest..highest, else None (no leading zeros, no blanks)."""
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits or len(digits) > 9 or not digits.isdigit() or (digits[:1] == b"0" and digits != b"0"):
        return None
    value = int(digits)
    if text[:1] == b"-":
        value = -value
    return value if lowest <= value <= highest else None


def timeout(text: bytes) -> int:
    """Seconds of -t or -T. Raises OptionError."""
    seconds = number(text, 1, TIMEOUT_MOST)
    if seconds is None:
        quoted = b"'" + text + b"'"
        raise bad_option(b"unable to parse timeout from the string " + quoted
                          + b", timeout must be a number in the range <1,86400>", EINVAL,
                          detail=quoted + b" is not a valid number in the range <1,86400>")
    return seconds


def proxy_version(what: bytes, text: bytes) -> bool:
    """True for version 1 of the PROXY protocol, False for 0, none; what is b"incoming" or b"outgoing".

    Raises OptionError.
    """
    if text not in (b"0", b"1"):
        raise bad_option(b"unable to parse " + what + b" proxy-protocol version from the string '" + text + b"'",
                          available=[b"1"])
    return text == b"1"


def help_text(usage: str, table: Sequence[Option], closing: str) -> str:
    """The text of --help: usage, one line an option, closing words."""
    lines = ["usage: " + usage, ""]
    for letter, value, text in table:
        flag = "-" + letter + (" " + value if value else "")
        lines.append("  " + flag + " " * (16 - len(flag)) + text)
    lines += ["  -h, --help      print this text", "  -V, --version   print the version", "", closing, ""]
    return "\n".join(lines)
