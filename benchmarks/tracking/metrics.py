"""HOTA, IDF1 and identity switches of one sequence, by TrackEval's own metrics."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
from trackeval.metrics import CLEAR, HOTA, Identity

from benchmarks.tracking.detections import Sequence
from benchmarks.tracking.followers import Follow
from edgesdk.geometry import iou
from edgesdk.tensors import Array


def scored(sequence: Sequence, follow: Follow) -> dict[str, float]:
    """What a tracker makes of the sequence, in per cent; switches and ids are numbers."""
    said = [follow(found) for found in sequence.found]
    true, found = (_numbered(ids) for ids in _identities(sequence, said))
    pairs = zip(sequence.true, said, strict=True)
    data = {
        "gt_ids": true,
        "tracker_ids": found,
        "similarity_scores": [iou(t.xyxy, b.astype(np.float32)) for t, (b, _) in pairs],
        "num_gt_ids": len(np.unique(np.concatenate(true))),
        "num_tracker_ids": len(np.unique(np.concatenate(found))),
        "num_gt_dets": sum(map(len, true)),
        "num_tracker_dets": sum(map(len, found)),
        "num_timesteps": len(true),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        hota = HOTA().eval_sequence(data)
        identity = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
        clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    percent = {"HOTA": hota["HOTA"], "DetA": hota["DetA"], "AssA": hota["AssA"]}
    return {
        **{name: round(100 * float(np.mean(values)), 1) for name, values in percent.items()},
        "IDF1": round(100 * float(identity["IDF1"]), 1),
        "switches": int(clear["IDSW"]),
        "ids": data["num_tracker_ids"],
        "reported": data["num_tracker_dets"],
    }


def _identities(sequence: Sequence, said: list[tuple[Array, Array]]) -> tuple[Any, Any]:
    return [each.track_id for each in sequence.true], [ids for _, ids in said]


def _numbered(frames: list[Array]) -> list[Array]:
    """The same identities as 0, 1, 2 ..."""
    known = np.unique(np.concatenate(frames))
    return [np.searchsorted(known, ids) for ids in frames]
