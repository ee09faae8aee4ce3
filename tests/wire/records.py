"""The record layer of the wire client: frames, seals and opens records, one at a time, and hides nothing.

`Wire` owns a connected socket with a time limit. It keeps every record it received in `seen` and every alert
in `alerts`; it never answers anything by itself.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass

from .crypto import Protection
from .names import FATAL, TLS10, Alert, Record

LIMIT_S = 10.0  # a server that says nothing for this long hangs


class Ended(Exception):
    """The server closed the connection: `how` is "eof", "reset", or "cut" (in the middle of a record)."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Refused(Exception):
    """A fatal alert came where something else was awaited."""

    def __init__(self, alert: Received) -> None:
        super().__init__(str(alert))
        self.alert = alert


@dataclass(frozen=True)
class Received:
    """One alert as it came; `sealed` says whether it was encrypted."""

    level: int
    description: int
    sealed: bool

    def __str__(self) -> str:
        with contextlib.suppress(ValueError):
            return f"{'fatal' if self.level == FATAL else 'warning'} {Alert(self.description).name.lower()}"
        return f"alert level {self.level} description {self.description}"


@dataclass(frozen=True)
class Frame:
    """One record as it came: `raw` is its fragment on the wire, `plain` its content after opening."""

    kind: int
    version: int
    raw: bytes
    plain: bytes
    sealed: bool


class Wire:
    """Records over a socket. `version` goes into the header of what is sent."""

    def __init__(self, sock: socket.socket, limit_s: float = LIMIT_S) -> None:
        self.sock = sock
        sock.settimeout(limit_s)
        self.version = TLS10
        self.writer: Protection | None = None
        self.reader: Protection | None = None
        self.write_seq = self.read_seq = 0
        self.seen: list[Frame] = []
        self.alerts: list[Received] = []
        self._buffer = bytearray()

    # out

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are. Ended if the server has already gone."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Ended("reset") from error

    def frame(
        self, kind: int, fragment: bytes, version: int | None = None, length: int | None = None
    ) -> bytes:
        """A record with this very fragment; `length` lies about its size."""
        header = struct.pack(
            ">BHH",
            kind,
            self.version if version is None else version,
            len(fragment) if length is None else length,
        )
        return header + fragment

    def seal(self, kind: int, plain: bytes, version: int | None = None) -> bytes:
        """A record that carries `plain`, sealed if keys are on (this takes a sequence number)."""
        if self.writer is None:
            return self.frame(kind, plain, version)
        sealed = self.writer.seal(self.write_seq, kind, self.version if version is None else version, plain)
        self.write_seq += 1
        return self.frame(kind, sealed, version)

    def send(self, kind: int, plain: bytes, version: int | None = None) -> None:
        """Send one record."""
        self.send_raw(self.seal(kind, plain, version))

    def send_alert(self, description: int, level: int = FATAL) -> None:
        """Send one alert."""
        self.send(Record.ALERT, bytes([level, description]))

    def end(self) -> None:
        """End our side of the connection."""
        self.sock.shutdown(socket.SHUT_WR)

    def start_writing(self, protection: Protection) -> None:
        """Seal from the next record on."""
        self.writer, self.write_seq = protection, 0

    # in

    def _take(self, count: int, at_boundary: bool) -> bytes:
        while len(self._buffer) < count:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError as error:
                raise Ended("reset") from error
            except TimeoutError as error:
                raise AssertionError("the server hangs: nothing came, and no end") from error
            if not piece:
                raise Ended("eof" if at_boundary and not self._buffer else "cut")
            self._buffer += piece
        out = bytes(self._buffer[:count])
        del self._buffer[:count]
        return out

    def read(self) -> Frame:
        """The next record, opened. Ended at the end of the connection; BadRecord if it does not open."""
        kind, version, length = struct.unpack(">BHH", self._take(5, True))
        fragment = self._take(length, False)
        sealed = self.reader is not None
        plain = fragment
        if self.reader is not None:
            plain = self.reader.open(self.read_seq, kind, version, fragment)
            self.read_seq += 1
        frame = Frame(kind, version, fragment, plain, sealed)
        self.seen.append(frame)
        if kind == Record.ALERT:
            if len(plain) != 2:
                raise ValueError(f"alert record of {len(plain)} bytes from the server")
            self.alerts.append(Received(plain[0], plain[1], sealed))
        return frame

    def start_reading(self, protection: Protection) -> None:
        """Open from the next record on."""
        self.reader, self.read_seq = protection, 0

    def waiting(self, within_s: float = 0.0) -> bool:
        """True when bytes (or the end) are there to be read within the limit."""
        if self._buffer:
            return True
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        return bool(poller.poll(int(within_s * 1000)))

    def drain(self, limit_s: float = LIMIT_S) -> str:
        """Read records to the end of the connection and give how it ended (see Ended)."""
        end = time.monotonic() + limit_s
        try:
            while time.monotonic() < end:
                self.read()
        except Ended as ended:
            return ended.how
        raise AssertionError("the server goes on for ever")
