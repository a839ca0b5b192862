"""pycuda as it is published, built from source, and a stand-in for the CUDA driver below it.

    python -m tests.partners.pycuda

takes about two minutes once (a C++ compiler must be there) and nothing afterwards. Headers of CUDA
come from NVIDIA's packages; the driver that pycuda is linked against is the stand-in itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.partners import folder

PYCUDA = "pycuda==2026.1"
HEADERS = (
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-cuda-profiler-api==13.0.85",
)
SOURCES = Path(__file__).parents[1] / "stand_in_driver"
LIBRARY = "libcuda.so.1"
HOW = "run scripts/partners"


def site() -> Path:
    """Where pycuda is to be imported from; it exists once `install` has come to its end."""
    return folder("pycuda") / f"{PYCUDA.partition('==')[2]}-{sysconfig.get_config_var('SOABI')}"


def headers() -> Path:
    """The folder that holds cuda.h."""
    return folder("pycuda") / "headers-13.0" / "nvidia" / "cu13" / "include"


def installed() -> bool:
    """Whether pycuda was built for this Python."""
    return site().is_dir() and headers().is_dir() and shutil.which("g++") is not None


def environment() -> dict[str, str]:
    """This process's variables, with pycuda and the stand-in driver before all else."""
    found = dict(os.environ)
    for name, path in (("LD_LIBRARY_PATH", driver()), ("PYTHONPATH", site())):
        found[name] = os.pathsep.join(filter(None, (str(path), found.get(name, ""))))
    return found


def driver() -> Path:
    """The folder of the stand-in driver, compiled when its sources have changed."""
    sources = sorted(SOURCES.glob("*.cpp"))
    digest = hashlib.sha256()
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    made = folder("pycuda") / f"driver-{digest.hexdigest()[:16]}"
    if made.is_dir():
        return made
    say("compiling the stand-in driver ...")
    with _temporary() as scratch:
        flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Werror"]
        output = [f"-Wl,-soname,{LIBRARY}", "-o", str(scratch / LIBRARY)]
        run(["g++", *flags, f"-I{headers()}", *map(str, sources), *output, "-ldl"])
        (scratch / "libcuda.so").symlink_to(LIBRARY)
        _keep(scratch, made)
    return made


def install() -> None:
    """Fetch and build what is missing."""
    if shutil.which("g++") is None:
        say("skipped: pycuda is built from source and there is no g++; on Debian: apt install g++")
        return
    if not headers().is_dir():
        _install_headers()
    built = driver()
    if not site().is_dir():
        _install_pycuda(built)


def _install_headers() -> None:
    say("fetching CUDA's headers ...")
    with _temporary() as scratch:
        run([*PIP, "download", *QUIET, "--no-deps", "-d", str(scratch), *HEADERS])
        for wheel in scratch.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(scratch / "unpacked")
        _keep(scratch / "unpacked", headers().parents[2])


def _install_pycuda(driver_folder: Path) -> None:
    say(f"building {PYCUDA}; this takes a minute or two ...")
    with _temporary() as scratch:
        source = ["--no-deps", "--no-binary", "pycuda", PYCUDA]
        run([*PIP, "download", *QUIET, "-d", str(scratch), *source])
        with tarfile.open(next(scratch.glob("pycuda-*.tar.gz"))) as archive:
            archive.extractall(scratch, filter="data")
        tree = next(path for path in scratch.glob("pycuda-*") if path.is_dir())
        (tree / "siteconf.py").write_text(_configuration(driver_folder))
        run(["nice", *PIP, "install", *QUIET, "--target", str(scratch / "site"), str(tree)])
        _keep(scratch / "site", site())


def _configuration(driver_folder: Path) -> str:
    """What pycuda's configure.py would write."""
    values: dict[str, object] = {
        "CUDA_ROOT": str(headers().parent),
        "CUDADRV_LIB_DIR": [str(driver_folder)],
        "CUDADRV_LIBNAME": ["cuda"],
        "CUDA_ENABLE_CURAND": False,
        "CUDA_ENABLE_GL": False,
        "CXXFLAGS": ["-O1", "-g0", "-w"],
    }
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


PIP = (sys.executable, "-m", "pip")
QUIET = ("--quiet", "--disable-pip-version-check")


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def say(text: str) -> None:
    print(text, file=sys.stderr)


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder beside the partner's own, so that what is complete can be moved into place."""
    folder("pycuda").mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder("pycuda")))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _keep(made: Path, place: Path) -> None:
    """Move a finished folder into place, unless another process was quicker."""
    made.chmod(0o755)
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


if __name__ == "__main__":
    install()
