"""Rows: the client's sealed messages, records, alerts, KeyUpdate, client certificates (RFC 8446 4.4, 4.6, 5, 6)."""

from __future__ import annotations

from collections.abc import Callable

from tests.wire.messages import message, u16
from tests.wire.names import WARNING, Alert, Ext, Group, Msg, Record
from tests.wire.row import ECDSA, POISON, RSA, Ends, fatal

from .client import Client13, hello13
from .row import Act, Row13

DECODE, DECRYPT, ILLEGAL = fatal(Alert.DECODE_ERROR), fatal(Alert.DECRYPT_ERROR), fatal(Alert.ILLEGAL_PARAMETER)
UNEXPECTED, BAD_MAC, OVERFLOW = (
    fatal(Alert.UNEXPECTED_MESSAGE),
    fatal(Alert.BAD_RECORD_MAC),
    fatal(Alert.RECORD_OVERFLOW),
)
AUTH = RSA + " -a {anchor}"


def begun(step: Callable[[Client13], None]) -> Act:
    """Up to the server's Finished, then this."""

    def act(c: Client13) -> None:
        c.start()
        step(c)
        c.read_message()

    return act


def running(step: Callable[[Client13], None]) -> Act:
    """A whole handshake and an echo, then this."""

    def act(c: Client13) -> None:
        c.handshake()
        c.echo(b"before")
        step(c)
        c.read_data(1)

    return act


def good(step: Callable[[Client13], None]) -> Act:
    """A whole handshake, this, and an echo."""

    def act(c: Client13) -> None:
        c.handshake()
        step(c)
        c.echo(b"still here")

    return act


def finished(tamper: Callable[[bytes], bytes]) -> Act:
    """A Finished that is wrong."""
    return begun(lambda c: c.send_message(message(Msg.FINISHED, tamper(c.verify_data()))))


def inner(data: bytes) -> Callable[[Client13], None]:
    """A sealed record of this TLSInnerPlaintext."""
    return lambda c: c.send_raw(c.inner(data))


def clear(kind: int, data: bytes) -> Callable[[Client13], None]:
    """A record in clear."""
    return lambda c: c.send_raw(c.frame(kind, data))


def sealed(kind: int, body: bytes) -> Callable[[Client13], None]:
    """A handshake message in a sealed record."""
    return lambda c: c.send(Record.HANDSHAKE, message(kind, body))


def garbled(c: Client13) -> None:
    """A record whose tag is wrong."""
    record = bytearray(c.seal(Record.DATA, POISON))
    record[-1] ^= 1
    c.send_raw(bytes(record))


def update_split(c: Client13) -> None:
    """KeyUpdate with data behind it in the same record."""
    c.send(Record.HANDSHAKE, message(Msg.KEY_UPDATE, b"\0") + b"\x18")


def update_half(c: Client13) -> None:
    """Application data amid a KeyUpdate."""
    c.send(Record.HANDSHAKE, b"\x18\0")
    c.send(Record.DATA, POISON)


def many_updates(c: Client13) -> None:
    """KeyUpdates without end."""
    for _ in range(40):
        c.send_key_update()


def updates(c: Client13) -> None:
    """Some KeyUpdates each way, and data between them."""
    for i in range(5):
        c.send_key_update(1)
        c.echo(bytes([i]) * 1000)
        assert len(c.updates) == i + 1
    assert set(c.updates) == {b"\0"}


def half_close(c: Client13) -> None:
    """close_notify, behind which our direction is closed and the server's is not: prog ends by itself then."""
    c.handshake()
    c.send_data(b"word")
    c.send_alert(Alert.CLOSE_NOTIFY, WARNING)
    c.send_raw(c.seal(Record.DATA, POISON))
    assert c.read_data(4) == b"word"


def limited(c: Client13) -> None:
    """record_size_limit 64: no record of the server's holds more than 63 bytes and the type (RFC 8449 4)."""
    c.handshake(hello13().ext(Ext.RECORD_SIZE_LIMIT, u16(64)))
    assert c.encrypted[Ext.RECORD_SIZE_LIMIT] == u16(16385)
    c.echo(b"x" * 3000)
    assert max(len(frame.plain) for frame in c.seen if frame.sealed) == 63


def certified(*steps: Callable[[Client13], None]) -> Act:
    """Up to the server's Finished with -a, then these."""

    def act(c: Client13) -> None:
        c.start()
        assert c.request is not None
        for step in steps:
            step(c)
        c.send_finished()
        c.echo(b"still here")

    return act


