"""CUDA's real compilers make the kernels' machine code for every Jetson; no GPU runs it here."""

from __future__ import annotations

import ctypes
import locale
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.kernels import compile as kernels
from edgesdk.backends.tensorrt.kernels.architecture import Release, architecture_of
from edgesdk.backends.tensorrt.kernels.nvcc import Nvcc, find_nvcc, load_nvcc
from edgesdk.backends.tensorrt.kernels.nvrtc import Nvrtc, find_nvrtc, load_nvrtc
from edgesdk.backends.tensorrt.machine.driver import Driver
from edgesdk.errors import BackendError
from tests.partners import compilers

NAMES = {
    "preprocess_bgr_float32",
    "preprocess_bgr_float16",
    "preprocess_nv12_float32",
    "preprocess_nv12_float16",
}
JETSONS = [
    ("11.8", "7.2", 72),
    ("11.8", "8.7", 87),
    ("12.6", "7.2", 72),
    ("12.6", "8.7", 87),
    ("12.9", "7.2", 72),
    ("12.9", "8.7", 87),
    ("12.9", "11.0", 101),
    ("13.0", "8.7", 87),
    ("13.0", "11.0", 110),
]
"""CUDA release, compute capability, and the architecture that NVIDIA's documents name for both."""


def nvrtc(release: str) -> Nvrtc:
    path = compilers.nvrtc(release)
    if path is None:
        pytest.skip(f"NVRTC {release} is not installed: {compilers.INSTALL}")
    found = load_nvrtc(str(path))
    assert found is not None
    return found


def nvcc() -> Nvcc:
    path = compilers.nvcc()
    if path is None:
        pytest.skip(f"nvcc is not installed: {compilers.INSTALL}")
    found = load_nvcc(path)
    assert found is not None
    return found


@dataclass(frozen=True)
class Cubin:
    """What an ELF file of NVIDIA's says of itself."""

    machine: int
    architecture: int
    functions: frozenset[str]


def read_cubin(image: bytes) -> Cubin:
    """By hand, since no tool of CUDA's is here. 190 is EM_CUDA.

    The architecture is in e_flags: the lowest byte up to version 7 of NVIDIA's ABI (CUDA 12), the
    byte above it in version 8 (CUDA 13, and Blackwell in 12.9).
    """
    assert image[:4] == b"\x7fELF"
    machine = struct.unpack_from("<H", image, 18)[0]
    flags = struct.unpack_from("<I", image, 48)[0]
    architecture = flags >> 8 & 0xFF if image[8] >= 8 else flags & 0xFF
    functions = re.findall(rb"\0\.text\.(\w+)", image)
    return Cubin(machine, architecture, frozenset(name.decode() for name in functions))


@dataclass
class Counting:
    """A compiler that only counts; the cache cannot tell it from a real one."""

    name: str = "counting 1.0"
    release: Release = (12, 6)
    asked: list[str] = field(default_factory=list)

    def compile(self, main: str, sources: Mapping[str, str], architecture: str) -> bytes:
        self.asked.append(architecture)
        return f"{self.name} {architecture} {len(self.asked)}".encode()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@pytest.mark.parametrize(("release", "capability", "architecture"), JETSONS)
def test_each_jetson_gets_machine_code_from_its_cuda(
    cache: Path, release: str, capability: str, architecture: int
) -> None:
    cubin = read_cubin(kernels.compiled(capability, nvrtc(release)))
    assert cubin == Cubin(190, architecture, frozenset(NAMES))


@pytest.mark.parametrize(("capability", "architecture"), [("8.7", 87), ("11.0", 110)])
def test_nvcc_makes_it_where_nvrtc_is_not(cache: Path, capability: str, architecture: int) -> None:
    cubin = read_cubin(kernels.compiled(capability, nvcc()))
    assert cubin == Cubin(190, architecture, frozenset(NAMES))


@pytest.mark.parametrize(
    ("release", "capability", "says"),
    [
        ("13.0", "7.2", r"NVRTC 13\.0 makes no code for sm_72; it knows sm_75.*JetPack 5"),
        ("12.6", "11.0", r"NVRTC 12\.6 makes no code for sm_101; it knows sm_50.*CUDA 12\.8"),
        ("12.6", "99.9", r"no code for sm_999.*came with the GPU"),
    ],
)
def test_a_gpu_that_the_compiler_does_not_know_is_named(
    cache: Path, release: str, capability: str, says: str
) -> None:
    with pytest.raises(BackendError) as caught:
        kernels.compiled(capability, nvrtc(release))
    assert re.search(says, str(caught.value), re.DOTALL)


