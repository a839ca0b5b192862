"""What a report says of its machine, from recorded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesdk.report import ActivityMeter, read_machine


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


ARM_CPU = "CPU implementer\t: 0x41\nCPU part\t: 0xd42\n"
ORIN = {
    "proc/cpuinfo": "".join(
        f"processor\t: {i}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n{ARM_CPU}\n"
        for i in range(12)
    ),
    "proc/meminfo": "MemTotal:       64349260 kB\nMemFree: 1 kB\n",
    "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
    "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
    "var/lib/nvpmodel/status": "pmode:0002",
    **{
        f"sys/devices/system/cpu/cpufreq/policy{i}/scaling_{key}": value
        for i in (0, 4, 8)
        for key, value in {
            "cur_freq": "2201600\n",
            "min_freq": "729600\n",
            "max_freq": "2201600\n",
            "governor": "schedutil\n",
        }.items()
    },
    **{
        f"sys/class/devfreq/17000000.gpu/{key}": value
        for key, value in {
            "cur_freq": "306000000\n",
            "min_freq": "306000000\n",
            "max_freq": "1300500000\n",
            "governor": "nvhost_podgov\n",
        }.items()
    },
}


def test_a_jetson_says_its_board_cores_power_mode_and_clocks(tmp_path: Path) -> None:
    found = read_machine(plant(tmp_path, ORIN))
    assert found.board == "NVIDIA Jetson AGX Orin Developer Kit"
    assert found.cpu == "Arm Cortex-A78AE"
    assert (found.cores, found.memory_bytes) == (12, 64349260 * 1024)
    assert (found.os, found.kernel) == ("Ubuntu 22.04.5 LTS", "5.15.148-tegra")
    assert (found.jetson_linux, found.power_mode) == ("36.4.3", "2")
    assert not found.virtual
    assert [clock.name for clock in found.clocks] == [
        "policy0",
        "policy4",
        "policy8",
        "17000000.gpu",
    ]
    assert [clock.unit for clock in found.clocks] == ["cpu", "cpu", "cpu", "other"]
    gpu = found.clocks[-1]
    assert (gpu.current_mhz, gpu.min_mhz, gpu.max_mhz) == (306, 306, 1300.5)
    assert not gpu.locked


def test_clocks_that_jetson_clocks_has_fixed_are_locked(tmp_path: Path) -> None:
    fixed = {**ORIN, "sys/class/devfreq/17000000.gpu/min_freq": "1300500000\n"}
    assert read_machine(plant(tmp_path, fixed)).clocks[-1].locked


def test_a_virtual_machine_without_clocks(tmp_path: Path) -> None:
    cpuinfo = "processor : 0\nmodel name : AMD EPYC\nflags : fpu hypervisor lahf_lm\n"
    found = read_machine(plant(tmp_path, {"proc/cpuinfo": cpuinfo}))
    assert (found.cpu, found.cores, found.virtual) == ("AMD EPYC", 1, True)
    assert (found.clocks, found.board, found.power_mode) == ((), "", "")


def test_an_empty_tree_is_unknown_and_not_an_error(tmp_path: Path) -> None:
    found = read_machine(tmp_path)
    assert (found.cpu, found.cores, found.memory_bytes) == ("", 0, 0)


def test_clock_files_with_nonsense_are_left_out(tmp_path: Path) -> None:
    broken = {**ORIN, "sys/class/devfreq/17000000.gpu/cur_freq": "<unknown>\n"}
    units = {clock.unit for clock in read_machine(plant(tmp_path, broken)).clocks}
    assert units == {"cpu"}


def stat(user: int, idle: int, steal: int) -> dict[str, str]:
    return {"proc/stat": f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 1 1\n"}


def test_what_others_used_is_what_was_busy_less_what_we_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    own = iter([1.0, 5.0])
    plant(tmp_path, {**stat(1000, 5000, 0), "proc/loadavg": "0.42 0.1 0.1 1/88 8327\n"})
    meter = ActivityMeter(tmp_path, own_seconds=lambda: next(own))
    plant(tmp_path, stat(1600, 5380, 20))
    found = meter.read()
    # 600 ticks busy, 400 of them ours, of 1000 in all.
    assert (found.load_1min, found.others_percent, found.steal_percent) == (0.42, 20.0, 2.0)


@pytest.mark.parametrize("text", ["", "cpu 1 2\n", "cpu a b c d e f g h\n"])
def test_an_unreadable_proc_stat_is_unknown(tmp_path: Path, text: str) -> None:
    found = ActivityMeter(plant(tmp_path, {"proc/stat": text, "proc/loadavg": ""})).read()
    assert (found.load_1min, found.others_percent, found.steal_percent) == (None, None, None)
