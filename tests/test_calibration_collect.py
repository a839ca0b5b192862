"""One pass over the pictures: true figures, whatever the order, the workers or an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgesdk.backends import load_backend
from edgesdk.backends.base import Session
from edgesdk.calibration import CacheFile, Statistics, collect, find_observer, make_table
from edgesdk.calibration.cache import KEPT, fingerprint
from edgesdk.calibration.collect import OpenRunner
from edgesdk.calibration.table import CalibrationTable
from edgesdk.calibration.watch import lattice_stride, positions_wanted, watch_model
from edgesdk.errors import DataError
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.layers import find_layers
from tests.onnx_graphs import make_model, small_detector

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
MODEL = prepare(Model.of(small_detector(size=64)), 17, {})
WATCH = {layer.activation: layer.input_axis for layer in find_layers(MODEL, OPERATORS)}
Feeds = list[tuple[str, dict[str, np.ndarray]]]


def open_session(model: Model) -> Session:
    backend = load_backend("onnxruntime", threads=1)
    return backend.open(backend.compile(model))


def feeds(count: int, shape: tuple[int, ...] = (1, 3, 64, 64), name: str = "images") -> Feeds:
    rng = np.random.default_rng(3)
    arrays = (rng.normal(size=shape).astype(np.float32) for _ in range(count))
    return [(f"p{i}.jpg", {name: array}) for i, array in enumerate(arrays)]


FEEDS = feeds(40)


def table_of(found: Statistics) -> CalibrationTable:
    counted = {name: tensor.whole() for name, tensor in found.tensors.items()}
    return make_table(counted, find_observer("mse"), found.pictures)


def same(one: Statistics, other: Statistics) -> None:
    assert one.pictures == other.pictures
    assert list(one.tensors) == list(other.tensors)
    for name, tensor in one.tensors.items():
        twin = other.tensors[name]
        np.testing.assert_array_equal(tensor.histogram.counts, twin.histogram.counts)
        np.testing.assert_array_equal(tensor.histogram.largest, twin.histogram.largest)
        assert tensor.peaks == twin.peaks
        assert tensor.moments == twin.moments
    assert table_of(one) == table_of(other)


def values_of(model: Model, names: list[str], items: Feeds) -> list[dict[str, np.ndarray]]:
    """Whole tensors, computed apart."""
    session = open_session(with_outputs(model, names))
    return [{**session.run(feed), **feed} for _, feed in items]


WHOLE = collect(MODEL, WATCH, FEEDS, open_session, pictures=40)


def test_largest_magnitudes_and_peaks_are_those_of_all_values() -> None:
    seen = values_of(MODEL, list(WATCH), FEEDS)
    for name, tensor in WHOLE.tensors.items():
        arrays = np.stack([np.abs(values[name]) for values in seen])
        by_channel = np.moveaxis(arrays, WATCH[name] + 1, 0).reshape(arrays.shape[2], -1)
        np.testing.assert_allclose(tensor.histogram.largest, by_channel.max(axis=1), rtol=1e-6)
        peaks = arrays.reshape(len(arrays), -1).max(axis=1)
        assert tensor.peaks.mean == pytest.approx(peaks.mean(), rel=1e-6)
        assert tensor.peaks.highest[0].picture == FEEDS[int(peaks.argmax())][0]


def test_the_sample_shows_the_distribution_of_all_values() -> None:
    seen = values_of(MODEL, list(WATCH), FEEDS)
    for name, tensor in WHOLE.tensors.items():
        everything = np.abs(np.concatenate([values[name].ravel() for values in seen]))
        share = np.percentile(everything, 90)
        found = find_observer("percentile", 90).amax(tensor.whole())
        assert found == pytest.approx(share, rel=0.03)


def test_inputs_have_signed_figures_by_channel() -> None:
    moments = WHOLE.tensors["images"].moments
    assert moments is not None
    stacked = np.concatenate([feed["images"] for _, feed in FEEDS])
    np.testing.assert_array_equal(moments.lowest, stacked.min(axis=(0, 2, 3)))
    np.testing.assert_array_equal(moments.highest, stacked.max(axis=(0, 2, 3)))
    np.testing.assert_allclose(moments.mean, stacked.mean(axis=(0, 2, 3)), atol=0.02)
    np.testing.assert_allclose(moments.std, stacked.std(axis=(0, 2, 3)), rtol=0.02)
    assert all(WHOLE.tensors[name].moments is None for name in WATCH if name != "images")


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(40)), st.integers(1, 3))
def test_the_same_table_in_any_order_with_any_number_of_workers(
    order: list[int], workers: int
) -> None:
    shuffled = [FEEDS[i] for i in order]
    same(collect(MODEL, WATCH, shuffled, open_session, pictures=40, workers=workers), WHOLE)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 40))
def test_passes_over_parts_merge_into_the_whole(cut: int) -> None:
    first = collect(MODEL, WATCH, FEEDS[:cut], open_session, pictures=40)
    first.merge(collect(MODEL, WATCH, FEEDS[cut:], open_session, pictures=40))
    same(first, WHOLE)


def test_how_many_positions_are_taken_depends_on_shape_and_number_alone() -> None:
    assert positions_wanted(64, 100) == 164
    assert positions_wanted(64, 5000) == 8
    assert positions_wanted(64, None) == positions_wanted(64, 1024)
    # One picture gives no more than one of sixteen does.
    assert positions_wanted(64, 1) == positions_wanted(64, 16)
    assert lattice_stride(7, 7, 100) == 1
    assert lattice_stride(208, 208, 100) == 21  # 10 points on each axis


def gated(channels: int, operator: str) -> Model:
    """A 1x1 convolution, an operator that can overflow, and a convolution that reads it."""
    eye = np.eye(channels, dtype=np.float32)[:, :, None, None]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], name="first", kernel_shape=[1, 1]),
        helper.make_node(operator, ["y"], ["z"], name="middle"),
        helper.make_node("Conv", ["z", "w"], ["out"], name="last", kernel_shape=[1, 1]),
    ]
    proto = make_model(nodes, {"w": eye}, {"x": [1, channels, 48, 48]}, ["out"])
    return prepare(Model.of(proto), 17, {})


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("place", [(0, 0), (5, 7), (47, 47)])
@pytest.mark.parametrize(("operator", "value"), [("Log", -1.0), ("Log", 0.0), ("Exp", 1000.0)])
def test_one_value_that_is_not_finite_is_found_wherever_it_lies(
    channels: int, place: tuple[int, int], operator: str, value: float
) -> None:
    model = gated(channels, operator)
    items: Feeds = [
        (f"p{i}.jpg", {"x": np.ones((1, channels, 48, 48), np.float32)}) for i in range(40)
    ]
    items[27][1]["x"][0, 1, place[0], place[1]] = value
    with pytest.raises(DataError, match=r"NaN or infinity in the tensor 'z' for the picture p27"):
        collect(model, {"z": 1}, items, open_session, pictures=1000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_picture_that_is_not_finite_is_named(bad: float, workers: int) -> None:
    items = feeds(5)
    items[3][1]["images"][0, 2, 63, 63] = bad
    with pytest.raises(DataError, match=r"'images' for the picture p3\.jpg"):
        collect(MODEL, WATCH, items, open_session, workers=workers)


def matrix_model(opset: int) -> Model:
    """Tensors of ranks 3 and 4 whose channels come last."""
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=(6, 6)).astype(np.float32) for name in ("w1", "w2")}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], name="m1"),
        helper.make_node("Softmax", ["a"], ["b"], name="s", axis=-1),
        helper.make_node("MatMul", ["b", "w2"], ["out"], name="m2"),
    ]
    proto = make_model(nodes, weights, {"x": [1, 20, 300, 6]}, ["out"], opset)
    return prepare(Model.of(proto), opset, {})


@pytest.mark.parametrize("opset", [13, 17, 19])
def test_tensors_of_other_forms_are_sampled_with_exact_extremes(opset: int) -> None:
    model = matrix_model(opset)
    items = feeds(4, (1, 20, 300, 6), "x")
    found = collect(model, {"x": 3, "a": 3, "b": 3}, items, open_session, pictures=1000)
    seen = values_of(model, ["a", "b"], items)
    for name in ("x", "a", "b"):
        arrays = np.stack([np.abs(values[name]) for values in seen])
        expected = arrays.reshape(-1, 6).max(axis=0)
        np.testing.assert_allclose(found.tensors[name].histogram.largest, expected, rtol=1e-6)
        counted = found.tensors[name].histogram.counts.sum()
        assert 0 < counted < arrays.size
        bad = [(picture, {"x": feed["x"].copy()}) for picture, feed in items]
        bad[2][1]["x"][0, 13, 171, 2] = np.nan
        with pytest.raises(DataError, match=r"p2\.jpg"):
            collect(model, {name: 3}, bad, open_session, pictures=1000)


@pytest.mark.parametrize("activation", ["silu", "hardswish", "leaky", "none"])
def test_negative_sides_count_as_far_as_they_matter(activation: str) -> None:
    nodes = {
        "silu": [
            helper.make_node("Sigmoid", ["y"], ["s"], name="s"),
            helper.make_node("Mul", ["y", "s"], ["z"], name="m"),
        ],
        "hardswish": [helper.make_node("HardSwish", ["y"], ["z"], name="h")],
        "leaky": [helper.make_node("LeakyRelu", ["y"], ["z"], name="l", alpha=0.5)],
        "none": [helper.make_node("Neg", ["y"], ["z"], name="i")],
    }[activation]
    rng = np.random.default_rng(2)
    w = rng.normal(size=(8, 3, 1, 1)).astype(np.float32)
    b = np.array([-30, -3, -1, 0, 1, 3, 10, 30], np.float32)
    first = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="first", kernel_shape=[1, 1])
    last = helper.make_node("Conv", ["z", "w2"], ["out"], name="last", kernel_shape=[1, 1])
    w2 = np.ones((1, 8, 1, 1), np.float32)
    proto = make_model(
        [first, *nodes, last], {"w": w, "b": b, "w2": w2}, {"x": [1, 3, 64, 64]}, ["out"]
    )
    model = prepare(Model.of(proto), 17, {})
    items = feeds(4, (1, 3, 64, 64), "x")
    found = collect(model, {"z": 1}, items, open_session, pictures=1000)
    expected = np.stack([np.abs(v["z"]) for v in values_of(model, ["z"], items)])
    largest = expected.max(axis=(0, 1, 3, 4))
    got = found.tensors["z"].histogram.largest
    # A bounded negative side is looked for in the sample only: it matters to faint channels.
    faint = largest <= {"silu": 0.2785, "hardswish": 0.375}.get(activation, 0.0)
    np.testing.assert_allclose(got[~faint], largest[~faint], rtol=1e-5)
    assert (got[faint] <= largest[faint] * 1.00001).all()
    assert (got[faint] >= 0.5 * largest[faint]).all()
    assert (~faint).sum() >= 4


def test_the_watching_model_gives_little_and_is_plain_onnx() -> None:
    model = prepare(Model.of(small_detector(size=416)), 17, {})
    watch = {layer.activation: layer.input_axis for layer in find_layers(model, OPERATORS)}
    watched = watch_model(model, watch, 1000)
    assert {node.domain for node in watched.model.proto.graph.node} == {""}
    feed = feeds(1, (1, 3, 416, 416))[0][1]
    given_out = open_session(watched.model).run(feed)
    whole = values_of(model, list(watch), [("x", feed)])[0]
    assert sum(v.nbytes for v in given_out.values()) < 0.02 * sum(
        whole[name].nbytes for name in watch
    )


def test_nothing_runs_that_no_output_needs_and_the_earliest_samples_come_first() -> None:
    # Either would keep large tensors in memory: see watch.py and decision 14.
    model = prepare(Model.of(small_detector(size=416)), 17, {})
    watch = {layer.activation: layer.input_axis for layer in find_layers(model, OPERATORS)}
    graph = watch_model(model, watch, 1000).model.proto.graph
    read = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    assert all(read.intersection(node.output) for node in graph.node)
    assert read >= {tensor.name for tensor in graph.initializer}
    ends = [node.output[0] for node in graph.node if node.op_type == "Concat"]
    earliest_first = [output.name for output in graph.output if output.name in ends]
    assert ends == earliest_first[::-1]
    assert len(ends) >= 2


class Stops:
    """Feeds that stop after some pictures, as Ctrl-C does; counts how many were run."""

    def __init__(self, after: int, error: Callable[[], BaseException]) -> None:
        self.after = after
        self.error = error

    def __iter__(self) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        yield from FEEDS[: self.after]
        raise self.error()


class Counted:
    """Opens sessions and counts their runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, model: Model) -> OpenRunner:
        inner = open_session(model)
        outer = self

        class Counting:
            def run(self, given_feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
                outer.runs += 1
                return inner.run(given_feeds)

            def close(self) -> None:
                inner.close()

        return Counting()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, lambda: DataError("the disk is gone")])
