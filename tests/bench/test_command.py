"""`bearwrap bench` as a command: found by its place, clear about what is missing, and a short run of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bearwrap.errors import BearError
from bearwrap.programs import bench
from tests.harness import BIN, ROOT, Collector, needs_root, require_peer

from .tools import BENCH, bench_module, private_programs

PROGRAM = BIN / "bearwrap"
SHORT = ["--rounds", "1", "--seconds", "0.1", "--held", "20", "--growth", "2"]


def run(*command: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd="/", **more)


def test_help() -> None:
    done = run(PROGRAM, "bench", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: bearwrap bench ")
    assert "  bench " in run(PROGRAM, "--help").stdout


def test_the_manual_names_options_that_are_there() -> None:
    page = (ROOT / "man" / "bearwrap.1").read_text()
    part = page.partition(".Sh BENCH\n")[2].partition(".Sh ")[0]
    named = re.findall(r"^\.Fl (-[a-z]+)", part, re.M)
    assert len(named) > 4
    for option in named:
        assert f"  -{option} " in run(PROGRAM, "bench", "--help").stdout, option


def test_list_names_measures_and_peers() -> None:
    done = run(PROGRAM, "bench", "--list")
    assert done.returncode == 0, done.stderr
    words = {line.split()[0] for line in done.stdout.splitlines()}
    peers = {peer.name for peer in bench_module("peers").PEERS}
    assert {"connections-ecdsa", "memory-500", "memory-used-1000", "growth-500", "startup"} | peers <= words


@pytest.mark.parametrize(
    "words",
    [["--nonsense"], ["--held", "x"], ["--held", "0"], ["--growth", "5001"], ["--rounds", "0"], ["--peers", "nobody"]],
    ids=" ".join,
)
def test_bad_usage(words: list[str]) -> None:
    done = run(PROGRAM, "bench", *words)
    assert done.returncode == 2 and done.stderr.startswith("usage: bearwrap bench ") and not done.stdout


def test_an_unknown_measure() -> None:
    done = run(PROGRAM, "bench", "--only", "nothing", "--list")
    assert done.returncode == 1
    assert done.stderr.startswith("bench: no measure 'nothing'; there are connections-ecdsa, ")


def installed(top: Path) -> Path:
    """The program and its benchmarks as `make install` lays them, nothing compiled; the program."""
    program = private_programs(top) / "bearwrap"
    shutil.copytree(BENCH, top / "lib" / "bearwrap" / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    return program


def test_found_from_the_executable_alone(tmp_path: Path) -> None:
    """Not in the current directory, not by the environment, not through a link's own place."""
    program = installed(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bearwrap").symlink_to(program)
    done = run(tmp_path / "other" / "bearwrap", "bench", "--list")
    assert done.returncode == 0 and "growth-500" in done.stdout
    shutil.move(tmp_path / "lib", tmp_path / "away")
    trap = tmp_path / "src"
    trap.mkdir()
    (trap / "_bear.pyx").touch()
    for name in ("bench.py", "report.py"):
        (tmp_path / name).write_text("raise SystemExit(99)\n")
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "bench.py").write_text("raise SystemExit(99)\n")
    done = subprocess.run(
        [program, "bench", "--list"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)},
    )  # fmt: skip
    missing = tmp_path / "lib/bearwrap/bench/bench.py"
    assert (done.returncode, done.stderr) == (111, f"bearwrap: fatal: the benchmarks are not installed: no {missing}\n")


def test_nothing_of_the_environment_reaches_the_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "report.py").write_text("raise SystemExit(99)\n")
    done = subprocess.run(
        [PROGRAM, "bench", "--list"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "report.py")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_no_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "PYTHONS", ())
    with pytest.raises(BearError, match="needs python3"):
        bench.python(os.fsencode(tmp_path))
    (tmp_path / "python3").symlink_to(sys.executable)
    assert bench.python(os.fsencode(tmp_path)) == os.fsencode(tmp_path / "python3")


def test_no_compiler(tmp_path: Path) -> None:
    program = installed(tmp_path)
    nothing = {"CC": "/nonexistent/cc", "PATH": "/usr/bin:/bin"}
    done = run(program, "bench", "--only", "connections-ecdsa", "--peers", "openssl,aead,tcpserver", env=nothing)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == "bench: compiling load: /nonexistent/cc is not installed"


def test_missing_peers_are_named(tmp_path: Path) -> None:
    done = run(PROGRAM, "bench", "--peers", "original,s6,tcpserver", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "bench: s6 (s6-tlsserver): not found, left out" in done.stderr
    assert "bench: tcpserver (tcpserver alone, no TLS): not found, left out" in done.stderr
    assert done.stderr.splitlines()[-1] == "bench: no peer to measure"


def test_descriptors_are_raised() -> None:
    """In a process of its own, which gives back what it was given."""
    text = f"import sys; sys.path.append({str(BENCH)!r}); import prepare, resource as r\n"
    text += "r.setrlimit(r.RLIMIT_NOFILE, (100, r.getrlimit(r.RLIMIT_NOFILE)[1]))\n"
    text += "print(prepare.raise_descriptors(50), prepare.raise_descriptors(300), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    assert run(sys.executable, "-c", text).stdout == "100 300 300\n"


@needs_root
def test_a_short_run(tmp_path: Path) -> None:
    """Real servers, real connections; no figure of it is judged.

    The programs are its own: memory that other tests' processes share is reckoned smaller the more of them there are.
    """
    require_peer("tcpserver")
    written, drawn = tmp_path / "run.json", tmp_path / "run.svg"
    names = ["connections-ecdsa", "memory-20", "memory-used-20", "growth-2"]
    names += ["resumed-ecdsa", "tls13-rsa", "tls13-upload-aes128"]
    only = [word for name in names for word in ("--only", name)]
    options = [*SHORT, *only, "--peers", "serve,ours,tcpserver", "--json", str(written), "--svg", str(drawn)]
    done = run(installed(tmp_path), "bench", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(written.read_text())
    assert not data["interrupted"] and [each["name"] for each in data["measures"]] == names
    for each in data["measures"]:
        assert {"serve", "ours"} <= set(each["peers"])
        assert all(peer["median"] > 0 for peer in each["peers"].values()), each
    assert ElementTree.parse(drawn).getroot().attrib["width"]
    assert "serve, the listener: not measured" in done.stdout, "its reference did not take part"


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_prints_what_there_is(tmp_path: Path, number: int) -> None:
    """At a terminal, where the progress line tells how far it is."""
    written = tmp_path / "run.json"
    command = [PROGRAM, "bench", "--rounds", "1000", "--seconds", "0.1", "--only", "connections", "--peers", "serve"]
    terminal, write_end = os.openpty()
    with subprocess.Popen(
        [*command, "--json", str(written)], stdout=subprocess.PIPE, stderr=write_end, text=True, cwd="/"
    ) as process:
        os.close(write_end)
        said = Collector(terminal)
        try:
            assert said.wait(lambda text: "] connections-ecdsa: serve, round 3 of 1000" in text, 60), said.text()
            process.send_signal(number)
            out = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert process.returncode == 130, said.text()
    assert "interrupted: the tables below are not complete" in out
    assert "connections-ecdsa: " in out and " of 1000 rounds" in out
    assert json.loads(written.read_text())["interrupted"]
    assert str(ROOT) not in out
