"""What a build shows of its bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk.bundle import Bundle
from edgesdk.cli._bundle_view import show_bundle
from tests.bundles import detector_bundle

COSTS = "which costs speed: fp16 beside int8 needs ONNX opset 19, TensorRT 10"


def shown(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> str:
    show_bundle(bundle)
    return " ".join(capsys.readouterr().out.split())


def test_for_jetpack_6_0_it_says_that_a_float32_rest_costs_speed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(detector_bundle(tmp_path / "net.edge", jetpack="6.0"), capsys)
    assert f"other operators fp32, {COSTS}" in text


def test_a_float16_rest_or_a_float32_rest_that_was_asked_for_needs_no_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = detector_bundle(tmp_path / "net.edge", jetpack="6.2")
    asked = replace(bundle, manifest=replace(bundle.manifest, other_nodes="fp32"))
    for each, rest in ((bundle, "fp16"), (asked, "fp32")):
        text = shown(each, capsys)
        assert f"other operators {rest}" in text
        assert "costs speed" not in text
