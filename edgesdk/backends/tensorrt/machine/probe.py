"""Whether TensorRT can be used here; if not, which part is missing and what mends it.

The parts are asked in the order in which they need each other: the driver, the GPU, TensorRT's
module, pycuda. The first that fails is the answer. No object of TensorRT is made: without a
driver that would crash the process.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from edgesdk._optional import require
from edgesdk.backends.base import Probe
from edgesdk.backends.tensorrt.machine.driver import Driver
from edgesdk.backends.tensorrt.machine.place import Place, this_place
from edgesdk.backends.tensorrt.version import OLDEST, Version
from edgesdk.devices import load_jetpacks
from edgesdk.errors import BackendError, MissingExtra

NAME = "tensorrt"
NEWEST_MAJOR = 11
"""The last whose API this edgesdk was checked against."""
OLDEST_PYCUDA = (2024, 1)
PARTS = ("tensorrt_lean", "tensorrt_dispatch")
"""Runtimes of TensorRT that open engines of certain kinds and build none."""

CONTAINER = "start the container with: docker run --runtime nvidia ..."
FLASH = "flash JetPack anew, with CUDA and TensorRT chosen (sudo apt install nvidia-jetpack)"
ELSEWHERE = "on a Jetson, flash JetPack; elsewhere use the backend onnxruntime"
GROUPS = "sudo usermod -aG video,render $USER, then log in again"
APT = "sudo apt install tensorrt python3-libnvinfer"
DLA_COMPILER = "libnvdla_compiler"
DLA_APT = "sudo apt install nvidia-l4t-dla-compiler && sudo ldconfig"
"""TensorRT is linked with it, also where nothing uses DLA; small installations lack it."""
VENV = "make the environment with: python3 -m venv --system-site-packages"
PYCUDA = (
    "sudo apt install python3-dev; export PATH=/usr/local/cuda/bin:$PATH (pip builds pycuda with "
    "nvcc); pip install 'edgesdk[jetson]'"
)


def _load(name: str) -> ModuleType:
    return require(name, "run models on the GPU")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        # A parent that was blocked or half-loaded is absent too.
        return False


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Modules:
    """How Python's packages are looked for; a test gives its own answers."""

    load: Callable[[str], ModuleType] = _load
    """Import. Raises MissingExtra with the ImportError as its cause, or OSError."""
    installed: Callable[[str], bool] = _installed
    """Whether there is such a module; it is not imported."""
    version: Callable[[str], str] = _version
    """Of a distribution; empty: not known."""


class _Trouble(Exception):
    """The first part that is not as it should be."""

    def __init__(self, reason: str, fix: str, version: str = "") -> None:
        super().__init__(reason)
        self.reason, self.fix, self.version = reason, fix, version


def probe(driver: Driver, place: Place | None = None, modules: Modules | None = None) -> Probe:
    """What the driver, TensorRT and pycuda say, put together. Never raises.

    `place` None: this machine. TensorRT and pycuda are imported only where the driver is well.
    """
    here = this_place() if place is None else place
    packages = Modules() if modules is None else modules
    try:
        _check_driver(driver, here, packages)
        version = _tensorrt(here, packages)
        _check_pycuda(packages, str(version))
    except _Trouble as trouble:
        return Probe(NAME, False, trouble.version, trouble.reason, trouble.fix)
    return Probe(NAME, True, str(version), _summary(version, driver))


def driver_fix(driver: Driver, place: Place) -> str:
    """What mends a driver that cannot be used; empty when it can."""
    if not driver.problem:
        return ""
    if driver.code == 803:
        return "reboot after an update of the driver; in a container, take the host's JetPack image"
    if driver.code == 35:
        return "update the driver: on a Jetson, flash a newer JetPack"
    if driver.code in (34, 804):
        return "take CUDA's stubs and compat folders off LD_LIBRARY_PATH"
    if place.lacks_runtime:
        return CONTAINER
    if not place.may_open_gpu:
        return GROUPS
    if driver.code in (304, 999) and place.on_board:
        return f"{GROUPS}; if that does not help, reboot"
    return FLASH if place.on_board else ELSEWHERE


def _check_driver(driver: Driver, place: Place, modules: Modules) -> None:
    if driver.problem:
        raise _Trouble(driver.problem, driver_fix(driver, place))
    needed = _cuda_needed(place, modules)
    if needed and _numbers(driver.version)[0] < _numbers(needed)[0]:
        newer = "flash the JetPack that this TensorRT belongs to, or take its own image"
        fix = newer if place.on_board else f"update NVIDIA's driver to one of CUDA {needed}"
        raise _Trouble(
            f"the driver is of CUDA {driver.version}, and the TensorRT here needs CUDA {needed}",
            fix,
        )


