"""A bundle comes back whole, and not at all after one byte of it was changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesdk import _config
from edgesdk.bundle import (
    Accuracy,
    Bundle,
    Calibration,
    ImplicitRange,
    InputRange,
    LayerPrecision,
    Manifest,
    Origin,
    OutputAccuracy,
    OutputCheck,
    Range,
    Target,
    TaskMetric,
    open_bundle,
    write_bundle,
)
from edgesdk.errors import BundleError
from edgesdk.model import Model
from edgesdk.preprocess import Preprocess
from edgesdk.spec import ModelSpec
from tests.onnx_graphs import small_detector

MODEL = Model.of(small_detector(), "small")
MANIFEST = Manifest(
    name="small",
    sdk_version="0.1.0",
    created="2026-11-22T12:00:00+00:00",
    precision="int8",
    origin=Origin("small", "ab" * 32, 11),
    target=Target("agx-orin-64gb", "6.2", "10.3.0", 19),
    spec=ModelSpec(
        Preprocess(32, 32, "letterbox-top-left", "bgr"), {"type": "yolox"}, ("car", "bus")
    ),
    layers=(
        LayerPrecision("first", "Conv", "int8", 300),
        LayerPrecision("depthwise", "Conv", "fp32", 100, 4.2, "too noisy"),
    ),
    shapes={"images": InputRange((1, 3, 32, 32), (4, 3, 32, 32), (8, 3, 32, 32))},
    calibration=Calibration(
        "balanced",
        "mse",
        "pictures",
        12,
        {"bad.jpg": "empty"},
        {"images": Range(1.5, 2.0, 0.001)},
        {"r1": "first"},
        implicit_ranges={"output": ImplicitRange(2.5, 2.75, 0.01, "too noisy")},
    ),
    accuracy=Accuracy(
        "pictures",
        12,
        True,
        {"boxes": OutputAccuracy(None, 1.0, 0.25, 0.25, False)},
        (TaskMetric("mAP50", 0.5, 0.4, 0.05, 0.15, (0.4, 0.6), (0.3, 0.5), 0.95, 1000),),
        checks={"boxes": OutputCheck(20.5, 20.6, None)},
        warnings=("doubtful",),
    ),
    warnings=("few pictures",),
)
NAMES = ("SHA256SUMS", "labels.txt", "manifest.json", "model.onnx")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_bundle(tmp_path / "small.edge", MODEL, MANIFEST)


def test_a_bundle_opens_as_it_was_written(bundle: Bundle) -> None:
    again = open_bundle(bundle.path)
    assert again == bundle
    assert again.manifest == MANIFEST
    assert again.model().to_bytes() == MODEL.to_bytes()
    assert again.manifest.int8_share == 0.75
    assert (bundle.path / "labels.txt").read_text() == "car\nbus\n"


def test_its_digests_can_be_checked_without_edgesdk(bundle: Bundle) -> None:
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=bundle.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 3


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(NAMES), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_changed_bit_anywhere_is_refused(
    bundle: Bundle, name: str, place: float, bit: int
) -> None:
    path = bundle.path / name
    intact = path.read_bytes()
    changed = bytearray(intact)
    changed[int(place * len(changed))] ^= 1 << bit
    path.write_bytes(bytes(changed))
    try:
        with pytest.raises(BundleError, match="not what was built") as caught:
            open_bundle(bundle.path)
        assert name in caught.value.message
        assert "build it again" in caught.value.hint
    finally:
        path.write_bytes(intact)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "manifest.json"])
def test_a_missing_file_is_refused(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        open_bundle(bundle.path)


@pytest.mark.parametrize(
    ("make", "found"), [("file", "a file"), ("folder", "no bundle"), ("", "nothing")]
)
def test_what_is_no_bundle_is_said_to_be_none(tmp_path: Path, make: str, found: str) -> None:
    path = tmp_path / "x.edge"
    if make == "file":
        path.touch()
    if make == "folder":
        path.mkdir()
    with pytest.raises(BundleError, match=f"found {found}"):
        open_bundle(path)


def rewritten(bundle: Bundle, **changes: object) -> None:
    """Change the manifest and sign it again, as a newer or broken edgesdk would."""
    table = json.loads((bundle.path / "manifest.json").read_text())
    (bundle.path / "manifest.json").write_text(json.dumps({**table, **changes}))
    names = sorted(NAMES[1:])
    done = subprocess.run(
        ["sha256sum", *names], cwd=bundle.path, capture_output=True, text=True, check=True
    )
    (bundle.path / "SHA256SUMS").write_text(done.stdout)


def test_a_bundle_of_a_newer_edgesdk_asks_for_an_update(bundle: Bundle) -> None:
    rewritten(bundle, format=3)
    with pytest.raises(BundleError, match="format 3") as caught:
        open_bundle(bundle.path)
    assert caught.value.hint == "update edgesdk"


def test_a_bundle_of_format_1_is_still_read(bundle: Bundle) -> None:
    accuracy = {
        "source": "pictures",
        "pictures": 12,
        "held_out": True,
        "outputs": {"boxes": {"sqnr_db": 20.5, "cosine": 0.99}},
        "metrics": [{"name": "mAP50", "float_model": 0.5, "bundle": 0.4}],
        "note": "",
        "skipped": {},
    }
    rewritten(bundle, format=1, accuracy=accuracy)
    found = open_bundle(bundle.path).manifest.accuracy
    assert found is not None
    assert found.metrics[0].drop == pytest.approx(0.1)
    assert found.metrics[0].drop_low is None, "nothing is said where nothing was computed"
    assert not found.metrics[0].can_tell(0.5)


def test_without_ranges_for_implicit_int8_the_key_is_left_out(tmp_path: Path) -> None:
    assert MANIFEST.calibration is not None
    none = replace(MANIFEST, calibration=replace(MANIFEST.calibration, implicit_ranges={}))
    bundle = write_bundle(tmp_path / "gpu.edge", MODEL, none)
    assert "implicit_ranges" not in (bundle.path / "manifest.json").read_text()
    assert open_bundle(bundle.path).manifest == none


def test_a_manifest_with_a_wrong_value_names_the_key(bundle: Bundle) -> None:
    rewritten(bundle, precision="int7")
    with pytest.raises(BundleError, match="precision should be one of 'int8', 'fp16', 'fp32'"):
        open_bundle(bundle.path)


def test_writing_again_replaces_the_bundle(bundle: Bundle) -> None:
    newer = write_bundle(bundle.path, MODEL, replace(MANIFEST, precision="fp16"))
    assert open_bundle(bundle.path).manifest.precision == "fp16"
    assert newer.digest != bundle.digest
    assert sorted(p.name for p in bundle.path.parent.iterdir()) == ["small.edge"]


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BundleError, match="not a bundle"):
        write_bundle(tmp_path / "mine", MODEL, MANIFEST)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_failed_write_leaves_the_old_bundle_and_nothing_else(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BundleError, match="No space left on device"):
        write_bundle(bundle.path, MODEL, replace(MANIFEST, precision="fp16"))
    monkeypatch.undo()
    assert open_bundle(bundle.path) == bundle
    assert [p.name for p in bundle.path.parent.iterdir()] == ["small.edge"]


def test_a_really_full_disk_leaves_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs root to mount a small disk")
    try:
        with pytest.raises(BundleError, match="No space left on device"):
            write_bundle(disk / "small.edge", MODEL, MANIFEST)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_every_key_of_the_manifest_stands_in_the_reference() -> None:
    page = (Path(__file__).parent.parent / "docs/reference/bundle.md").read_text()

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value) | {k for v in value.values() for k in keys(v)}
        if isinstance(value, list):
            return {k for v in value for k in keys(v)}
        return set()

    free = {
        "bad.jpg",
        "images",
        "boxes",
        "type",
        "r1",
        "output",
    }  # names of pictures, tensors and outputs
    missing = {key for key in keys(_config.plain(MANIFEST)) - free if f"`{key}`" not in page}
    assert not missing


def test_a_link_to_a_bundle_stays_one_when_the_bundle_is_replaced(
    bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "latest.edge").symlink_to(bundle.path)
    write_bundle(tmp_path / "latest.edge", MODEL, replace(MANIFEST, precision="fp16"))
    assert (tmp_path / "latest.edge").is_symlink()
    assert open_bundle(bundle.path).manifest.precision == "fp16"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest.edge", "small.edge"]


def test_a_graph_that_changes_after_the_check_is_refused(bundle: Bundle) -> None:
    opened = open_bundle(bundle.path)
    (bundle.path / "model.onnx").write_bytes(MODEL.to_bytes()[:-1])
    with pytest.raises(BundleError, match=r"model\.onnx"):
        opened.model()


def test_a_pipe_in_the_place_of_a_file_does_not_hang(bundle: Bundle) -> None:
    (bundle.path / "labels.txt").unlink()
    os.mkfifo(bundle.path / "labels.txt")
    with pytest.raises(BundleError, match="no plain file"):
        open_bundle(bundle.path)
