"""Line charts, bars and histograms as SVG to be set into HTML: no scripts, no other files."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 460, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 24, 30, 40
_COLOURS = ("#2a6fb0", "#d1702a", "#3b9154", "#9a4fb0", "#777777")
_NUM_TICKS = 5
_BAR_PX, _LABEL_PX = 16, 130


def line_chart(
    title: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str = "",
) -> str:
    """Curves by name over common places, the y axis from 0 to 1."""
    low, high = float(x[0]), float(x[-1])
    parts = [_axes(low, high, 1.0, x_label, y_label)]
    for index, (name, values) in enumerate(series.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        places = " ".join(
            f"{_across(a, low, high):.1f},{_up(b, 1.0):.1f}" for a, b in zip(x, values, strict=True)
        )
        parts.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        y = _HEIGHT - _BOTTOM - 12 - 15 * (len(series) - 1 - index)
        parts.append(
            f'<text x="{_WIDTH - _RIGHT - 4}" y="{y}" text-anchor="end" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return _svg(title, parts, _HEIGHT)


def histogram(title: str, values: Sequence[float], *, x_label: str, num_bins: int = 30) -> str:
    """How often values are how large; those that are not finite are left out."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return ""
    counts, edges = np.histogram(known, bins=num_bins, range=(0, max(float(known.max()), 1e-6)))
    most = float(counts.max())
    parts = [_axes(0.0, float(edges[-1]), most, x_label, "hands")]
    for count, start, stop in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        x, top = _across(start, 0.0, edges[-1]), _up(count, most)
        width = _across(stop, 0.0, edges[-1]) - x
        parts.append(
            f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(width - 1, 0.5):.1f}" '
            f'height="{_up(0, most) - top:.1f}" fill="{_COLOURS[0]}"/>'
        )
    return _svg(title, parts, _HEIGHT)


def bar_chart(title: str, values: Mapping[str, float | None], *, unit: str = "") -> str:
    """A bar for each name, with its number; names without one are left out."""
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return ""
    most = max(max(known.values()), 1e-9)
    room = _WIDTH - _LABEL_PX - 80
    parts = []
    for index, (name, value) in enumerate(known.items()):
        y = _TOP + index * _BAR_PX
        parts.append(
            f'<text x="{_LABEL_PX - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL_PX}" y="{y + 2}" width="{room * value / most:.1f}" '
            f'height="{_BAR_PX - 4}" fill="{_COLOURS[0]}"/>'
            f'<text x="{_LABEL_PX + room * value / most + 5:.1f}" y="{y + 12}">'
            f"{value:.3g} {escape(unit)}</text>"
        )
    return _svg(title, parts, _TOP + len(known) * _BAR_PX + 10)


def _axes(low: float, high: float, most: float, x_label: str, y_label: str) -> str:
    parts = []
    for tick in np.linspace(0, 1, _NUM_TICKS + 1):
        x, y = _across(low + tick * (high - low), low, high), _up(tick * most, most)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="#e3e3e3"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * most:.3g}</text>'
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{low + tick * (high - low):.3g}</text>"
        )
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text x="{_LEFT}" y="{_TOP - 8}">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _across(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.0
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _up(value: float, most: float) -> float:
    return _HEIGHT - _BOTTOM - (value / most) * (_HEIGHT - _TOP - _BOTTOM)


def _svg(title: str, parts: Sequence[str], height: float) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-label="{escape(title, quote=True)}">'
        + "".join(parts)
        + "</svg></figure>"
    )
