"""What a connection runs lies together in the static programs, and the list of it is right."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.building.tools import build_module
from tests.harness import BIN, ROOT, needs_root

layout = build_module("layout")
native = build_module("native")

LISTENER = ROOT / "build" / "lib" / "bearwrap" / native.listener_name(native.Variant())
PROGRAMS = [pytest.param(LISTENER, id="listener"), pytest.param(BIN / "tlswrapper", id="tlswrapper")]
needs_order = pytest.mark.skipif(
    not LISTENER.exists() or not layout.order()[0], reason="no static program, or a linker that takes no order"
)


def said(*command: str | Path) -> str:
    """What a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def section(program: Path, name: str) -> range:
    """The addresses of a section."""
    found = re.search(rf" {re.escape(name)} +\w+ +(\w+) +\w+ +(\w+) ", said("readelf", "-SW", program))
    assert found, f"no {name}"
    begin, size = (int(word, 16) for word in found.groups())
    return range(begin, begin + size)


def placed(program: Path) -> dict[str, set[int]]:
    """Functions and their addresses, a compiler's copies by the name of what they were copied from."""
    places: dict[str, set[int]] = {}
    for address, name in re.findall(r"^(\w+) [tT] (\S+)$", said("nm", program), re.M):
        places.setdefault(re.sub(r"\.(constprop|isra|part)\.\d+", "", name), set()).add(int(address, 16))
    return places


@needs_order
@pytest.mark.parametrize("program", PROGRAMS)
def test_listed_functions_lie_together(program: Path) -> None:
    """Nearly every name of the list is there, and in the part that is for it; that is small."""
    code, places = section(program, ".text.connection"), placed(program)
    names = [one for group in layout.read().values() for one in group if ":" not in one]
    there = [one for one in names if one in places]
    assert len(there) > 0.9 * len(names)
    assert [one for one in there if not any(place in code for place in places[one])] == []
    assert len(code) < 7 * layout.WINDOW


@needs_order
@pytest.mark.parametrize(("process", "most"), [("prog", 2), ("net", 4), ("key", 5)])
def test_a_process_needs_few_page_faults_for_its_code(process: str, most: int) -> None:
    """Its functions lie in so many parts of the size that one fault brings."""
    code, places, groups = section(LISTENER, ".text.connection"), placed(LISTENER), layout.read()
    found = {at for one in groups["shared"] + groups[process] for at in places.get(one, ()) if at in code}
    found = {at // layout.WINDOW for at in found}
    assert 0 < len(found) <= most


@needs_order
@pytest.mark.parametrize("program", PROGRAMS)
def test_constants_are_not_executable(program: Path) -> None:
    """They lie together too, in a segment that is only read, and every segment begins where a fault's part begins."""
    text = said("readelf", "-lW", program)
    loads = [line.split() for line in text.splitlines() if line.startswith("  LOAD")]
    assert [" ".join(words[6:-1]) for words in loads] == ["R", "R E", "R", "RW"]
    assert {int(words[-1], 16) for words in loads} == {layout.WINDOW}
    begin = section(program, ".rodata.connection").start
    holder = next(words for words in loads if 0 <= begin - int(words[2], 16) < int(words[5], 16))
    assert holder[6:-1] == ["R"]
    assert begin % layout.WINDOW == 0


@needs_order
@needs_root
@pytest.mark.skipif(platform.machine() != "x86_64", reason="order.py knows this processor's breakpoints only")
def test_the_list_has_what_a_connection_runs() -> None:
    """All but what another compiler made of it, else `make order` is due."""
    names = said(sys.executable, ROOT / "build-aux" / "order.py", "--check").split()
    ours = [one for one in names if ":" not in one]
    assert len(ours) < 0.1 * sum(":" not in one for group in layout.read().values() for one in group), ours


def test_the_list_is_in_order() -> None:
    """Every group is there, and each name once, sorted."""
    groups = layout.read()
    assert tuple(groups) == layout.GROUPS
    assert all(names == sorted(names) for names in groups.values())
    every = [one for names in groups.values() for one in names]
    assert len(every) == len(set(every)) > 0


@pytest.mark.parametrize(
    ("of", "origin", "name"),
    [
        (".text.net_loop", "/b/_bear.o", "net_loop"),
        (".text.net_loop.constprop.0.isra.0", "/b/_bear.o", "net_loop"),
        (".text.unlikely.net_loop.cold", "/b/_bear.o", "unlikely.net_loop.cold"),
        (".text.br_hmac_out", "/b/libbearssl.a(hmac.o)", "br_hmac_out"),
        (".text", "/usr/lib/libc.a(read.o)", "libc.a:read"),
        (".text.evex", "/usr/lib/libc.a(strlen-evex.o)", "libc.a:strlen-evex"),
        (".text", "/usr/lib/crt1.o", ""),
    ],
)
def test_names(of: str, origin: str, name: str) -> None:
    """A section's name in the list, from the linker's map."""
    assert layout.name(of, origin) == name


@pytest.mark.parametrize(
    ("names", "existing", "found"),
    [
        ({"libc.a:strlen-evex"}, {"libc.a:strlen-evex", "libc.a:strlen-avx2"}, {"libc.a:strlen-avx2"}),
        ({"libc.a:strlen-evex"}, {"libc.a:strchr-avx2"}, set()),
        ({"libc.a:memmove-avx512-a"}, {"libc.a:memmove-avx-a"}, {"libc.a:memmove-avx-a"}),
        ({"libc.a:read", "net_loop"}, {"libc.a:read", "net_loop"}, set()),
    ],
)
def test_variants(names: set[str], existing: set[str], found: set[str]) -> None:
    """What another processor takes, as far as the C library has it."""
    assert layout.variants(names, existing) == found


def test_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name goes to the process that runs it, or to what is shared, and is read as it was written."""
    monkeypatch.setattr(layout, "LIST", tmp_path / "order.list")
    layout.write({"b": {"net"}, "a": {"net"}, "c": {"key", "prog"}, "d": {"prog"}}, {"a", "b", "c", "d"})
    assert layout.read() == {"prog": ["d"], "shared": ["c"], "net": ["a", "b"], "key": [], "variants": []}


def test_a_linker_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The build goes on without the order, and says so."""
    monkeypatch.setattr(native, "BUILD", tmp_path)
    monkeypatch.setattr(layout, "script", lambda: "SECTIONS { this is none\n")
    assert layout.order.__wrapped__() == ([], [])
    assert "no order of functions" in capsys.readouterr().out
