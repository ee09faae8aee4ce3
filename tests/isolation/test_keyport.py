"""The key port from the side of a conquered net: no operation out of its order, size or number, and no lie in the ring.

Every case is one real key process. It must answer by ending, and nothing else may have come of it: no reply, no byte
for prog, no word that lets prog start, no record in the ring.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.certs import Certs
from tests.harness import needs_root
from tests.wire.client import Identity
from tests.wire.identities import Identities
from tests.wire.messages import message, u16, vec
from tests.wire.names import TLS10, TLS11, TLS12, Group, Record

from .keyside import ADDRESSES, EC_BIT, OPERATIONS, RINGS, RSA_BIT, STATES, KeySide, KeySide13, cursors, refused

pytestmark = needs_root

PLAIN = ("start", "loaded", "exchanged", "client-finished", "opened", "running")
PLAIN13 = ("greeted13", "accepted13", "admitted13", "running")
CERTIFIED13 = ("accepted13", "peer-known13", "peer-verified13", "admitted13")
CERTIFIED = ("start", "exchanged", "peer-known", "derived", "peer-verified", "client-finished")
# states of the other role: tests/isolation/test_keyport_client.py
CLIENTS = {
    "client-start", "trusting", "chain-good", "params-good", "agreed", "signed", "finished-sent", "finished-due",
    "finished-opened", "shared13", "hello13", "retried13", "shared-again13", "hello-again13", "agreed13", "extended13",
    "requested13", "chain-good13", "verified13", "finished13",
}  # fmt: skip
UNCHANGED = {  # `then` is the same state
    "anchors", "start", "transcript", "seal", "resume", "end-input", "drop-output", "again13", "psk13", "open13",
    "update13", "close-input",
}  # fmt: skip
NOT_PLAIN = {  # refused without -a, or without -n
    "anchors", "start", "peer-chain", "transcript", "peer-verify", "peer-chain13", "peer-verify13",
}  # fmt: skip
SERVERS = {name: row for name, row in OPERATIONS.items() if not row.after <= CLIENTS}  # what a server's key serves
NUMBERS = {row.number for row in OPERATIONS.values()}


@pytest.fixture(scope="module")
def identity(certs: Certs) -> Identity:
    """A client's certificate."""
    found = Identities(certs).get("p256")
    assert found is not None
    return found


class Door:
    """Makes key processes: plain ones, and such that want a client certificate."""

    def __init__(self, certs: Certs, identity: Identity) -> None:
        self.options = ["-f", str(certs.server("p256")), "-m", "tls10"]
        self.identity = identity
        self.anchor = ["-a", str(certs.client_ca)]

    def plain(self, *more: str) -> KeySide:
        return KeySide([*self.options, *more])

    def certified(self) -> KeySide:
        return KeySide([*self.options, *self.anchor], self.identity)

    def open(self, mode: str) -> KeySide:
        if mode == "certified13":
            return KeySide13([*self.options, *self.anchor], self.identity)
        if mode == "plain13":
            return KeySide13(self.options)
        return self.certified() if mode == "certified" else self.plain()


@pytest.fixture
def door(certs: Certs, identity: Identity) -> Door:
    """Where key processes come from."""
    return Door(certs, identity)


def payload(key: KeySide, name: str) -> bytes:
    """A payload for this operation that would be good at its place, as far as the state lets one be made."""
    if name == "load":
        return key.load_request()
    if name == "exchange":
        return key.exchange_request()
    if name == "derive":
        return key.derive_request(bytes([9]) + bytes(31))
    if name in ("derive-finished", "derive-open"):
        return key.derive_finished_request(bytes([9]) + bytes(31))
    if name in ("run", "start"):
        return ADDRESSES
    if name == "finished-server":
        return vec(1, bytes(32)) + ADDRESSES
    if name == "seal":
        return bytes([Record.ALERT, 1])
    if isinstance(key, KeySide13) and name == "accept13":
        return key.accept_request()
    if name == "again13":
        return u16(0x1303) + bytes([Group.X25519])
    if isinstance(key, KeySide13) and key.messages and name == "client-finished13":
        return key.finished()
    if isinstance(key, KeySide13) and key.messages and name in ("peer-chain13", "peer-verify13"):
        made = key.certificate if name == "peer-chain13" else key.verify
        return made() if key.identity else message(11, bytes(4))
    return bytes(max(OPERATIONS[name].request_min, 1 if name == "peer-chain" else 0))


