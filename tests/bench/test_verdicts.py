"""Verdicts: every bound of the aims, on both sides of it, and what was not measured."""

from __future__ import annotations

from typing import Any

import pytest

from .tools import PLAN, bench_module, outcome

verdicts = bench_module("verdicts")
CLAIMS = [(aim, claim) for aim in verdicts.AIMS for claim in aim.claims]


def judged(claim: Any, value: float) -> dict[str, Any]:
    """The claim's verdict when each of three rounds gave this ratio, or this value."""
    values = {claim.peer: [value * 7] * 3, claim.reference: [7.0] * 3} if claim.reference else {claim.peer: [value] * 3}
    return dict(verdicts.judge(claim, outcome(claim.measure, values)))


def test_the_bounds() -> None:
    """As they were set, in one place beside the program's."""
    both = ("default", "aes128")
    wanted = {
        **{(f"{way}load-{cipher}", "ours", "original"): (5.0, None) for way in ("down", "up") for cipher in both},
        **{(f"{way}load-{cipher}", "ours", "stunnel"): (1.0, None) for way in ("down", "up") for cipher in both},
        **{(f"connections-{kind}", "ours", "original"): (1.0, 0.9) for kind in ("ecdsa", "rsa")},
        **{(f"latency-{kind}", "ours", "original"): (1.0, None) for kind in ("ecdsa", "rsa")},
        ("connections-ecdsa", "serve", "original"): (3.0, 2.0),
        ("connections-ecdsa", "serve", "stunnel"): (1.3, None),
        ("memory-500", "serve", None): (1536.0, None),
        ("memory-used-500", "serve", None): (1536.0, None),
        ("growth-500", "serve", None): (0.9, None),
        **{(f"tls13-{kind}", mode, None): (0.95, None) for kind in ("ecdsa", "rsa") for mode in ("ours", "serve")},
        **{(f"tls13-{way}load-{cipher}", mode, None): (0.95, None)
           for way in ("down", "up") for cipher in both for mode in ("ours", "serve")},
        **{(f"resumed-{kind}", mode, None): (1.0, None) for kind in ("ecdsa", "rsa") for mode in ("ours", "serve")},
    }  # fmt: skip
    found = {
        (claim.measure, claim.peer, claim.reference): (claim.bound, claim.least)
        for aim, claim in CLAIMS
        if aim.name != "client"
    }
    assert found == wanted
    names = ["bulk", "wrapper", "serve", "memory", "growth", "tls13", "resumed", "client"]
    assert [aim.name for aim in verdicts.AIMS] == names
    assert {claim.measure for _, claim in CLAIMS} <= set(PLAN), "each is one of the plan"


@pytest.mark.parametrize("claim", [claim for _, claim in CLAIMS], ids=lambda claim: claim.text)
def test_each_claim_on_both_sides(claim: Any) -> None:
    better, worse = (0.99, 1.01) if claim.at_most else (1.01, 0.99)
    for share, holds in ((better, True), (1.0, True), (worse, False)):
        found = judged(claim, claim.bound * share)
        assert found["holds"] is holds, found
        assert ("holds" if holds else "falls short") in found["text"]
        assert found["reached"] == pytest.approx(1 / share if claim.at_most else share, abs=0.001)
        assert found["done"], "but one percent away"
    if claim.least is not None:
        found = judged(claim, claim.least * 0.99)
        assert not found["done"] and "not done below" in found["text"]


def test_the_median_decides_and_the_rounds_are_counted() -> None:
    claim = next(claim for _, claim in CLAIMS if claim.least == 0.9)
    found = verdicts.judge(claim, outcome(claim.measure, {"ours": [5, 11, 12], "original": [10, 10, 10]}))
    assert found["holds"] and found["value"] == 1.1
    assert "median 1.10, 0.50 .. 1.20, met in 2 of 3 rounds" in found["text"]


def test_what_was_not_measured_and_why() -> None:
    aim = verdicts.AIMS[1]
    claim = aim.claims[0]
    assert verdicts.judge(claim, None)["text"].endswith("not measured")
    failed = verdicts.judge(claim, outcome(claim.measure, {"ours": [None], "original": [1.0]}))
    assert failed["holds"] is None and "ours: connect: Connection refused" in failed["text"]
    assert verdicts.conclude(aim, [failed] * 4)["text"].endswith(": not measured")
    good, bad = judged(claim, 2.0), judged(claim, 0.95)
    awful = judged(claim, 0.5)
    for claims, holds, words in (
        ([good, good], True, ": holds (2 of 2"),
        ([good, failed], None, ": holds as far as measured (1 of 2"),
        ([good, bad, failed], False, ": falls short (1 of 3 claims; the least reaches 0.95"),
        ([good, awful], False, ": falls short, not done (1 of 2"),
    ):
        found = verdicts.conclude(aim, claims)
        assert found["holds"] is holds and words in found["text"], found["text"]


def test_only_aims_of_which_something_was_measured() -> None:
    found = verdicts.verdicts({"growth-500": outcome("growth-500", {"serve": [0.95, 0.97]})})
    assert [aim["aim"] for aim in found] == ["growth"]
    assert verdicts.lines(found) == [
        "growth, the rate beside idle connections: holds (1 of 1 claims; the least reaches 1.07 of its bound)",
        "  growth-500: serve >= 0.9 x none held: holds (median 0.96, 0.95 .. 0.97, met in 2 of 2 rounds)",
    ]
    assert verdicts.verdicts({}) == []
    whole = verdicts.verdicts({}, every=True)
    assert len(whole) == len(verdicts.AIMS) and all(aim["text"].endswith(": not measured") for aim in whole)
