"""hold - idle connections, held open by a load generator of their own while something else is looked at."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prepare import ENVIRONMENT, BenchError


@contextmanager
def holding(argv: list[str], limit_s: float) -> Iterator[None]:
    """Run `argv`, a load generator in the mode "hold"; all its connections stand while the block runs.

    Raises BenchError when they could not be made. The generator ends with the block, and is killed when making or
    closing the connections takes over `limit_s` seconds.
    """
    holder = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )
    assert holder.stdin and holder.stdout and holder.stderr
    watchdog = threading.Timer(limit_s, holder.kill)
    watchdog.start()
    try:
        if holder.stdout.readline().strip() != "ready":
            raise BenchError(holder.stderr.read().strip() or f"connections could not be held within {limit_s:.0f} s")
        watchdog.cancel()
        yield
        holder.stdin.close()
        try:
            holder.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"held connections could not be closed within {limit_s:.0f} s") from None
    finally:
        watchdog.cancel()
        if holder.poll() is None:
            holder.kill()
            holder.wait()
        for stream in (holder.stdin, holder.stdout, holder.stderr):
            stream.close()
