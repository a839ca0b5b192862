"""NVRTC, CUDA's compiler as a library, by ctypes. It needs no GPU and no driver.

Calls are those of NVIDIA's NVRTC manual, from CUDA 11.2 on (nvrtcGetSupportedArchs, nvrtcGetCUBIN).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk.backends.tensorrt.kernels.architecture import Release, check_known
from edgesdk.errors import BackendError

NEEDED = ("nvrtcGetSupportedArchs", "nvrtcGetCUBIN")
"""What older ones lack: CUDA 10 makes no cubin."""
NAMES = ("libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2")
REINSTALL = "reinstall CUDA's runtime compiler (libnvrtc)"


@dataclass(frozen=True)
class Nvrtc:
    """One NVRTC library that is loaded."""

    library: ctypes.CDLL
    release: Release

    @property
    def name(self) -> str:
        """For messages and cache keys, e.g. "NVRTC 12.6"."""
        return f"NVRTC {self.release[0]}.{self.release[1]}"

    def known(self) -> frozenset[str]:
        """The architectures it makes code for, e.g. "sm_87"."""
        count = ctypes.c_int(0)
        self._checked(self.library.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
        numbers = (ctypes.c_int * count.value)()
        self._checked(self.library.nvrtcGetSupportedArchs(numbers))
        return frozenset(f"sm_{number}" for number in numbers)

    def compile(self, main: str, sources: Mapping[str, str], architecture: str) -> bytes:
        """The cubin of the source called `main`; the others are what it may include.

        Raises BackendError with the compiler's log, or when it does not know the architecture.
        """
        check_known(architecture, self.name, self.known())
        with _locale_kept():
            return self._built(main, sources, architecture)

    def _built(self, main: str, sources: Mapping[str, str], architecture: str) -> bytes:
        program = ctypes.c_void_p()
        others = {name: text for name, text in sources.items() if name != main}
        self._checked(
            self.library.nvrtcCreateProgram(
                ctypes.byref(program),
                sources[main].encode(),
                main.encode(),
                len(others),
                _texts(others.values()),
                _texts(others),
            )
        )
        try:
            return self._compiled(program, architecture)
        finally:
            self.library.nvrtcDestroyProgram(ctypes.byref(program))

    def _compiled(self, program: ctypes.c_void_p, architecture: str) -> bytes:
        options = ("-std=c++17", f"--gpu-architecture={architecture}")
        code = self.library.nvrtcCompileProgram(program, len(options), _texts(options))
        if code != 0:
            log = self._answer("ProgramLog", program).rstrip(b"\0").decode(errors="replace")
            raise BackendError(
                f"{self.name} cannot compile for {architecture} ({self._text(code)}):\n"
                f"{log.strip()}",
                "the kernels' sources are part of edgesdk: reinstall it, or report this log",
            )
        return self._answer("CUBIN", program)

    def _answer(self, what: str, program: ctypes.c_void_p) -> bytes:
        """What nvrtcGet<what> gives, after asking nvrtcGet<what>Size."""
        size = ctypes.c_size_t(0)
        self._checked(getattr(self.library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
        buffer = ctypes.create_string_buffer(size.value)
        self._checked(getattr(self.library, f"nvrtcGet{what}")(program, buffer))
        return buffer.raw

    def _checked(self, code: int) -> None:
        if code != 0:
            raise BackendError(f"{self.name} refuses a call: {self._text(code)}", REINSTALL)

    def _text(self, code: int) -> str:
        text: bytes = self.library.nvrtcGetErrorString(code)
        return text.decode()


@contextlib.contextmanager
def _locale_kept() -> Iterator[None]:
    """Give the thread its locale back: NVRTC 11.8 leaves it "C", so that Python would from then on
    open text files as ASCII."""
    uselocale = ctypes.CDLL(None).uselocale
    uselocale.restype = ctypes.c_void_p
    uselocale.argtypes = [ctypes.c_void_p]
    before = uselocale(None)
    try:
        yield
    finally:
        uselocale(before)


def load_nvrtc(path: str) -> Nvrtc | None:
    """The library of this name or path; None when there is none or it cannot be used."""
    try:
        library = ctypes.CDLL(path)
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(0), ctypes.c_int(0)
        code = library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    except (OSError, AttributeError):
        return None
    if code != 0 or not all(hasattr(library, name) for name in NEEDED):
        return None
    found = Nvrtc(library, (major.value, minor.value))
    _load_builtins(path, found.release)
    return found


def _load_builtins(path: str, release: Release) -> None:
    """Those beside a library that is named by its path: pip's NVRTC 13.0 does not look there."""
    if not Path(path).is_absolute():
        return
    name = f"libnvrtc-builtins.so.{release[0]}.{release[1]}"
    with contextlib.suppress(OSError):
        ctypes.CDLL(str(Path(path).resolve().with_name(name)))


def find_nvrtc(driver: int | None = None) -> Nvrtc | None:
    """The best that loads: of CUDA_HOME, the loader's path, /usr/local/cuda, Python's packages.

    `driver` is the major version of the driver's CUDA, e.g. 12. That one is the best, then an
    older one: a driver does not load the cubins of a newer major version. Among equals, and
    without a driver, the first.
    """
    found = [library for library in map(load_nvrtc, _candidates()) if library is not None]
    return min(found, key=lambda library: _unfit(library.release[0], driver), default=None)


def _unfit(major: int, driver: int | None) -> int:
    if driver is None or major == driver:
        return 0
    return 1 if major < driver else 2


def _candidates() -> Iterator[str]:
    home = os.environ.get("CUDA_HOME")
    if home:
        yield from _in_folder(Path(home) / "lib64")
    yield from NAMES
    yield from _in_folder(Path("/usr/local/cuda/lib64"))
    for place in map(Path, sys.path):
        for folder in ("nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"):
            yield from _in_folder(place / folder)


def _in_folder(folder: Path) -> Iterator[str]:
    return (str(folder / name) for name in NAMES if (folder / name).is_file())


def _texts(values: Iterable[str]) -> ctypes.Array[ctypes.c_char_p]:
    texts = [value.encode() for value in values]
    return (ctypes.c_char_p * len(texts))(*texts)
