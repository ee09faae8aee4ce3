"""timeline - where each microsecond of one connection goes, process by process, as the kernel's tracing sees it.

Connections come one at a time, each with a load generator of its own, so that nothing overlaps but the processes of
one connection. The program is the one that is installed; tracing.py tells how it is watched and what that costs, and
the same connections without it stand beside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from measures import CAT, IO_TIMEOUT_S, LEAST_CONNECTIONS, LIMIT_S, Settings
from peers import Peer, Setup
from prepare import BenchError, run_json
from server import Server, free_port, tree
from tracing import Event, Tracer

PEERS_TRACED = ("ours", "serve")
BEGIN, FORKED, EXECUTED, ENDED = "begin", "sched_process_fork", "sched_process_exec", "sched_process_exit"


@dataclass(frozen=True)
class Stage:
    """From one event to another of the same process, or a moment if they are the same; `only`: of this peer. BEGIN is
    the client's connect(), the others are events of tracing.py."""

    process: str
    words: str
    begin: str
    end: str
    only: str = ""


STAGES = (
    Stage("net", "accept by tcpserver, fork", BEGIN, FORKED),
    Stage("net", "exec of the wrapper", FORKED, "+main"),
    Stage("net", "interpreter's core", "+main", "-Py_InitializeFromConfig"),
    Stage("net", "import", "-Py_InitializeFromConfig", "-PyImport_ImportModule"),
    Stage("net", "option parsing", "-PyImport_ImportModule", "+connection_fork"),
    Stage("net", "forks of prog and key", "+connection_fork", "-connection_fork", only="ours"),
    Stage("net", "accept, first bytes, handed to a worker", BEGIN, "+connection_serve", only="serve"),
    Stage("net", "jail and filter", "+jail_enter", "+net_handshake"),
    Stage("net", "ClientHello read and checked", "+net_handshake", "-hello_check"),
    Stage("key", "first run after its fork", FORKED, "+key_main"),
    Stage("key", "certificate and key: PEM, jail", "+key_load", "-key_load"),
    Stage("key", "ECDHE: own point", "+key_ephemeral", "-key_ephemeral"),
    Stage("key", "signature", "+sign_digest", "-sign_digest"),
    Stage("key", "ECDHE: shared secret", "+key_shared", "-key_shared"),
    Stage("key", "both Finished", "+key_finished", "-key_finished"),
    Stage("prog", "exec of prog", "+prog_exec", EXECUTED),
    Stage("prog", "ends", ENDED, ENDED),
    Stage("key", "ends", ENDED, ENDED),
    Stage("net", "ends: teardown is over", ENDED, ENDED),
    Stage("server", "fork of the next worker", "+fork", "-fork", only="serve"),
)
MILESTONES = {
    "connect": "TCP connection made",
    "hello": "ServerHello received",
    "handshake": "both Finished",
    "first_byte": "first byte back",
    "closed": "close_notify answered",
}
# Who is who: the process in which this function ran.
ROLES = {"+net_handshake": "net", "+key_exchange": "key", "+prog_exec": "prog"}


def wanted() -> list[str]:
    """The functions that need probes."""
    names = [name[1:] for stage in STAGES for name in (stage.begin, stage.end) if name[0] in "+-"]
    return list(dict.fromkeys([*names, *(name[1:] for name in ROLES)]))


@dataclass
class Table:
    """What was seen of one peer, in microseconds: a value for each connection."""

    rows: dict[tuple[str, str], list[tuple[float, float | None]]] = field(default_factory=dict)
    traced: list[float] = field(default_factory=list)  # to the first byte
    untraced: list[float] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, process: str, words: str, at: float, took: float | None) -> None:
        self.rows.setdefault((process, words), []).append((at, took))

    def summary(self) -> list[dict[str, Any]]:
        """Medians in the order of time."""
        found = []
        for (process, words), values in self.rows.items():
            took = [value for _, value in values if value is not None]
            found.append({
                "process": process,
                "stage": words,
                "at_us": round(median(at for at, _ in values)),
                "took_us": round(median(took)) if took else None,
                "seen": len(values),
            })  # fmt: skip
        return sorted(found, key=lambda row: row["at_us"])


