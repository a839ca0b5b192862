"""Partners of the tests that no package index gives ready-made: each module installs one.

`scripts/partners` runs them all, once: what is there already is left alone. Tests whose partner
is absent are skipped by name.
"""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """Where the partner `name` is kept, outside the checkout: EDGESDK_PARTNERS, or a cache."""
    own = os.environ.get("EDGESDK_PARTNERS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(own) if own else Path(cache) / "edgesdk-partners") / name
