"""draw - the shapes of a picture in SVG, as text: no library is needed for dots, bars and lines."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10

WIDTH, ROW, LEFT, RIGHT = 900, 20, 290, 90
HEAD, FOOT = 46, 34  # above and below the rows of a panel
GREY, DARK = "#ddd", "#444"
# For colour-blind eyes too; told apart by their labels as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"/>'


def dot(x: float, y: float, colour: str, opacity: float = 1) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity="{opacity:g}"/>'


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def path(points: list[tuple[float, float]], colour: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'


def spread(value: float, low: float, high: float, begin: float, end: float) -> float:
    """Where a value of the range low .. high lies between begin and end."""
    return begin + (value - low) / (high - low) * (end - begin) if high > low else begin


def decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten that hold all values (above 0)."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def picture(panels: list[tuple[list[str], float]]) -> str:
    """Panels (shapes, height), one below the other."""
    height = sum(tall for _, tall in panels) or ROW
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH} {height:g}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height:g}" fill="white"/>',
    ]
    at = 0.0
    for shapes, tall in panels:
        out += [f'<g transform="translate(0 {at:g})">', *shapes, "</g>"]
        at += tall
    return "\n".join([*out, "</svg>"]) + "\n"
