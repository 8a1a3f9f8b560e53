"""Rows -> where the time of their launches went, as a page shows it."""

from __future__ import annotations

from harness.analysis.waterfall_rows import LAUNCH_COLUMNS as LAUNCH_COLUMNS
from harness.analysis.waterfall_rows import PASS_COLUMNS as PASS_COLUMNS
from harness.analysis.waterfall_rows import waterfall_rows as waterfall_rows
