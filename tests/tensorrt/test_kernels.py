"""The GPU's preprocessing, its own source run as C++ on the CPU, against plain numpy and OpenCV.

These tests show the kernels' arithmetic, addresses and arguments. They do not show that CUDA works:
no GPU runs here, and memory, streams and events are stand-ins.

Tolerances: float32 differs from a float64 reference by at most 1e-6 of the largest number that the
rule can make (the reference normalises in float64, the kernel rounds scale / std, mean / std, the
product and the difference to float32). float16 is at most 1 unit in the last place away from it.
Against the CPU's path there is no tolerance: the numbers are equal.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.kernels.arguments import ARGUMENTS, COLOUR
from edgesdk.backends.tensorrt.kernels.colour import Standard
from edgesdk.backends.tensorrt.kernels.launch import GpuPreprocess
from edgesdk.backends.tensorrt.kernels.pictures import BgrOnGpu, Nv12OnGpu
from edgesdk.backends.tensorrt.kernels.taps import TAP
from edgesdk.errors import BackendError, DataError
from edgesdk.preprocess import Preprocess, Resize
from tests import kernel_twin
from tests.kernel_twin import reference
from tests.kernel_twin.gpu import TwinGpu, TwinStream, address

cv2 = pytest.importorskip("cv2", reason="pip install 'edgesdk[video]'")

RESIZES: tuple[Resize, ...] = ("letterbox", "letterbox-top-left", "stretch", "center-crop")
NORMALS = {
    "0 to 255": (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0 to 1": (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "ImageNet": (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "bytes": (1.0, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
}
SIZES = {
    "down": (121, 83),
    "up": (13, 9),
    "one pixel": (1, 1),
    "one row": (77, 1),
    "one column": (1, 77),
    "as it is": (40, 24),
    "half": (80, 48),
    "huge": (2311, 1733),
}
"""Widths and heights of pictures; the tensor is 40 x 24."""
STREAM = TwinStream()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kernel_twin.build(tmp_path_factory.mktemp("twin") / "kernels.so")


def picture_of(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def planes_of(width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Y and UV of a picture; all 256 levels, those outside the limited range too."""
    make = np.random.default_rng(width * 1000 + height)
    luma = make.integers(0, 256, (height, width), np.uint8)
    return luma, make.integers(0, 256, ((height + 1) // 2, (width + 1) // 2, 2), np.uint8)


def room(preprocess: Preprocess, dtype: type = np.float32) -> NDArray[np.generic]:
    """A tensor full of NaN, so that a pixel that is not written shows."""
    return np.full((1, 3, preprocess.height, preprocess.width), np.nan, dtype)


def on_gpu(
    twin: Path, preprocess: Preprocess, picture: NDArray[np.uint8], dtype: type = np.float32
) -> NDArray[np.generic]:
    tensor = room(preprocess, dtype)
    GpuPreprocess(preprocess, TwinGpu(twin), dtype, b"")(picture, address(tensor), STREAM)
    return tensor


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("normal", NORMALS.values(), ids=NORMALS)
def test_the_gpu_makes_the_tensor_of_the_rule(
    twin: Path, size: tuple[int, int], resize: Resize, color: str, normal
) -> None:
    scale, mean, std = normal
    preprocess = Preprocess(40, 24, resize, color, scale, mean, std)  # type: ignore[arg-type]
    picture = picture_of(*size)
    expected = reference.tensor(picture, 40, 24, resize, color == "rgb", scale, mean, std)
    largest = max(1.0, 255 * scale / min(std), max(mean) / min(std))
    found = on_gpu(twin, preprocess, picture)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * largest)
    half = on_gpu(twin, preprocess, picture, np.float16)[0]
    steps = np.abs(_ordered(half) - _ordered(expected.astype(np.float16)))
    assert steps.max() <= 1


def _ordered(halves: NDArray[np.float16]) -> NDArray[np.int64]:
    """Counts the representable numbers: neighbours are 1 apart."""
    bits = halves.view(np.int16).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFF), bits)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("resize", RESIZES)
