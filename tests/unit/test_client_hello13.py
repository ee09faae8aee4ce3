"""A ClientHello for TLS 1.3: rows, pieces and compositions against the model of test_client_hello."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearwrap import _bear
from tests.unit.test_client_hello import RULES13, agree13, agree_up_to, good_data, hello, kinds
from tests.wire.messages import vec
from tests.wire.names import TLS12, Alert

GOOD13 = {
    10: vec(2, b"\0\x1d\0\x17"), 13: vec(2, b"\4\3"), 43: b"\2\3\4", 51: vec(2, b"\0\x1d" + vec(2, bytes(32))),
}  # fmt: skip
PSK = vec(2, vec(2, b"ticket") + bytes(4)) + vec(2, vec(1, bytes(32)))


def hello13(change: dict[int, bytes | None], **rest: int | bytes) -> bytes:
    have = GOOD13 | change
    return hello([(kind, data) for kind, data in have.items() if data is not None], **rest)  # type: ignore[arg-type]


RESUMES = {45: b"\1\1", 41: PSK}
TABLE13: dict[str, tuple[int, bytes]] = {
    "plain": (0, hello13({})),
    "with all that there is": (0, hello13({28: b"\x40\1", 42: b"", 44: vec(2, b"c"), 47: vec(2, vec(2, b"n")), 49: b"",
                                           50: vec(2, b"\4\3"), **RESUMES})),
    "grease": (0, hello13({0x0A0A: b"", 10: vec(2, b"\x1a\x1a\0\x1d"), 43: b"\4\x2a\x2a\3\4", 45: b"\2\x0b\1",
                           51: vec(2, b"\x1a\x1a\0\1\0\0\x1d" + vec(2, bytes(32)))})),
    "no share yet": (0, hello13({51: b"\0\0"})),
    "below 1.2 in legacy_version": (0, hello13({}, version=0x0301)),
    "above 1.2 in legacy_version": (0, hello13({}, version=0x0304)),
    "ssl 3.0 in legacy_version": (Alert.PROTOCOL_VERSION, hello13({}, version=0x0300)),
    "no version of ours": (Alert.PROTOCOL_VERSION, hello13({43: b"\2\3\5"})),
    "compression": (Alert.ILLEGAL_PARAMETER, hello13({}, methods=b"\1\0")),
    "no supported_groups": (Alert.MISSING_EXTENSION, hello13({10: None})),
    "no key_share": (Alert.MISSING_EXTENSION, hello13({51: None})),
    "neither": (Alert.MISSING_EXTENSION, hello13({10: None, 51: None})),
    "no signature_algorithms": (Alert.MISSING_EXTENSION, hello13({13: None})),
    "psk without modes": (Alert.MISSING_EXTENSION, hello13({41: PSK})),
    "psk alone": (0, hello13({10: None, 51: None, 13: None, **RESUMES})),
    "psk before another": (Alert.ILLEGAL_PARAMETER, hello13({41: PSK, 45: b"\1\1"})),
    "more binders": (Alert.ILLEGAL_PARAMETER, hello13({**RESUMES, 41: PSK[:-35] + vec(2, 2 * vec(1, bytes(32)))})),
    "short binder": (Alert.DECODE_ERROR, hello13({**RESUMES, 41: PSK[:-35] + vec(2, vec(1, bytes(31)))})),
    "share of a group not offered": (Alert.ILLEGAL_PARAMETER, hello13({51: vec(2, b"\0\x18\0\1x")})),
    "two shares of a group": (Alert.ILLEGAL_PARAMETER, hello13({51: vec(2, 2 * b"\0\x1d\0\1x")})),
    "empty share": (Alert.DECODE_ERROR, hello13({51: vec(2, b"\0\x1d\0\0")})),
    "record_size_limit too small": (Alert.ILLEGAL_PARAMETER, hello13({28: b"\0\x3f"})),
    "early_data with content": (Alert.DECODE_ERROR, hello13({42: b"\0"})),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE13)
def test_hellos_for_tls_1_3(case: str) -> None:
    alert, body = TABLE13[case]
    assert agree13(body) == alert
    assert _bear.client_hello13(body)[0] == alert
    if alert == 0:
        assert agree_up_to(body, TLS12) == Alert.PROTOCOL_VERSION, "1.2 is not offered"


def test_a_server_below_tls_1_3_ignores_what_belongs_to_it() -> None:
    versions = (43, b"\4\3\4\3\3")
    for kind in RULES13:
        body = hello([versions, (kind, b"\xff"), (5, b"")])
        assert agree_up_to(body, TLS12) == 0
        assert agree13(body) != 0
        assert agree13(hello([(43, b"\2\3\3"), (kind, b"\xff")])) == 0


def test_the_pieces_of_a_hello_for_tls_1_3() -> None:
    body = hello13({16: b"\0\3\2h2", 28: b"\x40\0", 44: vec(2, b"c"), 47: vec(2, vec(2, b"n")), 42: b"", **RESUMES})
    alert, found = _bear.client_hello13(body)
    assert alert == 0
    assert found == {
        "tls13": True, "session": b"", "suites": b"\xc0\x2b", "groups": b"\0\x1d\0\x17", "schemes": b"\4\3",
        "schemes_cert": None, "protocols": b"\2h2", "shares": b"\0\x1d\0\x20" + bytes(32), "psk_modes": b"\1",
        "identities": vec(2, b"ticket") + bytes(4), "binders": vec(1, bytes(32)), "truncated": len(body) - 35,
        "cookie": b"c", "authorities": vec(2, b"n"), "record_limit": 0x4000, "early_data": True,
        "post_handshake_auth": False,
    }  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(change=st.dictionaries(kinds, st.none(), max_size=5), data=st.data())
def test_composed_for_tls_1_3(change: dict[int, None], data: st.DataObject) -> None:
    """A good hello with some of its extensions changed, taken away, or others added."""
    agree13(hello13({kind: data.draw(st.none() | good_data(kind) | st.binary(max_size=6)) for kind in change}))
