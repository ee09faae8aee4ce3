"""Rows: the record layer before any key is set. RFC 5246 6 and 6.2.1 unless a row says otherwise."""

from __future__ import annotations

import struct

from .client import Client
from .messages import Hello, message
from .names import FATAL, MAX_PLAIN, TLS10, TLS12, WARNING, Alert, Ext, Msg, Record
from .row import Act, Ends, Row, fatal, served

UNEXPECTED = fatal(Alert.UNEXPECTED_MESSAGE)
SSL2_HELLO = bytes.fromhex("802e0103030015000000100700c00600400200800400800100800000ffc02f") + bytes(
    range(16)
)

# A flood is bounded by a number the RFC does not give; this many of anything must be too many.
FLOOD = 1500


def raw(data: bytes) -> Act:
    """The client sends just these bytes."""
    return lambda c: c.send_raw(data)


def record(kind: int, fragment: bytes, version: int = TLS10) -> Act:
    """The client sends one record in clear."""
    return raw(struct.pack(">BHH", kind, version, len(fragment)) + fragment)


def header(kind: int, length: int, more: bytes = b"", version: int = TLS10) -> Act:
    """A record header that announces `length` bytes, and then `more`."""
    return raw(struct.pack(">BHH", kind, version, length) + more)


def flood(client: Client, kind: int, plain: bytes, count: int = FLOOD) -> None:
    """Send the same record over and over until the server says something."""
    for _ in range(count):
        if client.waiting():
            return
        client.send(kind, plain)


def finish(client: Client) -> None:
    """The rest of a handshake whose ClientHello has been sent."""
    client.read_flight()
    client.send_key_exchange()
    client.send_ccs()
    client.send_finished()
    client.read_finished()


def hello_between(kind: int, plain: bytes) -> Act:
    """A ClientHello in two records, with another record between them."""

    def act(c: Client) -> None:
        c.hello = Hello()
        whole = c.hello.message()
        c.transcript += whole
        c.send(Record.HANDSHAKE, whole[:40])
        c.send(kind, plain)
        c.send(Record.HANDSHAKE, whole[40:])

    return act


def interleaved_warning(c: Client) -> None:
    """A warning between two halves of the ClientHello."""
    hello_between(Record.ALERT, bytes([WARNING, Alert.USER_CANCELED]))(c)
    finish(c)


def warnings_first(c: Client) -> None:
    """Two warnings, then a handshake."""
    for _ in range(2):
        c.send_alert(Alert.USER_CANCELED, WARNING)
    c.handshake()


def padded_hello(size: int, piece: int) -> Act:
    """A ClientHello with `size` bytes of padding in records of `piece` bytes."""

    def act(c: Client) -> None:
        c.send_hello(Hello().more(Ext.PADDING, bytes(size)), piece)
        finish(c)

    return act


def headed(version: int) -> Act:
    """A handshake whose ClientHello record carries this version."""

    def act(c: Client) -> None:
        c.version = version
        c.handshake()

    return act


def shortened(whole: bytes) -> bytes:
    """A message whose header says one byte less."""
    return whole[:1] + (len(whole) - 5).to_bytes(3, "big") + whole[4:]


def half_a_hello(c: Client) -> None:
    """Half of a ClientHello, and the end of the client's side."""
    whole = Hello().message()
    c.send_raw(c.frame(Record.HANDSHAKE, whole)[:60])
    c.sock.shutdown(1)


def nothing(c: Client) -> None:
    """The client's side ends at once."""
    c.sock.shutdown(1)


_UNKNOWN = "RFC 5246 6: an unexpected record type MUST get unexpected_message"
_ZERO = "RFC 5246 6.2.1: zero-length Handshake, Alert or CCS fragments MUST NOT be sent"
_ZERO_WHY = "6.2.1 names no alert: the record has no place here (10), or its length is illegal (50)"
_VERSION_WHY = (
    "no section names the alert for a foreign major version: 70 says what is wrong, 10 that it is no TLS"
)
_EARLY_WHY = "after a warning the connection can go on; but nothing before ClientHello has a meaning (10)"

