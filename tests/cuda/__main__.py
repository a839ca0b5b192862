"""Starts this stage: python -m tests.cuda [pytest's arguments]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.partners import pycuda

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    """Becomes pytest, in an environment whose CUDA driver is the stand-in."""
    if not pycuda.installed():
        print(f"tests/cuda is left out: pycuda is not built; {pycuda.HOW}", file=sys.stderr)
        sys.exit(5)
    command = [sys.executable, "-m", "pytest", str(HERE), *arguments]
    os.execve(sys.executable, command, pycuda.environment())


if __name__ == "__main__":
    main(sys.argv[1:])
