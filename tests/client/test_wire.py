"""What a client answers to a server that breaks the protocol: every alert that s6-tlsc must send, and none too many.

RFC 5246 section 7.2.2 names the alerts; RFC 8422 section 5, RFC 5746 section 3.4 and RFC 8446 section 4.1.3 the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.messages import message, u16, vec
from tests.wire.names import FATAL, MAX_PLAIN, TLS10, TLS11, TLS12, WARNING, Alert, Ext, Group, Msg, Record

from .material import Material
from .scripted import POISON, Act, WireRow, run
from .server import CBC, CHAPOL, GCM, RSA_GCM, Server


def only(*alerts: int) -> frozenset[int]:
    return frozenset(alerts)


UNEXPECTED, MAC, OVERFLOW = (
    only(Alert.UNEXPECTED_MESSAGE),
    only(Alert.BAD_RECORD_MAC),
    only(Alert.RECORD_OVERFLOW),
)
DECODE, ILLEGAL, DECRYPT = only(Alert.DECODE_ERROR), only(Alert.ILLEGAL_PARAMETER), only(Alert.DECRYPT_ERROR)
VERSION, EXTENSION = only(Alert.PROTOCOL_VERSION), only(Alert.UNSUPPORTED_EXTENSION)
FAILURE = only(Alert.HANDSHAKE_FAILURE)


def flip(data: bytes, at: int = -1) -> bytes:
    """One bit of one byte turned."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# acts: one fault each


def hello(**fields: object) -> Act:
    """A ServerHello with these fields."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_hello(**fields)

    return act


def hello_extensions(*extensions: tuple[int, bytes]) -> Act:
    return hello(extensions=[(Ext.RENEGOTIATION_INFO, b"\0"), *extensions])


def hello_body(change: Callable[[bytes], bytes]) -> Act:
    """A ServerHello whose body is changed."""

    def act(s: Server) -> None:
        s.read_hello()
        s.version = s.chosen
        s.send_message(message(Msg.SERVER_HELLO, change(s.hello_body())))

    return act


def downgraded(s: Server) -> None:
    """TLS 1.1 chosen by a server that says in its random that it could do more."""
    s.read_hello()
    s.random = s.random[:24] + b"DOWNGRD\x00"
    s.send_hello()


def downgraded_from_13(s: Server) -> None:
    """TLS 1.2 or less chosen by a server that says in its random that it could do 1.3."""
    s.read_hello()
    s.random = s.random[:24] + b"DOWNGRD\x01"
    s.send_hello()


def resumed(s: Server) -> None:
    """The session id that is there for TLS 1.3 alone comes back with TLS 1.2."""
    s.read_hello()
    s.send_hello(session_id=s.hello.session_id)


def early_ccs(s: Server) -> None:
    """What TLS 1.3 passes over, and then TLS 1.2."""
    s.read_hello()
    s.send(Record.CCS, b"\1")
    s.send_hello()


def early_ccs_for_ever(s: Server) -> None:
    s.read_hello()
    s.send_raw(s.frame(Record.CCS, b"\1") * 33)


def certificate(change: Callable[[Server], bytes]) -> Act:
    """Another Certificate message."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_hello()
        s.send_message(message(Msg.CERTIFICATE, change(s)))
        s.send_key_exchange()
        s.send_done()

    return act


def exchange(**fields: object) -> Act:
    """A ServerKeyExchange with these fields."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_flight(**fields)

    return act


def exchange_body(change: Callable[[bytes], bytes]) -> Act:
    """A ServerKeyExchange whose body is changed."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_hello()
        s.send_certificate()
        s.send_message(message(Msg.SERVER_KEY_EXCHANGE, change(s.key_exchange_body())))
        s.send_done()

    return act


def request(body: bytes) -> Act:
    """Another CertificateRequest."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_hello()
        s.send_certificate()
        s.send_key_exchange()
        s.send_request(body)
        s.send_done()

    return act


def order(*steps: str) -> Act:
    """Messages in this order."""

    def act(s: Server) -> None:
        s.read_hello()
        s.version = s.chosen
        for step in steps:
            getattr(s, f"send_{step}")(**({"switch": False} if step == "ccs" else {}))

    return act


def done_twice(s: Server) -> None:
    """The client has sent its whole flight between the two."""
    s.read_hello()
    s.send_flight()
    s.send_pieces(message(Msg.SERVER_HELLO_DONE, b""))
    s.read_flight()
    s.read_finished()


def raw(kind: int, plain: bytes, version: int | None = None) -> Act:
    """This record in place of ServerHello."""

    def act(s: Server) -> None:
        s.read_hello()
        s.send_raw(s.frame(kind, plain, TLS12 if version is None else version))

    return act


def long_record(s: Server) -> None:
    """A ServerHello's beginning in a record of more than 2^14 bytes."""
    s.read_hello()
    s.send_raw(s.frame(Record.HANDSHAKE, bytes(10), TLS12, length=MAX_PLAIN + 1))


