"""What is kept of one part, and of the run that judged it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesdk.inspection.verdict import Verdict
from edgesdk.vision.parts import Box


@dataclass(frozen=True)
class Origin:
    """What judged the parts of a log."""

    app: str
    run_id: str
    digest: str = ""
    """Of the bundle, or of the float model."""
    model: str = ""
    """For people: a bundle or a float model, and its precision."""
    backend: str = ""
    """Its name and version: another one may round scores differently."""
    edgesdk: str = ""
    """Version."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The app's, as they were set for the run."""
    finder_digest: str = ""
    """Of the detector's bundle that found the parts; empty: they were found on the belt."""
    finder: str = ""
    """The same for people."""


@dataclass(frozen=True, eq=False)
class RecordedView:
    """A picture of a part, and what the model said of it."""

    picture: NDArray[np.uint8]
    """Bit for bit what was cut out of the frame: BGR, shape (h, w, 3)."""
    box: Box
    frame: int
    time_ms: float
    score: float | None
    """None: the model was not asked, or failed."""
    heat: NDArray[np.float32] | None
    """Bit for bit the model's, shape (h, w)."""


@dataclass(frozen=True, eq=False)
class Record:
    """One part."""

    verdict: Verdict
    time_utc: str
    """When the frame was captured by the wall clock, ISO 8601 with milliseconds and a Z."""
    error: str = ""
    """What failed, where the verdict's reason is "error"."""
    views: tuple[RecordedView, ...] = ()


def chained(previous: str, record: Record) -> str:
    """The digest of a record and all before it: SHA-256 in hex over the one before (empty for the
    first), the fields and the pixels. A record that is changed or taken out breaks all after it."""
    whole = hashlib.sha256(previous.encode())
    whole.update(_text((*dataclasses.astuple(record.verdict), record.time_utc, record.error)))
    for view in record.views:
        whole.update(_text((*view.box, view.frame, view.time_ms, view.score)))
        for pixels in (view.picture, view.heat):
            if pixels is not None:
                whole.update(repr((pixels.shape, pixels.dtype.str)).encode())
                whole.update(np.ascontiguousarray(pixels).tobytes())
    return whole.hexdigest()


def _text(values: tuple[object, ...]) -> bytes:
    """The same for a value and what SQLite gives back of it: -0.0 comes back as 0.0."""
    return json.dumps([v + 0.0 if isinstance(v, float) else v for v in values]).encode()
