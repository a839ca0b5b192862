"""The console that tables go to."""

from __future__ import annotations

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that takes every text as it is.

    Names of files, layers and classes are the user's: `cam[front]` is no markup, `:car:` no emoji.
    What is to be bold or coloured is handed over as `rich.text.Text`.
    """
    return Console(stderr=stderr, markup=False, emoji=False)
