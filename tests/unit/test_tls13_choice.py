"""A server's choice in TLS 1.3, row by row: suite, group, HelloRetryRequest, schemes, protocol."""

from __future__ import annotations

import pytest

from bearwrap import _bear
from tests.wire.messages import vec
from tests.wire.names import Alert

CHACHA, AES256, AES128 = 0x1303, 0x1302, 0x1301
X25519, P256, P384, P521 = 29, 23, 24, 25
SIZES = {X25519: 32, P256: 65, P384: 97, P521: 133}
RSA, EC, ED25519 = 1, 2, 3
ALL = (CHACHA, AES256, AES128)


def u16s(numbers: tuple[int, ...]) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def hello(suites: tuple[int, ...] = ALL, groups: tuple[int, ...] = (X25519, P256), shares: tuple[int, ...] = (X25519,),
          schemes: tuple[int, ...] = (0x0403, 0x0804), modes: bytes | None = None, size: int = 0,
          early: bool = False) -> bytes:  # fmt: skip
    entries = b"".join(group.to_bytes(2, "big") + vec(2, bytes(size or SIZES.get(group, 1))) for group in shares)
    extensions = [(43, b"\2\3\4"), (10, vec(2, u16s(groups))), (51, vec(2, entries)), (13, vec(2, u16s(schemes)))]
    extensions += [(42, b"")] if early else []
    if modes is not None:
        extensions += [(45, vec(1, modes)), (41, vec(2, vec(2, b"t") + bytes(4)) + vec(2, vec(1, bytes(32))))]
    body = b"\3\3" + bytes(32) + b"\0" + vec(2, u16s(suites)) + b"\1\0"
    return body + vec(2, b"".join(kind.to_bytes(2, "big") + vec(2, data) for kind, data in extensions))


def choose(body: bytes, suites: tuple[int, ...] = ALL, groups: tuple[int, ...] = (X25519, P256), server: bool = True,
           retry: tuple[int, int] | None = None) -> tuple[int, object]:  # fmt: skip
    return _bear.choose13(body, suites, sum(1 << group for group in groups), server, retry)


SCHEMES = [row[1] for row in _bear.audit_tables()["schemes"]]


def bits(*schemes: int) -> int:
    return sum(1 << SCHEMES.index(scheme) for scheme in schemes)


BOTH = bits(0x0403, 0x0804)
POINT = bytes(32)
# name: suite, group, whether a HelloRetryRequest, bits of schemes, PSK; or an alert
Row = tuple[tuple[int, int, bool, int, bool] | int, bytes, dict[str, object]]
ROWS: dict[str, Row] = {
    "ours first": ((CHACHA, X25519, False, BOTH, False), hello((AES128, CHACHA)), {}),
    "theirs first": ((AES128, X25519, False, BOTH, False), hello((AES128, CHACHA)), {"server": False}),
    "grease": ((AES128, X25519, False, BOTH, False), hello((0x0A0A, 0xC02B, AES128), (0x1A1A, X25519), (X25519,)), {}),
    "ours alone": ((AES256, X25519, False, BOTH, False), hello(), {"suites": (AES256,)}),
    "no suite": (Alert.HANDSHAKE_FAILURE, hello((AES128,)), {"suites": (AES256, CHACHA)}),
    "no suite of ours": (Alert.HANDSHAKE_FAILURE, hello(), {"suites": ()}),
    "only 1.2's": (Alert.HANDSHAKE_FAILURE, hello((0xC02B,)), {}),
    "the share counts before the order": ((CHACHA, P256, False, BOTH, False), hello(shares=(P256,)), {}),
    "two shares": ((CHACHA, X25519, False, BOTH, False), hello(shares=(P256, X25519)), {}),
    "no share": ((CHACHA, X25519, True, BOTH, False), hello(shares=()), {}),
    "another share": ((CHACHA, P256, True, BOTH, False), hello(), {"groups": (P256, P384)}),
    "-e secp384r1": ((CHACHA, P384, True, BOTH, False), hello(groups=(X25519, P384)), {"groups": (P384,)}),
    "-e secp521r1": ((CHACHA, P521, False, BOTH, False), hello(groups=(P521,), shares=(P521,)), {"groups": (P521,)}),
    "no group": (Alert.HANDSHAKE_FAILURE, hello(), {"groups": (P521,)}),
    "an unknown group": (Alert.HANDSHAKE_FAILURE, hello(groups=(0x11EC,), shares=(0x11EC,)), {}),
    "short share": (Alert.ILLEGAL_PARAMETER, hello(size=31), {}),
    "long share": (Alert.ILLEGAL_PARAMETER, hello(size=33), {}),
    "rsa": ((CHACHA, X25519, False, bits(0x0806), False), hello(schemes=(0x0401, 0x0806)), {}),
    "ed25519": ((CHACHA, X25519, False, bits(0x0807), False), hello(schemes=(0x0807,)), {}),
    "no scheme": (Alert.HANDSHAKE_FAILURE, hello(schemes=(0x0401, 0x0203, 0x0808)), {}),
    "psk": ((CHACHA, X25519, False, BOTH, True), hello(modes=b"\0\1"), {}),
    "psk without (EC)DHE": ((CHACHA, X25519, False, BOTH, False), hello(modes=b"\0"), {}),
    "psk and no scheme": ((CHACHA, X25519, False, 0, True), hello(schemes=(0x0401,), modes=b"\1"), {}),
    "retried": ((CHACHA, P256, False, BOTH, False), hello(shares=(P256,)), {"retry": (CHACHA, P256)}),
    "retried without a share": (Alert.ILLEGAL_PARAMETER, hello(shares=()), {"retry": (CHACHA, P256)}),
    "retried with another": (Alert.ILLEGAL_PARAMETER, hello(), {"retry": (CHACHA, P256)}),
    "retried with both": (Alert.ILLEGAL_PARAMETER, hello(shares=(P256, X25519)), {"retry": (CHACHA, P256)}),
    "retried, another suite": (Alert.ILLEGAL_PARAMETER, hello((AES128,), shares=(P256,)), {"retry": (CHACHA, P256)}),
    "retried, early data": (Alert.ILLEGAL_PARAMETER, hello(shares=(P256,), early=True), {"retry": (CHACHA, P256)}),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS)
