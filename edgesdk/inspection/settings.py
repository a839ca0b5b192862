"""What an inspection line is told: where its parts are, and how they are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesdk.inspection.verdict import Outcome

Moves = Literal["right", "left", "down", "up"]
Finder = Literal["belt", "detector"]
Untriggered = Literal["fail", "ignore"]
Fuse = Literal["max", "median", "mean"]


@dataclass(frozen=True)
class PartSettings:
    """How parts are found and when they are due. Raises ValueError for a value out of range."""

    size_px: tuple[float, float] = (50.0, 140.0)
    """The smallest and the largest part, in pixels of the picture along the belt and across it.
    What is smaller is dirt; what is larger is several parts that touch, or no part of this line."""
    moves: Moves = "right"
    """Where the belt goes, in the picture."""
    station: float = 0.5
    """Where parts are judged: the share of the way through the picture, 0 where they come in."""
    between: tuple[float, float] = (0.0, 1.0)
    """Only what lies between these shares of the picture across the belt is looked at, so that
    rails and the floor are left out."""
    contrast: float = 30.0
    """Of the finder "belt": a pixel is part of a part when it differs by more grey levels than this
    from the belt, in one colour at least."""
    crop_px: int = 0
    """Side of the square that the model is given; the same for all, so that a part is as large in
    each. 0: a third more than the largest part."""
    views: int = 1
    """So many pictures of each part are inspected: those nearest to the station."""
    sightings: int = 2
    """In so many frames a part must be seen before it counts: one garbled frame makes no part."""
    speed_px_s: float = 0.0
    """Of the belt. 0: measured from the parts. To be given where a part is in fewer than three
    frames."""
    delay_ms: float = 0.0
    """With an outside trigger: from the moment it fires until the part is at the station."""
    untriggered: Untriggered = "fail"
    """What becomes of a part for which no outside trigger fires: "fail", as where a light barrier
    is cut; "ignore" where the trigger fires only for the parts that are to be inspected."""
    finder: Finder = "belt"
    """What finds them: "belt" is what differs from the belt they lie on; "detector" the boxes of a
    bundle that was trained on them."""
    bundle: str = ""
    """Of that detector, relative to the app's folder."""
    classes: tuple[str, ...] = ()
    """Of its labels, those that are parts; empty: all."""
    min_score: float = 0.0
    """A box below this is no part, 0..1; 0: the bundle's own threshold."""

    def __post_init__(self) -> None:
        self._check_finder()
        low, high = self.size_px
        if not 0 < low < high:
            raise ValueError(f"size_px should be two growing numbers above 0, found {self.size_px}")
        if not 0 < self.station < 1:
            raise ValueError(f"station should be between 0 and 1, found {self.station:g}")
        if not 0 <= self.between[0] < self.between[1] <= 1:
            raise ValueError(f"between should be two growing shares 0..1, found {self.between}")
        if not 1 <= self.contrast <= 254:
            raise ValueError(f"contrast should be from 1 to 254, found {self.contrast:g}")
        if self.crop_px and self.crop_px < 8:
            raise ValueError(f"crop_px should be 0 or at least 8, found {self.crop_px}")
        for name, least in (("views", 1), ("sightings", 1), ("speed_px_s", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} should be {least} or more, found {getattr(self, name)}")

    def _check_finder(self) -> None:
        if self.finder == "detector" and not self.bundle:
            raise ValueError('finder = "detector" needs the key bundle: which detector')
        if self.finder == "belt" and (self.bundle or self.classes or self.min_score):
            raise ValueError('bundle, classes and min_score need finder = "detector"')
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score should be from 0 to 1, found {self.min_score:g}")

    @property
    def side_px(self) -> int:
        """Side of the square that the model is given."""
        return self.crop_px or round(self.size_px[1] * 4 / 3)


@dataclass(frozen=True)
class JudgeSettings:
    """How a score becomes a verdict. Raises ValueError for a value out of range."""

    threshold: float | None = None
    """A score from here on is a reject. None: what the model's spec says; of a classifier or a
    detector 0.5."""
    fuse: Fuse = "max"
    """Makes one score of several views: the worst decides, or the middle, or the mean."""
    deadline_ms: float = 100.0
    """From the moment a part is due until its verdict; a later one is late."""
    fail_safe: Outcome = "reject"
    """The outcome of a part that was late, was not seen or could not be inspected. A part whose
    score says reject is rejected whatever this says."""
    defects: tuple[str, ...] = ()
    """Where the model is a detector: those of its labels that make a part bad. The score is that of
    the surest of them."""

    def __post_init__(self) -> None:
        if not self.deadline_ms > 0:
            raise ValueError(f"deadline_ms should be positive, found {self.deadline_ms:g}")