def _cuda_needed(place: Place, modules: Modules) -> str:
    """CUDA of the installed TensorRT, from its version or its package's name; empty: not known."""
    for major in (13, 12, 11):
        if modules.version(f"tensorrt-cu{major}"):
            return f"{major}.0"
    installed = modules.version(NAME)
    rows = [row for row in load_jetpacks() if row.tensorrt and row.cuda]
    same = [row for row in rows if installed and _same(installed, row.tensorrt or "")]
    # A Jetson's TensorRT is built for one CUDA; a desk's may be built for several.
    if place.on_board and same:
        return same[0].cuda or ""
    return (place.jetpack.cuda or "") if place.jetpack and not installed else ""


def _same(version: str, other: str) -> bool:
    return _numbers(version)[:2] == _numbers(other)[:2]


def _tensorrt(place: Place, modules: Modules) -> Version:
    """Version of TensorRT's module. Raises _Trouble when it is absent, broken or too old."""
    try:
        module = modules.load(NAME)
    except (MissingExtra, OSError) as error:
        raise _unloaded(error.__cause__ or error, place, modules) from error
    text = str(getattr(module, "__version__", ""))
    if not text or not hasattr(module, "Builder"):
        where = getattr(module, "__file__", None) or "a folder of that name"
        raise _Trouble(
            f"what Python finds as 'tensorrt' is not NVIDIA's TensorRT: {where}",
            "rename it, or start Python in another folder",
        )
    try:
        version = Version.parse(text)
    except BackendError as error:
        raise _Trouble(str(error), APT) from error
    if version < OLDEST:
        raise _Trouble(
            f"TensorRT {version} is too old: edgesdk needs {OLDEST.major}.{OLDEST.minor} or later",
            "flash JetPack 6 or later",
            str(version),
        )
    return version


def _unloaded(cause: BaseException, place: Place, modules: Modules) -> _Trouble:
    absent = isinstance(cause, ModuleNotFoundError) and cause.name == NAME
    if not absent:
        fix = f"{APT}; reinstall what is named, if need be"
        if DLA_COMPILER in str(cause):
            fix = f"{CONTAINER}; if so, on the board: {DLA_APT}" if place.lacks_runtime else DLA_APT
        elif place.lacks_runtime:
            fix = CONTAINER
        return _Trouble(f"TensorRT's module is here but does not load: {cause}", fix)
    part = next((part for part in PARTS if modules.installed(part)), "")
    if part:
        kind = part.removeprefix("tensorrt_")
        reason = f"only TensorRT's {kind} runtime is installed, which builds no engines"
        return _Trouble(reason, f"install the whole of it: {APT}")
    return _Trouble("Python finds no module 'tensorrt'", _absent_fix(place))


def _absent_fix(place: Place) -> str:
    """TensorRT's module comes by apt, for JetPack's own Python only; pip has none for a Jetson."""
    if not place.on_board:
        return "install NVIDIA's TensorRT, or use the backend onnxruntime"
    wanted = place.jetpack.python if place.jetpack else ""
    if wanted == "3.8":
        return "JetPack 5 has it for Python 3.8 only, and edgesdk needs 3.10: flash JetPack 6"
    if wanted and not place.python.startswith(f"{wanted}."):
        name = place.jetpack.name if place.jetpack else ""
        return f"{APT}; JetPack {name} has it for Python {wanted} only, and this is {place.python}"
    return f"{APT}; then {VENV}" if place.shut_venv else APT


def _check_pycuda(modules: Modules, tensorrt: str) -> None:
    if not modules.installed("pycuda"):
        reason = f"TensorRT {tensorrt} is here, but pycuda is not installed"
        raise _Trouble(reason, PYCUDA, tensorrt)
    version = modules.version("pycuda")
    if version and _numbers(version)[:2] < OLDEST_PYCUDA:
        wanted = ".".join(map(str, OLDEST_PYCUDA))
        reason = f"pycuda {version} is too old: edgesdk needs {wanted} or later"
        raise _Trouble(reason, f"pip uninstall pycuda; {PYCUDA}", tensorrt)
    try:
        modules.load("pycuda.driver")
    except (MissingExtra, OSError) as error:
        reason = f"pycuda is installed but does not load: {error.__cause__ or error}"
        fix = f"build it anew for this CUDA and numpy: pip uninstall pycuda; {PYCUDA} --no-cache"
        raise _Trouble(reason, fix, tensorrt) from error


def _summary(version: Version, driver: Driver) -> str:
    gpu = driver.gpus[0]
    more = f" and {len(driver.gpus) - 1} more" if len(driver.gpus) > 1 else ""
    text = f"TensorRT {version}, CUDA {driver.version}, {gpu}{more}"
    if version.major > NEWEST_MAJOR:
        text += f"; this edgesdk knows TensorRT up to {NEWEST_MAJOR}, so expect surprises"
    return text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version))) or (0,)
