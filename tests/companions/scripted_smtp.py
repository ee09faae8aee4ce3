"""A scripted SMTP server on descriptors 0 and 1: `scripted_smtp.py RECORD [VERB=REPLY ...]`.

Each line it gets goes to the file RECORD as a Python literal, lines of a message text behind two blanks, and the last
line says how it ended. REPLY is text with escapes; VERB is the first word of a line in upper case, GREETING, TEXT for
the end of a message, or CODE for the exit code. A reply `DIE` ends it, `HANG` makes it wait for a signal, and
`STUBBORN` makes it ignore SIGTERM first. FDS lists the descriptors it was given.
"""

import os
import signal
import sys
import time

USUAL = {"GREETING": "220 hello\\r\\n", "EHLO": "250-me\\r\\n250 8BITMIME\\r\\n", "DATA": "354 go\\r\\n",
         "TEXT": "250 queued\\r\\n", "QUIT": "221 bye\\r\\n", "CODE": "7"}  # fmt: skip


def main() -> int:
    replies = USUAL | dict(word.split("=", 1) for word in sys.argv[2:])
    record = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    buffered = b""

    def note(text: str) -> None:
        os.write(record, text.encode() + b"\n")

    def say(name: str, otherwise: str = "250 ok\\r\\n") -> bytes:
        reply = replies.get(name, otherwise)
        if reply == "DIE":
            sys.exit(int(replies["CODE"]))
        if reply == "STUBBORN":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if reply in ("HANG", "STUBBORN"):
            note(reply)
            time.sleep(3600)
        if reply == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        data = reply.encode().decode("unicode_escape").encode("latin-1")
        os.write(1, data)
        return data

    def line() -> bytes:
        nonlocal buffered
        while b"\n" not in buffered:
            piece = os.read(0, 65536)
            if not piece:
                note("EOF " + repr(buffered))
                sys.exit(int(replies["CODE"]))
            buffered += piece
        found, buffered = buffered.split(b"\n", 1)
        return found + b"\n"

    note("START")
    if "FDS" in replies:
        note("FDS " + " ".join(sorted((name for name in os.listdir("/proc/self/fd")), key=int)))
    say("GREETING")
    while True:
        command = line()
        note(repr(command))
        words = command.split()
        verb = words[0].upper().decode("latin-1") if words else "EMPTY"
        reply = say(verb)
        if verb == "DATA" and reply.startswith(b"354"):
            text = b""
            while text not in (b".\r\n", b".\n"):
                text = line()
                note("  " + repr(text))
            say("TEXT")
        if verb == "QUIT":
            note("QUIT")
            return int(replies["CODE"])


if __name__ == "__main__":
    sys.exit(main())