ROWS: list[Row] = [
    Row("garbage-http", raw(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"), Ends.REFUSED, UNEXPECTED,
        _UNKNOWN),
    Row("garbage-smtp", raw(b"EHLO localhost\r\n"), Ends.REFUSED, UNEXPECTED, _UNKNOWN),
    Row("garbage-ssh", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Ends.REFUSED, UNEXPECTED, _UNKNOWN),
    Row("garbage-random", raw(bytes.fromhex("f3a1c98d5b2e77409a") * 9), Ends.REFUSED, UNEXPECTED, _UNKNOWN),
    Row("garbage-zeros", raw(bytes(64)), Ends.REFUSED, UNEXPECTED, _UNKNOWN),
    Row("garbage-sslv2-hello", raw(SSL2_HELLO), Ends.REFUSED,
        fatal(Alert.UNEXPECTED_MESSAGE, Alert.PROTOCOL_VERSION), "RFC 5246 6, E.2; RFC 6176 3",
        why="its first byte is no content type (10); a server that knows the form may say version (70)"),
    Row("nothing-at-all", nothing, Ends.GONE, cite="spec 2.1: client gone before the handshake's end is 111"),
    Row("half-a-hello", half_a_hello, Ends.GONE, cite="spec 2.1"),
    *(
        Row(f"type-{kind}-first", record(kind, b"\1\0\0\0"), Ends.REFUSED, UNEXPECTED, _UNKNOWN)
        for kind in (0, 1, 19, Record.HEARTBEAT, 25, 64, 128, 255)
    ),
    Row("ccs-first", record(Record.CCS, b"\1"), Ends.REFUSED, UNEXPECTED, "RFC 5246 7.1, 7.2.2"),
    Row("data-first", record(Record.DATA, b"hello"), Ends.REFUSED, UNEXPECTED, "RFC 5246 7.2.2"),
    Row("data-empty-first", record(Record.DATA, b""), Ends.REFUSED, UNEXPECTED, "RFC 5246 7.2.2"),
    *(
        Row(f"empty-{name}", record(kind, b""), Ends.REFUSED,
            fatal(Alert.UNEXPECTED_MESSAGE, Alert.DECODE_ERROR), _ZERO, why=_ZERO_WHY)
        for name, kind in (("handshake", Record.HANDSHAKE), ("alert", Record.ALERT), ("ccs", Record.CCS))
    ),
    Row("empty-handshake-within", hello_between(Record.HANDSHAKE, b""), Ends.REFUSED,
        fatal(Alert.UNEXPECTED_MESSAGE, Alert.DECODE_ERROR), _ZERO, why=_ZERO_WHY),
    Row("overflow-by-1", header(Record.HANDSHAKE, MAX_PLAIN + 1, bytes(MAX_PLAIN + 1)), Ends.REFUSED,
        fatal(Alert.RECORD_OVERFLOW), "RFC 5246 6.2.1, 7.2.2"),
    Row("overflow-header-alone", header(Record.HANDSHAKE, MAX_PLAIN + 1), Ends.REFUSED,
        fatal(Alert.RECORD_OVERFLOW), "RFC 5246 6.2.1: the header says enough"),
    Row("overflow-65535", header(Record.HANDSHAKE, 65535, b"\1"), Ends.REFUSED,
        fatal(Alert.RECORD_OVERFLOW), "RFC 5246 6.2.1"),
    *(
        Row(f"record-version-{version:04x}", header(Record.HANDSHAKE, 4, b"\1\0\0\0", version), Ends.REFUSED,
            fatal(Alert.PROTOCOL_VERSION, Alert.UNEXPECTED_MESSAGE), "RFC 5246 E.1", why=_VERSION_WHY)
        for version in (0x0000, 0x0002, 0x0200, 0x0403, 0xFEFF)
    ),
    *(
        Row(f"record-version-{version:04x}", served(headed(version)), Ends.SERVED,
            cite="RFC 5246 E.1: MUST accept any {03,XX} as the record version of ClientHello")
        for version in (0x0300, 0x0302, TLS12, 0x0304, 0x03FE)
    ),
    *(
        Row(f"message-{kind}-first", record(Record.HANDSHAKE, message(kind, bytes(40))), Ends.REFUSED,
            UNEXPECTED, "RFC 5246 7.4: messages MUST come in order")
        for kind in (Msg.SERVER_HELLO, Msg.CERTIFICATE, Msg.CERTIFICATE_VERIFY,
                     Msg.CLIENT_KEY_EXCHANGE, Msg.FINISHED, Msg.KEY_UPDATE, 3, 99, 255)
    ),
    Row("message-0-first", record(Record.HANDSHAKE, message(Msg.HELLO_REQUEST, b"")), Ends.REFUSED,
        UNEXPECTED, "RFC 5246 7.4.1.1: HelloRequest is the server's"),
    Row("message-of-16-mib", record(Record.HANDSHAKE, b"\1\xff\xff\xff" + bytes(400)), Ends.REFUSED,
        fatal(Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER), "RFC 5246 7.2.2",
        why="a ClientHello has at most 131,396 bytes: its length is out of range (50), or its value is (47)"),
    Row("message-length-one-short", lambda c: c.send(Record.HANDSHAKE, shortened(c.hello.message())),
        Ends.REFUSED,
        fatal(Alert.DECODE_ERROR, Alert.UNEXPECTED_MESSAGE), "RFC 5246 7.2.2",
        why="the body ends too early (50); what is left over begins a message of its own (10)"),
    *(
        Row(f"hello-with-{size}-more-in-{piece}-byte-records", served(padded_hello(size, piece)), Ends.SERVED,
            cite="RFC 5246 6.2.1: messages can be split over any number of records")
        for size, piece in ((20, 20), (1024, 1), (1024, 20), (4096, 20), (16000, 1024), (40000, 4000))
    ),
    Row("hello-record-of-16384", served(padded_hello(MAX_PLAIN - len(Hello().message()) - 4, MAX_PLAIN)),
        Ends.SERVED,
        cite="RFC 5246 6.2.1"),
    Row("data-within-hello", hello_between(Record.DATA, b"hello"), Ends.REFUSED, UNEXPECTED,
        "RFC 5246 7.2.2"),
    Row("ccs-within-hello", hello_between(Record.CCS, b"\1"), Ends.REFUSED, UNEXPECTED, "RFC 5246 7.1"),
    Row("heartbeat-within-hello", hello_between(Record.HEARTBEAT, b"\1\0\0" + bytes(16)), Ends.REFUSED,
        UNEXPECTED, "RFC 6520 4: never during a handshake"),
    Row("warning-within-hello", served(interleaved_warning), Ends.EITHER, UNEXPECTED, "RFC 5246 7.2.2",
        why=_EARLY_WHY),
    Row("warnings-first", served(warnings_first), Ends.EITHER, UNEXPECTED, "RFC 5246 7.2.2", why=_EARLY_WHY),
    Row("warnings-without-end", lambda c: flood(c, Record.ALERT, bytes([WARNING, Alert.USER_CANCELED])),
        Ends.REFUSED, UNEXPECTED, "choices.md 4: repeated warnings are bounded"),
    Row("fatal-alert-first", record(Record.ALERT, bytes([FATAL, Alert.HANDSHAKE_FAILURE])), Ends.SILENT,
        cite="RFC 5246 7.2.2: both sides close at once"),
    Row("close-notify-first", record(Record.ALERT, bytes([WARNING, Alert.CLOSE_NOTIFY])), Ends.SILENT,
        cite="RFC 5246 7.2.1"),
    Row("alert-level-0-first", record(Record.ALERT, bytes([0, Alert.USER_CANCELED])), Ends.REFUSED,
        fatal(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR, Alert.UNEXPECTED_MESSAGE), "RFC 5246 7.2",
        why="AlertLevel has two values; 7.2.2 gives 47 for one out of range, 50 for what cannot be read"),
]  # fmt: skip
