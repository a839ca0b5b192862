"""What is seen of a build on a terminal. The names are those that TensorRT's log gives."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgesdk.cli._engine_progress import EngineBar

NAMES = ["timing {ForeignNode[/a/Conv.../b/Relu]}", "timing [bold]conv[/bold]", "timing a [/b] c"]


@pytest.mark.parametrize("name", NAMES)
def test_brackets_in_a_layer_s_name_are_shown_as_they_are(name: str) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, no_color=True, width=120)
    with EngineBar(terminal) as bar:
        bar(name, 0.2, None)
    assert name in shown.getvalue()