def shown(c: Client13) -> None:
    """Our certificates."""
    assert c.identity is not None
    c.send_certificates(c.identity.chain)


def proven(c: Client13) -> None:
    """Our signature."""
    c.send_certificate_verify()


def ccs(c: Client13) -> None:
    """change_cipher_spec for old boxes."""
    c.send_raw(c.frame(Record.CCS, b"\1"))


def many_ccs(c: Client13) -> None:
    """One more than is passed over (SPECS_MAX in src/limits.pxi)."""
    c.send_raw(c.frame(Record.CCS, b"\1") * 33)


def with_ccs(c: Client13) -> None:
    """One before each flight of ours."""
    hello = c.shared_hello(hello13(), [Group.X25519])
    c.send_hello(hello)
    c.read_hello()
    ccs(c)
    c.read_flight()
    ccs(c)
    c.send_finished()
    c.echo(b"still here")


def coalesced(c: Client13) -> None:
    """Certificate, CertificateVerify and Finished in one record."""
    c.start()
    assert c.identity is not None
    whole, out = c.send_raw, []
    seal = c.seal
    c.send_raw = out.append  # type: ignore[method-assign,assignment]
    c.seal = lambda kind, plain, version=None: plain  # type: ignore[method-assign,assignment]
    shown(c)
    proven(c)
    c.transcript += (last := message(Msg.FINISHED, c.verify_data()))
    c.send_raw, c.seal = whole, seal  # type: ignore[method-assign]
    c.send(Record.HANDSHAKE, b"".join(out) + last)
    c.schedule.resumption(c.transcript)
    c.write_with(c.schedule.client_application)
    c.established = True
    c.echo(b"still here")


