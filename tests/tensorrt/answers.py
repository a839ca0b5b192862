"""What a TensorRT answers to small calls: asked of the real one and of its double.

python -m tests.tensorrt.answers      asks the real `tensorrt` and prints JSON
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper

from tests.onnx_graphs import make_model

Answers = dict[str, Any]


def attempt(call: Callable[[], Any]) -> str:
    """The name of the exception, or "taken"."""
    try:
        call()
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        return type(error).__name__
    return "taken"


def net(size: int | str = 1, operator: str = "Relu") -> bytes:
    weight = np.ones((4, 3, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["middle"], "conv"),
        helper.make_node(operator, ["middle"], ["out"], "last"),
    ]
    model = make_model(nodes, {"w": weight}, {"images": [size, 3, 8, 8]}, ["out"])
    return bytes(model.SerializeToString())


class Asker:
    """One TensorRT, and the objects that most questions need."""

    def __init__(self, trt: Any) -> None:
        self.trt = trt
        self.lines: list[str] = []
        lines = self.lines

        class Log(trt.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                lines.append(severity.name)

        self.log = Log()
        self.builder = trt.Builder(self.log)
        self.config = self.builder.create_builder_config()

    def parsed(self, data: bytes) -> tuple[Any, Any, bool]:
        network = self.builder.create_network(0)
        parser = self.trt.OnnxParser(network, self.log)
        return network, parser, parser.parse(data)

    def build(self, data: bytes, config: Any) -> Any:
        network, self.parser, taken = self.parsed(data)
        assert taken
        return self.builder.build_serialized_network(network, config)


def on_config(ask: Asker) -> Answers:
    trt, config = ask.trt, ask.config
    before = [
        config.flags & 1 << int(trt.BuilderFlag.DEBUG),
        config.get_flag(trt.BuilderFlag.DEBUG),
    ]
    config.set_flag(trt.BuilderFlag.DEBUG)
    after = [config.get_flag(trt.BuilderFlag.DEBUG), bool(config.flags)]
    config.clear_flag(trt.BuilderFlag.DEBUG)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 26)
    return {
        "flags": [before, after, config.get_flag(trt.BuilderFlag.DEBUG)],
        "level": config.builder_optimization_level,
        "verbosity": str(config.profiling_verbosity),
        "device": str(config.default_device_type),
        "core": config.DLA_core,
        "profiles": config.num_optimization_profiles,
        "pool": config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE),
        "monitor": config.progress_monitor is None,
    }


def on_misuse(ask: Asker) -> Answers:
    trt, config, builder = ask.trt, ask.config, ask.builder

    class Silent(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

    def set_unknown() -> None:
        config.max_workspace_size = 1

    def set_read_only() -> None:
        config.num_optimization_profiles = 1

    def set_wrong_type() -> None:
        config.builder_optimization_level = "high"

    pool = trt.MemoryPoolType.WORKSPACE
    calls: dict[str, Callable[[], Any]] = {
        "flag as integer": lambda: config.set_flag(1),
        "flag of another enum": lambda: config.set_flag(trt.DeviceType.GPU),
        "size as text": lambda: config.set_memory_pool_limit(pool, "1"),
        "size as float": lambda: config.set_memory_pool_limit(pool, 1.5),
        "unknown argument": lambda: config.set_memory_pool_limit(pool=pool, size=4),
        "named arguments": lambda: config.set_memory_pool_limit(pool=pool, pool_size=1 << 26),
        "one too few": lambda: config.set_memory_pool_limit(pool),
        "network flags as flag": lambda: builder.create_network(trt.DeviceType.GPU),
        "no logger": lambda: trt.Builder("log"),
        "no constructor": trt.INetworkDefinition,
        "base not constructed": Silent,
        "unknown attribute": set_unknown,
        "read-only attribute": set_read_only,
        "wrong type": set_wrong_type,
        "level as float": lambda: setattr(config, "builder_optimization_level", 2.0),
        "unknown member": lambda: trt.BuilderFlag.NONSENSE,
        "unknown name": lambda: trt.IInt8Nonsense,
        "member from number": lambda: trt.DeviceType(1),
        "member from bad number": lambda: trt.DeviceType(77),
        "parse of text": lambda: ask.parsed("text"),  # type: ignore[arg-type]
        "parse of bytearray": lambda: ask.parsed(bytearray(net())),  # type: ignore[arg-type]
    }
    return {name: attempt(call) for name, call in calls.items()}


def on_enums(ask: Asker) -> Answers:
    gpu, dla = ask.trt.DeviceType.GPU, ask.trt.DeviceType.DLA
    return {
        "text": [str(gpu), repr(gpu), gpu.name, gpu.value, int(dla)],
        "equal": [gpu == ask.trt.DeviceType(0), gpu == dla, gpu == ask.trt.LayerType(0)],
        "shift": [attempt(lambda: 1 << gpu), 1 << int(dla)],
        "hash": len({gpu, dla, ask.trt.DeviceType(0)}),
        "members": list(ask.trt.DeviceType.__members__),
    }


def on_network(ask: Asker) -> Answers:
    network, parser, taken = ask.parsed(net("n"))
    images, out = network.get_input(0), network.get_output(0)
    return {
        "taken": [taken, parser.num_errors],
        "counts": [network.num_inputs, network.num_outputs],
        "input": [images.name, list(images.shape), str(images.dtype)],
        "output": [out.name, list(out.shape)],
        "beyond": network.get_input(5) is None,
        "shape": [tuple(images.shape), len(images.shape), images.shape[1]],
        "layers": [network.get_layer(i).name for i in range(network.num_layers)][-2:],
        "types": [str(network.get_layer(i).type) for i in range(network.num_layers)][-2:],
        "origin": network.get_layer(network.num_layers - 1).metadata,
    }


def on_refusals(ask: Asker) -> Answers:
    texts = (b"nothing", b"\xff\xff\xff", b"\x08", b"", net()[:40])
    first = []
    for text in texts:
        network, parser, taken = ask.parsed(text)
        first.append([taken, parser.num_errors, parser.get_error(0) is None, network.num_layers])
    network, parser, taken = ask.parsed(net(operator="Det"))
    error = parser.get_error(0)
    second = [taken, str(error.code()), error.node(), error.node_name(), error.node_operator()]
    mystery = helper.make_node("Mystery", ["out"], ["more"], "riddle", domain="example")
    custom = onnx.load_model_from_string(net())
    custom.graph.node.append(mystery)
    custom.opset_import.append(helper.make_opsetid("example", 1))
    network, parser, taken = ask.parsed(custom.SerializeToString())
    error = parser.get_error(0)
    third = [taken, str(error.code()), error.desc(), error.node_name()]
    return {"bytes": first, "operator": second, "plugin": third, "logged": "ERROR" in ask.lines}


def on_ranges(ask: Asker) -> Answers:
    def ranged(*shapes: tuple[int, ...]) -> Any:
        profile = ask.builder.create_optimization_profile()
        profile.set_shape("images", *shapes)
        return profile

    small, large = (1, 3, 8, 8), (4, 3, 8, 8)
    good = ranged(small, small, large)
    wrong = ranged(large, small, small)
    config = ask.builder.create_builder_config()
    found = {
        "upside down": [bool(wrong), config.add_optimization_profile(wrong)],
        "of another rank": attempt(lambda: ranged(small, small, (4, 3, 8))),
        "zero": attempt(lambda: ranged((0, 3, 8, 8), small, large)),
        "negative": attempt(lambda: ranged((-1, 3, 8, 8), small, large)),
        "not set": len(good.get_shape("other")),
        "truth": [bool(good), bool(ask.builder.create_optimization_profile())],
        "shapes": [list(shape) for shape in good.get_shape("images")],
        "missing": ask.build(net("n"), config) is None,
        "index": config.add_optimization_profile(good),
    }
    built = ask.build(net("n"), config)
    return found | {"built": built is not None, "logged": "ERROR" in ask.lines}


def on_memory(ask: Asker) -> Answers:
    memory = ask.build(net(), ask.builder.create_builder_config())
    return {
        "sizes": memory.nbytes == len(bytes(memory)) == memoryview(memory).nbytes,
        "length": attempt(lambda: len(memory)),
        "class": isinstance(memory, ask.trt.IHostMemory),
    }


def on_caches(ask: Asker) -> Answers:
    config = ask.builder.create_builder_config()
    cache = config.create_timing_cache(b"")
    return {
        "before": config.get_timing_cache() is None,
        "empty": cache is not None,
        "set": config.set_timing_cache(cache, ignore_mismatch=False),
        "after": config.get_timing_cache() is not None,
        "bytes": len(bytes(cache.serialize())) > 0,
        "combined": cache.combine(config.create_timing_cache(b""), ignore_mismatch=False),
    }


def on_progress(ask: Asker) -> Answers:
    heard: list[tuple[str, Any, Any]] = []
    trt = ask.trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.goes_on = True

        def phase_start(self, phase_name: str, parent_phase: Any, num_steps: int) -> None:
            heard.append(("start", phase_name, parent_phase))

        def step_complete(self, phase_name: str, step: int) -> bool:
            heard.append(("step", phase_name, step))
            return self.goes_on

        def phase_finish(self, phase_name: str) -> None:
            heard.append(("finish", phase_name, None))

    config = ask.builder.create_builder_config()
    monitor = config.progress_monitor = Monitor()
    whole = ask.build(net(), config) is not None
    started = [name for kind, name, _ in heard if kind == "start"]
    finished = [name for kind, name, _ in heard if kind == "finish"]
    parents = {parent for kind, _, parent in heard if kind == "start"} - {None}
    found = {
        "built": whole,
        "first has no parent": heard[0][0] == "start" and heard[0][2] is None,
        "all finish": sorted(started) == sorted(finished),
        "last is the first": finished[-1] == started[0],
        "parents run": parents <= set(started),
        "nested": len(parents) > 0,
    }
    monitor.goes_on = False
    return found | {"stopped": ask.build(net(), config) is None}


TOPICS = (
    *(on_config, on_misuse, on_enums, on_network, on_refusals),
    *(on_ranges, on_memory, on_caches, on_progress),
)


def answers(trt: Any) -> dict[str, Answers]:
    """By topic."""
    return {topic.__name__: topic(Asker(trt)) for topic in TOPICS}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answers(importlib.import_module("tensorrt"))))
