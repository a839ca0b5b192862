"""The kernels' machine code for one GPU: compiled once, then kept.

What is kept lies under `kernels/` in the cache folder (EDGESDK_CACHE). Its name is a digest of the
sources, the architecture and the compiler's release; a file begins with the digest of its content,
so that a damaged one is noticed and made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Protocol

from edgesdk import _files
from edgesdk._digest import sha256_bytes
from edgesdk._resources import cache_folder
from edgesdk.backends.tensorrt.kernels.architecture import Release, architecture_of
from edgesdk.backends.tensorrt.kernels.nvcc import find_nvcc
from edgesdk.backends.tensorrt.kernels.nvrtc import find_nvrtc
from edgesdk.backends.tensorrt.machine.driver import probe_driver
from edgesdk.errors import BackendError, EdgeError

MAIN = "preprocess.cu"
SOURCES = (MAIN, "preprocess.cuh")


class Compiler(Protocol):
    """NVRTC or nvcc."""

    @property
    def name(self) -> str:
        """With its release, e.g. "NVRTC 12.6"."""

    @property
    def release(self) -> Release:
        """Of CUDA."""

    def compile(self, main: str, sources: Mapping[str, str], architecture: str) -> bytes:
        """The cubin of the source called `main`. Raises BackendError with the compiler's log."""


def find_compiler() -> Compiler:
    """NVRTC, of the driver's CUDA if there is one, or nvcc where there is no NVRTC.

    Raises BackendError when there is neither.
    """
    major = probe_driver().version.partition(".")[0]
    found: Compiler | None = find_nvrtc(int(major) if major else None) or find_nvcc()
    if found is None:
        raise BackendError(
            "no CUDA compiler is found: neither libnvrtc.so nor nvcc",
            "on a Jetson: sudo apt install nvidia-jetpack (NVRTC is part of CUDA); "
            "or set CUDA_HOME to the folder of CUDA",
        )
    return found


def read_sources() -> dict[str, str]:
    """The kernels' CUDA sources, by file name."""
    folder = resources.files(__package__)
    return {name: (folder / name).read_text() for name in SOURCES}


def compiled(compute_capability: str, compiler: Compiler) -> bytes:
    """The cubin for a GPU of this compute capability ("8.7"), from the cache or made now.

    Raises BackendError when the compiler does not know the GPU, or with its log.
    """
    architecture = architecture_of(compute_capability, compiler.release)
    sources = read_sources()
    kept = cache_folder() / "kernels" / f"{_key(sources, architecture, compiler)}.cubin"
    image = _load(kept)
    if image is None:
        image = compiler.compile(MAIN, sources, architecture)
        _save(kept, image)
    return image


def _key(sources: Mapping[str, str], architecture: str, compiler: Compiler) -> str:
    texts = [f"{name}\0{text}" for name, text in sorted(sources.items())]
    content = "\0".join([*texts, architecture, compiler.name])
    return f"preprocess-{architecture}-{sha256_bytes(content.encode())[:32]}"


def _load(path: Path) -> bytes | None:
    """What was kept; None: nothing that can be used."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, _, image = content.partition(b"\n")
    return image if digest == sha256_bytes(image).encode() else None


def _save(path: Path, image: bytes) -> None:
    """Keep it. A cache that cannot be written costs time in the next run: this one goes on."""
    try:
        _files.write_atomic(path, sha256_bytes(image).encode() + b"\n" + image)
    except EdgeError:
        return
