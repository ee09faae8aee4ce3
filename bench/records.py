"""records - the speed of our record layer alone: 16 KiB records, one process, one core, no connection.

    python3 bench/records.py default|aes128 download|upload

What a client's key process does with data: a download opens records, an upload seals them. Prints MB/s (10^6 bytes
of plaintext a second of processor time) as JSON. The copy that makes a bytes object of each result is in the figure.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bearwrap import _bear

SUITES = {"default": 0xCCA9, "aes128": 0xC02B}  # IANA numbers: ECDHE-ECDSA with ChaCha20-Poly1305, AES-128-GCM
TLS12 = 0x0303
APPLICATION_DATA = 23
PIECE = bytes(16384)
BATCH = 64  # records between two looks at the clock: 1 MiB, as much as stays in a core's cache
SECONDS = 0.5


def speed(suite: int, opening: bool) -> float:
    """MB/s of plaintext that one core opens, or seals."""
    secrets = bytes(48), bytes(32), bytes(32)
    server, client = (_bear.Records(TLS12, suite, *secrets, is_client) for is_client in (False, True))
    total, used = 0, 0.0
    while used < SECONDS:
        records = [server.seal(APPLICATION_DATA, PIECE) for _ in range(BATCH)] if opening else []
        begin = time.process_time()
        if opening:
            for record in records:
                client.open(record)
        else:
            for _ in range(BATCH):
                client.seal(APPLICATION_DATA, PIECE)
        used += time.process_time() - begin
        total += BATCH * len(PIECE)
    return total / used / 1e6


if __name__ == "__main__":
    print(json.dumps({"mb_per_second": speed(SUITES[sys.argv[1]], sys.argv[2] == "download")}))
