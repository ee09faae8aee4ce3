"""policy - which versions, suites and groups a server offers, from names on the command line. Pure.

The names and numbers are the compiled side's tables, so there is one list of each.
"""

from __future__ import annotations

from bearwrap import _bear
from bearwrap.options import bad_option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TABLES = _bear.tables()
VERSIONS = dict(TABLES["versions"])


class Policy:
    """What -c, -e, -m, -M, -s and -S say; the first -c and the first -e clear their default."""

    def __init__(self) -> None:
        self.ciphers: list[bytes] | None = None
        self.groups_named: list[bytes] | None = None
        self.version_min = self.version_max = VERSIONS[b"tls12"]
        self.server_order = True

    def add_cipher(self, name: bytes) -> bool:
        """Append a cipher; False when it is there already. Raises OptionError with the list of names."""
        if name not in [row[0] for row in TABLES["ciphers"]]:
            raise unknown(b"cipher", name, TABLES["ciphers"])
        if self.ciphers is None:
            self.ciphers = []
        if name in self.ciphers:
            return False
        self.ciphers.append(name)
        return True

    def add_group(self, name: bytes) -> None:
        """Add an ephemeral group; the order of preference is fixed."""
        if name not in [row[0] for row in TABLES["groups"]]:
            raise unknown(b"ephemeral algorithm", name, TABLES["groups"])
        self.groups_named = [*(self.groups_named or []), name]

    def version(self, what: bytes, name: bytes) -> int:
        """The number of a version name; what is b"min" or b"max"."""
        if name not in VERSIONS:
            raise unknown(b"TLS " + what + b". version", name, TABLES["versions"])
        return VERSIONS[name]

    def suites(self) -> list[int]:
        """IANA suite numbers in the server's order: for each cipher its ECDSA suite, then its RSA suite."""
        names = self.ciphers
        if names is None:
            names = [row[0] for row in TABLES["ciphers"] if row[1]]
        return [suite for name in names for row in TABLES["ciphers"] if row[0] == name for suite in row[2:]]

    def groups(self) -> int:
        """A bit for each IANA group number."""
        names = self.groups_named
        mask = 0
        for name, is_default, group in TABLES["groups"]:
            if (is_default if names is None else name in names):
                mask |= 1 << group
        return mask


def unknown(what: bytes, name: bytes, rows: Sequence[tuple[bytes, *tuple[int, ...]]]) -> Exception:
    """The error for a name that is in none of the rows, which begin with the names that are."""
    return bad_option(b"unable to parse " + what + b" from the string '" + name + b"'",
                      available=[row[0] for row in rows])
