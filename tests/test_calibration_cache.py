"""TensorRT's calibration cache: what others wrote is read, what is written can be read again.

The expected lines are those of caches in public repositories. The calibrator runs on a stand-in for
TensorRT's base class: that TensorRT itself takes the bytes is not shown here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.backends.tensorrt.api import until_ten
from edgesdk.backends.tensorrt.building.calibrator import make_calibrator, set_ranges
from edgesdk.calibration.tensorrt_cache import (
    cache_text,
    parse_cache,
    read_cache,
    version_number,
)
from edgesdk.errors import BackendError, ConfigError, ModelError

# The first lines of caches that TensorRT 7.2.2, 8.2.5, 8.5.10 and 10.3.0 wrote.
FOUND = {
    "TRT-7202-EntropyCalibration2\ndata: 3c008912\nconv1: 3c60dd38\npool1: 3c60dd38\n": {
        "data": 0.9964,
        "conv1": 1.7431,
        "pool1": 1.7431,
    },
    "TRT-8205-EntropyCalibration2\ninput: 3b810a13\ninput.1: 3c96d93c\n"
    "onnx::Conv_329: 3c96d93c\n": {
        "input": 0.50008,
        "input.1": 2.3388,
        "onnx::Conv_329": 2.3388,
    },
    "TRT-8510-EntropyCalibration2\nx: 4000890a\n/conv1/Conv_output_0: 3f9db09c\n"
    "(Unnamed Layer* 8) [Constant]_output: 39137939\n": {
        "x": 255.06,
        "/conv1/Conv_output_0": 156.45,
        "(Unnamed Layer* 8) [Constant]_output": 0.017861,
    },
    "TRT-100300-EntropyCalibration2\ninput_1:0: 3c010a14\nconv1/convolution:0: 3d0b7086\n": {
        "input_1:0": 1.00024,
        "conv1/convolution:0": 4.3236,
    },
}


@pytest.mark.parametrize("text", FOUND, ids=lambda text: text[:10])
def test_a_cache_of_a_real_tensorrt_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "calib.table").write_text(text)
    cache = read_cache(tmp_path / "calib.table")
    assert cache.algorithm == "EntropyCalibration2"
    assert cache.version == text[4:].partition("-")[0]
    assert cache.ranges == pytest.approx(FOUND[text], rel=1e-4)


@pytest.mark.parametrize("text", FOUND, ids=lambda text: text[:10])
def test_what_a_real_tensorrt_wrote_is_written_the_same_byte_for_byte(text: str) -> None:
    cache = parse_cache(text.encode(), "calib.table")
    assert cache_text(cache.ranges, int(cache.version)) == text


@pytest.mark.parametrize(
    ("version", "number"),
    [((8, 5, 2), 8502), ((8, 5, 10), 8510), ((8, 6, 2), 8602), ((10, 3, 0), 100300)],
)
def test_the_header_has_the_number_of_that_tensorrt(
    version: tuple[int, int, int], number: int
) -> None:
    assert version_number(*version) == number
    first = cache_text({"images": 1.0}, number).splitlines()[0]
    assert first == f"TRT-{number}-EntropyCalibration2"


def test_a_scale_of_one_eighth_has_the_digits_of_ieee_754() -> None:
    assert cache_text({"images": 127 / 8}, 8502).splitlines()[1] == "images: 3e000000"


@pytest.mark.parametrize(
    ("text", "version", "algorithm"),
    [
        ("TRT-8502-MinMaxCalibration\na: 3e000000\n", "8502", "MinMaxCalibration"),
        ("TRT-5105-EntropyCalibration\na: 3e000000", "5105", "EntropyCalibration"),
        ("TRT-7000-LegacyCalibration\n\na: 3E000000\n\n", "7000", "LegacyCalibration"),
        ("TRT-8XXX-EntropyCalibration2\r\na: 3e000000\r\n", "8XXX", "EntropyCalibration2"),
        ("TRT-8502-EntropyCalibration2 \na:3e000000 \n", "8502", "EntropyCalibration2"),
    ],
)
def test_other_headers_empty_lines_and_windows_line_ends_are_read(
    text: str, version: str, algorithm: str
) -> None:
    cache = parse_cache(text.encode(), "calib.table")
    assert (cache.version, cache.algorithm) == (version, algorithm)
    assert cache.ranges == {"a": 127 / 8}


def test_zeros_that_were_left_out_before_the_digits_are_put_back() -> None:
    text = "TRT-8502-EntropyCalibration2\ntiny: 1000\nnothing: 0\n"
    cache = parse_cache(text.encode(), "calib.table")
    tiny = struct.unpack(">f", b"\x00\x00\x10\x00")[0]
    assert cache.ranges == {"tiny": tiny * 127, "nothing": 0.0}


@pytest.mark.parametrize(
    ("lines", "place", "message"),
    [
        (b"images: 3c010a14\n", ":1:", "expected a header"),
        (b"", ":1:", "expected a header"),
        (b"TRT-8502-EntropyCalibration2\na: 3c010a14\nb 3c010a14\n", ":3:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\n\na: 3c010a1g\n", ":3:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\na: 3c010a1400\n", ":2:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\na: 0.0078\n", ":2:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\na:\n", ":2:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\n: 3c010a14\n", ":2:", "expected 'tensor:"),
        (b"TRT-8502-EntropyCalibration2\na: bc010a14\n", ":2:", "positive and finite"),
        (b"TRT-8502-EntropyCalibration2\na: 7f800000\n", ":2:", "found inf"),
        (b"TRT-8502-EntropyCalibration2\na: 7fc00000\n", ":2:", "found nan"),
        (b"TRT-8502-EntropyCalibration2\na: 3c010a14\na: 3c010a15\n", ":3:", "twice"),
        (b"TRT-8502-EntropyCalibration2\na: 3c010a14\n\xff\xfe: 3c010a15\n", ":3:", "no text"),
        (b"ftrt\x00\x00\x80\x8f", ":1:", "no text"),
    ],
)
def test_a_line_that_is_wrong_is_named(lines: bytes, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cache(lines, "calib.table")
    assert f"calib.table{place}" in caught.value.message
    assert message in caught.value.message


def test_a_cache_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"calib\.table"):
        read_cache(tmp_path / "calib.table")


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1).filter(
    lambda name: name.isprintable()
)
SCALES = st.floats(2.0**-140, 2.0**120, width=32)


@given(st.dictionaries(NAMES, SCALES), st.sampled_from([8502, 8602, 100300]))
def test_any_names_and_scales_come_back_as_they_were(
    scales: dict[str, float], version: int
) -> None:
    ranges = {name: scale * 127 for name, scale in scales.items()}
    cache = parse_cache(cache_text(ranges, version).encode(), "calib.table")
    assert cache.ranges == ranges
    assert list(cache.ranges) == list(ranges)


@given(NAMES, st.floats(1e-30, 1e30))
def test_any_range_is_kept_to_the_precision_of_float32(name: str, amax: float) -> None:
    cache = parse_cache(cache_text({name: amax}, 8502).encode(), "calib.table")
    assert cache.ranges[name] == pytest.approx(amax, rel=2**-24)


@pytest.mark.parametrize("amax", [0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-44])
def test_a_range_that_no_scale_stands_for_is_refused(amax: float) -> None:
    with pytest.raises(ModelError, match="'images'"):
        cache_text({"images": amax}, 8502)


@pytest.mark.parametrize("name", ["", "a\nb", " a", "a\t", "\x00"])
def test_a_name_that_would_break_a_line_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="tensor name"):
        cache_text({name: 1.0}, 8502)


class Base:
    """Stands for IInt8EntropyCalibrator2: pybind11 wants its __init__ to be called."""

    def __init__(self) -> None:
        self.made = True


def tensorrt(version: str) -> until_ten.TensorRT:
    return cast(
        until_ten.TensorRT, SimpleNamespace(__version__=version, IInt8EntropyCalibrator2=Base)
    )


@pytest.mark.parametrize(
    ("version", "header"),
    [("8.5.2.2", "TRT-8502"), ("8.6.2", "TRT-8602"), ("10.3.0", "TRT-100300")],
)
def test_a_calibrator_gives_the_ranges_in_the_cache_of_its_own_tensorrt(
    version: str, header: str
) -> None:
    calibrator = make_calibrator(tensorrt(version), {"images": 127 / 8})
    expected = f"{header}-EntropyCalibration2\nimages: 3e000000\n".encode()
    assert calibrator.read_calibration_cache() == expected
    assert isinstance(calibrator, Base)
    assert calibrator.made
    assert calibrator.get_batch_size() == 1
    assert not calibrator.refused


def asked_for_pictures(calibrator: Any) -> None:
    assert calibrator.get_batch(["images"]) is None


def own_ranges(calibrator: Any) -> None:
    calibrator.write_calibration_cache(b"TRT-8502-EntropyCalibration2\nimages: 3f000000\n")


@pytest.mark.parametrize("act", [asked_for_pictures, own_ranges])
def test_a_tensorrt_that_does_not_take_the_ranges_is_noticed(act: Callable[[Any], None]) -> None:
    calibrator = make_calibrator(tensorrt("8.5.2"), {"images": 1.0})
    calibrator.write_calibration_cache(cast(bytes, calibrator.read_calibration_cache()))
    assert not calibrator.refused
    act(calibrator)
    assert calibrator.refused


def test_the_same_ranges_written_in_another_way_are_no_refusal() -> None:
    """As TensorRT may write them: in its own order, with constants added, without leading zeros."""
    calibrator = make_calibrator(tensorrt("8.5.2"), {"images": 1e-38, "conv1": 2.0})
    tiny, conv1 = (struct.pack(">f", amax / 127).hex() for amax in (1e-38, 2.0))
    calibrator.write_calibration_cache(
        f"TRT-8502-EntropyCalibration2\nconv1: {conv1}\nimages: {tiny.lstrip('0')}\n"
        "(Unnamed Layer* 8) [Constant]_output: 39137939\n".encode()
    )
    assert not calibrator.refused


@pytest.mark.parametrize(
    "cache", [b"TRT-8502-EntropyCalibration2\nconv1: 3c810204\n", b"\xff", b""]
)
def test_a_cache_without_our_ranges_is_a_refusal(cache: bytes) -> None:
    calibrator = make_calibrator(tensorrt("8.5.2"), {"images": 1.0, "conv1": 2.0})
    calibrator.write_calibration_cache(cache)
    assert calibrator.refused


def test_tensorrt_11_has_no_calibrators_and_the_error_says_what_to_do() -> None:
    with pytest.raises(BackendError, match="has no calibrators") as caught:
        make_calibrator(tensorrt("11.4.1"), {"images": 1.0})
    assert "own graph" in caught.value.hint


class Tensor:
    def __init__(self, name: str) -> None:
        self.name = name
        self.range: tuple[float, float] | None = None

    def set_dynamic_range(self, low: float, high: float) -> bool:
        self.range = low, high
        return True


def test_ranges_can_be_written_into_the_tensors_and_unknown_names_are_returned() -> None:
    images, conv, relu = Tensor("images"), Tensor("conv"), Tensor("relu")
    layers = [
        SimpleNamespace(num_outputs=1, get_output=lambda _, made=made: made)
        for made in (conv, relu)
    ]
    network = SimpleNamespace(
        num_inputs=1, get_input=lambda _: images, num_layers=2, get_layer=layers.__getitem__
    )
    ranges = {"images": 1.0, "relu": 2.5, "gone": 3.0}
    assert set_ranges(cast(until_ten.INetworkDefinition, network), ranges) == ("gone",)
    assert (images.range, conv.range, relu.range) == ((-1.0, 1.0), None, (-2.5, 2.5))
    assert np.isfinite(images.range).all()
