"""Rows: ClientHello, HelloRetryRequest (RFC 8446 4.1, 4.2)."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.wire.messages import Hello, u16, u16s, vec
from tests.wire.names import GREASE, TLS13, WARNING, Alert, Ext, Group, Record
from tests.wire.row import ALL_GROUPS, ECDSA, RSA, Ends, fatal

from .client import COOKIE, EARLY_DATA, PRE_SHARED_KEY, Client13, hello13, share
from .crypto import AES128, CHACHA
from .row import Act, Row13

ILLEGAL, DECODE, MISSING = fatal(Alert.ILLEGAL_PARAMETER), fatal(Alert.DECODE_ERROR), fatal(Alert.MISSING_EXTENSION)
UNEXPECTED, FAILURE, VERSION = (
    fatal(Alert.UNEXPECTED_MESSAGE),
    fatal(Alert.HANDSHAKE_FAILURE),
    fatal(Alert.PROTOCOL_VERSION),
)
POINTS = {Group.X25519: 32, Group.SECP256R1: 65, Group.SECP384R1: 97, Group.SECP521R1: 133}
P256_ONLY = RSA + " -e secp256r1"


def whole(hello: Callable[[Hello], Hello] = lambda h: h, *groups: int) -> Act:
    """A handshake with this hello, and an echo."""

    def act(c: Client13) -> None:
        c.handshake(hello(hello13(tuple(POINTS))), groups or (Group.X25519,))
        c.echo(b"still here")

    return act


def raw(change: Callable[[Hello], Hello]) -> Act:
    """A hello whose change comes behind its good shares."""

    def act(c: Client13) -> None:
        c.send_hello(change(c.shared_hello(hello13(tuple(POINTS)), [Group.X25519])))
        c.read_hello()

    return act


def again(change: Callable[[Hello], Hello]) -> Act:
    """A second hello that differs from what the HelloRetryRequest allows."""

    def act(c: Client13) -> None:
        hello = c.shared_hello(hello13(), [Group.X25519])
        c.send_hello(hello)
        c.read_hello()
        assert c.retry is not None
        c.send_hello(change(c.shared_hello(hello, [c.group])))
        c.read_hello()

    return act


def again_with(*records: tuple[int, bytes]) -> Act:
    """These records in clear in place of the second hello; an empty one stands for half of that."""

    def act(c: Client13) -> None:
        hello = c.shared_hello(hello13(), [Group.X25519])
        c.send_hello(hello)
        c.read_hello()
        assert c.retry is not None
        half = c.shared_hello(hello, [c.group]).message()[:50]
        for kind, data in records:
            c.send(kind, data or half)
        c.read_hello()

    return act


def split_alert(c: Client13) -> None:
    """An alert's first byte, which before TLS 1.3 may have a record of its own."""
    c.send(Record.ALERT, bytes([WARNING]))
    c.start()


def pieces(size: int) -> Act:
    """A ClientHello in records of so many bytes."""

    def act(c: Client13) -> None:
        c.send_hello(c.shared_hello(hello13(), [Group.X25519]), size)
        c.read_hello()
        c.read_flight()
        c.send_finished(sizes=size)
        c.echo(b"still here")

    return act


def behind(c: Client13) -> None:
    """A byte behind the hello in its record."""
    c.send(Record.HANDSHAKE, c.shared_hello(hello13(), [Group.X25519]).message() + b"\0")
    c.read_hello()


def no_share(c: Client13) -> None:
    """An empty key_share, which asks for a HelloRetryRequest."""
    c.start(groups=())
    assert c.retry is not None
    c.send_finished()
    c.echo(b"still here")


def twice(c: Client13) -> None:
    """Two hellos in a row."""
    c.start()
    c.send_message(c.hello.message())
    c.read_message()


def clear_twice(c: Client13) -> None:
    """A second hello in clear."""
    c.start()
    c.send_raw(c.frame(Record.HANDSHAKE, c.hello.message()))
    c.read_message()


def point(group: int, bytes_: bytes) -> Act:
    """A share that is no point of its group."""
    return raw(lambda h: h.ext(Ext.KEY_SHARE, vec(2, share(group, bytes_))))


def early(records: int, size: int, retry: bool = False) -> Act:
    """0-RTT records that nobody asked for, to be passed over (4.2.10)."""

    def act(c: Client13) -> None:
        hello = c.shared_hello(hello13(), [Group.X25519])
        identities = vec(2, vec(2, os.urandom(100)) + bytes(4)) + vec(2, vec(1, bytes(32)))
        offered = hello.more(EARLY_DATA, b"").more(PRE_SHARED_KEY, identities)
        c.send_hello(offered)
        c.send_raw(b"".join(c.frame(Record.DATA, os.urandom(size)) for _ in range(records)))
        c.read_hello()
        if retry:
            hello = c.shared_hello(hello, [c.group])
            c.send_hello(hello.more(PRE_SHARED_KEY, identities))
            c.read_hello()
        c.read_flight()
        c.send_finished()
        c.echo(b"still here")

    return act


