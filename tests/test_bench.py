"""`edgesdk bench`: a real bundle on the CPU, its report on stdout and in files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import helper

from edgesdk._optional import available, require
from edgesdk._resources import assets_folder
from edgesdk.backends.reference import ReferenceSession
from edgesdk.bench import BenchRequest, bench, noise_pictures, picture_notes
from edgesdk.bundle import Manifest, Origin, Target, write_bundle
from edgesdk.cli.bench import command
from edgesdk.errors import BundleError, DataError, EdgeError, UnknownName, UsageError
from edgesdk.model import Model, read_model
from edgesdk.preprocess import Preprocess
from edgesdk.report import LatencyReport, MeasureSettings, from_json, read_report
from edgesdk.spec import ModelSpec
from tests.onnx_graphs import make_model

QUICK = MeasureSettings(warmup=2, iterations=8)
CLASSES = ModelSpec(Preprocess(8, 8), {"type": "classes"}, ("red", "green", "blue"))
FLAGS = ["--backend", "reference", "--iterations", "8", "--warmup", "2"]


def classifier() -> Model:
    """The mean of each colour: 1x3x8x8 to 1x3."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    return Model.of(make_model(nodes, {}, {"images": [1, 3, 8, 8]}, ["logits"]), "mean")


def bundle(folder: Path, model: Model, spec: ModelSpec | None) -> Path:
    manifest = Manifest(
        name="mean-colour",
        sdk_version="0.1.0",
        created="2026-01-05T10:20:30Z",
        precision="fp32",
        origin=Origin(model.name, model.digest, model.opset),
        target=Target("agx-orin-64gb", "6.2", "10.3", model.opset),
        spec=spec,
    )
    return write_bundle(folder / "model.edge", model, manifest).path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if not available("cv2"):
        pytest.skip("needs opencv: pip install 'edgesdk[video]'")
    return bundle(tmp_path, classifier(), CLASSES)


def request_of(path: Path, source: str = "") -> BenchRequest:
    return BenchRequest(path, "reference", source, settings=QUICK)


def test_three_stages_are_measured_and_the_bundle_is_named(path: Path) -> None:
    found = bench(request_of(path))
    assert [stage.name for stage in found.stages] == ["preprocess", "inference", "decode"]
    assert (found.total.count, found.warmup.count) == (8, 2)
    subject = found.provenance.subject
    assert (subject.name, subject.target) == ("mean-colour", "agx-orin-64gb")
    assert subject.input == "synthetic noise 1280x720"
    assert "synthetic-input" in [finding.code for finding in found.findings]
    assert found.provenance.software.backend == "reference"


def test_a_simulated_line_is_a_source_of_pictures(path: Path) -> None:
    found = bench(request_of(path, "sim://line?frames=80&rate=600&width=320&height=180"))
    said = found.provenance.subject.input
    assert "pictures of sim://line?frames=80" in said
    assert "synthetic-input" not in [finding.code for finding in found.findings]


def test_the_report_says_cpu_and_never_that_it_ran_on_the_target(path: Path) -> None:
    statement = bench(request_of(path)).provenance.statement
    assert statement.startswith("measured on this machine's CPU (")
    assert statement.endswith("), not on agx-orin-64gb")


def test_a_bundle_without_a_decoder_has_two_stages(tmp_path: Path, path: Path) -> None:
    spec = ModelSpec(CLASSES.preprocess)
    found = bench(request_of(bundle(tmp_path, classifier(), spec)))
    assert [stage.name for stage in found.stages] == ["preprocess", "inference"]


def test_a_bundle_without_a_spec_is_measured_on_random_tensors(tmp_path: Path) -> None:
    found = bench(request_of(bundle(tmp_path, classifier(), None)))
    assert [stage.name for stage in found.stages] == ["inference"]
    assert found.provenance.subject.input == "random tensors, images: float32[1x3x8x8]"


def test_a_spec_less_bundle_refuses_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say how its input is made"):
        bench(request_of(bundle(tmp_path, classifier(), None), source=str(tmp_path)))


def test_pictures_of_a_folder_are_used_and_counted(path: Path, tmp_path: Path) -> None:
    cv2 = require("cv2", "write pictures")
    folder = tmp_path / "scenes"
    folder.mkdir()
    for index in range(40):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((20, 30, 3), index, np.uint8))
    found = bench(request_of(path, str(folder)))
    assert found.provenance.subject.input == "32 pictures of scenes, 30x20"
    assert "synthetic-input" not in [finding.code for finding in found.findings]


def test_noise_is_the_same_every_time() -> None:
    first, second = noise_pictures(), noise_pictures()
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert {(image.shape, image.dtype.name) for image in first} == {((720, 1280, 3), "uint8")}