def roles(events: list[Event], server: int, members: set[int]) -> dict[int, str]:
    """The processes of the one connection; `members` are those below the server before it, the rest is forked."""
    known = set(members) | {server}
    for event in events:
        if event.name == FORKED and event.number("pid") in known:
            known.add(event.number("child_pid"))
    found = {event.pid: ROLES[event.name] for event in events if event.name in ROLES and event.pid in known}
    return {**found, server: "server"}


def reckon(table: Table, peer: str, events: list[Event], who: dict[int, str], marks: dict[str, float]) -> None:
    """Add the stages of one connection; `marks` are the client's moments, BEGIN among them."""
    begin = marks[BEGIN]
    for name, words in MILESTONES.items():
        table.add("client", words, marks[name] - begin, None)
    of: dict[str, list[tuple[str, float]]] = {}
    for event in events:
        pid = event.number("child_pid") if event.name == FORKED else event.pid
        if pid in who and event.us >= begin:
            of.setdefault(who[pid], []).append((event.name, event.us))
    for stage in STAGES:
        if stage.only and stage.only != peer:
            continue
        mine = of.get(stage.process, [])
        if stage.begin == stage.end:
            for us in [us for name, us in mine if name == stage.end][:1]:
                table.add(stage.process, stage.words, us - begin, None)
            continue
        total, first = 0.0, None
        since = begin if stage.begin == BEGIN else None
        for name, us in mine:
            if since is not None and name == stage.end:
                total, first, since = total + us - since, since if first is None else first, None
            elif name == stage.begin:
                since = us
        if first is not None:
            table.add(stage.process, stage.words, first - begin, total)


def one(load: str, port: int) -> dict[str, float]:
    """One connection; the client's moments in CLOCK_MONOTONIC's microseconds."""
    argv = [load, "--port", str(port), "--count", "1", "--timeout", str(IO_TIMEOUT_S), "--limit", str(LIMIT_S)]
    result = json.loads(run_json(argv, LIMIT_S + 2 * IO_TIMEOUT_S))
    if result["failed"]:
        raise BenchError(result["error"])
    begin = result["begin_us"]
    return {BEGIN: begin, **{name: begin + result["stages_us"][name]["p50"] for name in MILESTONES}}


def watch(peer: Peer, settings: Settings, count: int, table: Table) -> Iterator[None]:
    """Fill the table, a yield for each connection; what cannot be had is a note in it."""
    binary = peer.find()
    assert binary is not None
    certificate, folder = settings.certificates["ecdsa"], settings.folder
    setup = Setup(free_port(), certificate, "default", [CAT], True, LEAST_CONNECTIONS, folder)
    load = settings.tools.load
    try:
        with Server(peer, setup) as server:
            one(load, server.port)
            for _ in range(count):
                server.settle()
                marks = one(load, server.port)
                table.untraced.append(marks["first_byte"] - marks[BEGIN])
                yield
            # `bearwrap serve` has become another program by now
            program = binary if peer.per_connection else os.path.realpath(f"/proc/{server.pid}/exe")
            with Tracer(program, wanted(), folder) as tracer:
                table.missing = tracer.missing
                for _ in range(count):
                    server.settle()
                    members = {process.pid for process in tree(server.pid)}
                    tracer.clear()
                    marks = one(load, server.port)
                    server.settle()
                    events = tracer.events()
                    table.traced.append(marks["first_byte"] - marks[BEGIN])
                    reckon(table, peer.name, events, roles(events, server.pid, members), marks)
                    yield
    except BenchError as error:
        table.note = str(error)


def lines(peer: str, table: Table) -> list[str]:
    """One peer's table as text."""
    head = f"stages of one connection, {peer}: median us over {len(table.traced)} connections, by the kernel's tracing"
    if table.note:
        return [head, f"  not measured: {table.note}"]
    out = [head, f"  {'at':>8}{'took':>8}  {'process':<9}stage"]
    for row in table.summary():
        took = "" if row["took_us"] is None else f"{row['took_us']:,}"
        seen = "" if row["seen"] == len(table.traced) else f"   (in {row['seen']} of {len(table.traced)})"
        out.append(f"  {row['at_us']:>8,}{took:>8}  {row['process']:<9}{row['stage']}{seen}")
    if table.traced and table.untraced:
        to = (median(table.traced), median(table.untraced))
        out.append(f"  first byte back: {to[0]:,.0f} us traced, {to[1]:,.0f} us without; one connection at a time")
    if table.missing:
        out.append(f"  not in this program: {', '.join(table.missing)}")
    return out
