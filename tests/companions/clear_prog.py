"""A scripted prog for `tlswrapper -n`: speaks lines, asks for TLS by the protocol named in argv[1].

Every line it gets is answered with `PHASE LINE`, PHASE being `clear` before it asked and `tls` after, so that a
command which crossed the switch shows. argv[1]: `byte` (one zero byte on descriptor 5, acknowledged on 6), `text`
(text on 5, then EOF), or a misbehaviour: `garbage`, `two`, `close5`, `noack`, `long`, `never`.
"""

import os
import sys


def read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return line
        line += byte
    return line


def ask(how: str) -> None:
    go = b"220 go\r\n"
    if how == "text":
        os.write(5, go)
        os.close(5)
    elif how == "close5":
        os.close(5)
        os.write(1, b"closed\r\n")
    elif how == "garbage":
        os.write(5, b"\x00text")
    elif how == "two":
        os.write(5, b"\x00\x00")
    elif how == "long":
        os.write(5, b"x" * 2000)
    elif how == "noack":
        os.close(6)
        os.write(1, go)
        os.write(5, b"\x00")
    elif how == "byte":
        os.write(1, go)
        os.write(5, b"\x00")
        assert os.read(6, 1) == b"\x00"


def main() -> None:
    how, phase = sys.argv[1], b"clear"
    os.write(1, b"220 hello\r\n")
    while line := read_line():
        if line.strip() == b"STARTTLS" and how != "never":
            ask(how)
            phase = b"tls"
        else:
            os.write(1, phase + b" " + line.strip() + b"\r\n")
    sys.exit(7)


main()
