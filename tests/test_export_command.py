"""edgesdk export, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import shlex
import stat
from pathlib import Path

import onnx
import pytest

from edgesdk.bundle import Precision, open_bundle
from edgesdk.calibration.tensorrt_cache import read_cache
from tests.bundles import detector_bundle
from tests.command import edgesdk


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with net.edge, an INT8 bundle for JetPack 6.2."""
    detector_bundle(tmp_path / "net.edge")
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def refused(work: Path, *arguments: object, exit_code: int = 2) -> str:
    before = sorted(p.name for p in work.iterdir())
    done = edgesdk("export", *arguments, cwd=work)
    assert done.returncode == exit_code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in work.iterdir()) == before, "something was left behind"
    return " ".join(done.stderr.split())


def test_a_calibration_cache_comes_with_the_graph_that_it_is_for(work: Path) -> None:
    before = digests(work / "net.edge")
    done = edgesdk("export", "net.edge", "--to", "calibration-cache", "--out", "cache", cwd=work)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "cache/calibration.cache",
        "cache/export.json",
        "cache/model.onnx",
    ]
    cache = read_cache(work / "cache" / "calibration.cache")
    graph = onnx.load(work / "cache" / "model.onnx").graph
    tensors = {v.name for v in graph.input} | {out for node in graph.node for out in node.output}
    assert cache.version == "100300"
    assert set(cache.ranges) == {"images", "c1", "r1", "c2", "r2"} <= tensors
    assert not [node for node in graph.node if "QuantizeLinear" in node.op_type]
    # The head's output has no pair behind it: the user is told.
    assert "in FP16 and not in INT8" in done.stderr
    assert digests(work / "net.edge") == before, "the bundle changed"
    open_bundle(work / "net.edge")


def test_deepstream_gets_all_files_that_its_config_names(work: Path) -> None:
    done = edgesdk(
        "export", "net.edge", "--to", "deepstream", "--out", "ds", "--dla-core", 0, cwd=work
    )
    assert done.returncode == 0, done.stderr
    text = (work / "ds" / "config_infer_primary.txt").read_text()
    keys = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    for key in ("onnx-file", "labelfile-path", "int8-calib-file"):
        assert (work / "ds" / keys[key]).is_file()
    assert (work / "ds" / "labels.txt").read_text() == "car\nbus\n"
    assert (
        f"--saveEngine={keys['model-engine-file']}" in (work / "ds" / "build_engine.sh").read_text()
    )
    assert "no parser" in done.stderr


def test_trtexec_gets_a_script_that_can_be_run_and_the_line_is_printed(work: Path) -> None:
    done = edgesdk("export", "net.edge", "--to", "trtexec", "--out", "trt", cwd=work)
    assert done.returncode == 0, done.stderr
    program, *arguments = shlex.split(done.stdout.splitlines()[-1])
    assert program == "trtexec"
    assert {"--onnx=model.onnx", "--stronglyTyped"} <= set(arguments)
    assert (work / "trt" / "build_engine.sh").stat().st_mode & stat.S_IXUSR
    assert (work / "trt" / "model.onnx").read_bytes() == (
        work / "net.edge" / "model.onnx"
    ).read_bytes()


def test_json_is_one_object_with_files_warnings_and_arguments(work: Path) -> None:
    command = ("export", "net.edge", "--to", "trtexec", "--out", "trt", "--dla-core", 0, "--json")
    done = edgesdk(*command, cwd=work)
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["export"] == "trtexec"
    assert found["files"] == sorted(p.name for p in (work / "trt").iterdir())
    assert "--calib=calibration.cache" in found["arguments"]
    assert any("FP16" in warning for warning in found["warnings"])


def test_an_older_jetpack_gets_the_header_of_its_own_tensorrt(tmp_path: Path) -> None:
    detector_bundle(tmp_path / "net.edge", jetpack="6.0")
    for jetpack, version in (("", "8602"), ("5.1.3", "8502")):
        option = ("--jetpack", jetpack) if jetpack else ()
        done = edgesdk(
            "export", "net.edge", "--to", "calibration-cache", "--out", "cache", *option,
            cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert read_cache(tmp_path / "cache" / "calibration.cache").version == version


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_bundle_without_int8_has_no_cache(tmp_path: Path, precision: Precision) -> None:
    detector_bundle(tmp_path / "net.edge", precision)
    message = refused(tmp_path, "net.edge", "--to", "calibration-cache", "--out", "cache")
    assert f"net.edge is {precision.upper()}: it has no ranges of INT8" in message
    assert "hint: build it with --precision int8" in message


def test_a_jetpack_whose_tensorrt_has_no_dla_is_refused_for_it(work: Path) -> None:
    message = refused(
        work, "net.edge", "--to", "trtexec", "--out", "t", "--jetpack", "7.2", "--dla-core", 0
    )
    assert "does not compile for DLA" in message


def test_a_graph_that_the_older_tensorrt_does_not_take_is_refused(work: Path) -> None:
    message = refused(work, "net.edge", "--to", "trtexec", "--out", "t", "--jetpack", "6.0")
    assert "operator set 19; JetPack 6.0 (TensorRT 8.6.2) takes 17 at most" in message
    assert "build it with --jetpack 6.0" in message


def test_a_dla_that_is_not_there_is_refused(tmp_path: Path) -> None:
    detector_bundle(tmp_path / "nano.edge", device="orin-nano-8gb")
    detector_bundle(tmp_path / "net.edge")
    detector_bundle(tmp_path / "float.edge", "fp32")
    command = ("--to", "trtexec", "--out", "t", "--dla-core")
    nano = refused(tmp_path, "nano.edge", *command, 0)
    assert "has no DLA" in nano
    assert "leave --dla-core out" in nano
    third = refused(tmp_path, "net.edge", *command, 2)
    assert "has 2 DLA cores: there is no core 2" in third
    assert "--dla-core takes 0 to 1" in third
    assert "FP16 and INT8 only" in refused(tmp_path, "float.edge", *command, 0)


def test_a_bundle_for_tensors_has_no_deepstream_config(tmp_path: Path) -> None:
    detector_bundle(tmp_path / "net.edge", spec=None)
    message = refused(tmp_path, "net.edge", "--to", "deepstream", "--out", "ds")
    assert "says nothing of pictures" in message


def test_what_is_no_export_is_not_replaced_and_an_export_is(work: Path) -> None:
    (work / "mine").mkdir()
    (work / "mine" / "notes.txt").write_text("keep me")
    message = refused(work, "net.edge", "--to", "trtexec", "--out", "mine")
    assert "mine is there and is no export" in message
    assert (work / "mine" / "notes.txt").read_text() == "keep me"
    for form in ("deepstream", "trtexec"):
        done = edgesdk("export", "net.edge", "--to", form, "--out", "again", cwd=work)
        assert done.returncode == 0, done.stderr
    assert not (work / "again" / "config_infer_primary.txt").exists()
    assert json.loads((work / "again" / "export.json").read_text())["export"] == "trtexec"


def test_a_bundle_is_never_written_into(work: Path) -> None:
    before = digests(work / "net.edge")
    assert "is no export" in refused(work, "net.edge", "--to", "trtexec", "--out", "net.edge")
    inside = refused(work, "net.edge", "--to", "trtexec", "--out", "net.edge/trt")
    assert "lies inside the bundle" in inside
    assert digests(work / "net.edge") == before


def test_a_folder_that_cannot_be_written_is_one_sentence(work: Path) -> None:
    (work / "file").write_text("")
    message = refused(work, "net.edge", "--to", "trtexec", "--out", "file/t", exit_code=1)
    assert "cannot write" in message
