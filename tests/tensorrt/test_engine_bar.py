"""What is seen on a terminal while an engine is built, and after it.

Names of layers are written as TensorRT's log gives them.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import edgesdk.cli.bench as bench_command
from edgesdk.backends.tensorrt.backend import TensorRTBackend
from edgesdk.backends.tensorrt.settings import EngineSettings
from edgesdk.bench import BenchRequest
from edgesdk.cli._engine_progress import EngineBar
from tests.tensorrt.boards import machinery, orin_nx
from tests.tensorrt.engines import bundle

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


def test_who_waited_for_another_build_is_told_that_it_is_over(tmp_path: Path) -> None:
    """Else the bar would stay, and mix with that of the run."""
    made, parts = bundle(tmp_path / "model.edge"), machinery(orin_nx(tmp_path / "board"))
    first = TensorRTBackend(made, machinery=parts).workshop(made.graph_digest)
    told: list[tuple[str, float]] = []
    waits = threading.Event()

    def progress(name: str, done: float, left_s: float | None) -> None:
        told.append((name, done))
        waits.set()

    second = TensorRTBackend(made, progress=progress, machinery=parts).workshop(made.graph_digest)
    both = made.model(), EngineSettings()
    waiting = threading.Thread(target=second.compiled, args=both)
    with first.store.alone(lambda: None):
        waiting.start()
        assert waits.wait(30)
        first._built(*both)
    waiting.join(30)
    assert told == [("waiting for another build", 0.0), ("built by another process", 1.0)]
