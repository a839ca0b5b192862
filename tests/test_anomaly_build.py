"""edgesdk fit and edgesdk build of what it made: the threshold is that of the graph that ships."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from edgesdk.accuracy.false_rejects import find_threshold
from edgesdk.build.heads import with_finer_outputs
from edgesdk.build.threshold import Seen, stated
from edgesdk.bundle import Bundle, open_bundle
from edgesdk.calibration import load_recipe
from edgesdk.cli._threshold_view import threshold_lines
from edgesdk.model import read_model
from edgesdk.pictures import open_pictures
from tests.anomaly_parts import SPEC, net, part, write_parts
from tests.command import edgesdk
from tests.tensorrt_parser import Parser

FIT = ("fit", "line", "--backbone", "net.onnx", "--spec", "net.toml", "--bank", "100")
BUILD = ("build", "part.onnx", "--device", "orin", "--spec", "part.toml", "--data", "line")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a backbone, good parts, labelled parts with masks, and a fitted model."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "net.onnx").write_bytes(net().SerializeToString())
    (folder / "net.toml").write_text(SPEC)
    write_parts(folder / "line", range(60))
    write_parts(folder / "labelled/test/good", range(100, 116))
    write_parts(folder / "labelled/test/spot", range(200, 216), spot=(50, 30))
    masks = folder / "labelled/ground_truth/spot"
    masks.mkdir(parents=True)
    mask = np.zeros((80, 80), np.uint8)
    cv2.circle(mask, (50, 30), 6, 255, -1)
    for seed in range(200, 216):
        cv2.imwrite(str(masks / f"{seed:04d}_mask.png"), mask)
    done = edgesdk(*FIT, "-o", "part.onnx", "--false-rejects", "10%", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "told.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def bundle(work: Path) -> Bundle:
    done = edgesdk(*BUILD, "--eval", "labelled", "--out", "part.edge", cwd=work)
    assert done.returncode == 0, done.stderr
    (work / "told.txt").write_text(done.stdout)
    return open_bundle(work / "part.edge")


def test_fit_says_what_it_learned_and_what_the_threshold_promises(work: Path) -> None:
    told = json.loads((work / "told.json").read_text())
    assert told["layers"] == ["r2", "r3"]
    assert told["pictures"] + told["threshold"]["pictures"] == 60
    limit = told["threshold"]
    assert limit["false_rejects"] == 0.1
    assert 0 <= limit["rate_low"] < limit["rate"] < limit["rate_high"] <= 1
    assert "part.toml" in told["spec"]


def test_layers_before_a_comparison_may_make_less_noise_than_before_others(work: Path) -> None:
    """What tells bad from good are small differences; a detector's boxes stand more."""
    recipe = load_recipe("balanced")
    finer = with_finer_outputs(recipe, read_model(work / "part.onnx"))
    assert finer.min_output_sqnr_db is not None
    assert recipe.min_output_sqnr_db is not None
    assert finer.min_output_sqnr_db >= recipe.min_output_sqnr_db + 20
    assert finer.max_float_share > recipe.max_float_share
    assert with_finer_outputs(recipe, read_model(work / "net.onnx")) == recipe
    none_asked = replace(recipe, min_output_sqnr_db=None)
    assert with_finer_outputs(none_asked, read_model(work / "part.onnx")) == none_asked


def test_folders_say_what_is_good_and_masks_are_no_pictures(work: Path) -> None:
    found = list(open_pictures(work / "labelled"))
    assert [p.class_id for p in found] == [0] * 16 + [1] * 16
    assert [p.mask is None for p in found] == [True] * 16 + [False] * 16
    mask = found[-1].mask
    assert mask is not None
    assert (mask[30, 50], mask[0, 0], mask.shape) == (True, False, (80, 80))


def test_the_bundle_tells_good_from_bad_as_well_as_the_float_model(bundle: Bundle) -> None:
    accuracy = bundle.manifest.accuracy
    assert accuracy is not None
    metric = accuracy.metrics[0]
    assert metric.name == "AUROC"
    assert metric.float_model > 0.95
    assert abs(metric.drop) < 0.03
    assert set(accuracy.outputs) == {"score", "heat"}


def test_the_bundle_has_its_own_threshold_and_the_evidence_for_it(
    bundle: Bundle, work: Path
) -> None:
    manifest = bundle.manifest
    assert manifest.accuracy is not None
    assert manifest.spec is not None
    found = manifest.accuracy.threshold
    assert found is not None
    told = json.loads((work / "told.json").read_text())["threshold"]
    assert found.given == told["value"]
    assert manifest.spec.decoder["threshold"] == found.value
    # Those held out of the fit, and the good ones among the labelled: none that was learned.
    assert found.pictures == told["pictures"] + 16
    assert (found.bad, found.caught) == (16, 16)
    assert found.rejected <= 0.1 * found.pictures
    said = (work / "told.txt").read_text()
    assert "AUROC: float" in said
    assert "set anew by" in said
    assert "bad parts turned down: 16 of 16" in " ".join(said.split())


def test_the_head_stays_float_and_the_backbone_is_int8(bundle: Bundle) -> None:
    rows = {row.node: row for row in bundle.manifest.layers}
    for node in ("inspect/compress", "inspect/bank"):
        assert rows[node].precision == "fp32"
        assert "compares with good parts" in rows[node].reason
        assert node in bundle.manifest.islands
    assert all(row.precision == "int8" for name, row in rows.items() if name.startswith("conv"))


def test_a_tensorrt_builder_takes_the_graph(bundle: Bundle) -> None:
    engine = Parser().engine(bundle.model())
    assert engine.data
    assert engine.warnings == ()