def _out_of_order() -> Iterator[tuple[str, str, str]]:
    """(mode, state, operation) for all that the table or the mode does not allow there."""
    modes = (("plain", PLAIN), ("certified", CERTIFIED), ("plain13", PLAIN13), ("certified13", CERTIFIED13))
    for mode, states in modes:
        for state in states:
            for name, row in OPERATIONS.items():
                wrong_mode = (
                    name in NOT_PLAIN
                    if mode.startswith("plain")
                    else name in ("start", "psk13")
                    or (name, state) in {("derive-finished", "exchanged"), ("derive-open", "exchanged"),
                                         ("client-finished13", "accepted13")}
                )
                if state not in row.after or wrong_mode:
                    yield mode, state, name


OUT_OF_ORDER = list(_out_of_order())


def test_the_table_is_complete() -> None:
    """Each row has a number of its own, a name, a doc line, sizes that hold, an order that can be met."""
    rows = list(OPERATIONS.values())
    assert len({row.name for row in rows}) == len(NUMBERS) == len(rows)
    assert set(range(1, len(rows) + 1)) == NUMBERS
    reachable = {"start", "client-start"} | {row.then for row in rows}
    for row in rows:
        assert row.doc and row.name == row.name.lower(), row
        assert 0 <= row.request_min <= row.request_max <= (1 << 16) + 4, row
        assert row.after and row.after <= reachable and "same" not in row.after, row
        assert (row.then == "same") == (row.name in UNCHANGED), row
    assert reachable == set(STATES)


@pytest.mark.parametrize(("mode", "state", "name"), OUT_OF_ORDER)
def test_out_of_order(door: Door, mode: str, state: str, name: str) -> None:
    """An operation that is not allowed now, with a payload that would be good elsewhere; repeats are among them."""
    with door.open(mode) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, payload(key, name))
        refused(key, before, state == "running")


def place(name: str) -> tuple[str, str]:
    """A mode and a state in which the operation is allowed."""
    row = OPERATIONS[name]
    certified = name in ("anchors", "peer-chain", "derive", "transcript", "peer-verify", "finished-client",
                         "peer-chain13", "peer-verify13")  # fmt: skip
    newer = "13" in name
    newer = newer or name in ("run", "close-input")
    states = (CERTIFIED13 if newer else CERTIFIED) if certified else PLAIN13 if newer else PLAIN
    mode = ("certified" if certified else "plain") + ("13" if newer else "")
    return mode, next(state for state in states if state in row.after)


SIZES = [
    (name, size)
    for name, row in SERVERS.items()
    for size in (row.request_min - 1, row.request_max + 1, 120000)
    if size >= 0
]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_wrong_size(door: Door, name: str, size: int) -> None:
    """One byte too few, one too many, and very many, at the right place of the order."""
    mode, state = place(name)
    with door.plain("-n") if name == "start" else door.open(mode) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, (payload(key, name) + bytes(size))[:size])
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", PLAIN)
@pytest.mark.parametrize("number", [0, max(NUMBERS) + 1, 64, 255])
def test_unknown_operation(door: Door, state: str, number: int) -> None:
    """A number that is not in the table."""
    with door.plain() as key:
        key.reach(state)
        before = cursors(key)
        key.send(number)
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", PLAIN)
def test_empty_message(door: Door, state: str) -> None:
    """A message without even its first byte."""
    with door.plain() as key:
        key.reach(state)
        before = cursors(key)
        key.port.send(b"")
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", PLAIN)
def test_net_is_gone(door: Door, state: str) -> None:
    """A closed port ends key too: it leaves nothing running."""
    with door.plain() as key:
        key.reach(state)
        key.port.close()
        assert key.ended() == 0


def test_once(door: Door, certs: Certs) -> None:
    """The anchor file is given out once, and prog is started once."""
    with door.certified() as key:
        assert key.good("anchors") == certs.client_ca.read_bytes()
        before = cursors(key)
        key.send("anchors")
        refused(key, before)
    with door.plain("-n") as key:
        key.good("start", ADDRESSES)
        before = cursors(key)
        key.send("start", ADDRESSES)
        refused(key, before, prog_runs=True)


