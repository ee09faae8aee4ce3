"""Runs one row of the client's wire table: a scripted server acts, and s6-tlsc must answer with the right alert.

`act` drives the Server. `alerts` holds the fatal alerts that are right (more than one where the RFC leaves a choice,
`why` says so); with none of them the connection is served. `line` is what follows `the TLS engine closed the
connection during|after the handshake: ` on stderr; "" stands for any reason.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.wire.client import Identity
from tests.wire.names import FATAL, TLS12, Alert, Group
from tests.wire.records import Ended, Refused

from .material import Material
from .row import words
from .server import CHAPOL, Server
from .tlsc import Tlsc

Act = Callable[[Server], None]
BEGIN = "s6-tlsc: fatal: the TLS engine closed the connection {} the handshake: "
CODE, FAILED = 42, 98
PROG = ("sh", "-c", f"echo ran; cat <&6; echo end; exit {CODE}")
POISON = b"poison" * 20  # in records that must not be believed


@dataclass(frozen=True)
class WireRow:
    """See the module. `after`: the handshake is done before the fault; `data`: what prog must have read then.

    With None for `data` it may also have read nothing.
    """

    name: str
    act: Act
    alerts: frozenset[int] = frozenset()
    line: str = ""
    after: bool = False
    certificate: str = "p256"
    suite: int = CHAPOL
    version: int = TLS12
    group: int = Group.X25519
    options: tuple[str, ...] = ("-k", "localhost")
    data: bytes | None = b""
    why: str = ""
    server: type[Server] = Server

    def __post_init__(self) -> None:
        assert self.why or len(self.alerts) <= 1, f"{self.name}: several alerts and no reason"


def identity(path_text: str) -> Identity:
    """Key and chain of a PEM file."""
    start = path_text.index("-----BEGIN CERTIFICATE")
    chain = x509.load_pem_x509_certificates(path_text[start:].encode())
    key = load_pem_private_key(path_text[:start].encode(), None)
    return Identity(tuple(one.public_bytes(Encoding.DER) for one in chain), key)  # type: ignore[arg-type]


def run(row: WireRow, material: Material) -> list[str]:
    """Run a row; the complaints."""
    shown = identity(material.path(row.certificate).read_text())
    with Tlsc(row.options, PROG, env={"CAFILE": material.path("ca")}) as tlsc:
        server = row.server(tlsc.peer, shown, version=row.version, suite=row.suite, group=row.group)
        trouble, end = "", ""
        try:
            try:
                row.act(server)
                if not row.alerts:
                    server.close()
                end = leave(server)
            except Refused as refused:
                trouble, end = str(refused), leave(server)
            except Ended as ended:
                end = ended.how
        except ValueError as error:
            return [f"the client sent what no client may: {error!r}; stderr {tlsc.stderr!r}"]
        code = tlsc.wait()
        faults = judge_wire(row, server, trouble, end) + judge_program(row, tlsc, code)
        if not tlsc.no_process_left():
            faults.append("a process is left")
        return faults


def leave(server: Server) -> str:
    """Read to the fatal alert, end our direction as a server does that gives up, and read to the end."""
    while not any(alert.level == FATAL for alert in server.alerts):
        server.read()
    server.sock.shutdown(socket.SHUT_WR)
    return server.drain()


def judge_wire(row: WireRow, server: Server, trouble: str, end: str) -> list[str]:
    """The complaints about alerts and the end of the connection."""
    faults = []
    fatals = [alert for alert in server.alerts if alert.level == FATAL]
    if row.alerts:
        if len(fatals) != 1:
            faults.append(f"fatal alerts {list(map(str, fatals))}, awaited {names_of(row.alerts)}")
        elif fatals[0].description not in row.alerts:
            faults.append(f"alert {fatals[0]}, awaited {names_of(row.alerts)}")
        elif fatals[0].sealed != server.reads_sealed():
            faults.append("the alert is not protected as its record must be")
    elif fatals or trouble:
        faults.append(f"not served: {trouble} {list(map(str, fatals))}")
    if end != "eof":
        faults.append(f"the connection ended by {end!r}")
    return faults


def judge_program(row: WireRow, tlsc: Tlsc, code: int) -> list[str]:
    """The complaints about exit code, prog's life and stderr."""
    faults = []
    ran = row.after or not row.alerts
    if code != (CODE if ran else FAILED):
        faults.append(f"exit code {code}")
    awaited = b"ran\n" + (row.data or b"") + b"end\n" if ran else b""
    if tlsc.stdout != awaited and (row.data is not None or POISON[:6] in tlsc.stdout):
        faults.append(f"prog said {tlsc.stdout[:200]!r}, awaited {awaited[:200]!r}")
    lines = tlsc.stderr.splitlines()
    if not row.alerts:
        return faults + ([f"stderr {lines}"] if lines else [])
    begin = BEGIN.format("after" if row.after else "during")
    text = words(row.line) if row.line.isupper() else row.line
    if len(lines) != 1 or not lines[0].startswith(begin) or (text and lines[0] != begin + text):
        faults.append(f"stderr {lines}, awaited {begin + text!r}")
    return faults


def names_of(alerts: frozenset[int]) -> list[str]:
    """The RFC's names."""
    return sorted(Alert(alert).name.lower() for alert in alerts)


__all__ = ["POISON", "WireRow", "identity", "run"]