def test_nvcc_says_which_gpus_it_does_not_know() -> None:
    with pytest.raises(BackendError, match=r"nvcc 13\.0 makes no code for sm_72"):
        nvcc().compile("a.cu", {"a.cu": ""}, "sm_72")


BROKEN = {"a.cu": '#include "b.cuh"\n', "b.cuh": "__device__ int f() { return nowhere; }\n"}


def test_an_error_in_a_source_shows_nvrtc_s_log() -> None:
    with pytest.raises(BackendError, match=r'b\.cuh\(1\): error: identifier "nowhere"'):
        nvrtc("12.6").compile("a.cu", BROKEN, "sm_87")


def test_an_error_in_a_source_shows_nvcc_s_log() -> None:
    with pytest.raises(BackendError, match=r'b\.cuh\(1\): error: identifier "nowhere"'):
        nvcc().compile("a.cu", BROKEN, "sm_87")


@pytest.mark.parametrize("release", ["11.8", "12.6", "12.9", "13.0"])
def test_no_multiplication_is_fused_with_the_subtraction_after_it(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fused one is rounded once, so that the last bit would differ from the CPU's.

    Read from the compiler's PTX: a product and a difference with their roundings, nothing fused.
    """
    compiler = nvrtc(release)
    monkeypatch.setattr(Nvrtc, "_answer", _ptx)
    ptx = compiler.compile(kernels.MAIN, kernels.read_sources(), "sm_87")
    assert ptx.count(b"mul.rn.f32") == ptx.count(b"sub.rn.f32") == 3 * len(NAMES)
    assert b"fma" not in ptx


def _ptx(self: Nvrtc, what: str, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t(0)
    assert self.library.nvrtcGetPTXSize(program, ctypes.byref(size)) == 0
    text = ctypes.create_string_buffer(size.value)
    assert self.library.nvrtcGetPTX(program, text) == 0
    return text.raw


@pytest.mark.parametrize("release", compilers.NVRTC)
def test_text_files_are_opened_as_before_a_compilation(release: str, tmp_path: Path) -> None:
    """NVRTC 11.8 sets the thread's locale to C and leaves it so."""
    (tmp_path / "text").write_text("größer")
    encoding = locale.nl_langinfo(locale.CODESET)
    nvrtc(release).compile("a.cu", {"a.cu": "__global__ void f() {}"}, "sm_87")
    with pytest.raises(BackendError):
        nvrtc(release).compile("a.cu", BROKEN, "sm_87")
    assert locale.nl_langinfo(locale.CODESET) == encoding
    assert (tmp_path / "text").read_text() == "größer"


def test_an_architecture_follows_the_gpu_and_the_compiler_s_cuda() -> None:
    assert architecture_of("7.2", (11, 4)) == "sm_72"
    assert architecture_of("8.7", (13, 2)) == "sm_87"
    assert architecture_of("10.1", (12, 9)) == "sm_101"
    assert architecture_of("11.0", (12, 9)) == "sm_101"
    assert architecture_of("10.1", (13, 0)) == "sm_110"
    assert architecture_of("11.0", (13, 0)) == "sm_110"
    assert architecture_of("12.0", (13, 0)) == "sm_120"
    with pytest.raises(BackendError, match=r"should look like 8\.7, found 'sm_87'"):
        architecture_of("sm_87", (12, 6))


def test_what_was_compiled_is_kept(cache: Path) -> None:
    compiler = Counting()
    first = kernels.compiled("8.7", compiler)
    assert kernels.compiled("8.7", compiler) == first
    assert kernels.compiled("8.7", Counting()) == first
    assert compiler.asked == ["sm_87"]
    assert [path.suffix for path in cache.iterdir()] == [".cubin"]


def test_another_gpu_compiler_or_source_is_compiled_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Counting()
    kernels.compiled("8.7", compiler)
    kernels.compiled("7.2", compiler)
    assert compiler.asked == ["sm_87", "sm_72"]
    newer = Counting("counting 1.1")
    kernels.compiled("8.7", newer)
    assert newer.asked == ["sm_87"]
    changed = {**kernels.read_sources(), "preprocess.cuh": "// another"}
    monkeypatch.setattr(kernels, "read_sources", lambda: changed)
    kernels.compiled("8.7", compiler)
    assert compiler.asked == ["sm_87", "sm_72", "sm_87"]
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"no digest", bytes(200)])
def test_a_damaged_file_is_made_again(cache: Path, damage: bytes) -> None:
    compiler = Counting()
    kernels.compiled("8.7", compiler)
    (kept,) = cache.iterdir()
    kept.write_bytes(damage)
    assert kernels.compiled("8.7", compiler) == b"counting 1.0 sm_87 2"
    assert kernels.compiled("8.7", compiler) == b"counting 1.0 sm_87 2"


