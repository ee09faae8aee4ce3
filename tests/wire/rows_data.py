"""Rows: after the handshake: data, alerts, ends, renegotiation, and messages that have no place there."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello, message, vec
from .names import CIPHER_OPTIONS, FATAL, MAX_PLAIN, TLS10, TLS11, TLS12, WARNING, Alert, Msg, Record
from .row import ALL_CIPHERS, OLD_VERSIONS, POISON, RSA, Act, Ends, Row, fatal, served
from .rows_record import FLOOD, flood

UNEXPECTED = fatal(Alert.UNEXPECTED_MESSAGE)
_EMPTY = fatal(Alert.UNEXPECTED_MESSAGE, Alert.DECODE_ERROR)
_EMPTY_WHY = "6.2.1 names no alert: the record has no place here (10), or its length is illegal (50)"
_VERSION = fatal(Alert.PROTOCOL_VERSION, Alert.BAD_RECORD_MAC, Alert.UNEXPECTED_MESSAGE)
_VERSION_WHY = (
    "no section names it: not the version agreed on (70), covered by the MAC (20), out of place (10)"
)
_LEVEL = fatal(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR, Alert.UNEXPECTED_MESSAGE)
_LEVEL_WHY = "AlertLevel has two values: out of range (47), cannot be read (50), or no alert at all (10)"
_ALERT_WHY = (
    "6.2.1 lets any content be split or joined; that a server takes whole alerts alone is usual (10, 50)"
)

Step = Callable[[Client], None]


def after(*parts: Step) -> Act:
    """A handshake, an echo, and then these steps."""

    def act(c: Client) -> None:
        c.handshake()
        c.echo(b"before")
        for part in parts:
            part(c)

    return act


def say(kind: int, plain: bytes) -> Step:
    """Send one sealed record."""
    return lambda c: c.send(kind, plain)


def again(count: int, part: Step) -> Step:
    """The same step so many times."""

    def act(c: Client) -> None:
        for _ in range(count):
            part(c)

    return act


def refused_renegotiation(sizes: int | None = None) -> Step:
    """Ask for a new handshake; the answer must be the warning no_renegotiation."""

    def act(c: Client) -> None:
        c.send_pieces(Hello().message(), sizes)
        c.read_alert()
        if (c.alerts[-1].level, c.alerts[-1].description) != (WARNING, Alert.NO_RENEGOTIATION):
            raise ValueError(f"renegotiation was answered with {c.alerts[-1]}")

    return act


def data_within_renegotiation(c: Client) -> None:
    """Data between two halves of a ClientHello: both get their answer, in either order."""
    whole = Hello().message()
    c.send_pieces(whole[:30])
    c.send_data(b"between")
    c.send_pieces(whole[30:])
    if c.read_data(7) != b"between":
        raise ValueError("the echo differs")
    while not c.alerts:
        c.read()
    if c.alerts[-1].description != Alert.NO_RENEGOTIATION:
        raise ValueError(f"renegotiation was answered with {c.alerts[-1]}")


def data_within_alert(c: Client) -> None:
    """Data between two halves of a warning."""
    c.send(Record.ALERT, _WARNING[:1])
    c.echo(b"between")
    c.send(Record.ALERT, _WARNING[1:])


def renegotiation_in_tls11(c: Client) -> None:
    """The same in TLS 1.1."""
    c.handshake(Hello(version=TLS11))
    refused_renegotiation()(c)


def renegotiate_without_end(c: Client) -> None:
    """Ask for a new handshake until the server has had enough."""
    for _ in range(FLOOD):
        c.send_pieces(Hello().message())
        c.read_alert()
        if c.alerts[-1].level == FATAL:
            return


def half_close(c: Client) -> None:
    """TCP's end without close_notify; what prog still says must come."""
    c.send_data(b"last words")
    c.sock.shutdown(1)
    if c.read_data(10) != b"last words":
        raise ValueError("the echo differs")


def data_after_close_notify(c: Client) -> None:
    """Records behind close_notify are not looked at."""
    c.send_raw(c.seal(Record.ALERT, bytes([WARNING, Alert.CLOSE_NOTIFY])) + c.seal(Record.DATA, POISON))
    c.drain()
    if not c.alerts or c.alerts[-1].description != Alert.CLOSE_NOTIFY:
        raise ValueError("close_notify was not answered")


def fatal_alert(description: int) -> Step:
    """A fatal alert of the client, which gets no answer."""

    def act(c: Client) -> None:
        c.send_alert(description)
        c.drain()
        if c.alerts:
            raise ValueError(f"answered with {c.alerts[-1]}")

    return act


