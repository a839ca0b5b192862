"""The three real clips, with what detectors see in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.crossings import Passed, passages
from benchmarks.lines import truth
from benchmarks.lines.cases import Case, Ends, Frames, TrueLine, level, true_line
from benchmarks.lines.recorded import RECORDINGS, Recording, load
from edgesdk.detections import Detections

SHOWN = {"yolox-nano": (0.1, 0.2, 0.3, 0.4), "nanodet-m": (0.3, 0.4), "vehicles": (0.3, 0.45)}


def road(folder: Path) -> list[Case]:
    """Eight vehicles, three detectors, level and slanted lines and one of two parts."""
    slanted = [
        ("0,180-640,260", (((0.0, 180.0), (640.0, 260.0)),)),
        ("0,260-640,180", (((0.0, 260.0), (640.0, 180.0)),)),
        ("100,300-560,140", (((100.0, 300.0), (560.0, 140.0)),)),
        ("two: 0,240-320,200-640,240", (((0, 240), (320, 200)), ((320, 200), (640, 240)))),
    ]
    lines = tuple(
        _road_line(name, parts) for name, parts in [*map(level, range(140, 301, 20)), *slanted]
    )
    return [
        Case("road", f"{each.detector} {each.precision} from {score:g}", 24.0, frames, lines, 120.0)
        for each, score, frames in _seen("road_8_vehicles.mp4", SHOWN, folder)
    ]


def _road_line(name: str, parts: tuple[Ends, ...]) -> TrueLine:
    """Near the picture's lower edge a vehicle leaves before it is clear of the line, so it may be
    counted and need not be."""
    sure: list[Passed] = []
    possible: list[Passed] = []
    for frames, places in truth.road_paths():
        for part in parts:
            ahead = passages(frames, places, part, 15)
            sure += ahead
            possible += [] if ahead else passages(frames, places, part, 1)
    return TrueLine(name, parts, tuple(sure), tuple(possible))


PEOPLE_SCORES = {"yolox-nano": (0.2, 0.3, 0.4, 0.5), "nanodet-m": (0.3, 0.4)}


def people(true: Sequence[Detections], folder: Path) -> list[Case]:
    """PETS09-S2L1 and its true boxes: upright and level lines."""
    frames, places = truth.stranger()
    lines = tuple(
        replace(line, possible=(*line.possible, *passages(frames, places, line.parts[0], 1)))
        for line in people_lines(true)
    )
    return [
        Case("people", f"{each.detector} from {score:g}", 10.0, frames, lines)
        for each, score, frames in _seen("vtest.avi", PEOPLE_SCORES, folder)
    ]


def people_lines(true: Sequence[Detections]) -> tuple[TrueLine, ...]:
    """Level lines end before the right edge, where people are seen before the truth begins."""
    upright = [(f"x={x}", (((float(x), 576.0), (float(x), 0.0)),)) for x in range(150, 651, 50)]
    across = [level(y, right=690.0) for y in (200, 260, 340)]
    return tuple(true_line(name, parts, true) for name, parts in [*upright, *across])


BOTTLE_SCORES = {"yolox-nano": (0.2, 0.3, 0.4)}


def bottles(folder: Path) -> list[Case]:
    """A hand takes bottles away upwards and puts them back."""
    moves = ((True, truth.BOTTLES_DOWN), (False, truth.BOTTLES_UP))
    lines = []
    for y in (130, 150, 170, 190):
        name, parts = level(y)
        sure = [Passed(frame, down, x, y) for down, some in moves for frame, x in some]
        lines.append(TrueLine(name, parts, tuple(sure)))
    return [
        Case("bottles", f"{each.detector} from {score:g}", 30.0, frames, tuple(lines))
        for each, score, frames in _seen("bottle-detection.mp4", BOTTLE_SCORES, folder)
    ]


def _seen(
    clip: str, scores: Mapping[str, tuple[float, ...]], folder: Path
) -> Iterator[tuple[Recording, float, Frames]]:
    for each in RECORDINGS:
        if each.clip == clip:
            for score in scores[each.detector]:
                yield each, score, tuple(enumerate(load(each, folder, score)))
