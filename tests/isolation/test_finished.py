"""The two operations of the key port that join others: `derive-open` with the client's Finished, `finished-server`."""

from __future__ import annotations

import os

import pytest

from tests.certs import Certs
from tests.harness import needs_root
from tests.wire.crypto import prf
from tests.wire.messages import message
from tests.wire.names import TLS12, Alert, Record

from .keyside import ADDRESSES, FINISH, RINGS, KeySide, cursors, refused

pytestmark = needs_root
FINISHED = message(20, bytes(12))  # key opens it; what it says is net's to judge


@pytest.fixture
def key(certs: Certs) -> KeySide:
    """A key process that has signed."""
    made = KeySide(["-f", str(certs.server("p256"))])
    made.reach("exchanged")
    return made


def awaited(key: KeySide) -> bytes:
    """The verify data of the client's Finished over the hash that derive_finished_request gives."""
    return prf(TLS12, key.suite.prf, key.master, b"client finished", bytes(32), length=12)


def test_both_at_once(key: KeySide) -> None:
    """What `open` gives, the verify data behind it; then the handshake goes on as it does behind `open`."""
    with key:
        request = key.derive_finished_request()
        key.produce(key.seal(Record.HANDSHAKE, FINISHED))
        assert key.good("derive-open", request) == bytes([Record.HANDSHAKE]) + FINISHED + awaited(key)
        key.reach("running")
        key.produce(key.seal(Record.DATA, b"to prog"))
        assert os.read(key.prog_in, 100) == b"to prog"


def test_a_finished_in_two_records(key: KeySide) -> None:
    """The first comes with the keys, `open` gives the second."""
    with key:
        request = key.derive_finished_request()
        key.produce(key.seal(Record.HANDSHAKE, FINISHED[:5]))
        assert key.good("derive-open", request) == bytes([Record.HANDSHAKE]) + FINISHED[:5] + awaited(key)
        key.produce(key.seal(Record.HANDSHAKE, FINISHED[5:]))
        assert key.good("open") == bytes([Record.HANDSHAKE]) + FINISHED[5:]


@pytest.mark.parametrize(("name", "payload"), [("open", b""), ("finished-server", FINISH)])
@pytest.mark.parametrize(("kind", "alert"), [
    (Record.DATA, Alert.UNEXPECTED_MESSAGE), (Record.HANDSHAKE, Alert.BAD_RECORD_MAC),
], ids=["early data", "forged"])  # fmt: skip
def test_nothing_but_an_alert_follows_a_refusal(key: KeySide, kind: int, alert: int, name: str, payload: bytes) -> None:
    """The alert in place of the text, and prog never starts."""
    with key:
        request = key.derive_finished_request()
        record = bytearray(key.seal(kind, FINISHED))
        record[-1] ^= kind == Record.HANDSHAKE
        key.produce(bytes(record))
        assert key.ask("derive-open", request) == (1, bytes([alert]) + awaited(key))
        key.send("seal", bytes([Record.ALERT, 2, alert]))
        key.produce(key.seal(Record.HANDSHAKE, FINISHED))
        key.send(name, payload)
        assert key.ended() == 0
        traces = key.traces()
        assert (traces.to_port, traces.to_go) == (b"", b"")
        assert traces.sealed > 0  # the alert


def test_a_bad_point(key: KeySide) -> None:
    """Refused as by `derive-finished`; no record is looked at."""
    with key:
        key.produce(b"\x16\3\3\0\x20" + bytes(32))
        assert key.ask("derive-open", key.derive_finished_request(bytes(32))) == (1, b"")
        refused(key, (0, 0))


@pytest.mark.parametrize("name", RINGS)
def test_lies_in_the_ring(key: KeySide, name: str) -> None:
    """Key looks only where a whole record can be."""
    head, data = RINGS[name]
    with key:
        request = key.derive_finished_request()
        key.produce(data, publish=False)
        key.publish(head)
        key.send("derive-open", request)
        refused(key, (0, 0))


@pytest.mark.parametrize("size", [0, 31, 49, 255])
def test_a_hash_whose_length_lies(key: KeySide, size: int) -> None:
    """A hash of no hash's size, or one that is longer than the message."""
    with key:
        key.reach("opened")
        before = cursors(key)
        key.send("finished-server", bytes([size]) + bytes(min(size, 49)) + ADDRESSES)
        refused(key, before)
