"""Simulated cameras with exactly known truth, seeded and made frame by frame, and their faults."""

from edgesdk.sim.faults import Fault, FaultSettings, garbled
from edgesdk.sim.faulty import FaultySource
from edgesdk.sim.line import LINE_LABELS, LineScene, LineSettings, TruePart
from edgesdk.sim.pictures import simulated_pictures
from edgesdk.sim.settings import TrafficSettings
from edgesdk.sim.source import SimSource, open_simulation
from edgesdk.sim.traffic import LABELS, TrafficScene, TrueCrossing
from edgesdk.sim.uri import Simulation, parse_simulation, parse_uri

__all__ = [
    "LABELS",
    "LINE_LABELS",
    "Fault",
    "FaultSettings",
    "FaultySource",
    "LineScene",
    "LineSettings",
    "SimSource",
    "Simulation",
    "TrafficScene",
    "TrafficSettings",
    "TrueCrossing",
    "TruePart",
    "garbled",
    "open_simulation",
    "parse_simulation",
    "parse_uri",
    "simulated_pictures",
]
