"""-d: which file a server name leads to, the order of entries, and names that lead nowhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.certs import Certs
from tests.harness import Program, Wrapped, read_all, require_peer
from tests.program.test_pem import served

MISS = "unable to obtain certificate(s) from the PEM file '{}'"


def shows(
    program: Program, certs: Certs, options: list[object], sni: str | None, kind: str, names: tuple[str, ...]
) -> None:
    """Connect with a name and check which certificate comes."""
    with Wrapped(options, ["echo", "ran"], program=program) as w:  # type: ignore[arg-type]
        with w.tls(sni=sni) as tls:
            assert served(tls) == certs.leaf(kind, names)
            assert read_all(tls) == b"ran\n"
        assert w.wait() == 0
        assert w.stderr == ""


def fails(program: Program, options: list[object], sni: str | None) -> Wrapped:
    """Connect with a name that must fail with handshake_failure and 111."""
    with Wrapped(options, ["echo", "ran"], program=program) as w:  # type: ignore[arg-type]
        failure = w.handshake_fails(sni=sni)
        assert getattr(failure, "reason", "") == "SSLV3_ALERT_HANDSHAKE_FAILURE"
        assert w.wait() == 111
    return w


# --- the three lookups ---

EXACT = [
    ("test.example", {"test.example": "p256", "other.example": "p384"}),
    ("other.example", {"test.example": "p384", "other.example": "p256"}),
    ("localhost", {"localhost": "p256"}),
    ("under_score.example", {"under_score.example": "p256"}),
    ("a-b.c-d", {"a-b.c-d": "p256"}),
    ("1.2.3", {"1.2.3": "p256"}),
    ("TEST.Example", {"TEST.Example": "p256", "test.example": "p384"}),
    ("test.example.", {"test.example.": "p256", "test.example": "p384"}),
    ("x" * 63 + ".example", {"x" * 63 + ".example": "p256"}),
]


@pytest.mark.parametrize(("sni", "files"), EXACT, ids=lambda value: str(value)[:40])
def test_the_name_as_sent(
    program: Program, certs: Certs, tmp_path: Path, sni: str, files: dict[str, str]
) -> None:
    folder = certs.directory(tmp_path / "d", files)
    name = next(name for name, kind in files.items() if kind == "p256")
    shows(program, certs, ["-d", folder], sni, "p256", (name,))


FALLBACK = [
    ("TEST.Example", "test.example", ["*.example"]),
    ("test.example.", "test.example", ["*.example"]),
    ("Test.Example.", "test.example", ["*.example."]),
    ("www.test.example", "*.test.example", ["*.example", "*", "test.example"]),
    ("WWW.test.EXAMPLE.", "*.test.example", []),
    ("test.example", "test.example", ["*.example"]),  # exact beats the star
    ("a_b.test.example", "*.test.example", []),
    ("a.b.c.d", "*.b.c.d", ["*.c.d", "*.d"]),
]


@pytest.mark.parametrize(("sni", "name", "decoys"), FALLBACK, ids=str)
def test_then_lower_case_then_the_star(
    ours: Program, certs: Certs, tmp_path: Path, sni: str, name: str, decoys: list[str]
) -> None:
    folder = certs.directory(tmp_path / "d", {name: "p256", **dict.fromkeys(decoys, "p384")})
    shows(ours, certs, ["-d", folder], sni, "p256", (name,))


NOWHERE = [
    ("a.b.test.example", ["*.test.example"]),  # the star is for one label
    ("test.example", ["*.test.example", "*", "*.*", "example"]),
    ("localhost", ["*", "*.localhost", "*."]),
    ("missing.example", ["test.example"]),
]


@pytest.mark.parametrize(("sni", "files"), NOWHERE, ids=str)
def test_no_file_no_service(
    program: Program, certs: Certs, tmp_path: Path, sni: str, files: list[str]
) -> None:
    folder = certs.directory(tmp_path / "d", dict.fromkeys(files, "p256"))
    w = fails(program, ["-v", "-d", folder], sni)
    assert MISS.format(f"{folder}/{sni}") in w.texts("fatal")


@pytest.mark.parametrize(
    "sni",
    ["-bad.example", "bad-.example", "ba d.example", "bad!.example", "a" * 64 + ".net", "x/y", "*.x.example"],
)  # fmt: skip
def test_what_is_no_dns_name_reads_no_file(ours: Program, certs: Certs, tmp_path: Path, sni: str) -> None:
    """Even when a file of this name is there. -vv says which name was refused."""
    openssl = require_peer("openssl")
    folder = certs.directory(tmp_path / "d", {"inner.example": "p256"})
    target = folder / sni
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(certs.parts("p256")))
    with Wrapped(["-vv", "-d", folder], ["echo", "ran"], program=ours) as w:
        s_client(openssl, w, sni)
        assert w.wait() == 111
        assert any("SSL connection" in text for text in w.texts("info")) is False
        assert any(sni[:60] in text for text in w.texts("debug"))


@pytest.mark.parametrize(
    "sni", ["../outside", "..", ".", ".hidden", "sub/../../outside", "/etc/passwd", "sub/pem"]
)
def test_a_name_never_leaves_the_folder(ours: Program, certs: Certs, tmp_path: Path, sni: str) -> None:
    openssl = require_peer("openssl")
    folder = certs.directory(tmp_path / "d", {".hidden": "p256", ":hidden": "p256"})
    (folder / "sub").mkdir()
    for path in (tmp_path / "outside", folder / "sub/pem"):
        path.write_text("".join(certs.parts("p256")))
    with Wrapped(["-v", "-d", folder], ["echo", "ran"], program=ours) as w:
        s_client(openssl, w, sni)
        assert w.wait() == 111
        assert w.texts("info") == []


def s_client(openssl: str, w: Wrapped, sni: str) -> None:
    """Connect with any bytes as server name: s_client does not check them. Its own verdict is not used."""
    from tests.servers import relay_port

    with relay_port(w.client) as port:
        subprocess.run(
            [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", sni, "-tls1_2"],
            input=b"",
            capture_output=True,
            timeout=10,
            check=False,
        )


# --- several entries ---


def test_no_name_skips_directories(program: Program, certs: Certs, tmp_path: Path) -> None:
    folder = certs.directory(tmp_path / "d", {"test.example": "p256"})
    shows(
        program,
        certs,
        ["-d", folder, "-f", certs.server("p384")],
        None,
        "p384",
        ("localhost", "test.example"),
    )
    fails(program, ["-d", folder], None)


ENTRIES = [
    # name, entries (dN: a folder, fKIND: a file), the certificate expected
    ("one.example", ["d1", "d2"], ("p256", ("one.example",))),
    ("two.example", ["d1", "d2"], ("p384", ("two.example",))),
    ("both.example", ["d1", "d2"], ("p256", ("both.example",))),
    ("both.example", ["d2", "d1"], ("p384", ("both.example",))),
    ("none.example", ["d1", "d2", "fp521"], ("p521", ("localhost", "test.example"))),
    ("none.example", ["d1", "fp521", "d2"], ("p521", ("localhost", "test.example"))),
    ("two.example", ["d1", "fp521", "d2"], ("p521", ("localhost", "test.example"))),
    ("one.example", ["fp521", "d1"], ("p521", ("localhost", "test.example"))),
    ("one.example", ["d1", "fp521"], ("p256", ("one.example",))),
]


@pytest.mark.parametrize(("sni", "entries", "expected"), ENTRIES, ids=str)
def test_entries_are_tried_in_order(
    program: Program,
    certs: Certs,
    tmp_path: Path,
    sni: str,
    entries: list[str],
    expected: tuple[str, tuple[str, ...]],
) -> None:
    certs.directory(tmp_path / "d1", {"one.example": "p256", "both.example": "p256"})
    certs.directory(tmp_path / "d2", {"two.example": "p384", "both.example": "p384"})
    options: list[object] = []
    for entry in entries:
        options += ["-d", tmp_path / entry] if entry[0] == "d" else ["-f", certs.server(entry[1:])]
    shows(program, certs, options, sni, *expected)


def test_each_folder_is_tried_with_all_forms_of_the_name(ours: Program, certs: Certs, tmp_path: Path) -> None:
    """Order of entries comes before order of forms."""
    certs.directory(tmp_path / "d1", {"*.example": "p256"})
    certs.directory(tmp_path / "d2", {"test.example": "p384"})
    options = ["-d", tmp_path / "d1", "-d", tmp_path / "d2"]
    shows(ours, certs, options, "test.example", "p256", ("*.example",))


def test_a_miss_is_told_at_its_level(program: Program, certs: Certs, tmp_path: Path) -> None:
    folder = certs.directory(tmp_path / "d", {"test.example": "p256"})
    options = ["-vv", "-d", folder, "-f", certs.server("p384")]
    with Wrapped(options, ["true"], program=program) as w:
        w.tls(sni="other.example").close()
        w.wait()
        text = MISS.format(folder / "other.example") + ", trying next"
        assert text in w.texts("debug" if program.ours else "warning")


def test_a_folder_in_a_folder_is_no_file(program: Program, certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "d/test.example").mkdir(parents=True)
    w = fails(program, ["-v", "-d", tmp_path / "d"], "test.example")
    assert MISS.format(tmp_path / "d/test.example") in w.texts("fatal")


@pytest.mark.parametrize("what", ["broken", "folder", "fifo"])
def test_a_broken_file_in_a_folder_is_skipped(ours: Program, certs: Certs, tmp_path: Path, what: str) -> None:
    """A FIFO must not block key either."""
    import os

    folder = tmp_path / "d"
    folder.mkdir()
    if what == "broken":
        (folder / "test.example").write_text("no PEM\n")
    elif what == "folder":
        (folder / "test.example").mkdir()
    else:
        os.mkfifo(folder / "test.example")
    with Wrapped(["-v", "-d", folder, "-f", certs.server("p384")], ["true"], program=ours) as w:
        with w.tls(sni="test.example") as tls:
            assert served(tls) == certs.leaf("p384")
        assert w.wait() == 0
        assert any(f"{folder}/test.example" in text for text in w.texts())


def test_a_fifo_alone_fails_and_does_not_block(ours: Program, tmp_path: Path) -> None:
    import os

    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d/test.example")
    w = fails(ours, ["-d", tmp_path / "d"], "test.example")
    assert w.texts("fatal") == [MISS.format(tmp_path / "d/test.example")]


def test_a_type_the_client_cannot_use_is_passed_over(program: Program, certs: Certs, tmp_path: Path) -> None:
    from tests.harness import client_context

    certs.directory(tmp_path / "ec", {"test.example": "p256"})
    certs.directory(tmp_path / "rsa", {"test.example": "rsa2048"})
    options = ["-d", tmp_path / "ec", "-d", tmp_path / "rsa"]
    with Wrapped(options, ["true"], program=program) as w:
        with w.tls(client_context(ciphers="aRSA"), sni="test.example") as tls:
            assert served(tls) == certs.leaf("rsa2048", ("test.example",))
        w.wait()
