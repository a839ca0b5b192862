"""The engine that measured against the definition of the operators: onnx.reference.

An engine can compute Q/DQ in another way than written; its figures would then be those of
another graph. Comparing the two answers alone does not show it: sums in another order move a few
values across a rounding border, and a deep net amplifies that (YOLOX-nano: one value in 300,000
after the first layers, 23 dB at the output). What must agree is how far each is from the float
model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import version_converter

from edgesdk.accuracy.output_error import OutputError
from edgesdk.accuracy.samples import Feed
from edgesdk.backends import Backend, Session, load_backend, opened
from edgesdk.bundle import OutputCheck
from edgesdk.model import Model
from edgesdk.tensors import Array

REFERENCE_OPSET = 19
"""From here on onnx.reference evaluates Q/DQ as ONNX Runtime and TensorRT define them."""
MOST_MACS = 2_000_000_000
"""About 10 s: YOLOX-nano, 0.5e9, takes 2.5 s on one core of a server."""
SAME_DB = 40.0
"""Two answers nearer than this differ by rounding only."""
LIKE_DB = 4.0
"""So far the two errors against the float model may be apart. Mis-computed Q/DQ was seen to
change it by 14."""
REFERENCE_FAILS = (NotImplementedError, RuntimeError, TypeError, ValueError, LookupError)
"""What its operators raise: they check little and let numpy's errors through."""
SMALL_DB = 25.0
"""Errors smaller than this on both sides decide nothing, however far they are apart: float16 is
summed in another precision by each."""

Groups = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Cuts outputs into parts of one meaning."""


@dataclass(frozen=True)
class CrossCheck:
    """How far the engine and the reference are apart."""

    by_group: dict[str, OutputCheck] = field(default_factory=dict)
    """Empty: not checked."""
    note: str = ""
    """Why it was not checked."""

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Output groups on which the engine's figures cannot be trusted."""
        return tuple(name for name, check in self.by_group.items() if _is_doubtful(check))


def cross_check(
    built: Model,
    backend: Backend,
    samples: Sequence[tuple[Feed, Mapping[str, Array]]],
    groups: Groups,
    macs: int,
) -> CrossCheck:
    """Run `built` in `backend` and in onnx.reference.

    `samples`: inputs, and the float model's outputs for them. `macs`: multiply-accumulates of
    one run; beyond MOST_MACS nothing is run.
    """
    if macs > MOST_MACS:
        return CrossCheck(
            note=f"not checked against onnx.reference: {macs / 1e9:.1f}e9 multiply-accumulates "
            f"would take it minutes (at most {MOST_MACS / 1e9:.0f}e9)"
        )
    if not _has_pairs(built) and _has_halves(built):
        return CrossCheck(
            note="not checked against onnx.reference: numpy sums float16 in half precision, which "
            "no engine does"
        )
    copy = _at_reference_opset(built)
    if copy is None:
        return CrossCheck(
            note=f"not checked against onnx.reference: operator set {built.opset} cannot be "
            f"converted to {REFERENCE_OPSET}"
        )
    try:
        with opened(load_backend("reference"), copy) as session:
            defined = [_run_reference(session, feed) for feed, _ in samples]
    except REFERENCE_FAILS as error:
        return CrossCheck(note=f"not checked: onnx.reference cannot run it: {error!s:.100}")
    errors: dict[str, tuple[OutputError, OutputError, OutputError]] = {}
    with opened(backend, built) as engine:
        for (feed, exact), answer in zip(samples, defined, strict=True):
            given, expected = groups(engine.run(feed)), groups(answer)
            for name, value in groups(exact).items():
                three = errors.setdefault(name, (OutputError(), OutputError(), OutputError()))
                three[0].add(value, given[name])
                three[1].add(value, expected[name])
                three[2].add(expected[name], given[name])
    return CrossCheck({name: OutputCheck(*(e.sqnr_db for e in es)) for name, es in errors.items()})


def _run_reference(session: Session, feed: Feed) -> dict[str, Array]:
    with np.errstate(all="ignore"):  # its sigmoid overflows on the way to a right answer
        return session.run(feed)


def _is_doubtful(check: OutputCheck) -> bool:
    if check.apart_db is None or check.apart_db >= SAME_DB:
        return False
    if check.engine_db is None or check.reference_db is None:
        return True
    larger = min(check.engine_db, check.reference_db)
    return larger < SMALL_DB and abs(check.engine_db - check.reference_db) > LIKE_DB


def _at_reference_opset(model: Model) -> Model | None:
    if model.opset >= REFERENCE_OPSET:
        return model
    try:
        return Model.of(version_converter.convert_version(model.proto, REFERENCE_OPSET), model.name)
    except (RuntimeError, ValueError, onnx.checker.ValidationError):
        return None


def _has_pairs(model: Model) -> bool:
    return any(node.op_type == "DequantizeLinear" for node in model.proto.graph.node)


def _has_halves(model: Model) -> bool:
    kinds = {tensor.data_type for tensor in model.proto.graph.initializer}
    return onnx.TensorProto.FLOAT16 in kinds