@pytest.mark.parametrize("mode", ["plain13", "certified13"])
def test_the_good_order_of_tls_1_3_works(door: Door, mode: str) -> None:
    """The same for TLS 1.3, and a KeyUpdate."""
    with door.open(mode) as key:
        assert isinstance(key, KeySide13)
        key.reach("running")
        key.produce(key.seal(Record.DATA, b"to prog"))
        assert os.read(key.prog_in, 100) == b"to prog"
        key.produce(key.seal(Record.HANDSHAKE, message(24, b"\0")))
        assert key.receive() == (64, bytes([Record.HANDSHAKE]) + message(24, b"\0"))
        key.send("update13", b"\0")
        key.send("resume", b"\0")
        secret = key.schedule.next(key.schedule.client_application)
        key.writer, key.records = key.schedule.protection(secret), 0
        key.produce(key.seal(Record.DATA, b"more"))
        assert os.read(key.prog_in, 100) == b"more"
        key.produce(key.seal(Record.ALERT, b"\1\0"))
        assert key.receive() == (64, bytes([Record.ALERT]) + b"\1\0")
        key.send("close-input")
        key.produce(key.seal(Record.DATA, b"behind the end"))
        assert os.read(key.prog_in, 100) == b""


@pytest.mark.parametrize("what", [
    {"suite": 0x1304}, {"suite": 0xCCA9}, {"group": 24}, {"group": 0}, {"limit": 62}, {"limit": 16385}, {"protocol": 1},
    {"point": bytes(134)},
], ids=repr)  # fmt: skip
def test_accept_of_what_is_not_offered(door: Door, what: dict[str, int]) -> None:
    """Suite, group and protocol are the options' to choose, not net's."""
    with door.open("plain13") as key:
        assert isinstance(key, KeySide13)
        key.reach("greeted13")
        key.send("accept13", key.accept_request(**what))  # type: ignore[arg-type]
        refused(key, (0, 0))


@pytest.mark.parametrize(("what", "alert"), [
    ({"point": bytes(32)}, 47), ({"point": bytes(31)}, 47), ({"schemes": ()}, 40), ({"schemes": (0x0503,)}, 40),
], ids=repr)  # fmt: skip
def test_accept_of_a_bad_share(door: Door, what: dict[str, bytes], alert: int) -> None:
    """Refused with its alert, and that is the end."""
    with door.open("plain13") as key:
        assert isinstance(key, KeySide13)
        key.reach("greeted13")
        assert key.ask("accept13", key.accept_request(**what)) == (1, bytes([alert, 0]))  # type: ignore[arg-type]
        refused(key, (0, 0))


def test_a_bad_finished(door: Door) -> None:
    """After a refusal an alert is sealed and prog does not start."""
    with door.open("plain13") as key:
        assert isinstance(key, KeySide13)
        key.reach("accepted13")
        assert key.ask("client-finished13", message(20, bytes(32))) == (1, bytes([51, 0]))
        key.send("seal", b"\x15\2\x33")
        before = key.sealed_head(), key.consumed()
        key.send("run", ADDRESSES)
        assert key.ended() == 0
        traces = key.traces()
        assert (traces.to_go, traces.consumed) == (b"", before[1])


@pytest.mark.parametrize("mode", ["plain", "certified"])
def test_the_good_order_works(door: Door, mode: str) -> None:
    """The whole way, so that the refusals above are refusals of what they say: data in, data out, an alert, the end."""
    with door.open(mode) as key:
        key.reach("running")
        assert key.seal(Record.DATA, b"") and key.records  # its number is used up: from here on nothing fits any more
        key.records -= 1
        key.client_side = key.keys.client_side()
        key.produce(key.seal(Record.DATA, b"to prog"))
        assert os.read(key.prog_in, 100) == b"to prog"


# ---- what the table cannot say ----


@pytest.mark.parametrize("size", [0, 3, 200])
def test_load_whose_length_lies(door: Door, size: int) -> None:
    """The name's length byte must be the rest of the message."""
    with door.plain() as key:
        key.send("load", bytes([RSA_BIT | EC_BIT, 0, size]) + b"four")
        refused(key, (0, 0))


