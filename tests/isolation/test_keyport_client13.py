"""The key port of a TLS 1.3 client from the side of a conquered net: order, sizes, lies, and what is never sealed.

As in test_keyport_client.py every case is one real key process that must answer by ending.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.certs import Certs
from tests.client.schedule13 import CHAPOL13, GCM128, GCM256
from tests.harness import needs_root
from tests.wire.messages import message, u16, vec
from tests.wire.names import TLS12, Alert, Group, Msg, Record

from .clientkeyside import Flight
from .clientkeyside13 import ASKED13, CERTIFIED13, COOKIE13, PLAIN13, RETRIED13, ClientKeySide13, Shape13, block
from .keyside import ADDRESSES, OPERATIONS, cursors, refused

pytestmark = needs_root

FLIGHT = ("agreed13", "extended13", "chain-good13", "verified13")
MODES = {
    "plain": (PLAIN13, ("client-start", "trusting", "shared13", "hello13", *FLIGHT, "finished13", "running")),
    "certified": (CERTIFIED13, ("requested13", "verified13", "finished13")),
    "retried": (RETRIED13, ("retried13", "shared-again13", "hello-again13")),
    "cookie": (COOKIE13, ("retried13", "hello-again13")),
}
# what the table allows there and this handshake does not
NOT_HERE = {
    ("retried", "retried13", "hello-again13"), ("cookie", "retried13", "share-again13"),
    ("plain", "running", "update13"), ("plain", "running", "close-input"),
}  # fmt: skip


def payload(key: ClientKeySide13, name: str) -> bytes:
    """Good elsewhere; of the operations of TLS 1.2 as good as can be."""
    if made := key.payload(name):
        return made
    least = OPERATIONS[name].request_min
    if name == "server-chain":
        return b"".join(vec(3, der) for der in key.server.chain)
    if name == "seal":
        return bytes([Record.ALERT, 1, 0])
    if name in ("run", "start"):
        return ADDRESSES
    if name == "transcript":
        return bytes(Flight(key.client_random, key.server_random, key.server.chain, b""))
    return bytes(max(least, 1 if name == "peer-chain" else 0))


def _out_of_order() -> Iterator[tuple[str, str, str]]:
    for mode, (_, states) in MODES.items():
        for state in states:
            for name, row in OPERATIONS.items():
                if state not in row.after or (mode, state, name) in NOT_HERE:
                    yield mode, state, name


@pytest.mark.parametrize(("mode", "state", "name"), list(_out_of_order()))
def test_out_of_order(certs: Certs, mode: str, state: str, name: str) -> None:
    """An operation that is not allowed now, repeats and a server's included."""
    with ClientKeySide13(certs, MODES[mode][0]) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, payload(key, name))
        refused(key, before, state == "running")


REACHED = {state for _, states in MODES.values() for state in states}
SIZES = [
    (name, size)
    for name, row in OPERATIONS.items()
    if (name.endswith("13") or name == "close-input") and row.after & REACHED
    for size in (row.request_min - 1, row.request_max + 1, 120000)
    if size >= 0
]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_wrong_size(certs: Certs, name: str, size: int) -> None:
    for shape, states in MODES.values():
        for state in states:
            if state in OPERATIONS[name].after:
                with ClientKeySide13(certs, shape) as key:
                    key.reach(state)
                    before = cursors(key)
                    key.send(name, (payload(key, name) + bytes(size))[:size])
                    refused(key, before, state == "running")
                return
    raise AssertionError(f"{name} has no place")


@pytest.mark.parametrize("state", MODES["plain"][1])
def test_net_is_gone(certs: Certs, state: str) -> None:
    with ClientKeySide13(certs) as key:
        key.reach(state)
        key.port.close()
        assert key.ended() == 0


GOOD = [
    PLAIN13, CERTIFIED13, RETRIED13, COOKIE13, ASKED13, Shape13("p384", GCM256, Group.SECP384R1, "p521", "request"),
    Shape13("p521", GCM128, Group.SECP521R1), Shape13("rsa2048", GCM256, Group.SECP256R1, "rsa2048", "request"),
    Shape13("rsa2048", CHAPOL13, Group.SECP384R1, way="retry"),
]  # fmt: skip