def test_a_bit_that_flipped_is_noticed(cache: Path) -> None:
    compiler = Counting()
    kernels.compiled("8.7", compiler)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(bytes(content))
    kernels.compiled("8.7", compiler)
    assert len(compiler.asked) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGESDK_CACHE", str(tmp_path / "file"))
    assert kernels.compiled("8.7", Counting()) == b"counting 1.0 sm_87 1"


def test_an_error_is_not_kept(cache: Path) -> None:
    with pytest.raises(BackendError, match="no code for sm_72"):
        kernels.compiled("7.2", nvrtc("13.0"))
    assert not cache.exists()


def test_cuda_home_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = nvrtc("12.9").library._name
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libnvrtc.so.12").symlink_to(library)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    found = find_nvrtc()
    assert found is not None
    assert found.name == "NVRTC 12.9"


@pytest.fixture
def cuda_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One folder with NVRTC 13.0 and 12.9, in the order in which they are looked for."""
    (tmp_path / "lib64").mkdir()
    for release in ("13.0", "12.9"):
        link = tmp_path / "lib64" / f"libnvrtc.so.{release[:2]}"
        link.symlink_to(nvrtc(release).library._name)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("12.6", "NVRTC 12.9"),
        ("13.0", "NVRTC 13.0"),
        ("14.0", "NVRTC 13.0"),
        ("", "NVRTC 13.0"),
    ],
)
def test_the_compiler_is_of_the_driver_s_cuda(
    monkeypatch: pytest.MonkeyPatch, cuda_home: None, driver: str, name: str
) -> None:
    """A driver of CUDA 12 does not load what a compiler of CUDA 13 makes."""
    monkeypatch.setattr(kernels, "probe_driver", lambda: Driver(driver))
    assert kernels.find_compiler().name == name


def test_an_older_compiler_is_better_than_a_newer_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = {"new": Nvrtc(ctypes.CDLL(None), (13, 0)), "old": Nvrtc(ctypes.CDLL(None), (11, 8))}
    monkeypatch.setattr("edgesdk.backends.tensorrt.kernels.nvrtc._candidates", lambda: iter(made))
    monkeypatch.setattr("edgesdk.backends.tensorrt.kernels.nvrtc.load_nvrtc", made.get)
    assert find_nvrtc(12) is made["old"]
    assert find_nvrtc() is made["new"]


def test_nvcc_is_found_by_cuda_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nvcc"
    program.write_text("#!/bin/sh\necho Cuda compilation tools, release 11.4, V11.4.315\n")
    program.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    found = find_nvcc()
    assert found is not None
    assert (found.name, found.path) == ("nvcc 11.4", program)


def test_what_is_no_compiler_is_not_taken_for_one(tmp_path: Path) -> None:
    other = tmp_path / "libother.so"
    other.write_text("not a library")
    assert load_nvrtc(str(other)) is None
    assert load_nvrtc("libc.so.6") is None
    assert load_nvcc(tmp_path / "nowhere") is None
    assert load_nvcc(Path("/bin/true")) is None


def test_without_a_compiler_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "find_nvrtc", lambda driver: None)
    monkeypatch.setattr(kernels, "find_nvcc", lambda: None)
    with pytest.raises(BackendError, match="apt install nvidia-jetpack"):
        kernels.find_compiler()
