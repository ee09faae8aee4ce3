"""bench - the paired comparison of bearwrap with the programs it wants to replace, and of its client with OpenSSL.

    bearwrap bench [--quick] [--only NAME] [--peers A,B] [--json FILE] [--svg FILE]
    python3 bench/bench.py ...

Each measure runs in rounds, every peer once a round, and each round gives one ratio, so that a machine
that slows down slows both. Tables and verdicts go to stdout, progress to stderr. An interrupt (SIGINT,
SIGTERM) prints what there is. Exit status: 0 measured, 1 a peer failed or nothing could be measured,
2 bad usage, 130 interrupted. No figure decides the exit status.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import shutil
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # which an isolated Python leaves out

import plot
import report
import stages
import timeline
import verdicts
from measures import Measure, Settings, applies, plan
from peers import CLIENT_REFERENCE, PEERS, REFERENCE, Peer, why_absent
from prepare import BenchError, find_tools, make_certificates, make_folder, raise_descriptors
from run import Progress, Run

DEFAULT_ROUNDS, QUICK_ROUNDS = 7, 2
DEFAULT_SECONDS, QUICK_SECONDS = 2.0, 0.3
DEFAULT_PEERS = "all"
DEFAULT_HELD, QUICK_HELD = "10,100,500,1000", "10,50"
DEFAULT_GROWTH, QUICK_GROWTH = "500", "50"
EXTRAS = {"startup": "whole programs, and a connection as the client sees it", "stages": "inside one connection"}
DESCRIPTORS_SPARE = 1024
DESCRIPTORS_HELD = 4  # of one process for each held connection
STARTS_PER_ROUND, QUICK_STARTS = 50, 15
MOST_HELD = 5000


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the options; ends the program with status 2 on a bad one."""
    names = ", ".join(f"{peer.name} ({peer.what})" for peer in PEERS)
    parser = argparse.ArgumentParser(
        prog="bearwrap bench", description="Paired benchmarks of bearwrap.", epilog=f"peers: {names}"
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="smoke run, some three minutes; figures are rough")
    add("--only", action="append", metavar="NAME", help="only this measure (pattern; repeatable)")
    add("--peers", default=DEFAULT_PEERS, metavar="A,B", help="default all that are there")
    add("--rounds", type=int, help=f"default {DEFAULT_ROUNDS}")
    add("--seconds", type=float, help=f"of one sample, default {DEFAULT_SECONDS:g}")
    add("--streams", type=int, default=3, help="at a time for connections/s, default 3")
    add("--held", metavar="N,N", help=f"for memory, default {DEFAULT_HELD}")
    add("--growth", metavar="N,N", help=f"held for growth, default {DEFAULT_GROWTH}")
    add("--json", type=Path, metavar="FILE", help="write every sample")
    add("--svg", type=Path, metavar="FILE", help="write a picture")
    add("--list", action="store_true", help="list measures and peers, then stop")
    options = parser.parse_args(argv)
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else DEFAULT_ROUNDS
    if options.seconds is None:
        options.seconds = QUICK_SECONDS if options.quick else DEFAULT_SECONDS
    if not (1 <= options.rounds <= 1000 and 0.1 <= options.seconds <= 30 and 1 <= options.streams <= 64):
        parser.error("--rounds is 1 to 1000, --seconds 0.1 to 30, --streams 1 to 64")
    usual = {"held": (DEFAULT_HELD, QUICK_HELD), "growth": (DEFAULT_GROWTH, QUICK_GROWTH)}
    for name, defaults in usual.items():
        text = getattr(options, name)
        words = (defaults[options.quick] if text is None else text).split(",")
        if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= MOST_HELD for word in words if word):
            parser.error(f"--{name} takes numbers from 1 to {MOST_HELD}")
        setattr(options, name, sorted({int(word) for word in words if word}))
    known = [peer.name for peer in PEERS]
    options.peers = known if options.peers == "all" else [name for name in options.peers.split(",") if name]
    unknown = [name for name in options.peers if name not in known]
    if unknown:
        parser.error(f"no peer {unknown[0]!r}; there are {', '.join(known)}")
    return options


def choose_measures(options: argparse.Namespace) -> tuple[list[Measure], set[str]]:
    """The measures of this run, and which of the tables beside them are wanted."""
    measures = plan(options.streams, options.held, options.growth)
    if not options.only:
        return measures, set(EXTRAS)
    names = [*(measure.name for measure in measures), *EXTRAS]
    wanted = set()
    for pattern in options.only:
        # A bare word takes its family: "download" is download-default and download-aes128.
        hits = [name for name in names if fnmatch.fnmatch(name, pattern) or name.startswith(pattern + "-")]
        if not hits:
            raise BenchError(f"no measure {pattern!r}; there are {', '.join(names)}")
        wanted.update(hits)
    return [measure for measure in measures if measure.name in wanted], wanted & set(EXTRAS)


