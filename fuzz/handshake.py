"""Whatever a client sends at any moment of a handshake and after it, the wrapper ends in order, in time, and whole.

A whole scripted client, of TLS 1.3 or 1.2, one or two of whose messages or records are changed before or after they are
sealed. Then: the connection ends, at most one fatal alert was read and nothing came behind it, the exit status is the
one of success or of failure, no log line tells of a signal, and no process is left.
"""

from __future__ import annotations

import select
from pathlib import Path
from random import Random
from typing import Any

from tests.certs import Certs
from tests.harness import OURS, Wrapped
from tests.wire.client import Client
from tests.wire.crypto import BadRecord
from tests.wire.messages import Hello
from tests.wire.names import FATAL, Alert
from tests.wire.records import Ended, Refused
from tests.wire13.client import Client13, hello13

from .mutate import number, scramble

CODES = (0, 111)
KINDS = ("p256", "rsa2048", "p384")
QUIET_S = 0.2  # after a change the server may rightly wait for more; then we end our side
SENDS = 7  # of a whole connection: hello, flight, data, KeyUpdate, data, close_notify
_files: dict[str, str] = {}


def setup(folder: Path) -> None:
    """Certificates and ticket keys, made in this folder once, before the cases."""
    certs = Certs(folder)
    _files.update({kind: str(certs.server(kind)) for kind in KINDS})
    keys = folder / "ticket-keys"
    keys.write_bytes(bytes(range(48)))
    _files["tickets"] = str(keys)


class Mutating:
    """Over a client: changes what is sealed, or the record, when its turn comes."""

    r: Random
    at: dict[int, str]
    sends = 0

    def seal(self, kind: int, plain: bytes, version: int | None = None) -> bytes:
        self.sends += 1
        what = self.at.get(self.sends)
        if what == "plain":
            plain = scramble(self.r, plain)
        elif what == "kind":
            kind = self.r.choice((20, 21, 22, 23, 24, 0, number(self.r) & 255))
        record: bytes = super().seal(kind, plain[: 1 << 14], version)  # type: ignore[misc]
        if what == "record":
            return scramble(self.r, record)
        if what == "twice":
            record += super().seal(kind, plain[: 1 << 14], version)  # type: ignore[misc]
        if what == "before":
            return self.r.randbytes(1 + self.r.randrange(40)) + record
        if what == "split":
            middle = self.r.randrange(len(record) + 1)
            return record[:middle] + scramble(self.r, record[middle:])
        if what == "nothing":
            return b""
        return record

    def _take(self, count: int, at_boundary: bool) -> bytes:
        client: Any = self
        missing = len(client._buffer) < count
        if missing and self.sends >= min(self.at) and not select.select([client.sock], [], [], QUIET_S)[0]:
            raise Ended("quiet")
        taken: bytes = super()._take(count, at_boundary)  # type: ignore[misc]
        return taken


class Mutating13(Mutating, Client13):
    pass


class Mutating12(Mutating, Client):
    pass


WAYS = ("plain", "plain", "plain", "kind", "record", "twice", "before", "split", "nothing")


def make(r: Random) -> bytes:
    """What is changed when, and the version: as bytes, so that a case can be shown."""
    changes = [bytes([1 + r.randrange(SENDS), r.randrange(len(WAYS))]) for _ in range(r.choice((1, 1, 2)))]
    return bytes([r.random() < 0.3, r.randrange(len(KINDS))]) + b"".join(changes)


def check(r: Random, case: bytes) -> None:
    old, kind = case[0], KINDS[case[1]]
    at = {case[i]: WAYS[case[i + 1]] for i in range(2, len(case), 2)}
    options = ["-v", "-f", _files[kind], *([] if r.random() < 0.5 else ["--ticket-keys", _files["tickets"]])]
    with Wrapped(options, ["cat"], program=OURS) as wrapped:
        client: Any = (Mutating12 if old else Mutating13)(wrapped.client)
        client.r, client.at = r, at
        script(client, old=bool(old))
        end = finish(client)
        wrapped.client.close()
        code = wrapped.wait()
        assert wrapped.no_process_left(), "a process is left"
        assert code in CODES, (code, wrapped.stderr)
        assert "signal" not in wrapped.stderr, wrapped.stderr
        assert end in ("eof", "reset"), end


def script(client: Any, old: bool) -> None:
    """A whole connection, as far as it goes. The transcript has what should have been sent, so that after a change
    that the server bears, what it says may look wrong to us."""
    try:
        client.handshake(Hello() if old else hello13())
        client.send_data(b"hello")
        client.read_data(5)
        if not old:
            client.send_key_update(1)
        client.send_data(b"again")
        client.read_data(5)
        client.send_alert(Alert.CLOSE_NOTIFY, 1)
    except (Refused, Ended, BadRecord, ValueError, KeyError, OSError):
        return


def finish(client: Any) -> str:
    """Say nothing more, and read what comes to its end, opened or not; how it ended."""
    fatal = [alert for alert in client.alerts if alert.level == FATAL]
    assert len(fatal) <= 1, fatal
    try:
        client.sock.shutdown(1)
    except OSError:
        return "reset"
    got = 0
    while got < 1 << 20:
        try:
            piece = client.sock.recv(65536)
        except ConnectionResetError:
            return "reset"
        if not piece:
            return "eof"
        got += len(piece)
        assert not fatal, "something came after a fatal alert"
    return "too much"
