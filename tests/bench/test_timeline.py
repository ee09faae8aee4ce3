"""The stage table: symbols of a file, events of a trace, stages of a connection, and a real one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT, needs_root, require_peer

from .tools import bench_module, private_programs

timeline, tracing = bench_module("timeline"), bench_module("tracing")
Event = tracing.Event


def test_places_of_functions(tmp_path: Path) -> None:
    """As nm and readelf see them: the bytes at the place are the function's."""
    source, target = tmp_path / "two.c", tmp_path / "two"
    one = "static int __attribute__((noinline)) one(int a) { return a * 77; }\n"
    source.write_text(one + "int main(int n) { return one(n); }\n")
    subprocess.run([shutil.which("cc") or "cc", "-O0", "-o", target, source], check=True, timeout=60)
    found = tracing.functions(str(target))
    nm = subprocess.run(["nm", target], capture_output=True, text=True, check=True, timeout=60).stdout
    address = {line.split()[2]: int(line.split()[0], 16) for line in nm.splitlines() if len(line.split()) == 3}
    assert found["main"] - found["one"] == address["main"] - address["one"]
    assert b"\x4d" in target.read_bytes()[found["one"] : found["main"]] or os.uname().machine != "x86_64", "the 77"
    subprocess.run(["strip", target], check=True, timeout=60)
    assert tracing.functions(str(target)) == {}
    assert tracing.functions(str(source)) == {}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("main", "main"),
        ("key_load", "__pyx_f_8bearwrap_5_bear_key_load.constprop.0"),
        ("key_operation", "__pyx_f_8bearwrap_5_bear_key_operation.constprop.0.isra.0"),
        ("load", None),
        ("key_shared", None),
    ],
)
def test_names_that_compilers_dress_up(name: str, found: str | None) -> None:
    symbols = {
        "__pyx_f_8bearwrap_5_bear_key_load.constprop.0": 1,
        "__pyx_f_8bearwrap_5_bear_key_load.constprop.0.cold": 2,
        "__pyx_f_8bearwrap_5_bear_key_operation.constprop.0.isra.0": 3,
        "__pyx_f_8bearwrap_5_bear_key_shared.constprop.0.cold": 4,
        "main": 5,
        "mainly": 6,
    }
    assert tracing.find(symbols, name) == (symbols[found] if found else None)


def forked(us: float, parent: int, child: int) -> object:
    return Event(us, parent, "sched_process_fork", f"comm=a pid={parent} child_comm=a child_pid={child}")


# The server is 10; its processes of the connection are 20 (net), 21 (prog), 22 (key); 99 is a stranger's.
EVENTS = [
    forked(1005.0, 10, 20),
    Event(1100.0, 20, "+main", ""),
    Event(1110.0, 99, "+main", ""),
    Event(1150.0, 20, "-Py_InitializeFromConfig", ""),
    Event(1170.0, 20, "-PyImport_ImportModule", ""),
    Event(1180.0, 20, "+connection_fork", ""),
    forked(1185.0, 20, 21),
    forked(1190.0, 20, 22),
    Event(1195.0, 20, "-connection_fork", ""),
    Event(1196.0, 20, "+jail_enter", ""),
    Event(1200.0, 20, "+net_handshake", ""),
    Event(1210.0, 22, "+key_main", ""),
    Event(1220.0, 22, "+key_exchange", ""),
    Event(1221.0, 22, "+sign_digest", ""),
    Event(1261.0, 22, "-sign_digest", ""),
    Event(1300.0, 22, "+key_finished", ""),
    Event(1303.0, 22, "-key_finished", ""),
    Event(1310.0, 22, "+key_finished", ""),
    Event(1314.0, 22, "-key_finished", ""),
    Event(1320.0, 21, "+prog_exec", ""),
    Event(1350.0, 21, "sched_process_exec", "filename=/bin/cat pid=21 old_pid=21"),
    Event(1400.0, 99, "+key_exchange", ""),
    Event(1500.0, 21, "sched_process_exit", ""),
    Event(1600.0, 20, "sched_process_exit", ""),
]
MARKS = dict(zip(("begin", "connect", "hello", "handshake", "first_byte", "closed"),
                 (1000.0, 1004.0, 1270.0, 1316.0, 1360.0, 1450.0), strict=True))  # fmt: skip


