"""What a client answers to a server that breaks TLS 1.3: the alerts that RFC 8446 names, and RFC 8449's.

The rows are those of test_wire.py, driven by a scripted server of TLS 1.3.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.messages import message, u16, vec
from tests.wire.names import MAX_PLAIN, TLS12, TLS13, WARNING, Alert, Ext, Group, Msg, Record

from .material import Material
from .schedule13 import CHAPOL13, GCM128, GCM256
from .scripted import POISON, WireRow, run
from .server13 import COOKIE, ENCRYPTED_EXTENSIONS, RETRY_RANDOM, Server13, block
from .test_wire import DECODE, DECRYPT, EXTENSION, ILLEGAL, MAC, OVERFLOW, UNEXPECTED, VERSION, flip, only

Act = Callable[[Server13], None]
MISSING = only(Alert.MISSING_EXTENSION)
VERSIONS = (int(Ext.SUPPORTED_VERSIONS), u16(TLS13))


def row(name: str, act: Act, alerts: frozenset[int] = frozenset(), **more: object) -> WireRow:
    fields = {"suite": CHAPOL13, "version": TLS13, "server": Server13, **more}
    return WireRow(name, act, alerts, **fields)  # type: ignore[arg-type]


# acts: one fault each


def hello(**fields: object) -> Act:
    """A ServerHello that the client must refuse before there are keys."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_hello(switch=False, **fields)  # type: ignore[arg-type]

    return act


def hello_extensions(*extensions: tuple[int, bytes]) -> Act:
    return hello(extensions=extensions)


def more(*extensions: tuple[int, bytes]) -> Act:
    """Beside supported_versions and a good key_share."""
    return hello(more=extensions)


def hello_bytes(change: Callable[[bytes], bytes]) -> Act:
    """A ServerHello whose body is changed."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_message(message(Msg.SERVER_HELLO, change(s.hello13_body(extensions=s.hello_extensions()))))

    return act


def split_alert(s: Server13) -> None:
    """An alert's first byte, which before TLS 1.3 may have a record of its own."""
    s.read_hello()
    s.send(Record.ALERT, bytes([WARNING]))
    s.send_hello(switch=False)


def retried(then: Act, group: int = Group.SECP384R1, **fields: object) -> Act:
    """A good HelloRetryRequest and the client's second ClientHello before the fault."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_retry(group, **fields)  # type: ignore[arg-type]
        then(s)

    return act


def retry(*extensions: tuple[int, bytes], **fields: object) -> Act:
    """A HelloRetryRequest that the client must refuse."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_retry(extensions=[VERSIONS, *extensions], **fields)

    return act


def another_suite_after_retry(s: Server13) -> None:
    s.read_hello()
    s.send_hello(switch=False, suite=GCM128)


def old_version_after_retry(s: Server13) -> None:
    s.read_hello()
    body = s.hello13_body(suite=0xCCA9, extensions=[(Ext.RENEGOTIATION_INFO, b"\0")])
    s.send_message(message(Msg.SERVER_HELLO, body))


def behind_hello(s: Server13) -> None:
    """EncryptedExtensions in clear, in the ServerHello's own record."""
    s.read_hello()
    whole = message(Msg.SERVER_HELLO, s.hello13_body(extensions=s.hello_extensions()))
    s.send_pieces(whole + message(ENCRYPTED_EXTENSIONS, b"\0\0"))


def flight(*steps: str | Act) -> Act:
    """The ServerHello, then these: names of send_ methods, or what does it otherwise."""

    def act(s: Server13) -> None:
        s.read_hello()
        s.send_hello()
        for step in steps:
            if callable(step):
                step(s)
            else:
                getattr(s, f"send_{step}")()

    return act


GOOD = ("extensions", "certificate", "verify", "finished")


def sent(kind: int, body: bytes) -> Act:
    return lambda s: s.send_message(message(kind, body))


def extensions(*found: tuple[int, bytes]) -> Act:
    return flight(lambda s: s.send_extensions(found))


