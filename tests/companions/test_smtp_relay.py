"""tlswrapper-smtp over a socket and pipes with a scripted server: what both sides get, exit codes, log lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.companions.smtpwire import MARK, Session, run
from tests.harness import THEIRS, Program, needs_root, require_program

pytestmark = needs_root

MAIL, RCPT, QUIT = b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"QUIT\r\n"
TEXT = b"DATA\r\nSubject: x\r\n\r\nhello\r\n..\r\n.\r\n"

# Streams on which OLD, NEW and ours agree: (client, replies)
AGREED = [
    (QUIT, {}),
    (b"QUIT foo\r\n", {}),
    (b"quit\rfoo\r\n", {}),
    (b"NOOP\nQUIT\n", {}),
    (b"NOOP a\rb\r\nNOOP x\r\r\nRSETX\r\n" + QUIT, {}),
    (b"EHLO x\r\nHELO x\r\n" + QUIT, {}),
    (b"EHLO x\r\n" + QUIT, {"EHLO": r"250 ok\n"}),
    (b"EHLO x\r\n" + QUIT, {"EHLO": r"502 no\r\n"}),
    (MAIL + RCPT + b"rcpt to:<e@f> X=1\r\n" + TEXT + QUIT, {}),
    (b"mail from:<a@b>\r\n" + TEXT + QUIT, {}),
    (b"MAIL FROM: <a@b>\r\nRCPT TO: <c@d>\r\n" + TEXT + QUIT, {}),
    (b'MAIL FROM:<"a b"@c>\r\nRCPT TO:<@x,@y:a@b>\r\nRCPT foo\r\n' + TEXT + QUIT, {}),
    (b"DATA x\r\n.\r\n" + QUIT, {}),
    (b"DATA\r\nx\r\n.\r\r\n.\r\n" + QUIT, {}),
    (b"DATA\nx\n.\nQUIT\n", {}),
    (MAIL + QUIT, {"MAIL": r"550 no\r\n"}),
    (MAIL + RCPT + QUIT, {"MAIL": r"251 x\r\n", "RCPT": r"251 fwd\r\n"}),
    (MAIL + RCPT + TEXT + QUIT, {"RCPT": r"550 no\r\n"}),
    (MAIL + RCPT + b"DATA\r\n" + QUIT, {"DATA": r"550 no\r\n"}),
    (MAIL + RCPT + TEXT + QUIT, {"TEXT": r"451 no\r\n"}),
    (MAIL + RCPT + TEXT + QUIT, {"TEXT": r"250-multi\r\n250 yes\r\n", "MAIL": r"250-x\n250 y\n"}),
    (b"STARTTLS\r\nSTARTTLS foo\r\n" + QUIT, {}),
    (QUIT, {"GREETING": r"220-a\n220 b\n"}),
    (QUIT, {"GREETING": r"220\r\n"}),
    (QUIT, {"GREETING": r"hello\r\n"}),
    (QUIT, {"GREETING": r"\r\n220 x\r\n"}),
    (QUIT, {"GREETING": r"220 a\rb\r\n"}),
    (QUIT, {"GREETING": r"554 no\r\n"}),
    (b"NOOP\r\nNOOP", {}),
    (b"NOOP\r\n" + QUIT, {"NOOP": "DIE"}),
    (QUIT, {"CODE": "0"}),
    (QUIT, {"CODE": "255"}),
    (QUIT, {"QUIT": "DIE"}),
    (QUIT, {"GREETING": "DIE"}),
    (QUIT, {"GREETING": "KILL"}),
]


@pytest.mark.parametrize("case", range(len(AGREED)))
def test_as_the_original(tmp_path: Path, ours: Program, case: int) -> None:
    """Both get the same: the client, the server, the exit code, and what is logged about mails and commands."""
    require_program(THEIRS)
    found = []
    for program in (THEIRS, ours):
        sent, code, record, session = run(tmp_path, *AGREED[case][:1], ["-vv"], AGREED[case][1], program)
        lines = [(line.level, line.ip, line.text) for line in session.log("info", "warning", "debug")]
        lines = [line for line in lines if ": " in line[2]]
        found.append((sent, code, record, lines))
    assert found[0] == found[1]


DIFFERENCES = [
    # (client, replies, what the server gets, what the client gets behind the greeting, exit code)
    (b"\r\nNOOP\r\n" + QUIT, {}, [b"\r\n", b"NOOP\r\n", QUIT], b"250 ok\r\n250 ok\r\n221 bye" + MARK, 7),
    (b"Q\r\nMA\r\nS\r\n" + QUIT, {}, [b"Q\r\n", b"MA\r\n", b"S\r\n", QUIT], b"250 ok\r\n" * 3 + b"221 bye" + MARK, 7),
    (b"NOOP\0" + QUIT, {}, [b"NOOP\n", QUIT], b"250 ok\r\n221 bye" + MARK, 7),
    (b"DATA\r\na\n.\nb\r\n.\r\n" + QUIT, {}, [b"DATA\r\n", b"  a\r\n", b"  ..\r\n", b"  b\r\n", b"  .\r\n", QUIT],
     b"354 go" + MARK + b"250 queued" + MARK + b"221 bye" + MARK, 7),
    (b"NOOP a\rNOOP b\r\n" + QUIT, {}, [b"NOOP a\rNOOP b\r\n", QUIT], b"250 ok\r\n221 bye" + MARK, 7),
    (b"NOOP a\nNOOP b\0NOOP c\r\n" + QUIT, {}, [b"NOOP a\r\n", b"NOOP b\n", b"NOOP c\r\n", QUIT],
     b"250 ok\r\n" * 3 + b"221 bye" + MARK, 7),
    (b"DATA\r\na\rb\0c\nd\r\n\r.\r\n.\r\n" + QUIT, {},
     [b"DATA\r\n", b"  a\rb\n", b"  c\r\n", b"  d\r\n", b"  \r.\r\n", b"  .\r\n", QUIT],
     b"354 go" + MARK + b"250 queued" + MARK + b"221 bye" + MARK, 7),
    (b"EHLO x\r\n" + QUIT, {"EHLO": r"250-me\r\n250 CHUNKING\r\n"}, [b"EHLO x\r\n", QUIT],
     b"250 me\r\n221 bye" + MARK, 7),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(DIFFERENCES)))
def test_better_than_the_original(tmp_path: Path, ours: Program, case: int) -> None:
    client, replies, got, answered, code = DIFFERENCES[case]
    sent, found_code, record, _ = run(tmp_path, client, [], replies, ours)
    assert (record, sent, found_code) == (got, b"220 hello" + MARK + answered, code)


def test_log_lines(tmp_path: Path, ours: Program) -> None:
    """Byte for byte at -v: info for an accepted mail, warnings for what was refused; at the default level nothing."""
    replies = {"TEXT": r"250 queued\r\n", "RCPT": r"250-ok\r\n250 ok\r\n"}
    *_, session = run(tmp_path, MAIL + RCPT + b"RCPT TO:<\xff\t>\r\n" + TEXT + QUIT, ["-v"], replies, ours)
    assert session.stderr == (
        "tlswrapper-smtp: info: 192.0.2.1: F=<a@b> T=<c@d>,<\\xff\\t>,: 250 queued [ID]\\r\\n [ID]\n"
    )
    *_, session = run(tmp_path, MAIL + QUIT, ["-v"], {"MAIL": r"550 no\r\n"}, ours)
    assert session.stderr == "tlswrapper-smtp: warning: 192.0.2.1: F=<a@b>: 550 no [ID]\\r\\n [ID]\n"
    *_, session = run(tmp_path, MAIL + RCPT + TEXT + QUIT, [], {"MAIL": r"550 no\r\n"}, ours)
    assert session.stderr == ""


def test_a_long_recipient_list_is_logged_whole(tmp_path: Path, ours: Program) -> None:
    """In several lines, none of them cut."""
    recipients = [b"<%s%03d@d>" % (b"x" * 240, number) for number in range(256)]
    commands = b"".join(b"RCPT TO:" + recipient + b"\r\n" for recipient in recipients)
    _, code, _, session = run(tmp_path, MAIL + commands + TEXT + QUIT, ["-v"], {}, ours)
    assert code == 7
    texts = session.texts("info")
    assert all(text.startswith("F=<a@b> T=<") and text.endswith(">,: 250 queued [ID]\\r\\n") for text in texts)
    found = [one for text in texts for one in text.split("T=")[1].split(":")[0].split(",")[:-1]]
    assert found == [one.decode() for one in recipients]


def test_the_log_id_is_made_when_none_is_inherited(tmp_path: Path, ours: Program) -> None:
    with Session(tmp_path, ["-v"], program=ours, env={"LOG_ID": None}) as s:
        greeting = s.reply()
        identity = greeting.removeprefix(b"220 hello [").removesuffix(b"]\r\n").decode()
        assert len(identity) == 16
        assert identity.isalnum()
        s.send(MAIL + TEXT + QUIT)
        s.rest()
        assert s.wait() == 7
        assert s.log("info")[0].id == identity


# --- bounds, at and one past; the unit tests have every case of them ---

BOUNDS = [
    (b"NOOP " + b"x" * (4096 - 6) + b"%s\r\n", {}, b"x", "client line is longer than 4096 bytes"),
    (b"MAIL FROM:<" + b"x" * 2046 + b"%s>\r\n", {}, b"x", "MAIL address is longer than 2048 bytes"),
    (b"RCPT TO:<" + b"x" * 2046 + b"%s>\r\n", {}, b"x", "RCPT address is longer than 2048 bytes"),
    (RCPT * 256 + b"%s", {}, RCPT, "more than 256 recipients"),
    ((b"RCPT TO:" + b"x" * 2047 + b"\r\n") * 32 + b"%s", {}, b"RCPT\r\n", "recipient list is longer than 65536 bytes"),
    (b"%s\r\n", {"NOOP": "250 " + "y" * 4090 + r"\r\n", "NOOPP": "250 " + "y" * 4091 + r"\r\n"}, b"NOOPP",
     "prog reply is longer than 4096 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BOUNDS)))
def test_a_bound(tmp_path: Path, ours: Program, case: int) -> None:
    client, replies, more, why = BOUNDS[case]
    within, past = client.replace(b"%s", b"" if case < 5 else b"NOOP"), client.replace(b"%s", more)
    sent, code, _, session = run(tmp_path, within + QUIT, ["-vv"], replies, ours)
    assert (code, sent[-len(b"221 bye [ID]\r\n"):]) == (7, b"221 bye" + MARK)
    sent, code, record, session = run(tmp_path, past + QUIT, ["-vv"], replies, ours)
    assert code == 111
    assert not sent.endswith(b"221 bye" + MARK)
    assert why in session.texts("debug")
    assert QUIT not in record
    *_, session = run(tmp_path, past + QUIT, ["-v"], replies, ours)
    assert session.texts("fatal", "error") == []


@pytest.mark.parametrize("family", ["unix", "tcp", "tcp6", "pipes"])
def test_a_megabyte_of_text(tmp_path: Path, ours: Program, family: str) -> None:
    lines = [b"%05d %s\r\n" % (number, b"x" * 60) for number in range(16000)]
    with Session(tmp_path, ["-v"], program=ours, family=family) as s:
        s.send(MAIL + RCPT + b"DATA\r\n" + b"".join(lines) + b".\r\n" + QUIT)
        assert s.rest().endswith(b"250 queued" + MARK + b"221 bye" + MARK)
        assert s.wait() == 7
        assert s.record()[3:-2] == [b"  " + line for line in lines]
        assert s.no_process_left()
