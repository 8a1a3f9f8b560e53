"""A run that several files look at."""

from __future__ import annotations

from .runs import whole  # noqa: F401 - a fixture