@pytest.mark.parametrize(("group", "version", "hash_id"), [
    (Group.SECP384R1, TLS12, 4),  # a group that the options do not name
    (0, TLS12, 4), (30, TLS12, 4), (255, TLS12, 4),
    (Group.X25519, 0x0300, 4), (Group.X25519, 0x0304, 4), (Group.X25519, 0, 4),
])  # fmt: skip
def test_exchange_of_what_is_not_offered(door: Door, group: int, version: int, hash_id: int) -> None:
    """Group and version are the options' to choose, not net's."""
    with door.plain() as key:
        key.reach("loaded")
        key.send("exchange", key.exchange_request(group, version, hash_id))
        refused(key, (0, 0))


@pytest.mark.parametrize(("version", "low", "high"), [(TLS10, "tls12", "tls12"), (TLS11, "tls12", "tls12"),
                                                       (TLS12, "tls10", "tls11")])  # fmt: skip
def test_version_outside_the_options(certs: Certs, version: int, low: str, high: str) -> None:
    """-m and -M bind key too: a conquered net cannot sign or derive for another version."""
    with KeySide(["-f", str(certs.server("p256")), "-m", low, "-M", high]) as key:
        key.reach("loaded")
        key.send("exchange", key.exchange_request(version=version))
        refused(key, (0, 0))


def test_suite_outside_the_options(certs: Certs) -> None:
    """-c binds key too."""
    with KeySide(["-f", str(certs.server("p256")), "-c", "AES_128_GCM_SHA256"]) as key:  # derives for ChaCha20
        key.reach("exchanged")
        key.send("derive-finished", key.derive_finished_request())
        refused(key, (0, 0))


@pytest.mark.parametrize("hash_id", [0, 1, 7, 255])
def test_hash_that_signs_nothing(door: Door, hash_id: int) -> None:
    """MD5 and unknown hashes are not signed with; the reply says so and carries no signature."""
    with door.plain() as key:
        key.reach("loaded")
        reply = key.ask("exchange", key.exchange_request(hash_id=hash_id))
        assert reply is not None and reply[0] == 1 and reply[1][-2:] == b"\0\0", reply


BAD_POINTS = {
    "x25519 zero": (Group.X25519, bytes(32)),
    "x25519 one": (Group.X25519, bytes([1]) + bytes(31)),
    "x25519 of order 8": (
        Group.X25519,
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    ),
    "x25519 p": (Group.X25519, bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
    "x25519 short": (Group.X25519, bytes([9]) + bytes(30)),
    "x25519 long": (Group.X25519, bytes([9]) + bytes(32)),
    "P-256 off the curve": (Group.SECP256R1, b"\4" + bytes([1]) * 64),
    "P-256 zero": (Group.SECP256R1, b"\4" + bytes(64)),
    "P-256 compressed": (Group.SECP256R1, b"\2" + bytes([1]) * 32),
    "P-256 infinity": (Group.SECP256R1, b"\0"),
}


@pytest.mark.parametrize("name", BAD_POINTS)
def test_bad_point(door: Door, name: str) -> None:
    """Points of small order and points that are none: refused, and that is the end (RFC 7748 6.1, RFC 8422 5.11)."""
    group, point = BAD_POINTS[name]
    with door.plain() as key:
        key.reach("loaded")
        key.good("exchange", key.exchange_request(group))
        assert key.ask("derive-finished", key.derive_finished_request(point)) == (1, b"")
        refused(key, (0, 0))


@pytest.mark.parametrize(("suite", "fragment"), [(0xCCA9, 511), (0xCCA9, 16385), (0xCCA9, 0), (0, 16384),
                                                  (0x002F, 16384), (0x1301, 16384)])  # fmt: skip
def test_derive_for_nonsense(door: Door, suite: int, fragment: int) -> None:
    """A suite that is not in the table, a fragment size out of bounds."""
    with door.plain() as key:
        key.reach("exchanged")
        key.send("derive-finished", u16(suite) + u16(fragment) + key.derive_finished_request()[4:])
        refused(key, (0, 0))


def test_aead_before_tls12(door: Door) -> None:
    """An AEAD suite exists from TLS 1.2 on only."""
    with door.plain() as key:
        key.reach("loaded")
        key.good("exchange", key.exchange_request(version=TLS10))
        key.send("derive-finished", key.derive_finished_request(bytes([9]) + bytes(31)))
        refused(key, (0, 0))


@pytest.mark.parametrize("kind", [0, 20, 22, 23, 24, 255])
@pytest.mark.parametrize("state", ["client-finished", "opened", "running"])
def test_seal_of_other_types(door: Door, state: str, kind: int) -> None:
    """Alerts are sealed for net; application data never, and no handshake message."""
    with door.plain() as key:
        key.reach(state)
        before = cursors(key)
        key.send("seal", bytes([kind]) + b"data")
        refused(key, before, state == "running")


def test_open_gives_no_application_data(door: Door) -> None:
    """Data that a client sends early (False Start, RFC 7918) must not be opened for net."""
    with door.plain() as key:
        key.reach("opened")
        key.produce(key.seal(Record.DATA, b"secret of the client"))
        reply = key.ask("open")
        assert reply is None or (reply[0] == 1 and b"secret" not in reply[1]), reply


@pytest.mark.parametrize("facts", [
    b"", vec(1, b"1.2.3.4") * 3, vec(1, b"1.2.3.4") * 3 + vec(1, b""), vec(1, b"1.2.3.4") * 3 + b"\x09443",
    vec(1, b"LD_PRELOAD=/x") + vec(1, b"1") * 3, vec(1, b"1.2.3.4\0") + vec(1, b"1") * 3,
    vec(1, b"1.2.3.4\n") + vec(1, b"1") * 3, vec(1, b"() { :;}") + vec(1, b"1") * 3,
    vec(1, b"1" * 48) + vec(1, b"1") * 3,
])  # fmt: skip
@pytest.mark.parametrize(("mode", "state", "name", "digest"), [
    ("plain", "opened", "finished-server", vec(1, bytes(32))), ("plain13", "admitted13", "run", b""),
])  # fmt: skip
def test_run_with_bad_addresses(door: Door, mode: str, state: str, name: str, digest: bytes, facts: bytes) -> None:
    """Addresses are digits, hex and separators, of an address's length: prog does not start for anything else."""
    with door.open(mode) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, digest + facts)
        refused(key, before)


