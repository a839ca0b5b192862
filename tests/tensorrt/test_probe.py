"""What the probe says for each thing that can be wrong with a GPU machine, and what mends it.

Drivers, packages and boards here are recorded answers. They show how we read answers, not that
CUDA or TensorRT works.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from dataclasses import dataclass, field, replace
from types import ModuleType

import pytest

from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu, probe_driver
from edgesdk.backends.tensorrt.machine.place import Place
from edgesdk.backends.tensorrt.machine.probe import Modules, driver_fix, probe
from edgesdk.devices import JetPack, load_jetpacks
from edgesdk.errors import MissingExtra

GIB = 2**30


@dataclass
class FakeCuda:
    """A driver that answers as told, through the pointers of the real calls."""

    init: int = 0
    version: int = 12060
    gpus: tuple[Gpu, ...] = (Gpu("Orin", "8.7", True, 61 * GIB),)
    failing: dict[str, int] = field(default_factory=dict)
    """Call -> the error that it gives."""

    def cuInit(self, flags: int) -> int:
        return self.init

    def cuDriverGetVersion(self, out) -> int:  # type: ignore[no-untyped-def]
        out._obj.value = self.version
        return self.failing.get("cuDriverGetVersion", 0)

    def cuDeviceGetCount(self, out) -> int:  # type: ignore[no-untyped-def]
        out._obj.value = len(self.gpus)
        return self.failing.get("cuDeviceGetCount", 0)

    def cuDeviceGet(self, out, index: int) -> int:  # type: ignore[no-untyped-def]
        # A handle that is not the index: who mixes them up asks for a GPU that is not there.
        out._obj.value = index + 40
        return self.failing.get("cuDeviceGet", 0)

    def cuDeviceGetName(self, out, size: int, device: int) -> int:  # type: ignore[no-untyped-def]
        out.value = self.gpus[device - 40].name.encode()[: size - 1]
        return self.failing.get("cuDeviceGetName", 0)

    def cuDeviceTotalMem_v2(self, out, device: int) -> int:  # type: ignore[no-untyped-def]
        assert isinstance(out._obj, ctypes.c_size_t), "the second version writes a size_t"
        out._obj.value = self.gpus[device - 40].memory_bytes
        return self.failing.get("cuDeviceTotalMem_v2", 0)

    def cuDeviceGetAttribute(self, out, attribute: int, device: int) -> int:  # type: ignore[no-untyped-def]
        gpu = self.gpus[device - 40]
        major, minor = gpu.compute_capability.split(".")
        # As cuda.h numbers them.
        told = {75: int(major), 76: int(minor), 18: int(gpu.integrated), 16: gpu.sm_count}
        out._obj.value = told[attribute]
        return self.failing.get("cuDeviceGetAttribute", 0)


def asked(cuda: FakeCuda) -> Driver:
    return probe_driver(lambda name: cuda)  # type: ignore[arg-type,return-value]


DESK_GPU = Gpu("NVIDIA GeForce RTX 3090", "8.6", False, 24 * GIB, 82)


def test_a_driver_describes_each_of_its_gpus() -> None:
    orin = FakeCuda().gpus[0]
    assert asked(FakeCuda()) == Driver("12.6", (orin,))
    assert asked(FakeCuda(gpus=(orin, DESK_GPU))).gpus == (orin, DESK_GPU)
    assert str(orin) == "Orin (8.7), 61 GiB"


@pytest.mark.parametrize(
    ("cuda", "problem", "code"),
    [
        (
            FakeCuda(init=100),
            "the NVIDIA driver does not start: cuInit gives error 100 (it finds",
            100,
        ),
        (FakeCuda(init=803), "error 803 (the driver's library and its kernel module", 803),
        (FakeCuda(init=35), "error 35 (the driver is older than the CUDA", 35),
        (FakeCuda(init=999), "error 999 (unknown; often a device file", 999),
        (FakeCuda(init=34), "error 34 (this is the stub", 34),
        (FakeCuda(init=12345), "cuInit gives error 12345", 12345),
        (FakeCuda(version=13020, gpus=()), "the driver (CUDA 13.2) finds no GPU", None),
        (FakeCuda(failing={"cuDeviceGet": 46}), "cuDeviceGet gives error 46 (the GPU is busy", 46),
        (
            FakeCuda(failing={"cuDeviceTotalMem_v2": 101}),
            "cuDeviceTotalMem_v2 gives error 101",
            101,
        ),
    ],
)
def test_what_the_driver_fails_at_is_named_in_words(
    cuda: FakeCuda, problem: str, code: int | None
) -> None:
    driver = asked(cuda)
    assert problem in driver.problem
    assert driver.code == code
    assert driver.gpus == ()


def test_an_absent_driver_and_a_broken_one_are_told_apart() -> None:
    def refuse(text: str) -> Driver:
        def load(name: str) -> ctypes.CDLL:
            raise OSError(text)

        return probe_driver(load)

    absent = "libcuda.so.1: cannot open shared object file: No such file or directory"
    assert refuse(absent).problem == "there is no NVIDIA driver: libcuda.so.1 is not found"
    broken = "libnvrm_gpu.so: cannot open shared object file: No such file or directory"
    assert refuse(broken).problem == f"the NVIDIA driver does not load: {broken}"


def test_a_library_that_is_no_driver_is_named_as_such() -> None:
    class Other:
        def cuInit(self, flags: int) -> int:
            return 0

    driver = probe_driver(lambda name: Other())  # type: ignore[arg-type,return-value]
    assert "libcuda.so.1 is no driver of NVIDIA's" in driver.problem
    assert "cuDriverGetVersion" in driver.problem


# What is on the machine, part by part -------------------------------------------------------


def jetpack(name: str) -> JetPack:
    return next(row for row in load_jetpacks() if row.name == name)


BOARD = Place(on_board=True, jetpack=jetpack("6.2"), python="3.10.12")
DESK = Place(python="3.12.3")
WELL = Driver("12.6", (Gpu("Orin", "8.7", True, 61 * GIB),))


def tensorrt(version: str) -> ModuleType:
    module = ModuleType("tensorrt")
    module.__dict__.update(__version__=version, Builder=object)
    return module


@dataclass
class FakePython:
    """What Python finds: modules that load, errors of those that do not, versions of packages."""

    tensorrt: ModuleType | ImportError | OSError | None = field(
        default_factory=lambda: tensorrt("10.3.0")
    )
    pycuda: str = "2025.1"
    """Its version; empty: not installed."""
    pycuda_error: ImportError | None = None
    others: tuple[str, ...] = ()
    distributions: dict[str, str] = field(default_factory=dict)

    def load(self, name: str) -> ModuleType:
        found = self.tensorrt if name == "tensorrt" else self.pycuda_error or ModuleType(name)
        if found is None:
            found = ModuleNotFoundError(f"No module named {name!r}", name=name)
        if isinstance(found, ImportError):
            raise MissingExtra(f"{name} is needed", "install it") from found
        if isinstance(found, OSError):
            raise found
        return found

    def installed(self, name: str) -> bool:
        return (name == "pycuda" and bool(self.pycuda)) or name in self.others

    def version(self, distribution: str) -> str:
        own = {"pycuda": self.pycuda, **self.distributions}
        return own.get(distribution, "")

    @property
    def modules(self) -> Modules:
        return Modules(self.load, self.installed, self.version)


def test_where_all_is_well_the_probe_says_what_is_there() -> None:
    found = probe(WELL, BOARD, FakePython().modules)
    assert (found.usable, found.version, found.fix) == (True, "10.3.0", "")
    assert found.reason == "TensorRT 10.3.0, CUDA 12.6, Orin (8.7), 61 GiB"


def test_more_gpus_than_the_first_are_counted() -> None:
    two = replace(WELL, gpus=(*WELL.gpus, DESK_GPU, DESK_GPU))
    assert probe(two, BOARD, FakePython().modules).reason.endswith("61 GiB and 2 more")


NO_MODULE = None
LIBNVINFER = ImportError("libnvinfer.so.10: cannot open shared object file: No such file")


@pytest.mark.parametrize(
    ("python", "place", "reason", "fix"),
    [
        (
            FakePython(NO_MODULE),
            BOARD,
            "no module 'tensorrt'",
            "apt install tensorrt python3-libnvinfer",
        ),
        (
            FakePython(NO_MODULE),
            replace(BOARD, shut_venv=True),
            "no module",
            "--system-site-packages",
        ),
        (
            FakePython(NO_MODULE),
            replace(BOARD, python="3.11.2"),
            "no module",
            "JetPack 6.2 has it for Python 3.10 only, and this is 3.11.2",
        ),
        (
            FakePython(NO_MODULE),
            replace(BOARD, jetpack=jetpack("5.1.3")),
            "no module",
            "flash JetPack 6",
        ),
        (FakePython(NO_MODULE), DESK, "no module", "use the backend onnxruntime"),
        (
            FakePython(tensorrt("8.4.1")),
            BOARD,
            "8.4.1 is too old: edgesdk needs 8.5",
            "flash JetPack 6",
        ),
        (FakePython(tensorrt("nightly")), BOARD, "'nightly' is not a version", "apt install"),
        (FakePython(ModuleType("tensorrt")), BOARD, "is not NVIDIA's TensorRT", "rename it"),
        (
            FakePython(NO_MODULE, others=("tensorrt_lean",)),
            BOARD,
            "only TensorRT's lean runtime",
            "the whole of it",
        ),
        (FakePython(NO_MODULE, others=("tensorrt_dispatch",)), BOARD, "dispatch runtime", "whole"),
        (
            FakePython(LIBNVINFER),
            BOARD,
            "does not load: libnvinfer.so.10: cannot open",
            "reinstall",
        ),
        (
            FakePython(LIBNVINFER),
            replace(BOARD, in_container=True),
            "does not load: libnvinfer.so.10",
            "docker run --runtime nvidia",
        ),
        (
            FakePython(OSError("libnvdla_compiler.so: missing")),
            BOARD,
            "libnvdla_compiler.so",
            "apt install nvidia-l4t-dla-compiler && sudo ldconfig",
        ),
        (
            FakePython(ModuleNotFoundError("No module named 'numpy'", name="numpy")),
            BOARD,
            "is here but does not load: No module named 'numpy'",
            "apt",
        ),
        (
            FakePython(pycuda=""),
            BOARD,
            "pycuda is not installed",
            "export PATH=/usr/local/cuda/bin:$PATH",
        ),
        (FakePython(pycuda=""), BOARD, "TensorRT 10.3.0 is here", "python3-dev"),
        (
            FakePython(pycuda="2022.2.2"),
            BOARD,
            "pycuda 2022.2.2 is too old",
            "pip uninstall pycuda",
        ),
        (
            FakePython(pycuda_error=ImportError("numpy.core.multiarray failed to import")),
            BOARD,
            "pycuda is installed but does not load: numpy.core.multiarray",
            "build it anew",
        ),
    ],
)
def test_the_part_that_is_wrong_is_named_with_what_mends_it(
    python: FakePython, place: Place, reason: str, fix: str
) -> None:
    found = probe(WELL, place, python.modules)
    assert not found.usable
    assert reason in found.reason
    assert fix in found.fix


def test_a_newer_tensorrt_than_known_is_used_with_a_warning() -> None:
    found = probe(WELL, BOARD, FakePython(tensorrt("12.0.1")).modules)
    assert found.usable
    assert "knows TensorRT up to 11" in found.reason


@pytest.mark.parametrize("version", ["8.5.2.2", "8.6.2", "10.16.2.10", "11.4.1"])
def test_every_version_of_a_jetson_from_8_5_on_is_taken(version: str) -> None:
    found = probe(WELL, BOARD, FakePython(tensorrt(version)).modules)
    assert found.usable
    assert "knows" not in found.reason


def test_a_driver_of_an_older_cuda_than_tensorrts_is_refused_before_it_is_imported() -> None:
    old = replace(WELL, version="11.4")
    bomb = FakePython(OSError("imported"), distributions={"tensorrt": "10.3.0.30"})
    found = probe(old, replace(BOARD, jetpack=jetpack("5.1.3")), bomb.modules)
    assert found.reason == ("the driver is of CUDA 11.4, and the TensorRT here needs CUDA 12.6")
    assert "JetPack" in found.fix
    desk = FakePython(OSError("imported"), distributions={"tensorrt-cu13": "11.0.0"})
    found = probe(WELL, DESK, desk.modules)
    assert "driver is of CUDA 12.6, and the TensorRT here needs CUDA 13" in found.reason
    assert "update NVIDIA's driver" in found.fix


def test_a_driver_of_the_same_major_cuda_is_taken() -> None:
    python = FakePython(distributions={"tensorrt": "10.3.0.30"})
    assert probe(replace(WELL, version="12.2"), BOARD, python.modules).usable
    assert probe(replace(WELL, version="13.0"), BOARD, python.modules).usable


def test_without_a_driver_nothing_of_python_is_touched() -> None:
    bomb = Modules(pytest.fail, pytest.fail, pytest.fail)  # type: ignore[arg-type]
    absent = Driver(problem="there is no NVIDIA driver: libcuda.so.1 is not found")
    found = probe(absent, DESK, bomb)
    assert (found.usable, found.reason) == (False, absent.problem)
    assert "flash JetPack" in found.fix
    assert "onnxruntime" in found.fix


@pytest.mark.parametrize(
    ("driver", "place", "fix"),
    [
        (Driver(problem="no driver"), BOARD, "flash JetPack anew"),
        (Driver(problem="no driver"), replace(BOARD, in_container=True), "--runtime nvidia"),
        (Driver(problem="no driver"), replace(DESK, in_container=True), "onnxruntime"),
        (Driver(problem="p", code=100), BOARD, "flash JetPack anew"),
        (Driver(problem="p", code=999), BOARD, "usermod -aG video,render"),
        (Driver(problem="p", code=100), replace(BOARD, may_open_gpu=False), "usermod"),
        (Driver(problem="p", code=999), DESK, "onnxruntime"),
        (Driver(problem="p", code=803), BOARD, "reboot"),
        (Driver(problem="p", code=35), BOARD, "newer JetPack"),
        (Driver(problem="p", code=34), BOARD, "LD_LIBRARY_PATH"),
        (WELL, BOARD, ""),
    ],
)
def test_a_driver_that_does_not_work_is_mended_where_it_is(
    driver: Driver, place: Place, fix: str
) -> None:
    assert fix in driver_fix(driver, place)
    assert bool(driver_fix(driver, place)) == bool(driver.problem)


def test_the_probe_of_this_machine_imports_neither_without_a_driver() -> None:
    code = (
        "from edgesdk.backends.tensorrt.machine.driver import Driver\n"
        "from edgesdk.backends.tensorrt.machine.probe import probe\n"
        "import sys\n"
        "print(probe(Driver(problem='no driver')).usable, "
        "sorted({'tensorrt', 'pycuda'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False []\n"
