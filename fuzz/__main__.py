"""fuzz - random and mutated input against the compiled parsers and choices, and against whole connections.

    python -m fuzz [--count N] [--connections N] [--seed N] [--target NAME] [--first N] [--any-memory]

Prints the seed first and progress on stderr. Exit status: 0 all was borne, 1 not, 2 bad usage, 130 interrupted. A case
that is not borne is printed with the words that run it again.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import answer, client, flight, handshake, hello, record
from .watch import LEAKS, Target, Verdict, watch

DEFAULT_COUNT, DEFAULT_CONNECTIONS = 200_000, 1_000
CONNECTIONS = {"handshake": handshake, "client": client}
MOST = 100_000_000
PURE = {module.__name__.rpartition(".")[2]: module for module in (hello, answer, flight, record)}
CASE_SHOWN = 2000  # bytes


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the parsers and whole connections.")
    add = parser.add_argument
    add("--count", type=int, default=DEFAULT_COUNT, metavar="N", help=f"of each parser, default {DEFAULT_COUNT:,}")
    number = f"of each role, default {DEFAULT_CONNECTIONS:,}"
    add("--connections", type=int, default=DEFAULT_CONNECTIONS, metavar="N", help=number)
    add("--seed", type=int, default=None, metavar="N", help="default another one each time")
    add("--target", action="append", choices=[*PURE, *CONNECTIONS], metavar="NAME", help="only this one (repeatable)")
    add("--first", type=int, default=0, metavar="N", help="number of the first case")
    add("--any-memory", action="store_true", help="do not judge its growth: the sanitizers keep what was freed")
    options = parser.parse_args(argv)
    if not all(0 <= number <= MOST for number in (options.count, options.connections, options.first)):
        parser.error(f"numbers are 0 to {MOST:,}")
    if options.seed is None:
        options.seed = secrets.randbits(32)
    options.target = options.target or [*PURE, *CONNECTIONS]
    return options


def run(target: Target, options: argparse.Namespace, count: int) -> Verdict:
    """So many cases of one target, with a progress line."""
    seed, numbers = options.seed, range(options.first, options.first + count)
    live, begin = sys.stderr.isatty(), time.monotonic()

    def progress(number: int) -> None:
        if live:
            done, seconds = number - numbers.start, time.monotonic() - begin
            rate = done / seconds if seconds else 0.0
            left = f", about {(len(numbers) - done) / rate:.0f} s left" if rate else ""
            print(f"\r\033[K{target.name}: {done:,} of {len(numbers):,}{left}", end="", file=sys.stderr, flush=True)

    found = watch(target, seed, numbers, progress)
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    seconds = time.monotonic() - begin
    if found.wrong is None:
        memory = f", {found.grown_kib:+d} KiB" if target.inside else ""
        print(f"{target.name}: {count:,} cases borne in {seconds:.0f} s{memory}", flush=True)
    else:
        first, count = (numbers.start, count) if found.wrong.startswith(LEAKS) else (found.number, 1)
        option = "connections" if target.name in CONNECTIONS else "count"
        again = f"--target {target.name} --seed {seed} --first {first} --{option} {count}"
        print(f"{target.name}: case {found.number}: {found.wrong}\n  {found.case[:CASE_SHOWN].hex()}")
        print(f'  again: make fuzz ARGS="{again}"', flush=True)
    return found


def main(argv: list[str]) -> int:
    options = parse(argv)
    print(f"seed {options.seed}", flush=True)
    wrong = 0
    try:
        for name in options.target:
            if name in PURE and options.count:
                target = Target(name, PURE[name].make, PURE[name].check, inside=not options.any_memory)
                wrong += bool(run(target, options, options.count).wrong)
            elif name == "handshake" and os.geteuid() != 0:
                print("handshake: needs root, left out", file=sys.stderr)
            elif name in CONNECTIONS and options.connections:
                module = CONNECTIONS[name]
                with tempfile.TemporaryDirectory(prefix="bearwrap-fuzz-") as folder:
                    module.setup(Path(folder))
                    target = Target(name, module.make, module.check, inside=False)
                    wrong += bool(run(target, options, options.connections).wrong)
    except KeyboardInterrupt:
        return 130
    return int(wrong > 0)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
