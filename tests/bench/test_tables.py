"""What a run prints and writes: tables, JSON, the picture."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from .tools import BENCH, PLAN, bench_module, outcome, report

plot = bench_module("plot")
RATE = {"ours": [300.0, 330.0, None], "original": [400.0, 300.0, 350.0], "serve": [None, None]}
SVG = "{http://www.w3.org/2000/svg}"


def outcomes() -> list[Any]:
    """One of each kind."""
    return [
        outcome("connections-ecdsa", RATE, connections=600, server_cpu_seconds=3.0, client_cpu_seconds=0.6),
        outcome("latency-ecdsa", {"ours": [6.0, 7.0], "original": [5.0, 5.0]}, connections=10),
        outcome("download-default", {"ours": [900.0], "original": [150.0]}, bytes=10**9, server_cpu_seconds=2.0),
        outcome("memory-10", {"serve": [300.0], "original": [310.0]}, processes_per_connection=3, kib_with_program=490),
        outcome("memory-500", {"serve": [280.0], "stunnel": [-4.0]}, processes_per_connection=3, kib_with_program=400),
        outcome("memory-used-500", {"serve": [800.0]}, processes_per_connection=3, kib_with_program=900),
        outcome("growth-500", {"serve": [0.95]}, per_second_none=400.0, per_second_held=380.0),
        outcome("tls13-ecdsa", {"ours": [1.02], "serve": [0.97]}, base=300.0, way=303.0),
        outcome("tls13-upload-aes128", {"ours": [1.0]}, base=900.0, way=900.0),
        outcome("resumed-rsa", {"serve": [1.8]}, base=300.0, way=540.0),
        outcome("client-download-default", {"s6-tlsc": [800.0], "openssl": [2000.0], "aead": [5000.0]}, bytes=10**9),
    ]


def test_a_table() -> None:
    lines = report.lines(outcomes()[0])
    assert lines[0] == "connections-ecdsa: connections/s, ECDSA P-256, 3 streams; 3 rounds; higher is better"
    assert lines[2].split() == ["ours", "315.0", "300.0", "330.0", "0.93", "(0.75", "..", "1.10)", "5.00", "1.00"]
    assert lines[3].split() == ["1", "failed:", "connect:", "Connection", "refused"]
    assert lines[-1].split()[:2] == ["serve", "failed:"]


@pytest.mark.parametrize("made", outcomes(), ids=lambda made: made.measure.name)
def test_every_kind_has_a_table_and_json(made: Any) -> None:
    lines = report.lines(made)
    assert len(lines) >= 2 + len(made.samples)
    written = json.loads(json.dumps(report.as_json(made)))
    assert set(written["peers"]) == set(made.samples)
    assert written["unit"] in lines[1]


def test_ratios_are_paired_and_of_what_can_be_compared() -> None:
    assert outcomes()[0].ratios("ours", "original") == [0.75, 1.1], "the third round has but one of the two"
    less = outcome("memory-10", {"stunnel": [-4.0, 31.0], "original": [310.0, 310.0]})
    assert less.ratios("stunnel", "original") == [0.1], "no ratio of what shrank"
    assert outcomes()[6].ratios("serve", "serve") == [], "a share is a ratio already"


def test_other_work_is_told() -> None:
    made = outcome("connections-ecdsa", {"ours": [1.0]}, machine_seconds=10.0, other_cpu_seconds=5.0)
    assert "note: other work took 50% of the machine" in report.lines(made)[-1]


def test_an_interrupted_measure_says_how_far_it_came() -> None:
    made = outcome("connections-ecdsa", {"ours": [1.0, 2.0]})
    made.rounds = 7
    assert "2 of 7 rounds" in report.lines(made)[0]


def texts(picture: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_the_picture() -> None:
    """Well-formed, a panel for each kind, everything within its frame."""
    picture = plot.svg(outcomes())
    found = texts(picture)
    for title in ("Connections/s", "MB/s of one connection", "ms to the first byte back: p50, p95, p99"):
        assert title in found
    assert {"connections-ecdsa: ours", "growth-500: serve", "serve 280", "serve 800", "0.93 x"} <= set(found)
    assert not any("stunnel" in text for text in found), "less than nothing has no place on it"
    top = ElementTree.fromstring(picture)
    width, height = float(top.attrib["width"]), float(top.attrib["height"])
    for group in top.iter(f"{SVG}g"):
        shift = float(group.attrib["transform"].split()[1].rstrip(")"))
        for node in group:
            x = float(node.attrib.get("x", node.attrib.get("cx", node.attrib.get("x1", "0"))))
            y = float(node.attrib.get("y", node.attrib.get("cy", node.attrib.get("y1", "0"))))
            assert 0 <= x <= width and 0 <= y + shift <= height, node.attrib


def test_a_picture_of_nothing_and_of_little() -> None:
    assert texts(plot.svg([])) == []
    assert texts(plot.svg([outcome("connections-ecdsa", {"ours": [None]})])) == []
    only = texts(plot.svg([outcome("memory-10", {"serve": [300.0]})]))
    assert "serve 300" in only and "Connections/s" not in only


def test_the_plan_names_each_measure_once() -> None:
    measures = bench_module("measures")
    plan = measures.plan(3, [10, 100, 500, 1000], [500])
    assert len({measure.name for measure in plan}) == len(plan)
    assert {f"memory-{held}" for held in (10, 100, 500, 1000)} < {measure.name for measure in plan}
    peers = {peer.name: peer for peer in bench_module("peers").PEERS}
    for measure in PLAN.values():
        assert measures.applies(measure, peers["s6-tlsc"]) == (measure.side == "client")
        assert measures.applies(measure, peers["hitch"]) == (measure.side == "server" and not measure.ways)
        assert measures.applies(measure, peers["serve"]) == (measure.side == "server")


def test_the_readme_names_what_there_is() -> None:
    """Every file, peer, aim and measure."""
    text = (BENCH / "README.md").read_text()
    files = {path.name for path in BENCH.iterdir() if path.suffix in (".py", ".c", ".h")}
    assert not [name for name in files if f"`{name}`" not in text]
    assert not [peer.name for peer in bench_module("peers").PEERS if f"| `{peer.name}` |" not in text]
    assert not [aim.name for aim in bench_module("verdicts").AIMS if f"| `{aim.name}` |" not in text]
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    families = {re.sub(r"(ecdsa|rsa|default|aes128|\d+)$", "", name) for name in PLAN}
    assert not [family for family in families if f"`{family}" not in rows]
    assert not [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")]
