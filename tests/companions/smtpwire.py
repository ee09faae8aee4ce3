"""Support for the tests of tlswrapper-smtp: a session with a scripted server behind the program.

    with Session(tmp_path, ["-v"], {"RCPT": "550 no\\r\\n"}) as s:
        assert s.reply().startswith(b"220")
        assert s.ask(b"EHLO me") == ...
        s.finish(); s.record()

The client's end is one socket or, for `pipes`, two pipes joined to one, as below tlswrapper. `before` is a command that
ends by running its arguments, such as private_names gives.
"""

from __future__ import annotations

import ast
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.harness import LIMIT_S, OURS, Program, Wrapped, proc_status, require_program, wait_ready
from tests.waiting import Deadline, wait_taken

SCRIPT = Path(__file__).with_name("scripted_smtp.py")
ADDRESSES = {"TCPREMOTEIP": "192.0.2.1", "TCPREMOTEPORT": "1", "TCPLOCALIP": "192.0.2.2", "TCPLOCALPORT": "25"}
MARK = b" [ID]\r\n"
# The script's shell gives the control pipes their numbers; only bash redirects from numbers beyond 9.
WITH_CONTROL = 'exec 5>&"$1" 6<&"$2"; eval "exec $1>&- $2<&-"; shift 2; exec "$@"'


def server(record: Path, replies: Mapping[str, str]) -> list[str]:
    """The command line of the scripted server; the record is made so that any account may write it."""
    record.touch()
    record.chmod(0o666)
    record.parent.chmod(0o755)
    words = [f"{name}={text}" for name, text in replies.items()]
    return [sys.executable, "-I", "-S", "-B", str(SCRIPT), str(record), *words]


class Control:
    """The test's ends of descriptors 5 (signal) and 6 (ack) of the program."""

    def __init__(self) -> None:
        self.signal, self.given_signal = os.pipe()
        self.given_ack, self.ack = os.pipe()

    def command(self, words: Sequence[str]) -> list[str]:
        return ["-c", WITH_CONTROL, "bash", str(self.given_signal), str(self.given_ack), *words]

    def started(self) -> None:
        os.close(self.given_signal)
        os.close(self.given_ack)

    def read_signal(self, limit_s: float = LIMIT_S) -> bytes:
        """What comes on 5 until it is closed."""
        data, deadline = b"", Deadline(limit_s)
        while wait_ready(self.signal, limit_s=deadline.left()):
            piece = os.read(self.signal, 16)
            if not piece:
                return data
            data += piece
        raise TimeoutError(f"control descriptor not closed, got {data!r}")

    def acknowledge(self, data: bytes = b"\0") -> None:
        """Write to 6 and close it."""
        if data:
            os.write(self.ack, data)
        os.close(self.ack)
        self.ack = -1

    def close(self) -> None:
        for fd in (self.signal, self.ack):
            if fd >= 0:
                os.close(fd)


class Session(Wrapped):
    """`tlswrapper-smtp OPTIONS server` on one connection."""

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        replies: Mapping[str, str] | None = None,
        *,
        program: Program = OURS,
        prog: Sequence[str] | None = None,
        control: Control | None = None,
        family: str = "unix",
        env: Mapping[str, str | None] | None = None,
        preexec: Callable[[], None] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        self.recorded = folder / f"record-{time.monotonic_ns()}"
        self.control = control
        tool = program.tool("tlswrapper-smtp")
        words = [*before, str(tool), *options, *(server(self.recorded, replies or {}) if prog is None else prog)]
        require_program(program)
        executable = words[0] if control is None else "/bin/bash"
        super().__init__(
            words[1:] if control is None else control.command(words),
            (),
            program=program,
            executable=executable,
            argv0=executable,
            family=family,
            extra_env={"LOG_ID": "ID", **ADDRESSES, **(env or {})},
            preexec=preexec,
            pass_fds=() if control is None else (control.given_signal, control.given_ack),
        )
        self._received = b""
        if control is not None:
            control.started()

    def send(self, data: bytes) -> None:
        self.client.sendall(data)

    def taken(self) -> None:
        """Wait until the program has read what was sent and waits again: what is sent now is not taken with it."""
        wait_taken(self.client)
        deadline = Deadline()
        while not proc_status(self.popen.pid)["State"].startswith("S"):  # of which there is no event
            assert not deadline.over(), "the program does not wait for more"
            time.sleep(0.001)

    def reply(self, limit_s: float = LIMIT_S) -> bytes:
        """One whole reply; EOFError when the connection ends first."""
        start = 0
        while True:
            end = self._received.find(b"\n", start) + 1
            if not end:
                self.client.settimeout(limit_s)
                piece = self.client.recv(65536)
                if not piece:
                    raise EOFError(self._received)
                self._received += piece
                continue
            if self._received[start + 3: start + 4] != b"-":
                reply, self._received = self._received[:end], self._received[end:]
                return reply
            start = end

    def ask(self, command: bytes) -> bytes:
        """Send one command line and give its reply."""
        self.send(command + b"\r\n")
        return self.reply()

    def finish(self, limit_s: float = LIMIT_S) -> tuple[bytes, int]:
        """Half-close, read to the end, wait: (all that came, the exit code)."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_WR)
        return self.rest(limit_s), self.wait(limit_s)

    def rest(self, limit_s: float = LIMIT_S) -> bytes:
        """All that comes until the end of the connection."""
        self.client.settimeout(limit_s)
        data, self._received = self._received, b""
        # a program that ends with unread bytes in its socket resets the connection
        with contextlib.suppress(ConnectionResetError):
            while piece := self.client.recv(65536):
                data += piece
        return data

    def record(self) -> list[bytes]:
        """What the server has got: command lines, and lines of a message behind two blanks."""
        found = []
        for line in self.recorded.read_text().splitlines():
            blanks = b"  " if line.startswith("  ") else b""
            if line.strip().startswith("b"):
                found.append(blanks + ast.literal_eval(line.strip()))
        return found

    def server_notes(self) -> list[str]:
        """What else the server has noted."""
        return [line for line in self.recorded.read_text().splitlines() if not line.strip().startswith("b")]

    def close(self) -> None:
        super().close()
        if self.control is not None:
            self.control.close()


def run(
    folder: Path,
    client: bytes,
    options: Sequence[str] = (),
    replies: Mapping[str, str] | None = None,
    program: Program = OURS,
) -> tuple[bytes, int, list[bytes], Session]:
    """A whole session at once: (what the client got, exit code, what the server got, the session)."""
    with Session(folder, options, replies, program=program) as session:
        session.send(client)
        sent, code = session.finish()
        assert session.no_process_left()
        return sent, code, session.record(), session