@pytest.mark.parametrize("name", [b"() { :;}; x", b"a\nb", b"a\x00b", b"../../etc", b"\xff\xfe", b" "])
def test_name_in_progs_environment(door: Door, name: bytes) -> None:
    """Net may claim any server name; only a DNS name reaches prog's environment."""
    with door.plain() as key:
        key.good("load", key.load_request(name))
        key.reach("running")
        key.port.close()
        key.ended()
        assert name not in key.traces().to_go


# ---- lies in the ring ----


@pytest.mark.parametrize("name", RINGS)
def test_lies_before_finished(door: Door, name: str) -> None:
    """Key looks only where whole records can be."""
    head, data = RINGS[name]
    with door.plain() as key:
        key.reach("client-finished")
        key.produce(data, publish=False)
        key.publish(head)
        key.send("open")
        refused(key, (0, 0))


@pytest.mark.parametrize("name", [name for name in RINGS if name != "nothing there"])
def test_lies_while_running(door: Door, name: str) -> None:
    """The same in the loop: cursors count from what was consumed."""
    head, data = RINGS[name]
    with door.plain() as key:
        key.reach("running")
        before = cursors(key)
        key.produce(data, publish=False)
        key.publish((head + before[1]) % (1 << 64))
        refused(key, before, prog_runs=True)


def test_forged_record_while_running(door: Door) -> None:
    """A record that does not open is reported once, with the alert; nothing of it goes to prog."""
    with door.plain() as key:
        key.reach("running")
        key.produce(bytes([Record.DATA]) + u16(TLS12) + vec(2, bytes(64)))
        reply = key.receive()
        assert reply is not None and reply[1] == b"\x14", reply  # bad_record_mac
        key.port.close()
        assert key.ended() == 0
        assert key.traces().to_prog_in == b""


def test_handshake_record_while_running(door: Door) -> None:
    """What is no application data is given to net; what comes behind it waits for net's word."""
    with door.plain() as key:
        key.reach("running")
        key.produce(key.seal(Record.HANDSHAKE, message(0, b"")) + key.seal(Record.DATA, b"behind"))
        reply = key.receive()
        assert reply is not None and reply[1] == bytes([Record.HANDSHAKE]) + message(0, b""), reply
        assert key.alive()
        key.send("resume", b"\0")
        assert os.read(key.prog_in, 100) == b"behind"