def test_an_interrupted_pass_goes_on_and_ends_with_the_same_table(
    tmp_path: Path, error: Callable[[], BaseException], workers: int
) -> None:
    cache = CacheFile(tmp_path / "calibration", "abc")
    with pytest.raises((KeyboardInterrupt, DataError)):
        collect(
            MODEL, WATCH, Stops(23, error), open_session, pictures=40, workers=workers, cache=cache
        )
    assert cache.path.is_file()
    opened = Counted()
    resumed = collect(MODEL, WATCH, FEEDS, opened, pictures=40, workers=workers, cache=cache)
    same(resumed, WHOLE)
    assert opened.runs == 40 - 23
    again = collect(MODEL, WATCH, Stops(0, error), opened, pictures=40, cache=cache)
    same(again, WHOLE)
    assert opened.runs == 40 - 23  # found whole: no pass at all


def test_a_bad_picture_does_not_spoil_what_was_seen_of_others(tmp_path: Path) -> None:
    cache = CacheFile(tmp_path, "abc")
    items = [(name, {"images": feed["images"].copy()}) for name, feed in FEEDS]
    items[30][1]["images"][0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="p30"):
        collect(MODEL, WATCH, items, open_session, pictures=40, cache=cache)
    same(collect(MODEL, WATCH, FEEDS, open_session, pictures=40, cache=cache), WHOLE)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "foreign", "pickled"])
