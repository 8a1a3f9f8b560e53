"""The host: what decides what to run, runs it, judges it and keeps it."""

__version__ = "0.1.0"
