"""relay - the paired comparison of tlswrapper-tcp with the original: bulk data through one relay.

    python3 bench/relay.py [--rounds N] [--mib N]

Client and host are processes of this script on loopback TCP, or two pipes on the client's side as under
tlswrapper. Each round runs both programs, in turns as to which is first, and gives one ratio; the median counts.
Needs root, the built programs (BEARWRAP_BIN, default build/bin) and /usr/bin/tlswrapper-tcp. Exit status: 0
measured, 1 a sample failed.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = Path(os.environ.get("BEARWRAP_BIN", ROOT / "build" / "bin")) / "tlswrapper-tcp"
ORIGINAL = Path("/usr/bin/tlswrapper-tcp")
PIECE = 1 << 20
LIMIT_S = 60


@dataclass(frozen=True)
class Sample:
    """One run: MB/s (10^6 bytes) and the relay's own processor seconds a GB (10^9 bytes)."""

    speed: float
    processor: float


def pour(fd: int, total: int) -> None:
    piece = memoryview(bytes(PIECE))
    while total:
        total -= os.write(fd, piece[: min(PIECE, total)])


def drain(fd: int) -> int:
    """Read to the end; the number of bytes."""
    room, total = bytearray(PIECE), 0
    while count := os.readv(fd, [room]):
        total += count
    return total


def host_process(sock: socket.socket, upload: bool, total: int, others: list[int]) -> int:
    """Fork the host's side; its pid. It ends with 0 when all bytes have come or gone."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        for fd in others:
            os.close(fd)
        if upload:
            status = int(drain(sock.fileno()) != total)
        else:
            pour(sock.fileno(), total)
            sock.shutdown(socket.SHUT_WR)
            status = int(drain(sock.fileno()) != 0)
    finally:
        os._exit(status)


def client_ends(pipes: bool) -> tuple[int, int, list[int]]:
    """What the client writes to and reads from, and the relay's descriptors 0 and 1."""
    if pipes:
        relay_in, to_relay = os.pipe()
        from_relay, relay_out = os.pipe()
        return to_relay, from_relay, [relay_in, relay_out]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        mine = socket.create_connection(listener.getsockname())
        theirs = listener.accept()[0].detach()
    fd = mine.detach()
    return fd, os.dup(fd), [theirs, os.dup(theirs)]


def close_writing(fd: int, pipes: bool) -> None:
    if not pipes:
        with socket.socket(fileno=os.dup(fd)) as sock:
            sock.shutdown(socket.SHUT_WR)
    os.close(fd)


def sample(program: Path, pipes: bool, upload: bool, total: int) -> Sample:
    """Send `total` bytes through a relay. RuntimeError when some are lost."""
    listener = socket.create_server(("127.0.0.1", 0))
    writing, reading, ends = client_ends(pipes)
    command = [program, "127.0.0.1", str(listener.getsockname()[1])]
    relay = subprocess.Popen(command, stdin=ends[0], stdout=ends[1])
    for fd in ends:
        os.close(fd)
    listener.settimeout(LIMIT_S)
    with listener, listener.accept()[0] as host:
        host.settimeout(None)
        pid = host_process(host, upload, total, [writing, reading])
    began = time.perf_counter()
    if upload:
        pour(writing, total)
        close_writing(writing, pipes)
    got = drain(reading)
    took = time.perf_counter() - began
    if not upload:
        close_writing(writing, pipes)
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    _, _, usage = os.wait4(relay.pid, 0)
    relay.returncode = 0
    if status or got != (0 if upload else total):
        raise RuntimeError(f"{program}: bytes lost")
    return Sample(total / took / 1e6, (usage.ru_utime + usage.ru_stime) / (total / 1e9))


def main() -> int:
    """Measure and print a line for each way."""
    parser = argparse.ArgumentParser(description="Paired benchmark of tlswrapper-tcp.")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--mib", type=int, default=256, help="bytes of a sample, default 256 MiB")
    options = parser.parse_args()
    total = options.mib << 20
    print("client  way       ours MB/s  original MB/s  ratio  (each round)    processor s/GB: ours  original")
    for pipes in (False, True):
        for upload in (True, False):
            samples: dict[Path, list[Sample]] = {OURS: [], ORIGINAL: []}
            for number in range(options.rounds):
                for program in (OURS, ORIGINAL) if number % 2 else (ORIGINAL, OURS):
                    try:
                        samples[program].append(sample(program, pipes, upload, total))
                    except (OSError, RuntimeError) as error:
                        print(error, file=sys.stderr)
                        return 1
            ratios = [one.speed / two.speed for one, two in zip(samples[OURS], samples[ORIGINAL], strict=True)]
            speed = [statistics.median(one.speed for one in samples[each]) for each in (OURS, ORIGINAL)]
            used = [statistics.median(one.processor for one in samples[each]) for each in (OURS, ORIGINAL)]
            print(
                f"{'pipes' if pipes else 'TCP':6}  {'upload' if upload else 'download':8}  {speed[0]:9.0f}  "
                f"{speed[1]:13.0f}  {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})  "
                f"{used[0]:22.2f}  {used[1]:8.2f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
