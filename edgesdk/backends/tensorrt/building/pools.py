"""Memory that TensorRT may use, from what the device has.

On a Jetson, CPU and GPU share one memory. TensorRT's own limit for its workspace is all of the
GPU's memory, which there is the memory of the whole board: kernels that need most of it win a
timing on an idle board and fail beside a camera and an app. A quarter is the default here: enough
for the kernels of nets that run on a Jetson at all (2 GiB of an Orin Nano's 8), and it leaves
room for the engine, its activations, and all else that runs.

DLA's pools are its own: powers of two, for each subgraph (NVIDIA's guide, "Customizing DLA
Memory Pools"). They stay at TensorRT's defaults unless asked for.
"""

from __future__ import annotations

from edgesdk.backends.tensorrt.api.always import Flag, IBuilderConfig, TensorRT
from edgesdk.backends.tensorrt.logging import Messages
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.devices import DeviceProfile
from edgesdk.errors import UsageError

GIB = 1024**3
SHARE = 4
"""The workspace is the memory divided by it."""
MOST_BYTES = 1024 * GIB
"""More than any device has: a workspace above is a mistake of units."""


def memory_of(device: DeviceProfile) -> int:
    """Bytes of a module's memory. Its name counts in GiB: 8 GB stands for 8 x 2^30."""
    return device.memory_gb * GIB


def workspace_of(settings: EngineSettings, memory_bytes: int | None) -> int | None:
    """Bytes of workspace to allow; None: neither asked for nor known, TensorRT decides.

    Raises UsageError for what no workspace can be.
    """
    asked = settings.workspace_bytes
    if asked is None:
        return None if memory_bytes is None else memory_bytes // SHARE
    most = MOST_BYTES if memory_bytes is None else memory_bytes
    if not 0 < asked <= most:
        there = "at most" if memory_bytes is None else "the device has"
        raise UsageError(
            f"the workspace should be above 0 bytes, {there} {most:,}; found {asked:,}",
            "leave it out to allow a quarter of the device's memory",
        )
    return asked


def set_pools(
    trt: TensorRT,
    config: IBuilderConfig,
    settings: EngineSettings,
    memory_bytes: int | None,
    messages: Messages,
) -> None:
    """Limit the pools, and read each limit back: TensorRT only logs that it refuses one."""
    pools = trt.MemoryPoolType
    wanted: list[tuple[str, Flag, int | None]] = [
        ("workspace", pools.WORKSPACE, workspace_of(settings, memory_bytes))
    ]
    if settings.dla:
        wanted += [
            ("DLA's SRAM", pools.DLA_MANAGED_SRAM, settings.dla.sram_bytes),
            ("DLA's local memory", pools.DLA_LOCAL_DRAM, settings.dla.local_bytes),
            ("DLA's global memory", pools.DLA_GLOBAL_DRAM, settings.dla.global_bytes),
        ]
    for name, pool, size in wanted:
        if size is None:
            continue
        config.set_memory_pool_limit(pool, size)
        found = config.get_memory_pool_limit(pool)
        if found != size:
            raise messages.failed(
                f"keeps {name} at {found:,} bytes and refuses {size:,}", "ask for another size"
            )
