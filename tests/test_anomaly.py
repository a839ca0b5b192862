"""Inspection learned from good parts: what is bad stands out, in one graph with all inside."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgesdk._progress import silent
from edgesdk.anomaly import Backbone, FitSettings, Fitted, fit, write_fitted
from edgesdk.anomaly.bank import PlaceSampler, cover, usual_distances
from edgesdk.anomaly.describing import describing
from edgesdk.anomaly.fit import held_out
from edgesdk.anomaly.graph import DESCRIPTION, Bank, with_bank
from edgesdk.anomaly.record import learned_pictures, picture_key
from edgesdk.backends import load_backend, opened
from edgesdk.errors import DataError, ModelError, UnknownName, UsageError
from edgesdk.geometry import Placement
from edgesdk.model import Model, read_model
from edgesdk.model.edit import with_outputs
from edgesdk.pictures import PictureSet, open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.spec import read_spec
from edgesdk.vision.decoders import make_decoder
from edgesdk.vision.inspected import Inspected
from tests.anomaly_parts import PREPROCESS, backbone, net, part, write_parts
from tests.onnx_graphs import make_model

SMALL = FitSettings(bank=200, components=16, held_out=0.4, false_rejects=0.05)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    return open_pictures(write_parts(tmp_path_factory.mktemp("parts") / "line", range(60)))


@pytest.fixture(scope="module")
def fitted(good: PictureSet) -> Fitted:
    return fit(good, backbone(), SMALL)


def look(fitted: Fitted, image: np.ndarray) -> Inspected:
    decoder = make_decoder(fitted.spec.decoder, "fitted", fitted.spec.preprocess)
    tensor, placement = fitted.spec.preprocess(image)
    with opened(load_backend("onnxruntime"), fitted.model) as session:
        found = decoder.decode(session.run({"images": tensor}), placement)
    assert isinstance(found, Inspected)
    return found


def test_a_spot_is_found_though_no_bad_part_was_ever_shown(fitted: Fitted) -> None:
    bad = [look(fitted, part(seed, spot=(50, 25))).score for seed in range(500, 510)]
    fine = [look(fitted, part(seed)).score for seed in range(600, 610)]
    assert min(bad) > max(fine)
    assert min(bad) >= fitted.threshold.value
    assert sum(score >= fitted.threshold.value for score in fine) <= 2


@pytest.mark.parametrize("spot", [(15, 15), (65, 20), (40, 60)])
def test_the_heat_is_largest_where_the_spot_is(fitted: Fitted, spot: tuple[int, int]) -> None:
    found = look(fitted, part(700, spot))
    assert found.heat is not None
    y, x = np.unravel_index(found.heat.argmax(), found.heat.shape)
    height, width = found.heat.shape
    place_px = ((x + 0.5) * 80 / width, (y + 0.5) * 80 / height)
    # A place of the coarser layer is 20 pixels of the picture, and its neighbours count too.
    assert np.hypot(place_px[0] - spot[0], place_px[1] - spot[1]) < 25
    assert found.score == found.heat.max()


def test_the_threshold_is_set_by_pictures_that_are_not_in_the_bank(fitted: Fitted) -> None:
    assert fitted.threshold.pictures == 24  # 40 % of 60, in whole runs of three
    assert fitted.pictures == 36
    learned = learned_pictures(fitted.model)
    assert len(learned) == 36
    assert fitted.spec.decoder["threshold"] == fitted.threshold.value
    assert (picture_key(part(0)) in learned) != held_out(0, 60, SMALL)


def test_a_copy_of_a_learned_picture_sets_no_threshold(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "line", range(40))
    for number in range(40, 60):  # what a camera gives that saw one part for seconds
        cv2.imwrite(str(folder / f"{number:04d}.png"), part(0))
    with pytest.raises(DataError, match="10 or more good pictures are needed to set the threshold"):
        fit(open_pictures(folder), backbone(), FitSettings(bank=50, held_out=0.2, blocks=3))


@given(st.integers(40, 3000), st.floats(0.05, 0.5), st.integers(2, 100))
def test_neighbours_are_held_out_together_and_as_many_as_asked(
    count: int, share: float, blocks: int
) -> None:
    settings = FitSettings(held_out=share, blocks=blocks)
    out = [held_out(number, count, settings) for number in range(count)]
    changes = sum(a != b for a, b in pairwise(out))
    assert changes <= 2 * blocks * share + 1
    # A run may hold one picture more or less than the mean one, and one run more or less is out.
    assert abs(sum(out) - share * count) <= blocks * share + 1 + count / blocks


def test_the_graph_computes_the_distance_to_the_nearest_good_place_less_what_is_usual() -> None:
    """Against the plain formula in float64, from the description that the graph gives itself."""
    rng = np.random.default_rng(5)
    described, layers = describing(backbone(), ())
    assert layers == ("r2", "r3")  # what enters strides 16 and 32
    channels = int(described.outputs[0].shape[1])
    assert channels == 16 + 24
    bank = Bank(
        rng.normal(0, 1, channels).astype(np.float32),
        rng.normal(0, 1, (channels, 6)).astype(np.float32),
        rng.normal(0, 3, (30, 6)).astype(np.float32),
        rng.uniform(0, 4, 30).astype(np.float32),
    )
    tensor, _ = PREPROCESS(part(3))
    with opened(load_backend("onnxruntime"), described) as session:
        places = session.run({"images": tensor})[DESCRIPTION][0].reshape(channels, -1).T
    compressed = (places.astype(np.float64) - bank.mean) @ bank.basis
    apart = compressed[:, None] - bank.entries[None]
    usual = bank.usual.astype(np.float64)
    nearest = ((apart**2).mean(axis=2) - usual + usual.mean()).min(axis=1)
    expected = np.sqrt(np.maximum(nearest, 0))
    with opened(load_backend("onnxruntime"), with_bank(described, bank)) as session:
        outputs = session.run({"images": tensor})
    np.testing.assert_allclose(outputs["heat"].ravel(), expected, rtol=1e-4, atol=1e-4)
    assert outputs["heat"].shape == (1, 1, 8, 8)
    assert outputs["score"] == pytest.approx([expected.max()], rel=1e-4)


def test_a_description_is_the_mean_of_neighbours_on_the_finest_grid() -> None:
    """Against OpenCV's blur; the mirrored edge differs, so the inside is compared."""
    described, _ = describing(backbone(), ("r2",))
    whole = Model.of(net())
    tensor, _ = PREPROCESS(part(4))
    with opened(load_backend("onnxruntime"), with_outputs(whole, ["r2"])) as session:
        plane = session.run({"images": tensor})["r2"][0, 0]
    with opened(load_backend("onnxruntime"), described) as session:
        found = session.run({"images": tensor})[DESCRIPTION][0, 0]
    np.testing.assert_allclose(found[1:-1, 1:-1], cv2.blur(plane, (3, 3))[1:-1, 1:-1], atol=1e-5)


