"""Rows: the fixed part of ClientHello (RFC 5246 7.4.1.2), version and suite choice, the downgrade marker."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello, message, u16, u16s, vec
from .names import (
    ECDSA_SCHEMES,
    FALLBACK_SCSV,
    GREASE,
    RENEGOTIATION_SCSV,
    SUITES,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    Alert,
    Ext,
    Msg,
    Record,
)
from .row import ALL_CIPHERS, ECDSA, OLD_VERSIONS, RSA, Act, Ends, Row, fatal, served

DECODE = fatal(Alert.DECODE_ERROR)
FAILURE = fatal(Alert.HANDSHAKE_FAILURE)
VERSION = fatal(Alert.PROTOCOL_VERSION)
DOWNGRADE = b"DOWNGRD"
_BOTH = RSA + ALL_CIPHERS + OLD_VERSIONS


def with_hello(change: Callable[[Hello], Hello]) -> Act:
    """A handshake with a changed ClientHello."""
    return lambda c: c.handshake(change(Hello()))


def with_body(change: Callable[[bytes], bytes], hello: Hello | None = None) -> Act:
    """A ClientHello whose encoded body is changed; the handshake header fits it."""

    def act(c: Client) -> None:
        body = change((hello or Hello()).body())
        c.send(Record.HANDSHAKE, message(Msg.CLIENT_HELLO, body))
        c.read_flight()

    return act


def refused_hello(
    name: str, change: Callable[[Hello], Hello], alerts: frozenset[int], cite: str, **more: str
) -> Row:
    """A row: a changed ClientHello is refused."""
    return Row(name, with_hello(change), Ends.REFUSED, alerts, cite, **more)


def served_hello(name: str, change: Callable[[Hello], Hello], cite: str, **more: str) -> Row:
    """A row: a changed ClientHello is served."""
    return Row(name, served(with_hello(change)), Ends.SERVED, cite=cite, **more)


def negotiates(version: int, change: Callable[[Hello], Hello], marked: bool = False) -> Act:
    """A handshake that must end up with this version, with or without the downgrade marker."""

    def act(c: Client) -> None:
        c.handshake(change(Hello()))
        if c.server.version != version:
            raise ValueError(f"version {c.server.version:#06x} was negotiated")
        tail = c.server.random[-8:]
        if tail[:7] == DOWNGRADE and not marked:
            raise ValueError(f"server random ends with {tail!r}")
        if marked and tail != DOWNGRADE + b"\0":
            raise ValueError(f"no downgrade marker in {tail!r}")

    return served(act)


def no_resumption(c: Client) -> None:
    """A session id of the client is never taken for one of ours."""
    hello = Hello(session_id=bytes(range(32)))
    c.handshake(hello)
    if c.server.session_id == hello.session_id:
        raise ValueError("the server claims to resume")


def biggest(c: Client) -> None:
    """The largest ClientHello there is: 32767 suites, 255 compression methods, 65535 bytes of extensions."""
    hello = Hello(session_id=bytes(range(32)), compressions=bytes(255))
    hello = hello.but(suites=[0xC02F, *([0x00A8] * 32766)])
    room = 65535 - len(hello.extension_bytes()) - 4
    c.handshake(hello.more(Ext.PADDING, bytes(room)))


_RANGE_WHY = "outside the vector's range (50); 7.4.1.2 makes it a list with no suite to choose (40, 47)"
_HELLO = "RFC 5246 7.4.1.2"

ROWS: list[Row] = [
    # versions
    *(
        refused_hello(f"client-version-{version:04x}", lambda h, v=version: h.but(version=v), VERSION,
                      "RFC 5246 E.1: lower than what the server supports")
        for version in (0x0000, 0x0002, 0x0200, 0x0300, TLS10, TLS11)
    ),
    *(
        Row(f"client-version-{version:04x}", negotiates(TLS12, lambda h, v=version: h.but(version=v)),
            Ends.SERVED,
            cite="RFC 5246 E.1: a greater version gets the highest the server has")
        for version in (TLS13, 0x0305, 0x03FE, 0x0401, 0xFEFE)
    ),
    refused_hello("ssl3-with-all-versions", lambda h: h.but(version=0x0300), VERSION, "RFC 7568 3",
        options=_BOTH),
    refused_hello("max-tls10-min-tls10-ssl3", lambda h: h.but(version=0x0300), VERSION, "RFC 7568 3",
                  options=RSA + ALL_CIPHERS + " -m tls10 -M tls10"),
    # downgrade marker
    Row("marker-tls11-of-tls12", negotiates(TLS11, lambda h: h.but(version=TLS11), True), Ends.SERVED,
        cite="RFC 8446 4.1.3", options=_BOTH),
    Row("marker-tls10-of-tls12", negotiates(TLS10, lambda h: h.but(version=TLS10), True), Ends.SERVED,
        cite="RFC 8446 4.1.3", options=_BOTH),
    Row("no-marker-at-maximum", negotiates(TLS12, lambda h: h), Ends.SERVED, cite="RFC 8446 4.1.3",
        options=_BOTH),
    Row("no-marker-max-tls11", negotiates(TLS11, lambda h: h), Ends.SERVED,
        cite="RFC 8446 4.1.3: the marker says that the server has TLS 1.2",
        options=RSA + ALL_CIPHERS + " -m tls10 -M tls11"),
    Row("no-marker-tls10-of-tls11", negotiates(TLS10, lambda h: h.but(version=TLS10)), Ends.SERVED,
        cite="RFC 8446 4.1.3: the marker says that the server has TLS 1.2",
        options=RSA + ALL_CIPHERS + " -m tls10 -M tls11"),
    Row("no-marker-max-tls10", negotiates(TLS10, lambda h: h), Ends.SERVED, cite="RFC 8446 4.1.3",
        options=RSA + ALL_CIPHERS + " -m tls10 -M tls10"),
    # fallback
    refused_hello("fallback-tls11", lambda h: h.but(version=TLS11, suites=(*SUITES, FALLBACK_SCSV)),
                  fatal(Alert.INAPPROPRIATE_FALLBACK), "RFC 7507 3", options=_BOTH),
    refused_hello("fallback-tls10-scsv-first",
        lambda h: h.but(version=TLS10, suites=(FALLBACK_SCSV, *SUITES)),
                  fatal(Alert.INAPPROPRIATE_FALLBACK), "RFC 7507 3", options=_BOTH),
    refused_hello("fallback-below-minimum", lambda h: h.but(version=TLS11, suites=(*SUITES, FALLBACK_SCSV)),
                  fatal(Alert.INAPPROPRIATE_FALLBACK, Alert.PROTOCOL_VERSION), "RFC 7507 3",
                  why="section 3 gives 86, unless 70 is sent since the version is not supported at all"),
    served_hello("fallback-at-maximum", lambda h: h.but(suites=(*SUITES, FALLBACK_SCSV)), "RFC 7507 3"),
    served_hello("fallback-above-maximum", lambda h: h.but(version=TLS13, suites=(*SUITES, FALLBACK_SCSV)),
                 "RFC 7507 3"),
    served_hello("fallback-tls11-of-tls11", lambda h: h.but(version=TLS11, suites=(*SUITES, FALLBACK_SCSV)),
                 "RFC 7507 3", options=RSA + ALL_CIPHERS + " -m tls10 -M tls11"),
    # session id
    *(
        served_hello(f"session-id-{size}", lambda h, n=size: h.but(session_id=bytes(range(n))), _HELLO)
        for size in (1, 16, 31)
    ),
    Row("session-id-not-resumed", served(no_resumption), Ends.SERVED, cite="RFC 5246 7.4.1.3"),
    *(
        refused_hello(f"session-id-{size}", lambda h, n=size: h.but(session_id=bytes(n)), DECODE,
                      "RFC 5246 7.4.1.2, 7.2.2: SessionID<0..32>")
        for size in (33, 64, 255)
    ),
    # suites
    refused_hello("suites-odd", lambda h: h.but(suites=u16s(SUITES) + b"\xc0"), DECODE,
        "RFC 5246 4.3, 7.4.1.2"),
    refused_hello("suites-one-byte", lambda h: h.but(suites=b"\xc0"), DECODE, "RFC 5246 4.3, 7.4.1.2"),
    refused_hello("suites-empty", lambda h: h.but(suites=b""),
                  fatal(Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER, Alert.HANDSHAKE_FAILURE),
                  "RFC 5246 7.4.1.2: cipher_suites<2..2^16-2>", why=_RANGE_WHY),
    refused_hello("suites-unknown", lambda h: h.but(suites=(0x1234, 0xEEEE)), FAILURE, _HELLO),
    refused_hello("suites-scsv-alone", lambda h: h.but(suites=(RENEGOTIATION_SCSV,)), FAILURE, _HELLO),
    refused_hello("suites-null", lambda h: h.but(suites=(0x0000, 0x0001, 0x0002, 0x003B, 0xC010)), FAILURE,
        _HELLO),
    refused_hello("suites-tls13-alone", lambda h: h.but(suites=(0x1301, 0x1302, 0x1303)), FAILURE, _HELLO),
    refused_hello("suites-rsa-key-exchange", lambda h: h.but(suites=(0x009C, 0x009D, 0x002F, 0x0035)),
        FAILURE, _HELLO),
    refused_hello("suites-dhe", lambda h: h.but(suites=(0x009E, 0x009F, 0x0033)), FAILURE, _HELLO),
    refused_hello("suites-anonymous", lambda h: h.but(suites=(0xC018, 0xC019, 0x0034)), FAILURE, _HELLO),
    refused_hello("suites-ecdsa-for-rsa", lambda h: h.but(suites=(0xC02B, 0xC02C, 0xCCA9)), FAILURE,
        "RFC 8422 2"),
    refused_hello("suites-rsa-for-ecdsa", lambda h: h.but(suites=(0xC02F, 0xC030, 0xCCA8)), FAILURE,
        "RFC 8422 2",
                  options=ECDSA),
    refused_hello("suites-not-enabled", lambda h: h.but(suites=(0xC013, 0xC014)), FAILURE, _HELLO),
    refused_hello("suites-of-tls12-in-tls11", lambda h: h.but(version=TLS11, suites=(0xC02F, 0xCCA8, 0xC027)),
                  FAILURE, "RFC 5289 4: not for older versions", options=_BOTH),
    served_hello("suites-duplicated", lambda h: h.but(suites=[0xC02F] * 200), _HELLO),
    served_hello("suites-duplicated-client-order", lambda h: h.but(suites=[0xC02F, 0xC030] * 100), _HELLO,
                 options=RSA + " -S"),
    served_hello("suites-grease", lambda h: h.but(suites=(*GREASE, *SUITES)), "RFC 8701 3.1"),
    served_hello("suites-many", lambda h: h.but(suites=(*range(0xD000, 0xE000), *SUITES)), _HELLO),
    # compression
    refused_hello("compression-without-null", lambda h: h.but(compressions=b"\1"),
        fatal(Alert.ILLEGAL_PARAMETER),
                  "RFC 5246 7.4.1.2: MUST contain null"),
    refused_hello("compression-all-but-null", lambda h: h.but(compressions=bytes(range(1, 256))),
                  fatal(Alert.ILLEGAL_PARAMETER), "RFC 5246 7.4.1.2"),
    refused_hello("compression-empty", lambda h: h.but(compressions=b""),
                  fatal(Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER), "RFC 5246 7.4.1.2: <1..2^8-1>",
                  why="out of the vector's range (50), and a list without null (47)"),
    served_hello("compression-null-last", lambda h: h.but(compressions=bytes(range(255, -1, -1))[1:]),
        _HELLO),
    # the message as a whole
    served_hello("no-extensions", lambda h: h.but(extensions=None),
                 "RFC 5246 7.4.1.4.1, RFC 8422 4: SHA-1 and any curve"),
    served_hello("no-extensions-ecdsa", lambda h: h.but(extensions=None), "RFC 5246 7.4.1.4.1",
        options=ECDSA),
    served_hello("extensions-empty", lambda h: h.but(extensions=[]), "RFC 5246 7.4.1.4: <0..2^16-1>"),
    Row("body-empty", with_body(lambda b: b""), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("body-trailing-byte", with_body(lambda b: b + b"\0"), Ends.REFUSED, DECODE, _HELLO),
    Row("body-trailing-100", with_body(lambda b: b + bytes(100)), Ends.REFUSED, DECODE, _HELLO),
    Row("extensions-length-1-byte", with_body(lambda b: b + b"\0", Hello(extensions=None)), Ends.REFUSED,
        DECODE,
        _HELLO),
    Row("extensions-length-too-long", with_body(lambda b: b + b"\0\5\0\1", Hello(extensions=None)),
        Ends.REFUSED,
        DECODE, _HELLO),
    Row("extensions-length-too-short", with_body(lambda b: b + b"\0\3\x12\x34\0\0", Hello(extensions=None)),
        Ends.REFUSED, DECODE, _HELLO),
    Row("extension-header-cut", with_body(lambda b: b + vec(2, b"\x12\x34\0"), Hello(extensions=None)),
        Ends.REFUSED,
        DECODE, _HELLO),
    Row("extension-longer-than-block", with_body(lambda b: b + vec(2, u16(0x1234) + u16(9) + b"12345678"),
        Hello(extensions=None)), Ends.REFUSED, DECODE, _HELLO),
    Row("body-cut-in-suites", with_body(lambda b: b[:40]), Ends.REFUSED, DECODE, _HELLO),
    Row("hello-of-131396-bytes", served(biggest), Ends.SERVED,
        cite="RFC 5246 7.4.1.2: all vectors at their limits"),
    Row("ecdsa-schemes-in-tls11", served(with_hello(lambda h: h.but(version=TLS11).ext(
        Ext.SIGNATURE_ALGORITHMS, vec(2, u16s(ECDSA_SCHEMES))))), Ends.EITHER, FAILURE, "RFC 5246 7.4.1.4.1",
        options=_BOTH, why="before TLS 1.2 it has no meaning and MUST NOT be sent: ignored, or taken (40)"),
]  # fmt: skip
