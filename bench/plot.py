"""plot - the ratios of a run as an SVG picture, written by hand: no library is needed for dots on a line.

One row per measure and peer; a dot per round, a bar at the median, on a logarithmic scale around
1 = the measure's reference. Green lies on the better side of 1, red on the other.
"""

from __future__ import annotations

from html import escape
from math import ceil, floor, log2
from statistics import median

from report import Outcome

ROW, LEFT, RIGHT, TOP, BOTTOM = 20, 290, 90, 46, 34
WIDTH = 900


def svg(outcomes: list[Outcome]) -> str:
    """The whole picture as text; rows without a ratio are left out."""
    rows = []
    for outcome in outcomes:
        for peer in outcome.samples:
            ratios = outcome.ratios(peer, outcome.measure.reference)
            if peer != outcome.measure.reference and ratios:
                rows.append((outcome.measure, peer, ratios))
    references = sorted({measure.reference for measure, _, _ in rows}, reverse=True)
    every = [ratio for _, _, ratios in rows for ratio in ratios if ratio > 0]
    low = min([floor(log2(ratio)) for ratio in every] + [-1])
    high = max([ceil(log2(ratio)) for ratio in every] + [1])
    height = TOP + ROW * len(rows) + BOTTOM

    def x(ratio: float) -> float:
        return LEFT + (log2(ratio) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def text(at: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
        place = f'x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        return f"<text {place}>{escape(words)}</text>"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(10, 20, f"Ratio to {' or '.join(references)}, a dot per round, a bar at the median", weight="bold"),
        text(10, 36, "(<) marks measures where less is better"),
    ]
    for power in range(low, high + 1):
        at, ratio = x(2.0**power), 2.0**power
        color = "#444" if power == 0 else "#ddd"
        out.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{height - BOTTOM}" stroke="{color}"/>')
        out.append(text(at, height - BOTTOM + 16, f"{ratio:g}", "middle"))
    for number, (measure, peer, ratios) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        middle = median(ratios)
        good = middle >= 1 if measure.higher_is_better else middle <= 1
        color = "#2a7f3f" if good else "#b3382c"
        label = f"{measure.name}{'' if measure.higher_is_better else ' (<)'}: {peer}"
        out.append(text(LEFT - 10, y + 4, label, "end"))
        for ratio in ratios:
            if ratio > 0:
                dot = f'cx="{x(ratio):.1f}" cy="{y:.1f}" r="3" fill="{color}" fill-opacity="0.45"'
                out.append(f"<circle {dot}/>")
        if middle > 0:
            at = x(middle)
            line = f'<line x1="{at:.1f}" y1="{y - 7:.1f}" x2="{at:.1f}" y2="{y + 7:.1f}"'
            out.append(f'{line} stroke="{color}" stroke-width="3"/>')
        out.append(text(WIDTH - RIGHT + 12, y + 4, f"{middle:.2f} x"))
    out.append("</svg>")
    return "\n".join(out) + "\n"