def finished(tamper: Callable[[bytes], bytes]) -> Act:
    """A Finished whose verify_data is changed."""

    def act(s: Server) -> None:
        s.to_finished()
        s.send_ccs()
        s.send_finished(tamper)

    return act


def broken_finished(s: Server) -> None:
    """A Finished in a record that does not open."""
    s.to_finished()
    s.send_ccs()
    s.send_raw(flip(s.seal(Record.HANDSHAKE, message(Msg.FINISHED, s.verify_data()))))


def finished_without_ccs(s: Server) -> None:
    s.to_finished()
    s.send_finished()


def data_for_finished(s: Server) -> None:
    """Application data before our Finished."""
    s.to_finished()
    s.send_ccs()
    s.send_data(POISON)


def finished_with_more(s: Server) -> None:
    """A second message in Finished's record."""
    s.to_finished()
    s.send_ccs()
    s.send_raw(s.seal(Record.HANDSHAKE, message(Msg.FINISHED, s.verify_data()) + message(Msg.HELLO_REQUEST, b"")))


def half_alert_for_ccs(s: Server) -> None:
    """Half of an alert in clear: with its other half the first sealed alert would mean another."""
    s.to_finished()
    s.send_raw(s.frame(Record.ALERT, bytes([WARNING]), TLS12))
    s.send_ccs()
    s.send_finished()


def bad_ccs(body: bytes) -> Act:
    def act(s: Server) -> None:
        s.to_finished()
        s.send_ccs(body)
        s.send_finished()

    return act


# acts behind a good handshake; prog has read b"before" then


def after(act: Act) -> Act:
    def whole(s: Server) -> None:
        s.handshake()
        s.send_data(b"before")
        act(s)

    return whole


def broken_data(s: Server) -> None:
    s.send_raw(flip(s.seal(Record.DATA, POISON)))


def wrong_sequence(s: Server) -> None:
    """A record sealed with the sequence number of a later one."""
    s.write_seq += 1
    s.send(Record.DATA, POISON)


def sealed(kind: int, plain: bytes) -> Act:
    return lambda s: s.send(kind, plain)


def clear_alert(s: Server) -> None:
    """An alert that is not sealed, though our side is."""
    s.send_raw(s.frame(Record.ALERT, bytes([FATAL, Alert.INTERNAL_ERROR])))


def header(kind: int, length: int, version: int | None = None) -> Act:
    return lambda s: s.send_raw(s.frame(kind, bytes(64), version, length=length))


def requests(count: int) -> Act:
    def act(s: Server) -> None:
        for _ in range(count):
            s.send(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b""))

    return act


_AFTER = {"after": True, "data": b"before"}
_AT_ONCE = {"after": True, "data": None}  # found in the record's header: what came before it may still be under way
_SUITES = (("chacha", CHAPOL, "p256"), ("gcm", GCM, "p256"), ("cbc", CBC, "p256"), ("rsa", 0x002F, "rsa2048"))
P = b"\4" + b"\1" * 64  # not on the curve

