"""What the tests of this folder share: the build's own modules, and a package tree to try them on."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from tests.harness import ROOT

BUILD_AUX = ROOT / "build-aux"


def build_module(name: str) -> ModuleType:
    """A module of build-aux/, imported as the build does."""
    if str(BUILD_AUX) not in sys.path:
        sys.path.append(str(BUILD_AUX))
    return importlib.import_module(name)


def write_tree(top: Path, files: dict[str, str]) -> Path:
    """Write text files below `top`, by relative name, and return it."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top
