"""The benchmarks' own modules, and outcomes of runs that never were."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.harness import BIN, ROOT

BENCH = ROOT / "bench"


def bench_module(name: str) -> ModuleType:
    """A module of bench/, imported as the benchmarks do."""
    if str(BENCH) not in sys.path:
        sys.path.append(str(BENCH))
    return importlib.import_module(name)


def private_programs(top: Path) -> Path:
    """top/bin, a copy of the programs whose pages and probes no other test's processes share."""
    return Path(shutil.copytree(BIN, top / "bin", symlinks=True))


measures = bench_module("measures")
report = bench_module("report")
PLAN = {measure.name: measure for measure in measures.plan(3, [10, 500], [500])}


def outcome(name: str, values: Mapping[str, Sequence[float | None]], **detail: Any) -> Any:
    """What a measure of the plan gave: a value for each round and peer, None where it failed."""
    measure = PLAN[name]
    made = report.Outcome(measure, max(map(len, values.values())))
    for peer, row in values.items():
        made.samples[peer] = [None if value is None else measures.Sample(value, dict(detail)) for value in row]
        if None in row:
            made.errors[peer] = "connect: Connection refused"
        made.latencies_ms[peer] = [value for value in row if value is not None]
    return made
