"""What each kernel took on this GPU, kept beside the bundle: the next build need not time it again.

A cache is of one TensorRT and one kind of GPU; both stand in its file's name. It is only ever a
saving of time, so whatever is wrong with one is a warning, and the build starts without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgesdk._files import write_atomic
from edgesdk.backends.tensorrt.api.always import IBuilderConfig, ITimingCache
from edgesdk.errors import EdgeError

_NOT_FOR_A_NAME = re.compile(r"[^A-Za-z0-9.]+")


def cache_path(folder: Path, version: str, gpu: str) -> Path:
    """Its file in `folder`, e.g. timing-10.3.0-orin-sm87.cache.

    `version` is TensorRT's, `gpu` names the kind of GPU.
    """
    parts = (_NOT_FOR_A_NAME.sub("-", text).strip("-").lower() for text in (version, gpu))
    return folder / f"timing-{'-'.join(parts)}.cache"


@dataclass
class TimingCache:
    """The cache of one build. It collects warnings instead of raising."""

    path: Path
    warnings: list[str]

    def load(self, config: IBuilderConfig) -> None:
        """Use what the file holds, or an empty cache."""
        cache = self._from_file(config)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return
        if cache is not None:
            self._warn("is of another TensorRT or GPU")
        empty = config.create_timing_cache(b"")
        if empty is None or not config.set_timing_cache(empty, ignore_mismatch=False):
            self._warn("cannot be begun: TensorRT refuses an empty one")

    def save(self, config: IBuilderConfig) -> None:
        """Write what the build learned, with what another build wrote in the meantime."""
        learned = config.get_timing_cache()
        if learned is None:
            return
        others = self._from_file(config)
        if others is not None and not learned.combine(others, ignore_mismatch=False):
            self._warn("is of another TensorRT or GPU, and is replaced")
        try:
            write_atomic(self.path, bytes(learned.serialize()))
        except EdgeError as error:
            self._warn(f"is not kept: {error.message}")

    def _from_file(self, config: IBuilderConfig) -> ITimingCache | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"cannot be read: {error.strerror or error}")
            return None
        if not data:
            return None
        cache = config.create_timing_cache(data)
        if cache is None:
            self._warn("is damaged")
        return cache

    def _warn(self, what: str) -> None:
        text = f"the timing cache {self.path.name} {what}: kernels are timed anew"
        if text not in self.warnings:
            self.warnings.append(text)