@settings(max_examples=60, deadline=None)
@given(size=st.tuples(*[st.integers(1, 300)] * 2), into=st.tuples(*[st.integers(1, 70)] * 2))
def test_any_picture_gives_the_cpu_s_tensor_bit_for_bit(
    twin: Path, dtype: type, resize: Resize, size: tuple[int, int], into: tuple[int, int]
) -> None:
    scale, mean, std = NORMALS["ImageNet"]
    preprocess = Preprocess(*into, resize, "rgb", scale, mean, std)
    picture = picture_of(*size)
    on_cpu, placement = preprocess(picture)
    tensor = room(preprocess, dtype)
    gpu = GpuPreprocess(preprocess, TwinGpu(twin), dtype, b"")
    assert gpu(picture, address(tensor), STREAM) == placement
    np.testing.assert_array_equal(tensor, on_cpu.astype(dtype))


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (641, 479), (3840, 2160)])
def test_a_camera_s_picture_gives_the_cpu_s_tensor_bit_for_bit(
    twin: Path, size: tuple[int, int]
) -> None:
    preprocess = Preprocess(640, 640, "letterbox", scale=1 / 255)
    picture = picture_of(*size)
    np.testing.assert_array_equal(on_gpu(twin, preprocess, picture), preprocess(picture)[0])


def test_a_short_side_larger_than_the_crop_is_kept(twin: Path) -> None:
    preprocess = Preprocess(32, 32, "center-crop", short_side=41)
    picture = picture_of(99, 60)
    expected = reference.framed(picture, 32, 32, "center-crop", short_side=41)
    found = on_gpu(twin, preprocess, picture)[0]
    np.testing.assert_array_equal(found, expected[:, :, ::-1].transpose(2, 0, 1))


def test_the_border_has_the_level_that_was_asked_for(twin: Path) -> None:
    preprocess = Preprocess(20, 20, "letterbox", "bgr", pad_value=7)
    found = on_gpu(twin, preprocess, np.full((10, 20, 3), 200, np.uint8))[0]
    assert (found[:, :5] == 7).all()
    assert (found[:, 5:15] == 200).all()
    assert (found[:, 15:] == 7).all()


@given(st.tuples(*[st.integers(1, 200)] * 2), st.tuples(*[st.integers(1, 200)] * 2))
def test_the_reference_resizes_as_opencv_does(size: tuple[int, int], into: tuple[int, int]) -> None:
    picture = picture_of(*size)
    by_cv2 = cv2.resize(picture, into, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(reference.bilinear(picture, *into), by_cv2)


@given(st.tuples(*[st.integers(1, 200)] * 2), st.tuples(*[st.integers(1, 200)] * 2))
def test_whole_numbers_stay_within_a_level_of_the_exact_mean(
    size: tuple[int, int], into: tuple[int, int]
) -> None:
    picture = picture_of(*size)
    exact = reference.exact_bilinear(picture, *into)
    assert np.abs(reference.bilinear(picture, *into) - exact).max() <= 1.0


def test_the_reference_converts_as_opencv_does() -> None:
    luma, chroma = planes_of(640, 360)
    stacked = np.concatenate([luma, chroma.reshape(180, 640)])
    by_cv2 = cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_NV12)
    np.testing.assert_array_equal(reference.bgr_of_nv12(luma, chroma), by_cv2)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [*SIZES.values(), (5, 3), (64, 33), (63, 34)])
def test_nv12_gives_what_conversion_before_the_cpu_s_path_gives(
    twin: Path, size: tuple[int, int], resize: Resize, dtype: type
) -> None:
    scale, mean, std = NORMALS["ImageNet"]
    preprocess = Preprocess(40, 24, resize, "rgb", scale, mean, std)
    luma, chroma = planes_of(*size)
    on_cpu, placement = preprocess(reference.bgr_of_nv12(luma, chroma))
    tensor = room(preprocess, dtype)
    gpu = GpuPreprocess(preprocess, TwinGpu(twin), dtype, b"")
    assert gpu.nv12(luma, chroma, address(tensor), STREAM) == placement
    np.testing.assert_array_equal(tensor, on_cpu.astype(dtype))


