"""What a conquered net would like of key, in the table's order and sizes: it gets none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import needs_root
from tests.wire.client import Identity
from tests.wire.crypto import Ephemeral
from tests.wire.identities import Identities
from tests.wire.messages import u16, vec
from tests.wire.names import TLS10, TLS12, Alert, Group, Record

from .keyside import FINISH, KeySide

pytestmark = needs_root
SECRET = b"Cookie: what a client of False Start sends behind its Finished"


@pytest.fixture(scope="module")
def identity(certs: Certs) -> Identity:
    """A client's certificate."""
    found = Identities(certs).get("p256")
    assert found is not None
    return found


def plain(certs: Certs, *more: str) -> KeySide:
    return KeySide(["-f", str(certs.server("p256")), *more])


@pytest.mark.parametrize("first", [True, False], ids=["for Finished", "behind Finished"])
def test_application_data_is_never_opened_for_net(certs: Certs, first: bool) -> None:
    with plain(certs) as key:
        key.reach("client-finished" if first else "opened")
        key.produce(key.seal(Record.DATA, SECRET))
        assert key.ask("open") == (1, bytes([Alert.UNEXPECTED_MESSAGE]))


@pytest.mark.parametrize(("name", "payload"), [("open", b""), ("finished-server", FINISH)])
@pytest.mark.parametrize("kind", [Record.DATA, Record.HANDSHAKE], ids=["early data", "forged"])
def test_nothing_but_an_alert_follows_a_refused_finished(certs: Certs, kind: int, name: str, payload: bytes) -> None:
    """So prog never starts for a client without keys, whatever net says."""
    with plain(certs) as key:
        key.reach("client-finished")
        record = bytearray(key.seal(kind, SECRET))
        record[-1] ^= kind == Record.HANDSHAKE
        key.produce(bytes(record))
        reply = key.ask("open")
        assert reply is not None and reply[0] == 1
        key.send("seal", bytes([Record.ALERT]) + bytes([2, reply[1][0]]))
        key.produce(key.seal(Record.HANDSHAKE, bytes(16)))
        key.send(name, payload)
        assert key.ended() == 0
        traces = key.traces()
        assert (traces.to_port, traces.to_go) == (b"", b"")
        assert traces.sealed > 0  # the alert


@pytest.mark.parametrize(("group", "version", "hash_id"), [(29, TLS10, 2), (24, TLS12, 4)], ids=["version", "curve"])
def test_the_policy_holds_in_key(certs: Certs, group: int, version: int, hash_id: int) -> None:
    """TLS 1.0, or a curve, that the options do not allow."""
    with plain(certs) as key:
        key.reach("loaded")
        assert key.ask("exchange", key.exchange_request(group, version, hash_id)) is None
        assert key.ended() == 0


def test_no_signature_over_md5(certs: Certs) -> None:
    with plain(certs) as key:
        key.reach("loaded")
        reply = key.ask("exchange", key.exchange_request(hash_id=1))
        assert reply is not None and reply[0] == 1 and reply[1][-2:] == b"\0\0"


@pytest.mark.parametrize(
    ("kind", "hash_id"), [("p256", 8 | 4), ("ed25519", 8 | 7), ("rsa2048", 8 | 7), ("rsa2048", 8 | 2), ("rsa2048", 16)]
)
def test_no_signature_of_another_scheme(certs: Certs, kind: str, hash_id: int) -> None:
    """The bit for RSA-PSS with what it does not go with (a conquered net can have an Ed25519 key loaded)."""
    with KeySide(["-f", str(certs.server(kind))]) as key:
        key.good("load", key.load_request(usable=0xFF))
        reply = key.ask("exchange", key.exchange_request(hash_id=hash_id))
        assert reply is not None and reply[0] == 1 and reply[1][-2:] == b"\0\0"


@pytest.mark.parametrize("suite", [0xC009, 0xC02B], ids=["CBC", "AEAD"])
def test_a_suite_that_the_options_do_not_allow(certs: Certs, suite: int) -> None:
    with plain(certs, "-c", "CHACHA20_POLY1305_SHA256") as key:
        key.reach("exchanged")
        assert key.ask("derive-finished", u16(suite) + key.derive_finished_request()[2:]) is None
        assert key.ended() == 0


def test_a_clients_signature_for_another_exchange(certs: Certs, identity: Identity) -> None:
    """net makes the keys with a point of its own, and shows the handshake in which the client signed for its point."""
    with KeySide(["-f", str(certs.server("p256")), "-a", str(certs.client_ca)], identity) as key:
        key.reach("derived")
        key.ephemeral = Ephemeral(Group.X25519)  # the honest client's; `derive` had net's
        key.good("transcript", key.transcript())
        reply = key.ask("peer-verify", key.verify_request())
        assert reply is not None and reply[0] == 1
        assert key.ended() == 0
        assert key.traces().to_go == b""


def test_a_private_key_in_the_anchor_file_stays_in_key(certs: Certs, tmp_path: Path, identity: Identity) -> None:
    secret, chain = certs.parts("p256")
    authority = certs.client_ca.read_text()
    anchor = tmp_path / "anchor.pem"
    for text in (secret + authority, authority + secret, f"password: x\n{authority}{secret}{chain}"):
        anchor.write_text(text)
        with KeySide(["-f", str(certs.server("p256")), "-a", str(anchor)], identity) as key:
            reply = key.good("anchors").decode()
            assert "PRIVATE" not in reply and "password" not in reply
            assert not any(line in reply for line in secret.splitlines())
            assert all(line in reply for line in authority.splitlines())
            key.state = "start"
            key.good("load", key.load_request())


ADDRESSES = [
    (b"...", b"1", b"::", b"1"),
    (b"192.0.2.1", b"65536", b"::", b"1"),
    (b"192.0.2.1", b"1", b"::", b"ff"),
    (b"192.0.2.1:1", b"1", b"::", b"1"),
    (b"192.0.2.1", b"::", b"::", b"1"),
]


@pytest.mark.parametrize("texts", ADDRESSES, ids=repr)
def test_what_is_no_address(certs: Certs, texts: tuple[bytes, ...]) -> None:
    with plain(certs) as key:
        key.reach("opened")
        key.send("finished-server", vec(1, bytes(32)) + b"".join(vec(1, text) for text in texts))
        assert key.ended() == 0
        assert key.traces().to_go == b""


def test_nothing_is_opened_behind_a_refused_record(certs: Certs) -> None:
    """One forgery a connection: key does not go on after it, whatever net says."""
    with plain(certs) as key:
        key.reach("running")
        record = bytearray(key.seal(Record.DATA, b"x"))
        record[-1] ^= 1
        key.produce(bytes(record))
        assert key.receive() == (65, bytes([Alert.BAD_RECORD_MAC]))
        key.send("resume", b"\0")
        assert key.ended() == 0

