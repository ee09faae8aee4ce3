"""Rows by the hundred: one fault at each place of a ClientHello. Made, not written."""

from __future__ import annotations

from .client import Client
from .messages import Hello, message, server_name, u16, u16s, vec
from .names import RSA_SCHEMES, Alert, Ext, Msg, Record
from .row import Act, Ends, Row, fatal, served

DECODE = fatal(Alert.DECODE_ERROR)
_HELLO = "RFC 5246 7.4.1.2, 7.2.2"

# Where the fixed part of a ClientHello without session id has its lengths.
SESSION_ID, SUITES = 34, 35

# One valid content of each extension that is looked into.
KNOWN: dict[Ext, bytes] = {
    Ext.SERVER_NAME: server_name(b"wire.test"),
    Ext.MAX_FRAGMENT_LENGTH: b"\4",
    Ext.SUPPORTED_GROUPS: vec(2, u16s((29, 23))),
    Ext.EC_POINT_FORMATS: vec(1, b"\0\1"),
    Ext.SIGNATURE_ALGORITHMS: vec(2, u16s(RSA_SCHEMES)),
    Ext.ALPN: vec(2, vec(1, b"h2") + vec(1, b"http/1.1")),
    Ext.RENEGOTIATION_INFO: b"\0",
}


def body(content: bytes) -> Act:
    """A ClientHello with this body and a header that fits."""

    def act(c: Client) -> None:
        c.send(Record.HANDSHAKE, message(Msg.CLIENT_HELLO, content))
        c.read_flight()

    return act


def split_at(index: int) -> Act:
    """A handshake whose ClientHello comes in two records."""

    def act(c: Client) -> None:
        c.send_hello(Hello(), [index])
        c.read_flight()
        c.send_key_exchange()
        c.send_ccs()
        c.send_finished()
        c.read_finished()

    return served(act)


def fragmented() -> list[Row]:
    """ClientHello cut in two at every byte."""
    return [
        Row(f"split-at-{index}", split_at(index), Ends.SERVED, cite="RFC 5246 6.2.1")
        for index in range(1, len(Hello().message()))
    ]


def truncated() -> list[Row]:
    """ClientHello ended after every byte; without any extension it is whole, so that one is left out."""
    whole = Hello().body()
    fixed = len(Hello(extensions=None).body())
    return [
        Row(f"ends-at-{size}", body(whole[:size]), Ends.REFUSED, DECODE, _HELLO)
        for size in range(len(whole))
        if size != fixed
    ]


def lengths() -> list[Row]:
    """Each length field of the fixed part and of the extensions block, with other values."""
    whole = Hello().body()
    compressions = SUITES + 2 + int.from_bytes(whole[SUITES : SUITES + 2], "big")
    block = compressions + 2
    places = {
        "session-id": (SESSION_ID, 1),
        "suites": (SUITES, 2),
        "compressions": (compressions, 1),
        "block": (block, 2),
    }
    rows = []
    for name, (at, size) in places.items():
        right = int.from_bytes(whole[at : at + size], "big")
        values = {*range(0, 256, 5), 1, 2, 3, 31, 32, 33, 127, 128, 254} | {
            right + step for step in (-3, -2, -1, 1, 2, 3, 16)
        }
        if size == 2:
            values |= {256, 1000, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF}
        for value in sorted(v for v in values if 0 <= v < 256**size and v != right):
            changed = whole[:at] + value.to_bytes(size, "big") + whole[at + size :]
            alerts, why = DECODE, ""
            if name == "session-id" and not any(changed[SUITES + value : SUITES + value + 2]):
                alerts, why = (
                    DECODE | fatal(Alert.ILLEGAL_PARAMETER),
                    "read on from there, the list of suites is empty",
                )
            rows.append(Row(f"{name}-length-{value}", body(changed), Ends.REFUSED, alerts, _HELLO, why=why))
    return rows


def extensions() -> list[Row]:
    """Each known extension ended after every byte, and with a byte more."""
    rows = []
    for kind, whole in KNOWN.items():
        for content in [whole[:size] for size in range(len(whole))] + [whole + b"\0"]:
            alerts, why = DECODE, ""
            if kind == Ext.RENEGOTIATION_INFO and content:
                alerts, why = (
                    DECODE | fatal(Alert.HANDSHAKE_FAILURE),
                    "RFC 5746 3.6: not the empty value (40)",
                )
            name = f"{kind.name.lower()}-of-{len(content)}-bytes"
            act = body(Hello().ext(kind, content).body())
            rows.append(Row(name, act, Ends.REFUSED, alerts, "RFC 5246 7.4.1.4, 7.2.2", why=why))
    return rows


def headers() -> list[Row]:
    """Each extension's own length field one too large and one too small."""
    rows = []
    whole = Hello().body()
    at = len(Hello(extensions=None).body()) + 2
    while at < len(whole):
        size = int.from_bytes(whole[at + 2 : at + 4], "big")
        kind = int.from_bytes(whole[at : at + 2], "big")
        for value in (size + 1, size - 1, 0xFFFF):
            if value >= 0:
                changed = whole[: at + 2] + u16(value) + whole[at + 4 :]
                alerts = fatal(Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE, Alert.ILLEGAL_PARAMETER)
                why = "read on from the wrong place, the next bytes can be a wrong value too (40, 47)"
                rows.append(
                    Row(
                        f"extension-{kind}-length-{value}",
                        body(changed),
                        Ends.REFUSED,
                        alerts,
                        _HELLO,
                        why=why,
                    )
                )
        at += 4 + size
    return rows


SWEEPS = {
    "fragmented": fragmented,
    "truncated": truncated,
    "lengths": lengths,
    "extensions": extensions,
    "headers": headers,
}
