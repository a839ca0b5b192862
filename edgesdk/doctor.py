"""What this machine can do, found without changing anything or making a TensorRT object.

Each finding says what was found, what that means for edgesdk, and what mends it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgesdk._optional import require
from edgesdk._version import __version__
from edgesdk.backends import Probe, backend_names, load_backend
from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu, probe_driver
from edgesdk.backends.tensorrt.machine.place import Place, this_place
from edgesdk.backends.tensorrt.machine.probe import PYCUDA, driver_fix
from edgesdk.board import Board, read_board, recognise
from edgesdk.capture.choice import SYSTEM_OPENCV
from edgesdk.capture.machine import Has, Machine, installed_elements, machine_of
from edgesdk.devices import JetPack, device_names, load_device
from edgesdk.errors import MissingExtra

Status = Literal["ok", "absent", "problem", "info"]
"""absent: not here, which may be as it should; problem: should be mended on this machine."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    meaning: str
    """For what one does with edgesdk."""
    fix: str = ""
    """What to do; empty when there is nothing to do."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in the order in which they build on each other."""

    findings: tuple[Finding, ...]
    usable: bool
    """Whether bundles run here: pictures can be read, and a backend made for speed works."""


def diagnose(root: Path = Path("/")) -> Diagnosis:
    """Look at this machine. `root` is where the board's files are read (a recorded tree in tests).

    Never raises for what is absent.
    """
    board, place = read_board(root), this_place(root)
    probes = [load_backend(name).probe() for name in backend_names()]
    build = opencv_build()
    opencv = opencv_findings(build, on_board=place.on_board)
    findings = (
        python_finding(place.jetpack, platform.python_version()),
        Finding("edgesdk", "ok", __version__, "this is what reports and bundles will name"),
        *opencv,
        *camera_findings(build, installed_elements(root), on_board=place.on_board),
        *(backend_finding(probe) for probe in probes),
        driver_finding(probe_driver(), place),
        *(package_finding(package, on_board=place.on_board) for package in PACKAGES),
        *board_findings(board, place),
    )
    fast = any(probe.usable for probe in probes if probe.backend != "reference")
    return Diagnosis(findings, usable=fast and opencv[0].status == "ok")


def python_finding(jetpack: JetPack | None, version: str) -> Finding:
    """On a board, TensorRT's module fits only the Python that JetPack brings."""
    if jetpack is None or version.startswith(f"{jetpack.python}."):
        return Finding("Python", "ok", version, f"runs edgesdk ({sys.executable})")
    meaning = f"TensorRT's module of JetPack {jetpack.name} is for Python {jetpack.python} only"
    fix = f"make the environment with python{jetpack.python}"
    if jetpack.python == "3.8":
        fix = "edgesdk needs Python 3.10 or later: flash JetPack 6 to use TensorRT"
    return Finding("Python", "problem", version, meaning, fix)


def opencv_build() -> str | MissingExtra:
    """OpenCV's own account of how it was built, or why OpenCV cannot be had."""
    try:
        return str(require("cv2", "read pictures and videos").getBuildInformation())
    except MissingExtra as error:
        return error


def opencv_findings(build: str | MissingExtra, *, on_board: bool) -> tuple[Finding, ...]:
    """From what `opencv_build` gives: OpenCV itself, and GStreamer in it."""
    if isinstance(build, MissingExtra):
        meaning = "pictures and videos cannot be read: neither build nor run nor bench works"
        fix = SYSTEM_OPENCV if on_board else build.hint
        return (Finding("OpenCV", "problem", "not usable", meaning, fix),)
    version = re.search(r"OpenCV (\S+)", build)
    opencv = Finding("OpenCV", "ok", version[1] if version else "?", "reads pictures and videos")
    streamer = re.search(r"GStreamer:\s+(\w+)(?:\s+\(([\d.]+)\))?", build)
    return opencv, _gstreamer_finding(streamer, on_board)


def _gstreamer_finding(found: re.Match[str] | None, on_board: bool) -> Finding:
    name = "GStreamer in OpenCV"
    if found and found[1] == "YES":
        meaning = "a Jetson's CSI cameras and hardware decoder can be used"
        return Finding(name, "ok", found[2] or "yes", meaning)
    if on_board:
        meaning = "CSI cameras and the hardware decoder cannot be used; pip's OpenCV has none"
        fix = f"pip uninstall opencv-python opencv-python-headless, then {SYSTEM_OPENCV}"
        return Finding(name, "problem", "no", meaning, fix)
    meaning = "files and USB cameras work without; a Jetson's CSI cameras need it on the board"
    return Finding(name, "info", "no", meaning)


def camera_findings(build: str | MissingExtra, has: Has, *, on_board: bool) -> tuple[Finding, ...]:
    """How cameras and videos would be opened here; `has` knows the GStreamer elements."""
    if isinstance(build, MissingExtra):
        return ()
    machine = machine_of(build, has)
    if not on_board and not has("nvvidconv"):
        return (_desk_cameras(machine),)
    return _csi_finding(machine), _decoder_finding(machine)


def _desk_cameras(machine: Machine) -> Finding:
    readers = []
    if machine.v4l2:
        readers.append("USB cameras by V4L2")
    if machine.gstreamer and machine.has("rtspsrc"):
        readers.append("RTSP by GStreamer")
    elif machine.ffmpeg:
        readers.append("RTSP by FFmpeg")
    if machine.ffmpeg:
        readers.append("HTTP and files by FFmpeg")
    meaning = "decoded on the processor; edgesdk run --print-pipeline says how one is opened"
    return Finding("cameras", "info", "; ".join(readers) or "none can be read", meaning)


