"""What the host's own clocks say about a launch."""

from __future__ import annotations

from typing import Any

import msgspec


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Events that the host saw come. Seconds are since it asked for the launch, by a clock that nobody sets."""

    after: float
    """At this time they were not there yet"""
    by: float
    """At this time they were"""
    ats: tuple[Any, ...]
    """The time that each of them tells"""


class HostClock(msgspec.Struct, frozen=True, kw_only=True):
    """What the host's own clocks say about a launch that it saw to its end."""

    begun: float
    """Unix seconds when it asked for the launch"""
    ended: float
    """Unix seconds when the launch had ended"""
    seconds: float
    """Between the two, by a clock that nobody sets"""
    sightings: tuple[Sighting, ...] = ()