def test_a_damaged_or_foreign_cache_is_not_trusted(tmp_path: Path, damage: str) -> None:
    cache = CacheFile(tmp_path, "abc")
    collect(MODEL, WATCH, FEEDS, open_session, pictures=40, cache=cache)
    data = bytearray(cache.path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    elif damage == "empty":
        data = bytearray()
    elif damage == "text":
        data = bytearray(b"not a cache")
    cache.path.write_bytes(data)
    if damage == "foreign":
        other = CacheFile(tmp_path, "def")
        collect(MODEL, WATCH, FEEDS[:3], open_session, pictures=40, cache=other)
        cache.path.write_bytes(other.path.read_bytes())
    if damage == "pickled":
        np.savez(cache.path, header=np.array([{"format": 1}], object))
    opened = Counted()
    same(collect(MODEL, WATCH, FEEDS, opened, pictures=40, cache=cache), WHOLE)
    assert opened.runs == 40
    same(collect(MODEL, WATCH, [], opened, pictures=40, cache=cache), WHOLE)


def test_the_cache_keeps_the_newest_few(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        cache = CacheFile(tmp_path, f"f{number}")
        collect(MODEL, {"images": 1}, FEEDS[:1], open_session, cache=cache)
    assert len(list(tmp_path.glob("*"))) == KEPT
    assert cache.path.is_file()


def test_a_cache_that_cannot_be_written_does_not_stop_calibration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = CacheFile(tmp_path / "file" / "calibration", "abc")
    same(collect(MODEL, WATCH, FEEDS, open_session, pictures=40, cache=cache), WHOLE)


def test_the_fingerprint_names_all_that_matters() -> None:
    base = fingerprint(MODEL, WATCH, 40, "pictures", "preprocess")
    other = prepare(Model.of(small_detector(seed=1, size=64)), 17, {})
    others = [
        fingerprint(other, WATCH, 40, "pictures", "preprocess"),
        fingerprint(MODEL, {"images": 1}, 40, "pictures", "preprocess"),
        fingerprint(MODEL, WATCH, 41, "pictures", "preprocess"),
        fingerprint(MODEL, WATCH, 40, "other pictures", "preprocess"),
        fingerprint(MODEL, WATCH, 40, "pictures", "another scale"),
    ]
    assert len({base, *others}) == 6
    assert base == fingerprint(MODEL, dict(reversed(WATCH.items())), 40, "pictures", "preprocess")


def test_pictures_left_out_are_remembered_with_the_result(tmp_path: Path) -> None:
    cache = CacheFile(tmp_path, "abc")
    skipped: dict[str, str] = {}

    def reading() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        yield FEEDS[0]
        skipped["b.jpg"] = "the file is empty"

    found = collect(MODEL, WATCH, reading(), open_session, cache=cache, skipped=skipped)
    again = collect(MODEL, WATCH, [], open_session, cache=cache)
    assert found.skipped == again.skipped == {"b.jpg": "the file is empty"}