def choose_peers(options: argparse.Namespace) -> list[Peer]:
    """The peers of this run, in the order of the table; says on stderr who is missing."""
    chosen = []
    for peer in PEERS:
        if peer.name in options.peers:
            reason = why_absent(peer)
            if reason:
                print(f"bench: {peer.name} ({peer.what}): {reason}, left out", file=sys.stderr)
            else:
                chosen.append(peer)
    return chosen


def machine() -> dict[str, Any]:
    """The kind of machine, without its name."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return {"cpu": model, "cores": cores, "kernel": platform.release(), "arch": platform.machine()}


def write_json(path: Path, run: Run, found: list[dict[str, Any]], interrupted: bool) -> None:
    """Everything that was seen, for later comparison."""
    table = run.stage_table
    data = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "reference": REFERENCE,
        "client_reference": CLIENT_REFERENCE,
        "rounds": run.rounds,
        "seconds": run.settings.seconds,
        "interrupted": interrupted,
        "measures": [report.as_json(outcome) for outcome in run.outcomes.values()],
        "startup": {"programs_us": table.programs, "milestones_us": table.milestones, "notes": table.notes},
        "stages": {name: asdict(each) | {"rows": each.summary()} for name, each in run.timelines.items()},
        "verdicts": found,
    }
    path.write_text(json.dumps(data, indent=1) + "\n")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def execute(run: Run, measures: list[Measure], extras: set[str]) -> bool:
    """Run everything and print each table as soon as it is whole. Returns True when interrupted."""
    progress = Progress(run.steps(measures, extras))
    here = machine()
    seconds = run.settings.seconds
    print(f"{here['cpu']}, {here['cores']} cores, Linux {here['kernel']}; samples of {seconds:g} s\n")
    printed = ""
    interrupted = False
    try:
        for measure in measures:
            progress.measure(measure.title)
            run.measure(measure, progress)
            progress.clear()
            printed = measure.name
            print("\n".join(report.lines(run.outcomes[measure.name])) + "\n", flush=True)
        if "startup" in extras:
            progress.measure("start-up")
            run.startup(progress)
        if "stages" in extras:
            progress.measure("stages of a connection")
            run.timeline(progress)
    except KeyboardInterrupt:
        # A second interrupt would lose what the first one asked to see.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        interrupted = True
    progress.clear()
    partial = list(run.outcomes.values())[-1:]
    if interrupted:
        print("interrupted: the tables below are not complete\n")
        for outcome in partial:
            if outcome.measure.name != printed:
                print("\n".join(report.lines(outcome)) + "\n")
    if run.stage_table.programs:
        print("\n".join(stages.lines(run.stage_table)) + "\n")
    for name, table in run.timelines.items():
        print("\n".join(timeline.lines(name, table)) + "\n")
    return interrupted


def main(argv: list[str]) -> int:
    """The program; returns the exit status."""
    options = parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    folder: Path | None = None
    try:
        measures, extras = choose_measures(options)
        if options.list:
            names = [f"{m.name:<26}{m.title}" for m in measures]
            print("\n".join(names + [f"{name:<26}{words}" for name, words in EXTRAS.items() if name in extras]))
            print("\n".join(f"{p.name:<26}{p.what}: {why_absent(p) or 'there'}" for p in PEERS))
            return 0
        peers = choose_peers(options)
        if not peers:
            raise BenchError("no peer to measure")
        measures = [measure for measure in measures if any(applies(measure, peer) for peer in peers)]
        if not any(peer.side == "server" for peer in peers):
            extras.clear()
        if not (measures or extras):
            raise BenchError("no peer that takes part in this measure")
        folder = make_folder()
        tools = find_tools(folder / "programs")
        held = max((measure.held for measure in measures), default=0)
        if raise_descriptors(wanted := DESCRIPTORS_SPARE + DESCRIPTORS_HELD * held) < wanted:
            print(f"bench: fewer than {wanted} descriptors (ulimit -n), so not all can be held", file=sys.stderr)
        settings = Settings(tools, make_certificates(folder), folder, options.seconds)
        run = Run(settings, peers, options.rounds, QUICK_STARTS if options.quick else STARTS_PER_ROUND)
        interrupted = execute(run, measures, extras)
        found = verdicts.verdicts(run.outcomes, every=not options.only)
        print("\n".join(verdicts.lines(found)))
        if options.json:
            write_json(options.json, run, found, interrupted)
        if options.svg:
            options.svg.write_text(plot.svg(list(run.outcomes.values())))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 130 if interrupted else int(run.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
