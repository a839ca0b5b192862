"""The graphs of whole nets, as `edgesdk build` writes them, in a real TensorRT-family builder.

It shows that they are parsed and compiled. It does not show that an engine of a Jetson runs them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk._resources import assets_folder
from edgesdk.backends.tensorrt.building.honoured import not_honoured
from edgesdk.build import build
from edgesdk.build.job import BuildOrder, resolve
from edgesdk.bundle import Bundle, Precision
from tests.tensorrt_parser import Parser

TRAFFIC = "sim://traffic?frames=8&fps=1"
PRECISIONS: tuple[Precision, ...] = ("int8", "fp16", "fp32")


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


def built(tmp_path: Path, model: str, precision: Precision, data: str, jetpack: str) -> Bundle:
    order = BuildOrder(
        device="orin",
        model=model,
        precision=precision,
        data=data,
        jetpack=jetpack,
        out=tmp_path / "net.edge",
    )
    request, path = resolve(order)
    return build(request, path)


def assert_runs_as_the_manifest_says(parser: Parser, bundle: Bundle) -> None:
    """Each layer that the manifest has in INT8 is one that the built engine has in INT8."""
    engine = parser.engine(bundle.model())
    assert engine.data
    wanted = [one.node for one in bundle.manifest.layers if one.precision == "int8"]
    assert not_honoured(engine.layers, wanted) == ()
    assert engine.warnings == ()


@pytest.mark.parametrize("jetpack", ["6.0", "6.2"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_traffic_app_s_net_is_compiled(
    parser: Parser, tmp_path: Path, precision: Precision, jetpack: str
) -> None:
    bundle = built(tmp_path, "traffic_counting", precision, TRAFFIC, jetpack)
    assert_runs_as_the_manifest_says(parser, bundle)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("model", ["yolox-nano", "nanodet-m"])
def test_nets_of_the_zoo_are_compiled(
    parser: Parser, tmp_path: Path, model: str, precision: Precision
) -> None:
    if assets_folder() is None:
        pytest.skip(
            "needs the assets (yolox_nano_416.onnx, nanodet_m_416.onnx): set EDGESDK_ASSETS"
        )
    bundle = built(tmp_path, model, precision, TRAFFIC, "6.2")
    assert_runs_as_the_manifest_says(parser, bundle)