@pytest.mark.parametrize(
    ("standard", "red", "blue", "full", "levels"),
    [
        ("bt601", 0.299, 0.114, False, 1),  # OpenCV's coefficients have three digits
        ("bt601-full", 0.299, 0.114, True, 0),
        ("bt709", 0.2126, 0.0722, False, 0),
        ("bt709-full", 0.2126, 0.0722, True, 0),
    ],
)
def test_each_standard_has_the_colours_of_its_definition(
    twin: Path, standard: Standard, red: float, blue: float, full: bool, levels: int
) -> None:
    grid = np.arange(0, 256, 3, dtype=np.uint8)
    chroma = np.stack(np.meshgrid(grid, grid), -1)
    for luma in (0, 1, 16, 81, 145, 235, 255):
        y = np.full((2 * len(grid), 2 * len(grid)), luma, np.uint8)
        preprocess = Preprocess(y.shape[1], y.shape[0], "stretch", "bgr")
        tensor = room(preprocess)
        gpu = GpuPreprocess(preprocess, TwinGpu(twin), np.float32, b"")
        gpu.nv12(y, chroma, address(tensor), STREAM, standard)
        expected = reference.bgr_by_itu(y, chroma, red, blue, full).transpose(2, 0, 1)
        difference = np.abs(tensor[0] - expected)
        assert difference.max() <= max(levels, 1)
        assert (difference > 0).mean() <= (0.35 if levels else 0.001)


def test_rows_with_gaps_are_read_where_they_are(twin: Path) -> None:
    """A decoder's rows are longer than the picture; a view of a larger array has such rows too."""
    preprocess = Preprocess(40, 24, "letterbox")
    whole = picture_of(128, 70)
    part = whole[3:50, 5:66]
    expected = preprocess(np.ascontiguousarray(part))[0]
    np.testing.assert_array_equal(on_gpu(twin, preprocess, part), expected)
    tensor = room(preprocess)
    gpu = GpuPreprocess(preprocess, TwinGpu(twin), np.float32, b"")
    gpu.on_gpu(BgrOnGpu(address(part), 61, 47, 3 * 128), address(tensor), STREAM)
    np.testing.assert_array_equal(tensor, expected)


def test_a_decoder_s_planes_are_read_where_they_are(twin: Path) -> None:
    preprocess = Preprocess(40, 24, "letterbox")
    luma, chroma = planes_of(61, 47)
    wide_luma, wide_chroma = np.zeros((47, 256), np.uint8), np.zeros((24, 512), np.uint8)
    wide_luma[:, :61], wide_chroma[:, :62] = luma, chroma.reshape(24, 62)
    tensor = room(preprocess)
    gpu = GpuPreprocess(preprocess, TwinGpu(twin), np.float32, b"")
    picture = Nv12OnGpu(address(wide_luma), 256, address(wide_chroma), 512, 61, 47)
    gpu.on_gpu(picture, address(tensor), STREAM)
    np.testing.assert_array_equal(tensor, preprocess(reference.bgr_of_nv12(luma, chroma))[0])


def test_pictures_of_changing_size_need_new_memory_only_when_they_are_larger(twin: Path) -> None:
    preprocess = Preprocess(40, 24, "letterbox")
    cuda = TwinGpu(twin)
    gpu = GpuPreprocess(preprocess, cuda, np.float32, b"")
    tensor = room(preprocess)
    made = []
    for size in [(60, 50), (60, 50), (20, 10), (60, 50), (80, 50), (60, 50)]:
        picture = picture_of(*size)
        gpu(picture, address(tensor), STREAM)
        made.append(len(cuda.buffers))
        np.testing.assert_array_equal(tensor, preprocess(picture)[0])
    assert made == [2, 2, 2, 2, 3, 3]  # the taps, one for pictures, a larger one
    gpu.close()
    gpu.close()
    assert all(buffer.closed for buffer in cuda.buffers)


def test_each_column_and_row_of_the_tensor_has_a_thread(twin: Path) -> None:
    cuda = TwinGpu(twin)
    preprocess = Preprocess(65, 17, "stretch")
    gpu = GpuPreprocess(preprocess, cuda, np.float16, b"")
    tensor = room(preprocess, np.float16)
    gpu(picture_of(9, 9), address(tensor), STREAM)
    ((name, grid, block),) = cuda.loaded.launches
    assert name == "preprocess_bgr_float16"
    assert (grid[0] * block[0], grid[1] * block[1], grid[2] * block[2]) == (96, 24, 1)


