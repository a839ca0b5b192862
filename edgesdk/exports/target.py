"""What an export is made for: a bundle, a TensorRT, and the settings of its engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from edgesdk.backends.tensorrt.building.builder import settings_for
from edgesdk.backends.tensorrt.building.pools import memory_of, workspace_of
from edgesdk.backends.tensorrt.settings import DlaSettings, EngineSettings
from edgesdk.backends.tensorrt.version import WEAKLY_TYPED_BEFORE, Version
from edgesdk.bundle import Bundle
from edgesdk.devices import DeviceProfile, JetPack, load_device, load_jetpack
from edgesdk.errors import UsageError
from edgesdk.model import Model
from edgesdk.quantize.implicit import Implicit, implicit_form


@dataclass(frozen=True)
class ExportTarget:
    """A bundle on one device with one TensorRT."""

    bundle: Bundle
    device: DeviceProfile
    tensorrt: Version
    settings: EngineSettings

    @cached_property
    def implicit(self) -> Implicit:
        """The graph without Q/DQ and its ranges. Raises UsageError for a bundle without INT8."""
        if not self.has_int8:
            raise UsageError(
                f"{self.bundle.path} is {self.bundle.manifest.precision.upper()}: it has no ranges "
                "of INT8, so there is no calibration cache to write",
                "build it with --precision int8",
            )
        return implicit_form(self.bundle)

    @property
    def has_int8(self) -> bool:
        """Whether the bundle computes in INT8."""
        return self.bundle.manifest.precision == "int8"

    @property
    def takes_calibration(self) -> bool:
        """Whether this TensorRT has calibrators."""
        return self.tensorrt < WEAKLY_TYPED_BEFORE

    @cached_property
    def model(self) -> Model:
        """The graph that the engine is built from."""
        return self.implicit.model if self.settings.implicit_int8 else self.bundle.model()

    @property
    def workspace_bytes(self) -> int:
        """As the settings say, or a quarter of the device's memory."""
        memory = memory_of(self.device)
        return workspace_of(self.settings, memory) or memory


def export_target(bundle: Bundle, jetpack: str = "", dla_core: int | None = None) -> ExportTarget:
    """The target of a bundle: its own JetPack, or another one of its device.

    With a DLA core, INT8 of TensorRT before 11 is implicit, since DLA knows no Q/DQ there. Raises
    UsageError for a JetPack or DLA that the device does not have.
    """
    device = load_device(bundle.manifest.device)
    chosen = load_jetpack(device, jetpack or bundle.manifest.target.jetpack)
    if not chosen.tensorrt:
        raise UsageError(
            f"the TensorRT of JetPack {chosen.name} is not known", "name another with --jetpack"
        )
    version = Version.parse(chosen.tensorrt)
    if bundle.model().opset > chosen.max_opset:
        raise UsageError(
            f"the bundle's graph is of operator set {bundle.model().opset}; JetPack {chosen.name} "
            f"(TensorRT {version}) takes {chosen.max_opset} at most",
            f"build it with --jetpack {chosen.name}",
        )
    settings = settings_for(bundle)
    if dla_core is None:
        return ExportTarget(bundle, device, version, settings)
    _check_dla(bundle, device, chosen, dla_core)
    implicit = bundle.manifest.precision == "int8" and version < WEAKLY_TYPED_BEFORE
    for_dla = replace(settings, dla=DlaSettings(dla_core), implicit_int8=implicit)
    return ExportTarget(bundle, device, version, for_dla)


def _check_dla(bundle: Bundle, device: DeviceProfile, jetpack: JetPack, core: int) -> None:
    if not 0 <= core < device.dla_count:
        found = f"{device.dla_count} DLA cores" if device.dla_count else "no DLA"
        counted = "0" if device.dla_count == 1 else f"0 to {device.dla_count - 1}"
        raise UsageError(
            f"{device.title} has {found}: there is no core {core}",
            f"--dla-core takes {counted}" if device.dla_count else "leave --dla-core out",
        )
    if jetpack.dla is False:
        raise UsageError(
            f"the TensorRT of JetPack {jetpack.name} does not compile for DLA",
            "name another with --jetpack, such as 6.2",
        )
    if bundle.manifest.precision == "fp32":
        raise UsageError(
            f"{bundle.path} is FP32, and DLA computes in FP16 and INT8 only",
            "build it with --precision int8 --recipe dla",
        )
