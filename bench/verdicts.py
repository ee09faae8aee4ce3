"""verdicts - what was aimed at, beside what was measured. No measuring, no printing.

An aim is a heading with claims under it; a claim is a bound on the median of what the rounds of one measure gave: the
ratio to another peer in the same round, or where `reference` is None the value itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from report import OTHER_WORK_NOTED, Outcome


@dataclass(frozen=True)
class Claim:
    """`at_most`: less is better. `least`: what the project is not done without, in the same unit."""

    measure: str
    peer: str
    reference: str | None
    bound: float
    at_most: bool = False
    least: float | None = None

    @property
    def text(self) -> str:
        of = f" x {self.reference}" if self.reference else UNITS.get(self.measure.partition("-")[0], "")
        return f"{self.measure}: {self.peer} {'<=' if self.at_most else '>='} {self.bound:,g}{of}"


@dataclass(frozen=True)
class Aim:
    name: str
    words: str
    claims: tuple[Claim, ...]


_BULK = ("download-default", "upload-default", "download-aes128", "upload-aes128")
_KINDS = ("ecdsa", "rsa")
_OURS = ("ours", "serve")
MEMORY_HELD = GROWTH_HELD = 500
UNITS = {"memory": " KiB", "growth": " x none held", "tls13": " x TLS 1.2", "resumed": " x full"}
AIMS = (
    Aim(
        "bulk",
        "one connection's bytes, full isolation on",
        (
            *(Claim(name, "ours", "original", 5.0) for name in _BULK),
            *(Claim(name, "ours", "stunnel", 1.0) for name in _BULK),
        ),
    ),
    Aim(
        "wrapper",
        "one program start per connection, below tcpserver",
        (
            *(Claim(f"connections-{kind}", "ours", "original", 1.0, least=0.9) for kind in _KINDS),
            *(Claim(f"latency-{kind}", "ours", "original", 1.0, at_most=True) for kind in _KINDS),
        ),
    ),
    Aim(
        "serve",
        "the listener",
        (
            Claim("connections-ecdsa", "serve", "original", 3.0, least=2.0),
            Claim("connections-ecdsa", "serve", "stunnel", 1.3),
        ),
    ),
    Aim(
        "memory",
        "net and key of an idle connection",
        (
            Claim(f"memory-{MEMORY_HELD}", "serve", None, 1536.0, at_most=True),
            Claim(f"memory-used-{MEMORY_HELD}", "serve", None, 1536.0, at_most=True),
        ),
    ),
    Aim("growth", "the rate beside idle connections", (Claim(f"growth-{GROWTH_HELD}", "serve", None, 0.9),)),
    Aim(
        "tls13",
        "TLS 1.3 beside our own TLS 1.2",
        (
            *(Claim(f"tls13-{kind}", peer, None, 0.95) for kind in _KINDS for peer in _OURS),
            *(Claim(f"tls13-{name}", peer, None, 0.95) for name in _BULK for peer in _OURS),
        ),
    ),
    Aim(
        "resumed",
        "resumed connections beside full ones",
        tuple(Claim(f"resumed-{kind}", peer, None, 1.0) for kind in _KINDS for peer in _OURS),
    ),
    # A floor under what was measured, so that a fall is told; it promises nothing.
    Aim(
        "client",
        "a floor under the client",
        (
            *(Claim(f"client-{name}", "s6-tlsc", "openssl", 0.3) for name in _BULK),
            Claim("client-connections-ecdsa", "s6-tlsc", "openssl", 0.3),
        ),
    ),
)


def judge(claim: Claim, outcome: Outcome | None) -> dict[str, Any]:
    """One claim against what was measured; `holds` is None when it was not. `reached`: 1 is the bound."""
    if outcome is None:
        values = []
    elif claim.reference:
        values = outcome.ratios(claim.peer, claim.reference)
    else:
        values = outcome.values(claim.peer)
    if not values:
        why = "not measured"
        for name in (claim.peer, claim.reference):
            if outcome and name in outcome.errors:
                why += f" ({name}: {outcome.errors[name]})"
        return {"claim": claim.text, "holds": None, "text": f"{claim.text}: {why}"}
    middle = median(values)

    def meets(value: float, bound: float) -> bool:
        return value <= bound if claim.at_most else value >= bound

    holds = meets(middle, claim.bound)
    word = "holds" if holds else "falls short"
    if claim.least is not None and not meets(middle, claim.least):
        word += f", not done below {claim.least:g}"
    met = sum(meets(value, claim.bound) for value in values)
    spread = f"{min(values):,.2f} .. {max(values):,.2f}, met in {met} of {len(values)} rounds"
    if outcome and outcome.other_work() > OTHER_WORK_NOTED:
        spread += "; rough, other work was running"
    return {
        "claim": claim.text,
        "holds": holds,
        "value": round(middle, 4),
        "reached": round(claim.bound / middle if claim.at_most else middle / claim.bound, 4),
        "done": holds or claim.least is None or meets(middle, claim.least),
        "text": f"{claim.text}: {word} (median {middle:,.2f}, {spread})",
    }


def conclude(aim: Aim, claims: list[dict[str, Any]]) -> dict[str, Any]:
    """The aim's own line: it holds when every claim does, falls short when one does."""
    judged = [claim for claim in claims if claim["holds"] is not None]
    held = sum(claim["holds"] for claim in judged)
    worst = min(judged, key=lambda claim: claim["reached"], default=None)
    if worst is None:
        holds, word = None, "not measured"
    elif held < len(judged):
        holds, word = False, "falls short"
        if not all(claim["done"] for claim in judged):
            word += ", not done"
    elif len(judged) < len(claims):
        holds, word = None, "holds as far as measured"
    else:
        holds, word = True, "holds"
    text = f"{aim.name}, {aim.words}: {word}"
    if worst:
        text += f" ({held} of {len(claims)} claims; the least reaches {worst['reached']:.2f} of its bound)"
    return {"aim": aim.name, "holds": holds, "text": text, "claims": claims}


def verdicts(outcomes: dict[str, Outcome], every: bool = False) -> list[dict[str, Any]]:
    """Every aim, or each of which this run measured something."""
    found = []
    for aim in AIMS:
        if every or any(claim.measure in outcomes for claim in aim.claims):
            found.append(conclude(aim, [judge(claim, outcomes.get(claim.measure)) for claim in aim.claims]))
    return found


def lines(found: list[dict[str, Any]]) -> list[str]:
    """As text: a line for each aim, below it one for each claim."""
    out = []
    for aim in found:
        out.append(f"{aim['text']}")
        out += [f"  {claim['text']}" for claim in aim["claims"]]
    return out