@pytest.mark.parametrize("shape", GOOD, ids=str)
def test_the_good_order_works(certs: Certs, shape: Shape13) -> None:
    """The whole way: so the refusals here are refusals of what they say. The flight is checked in clientkeyside13."""
    with ClientKeySide13(certs, shape) as key:
        key.reach("running")
        go = os.read(key.go, 4096)
        assert b"TLSv1.3" in go and key.suite.openssl.encode() in go and b"test.example" in go
        key.produce(key.seal(Record.DATA, b"to prog"))
        assert os.read(key.prog_in, 100) == b"to prog"
        os.write(key.prog_out, b"from prog")
        os.close(key.prog_out)
        key.prog_out = os.open("/dev/null", os.O_RDONLY)
        assert key.receive() == (66, b"")
        assert key.secrets is not None
        assert key.opened(key.secrets.client_application) == [(Record.DATA, b"from prog")]


# ---- lies about messages ----

Lie = Callable[[ClientKeySide13], bytes]
SMALL = bytes([9]) + bytes(31)
LIES: dict[str, tuple[Shape13, str, str, Lie]] = {
    "a share of a group we do not have": (PLAIN13, "trusting", "share13", lambda k: u16(30)),
    "a share of no group": (PLAIN13, "trusting", "share13", lambda k: u16(0)),
    "a second share of the first group": (RETRIED13, "retried13", "share-again13", lambda k: u16(Group.X25519)),
    "a second share of a third group": (RETRIED13, "retried13", "share-again13", lambda k: u16(Group.SECP521R1)),
    "a hello with net's share": (PLAIN13, "shared13", "hello13", lambda k: k.client_hello(SMALL)),
    "a hello with two shares": (PLAIN13, "shared13", "hello13", lambda k: message(Msg.CLIENT_HELLO, two_shares(k))),
    "a hello with a PSK": (PLAIN13, "shared13", "hello13", lambda k: k.client_hello(
        None, b"", (45, b"\1\1"), (41, vec(2, vec(2, b"id") + bytes(4)) + vec(2, vec(1, bytes(32)))))),
    "a hello with early data": (PLAIN13, "shared13", "hello13", lambda k: k.client_hello(None, b"", (42, b""))),
    "a hello with ALPN": (PLAIN13, "shared13", "hello13", lambda k: k.client_hello(
        None, b"", (16, vec(2, vec(1, b"h2"))))),
    "a hello of TLS 1.2": (PLAIN13, "shared13", "hello13", lambda k: message(
        Msg.CLIENT_HELLO, u16(TLS12) + bytes(32) + b"\0" + vec(2, b"\x13\1") + b"\1\0")),
    "a hello with bytes behind it": (PLAIN13, "shared13", "hello13", lambda k: k.client_hello() + b"\0"),
    "another kind of message": (PLAIN13, "shared13", "hello13", lambda k: b"\2" + k.client_hello()[1:]),
    "a second hello with net's share": (RETRIED13, "shared-again13", "hello-again13", lambda k: k.client_hello(
        SMALL)),
    "a retry that is a ServerHello": (PLAIN13, "hello13", "retry13", lambda k: k.payload("agree13")),
    "a retry for the share that was sent": (PLAIN13, "hello13", "retry13", lambda k: k.server_hello(
        (51, u16(k.group)), random=k.retry()[6:38])),
    "a ServerHello that is a retry": (PLAIN13, "hello13", "agree13", lambda k: k.retry()),
    "a ServerHello of another suite": (RETRIED13, "hello-again13", "agree13", lambda k: k.server_hello(
        (51, u16(k.group) + vec(2, bytes([4]) + bytes(96))), suite=GCM128)),
    "a ServerHello of TLS 1.2's suite": (PLAIN13, "hello13", "agree13", lambda k: k.server_hello(
        (51, u16(k.group) + vec(2, SMALL)), suite=0xCCA9)),
    "a ServerHello of another session": (PLAIN13, "hello13", "agree13", lambda k: k.payload(
        "agree13").replace(k.session, bytes(32))),
    "extensions that were not offered": (PLAIN13, "agreed13", "extensions13", lambda k: message(
        8, block((0x1234, b"")))),
    "a malformed request": (ASKED13, "extended13", "request13", lambda k: message(
        Msg.CERTIFICATE_REQUEST, b"\0\0\0\0")),
    "no certificate": (PLAIN13, "extended13", "server-chain13", lambda k: message(Msg.CERTIFICATE, b"\0\0\0\0")),
    "a signature without a scheme": (PLAIN13, "chain-good13", "server-verify13", lambda k: message(
        Msg.CERTIFICATE_VERIFY, u16(0) + vec(2, b"sig"))),
    "a Finished too long": (PLAIN13, "verified13", "finish13", lambda k: k.payload("finish13").replace(
        b"\0\0\x20", b"\0\0\x21", 1) + b"\0"),
}  # fmt: skip


