"""What a file is, from its first bytes: engines, Ultralytics' engines, and everything else.

The layout of the header is seen in the real TensorRT for RTX, which builds without a GPU, and is
what NVIDIA's trtexec reads from 8.6 on. That engines of a Jetson have it, only a Jetson can show.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.backends.tensorrt.engines.foreign import read_plan
from edgesdk.backends.tensorrt.version import Version
from edgesdk.errors import BackendError
from tests.tensorrt.engines import double, plan
from tests.tensorrt_parser import Parser

YOLO = {"description": "YOLO11n", "task": "detect", "imgsz": [640, 640], "names": {"0": "person"}}


def ultralytics(content: bytes, metadata: object = YOLO) -> bytes:
    """A file as Ultralytics' export writes it: length (signed, little-endian), JSON, engine."""
    text = json.dumps(metadata)
    return len(text).to_bytes(4, byteorder="little", signed=True) + text.encode() + content


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    return file.getvalue()


def test_an_engine_says_which_tensorrt_built_it() -> None:
    found = read_plan(plan(version=(8, 6, 2, 3)), "a.engine")
    assert (found.family, found.version, found.metadata) == ("TensorRT", Version(8, 6, 2), {})
    assert found.data == plan(version=(8, 6, 2, 3))
    assert found.words == "an engine of TensorRT 8.6.2"


def test_a_real_engine_has_the_header_that_is_read() -> None:
    parser = Parser()
    network = parser.builder.create_network(0)
    onnx_parser = parser.trt.OnnxParser(network, parser.logger)
    assert onnx_parser.parse(double().to_bytes())
    config = parser.builder.create_builder_config()
    data = bytes(parser.builder.build_serialized_network(network, config))
    found = read_plan(data, "rtx.engine")
    module = importlib.import_module("tensorrt_rtx")
    assert found.family == "TensorRT for RTX"
    assert found.version == Version.parse(module.__version__)
    wrapped = read_plan(ultralytics(data), "rtx.engine")
    assert (wrapped.data, wrapped.version) == (data, found.version)


def test_the_header_of_ultralytics_is_taken_off_and_kept() -> None:
    found = read_plan(ultralytics(plan()), "yolo11n.engine")
    assert found.data == plan()
    assert found.metadata == YOLO


def test_a_layout_of_the_future_is_an_engine_of_unknown_version() -> None:
    data = b"ftrt" + struct.pack("<I", 7) + plan()[8:]
    assert read_plan(data, "a.engine").version is None


def test_the_words_of_an_engine_never_name_an_impossible_version() -> None:
    assert read_plan(plan(version=(232, 0, 9, 9)), "a.engine").words == "an engine of TensorRT"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "nothing but zeros"),
        (double().to_bytes(), "an ONNX model"),
        (zipped(), "TorchScript"),
        (pickle.dumps({"model": 1}, protocol=2), "a Python pickle"),
        (b"<!DOCTYPE html><title>Not found</title>", "an HTML page"),
        (b"<html><body>Sign in</body></html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b'{"graph": "ab"}', "a JSON text"),
        (b"\x1f\x8b\x08\x00rest", "gzip"),
        (b"TRT-100300-EntropyCalibration2\nx: 3c010a14\n", "a calibration cache"),
        (b"\x93NUMPY\x01\x00", "first bytes are 93 4e 55 4d"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_no_engine_is_called_what_it_is(content: bytes, said: str) -> None:
    with pytest.raises(BackendError, match="no TensorRT engine") as caught:
        read_plan(content, "model.engine")
    assert said in caught.value.message
    assert caught.value.message.startswith("model.engine")
    assert "compile" in caught.value.hint


def test_a_file_that_hides_behind_ultralytics_header_is_called_what_it_is() -> None:
    with pytest.raises(BackendError, match="an ONNX model"):
        read_plan(ultralytics(double().to_bytes()), "model.engine")


@pytest.mark.parametrize("length", [5, 20, 27])
def test_an_engine_that_is_cut_off_within_its_header_is_refused(length: int) -> None:
    with pytest.raises(BackendError, match=f"cut off: {length} bytes"):
        read_plan(plan()[:length], "a.engine")


def test_an_ultralytics_engine_that_is_cut_off_is_refused() -> None:
    whole = ultralytics(plan())
    header = len(whole) - len(plan())
    for length in (header, header - 1, 10):
        with pytest.raises(BackendError, match="cut off"):
            read_plan(whole[:length], "a.engine")
    with pytest.raises(BackendError, match="cut off: 5 bytes"):
        read_plan(whole[: header + 5], "a.engine")


@pytest.mark.parametrize("length", [2**31 - 1, -1, -(2**31), 0, (1 << 20) + 1])
def test_an_absurd_length_of_metadata_is_refused(length: int) -> None:
    data = struct.pack("<i", length) + b'{"task": "detect"}' + plan()
    with pytest.raises(BackendError, match=f"{length} bytes of metadata"):
        read_plan(data, "a.engine")


@pytest.mark.parametrize("text", [b"{" * 2000, b'{"a": 1', b'{"a": "\xff"}', b"{'task': 1}"])
def test_metadata_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(BackendError, match="no JSON"):
        read_plan(struct.pack("<i", len(text)) + text + plan(), "a.engine")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_engine_or_are_refused_in_a_sentence(content: bytes) -> None:
    for data in (content, b"ftrt" + content, struct.pack("<i", len(content)) + b"{" + content):
        assert begins(data) in ("f", b"ftrt", b"vtrt", b"ptrt")


def begins(data: bytes) -> bytes | str:
    """The tag of the engine in it; or the first word of why there is none."""
    try:
        return read_plan(data, "f").data[:4]
    except BackendError as error:
        return error.message.split()[0]
