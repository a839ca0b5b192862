"""As few layers back in float as an accuracy target needs: found, verified, reported."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesdk._progress import silent
from edgesdk.backends import load_backend, opened
from edgesdk.build.draft import Draft
from edgesdk.build.ranking import PICTURES, Jury
from edgesdk.build.recovery import LOOKS, MOST_FLOAT, Recovered, Search
from edgesdk.bundle import open_bundle
from edgesdk.model import Model
from tests.command import edgesdk
from tests.onnx_graphs import small_detector
from tests.searches import Truth, costs, draft_of, layers


def searched(
    draft: Draft,
    search: Truth,
    verify: Truth | None = None,
    max_drop: float = 0.01,
    only: tuple[Sequence[int] | None, Sequence[int] | None] = (None, None),
) -> Recovered:
    juries = [Jury(search, only[0]), Jury(verify or search, only[1])]  # type: ignore[arg-type]
    return Search(draft, *juries, max_drop, lambda graph: graph, silent).run()


@pytest.mark.parametrize("bad", [0, 1, 2, 3, 5, 8, 13])
def test_the_fewest_layers_go_back_to_float(bad: int) -> None:
    """Each of the bad ones costs more than the target allows."""
    worst = {3 * i % 40: 0.02 + i / 1000 for i in range(bad)}
    truth = Truth(costs(40, worst))
    found = searched(draft_of(layers(40)), truth)
    assert set(found.keep_float) == {f"conv{i}" for i in worst}
    assert found.evidence.reached
    assert found.graph.proto.graph.doc_string.split() == sorted(found.keep_float)


def test_it_measures_rarely() -> None:
    """40 layers, 13 bad: 0, 1, 2, 4, 8, 16 and three halvings, beside one look at each layer."""
    truth = Truth(costs(40, dict.fromkeys(range(13), 0.02)))
    searched(draft_of(layers(40)), truth)
    whole = [ask for ask in truth.asked if ask[1] is None]
    assert len(whole) <= 6 + 3 + 1
    assert len(truth.looks) == 1


def test_of_two_layers_that_cost_alike_the_smaller_goes_back() -> None:
    truth = Truth({"big": 0.006, "small": 0.006, "fine": 0.0})
    found = searched(draft_of({"big": 40, "small": 10, "fine": 50}), truth)
    assert found.keep_float == ("small",)


def test_nothing_is_ranked_where_int8_holds_by_itself() -> None:
    truth = Truth(costs(5, {}))
    found = searched(draft_of(layers(5)), truth)
    assert found.keep_float == ()
    assert len(truth.asked) == 2
    assert [step.action for step in found.evidence.steps] == [
        "nothing given back",
        "nothing given back, verified",
    ]


def test_layers_go_back_when_only_the_verifying_pictures_show_the_loss() -> None:
    """The pictures to search on are blind to it: all in INT8 holds there."""
    search = Truth(costs(20, {4: 0.004}))
    verify = Truth(costs(20, {4: 0.02}))
    found = searched(draft_of(layers(20)), search, verify)
    assert "conv4" in found.keep_float
    assert found.evidence.reached
    assert found.measured.metrics[0].drop < 0.01


def test_what_the_verifying_pictures_show_too_much_is_taken_off_the_search() -> None:
    """Both see the same, but for .0058 that the verifying ones add: one look must be enough."""
    bad = dict.fromkeys(range(10), 0.004)
    search, verify = Truth(costs(40, bad)), Truth(costs(40, bad), extra=0.0058)
    found = searched(draft_of(layers(40)), search, verify)
    assert found.evidence.reached
    assert len(verify.looks) == 2
    # .040 all in INT8: 8 back leave .008, which is .0138 on the others; 9 leave .0098.
    assert len(found.keep_float) == 9


def test_the_verifying_pictures_are_looked_at_a_few_times_only() -> None:
    search = Truth(costs(60, {}))
    verify = Truth(costs(60, {}), extra=0.5)
    found = searched(draft_of(layers(60)), search, verify)
    assert len(verify.asked) == LOOKS
    assert not found.evidence.reached
    assert [len(keep) for keep in verify.looks] == sorted({len(keep) for keep in verify.looks})


def test_it_stops_where_int8_is_no_longer_worth_it() -> None:
    truth = Truth(costs(10, dict.fromkeys(range(10), 0.1)))
    draft = draft_of(layers(10))
    found = searched(draft, truth)
    assert not found.evidence.reached
    assert draft.int8_share(found.keep_float) == pytest.approx(1 - MOST_FLOAT)
    assert len(truth.looks) == 1, "it cannot get better: one look tells"


def test_a_layer_that_holds_most_of_the_work_does_not_block_the_others() -> None:
    truth = Truth({"big": 0.5, "small": 0.02})
    draft = draft_of({"big": 90, "small": 10})
    found = searched(draft, truth)
    assert found.keep_float == ("small",), "big alone would leave a tenth in INT8"
    assert not found.evidence.reached
    better = Truth({"big": 0.005, "small": 0.001})
    assert searched(draft, better, max_drop=0.0055).keep_float == ("small",)


def test_a_net_of_one_layer_cannot_give_it_back() -> None:
    found = searched(draft_of({"only": 10}), Truth({"only": 0.1}))
    assert found.keep_float == ()
    assert not found.evidence.reached


def test_no_choice_is_made_on_pictures_that_verify() -> None:
    search, verify = [5, 7, 9, 11, 13, 15], [0, 1, 2, 3, 4, 6]
    truth = Truth(costs(12, {3: 0.02}), pictures=16)
    searched(draft_of(layers(12)), truth, only=(search, verify))
    for _, only, draws in truth.asked:
        assert set(only) <= set(verify if draws else search)
    ranking = [only for keep, only, _ in truth.asked if len(keep) == 11]
    assert len(ranking) == 12
    assert all(len(only) == PICTURES for only in ranking)


def test_the_steps_tell_the_way() -> None:
    bad = {1: 0.03, 2: 0.02, 3: 0.015}
    search = Truth(costs(8, bad), pictures=128)
    found = searched(draft_of(layers(8)), search, Truth(costs(8, bad), pictures=64))
    evidence = found.evidence
    assert (evidence.metric, evidence.max_drop) == ("mAP50-95", 0.01)
    assert (evidence.float_value, evidence.pictures) == (1.0, 128)
    assert [(step.action, step.int8_share, step.kept) for step in evidence.steps] == [
        ("nothing given back", 1.0, False),
        ("conv1 in float", 7 / 8, False),
        ("conv1, conv2 in float", 6 / 8, False),
        ("3 in float, the last conv2, conv3", 5 / 8, True),
        ("3 in float, the last conv2, conv3, verified", 5 / 8, True),
    ]
    assert [step.value for step in evidence.steps] == pytest.approx(
        [1 - 0.065, 1 - 0.035, 1 - 0.015, 1, 1], abs=1e-4
    )


# --- end to end ------------------------------------------------------------------------------

CLASSES = 7
SPEC = """
labels = ["a", "b", "c", "d", "e", "f", "g"]
[preprocess]
width = 32
height = 32
resize = "stretch"
color = "rgb"
scale = 0.00392156862745098
[decoder]
type = "classes"
softmax = true
"""


def wild_classifier() -> Model:
    """The wild detector's body with scores made alike in size: its small channels decide."""
    proto = small_detector(wild=True)
    graph = proto.graph
    del graph.node[-2:], graph.output[:], graph.value_info[:]
    graph.node.append(helper.make_node("GlobalAveragePool", ["c3"], ["mean"], "pool"))
    graph.node.append(helper.make_node("Flatten", ["mean"], ["output"], "flatten"))
    graph.output.append(helper.make_tensor_value_info("output", 1, None))
    return Model.of(onnx.shape_inference.infer_shapes(proto))


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model.onnx, SPEC.toml and pictures with the float model's own classes as their labels."""
    folder = tmp_path_factory.mktemp("classified")
    model = wild_classifier()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (240, 1, 1, 3)) * rng.uniform(0.5, 1, (240, 32, 32, 3))
    images = images.astype(np.uint8)
    backend = load_backend("onnxruntime", threads=1, exact=True)
    with opened(backend, model) as session:
        inputs = np.moveaxis(images, -1, 1)[:, None].astype(np.float32) * np.float32(1 / 255)
        scores = np.concatenate([session.run({"images": x})["output"] for x in inputs])
    # So that each class is the answer for some pictures.
    for tensor in model.proto.graph.initializer:
        if tensor.name == "b3":
            offset = numpy_helper.to_array(tensor) - scores.mean(axis=0)
            tensor.CopyFrom(numpy_helper.from_array(offset.astype(np.float32), "b3"))
    onnx.save(model.proto, folder / "model.onnx")
    classes = (scores - scores.mean(axis=0)).argmax(axis=1)
    for name, part in (("fit", slice(0, 160)), ("held", slice(160, None))):
        np.savez(folder / f"{name}.npz", X=images[part], Y=classes[part])
    (folder / "SPEC.toml").write_text(SPEC)
    recipes = folder / "own" / "calibration"
    recipes.mkdir(parents=True)
    (recipes / "plain.toml").write_text('title = "Bad on purpose"\nobserver = "minmax"\n')
    return folder


