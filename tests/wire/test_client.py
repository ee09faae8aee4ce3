"""The wire client against OpenSSL: when a row fails, this tells whether our client is to blame.

Success in every cipher, version and curve, and refusals that OpenSSL is known to answer as the table says.
"""

from __future__ import annotations

import pytest

from .identities import Identities
from .oracle import attempt
from .row import Ends
from .sweeps import truncated
from .table import PARTS, TABLE
from .verdict import judge_wire

# Parts whose refusals OpenSSL 3 answers just so; the others have rows where it takes more than we do.
SAME = {name for name in TABLE if name.startswith("finished/") and "broken-record" not in name}


@pytest.mark.parametrize("row", PARTS["served"], ids=lambda row: row.name)
def test_served(row: object, identities: Identities) -> None:
    assert not judge_wire(row, attempt(row, identities))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(SAME))
def test_same_alert(name: str, identities: Identities) -> None:
    row = TABLE[name]
    assert row.ends is Ends.REFUSED
    faults = judge_wire(row, attempt(row, identities))
    assert not [fault for fault in faults if not fault.startswith("the connection ended")]


def test_same_alert_when_truncated(identities: Identities) -> None:
    for row in truncated():
        faults = judge_wire(row, attempt(row, identities))
        assert not [fault for fault in faults if not fault.startswith("the connection ended")], row.name