def request(body: bytes) -> Act:
    return flight("extensions", lambda s: s.send_request(body))


def certificate(change: Callable[[bytes, Server13], bytes]) -> Act:
    """A Certificate message whose body is changed."""
    return flight(
        "extensions", lambda s: s.send_message(message(Msg.CERTIFICATE, change(s.certificate_message()[4:], s)))
    )


def verify(**fields: object) -> Act:
    return flight("extensions", "certificate", lambda s: s.send_verify(**fields))


def verify_body(change: Callable[[bytes], bytes]) -> Act:
    return flight(
        "extensions",
        "certificate",
        lambda s: s.send_message(message(Msg.CERTIFICATE_VERIFY, change(s.verify_body()))),
    )


def finished_body(change: Callable[[bytes], bytes]) -> Act:
    return flight(
        "extensions",
        "certificate",
        "verify",
        lambda s: s.send_message(message(Msg.FINISHED, change(s.finished_body()))),
    )


def raw(kind: int, plain: bytes) -> Act:
    """A record in clear where all is protected."""
    return flight("extensions", lambda s: s.send_raw(s.frame(kind, plain)))


def inner(data: bytes) -> Act:
    """A protected record with this inside: content, type, padding."""
    return flight("extensions", lambda s: s.send_raw(s.seal_inner(data)))


def sealed(kind: int, plain: bytes) -> Act:
    return flight("extensions", lambda s: s.send(kind, plain))


def broken_record(s: Server13) -> None:
    record = s.seal(Record.HANDSHAKE, message(ENCRYPTED_EXTENSIONS, b"\0\0"))
    s.send_raw(flip(record))


def long_record(size: int) -> Act:
    """A record of this size behind its header, of type 23."""
    return flight("extensions", lambda s: s.send_raw(s.frame(Record.DATA, bytes(size))))


def split_around_data(s: Server13) -> None:
    """Application data inside a handshake message."""
    whole = s.certificate_message()
    s.send(Record.HANDSHAKE, whole[:10])
    s.send(Record.DATA, POISON)


def alert_inside(s: Server13) -> None:
    s.send(Record.HANDSHAKE, s.certificate_message()[:10])
    s.send_alert(Alert.USER_CANCELED, WARNING)


def empty_psk_order(s: Server13) -> None:
    """Finished without a certificate, as with a PSK that was not offered."""
    s.send_extensions()
    s.send_finished()


def specs(count: int, body: bytes = b"\1") -> Act:
    return flight("extensions", lambda s: s.send_raw(s.frame(Record.CCS, body) * count))


def after(*steps: Act, request: bool = False) -> Act:
    """The whole handshake, then these."""

    def act(s: Server13) -> None:
        s.handshake(request=request)
        for step in steps:
            step(s)

    return act


def message_after(kind: int, body: bytes) -> Act:
    return after(lambda s: s.send(Record.HANDSHAKE, message(kind, body)))


def update_with_more(s: Server13) -> None:
    s.send(Record.HANDSHAKE, message(Msg.KEY_UPDATE, b"\0") + message(Msg.KEY_UPDATE, b"\0"))


def without_the_update(s: Server13) -> None:
    """A KeyUpdate, and then a record under the old keys."""
    s.send(Record.HANDSHAKE, message(Msg.KEY_UPDATE, b"\0"))
    s.send_data(POISON)


def updates_for_ever(s: Server13) -> None:
    for _ in range(33):
        s.send_update()


def tickets_for_ever(s: Server13) -> None:
    s.send_raw(b"".join(s.seal(Record.HANDSHAKE, s.ticket(b"t")) for _ in range(33)))


def data_in_message(s: Server13) -> None:
    s.send(Record.HANDSHAKE, s.ticket()[:10])
    s.send_data(POISON)


def empty_records(s: Server13) -> None:
    s.send_raw(b"".join(s.seal(Record.DATA, b"") for _ in range(33)))


