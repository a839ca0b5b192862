"""Feeds for models whose inputs are not pictures: one .npz with an array for each input."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from edgesdk.build.feeds import digest_of
from edgesdk.errors import DataError
from edgesdk.pictures.npz import DAMAGE, read_header
from edgesdk.tensors import Array, TensorSpec

HOW = "save them with numpy.savez(path, INPUT=array, ...), the first axis counting the samples"
AGAIN = "copy it again"


@dataclass(frozen=True)
class ArrayFile:
    """An .npz of which only the headers were read."""

    path: Path
    arrays: dict[str, TensorSpec]
    """Name -> dtype and whole shape."""

    def holds(self, inputs: tuple[TensorSpec, ...]) -> bool:
        """True when it has an array for each input. uint8 pictures `X` are not floats `X`."""
        kinds = {spec.name: spec.dtype for spec in inputs}
        pictures = "X" in self.arrays and self.arrays["X"].dtype == "uint8"
        return set(kinds) <= set(self.arrays) and not (pictures and kinds.get("X", "") != "uint8")


def open_arrays(path: Path) -> ArrayFile:
    """Read the headers of an .npz. Raises DataError when it is none, or holds Python objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [n for n in archive.namelist() if n.endswith(".npy")]
            found = {n.removesuffix(".npy"): _spec(archive, n, path) for n in members}
    except DAMAGE as error:
        raise DataError(f"{path}: cannot be read as an npz: {error}", HOW) from error
    if not found:
        raise DataError(f"{path}: no arrays in it", HOW)
    return ArrayFile(path, found)


def _spec(archive: zipfile.ZipFile, member: str, path: Path) -> TensorSpec:
    name = member.removesuffix(".npy")
    with archive.open(member) as file:
        shape, fortran, dtype = read_header(file)
    if dtype.hasobject or not dtype.isnative:
        raise DataError(f"{path}: {name!r} holds {dtype}, expected plain numbers", HOW)
    if fortran and len(shape) > 1:
        raise DataError(
            f"{path}: {name!r} is in Fortran order, expected C order", "use numpy.ascontiguousarray"
        )
    return TensorSpec(name, dtype.name, shape)