def test_of_an_inverted_bottleneck_the_narrow_tensor_describes_places() -> None:
    """As in MobileNetV2: 8 channels are widened to 24 by a 1 x 1, and then comes the stride."""
    rng = np.random.default_rng(0)

    def conv(source: str, name: str, shape: tuple[int, ...], **keys: object) -> onnx.NodeProto:
        constants[f"{name}_w"] = rng.normal(0, 0.1, shape).astype(np.float32)
        return helper.make_node("Conv", [source, f"{name}_w"], [name], name, **keys)

    constants: dict[str, np.ndarray] = {}
    half = {"pads": [1] * 4, "strides": [2, 2]}
    nodes = [
        conv("images", "c2", (8, 3, 3, 3), **half),
        conv("c2", "c4", (8, 8, 3, 3), **half),
        conv("c4", "c8", (8, 8, 3, 3), **half),
        conv("c8", "wide", (24, 8, 1, 1)),
        helper.make_node("Relu", ["wide"], ["wide_relu"], "relu"),
        conv("wide_relu", "c16", (24, 1, 3, 3), **half, group=24),
    ]
    model = make_model(nodes, constants, {"images": [1, 3, 64, 64]}, ["c16"])
    described, layers = describing(Backbone(Model.of(model), PREPROCESS), ())
    assert layers == ("c8",)
    assert described.outputs[0].shape == (1, 8, 8, 8)


