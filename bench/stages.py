"""stages - where the time of one connection goes, as far as it can be seen from outside.

Two tables. The first times whole programs, from their start to their end, each doing a little more
than the one before; the second times one connection's milestones at the client. Inside a process
nothing is looked at: that takes hooks in the program.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from measures import Measure, Settings, Station
from peers import JAIL, Peer
from prepare import ROOT, BenchError, run_json

SPAWN_TIMEOUT_S = 120
MILESTONES = ("connect", "hello", "handshake", "first_byte", "closed")
MILESTONE_WORDS = {
    "connect": "TCP connection made",
    "hello": "ServerHello: listener, exec, start-up, PEM, ECDHE, signature",
    "handshake": "both Finished: shared secret, key schedule",
    "first_byte": "first byte back: prog's exec, one record each way",
    "closed": "close_notify answered",
}


@dataclass(frozen=True)
class Start:
    """One program to time. `exits`: the status that means it did what the row says."""

    title: str
    argv: list[str]
    exits: int


def starts(settings: Settings, peers: list[Peer]) -> list[Start]:
    """The programs of the first table that are there."""
    pem = settings.certificates["ecdsa"].both
    rows = [
        Start("/bin/true: exec alone", ["/bin/true"], 0),
        Start("the wrapped program of the bulk measures", [settings.tools.program], 1),
    ]
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else shutil.which("python3")
    if python:
        rows.append(Start("python3 -I -S, nothing imported", [python, "-I", "-S", "-c", "pass"], 0))
    script = ROOT / "build" / "bin-script" / "tlswrapper"
    if script.exists() and any(peer.name == "ours" for peer in peers):
        rows.append(Start("ours as a script: --version", [str(script), "--version"], 0))
    for peer in peers:
        path = peer.find()
        if not peer.per_connection or path is None:
            continue
        if peer.name == "ours":
            rows.append(Start("ours: --version", [path, "--version"], 0))
        jail = []
        if peer.name == "ours" and not os.path.isdir(JAIL):
            jail = ["-J", str(settings.folder / "empty")]
            (settings.folder / "empty").mkdir(exist_ok=True)
        rows.append(Start(f"{peer.name}: usage error", [path], 100))
        title = f"{peer.name}: client gone at once (forks, jails, no TLS)"
        rows.append(Start(title, [path, *jail, "-f", pem, "/bin/cat"], 111))
    return rows


@dataclass
class StageTable:
    """Both tables, in microseconds; a list holds one median per round."""

    programs: dict[str, list[float]]
    notes: dict[str, str]
    milestones: dict[str, dict[str, list[float]]]  # peer, milestone


def run_starts(settings: Settings, rows: list[Start], count: int, table: StageTable) -> Iterator[str]:
    """Time each program `count` times; yields the title of each before it runs."""
    for row in rows:
        yield row.title
        try:
            result = json.loads(run_json([settings.tools.spawn, str(count), *row.argv], SPAWN_TIMEOUT_S))
        except BenchError as error:
            table.notes[row.title] = str(error)
            continue
        if result["exit"] != row.exits:
            table.notes[row.title] = f"exit {result['exit']}, signal {result['signal']}, expected {row.exits}"
        table.programs.setdefault(row.title, []).append(result["p50_us"])


def run_milestones(stations: list[Station], table: StageTable) -> Iterator[str]:
    """One sample per peer; yields each peer's name before it runs."""
    for station in stations:
        yield station.peer.name
        try:
            detail = station.sample().detail
        except BenchError as error:
            table.notes[station.peer.name] = str(error)
            continue
        columns = table.milestones.setdefault(station.peer.name, {})
        for name in MILESTONES:
            columns.setdefault(name, []).append(detail["stages_us"][name]["p50"])


def milestone_measure() -> Measure:
    """The connections behind the second table."""
    return Measure("startup", "one connection's milestones", "latency")


def lines(table: StageTable) -> list[str]:
    """Both tables as text."""
    out = ["startup: whole programs, from start to end, median us (spread over the rounds)"]
    for title, values in table.programs.items():
        note = f"   [{table.notes[title]}]" if title in table.notes else ""
        out.append(f"  {title:<58}{median(values):>9.0f}  ({min(values):.0f} .. {max(values):.0f}){note}")
    if table.milestones:
        names = list(table.milestones)
        out += ["", "startup: one connection at the client, median us since connect() and (+step)"]
        out.append(f"  {'':<62}" + "".join(f"{name:>18}" for name in names))
        before = dict.fromkeys(names, 0.0)
        for stage in MILESTONES:
            cells = ""
            for name in names:
                at = median(table.milestones[name][stage])
                cells += f"{at:>9.0f} {f'(+{at - before[name]:.0f})':>8}"
                before[name] = at
            out.append(f"  {MILESTONE_WORDS[stage]:<62}{cells}")
    out += [f"  {name}: {note}" for name, note in table.notes.items() if name not in table.programs]
    return out
