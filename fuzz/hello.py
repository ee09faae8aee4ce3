"""Whatever a ClientHello says, it is refused by an alert of ours or its pieces lie within it, and a choice is of both.

hello_check, select13 and what follows from them: scheme, application protocol, names of certificate files.
"""

from __future__ import annotations

from random import Random

from bearwrap import _bear

from .mutate import hello_body, number

TLS12, TLS13 = 0x0303, 0x0304
ALERTS = {number for number, _ in _bear.audit_tables()["alerts"]}
OURS = (0x1303, 0x1302, 0x1301)
GROUPS = 1 << 29 | 1 << 23 | 1 << 24 | 1 << 25
TERMS = ((OURS, GROUPS, True), (OURS, GROUPS, False), ((0x1301,), 1 << 24, True), (OURS[1:], 1 << 29 | 1 << 25, False))
PROTOCOLS = b"\2h2\x08http/1.1"


def make(r: Random) -> bytes:
    return hello_body(r)


def pairs(data: bytes | None) -> set[int]:
    """The 16-bit numbers of a list."""
    return {int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data or b""), 2)} if data else set()


def check(r: Random, body: bytes) -> None:
    for version in (TLS12, TLS13):
        alert, said = _bear.check_client_hello(body, version)
        assert alert == 0 or (alert in ALERTS and isinstance(said, bytes) and said), (alert, said)
        if alert == 0 and said is not None:
            assert said in body
            names = _bear.candidate_names(said)
            assert len(set(names)) == len(names) and not any(b"/" in name or b"\0" in name for name in names)
    alert13, hello = _bear.client_hello13(body)
    assert alert13 == alert, "both faces agree"
    if hello is None:
        assert alert
        return
    for key, piece in hello.items():
        assert not isinstance(piece, bytes) or piece in body, key
    truncated = hello["truncated"]
    assert isinstance(truncated, int) and 0 <= truncated <= len(body)
    if hello["tls13"]:
        choose(r, body, hello)


def choose(r: Random, body: bytes, hello: dict[str, int | bool | bytes | None]) -> None:
    """The choice for a good hello, under several terms."""
    texts = {key: piece if isinstance(piece, bytes) else None for key, piece in hello.items()}
    suites, groups = pairs(texts["suites"]), pairs(texts["groups"])
    for ours, bits, order in TERMS:
        alert, found = _bear.choose13(body, ours, bits, order)
        if alert:
            assert alert in ALERTS and isinstance(found, bytes) and found
            continue
        assert isinstance(found, tuple)
        suite, group, share, _, psk = found
        assert suite in ours and suite in suites
        assert bits >> group & 1 and group in groups
        assert not psk or texts["identities"]
        if share is None:  # the same hello again is no answer to a HelloRetryRequest
            assert _bear.choose13(body, ours, bits, order, (suite, group))[0] in ALERTS
        else:
            assert group.to_bytes(2, "big") + len(share).to_bytes(2, "big") + share in (texts["shares"] or b"")
        _bear.choose13(body, ours, bits, order, (number(r), number(r) & 31))
    schemes = texts["schemes"] or b""
    for key_type, curve in ((1, 0), (2, 23), (2, 24), (2, 25), (3, 0)):
        scheme = _bear.scheme13(schemes, key_type, curve)
        assert scheme == 0 or scheme in pairs(schemes)
    if texts["protocols"]:
        protocol = _bear.protocol13(texts["protocols"], PROTOCOLS)
        assert protocol in (None, b"h2", b"http/1.1")
    limit = hello["record_limit"]
    assert isinstance(limit, int) and 0 < _bear.record_content(limit) <= 1 << 14