def test_stages_of_a_connection() -> None:
    table = timeline.Table()
    who = timeline.roles(EVENTS, 10, {10})
    assert who == {10: "server", 20: "net", 21: "prog", 22: "key"}
    for shift in (0.0, 0.0):
        timeline.reckon(table, "ours", EVENTS, who, {name: us + shift for name, us in MARKS.items()})
    rows = {(row["process"], row["stage"]): (row["at_us"], row["took_us"]) for row in table.summary()}
    assert rows["net", "accept by tcpserver, fork"] == (0, 5)
    assert rows["net", "exec of the wrapper"] == (5, 95)
    assert rows["net", "interpreter's core"] == (100, 50)
    assert rows["net", "import"] == (150, 20)
    assert rows["net", "option parsing"] == (170, 10)
    assert rows["net", "forks of prog and key"] == (180, 15)
    assert rows["key", "first run after its fork"] == (190, 20)
    assert rows["key", "signature"] == (221, 40)
    assert rows["key", "both Finished"] == (300, 7), "twice, its own time each"
    assert rows["prog", "exec of prog"] == (320, 30)
    assert rows["net", "ends: teardown is over"] == (600, None)
    assert rows["client", "first byte back"] == (360, None)
    assert ("net", "accept, first bytes, handed to a worker") not in rows, "the listener's alone"
    assert ("key", "ECDHE: own point") not in rows, "not seen, so not told"
    table.traced, table.untraced, table.missing = [360.0, 360.0], [350.0], ["key_ephemeral"]
    text = "\n".join(timeline.lines("ours", table))
    assert "       221      40  key      signature" in text
    assert "first byte back: 360 us traced, 350 us without" in text
    assert "not in this program: key_ephemeral" in text
    assert [row["at_us"] for row in table.summary()] == sorted(row["at_us"] for row in table.summary())


def test_a_note_instead_of_a_table() -> None:
    assert timeline.lines("serve", timeline.Table(note="no tracing here: needs root"))[1:] == [
        "  not measured: no tracing here: needs root"
    ]


def test_the_table_names_functions_that_there_are() -> None:
    """One that gets another name must get it in the table too."""
    text = "".join(path.read_text() for pattern in ("*.pxi", "launcher.c") for path in (ROOT / "src").glob(pattern))
    assert [name for name in timeline.wanted() if not re.search(rf"\b{name}\(", text)] == []


@needs_root
def test_real_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one peer after the other, as in a run, with programs of its own: a probe is in every process of a file."""
    require_peer("tcpserver")
    monkeypatch.setenv("BEARWRAP_BIN", str(private_programs(tmp_path)))
    measures, peers, prepare = map(bench_module, ("measures", "peers", "prepare"))
    settings = measures.Settings(prepare.find_tools(tmp_path), prepare.make_certificates(tmp_path), tmp_path, 0.1)
    for name in timeline.PEERS_TRACED:
        (peer,) = (peer for peer in peers.PEERS if peer.name == name)
        table = timeline.Table()
        assert sum(1 for _ in timeline.watch(peer, settings, 2, table)) == (2 if table.note else 4)
        if table.note:
            # The kernel's word, not a second run's over the first.
            assert table.note.startswith("no tracing here: ") and "exists" not in table.note
            pytest.skip(table.note)
        rows = {(row["process"], row["stage"]) for row in table.summary()}
        assert ("client", "first byte back") in rows
        if not table.missing:  # a compiler may have put a function into another
            assert {("key", "signature"), ("prog", "exec of prog"), ("net", "jail and filter")} <= rows
        left = tracing.USUAL / "uprobe_events"
        assert not left.exists() or f"bearwrap_{os.getpid()}" not in left.read_text()
        assert str(tmp_path) not in Path("/proc/mounts").read_text()
