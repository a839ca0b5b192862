"""The Jetson modules that are known, their facts and the boards that carry them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgesdk.board import Board, jetpack_of, read_board, recognise
from edgesdk.cli.devices import command
from edgesdk.devices import (
    DeviceProfile,
    device_names,
    load_device,
    load_jetpack,
    load_jetpacks,
    target_opset,
)
from edgesdk.errors import ConfigError, UnknownName, UsageError

ALL = (
    "agx-orin-32gb",
    "agx-orin-64gb",
    "orin-nano-4gb",
    "orin-nano-8gb",
    "orin-nx-16gb",
    "orin-nx-8gb",
)

# SMs, CUDA cores, tensor cores, MHz, INT8 dense TOPS, GB, GB/s, DLA: from the vendor's sheets.
VENDOR = {
    "agx-orin-64gb": (16, 2048, 64, 1300, 85.2, 64, 204.8, 2),
    "agx-orin-32gb": (14, 1792, 56, 930, 53.3, 32, 204.8, 2),
    "orin-nx-16gb": (8, 1024, 32, 918, 30.1, 16, 102.4, 2),
    "orin-nx-8gb": (8, 1024, 32, None, None, 8, 102.4, 1),
    "orin-nano-8gb": (8, 1024, 32, 625, 20.5, 8, 68, 0),
    "orin-nano-4gb": (4, 512, 16, 625, 10.2, 4, 34, 0),
}


def test_every_module_of_the_orin_family_is_known() -> None:
    assert device_names() == ALL


@pytest.mark.parametrize("name", ALL)
def test_the_figures_are_the_vendors(name: str) -> None:
    p = load_device(name)
    found = (p.sm_count, p.cuda_cores, p.tensor_cores, p.gpu_max_mhz, p.int8_dense_tops)
    assert (*found, p.memory_gb, p.bandwidth_gbs, p.dla_count) == VENDOR[name]
    assert p.compute_capability == "8.7"
    assert p.default_jetpack == "6.2"


@pytest.mark.parametrize("name", ALL)
def test_figures_agree_with_each_other(name: str) -> None:
    p = load_device(name)
    assert p.cuda_cores == 128 * p.sm_count
    assert p.tensor_cores == 4 * p.sm_count
    if p.gpu_max_mhz and p.int8_dense_tops and p.fp16_dense_tflops:
        assert p.int8_dense_tops == pytest.approx(p.sm_count * 4096 * p.gpu_max_mhz / 1e6, abs=0.06)
        assert p.fp16_dense_tflops == pytest.approx(p.int8_dense_tops / 2, abs=0.06)
    emc = max(m.emc_max_mhz or 0 for m in p.power_tables[0].modes)
    assert p.bandwidth_gbs == pytest.approx(emc * 2 * p.memory_bus_bits / 8 / 1000, rel=0.01)


@pytest.mark.parametrize("name", ALL)
def test_every_value_names_its_source(name: str) -> None:
    p = load_device(name)
    for field in ("sm_count", "gpu_arch", "memory_gb", "bandwidth_gbs", "dla_count", "cpu"):
        assert len(p.source_of(field)) > 20, field
    if p.int8_dense_tops is not None:
        assert p.source_of("int8_dense_tops").startswith("derived:")
    assert all(len(table.source) > 20 for table in p.power_tables)
    assert all(len(jetpack.source) > 20 for jetpack in load_jetpacks())


@pytest.mark.parametrize("name", ALL)
def test_power_modes_stay_within_the_module(name: str) -> None:
    p = load_device(name)
    assert [table.super for table in p.power_tables] in ([False], [False, True])
    for table in p.power_tables:
        names = [mode.name for mode in table.modes]
        assert len(set(names)) == len(names)
        assert [mode.id for mode in table.modes] == list(range(len(table.modes)))
        assert table.default in (*names, "")
        assert all((mode.sm_count or 0) <= p.sm_count for mode in table.modes)
    for mode in p.power_tables[0].modes:
        assert (mode.gpu_max_mhz or 0) <= (p.gpu_max_mhz or 1e9)


def test_mode_0_of_a_super_nano_is_not_its_fastest() -> None:
    super_table = load_device("orin-nano-8gb").power_tables[1]
    assert super_table.modes[0].name == "15W"
    assert max(super_table.modes, key=lambda mode: mode.gpu_max_mhz or 0).name == "MAXN_SUPER"


def test_aliases_and_capitals_are_taken() -> None:
    assert load_device("orin").name == "agx-orin-64gb"
    assert load_device("Orin-NX").name == "orin-nx-16gb"
    aliases = [alias for name in ALL for alias in load_device(name).aliases]
    assert len({*aliases, *ALL}) == len(aliases) + len(ALL)


def test_a_wrong_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UnknownName) as caught:
        load_device("agx-orin-46gb")
    assert "did you mean agx-orin-64gb" in caught.value.hint


def test_the_opset_follows_the_jetpacks_tensorrt() -> None:
    orin = load_device("orin")
    assert target_opset(orin) == 19  # JetPack 6.2: TensorRT 10.3
    assert target_opset(orin, "6.0") == 17  # TensorRT 8.6
    assert target_opset(orin, "5.1.3") == 17  # TensorRT 8.5
    for jetpack in load_jetpacks():
        old = (jetpack.tensorrt or "10").startswith("8.")
        assert jetpack.max_opset == (17 if old else 19), jetpack.name


def test_a_jetpack_for_other_boards_is_refused() -> None:
    with pytest.raises(UsageError, match=r"JetPack 7\.1 does not run on Jetson AGX Orin 64GB"):
        load_jetpack(load_device("orin"), "7.1")
    with pytest.raises(UnknownName, match=r"no JetPack named '6\.9'"):
        load_jetpack(load_device("orin"), "6.9")


USER_DEVICE = """
title = "My carrier"
family = "orin"
gpu_arch = "Ampere"
compute_capability = "8.7"
sm_count = 8
cuda_cores = 1024
tensor_cores = 32
memory_gb = 16
memory_bus_bits = 128
bandwidth_gbs = 102.4
dla_count = 2
cpu = "8 cores"
default_jetpack = "6.2"
recognised_by = { module_parts = ["p9999-0000"] }
[[sources]]
gives = ["family", "gpu_arch", "compute_capability", "sm_count", "cuda_cores", "tensor_cores"]
text = "the data sheet"
[[sources]]
gives = ["memory_gb", "memory_bus_bits", "bandwidth_gbs", "dla_count", "cpu", "recognised_by"]
text = "the data sheet"
"""


@pytest.fixture
def user_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "devices" / "my-board.toml"
    path.parent.mkdir()
    path.write_text(USER_DEVICE)
    monkeypatch.setenv("EDGESDK_PATH", str(tmp_path))
    return path


def test_one_file_in_one_folder_adds_a_device(user_device: Path) -> None:
    assert "my-board" in device_names()
    assert load_device("my-board").title == "My carrier"
    assert "6.2" in load_device("my-board").jetpacks


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"sm_count", ', "", "no source for sm_count"),
        ('"dla_count", ', '"dla_count", "gpu_max_mhz", ', "gpu_max_mhz: no such value"),
        ("sm_count = 8", "sm_cuont = 8", "did you mean 'sm_count'"),
        ("sm_count = 8", 'sm_count = "8"', "sm_count should be an integer"),
        ('default_jetpack = "6.2"', 'default_jetpack = "7.1"', "default_jetpack '7.1'"),
        ('family = "orin"', 'family = "orion"', "default_jetpack '6.2'"),
        ("[[sources]]", "[[sources", "not readable as TOML"),
    ],
)
def test_a_wrong_device_file_is_named_with_its_fault(
    user_device: Path, old: str, new: str, said: str
) -> None:
    user_device.write_text(USER_DEVICE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_device("my-board")
    assert "my-board.toml" in str(caught.value)
    assert said in str(caught.value)


def board_tree(root: Path, model: str, compatible: str, release: str, memory_kb: int) -> Path:
    files = {
        "proc/device-tree/model": f"{model}\0",
        "proc/device-tree/compatible": compatible,
        "proc/meminfo": f"MemTotal:       {memory_kb} kB\nMemFree:  1 kB\n",
        "etc/nv_tegra_release": release,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


R36 = "# R36 (release), REVISION: {}, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
NANO = "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
NX = "NVIDIA Jetson Orin NX Engineering Reference Developer Kit"
AGX = "NVIDIA Jetson AGX Orin Developer Kit"
T234 = "nvidia,tegra234\0"


@pytest.mark.parametrize(
    ("model", "compatible", "revision", "memory_kb", "name", "jetpack"),
    [
        (AGX, "nvidia,p3737-0000+p3701-0005\0", "4.3", 64331128, "agx-orin-64gb", "6.2"),
        (AGX, "nvidia,p3737-0000+p3701-0004\0", "3.0", 31287000, "agx-orin-32gb", "6.0"),
        (NX, "nvidia,p3768-0000+p3767-0000\0", "4.4", 16031300, "orin-nx-16gb", "6.2.1"),
        (NX, "nvidia,p3768-0000+p3767-0001\0", "4.0", 7800000, "orin-nx-8gb", "6.1"),
        (NANO, "nvidia,p3768-0000+p3767-0005-super\0", "4.7", 7802012, "orin-nano-8gb", "6.2.1"),
        (NANO, "nvidia,p3768-0000+p3767-0004-super\0", "5.0", 3900000, "orin-nano-4gb", "6.2.2"),
        # A carrier with its own tree states no part number: name and memory decide.
        ("Acme Orin NX box", "acme,box\0", "4.3", 16031300, "orin-nx-16gb", "6.2"),
        ("Acme Orin Nano box", "acme,box\0", "4.3", 3900000, "orin-nano-4gb", "6.2"),
        # The Industrial module has other clocks: better no profile than a wrong one.
        (AGX, "nvidia,p3737-0000+p3701-0008\0", "4.3", 64331128, None, "6.2"),
    ],
)
def test_a_board_is_recognised_by_its_module(
    tmp_path: Path,
    model: str,
    compatible: str,
    revision: str,
    memory_kb: int,
    name: str | None,
    jetpack: str,
) -> None:
    tree = board_tree(tmp_path, model, compatible + T234, R36.format(revision), memory_kb)
    board = read_board(tree)
    assert board is not None
    assert board.model == model
    assert board.is_super == ("-super" in compatible)
    profile = recognise(board, profiles())
    assert (profile.name if profile else None) == name
    found = jetpack_of(board, load_jetpacks())
    assert found is not None
    assert found.name == jetpack


def profiles() -> list[DeviceProfile]:
    return [load_device(name) for name in device_names()]


def test_a_desktop_is_no_board(tmp_path: Path) -> None:
    assert read_board(tmp_path) is None


def test_a_jetson_container_without_a_device_tree_is_a_board_of_no_known_module(
    tmp_path: Path,
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(R36.format("4.3"))
    board = read_board(tmp_path)
    assert board == Board("", (), False, "36.4.3", 0.0)
    assert recognise(board, profiles()) is None


def test_the_command_lists_all_devices() -> None:
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert all(name in result.output for name in ALL)


def test_the_command_shows_facts_with_their_sources() -> None:
    result = CliRunner().invoke(command, ["orin"])
    assert "Jetson AGX Orin 64GB" in result.output
    assert "204.8" in result.output
    assert "nvpmodel_p3701_0000.conf" in result.output
    assert "hw-ceiling-formulas.md" in result.output


def test_json_is_one_object() -> None:
    every = json.loads(CliRunner().invoke(command, ["--json"]).output)
    assert [device["name"] for device in every["devices"]] == list(ALL)
    one = json.loads(CliRunner().invoke(command, ["orin-nx", "--json"]).output)
    assert one["name"] == "orin-nx-16gb"
    assert one["power_tables"][1]["super"] is True


DOCS = Path(__file__).parent.parent / "docs" / "reference" / "devices.md"


def test_the_reference_page_names_every_key_and_the_shipped_figures() -> None:
    page = DOCS.read_text()
    missing = [f.name for f in fields(DeviceProfile) if f.name != "name" and f.name not in page]
    assert missing == []
    for name in ALL:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        p = load_device(name)
        tops = "not known" if p.int8_dense_tops is None else f"{p.int8_dense_tops:g}"
        figures = [str(p.sm_count), tops, f"{p.memory_gb} GB", f"{p.bandwidth_gbs:g}"]
        assert all(f" {figure} " in row for figure in (*figures, str(p.dla_count))), row
    for jetpack in load_jetpacks():
        row = next(line for line in page.splitlines() if line.startswith(f"| {jetpack.name} |"))
        versions = (", ".join(jetpack.l4t), jetpack.tensorrt or "not known", jetpack.cuda)
        assert all(f" {value} " in row for value in (*versions, jetpack.max_opset)), row


def test_the_example_of_the_reference_page_is_a_device(user_device: Path) -> None:
    user_device.write_text(DOCS.read_text().partition("```toml\n")[2].partition("```")[0])
    assert load_device("my-board").recognised_by.module_parts == ("p3767-0000",)
