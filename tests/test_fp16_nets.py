"""Whole nets in FP16: they answer as in float32 and a real TensorRT-family builder takes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice

import numpy as np
import onnx
import pytest

from edgesdk._resources import assets_folder
from edgesdk.lint import check_for_tensorrt
from edgesdk.model import Model, read_model
from edgesdk.model.prepare import prepare
from edgesdk.pictures import open_pictures
from edgesdk.preprocess import Preprocess
from edgesdk.quantize.fp16 import find_islands, write_fp16
from edgesdk.zoo import load_entry
from tests.fp16_nets import (
    PICTURES,
    attention_net,
    detector,
    huge_net,
    observed,
    quantized,
    run,
    sqnr_db,
)
from tests.tensorrt_parser import Parser

TOKENS = [np.random.default_rng(i).normal(size=(1, 16, 8)).astype(np.float32) for i in range(3)]
SMALL: dict[str, tuple[Callable[[], Model], list[np.ndarray]]] = {
    "detector": (detector, PICTURES),
    "attention": (attention_net, TOKENS),
    "attention with a lost epsilon": (lambda: attention_net(1e-12), TOKENS),
    "huge activations": (huge_net, PICTURES),
}
ZOO = {
    "yolox-nano": "coco192.tar#val2017",
    "nanodet-m": "coco192.tar#val2017",
    "efficientnet-lite0": "imagenet500.tar",
    "resnet20-cifar10": "cifar10_5000.npz",
}
ZOO_DB = {"yolox-nano": 30}
"""The noise of many layers adds up: 40 dB is usual. A depthwise input of YOLOX-nano has channels
860 times apart, where it is amplified."""


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser()


@pytest.mark.parametrize("name", SMALL)
def test_small_nets_are_built(parser: Parser, name: str) -> None:
    make, pictures = SMALL[name]
    model = make()
    half = write_fp16(model, find_islands(model, observed(model, pictures)))
    onnx.checker.check_model(half.proto, full_check=True)
    assert parser.builds(half.to_bytes())


@pytest.mark.parametrize("keep", [(), ("depthwise",), ("first", "head")])
def test_int8_with_float16_scales_and_islands_is_built(
    parser: Parser, keep: tuple[str, ...]
) -> None:
    half = write_fp16(quantized(detector(19), PICTURES), keep)
    assert check_for_tensorrt(half, 19) == ()
    assert parser.builds(half.to_bytes())


def test_int8_attention_with_a_float16_rest_is_built_and_answers(parser: Parser) -> None:
    model = attention_net(1e-12)
    islands = find_islands(model, observed(model, TOKENS))
    half = write_fp16(quantized(model, TOKENS), islands)
    assert parser.builds(half.to_bytes())
    for x in TOKENS:
        assert sqnr_db(run(model, x)["y"], run(half, x)["y"]) > 25


@cache
def zoo_net(name: str) -> tuple[Model, list[np.ndarray]]:
    assets = assets_folder()
    if assets is None:
        pytest.skip(f"needs the assets ({name}'s model and pictures): set EDGESDK_ASSETS")
    entry = load_entry(name)
    preprocess: Preprocess = entry.spec.preprocess
    height, width = preprocess.height, preprocess.width
    model = read_model(assets / "models" / entry.file)
    ready = prepare(model, 19, {model.inputs[0].name: (1, 3, height, width)})
    pictures = open_pictures(str(assets / "data" / ZOO[name]))
    return ready, [preprocess(picture.image)[0] for picture in islice(pictures, 2)]


@pytest.mark.parametrize("name", ZOO)
def test_nets_of_the_zoo_answer_as_in_float32_and_are_built(parser: Parser, name: str) -> None:
    model, pictures = zoo_net(name)
    islands = find_islands(model, observed(model, pictures))
    assert islands == {}
    half = write_fp16(model, islands)
    onnx.checker.check_model(half.proto, full_check=True)
    for x in pictures:
        exact, found = run(model, x), run(half, x)
        for output, values in found.items():
            assert np.isfinite(values).all()
            assert sqnr_db(exact[output], values) > ZOO_DB.get(name, 40)
    assert parser.builds(half.to_bytes())
