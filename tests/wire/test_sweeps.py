"""One fault at each place of a ClientHello, and one cut at each: see `sweeps.py`. A test for each sweep."""

from __future__ import annotations

import pytest

from tests.harness import needs_root

from .conftest import Judge
from .sweeps import SWEEPS

pytestmark = needs_root


@pytest.mark.parametrize("name", SWEEPS)
def test_sweep(name: str, judge: Judge) -> None:
    rows = SWEEPS[name]()
    found = {row.name: faults for row in rows if (faults := judge(row))}
    listed = "\n".join(f"{row}: {faults[0]}" for row, faults in list(found.items())[:5])
    assert not found, f"{len(found)} of {len(rows)}, the first of them:\n{listed}"
