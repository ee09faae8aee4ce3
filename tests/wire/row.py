"""One row of the conformance table: what a client does, and what the server must answer.

A row is data: `act` drives the client, `ends` says how the connection must end, `alerts` which fatal alert is
right. Where the RFC leaves a choice, `alerts` holds all that it allows and `why` says so. `cite` names the
section. `options` is the wrapper's command line, with {name} for a file: see `Row.arguments`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from .client import Client
from .names import Alert

Act = Callable[[Client], None]

# Prog of every row: tells stderr that it ran and that it saw EOF, echoes between, and a telling exit code.
PROG_CODE = 42
PROG = ("sh", "-c", f"echo PROG RAN >&2; cat; echo PROG EOF >&2; exit {PROG_CODE}")
FAILED_CODE = 111

POISON = b"poison" * 20  # in records that must not be believed: prog must never see it

RSA = "-f {rsa}"
ECDSA = "-f {ecdsa}"
ALL_CIPHERS = (
    " -c CHACHA20_POLY1305_SHA256 -c AES_256_GCM_SHA384 -c AES_128_GCM_SHA256 -c AES_256_CBC_SHA384"
    " -c AES_128_CBC_SHA256 -c AES_256_CBC_SHA -c AES_128_CBC_SHA"
)
ALL_GROUPS = " -e x25519 -e secp256r1 -e secp384r1 -e secp521r1"
OLD_VERSIONS = " -m tls10 -M tls12"


class Ends(Enum):
    """How a connection ends."""

    SERVED = "the client is content; prog saw EOF and its own exit code is passed on"
    REFUSED = "one fatal alert, then EOF; exit 111; prog never ran"
    BROKEN = "one fatal alert after the handshake, then EOF; prog saw EOF and its exit code is passed on"
    SILENT = "EOF with no alert but at most a close_notify; exit 111; prog never ran"
    GONE = "the client went away: EOF, with or without an alert; exit 111; prog never ran"
    CLOSED = "EOF after the handshake with no fatal alert; prog saw EOF and its exit code is passed on"
    EITHER = "SERVED or REFUSED: the RFC leaves it open"


@dataclass(frozen=True)
class Row:
    """See the module.

    `identity` names the certificate that the client shows (identities.py), `log` a piece of some line at -vv,
    beside what every way to end must log.
    """

    name: str
    act: Act
    ends: Ends
    alerts: frozenset[int] = frozenset()
    cite: str = ""
    options: str = RSA
    why: str = ""
    identity: str = ""
    log: str = ""

    def __post_init__(self) -> None:
        refuses = self.ends in (Ends.REFUSED, Ends.BROKEN, Ends.EITHER)
        assert refuses == bool(self.alerts), f"{self.name}: alerts and the way it ends do not fit"
        assert self.cite, f"{self.name}: no section cited"
        assert self.why or len(self.alerts) <= 1, f"{self.name}: several alerts and no reason"
        assert self.why or self.ends is not Ends.EITHER, f"{self.name}: two ways to end and no reason"

    def arguments(self, files: Mapping[str, str]) -> list[str]:
        """The options with {names} replaced by paths."""
        newest = [] if " -M " in self.options else ["-M", "tls12"]      # TLS 1.3 has a table of its own, tests/wire13
        return [*newest, *(word.format_map(files) for word in self.options.split())]


def fatal(*alerts: int) -> frozenset[int]:
    """The set of alerts a row allows."""
    return frozenset(alerts)


def names_of(alerts: frozenset[int]) -> list[str]:
    """The RFC's names, as the log writes them."""
    return sorted(Alert(alert).name.lower() for alert in alerts)


def served(act: Act) -> Act:
    """`act`, then an echo and a close_notify that is answered: the client is content."""

    def whole(client: Client) -> None:
        act(client)
        client.echo(b"still here")

    return whole