SHARE = b"\0\x1d" + vec(2, bytes([9]) + bytes(31))
REFUSED = [
    # ServerHello (sections 4.1.3, 4.2, 4.2.8)
    row("hello-empty", hello_bytes(lambda b: b""), DECODE),
    row("hello-trailing", hello_bytes(lambda b: b + b"\0"), DECODE),
    row("hello-truncated", hello_bytes(lambda b: b[:-1]), DECODE),
    row("hello-legacy-1.3", hello(legacy=TLS13), ILLEGAL),
    row("hello-legacy-1.1", hello(legacy=0x0302), ILLEGAL),
    row("hello-version-1.4", hello_extensions((Ext.SUPPORTED_VERSIONS, u16(0x0305)), (Ext.KEY_SHARE, SHARE)), ILLEGAL),
    row("hello-version-1.2", hello_extensions((Ext.SUPPORTED_VERSIONS, u16(TLS12)), (Ext.KEY_SHARE, SHARE)), ILLEGAL),
    row("hello-version-long", hello_extensions((Ext.SUPPORTED_VERSIONS, u16(TLS13) + b"\0"), (Ext.KEY_SHARE, SHARE)),
        DECODE),
    row("legacy-1.3-without-the-extension", hello(legacy=TLS13, extensions=[(Ext.RENEGOTIATION_INFO, b"\0")]), VERSION),
    row("hello-session-not-echoed", hello(session_id=b""), ILLEGAL),
    row("hello-session-another", hello(session_id=bytes(32)), ILLEGAL),
    row("hello-session-33", hello(session_id=bytes(33)), DECODE),
    row("hello-suite-of-1.2", hello(suite=0xCCA9), ILLEGAL),
    row("hello-suite-not-offered", hello(suite=0x1304), ILLEGAL),
    row("hello-suite-unknown", hello(suite=0x1399), ILLEGAL),
    row("hello-compression", hello(compression=1), ILLEGAL),
    row("hello-without-share", hello_extensions(VERSIONS), MISSING),
    row("hello-extension-twice", hello_extensions(VERSIONS, VERSIONS), ILLEGAL),
    *(row(f"hello-extension-{kind}", more((kind, body)), EXTENSION) for kind, body in (
        (Ext.RENEGOTIATION_INFO, b"\0"), (Ext.EC_POINT_FORMATS, b"\1\0"), (0x1234, b""), (41, u16(0)),
        (Ext.ALPN, vec(2, vec(1, b"h2"))), (COOKIE, vec(2, b"c")))),
    *(row(f"hello-extension-{kind}-of-another-message", more((kind, body)), ILLEGAL) for kind, body in (
        (Ext.SERVER_NAME, b""), (Ext.SUPPORTED_GROUPS, vec(2, u16(29))), (Ext.RECORD_SIZE_LIMIT, u16(1000)))),
    row("share-empty", hello(point=b""), DECODE),
    row("share-short", hello(point=bytes([9]) + bytes(30)), ILLEGAL),
    row("share-long", hello(point=bytes([9]) + bytes(32)), ILLEGAL),
    row("share-zero", hello(point=bytes(32)), ILLEGAL),
    row("share-of-order-1", hello(point=b"\1" + bytes(31)), ILLEGAL),
    row("share-of-another-group", hello(group=Group.SECP256R1, point=b"\4" + bytes(64)), ILLEGAL),
    row("share-of-unknown-group", hello(group=30, point=bytes(56)), ILLEGAL),
    row("share-trailing", hello_extensions(VERSIONS, (Ext.KEY_SHARE, SHARE + b"\0")), DECODE),
    row("share-as-in-a-retry", hello_extensions(VERSIONS, (Ext.KEY_SHARE, u16(29))), DECODE),
    *(row(f"share-{group.name.lower()}-{what}",
          retried(lambda s, p=point, g=group: hello(point=p(g))(s), group), ILLEGAL)
      for group, size in ((Group.SECP256R1, 64), (Group.SECP384R1, 96), (Group.SECP521R1, 132))
      for what, point in (("off-the-curve", lambda g, n=size: b"\4" + bytes(n - 1) + b"\1"),
                          ("infinity", lambda g, n=size: b"\4" + bytes(n)),
                          ("compressed", lambda g, n=size: b"\2" + bytes(n // 2)))),
    # HelloRetryRequest (section 4.1.4)
    row("retry-for-the-share-sent", retry((Ext.KEY_SHARE, u16(29))), ILLEGAL),
    row("retry-for-a-group-not-offered", retry((Ext.KEY_SHARE, u16(30))), ILLEGAL),
    row("retry-for-nothing", retry(), ILLEGAL),
    row("retry-malformed-share", retry((Ext.KEY_SHARE, u16(24) + b"\0")), DECODE),
    row("retry-cookie-empty", retry((COOKIE, vec(2, b""))), DECODE),
    row("retry-cookie-trailing", retry((COOKIE, vec(2, b"c") + b"\0")), DECODE),
    row("retry-suite-not-offered", retry((Ext.KEY_SHARE, u16(24)), suite=0x1304), ILLEGAL),
    row("retry-extension-not-offered", retry((Ext.KEY_SHARE, u16(24)), (0x1234, b"")), EXTENSION),
    row("retry-of-version-1.2", hello(random=RETRY_RANDOM,
        extensions=[(Ext.SUPPORTED_VERSIONS, u16(TLS12)), (Ext.KEY_SHARE, u16(24))]), ILLEGAL),
    row("retry-twice", retried(lambda s: (s.read_hello(), s.send_retry(Group.SECP256R1))), UNEXPECTED),
    row("retry-twice-for-a-cookie", retried(lambda s: (s.read_hello(), s.send_retry(cookie=b"c")), 0, cookie=b"b"),
        UNEXPECTED),
    row("retry-then-another-suite", retried(another_suite_after_retry), ILLEGAL),
    row("retry-then-another-group", retried(lambda s: (s.read_hello(), s.send_hello(
        switch=False, group=29, point=bytes([9]) + bytes(31)))), ILLEGAL),
    row("retry-then-1.2", retried(old_version_after_retry), ILLEGAL),
    # order (section 4, appendix A.1)
    row("data-behind-hello", behind_hello, UNEXPECTED),
    row("hello-twice", flight(lambda s: s.send_message(
        message(Msg.SERVER_HELLO, s.hello13_body(extensions=s.hello_extensions())))), UNEXPECTED),
    row("extensions-missing", flight("certificate"), UNEXPECTED),
    row("extensions-twice", flight("extensions", "extensions"), UNEXPECTED),
    row("request-twice", flight("extensions", "request", "request"), UNEXPECTED),
    row("request-behind-certificate", flight("extensions", "certificate", "request"), UNEXPECTED),
    row("certificate-missing", flight("extensions", "verify"), UNEXPECTED),
    row("certificate-twice", flight("extensions", "certificate", "certificate"), UNEXPECTED),
    row("verify-missing", flight("extensions", "certificate", "finished"), UNEXPECTED),
    row("verify-twice", flight("extensions", "certificate", "verify", "verify"), UNEXPECTED),
    row("finished-first", flight(empty_psk_order), UNEXPECTED),
    row("ticket-early", flight("extensions", lambda s: s.send_message(s.ticket())), UNEXPECTED),
    row("update-early", flight("extensions", sent(Msg.KEY_UPDATE, b"\0")), UNEXPECTED),
    row("hello-request", flight("extensions", sent(Msg.HELLO_REQUEST, b"")), UNEXPECTED),
    row("client-hello", flight("extensions", sent(Msg.CLIENT_HELLO, bytes(50))), UNEXPECTED),
    row("key-exchange", flight("extensions", sent(Msg.SERVER_KEY_EXCHANGE, bytes(50))), UNEXPECTED),
    row("unknown-message", flight("extensions", sent(77, bytes(50))), UNEXPECTED),
    row("data-behind-finished-in-its-record", flight("extensions", "certificate", "verify", lambda s: s.send_pieces(
        message(Msg.FINISHED, s.finished_body()) + s.ticket())), UNEXPECTED),
    # EncryptedExtensions (section 4.3.1; RFC 8449 section 4)
    row("extensions-empty", flight(sent(ENCRYPTED_EXTENSIONS, b"")), DECODE),
    row("extensions-trailing", flight(sent(ENCRYPTED_EXTENSIONS, b"\0\0\0")), DECODE),
    row("extensions-truncated", flight(sent(ENCRYPTED_EXTENSIONS, b"\0\4\0\0\0\1")), DECODE),
    row("extension-not-offered", extensions((0x1234, b"")), EXTENSION),
    row("alpn-not-offered", extensions((Ext.ALPN, vec(2, vec(1, b"h2")))), EXTENSION),
    row("early-data-not-offered", extensions((42, b"")), EXTENSION),
    row("share-in-extensions", extensions((Ext.KEY_SHARE, SHARE)), ILLEGAL),
    row("versions-in-extensions", extensions(VERSIONS), ILLEGAL),
    row("server-name-twice", extensions((Ext.SERVER_NAME, b""), (Ext.SERVER_NAME, b"")), ILLEGAL),
    row("server-name-not-empty", extensions((Ext.SERVER_NAME, b"\0")), DECODE),
    row("server-name-without-ours", extensions((Ext.SERVER_NAME, b"")), EXTENSION, options=("-v0",)),
    row("groups-malformed", extensions((Ext.SUPPORTED_GROUPS, b"\0\1\0")), DECODE),
    row("record-size-limit-63", extensions((Ext.RECORD_SIZE_LIMIT, u16(63))), ILLEGAL),
    row("record-size-limit-16386", extensions((Ext.RECORD_SIZE_LIMIT, u16(16386))), ILLEGAL),
    row("record-size-limit-malformed", extensions((Ext.RECORD_SIZE_LIMIT, b"\x40")), DECODE),
    # CertificateRequest (section 4.3.2)
    row("request-empty", request(b""), DECODE),
    row("request-trailing", request(b"\0" + block([(13, vec(2, u16(0x0403)))]) + b"\0"), DECODE),
    row("request-without-schemes", request(b"\0" + block([])), MISSING),
    row("request-schemes-empty", request(b"\0" + block([(13, vec(2, b""))])), DECODE),
    row("request-schemes-odd", request(b"\0" + block([(13, vec(2, b"\4\3\4"))])), DECODE),
    row("request-schemes-twice", request(b"\0" + block([(13, vec(2, u16(0x0403)))] * 2)), ILLEGAL),
    row("request-context", request(b"\1c" + block([(13, vec(2, u16(0x0403)))])), ILLEGAL),
    # Certificate (section 4.4.2)
    row("certificate-empty", certificate(lambda b, s: b""), DECODE),
    row("certificate-empty-list", certificate(lambda b, s: b"\0\0\0\0"), DECODE),
    row("certificate-empty-entry", certificate(lambda b, s: b"\0" + vec(3, vec(3, b"") + b"\0\0")), DECODE),
    row("certificate-trailing", certificate(lambda b, s: b + b"\0"), DECODE),
    row("certificate-truncated", certificate(lambda b, s: b[:-1]), DECODE),
    row("certificate-context", certificate(lambda b, s: b"\1c" + b[1:]), ILLEGAL),
    row("certificate-extension", certificate(lambda b, s: b"\0" + vec(
        3, vec(3, s.identity.chain[0]) + block([(5, b"")]))), EXTENSION),
    row("certificate-no-DER", certificate(lambda b, s: b"\0" + vec(3, vec(3, b"junk") + b"\0\0")),
        only(Alert.BAD_CERTIFICATE)),
    row("certificate-too-long", flight("extensions", lambda s: s.send_pieces(b"\x0b\x01\0\1" + bytes(100))), ILLEGAL),
    # CertificateVerify (section 4.4.3)
    row("verify-empty", verify_body(lambda b: b""), DECODE),
    row("verify-trailing", verify_body(lambda b: b + b"\0"), DECODE),
    row("verify-truncated", verify_body(lambda b: b[:-1]), DECODE),
    row("verify-bad", verify(tamper=flip), DECRYPT),
    row("verify-empty-signature", verify(tamper=lambda _: b""), DECRYPT),
    row("verify-of-other-content", verify(content=b"x"), DECRYPT),
    row("verify-as-a-client", flight("extensions", "certificate", lambda s: s.send_verify(
        content=b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + s.digest())), DECRYPT),
    row("verify-scheme-of-another-curve", verify(named=0x0503), ILLEGAL),
    row("verify-scheme-of-another-kind", verify(named=0x0804), ILLEGAL),
    row("verify-scheme-unknown", verify(named=0x0999), ILLEGAL),
    row("verify-ecdsa-sha1", verify(named=0x0203), ILLEGAL),
    row("verify-pkcs1", verify(scheme=0x0401), ILLEGAL, certificate="rsa2048"),
    row("verify-pss-of-pss-keys", verify(scheme=0x0804, named=0x0809), ILLEGAL, certificate="rsa2048"),
    row("verify-pss-bad", verify(tamper=flip), DECRYPT, certificate="rsa2048"),
    row("verify-pss-another-hash", verify(scheme=0x0804, named=0x0805), DECRYPT, certificate="rsa2048"),
    # Finished (section 4.4.4)
    row("finished-bad", finished_body(flip), DECRYPT),
    row("finished-first-byte", finished_body(lambda b: flip(b, 0)), DECRYPT),
    row("finished-bad-sha384", finished_body(flip), DECRYPT, suite=GCM256),
    row("finished-empty", finished_body(lambda b: b""), DECODE),
    row("finished-short", finished_body(lambda b: b[:-1]), DECODE),
    row("finished-long", finished_body(lambda b: b + b"\0"), DECODE),
    # records (section 5)
    row("clear-handshake", raw(Record.HANDSHAKE, message(Msg.CERTIFICATE, bytes(50))), UNEXPECTED),
    row("clear-alert", raw(Record.ALERT, b"\2\50"), UNEXPECTED),
    row("record-type-24", raw(Record.HEARTBEAT, b"\1\0\3abc" + bytes(16)), UNEXPECTED),
    row("record-type-0", raw(0, b"x"), UNEXPECTED),
    row("record-broken", flight(broken_record), MAC),
    row("record-empty", flight("extensions", lambda s: s.send_raw(s.frame(Record.DATA, b""))), MAC),
    row("record-of-16", long_record(16), MAC),
    row("record-too-long", long_record(MAX_PLAIN + 257), OVERFLOW),
    row("record-forged-at-the-limit", long_record(MAX_PLAIN + 256), MAC),
    row("inner-too-long", inner(bytes(MAX_PLAIN + 1) + b"\x16"), OVERFLOW),
    row("inner-too-long-with-padding", inner(b"x\x16" + bytes(MAX_PLAIN)), OVERFLOW),
    row("inner-all-padding", inner(bytes(100)), UNEXPECTED),
    row("inner-empty-handshake", inner(b"\x16"), UNEXPECTED),
    row("inner-empty-alert", inner(b"\x15"), UNEXPECTED),
    row("inner-ccs", inner(b"\1\x14"), UNEXPECTED),
    row("inner-type-24", inner(b"x\x18"), UNEXPECTED),
    row("data-early", sealed(Record.DATA, POISON), UNEXPECTED),
    row("data-inside-a-message", flight("extensions", split_around_data), UNEXPECTED),
    row("alert-inside-a-message", flight("extensions", alert_inside), UNEXPECTED),
    row("alert-of-1-before-hello", split_alert, DECODE),
    row("alert-of-1-after-retry", retried(split_alert), DECODE),
    row("alert-of-1", sealed(Record.ALERT, b"\2"), DECODE),
    row("alerts-coalesced", sealed(Record.ALERT, b"\1\x5a\1\x5a"), DECODE),
    row("ccs-of-another-value", specs(1, b"\2"), UNEXPECTED),
    row("ccs-of-2", specs(1, b"\1\1"), UNEXPECTED),
    row("ccs-for-ever", specs(33), UNEXPECTED),
    row("ccs-inside-a-message", flight("extensions", lambda s: (s.send(Record.HANDSHAKE, s.certificate_message()[:10]),
                                                               s.send_raw(s.frame(Record.CCS, b"\1")))), UNEXPECTED),
    # after the handshake (sections 4.6, 5, 6)
    row("ccs-after", after(lambda s: s.send_raw(s.frame(Record.CCS, b"\1"))), UNEXPECTED, after=True),
    row("clear-alert-after", after(lambda s: s.send_raw(s.frame(Record.ALERT, b"\1\0"))), UNEXPECTED, after=True),
    row("record-broken-after", after(lambda s: s.send_raw(flip(s.seal(Record.DATA, POISON)))), MAC, after=True),
    row("record-repeated", after(lambda s: s.send_raw(s.seal(Record.DATA, b"hello") * 2)), MAC, after=True,
        data=b"hello"),
    row("request-after", message_after(Msg.CERTIFICATE_REQUEST, b"\1c" + block([(13, vec(2, u16(0x0403)))])),
        UNEXPECTED, after=True),
    row("hello-request-after", message_after(Msg.HELLO_REQUEST, b""), UNEXPECTED, after=True),
    row("hello-after", message_after(Msg.CLIENT_HELLO, bytes(50)), UNEXPECTED, after=True),
    row("finished-after", message_after(Msg.FINISHED, bytes(32)), UNEXPECTED, after=True),
    row("update-of-2", message_after(Msg.KEY_UPDATE, b"\2"), ILLEGAL, after=True),
    row("update-empty", message_after(Msg.KEY_UPDATE, b""), DECODE, after=True),
    row("update-long", message_after(Msg.KEY_UPDATE, b"\0\0"), DECODE, after=True),
    row("update-with-more-in-its-record", after(update_with_more), UNEXPECTED, after=True),
    row("update-and-old-keys", after(without_the_update), MAC, after=True),
    row("updates-for-ever", after(updates_for_ever), UNEXPECTED, after=True),
    row("tickets-for-ever", after(tickets_for_ever), UNEXPECTED, after=True),
    row("ticket-empty", message_after(4, b""), DECODE, after=True),
    row("ticket-without-ticket", after(lambda s: s.send(Record.HANDSHAKE, s.ticket(b""))), DECODE, after=True),
    row("ticket-trailing", after(lambda s: s.send(Record.HANDSHAKE, message(4, s.ticket()[4:] + b"\0"))), DECODE,
        after=True),
    row("ticket-of-8-days", after(lambda s: s.send(Record.HANDSHAKE, s.ticket(lifetime=691200))), ILLEGAL, after=True),
    row("data-inside-a-ticket", after(data_in_message), UNEXPECTED, after=True),
    row("data-empty-for-ever", after(empty_records), UNEXPECTED, after=True),
    row("inner-all-padding-after", after(lambda s: s.send_raw(s.seal_inner(bytes(9)))), UNEXPECTED, after=True),
    row("inner-too-long-after", after(lambda s: s.send_raw(s.seal_inner(bytes(MAX_PLAIN + 1) + b"\x17"))), OVERFLOW,
        after=True),
    row("alert-of-1-after", after(lambda s: s.send(Record.ALERT, b"\1")), DECODE, after=True),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_refused(row: WireRow, material: Material) -> None:
    assert run(row, material) == []
