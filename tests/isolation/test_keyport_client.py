"""The key port of a TLS client from the side of a conquered net: no operation out of its order, size or number.

Every case is one real key process. It must answer by ending, and nothing else may have come of it: no reply, no byte
for prog, no word that lets prog start, no record in the ring.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.certs import Certs
from tests.harness import needs_root
from tests.wire.messages import u16, vec
from tests.wire.names import TLS10, TLS11, TLS12, Alert, Group, Record

from .clientkeyside import CERTIFIED, PLAIN, STATIC, STATIC_ECDH, ClientKeySide, Shape
from .keyside import ADDRESSES, OPERATIONS, RINGS, cursors, refused

pytestmark = needs_root

END = ("finished-sent", "finished-due", "finished-opened", "running")
MODES = {
    "plain": (PLAIN, ("client-start", "trusting", "chain-good", "params-good", "agreed", *END)),
    "certified": (CERTIFIED, ("client-start", "chain-good", "agreed", "signed", "finished-sent")),
    "static": (STATIC, ("chain-good", "agreed", "finished-sent")),
}
SERVERS = {"start", "loaded", "exchanged", "peer-known", "derived", "peer-verified", "client-finished", "opened",
           "greeted13", "accepted13", "peer-known13", "peer-verified13", "admitted13"}  # fmt: skip
CLIENTS = {name: row for name, row in OPERATIONS.items() if not row.after <= SERVERS and not name.endswith("13")}


def payload(key: ClientKeySide, name: str) -> bytes:
    """A payload for this operation that would be good at its place, as far as the state lets one be made."""
    if name == "server-chain":
        return key.chain()
    if name == "server-params":
        return key.params_request(None if key.params else b"\3\0\x1d\x20" + bytes(40))
    if name == "agree":
        return key.agree_request()
    if name == "transcript":
        return bytes(key.flight())
    if name == "client-sign":
        return b"\4"
    if name == "load":
        return b"\6\0"
    if name in ("run", "start"):
        return ADDRESSES
    if name == "seal":
        return bytes([Record.HANDSHAKE, 1])
    return bytes(max(OPERATIONS[name].request_min, 1 if name == "peer-chain" else 0))


def _out_of_order() -> Iterator[tuple[str, str, str]]:
    """(mode, state, operation) for all that the table or the mode does not allow there, a server's included."""
    for mode, (shape, states) in MODES.items():
        for state in states:
            for name, row in OPERATIONS.items():
                if state not in row.after:
                    yield mode, state, name
                elif state == "agreed" and (name == "client-sign" or (name == "transcript" and not shape.client)):
                    yield mode, state, name  # without a certificate of ours; with one, before the transcript
                elif state == "chain-good" and name == "agree" and mode != "static":
                    yield mode, state, name  # ECDHE without the server's parameters


OUT_OF_ORDER = list(_out_of_order())


@pytest.mark.parametrize(("mode", "state", "name"), OUT_OF_ORDER)
def test_out_of_order(certs: Certs, mode: str, state: str, name: str) -> None:
    """An operation that is not allowed now, with a payload that would be good elsewhere; repeats are among them."""
    with ClientKeySide(certs, MODES[mode][0]) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, payload(key, name))
        refused(key, before, state == "running")


SIZES = [
    (name, size)
    for name, row in CLIENTS.items()
    for size in (row.request_min - 1, row.request_max + 1, 120000)
    if size >= 0
]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_wrong_size(certs: Certs, name: str, size: int) -> None:
    """One byte too few, one too many, and very many, at the right place of the order."""
    mode = "certified" if name in ("transcript", "client-sign") else "plain"
    shape, states = MODES[mode]
    allowed = [state for state in states if state in OPERATIONS[name].after]
    state = allowed[-1] if name == "agree" else allowed[0]  # `agree` wants the server's parameters here
    with ClientKeySide(certs, shape) as key:
        key.reach(state)
        before = cursors(key)
        key.send(name, (payload(key, name) + bytes(size))[:size])
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", MODES["plain"][1])
@pytest.mark.parametrize("number", [0, len(OPERATIONS) + 1, 64, 255, None])
def test_unknown_operation(certs: Certs, state: str, number: int | None) -> None:
    """A number that is not in the table; a message without even its first byte."""
    with ClientKeySide(certs) as key:
        key.reach(state)
        before = cursors(key)
        if number is None:
            key.port.send(b"")
        else:
            key.send(number)
        refused(key, before, state == "running")


@pytest.mark.parametrize("state", MODES["plain"][1])
def test_net_is_gone(certs: Certs, state: str) -> None:
    """A closed port ends key too."""
    with ClientKeySide(certs) as key:
        key.reach(state)
        key.port.close()
        assert key.ended() == 0


GOOD = [
    PLAIN, CERTIFIED, STATIC, STATIC_ECDH,
    Shape("p384", 0xC0AC, group=Group.SECP384R1, client="p521"), Shape("p521", 0xC0AF, group=Group.SECP521R1),
    Shape("rsa2048", 0xC030, group=Group.SECP256R1, client="rsa2048"), Shape("rsa2048", 0xC012, TLS10),
    Shape("rsa2048", 0xC013, TLS11, client="rsa2048"), Shape("p256", 0xC009, TLS10, client="p256"),
    Shape("rsa2048", 0x000A, TLS10, client="p256"), Shape("rsa2048", 0xC0A1, client="rsa2048"),
    Shape("p384", 0xC00F, TLS11, client="p256"), Shape("p521", 0xC02A, client="rsa2048"),
]  # fmt: skip


