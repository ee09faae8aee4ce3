"""Rows: ClientKeyExchange (RFC 8422 5.7, 5.10, 5.11) for every kind of bad point."""

from __future__ import annotations

from collections.abc import Callable

from .client import Client
from .messages import Hello, vec
from .names import TLS10, TLS11, TLS12, Alert, Group
from .row import ALL_CIPHERS, ALL_GROUPS, OLD_VERSIONS, RSA, Act, Ends, Row, fatal, served
from .rows_record import finish

DECODE = fatal(Alert.DECODE_ERROR)
ILLEGAL = fatal(Alert.ILLEGAL_PARAMETER)
_SIZE = fatal(Alert.ILLEGAL_PARAMETER, Alert.DECODE_ERROR)
_SIZE_WHY = "a point of a length that the group does not have: illegal (47), or cannot be decoded (50)"
_OPTIONS = RSA + ALL_GROUPS

# Points of small order on Curve25519 and its twist (RFC 7748 6.1: the shared secret is all zero).
_P = 2**255 - 19
LOW_ORDER = {
    "0": 0,
    "1": 1,
    "order-8-a": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    "order-8-b": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
    "p-1": _P - 1,
    "p": _P,
    "p+1": _P + 1,
}


def exchange(group: int, tamper: Callable[[bytes], bytes], version: int = TLS12) -> Act:
    """ClientKeyExchange with our point changed, then CCS and Finished as if nothing were wrong."""

    def act(c: Client) -> None:
        c.start(Hello(version=version).group(group))
        c.send_key_exchange(tamper)
        c.send_ccs()
        c.send_finished()
        c.read_finished()

    return act


def body(make: Callable[[bytes], bytes], group: int = Group.SECP256R1) -> Act:
    """ClientKeyExchange with another body, made from our point."""

    def act(c: Client) -> None:
        c.start(Hello().group(group))
        c.send_key_exchange(body=make(c.compute_premaster()))
        c.send_ccs()
        c.send_finished()
        c.read_finished()

    return act


def compressed(c: Client) -> None:
    """Our own point, compressed."""
    c.start(Hello().group(Group.SECP256R1))
    c.send_key_exchange(lambda _: c.ephemeral.compressed())
    c.send_ccs()
    c.send_finished()
    c.read_finished()


def in_pieces(size: int) -> Act:
    """ClientKeyExchange and Finished in records of `size` bytes; must be fine."""

    def act(c: Client) -> None:
        c.start()
        c.send_key_exchange(sizes=size)
        c.send_ccs()
        c.send_finished(sizes=size)
        c.read_finished()

    return served(act)


def high_bit(c: Client) -> None:
    """X25519 with the unused top bit of our point set (RFC 7748 5: it MUST be masked)."""
    exchange(Group.X25519, lambda p: p[:-1] + bytes([p[-1] | 0x80]))(c)


def one_flight(c: Client) -> None:
    """ClientKeyExchange, CCS and Finished in one segment."""
    c.send_hello(Hello())
    finish(c)


_POINT = "RFC 8422 5.7, 5.11: MUST be checked"
_NIST = ((Group.SECP256R1, "p256", 32), (Group.SECP384R1, "p384", 48), (Group.SECP521R1, "p521", 66))


