"""What a client must take from a server although it is unusual, and what its own first flight says."""

from __future__ import annotations

import pytest

from tests.wire.messages import Reader, message, vec
from tests.wire.names import TLS10, TLS11, TLS12, WARNING, Alert, Ext, Group, Msg, Record

from .material import Material
from .scripted import Act, WireRow, run
from .server import CBC, Server
from .tlsc import Tlsc


def one_record(s: Server) -> None:
    """The whole flight in one record."""
    s.read_hello()
    s.version = s.chosen
    flight = message(Msg.SERVER_HELLO, s.hello_body()) + s.certificate_message()
    flight += message(Msg.SERVER_KEY_EXCHANGE, s.key_exchange_body()) + message(Msg.SERVER_HELLO_DONE, b"")
    s.transcript += flight
    s.send_pieces(flight)
    finish(s)


def pieces(size: int) -> Act:
    """The whole flight in records of so many bytes."""

    def act(s: Server) -> None:
        s.read_hello()
        s.version = s.chosen
        flight = message(Msg.SERVER_HELLO, s.hello_body()) + s.certificate_message()
        flight += message(Msg.SERVER_KEY_EXCHANGE, s.key_exchange_body()) + message(Msg.SERVER_HELLO_DONE, b"")
        s.transcript += flight
        s.send_pieces(flight, size)
        finish(s)

    return act


def trickled(s: Server) -> None:
    """Every byte of our side in a segment of its own."""
    send = s.send_raw

    def send_bytes(data: bytes) -> None:
        for at in range(len(data)):
            send(data[at : at + 1])

    s.send_raw = send_bytes  # type: ignore[method-assign]
    s.handshake()
    s.send_data(b"hello")


def finish(s: Server) -> None:
    s.read_flight()
    s.read_finished()
    s.send_ccs()
    s.send_finished()
    s.send_data(b"hello")


def hello_requests(s: Server) -> None:
    """Between the messages of a handshake they are to be ignored (RFC 5246 section 7.4.1.1)."""
    ask = s.frame(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b""), TLS12)
    s.read_hello()
    s.send_raw(ask)
    s.send_hello()
    s.send_raw(ask)
    s.send_certificate()
    s.send_key_exchange()
    s.send_done()
    s.read_flight()
    s.read_finished()
    s.send_raw(ask)
    s.send_ccs()
    s.send(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b""))
    s.send_finished()
    s.send_data(b"hello")


def warnings(s: Server) -> None:
    s.read_hello()
    s.send_raw(s.frame(Record.ALERT, bytes([WARNING, Alert.UNRECOGNIZED_NAME]), TLS12))
    s.send_flight()
    finish(s)


def served(s: Server) -> None:
    s.handshake()
    s.send_data(b"hello")


def renegotiation(s: Server) -> None:
    """A wish for another handshake is refused with a warning, and the connection goes on."""
    s.handshake()
    s.send(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b""))
    while not s.alerts:
        s.read()
    assert (s.alerts[0].level, s.alerts[0].description, s.alerts[0].sealed) == (WARNING, Alert.NO_RENEGOTIATION, True)
    s.send_data(b"hello")


def small_records(s: Server) -> None:
    """Records of one byte, and empty ones between."""
    s.handshake()
    for byte in b"hello":
        s.send(Record.DATA, b"")
        s.send(Record.DATA, bytes([byte]))


