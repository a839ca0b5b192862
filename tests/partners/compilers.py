"""CUDA's real compilers, which need no GPU: NVRTC of CUDA 11.8, 12.6, 12.9, 13.0, and nvcc 13.0.

They are pip packages, each unpacked into a folder of its own: two of one name cannot be installed
side by side.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.partners import folder

NVRTC = {
    "11.8": "nvidia-cuda-nvrtc-cu11==11.8.89",
    "12.6": "nvidia-cuda-nvrtc-cu12==12.6.85",
    "12.9": "nvidia-cuda-nvrtc-cu12==12.9.86",
    "13.0": "nvidia-cuda-nvrtc==13.0.88",
}
"""By CUDA release: the nearest to JetPack 5 (11.4), JetPack 6.1 to 6.2, the last of CUDA 12,
JetPack 7.0 and 7.1."""
NVCC = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
)
INSTALL = "run scripts/partners"


def nvrtc(release: str) -> Path | None:
    """The library of that CUDA release; None when it is not installed."""
    found = (folder("compilers") / f"nvrtc-{release}").glob("nvidia/*/lib/libnvrtc.so.*")
    return next(iter(sorted(found)), None)


def nvcc() -> Path | None:
    """nvcc 13.0 of the packages; None when it is not installed."""
    path = folder("compilers") / "nvcc-13.0" / "nvidia" / "cu13" / "bin" / "nvcc"
    return path if path.is_file() else None


def install() -> None:
    """Install what is missing."""
    for release, package in NVRTC.items():
        if nvrtc(release) is None:
            _unpack(f"nvrtc-{release}", package)
    if nvcc() is None:
        _unpack("nvcc-13.0", *NVCC)


def _unpack(name: str, *packages: str) -> None:
    """Into a temporary folder first: what was interrupted is not taken for installed."""
    print(f"compilers: {name}: {' '.join(packages)}", file=sys.stderr)
    home = folder("compilers")
    home.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=home, prefix=f".{name}."))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    try:
        subprocess.run([*pip, "--no-deps", "--target", str(made), *packages], check=True)
        shutil.rmtree(home / name, ignore_errors=True)
        made.rename(home / name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


if __name__ == "__main__":
    install()
