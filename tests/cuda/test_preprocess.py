"""The GPU's preprocessing through the real pycuda, its kernels' twins in place of machine code.

On a stand-in for the driver: this shows that launches, copies, waiting and lifetimes are right. It
does not show that a GPU works. Expected tensors are those of the CPU's path.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesdk.backends.tensorrt.cuda import Buffer, Cuda, Stream
from edgesdk.backends.tensorrt.kernels import BgrOnGpu, GpuPreprocess, Nv12OnGpu
from edgesdk.backends.tensorrt.kernels.arguments import ARGUMENTS
from edgesdk.backends.tensorrt.runtime.session import TensorRTSession
from edgesdk.errors import BackendError
from edgesdk.preprocess import Preprocess, Resize
from tests import kernel_twin
from tests.cuda.engines import built, expected, small_net
from tests.cuda.stand_in import StandIn
from tests.kernel_twin import reference

RESIZES: tuple[Resize, ...] = ("letterbox", "letterbox-top-left", "stretch", "center-crop")
RULE = Preprocess(40, 24, "letterbox", "rgb", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ALLOCATIONS = ("cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = kernel_twin.build(tmp_path_factory.mktemp("kernels") / "kernels.so")
    return b"STAND-IN TWIN %s\n" % str(path).encode()


@pytest.fixture
def cuda(either: Cuda) -> Cuda:
    """A picture lies where the GPU reads it, or is copied to a memory of the GPU's own."""
    return either


@pytest.fixture
def gpu(cuda: Cuda, kernels: bytes) -> Iterator[GpuPreprocess]:
    made = GpuPreprocess(RULE, cuda, np.float32, kernels)
    yield made
    made.close()