def one_byte_records(c: Client) -> None:
    """Six hundred records of one byte, in one segment."""
    blob = bytes(i % 251 for i in range(600))
    c.send_data(blob, 1)
    if c.read_data(len(blob)) != blob:
        raise ValueError("the echo differs")


def full_records(c: Client) -> None:
    """Records at and about the limit of 2^14."""
    for size in (MAX_PLAIN - 1, MAX_PLAIN):
        blob = bytes(i % 253 for i in range(size))
        c.send_data(blob)
        if c.read_data(size) != blob:
            raise ValueError("the echo differs")


def byte_by_byte(c: Client) -> None:
    """One record in segments of one byte."""
    for octet in c.seal(Record.DATA, b"drip"):
        c.send_raw(bytes([octet]))
    if c.read_data(4) != b"drip":
        raise ValueError("the echo differs")


def empties_between(c: Client) -> None:
    """An empty record before each of two hundred others, as old CBC clients send them."""
    for _ in range(200):
        c.send_raw(c.seal(Record.DATA, b"") + c.seal(Record.DATA, b"x"))
    if c.read_data(200) != b"x" * 200:
        raise ValueError("the echo differs")


def other_version(version: int) -> Step:
    """A good record under another version."""
    return lambda c: c.send(Record.DATA, POISON, version)


def header_version(version: int) -> Step:
    """A good record with the version changed in its header only."""

    def act(c: Client) -> None:
        whole = c.seal(Record.DATA, POISON)
        c.send_raw(whole[:1] + version.to_bytes(2, "big") + whole[3:])

    return act


def broken(
    name: str, act: Act, alerts: frozenset[int] = UNEXPECTED, cite: str = "RFC 5246 7.2.2", **more: str
) -> Row:
    """A row: ended by a fatal alert."""
    return Row(name, act, Ends.BROKEN, alerts, cite, **more)


def _family(label: str, options: str, version: int) -> list[Row]:
    """What every kind of record protection must carry."""

    def act(*parts: Step) -> Act:
        def whole(c: Client) -> None:
            c.handshake(Hello(version=version))
            for part in parts:
                part(c)

        return served(whole)

    return [
        Row(
            f"one-byte-records-{label}",
            act(one_byte_records),
            Ends.SERVED,
            cite="RFC 5246 6.2.1",
            options=options,
        ),
        Row(f"full-records-{label}", act(full_records), Ends.SERVED, cite="RFC 5246 6.2.1", options=options),
        Row(
            f"empties-between-{label}",
            act(empties_between),
            Ends.SERVED,
            cite="RFC 5246 6.2.1, F.3",
            options=options,
        ),
    ]


_WARNING = bytes([WARNING, Alert.USER_CANCELED])

