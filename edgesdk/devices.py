"""What is known of each Jetson module and JetPack, and where each value comes from.

A device is one TOML file in `devices/` (or in `devices/` under a folder of EDGESDK_PATH): its
file name is its name, and every value that it states must be given by one of its `sources`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from edgesdk import _config
from edgesdk._resources import data_folder, data_folders
from edgesdk.errors import UnknownName, UsageError

_JETPACKS = "jetpack.toml"
_CHOICES = {"name", "title", "aliases", "default_jetpack", "jetpacks", "power_tables", "sources"}
"""Fields that are names or choices of ours, or that carry their own source."""


@dataclass(frozen=True)
class PowerMode:
    """One row of an nvpmodel table. What is None is not known."""

    id: int
    """The number that `nvpmodel -m` takes. It is not the same on every module."""
    name: str
    cpu_cores: int | None = None
    """Cores that stay on."""
    sm_count: int | None = None
    """Streaming multiprocessors that stay on."""
    gpu_max_mhz: float | None = None
    emc_max_mhz: float | None = None
    """Clock of the memory; LPDDR5 moves 2 bits on each line in each cycle."""
    dla_max_mhz: float | None = None
    """Clock of each DLA core."""


@dataclass(frozen=True)
class PowerTable:
    """One nvpmodel file. A module has a standard one and, flashed as Super, another."""

    conf: str
    """The file's name under /etc/nvpmodel."""
    source: str
    super: bool = False
    """True for the table of a module flashed as Super (JetPack 6.2 and later)."""
    headline: str = ""
    """The vendor's figure for this table: sparse INT8, GPU and DLA together."""
    power_w: tuple[int, int] | None = None
    """Lowest and highest power budget in watts."""
    default: str = ""
    """Name of the mode after a first boot; empty when not known."""
    modes: tuple[PowerMode, ...] = ()


@dataclass(frozen=True)
class Recognition:
    """How a board that carries the module is told from others."""

    module_parts: tuple[str, ...]
    """Part numbers that stand in /proc/device-tree/compatible, e.g. "p3701-0005"."""
    model_contains: str = ""
    """For carriers with their own `compatible`: a part of /proc/device-tree/model, lower case."""
    memory_gib_min: float = 0.0
    """With `model_contains`: least MemTotal in GiB; the closest one below it wins."""


@dataclass(frozen=True)
class Source:
    """Where values come from, or how they were derived."""

    gives: tuple[str, ...]
    """Names of the fields."""
    text: str
    """Begins with "derived:" where a value was computed and not read."""


@dataclass(frozen=True)
class DeviceProfile:
    """Facts about one Jetson module. What is None is not known, and never guessed."""

    name: str
    title: str
    family: str
    """Modules of one family run the same JetPacks, e.g. "orin"."""
    gpu_arch: str
    compute_capability: str
    """CUDA's number for the architecture, e.g. "8.7"."""
    sm_count: int
    """Streaming multiprocessors, all of them on."""
    cuda_cores: int
    tensor_cores: int
    memory_gb: int
    """Shared by CPU and GPU."""
    memory_bus_bits: int
    bandwidth_gbs: float
    """Of the memory, in GB/s (10^9), under the standard power table."""
    dla_count: int
    cpu: str
    recognised_by: Recognition
    default_jetpack: str
    """The JetPack that is meant when none is named."""
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    """Other names for it, e.g. "orin"."""
    jetpacks: tuple[str, ...] = ()
    """Those whose row in jetpack.toml names the family, oldest first."""
    gpu_max_mhz: float | None = None
    """Highest clock under the standard power table."""
    int8_dense_tops: float | None = None
    """Of the GPU alone at gpu_max_mhz, 10^12 operations/s, without sparsity."""
    fp16_dense_tflops: float | None = None
    """Of the GPU's tensor cores at gpu_max_mhz, without sparsity."""
    dla_version: str | None = None
    dla_int8_dense_tops: float | None = None
    """Of all DLA cores together, without sparsity."""
    power_tables: tuple[PowerTable, ...] = ()

    def __post_init__(self) -> None:
        stated = {f.name for f in fields(self) if getattr(self, f.name) is not None} - _CHOICES
        given = {name for source in self.sources for name in source.gives}
        if stated - given:
            raise ValueError(f"no source for {', '.join(sorted(stated - given))}")
        if given - stated:
            raise ValueError(f"a source for {', '.join(sorted(given - stated))}: no such value")
        if self.default_jetpack not in self.jetpacks:
            raise ValueError(f"default_jetpack {self.default_jetpack!r} is not for this family")

    def source_of(self, field: str) -> str:
        """Where the value of `field` comes from, e.g. `source_of("sm_count")`."""
        return "; ".join(source.text for source in self.sources if field in source.gives)


