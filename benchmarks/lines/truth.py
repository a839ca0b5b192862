"""What is really there in the two clips without a ground truth: by hand, by looking at the frames.

Road: the middle of the visible part of each vehicle. A detector's boxes were the draft; each was
looked at in the frames around y = 130, 150, 190, 230, 265 and 285, and the fourth (a pickup, whose
boxes break in two at the picture's edge) was placed by eye. Bottles: when the middle of the part
that is seen passes y = 150, from sheets of every fourth frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Path = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Frames (N,) and places (N, 2)."""

VEHICLES = (
    # White saloon
    "0,260,151 10,294,169 17,338,195 23,404,229 28,479,274 30,509,280 31,535,282 32,528,287 "
    "34,545,291 39,603,317",
    # Red car
    "15,210,114 50,240,142 62,265,157 69,293,174 74,321,196 79,367,220 85,447,268 88,506,282 "
    "92,541,297 97,613,323",
    # Grey saloon
    "62,212,111 63,217,118 83,229,123 98,244,140 109,260,154 117,285,168 131,371,220 "
    "135,417,246 140,498,280 145,544,296 149,593,314",
    # Pickup
    "106,212,112 152,243,141 163,264,155 170,289,172 181,352,208 188,425,247 191,464,265 "
    "192,491,269 194,490,271 199,520,281 207,612,311",
    # White SUV
    "169,217,119 203,241,137 227,296,168 231,313,175 242,387,212 248,451,244 251,493,266 "
    "259,563,284 263,605,302",
    # Black SUV
    "357,211,111 398,259,147 415,317,178 424,382,213 431,460,250 433,492,257 439,536,273 "
    "446,608,296",
    # Black taxi
    "411,208,113 454,258,149 466,291,169 474,339,195 475,332,198 478,365,210 479,362,215 "
    "481,379,225 487,445,264 491,503,277 496,539,294 502,605,318",
    # Grey SUV
    "654,207,114 673,225,133 693,259,151 705,300,173 713,350,206 717,385,224 723,458,261 "
    "726,506,270 732,557,289 735,592,299 736,609,312",
    # Black saloon: waits at the light, and leaves upwards
    "0,386,148 440,384,148 482,381,147 506,366,142 521,355,139 540,345,133 560,316,128 590,291,117",
)
"""Frame, x, y in pixels of 640x352; in between they move evenly."""
ROAD_FRAMES = 905

BOTTLES_UP = ((205, 90), (526, 90), (526, 315), (951, 545))
"""Frame and x of a bottle that a hand takes away upwards."""
BOTTLES_DOWN = ((351, 90), (668, 315), (825, 70), (1049, 555))
"""Frame and x of a bottle that a hand puts down."""

STRANGER = "78,282,68 101,228,78 130,142,96 160,48,116 170,16,124"
"""Frame, x, y of a man on the grass behind, in vtest.avi, whom PETS' ground truth leaves out."""


def road_paths() -> list[Path]:
    """Of each vehicle its frames (N,) and its places (N, 2)."""
    return [_path(keys) for keys in VEHICLES]


def stranger() -> Path:
    """His frames and places."""
    return _path(STRANGER)


def _path(keys: str) -> Path:
    frame, x, y = np.array([key.split(",") for key in keys.split()], np.int64).T
    frames = np.arange(frame[0], frame[-1] + 1)
    places = [np.interp(frames, frame, each) for each in (x, y)]
    return frames, np.stack(places, axis=1)