def test_large_pictures_are_described_by_coarser_layers() -> None:
    """Strides 16 and 32; of stride 32 the last residual sum, and not what was made for the task."""
    rng = np.random.default_rng(0)
    names = ["c2", "c4", "c8", "c16", "c32"]
    constants = {n: rng.normal(0, 0.1, (8, 3 if n == "c2" else 8, 3, 3)) for n in [*names, "task"]}
    constants["same"] = rng.normal(0, 0.1, (8, 8, 3, 3))
    weights = {f"{name}_w": w.astype(np.float32) for name, w in constants.items()}
    nodes, last = [], "images"
    for name in names:
        keys = {"pads": [1] * 4, "strides": [2, 2]}
        nodes.append(helper.make_node("Conv", [last, f"{name}_w"], [name], name, **keys))
        last = name
    nodes += [
        helper.make_node("Conv", ["c32", "same_w"], ["same"], "same", pads=[1] * 4),
        helper.make_node("Add", ["c32", "same"], ["sum"], "sum"),
        helper.make_node("Conv", ["sum", "task_w"], ["task"], "task", pads=[1] * 4),
    ]
    model = make_model(nodes, weights, {"images": [1, 3, 64, 64]}, ["task"])
    large = Backbone(Model.of(model), Preprocess(320, 320, resize="stretch"))
    assert describing(large, ())[1] == ("c16", "sum")
    small = Backbone(Model.of(model), Preprocess(256, 256, resize="stretch"))
    assert describing(small, ())[1] == ("c8", "c16")


def test_pictures_may_have_another_size_than_the_backbone_was_exported_with() -> None:
    wide = Backbone(Model.of(net()), Preprocess(128, 96, resize="stretch"))
    described, _ = describing(wide, ())
    assert described.inputs[0].shape == (1, 3, 96, 128)
    assert described.outputs[0].shape[2:] == (12, 16)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_bank_is_at_most_twice_as_far_from_any_place_as_the_best_could_be(
    seed: int, size: int
) -> None:
    """Gonzalez' bound, against the best of all choices of `size` among nine points."""
    points = np.random.default_rng(seed).normal(0, 1, (9, 2)).astype(np.float32)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    best = min(apart[list(c)].min(axis=0).max() for c in combinations(range(9), size))
    chosen = cover(points, range(size))
    assert len(set(chosen.tolist())) == size
    assert apart[chosen].min(axis=0).max() <= 2 * best + 1e-5


def test_equal_places_are_kept_once() -> None:
    points = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    assert len(cover(points, range(10))) == 3


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_usual_is_the_mean_distance_of_the_five_nearest_good_places_of_other_parts(
    seed: int, parts: int
) -> None:
    """Against all distances, written out."""
    rng = np.random.default_rng(seed)
    points, part_of = rng.normal(0, 1, (40, 3)).astype(np.float32), np.arange(40) % parts
    found = usual_distances(points, part_of, np.arange(0, 40, 7))
    for entry, value in zip(range(0, 40, 7), found, strict=True):
        others = points[part_of != part_of[entry]].astype(np.float64)
        squares = ((others - points[entry]) ** 2).mean(axis=1)
        assert value == pytest.approx(np.sort(squares)[:5].mean(), rel=1e-3, abs=1e-5)


