"""What a person reads of the way to an accuracy target."""

from __future__ import annotations

import io

from rich.console import Console

from edgesdk.bundle import Recovery, RecoveryStep
from edgesdk.cli._recovery_view import show_recovery

STEPS = (
    RecoveryStep("all layers in INT8", 1.0, 0.38, 0.02, kept=False),
    RecoveryStep("conv_7 in float", 0.98, 0.40, 0.0),
    RecoveryStep("conv_7 in float, verified", 0.98, 0.297, 0.003, -0.006, 0.015),
)


def shown(recovery: Recovery) -> list[str]:
    text = io.StringIO()
    show_recovery(recovery, Console(file=text, width=100))
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


def test_each_attempt_stands_beside_the_float_model_on_the_same_pictures() -> None:
    lines = shown(Recovery("mAP50-95", 0.003, True, 0.3, 128, STEPS))
    assert lines[0] == (
        "The way to at most 1% below the float model's mAP50-95, searched on 128 pictures"
    )
    # .02 of .40; nothing; .003, -.006 and .015 of .300
    assert "all layers in INT8 100.0% +5.00% no" in lines
    assert "conv_7 in float 98.0% +0.00% yes" in lines
    assert "conv_7 in float, verified 98.0% +1.00% -2.00% .. +5.00% yes" in lines


def test_a_float_model_that_finds_nothing_breaks_no_table() -> None:
    step = RecoveryStep("all layers in INT8", 1.0, 0.0, 0.0)
    assert "all layers in INT8 100.0% +0.00% yes" in shown(
        Recovery("m", 0.0, True, 0.0, 4, (step,))
    )
