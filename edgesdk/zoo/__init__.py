"""Third-party models by name: where each is found, its digest, licence and spec."""

from edgesdk.zoo.entries import ZooEntry, find_by_digest, load_entry, zoo_names
from edgesdk.zoo.pull import pull

__all__ = ["ZooEntry", "find_by_digest", "load_entry", "pull", "zoo_names"]