def _nist_rows(group: int, name: str, size: int) -> list[Row]:
    """What can be wrong with an uncompressed point (4, x, y)."""

    def row(
        label: str, tamper: Callable[[bytes], bytes], alerts: frozenset[int] = ILLEGAL, why: str = ""
    ) -> Row:
        return Row(f"{name}-{label}", exchange(group, tamper), Ends.REFUSED, alerts, _POINT, _OPTIONS, why)

    return [
        row("off-curve", lambda p: p[:-1] + bytes([p[-1] ^ 1])),
        row("y-zero", lambda p: p[: 1 + size] + bytes(size)),
        row("x-zero", lambda p: p[:1] + bytes(size) + p[1 + size :]),
        row("zero-zero", lambda p: b"\4" + bytes(2 * size)),
        row("zero-one", lambda p: b"\4" + bytes(2 * size - 1) + b"\1"),
        row("above-p", lambda p: b"\4" + b"\xff" * 2 * size),
        row("infinity", lambda p: b"\0", _SIZE, _SIZE_WHY),
        row("hybrid", lambda p: bytes([6 + (p[-1] & 1)]) + p[1:]),
        row("format-0", lambda p: b"\0" + p[1:]),
        row("format-5", lambda p: b"\5" + p[1:]),
        row("raw", lambda p: p[1:], _SIZE, _SIZE_WHY),
        row("one-short", lambda p: p[:-1], _SIZE, _SIZE_WHY),
        row("one-long", lambda p: p + b"\0", _SIZE, _SIZE_WHY),
        row("x25519-sized", lambda p: p[1:33], _SIZE, _SIZE_WHY),
    ]


ROWS: list[Row] = [
    Row("truncated", body(lambda p: vec(1, p)[:-1]), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("truncated-to-format", body(lambda p: vec(1, p)[:2]), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("truncated-to-length", body(lambda p: vec(1, p)[:1]), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("no-body", body(lambda p: b""), Ends.REFUSED, fatal(Alert.DECODE_ERROR, Alert.HANDSHAKE_FAILURE),
        "RFC 8422 5.7", why="no point at all (50); the implicit form needs a fixed ECDH certificate (40)"),
    Row("trailing-byte", body(lambda p: vec(1, p) + b"\0"), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("trailing-200", body(lambda p: vec(1, p) + bytes(200)), Ends.REFUSED, DECODE, "RFC 5246 7.2.2"),
    Row("point-of-no-bytes", body(lambda p: b"\0"), Ends.REFUSED, _SIZE, "RFC 8422 5.4: point<1..2^8-1>",
        why=_SIZE_WHY),
    Row("point-of-255-bytes", body(lambda p: vec(1, b"\4" + bytes(254))), Ends.REFUSED, _SIZE, "RFC 8422 5.7",
        why=_SIZE_WHY),
    Row("compressed", compressed, Ends.REFUSED, ILLEGAL, "RFC 8422 5.4.1: only uncompressed is spoken"),
    *(row for group in _NIST for row in _nist_rows(*group)),
    *(Row(f"x25519-low-order-{name}", exchange(Group.X25519, lambda p, u=value: u.to_bytes(32, "little")),
          Ends.REFUSED, ILLEGAL, "RFC 8422 5.11, RFC 7748 6.1: all-zero secret MUST abort")
      for name, value in LOW_ORDER.items()),
    Row("x25519-zero-with-high-bit", exchange(Group.X25519, lambda p: bytes(31) + b"\x80"), Ends.REFUSED,
        ILLEGAL,
        "RFC 7748 5, 6.1"),
    *(Row(f"x25519-{size}-bytes", exchange(Group.X25519, lambda p, n=size: (p + bytes(40))[:n]), Ends.REFUSED,
        _SIZE,
          "RFC 8422 5.7", why=_SIZE_WHY) for size in (1, 31, 33, 65)),
    Row("x25519-high-bit", served(high_bit), Ends.SERVED, cite="RFC 7748 5"),
    *(Row(f"off-curve-in-{label}", exchange(Group.SECP256R1, lambda p: p[:-1] + bytes([p[-1] ^ 1]), version),
          Ends.REFUSED, ILLEGAL, _POINT, RSA + ALL_CIPHERS + OLD_VERSIONS)
      for label, version in (("tls10", TLS10), ("tls11", TLS11))),
    *(Row(f"flight-in-{size}-byte-records", in_pieces(size), Ends.SERVED,
        cite="RFC 5246 6.2.1") for size in (1, 2, 3)),
    Row("flight-at-once", served(one_flight), Ends.SERVED, cite="RFC 5246 6.2.1"),
]  # fmt: skip
