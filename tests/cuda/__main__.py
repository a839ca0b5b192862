"""Starts this stage: python -m tests.cuda [pytest's arguments].

Ends with pytest's exit code; 5, nothing was selected, also when pycuda is not built, when the paths
among the arguments are all elsewhere, and for `-m gpu`: a stand-in is no GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.partners import pycuda

HERE = Path(__file__).parent
VALUED = ("-k", "-m")
"""What follows them is no path, whatever it is called."""


def main(arguments: list[str]) -> int:
    """pytest's exit code, in an environment whose CUDA driver is the stand-in."""
    if ("-m", "gpu") in pairwise(arguments):
        return pytest.ExitCode.NO_TESTS_COLLECTED  # nor may an empty report replace the first one's
    paths = [a for before, a in pairwise(["", *arguments]) if before not in VALUED and exists(a)]
    own = [a for a in paths if is_here(Path(a.partition("::")[0]))]
    if paths and not own:
        return pytest.ExitCode.NO_TESTS_COLLECTED
    if not pycuda.installed():
        print(f"tests/cuda is left out: pycuda is not built; {pycuda.HOW}", file=sys.stderr)
        in_ci = bool(os.environ.get("EDGESDK_CI"))
        return pytest.ExitCode.TESTS_FAILED if in_ci else pytest.ExitCode.NO_TESTS_COLLECTED
    others = [a for a in arguments if a not in paths]
    command = [sys.executable, "-m", "pytest", *(own or [str(HERE)]), *others]
    return subprocess.run(command, env=pycuda.environment(), check=False).returncode


def exists(argument: str) -> bool:
    """Whether it is a path, or a test in a file."""
    return Path(argument.partition("::")[0]).exists()


def is_here(path: Path) -> bool:
    """A file or folder of this stage; the folders above it have it in them."""
    path = path.resolve()
    return path == HERE or HERE in path.parents


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
