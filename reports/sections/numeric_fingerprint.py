"""Rows -> what their networks compute for one made-up chunk, compared bit by bit."""

from __future__ import annotations

from harness.analysis.fingerprint_rows import fingerprint_rows as fingerprint_rows
