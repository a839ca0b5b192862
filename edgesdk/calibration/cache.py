"""Finished and interrupted passes, kept in files that are never trusted.

A file is an npz without pickled objects: a JSON header with the fingerprint of what was calibrated,
and for each tensor its counts and largest magnitudes. One that is damaged, foreign or of another
format counts as absent, and is replaced.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from edgesdk import _files
from edgesdk._digest import sha256_bytes
from edgesdk._version import __version__
from edgesdk.calibration import watch as sampling
from edgesdk.calibration.histogram import BINS
from edgesdk.calibration.moments import Moments
from edgesdk.calibration.peaks import FOLDS, Peak, Peaks
from edgesdk.calibration.statistics import Statistics, TensorStatistics
from edgesdk.calibration.watch import Watch
from edgesdk.errors import EdgeError
from edgesdk.model import Model
from edgesdk.tensors import Array

FORMAT = 1
"""Of the files; counted up when their content changes its meaning."""
KEPT = 8
"""So many of the newest files stay."""
DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Progressed:
    """A pass, finished or not."""

    statistics: Statistics
    done: frozenset[int] = frozenset()
    """Numbers, in the order of the feeds, of the pictures that were seen; empty when finished."""
    finished: bool = False


@dataclass(frozen=True)
class CacheFile:
    """Where the pass with this fingerprint is kept."""

    folder: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file; it need not exist."""
        return self.folder / f"{self.fingerprint}.npz"

    def load(self, watch: Watch) -> Progressed | None:
        """What was kept of a pass over these tensors; None: nothing that can be used."""
        if not self.path.is_file():
            return None
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as arrays:
                return _read(arrays, self.fingerprint, watch)
        except DAMAGE:
            return None

    def save(self, progressed: Progressed) -> None:
        """Keep it, and remove the oldest files beyond KEPT.

        A cache that cannot be written costs time in the next run, so that this one goes on.
        """
        try:
            _files.write_atomic(self.path, _written(progressed, self.fingerprint))
        except EdgeError:
            return
        _files.clear_abandoned(self.folder)
        files = sorted(self.folder.glob("*.npz"), key=_age, reverse=True)
        for old in files[KEPT:]:
            with contextlib.suppress(OSError):
                old.unlink()


def fingerprint(model: Model, watch: Mapping[str, int], pictures: int | None, *feeds: str) -> str:
    """SHA-256 that names a pass: model, watched tensors, sampling, formats and `feeds`.

    `feeds` is all that decides the model's inputs and how they are run: the digest of the pictures,
    the preprocessing, the backend's version.
    """
    rules = [sampling.CHANNEL_SAMPLES, sampling.TENSOR_SAMPLES, sampling.LEAST_POSITIONS]
    facts = [FORMAT, __version__, model.digest, sorted(watch.items()), pictures, rules, feeds]
    return sha256_bytes(json.dumps(facts).encode())


def _written(progressed: Progressed, name: str) -> bytes:
    tensors = progressed.statistics.tensors
    header = {
        "format": FORMAT,
        "fingerprint": name,
        "finished": progressed.finished,
        "pictures": progressed.statistics.pictures,
        "skipped": progressed.statistics.skipped,
        "tensors": [_header(tensor, found) for tensor, found in tensors.items()],
    }
    arrays: dict[str, Array] = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "done": np.array(sorted(progressed.done), np.int64),
    }
    for number, found in enumerate(tensors.values()):
        counts = found.histogram.counts
        small = np.min_scalar_type(int(counts.max(initial=0)))
        arrays[f"counts{number}"] = counts.astype(small)
        arrays[f"largest{number}"] = found.histogram.largest
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # what numpy.savez does, but never with pickle
        for label, array in arrays.items():
            with archive.open(f"{label}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def _header(tensor: str, found: TensorStatistics) -> dict[str, Any]:
    return {
        "name": tensor,
        "axis": found.histogram.axis,
        "peaks": asdict(found.peaks),
        "moments": None if found.moments is None else asdict(found.moments),
    }


def _read(arrays: Mapping[str, Any], name: str, watch: Watch) -> Progressed | None:
    header = json.loads(arrays["header"].tobytes())
    points = [(point.tensor, point.axis) for point in watch.points]
    known = [(entry["name"], entry["axis"]) for entry in header["tensors"]]
    if (header["format"], header["fingerprint"], known) != (FORMAT, name, points):
        return None
    tensors = {
        entry["name"]: _tensor(entry, arrays[f"counts{number}"], arrays[f"largest{number}"])
        for number, entry in enumerate(header["tensors"])
    }
    statistics = Statistics(tensors, int(header["pictures"]), dict(header["skipped"]))
    return Progressed(statistics, frozenset(arrays["done"].tolist()), bool(header["finished"]))


def _tensor(entry: dict[str, Any], counts: Any, largest: Any) -> TensorStatistics:
    """Raises ValueError, KeyError or TypeError for anything that `_written` does not write."""
    sound = (
        counts.dtype.kind == "u"
        and counts.ndim == 2
        and counts.shape == (len(largest), BINS)
        and largest.dtype == np.float32
        and bool(np.isfinite(largest).all() and (largest >= 0).all())
    )
    if not sound:
        raise ValueError("not the counts of a tensor")
    found = TensorStatistics(int(entry["axis"]))
    if len(largest):
        found.histogram.restore(counts.astype(np.int64), largest)
    found.peaks = _peaks(entry["peaks"])
    if entry["moments"] is not None:
        found.moments = Moments(**entry["moments"])
    return found


def _peaks(entry: dict[str, Any]) -> Peaks:
    if len(entry["folds"]) != FOLDS:
        raise ValueError("another number of folds")
    highest = tuple(Peak(float(p["value"]), str(p["picture"])) for p in entry["highest"])
    folds = [float(value) for value in entry["folds"]]
    return Peaks(int(entry["pictures"]), int(entry["total"]), highest, folds)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another build removed it meanwhile
        return 0.0