def test_of_one_part_alone_nothing_is_usual() -> None:
    points = np.random.default_rng(0).normal(0, 1, (20, 3)).astype(np.float32)
    assert usual_distances(points, np.zeros(20, np.int64), np.arange(4)).tolist() == [0] * 4


def test_a_rare_look_of_which_no_two_are_alike_stands_out_less_than_a_new_one() -> None:
    """Common places lie within .1 of each other; one in ten is a stain, anywhere on a ring."""
    rng = np.random.default_rng(2)
    sampler = PlaceSampler(50)
    for number in range(50):
        stains = rng.normal(0, 1, (3, 10))
        stains *= 10 / np.linalg.norm(stains, axis=0)
        places = np.concatenate([rng.normal(0, 0.03, (3, 90)), stains], axis=1)
        sampler.add(places.reshape(3, 10, 10).astype(np.float32), number)
    bank = sampler.bank(3, 100, silent)

    def score(place: list[float]) -> float:
        short = (np.array(place) - bank.mean) @ bank.basis
        return float((((short - bank.entries) ** 2).mean(axis=1) - bank.usual).min())

    new_stain, defect = score([0.0, 6.0, -8.0]), score([1.0, 0.5, 0.0])
    assert defect > new_stain


def test_what_is_kept_of_places_does_not_grow_with_the_pictures() -> None:
    sampler = PlaceSampler(400)
    for seed in range(800):
        sampler.add(np.random.default_rng(seed).normal(0, 1, (3, 8, 8)).astype(np.float32), seed)
    assert sampler.kept <= 20_000


@pytest.mark.parametrize(
    ("error", "match", "broken"),
    [
        (UnknownName, "no map .* named 'r9'", {"layers": ("r9",)}),
        (UnknownName, "no map .* named 'logits'", {"layers": ("logits",)}),
    ],
)
def test_layers_that_are_not_there_are_refused(
    good: PictureSet, error: type[Exception], match: str, broken: dict[str, tuple[str, ...]]
) -> None:
    with pytest.raises(error, match=match):
        fit(good, backbone(), FitSettings(**broken))


def test_a_net_without_places_is_no_backbone(good: PictureSet) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["p"]),
        helper.make_node("Flatten", ["p"], ["flat"]),
    ]
    flat = make_model(nodes, {}, {"images": [1, 3, 64, 64]}, ["flat"])
    with pytest.raises(ModelError, match="no convolutional layers at strides 8 or 16"):
        fit(good, Backbone(Model.of(flat), PREPROCESS))
    vector = make_model([helper.make_node("Relu", ["v"], ["out"])], {}, {"v": [1, 10]}, ["out"])
    with pytest.raises(ModelError, match="a backbone takes one picture"):
        fit(good, Backbone(Model.of(vector), PREPROCESS))


def test_few_pictures_are_refused_with_how_many_it_takes(tmp_path: Path) -> None:
    few = open_pictures(write_parts(tmp_path / "few", range(8)))
    with pytest.raises(DataError, match="10 or more good pictures are needed to learn from") as e:
        fit(few, backbone())
    assert "50" in e.value.hint


@pytest.mark.parametrize(
    "broken", [{"bank": 0}, {"held_out": 0.9}, {"false_rejects": 0.0}, {"components": 0}]
)
def test_settings_out_of_range_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(broken))} should be"):
        FitSettings(**broken)  # type: ignore[arg-type]


def test_the_files_hold_all_that_a_build_needs(fitted: Fitted, tmp_path: Path) -> None:
    spec = write_fitted(fitted, tmp_path / "part.onnx")
    assert spec == tmp_path / "part.toml"
    again = read_spec(spec)
    assert again == fitted.spec
    model = read_model(tmp_path / "part.onnx")
    assert [o.name for o in model.outputs] == ["score", "heat"]
    assert learned_pictures(model) == learned_pictures(fitted.model)
    assert "95 %" in spec.read_text()