ROWS = [
    # ServerHello
    *(WireRow(f"version-{v:#x}", hello(version=v), VERSION) for v in (0x0002, 0x0300, 0x0304, 0x0305, 0x0403)),
    WireRow("suite-not-offered", hello(suite=0x0005), ILLEGAL),
    WireRow("suite-of-tls13", hello(suite=0x1301), ILLEGAL),
    WireRow("suite-scsv", hello(suite=0x00FF), ILLEGAL),
    WireRow("suite-of-tls12-in-tls11", hello(suite=GCM), ILLEGAL, version=TLS11),
    WireRow("compression", hello(compression=1), ILLEGAL),
    WireRow("downgrade-marker", downgraded, ILLEGAL, version=TLS11),
    WireRow("session-id-33", hello(session_id=bytes(33)), DECODE),
    *(WireRow(f"extension-{kind}", hello_extensions((kind, body)), EXTENSION) for kind, body in (
        (Ext.ALPN, vec(2, vec(1, b"h2"))), (Ext.SESSION_TICKET, b""), (Ext.EXTENDED_MASTER_SECRET, b""),
        (Ext.ENCRYPT_THEN_MAC, b""), (Ext.STATUS_REQUEST, b""), (0x1234, b""))),
    WireRow("supported-versions-with-1.2", hello_extensions((Ext.SUPPORTED_VERSIONS, u16(TLS12))), ILLEGAL),
    WireRow("record-size-limit-63", hello_extensions((Ext.RECORD_SIZE_LIMIT, u16(63))), ILLEGAL),
    WireRow("record-size-limit-malformed", hello_extensions((Ext.RECORD_SIZE_LIMIT, b"\x40")), DECODE),
    WireRow("server-name-without-ours", hello_extensions((Ext.SERVER_NAME, b"")), EXTENSION, options=("-v0",)),
    WireRow("extension-twice", hello(extensions=[(Ext.RENEGOTIATION_INFO, b"\0")] * 2),
            only(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE), why="no RFC names it for 1.2"),
    WireRow("renegotiation-info-not-empty", hello(extensions=[(Ext.RENEGOTIATION_INFO, b"\1x")]), FAILURE),
    WireRow("point-formats-without-uncompressed", hello_extensions((Ext.EC_POINT_FORMATS, b"\1\1")), ILLEGAL),
    WireRow("hello-empty", hello_body(lambda _: b""), DECODE),
    WireRow("hello-cut", hello_body(lambda b: b[:36]), DECODE),
    WireRow("hello-extensions-cut", hello_body(lambda b: b[:-1]), DECODE),
    WireRow("hello-trailing", hello_body(lambda b: b + b"\0"), DECODE),
    # Certificate
    WireRow("certificate-none", certificate(lambda s: vec(3, b"")),
            only(Alert.HANDSHAKE_FAILURE, Alert.BAD_CERTIFICATE, Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER),
            why="RFC 5246 7.4.2 has no word for it"),
    WireRow("certificate-trailing", certificate(lambda s: s.certificate_message()[4:] + b"\0"), DECODE),
    WireRow("certificate-cut", certificate(lambda s: s.certificate_message()[4:-1]), DECODE),
    WireRow("certificate-empty-entry", certificate(lambda s: vec(3, vec(3, b""))),
            only(Alert.DECODE_ERROR, Alert.BAD_CERTIFICATE), why="ASN.1Cert<1..>: a vector, and a certificate"),
    WireRow("certificate-garbage", certificate(lambda s: vec(3, vec(3, b"garbage" * 30))),
            only(Alert.BAD_CERTIFICATE)),
    WireRow("certificate-bad-signature", certificate(lambda s: vec(3, vec(3, flip(s.identity.chain[0])))),
            only(Alert.BAD_CERTIFICATE, Alert.UNKNOWN_CA), why="an anchor of another key is no anchor"),
    WireRow("certificate-of-another-kind", certificate(lambda s: s.certificate_message()[4:]),
            only(Alert.UNSUPPORTED_CERTIFICATE, Alert.ILLEGAL_PARAMETER, Alert.BAD_CERTIFICATE), suite=RSA_GCM,
            why="RFC 5246 7.4.2 asks for the kind and names no alert"),
    WireRow("wrong-name", exchange(), only(Alert.BAD_CERTIFICATE), "X509_BAD_SERVER_NAME", certificate="other_name"),
    WireRow("unknown-authority", exchange(), only(Alert.UNKNOWN_CA), "X509_NOT_TRUSTED", certificate="stranger"),
    WireRow("self-signed", exchange(), only(Alert.UNKNOWN_CA), "X509_NOT_TRUSTED", certificate="self_signed"),
    WireRow("expired", exchange(), only(Alert.CERTIFICATE_EXPIRED), "X509_EXPIRED", certificate="expired"),
    WireRow("not-yet-valid", exchange(), only(Alert.CERTIFICATE_EXPIRED), "X509_EXPIRED", certificate="not_yet"),
    # ServerKeyExchange
    *(WireRow(f"signature-{label}", exchange(tamper=flip), DECRYPT, "BAD_SIGNATURE", certificate=kind, suite=suite,
              version=version)
      for label, kind, suite, version in (
          ("ecdsa", "p256", CHAPOL, TLS12), ("rsa", "rsa2048", RSA_GCM, TLS12), ("ecdsa-tls10", "p256", CBC, TLS10),
          ("rsa-tls11", "rsa2048", 0xC013, TLS11))),
    WireRow("signature-of-other-randoms", exchange(randoms=bytes(64)), DECRYPT, "BAD_SIGNATURE"),
    WireRow("signature-cut", exchange(tamper=lambda s: s[:-1]), only(Alert.DECRYPT_ERROR, Alert.DECODE_ERROR),
            why="an ECDSA signature is a structure too"),
    WireRow("scheme-of-the-other-kind", exchange(scheme=0x0401), ILLEGAL),
    WireRow("scheme-unknown", exchange(scheme=0x0903), ILLEGAL),
    WireRow("scheme-pss-ill-signed", exchange(scheme=0x0804), DECRYPT, certificate="rsa2048", suite=RSA_GCM),
    WireRow("scheme-pss-of-pss-keys", exchange(scheme=0x0809), ILLEGAL, certificate="rsa2048", suite=RSA_GCM),
    WireRow("scheme-pss-of-ecdsa", exchange(scheme=0x0804), ILLEGAL),
    WireRow("group-unknown", exchange(group=30), ILLEGAL),
    WireRow("group-with-another-point", exchange(group=Group.SECP256R1), ILLEGAL),
    WireRow("explicit-curve", exchange_body(lambda b: b"\1" + b[1:]), ILLEGAL),
    WireRow("point-empty", exchange(point=lambda _: b""), DECODE),
    WireRow("point-off-the-curve", exchange(point=lambda _: P), ILLEGAL, group=Group.SECP256R1),
    WireRow("point-compressed-form", exchange(point=lambda p: b"\2" + p[1:33]), ILLEGAL, group=Group.SECP256R1),
    WireRow("point-x25519-zero", exchange(point=lambda _: bytes(32)), ILLEGAL),
    WireRow("exchange-cut", exchange_body(lambda b: b[:-1]), DECODE),
    WireRow("exchange-trailing", exchange_body(lambda b: b + b"\0"), DECODE),
    WireRow("exchange-empty", exchange_body(lambda _: b""), DECODE),
    # CertificateRequest, ServerHelloDone
    WireRow("request-cut", request(b"\2\1"), DECODE),
    WireRow("request-no-types", request(b"\0\0\2\4\1\0\0"), DECODE),
    WireRow("request-odd-schemes", request(b"\1\1\0\3\4\1\4\0\0"), DECODE),
    WireRow("request-trailing", request(b"\1\1\0\2\4\1\0\0\0"), DECODE),
    WireRow("request-names-cut", request(b"\1\1\0\2\4\1\0\3\0\5x"), DECODE),
    WireRow("done-not-empty", lambda s: (order("hello", "certificate", "key_exchange")(s), s.send_done(b"\0"))[0],
            DECODE),
    # order
    *(WireRow(f"order-{'-'.join(steps)}", order(*steps), UNEXPECTED) for steps in (
        ("certificate",), ("done",), ("hello", "hello"), ("hello", "done"), ("hello", "request"),
        ("hello", "key_exchange"), ("hello", "certificate", "certificate"), ("hello", "certificate", "done"),
        ("hello", "certificate", "request"), ("hello", "certificate", "key_exchange", "key_exchange"),
        ("hello", "certificate", "key_exchange", "request", "request"))),
    WireRow("done-twice", done_twice, UNEXPECTED),
    WireRow("order-exchange-with-static-rsa", exchange_body(lambda b: b), UNEXPECTED, certificate="rsa2048",
            suite=0x009C),
    WireRow("client-hello", raw(Record.HANDSHAKE, message(Msg.CLIENT_HELLO, bytes(50))), UNEXPECTED),
    WireRow("unknown-message", raw(Record.HANDSHAKE, message(77, bytes(50))), UNEXPECTED),
    WireRow("early-ccs", early_ccs, UNEXPECTED),
    WireRow("early-ccs-malformed", raw(Record.CCS, b"\2"), UNEXPECTED),
    WireRow("early-ccs-for-ever", early_ccs_for_ever, UNEXPECTED),
    WireRow("downgrade-marker-of-1.3", downgraded_from_13, ILLEGAL),
    WireRow("downgrade-marker-of-1.3-to-1.1", downgraded_from_13, ILLEGAL, version=TLS11),
    WireRow("session-resumed", resumed, ILLEGAL),
    WireRow("early-data", raw(Record.DATA, POISON), UNEXPECTED),
    WireRow("heartbeat", raw(Record.HEARTBEAT, b"\1\0\3abc" + bytes(16)), UNEXPECTED),
    WireRow("record-type-0", raw(0, b"x"), UNEXPECTED),
    WireRow("record-empty-handshake", raw(Record.HANDSHAKE, b""), UNEXPECTED),
    WireRow("record-of-another-protocol", raw(Record.HANDSHAKE, bytes(20), 0x0203), VERSION),
    WireRow("record-too-long", long_record, OVERFLOW),
    WireRow("message-too-long", raw(Record.HANDSHAKE, b"\2\xff\xff\xff" + bytes(100)),
            only(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR), why="a limit of ours"),
    WireRow("alert-level-3", raw(Record.ALERT, b"\3\x28"), ILLEGAL),
    # ChangeCipherSpec and Finished
    WireRow("half-alert-before-ccs", half_alert_for_ccs, UNEXPECTED, "unexpected change_cipher_spec"),
    WireRow("ccs-2", bad_ccs(b"\2"), only(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR),
            why="a wrong value, or a wrong message"),
    WireRow("ccs-long", bad_ccs(b"\1\1"), DECODE),
    WireRow("finished-without-ccs", finished_without_ccs, UNEXPECTED),
    *(WireRow(f"finished-wrong-{label}", finished(flip), DECRYPT, certificate=kind, suite=suite)
      for label, suite, kind in _SUITES),
    *(WireRow(f"finished-wrong-{version:#x}", finished(flip), DECRYPT, suite=CBC, version=version)
      for version in (TLS10, TLS11)),
    WireRow("finished-short", finished(lambda d: d[:11]), DECODE),
    WireRow("finished-long", finished(lambda d: d + b"\0"), DECODE),
    *(WireRow(f"finished-broken-{label}", broken_finished, MAC, "BAD_MAC", certificate=kind, suite=suite)
      for label, suite, kind in _SUITES),
    WireRow("finished-broken-tls10", broken_finished, MAC, "BAD_MAC", suite=CBC, version=TLS10),
    WireRow("data-for-finished", data_for_finished, UNEXPECTED),
    WireRow("finished-with-more", finished_with_more, UNEXPECTED),
    # behind the handshake
    *(WireRow(f"data-broken-{label}", after(broken_data), MAC, "BAD_MAC", certificate=kind, suite=suite, **_AFTER)
      for label, suite, kind in _SUITES),
    *(WireRow(f"data-broken-{version:#x}", after(broken_data), MAC, "BAD_MAC", suite=CBC, version=version, **_AFTER)
      for version in (TLS10, TLS11)),
    WireRow("data-out-of-order", after(wrong_sequence), MAC, "BAD_MAC", **_AFTER),
    WireRow("data-too-long", after(sealed(Record.DATA, bytes(MAX_PLAIN + 1))), OVERFLOW, **_AFTER),
    WireRow("record-too-long-after", after(header(Record.DATA, MAX_PLAIN + 2049)), OVERFLOW, **_AT_ONCE),
    WireRow("record-type-99-after", after(header(99, 64)), UNEXPECTED, **_AT_ONCE),
    WireRow("record-version-after", after(header(Record.DATA, 64, TLS10)), VERSION, **_AT_ONCE),
    WireRow("ccs-after", after(sealed(Record.CCS, b"\1")), UNEXPECTED, **_AFTER),
    WireRow("clear-alert-after", after(clear_alert), MAC, "BAD_MAC", **_AFTER),
    WireRow("server-hello-after", after(sealed(Record.HANDSHAKE, message(2, bytes(60)))), UNEXPECTED, **_AFTER),
    WireRow("finished-after", after(sealed(Record.HANDSHAKE, message(20, bytes(12)))), UNEXPECTED, **_AFTER),
    WireRow("hello-request-not-empty", after(sealed(Record.HANDSHAKE, message(0, b"x"))), DECODE, **_AFTER),
    WireRow("hello-requests-without-end", after(requests(200)), FAILURE, **_AFTER),
    WireRow("alert-level-3-after", after(sealed(Record.ALERT, b"\3\x28")), ILLEGAL, **_AFTER),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_refused(row: WireRow, material: Material) -> None:
    assert run(row, material) == []
