"""run - the rounds: which sample is taken when, and what becomes of a peer that fails.

Within a round every peer gives one sample, and every second round goes backwards (A B, B A, A B ...),
so that neither a slow drift of the machine nor the place in the round favours a peer. No printing but
for the progress line.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

import report
import stages
import timeline
from clients import AeadStation, ClientStation
from measures import Measure, Settings, Station, applies
from peers import Peer
from prepare import BenchError

FAILURES_BORNE = 2  # of a peer in one measure; after that it is left out of the measure
ERROR_CHARACTERS = 300


class Progress:
    """One line on stderr that overwrites itself; on anything but a terminal, a line per measure."""

    def __init__(self, steps: int) -> None:
        self._steps = max(steps, 1)
        self._done = 0
        self._begin = time.monotonic()
        self._live = sys.stderr.isatty()

    def step(self, words: str) -> None:
        if self._live:
            each = (time.monotonic() - self._begin) / self._done if self._done > 2 else 0.0
            left = f", about {each * (self._steps - self._done):.0f} s left" if each else ""
            line = f"[{self._done + 1}/{self._steps}] {words}{left}"
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        self._done += 1

    def skip(self, steps: int) -> None:
        self._done += steps

    def measure(self, words: str) -> None:
        if not self._live:
            print(f"bench: {words}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def station_for(measure: Measure, peer: Peer, settings: Settings) -> Station | ClientStation | AeadStation:
    """What takes the samples of this peer."""
    if peer.side == "aead":
        return AeadStation(measure, peer, settings)
    if peer.side == "client":
        return ClientStation(measure, peer, settings)
    return Station(measure, peer, settings)


class Run:
    """One benchmark run: its outcomes are complete enough to print at any moment."""

    def __init__(self, settings: Settings, peers: list[Peer], rounds: int, starts_per_round: int) -> None:
        self.rounds = rounds
        self.starts_per_round = starts_per_round
        self.settings = settings
        self.peers = peers
        self.servers = [peer for peer in peers if peer.side == "server"]
        self.outcomes: dict[str, report.Outcome] = {}
        self.stage_table = stages.StageTable({}, {}, {})
        self.timelines: dict[str, timeline.Table] = {}
        self.failed = False

    def measure(self, measure: Measure, progress: Progress) -> None:
        """All rounds of one measure."""
        rounds = self.rounds_of(measure)
        outcome = self.outcomes[measure.name] = report.Outcome(measure, rounds)
        with ExitStack() as stack:
            stations = []
            for peer in self.peers:
                if not applies(measure, peer):
                    continue
                outcome.samples[peer.name] = []
                try:
                    station = stack.enter_context(station_for(measure, peer, self.settings))
                    outcome.latencies_ms[peer.name] = station.latencies_ms
                    station.warm_up()
                    station.latencies_ms.clear()
                    stations.append(station)
                except BenchError as error:
                    self._note(outcome, peer.name, error)
                    progress.skip(rounds)
            for number in range(1, rounds + 1):
                for station in stations[:: 1 if number % 2 else -1]:
                    name = station.peer.name
                    progress.step(f"{measure.name}: {name}, round {number} of {rounds}")
                    try:
                        outcome.samples[name].append(station.sample())
                    except BenchError as error:
                        outcome.samples[name].append(None)
                        self._note(outcome, name, error)
                        if outcome.samples[name].count(None) >= FAILURES_BORNE:
                            stations.remove(station)
                            progress.skip(rounds - number)

    def rounds_of(self, measure: Measure) -> int:
        return min(self.rounds, measure.most_rounds)

    def _note(self, outcome: report.Outcome, peer: str, error: BenchError) -> None:
        outcome.errors[peer] = str(error).replace("\n", " ")[:ERROR_CHARACTERS]
        self.failed = True

    def startup(self, progress: Progress) -> None:
        """Both start-up tables."""
        rows = stages.starts(self.settings, self.servers)
        measure = stages.milestone_measure()
        with ExitStack() as stack:
            stations = []
            for peer in self.servers:
                try:
                    station = stack.enter_context(Station(measure, peer, self.settings))
                    station.warm_up()
                    stations.append(station)
                except BenchError as error:
                    self.stage_table.notes[peer.name] = str(error)
            for _ in range(self.rounds):
                for title in stages.run_starts(self.settings, rows, self.starts_per_round, self.stage_table):
                    progress.step(f"startup: {title}")
                for name in stages.run_milestones(stations, self.stage_table):
                    progress.step(f"startup: {name}, one connection's milestones")
        self.failed = self.failed or bool(self.stage_table.notes)

    def timeline(self, progress: Progress) -> None:
        """The stage tables, one connection at a time."""
        for peer in self._timed():
            table = self.timelines[peer.name] = timeline.Table()
            for _ in timeline.watch(peer, self.settings, self.starts_per_round, table):
                progress.step(f"stages: {peer.name}")
            self.failed = self.failed or bool(table.note)

    def _timed(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.name in timeline.PEERS_TRACED]

    def steps(self, measures: list[Measure], extras: set[str]) -> int:
        """How many samples the whole run takes."""
        count = sum(self.rounds_of(measure) * applies(measure, peer) for measure in measures for peer in self.peers)
        if "stages" in extras:
            count += 2 * self.starts_per_round * len(self._timed())
        if "startup" in extras:
            count += (len(stages.starts(self.settings, self.servers)) + len(self.servers)) * self.rounds
        return count
