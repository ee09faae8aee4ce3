"""Whatever a server answers, it is refused by an alert of ours, or it is one of the things that were offered.

serverhello13 (ServerHello, HelloRetryRequest, EncryptedExtensions) and the ServerHello of TLS 1.2.
"""

from __future__ import annotations

from random import Random

from bearwrap import _bear

from .hello import ALERTS
from .mutate import noise, scramble

SESSION = bytes(range(32))
SUITES = (0x1301, 0x1302, 0x1303)
GROUPS = {29: 32, 23: 65, 24: 97, 25: 133}
LIMITS = (0, 63, 64, 16385, 65535)
BITS = sum(1 << group for group in GROUPS)
OFFERS = [
    _bear.Offer13(SESSION, SUITES, BITS, 1 << 29, 2, True, b"\2h2\1x", True),
    _bear.Offer13(SESSION, SUITES[:1], BITS, 1 << 29 | 1 << 23),
    _bear.Offer13(b"", SUITES, BITS, 1 << 24, retried=(0x1302, 24)),
]
OLD = (0x0301, 0x0303, True, (0xC02B, 0xC02F, 0x009C))


def make(r: Random) -> bytes:
    """The first byte says which message follows."""
    kind = r.randrange(3)
    if r.random() < 0.03:
        return bytes([kind]) + noise(r)
    group = r.choice(list(GROUPS))
    session = SESSION if r.random() < 0.9 else b""
    usual = {"random": r.randbytes(32), "session": session, "suite": r.choice(SUITES), "group": group}
    if kind == 0:
        psk = r.choice((-1, -1, 0, 1, 2))
        point = r.randbytes(GROUPS[group])
        made = _bear.build13(b"server hello", usual | {"point": point, "point_len": len(point), "psk": psk})
    elif kind == 1:
        made = _bear.build13(b"retry", {key: usual[key] for key in ("session", "suite", "group")})
    else:
        parts = {"sni": r.random() < 0.5, "protocol": r.choice((b"", b"h2", b"x", b"zz")), "limit": r.choice(LIMITS)}
        made = _bear.build13(b"encrypted extensions", parts)
    body = made[4:]
    return bytes([kind]) + (body if r.random() < 0.3 else scramble(r, body, 3))


def check(r: Random, case: bytes) -> None:
    kind, body = case[0], case[1:]
    for offer in OFFERS:
        if kind == 2:
            alert, said = offer.encrypted_extensions(body)
            if isinstance(said, tuple):
                protocol, limit = said
                assert protocol in (None, b"h2", b"x")
                assert limit == 0 or limit >= 64
        else:
            alert, found = offer.server_hello(body)
            if isinstance(found, tuple):
                retry, suite, group, share, cookie, psk = found
                assert suite in SUITES and (group == 0 or group in GROUPS)
                assert share is None or share in body
                assert cookie is None or cookie in body
                assert retry or psk < 2
        assert alert == 0 or alert in ALERTS
    alert, told = _bear.check_server_hello(body, *OLD)
    assert alert == 0 or alert in ALERTS
    assert not isinstance(told, tuple) or (told[0] <= 0x0303 and told[2] in OLD[3])