def picture_of(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def tensor_in(cuda: Cuda, preprocess: Preprocess, dtype: type = np.float32) -> Buffer:
    return cuda.buffer(3 * preprocess.width * preprocess.height * np.dtype(dtype).itemsize)


def read(tensor: Buffer, stream: Stream, dtype: type = np.float32) -> NDArray[np.generic]:
    tensor.download(stream)
    stream.synchronize()
    return tensor.host.view(dtype).copy()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("resize", RESIZES)
def test_a_model_gets_from_the_gpu_what_it_gets_from_the_cpu(
    cuda: Cuda, kernels: bytes, resize: Resize, dtype: type
) -> None:
    preprocess = Preprocess(40, 24, resize, "rgb", 1 / 255, std=(0.2, 0.3, 0.4))
    gpu, stream = GpuPreprocess(preprocess, cuda, dtype, kernels), cuda.stream()
    tensor = tensor_in(cuda, preprocess, dtype)
    picture = picture_of(121, 83)
    expected, placement = preprocess(picture)
    assert gpu(picture, tensor.device, stream) == placement
    found = read(tensor, stream, dtype)
    np.testing.assert_array_equal(found, expected.astype(dtype).ravel())


def test_nv12_from_the_host_gives_it_too(cuda: Cuda, gpu: GpuPreprocess) -> None:
    luma = picture_of(61, 47)[..., 0]
    chroma = picture_of(31, 24, 1)[..., :2]
    stream, tensor = cuda.stream(), tensor_in(cuda, RULE)
    gpu.nv12(luma, chroma, tensor.device, stream)
    expected = RULE(reference.bgr_of_nv12(luma, chroma))[0]
    np.testing.assert_array_equal(read(tensor, stream), expected.ravel())


def test_pictures_on_the_device_are_not_copied(
    driver: StandIn, cuda: Cuda, gpu: GpuPreprocess
) -> None:
    stream, tensor, memory = cuda.stream(), tensor_in(cuda, RULE), cuda.buffer(50 * 256)
    picture = picture_of(64, 50)
    memory.host.reshape(50, 256)[:, :192] = picture.reshape(50, 192)
    memory.upload(stream)
    gpu.on_gpu(BgrOnGpu(memory.device, 64, 50, 256), tensor.device, stream)
    copies, held = driver.calls("cuMemcpyHtoDAsync"), driver.bytes()
    gpu.on_gpu(BgrOnGpu(memory.device, 64, 50, 256), tensor.device, stream)
    assert (driver.calls("cuMemcpyHtoDAsync"), driver.bytes()) == (copies, held)
    np.testing.assert_array_equal(read(tensor, stream), RULE(picture)[0].ravel())


def test_a_decoder_s_surface_is_read_with_its_pitches(cuda: Cuda, gpu: GpuPreprocess) -> None:
    stream, tensor, memory = cuda.stream(), tensor_in(cuda, RULE), cuda.buffer((48 + 24) * 256)
    luma, chroma = picture_of(64, 48)[..., 0], picture_of(32, 24, 1)[..., :2]
    rows = memory.host.reshape(72, 256)
    rows[:48, :64], rows[48:, :64] = luma, chroma.reshape(24, 64)
    memory.upload(stream)
    surface = Nv12OnGpu(memory.device, 256, memory.device + 48 * 256, 256, 64, 48)
    gpu.on_gpu(surface, tensor.device, stream)
    expected = RULE(reference.bgr_of_nv12(luma, chroma))[0]
    np.testing.assert_array_equal(read(tensor, stream), expected.ravel())


def test_no_memory_is_asked_for_picture_after_picture(
    driver: StandIn, cuda: Cuda, gpu: GpuPreprocess
) -> None:
    stream, tensor = cuda.stream(), tensor_in(cuda, RULE)
    sizes = [(121, 83), (64, 50), (30, 20)]
    gpu(picture_of(*sizes[0]), tensor.device, stream)
    before = [driver.calls(name) for name in ALLOCATIONS]
    held, alive = driver.bytes(), driver.alive()
    for number in range(60):
        picture = picture_of(*sizes[number % 3], number)
        gpu(picture, tensor.device, stream)
        np.testing.assert_array_equal(read(tensor, stream), RULE(picture)[0].ravel())
    assert [driver.calls(name) for name in ALLOCATIONS] == before
    assert (driver.bytes(), driver.alive()) == (held, alive)


def test_a_larger_picture_takes_the_place_of_the_smaller_one_s_memory(
    driver: StandIn, cuda: Cuda, gpu: GpuPreprocess
) -> None:
    stream, tensor = cuda.stream(), tensor_in(cuda, RULE)
    gpu(picture_of(30, 20), tensor.device, stream)
    alive = driver.alive()
    gpu(picture_of(121, 83), tensor.device, stream)
    stream.synchronize()
    assert driver.alive() == alive


@pytest.mark.parametrize("second", [(64, 50), (121, 83)], ids=["same size", "larger"])
def test_a_picture_is_not_overwritten_before_the_gpu_has_read_it(
    driver: StandIn, cuda: Cuda, gpu: GpuPreprocess, second: tuple[int, int]
) -> None:
    """Copies and launches are put off until something waits, as on a GPU that is behind."""
    stream = cuda.stream()
    pictures = [picture_of(64, 50, 1), picture_of(*second, 2)]
    tensors = [tensor_in(cuda, RULE) for _ in pictures]
    with driver.lazy():
        for picture, tensor in zip(pictures, tensors, strict=True):
            gpu(picture, tensor.device, stream)
        assert driver.waiting() > 0
        for picture, tensor in zip(pictures, tensors, strict=True):
            np.testing.assert_array_equal(read(tensor, stream), RULE(picture)[0].ravel())


def test_another_size_on_the_device_waits_for_the_launch_before(
    driver: StandIn, cuda: Cuda, gpu: GpuPreprocess
) -> None:
    stream, memory = cuda.stream(), cuda.buffer(3 * 64 * 50)
    memory.host[:] = picture_of(64, 50).ravel()
    memory.upload(stream)
    stream.synchronize()
    sizes, tensors = [(64, 50), (40, 30)], [tensor_in(cuda, RULE) for _ in range(2)]
    with driver.lazy():
        for (width, height), tensor in zip(sizes, tensors, strict=True):
            gpu.on_gpu(BgrOnGpu(memory.device, width, height, 192), tensor.device, stream)
        for (width, height), tensor in zip(sizes, tensors, strict=True):
            picture = memory.host.reshape(50, 192)[:height, : 3 * width].reshape(height, width, 3)
            np.testing.assert_array_equal(read(tensor, stream), RULE(picture)[0].ravel())


def test_closing_waits_for_the_gpu_and_frees_all(
    driver: StandIn, cuda: Cuda, kernels: bytes
) -> None:
    stream, tensor = cuda.stream(), tensor_in(cuda, RULE)
    alive = driver.alive()
    gpu = GpuPreprocess(RULE, cuda, np.float32, kernels)
    picture = picture_of(64, 50)
    with driver.lazy():
        gpu(picture, tensor.device, stream)
        waits = driver.calls("cuEventSynchronize")
        gpu.close()
        assert driver.calls("cuEventSynchronize") == waits + 1
        gpu.close()
        assert driver.alive() == alive
    np.testing.assert_array_equal(read(tensor, stream), RULE(picture)[0].ravel())


def test_after_closing_it_says_so(cuda: Cuda, gpu: GpuPreprocess) -> None:
    stream, tensor = cuda.stream(), tensor_in(cuda, RULE)
    gpu.close()
    with pytest.raises(BackendError, match="closed"):
        gpu(picture_of(64, 50), tensor.device, stream)


def test_closing_after_the_gpu_was_closed_is_harmless(driver: StandIn, kernels: bytes) -> None:
    cuda = Cuda.open()
    gpu = GpuPreprocess(RULE, cuda, np.float32, kernels)
    cuda.close()
    gpu.close()
    del gpu


def test_a_struct_of_another_size_is_refused(cuda: Cuda, kernels: bytes) -> None:
    """What the kernels take is what Python sends: the driver knows the size from the kernel."""
    module = cuda.module(kernels)
    short = np.zeros(1, np.dtype([("bytes", np.uint8, ARGUMENTS.itemsize - 8)]))[0]
    with pytest.raises(BackendError, match="invalid argument"):
        module.launch("preprocess_bgr_float32", (1, 1, 1), (1, 1, 1), [short], cuda.stream())


def test_a_session_takes_its_input_from_the_gpu(
    driver: StandIn, either: Cuda, kernels: bytes
) -> None:
    """Picture to answers, the tensor never on the host: what a frame of a camera goes through.

    The engine is a double's (tests/tensorrt_double), with ONNX Runtime behind it.
    """
    model = small_net()
    trt, data = built("10.3.0", model)
    session = TensorRTSession(trt, either, data)
    preprocess = Preprocess(8, 8, "letterbox", scale=1 / 255)
    gpu = GpuPreprocess(preprocess, either, np.float32, kernels)
    held: list[tuple[int, dict[str, int]]] = []
    for number in range(12):
        picture = picture_of(61, 47, number)
        with driver.lazy():  # so that nothing is right by being early
            answers = session.run_with({"image": partial(gpu, picture)})
        feeds = {"image": preprocess(picture)[0]}
        for name, value in expected(model, feeds).items():
            np.testing.assert_allclose(answers[name], value, rtol=1e-6, atol=1e-6)
        held.append((driver.bytes(), driver.alive()))
    assert held[2:] == held[1:-1]  # a session's first runs may capture its graph
    gpu.close()
    session.close()
