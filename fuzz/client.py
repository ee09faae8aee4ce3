"""Whatever a server sends at any moment of a handshake and after it, the client ends in order, in time, and whole.

A whole scripted server, of TLS 1.3 (now and then with a HelloRetryRequest) or 1.2, against `s6-tlsc`, one or two of
whose messages or records are changed before or after they are sealed. Then: the connection ends, at most one fatal
alert was read and nothing came behind it, prog has read nothing that was not sealed for it, the exit code is the one of
prog or of a failure of TLS, at most one line says why, and no process is left.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from tests.certs import Certs
from tests.client.material import Material
from tests.client.schedule13 import SUITES13
from tests.client.scripted import identity
from tests.client.server import Server
from tests.client.server13 import Server13
from tests.client.tlsc import Tlsc
from tests.wire.client import Identity
from tests.wire.crypto import BadRecord
from tests.wire.names import WARNING, Alert, Group, Record
from tests.wire.records import Ended, Refused

from .changing import Mutating, changes, finish

PROG = ("sh", "-c", "exec tee /dev/fd/7 <&6")
CODES = (0, 98, 128 + 13)  # the last when prog writes to a connection that has ended
SUITES = {"p256": (0xCCA9, 0xC02B, 0xC009), "rsa2048": (0xCCA8, 0xC02F, 0x009C), "p384": (0xCCA9, 0xC02C)}
KINDS = tuple(SUITES)
GROUPS = (Group.X25519, Group.SECP256R1, Group.SECP384R1, Group.SECP521R1)  # all but the first after a retry
SAID = (b"hello", b"again")
SENDS = 12  # of a whole connection: retry, five or six of the flight, ticket, data, KeyUpdate, data, close_notify
_identities: dict[str, Identity] = {}
_env: dict[str, Path] = {}


def setup(folder: Path) -> None:
    """Certificates and keys, made in this folder once, before the cases."""
    material = Material(Certs(folder), folder)
    _identities.update({kind: identity(material.path(kind).read_text()) for kind in KINDS})
    _env.update(CAFILE=material.path("ca"), CERTFILE=material.path("cert_p256"), KEYFILE=material.path("key_p256"))


class Mutating13(Mutating, Server13):
    pass


class Mutating12(Mutating, Server):
    pass


def make(r: Random) -> bytes:
    """Version, certificate, group, changes."""
    return bytes([r.random() < 0.3, r.randrange(len(KINDS)), r.choice((0, 0, 1, 2, 3))]) + changes(r, SENDS)


def check(r: Random, case: bytes) -> None:
    old, kind, group = case[0], KINDS[case[1]], GROUPS[case[2]]
    suite = r.choice(SUITES[kind] if old else list(SUITES13))
    asks, own = r.random() < 0.4, r.random() < 0.5
    options = [r.choice(("-s", "-S")), *(["-y"] if own else []), "-k", "localhost"]
    with Tlsc(options, PROG, env=_env) as tlsc:
        server: Any = (Mutating12 if old else Mutating13)(tlsc.peer, _identities[kind], suite=suite, group=group)
        server.change(r, case[3:])
        script(server, bool(old), asks, group)
        end = finish(server)
        code = tlsc.wait()
        assert tlsc.no_process_left(), "a process is left"
        assert code in CODES, (code, tlsc.stderr)
        assert all(line.startswith("s6-tlsc: fatal: ") for line in tlsc.stderr.splitlines()), tlsc.stderr
        assert tlsc.stderr.count("\n") <= 1 and "process" not in tlsc.stderr, tlsc.stderr
        assert server.spoiled or b"".join(SAID).startswith(tlsc.stdout), tlsc.stdout
        assert end in ("eof", "reset"), end


def script(server: Any, old: bool, asks: bool, group: int) -> None:
    """A whole connection, as far as it goes; after a change that was borne, what the client says may look wrong."""
    try:
        server.read_hello()
        if not old and group != GROUPS[0]:
            server.send_retry(group, cookie=server.r.choice((b"", b"cookie")))
            server.read_hello()
        server.send_flight(request=asks)
        server.read_flight()
        if old:
            server.read_finished()
            server.send_ccs()
            server.send_finished()
        server.running = True
        if not old:
            server.send(Record.HANDSHAKE, server.ticket())
        server.send_data(SAID[0])
        server.read_data(len(SAID[0]))
        if not old:
            server.send_update(1)
        server.send_data(SAID[1])
        if not old:
            server.read_update()
        server.read_data(len(SAID[1]))
        server.send_alert(Alert.CLOSE_NOTIFY, WARNING)
    except (Refused, Ended, BadRecord, ValueError, KeyError, OSError):
        return