def built(
    folder: Path, out: Path, patch: pytest.MonkeyPatch, *more: str
) -> subprocess.CompletedProcess[str]:
    patch.setenv("EDGESDK_PATH", str(folder / "own"))
    patch.setenv("EDGESDK_CACHE", str(out.parent / "cache"))
    return edgesdk(
        "build", folder / "model.onnx", "--device", "orin", "--spec", folder / "SPEC.toml",
        "--data", folder / "fit.npz", "--eval", folder / "held.npz", "--recipe", "plain",
        "--out", out, "--json", "--quiet", *more,
    )  # fmt: skip


def test_a_target_mends_a_bad_recipe_with_corrections_before_any_layer_goes_back(
    classified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ruined = built(classified, tmp_path / "ruined.edge", monkeypatch)
    assert ruined.returncode == 0, ruined.stderr
    before = json.loads(ruined.stdout)["accuracy"]["metrics"][0]
    assert before["name"] == "top-1"
    assert before["float_model"] == 1.0
    assert before["bundle"] < 0.97, "without a target this recipe loses some"

    found = built(classified, tmp_path / "net.edge", monkeypatch, "--max-drop", "2%")
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout)
    after = report["accuracy"]["metrics"][0]
    assert after["bundle"] > before["bundle"]
    assert after["drop_low"] <= 0.02
    steps = report["recovery"]["steps"]
    assert [(step["action"], step["kept"]) for step in steps[:2]] == [
        ("nothing given back", False),
        ("all corrections", True),
    ]
    assert steps[-1]["action"] == "all corrections, verified"
    assert {row["precision"] for row in report["layers"]} == {"int8"}