@pytest.mark.parametrize("shape", GOOD, ids=str)
def test_the_good_order_works(certs: Certs, shape: Shape) -> None:
    """The whole way, so that the refusals here are refusals of what they say; and against another's key schedule.

    Data in, data out, Finished sealed before them; prog is told of the connection once.
    """
    with ClientKeySide(certs, shape) as key:
        key.reach("finished-sent")
        key.send("seal", bytes([Record.HANDSHAKE]) + b"our Finished")
        key.reach("running")
        go = os.read(key.go, 4096)
        assert key.suite.openssl.encode() in go and b"test.example" in go
        key.produce(key.seal(Record.DATA, b"to prog"))
        assert os.read(key.prog_in, 100) == b"to prog"
        os.write(key.prog_out, b"from prog")
        os.close(key.prog_out)
        key.prog_out = os.open("/dev/null", os.O_RDONLY)
        assert key.receive() == (66, b"")  # prog's output has ended, so all of it is in the ring
        sealed = key.opened()
        assert sealed[0] == (Record.HANDSHAKE, b"our Finished")
        assert b"".join(text for _, text in sealed[1:]) == b"from prog"
        assert {kind for kind, _ in sealed[1:]} == {Record.DATA}


# ---- the server's Finished, application data ----


@pytest.mark.parametrize("kind", [0, 20, 23, 24, 255])
@pytest.mark.parametrize("state", END)
def test_seal_of_other_types(certs: Certs, state: str, kind: int) -> None:
    """Alerts and handshake messages are sealed for net, application data never."""
    with ClientKeySide(certs) as key:
        key.reach(state)
        before = cursors(key)
        key.send("seal", bytes([kind]) + b"data")
        refused(key, before, state == "running")


AFTER_REFUSAL = [name for name, row in OPERATIONS.items() if "finished-opened" in row.after and name != "seal"]


@pytest.mark.parametrize("name", AFTER_REFUSAL)
@pytest.mark.parametrize("record", ["data", "forged", "of another number"])
def test_nothing_begins_without_the_servers_finished(certs: Certs, record: str, name: str) -> None:
    """Early data, or a record by who has no keys: refused, and prog does not start whatever net says then."""
    with ClientKeySide(certs) as key:
        key.reach("finished-due")
        if record == "of another number":
            key.records += 1
        sealed = bytearray(key.seal(Record.DATA if record == "data" else Record.HANDSHAKE, b"secret of the server"))
        sealed[-1] ^= record == "forged"
        key.produce(bytes(sealed))
        alert = Alert.UNEXPECTED_MESSAGE if record == "data" else Alert.BAD_RECORD_MAC
        assert key.ask("open-finished") == (1, bytes([alert]))
        before = cursors(key)
        key.produce(key.seal(Record.HANDSHAKE, key.finished))
        key.send(name)
        refused(key, before)


def test_data_behind_the_servers_finished_is_not_opened_for_net(certs: Certs) -> None:
    """`open-finished` may be asked again, for an alert; application data it does not give away."""
    with ClientKeySide(certs) as key:
        key.reach("finished-opened")
        key.produce(key.seal(Record.DATA, b"secret of the server"))
        assert key.ask("open-finished") == (1, bytes([Alert.UNEXPECTED_MESSAGE]))
        before = cursors(key)
        key.send("begin")
        refused(key, before)


@pytest.mark.parametrize("state", ["finished-sent", "finished-due", "finished-opened"])
def test_progs_output_waits(certs: Certs, state: str) -> None:
    """Nothing that prog might write is sealed before `begin`."""
    with ClientKeySide(certs) as key:
        key.reach(state)
        before = cursors(key)
        os.write(key.prog_out, b"early")
        key.send("seal", bytes([Record.ALERT]) + b"\1\0")
        key.send("resume", b"\0")  # ends key when it comes to that
        assert key.ended() == 0
        assert key.opened() == [(Record.ALERT, b"\1\0")]
        assert (before[0], key.consumed()) == (0, before[1])


# ---- lies in the ring ----


@pytest.mark.parametrize("name", RINGS)
def test_lies_before_finished(certs: Certs, name: str) -> None:
    """Key looks only where whole records can be."""
    head, data = RINGS[name]
    with ClientKeySide(certs) as key:
        key.reach("finished-due")
        key.produce(data, publish=False)
        key.publish(head)
        key.send("open-finished")
        refused(key, (0, 0))


@pytest.mark.parametrize("name", [name for name in RINGS if name != "nothing there"])
def test_lies_while_running(certs: Certs, name: str) -> None:
    """The same in the loop: cursors count from what was consumed."""
    head, data = RINGS[name]
    with ClientKeySide(certs) as key:
        key.reach("running")
        before = cursors(key)
        key.produce(data, publish=False)
        key.publish((head + before[1]) % (1 << 64))
        refused(key, before, prog_runs=True)


@pytest.mark.parametrize("suite", [0xC008, 0xC009], ids=["3DES", "AES"])
@pytest.mark.parametrize("state", ["finished-due", "running"])
def test_a_record_that_is_no_whole_number_of_blocks(certs: Certs, state: str, suite: int) -> None:
    """Of every size around a block: a bad record, reported once. BearSSL's 3DES would not have stopped at its end."""
    for size in (65, 68, 71, 16400 + 7):
        with ClientKeySide(certs, Shape("p256", suite)) as key:
            key.reach(state)
            key.produce(bytes([Record.HANDSHAKE]) + u16(TLS12) + vec(2, bytes(size)))
            if state == "finished-due":
                assert key.ask("open-finished") == (1, bytes([Alert.BAD_RECORD_MAC]))
            else:
                assert key.receive() == (65, bytes([Alert.BAD_RECORD_MAC]))
            key.port.close()
            assert key.ended() == 0
