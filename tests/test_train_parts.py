"""The script that makes the model of line_inspection: what it writes, the app can run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesdk._optional import available
from edgesdk.apps import RunRequest, load_app, prepare_run
from edgesdk.inspection import Verdict
from edgesdk.pipeline import Collect
from edgesdk.sim import LINE_LABELS

APP = Path(__file__).parent.parent / "apps" / "line_inspection"
needs_torch = pytest.mark.skipif(
    not (available("torch") and available("onnxruntime") and available("cv2")),
    reason="needs torch: pip install 'edgesdk[torch,cpu,video]'",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for two steps on a twelfth of the lines."""
    out = tmp_path_factory.mktemp("made") / "small.onnx"
    given = ["--steps", "2", "--batch", "2", "--share", "0.08", "--out", str(out)]
    command = [sys.executable, str(APP / "train.py"), *given]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def interface(path: Path) -> dict[str, list[int]]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    entries = (*model.graph.input, *model.graph.output)
    return {e.name: [d.dim_value for d in e.type.tensor_type.shape.dim] for e in entries}


@needs_torch
def test_it_writes_a_model_of_the_carried_ones_interface(made: Path) -> None:
    assert interface(made) == interface(APP / "model" / "parts.onnx")


@needs_torch
def test_its_note_is_about_the_model_and_names_every_kind_of_defect(made: Path) -> None:
    note = json.loads(made.with_suffix(".json").read_text())
    assert note["sha256"] == hashlib.sha256(made.read_bytes()).hexdigest()
    carried = json.loads((APP / "model" / "parts.json").read_text())
    assert set(note) == set(carried)
    assert set(note["tried"]) == {"good", *LINE_LABELS[1:]} == set(carried["tried"])
    for row in note["tried"].values():
        assert 0 <= row["rejected"] <= row["parts"]
        assert row["lowest"] <= row["highest"]


@needs_torch
def test_the_app_runs_with_what_was_written(made: Path, tmp_path: Path) -> None:
    site = tmp_path / "app.toml"
    site.write_text(
        'name = "fresh"\nfrom = "line_inspection"\n'
        f'[model]\nfile = "{made}"\nspec_file = "{made.with_suffix(".toml")}"\n'
        "[settings.judge]\ndeadline_ms = 1e9\n"
    )
    collect = Collect()
    request = RunRequest("sim://line?seed=9&frames=40&rate=600&fps=25", policy="all")
    with prepare_run(load_app(tmp_path), request, [collect]) as run:
        run.pipeline.run()
    verdicts = [event for event in collect.events if isinstance(event, Verdict)]
    note = json.loads(made.with_suffix(".json").read_text())
    assert len(verdicts) >= 10
    assert {verdict.reason for verdict in verdicts} == {"score"}
    assert [verdict.threshold for verdict in verdicts] == [note["threshold"]] * len(verdicts)
    assert np.isfinite([verdict.score for verdict in verdicts]).all()