_FINISHED = "RFC 8446 4.4.4"
ROWS: list[Row13] = [
    *(
        Row13(
            f"finished-byte-{i}",
            finished(lambda d, i=i: d[:i] + bytes([d[i] ^ 16]) + d[i + 1 :]),
            Ends.REFUSED,
            DECRYPT,
            _FINISHED,
        )
        for i in (0, 15, 31)
    ),
    *(
        Row13(f"finished-length-{n}", finished(lambda d, n=n: (d + bytes(40))[:n]), Ends.REFUSED, DECODE, _FINISHED)
        for n in (0, 1, 31, 33, 48)
    ),
    Row13(
        "finished-of-server",
        begun(
            lambda c: c.send_message(
                message(Msg.FINISHED, c.schedule.finished(c.schedule.server_handshake, c.transcript))
            )
        ),
        Ends.REFUSED,
        DECRYPT,
        _FINISHED,
    ),
    Row13(
        "finished-and-more",
        begun(lambda c: c.send(Record.HANDSHAKE, message(Msg.FINISHED, c.verify_data()) + b"\x18")),
        Ends.REFUSED,
        UNEXPECTED,
        "RFC 8446 5.1",
    ),
    Row13(
        "finished-in-clear",
        begun(lambda c: c.send_raw(c.frame(Record.HANDSHAKE, message(Msg.FINISHED, c.verify_data())))),
        Ends.REFUSED,
        UNEXPECTED,
        "RFC 8446 5",
    ),
    Row13(
        "data-before-finished", begun(lambda c: c.send(Record.DATA, POISON)), Ends.REFUSED, UNEXPECTED, "RFC 8446 5.2"
    ),
    Row13("data-in-clear-before-finished", begun(clear(Record.DATA, POISON)), Ends.REFUSED, BAD_MAC, "RFC 8446 5.2"),
    Row13("garbled-before-finished", begun(garbled), Ends.REFUSED, BAD_MAC, "RFC 8446 5.2"),
    Row13("empty-sealed-record", begun(clear(Record.DATA, b"")), Ends.REFUSED, BAD_MAC, "RFC 8446 5.2"),
    Row13("empty-handshake-record", begun(inner(b"\x16")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5.1"),
    Row13("empty-alert-record", begun(inner(b"\x15")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5.1"),
    Row13("no-inner-type", begun(inner(bytes(20))), Ends.REFUSED, UNEXPECTED, "RFC 8446 5.4"),
    Row13("unknown-inner-type", begun(inner(b"x\x18")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5"),
    Row13("ccs-sealed", begun(inner(b"\1\x14")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5"),
    Row13("ccs-of-2", begun(clear(Record.CCS, b"\2")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5"),
    Row13("ccs-without-end", begun(many_ccs), Ends.REFUSED, UNEXPECTED, "RFC 8446 5"),
    Row13("ccs-long", begun(clear(Record.CCS, b"\1\1")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5"),
    Row13("unknown-record-type", begun(clear(24, b"\1")), Ends.REFUSED, UNEXPECTED, "RFC 8446 5.1"),
    Row13(
        "record-too-long",
        begun(lambda c: c.send_raw(b"\x17\3\3" + u16(16641) + bytes(16641))),
        Ends.REFUSED,
        OVERFLOW,
        "RFC 8446 5.2",
    ),
    Row13("inner-too-long", begun(inner(bytes(16385) + b"\x16")), Ends.REFUSED, OVERFLOW, "RFC 8446 5.4"),
    Row13("alert-of-3", begun(lambda c: c.send(Record.ALERT, b"\2\x28\0")), Ends.REFUSED, DECODE, "RFC 8446 5.1, 6"),
    *(
        Row13(f"message-{kind}", begun(sealed(kind, bytes(8))), Ends.REFUSED, UNEXPECTED, "RFC 8446 4")
        for kind in (0, 1, 2, 4, 5, 8, 11, 13, 15, 24, 67, 254)
    ),
    Row13("ccs", with_ccs, Ends.SERVED, cite="RFC 8446 D.4"),
    Row13("padded-data", good(inner(b"" + b"\x17" + bytes(300))), Ends.SERVED, cite="RFC 8446 5.4"),
    Row13("empty-data", good(inner(b"\x17")), Ends.SERVED, cite="RFC 8446 5.1"),
    Row13(
        "empty-data-for-ever",
        running(lambda c: c.send_raw(b"".join(c.inner(b"\x17") for _ in range(33)))),
        Ends.BROKEN,
        UNEXPECTED,
        "RFC 8446 5.1: a limit is ours",
    ),
    Row13("largest-record", good(lambda c: c.echo(b"y" * 16384)), Ends.SERVED, cite="RFC 8446 5.1"),
    Row13("many-records", good(lambda c: c.echo(b"z" * 500000)), Ends.SERVED, cite="RFC 8446 5.1"),
    Row13(
        "other-record-version",
        good(lambda c: c.send_raw(b"\x17\3\3" + c.seal(Record.DATA, b"")[3:])),
        Ends.SERVED,
        cite="RFC 8446 5.1",
    ),
    Row13("record-limit-64", limited, Ends.SERVED, cite="RFC 8449 4"),
    Row13(
        "user-canceled", good(lambda c: c.send_alert(Alert.USER_CANCELED, WARNING)), Ends.SERVED, cite="RFC 8446 6.1"
    ),
    Row13("key-updates", good(updates), Ends.SERVED, cite="RFC 8446 4.6.3"),
    Row13("key-update-one-way", good(lambda c: c.send_key_update(0)), Ends.SERVED, cite="RFC 8446 4.6.3"),
    Row13("half-close", half_close, Ends.CLOSED, cite="RFC 8446 6.1"),
    Row13("update-of-2", running(sealed(Msg.KEY_UPDATE, b"\2")), Ends.BROKEN, ILLEGAL, "RFC 8446 4.6.3"),
    Row13("update-long", running(sealed(Msg.KEY_UPDATE, b"\0\0")), Ends.BROKEN, DECODE, "RFC 8446 4.6.3"),
    Row13("update-empty", running(sealed(Msg.KEY_UPDATE, b"")), Ends.BROKEN, DECODE, "RFC 8446 4.6.3"),
    Row13("update-and-more", running(update_split), Ends.BROKEN, UNEXPECTED, "RFC 8446 5.1"),
    Row13("update-half", running(update_half), Ends.BROKEN, UNEXPECTED, "RFC 8446 5.1"),
    Row13("updates-for-ever", running(many_updates), Ends.BROKEN, UNEXPECTED, "RFC 8446 4.6.3: a limit is ours"),
    *(
        Row13(f"afterwards-{kind}", running(sealed(kind, bytes(8))), Ends.BROKEN, UNEXPECTED, "RFC 8446 4.6")
        for kind in (0, 1, 2, 4, 8, 11, 13, 15, 20)
    ),
    Row13("afterwards-ccs", running(clear(Record.CCS, b"\1")), Ends.BROKEN, UNEXPECTED, "RFC 8446 5"),
    Row13("afterwards-clear-alert", running(clear(Record.ALERT, b"\2\0")), Ends.BROKEN, UNEXPECTED, "RFC 8446 5"),
    Row13("afterwards-clear-data", running(clear(Record.DATA, POISON)), Ends.BROKEN, BAD_MAC, "RFC 8446 5.2"),
    Row13("afterwards-garbled", running(garbled), Ends.BROKEN, BAD_MAC, "RFC 8446 5.2"),
    Row13("afterwards-no-inner-type", running(inner(bytes(9))), Ends.BROKEN, UNEXPECTED, "RFC 8446 5.4"),
    Row13("afterwards-inner-too-long", running(inner(bytes(16385) + b"\x17")), Ends.BROKEN, OVERFLOW, "RFC 8446 5.4"),
    Row13(
        "afterwards-too-long",
        running(lambda c: c.send_raw(b"\x17\3\3" + u16(16641) + bytes(16641))),
        Ends.BROKEN,
        OVERFLOW,
        "RFC 8446 5.2",
    ),
    *(
        Row13(
            f"certificate-{name}",
            certified(shown, proven),
            Ends.SERVED,
            cite="RFC 8446 4.4.2",
            options=AUTH,
            identity=name,
        )
        for name in ("p256", "rsa")
    ),
    Row13("certificate-coalesced", coalesced, Ends.SERVED, cite="RFC 8446 5.1", options=AUTH, identity="p256"),
    Row13(
        "certificate-none",
        certified(lambda c: c.send_certificates(())),
        Ends.REFUSED,
        fatal(Alert.CERTIFICATE_REQUIRED),
        "RFC 8446 4.4.2.4",
        AUTH,
    ),
    Row13("certificate-left-out", certified(), Ends.REFUSED, UNEXPECTED, "RFC 8446 4.4.2", AUTH),
    Row13("certificate-unproven", certified(shown), Ends.REFUSED, UNEXPECTED, "RFC 8446 4.4.3", AUTH, "p256"),
    Row13(
        "certificate-not-asked",
        begun(lambda c: c.send_certificates((b"x",))),
        Ends.REFUSED,
        UNEXPECTED,
        "RFC 8446 4.4.2",
        ECDSA,
    ),
    Row13(
        "certificate-context",
        certified(lambda c: c.send_certificates(c.identity.chain, b"x")),
        Ends.REFUSED,
        ILLEGAL,  # type: ignore[union-attr]
        "RFC 8446 4.4.2",
        AUTH,
        "p256",
    ),
    Row13(
        "certificate-extension",
        certified(lambda c: c.send_certificates(c.identity.chain, b"", b"\0\5\0\0")),
        Ends.REFUSED,  # type: ignore[union-attr]
        fatal(Alert.UNSUPPORTED_EXTENSION),
        "RFC 8446 4.4.2",
        AUTH,
        "p256",
    ),
    Row13(
        "certificate-truncated",
        certified(lambda c: c.send_message(message(Msg.CERTIFICATE, b"\0\0\0\5\0\0\x09x"))),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 4.4.2",
        AUTH,
        "p256",
    ),
    Row13(
        "certificate-garbage",
        certified(lambda c: c.send_certificates((b"\x30\3abc",))),
        Ends.REFUSED,
        fatal(Alert.BAD_CERTIFICATE),
        "RFC 8446 6.2",
        AUTH,
        "p256",
    ),
    Row13(
        "verify-tampered",
        certified(shown, lambda c: c.send_certificate_verify(tamper=lambda s: s[:-1] + bytes([s[-1] ^ 1]))),
        Ends.REFUSED,
        DECRYPT,
        "RFC 8446 4.4.3",
        AUTH,
        "p256",
    ),
    Row13(
        "verify-as-server",
        certified(shown, lambda c: c.send_certificate_verify(side=b"server")),
        Ends.REFUSED,
        DECRYPT,
        "RFC 8446 4.4.3",
        AUTH,
        "p256",
    ),
    Row13(
        "verify-other-scheme",
        certified(shown, lambda c: c.send_certificate_verify(scheme=0x0804)),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.4.3",
        AUTH,
        "p256",
    ),
    Row13(
        "verify-old-scheme",
        certified(shown, lambda c: c.send_certificate_verify(scheme=0x0401)),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.4.3",
        AUTH,
        "rsa",
    ),
    Row13(
        "verify-truncated",
        certified(shown, lambda c: c.send_message(message(Msg.CERTIFICATE_VERIFY, u16(0x0403) + u16(70) + bytes(9)))),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 4.4.3",
        AUTH,
        "p256",
    ),
    Row13("verify-before-certificate", certified(proven), Ends.REFUSED, UNEXPECTED, "RFC 8446 4.4", AUTH, "p256"),
]
