"""Every row of the table for TLS 1.3 against the wrapper: alert, end, exit code, prog, log."""

from __future__ import annotations

import pytest

from tests.harness import Program, Wrapped, needs_root
from tests.wire.identities import Identities
from tests.wire.row import PROG

from . import rows_hello, rows_sealed
from .client import Client13
from .row import Row13, drive, judge_program

pytestmark = needs_root
PARTS: dict[str, list[Row13]] = {"hello": rows_hello.ROWS, "sealed": rows_sealed.ROWS}
TABLE = {f"{part}/{row.name}": row for part, rows in PARTS.items() for row in rows}
assert len(TABLE) == sum(map(len, PARTS.values())), "two rows of one part have the same name"


@pytest.mark.parametrize("name", TABLE)
def test_row(name: str, ours: Program, identities: Identities) -> None:
    row = TABLE[name]
    with Wrapped(["-vv", *row.arguments(identities.files)], PROG, program=ours) as wrapped:
        client = Client13(wrapped.client)
        client.identity = identities.get(row.identity)
        faults = drive(row, client)
        wrapped.client.close()
        faults += judge_program(row, wrapped.wait(), wrapped.stderr)
    assert not faults, f"{name} ({row.cite}): " + "\n".join(faults)
