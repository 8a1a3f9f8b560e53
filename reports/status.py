"""What became of a row, in words."""

from __future__ import annotations

from harness.analysis.rows import Row
from harness.records.launch import Launch


def status_text(row: Row) -> str:
    """The status in a few words: what failed, and in how many launches."""
    verdict = row.speaking.verdict
    words = {"pass": "PASS", "wrong output": "WRONG OUTPUT"}.get(row.status) or f"FAIL: {verdict.cause}"
    if row.status == "pass" and row.why_not_compared:
        words += ", not compared with the CPU"
    failed = sum(launch.verdict.status != "pass" for launch in row.launches)
    return f"{words} ({failed} of {len(row.launches)})" if 0 < failed < len(row.launches) else words


def broken_imports(launch: Launch) -> list[tuple[str, str]]:
    """Imports that failed though the package is there, with their root cause."""
    failed = ((name, each.chain) for name, each in launch.said.imports.items() if each.outcome == "failed")
    return [(name, f"{chain[-1].type}: {chain[-1].message}") for name, chain in failed if chain]
