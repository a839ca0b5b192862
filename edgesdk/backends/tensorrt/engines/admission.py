"""Whether an engine may be loaded: decided before TensorRT sees one byte of it.

Deserializing an engine runs what is in it. So only an engine is admitted whose JSON names the
graph of the bundle and the SHA-256 of the engine. This finds mix-ups and damage. It is no
signature: who may write into the folder can write both.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgesdk._digest import sha256_bytes
from edgesdk.backends.tensorrt.engines.foreign import Plan, read_plan
from edgesdk.backends.tensorrt.engines.key import (
    FIRST_COMPATIBLE,
    SHORT,
    Difference,
    EngineKey,
    loads_later,
)
from edgesdk.backends.tensorrt.engines.record import EngineRecord, read_plain, read_record
from edgesdk.backends.tensorrt.version import Version
from edgesdk.errors import BackendError

MOST_ENGINE = 16 << 30
"""Bytes; the memory of a module bounds it anyway."""
RUNS_CODE = "deserializing an engine runs what is in it, so only one that is vouched for is loaded"


def admitted(path: Path, wanted: EngineKey, bundle: str) -> Plan:
    """The engine in `path`, after everything about it was found to be as it should.

    `bundle` is the bundle's path as typed. Raises BackendError with the values that differ and the
    command that mends it.
    """
    mend = f"edgesdk compile {bundle}"
    record = _vouching(path, bundle)
    _refuse_differences(path, record.key.differences(wanted), mend)
    try:
        data = read_plain(path, MOST_ENGINE)
        plan = read_plan(data, str(path))
    except BackendError as error:
        raise BackendError(error.message, mend) from error
    if sha256_bytes(data) != record.sha256:
        raise BackendError(
            f"{path} is not the engine that was built: its SHA-256 is {sha256_bytes(data)[:SHORT]}"
            f", its JSON says {record.sha256[:SHORT]}; {RUNS_CODE}",
            mend,
        )
    _refuse_differences(path, header_differences(plan, wanted), mend)
    return plan


def trusted(path: Path, wanted: EngineKey, bundle: str) -> Plan:
    """The engine in a file that nothing vouches for, because its owner says so.

    Only its first bytes are looked at: whether it is an engine at all, and whether it loads in
    this TensorRT. Raises BackendError.
    """
    plan = read_plan(read_plain(path, MOST_ENGINE), str(path))
    _refuse_differences(path, header_differences(plan, wanted), f"edgesdk compile {bundle}")
    return plan


def header_differences(plan: Plan, wanted: EngineKey) -> tuple[Difference, ...]:
    """The version in the engine's own header against that of the wanted TensorRT.

    None where the header does not say it, for TensorRT before 8.6, which wrote it otherwise, and
    for a version-compatible engine of an older one.
    """
    tensorrt = wanted.host.tensorrt
    expected = Version.parse(tensorrt)
    if expected < FIRST_COMPATIBLE or plan.version in (expected, None):
        return ()
    if wanted.settings.version_compatible and loads_later(str(plan.version), tensorrt):
        return ()
    found = f"of {plan.family} {plan.version}"
    return (Difference("header", found, tensorrt, "its own first bytes say so", True),)


def _vouching(path: Path, bundle: str) -> EngineRecord:
    mend = f"edgesdk compile {bundle}"
    beside = path.with_suffix(".json")
    if not beside.exists():
        raise BackendError(
            f"{path} has no {beside.name} beside it, so nothing says what it is; {RUNS_CODE}",
            f"{mend}; or, if you know who built it: {mend} --adopt {path} --trust",
        )
    try:
        return read_record(beside)
    except BackendError as error:
        raise BackendError(f"{error.message}; {RUNS_CODE}", mend) from error


def _refuse_differences(path: Path, differences: Iterable[Difference], mend: str) -> None:
    told = [f"{each} ({each.meaning})" for each in differences if each.refuses]
    if told:
        raise BackendError(f"{path} is not for this bundle and machine: {'; '.join(told)}", mend)