def test_choice(case: str) -> None:
    expected, body, terms = ROWS[case]
    alert, found = choose(body, **terms)  # type: ignore[arg-type]
    if isinstance(expected, int):
        assert alert == expected and isinstance(found, bytes) and found
        return
    suite, group, retry, types, psk = expected
    assert (alert, found) == (0, (suite, group, None if retry else bytes(SIZES[group]), types, psk))


def test_suites_follow_the_names_of_c() -> None:
    """-c's order, each once, whichever of a name's two suites is listed."""
    ciphers = {name: (ecdsa, rsa) for name, _, ecdsa, rsa in _bear.tables()["ciphers"]}
    of = dict(_bear.audit_tables()["ciphers13"])
    default = [suite for pair in ciphers.values() for suite in pair]
    assert _bear.suites13(default) == list(of.values())
    assert _bear.suites13(default[::-1]) == list(of.values())[::-1]
    assert _bear.suites13([0xC030, 0xC00A, 0xCCA9]) == [AES256, CHACHA]
    assert _bear.suites13([]) == _bear.suites13([0xC009, 0x009C, 0x1301]) == []


@pytest.mark.parametrize(
    ("schemes", "key_type", "curve", "modulus", "expected"),
    [
        ((0x0804, 0x0403), RSA, 0, 256, 0x0804), ((0x0806, 0x0805), RSA, 0, 256, 0x0806),
        ((0x0806, 0x0805, 0x0804), RSA, 0, 129, 0x0805), ((0x0806, 0x0805, 0x0804), RSA, 0, 128, 0x0805),
        ((0x0806, 0x0804), RSA, 0, 128, 0x0804), ((0x0806,), RSA, 0, 130, 0x0806), ((0x0806,), RSA, 0, 129, 0),
        ((0x0401, 0x0201, 0x0809), RSA, 0, 256, 0), ((0x0503, 0x0403), EC, P256, 0, 0x0403),
        ((0x0503, 0x0403), EC, P384, 0, 0x0503), ((0x0603,), EC, P521, 0, 0x0603), ((0x0403,), EC, P521, 0, 0),
        ((0x0A0A, 0x0807), ED25519, 0, 0, 0x0807), ((0x0403,), ED25519, 0, 0, 0), ((), EC, P256, 0, 0),
    ],
)  # fmt: skip
def test_schemes(schemes: tuple[int, ...], key_type: int, curve: int, modulus: int, expected: int) -> None:
    """A curve signs with its own hash alone; PSS needs room for digest and salt (RFC 8017 section 9.1.1)."""
    assert _bear.scheme13(u16s(schemes), key_type, curve, modulus) == expected


def test_protocols() -> None:
    assert _bear.protocol13(b"\2h2\3foo", b"\3foo\2h2") == b"foo", "our order"
    assert _bear.protocol13(b"\2h2", b"\3foo\2h2") == b"h2"
    assert _bear.protocol13(b"\2h3", b"\3foo\2h2") is None
    assert _bear.protocol13(b"\2h3", b"") is None


def test_record_size_limits() -> None:
    assert [_bear.record_content(n) for n in (0, 64, 512, 16385, 16386, 65535)] == [16384, 63, 511, 16384, 16384, 16384]
