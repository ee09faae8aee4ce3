"""Runs one row against a server and says what is wrong, if anything.

The judgement of the bytes (`judge_wire`) knows only the socket, so that it serves for any TLS server; the
judgement of the program (`judge_program`) adds exit code, prog's life and the log at -vv.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from .client import Client, Identity
from .crypto import BadRecord
from .names import FATAL, Alert, Record
from .records import LIMIT_S, Ended, Refused
from .row import FAILED_CODE, POISON, PROG_CODE, Ends, Row, names_of


@dataclass(frozen=True)
class Seen:
    """What the client saw. `end` is "eof", "cut", "reset" or ""; `trouble` is what went wrong on its side."""

    client: Client
    end: str
    trouble: str
    content: bool

    @property
    def fatals(self) -> list[int]:
        """The descriptions of the fatal alerts that came."""
        return [alert.description for alert in self.client.alerts if alert.level == FATAL]


def drive(
    row: Row, sock: socket.socket, identity: Identity | None, limit_s: float = LIMIT_S, kind: type[Client] = Client
) -> Seen:
    """Act the row out over a connected socket, and read to the end."""
    client = kind(sock, limit_s)
    client.identity = identity
    trouble, end, content = "", "", False
    try:
        try:
            row.act(client)
            content = True
            if row.ends is Ends.REFUSED and client.reader is not None:
                return Seen(client, end, "the handshake succeeded", content)
            end = client.close() if row.ends in (Ends.SERVED, Ends.EITHER) else client.drain()
        except Refused as refused:
            content, trouble = False, str(refused)
            end = client.drain()
        except Ended as ended:
            content, trouble = False, f"the connection ended: {ended.how}"
            end = client.drain()  # what came before a failed send can still be read
    except (BadRecord, ValueError, AssertionError) as error:
        content, trouble = False, f"{type(error).__name__}: {error}"
    return Seen(client, end, trouble, content)


def judge_wire(row: Row, seen: Seen) -> list[str]:
    """The complaints about what came over the socket."""
    faults = []
    if row.ends is Ends.EITHER:
        if seen.content and not seen.fatals:
            return _judge_served(seen)
    elif row.ends is Ends.SERVED:
        return _judge_served(seen)
    if row.ends in (Ends.REFUSED, Ends.BROKEN, Ends.EITHER):
        if len(seen.fatals) != 1:
            faults.append(
                f"{len(seen.fatals)} fatal alerts, awaited one of {names_of(row.alerts)}; {seen.trouble}"
            )
        elif seen.fatals[0] not in row.alerts:
            faults.append(f"alert {seen.client.alerts[-1]}, awaited {names_of(row.alerts)}")
        if seen.fatals and seen.client.seen[-1].kind != Record.ALERT:
            faults.append("records after the fatal alert")
        if any(frame.kind == Record.DATA and POISON[:6] in frame.plain for frame in seen.client.seen):
            faults.append("what must not be believed reached prog")
    elif seen.fatals and row.ends is not Ends.GONE:
        faults.append(f"a fatal alert: {seen.client.alerts[-1]}")
    if row.ends is Ends.SILENT and any(a.description != Alert.CLOSE_NOTIFY for a in seen.client.alerts):
        faults.append(f"alerts {seen.client.alerts}")
    if row.ends is Ends.CLOSED and not seen.content:
        faults.append(seen.trouble)
    if seen.end != "eof":
        faults.append(f"the connection ended by {seen.end or 'nothing'}, awaited eof; {seen.trouble}")
    return faults


def _judge_served(seen: Seen) -> list[str]:
    faults = []
    if not seen.content:
        faults.append(f"not served: {seen.trouble}; alerts {[str(a) for a in seen.client.alerts]}")
    elif seen.end != "eof":
        faults.append(f"the connection ended by {seen.end}, awaited eof")
    elif not seen.client.alerts or seen.client.alerts[-1].description != Alert.CLOSE_NOTIFY:
        faults.append("close_notify was not answered")
    return faults


def judge_program(row: Row, seen: Seen, code: int, stderr: str) -> list[str]:
    """The complaints about exit code, prog and log; `stderr` is what -vv wrote."""
    ran, eof = "PROG RAN" in stderr, "PROG EOF" in stderr
    refused = row.ends in (Ends.REFUSED, Ends.SILENT, Ends.GONE) or (
        row.ends is Ends.EITHER and seen.client.reader is None
    )
    faults = []
    if refused:
        if code != FAILED_CODE:
            faults.append(f"exit code {code}, awaited {FAILED_CODE}")
        if ran:
            faults.append("prog ran")
    else:
        if code != PROG_CODE:
            faults.append(f"exit code {code}, awaited prog's own {PROG_CODE}")
        if not (ran and eof):
            faults.append("prog never ran" if not ran else "prog never saw EOF")
    lines = stderr.splitlines()
    if seen.fatals and row.ends is not Ends.GONE:
        name = names_of(frozenset(seen.fatals))[0]
        wanted = "handshake failed" if refused else "TLS sent alert"
        if not any(wanted in line and name in line for line in lines):
            faults.append(f"no log line with {wanted!r} and {name!r}")
    elif not refused and not any("SSL connection: TLS 1." in line for line in lines):
        faults.append("no log line of the handshake")
    if row.log and not any(row.log in line for line in lines):
        faults.append(f"no log line with {row.log!r}")
    return [f"{fault}; stderr:\n{stderr}" for fault in faults]
