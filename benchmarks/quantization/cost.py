"""What a process spent: CPU seconds, memory, and what inference alone takes."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def process_cpu_seconds(who: int = resource.RUSAGE_SELF) -> float:
    """User and system time so far."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Largest resident memory so far; of the largest process for RUSAGE_CHILDREN."""
    return resource.getrusage(who).ru_maxrss / 1024


def resident_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def inference_cpu_seconds(model: str, feeds: np.ndarray) -> float:
    """ONNX Runtime, all graph optimizations, one thread, one picture (of shape CHW) at a time.

    A session's start and one run to warm up are not counted.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    session.run(None, {name: feeds[:1]})
    began = time.process_time()
    for tensor in feeds:
        session.run(None, {name: tensor[None]})
    return time.process_time() - began


def main() -> None:
    """MODEL FEEDS PICTURES: what inference of the first pictures takes, as JSON."""
    _, model, feeds, pictures = sys.argv
    spent = inference_cpu_seconds(model, np.load(feeds, mmap_mode="r")[: int(pictures)])
    sys.stdout.write(json.dumps({"inference_cpu_seconds": spent}) + "\n")


if __name__ == "__main__":
    main()
