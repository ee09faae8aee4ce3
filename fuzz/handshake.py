"""Whatever a client sends at any moment of a handshake and after it, the wrapper ends in order, in time, and whole.

A whole scripted client, of TLS 1.3 or 1.2, one or two of whose messages or records are changed before or after they are
sealed. Then: the connection ends, at most one fatal alert was read and nothing came behind it, the exit status is the
one of success or of failure, no log line tells of a signal or of a key process that gave up, and no process is left.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from tests.certs import Certs
from tests.harness import OURS, Wrapped
from tests.wire.client import Client
from tests.wire.crypto import BadRecord
from tests.wire.messages import Hello
from tests.wire.names import Alert
from tests.wire.records import Ended, Refused
from tests.wire13.client import Client13, hello13

from .changing import Mutating, changes, finish

CODES = (0, 111)
KINDS = ("p256", "rsa2048", "p384")
SENDS = 7  # of a whole connection: hello, flight, data, KeyUpdate, data, close_notify
_files: dict[str, str] = {}


def setup(folder: Path) -> None:
    """Certificates and ticket keys, made in this folder once, before the cases."""
    certs = Certs(folder)
    _files.update({kind: str(certs.server(kind)) for kind in KINDS})
    keys = folder / "ticket-keys"
    keys.write_bytes(bytes(range(48)))
    _files["tickets"] = str(keys)


class Mutating13(Mutating, Client13):
    pass


class Mutating12(Mutating, Client):
    pass


def make(r: Random) -> bytes:
    """Version, certificate, changes."""
    return bytes([r.random() < 0.3, r.randrange(len(KINDS))]) + changes(r, SENDS)


def check(r: Random, case: bytes) -> None:
    old, kind = case[0], KINDS[case[1]]
    options = ["-v", "-f", _files[kind], *([] if r.random() < 0.5 else ["--ticket-keys", _files["tickets"]])]
    with Wrapped(options, ["cat"], program=OURS) as wrapped:
        client: Any = (Mutating12 if old else Mutating13)(wrapped.client)
        client.change(r, case[2:])
        script(client, old=bool(old))
        end = finish(client)
        wrapped.client.close()
        code = wrapped.wait()
        assert wrapped.no_process_left(), "a process is left"
        assert code in CODES, (code, wrapped.stderr)
        assert "signal" not in wrapped.stderr and "key process ended" not in wrapped.stderr, wrapped.stderr
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
