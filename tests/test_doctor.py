"""What the doctor finds on a desk, on recorded boards, and what it says to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk.backends import Probe
from edgesdk.backends.tensorrt.machine.driver import Driver, Gpu
from edgesdk.backends.tensorrt.machine.place import Place
from edgesdk.cli.doctor import command
from edgesdk.devices import load_device, load_jetpack
from edgesdk.doctor import (
    PACKAGES,
    Finding,
    backend_finding,
    diagnose,
    driver_finding,
    opencv_findings,
    package_finding,
    python_finding,
)
from edgesdk.errors import EdgeError, MissingExtra

# As OpenCV prints them: Debian's build, JetPack 6's and pip's.
WITHOUT_GSTREAMER = "General configuration for OpenCV 4.10.0 =====\n    GStreamer:      NO\n"
WITH_GSTREAMER = (
    "\nGeneral configuration for OpenCV 4.8.0 =====\n  Video I/O:\n"
    "    GStreamer:                   YES (1.20.3)\n"
)


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


@pytest.fixture
def nano(tmp_path: Path) -> Path:
    """What an Orin Nano developer kit, flashed as Super with JetPack 6.2, says of itself."""
    tree = tmp_path / "proc" / "device-tree"
    tree.mkdir(parents=True)
    model = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0"
    (tree / "model").write_text(model)
    compatible = "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0"
    (tree / "compatible").write_text(compatible)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:        7802012 kB\n")
    (tmp_path / "etc").mkdir()
    release = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
    (tmp_path / "etc" / "nv_tegra_release").write_text(release)
    return tmp_path


def test_on_a_desk_bundles_run_and_nothing_of_a_board_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    pytest.importorskip("cv2", reason="needs the package opencv-python")
    diagnosis = diagnose(tmp_path)
    assert diagnosis.usable
    assert named(diagnosis.findings, "backend onnxruntime").status == "ok"
    assert named(diagnosis.findings, "board").found == "not a Jetson"
    assert [f for f in diagnosis.findings if f.status == "problem"] == []


def test_on_a_board_the_module_its_jetpack_and_its_profile_are_named(nano: Path) -> None:
    findings = diagnose(nano).findings
    board = named(findings, "board")
    assert board.found.endswith("Jetson Linux 36.4.3, flashed as Super")
    assert board.meaning == "JetPack 6.2"
    assert named(findings, "device profile").found == "orin-nano-8gb"


def test_a_container_on_a_board_is_told_that_the_board_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.15.148-tegra\n")
    (tmp_path / ".dockerenv").touch()
    findings = diagnose(tmp_path).findings
    assert named(findings, "board").found == "a Jetson, by its kernel"
    assert "--runtime nvidia" in named(findings, "CUDA driver").fix


def test_a_board_without_a_profile_is_told_how_to_get_one(nano: Path) -> None:
    compatible = nano / "proc/device-tree/compatible"
    compatible.write_text("nvidia,p3737-0000+p3701-0008\0nvidia,tegra234\0")
    (nano / "etc/nv_tegra_release").write_text("# R99 (release), REVISION: 1.0, GCID: 1\n")
    findings = diagnose(nano).findings
    profile = named(findings, "device profile")
    assert (profile.status, profile.found) == ("problem", "none for p3737-0000, p3701-0008")
    assert "EDGESDK_PATH" in profile.fix
    assert "TensorRT is not known" in named(findings, "board").meaning


def test_every_finding_says_what_it_means_and_problems_what_to_do(nano: Path) -> None:
    for root in (nano, nano / "nothing"):
        for finding in diagnose(root).findings:
            assert finding.found, finding
            assert finding.meaning, finding
            assert finding.fix or finding.status != "problem", finding


@pytest.mark.parametrize(
    ("build", "on_board", "statuses", "said"),
    [
        (WITH_GSTREAMER, True, ["ok", "ok"], "1.20.3"),
        (WITHOUT_GSTREAMER, False, ["ok", "info"], "no"),
        (WITHOUT_GSTREAMER, True, ["ok", "problem"], "no"),
        (MissingExtra("absent", "pip install it"), False, ["problem"], "not usable"),
        (MissingExtra("absent", "pip install it"), True, ["problem"], "not usable"),
    ],
)
def test_opencv_is_judged_by_where_it_runs(
    build: str | MissingExtra, on_board: bool, statuses: list[str], said: str
) -> None:
    findings = opencv_findings(build, on_board=on_board)
    assert [finding.status for finding in findings] == statuses
    assert findings[-1].found == said
    if on_board and findings[-1].status == "problem":
        assert "apt install nvidia-opencv" in findings[-1].fix


def test_the_version_of_opencv_is_read_from_its_own_account() -> None:
    assert opencv_findings(WITH_GSTREAMER, on_board=True)[0].found == "4.8.0"


@pytest.mark.parametrize(
    ("jetpack", "version", "status", "fix"),
    [
        (None, "3.13.1", "ok", ""),
        ("6.2", "3.10.12", "ok", ""),
        ("6.2", "3.11.2", "problem", "make the environment with python3.10"),
        ("7.2", "3.1.2", "problem", "make the environment with python3.12"),
        ("5.1.3", "3.10.12", "problem", "edgesdk needs Python 3.10 or later: flash JetPack 6"),
    ],
)
def test_pythons_version_must_fit_the_jetpack(
    jetpack: str | None, version: str, status: str, fix: str
) -> None:
    finding = python_finding(
        load_jetpack(load_device("orin"), jetpack) if jetpack else None, version
    )
    assert finding.status == status
    assert fix in finding.fix


def test_a_backend_says_itself_what_is_wrong() -> None:
    good = backend_finding(Probe("onnxruntime", True, "1.20", "runs on the CPU"))
    assert good == Finding("backend onnxruntime", "ok", "1.20", "runs on the CPU")
    bad = backend_finding(Probe("onnxruntime", False, "", "not installed", "pip install it"))
    assert (bad.status, bad.meaning, bad.fix) == ("problem", "not installed", "pip install it")
    absent = backend_finding(Probe("tensorrt", False, "", "no driver", "flash JetPack"))
    assert absent.status == "absent"


def test_a_missing_driver_is_a_problem_on_a_board_only() -> None:
    none = Driver(problem="there is no NVIDIA driver")
    assert driver_finding(none, Place()).status == "absent"
    in_container = Place(on_board=True, in_container=True)
    assert driver_finding(none, in_container).status == "problem"
    assert "--runtime nvidia" in driver_finding(none, in_container).fix
    good = driver_finding(Driver("12.6", (Gpu("Orin", "8.7", True, 61 * 2**30),)), Place())
    assert (good.status, good.found) == ("ok", "CUDA 12.6")
    assert good.meaning == "Orin (8.7), 61 GiB shared with the processor"


def test_packages_for_a_board_are_looked_for_but_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensorrt = PACKAGES[0]
    assert tensorrt.module == "tensorrt"
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert package_finding(tensorrt, on_board=True).status == "absent"
    assert "python3-libnvinfer" in package_finding(tensorrt, on_board=True).fix
    assert package_finding(tensorrt, on_board=False).fix == ""
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text("raise SystemExit('imported')")
    (tmp_path / "tensorrt-10.3.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: tensorrt\nVersion: 10.3.0\n"
    (tmp_path / "tensorrt-10.3.0.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = package_finding(tensorrt, on_board=True)
    assert (finding.status, finding.found) == ("ok", "10.3.0")


def test_the_command_shows_the_findings() -> None:
    result = CliRunner().invoke(command, [])
    assert "Python" in result.stdout
    assert "backend tensorrt" in result.stdout


def test_json_is_one_object() -> None:
    told = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    assert set(told) == {"findings", "usable"}
    assert {"name", "status", "found", "meaning", "fix"} == set(told["findings"][0])


@pytest.mark.parametrize("module", ["cv2", "onnxruntime"])
def test_without_a_way_to_run_bundles_it_fails_and_says_what_to_mend(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(command, ["--json"])
    assert json.loads(result.stdout)["usable"] is False
    assert isinstance(result.exception, EdgeError)
    assert result.exception.exit_code == 1
    extra = {"cv2": "edgesdk[video]", "onnxruntime": "edgesdk[cpu]"}[module]
    assert extra in result.exception.hint


@pytest.mark.parametrize("options", [["doctor"], ["doctor", "--json"], ["devices"]])
def test_a_full_disk_behind_stdout_is_an_error_in_one_line(options: list[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, which Linux has")
    with full.open("w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "edgesdk", *options],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to stdout: No space left on device\n"