@pytest.mark.parametrize(("precision", "jetpack"), [("int8", "5.1.3"), ("fp16", "6.2")])
def test_a_tensorrt_builder_takes_it_for_other_targets_too(
    work: Path, tmp_path: Path, precision: str, jetpack: str
) -> None:
    parser, out = Parser(), tmp_path / "part.edge"
    options = ("--precision", precision, "--jetpack", jetpack, "--quiet")
    done = edgesdk(*BUILD, "--out", out, *options, cwd=work)
    assert done.returncode == 0, done.stderr
    engine = parser.engine(open_bundle(out).model())
    assert engine.data
    assert engine.warnings == ()


def test_a_model_that_catches_nothing_is_told_by_the_build_and_by_the_doctor(
    work: Path, tmp_path: Path
) -> None:
    """Good parts called bad: no score can tell them from good ones."""
    write_parts(tmp_path / "labelled/good", range(300, 330))
    write_parts(tmp_path / "labelled/scratch", range(400, 430))
    out = tmp_path / "blind.edge"
    built = edgesdk(*BUILD, "--eval", tmp_path / "labelled", "--out", out, "--quiet", cwd=work)
    assert built.returncode == 0, built.stderr
    examined = edgesdk("doctor", "--bundle", out, cwd=work)
    assert examined.returncode == 1
    for said in (built.stdout, examined.stdout):
        assert "!! tells-nothing: AUROC 0." in said
        assert "of 30 bad parts are turned down" in said
        assert "to mend: learn from more good pictures" in " ".join(said.split())


def test_fit_warns_at_once_of_a_promise_that_so_few_pictures_cannot_keep(
    work: Path, tmp_path: Path
) -> None:
    done = edgesdk(*FIT, "-o", tmp_path / "few.onnx", "--quiet", cwd=work)
    assert done.returncode == 0, done.stderr
    assert "warning: 18 good pictures cannot promise 0.50%" in done.stderr
    assert "199 or more are needed" in done.stderr
    assert "whether it catches bad parts is not known yet" in done.stdout


def test_a_threshold_set_by_hand_stays(work: Path, tmp_path: Path) -> None:
    text = (work / "part.toml").read_text().splitlines()
    kept = [line for line in text if not line.startswith(("false_rejects", "threshold"))]
    (tmp_path / "hand.toml").write_text("\n".join([*kept, "threshold = 3.5"]))
    out = tmp_path / "part.edge"
    options = ("--spec", tmp_path / "hand.toml", "--precision", "fp16", "--out", out, "--quiet")
    done = edgesdk("build", "part.onnx", "--device", "orin", "--data", "line", *options, cwd=work)
    assert done.returncode == 0, done.stderr
    manifest = open_bundle(out).manifest
    assert manifest.spec is not None
    assert manifest.spec.decoder["threshold"] == 3.5
    assert manifest.accuracy is not None
    assert manifest.accuracy.threshold is None


def test_without_good_pictures_that_were_not_learned_the_build_warns(
    work: Path, tmp_path: Path
) -> None:
    """Every third of the pictures, and of these only some that are in the bank."""
    learned = tmp_path / "learned"
    learned.mkdir()
    for name in ("0000", "0001", "0002", "0003"):
        cv2.imwrite(str(learned / f"{name}.png"), part(int(name)))
    out = tmp_path / "part.edge"
    done = edgesdk(*BUILD[:-1], learned, "--out", out, "--precision", "fp16", "--quiet", cwd=work)
    assert done.returncode == 0, done.stderr
    assert "the threshold is still the float model's" in done.stderr


def test_drift_is_told_from_what_both_models_said() -> None:
    """INT8 adds 1 to all scores: the float threshold would turn down nearly all good parts."""
    good = [Seen(False, score, score + 1.0) for score in np.linspace(0, 1, 200)]
    bad = [Seen(True, score, score + 1.0) for score in np.linspace(0.9, 3, 10)]
    given = find_threshold([one.before for one in good], 0.05)
    found = stated(given.value, 0.05, [*good, *bad])
    assert found.value == pytest.approx(given.value + 1, abs=1e-4)
    assert found.drift == pytest.approx(1)
    assert found.drift_spread == pytest.approx(0, abs=1e-9)
    assert found.rejected_given > 190
    assert found.rejected == given.rejected <= 10
    assert (found.bad, found.caught_given) == (10, 10)
    assert found.caught == sum(one.before >= given.value for one in bad)
    said = " ".join(threshold_lines(found, "int8"))
    assert f"would turn down {found.rejected_given} of them, this one {found.rejected}" in said
    assert "bad parts" not in " ".join(threshold_lines(replace(found, bad=None), "int8"))


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("fit", "nowhere", *FIT[2:]), 1, "no such file or folder"),
        (("fit", "line", "--backbone", "net.onnx"), 2, "add --spec FILE with a table [preprocess]"),
        ((*FIT, "--layers", "r2,r8"), 2, "no map (N, C, h, w) in the backbone named 'r8'"),
        ((*FIT, "--false-rejects", "often"), 2, "should be a share such as 0.5% or 0.005"),
        ((*FIT, "--bank", "0"), 2, "bank should be 1 to 100000, found 0"),
    ],
)
def test_a_fit_that_cannot_be_says_why_and_writes_nothing(
    work: Path, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    out = tmp_path / "x.onnx"
    done = edgesdk(*arguments, "-o", out, "--quiet", cwd=work)
    assert done.returncode == exit_code
    assert said in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_fitted_graph_is_one_file_of_standard_operators(work: Path) -> None:
    model = onnx.load(work / "part.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert [value.name for value in model.graph.output] == ["score", "heat"]
