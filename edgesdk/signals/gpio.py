"""The door to Jetson.GPIO: its import, its numbering of pins, and what it raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgesdk._optional import require
from edgesdk.errors import BackendError, UsageError
from edgesdk.signals.wires import WireLost
from edgesdk.sinks.uri import SinkUri

NUMBERINGS = {"board": "BOARD", "bcm": "BCM"}
"""How pins are counted: by their place in the 40-pin header, or as on a Raspberry Pi."""


def load_gpio(numbering: str) -> Any:
    """The module Jetson.GPIO, counting pins as `numbering` says, a key of `NUMBERINGS`.

    Raises MissingExtra without the package, BackendError where it does not work, and UsageError
    when the process counts them another way already.
    """
    try:
        gpio = require("Jetson.GPIO", "use the pins of a board")
    except Exception as error:
        if type(error) not in (RuntimeError, Exception):  # those are what it raises off a board
            raise
        raise BackendError(
            f"Jetson.GPIO does not work here: {error}",
            "pins need a Jetson, and a user who may write /dev/gpiochip0 (group gpio)",
        ) from error
    mode = getattr(gpio, NUMBERINGS[numbering])
    if gpio.getmode() not in (None, mode):
        raise UsageError(
            "one run counts the pins of a board in one way, found two",
            "give each gpio: of this run the same numbering=",
        )
    gpio.setmode(mode)
    return gpio


def check_numbering(numbering: str) -> None:
    """Raises ValueError for one that is not known."""
    if numbering not in NUMBERINGS:
        raise ValueError(f"numbering should be {' or '.join(NUMBERINGS)}, found {numbering!r}")


def pin_of(uri: SinkUri) -> int:
    """The pin that `gpio:18` names. Raises UsageError when that is none."""
    if uri.host or not re.fullmatch(r"\d{1,3}", uri.place):
        raise UsageError(f"{uri.shown}: the number of a pin is needed", "such as gpio:18")
    return int(uri.place)


@contextmanager
def reported(shown: str) -> Iterator[None]:
    """What Jetson.GPIO raises at work, as WireLost."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise WireLost(f"{shown}: the pin cannot be used: {error}") from error
