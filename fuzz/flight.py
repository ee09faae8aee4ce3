"""Whatever follows the hellos, it is refused by an alert of ours, or the pieces found lie within the message.

flight13: Certificate, CertificateRequest, CertificateVerify, Finished, NewSessionTicket, KeyUpdate; and TLS 1.2's.
"""

from __future__ import annotations

from random import Random

from bearwrap import _bear

from .hello import ALERTS
from .mutate import SCHEMES, noise, number, scramble, some

KINDS = {
    4: b"ticket",
    11: b"certificate",
    13: b"certificate request",
    15: b"certificate verify",
    20: b"finished",
    24: b"key update",
}
OLD_KINDS = (11, 12, 13, 14, 20)
OLD_SUITES = (0xC02B, 0xC02F, 0x009C)


def good(r: Random, kind: int) -> bytes:
    """A body that nothing is wrong with."""
    items = [r.randbytes(1 + r.randrange(300)) for _ in range(r.randrange(1, 4))]
    parts: dict[int, dict[str, object]] = {
        11: {"items": items},
        13: {"items": items},
        15: {"scheme": r.choice(some(r, SCHEMES) or SCHEMES), "signature": r.randbytes(r.choice((0, 64, 72, 256)))},
        20: {"data": r.randbytes(r.choice((32, 48)))},
        4: {"lifetime": r.getrandbits(32), "age_add": r.getrandbits(32), "nonce": r.randbytes(r.randrange(9)),
            "ticket": r.randbytes(1 + r.randrange(300))},
        24: {"requested": r.random() < 0.5},
    }  # fmt: skip
    return _bear.build13(KINDS[kind], parts[kind])[4:]


def make(r: Random) -> bytes:
    """The first byte is the message's type."""
    kind = r.choice(list(KINDS))
    if r.random() < 0.05:
        return bytes([kind]) + noise(r)
    body = good(r, kind)
    return bytes([kind]) + (body if r.random() < 0.2 else scramble(r, body, 3))


def pieces(found: object) -> list[bytes]:
    return [piece for piece in found if isinstance(piece, bytes)] if isinstance(found, tuple) else []


def check(r: Random, case: bytes) -> None:
    kind, body = case[0], case[1:]
    for from_server in (True, False):
        for size in (32, 48):
            alert, found = _bear.check13(kind, body, from_server, size)
            assert alert == 0 or (alert in ALERTS and found is None), (alert, found)
            if alert == 0 and kind != 11:  # whose list is made anew
                assert all(piece in body for piece in pieces(found))
            if alert == 0 and kind == 20:
                assert len(body) == size
    for old in OLD_KINDS:
        assert _bear.check_server_message(old, body, 0x0303, r.choice(OLD_SUITES)) in ALERTS | {0}
    _bear.check_server_message(number(r) & 255, body, r.choice((0x0301, 0x0302, 0x0303)), r.choice(OLD_SUITES))
