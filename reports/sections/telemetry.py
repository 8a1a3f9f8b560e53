"""Rows -> what the host saw of them: power, energy, cost, throttling and memory, each with the name of its meter."""

from __future__ import annotations

from harness.analysis.intervals import Estimate
from harness.analysis.telemetry_rows import telemetry_rows as telemetry_rows
from harness.analysis.telemetry_rows import unavailable_meters as unavailable_meters
from harness.records.price import Price
from reports.tables import with_spread


def format_watts(value: Estimate) -> str:
    """``84.5 W (83.9, 85.2)``"""
    return with_spread(value, "{:.1f}".format, " W")


def format_joules(value: Estimate | None) -> str:
    """``21.6 kJ (21.1, 22.0)``"""
    return "-" if value is None else with_spread(value, lambda joules: f"{joules * 1e-3:.1f}", " kJ")


def format_cost(value: Estimate | None) -> str:
    """``0.00300``"""
    return "-" if value is None else with_spread(value, "{:.5f}".format)


def prices_text(price: Price) -> str:
    """The prices in words; empty where none is given."""
    told = [(price.per_kwh, "a kWh"), (price.per_hour, "an hour of the machine")]
    return " and ".join(f"{value:g} {unit}" for value, unit in told if value is not None)
