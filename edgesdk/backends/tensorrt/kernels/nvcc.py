"""nvcc, CUDA's compiler as a program: where NVRTC is not installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk.backends.tensorrt.kernels.architecture import Release, check_known
from edgesdk.errors import BackendError

TIMEOUT_S = 300


@dataclass(frozen=True)
class Nvcc:
    """One nvcc. It needs a C++ compiler beside it."""

    path: Path
    release: Release

    @property
    def name(self) -> str:
        """For messages and cache keys, e.g. "nvcc 12.6"."""
        return f"nvcc {self.release[0]}.{self.release[1]}"

    def known(self) -> frozenset[str]:
        """The architectures it makes code for, e.g. "sm_87"."""
        listed = _run([str(self.path), "--list-gpu-code"])
        return frozenset(listed.stdout.split())

    def compile(self, main: str, sources: Mapping[str, str], architecture: str) -> bytes:
        """The cubin of the source called `main`; the others are what it may include.

        Raises BackendError with the compiler's log, or when it does not know the architecture.
        """
        check_known(architecture, self.name, self.known())
        with tempfile.TemporaryDirectory(prefix="edgesdk-kernels-") as folder:
            for name, text in sources.items():
                (Path(folder) / name).write_text(text)
            made = Path(folder) / "made.cubin"
            options = ["-std=c++17", "-cubin", f"-arch={architecture}", "-o", str(made)]
            done = _run([str(self.path), *options, str(Path(folder) / main)])
            if done.returncode != 0:
                raise BackendError(
                    f"{self.name} cannot compile for {architecture}:\n"
                    f"{(done.stderr + done.stdout).strip()}",
                    "install NVRTC (libnvrtc, part of CUDA), or see the log for what nvcc misses",
                )
            return made.read_bytes()


def load_nvcc(path: Path) -> Nvcc | None:
    """The compiler at `path`; None when it does not run or does not say its release."""
    try:
        said = _run([str(path), "--version"]).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    release = re.search(r"release (\d+)\.(\d+)", said)
    return Nvcc(path, (int(release[1]), int(release[2]))) if release else None


def find_nvcc() -> Nvcc | None:
    """The first that runs: of CUDA_HOME, PATH, /usr/local/cuda."""
    home = os.environ.get("CUDA_HOME")
    named = [Path(home) / "bin" / "nvcc"] if home else []
    on_path = [Path(found)] if (found := shutil.which("nvcc")) else []
    places = [*named, *on_path, Path("/usr/local/cuda/bin/nvcc")]
    found_ones = (load_nvcc(place) for place in places)
    return next((compiler for compiler in found_ones if compiler is not None), None)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
