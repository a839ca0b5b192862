"""`edgesdk compile`: with a double of TensorRT for what it does, and for real where no GPU is.

The double shows what the command asks for and says. It does not show that TensorRT works.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from edgesdk.backends.tensorrt.backend import Machinery
from edgesdk.backends.tensorrt.engines.material import for_dla
from edgesdk.backends.tensorrt.engines.store import EngineStore
from edgesdk.backends.tensorrt.machine.driver import probe_driver
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings, ShapeRange
from edgesdk.bundle import Bundle, open_bundle, write_bundle
from edgesdk.cli._engine_progress import left_text
from edgesdk.cli.compile import command, read_range
from edgesdk.errors import BackendError, BundleError, EdgeError, UsageError
from edgesdk.model import Model
from tests.command import edgesdk
from tests.tensorrt.boards import machinery, orin_nx
from tests.tensorrt.engines import bundle, double, plan
from tests.tensorrt_double import control, make_tensorrt

Compile = Callable[..., Result]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machinery:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    return machinery(orin_nx(tmp_path / "board"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bundle(tmp_path / "model.edge").path


@pytest.fixture
def no_gpu() -> None:
    if not probe_driver().problem:
        pytest.skip("shows what is said without a GPU, and this machine has one (needs a board)")


def run(parts: Machinery, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], obj=parts)


def done(parts: Machinery, *arguments: object) -> Result:
    result = run(parts, *arguments)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


def refused(parts: Machinery, *arguments: object) -> EdgeError:
    error = run(parts, *arguments).exception
    assert isinstance(error, EdgeError), repr(error)
    return error


def told(parts: Machinery, *arguments: object) -> dict[str, object]:
    table: dict[str, object] = json.loads(done(parts, *arguments, "--json").stdout)
    return table


# --- what it makes ----------------------------------------------------------------------------


def test_it_makes_an_engine_beside_the_bundle_and_says_so(parts: Machinery, path: Path) -> None:
    result = done(parts, path)
    (stored,) = EngineStore.beside(open_bundle(path)).stored()
    flat = "".join(result.stdout.split())
    assert str(stored.path) in flat
    for words in ("TensorRT 10.3.0", "orin-nx-16gb", "power mode 0", "nothing special", "1 fp32"):
        assert "".join(words.split()) in flat
    assert "compiling" in result.stderr
    assert "100%" in result.stderr


def test_a_second_time_nothing_is_built(parts: Machinery, path: Path) -> None:
    first, second = told(parts, path), told(parts, path)
    assert (first["built"], second["built"]) == (True, False)
    assert first["sha256"] == second["sha256"]
    assert "not built again" in " ".join(done(parts, path).stdout.split())
    assert told(parts, path, "--force")["built"] is True


def test_the_object_has_the_whole_record(parts: Machinery, path: Path) -> None:
    found = told(parts, path, "--optimization-level", 2)
    engine = Path(str(found["engine"]))
    assert engine.stat().st_size == found["size_bytes"]
    beside = json.loads(engine.with_suffix(".json").read_text())
    assert {key: found[key] for key in beside} == beside
    assert beside["key"]["settings"]["optimization_level"] == 2


def test_options_reach_tensorrt(parts: Machinery, path: Path) -> None:
    done(parts, path, "--workspace-mb", 256, "--version-compatible", "--optimization-level", 5)
    calls = control(parts.module()).calls
    assert any("set_memory_pool_limit" in call and str(256 * 2**20) in call for call in calls)
    (stored,) = EngineStore.beside(open_bundle(path)).stored()
    asked = stored.record.key.settings
    assert (asked.workspace_bytes, asked.version_compatible) == (256 * 2**20, True)
    assert asked.optimization_level == 5
    said = " ".join(done(parts, path, "--list").stdout.split())
    for words in ("workspace 256 MiB", "level 5", "version compatible"):
        assert words in said


def test_a_dla_core_is_asked_for_and_what_fell_back_is_said(
    parts: Machinery, tmp_path: Path
) -> None:
    half = bundle(tmp_path / "half.edge", dtype=np.float16).path
    trt = make_tensorrt("10.3.0")
    control(trt).not_on_dla = ("multiply",)
    both = machinery(tmp_path / "board", trt=trt)
    result = done(both, half, "--dla-core", 1)
    assert "DLA core 1 takes 0 of 1 layers; on the GPU: multiply" in result.stdout
    (stored,) = EngineStore.beside(open_bundle(half)).stored()
    assert stored.record.key.settings.dla == DlaSettings(1)
    error = refused(both, half, "--dla-core", 1, "--no-gpu-fallback")
    assert isinstance(error, BackendError)
    assert "multiply" in error.message


def test_where_dla_knows_q_dq_the_graph_goes_in_as_it_is(tmp_path: Path) -> None:
    made, asked = quantized(tmp_path / "int8.edge"), EngineSettings(dla=DlaSettings(0))
    for version, implicit in (("8.5.2", True), ("10.3.0", True), ("11.4.1", False)):
        assert for_dla(asked, made.model(), version).implicit_int8 == implicit
    assert not for_dla(EngineSettings(), made.model(), "10.3.0").implicit_int8  # not on DLA
    assert not for_dla(asked, double(dtype=np.float16), "10.3.0").implicit_int8  # not INT8


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0"])
@pytest.mark.usefixtures("parts")
def test_int8_goes_to_dla_with_its_ranges_beside_the_graph(tmp_path: Path, version: str) -> None:
    path = quantized(tmp_path / "int8.edge").path
    trt = make_tensorrt(version)
    done(machinery(tmp_path / "board", version, trt=trt), path, "--dla-core", 0)
    (stored,) = EngineStore.beside(open_bundle(path)).stored()
    assert stored.record.key.settings.implicit_int8
    assert stored.record.key.graph == open_bundle(path).graph_digest
    layer = next(one for one in stored.record.layers if "conv" in one.origin)
    assert (layer.precision, layer.device) == ("int8", "dla")


def test_int8_that_is_not_honoured_is_loud(parts: Machinery, tmp_path: Path) -> None:
    path = quantized(tmp_path / "int8.edge").path
    assert "NOT HONOURED" not in done(parts, path).output
    trt = make_tensorrt("10.3.0")
    control(trt).not_in_int8 = ("conv",)
    result = done(machinery(tmp_path / "board", trt=trt), path, "--force")
    assert "warning: INT8 NOT HONOURED: 1 of 1" in result.stderr
    assert "conv" in result.stderr
    again = done(parts, path)  # it is said each time that the engine is looked at
    assert "INT8 NOT HONOURED" in again.stderr


def test_shape_ranges_are_asked_for(parts: Machinery, tmp_path: Path) -> None:
    path = varying(tmp_path / "varying.edge").path
    assert "x" in refused(parts, path).message  # a range is needed, and none was given
    done(parts, path, "--shape", "x=1x3:4x3:8x3")
    (stored,) = EngineStore.beside(open_bundle(path)).stored()
    assert stored.record.key.settings.shapes == {"x": ShapeRange((1, 3), (4, 3), (8, 3))}


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("images=1x3x8x8:4x3x8x8:8x3x8x8", ((1, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8))),
        ("in=put=2x3", ((2, 3),) * 3),
    ],
)
def test_a_range_is_read(text: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    assert read_range(text) == (text.rpartition("=")[0], ShapeRange(*shapes))


@pytest.mark.parametrize("text", ["", "x", "x=", "=1x3", "x=1x3:2x3", "x=axb:1:2", "x=2:1:1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_range(text)


# --- taking in ---------------------------------------------------------------------------------


def wrapped(content: bytes) -> bytes:
    text = json.dumps({"description": "YOLO11n", "task": "detect", "imgsz": [640, 640]})
    return len(text).to_bytes(4, "little", signed=True) + text.encode() + content


def test_an_engine_of_ultralytics_is_taken_in_without_its_header(
    parts: Machinery, path: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "yolo11n.engine"
    foreign.write_bytes(wrapped(plan()))
    result = done(parts, path, "--adopt", foreign, "--trust")
    (stored,) = EngineStore.beside(open_bundle(path)).stored()
    assert stored.path.read_bytes() == plan()
    assert stored.record.trusted
    for words in ("yolo11n.engine", "TensorRT 10.3.0", "Ultralytics", "task detect"):
        assert words in stored.record.origin
    assert "on trust" in " ".join(result.stdout.split())
    assert foreign.read_bytes() == wrapped(plan())  # the given file stays as it was


def test_without_trust_nothing_is_taken_in(parts: Machinery, path: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "mine.engine"
    foreign.write_bytes(plan())
    error = refused(parts, path, "--adopt", foreign)
    assert error.exit_code == 2
    assert "runs what is in it" in error.message
    assert "--trust" in error.hint
    assert EngineStore.beside(open_bundle(path)).stored() == ()
    assert refused(parts, path, "--trust").exit_code == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (plan(version=(8, 6, 2, 3)), "8.6.2"),
        (plan(version=(1, 7, 1, 116), tag=b"vtrt"), "TensorRT for RTX 1.7.1"),
        (double().to_bytes(), "an ONNX model"),
        (b"", "empty"),
    ],
    ids=["another version", "rtx", "onnx", "empty"],
)
def test_trust_does_not_make_an_engine_out_of_anything(
    parts: Machinery, path: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    foreign = tmp_path / "mine.engine"
    foreign.write_bytes(content)
    error = refused(parts, path, "--adopt", foreign, "--trust")
    assert error.exit_code == 1
    assert said in error.message
    assert not EngineStore.beside(open_bundle(path)).folders[0].exists()


# --- listing -----------------------------------------------------------------------------------


def test_the_list_says_what_differs_from_this_machine(
    parts: Machinery, path: Path, tmp_path: Path
) -> None:
    assert "no engines" in done(parts, path, "--list").stdout
    done(parts, path)
    orin_nx(tmp_path / "board", mode=2)
    later = machinery(tmp_path / "board", "10.13.3")
    said = " ".join(done(later, path, "--list").stdout.split())
    assert "refused" in said
    engines = told(later, path, "--list")["engines"]
    assert isinstance(engines, list)
    (engine,) = engines
    assert [(d["field"], d["refuses"]) for d in engine["differences"]] == [
        ("tensorrt", True),
        ("power_mode", False),
    ]
    assert "layers" not in engine


def test_the_list_names_files_that_are_no_engines_of_ours(parts: Machinery, path: Path) -> None:
    done(parts, path)
    folder = EngineStore.beside(open_bundle(path)).folders[0]
    (folder / "mine.engine").write_bytes(plan())
    (folder / "broken.json").write_text("{")
    result = done(parts, path, "--list")
    assert "mine.engine has no JSON beside it" in result.stderr
    assert "broken.json: not readable as JSON" in result.stderr
    assert "usable" in result.stdout


@pytest.mark.usefixtures("no_gpu")
def test_the_list_works_without_a_gpu(parts: Machinery, path: Path) -> None:
    done(parts, path)
    listed = edgesdk("compile", path, "--list")
    assert listed.returncode == 0, listed.stderr
    assert "no GPU to compare with" in " ".join(listed.stdout.split())
    assert "no NVIDIA driver" in listed.stderr


# --- for real, without a GPU --------------------------------------------------------------------


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_it_says_what_is_missing_and_leaves_nothing(path: Path) -> None:
    before = sorted(p.name for p in path.parent.iterdir())
    result = edgesdk("compile", path)
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: TensorRT cannot be used:")
    assert lines[1].startswith("hint: ")
    assert sorted(p.name for p in path.parent.iterdir()) == before


@pytest.mark.usefixtures("no_gpu")
def test_so_does_bench(path: Path) -> None:
    result = edgesdk("bench", path, "--backend", "tensorrt")
    assert result.returncode == 1
    assert "TensorRT cannot be used" in result.stderr
    assert not EngineStore.beside(open_bundle(path)).folders[0].exists()


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("absent.edge",), 1, "expected a bundle"),
        ((), 2, "Missing argument"),
        (("model.edge", "--dla-core", "7"), 2, "--dla-core"),
        (("model.edge", "--no-gpu-fallback"), 2, "is about DLA"),
        (("model.edge", "--shape", "x"), 2, "NAME=MIN:OPT:MAX"),
        (("model.edge", "--optimization-level", "9"), 2, "--optimization-level"),
    ],
)
def test_misuse_is_told_before_the_gpu_is_asked(
    path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = edgesdk("compile", *arguments, cwd=path.parent)
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_bundle_is_never_compiled(parts: Machinery, path: Path) -> None:
    (path / "model.onnx").write_bytes(b"damaged")
    assert isinstance(refused(parts, path), BundleError)
    assert control(parts.module()).calls == []


def test_help_asks_for_neither_driver_nor_tensorrt() -> None:
    result = edgesdk("compile", "--help")
    assert result.returncode == 0
    assert "--dla-core" in result.stdout
    assert "tensorrt" not in sys.modules


def test_the_time_left_is_told_in_words() -> None:
    assert [left_text(None), left_text(12.4), left_text(200)] == [
        "",
        "about 12 s left",
        "about 3 min left",
    ]


# --- nets ---------------------------------------------------------------------------------------


def quantized(path: Path) -> Bundle:
    """One INT8 convolution "conv"."""
    int8 = np.int8
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"], "xq"),
            helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"], "xd"),
            helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "wd", axis=0),
            helper.make_node("Conv", ["xd", "wd"], ["y"], "conv"),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 4])],
        [
            numpy_helper.from_array(np.array(0.1, np.float32), "s"),
            numpy_helper.from_array(np.array(0, int8), "z"),
            numpy_helper.from_array(np.full((2, 2, 1, 1), 3, int8), "w"),
            numpy_helper.from_array(np.full(2, 0.01, np.float32), "ws"),
            numpy_helper.from_array(np.zeros(2, int8), "wz"),
        ],
    )
    return _written(path, graph)


def varying(path: Path) -> Bundle:
    """y = x + x for any number of rows."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"], "add")],
        "varying",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])],
    )
    return _written(path, graph)


def _written(path: Path, graph: onnx.GraphProto) -> Bundle:
    opsets = [helper.make_opsetid("", 17)]
    model = Model.of(helper.make_model(graph, opset_imports=opsets, ir_version=8), "net")
    return write_bundle(path, model, bundle(path.with_name("other.edge")).manifest)
