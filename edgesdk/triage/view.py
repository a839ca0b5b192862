"""A picture for people: what was found, how sure that is, and where."""

from __future__ import annotations

import math

import numpy as np

from edgesdk._optional import require
from edgesdk.tensors import Floats
from edgesdk.triage.triaged import Triaged
from edgesdk.vision.classification import Classification
from edgesdk.vision.pen import DARK, LIGHT, Color, Picture

NOTICE = "Not a medical device. Sample software."
_SIDE_PX = 210
"""Of the square that the picture is put into, twice."""
_BAR_PX = 34
_SURE: Color = (200, 190, 175)
_UNCERTAIN: Color = (0, 159, 230)
_UNREAD: Color = (0, 94, 213)
_COLORS = {"sure": _SURE, "uncertain": _UNCERTAIN, "unread": _UNREAD}
"""BGR; a sure answer is grey, neither good nor bad, the others are of Okabe and Ito's colours."""


def draw_card(image: Picture, event: Triaged, found: Classification, calm: int) -> Picture:
    """A new picture: `image` beside itself with the heat map, what was found, and the notice.

    The heat map shows how likely each place is of another class than `calm`, the index of the
    least urgent one. Without a heat map there is the picture alone. Raises MissingExtra without
    OpenCV.
    """
    plain = _fitted(image)
    shown = (
        plain if found.heat is None else _heated(plain, found.heat.sum(axis=0) - found.heat[calm])
    )
    plain, shown = _framed(plain), _framed(shown)
    text = f"{event.label}  {percent(event.confidence)}  {event.status}"
    if event.status == "unread":
        text = "unread"
    elif event.urgent_for != event.label:
        text += f"   {event.urgent_for} {percent(event.likelihood)}"
    return np.vstack(
        [
            _bar(text, _COLORS[event.status]),
            np.hstack([plain, shown]),
            _bar(NOTICE, DARK, LIGHT),
        ]
    )


def percent(share: float) -> str:
    """Rounded down: what is just below a limit does not look as if it were at it."""
    return f"{math.floor(100 * share + 1e-6)}%"


def _fitted(picture: Picture) -> Picture:
    """As large as it can be within the square."""
    cv2 = require("cv2", "draw on pictures")
    height, width = picture.shape[:2]
    share = _SIDE_PX / max(height, width)
    size = max(round(width * share), 1), max(round(height * share), 1)
    how = cv2.INTER_CUBIC if share > 1 else cv2.INTER_AREA
    fitted: Picture = cv2.resize(picture, size, interpolation=how)
    return fitted


def _framed(picture: Picture) -> Picture:
    """In the middle of the square."""
    square = np.full((_SIDE_PX, _SIDE_PX, 3), DARK, np.uint8)
    top, left = ((_SIDE_PX - size) // 2 for size in picture.shape[:2])
    square[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return square


def _heated(picture: Picture, heat: Floats) -> Picture:
    """A colour over each place, the stronger the likelier; the unlikely ones stay as they are."""
    cv2 = require("cv2", "draw on pictures")
    size = picture.shape[1::-1]
    share = np.clip(cv2.resize(np.nan_to_num(heat), size, interpolation=cv2.INTER_LINEAR), 0, 1)
    color = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    weight = (0.8 * np.clip(2 * share - 0.6, 0, 1))[..., None]
    mixed: Picture = (picture * (1 - weight) + color * weight).astype(np.uint8)
    return mixed


def _bar(text: str, ground: Color, ink: Color = DARK) -> Picture:
    cv2 = require("cv2", "draw on pictures")
    bar = np.full((_BAR_PX, 2 * _SIDE_PX, 3), ground, np.uint8)
    place = (10, _BAR_PX - 11)
    cv2.putText(bar, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.52, ink, 1, cv2.LINE_AA)
    return bar
