"""What traffic counting tells the world: crossings, visits of zones, and counts by interval."""

from edgesdk.traffic.events import Count, Crossing, Visit, column
from edgesdk.traffic.teller import Teller

__all__ = ["Count", "Crossing", "Teller", "Visit", "column"]
