"""plot - a run as a picture: ratios, rates, bytes, percentiles of the latency, memory and growth, a panel each.

What was not measured has no row, and a panel without rows is left out.
"""

from __future__ import annotations

from math import ceil, floor, log2, log10
from statistics import median

from draw import (
    COLOURS,
    DARK,
    FOOT,
    GREY,
    HEAD,
    LEFT,
    RIGHT,
    ROW,
    WIDTH,
    box,
    decades,
    dot,
    line,
    nice,
    path,
    picture,
    spread,
    text,
)
from peers import PEERS
from report import Outcome, percentile

Panel = tuple[list[str], float]
CURVE_HEIGHT = 260
LABEL_STEP = 13
SHARES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
_ORDER = [peer.name for peer in PEERS]


def colour(peer: str) -> str:
    return COLOURS[_ORDER.index(peer) % len(COLOURS)] if peer in _ORDER else DARK


def head(title: str, note: str = "") -> list[str]:
    return [text(10, 20, title, weight="bold"), text(10, 36, note)]


def ratios(outcomes: list[Outcome]) -> Panel | None:
    """Ratios to the reference on a logarithmic scale around 1; green lies on the better side, red on the other."""
    rows = []
    for outcome in outcomes:
        for peer in outcome.samples:
            found = outcome.ratios(peer, outcome.measure.reference)
            if peer != outcome.measure.reference and found:
                rows.append((outcome.measure, peer, found))
    if not rows:
        return None
    references = sorted({measure.reference for measure, _, _ in rows}, reverse=True)
    every = [ratio for _, _, found in rows for ratio in found]
    low = min([floor(log2(ratio)) for ratio in every] + [-1])
    high = max([ceil(log2(ratio)) for ratio in every] + [1])
    bottom = HEAD + ROW * len(rows)
    title = f"Ratio to {' or '.join(references)}, a dot per round, a bar at the median"
    out = head(title, "(<) marks measures where less is better")

    def x(ratio: float) -> float:
        return spread(log2(ratio), low, high, LEFT, WIDTH - RIGHT)

    for power in range(low, high + 1):
        at = x(2.0**power)
        out.append(line(at, HEAD, at, bottom, DARK if power == 0 else GREY))
        out.append(text(at, bottom + 16, f"{2**power}" if power >= 0 else f"1/{2**-power}", "middle"))
    for number, (measure, peer, found) in enumerate(rows):
        y, middle = HEAD + ROW * (number + 0.5), median(found)
        good = middle >= 1 if measure.higher_is_better else middle <= 1
        ink = "#2a7f3f" if good else "#b3382c"
        label = f"{measure.name}{'' if measure.higher_is_better else ' (<)'}: {peer}"
        out.append(text(LEFT - 10, y + 4, label, "end"))
        out += [dot(x(ratio), y, ink, 0.45) for ratio in found]
        out.append(line(x(middle), y - 7, x(middle), y + 7, ink, 3))
        out.append(text(WIDTH - RIGHT + 12, y + 4, f"{middle:.2f} x"))
    return out, bottom + FOOT


def bars(outcomes: list[Outcome], kind: str, title: str, digits: int = 0) -> Panel | None:
    """The medians of one kind of measure, from 0."""
    rows = [
        (outcome.measure.name, peer, median(values))
        for outcome in outcomes
        if outcome.measure.kind == kind
        for peer in outcome.samples
        if (values := outcome.values(peer)) and median(values) > 0
    ]
    if not rows:
        return None
    most = nice(max(value for _, _, value in rows))
    bottom, out = HEAD + ROW * len(rows), head(title)
    for step in range(6):
        at = spread(step, 0, 5, LEFT, WIDTH - RIGHT)
        out.append(line(at, HEAD, at, bottom, GREY))
        out.append(text(at, bottom + 16, f"{most * step / 5:,.{digits}f}", "middle"))
    for number, (name, peer, value) in enumerate(rows):
        y = HEAD + ROW * number
        out.append(text(LEFT - 10, y + ROW / 2 + 4, f"{name}: {peer}", "end"))
        out.append(box(LEFT, y + 3, spread(value, 0, most, 0, WIDTH - RIGHT - LEFT), ROW - 6, colour(peer)))
        out.append(text(WIDTH - RIGHT + 12, y + ROW / 2 + 4, f"{value:,.{digits}f}"))
    return out, bottom + FOOT