def two_shares(key: ClientKeySide13) -> bytes:
    own = u16(key.group) + vec(2, key.point)
    other = u16(Group.SECP256R1) + vec(2, b"\4" + bytes(64))
    body = key.client_hello()[4:]
    head, extensions = body[:77], body[79:]  # version, random, session id, three suites, compression
    return head + vec(2, extensions.replace(vec(2, vec(2, own)), vec(2, vec(2, own + other))))


@pytest.mark.parametrize("name", LIES)
def test_lies(certs: Certs, name: str) -> None:
    """A message that net would not have passed on, or that is not what the table says, ends key."""
    shape, state, operation, lie = LIES[name]
    with ClientKeySide13(certs, shape) as key:
        key.reach(state)
        before = cursors(key)
        key.send(operation, lie(key))
        refused(key, before)


VERDICTS: dict[str, tuple[str, str, Lie]] = {  # state, operation, what is shown
    "a bad share": ("hello13", "agree13", lambda k: k.server_hello((51, u16(29) + vec(2, bytes(32))))),
    "no certificate that can be read": ("extended13", "server-chain13", lambda k: message(
        Msg.CERTIFICATE, b"\0" + vec(3, vec(3, b"junk") + b"\0\0"))),
    "a signature by another": ("chain-good13", "server-verify13", lambda k: message(
        Msg.CERTIFICATE_VERIFY, k.verify_body(b"another handshake"))),
    "a Finished of another": ("verified13", "finish13", lambda k: message(Msg.FINISHED, bytes(32))),
}  # fmt: skip


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(certs: Certs, name: str) -> None:
    """Key answers, and then seals an alert at most: prog never starts."""
    state, operation, shown = VERDICTS[name]
    with ClientKeySide13(certs) as key:
        key.reach(state)
        status, reply = key.ask(operation, shown(key)) or (0, b"")
        assert status == 1 and len(reply) == 1 and reply != b"\0"
        if state != "hello13":
            assert key.secrets is not None
            key.send("seal", bytes([Record.ALERT, 2, Alert.DECRYPT_ERROR]))
            key.send("begin")
            assert key.ended() == 0
            assert key.opened(key.secrets.client_handshake) == [(Record.ALERT, bytes([2, Alert.DECRYPT_ERROR]))]
        assert key.ended() == 0
        assert key.traces().to_go == b""


@pytest.mark.parametrize("state", [*FLIGHT, "finished13", "running"])
@pytest.mark.parametrize("kind", [20, 22, 23, 24])
def test_only_alerts_are_sealed_for_net(certs: Certs, state: str, kind: int) -> None:
    with ClientKeySide13(certs) as key:
        key.reach(state)
        before = cursors(key)
        key.send("seal", bytes([kind]) + b"data")
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", FLIGHT)
@pytest.mark.parametrize("record", ["data", "forged", "clear"])
def test_records_of_the_flight(certs: Certs, state: str, record: str) -> None:
    """What is no handshake record is not opened for net, and nothing but an alert follows."""
    with ClientKeySide13(certs) as key:
        key.reach(state)
        sealed = bytearray(key.seal(Record.DATA if record == "data" else Record.HANDSHAKE, b"of the server"))
        sealed[-1] ^= record == "forged"
        if record == "clear":
            key.produce(b"\x16\3\3\0\4\x14\0\0\0")
            key.send("open13")
            assert key.ended() == 0
            return
        key.produce(bytes(sealed))
        alert = Alert.UNEXPECTED_MESSAGE if record == "data" else Alert.BAD_RECORD_MAC
        assert key.ask("open13") == (1, bytes([alert]))
        before = cursors(key)
        key.send(key.next(), key.payload(key.next()))
        refused(key, before)


@pytest.mark.parametrize("name", ["update13", "close-input"])
def test_only_when_key_waits(certs: Certs, name: str) -> None:
    """update13 and close-input belong to a record that key has stopped at."""
    with ClientKeySide13(certs) as key:
        key.reach("running")
        key.produce(key.seal(Record.HANDSHAKE, message(Msg.KEY_UPDATE, b"\1")))
        assert key.receive() == (64, bytes([Record.HANDSHAKE]) + message(Msg.KEY_UPDATE, b"\1"))
        key.send("resume", b"\0")
        before = (key.sealed_head(), key.produced)
        key.send(name, b"\1" if name == "update13" else b"")
        refused(key, before, prog_runs=True)