def test_the_session_is_closed_when_a_stage_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(ReferenceSession, "close", lambda _: closed.append("once"))
    monkeypatch.setattr(ReferenceSession, "run", failing)
    with pytest.raises(EdgeError, match="in the loop"):
        bench(request_of(path))
    assert closed == ["once"]


def failing(*_: object) -> None:
    raise EdgeError("in the loop")


def test_a_changed_bundle_is_refused_before_anything_is_measured(path: Path) -> None:
    graph = bytearray((path / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (path / "model.onnx").write_bytes(graph)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        bench(request_of(path))


def test_an_unknown_backend_is_refused_with_the_nearest_name(path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        bench(BenchRequest(path, "onnxruntim", settings=QUICK))
    assert "onnxruntime" in caught.value.hint


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(command, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_json_is_one_object_on_stdout(path: Path) -> None:
    code, out, _ = run(str(path), "--json", *FLAGS)
    assert code == 0
    assert isinstance(from_json(out), LatencyReport)
    assert json.loads(out)["total"]["count"] == 8


def test_people_get_a_table_with_the_statement_and_the_findings(path: Path) -> None:
    _, out, _ = run(str(path), *FLAGS)
    assert "measured on this machine's CPU" in " ".join(out.split())
    for word in ("preprocess", "inference", "decode", "total", "median", "p99", "fps", "warning"):
        assert word in out
    assert "p99: needs at least 368 samples" in " ".join(out.split())


def test_both_files_are_written_and_named_on_stderr(path: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "deep/report.json", tmp_path / "report.html"
    _, out, err = run(str(path), "--out", str(report), "--html", str(page), "--json", *FLAGS)
    assert read_report(report) == from_json(out)
    assert page.read_text().startswith("<!doctype html>")
    assert f"wrote {report}" in err
    assert f"wrote {page}" in err


def test_a_duration_ends_the_run(path: Path) -> None:
    code, out, _ = run(str(path), "--json", "--backend", "reference", "--duration", "0.05")
    table = json.loads(out)
    assert code == 0
    assert table["settings"]["duration_s"] == 0.05
    assert 2 <= table["total"]["count"] < 200_000


@pytest.mark.parametrize(
    "flags", [["--iterations", "1"], ["--duration", "0"], ["--warmup", "-1"], ["--threads", "-2"]]
)
def test_impossible_settings_are_misuse(path: Path, flags: list[str]) -> None:
    assert run(str(path), *flags)[0] == 2


def test_a_place_that_takes_no_files_is_refused_before_measuring(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr("edgesdk.cli.bench.bench", lambda *_: pytest.fail("it measured"))
    with pytest.raises(EdgeError, match="takes no files"):
        run(str(path), "--out", str(tmp_path / "file/report.json"), *FLAGS)


def test_yolox_nano_on_the_real_road(tmp_path: Path) -> None:
    assets = assets_folder()
    if assets is None:
        pytest.skip("needs the assets: set EDGESDK_ASSETS to their folder")
    if not available("onnxruntime"):
        pytest.skip("needs onnxruntime: pip install 'edgesdk[cpu]'")
    spec = ModelSpec(Preprocess(416, 416, "letterbox-top-left", "bgr"), {"type": "yolox"})
    made = bundle(tmp_path, read_model(assets / "models/yolox_nano_416.onnx"), spec)
    source = str(assets / "video/road_8_vehicles.mp4")
    found = bench(BenchRequest(made, "onnxruntime", source, settings=QUICK))
    assert found.provenance.subject.input == "32 pictures of road_8_vehicles.mp4, 640x352"
    assert found.stages[1].share_percent > 50  # a network of 1 GFLOP outweighs both others


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_report_never_goes_into_the_bundle(path: Path, option: str) -> None:
    before = (path / "manifest.json").read_bytes()
    done = CliRunner().invoke(command, [str(path), *FLAGS, option, str(path / "manifest.json")])
    assert isinstance(done.exception, UsageError)
    assert "inside the bundle" in done.exception.message
    assert (path / "manifest.json").read_bytes() == before


def test_two_reports_are_two_files(path: Path, tmp_path: Path) -> None:
    page, same = tmp_path / "r.html", tmp_path / "model.edge" / ".." / "r.html"
    done = CliRunner().invoke(command, [str(path), *FLAGS, "--html", str(page), "--out", str(same)])
    assert isinstance(done.exception, UsageError)
    assert "both name" in done.exception.message
    assert not page.exists()


def test_pictures_that_the_cpu_prepared_are_no_matter_of_the_engine() -> None:
    (note,) = picture_notes(["pictures are preprocessed on the CPU: no CUDA compiler is found"])
    assert (note.code, note.level) == ("cpu-preprocess", "note")
    assert "compile BUNDLE" not in note.do
