"""No launch whose guest had finished is lost or stored twice, wherever the harness dies or the disk fails after that.

The same with real containers: tests/engines/test_kill.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import REPOSITORY


def outcomes_of(folder: Path, ending: str, left: str) -> list[dict[str, Any]]:
    """What came of a fault at each point: see `tests.finished_launches`."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.finished_launches", str(folder), ending, left),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def is_whole(outcome: dict[str, Any]) -> bool:
    """Whether what the guests finished is in the store, each once, and nothing else passed or is left."""
    passed = [launch_id for launch_id, status in outcome["stored"].items() if status == "pass"]
    return sorted(outcome["ledger"]) == sorted(passed) and outcome["left"] == [] and outcome["ended"][-1] == 0


@pytest.mark.parametrize("left", ["short", "much"])
def test_a_death_at_any_step_after_a_guest_s_end_loses_no_launch_and_stores_none_twice(tmp_path: Path, left: str) -> None:
    outcomes = outcomes_of(tmp_path, "kill", left)
    assert [outcome for outcome in outcomes if not is_whole(outcome)] == []
    assert all(outcome["ended"] == [-9, 0] for outcome in outcomes[:-1])
    assert outcomes[-1]["ended"] == [0, 0], "the last one came to its end, so there is no later point"
    reached = {outcome["point"][0].split()[0] for outcome in outcomes[:-1]}
    assert {"unlink", "rmdir", "commit", "committed"} <= reached
    assert left == "short" or {"write", "fsync", "replace"} <= reached


SLOW = pytest.mark.slow


@pytest.mark.parametrize("ending", [pytest.param("ENOSPC", marks=SLOW), pytest.param("EIO", marks=SLOW), "lasting ENOSPC"])
def test_a_disk_that_fails_at_any_step_after_a_guest_s_end_loses_no_launch(tmp_path: Path, ending: str) -> None:
    outcomes = outcomes_of(tmp_path, ending, "much")
    assert [outcome for outcome in outcomes if not is_whole(outcome)] == []
    assert len(outcomes) > 10


def test_a_recovery_that_dies_at_any_step_loses_no_launch_and_stores_none_twice(tmp_path: Path) -> None:
    outcomes = outcomes_of(tmp_path, "recovery", "much")
    assert [outcome for outcome in outcomes if not is_whole(outcome)] == []
    assert all(outcome["ended"] == [-9, -9, 0] for outcome in outcomes[:-1])
