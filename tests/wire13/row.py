"""One row of the table for TLS 1.3, as tests/wire/row.py has it, acted out by Client13."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.wire.crypto import BadRecord
from tests.wire.records import Ended, Refused
from tests.wire.row import FAILED_CODE, POISON, PROG_CODE, RSA, Ends, names_of

from .client import Client13

Act = Callable[[Client13], None]


@dataclass(frozen=True)
class Row13:
    """`act` drives the client, `ends` says how the connection must end, `alerts` which fatal alert is right."""

    name: str
    act: Act
    ends: Ends
    alerts: frozenset[int] = frozenset()
    cite: str = ""
    options: str = RSA
    identity: str = ""

    def __post_init__(self) -> None:
        assert (self.ends in (Ends.REFUSED, Ends.BROKEN)) == bool(self.alerts), self.name
        assert self.cite, f"{self.name}: no section cited"

    def arguments(self, files: Mapping[str, str]) -> list[str]:
        """The options with {names} replaced by paths."""
        return [word.format_map(files) for word in self.options.split()]


def drive(row: Row13, client: Client13) -> list[str]:
    """Act the row out, read to the end, and give the complaints about what came over the socket."""
    trouble, end = "", ""
    try:
        try:
            row.act(client)
            end = client.close() if row.ends is Ends.SERVED else client.drain()
        except Refused as refused:
            trouble = str(refused)
            end = client.drain()
        except Ended as ended:
            trouble = f"the connection ended: {ended.how}"
            end = client.drain()
    except (BadRecord, ValueError, AssertionError) as error:
        trouble = f"{type(error).__name__}: {error}"
    faults = []
    if row.alerts:
        if len(client.fatals) != 1 or client.fatals[0] not in row.alerts:
            faults.append(
                f"alerts {[str(alert) for alert in client.alerts]}, awaited {names_of(row.alerts)}; {trouble}"
            )
        if any(POISON[:6] in frame.plain for frame in client.seen):
            faults.append("what must not be believed reached prog")
    elif client.fatals or trouble:
        faults.append(f"not served: {trouble}; alerts {[str(alert) for alert in client.alerts]}")
    elif row.ends is Ends.SERVED and (not client.alerts or client.alerts[-1].description != 0):
        faults.append("no close_notify")
    if end != "eof":
        faults.append(f"the connection ended by {end or 'nothing'}, awaited eof; {trouble}")
    return faults


def judge_program(row: Row13, code: int, stderr: str) -> list[str]:
    """The complaints about exit code, prog and log at -vv."""
    refused = row.ends is Ends.REFUSED
    faults = []
    if code != (FAILED_CODE if refused else PROG_CODE):
        faults.append(f"exit code {code}")
    if ("PROG RAN" in stderr) == refused:
        faults.append("prog ran" if refused else "prog never ran")
    if not refused and "PROG EOF" not in stderr:
        faults.append("prog never saw EOF")
    if not refused and "SSL connection: TLS 1.3" not in stderr:
        faults.append("no log line of the handshake")
    return [f"{fault}; stderr:\n{stderr}" for fault in faults]
