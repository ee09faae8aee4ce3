"""Freezing: which modules are found, what is refused, what is left of a module."""

from __future__ import annotations

import marshal
import re
from pathlib import Path

import pytest

from tests.building.tools import build_module, write_tree
from tests.harness import ROOT

freeze = build_module("freeze")

SMALL = {
    "bearwrap/__init__.py": "",
    "bearwrap/programs/__init__.py": "import posix\nfrom bearwrap import alpha\nfrom ..beta import thing\n",
    "bearwrap/programs/tool.py": "def start():\n    from . import extra\n",
    "bearwrap/programs/extra.py": "import sys, errno\n",
    "bearwrap/alpha.py": "import bearwrap._bear\nfrom bearwrap._bear import x\n",
    "bearwrap/beta.py": "thing = 1\n",
    "bearwrap/only_for_the_api.py": "import socket\n",
    "src/_bear.pyx": "from bearwrap.gamma import G\n",
    "bearwrap/gamma.py": "class G: pass\n",
}


def codes(text: str) -> dict[str, object]:
    """Name to code object of every array in a generated table."""
    found = re.findall(r"code_(\w+)\[\] = \{ /\* \d+ bytes \*/\n(.*?)\n\};", text, re.DOTALL)
    return {name: marshal.loads(bytes(map(int, re.findall(r"\d+", data)))) for name, data in found}


def test_every_way_of_importing_is_followed(tmp_path: Path) -> None:
    """Absolute and relative, in functions too, and what the extension imports; nothing else."""
    found = freeze.collect(write_tree(tmp_path, SMALL))
    assert sorted(found) == [
        "bearwrap", "bearwrap.alpha", "bearwrap.beta", "bearwrap.gamma", "bearwrap.programs",
        "bearwrap.programs.extra", "bearwrap.programs.tool",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "name"),
    [("import os", "os"), ("from typing import Any", "typing"), ("def f():\n    import socket", "socket")],
)
def test_an_import_that_is_not_builtin_is_refused(tmp_path: Path, statement: str, name: str) -> None:
    """The message names the file, the line and the module."""
    write_tree(tmp_path, SMALL | {"bearwrap/beta.py": f"thing = 1\n{statement}\n"})
    line = 2 + statement.count("\n")
    with pytest.raises(freeze.FreezeError, match=rf"bearwrap/beta\.py:{line}: imports {name}"):
        freeze.collect(tmp_path)


def test_a_missing_module_is_refused(tmp_path: Path) -> None:
    """A module of ours that is not there is an error of the build."""
    write_tree(tmp_path, SMALL | {"bearwrap/beta.py": "import bearwrap.nothing\nthing = 1\n"})
    with pytest.raises(freeze.FreezeError, match=r"bearwrap\.nothing"):
        freeze.collect(tmp_path)


def test_what_is_dropped(tmp_path: Path) -> None:
    """Docstrings, annotations, __future__, TYPE_CHECKING and the package's lazy names go; asserts stay."""
    text = '''"""Docstring of the module."""
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
thing: int = 1
bare: Any
def f(a: "Note" = 2, *b: "Note", c: "Note" = 3) -> "Note":
    """Docstring of a function."""
    assert a, "kept"
class C:
    """Docstring of a class."""
    x: "Note" = 4
    y: "Note"
'''
    lazy = "def __getattr__(name):\n    import importlib\n"
    write_tree(tmp_path, SMALL | {"bearwrap/beta.py": text, "bearwrap/__init__.py": lazy})
    table = freeze.programs_table(tmp_path)
    space: dict[str, object] = {"__name__": "x"}
    exec(codes(table)["bearwrap__beta"], space)
    assert space["thing"] == 1
    assert space["f"].__annotations__ == {}
    assert space["f"].__doc__ is None
    assert space["C"].__doc__ is None
    assert space["C"].x == 4
    assert not hasattr(space["C"], "__annotations__") or space["C"].__annotations__ == {}
    with pytest.raises(AssertionError, match="kept"):
        space["f"](0)
    assert "importlib" not in codes(table)["bearwrap"].co_names


def test_line_numbers_stay(tmp_path: Path) -> None:
    """What a traceback says of a frozen module is true of its source."""
    text = '"""Text."""\n\nthing = 1\ndef f():\n    """Text."""\n    1 / 0\n'
    write_tree(tmp_path, SMALL | {"bearwrap/beta.py": text})
    space: dict[str, object] = {"__name__": "x"}
    exec(codes(freeze.programs_table(tmp_path))["bearwrap__beta"], space)
    with pytest.raises(ZeroDivisionError) as caught:
        space["f"]()
    assert caught.traceback[-1].lineno + 1 == 6
    assert str(caught.traceback[-1].path) == "<frozen bearwrap.beta>"


def test_the_tree_itself() -> None:
    """Our own package passes, and every program is in it."""
    found = freeze.collect(ROOT)
    programs = {f"bearwrap.programs.{path.stem}" for path in (ROOT / "bearwrap/programs").glob("[!_]*.py")}
    assert programs
    assert programs <= set(found)