def test_c_and_python_agree_on_where_each_argument_lies(twin: Path) -> None:
    layout = (ctypes.c_uint64 * 27)()
    ctypes.CDLL(str(twin)).twin_layout(layout)
    expected = []
    for dtype in (ARGUMENTS, TAP, COLOUR):
        assert dtype.names is not None
        expected += [dtype.itemsize, *(dtype.fields[name][1] for name in dtype.names)]  # type: ignore[index]
    assert list(layout) == expected


def test_halves_are_rounded_as_numpy_rounds_them(twin: Path) -> None:
    """The shim's own conversion: all halves, what lies between them, and random floats."""
    library = ctypes.CDLL(str(twin))
    library.twin_half_bits.argtypes = [ctypes.c_float]
    library.twin_half_bits.restype = ctypes.c_ushort
    halves = np.arange(0, 0x7C00, 7, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (halves[1:] + halves[:-1]) / 2
    odd = np.random.default_rng(0).standard_normal(2000).astype(np.float32) * np.float32(300)
    edge = np.array([65519.9, 65520, 1e9, np.inf, 2**-25, 2**-24, 2**-26, 0], np.float32)
    values = np.concatenate([halves, middles, np.nextafter(middles, np.inf), odd, edge, -edge])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    found = [library.twin_half_bits(float(value)) for value in values]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.zeros((4, 4), np.uint8), r"shape \(height, width, 3\), found uint8 of shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "found float32"),
        (np.zeros((0, 4, 3), np.uint8), "found 4 x 0"),
        (np.zeros((4, 4, 4), np.uint8), r"found uint8 of shape \(4, 4, 4\)"),
        (np.zeros((1, 65536, 3), np.uint8), "1..65535 pixels"),
    ],
)
def test_what_is_no_picture_is_refused(twin: Path, picture, says: str) -> None:
    with pytest.raises(DataError, match=says):
        on_gpu(twin, Preprocess(8, 8), picture)


@pytest.mark.parametrize("chroma", [(2, 2, 2), (2, 5), (3, 3, 2), (2, 3, 3)])
def test_planes_that_do_not_fit_are_refused(twin: Path, chroma: tuple[int, ...]) -> None:
    gpu = GpuPreprocess(Preprocess(8, 8), TwinGpu(twin), np.float32, b"")
    with pytest.raises(DataError, match=r"NV12 should be"):
        gpu.nv12(np.zeros((3, 5), np.uint8), np.zeros(chroma, np.uint8), 0, STREAM)


def test_a_pitch_in_pixels_is_refused() -> None:
    with pytest.raises(DataError, match="at least 1920 bytes, found 640"):
        BgrOnGpu(0, 640, 480, 640)
    with pytest.raises(DataError, match="plane of U and V should be at least 642 bytes"):
        Nv12OnGpu(0, 704, 0, 641, 641, 480)


def test_another_type_of_input_is_refused(twin: Path) -> None:
    with pytest.raises(BackendError, match="float32 or float16, found int8"):
        GpuPreprocess(Preprocess(8, 8), TwinGpu(twin), np.int8, b"")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The twin under AddressSanitizer, and the environment that loads it into Python."""
    path = tmp_path_factory.mktemp("watched") / "kernels.so"
    kernel_twin.build(path, "-g", "-fsanitize=address", "-fno-omit-frame-pointer")
    runtime = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    root = str(Path(__file__).parents[2])
    return path, {
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": root,
        "PATH": "/usr/bin:/bin",
    }


def edges(watched: tuple[Path, dict[str, str]], *lie: str) -> subprocess.CompletedProcess[str]:
    path, environment = watched
    command = [sys.executable, "-m", "tests.kernel_twin.edges", str(path), *lie]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def test_nothing_is_read_or_written_outside_picture_and_tensor(watched) -> None:
    done = edges(watched)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "pictures read" in done.stdout


@pytest.mark.parametrize("lie", ["picture", "chroma", "tensor"])
def test_the_watcher_sees_a_byte_too_far(watched, lie: str) -> None:
    """So that the test above can fail: one byte fewer is given than is said."""
    done = edges(watched, lie)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
