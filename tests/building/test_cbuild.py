"""Compiling and linking only what changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.building.tools import build_module, write_tree

cbuild = build_module("cbuild")

SOURCES = {"a.c": '#include "a.h"\nint main(void) { return VALUE; }\n', "a.h": "#define VALUE 3\n"}


def older(path: Path) -> None:
    """Set a file's date back, as if it had been written before everything else."""
    os.utime(path, (1, 1))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two old files and a first build of them."""
    write_tree(tmp_path, SOURCES)
    older(tmp_path / "a.c")
    older(tmp_path / "a.h")
    assert compile_it(tmp_path)
    return tmp_path


def compile_it(tree: Path, *flags: str) -> bool:
    """Bring a.o up to date."""
    return bool(cbuild.compile_one(tree / "a.c", tree / "a.o", list(flags)))


def test_nothing_changed(tree: Path) -> None:
    """A second run compiles nothing."""
    assert not compile_it(tree)


@pytest.mark.parametrize("name", ["a.c", "a.h"])
def test_a_file_changed(tree: Path, name: str) -> None:
    """A source or a header that is newer is seen."""
    os.utime(tree / name)
    assert compile_it(tree)
    assert not compile_it(tree)


def test_edited_while_the_compiler_is_at_work(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that changed after the compiler read it, but before it was done, is compiled again."""
    slow = tree / "slow"
    slow.write_text(f'#!/bin/sh\ngcc "$@" && touch {tree}/a.h\n')
    slow.chmod(0o755)
    monkeypatch.setenv("CC", str(slow))
    assert compile_it(tree)
    monkeypatch.setenv("CC", f"{slow} ")
    assert compile_it(tree)


def test_flags_changed(tree: Path) -> None:
    """Another command line is seen, back and forth."""
    assert compile_it(tree, "-O2")
    assert not compile_it(tree, "-O2")
    assert compile_it(tree)


def test_a_header_is_gone(tree: Path) -> None:
    """A header that went away leads to the compiler's own error."""
    (tree / "a.h").unlink()
    with pytest.raises(cbuild.BuildError, match=r"a\.h"):
        compile_it(tree)


def test_link(tree: Path) -> None:
    """Linking follows its inputs, and a failed link leaves the old program."""
    def link(*more: str) -> bool:
        return bool(cbuild.link(tree / "bin/a", [str(tree / "a.o"), *more], [tree / "a.o"], tree / "notes"))

    assert link()
    assert not link()
    before = (tree / "bin/a").read_bytes()
    with pytest.raises(cbuild.BuildError, match="no_such_library"):
        link("-lno_such_library")
    assert (tree / "bin/a").read_bytes() == before
    os.utime(tree / "a.o")
    assert link()
    assert sorted(path.name for path in (tree / "bin").iterdir()) == ["a"]


def test_one_target_of_two_kinds(tree: Path) -> None:
    """A target that was overwritten by another kind of link is linked anew, even if its inputs are older."""
    def link(*flags: str) -> bool:
        return bool(cbuild.link(tree / "a", [str(tree / "a.o"), *flags], [tree / "a.o"], tree / "notes"))

    assert link()
    assert link("-g")
    assert link()