@dataclass(frozen=True)
class JetPack:
    """One release of NVIDIA's system software for Jetson. What is None is not known."""

    name: str
    l4t: tuple[str, ...]
    """Versions of Jetson Linux that belong to it."""
    python: str
    ubuntu: str
    families: tuple[str, ...]
    max_opset: int
    """Highest ONNX opset to write for its TensorRT."""
    source: str
    cuda: str | None = None
    tensorrt: str | None = None
    container: str | None = None
    """An image with this JetPack's CUDA and TensorRT, where one is known."""
    dla: bool | None = None
    """Whether its TensorRT compiles for DLA, on modules that have one."""


@dataclass(frozen=True)
class _JetPackFile:
    max_opset_source: str
    families_source: str
    dla_source: str
    jetpack: tuple[JetPack, ...]


def load_jetpacks() -> tuple[JetPack, ...]:
    """All known JetPacks, oldest first."""
    return _config.read(_JetPackFile, data_folder("devices") / _JETPACKS).jetpack


def device_names() -> tuple[str, ...]:
    """Names of the devices, sorted."""
    return tuple(sorted(_files()))


def load_device(name: str) -> DeviceProfile:
    """The profile called `name`, or that has it for an alias; case does not matter.

    Raises UnknownName with the nearest names, and ConfigError for a file that is wrong.
    """
    files = _files()
    wanted = name.lower()
    if wanted in files:
        return _read(files[wanted])
    profiles = [_read(path) for path in files.values()]
    for profile in profiles:
        if wanted in profile.aliases:
            return profile
    known = [alias for profile in profiles for alias in (profile.name, *profile.aliases)]
    raise UnknownName("device", name, known)


def load_jetpack(profile: DeviceProfile, name: str = "") -> JetPack:
    """The JetPack called `name`, or the profile's default one.

    Raises UnknownName, and UsageError when it does not run on the device.
    """
    by_name = {jetpack.name: jetpack for jetpack in load_jetpacks()}
    wanted = name or profile.default_jetpack
    if wanted not in by_name:
        raise UnknownName("JetPack", wanted, by_name)
    if wanted not in profile.jetpacks:
        raise UsageError(
            f"JetPack {wanted} does not run on {profile.title}",
            f"take one of {', '.join(profile.jetpacks)}",
        )
    return by_name[wanted]


def target_opset(profile: DeviceProfile, jetpack: str = "") -> int:
    """The highest ONNX opset to write for the TensorRT of the device's JetPack.

    Raises as `load_jetpack` does.
    """
    return load_jetpack(profile, jetpack).max_opset


def _files() -> dict[str, Path]:
    """Name -> file. A user's own file takes the place of a shipped one of the same name."""
    return {
        path.stem: path
        for folder in data_folders("devices")
        for path in sorted(folder.glob("*.toml"))
        if path.name != _JETPACKS
    }


def _read(path: Path) -> DeviceProfile:
    table = _config.read_toml(path)
    family = table.get("family")
    jetpacks = [jetpack.name for jetpack in load_jetpacks() if family in jetpack.families]
    return _config.parse(
        DeviceProfile, {"name": path.stem, "jetpacks": jetpacks, **table}, str(path)
    )
