"""Partners of the tests: those that no package index gives ready-made are installed from here.

`scripts/partners` installs bindings, compilers and pycuda, once: what is there already is left
alone. The other modules start a partner for a test. Tests whose partner is absent are skipped by
name.
"""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """Where the partner `name` is kept, outside the checkout: EDGESDK_PARTNERS, or a cache."""
    own = os.environ.get("EDGESDK_PARTNERS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(own) if own else Path(cache) / "edgesdk-partners") / name
