"""`edgesdk build` on a Jetson compiles as well. On a double: that TensorRT works is not shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgesdk.backends.base import Probe
from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.bundle import open_bundle
from edgesdk.cli.build import command
from tests.tensorrt.boards import machinery, orin_nx
from tests.tensorrt.engines import double
from tests.tensorrt_double import control, make_tensorrt


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double.onnx").write_bytes(double().to_bytes())
    return tmp_path


def build(parts: Machinery, *more: str) -> Result:
    arguments = ["double.onnx", "--device", "orin-nx-16gb", "--precision", "fp32", "--quiet", *more]
    result = CliRunner().invoke(command, arguments, obj=parts)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def engines(work: Path) -> int:
    return len(EngineStore.beside(open_bundle(work / "double.edge")).stored())


def test_on_a_board_the_engine_is_made_as_well(work: Path) -> None:
    parts = machinery(orin_nx(work / "board"))
    said = build(parts).stdout
    assert engines(work) == 1
    assert "double.edge.engines" in "".join(said.split())
    backend_runs = json.loads(build(parts, "--json").stdout)
    assert backend_runs["path"] == "double.edge"


def test_it_can_be_left_out(work: Path) -> None:
    build(machinery(orin_nx(work / "board")), "--no-compile")
    assert engines(work) == 0


def test_a_desk_with_a_gpu_makes_bundles_and_no_engines(work: Path) -> None:
    build(machinery(work / "no-board"))
    assert engines(work) == 0


def test_a_board_without_tensorrt_builds_the_bundle_and_says_nothing_of_it(work: Path) -> None:
    absent = Probe("tensorrt", False, "", "Python finds no module 'tensorrt'", "apt")
    parts = replace(machinery(orin_nx(work / "board")), probe=lambda driver: absent)
    assert "tensorrt" not in build(parts).stderr.lower()
    assert engines(work) == 0


def test_an_engine_that_cannot_be_built_leaves_the_bundle_whole_and_is_said(work: Path) -> None:
    trt = make_tensorrt("10.3.0")
    control(trt).fail_build = "out of memory"
    result = build(machinery(orin_nx(work / "board"), trt=trt))
    assert "its engine is not" in result.stderr
    assert "out of memory" in result.stderr
    assert "edgesdk compile double.edge" in result.stderr
    assert open_bundle(work / "double.edge").manifest.precision == "fp32"
