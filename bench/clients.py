"""clients - one sample of a TLS client, and of its cipher alone.

All clients of a measure talk to a serve.c of their own, with the same certificate, one suite and one group, and
verify its chain and its name. A sample is one run of the client, or for the rate many, each a process of its own.
The cipher alone (openssl speed, our record layer) is sampled in the same rounds, so that a share of it is paired as
a ratio is.
"""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

from measures import CALIBRATION_BYTES, LIMIT_S, Measure, Sample, Settings, bytes_of_a_sample, machine_use
from peers import CLIENT_REFERENCE, OPENSSL_CIPHERS, Peer, Setup
from prepare import BenchError, run_json
from server import Server, free_port, machine_seconds

# What s6-tlsc asks for first; serve.c speaks one suite, so that both clients of a pair use it.
DEFAULT_CIPHER = "ECDHE-ECDSA-CHACHA20-POLY1305"
WARM_UP_STARTS = 10
LEAST_STARTS = 10


def _children_seconds() -> float:
    """Processor time of all processes that have been waited for, theirs included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _serve_command(binary: str, setup: Setup) -> list[str]:
    suite = OPENSSL_CIPHERS.get(setup.cipher, DEFAULT_CIPHER)
    return [binary, str(setup.port), setup.certificate.chain, setup.certificate.key, suite, *setup.program]


class ClientStation:
    """One client set up for one measure: its server runs, its amount is known."""

    def __init__(self, measure: Measure, peer: Peer, settings: Settings) -> None:
        binary = peer.find()
        assert binary is not None
        self.measure = measure
        self.peer = peer
        self.latencies_ms: list[float] = []
        self._binary = settings.tools.load if peer.name == CLIENT_REFERENCE else binary
        self._settings = settings
        self._setup = Setup(
            port=free_port(),
            certificate=settings.certificates[measure.certificate],
            cipher=measure.cipher,
            program=["batch"] if measure.kind == "bulk" else [],
            nodelay=True,
            most=1,
            folder=settings.folder,
        )
        serve = Peer("serve.c", "the server of the clients", lambda: settings.tools.serve, _serve_command)
        self._server = Server(serve, self._setup)
        self._bytes, self._starts = CALIBRATION_BYTES, WARM_UP_STARTS
        self._suite = ""

    def __enter__(self) -> ClientStation:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def warm_up(self) -> None:
        """Connections that do not count; they say how much to send or how often to start."""
        seconds = self._settings.seconds
        if self.measure.kind == "bulk":
            speed = self._transfer()["mb_per_second"] * 1e6
            self._bytes = bytes_of_a_sample(speed, seconds)
        else:
            self._suite = self._run(self._command("handshake"))["suite"]
            self._starts = max(LEAST_STARTS, int(self._start_many()["per_second"] * seconds))

    def sample(self) -> Sample:
        """Take one sample; raises BenchError when a connection failed."""
        served, spent, machine = self._server.cpu_seconds(), _children_seconds(), machine_seconds()
        result = self._transfer() if self.measure.kind == "bulk" else self._start_many()
        client, server = _children_seconds() - spent, self._server.cpu_seconds() - served
        detail = {
            "suite": " ".join(result["suite"].split()[:2]),  # fetch knows no group; serve.c has but one
            "connections": result["connections"],
            "seconds": result["seconds"],
            "server_cpu_seconds": round(server, 3),
            "client_cpu_seconds": round(client, 3),
            **machine_use(machine, server + client),
        }
        if self.measure.kind == "bulk":
            return Sample(result["mb_per_second"], {**detail, "bytes": result["bytes"]})
        return Sample(result["per_second"], detail)

    def _command(self, *program: str) -> list[str]:
        setup = replace(self._setup, program=[self._settings.tools.fetch, *program])
        return self.peer.command(self._binary, setup)

    def _run(self, argv: list[str]) -> dict[str, Any]:
        try:
            result = json.loads(run_json(argv, LIMIT_S, self.peer.environment(self._setup)))
        except BenchError as error:
            raise self._failure(str(error)) from None
        if result.get("failed"):
            raise self._failure(result["error"])
        return dict(result)

    def _failure(self, text: str) -> BenchError:
        words = self._server.last_words()
        return BenchError(text + (f" (server: {words})" if words else ""))

    def _transfer(self) -> dict[str, Any]:
        return self._run(self._command(self.measure.mode, str(self._bytes)))

    def _start_many(self) -> dict[str, Any]:
        """Start the client again and again, one connection each, from its exec to its end."""
        argv = [self._settings.tools.spawn, str(self._starts), *self._command("handshake")]
        result = self._run(argv)
        if result["exit"] != 0 or result["others"]:
            raise self._failure(f"exit {result['exit']}, {result['others']} others of {result['count']}")
        seconds = result["sum_us"] / 1e6
        count = result["count"]
        return {"seconds": seconds, "connections": count, "per_second": count / seconds, "suite": self._suite}


class AeadStation:
    """The cipher of a measure alone, on one core."""

    def __init__(self, measure: Measure, peer: Peer, settings: Settings) -> None:
        binary = peer.find()
        assert binary is not None
        self.peer = peer
        self.latencies_ms: list[float] = []
        certificate = settings.certificates[measure.certificate]
        setup = Setup(0, certificate, measure.cipher, ["", measure.mode], True, 1, settings.folder)
        self._argv = peer.command(binary, setup)

    def __enter__(self) -> AeadStation:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def warm_up(self) -> None:
        """Nothing is kept between samples."""

    def sample(self) -> Sample:
        """Take one sample; raises BenchError when the program failed."""
        out = run_json(self._argv, LIMIT_S)
        try:
            return Sample(speed_in(out), {})
        except ValueError:
            raise BenchError(f"{Path(self._argv[0]).name}: no speed in {out!r}") from None


def speed_in(text: str) -> float:
    """MB/s in what `openssl speed -mr` prints (+F:number:cipher:bytes/s), or in our JSON. Raises ValueError."""
    for line in text.splitlines():
        if line.startswith("+F:"):
            return float(line.split(":")[3]) / 1e6
    found = json.loads(text)
    return float(found["mb_per_second"])