ROWS: list[Row] = [
    # data
    *(row for option in CIPHER_OPTIONS
      for row in _family(option.lower().replace("_", "-"), f"{RSA} -c {option}", TLS12)),
    *_family("tls10", RSA + " -c AES_256_CBC_SHA" + OLD_VERSIONS, TLS10),
    *_family("tls11", RSA + " -c AES_256_CBC_SHA" + OLD_VERSIONS, TLS11),
    Row("byte-by-byte", served(after(byte_by_byte)), Ends.SERVED, cite="RFC 5246 6.2.1"),
    Row("empty-data-thrice", served(after(again(3, say(Record.DATA, b"")))), Ends.SERVED,
        cite="RFC 5246 6.2.1: empty application data MAY be sent"),
    broken("empty-data-without-end", after(lambda c: flood(c, Record.DATA, b"")),
           cite="choices.md 4: a bounded number in a row"),
    # types and versions of records
    *(broken(f"type-{kind}", after(say(kind, POISON)), cite="RFC 5246 6") for kind in (0, 19,
        Record.HEARTBEAT, 99, 255)),
    broken("heartbeat-request", after(say(Record.HEARTBEAT, b"\1\x40\x00" + bytes(16))),
        cite="RFC 6520 3: not agreed on"),
    *(broken(f"empty-{name}", after(say(kind, b"")), _EMPTY, "RFC 5246 6.2.1", why=_EMPTY_WHY)
      for name, kind in (("handshake", Record.HANDSHAKE), ("alert", Record.ALERT), ("ccs", Record.CCS))),
    *(broken(f"version-{version:04x}", after(other_version(version)), _VERSION, "RFC 5246 6.2.1",
        why=_VERSION_WHY)
      for version in (0x0302, 0x0304, 0x0203)),
    *(broken(f"header-version-{version:04x}", after(header_version(version)), _VERSION, "RFC 5246 6.2.1",
             why=_VERSION_WHY) for version in (0x0301, 0x03FF, 0x0003)),
    # handshake messages and CCS
    broken("ccs", after(say(Record.CCS, b"\1")), cite="RFC 5246 7.1"),
    *(broken(f"{name}", after(say(Record.HANDSHAKE, message(kind, content))), cite="RFC 5246 7.4")
      for name, kind, content in (
          ("hello-request", Msg.HELLO_REQUEST, b""),
          ("server-hello", Msg.SERVER_HELLO, bytes(38)),
          ("certificate", Msg.CERTIFICATE, vec(3, b"")),
          ("key-exchange", Msg.CLIENT_KEY_EXCHANGE, vec(1, bytes(32))),
          ("certificate-verify", Msg.CERTIFICATE_VERIFY, b"\4\1\0\0"),
          ("finished", Msg.FINISHED, bytes(12)),
          ("key-update", Msg.KEY_UPDATE, b"\0"),
          ("unknown-message", 99, b""),
      )),
    # renegotiation
    Row("renegotiation", served(after(refused_renegotiation())), Ends.SERVED,
        cite="RFC 5246 7.2.2: no_renegotiation is a warning, and the connection goes on"),
    Row("renegotiation-in-pieces", served(after(refused_renegotiation(50))), Ends.SERVED,
        cite="RFC 5246 6.2.1"),
    Row("renegotiation-thrice", served(after(again(3, refused_renegotiation()))), Ends.SERVED,
        cite="RFC 5246 7.2.2"),
    Row("renegotiation-tls11", served(renegotiation_in_tls11),
        Ends.SERVED, cite="RFC 4346 7.2.2", options=RSA + ALL_CIPHERS + OLD_VERSIONS),
    broken("renegotiation-without-end", after(renegotiate_without_end),
           fatal(Alert.UNEXPECTED_MESSAGE, Alert.NO_RENEGOTIATION, Alert.HANDSHAKE_FAILURE),
           "choices.md 4: renegotiation is bounded", why="bounding is ours; RFC 5246 names no alert for it"),
    Row("data-within-renegotiation", served(after(data_within_renegotiation)), Ends.EITHER, UNEXPECTED,
        "RFC 5246 6.2.1", why="data MAY come between other types; within a message many refuse it (10)"),
    # alerts
    *(Row(f"warning-{code}", served(after(say(Record.ALERT, bytes([WARNING, code])))), Ends.SERVED,
          cite="RFC 5246 7.2.2: after a warning the connection can go on")
      for code in (Alert.USER_CANCELED, Alert.UNRECOGNIZED_NAME, 200)),
    broken("warnings-without-end", after(lambda c: flood(c, Record.ALERT, _WARNING)),
           cite="choices.md 4: repeated warnings are bounded"),
    *(broken(f"alert-level-{level}", after(say(Record.ALERT, bytes([level, Alert.USER_CANCELED]))), _LEVEL,
             "RFC 5246 7.2", why=_LEVEL_WHY) for level in (0, 3, 255)),
    Row("alert-in-pieces", served(after(say(Record.ALERT, _WARNING[:1]), say(Record.ALERT, _WARNING[1:]))),
        Ends.EITHER, _EMPTY, "RFC 5246 6.2.1", why=_ALERT_WHY),
    Row("alerts-joined", served(after(say(Record.ALERT, _WARNING * 2))), Ends.EITHER, _EMPTY,
        "RFC 5246 6.2.1",
        why=_ALERT_WHY),
    Row("data-within-alert", served(after(data_within_alert)), Ends.EITHER, _EMPTY, "RFC 5246 6.2.1",
        why="data MAY come between other types; many refuse half an alert (50), or data within it (10)"),
    # ends
    Row("close-notify-with-data-behind", after(data_after_close_notify), Ends.CLOSED,
        cite="RFC 5246 7.2.1: data after it is ignored; it MUST be answered"),
    Row("tcp-end", after(half_close), Ends.CLOSED, cite="choices.md 2: half-close"),
    *(Row(f"fatal-alert-{Alert(code).name.lower()}", after(fatal_alert(code)), Ends.CLOSED,
          cite="RFC 5246 7.2.2: both sides close at once",
          log=f"TLS received alert: {Alert(code).name.lower()}")
      for code in (Alert.INTERNAL_ERROR, Alert.BAD_RECORD_MAC, Alert.ACCESS_DENIED)),
    Row("fatal-alert-200", after(fatal_alert(200)), Ends.CLOSED, cite="RFC 5246 7.2.2"),
    Row("fatal-close-notify", after(lambda c: c.send_alert(Alert.CLOSE_NOTIFY, FATAL)), Ends.CLOSED,
        cite="RFC 5246 7.2.2: a fatal alert, whatever it says"),
]  # fmt: skip