def test_heat_lies_over_the_picture_and_not_over_its_border() -> None:
    """A picture twice as wide as high, letterboxed: the upper and lower quarter are border."""
    square = Preprocess(64, 64, resize="letterbox")
    decoder = make_decoder({"type": "anomaly", "threshold": 1.0}, "spec", square)
    heat = np.zeros((1, 1, 8, 8), np.float32)
    heat[0, 0, 2:6] = np.arange(8)  # only the middle rows are picture
    outputs = {"score": np.array([3.0], np.float32), "heat": heat}
    found = decoder.decode(outputs, square.placement(128, 64))
    assert isinstance(found, Inspected)
    assert found.heat is not None
    np.testing.assert_array_equal(found.heat, np.tile(np.arange(8, dtype=np.float32), (8, 1)))


def test_outputs_of_another_head_are_refused() -> None:
    decoder = make_decoder({"type": "anomaly", "threshold": 1.0}, "spec", PREPROCESS)
    with pytest.raises(ModelError, match="an output named 'score'"):
        decoder.decode({"logits": np.zeros((1, 10), np.float32)}, Placement(1, 1, 0, 0, 64, 64))


SEGMENTATION = {"type": "masks", "threshold": 0.5}


def segmented(table: dict[str, object], scores: np.ndarray) -> Inspected:
    decoder = make_decoder({**SEGMENTATION, **table}, "spec", PREPROCESS)
    found = decoder.decode({"out": scores.astype(np.float32)}, PREPROCESS.placement(64, 64))
    assert isinstance(found, Inspected)
    return found


def test_a_segmentation_net_inspects_by_its_likeliest_defect() -> None:
    """Three classes, background first: at one place ln 3 above both others, p = 3 / 5."""
    scores = np.zeros((1, 3, 4, 4))
    scores[0, 0] = 20.0  # sure of the background
    scores[0, :, 1, 2] = [0.0, np.log(3), 0.0]
    found = segmented({}, scores)
    assert found.heat is not None
    assert found.score == pytest.approx(0.8)  # both defects together: (3 + 1) / 5
    assert np.unravel_index(found.heat.argmax(), (4, 4)) == (1, 2)
    assert segmented({"measure": "share"}, scores).score == 1 / 16
    assert segmented({"good": 1}, scores).score == pytest.approx(1.0)


def test_a_net_with_one_channel_of_defect_needs_a_sigmoid_only() -> None:
    scores = np.full((1, 1, 4, 4), -20.0)
    scores[0, 0, 3, 0] = np.log(9)
    assert segmented({"activation": "sigmoid"}, scores).score == pytest.approx(0.9)
    chances = np.full((1, 2, 4, 4), 0.25)
    assert segmented({"activation": "none"}, chances).score == pytest.approx(0.25)


def test_a_good_class_that_a_net_does_not_have_is_refused() -> None:
    with pytest.raises(ModelError, match="the good class is 5, the output has 3 classes"):
        segmented({"good": 5}, np.zeros((1, 3, 4, 4)))


@pytest.mark.parametrize(
    "table", [{"threshold": float("nan")}, {"false_rejects": 1.0}, {"measure": "mean"}]
)
def test_settings_of_a_decoder_that_make_no_sense_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="spec: "):
        make_decoder({**SEGMENTATION, **table}, "spec", PREPROCESS)


def test_masks_that_lie_beside_pictures_are_not_learned_as_good_parts(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "line", range(20))
    cv2.imwrite(str(folder / "0003.jpg"), part(3))  # And 0003.png is now what lies beside it.
    with pytest.raises(DataError, match="masks") as error:
        fit(open_pictures(folder), backbone(), SMALL)
    assert "0003.jpg and 0003.png" in error.value.message
    assert f"'{folder}/*.jpg'" in error.value.hint  # As it can be typed where the folder was.
