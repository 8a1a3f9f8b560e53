"""Rows -> what each of the guest's memory meters showed."""

from __future__ import annotations

from benchmarks.wire import MEMORY_METERS as MEMORY_METERS
from harness.analysis.guest_memory import memory_rows as memory_rows
