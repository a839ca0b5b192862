"""The benchmark's own instruments: mAP of resamples, share of INT8, merging of reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks import readme
from benchmarks.quantization.graph import form
from benchmarks.quantization.process import Failed, run
from benchmarks.quantization.report import Report
from edgesdk._optional import available
from edgesdk.detections import Detections

ROOT = Path(__file__).parent.parent


def conv_graph(quantized: bool, per_channel: bool = False) -> onnx.ModelProto:
    """Two convolutions 3 -> 4 -> 4, 1x1 on 8x8; the first with Q/DQ on both inputs if asked."""
    rng = np.random.default_rng(0)
    first = rng.integers(-127, 128, (4, 3, 1, 1), np.int8)
    scale = np.full(3, 0.1, np.float32) if per_channel else np.float32(0.1)
    values = {
        "w1": first if quantized else first.astype(np.float32),
        "w2": rng.normal(size=(4, 4, 1, 1)).astype(np.float32),
        "scale": scale,
        "zero": np.zeros(np.shape(scale), np.int8),
        "wscale": np.full(4, 0.1, np.float32),
        "wzero": np.zeros(4, np.int8),
    }
    nodes = []
    if quantized:
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"], axis=1),
            helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"], axis=1),
            helper.make_node("DequantizeLinear", ["w1", "wscale", "wzero"], ["wd"], axis=0),
            helper.make_node("Mul", ["xd", "scale"], ["xm"]),
        ]
    inputs = ["xd", "wd"] if quantized else ["x", "w1"]
    nodes += [
        helper.make_node("Conv", inputs, ["y"]),
        helper.make_node("Conv", ["y", "w2"], ["z"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, (1, 4, 8, 8))],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_the_share_of_int8_counts_multiply_accumulates_of_layers_between_pairs() -> None:
    found = form(conv_graph(True), conv_graph(False))
    # 4*3 of 4*3 + 4*4 multiply-accumulates for each place.
    assert found["int8_mac_share"] == pytest.approx(12 / 28, abs=1e-4)
    assert found["activation_quantizers"] == 1
    assert found["per_channel_activation_quantizers"] == 0
    assert found["uint8_nodes"] == 0
    assert found["extra_pointwise"] == {"Mul": 1}


def test_a_float_graph_has_no_int8_and_a_per_channel_activation_is_counted() -> None:
    assert form(conv_graph(False), conv_graph(False))["int8_mac_share"] == 0.0
    found = form(conv_graph(True, per_channel=True), conv_graph(False))
    assert found["per_channel_activation_quantizers"] == 1


@pytest.mark.parametrize(("operator", "share"), [("MaxPool", 12 / 28), ("AveragePool", 0.0)])
def test_a_pair_counts_through_operators_that_only_move_values(operator: str, share: float) -> None:
    model = conv_graph(True)
    conv = next(n for n in model.graph.node if n.op_type == "Conv")
    conv.input[0] = "moved"
    model.graph.node.insert(
        4, helper.make_node(operator, ["xd"], ["moved"], kernel_shape=[1, 1], name="between")
    )
    found = form(model, conv_graph(False))
    assert found["int8_mac_share"] == pytest.approx(share, abs=1e-4)
    assert found["int8_mac_share_direct"] == 0.0


def test_uint8_is_seen_in_the_zero_point_and_where_there_is_none() -> None:
    model = conv_graph(True)
    del model.graph.node[0].input[2], model.graph.node[1].input[2]
    assert form(model, conv_graph(False))["uint8_nodes"] == 2


def random_boxes(rng: np.random.Generator, count: int) -> Detections:
    low = rng.uniform(0, 200, (count, 2))
    size = rng.uniform(5, 150, (count, 2))
    xyxy = np.concatenate([low, low + size], 1).astype(np.float32)
    score = rng.uniform(0.01, 1, count).astype(np.float32)
    return Detections(xyxy, score, rng.integers(0, 5, count))


def shaken(boxes: Detections, rng: np.random.Generator) -> Detections:
    xyxy = boxes.xyxy + rng.normal(0, 6, boxes.xyxy.shape).astype(np.float32)
    return Detections(xyxy, boxes.score, boxes.class_id)


@pytest.mark.parametrize("seed", range(3))
def test_the_precision_of_a_resample_is_what_pycocotools_says_of_those_pictures(seed: int) -> None:
    if not available("pycocotools"):
        pytest.skip("needs pycocotools: pip install 'edgesdk[accuracy]'")
    from benchmarks.quantization.precision import AveragePrecision  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    truth = [random_boxes(rng, int(rng.integers(0, 9))) for _ in range(12)]
    found = [shaken(boxes, rng) for boxes in truth]
    drawn = rng.integers(0, 12, 12)
    weights = np.stack([np.ones(12), np.bincount(drawn, minlength=12)])
    whole = AveragePrecision(found, truth)
    again = AveragePrecision([found[i] for i in drawn], [truth[i] for i in drawn])
    expected = [whole.by_pycocotools(), again.by_pycocotools()]
    assert 0.05 < expected[0][0] < 0.95
    np.testing.assert_allclose(whole.resampled(weights), expected, atol=1e-9)


def test_a_report_keeps_the_rows_of_other_runs_and_says_which_run_each_is_from(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.json"
    grid = [("net", "a"), ("net", "b")]
    first = Report.read(path, "what", grid)
    first.runs["2026-01-01"] = {"command": "all"}
    for method in "ab":
        first.add({"model": "net", "method": method, "run": "2026-01-01"})
    first.write(path)
    second = Report.read(path, "what", grid)
    second.runs["2026-01-02"] = {"command": "only b"}
    second.add({"model": "net", "method": "b", "run": "2026-01-02"})
    second.write(path)
    written = json.loads(path.read_text())
    assert [(r["method"], r["run"]) for r in written["rows"]] == [
        ("a", "2026-01-01"),
        ("b", "2026-01-02"),
    ]
    assert set(written["runs"]) == {"2026-01-01", "2026-01-02"}


def test_a_step_that_fails_or_takes_too_long_is_a_reason_not_a_crash() -> None:
    with pytest.raises(Failed, match="stopped after 1 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], 1)
    with pytest.raises(Failed, match="exit code 1: ValueError: too small"):
        run([sys.executable, "-c", "raise ValueError('too small')"], 60)
    with pytest.raises(Failed, match="ended by SIGKILL"):
        run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 60)
    assert run([sys.executable, "-c", "print('noise'); print('{\"a\": 1}')"], 60).answer == {"a": 1}


def test_the_benchmark_says_what_it_can_do_without_the_assets() -> None:
    command = [sys.executable, "-m", "benchmarks.quantization", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--only" in done.stdout
    assert "--quick" in done.stdout


def sample_row(method: str, **changes: object) -> dict[str, object]:
    figure = {"float": 0.35, "int8": 0.34, "drop": 0.01, "low": -0.01, "high": 0.03}
    row: dict[str, object] = {
        "model": "net",
        "method": method,
        "metrics": {"all": {"mAP50-95": figure}},
        "form": form(conv_graph(True, per_channel=True), conv_graph(False)),
        "tensorrt": {"verdict": "builds"},
        "cost": {"cpu_seconds": 12.3, "ratio": 8.1, "peak_mb": 1234.0, "wall_seconds": 9.0},
    }
    return row | changes


def test_the_tables_show_intervals_what_breaks_the_form_and_why_a_row_failed() -> None:
    run = {"command": "x", "machine": {"cpu": "a CPU"}}
    rows = [sample_row("good"), {"model": "net", "method": "bad", "failed": "ended by SIGKILL"}]
    text = "\n".join(readme.quantization({"runs": {"2026-01-02T03": run}, "rows": rows}))
    assert "2026-01-02, a CPU" in text
    assert "| float | 0.350 |" in text
    assert "| good | 0.340 (-0.010 to +0.030) |" in text
    assert "| good | 42.9%, 1 per-channel activations, 1 pointwise nodes more |" in text
    assert "| good | 12 (8.1 x), 1,234 MB |" in text
    assert "| bad | failed |" in text
    assert "bad on net: ended by SIGKILL" in text


def test_the_drop_that_recovery_states_stands_beside_that_on_unseen_pictures() -> None:
    run = {"command": "x", "machine": {"cpu": "a CPU"}}
    rows = [sample_row("recovered", said={"drop": 0.002})]
    text = "\n".join(readme.quantization({"runs": {"2026-01-02": run}, "rows": rows}))
    assert "| recovered on net | 9 | +0.002 | +0.010 (-0.010 to +0.030) |" in text