def echoes(*extensions: tuple[int, bytes]) -> Act:
    """ServerHello with extensions that answer ours."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_hello(extensions=list(extensions))
        s.send_certificate()
        s.send_key_exchange()
        s.send_done()
        finish(s)

    return act


LEGAL = [
    WireRow("one-record", one_record),
    *(WireRow(f"pieces-{size}", pieces(size)) for size in (1, 3, 5, 100)),
    WireRow("trickled", trickled),
    WireRow("hello-requests", hello_requests),
    WireRow("warning", warnings),
    WireRow("renegotiation-refused", renegotiation),
    WireRow("small-records", small_records),
    WireRow("no-extensions", echoes()),
    WireRow("all-extensions", echoes((Ext.SERVER_NAME, b""), (Ext.RENEGOTIATION_INFO, b"\0"),
                                     (Ext.EC_POINT_FORMATS, b"\1\0"))),
    *(WireRow(f"static-{suite:#x}-{version:#x}", served, certificate="rsa2048", suite=suite, version=version)
      for suite, version in ((0x009C, TLS12), (0x003C, TLS12), (0x002F, TLS12), (0x002F, TLS11), (0x002F, TLS10))),
    WireRow("static-ecdh", served, suite=0xC02D),
    *(WireRow(f"group-{group}", served, group=group) for group in Group),
    *(WireRow(f"version-{version:#x}", served, suite=CBC, version=version) for version in (TLS10, TLS11)),
    WireRow("asked-for-a-certificate", lambda s: (s.handshake(request=True), s.send_data(b"hello"))[0]),
]  # fmt: skip


@pytest.mark.parametrize("row", LEGAL, ids=lambda row: row.name)
def test_served(row: WireRow, material: Material) -> None:
    assert run(WireRow(**{**vars(row), "data": b"hello"}), material) == []


def test_client_hello(material: Material) -> None:
    """What the first flight offers: every version by the highest, ECDHE first, RSA last, and the name."""
    with Tlsc(["-k", "localhost"], env={"CAFILE": material.path("ca")}) as tlsc:
        server = Server(tlsc.peer, None)  # type: ignore[arg-type]
        seen = server.read_hello()
        assert (seen.version, len(seen.session_id), seen.compressions) == (TLS12, 32, b"\0")
        assert server.seen[0].version == TLS10, "old servers take nothing higher in the first record"
        assert seen.suites[:5] == (0x1303, 0x1302, 0x1301, 0xCCA9, 0xCCA8)
        ephemeral = [suite for suite in seen.suites if suite in (0xC02B, 0xC02F, 0xC00A, 0xC014)]
        static = [suite for suite in seen.suites if suite in (0x009C, 0x009D, 0x002F, 0x0035)]
        assert len(ephemeral) == len(static) == 4
        assert max(map(seen.suites.index, ephemeral)) < min(map(seen.suites.index, static))
        assert len(set(seen.suites)) == len(seen.suites)
        name = Reader(seen.extensions[Ext.SERVER_NAME])
        assert name.vector(2) == b"\0" + vec(2, b"localhost")
        assert seen.numbers(Ext.SUPPORTED_GROUPS) == [29, 23, 24, 25] and len(Group) == 4
        assert Reader(seen.extensions[Ext.SUPPORTED_VERSIONS]).vector(1) == b"\3\4\3\3\3\2\3\1"
        shares = Reader(Reader(seen.extensions[Ext.KEY_SHARE]).vector(2))
        assert (shares.number(2), len(shares.vector(2)), shares.more()) == (Group.X25519, 32, False)
        schemes = seen.numbers(Ext.SIGNATURE_ALGORITHMS)
        assert {0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401} <= set(schemes)
        assert 0x0807 not in schemes, "a certificate with an Ed25519 key cannot be verified"
        assert len(set(schemes)) == len(schemes)
        assert seen.extensions[Ext.RECORD_SIZE_LIMIT] == b"\x40\x01"
        assert Ext.PSK_KEY_EXCHANGE_MODES not in seen.extensions, "no ticket is wanted"
        assert Ext.RENEGOTIATION_INFO in seen.extensions or 0x00FF in seen.suites
        assert Ext.SESSION_TICKET not in seen.extensions and Ext.ALPN not in seen.extensions


@pytest.mark.parametrize("options", [[], ["-k", ""], ["-k", "127.0.0.1"], ["-k", "::1"]], ids=str)
def test_no_name_is_sent(material: Material, options: list[str]) -> None:
    """Without a name, and for an address, there is no server_name (RFC 6066 section 3)."""
    with Tlsc(options, env={"CAFILE": material.path("ca")}) as tlsc:
        assert Ext.SERVER_NAME not in Server(tlsc.peer, None).read_hello().extensions  # type: ignore[arg-type]


def test_randoms_are_fresh(material: Material) -> None:
    """No two connections begin with the same random."""
    seen = set()
    for _ in range(4):
        with Tlsc(["-k", "localhost"], env={"CAFILE": material.path("ca")}) as tlsc:
            seen.add(Server(tlsc.peer, None).read_hello().random)  # type: ignore[arg-type]
    assert len(seen) == 4
