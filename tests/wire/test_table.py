"""Every row of the conformance table against the wrapper: alert, end, exit code, prog, log."""

from __future__ import annotations

import pytest

from tests.harness import needs_root

from .conftest import Judge
from .table import TABLE

pytestmark = needs_root


@pytest.mark.parametrize("name", TABLE)
def test_row(name: str, judge: Judge) -> None:
    faults = judge(TABLE[name])
    assert not faults, f"{name} ({TABLE[name].cite}): " + "\n".join(faults)
