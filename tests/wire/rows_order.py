"""Rows: messages out of place, ChangeCipherSpec, and ends within a handshake (RFC 5246 7.1, 7.3, 7.4)."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello, message, vec
from .names import FATAL, TLS12, WARNING, Alert, Msg, Record
from .records import Received
from .row import POISON, RSA, Act, Ends, Row, fatal, served
from .rows_record import flood

UNEXPECTED = fatal(Alert.UNEXPECTED_MESSAGE)
_CCS = fatal(Alert.UNEXPECTED_MESSAGE, Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR)
_CCS_WHY = (
    "7.1 defines one byte of value 1 and no alert: unexpected (10), illegal value (47), or malformed (50)"
)
_EMPTY = fatal(Alert.UNEXPECTED_MESSAGE, Alert.DECODE_ERROR)
_EMPTY_WHY = "6.2.1 names no alert: the record has no place here (10), or its length is illegal (50)"
_ORDER = "RFC 5246 7.4: messages MUST be sent in order, unexpected_message"

Step = Callable[[Client], None]


def say(kind: int, plain: bytes) -> Step:
    """Send one record, sealed if keys are on."""
    return lambda c: c.send(kind, plain)


def tell(kind: int, content: bytes = b"") -> Step:
    """Send one handshake message, sealed if keys are on."""
    return lambda c: c.send_message(message(kind, content))


def key_exchange(c: Client) -> None:
    """A correct ClientKeyExchange."""
    c.send_key_exchange()


def ccs(c: Client) -> None:
    """A correct ChangeCipherSpec; keys are on after it."""
    c.send_ccs()


def finished(c: Client) -> None:
    """A correct Finished, in clear if keys are not on."""
    c.send_finished()


def rest(c: Client) -> None:
    """What is left after a correct ClientKeyExchange."""
    c.send_ccs()
    c.send_finished()
    c.read_finished()


def eof(c: Client) -> None:
    """The client's side of the connection ends."""
    c.end()


def eof_behind_hello(c: Client) -> None:
    """ClientHello, and the end of the client's side."""
    c.send_hello(Hello())
    eof(c)


def steps(*parts: Step) -> Act:
    """The server's first flight, and then these steps."""

    def act(c: Client) -> None:
        c.start()
        for part in parts:
            part(c)

    return act


def hello_and_more(c: Client) -> None:
    """ClientHello and a ClientKeyExchange (with an all-zero point) in one record."""
    c.transcript += c.hello.message()
    c.send(Record.HANDSHAKE, c.hello.message() + message(Msg.CLIENT_KEY_EXCHANGE, vec(1, bytes(32))))
    c.read_flight()


def hello_twice(c: Client) -> None:
    """A second ClientHello before the server has answered the first."""
    c.send(Record.HANDSHAKE, c.hello.message())
    c.send(Record.HANDSHAKE, c.hello.message(), TLS12)


def ccs_behind_hello(c: Client) -> None:
    """ChangeCipherSpec right behind ClientHello, as a client of TLS 1.3 does it."""
    c.send_hello(Hello())
    c.send(Record.CCS, b"\1", TLS12)


def finished_begins_in_clear(c: Client) -> None:
    """The first byte of Finished in the record of ClientKeyExchange, the rest sealed."""
    c.start()
    point = c.compute_premaster()
    whole = message(Msg.CLIENT_KEY_EXCHANGE, vec(1, point))
    c.transcript += whole
    c.send(Record.HANDSHAKE, whole + bytes([Msg.FINISHED]))
    c.compute_keys()
    c.send_ccs()
    c.send(Record.HANDSHAKE, message(Msg.FINISHED, c.verify_data())[1:])


def key_exchange_and_finished(c: Client) -> None:
    """ClientKeyExchange and Finished in one clear record."""
    c.start()
    whole = message(Msg.CLIENT_KEY_EXCHANGE, vec(1, c.compute_premaster()))
    c.transcript += whole
    c.compute_keys()
    c.send(Record.HANDSHAKE, whole + message(Msg.FINISHED, c.verify_data()))


def finished_and_more(c: Client) -> None:
    """A message in the record of Finished, behind it."""
    c.start()
    c.send_key_exchange()
    c.send_ccs()
    whole = message(Msg.FINISHED, c.verify_data())
    c.transcript += whole
    c.send(Record.HANDSHAKE, whole + message(99, b""))
    c.read_finished()
    c.drain()
    if c.alerts[-1:] != [Received(FATAL, Alert.UNEXPECTED_MESSAGE, True)]:
        raise ValueError(f"alerts {c.alerts}")


