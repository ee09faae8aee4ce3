"""The documents at the top of the tree: what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import ROOT

DOCUMENTS = sorted(ROOT.glob("*.md"))
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_commands(document: Path) -> None:
    """Relative links lead to files, and every `make TARGET` is one."""
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (document.parent / target).exists(), target
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    named = re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", text, re.M)
    assert {one or other for one, other in named} <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lines_fit(document: Path) -> None:
    """Prose fits a screen; rows of tables may be longer."""
    for line in document.read_text().splitlines():
        assert len(line) <= 120 or line.startswith("|"), line


def test_the_map_of_the_tree() -> None:
    """Each folder that README describes is there, and what it names inside."""
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `([\w/-]+/)` \| (.*) \|$", text, re.M)
    assert {"src/", "tests/", "man/"} <= {path for path, _ in rows}
    for path, what in rows:
        assert (ROOT / path).is_dir(), path
        for name in re.findall(r"`([\w/.-]+)`", what):
            assert (ROOT / path / name).exists(), name


def test_contributing_names_what_exists() -> None:
    """Files and folders in its table of changes."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?:bearwrap|src|tests|build-aux)/[\w/.-]*)`", text):
        assert (ROOT / name).exists(), name


def test_the_licence_is_the_packages() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text()


def test_the_version_is_in_the_changelog() -> None:
    from bearwrap import __version__

    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)
