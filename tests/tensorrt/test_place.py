"""Board, container and venv are recognised from recorded files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesdk.backends.tensorrt.machine import place as places
from edgesdk.backends.tensorrt.machine.place import this_place


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A board with JetPack 6.2, as its files say."""
    for name, text in {
        "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
        "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_board_is_known_by_its_files_and_inside_a_container_by_its_kernel(tree: Path) -> None:
    here = this_place(tree)
    assert (here.on_board, here.in_container) == (True, False)
    assert here.jetpack is not None
    assert here.jetpack.name == "6.2"
    (tree / "etc/nv_tegra_release").unlink()
    (tree / "proc/device-tree/compatible").unlink()
    (tree / ".dockerenv").touch()
    hidden = this_place(tree)
    assert (hidden.on_board, hidden.in_container, hidden.jetpack) == (True, True, None)
    assert hidden.lacks_runtime


def test_an_empty_tree_is_no_board(tmp_path: Path) -> None:
    here = this_place(tmp_path)
    assert (here.on_board, here.in_container, here.may_open_gpu) == (False, False, True)


def test_device_files_that_this_user_may_not_open_are_seen(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "dev").mkdir()
    (tree / "dev/nvmap").touch()
    assert this_place(tree).may_open_gpu
    # Root may open everything, so the system's answer is recorded too.
    monkeypatch.setattr(places.os, "access", lambda path, mode: path.name != "nvmap")
    assert not this_place(tree).may_open_gpu


@pytest.mark.parametrize(("line", "shut"), [("true", False), ("false", True)])
def test_a_venv_that_hides_the_systems_packages_is_seen(
    line: str, shut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = f"home = /usr/bin\ninclude-system-site-packages = {line}\nversion = 3.10.12\n"
    (tmp_path / "pyvenv.cfg").write_text(settings)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert this_place(tmp_path).shut_venv is shut
