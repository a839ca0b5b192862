"""Simulated traffic with exactly known truth, seeded and made frame by frame."""

from edgesdk.sim.pictures import simulated_pictures
from edgesdk.sim.settings import TrafficSettings, parse_uri
from edgesdk.sim.traffic import LABELS, TrafficScene, TrueCrossing

__all__ = [
    "LABELS",
    "TrafficScene",
    "TrafficSettings",
    "TrueCrossing",
    "parse_uri",
    "simulated_pictures",
]