def test_a_target_that_cannot_be_reached_ends_with_3_and_a_bundle(
    classified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one score may change at all, with half of the work in INT8."""
    plain = tmp_path / "PLAIN.toml"
    plain.write_text(SPEC.partition("[decoder]")[0])
    out = tmp_path / "net.edge"
    missed = built(classified, out, monkeypatch, "--max-drop", "0", "--spec", str(plain))
    assert missed.returncode == 3, missed.stderr
    assert json.loads(missed.stdout)["recovery"]["reached"] is False
    assert "below the float model's" in missed.stderr
    assert open_bundle(tmp_path / "net.edge").manifest.recovery is not None


def test_a_target_that_the_pictures_cannot_refute_costs_no_layer() -> None:
    # Measured are 3 %; the interval of so few pictures reaches from -1 % to 7 %.
    verify = Truth(costs(4, {2: 0.03}), reach=0.04)
    found = searched(draft_of(layers(4)), Truth(costs(4, {})), verify)
    assert (found.keep_float, found.evidence.reached) == ((), True)
    assert found.evidence.steps[-1].drop > found.evidence.max_drop, "and this is not hidden"
    sure = Truth(costs(4, {2: 0.03}), reach=0.01)
    found = searched(draft_of(layers(4)), Truth(costs(4, {2: 1e-5})), sure)
    assert "conv2" in found.keep_float, "3 % and at least 2 %: refuted"
