"""No record opens but the one that was sealed, and a record that is sealed but wrong gets an alert of ours."""

from __future__ import annotations

from random import Random

from bearwrap import _bear

from .hello import ALERTS
from .mutate import scramble

SUITES = {0x1301: 32, 0x1302: 48, 0x1303: 32}
LONGEST = 5 + (1 << 14) + 256


def make(r: Random) -> bytes:
    """The first byte picks the suite, the second the type, never 0, which is padding; the content follows."""
    content = r.randbytes(r.choice((0, 1, 2, r.randrange(64), r.randrange(600))))
    return bytes([r.randrange(3), r.choice((20, 21, 22, 23, 23, 24, 255))]) + content


def check(r: Random, case: bytes) -> None:
    suite = list(SUITES)[case[0]]
    kind, content = case[1], case[2:]
    secret = r.randbytes(SUITES[suite])
    sealed = _bear.Traffic13(suite, secret).seal(kind, content)
    wrong = scramble(r, sealed, 2)[:LONGEST]
    for record in (sealed, wrong):
        try:
            alert, found = _bear.Traffic13(suite, secret).open(record)
        except ValueError:
            assert len(record) < 5 or len(record) > LONGEST - 1 or record != sealed
            continue
        assert alert == 0 or (alert in ALERTS and found is None)
        if alert == 0:
            assert record == sealed and found == (kind, content)
