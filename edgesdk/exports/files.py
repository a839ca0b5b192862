"""Names of the files that exports write, which refer to each other."""

from __future__ import annotations

GRAPH = "model.onnx"
CACHE = "calibration.cache"
ENGINE = "model.engine"
TIMING = "timing.cache"
LAYERS = "layers.json"
SCRIPT = "build_engine.sh"
CONFIG = "config_infer_primary.txt"
LABELS = "labels.txt"
RECORD = "export.json"
"""What was made, of which bundle: a folder with it may be replaced."""
