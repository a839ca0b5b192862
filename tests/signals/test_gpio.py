"""Pins of a board, with a double of Jetson.GPIO: no board was tried."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import runpy
import sys
import time
from pathlib import Path

import pytest

from edgesdk.errors import BackendError, MissingExtra, UsageError
from edgesdk.pipeline import Sink
from edgesdk.signals import open_trigger
from edgesdk.sinks import Measured, open_sink
from tests.partners.jetson_gpio import JetsonGpio
from tests.signals.samples import facts, packet, verdict
from tests.sinks.samples import eventually

RELAXED = "tolerance=1s&dead_after=60s"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> JetsonGpio:
    made = JetsonGpio()
    monkeypatch.setitem(sys.modules, "Jetson.GPIO", made)
    return made


def figure(sink: Sink, name: str) -> float:
    assert isinstance(sink, Measured)
    return sink.gauges()[name]


def test_a_pin_says_safe_from_the_start_then_the_verdicts_then_safe(board: JetsonGpio) -> None:
    sink = open_sink(f"gpio:18?{RELAXED}&pulse=0&pass_pin=22", facts())
    assert board.levels[0][:2] == (18, 1)  # it is never low before it is high
    assert board.values(22) == [0]
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: (board.values(18), board.values(22)) == ([1, 0], [0, 1]))
    sink.accept(packet(verdict(1, "reject")))
    eventually(lambda: (board.values(18), board.values(22)) == ([1, 0, 1], [0, 1, 0]))
    sink.close()
    assert board.levels[-2][:2] == (18, 1)
    assert board.set_up == {}


def test_an_ejector_of_a_low_level_pulses_at_its_time(board: JetsonGpio) -> None:
    options = f"{RELAXED}&delay=150ms&pulse=40ms&safe=pass&invert=1&numbering=bcm"
    sink = open_sink(f"gpio:24?{options}", facts())
    trigger_ns = time.monotonic_ns()
    sink.accept(packet(verdict(0, "reject", trigger_ns)))
    eventually(lambda: board.values(24) == [1, 0, 1])
    sink.close()
    low_ns = next(at_ns for _, value, at_ns in board.levels if value == 0)
    assert low_ns >= trigger_ns + 150_000_000


def test_a_pin_that_fails_at_work_is_tried_again_from_the_safe_state(board: JetsonGpio) -> None:
    sink = open_sink(f"gpio:18?{RELAXED}&pulse=0&heartbeat=50ms", facts())
    sink.accept(packet(verdict(0, "pass")))
    eventually(lambda: board.values(18) == [1, 0])
    board.broken = True
    eventually(lambda: figure(sink, "connected") == 0)
    board.broken = False
    eventually(lambda: board.values(18) == [1, 0, 1])
    eventually(lambda: figure(sink, "connected") == 1)
    sink.close()


@pytest.mark.parametrize(("edge", "fires"), [("rising", [True, False]), ("falling", [False, True])])
def test_a_light_barrier_fires_at_its_edge(board: JetsonGpio, edge: str, fires: list[bool]) -> None:
    trigger = open_trigger(f"gpio:16?edge={edge}")
    assert trigger.fired() == ()
    fired = []
    for happens in (board.RISING, board.FALLING):
        before_ns = time.monotonic_ns()
        board.edge(16, happens)
        times_ns = trigger.fired()
        assert all(before_ns <= at_ns <= time.monotonic_ns() for at_ns in times_ns)
        fired.append(len(times_ns) == 1)
    assert fired == fires
    trigger.close()
    assert board.set_up == {}


def test_a_barrier_that_bounces_fires_once(board: JetsonGpio) -> None:
    trigger = open_trigger("gpio:16?debounce=10s")
    for _ in range(5):
        board.edge(16, board.RISING)
    assert len(trigger.fired()) == 1
    trigger.close()


def test_trigger_and_output_of_one_run_count_pins_in_one_way(board: JetsonGpio) -> None:
    trigger = open_trigger("gpio:16")
    with pytest.raises(UsageError, match="one run counts the pins of a board in one way"):
        open_sink("gpio:18?numbering=bcm", facts())
    trigger.close()


def test_a_pin_that_is_none_is_known_before_the_run(board: JetsonGpio) -> None:
    with pytest.raises(UsageError, match="Channel 1 is invalid"):
        open_sink("gpio:1", facts())
    with pytest.raises(UsageError, match="Channel 1 is invalid"):
        open_trigger("gpio:1")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Jetson.GPIO", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgesdk\[gpio\]'"):
        open_trigger("gpio:16")


def source_of_the_package() -> Path:
    """Its code, without loading it: it loads on a board only."""
    spec = importlib.util.find_spec("Jetson")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs Jetson.GPIO: pip install 'edgesdk[gpio]'")
    return Path(next(iter(spec.submodule_search_locations))) / "GPIO"


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="needs a machine without pins")
def test_off_a_board_the_real_package_is_refused_with_what_it_needs() -> None:
    source_of_the_package()
    with pytest.raises(BackendError, match="pins need a Jetson"):
        open_trigger("gpio:16")


def test_the_double_is_called_as_the_real_package() -> None:
    tree = ast.parse((source_of_the_package() / "gpio.py").read_text())
    real = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, function in inspect.getmembers(JetsonGpio, inspect.isfunction):
        if name.startswith("_") or name in ("edge", "values"):
            continue
        own = [p for p in inspect.signature(function).parameters if p != "self"]
        assert own == [arg.arg for arg in real[name].args.args], name


def test_the_constants_of_the_double_are_those_of_the_real_package() -> None:
    names = runpy.run_path(str(source_of_the_package() / "constants.py"))
    for name in ("BOARD", "BCM", "HIGH", "LOW", "OUT", "IN", "RISING", "FALLING", "BOTH"):
        assert names[name] == getattr(JetsonGpio, name), name