def latencies(outcomes: list[Outcome]) -> Panel | None:
    """From the median to the 99th percentile of all samples, in ms, on a logarithmic scale."""
    rows = [
        (outcome.measure.name, peer, [percentile(late, share) for share, _ in SHARES])
        for outcome in outcomes
        if outcome.measure.kind == "latency"
        for peer in outcome.samples
        if (late := outcome.latencies_ms.get(peer))
    ]
    if not rows:
        return None
    low, high = decades([value for _, _, row in rows for value in row])
    bottom, out = HEAD + ROW * len(rows), head("ms to the first byte back: p50, p95, p99")
    for power in range(low, high + 1):
        at = spread(power, low, high, LEFT, WIDTH - RIGHT)
        out += [line(at, HEAD, at, bottom, GREY), text(at, bottom + 16, f"{10.0**power:g}", "middle")]
    for number, (name, peer, row) in enumerate(rows):
        y, ink = HEAD + ROW * (number + 0.5), colour(peer)
        places = [spread(log10(value), low, high, LEFT, WIDTH - RIGHT) for value in row]
        out.append(text(LEFT - 10, y + 4, f"{name}: {peer}", "end"))
        out += [line(places[0], y, places[-1], y, ink, 3), *(dot(at, y, ink) for at in places)]
        out.append(text(WIDTH - RIGHT + 12, y + 4, f"{row[0]:.1f}, {row[-1]:.1f}"))
    return out, bottom + FOOT


def memory(outcomes: list[Outcome], used: bool) -> Panel | None:
    """KiB per idle connection over the number of held ones, both logarithmic; a line for each peer."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for outcome in outcomes:
        if outcome.measure.kind == "memory" and outcome.measure.used == used:
            for peer in outcome.samples:
                values = outcome.values(peer)
                if values and median(values) > 0:
                    curves.setdefault(peer, []).append((outcome.measure.held, median(values)))
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    across, up = decades([held for held, _ in points]), decades([kib for _, kib in points])
    bottom, left = HEAD + CURVE_HEIGHT, 90
    words = "after data both ways" if used else "after one small echo"
    out = head(f"KiB per idle connection, without its program, {words}", "across: connections held")
    for power in range(across[0], across[1] + 1):
        at = spread(power, *across, left, WIDTH - RIGHT)
        out += [line(at, HEAD, at, bottom, GREY), text(at, bottom + 16, f"{10.0**power:,g}", "middle")]
    for power in range(up[0], up[1] + 1):
        at = spread(power, *up, bottom, HEAD)
        out += [line(left, at, WIDTH - RIGHT, at, GREY), text(left - 8, at + 4, f"{10.0**power:,g}", "end")]
    labels = []
    for peer, curve in curves.items():
        places = [
            (spread(log10(held), *across, left, WIDTH - RIGHT), spread(log10(kib), *up, bottom, HEAD))
            for held, kib in sorted(curve)
        ]
        out += [path(places, colour(peer)), *(dot(x, y, colour(peer)) for x, y in places)]
        labels.append((places[-1][1] + 4, places[-1][0] + 8, f"{peer} {sorted(curve)[-1][1]:,.0f}"))
    below = 0.0
    for y, x, words in sorted(labels):
        below = max(y, below + LABEL_STEP)
        out.append(text(x, below, words))
    return out, bottom + FOOT


def svg(outcomes: list[Outcome]) -> str:
    """The whole picture as text."""
    panels = (
        ratios(outcomes),
        bars(outcomes, "rate", "Connections/s"),
        latencies(outcomes),
        bars(outcomes, "bulk", "MB/s of one connection"),
        memory(outcomes, used=False),
        memory(outcomes, used=True),
        bars(outcomes, "growth", "Connections/s beside held ones, as a share of those without", digits=2),
        bars(outcomes, "ways", "TLS 1.3 as a share of TLS 1.2, resumed of full", digits=2),
    )
    return picture([panel for panel in panels if panel])
