"""soak - many connections, one after the other: nothing is left over and nothing grows.

    python3 bench/soak.py [--serve 10000] [--wrapped 1000] [--json FILE]

Through the listener, and through tcpserver with a wrapper each. After every tenth of them it waits until no
connection is left and looks at the server. Rows and verdicts go to stdout, progress to stderr; an interrupt prints what
there is. Exit status: 0 holds, 1 falls short or a connection failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measures import CAT, IO_TIMEOUT_S, LEAST_CONNECTIONS, LIMIT_S
from peers import PEERS, Setup, why_absent
from prepare import BenchError, Certificate, Tools, find_tools, make_certificates, make_folder, run_json
from run import Progress
from server import Server, everything, free_port, tree

PARTS = 10
WARM_UP_SHARE = 20  # so many times fewer come before the first look, at least WARM_UP_LEAST
WARM_UP_LEAST = 20
# Of the server's own memory, whatever the number of connections: less than a byte for each of ten thousand is no leak
# of theirs, and the allocator may take a few pages late.
KIB_ALLOWED = 64
MOST = 1_000_000
COLUMNS = {"connections": 11, "processes": 11, "zombies": 9, "astray": 8, "descriptors": 13, "own KiB": 9, "PSS KiB": 9}
HEAD = "  " + "".join(f"{name:>{width}}" for name, width in COLUMNS.items())


@dataclass(frozen=True)
class Look:
    """A server with no connection: `astray` counts processes that are no longer below it, `own_kib` its private memory
    and `pss_kib` that of all below it, ready workers included."""

    connections: int
    processes: int
    zombies: int
    astray: int
    descriptors: int
    own_kib: int
    pss_kib: int

    @property
    def row(self) -> str:
        pairs = zip(asdict(self).values(), COLUMNS.values(), strict=True)
        return "  " + "".join(f"{value:>{width},}" for value, width in pairs)


def look(server: Server, connections: int) -> Look:
    found = everything()
    below = tree(server.pid, found)
    status = Path(f"/proc/{server.pid}/status").read_text()
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)
    return Look(
        connections,
        processes=len(below),
        zombies=sum(process.state == "Z" for process in below),
        astray=sum(process.session == server.pid for process in found) - len(below),
        descriptors=len(os.listdir(f"/proc/{server.pid}/fd")),
        own_kib=own,
        pss_kib=server.pss_kib(CAT)[0],
    )


def judge(looks: list[Look]) -> list[str]:
    """What was left over or grew between the first look and the last; nothing, if it holds."""
    first, last = looks[0], looks[-1]
    wrong = [f"{count} {name}" for name in ("zombies", "astray") if (count := getattr(last, name))]
    for name in ("processes", "descriptors"):
        if (more := getattr(last, name) - getattr(first, name)) > 0:
            wrong.append(f"{more} more {name}")
    if (grown := last.own_kib - first.own_kib) > KIB_ALLOWED:
        wrong.append(f"{grown:,} KiB more memory")
    return wrong


def soak(server: Server, load: str, count: int, looks: list[Look], progress: Progress, *more: str) -> None:
    """Make the connections; `looks` grows with every part. `more`: options of the load generator.

    Raises BenchError when a connection failed.
    """

    def connect(number: int) -> None:
        argv = [load, "--port", str(server.port), "--count", str(number), "--timeout", str(IO_TIMEOUT_S), *more]
        limit = LIMIT_S + number * IO_TIMEOUT_S // 100
        result = json.loads(run_json([*argv, "--limit", str(limit)], limit + 2 * IO_TIMEOUT_S))
        if result["failed"] or result["connections"] != number:
            raise BenchError(f"{result['error']} (server: {server.last_words()})")

    done = 0
    connect(max(WARM_UP_LEAST, count // WARM_UP_SHARE))
    server.settle()
    looks.append(look(server, 0))
    for part in range(1, PARTS + 1):
        number = count * part // PARTS - done
        progress.step(f"{server.peer.name}: {done:,} of {count:,} connections")
        if number:
            connect(number)
        done += number
        server.settle()
        looks.append(look(server, done))


def one(
    name: str, count: int, tools: Tools, certificate: Certificate, folder: Path, progress: Progress
) -> dict[str, Any]:
    """One server from its start to its verdict, which is printed; also when interrupted."""
    (peer,) = (peer for peer in PEERS if peer.name == name)
    reason = why_absent(peer)
    if reason:
        print(f"{name} ({peer.what}): not measured: {reason}\n", flush=True)
        return {"peer": name, "holds": None, "text": reason, "looks": []}
    setup = Setup(free_port(), certificate, "default", [CAT], nodelay=True, most=LEAST_CONNECTIONS, folder=folder)
    looks: list[Look] = []
    error, interrupted = "", False
    try:
        with Server(peer, setup) as server:
            soak(server, tools.load, count, looks, progress)
    except BenchError as failure:
        error = str(failure)
    except KeyboardInterrupt:
        interrupted = True
    progress.clear()
    wrong = [error] if error else judge(looks) if looks else []
    holds = False if wrong else True if looks and not interrupted else None
    word = "falls short: " + ", ".join(wrong) if wrong else "holds" if looks else "not measured"
    if interrupted:
        word += ", interrupted"
    done = looks[-1].connections if looks else 0
    text = f"{name} ({peer.what}), {done:,} connections in sequence leave nothing and grow nothing: {word}"
    print("\n".join([text, HEAD, *(each.row for each in looks)]) + "\n", flush=True)
    return {"peer": name, "holds": holds, "interrupted": interrupted, "text": text, "looks": [*map(asdict, looks)]}


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak.py", description="Connections in sequence; nothing may be left.")
    parser.add_argument("--serve", type=int, default=10_000, metavar="N", help="through bearwrap serve, default 10000")
    parser.add_argument("--wrapped", type=int, default=1000, metavar="N", help="through tcpserver, default 1000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every look")
    options = parser.parse_args(argv)
    if not all(0 <= count <= MOST for count in (options.serve, options.wrapped)):
        parser.error(f"numbers are 0 to {MOST}")
    return options


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: list[str]) -> int:
    """The program; returns the exit status."""
    options = parse(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    wanted = [(name, count) for name, count in (("serve", options.serve), ("ours", options.wrapped)) if count]
    progress = Progress(PARTS * len(wanted))
    found: list[dict[str, Any]] = []
    folder = make_folder()
    try:
        tools, certificate = find_tools(folder / "programs"), make_certificates(folder)["ecdsa"]
        for name, count in wanted:
            progress.measure(f"soak: {name}, {count:,} connections")
            found.append(one(name, count, tools, certificate, folder, progress))
            if found[-1].get("interrupted"):
                break
    except BenchError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n")
    if any(each.get("interrupted") for each in found):
        return 130
    return int(not all(each["holds"] for each in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
