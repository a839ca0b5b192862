"""What implicit INT8 needs beside the pairs: looked at in calibration, and priced on the answers.

Numbers are worked out by hand or computed by ONNX Runtime on the graph that is shipped. That a DLA
rounds as the CPU does here is not shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesdk.backends import load_backend
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.build.request import chosen_spec, complete_shapes, float_model, make_feeds
from edgesdk.bundle import Bundle, ImplicitRange, open_bundle, write_bundle
from edgesdk.calibration.tensorrt_cache import read_cache
from edgesdk.exports.target import export_target
from edgesdk.exports.write import write_export
from edgesdk.model import Model
from edgesdk.model.edit import with_outputs
from edgesdk.model.prepare import prepare
from edgesdk.quantize.implicit import implicit_form, make_implicit
from edgesdk.quantize.implicit_ranges import unstated_tensors
from edgesdk.quantize.rounded import round_tensors
from tests.onnx_graphs import small_detector
from tests.tensorrt_parser import Parser
from tests.test_graph_form import GRAPHS, tensors
from tests.test_implicit import CHAIN, CHAIN_AMAX, conv, explicit, op, weights_rounded_again

TRAFFIC = "sim://traffic?frames=8&fps=1"
OTHER_TRAFFIC = "sim://traffic?frames=12&fps=1&seed=77"

Feeds = list[dict[str, np.ndarray]]


# --- what is needed, and what becomes of it -----------------------------------------------------


def ending_in_a_relu() -> Model:
    nodes = [*CHAIN, op("Relu", ["out"], "end")]
    return explicit(nodes, ["end"], CHAIN_AMAX)


def test_of_a_layer_that_fuses_with_its_relu_the_relu_s_output_is_needed() -> None:
    bare = make_implicit(ending_in_a_relu()).model
    assert unstated_tensors(bare, CHAIN_AMAX, {"a", "b", "c", "d"}) == ("end",)


def test_a_recorded_range_goes_back_to_its_layer() -> None:
    implicit = make_implicit(ending_in_a_relu(), recorded={"end": ImplicitRange(7.0, 7.5, 0.0)})
    assert implicit.lost == {}
    assert implicit.ranges["end"] == 7.0
    assert implicit.ranges["out"] == 7.0
    assert implicit.derived["out"] == "Relu_end"


def test_what_must_not_be_rounded_is_lost_with_the_reason() -> None:
    recorded = {"end": ImplicitRange(7.0, 7.5, 0.0, "it would cost the output 'end' 9.0 dB")}
    implicit = make_implicit(ending_in_a_relu(), recorded=recorded)
    assert implicit.lost == {"d": "'out': it would cost the output 'end' 9.0 dB"}
    assert not {"end", "out"} & implicit.ranges.keys()


def test_a_pair_says_more_than_a_record() -> None:
    recorded = {"rc": ImplicitRange(9.0, 9.0, 0.0)}
    ranges = make_implicit(explicit(CHAIN, ["out"], CHAIN_AMAX), recorded=recorded).ranges
    assert ranges["rc"] == pytest.approx(3.0, rel=1e-6)


def test_a_record_of_a_float_layer_or_of_another_graph_is_not_used() -> None:
    model = explicit(CHAIN, ["out"], CHAIN_AMAX, keep_float=["d"])
    recorded = dict.fromkeys(["out", "gone"], ImplicitRange(9.0, 9.0, 0.0))
    assert not {"out", "gone"} & make_implicit(model, recorded=recorded).ranges.keys()


def test_heads_that_are_joined_keep_their_own_ranges() -> None:
    nodes = [
        conv("a", "images", "ca"),
        conv("b", "images", "cb"),
        op("Concat", ["ca", "cb"], "both", axis=1),
    ]
    model = explicit(nodes, ["both"], {"images": 4.0})
    recorded = {"ca": ImplicitRange(1.0, 1.0, 0.0), "cb": ImplicitRange(50.0, 50.0, 0.0)}
    implicit = make_implicit(model, recorded=recorded)
    assert implicit.lost == {}
    assert (implicit.ranges["ca"], implicit.ranges["cb"]) == (1.0, 50.0)
    assert "both" not in implicit.ranges, "one scale for both would round ca by 50 / 127"


def test_rounding_is_what_numpy_says_for_every_reader() -> None:
    bare = make_implicit(explicit(CHAIN, ["out", "cb"], CHAIN_AMAX)).model
    feed = {"images": np.random.default_rng(1).normal(0, 2, (1, 4, 8, 8)).astype(np.float32)}
    plain = answers(bare, [feed])[0]["cb"]
    found = answers(round_tensors(bare, {"cb": 1.27, "gone": 1.0}), [feed])[0]
    expected = np.clip(np.rint(plain / np.float32(0.01)), -128, 127) * np.float32(0.01)
    np.testing.assert_allclose(found["cb"], expected, atol=1e-6)
    later = Model.of(onnx.utils.Extractor(bare.proto).extract_model(["cb"], ["out"]))
    np.testing.assert_allclose(
        found["out"], answers(later, [{"cb": expected}])[0]["out"], rtol=1e-4, atol=1e-4
    )


# --- built --------------------------------------------------------------------------------------


def answers(model: Model, feeds: Feeds) -> list[dict[str, np.ndarray]]:
    backend = load_backend("onnxruntime", exact=True)
    session = backend.open(backend.compile(model))
    return [{name: a.copy() for name, a in session.run(feed).items()} for feed in feeds]


def built(folder: Path, path: Path, recipe: str = "dla") -> tuple[Bundle, Feeds]:
    given = tensors(Model.of(onnx.load(str(path))), 0, 4)
    np.savez(folder / "feeds.npz", **given)
    order = BuildOrder(
        device="orin",
        model=str(path),
        jetpack="6.2",
        data=str(folder / "feeds.npz"),
        recipe=recipe,
        out=folder / f"{recipe}.edge",
    )
    feeds = [{n: a[i : i + 1] for n, a in given.items()} for i in range(4)]
    return build(*resolve(order)), feeds


NETS = ("torchscript_silu", "torchscript_mobilenet_v3", "dynamo_efficientnet_lite", "wild")


@pytest.mark.parametrize("name", NETS)
def test_no_layer_is_lost_and_ranges_are_those_of_the_bundle_s_own_tensors(
    tmp_path: Path, name: str
) -> None:
    """Balanced, with rounded weights and corrected biases: what the shipped graph holds."""
    path = GRAPHS / f"{name}.onnx"
    if name == "wild":
        path = tmp_path / "wild.onnx"
        onnx.save(small_detector(wild=True), str(path))
    bundle, feeds = built(tmp_path, path)
    assert bundle.manifest.calibration is not None
    recorded = bundle.manifest.calibration.implicit_ranges
    implicit = implicit_form(bundle)
    assert recorded
    assert implicit.lost == {}
    seen = answers(with_outputs(implicit.model, recorded), feeds)
    for tensor, one in recorded.items():
        largest = max(float(np.abs(run[tensor]).max()) for run in seen)
        assert one.largest == pytest.approx(largest, rel=0.1)
        assert implicit.ranges[tensor] == one.amax
    assert Parser().builds(implicit.model.to_bytes())


def test_the_exported_calibration_cache_has_them(tmp_path: Path) -> None:
    bundle, _ = built(tmp_path, GRAPHS / "torchscript_silu.onnx")
    write_export("calibration-cache", export_target(bundle, dla_core=0), tmp_path / "out")
    found = read_cache(tmp_path / "out/calibration.cache").ranges
    graph = implicit_form(bundle).model.proto.graph
    average = next(node for node in graph.node if node.op_type == "GlobalAveragePool")
    # DLA averages with the scale that it reads.
    assert found[average.output[0]] == pytest.approx(found[average.input[0]], rel=1e-3)


def test_bundles_for_the_gpu_say_nothing_of_it(tmp_path: Path) -> None:
    bundle, _ = built(tmp_path, GRAPHS / "torchscript_silu.onnx", "fast")
    stored = json.loads((bundle.path / "manifest.json").read_text())
    assert "implicit_ranges" not in stored["calibration"]
    assert open_bundle(bundle.path).manifest == bundle.manifest


# --- the traffic app's net, on pictures that the build did not see ------------------------------


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("traffic") / "net.edge"
    return build(*resolve(traffic_order(TRAFFIC, out)))


def traffic_order(data: str, out: Path) -> BuildOrder:
    return BuildOrder(
        device="orin",
        model="traffic_counting",
        precision="int8",
        data=data,
        jetpack="6.2",
        recipe="dla",
        out=out,
    )


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Feeds, list[np.ndarray]]:
    """Pictures, and what the float model answers."""
    order = traffic_order(OTHER_TRAFFIC, tmp_path_factory.mktemp("other") / "net.edge")
    request, _ = resolve(order)
    assert request.data is not None
    given = float_model(request)
    model = prepare(given, request.jetpack.max_opset, complete_shapes(request))
    feeds = [dict(f) for _, f in make_feeds(request.data, model, chosen_spec(request, model))]
    return feeds, rows(model, feeds)


def rows(model: Model, feeds: Feeds) -> list[np.ndarray]:
    return [next(iter(found.values())) for found in answers(model, feeds)]


def as_tensorrt(bundle: Bundle, more: Mapping[str, float]) -> Model:
    """Every range rounds, and every weight is rounded by its own largest."""
    implicit = implicit_form(bundle)
    return round_all(weights_rounded_again(implicit.model), {**implicit.ranges, **more})


def round_all(model: Model, ranges: Mapping[str, float]) -> Model:
    inputs = {spec.name for spec in model.inputs}
    proto = onnx.ModelProto.FromString(model.to_bytes())
    first = [n for n in proto.graph.node if set(n.input) & inputs]
    assert len(first) == 1, "the one input is rounded where it is read"
    name = first[0].input[0]
    first[0].input[0] = "rounded_input"
    proto.graph.node.insert(0, onnx.helper.make_node("Identity", [name], ["rounded_input"]))
    return round_tensors(Model.of(proto), {**ranges, "rounded_input": ranges[name]})


def boxes_db(reference: list[np.ndarray], found: list[np.ndarray], part: slice) -> float:
    wanted = np.concatenate([a[..., part] for a in reference]).astype(np.float64)
    noise = np.concatenate([a[..., part] for a in found]) - wanted
    return float(10 * np.log10(np.square(wanted).sum() / np.square(noise).sum()))


BOXES, SCORES = slice(0, 4), slice(4, None)


def test_what_the_build_lets_through_costs_less_than_half_a_bit(
    traffic: Bundle, unseen: tuple[Feeds, list[np.ndarray]]
) -> None:
    feeds, expected = unseen
    in_bundle, on_dla = rows(traffic.model(), feeds), rows(as_tensorrt(traffic, {}), feeds)
    for part in (BOXES, SCORES):
        assert boxes_db(expected, on_dla, part) > boxes_db(expected, in_bundle, part) - 3


def test_what_it_holds_back_would_have_cost_more(
    traffic: Bundle, unseen: tuple[Feeds, list[np.ndarray]]
) -> None:
    feeds, expected = unseen
    assert traffic.manifest.calibration is not None
    held_back = {
        tensor: one.amax
        for tensor, one in traffic.manifest.calibration.implicit_ranges.items()
        if one.reason
    }
    assert held_back
    in_bundle, found = rows(traffic.model(), feeds), rows(as_tensorrt(traffic, held_back), feeds)
    assert boxes_db(expected, found, BOXES) < boxes_db(expected, in_bundle, BOXES) - 3


def test_without_its_records_a_bundle_loses_all_heads_as_before(
    traffic: Bundle, tmp_path: Path
) -> None:
    """Bundles of an older build have none, and are still read."""
    calibration = traffic.manifest.calibration
    assert calibration is not None
    old = replace(traffic.manifest, calibration=replace(calibration, implicit_ranges={}))
    bundle = write_bundle(tmp_path / "old.edge", traffic.model(), old)
    lost = implicit_form(open_bundle(bundle.path)).lost
    heads = {"/net/out/Conv", "/net/out_1/Conv", "/net/out_2/Conv"}
    assert lost.keys() == heads
    assert all("is not known" in why for why in lost.values())
    assert implicit_form(traffic).lost.keys() < heads
    assert all("'boxes'" in why for why in implicit_form(traffic).lost.values())
