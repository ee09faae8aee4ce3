"""Rows: ClientHello extensions, each with what its own RFC says of it."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello, server_name, u16, u16s, vec
from .names import (
    ECDSA_SCHEMES,
    GREASE,
    PSS_SCHEMES,
    RENEGOTIATION_SCSV,
    RSA_SCHEMES,
    SUITES,
    TLS11,
    TLS12,
    TLS13,
    Alert,
    Ext,
    Group,
)
from .row import ALL_CIPHERS, ALL_GROUPS, ECDSA, OLD_VERSIONS, RSA, Act, Ends, Row, fatal, served
from .rows_hello import DECODE, FAILURE, refused_hello, served_hello

ILLEGAL = fatal(Alert.ILLEGAL_PARAMETER)
_BOTH = RSA + ALL_CIPHERS + OLD_VERSIONS
_RANGE = fatal(Alert.DECODE_ERROR, Alert.ILLEGAL_PARAMETER)
_NAME_ALERTS = fatal(Alert.ILLEGAL_PARAMETER, Alert.UNRECOGNIZED_NAME)
_NAME_WHY = "RFC 6066 3: such a HostName is not allowed (47), or not recognised (112)"
_TWICE_WHY = "7.4.1.4 forbids it without naming an alert: cannot be decoded so (50), or illegal (47)"
_SNI, _GROUPS, _POINTS, _SCHEMES, _ALPN = (
    Ext.SERVER_NAME,
    Ext.SUPPORTED_GROUPS,
    Ext.EC_POINT_FORMATS,
    Ext.SIGNATURE_ALGORITHMS,
    Ext.ALPN,
)
_PSS = "RFC 8446 4.2.3: in TLS 1.2 too"
_TWO = ECDSA + " " + RSA
_EXTENSIONS = "RFC 5246 7.4.1.4: unknown extensions MUST be ignored"


def bad(name: str, kind: int, data: bytes, alerts: frozenset[int], cite: str, **more: str) -> Row:
    """A row: this extension with this content is refused."""
    return refused_hello(name, lambda h: h.ext(kind, data), alerts, cite, **more)


def good(name: str, kind: int, data: bytes, cite: str, **more: str) -> Row:
    """A row: this extension with this content is served."""
    return served_hello(name, lambda h: h.ext(kind, data), cite, **more)


def answered(kind: int, data: bytes | None, change: Callable[[Hello], Hello]) -> Act:
    """A handshake whose ServerHello must hold this extension with this content, or (None) must not."""

    def act(c: Client) -> None:
        c.handshake(change(Hello()))
        if c.server.extensions.get(kind) != data:
            raise ValueError(f"extension {kind} is {c.server.extensions.get(kind)!r} in ServerHello")

    return served(act)


def not_answered(name: str, kind: int, data: bytes, cite: str, **more: str) -> Row:
    """A row: the extension is passed over, and not answered."""
    act = answered(kind, None, lambda h: h.ext(kind, data))
    return Row(name, act, Ends.SERVED, cite=cite, **more)


def fragments(code: int) -> Act:
    """max_fragment_length is echoed, and no record of the server is longer."""

    def act(c: Client) -> None:
        answered(
            Ext.MAX_FRAGMENT_LENGTH, bytes([code]), lambda h: h.ext(Ext.MAX_FRAGMENT_LENGTH, bytes([code]))
        )(c)
        limit = 256 << code
        blob = bytes(range(256)) * 40
        c.send_data(blob, limit)
        if c.read_data(len(blob)) != blob:
            raise ValueError("the echo differs")
        longest = max(len(frame.plain) for frame in c.seen)
        if longest > limit:
            raise ValueError(f"a record of {longest} bytes, agreed on {limit}")

    return act


def schemes(*codes: int) -> Callable[[Hello], Hello]:
    """The ClientHello with just these signature schemes."""
    return lambda h: h.ext(_SCHEMES, vec(2, u16s(codes)))


def signs_with(scheme: int, *offered: int) -> Act:
    """The server must sign with this scheme when these are offered."""

    def act(c: Client) -> None:
        c.handshake(schemes(*offered)(Hello()))
        if c.key_exchange.scheme != scheme:
            raise ValueError(f"signed with {c.key_exchange.scheme:#06x}")

    return served(act)


def chooses(group: int, change: Callable[[Hello], Hello]) -> Act:
    """The server must choose this group."""

    def act(c: Client) -> None:
        c.handshake(change(Hello()))
        if c.key_exchange.group != group:
            raise ValueError(f"group {c.key_exchange.group}")

    return served(act)


def twice(kind: int, data: bytes) -> Callable[[Hello], Hello]:
    """The ClientHello with this extension at its end once more."""
    return lambda h: h.ext(kind, data).more(kind, data)


def like_tls13(h: Hello) -> Hello:
    """What a client with TLS 1.3 sends to whom it does not know (RFC 8446 4.1.2, D.1)."""
    versions = vec(1, u16s((GREASE[3], TLS13, TLS12)))
    shares = vec(2, u16(GREASE[5]) + vec(2, b"\0") + u16(Group.X25519) + vec(2, bytes(range(1, 33))))
    return (
        h.but(session_id=bytes(range(32)), suites=(GREASE[1], 0x1301, 0x1302, 0x1303, *SUITES))
        .ext(_GROUPS, vec(2, u16s((GREASE[5], 0x11EC, Group.X25519, Group.SECP256R1))))
        .ext(_SCHEMES, vec(2, u16s((*PSS_SCHEMES, 0x0807, *RSA_SCHEMES, *ECDSA_SCHEMES))))
        .more(Ext.SUPPORTED_VERSIONS, versions)
        .more(Ext.KEY_SHARE, shares)
        .more(Ext.PSK_KEY_EXCHANGE_MODES, b"\1\1")
        .more(GREASE[7], b"")
    )


def grease_everywhere(h: Hello) -> Hello:
    """RFC 8701: unknown values in every list, and extensions of unknown types, empty and not."""
    return (
        h.but(suites=(*GREASE, *SUITES))
        .ext(_GROUPS, vec(2, u16s((*GREASE, Group.X25519))))
        .ext(_SCHEMES, vec(2, u16s((*GREASE, *RSA_SCHEMES))))
        .ext(_ALPN, vec(2, vec(1, b"\x0a\x0a") + vec(1, b"h2")))
        .ext(Ext.SUPPORTED_VERSIONS, vec(1, u16s((*GREASE, TLS12))))
        .more(GREASE[0], b"")
        .more(GREASE[9], bytes(9))
    )


def many_unknown(h: Hello) -> Hello:
    """Four thousand extensions that nobody knows."""
    for kind in range(0x4000, 0x5000):
        assert isinstance(h.extensions, list)
        h.extensions.append((kind, b""))
    return h


_WWW = b"\0" + vec(2, b"www.wire.test")

ROWS: list[Row] = [
    # server_name (RFC 6066 3)
    bad("sni-no-content", _SNI, b"", DECODE, "RFC 6066 3"),
    bad("sni-empty-list", _SNI, b"\0\0", DECODE, "RFC 6066 3: ServerNameList<1..2^16-1>"),
    bad("sni-empty-name", _SNI, server_name(b""), DECODE, "RFC 6066 3: HostName<1..2^16-1>"),
    bad("sni-trailing-after-list", _SNI, server_name(b"wire.test") + b"\0", DECODE, "RFC 6066 3"),
    bad("sni-trailing-in-list", _SNI, vec(2, _WWW + b"x"), DECODE, "RFC 6066 3"),
    bad("sni-list-too-long", _SNI, b"\xff\xff" + _WWW, DECODE, "RFC 6066 3"),
    bad("sni-name-too-long", _SNI, vec(2, b"\0\0\x20wire.test"), DECODE, "RFC 6066 3"),
    bad("sni-ff", _SNI, b"\xff" * 4, DECODE, "RFC 6066 3"),
    bad("sni-nul", _SNI, server_name(b"wire\0.test"), _NAME_ALERTS, "RFC 6066 3", why=_NAME_WHY),
    bad("sni-nul-at-end", _SNI, server_name(b"wire.test\0"), _NAME_ALERTS, "RFC 6066 3", why=_NAME_WHY),
    bad("sni-bel", _SNI, server_name(b"wire\x07.test"), _NAME_ALERTS, "RFC 6066 3", why=_NAME_WHY),
    bad("sni-escape", _SNI, server_name(b"wire.test\x1b[31mBAD"), _NAME_ALERTS, "RFC 6066 3", why=_NAME_WHY),
    bad("sni-newline", _SNI, server_name(b"wire.test\ntlswrapper: fatal: x"), _NAME_ALERTS, "RFC 6066 3",
        why=_NAME_WHY),
    bad("sni-utf8", _SNI, server_name("wir\u0105.test".encode()), _NAME_ALERTS, "RFC 6066 3: ASCII",
        why=_NAME_WHY),
    bad("sni-256-bytes", _SNI, server_name(b"a." * 128), _NAME_ALERTS, "RFC 1035 2.3.4: 255 bytes",
        why=_NAME_WHY),
    bad("sni-two-host-names", _SNI, server_name(b"wire.test", b"www.wire.test"), _RANGE,
        "RFC 6066 3: MUST NOT contain more than one name of a type", why="the RFC names no alert"),
    good("sni-other-type-after", _SNI, vec(2, _WWW + b"\1" + vec(2, bytes(24))),
        "RFC 6066 3: other types are skipped"),
    good("sni-other-type-before", _SNI, vec(2, b"\1" + vec(2, bytes(24)) + _WWW), "RFC 6066 3"),
    good("sni-other-type-alone", _SNI, server_name(b"anything", name_type=7), "RFC 6066 3"),
    good("sni-trailing-dot", _SNI, server_name(b"wire.test."), "RFC 6066 3; choices.md 4"),
    good("sni-upper-case", _SNI, server_name(b"WIRE.Test"), "RFC 6066 3: case-insensitive"),
    good("sni-label-63", _SNI, server_name(b"a" * 63 + b".test"), "RFC 1035 2.3.4"),
    served_hello("sni-absent", lambda h: h.without(_SNI), "RFC 6066 3"),
    # max_fragment_length (RFC 6066 4)
    *(bad(f"fragment-code-{code}", Ext.MAX_FRAGMENT_LENGTH, bytes([code]), ILLEGAL, "RFC 6066 4")
      for code in (0, 5, 255)),
    bad("fragment-no-content", Ext.MAX_FRAGMENT_LENGTH, b"", DECODE, "RFC 6066 4"),
    bad("fragment-two-bytes", Ext.MAX_FRAGMENT_LENGTH, b"\1\1", DECODE, "RFC 6066 4"),
    *(Row(f"fragment-{256 << code}-honoured", fragments(code), Ends.SERVED, cite="RFC 6066 4") for code in (1,
        2, 3, 4)),
    Row("fragment-512-honoured-cbc", fragments(1), Ends.SERVED, cite="RFC 6066 4",
        options=RSA + " -c AES_128_CBC_SHA"),
    # supported_groups (RFC 8422 5.1.1)
    bad("groups-no-content", _GROUPS, b"", DECODE, "RFC 8422 5.1.1"),
    bad("groups-empty-list", _GROUPS, b"\0\0", _RANGE, "RFC 8422 5.1.1: <2..2^16-1>",
        why="out of the vector's range (50); no value that could be chosen (47)"),
    bad("groups-odd", _GROUPS, vec(2, b"\0\x1d\0"), DECODE, "RFC 8422 5.1.1"),
    bad("groups-trailing", _GROUPS, vec(2, b"\0\x1d\0\x17") + b"\0", DECODE, "RFC 8422 5.1.1"),
    bad("groups-list-too-long", _GROUPS, b"\0\x08\0\x1d\0\x17", DECODE, "RFC 8422 5.1.1"),
    bad("groups-list-too-short", _GROUPS, b"\0\x02\0\x1d\0\x17", DECODE, "RFC 8422 5.1.1"),
    bad("groups-unknown", _GROUPS, vec(2, u16s((1, 2, 0x2BC0, *GREASE))), FAILURE, "RFC 8422 5.1"),
    bad("groups-not-enabled", _GROUPS, vec(2, u16s((Group.SECP384R1,))), FAILURE, "RFC 8422 5.1",
        options=RSA + " -e x25519"),
    Row("groups-absent", chooses(Group.SECP256R1, lambda h: h.without(_GROUPS)), Ends.SERVED,
        cite="RFC 8422 4: any curve; spec 8: P-256"),
    refused_hello("groups-absent-x25519-server", lambda h: h.without(_GROUPS), FAILURE,
        "spec 8: P-256 is assumed",
                  options=RSA + " -e x25519"),
    Row("groups-preference", chooses(Group.X25519, lambda h: h.group(25, 24, 23, 29)), Ends.SERVED,
        cite="spec 8: fixed preference", options=RSA + ALL_GROUPS),
    Row("groups-p256-before-p384", chooses(Group.SECP256R1, lambda h: h.group(25, 24, 23)), Ends.SERVED,
        cite="spec 8: fixed preference", options=RSA + ALL_GROUPS),
    served_hello("groups-many", lambda h: h.group(*range(0x1000, 0x3000), Group.X25519), "RFC 8422 5.1.1"),
    # ec_point_formats (RFC 8422 5.1.2)
    bad("points-no-content", _POINTS, b"", DECODE, "RFC 8422 5.1.2"),
    bad("points-empty-list", _POINTS, b"\0", _RANGE, "RFC 8422 5.1.2: <1..2^8-1>",
        why="out of the vector's range (50), and a list without uncompressed (47)"),
    bad("points-without-uncompressed", _POINTS, b"\2\1\2", ILLEGAL, "RFC 8422 5.1.2: MUST abort"),
    bad("points-trailing", _POINTS, b"\1\0\0", DECODE, "RFC 8422 5.1.2"),
    bad("points-list-too-long", _POINTS, b"\2\0", DECODE, "RFC 8422 5.1.2"),
    good("points-all", _POINTS, b"\3\0\1\2", "RFC 8422 5.1.2"),
    served_hello("points-absent", lambda h: h.without(_POINTS), "RFC 8422 5.1.2"),
    # signature_algorithms (RFC 5246 7.4.1.4.1)
    bad("schemes-no-content", _SCHEMES, b"", DECODE, "RFC 5246 7.4.1.4.1"),
    bad("schemes-empty-list", _SCHEMES, b"\0\0", fatal(Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE),
        "RFC 5246 7.4.1.4.1: <2..2^16-2>", why="out of the vector's range (50); nothing to choose from (40)"),
    bad("schemes-odd", _SCHEMES, vec(2, b"\4\1\5"), DECODE, "RFC 5246 7.4.1.4.1"),
    bad("schemes-trailing", _SCHEMES, vec(2, b"\4\1\5\1") + b"\0", DECODE, "RFC 5246 7.4.1.4.1"),
    bad("schemes-list-too-long", _SCHEMES, b"\0\6\4\1\5\1", DECODE, "RFC 5246 7.4.1.4.1"),
    bad("schemes-list-too-short", _SCHEMES, b"\0\2\4\1\5\1", DECODE, "RFC 5246 7.4.1.4.1"),
    refused_hello("schemes-unknown", schemes(0x0707, 0xEEEE, *GREASE), FAILURE, "RFC 5246 7.4.1.4.1"),
    refused_hello("schemes-md5", schemes(0x0101), FAILURE, "RFC 9155 2"),
    refused_hello("schemes-dsa", schemes(0x0202, 0x0402), FAILURE, "RFC 5246 7.4.1.4.1"),
    refused_hello("schemes-ecdsa-for-rsa", schemes(*ECDSA_SCHEMES), FAILURE, "RFC 5246 7.4.3"),
    refused_hello("schemes-rsa-for-ecdsa", schemes(*RSA_SCHEMES), FAILURE, "RFC 5246 7.4.3", options=ECDSA),
    *(Row(f"schemes-{scheme:04x}-alone", signs_with(scheme, scheme), Ends.SERVED, cite=_PSS) for scheme in PSS_SCHEMES),
    Row("schemes-pss-strongest", signs_with(0x0806, *PSS_SCHEMES), Ends.SERVED, cite=_PSS),
    Row("schemes-pss-before-sha1", signs_with(0x0804, 0x0201, 0x0804), Ends.SERVED, cite=_PSS),
    Row("schemes-pkcs1-before-pss", signs_with(0x0401, 0x0806, 0x0401), Ends.SERVED, cite=_PSS),
    Row("schemes-pss-and-ecdsa", signs_with(0x0403, 0x0806, 0x0403), Ends.SERVED, cite=_PSS, options=_TWO),
    Row("schemes-pss-alone-for-both", signs_with(0x0805, 0x0805), Ends.SERVED, cite=_PSS, options=_TWO),
    refused_hello("schemes-pss-for-ecdsa", schemes(*PSS_SCHEMES), FAILURE, "RFC 5246 7.4.3", options=ECDSA),
    refused_hello("schemes-rsa-pss-pss-alone", schemes(0x0809, 0x080A, 0x080B), FAILURE,
        "RFC 8446 4.2.3: for keys that are for RSA-PSS alone"),
    refused_hello("schemes-ed25519-alone", schemes(0x0807), FAILURE, "RFC 8422 5.1.3"),
    Row("schemes-pss-in-tls11", served(lambda c: c.handshake(schemes(*PSS_SCHEMES)(Hello(version=TLS11)))), Ends.SERVED,
        cite="RFC 5246 7.4.1.4.1: not before TLS 1.2", options=RSA + ALL_CIPHERS + OLD_VERSIONS),
    *(Row(f"schemes-{scheme:04x}-alone", signs_with(scheme, scheme), Ends.SERVED, cite="RFC 5246 7.4.3")
      for scheme in (0x0401, 0x0501, 0x0601)),
    Row("schemes-0201-alone", signs_with(0x0201, 0x0201), Ends.SERVED,
        cite="spec 8: SHA-1-only clients are served"),
    Row("schemes-strongest", signs_with(0x0601, *reversed(RSA_SCHEMES)), Ends.SERVED, cite="spec 6.5"),
    *(Row(f"schemes-{scheme:04x}-alone", signs_with(scheme, scheme), Ends.SERVED, cite="RFC 5246 7.4.3",
          options=ECDSA) for scheme in (0x0403, 0x0503, 0x0603)),
    Row("schemes-with-unknown-hash", signs_with(0x0401, 0x0A01, 0x0001, 0xFF01, 0x0401), Ends.SERVED,
        cite="RFC 5246 7.4.1.4.1"),
    Row("schemes-duplicated", signs_with(0x0401, *([0x0202] * 32000), 0x0401), Ends.SERVED,
        cite="RFC 5246 7.4.1.4.1"),
    Row("schemes-32766", signs_with(0x0401, *range(0x0A0A, 0x0A0A + 32700), 0x0401), Ends.SERVED,
        cite="RFC 5246 7.4.1.4.1"),
    # renegotiation_info (RFC 5746 3.6)
    bad("renegotiation-no-content", Ext.RENEGOTIATION_INFO, b"", DECODE, "RFC 5746 3.2"),
    bad("renegotiation-not-empty", Ext.RENEGOTIATION_INFO, b"\1\0", FAILURE, "RFC 5746 3.6: MUST abort"),
    bad("renegotiation-12-bytes", Ext.RENEGOTIATION_INFO, vec(1, bytes(12)), FAILURE,
        "RFC 5746 3.6: MUST abort"),
    bad("renegotiation-trailing", Ext.RENEGOTIATION_INFO, b"\0\0",
        fatal(Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE),
        "RFC 5746 3.6", why="trailing bytes (50), or not the empty value of 3.6 (40)"),
    bad("renegotiation-too-long", Ext.RENEGOTIATION_INFO, b"\5\0",
        fatal(Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE),
        "RFC 5746 3.6", why="does not fit (50), or not the empty value of 3.6 (40)"),
    Row("renegotiation-answered", answered(Ext.RENEGOTIATION_INFO, b"\0", lambda h: h), Ends.SERVED,
        cite="RFC 5746 3.6"),
    Row("renegotiation-by-scsv", answered(Ext.RENEGOTIATION_INFO, b"\0",
        lambda h: h.without(Ext.RENEGOTIATION_INFO).but(
        suites=(*SUITES, RENEGOTIATION_SCSV))), Ends.SERVED, cite="RFC 5746 3.6"),
    Row("renegotiation-by-both", answered(Ext.RENEGOTIATION_INFO, b"\0", lambda h: h.but(
        suites=(RENEGOTIATION_SCSV, *SUITES))), Ends.SERVED, cite="RFC 5746 3.6"),
    Row("renegotiation-not-asked", answered(Ext.RENEGOTIATION_INFO, None,
        lambda h: h.without(Ext.RENEGOTIATION_INFO)),
        Ends.SERVED, cite="RFC 5746 3.6"),
    # ALPN (RFC 7301 3.1): offered names are passed over, but the list must be one
    bad("alpn-no-content", _ALPN, b"", DECODE, "RFC 7301 3.1"),
    bad("alpn-empty-list", _ALPN, b"\0\0", DECODE, "RFC 7301 3.1: <2..2^16-1>"),
    bad("alpn-empty-name", _ALPN, vec(2, b"\0"), DECODE, "RFC 7301 3.1: <1..2^8-1>"),
    bad("alpn-empty-name-second", _ALPN, vec(2, b"\2h2\0"), DECODE, "RFC 7301 3.1"),
    bad("alpn-name-too-long", _ALPN, vec(2, b"\x09h2"), DECODE, "RFC 7301 3.1"),
    bad("alpn-trailing", _ALPN, vec(2, b"\2h2") + b"\0", DECODE, "RFC 7301 3.1"),
    not_answered("alpn-offered", _ALPN, vec(2, b"\2h2\x08http/1.1"), "RFC 7301 3.2; spec 8: no ALPN"),
    # extensions that this server does not do
    not_answered("extended-master-secret", Ext.EXTENDED_MASTER_SECRET, b"", "RFC 7627 5.2: MAY be ignored"),
    not_answered("encrypt-then-mac", Ext.ENCRYPT_THEN_MAC, b"", "RFC 7366 3",
        options=RSA + " -c AES_128_CBC_SHA"),
    bad("extended-master-secret-content", Ext.EXTENDED_MASTER_SECRET, b"\0", DECODE, "RFC 7627 5.1: empty"),
    bad("encrypt-then-mac-content", Ext.ENCRYPT_THEN_MAC, b"\0", DECODE, "RFC 7366 2: empty"),
    not_answered("session-ticket-empty", Ext.SESSION_TICKET, b"", "RFC 5077 3.2"),
    not_answered("session-ticket-foreign", Ext.SESSION_TICKET, bytes(range(200)),
        "RFC 5077 3.1: not known, full handshake"),
    not_answered("signature-algorithms-cert", Ext.SIGNATURE_ALGORITHMS_CERT, vec(2, u16s(RSA_SCHEMES)),
        "RFC 8446 4.2.3"),
    not_answered("heartbeat", Ext.HEARTBEAT, b"\1", "RFC 6520 2"),
    not_answered("status-request", Ext.STATUS_REQUEST, b"\1\0\0\0\0", "RFC 6066 8"),
    not_answered("signed-timestamp", Ext.SIGNED_TIMESTAMP, b"", "RFC 6962 3.3.1"),
    not_answered("padding", Ext.PADDING, bytes(400), "RFC 7685 3"),
    not_answered("padding-empty", Ext.PADDING, b"", "RFC 7685 3"),
    not_answered("record-size-limit", Ext.RECORD_SIZE_LIMIT, b"\x40\x00", "RFC 8449 4"),
    not_answered("unknown-empty", 0x7777, b"", _EXTENSIONS),
    not_answered("unknown-60000-bytes", 0x7777, bytes(60000), _EXTENSIONS),
    served_hello("unknown-4096-extensions", many_unknown, _EXTENSIONS),
    served_hello("grease-everywhere", grease_everywhere, "RFC 8701 3.1"),
    Row("tls13-client", answered(Ext.SUPPORTED_VERSIONS, None, like_tls13), Ends.SERVED,
        cite="RFC 8446 4.2.1: a server below 1.3 takes legacy_version"),
    Row("tls13-client-no-tls12", served(lambda c: c.handshake(Hello().ext(Ext.SUPPORTED_VERSIONS,
        b"\2\3\4"))),
        Ends.EITHER, fatal(Alert.PROTOCOL_VERSION), "RFC 8446 4.2.1, D.1",
        why="a server below 1.3 ignores the extension and answers 1.2; one that reads it refuses"),
    # the same type twice
    *(refused_hello(f"twice-{name}", twice(kind, data), _RANGE, "RFC 5246 7.4.1.4", why=_TWICE_WHY)
      for name, kind, data in (
          ("server-name", _SNI, server_name(b"wire.test")),
          ("max-fragment-length", Ext.MAX_FRAGMENT_LENGTH, b"\4"),
          ("supported-groups", _GROUPS, vec(2, u16s((29, 23)))),
          ("ec-point-formats", _POINTS, b"\1\0"),
          ("signature-algorithms", _SCHEMES, vec(2, u16s(RSA_SCHEMES))),
          ("alpn", _ALPN, vec(2, b"\2h2")),
          ("session-ticket", Ext.SESSION_TICKET, b""),
          ("extended-master-secret", Ext.EXTENDED_MASTER_SECRET, b""),
          ("renegotiation-info", Ext.RENEGOTIATION_INFO, b"\0"),
          ("unknown", 0x7777, b""),
          ("grease", GREASE[2], b""),
      )),
    Row("schemes-unknown-in-tls11", served(lambda c: c.handshake(schemes(0xEEEE)(Hello(version=TLS11)))),
        Ends.EITHER, FAILURE, "RFC 5246 7.4.1.4.1", options=_BOTH,
        why="before TLS 1.2 it has no meaning and MUST NOT be sent: ignored, or taken (40)"),
]  # fmt: skip