def _csi_finding(machine: Machine) -> Finding:
    name = "CSI camera"
    for element in ("nvarguscamerasrc", "nvvidconv"):
        if not machine.has(element):
            meaning = "csi:// cannot be opened"
            fix = "apt install nvidia-l4t-gstreamer; in a container: --runtime nvidia"
            return Finding(name, "problem", f"GStreamer has no {element}", meaning, fix)
    if not machine.gstreamer:
        meaning = "the elements are here, but this OpenCV was built without GStreamer"
        return Finding(name, "problem", "not usable", meaning, SYSTEM_OPENCV)
    meaning = "csi://0 is read by nvarguscamerasrc and converted by nvvidconv in video memory"
    return Finding(name, "ok", "nvarguscamerasrc, nvvidconv", meaning)


def _decoder_finding(machine: Machine) -> Finding:
    name = "hardware decoder"
    if machine.board:
        meaning = "RTSP, MJPG cameras and files are decoded by nvv4l2decoder, not on the processor"
        return Finding(name, "ok", "nvv4l2decoder", meaning)
    meaning = "streams and files are decoded on the processor"
    if not machine.gstreamer:
        return Finding(name, "absent", "OpenCV has no GStreamer", meaning, SYSTEM_OPENCV)
    missing = "nvv4l2decoder" if not machine.has("nvv4l2decoder") else "nvvidconv"
    return Finding(
        name, "absent", f"GStreamer has no {missing}", meaning, "apt install nvidia-l4t-gstreamer"
    )


def backend_finding(probe: Probe) -> Finding:
    """What a backend says of itself."""
    name = f"backend {probe.backend}"
    if probe.usable:
        return Finding(name, "ok", probe.version, probe.reason)
    # Without onnxruntime nothing can be calibrated; TensorRT is at home on the board only.
    status: Status = "problem" if probe.backend == "onnxruntime" else "absent"
    return Finding(name, status, "not usable", probe.reason, probe.fix)


def driver_finding(driver: Driver, place: Place) -> Finding:
    """What NVIDIA's driver says, and which GPUs it has."""
    name = "CUDA driver"
    if not driver.problem:
        gpus = "; ".join(f"{gpu}{_sharing(gpu)}" for gpu in driver.gpus)
        return Finding(name, "ok", f"CUDA {driver.version}", gpus)
    if place.on_board:
        fix = driver_fix(driver, place)
        return Finding(name, "problem", driver.problem, "the GPU cannot be used", fix)
    return Finding(name, "absent", driver.problem, "no GPU needed: bundles are made on the CPU")


def _sharing(gpu: Gpu) -> str:
    return " shared with the processor" if gpu.integrated else ""


@dataclass(frozen=True)
class _Package:
    name: str
    module: str
    distribution: str
    meaning: str
    fix: str


PACKAGES = (
    _Package(
        "TensorRT",
        "tensorrt",
        "tensorrt",
        "compiles and runs engines on the board's GPU",
        "apt install tensorrt python3-libnvinfer, and a venv with --system-site-packages",
    ),
    _Package(
        "pycuda",
        "pycuda",
        "pycuda",
        "moves data to and from the GPU",
        PYCUDA,
    ),
    _Package(
        "jetson-stats",
        "jtop",
        "jetson-stats",
        "reads power and temperature; it is AGPL-3.0, and edgesdk works without it",
        "pip install 'edgesdk[telemetry]', if its licence suits you",
    ),
)


def package_finding(package: _Package, *, on_board: bool) -> Finding:
    """Whether a package that matters on a board is installed; it is not imported."""
    try:
        # A parent that was blocked or half-loaded makes find_spec raise; that is absent too.
        installed = importlib.util.find_spec(package.module) is not None
    except (ImportError, ValueError):
        installed = False
    if installed:
        return Finding(package.name, "ok", _version(package.distribution), package.meaning)
    fix = package.fix if on_board else ""
    where = "" if on_board else "; needed on a board only"
    return Finding(package.name, "absent", "not installed", package.meaning + where, fix)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "installed"


def board_findings(board: Board | None, place: Place) -> tuple[Finding, ...]:
    """Which Jetson this is, and which profile is its own."""
    jetpack = place.jetpack
    if board is None and place.on_board:
        meaning = "a container hides which one: name it with --device, and --jetpack"
        return (Finding("board", "info", "a Jetson, by its kernel", meaning),)
    if board is None:
        meaning = "bundles are made and tried here; engines and latency come from a board"
        return (Finding("board", "info", "not a Jetson", meaning),)
    linux = f"Jetson Linux {board.l4t or '?'}"
    found = f"{board.model or 'a Jetson'}, {linux}{', flashed as Super' if board.is_super else ''}"
    if jetpack:
        of_jetpack = Finding("board", "ok", found, f"JetPack {jetpack.name}")
    else:
        meaning = "no JetPack of jetpack.toml has this version, so its TensorRT is not known"
        of_jetpack = Finding("board", "info", found, meaning, "name one with --jetpack")
    return of_jetpack, _profile_finding(board)


def _profile_finding(board: Board) -> Finding:
    profile = recognise(board, map(load_device, device_names()))
    if profile:
        return Finding(
            "device profile", "ok", profile.name, f"--device {profile.name} is this board"
        )
    parts = ", ".join(board.parts) or "no part number"
    return Finding(
        "device profile",
        "problem",
        f"none for {parts}",
        "limits and predictions for this module are not known",
        "name the nearest with --device (`edgesdk devices`), or add devices/NAME.toml to a "
        "folder that EDGESDK_PATH names",
    )