def half_key_exchange(kind: int, plain: bytes) -> Act:
    """Half of ClientKeyExchange, and then another record."""

    def act(c: Client) -> None:
        c.start()
        whole = message(Msg.CLIENT_KEY_EXCHANGE, vec(1, c.compute_premaster()))
        c.send(Record.HANDSHAKE, whole[:20])
        c.send(kind, plain)

    return act


def finished_in_clear(c: Client) -> None:
    """Finished in clear where sealed records are due."""
    c.send_raw(c.frame(Record.HANDSHAKE, message(Msg.FINISHED, c.verify_data())))


def refused(name: str, act: Act, alerts: frozenset[int] = UNEXPECTED, cite: str = _ORDER, **more: str) -> Row:
    """A row of this file."""
    return Row(name, act, Ends.REFUSED, alerts, cite, **more)


_WARNING = say(Record.ALERT, bytes([WARNING, Alert.USER_CANCELED]))

ROWS: list[Row] = [
    # in place of ClientKeyExchange
    *(
        refused(f"{name}-for-key-exchange", steps(tell(kind, content)))
        for name, kind, content in (
            ("hello-request", Msg.HELLO_REQUEST, b""),
            ("client-hello", Msg.CLIENT_HELLO, Hello().body()),
            ("server-hello", Msg.SERVER_HELLO, bytes(38)),
            ("certificate", Msg.CERTIFICATE, vec(3, vec(3, b"x"))),
            ("certificate-empty", Msg.CERTIFICATE, vec(3, b"")),
            ("certificate-request", Msg.CERTIFICATE_REQUEST, bytes(5)),
            ("certificate-verify", Msg.CERTIFICATE_VERIFY, b"\4\1" + vec(2, bytes(256))),
            ("server-key-exchange", Msg.SERVER_KEY_EXCHANGE, bytes(40)),
            ("server-hello-done", Msg.SERVER_HELLO_DONE, b""),
            ("finished", Msg.FINISHED, bytes(12)),
            ("new-session-ticket", 4, bytes(8)),
            ("key-update", Msg.KEY_UPDATE, b"\0"),
            ("unknown", 99, b""),
        )
    ),
    refused("ccs-for-key-exchange", steps(say(Record.CCS, b"\1")),
        cite="RFC 5246 7.1: after the key exchange"),
    refused("data-for-key-exchange", steps(say(Record.DATA, POISON)), cite="RFC 5246 7.2.2"),
    refused("data-empty-for-key-exchange", steps(say(Record.DATA, b"")), cite="RFC 5246 7.2.2"),
    refused("heartbeat-for-key-exchange", steps(say(Record.HEARTBEAT, b"\1\0\0" + bytes(16)))),
    refused("type-99-for-key-exchange", steps(say(99, b"\1")), cite="RFC 5246 6"),
    refused("empty-handshake-for-key-exchange", steps(say(Record.HANDSHAKE, b"")), _EMPTY, "RFC 5246 6.2.1",
            why=_EMPTY_WHY),
    refused("empty-alert-for-key-exchange", steps(say(Record.ALERT, b"")), _EMPTY, "RFC 5246 6.2.1",
        why=_EMPTY_WHY),
    refused("ccs-behind-hello", ccs_behind_hello, cite="RFC 5246 7.1"),
    refused("hello-twice-at-once", lambda c: c.send_pieces(c.hello.message() * 2)),
    refused("hello-twice-in-two-records", hello_twice),
    refused("hello-and-more-in-a-record", hello_and_more,
        fatal(Alert.UNEXPECTED_MESSAGE, Alert.ILLEGAL_PARAMETER),
            why="it comes before its turn (10); taken in its turn its point is illegal (47)"),
    # in place of ChangeCipherSpec
    refused("key-exchange-twice", steps(key_exchange, key_exchange)),
    refused("finished-before-ccs", steps(key_exchange, finished),
        cite="RFC 5246 7.4.9: not after CCS is fatal"),
    refused("data-before-ccs", steps(key_exchange, say(Record.DATA, POISON)), cite="RFC 5246 7.2.2"),
    refused("certificate-verify-unasked", steps(key_exchange, tell(Msg.CERTIFICATE_VERIFY,
        b"\4\1" + bytes(2)))),
    refused("client-hello-before-ccs", steps(key_exchange, tell(Msg.CLIENT_HELLO, Hello().body()))),
    refused("empty-handshake-before-ccs", steps(key_exchange, say(Record.HANDSHAKE, b"")), _EMPTY,
        "RFC 5246 6.2.1",
            why=_EMPTY_WHY),
    refused("ccs-within-key-exchange", half_key_exchange(Record.CCS, b"\1"), cite="RFC 5246 7.1"),
    refused("data-within-key-exchange", half_key_exchange(Record.DATA, POISON), cite="RFC 5246 7.2.2"),
    refused("finished-begins-in-clear", finished_begins_in_clear,
        cite="RFC 5246 7.1: CCS between whole messages"),
    refused("key-exchange-and-finished-in-a-record", key_exchange_and_finished),
    *(
        refused(f"ccs-{name}", steps(key_exchange, say(Record.CCS, content)), _CCS, "RFC 5246 7.1",
            why=_CCS_WHY)
        for name, content in (("two-bytes", b"\1\1"), ("value-0", b"\0"), ("value-2", b"\2"), ("value-255",
        b"\xff"),
                              ("long", bytes(100)))
    ),
    refused("ccs-empty", steps(key_exchange, say(Record.CCS, b"")), _EMPTY, "RFC 5246 6.2.1", why=_EMPTY_WHY),
    # in place of Finished, sealed
    *(
        refused(f"{name}-for-finished", steps(key_exchange, ccs, tell(kind, content)))
        for name, kind, content in (
            ("hello-request", Msg.HELLO_REQUEST, b""),
            ("client-hello", Msg.CLIENT_HELLO, Hello().body()),
            ("key-exchange", Msg.CLIENT_KEY_EXCHANGE, vec(1, bytes(32))),
            ("unknown", 99, bytes(12)),
        )
    ),
    refused("data-before-finished", steps(key_exchange, ccs, say(Record.DATA, POISON)),
        cite="RFC 5246 7.4.9"),
    refused("data-empty-before-finished", steps(key_exchange, ccs, say(Record.DATA, b"")),
        cite="RFC 5246 7.4.9"),
    refused("ccs-twice-sealed", steps(key_exchange, ccs, say(Record.CCS, b"\1")), cite="RFC 5246 7.1"),
    refused("ccs-twice-clear", steps(key_exchange, ccs, lambda c: c.send_raw(c.frame(Record.CCS, b"\1"))),
            fatal(Alert.BAD_RECORD_MAC, Alert.UNEXPECTED_MESSAGE), "RFC 5246 7.1",
            why="does not open under the new keys (20); not due (10)"),
    refused("empty-handshake-before-finished", steps(key_exchange, ccs, say(Record.HANDSHAKE, b"")), _EMPTY,
            "RFC 5246 6.2.1", why=_EMPTY_WHY),
    refused("finished-in-clear", steps(key_exchange, ccs, finished_in_clear), fatal(Alert.BAD_RECORD_MAC),
            "RFC 5246 7.1, 6.2.3.3: does not open"),
    refused("finished-in-clear-cbc", steps(key_exchange, ccs, finished_in_clear), fatal(Alert.BAD_RECORD_MAC),
            "RFC 5246 7.1, 6.2.3.2", options=RSA + " -c AES_128_CBC_SHA256"),
    Row("finished-and-more-in-a-record", finished_and_more, Ends.EITHER, UNEXPECTED, _ORDER,
        why="refused with the Finished, or after the handshake that it ends"),
    # alerts on the way
    Row("warnings-on-the-way", served(steps(_WARNING, key_exchange, _WARNING, rest)), Ends.SERVED,
        cite="RFC 5246 7.2.2: after a warning the connection can go on"),
    Row("warning-for-finished", served(steps(key_exchange, ccs, _WARNING, finished,
        lambda c: c.read_finished())),
        Ends.EITHER, UNEXPECTED, "RFC 5246 7.2.2, 7.1",
        why="warnings can be passed over; Finished follows CCS at once (10)"),
    refused("warnings-without-end", steps(lambda c: flood(c, Record.ALERT, bytes([WARNING,
        Alert.USER_CANCELED]))),
            cite="choices.md 4: repeated warnings are bounded"),
    *(
        Row(f"{name}-{stage}", steps(*before, say(Record.ALERT, alert)), ends, cite=cite)
        for stage, before, ends in (("for-key-exchange", (), Ends.SILENT), ("for-ccs", (key_exchange,),
        Ends.SILENT),
                                    ("for-finished", (key_exchange, ccs), Ends.GONE))
        for name, alert, cite in (
            ("close-notify", bytes([WARNING, Alert.CLOSE_NOTIFY]), "RFC 5246 7.2.1"),
            ("fatal-alert", bytes([FATAL, Alert.BAD_CERTIFICATE]), "RFC 5246 7.2.2: close at once"),
        )
    ),
    Row("eof-for-hello-done", eof_behind_hello, Ends.GONE, cite="spec 2.1"),
    Row("eof-for-key-exchange", steps(eof), Ends.GONE, cite="spec 2.1"),
    Row("eof-for-ccs", steps(key_exchange, eof), Ends.GONE, cite="spec 2.1"),
    Row("eof-for-finished", steps(key_exchange, ccs, eof), Ends.GONE, cite="spec 2.1"),
]  # fmt: skip