@dataclass
class ArrayFeeds:
    """Samples from an .npz, read one by one.

    An input of shape (B, ...) takes B rows of an array (N, ...) for each run; the last run is
    filled up with its own rows again. An array with one axis more, (N, B, ...), holds a whole
    input in each row.
    """

    file: ArrayFile
    inputs: tuple[TensorSpec, ...]
    """The model's, all sizes fixed."""
    chosen: tuple[int, ...] = ()
    """Which runs, in rising order; empty: all."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Always empty: a sample that cannot be used is an error."""

    def __post_init__(self) -> None:
        """Raises DataError for an array that is missing or does not fit its input."""
        _check_names(self.file, self.inputs)
        runs = {spec.name: self._runs(spec) for spec in self.inputs}
        if len(set(runs.values())) > 1:
            counts = ", ".join(f"{name}: {count}" for name, count in runs.items())
            raise DataError(
                f"{self.file.path}: its arrays are for different numbers of runs ({counts})", HOW
            )
        self.chosen = self.chosen or tuple(range(next(iter(runs.values()))))

    @property
    def source(self) -> str:
        """The file."""
        return str(self.file.path)

    @property
    def count(self) -> int:
        """Runs of the model for all samples."""
        return len(self.chosen)

    @property
    def samples(self) -> int:
        """Rows of the arrays in all runs, those that fill up the last one not counted."""
        return sum(map(self._present, self.chosen))

    def __iter__(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """One run's inputs at a time, named FILE[row] or FILE[first:end].

        Raises DataError for a damaged file and, with name and input, for NaN or infinity.
        """
        with contextlib.ExitStack() as stack:
            try:
                archive = stack.enter_context(zipfile.ZipFile(self.file.path))
                rows = {s.name: self._open(stack, archive, s) for s in self.inputs}
            except DAMAGE as error:
                raise DataError(
                    f"{self.source}: cannot be read: {error}", "copy it again"
                ) from error
            for run in self.chosen:
                name = self._name(run)
                yield name, {s.name: self._read(rows[s.name], s, run, name) for s in self.inputs}

    def thinned(self, limit: int) -> ArrayFeeds:
        """At most `limit` samples, evenly spread, but one run at least."""
        runs = max(1, limit // self._rows_a_run())
        if self.count <= runs:
            return self
        step = self.count / runs
        return ArrayFeeds(
            self.file, self.inputs, tuple(self.chosen[int(i * step)] for i in range(runs))
        )

    def digest(self) -> str:
        """SHA-256 over the names and values of what is fed."""
        return digest_of(self)

    def _rows_a_run(self) -> int:
        return max(self._rows(spec) for spec in self.inputs)

    def _present(self, run: int) -> int:
        """Samples in one run."""
        rows = self._rows_a_run()
        spec = next(spec for spec in self.inputs if self._rows(spec) == rows)
        return min(rows, int(self.file.arrays[spec.name].shape[0]) - run * rows)

    def _rows(self, spec: TensorSpec) -> int:
        """Rows of its array that one run takes."""
        held = self.file.arrays[spec.name]
        return int(spec.shape[0]) if len(held.shape) == len(spec.shape) else 1

    def _runs(self, spec: TensorSpec) -> int:
        held, shape = self.file.arrays[spec.name], tuple(spec.shape)
        wanted = [(len(shape), shape[1:]), (len(shape) + 1, shape)]
        fits = (len(held.shape), held.shape[1:]) in wanted and len(held.shape) > 0
        if held.dtype != spec.dtype or not fits or 0 in held.shape:
            samples = "x".join(map(str, ("N", *shape[1:])))
            raise DataError(
                f"{self.file.path}: the array {held} should be {spec.dtype}[{samples}], "
                "N samples of the model's input",
                f"convert it with .astype(numpy.{spec.dtype})" if fits else HOW,
            )
        return -(-int(held.shape[0]) // self._rows(spec))

    def _name(self, run: int) -> str:
        rows = self._rows_a_run()
        where = str(run) if rows == 1 else f"{run * rows}:{run * rows + self._present(run)}"
        return f"{self.file.path.name}[{where}]"

    def _open(
        self, stack: contextlib.ExitStack, archive: zipfile.ZipFile, spec: TensorSpec
    ) -> tuple[IO[bytes], int]:
        file = stack.enter_context(archive.open(f"{spec.name}.npy"))
        read_header(file)
        return file, file.tell()

    def _read(self, opened: tuple[IO[bytes], int], spec: TensorSpec, run: int, name: str) -> Array:
        file, start = opened
        held, rows = self.file.arrays[spec.name], self._rows(spec)
        shape = [int(size) for size in held.shape]
        present = min(rows, shape[0] - run * rows)
        row_bytes = prod(shape[1:]) * np.dtype(spec.dtype).itemsize
        try:
            file.seek(start + run * rows * row_bytes)
            flat = np.frombuffer(file.read(present * row_bytes), spec.dtype)
            values = flat.reshape(present, *shape[1:])
        except DAMAGE as error:
            raise DataError(
                f"{name}: {spec.name!r} is damaged: {error}", "copy it again"
            ) from error
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(
                f"{name}: the input {spec.name!r} holds NaN or infinity",
                "repair that sample or leave it out",
            )
        return values[np.arange(rows) % present].reshape([int(size) for size in spec.shape])


def _check_names(file: ArrayFile, inputs: tuple[TensorSpec, ...]) -> None:
    missing = [spec.name for spec in inputs if spec.name not in file.arrays]
    if missing:
        raise DataError(
            f"{file.path}: it has no array {', '.join(map(repr, missing))}; "
            f"the model's inputs are {', '.join(map(str, inputs))}, "
            f"its arrays {', '.join(sorted(file.arrays))}",
            HOW,
        )
