"""measures - what is measured, and how one sample of it is taken.

A sample is one run of the load generator against one peer, with the peer's own processor time beside
it; clients.py takes those of the client measures. Rounds, order and ratios are not decided here.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hold import holding
from peers import CLIENT_REFERENCE, OPENSSL_CIPHERS, REFERENCE, Peer, Setup
from prepare import BenchError, Certificate, Tools, run_json
from server import Server, free_port, machine_seconds

CAT = "/bin/cat"
LEAST_CONNECTIONS = 200  # tcpserver's -c, unless more are held
SPARE_CONNECTIONS = 100  # beside the held ones
USED_PIECE, USED_PIECES = 16384, 32  # echoed; together more than any buffer between the two ends
USED_BYTES = USED_PIECE * USED_PIECES
MEMORY_ROUNDS = 2  # it hardly varies, and a thousand connections take their time
CALIBRATION_BYTES = 16 << 20
LEAST_BYTES, MOST_BYTES = 4 << 20, 8 << 30
IDLE_S = 0.3  # between the last byte and the look at the memory of an idle connection
USED_IDLE_S = 3.0  # the same where there is something to give back
IO_TIMEOUT_S = 5
TICKET_KEY_BYTES = 48
LIMIT_S = 60  # of one sample, far above any that is well


@dataclass(frozen=True)
class Way:
    """How the load generator connects: a name for the table, and its words."""

    name: str
    words: tuple[str, ...]


OLD = Way("TLS 1.2", ("--tls", "1.2"))
NEW = Way("TLS 1.3", ("--tls", "1.3"))
RESUMED = Way("resumed", (*NEW.words, "--resume"))


@dataclass(frozen=True)
class Measure:
    """One row of the plan.

    kind: "rate" (connections/s), "latency" (ms to the first byte back), "bulk" (MB/s, 10^6 bytes), "memory" (KiB a
    connection), "growth" (share of the rate that is left beside held connections) or "ways" (the rate or the speed of
    the second of two `ways` as a share of the first's). `held`: connections held open, for memory and growth. `side`:
    which of the two programs of a connection is measured, "server" or "client".
    """

    name: str
    title: str
    kind: str
    certificate: str = "ecdsa"
    cipher: str = "default"
    mode: str = "handshake"
    streams: int = 1
    nodelay: bool = True
    held: int = 0
    used: bool = False  # the held connections have moved USED_BYTES each way
    ways: tuple[Way, ...] = ()
    side: str = "server"
    most_rounds: int = 1000

    @property
    def subject(self) -> str:
        """The peer of ours that the measure is about."""
        return "s6-tlsc" if self.side == "client" else "ours"

    @property
    def reference(self) -> str:
        """The peer that all ratios are to."""
        return CLIENT_REFERENCE if self.side == "client" else REFERENCE

    @property
    def unit(self) -> str:
        units = {"rate": "conn/s", "latency": "ms", "bulk": "MB/s", "memory": "KiB", "growth": "share", "ways": "share"}
        return units[self.kind]

    @property
    def higher_is_better(self) -> bool:
        return self.kind in ("rate", "bulk", "growth", "ways")

    @property
    def compared(self) -> bool:
        """Whether the table has ratios to the reference; a share is a ratio already."""
        return self.kind not in ("growth", "ways")

    @property
    def moves(self) -> bool:
        """Whether bytes of one connection are what is timed."""
        return self.mode in ("download", "upload")


@dataclass(frozen=True)
class Settings:
    """What all samples of a run share."""

    tools: Tools
    certificates: dict[str, Certificate]
    folder: Path
    seconds: float  # of one sample


def ways(streams: int) -> list[Measure]:
    """TLS 1.3 beside our own TLS 1.2, and resumed connections of it beside full ones."""
    measures = []
    for kind, words in (("ecdsa", "ECDSA P-256"), ("rsa", "RSA 2048")):
        for name, pair, what in (
            ("tls13", (OLD, NEW), "full handshakes/s of TLS 1.3, as a share of TLS 1.2's"),
            ("resumed", (NEW, RESUMED), "resumed handshakes/s of TLS 1.3, as a share of full ones"),
        ):
            title = f"{what}, {words}, {streams} streams"
            measures.append(Measure(f"{name}-{kind}", title, "ways", kind, streams=streams, ways=pair))
    for cipher, words in (("default", "ChaCha20-Poly1305"), ("aes128", "AES-128-GCM")):
        for mode in ("download", "upload"):
            title = f"{mode} with TLS 1.3, as a share of TLS 1.2's, {words}, 1 stream"
            measures.append(Measure(f"tls13-{mode}-{cipher}", title, "ways", "ecdsa", cipher, mode, ways=(OLD, NEW)))
    return measures


def plan(streams: int, held: list[int], growth: list[int]) -> list[Measure]:
    """Every measure, in the order in which they run."""
    measures = []
    for kind, words in (("ecdsa", "ECDSA P-256"), ("rsa", "RSA 2048")):
        title = f"connections/s, {words}, {streams} streams"
        measures.append(Measure(f"connections-{kind}", title, "rate", kind, streams=streams))
        title = f"ms to the first byte back, {words}, 1 stream"
        measures.append(Measure(f"latency-{kind}", title, "latency", kind))
    for cipher, words in (("default", "default cipher list"), ("aes128", "AES-128-GCM")):
        for mode in ("download", "upload"):
            title = f"{mode}, {words}, 1 stream"
            measures.append(Measure(f"{mode}-{cipher}", title, "bulk", "ecdsa", cipher, mode))
    title = "ms to the first byte back, ECDSA P-256, 1 stream, tcpserver without -D"
    measures.append(Measure("latency-nagle", title, "latency", nodelay=False))
    for used, after in ((False, ""), (True, f" after {USED_BYTES >> 10} KiB each way")):
        for count in held:
            name = f"memory-{'used-' * used}{count}"
            title = f"PSS per idle connection{after}, without its program, {count} held"
            measure = Measure(name, title, "memory", mode="hold", held=count, used=used, most_rounds=MEMORY_ROUNDS)
            measures.append(measure)
    for count in growth:
        title = f"connections/s beside {count} held ones, as a share of those without, {streams} streams"
        measures.append(Measure(f"growth-{count}", title, "growth", streams=streams, held=count))
    measures += ways(streams)
    for cipher, words in (("default", "ChaCha20-Poly1305"), ("aes128", "AES-128-GCM")):
        for mode in ("download", "upload"):
            title = f"{mode} by a client, {words}, 1 stream"
            measures.append(Measure(f"client-{mode}-{cipher}", title, "bulk", "ecdsa", cipher, mode, side="client"))
    title = "client processes/s, each one connection, ECDSA P-256, 1 at a time"
    measures.append(Measure("client-connections-ecdsa", title, "rate", side="client"))
    return measures


def applies(measure: Measure, peer: Peer) -> bool:
    """Servers and clients have measures of their own; the cipher alone stands beside a client's bulk.

    Clear text has no cipher and no certificate to choose, and its ceiling is of interest where time is measured.
    """
    if measure.side != peer.side:
        return peer.side == "aead" and measure.side == "client" and measure.kind == "bulk"
    if measure.ways:
        return peer.ways
    if peer.tls:
        return True
    if measure.held:
        return False
    return measure.certificate == "ecdsa" and measure.cipher == "default" and measure.nodelay


@dataclass
class Sample:
    """One run's value in the measure's unit, and what else it told."""

    value: float
    detail: dict[str, Any]


def bytes_of_a_sample(speed: float, seconds: float) -> int:
    """How much to send, in whole MiB, at so many bytes a second."""
    return min(max(int(speed * seconds), LEAST_BYTES), MOST_BYTES) >> 20 << 20


def machine_use(before: tuple[float, float], known: float) -> dict[str, float]:
    """Processor time of the machine since `before`, and what of it was not in the `known` seconds."""
    busy, total = (now - then for now, then in zip(machine_seconds(), before, strict=True))
    return {"machine_seconds": round(total, 2), "other_cpu_seconds": round(max(0.0, busy - known), 2)}


def ticket_keys(folder: Path) -> Path:
    """A file of one ticket key, made once a run."""
    path = folder / "ticket-keys"
    if not path.exists():
        path.write_bytes(os.urandom(TICKET_KEY_BYTES))
    return path


class Station:
    """One peer set up for one measure: its server runs, its amount of bytes is known."""

    def __init__(self, measure: Measure, peer: Peer, settings: Settings) -> None:
        self.measure = measure
        self.peer = peer
        self.settings = settings
        tools = settings.tools
        self.latencies_ms: list[float] = []  # of all samples, so that p99 has enough to stand on
        setup = Setup(
            port=free_port(),
            certificate=settings.certificates[measure.certificate],
            cipher=measure.cipher,
            program=[tools.program] if measure.moves else [CAT],
            nodelay=measure.nodelay,
            most=max(LEAST_CONNECTIONS, measure.held + SPARE_CONNECTIONS),
            folder=settings.folder,
            ticket_keys=ticket_keys(settings.folder) if RESUMED in measure.ways else None,
            backend=free_port() if peer.backend else 0,
        )
        self.server = Server(peer, setup)
        self._bytes = CALIBRATION_BYTES
        self._idle_pss = self._idle_processes = 0
        self._turned = False

    def __enter__(self) -> Station:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def warm_up(self) -> None:
        """A few connections that do not count; for bulk they say how much to send."""
        if self.measure.moves:
            speed = self._load("--bytes", str(self._bytes))["mb_per_second"] * 1e6
            self._bytes = bytes_of_a_sample(speed, self.settings.seconds)
        elif self.measure.kind == "memory":
            self._load_as("handshake", "--count", "1")
        else:
            self._load("--count", "10")
        self.server.settle()
        self._idle_pss = self.server.pss_kib(CAT)[0]
        self._idle_processes = self.server.processes()

    def sample(self) -> Sample:
        """Take one sample; raises BenchError when a connection failed."""
        if self.measure.kind == "memory":
            return self._memory()
        if self.measure.kind == "growth":
            return self._growth()
        if self.measure.kind == "ways":
            return self._ways()
        before, machine = self.server.cpu_seconds(), machine_seconds()
        if self.measure.kind == "bulk":
            result = self._load("--bytes", str(self._bytes))
        else:
            streams = str(self.measure.streams)
            result = self._load("--seconds", str(self.settings.seconds), "--streams", streams, "--samples")
        settled = self.server.settle()
        cpu = self.server.cpu_seconds() - before
        detail = {
            "suite": result["suite"],
            "connections": result["connections"],
            "truncated": result["truncated"],
            "seconds": result["seconds"],
            "settle_seconds": round(settled, 3),
            "server_cpu_seconds": round(cpu, 3),
            "client_cpu_seconds": result["client_cpu_seconds"],
            **machine_use(machine, cpu + result["client_cpu_seconds"]),
        }
        if self.measure.kind == "bulk":
            detail["bytes"] = result["bytes"]
            return Sample(result["mb_per_second"], detail)
        detail["stages_us"] = result["stages_us"]
        self.latencies_ms += [row[3] / 1000 for row in result["samples_us"]]
        if self.measure.kind == "latency":
            return Sample(result["stages_us"]["first_byte"]["p50"] / 1000, detail)
        return Sample(result["per_second"], detail)

    def _arguments(self, mode: str, *more: str) -> list[str]:
        argv = [self.settings.tools.load, "--port", str(self.server.port), "--mode", mode]
        argv += ["--timeout", str(IO_TIMEOUT_S), "--limit", str(LIMIT_S)]
        if not self.peer.tls:
            argv.append("--plain")
        if self.measure.cipher in OPENSSL_CIPHERS:
            argv += ["--cipher", OPENSSL_CIPHERS[self.measure.cipher]]
        return [*argv, *more]

    def _load(self, *more: str) -> dict[str, Any]:
        return self._load_as(self.measure.mode, *more)

    def _load_as(self, mode: str, *more: str) -> dict[str, Any]:
        result = json.loads(run_json(self._arguments(mode, *more), LIMIT_S + 2 * IO_TIMEOUT_S))
        if result["failed"] or not result["connections"]:
            words = self.server.last_words()
            raise BenchError(result["error"] + (f" (server: {words})" if words else ""))
        return dict(result)

    def _holding(self, count: int) -> AbstractContextManager[None]:
        moved = ["--echo", str(USED_PIECE), "--repeat", str(USED_PIECES)] if self.measure.used else []
        return holding(self._arguments("hold", "--count", str(count), *moved), LIMIT_S)

    def _memory(self) -> Sample:
        """Hold idle connections; what the server's processes grew by since before, per connection.

        "Before" is after the first connection and once for all rounds: a server with threads keeps
        what it once allocated, and would seem to need nothing the second time.
        """
        held = self.measure.held
        with self._holding(held):
            time.sleep(USED_IDLE_S if self.measure.used else IDLE_S)
            pss, wrapped = self.server.pss_kib(CAT)
            started = self.server.processes() - self._idle_processes
        self.server.settle()
        grown = pss - self._idle_pss
        detail = {"processes_per_connection": started / held, "kib_with_program": grown / held}
        return Sample((grown - wrapped) / held, detail)

    def _growth(self) -> Sample:
        """Connections/s beside held ones as a share of those without; which comes first changes with every sample."""
        held = self.measure.held
        rates, client, before, machine = {}, 0.0, self.server.cpu_seconds(), machine_seconds()
        self._turned = not self._turned
        for count in (held, 0) if self._turned else (0, held):
            with self._holding(count) if count else nullcontext():
                time.sleep(USED_IDLE_S if count else 0)  # until they are idle: what was just made rests a second later
                result = self._load("--seconds", str(self.settings.seconds), "--streams", str(self.measure.streams))
            self.server.settle()
            rates[count] = result["per_second"]
            client += result["client_cpu_seconds"]
        cpu = self.server.cpu_seconds() - before
        detail = {"per_second_none": rates[0], "per_second_held": rates[held], "suite": result["suite"]}
        return Sample(rates[held] / rates[0], {**detail, **machine_use(machine, cpu + client)})

    def _ways(self) -> Sample:
        """The second way's rate or speed as a share of the first's; which comes first changes with every sample."""
        values, costs, suites = {}, {}, {}
        cpu, client, machine = 0.0, 0.0, machine_seconds()
        self._turned = not self._turned
        amount = ["--bytes", str(self._bytes)] if self.measure.moves else ["--seconds", str(self.settings.seconds)]
        base, way = self.measure.ways
        for each in (way, base) if self._turned else (base, way):
            before = self.server.cpu_seconds()
            result = self._load(*amount, "--streams", str(self.measure.streams), *each.words)
            self.server.settle()
            spent = self.server.cpu_seconds() - before
            values[each.name] = result["mb_per_second" if self.measure.moves else "per_second"]
            costs[each.name] = spent / (result["bytes"] / 1e9 if self.measure.moves else result["connections"] / 1e3)
            suites[each.name] = result["suite"]
            cpu += spent
            client += result["client_cpu_seconds"]
        detail = {"base": values[base.name], "way": values[way.name], "suites": suites, "suite": suites[way.name]}
        detail |= {"base_cpu": costs[base.name], "way_cpu": costs[way.name]}
        return Sample(values[way.name] / values[base.name], {**detail, **machine_use(machine, cpu + client)})
