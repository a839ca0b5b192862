"""What is seen on a terminal while an engine is built, and after it.

Names of layers are written as TensorRT's log gives them.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import edgesdk.cli.bench as bench_command
from edgesdk.bench import BenchRequest
from edgesdk.cli._engine_progress import EngineBar

NAMES = ["timing {ForeignNode[/a/Conv.../b/Relu]}", "timing [bold]conv[/bold]", "timing a [/b] c"]


@pytest.mark.parametrize("name", NAMES)
def test_brackets_in_a_layer_s_name_are_shown_as_they_are(name: str) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, no_color=True, width=120)
    with EngineBar(terminal) as bar:
        bar(name, 0.2, None)
    assert name in shown.getvalue()


def test_the_bar_of_a_measurement_begins_when_the_engine_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compiles_then_measures(_: BenchRequest, progress: Callable[[int], None]) -> None:
        sys.stderr.write("<the engine's bar>")
        progress(1)

    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes it for a terminal
    monkeypatch.setattr(bench_command, "bench", compiles_then_measures)
    bench_command._measured(BenchRequest(Path("net.edge")))
    seen = capsys.readouterr().err
    assert 0 <= seen.index("<the engine's bar>") < seen.index("measuring")
