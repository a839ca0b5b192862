"""The reliability diagram: what the model says against how often it is right."""

from __future__ import annotations

import numpy as np

from edgesdk.accuracy import Reliability

_SIDE, _LEFT, _TOP, _GAP = 260, 40, 52, 90
_FEW = 0.01
"""A bin with a smaller share of the pictures is pale: it says little."""
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#16202c}.soft{fill:#5a6777}"
    ".axis{stroke:#5a6777}.even{stroke:#5a6777;stroke-dasharray:5 4}"
    ".bar{fill:#56b4e9}.gap{fill:none;stroke:#d55e00;stroke-width:1.5}"
)


def diagram(before: Reliability, after: Reliability, temperature: float) -> str:
    """SVG of both, side by side. Bars: share that is right; outlines: what was said."""
    width, height = 2 * _SIDE + _LEFT + _GAP + 60, _SIDE + _TOP + 56
    panels = [
        _panel(before, _LEFT, "as trained"),
        _panel(after, _LEFT + _SIDE + _GAP, f"temperature {temperature:g}"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(found: Reliability, left: float, title: str) -> str:
    bins, bottom = len(found.counts), _TOP + _SIDE
    shapes = []
    for place in np.flatnonzero(found.counts):
        seen = 1 if found.counts[place] >= _FEW * found.counts.sum() else 0.25
        x, wide = left + place * _SIDE / bins, _SIDE / bins - 1
        for name, share in (("bar", found.accuracy[place]), ("gap", found.confidence[place])):
            tall = share * _SIDE
            shapes.append(
                f'<rect class="{name}" opacity="{seen}" x="{x:.1f}" y="{bottom - tall:.1f}"'
                f' width="{wide:.1f}" height="{tall:.1f}"/>'
            )
    ticks = "".join(
        f'<text class="soft" x="{left + s * _SIDE:.0f}" y="{bottom + 18}" text-anchor="middle">'
        f'{s:g}</text><text class="soft" x="{left - 8}" y="{bottom - s * _SIDE + 4:.0f}"'
        f' text-anchor="end">{s:g}</text>'
        for s in (0, 0.5, 1)
    )
    return (
        f'<text x="{left}" y="{_TOP - 18}">{title}: calibration error {found.ece:.3f}</text>'
        f"{''.join(shapes)}{ticks}"
        f'<path class="axis" fill="none" d="M{left} {_TOP}V{bottom}H{left + _SIDE}"/>'
        f'<path class="even" d="M{left} {bottom}L{left + _SIDE} {_TOP}"/>'
        f'<text class="soft" x="{left + _SIDE / 2}" y="{bottom + 40}" text-anchor="middle">'
        "confidence; bar: right, outline: said</text>"
    )