def early_amid(c: Client13) -> None:
    """0-RTT records after our first good one."""
    hello = c.shared_hello(hello13(), [Group.X25519])
    identities = vec(2, vec(2, os.urandom(100)) + bytes(4)) + vec(2, vec(1, bytes(32)))
    c.send_hello(hello.more(EARLY_DATA, b"").more(PRE_SHARED_KEY, identities))
    c.read_hello()
    c.read_flight()
    c.send_finished()
    c.send_raw(c.frame(Record.DATA, os.urandom(64)))
    c.read_data(1)


def minus(*kinds: int) -> Act:
    """A hello without these extensions."""
    return raw(lambda h: h.without(*kinds))


def ext(kind: int, data: bytes) -> Act:
    """A hello with this extension changed."""
    return raw(lambda h: h.ext(kind, data))


_SECOND = "RFC 8446 4.1.2: the second ClientHello differs only in what the HelloRetryRequest allows"
ROWS: list[Row13] = [
    *(
        Row13(f"suite-{suite:#06x}", whole(lambda h, s=suite: h.but(suites=(s,))), Ends.SERVED, cite="RFC 8446 B.4")
        for suite in (0x1301, 0x1302, 0x1303)
    ),
    *(
        Row13(
            f"group-{group.name.lower()}",
            whole(lambda h, g=group: h.group(g), group),
            Ends.SERVED,
            cite="RFC 8446 4.2.7",
            options=ECDSA + ALL_GROUPS,
        )
        for group in POINTS
    ),
    *(
        Row13(
            f"retry-{group.name.lower()}",
            whole(lambda h: h, Group.X25519 if group != Group.X25519 else Group.SECP256R1),
            Ends.SERVED,
            cite="RFC 8446 4.1.4",
            options=f"{RSA} -e {group.name.lower()}",
        )
        for group in POINTS
    ),
    Row13("no-share-at-all", no_share, Ends.SERVED, cite="RFC 8446 4.2.8"),
    Row13("two-shares", whole(lambda h: h, Group.SECP256R1, Group.X25519), Ends.SERVED, cite="RFC 8446 4.2.8"),
    Row13("no-session-id", whole(lambda h: h.but(session_id=b"")), Ends.SERVED, cite="RFC 8446 4.1.2"),
    Row13("in-single-bytes", pieces(1), Ends.SERVED, cite="RFC 8446 5.1"),
    Row13("in-pieces-of-7", pieces(7), Ends.SERVED, cite="RFC 8446 5.1"),
    Row13(
        "grease",
        whole(
            lambda h: (
                h.but(suites=(GREASE[0], CHACHA, AES128))
                .ext(Ext.SUPPORTED_VERSIONS, vec(1, u16(GREASE[1]) + u16(TLS13)))
                .more(GREASE[2], b"")
                .more(GREASE[3], b"\0")
            )
        ),
        Ends.SERVED,
        cite="RFC 8701 3.1",
    ),
    Row13(
        "unknown-extensions",
        whole(lambda h: h.more(0x1234, b"x" * 300).more(57, b"")),
        Ends.SERVED,
        cite="RFC 8446 4.2",
    ),
    Row13("early-data", early(3, 500), Ends.SERVED, cite="RFC 8446 4.2.10"),
    Row13("early-data-retry", early(3, 500, retry=True), Ends.SERVED, cite="RFC 8446 4.2.10", options=P256_ONLY),
    Row13("early-data-without-end", early(20, 16000), Ends.REFUSED, fatal(Alert.BAD_RECORD_MAC), "RFC 8446 4.2.10"),
    Row13(
        "early-data-without-end-retry",
        early(20, 16000, retry=True),
        Ends.REFUSED,
        UNEXPECTED,
        "RFC 8446 4.2.10",
        P256_ONLY,
    ),
    Row13("early-data-amid", early_amid, Ends.BROKEN, fatal(Alert.BAD_RECORD_MAC), "RFC 8446 4.2.10"),
    Row13("byte-behind", behind, Ends.REFUSED, UNEXPECTED, "RFC 8446 5.1: no change of keys within a record"),
    Row13("twice-sealed", twice, Ends.REFUSED, UNEXPECTED, "RFC 8446 4.1.2"),
    Row13("twice-in-clear", clear_twice, Ends.REFUSED, UNEXPECTED, "RFC 8446 5.1"),
    Row13("legacy-version-ssl3", raw(lambda h: h.but(version=0x0300)), Ends.REFUSED, VERSION, "RFC 8446 D.5"),
    Row13("compression", raw(lambda h: h.but(compressions=b"\1\0")), Ends.REFUSED, ILLEGAL, "RFC 8446 4.1.2"),
    Row13("session-id-33", raw(lambda h: h.but(session_id=bytes(33))), Ends.REFUSED, DECODE, "RFC 8446 4.1.2"),
    Row13("no-suites", raw(lambda h: h.but(suites=b"")), Ends.REFUSED, DECODE, "RFC 8446 4.1.2"),
    Row13("no-common-suite", raw(lambda h: h.but(suites=(0x1304, 0x1305))), Ends.REFUSED, FAILURE, "RFC 8446 4.1.1"),
    Row13(
        "suite-not-allowed",
        raw(lambda h: h.but(suites=(AES128,))),
        Ends.REFUSED,
        FAILURE,
        "RFC 8446 4.1.1",
        RSA + " -c AES_256_GCM_SHA384",
    ),
    Row13(
        "no-common-group",
        raw(lambda h: h.group(30).ext(Ext.KEY_SHARE, vec(2, b""))),
        Ends.REFUSED,
        FAILURE,
        "RFC 8446 4.1.1",
    ),
    Row13(
        "no-common-scheme",
        ext(Ext.SIGNATURE_ALGORITHMS, vec(2, u16s((0x0401, 0x0201)))),
        Ends.REFUSED,
        FAILURE,
        "RFC 8446 4.1.1",
    ),
    Row13(
        "scheme-of-another-key",
        ext(Ext.SIGNATURE_ALGORITHMS, vec(2, u16s((0x0503,)))),
        Ends.REFUSED,
        FAILURE,
        "RFC 8446 4.1.1",
        ECDSA,
    ),
    Row13("no-groups", minus(Ext.SUPPORTED_GROUPS), Ends.REFUSED, MISSING, "RFC 8446 9.2"),
    Row13("no-share", minus(Ext.KEY_SHARE), Ends.REFUSED, MISSING, "RFC 8446 9.2"),
    Row13("no-schemes", minus(Ext.SIGNATURE_ALGORITHMS), Ends.REFUSED, MISSING, "RFC 8446 9.2"),
    Row13(
        "nothing-but-version",
        minus(Ext.SUPPORTED_GROUPS, Ext.KEY_SHARE, Ext.SIGNATURE_ALGORITHMS),
        Ends.REFUSED,
        MISSING,
        "RFC 8446 9.2",
    ),
    Row13(
        "version-not-ours", ext(Ext.SUPPORTED_VERSIONS, vec(1, u16(0x0305))), Ends.REFUSED, VERSION, "RFC 8446 4.2.1"
    ),
    Row13("max-tls12", raw(lambda h: h), Ends.REFUSED, VERSION, "RFC 8446 4.2.1", RSA + " -M tls12"),
    Row13("versions-empty", ext(Ext.SUPPORTED_VERSIONS, b"\0"), Ends.REFUSED, DECODE, "RFC 8446 4.2.1"),
    Row13("versions-odd", ext(Ext.SUPPORTED_VERSIONS, vec(1, b"\3\4\3")), Ends.REFUSED, DECODE, "RFC 8446 4.2.1"),
    Row13(
        "share-truncated",
        ext(Ext.KEY_SHARE, vec(2, b"\0\x1d\0\x20" + bytes(31))),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 4.2.8",
    ),
    Row13("share-empty", point(Group.X25519, b""), Ends.REFUSED, DECODE, "RFC 8446 4.2.8"),
    Row13(
        "share-trailing",
        ext(Ext.KEY_SHARE, vec(2, share(29, bytes(31) + b"\1")) + b"\0"),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 4.2.8",
    ),
    Row13("share-zero-x25519", point(Group.X25519, bytes(32)), Ends.REFUSED, ILLEGAL, "RFC 8446 7.4.2"),
    Row13(
        "share-order-8-x25519",
        point(Group.X25519, bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 7748 6.1",
    ),
    *(
        Row13(
            f"share-{what}-{group.name.lower()}",
            point(group, data(POINTS[group])),
            Ends.REFUSED,
            ILLEGAL,
            "RFC 8446 4.2.8.2",
            ECDSA + f" -e {group.name.lower()}",
        )
        for group in (Group.SECP256R1, Group.SECP384R1, Group.SECP521R1)
        for what, data in (
            ("off-curve", lambda n: b"\4" + bytes(n - 2) + b"\1"),
            ("zero", bytes),
            ("compressed", lambda n: b"\2" + bytes(n // 2)),
            ("too-long", lambda n: b"\4" + bytes(n)),
        )
    ),
    *(
        Row13(f"share-{size}-x25519", point(Group.X25519, b"\1" * size), Ends.REFUSED, ILLEGAL, "RFC 8446 4.2.8.2")
        for size in (31, 33)
    ),
    Row13(
        "share-of-group-not-offered", raw(lambda h: h.group(Group.SECP256R1)), Ends.REFUSED, ILLEGAL, "RFC 8446 4.2.8"
    ),
    Row13(
        "share-twice", ext(Ext.KEY_SHARE, vec(2, 2 * share(29, b"\1" * 32))), Ends.REFUSED, ILLEGAL, "RFC 8446 4.2.8"
    ),
    Row13(
        "extension-twice",
        raw(lambda h: h.more(Ext.SUPPORTED_VERSIONS, vec(1, u16(TLS13)))),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.2",
    ),
    Row13(
        "psk-not-last",
        raw(
            lambda h: h.more(PRE_SHARED_KEY, vec(2, vec(2, b"x") + bytes(4)) + vec(2, vec(1, bytes(32)))).more(
                0x1234, b""
            )
        ),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.2.11",
    ),
    Row13(
        "psk-without-modes",
        raw(
            lambda h: h.without(Ext.PSK_KEY_EXCHANGE_MODES).more(
                PRE_SHARED_KEY, vec(2, vec(2, b"x") + bytes(4)) + vec(2, vec(1, bytes(32)))
            )
        ),
        Ends.REFUSED,
        MISSING,
        "RFC 8446 4.2.9",
    ),
    Row13(
        "psk-binders-fewer",
        raw(lambda h: h.more(PRE_SHARED_KEY, vec(2, 2 * (vec(2, b"x") + bytes(4))) + vec(2, vec(1, bytes(32))))),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.2.11",
    ),
    Row13(
        "psk-binder-short",
        raw(lambda h: h.more(PRE_SHARED_KEY, vec(2, vec(2, b"x") + bytes(4)) + vec(2, vec(1, bytes(31))))),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 4.2.11",
    ),
    Row13("record-limit-63", ext(Ext.RECORD_SIZE_LIMIT, u16(63)), Ends.REFUSED, ILLEGAL, "RFC 8449 4"),
    Row13("record-limit-short", ext(Ext.RECORD_SIZE_LIMIT, b"\0"), Ends.REFUSED, DECODE, "RFC 8449 4"),
    Row13(
        "alpn-none-fits",
        ext(Ext.ALPN, vec(2, vec(1, b"spdy/3"))),
        Ends.REFUSED,
        fatal(Alert.NO_APPLICATION_PROTOCOL),
        "RFC 7301 3.2",
        RSA + " --alpn h2,http/1.1",
    ),
    Row13("alpn-not-asked", whole(lambda h: h), Ends.SERVED, cite="RFC 7301 3.1", options=RSA + " --alpn h2,http/1.1"),
    Row13(
        "again-same-share",
        again(lambda h: h.ext(Ext.KEY_SHARE, vec(2, share(29, b"\1" * 32)))),
        Ends.REFUSED,
        ILLEGAL,
        _SECOND,
        P256_ONLY,
    ),
    Row13(
        "again-no-share", again(lambda h: h.ext(Ext.KEY_SHARE, vec(2, b""))), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY
    ),
    Row13("again-other-random", again(lambda h: h.but(random=bytes(32))), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY),
    Row13(
        "again-other-session", again(lambda h: h.but(session_id=bytes(32))), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY
    ),
    Row13("again-other-suites", again(lambda h: h.but(suites=(CHACHA,))), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY),
    Row13("again-other-name", again(lambda h: h.without(Ext.SERVER_NAME)), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY),
    Row13("again-tls12", again(lambda h: h.without(Ext.SUPPORTED_VERSIONS)), Ends.REFUSED, ILLEGAL, _SECOND, P256_ONLY),
    Row13(
        "again-early-data",
        again(lambda h: h.more(EARLY_DATA, b"")),
        Ends.REFUSED,
        ILLEGAL,
        "RFC 8446 4.2.10",
        P256_ONLY,
    ),
    Row13("alert-of-1-first", split_alert, Ends.REFUSED, DECODE, "RFC 8446 5.1"),
    Row13("again-alert-of-1", again_with((Record.ALERT, b"\1")), Ends.REFUSED, DECODE, "RFC 8446 5.1", P256_ONLY),
    Row13(
        "again-alerts-coalesced",
        again_with((Record.ALERT, bytes([WARNING, Alert.USER_CANCELED] * 2))),
        Ends.REFUSED,
        DECODE,
        "RFC 8446 5.1",
        P256_ONLY,
    ),
    Row13(
        "again-alert-inside",
        again_with((Record.HANDSHAKE, b""), (Record.ALERT, bytes([WARNING, Alert.USER_CANCELED]))),
        Ends.REFUSED,
        UNEXPECTED,
        "RFC 8446 5.1",
        P256_ONLY,
    ),
    Row13("cookie-malformed", ext(COOKIE, b"\0\0"), Ends.REFUSED, DECODE, "RFC 8446 4.2.2"),
]
